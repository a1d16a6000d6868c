//! A day of production on a real server: an old release, the column, a new release, backfill, index, and
//! whatever else a seed has planted. The verdict names what was planted, and nothing else.
//!
//! Counters, plans and times are real. The day is told to the file only: its snapshots are taken one
//! after the other and written half an hour apart. `NEWCOL_DAYS` says how many seeds.

use std::{collections::BTreeSet, fmt::Write as _};

use newcol_core::{
    db::{DatabaseUrl, OpenOptions, Session},
    watch::{
        assess::{Assessment, Said, assess_with},
        collect::Purpose,
        verdict::Verdict,
    },
};
use newcol_testkit::Want;

use super::{ADD, World};
use crate::chance::Chance;

/// Windows before the column, and with its index.
const BEFORE: u32 = 14;
const AFTER: u32 = 14;
/// Seconds from one snapshot to the next, as the file has it.
const STEP: f64 = 1800.0;

const SETUP: &[&str] = &[
    "CREATE EXTENSION pg_stat_statements",
    "CREATE TABLE ticks (n bigint)",
    "INSERT INTO ticks VALUES (0)",
    "CREATE TABLE users (id integer PRIMARY KEY, name text, email text, team integer, note text, \
     visits integer NOT NULL DEFAULT 0)",
    "INSERT INTO users SELECT n, 'name ' || n, 'u' || n || '@example.com', n / 40, 'note', 0 \
     FROM generate_series(1, 10000) n",
    "CREATE INDEX users_email ON users (email)",
    "CREATE INDEX users_team ON users (team)",
    "VACUUM ANALYZE users",
];

/// Tables that know nothing of the column, each with six statements.
const OTHERS: u32 = 4;
/// Users that a day is about; the notes of a thousand more are only listed.
const USERS: u64 = 9000;
/// Different values of the column.
const VALUES: u64 = 2000;

/// What happens beside the column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Planted {
    /// The index that a search goes by is dropped: its plan flips.
    flip: bool,
    /// The rows that a list shows become wide.
    wide: bool,
    /// The rows of a team, which lay side by side, are strewn over the table.
    strewn: bool,
    /// Whether anybody looks for the column.
    is_used: bool,
}

impl Planted {
    /// The first seed plants all, the second nothing.
    fn of(seed: u64) -> Self {
        let mut chance = Chance::of(seed);
        let mut some = || match seed {
            0 => true,
            1 => false,
            _ => chance.below(2) == 0,
        };
        Self { flip: some(), wide: some(), strewn: some(), is_used: seed != 0 && some() }
    }

    /// Windows with the column and without its index: whoever looks for it takes them as its time before.
    fn without_index(self) -> u32 {
        if self.is_used { BEFORE } else { 4 }
    }

    fn named(self) -> BTreeSet<&'static str> {
        let all = [
            (self.flip, "SELECT id, name, locale FROM users WHERE email = $1"),
            (self.wide, "SELECT id, upper(note), locale FROM users WHERE id BETWEEN $1 AND $2"),
            (self.strewn, "SELECT id, name, locale FROM users WHERE team = $1"),
        ];
        all.into_iter().filter_map(|(is_planted, text)| is_planted.then_some(text)).collect()
    }
}

/// One statement of a release, by what it is about.
type Statement = Box<dyn Fn(&mut Chance) -> String>;

/// The application before or after its release.
fn release(has_column: bool, is_used: bool) -> Vec<Statement> {
    let column = if has_column { ", locale" } else { "" };
    let user = |chance: &mut Chance| chance.below(USERS) + 1;
    let mut all: Vec<Statement> = vec![
        Box::new(move |chance| {
            format!(
                "SELECT id, name{column} FROM users WHERE email = 'u{}@example.com'",
                user(chance)
            )
        }),
        Box::new(move |chance| {
            let from = USERS + chance.below(900);
            format!(
                "SELECT id, upper(note){column} FROM users WHERE id BETWEEN {from} AND {}",
                from + 20
            )
        }),
        Box::new(move |chance| {
            format!("SELECT id, name{column} FROM users WHERE team = {}", chance.below(220))
        }),
        // Nothing happens to these.
        Box::new(move |chance| {
            format!("SELECT name, email{column} FROM users WHERE id = {}", user(chance))
        }),
        Box::new(move |chance| {
            let from = chance.below(USERS - 20);
            format!("SELECT id, visits{column} FROM users WHERE id >= {from} ORDER BY id LIMIT 10")
        }),
        Box::new(move |chance| {
            format!("UPDATE users SET visits = visits + 1 WHERE id = {}", user(chance))
        }),
    ];
    if has_column && is_used {
        all.push(Box::new(|chance| {
            format!("SELECT name FROM users WHERE locale = 'l{}'", chance.below(VALUES))
        }));
    }
    for table in 0..OTHERS {
        let row = |chance: &mut Chance| chance.below(1000) + 1;
        for (begin, end) in [
            ("SELECT b FROM other_{} WHERE a = ", ""),
            ("SELECT sum(c) FROM other_{} WHERE a < 60 + ", ""),
            ("SELECT a, b FROM other_{} WHERE a > ", " ORDER BY a LIMIT 5"),
            ("SELECT a, c FROM other_{} WHERE a <= ", " ORDER BY a DESC LIMIT 9"),
            ("SELECT max(c) FROM other_{} WHERE a = ", ""),
            ("UPDATE other_{} SET c = c + 1 WHERE a = ", ""),
        ] {
            let begin = begin.replace("{}", &table.to_string());
            all.push(Box::new(move |chance| format!("{begin}{}{end}", row(chance))));
        }
    }
    all
}

struct Day {
    world: World,
    planted: Planted,
    chance: Chance,
}

impl Day {
    /// Lives through a day.
    fn of(seed: u64) -> Self {
        let major = [15, 18, 13][usize::try_from(seed % 3).unwrap()];
        let mut setup: Vec<String> = SETUP.iter().map(|sql| (*sql).to_owned()).collect();
        for table in 0..OTHERS {
            setup.push(format!(
                "CREATE TABLE other_{table} (a integer PRIMARY KEY, b text, c integer)"
            ));
            setup.push(format!(
                "INSERT INTO other_{table} SELECT n, 'b' || n, n % 9 FROM generate_series(1, 1000) n"
            ));
            setup.push(format!("VACUUM ANALYZE other_{table}"));
        }
        let setup: Vec<&str> = setup.iter().map(String::as_str).collect();
        let world = World::with(Want::postgres().version(major).private(), &setup);
        let mut day = Self { world, planted: Planted::of(seed), chance: Chance::of(seed) };
        let Planted { flip, wide, strewn, is_used } = day.planted;
        day.world.take(Purpose::Baseline);
        day.live(BEFORE, &release(false, is_used));
        day.world.run(&[ADD]);
        for batch in 0..10 {
            let (from, to) = (batch * 1000, (batch + 1) * 1000);
            let fill = format!(
                "UPDATE users SET locale = 'l' || (id % {VALUES}) WHERE id > {from} AND id <= {to}"
            );
            day.world.run(&[&fill, "VACUUM users"]);
        }
        let widen =
            format!("UPDATE users SET note = repeat(md5(id::text), 50) WHERE id >= {USERS}");
        for (is_planted, sql) in [
            (flip, "DROP INDEX users_email"),
            (wide, &widen),
            (strewn, "UPDATE users SET team = (id::bigint * 7919) % 250"),
        ] {
            if is_planted {
                day.world.run(&[sql]);
            }
        }
        day.world.run(&["VACUUM ANALYZE users"]);
        day.world.take(Purpose::Snap);
        let new = release(true, is_used);
        day.live(day.planted.without_index(), &new);
        day.world.run(&["CREATE INDEX CONCURRENTLY users_locale ON users (locale)"]);
        day.world.take(Purpose::Snap);
        day.live(AFTER, &new);
        day.world.settle();
        day.world.take(Purpose::Snap);
        day
    }

    /// Runs every statement some times in each window, in any order.
    fn live(&mut self, windows: u32, release: &[Statement]) {
        for _ in 0..windows {
            let mut calls: Vec<usize> = (0..release.len())
                .flat_map(|at| vec![at; 16 + usize::try_from(self.chance.below(5)).unwrap()])
                .collect();
            for at in (1..calls.len()).rev() {
                let other = self.chance.below(at as u64 + 1);
                calls.swap(at, usize::try_from(other).unwrap());
            }
            for at in calls {
                let sql = release[at](&mut self.chance);
                self.world.run(&[&sql]);
            }
            self.world.take(Purpose::Snap);
        }
    }

    /// Writes the times of a day into the file; those since the index `slow` times as far apart.
    fn spread(&self, slow: f64) {
        let with_index = BEFORE + self.planted.without_index() + 3;
        let url = DatabaseUrl::parse(self.world.file().as_str()).unwrap();
        let mut file = Session::open(&url, &OpenOptions::write()).unwrap();
        let mut sql = String::from(
            "BEGIN; CREATE TEMP TABLE at AS SELECT id, server AS was, \
            (SELECT min(server) FROM snapshot) AS start FROM snapshot;",
        );
        let at = format!(
            "start + {STEP} * (min(id, {with_index}) + {slow} * max(id - {with_index}, 0))"
        );
        write!(
            sql,
            "UPDATE snapshot SET server = (SELECT {at} FROM at WHERE at.id = snapshot.id);
             UPDATE snapshot SET local = server;
             UPDATE window SET begun = (SELECT server FROM snapshot WHERE id = window.snapshot - 1),
                 ended = (SELECT server FROM snapshot WHERE id = window.snapshot);"
        )
        .unwrap();
        for table in ["plan", "plan_use"] {
            write!(
                sql,
                "UPDATE {table} SET at = (SELECT {at} + 1 FROM at WHERE was <= {table}.at \
                 ORDER BY id DESC LIMIT 1) + ({table}.at % 1);"
            )
            .unwrap();
        }
        sql.push_str("COMMIT");
        file.batch(&sql).unwrap();
    }

    fn assess(&self) -> Assessment {
        let said = Said { no_replicas: true, ..Said::default() };
        assess_with(&mut self.world.store(), said).unwrap().unwrap()
    }
}

/// Returns the statements that the verdict names.
fn named(assessment: &Assessment) -> BTreeSet<&str> {
    match &assessment.judgement.verdict {
        Verdict::Regression { worse, .. } => {
            worse.iter().map(|one| assessment.texts[&one.query.id].as_str()).collect()
        }
        _ => BTreeSet::new(),
    }
}

#[test]
fn a_day_is_told_as_it_was() {
    #[expect(clippy::disallowed_methods, reason = "how many days to live through")]
    let days = std::env::var("NEWCOL_DAYS").ok().and_then(|days| days.parse().ok()).unwrap_or(2);
    for seed in 0..days {
        let day = Day::of(seed);
        day.spread(1.0);
        let assessment = day.assess();
        let verdict = &assessment.judgement.verdict;
        println!("{seed} {:?}: {}", day.planted, assessment.judgement);
        assert_eq!(named(&assessment), day.planted.named(), "{seed}");
        let index = assessment.beside.as_ref().unwrap_or(verdict).to_string();
        println!("  index: {index}");
        if day.planted.is_used {
            assert!(index.starts_with("KEEP: it saves "), "{seed}: {index}");
            continue;
        }
        let early =
            "WAIT: nothing was seen to use it, but it was watched for 0.3 days, 7 are needed";
        assert!(index.starts_with(early), "{seed}: {index}");
        // The same, as if it had gone on like that for some days.
        day.spread(30.0);
        let assessment = day.assess();
        let index = assessment.beside.as_ref().unwrap_or(&assessment.judgement.verdict);
        let Verdict::Drop { statements, .. } = index else { panic!("{seed}: {index}") };
        assert_eq!(statements[0], "DROP INDEX CONCURRENTLY public.users_locale", "{seed}");
        println!("  index: {index}");
    }
}
