//! A day of production on a real server: an old release, the column, a new release, backfill, index, and
//! whatever else a seed has planted. The verdict names what was planted, and nothing else.
//!
//! Counters, plans and times are real. The day is told to the file only: its snapshots are taken one
//! after the other and written half an hour apart. `NEWCOL_DAYS` says how many seeds; ten take longer
//! than nextest allows a test: `NEWCOL_DAYS=10 cargo test -p newcol-tests --test it watch::day`.

use std::collections::BTreeSet;

use newcol_core::watch::{
    assess::{Assessment, Said, assess_with},
    collect::Purpose,
    verdict::Verdict,
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
    /// The first seed plants all and an index for nobody, the second nothing and an index that pays.
    fn of(seed: u64) -> Self {
        let mut chance = Chance::of(seed);
        let mut some = || match seed {
            0 => true,
            1 => false,
            _ => chance.below(2) == 0,
        };
        Self {
            flip: some(),
            wide: some(),
            strewn: some(),
            is_used: seed == 1 || (seed != 0 && some()),
        }
    }

    /// Windows with the column and without its index: whoever looks for it takes them as its time before.
    fn without_index(self) -> u32 {
        if self.is_used { BEFORE } else { 4 }
    }

    fn named(self) -> BTreeSet<&'static str> {
        let all = [
            (self.flip, "SELECT id, md5(repeat(name, $1)), locale FROM users WHERE email = $2"),
            (
                self.wide,
                "SELECT upper(repeat(left(note, $1), $2)), locale FROM users WHERE id BETWEEN $3 AND $4",
            ),
            (self.strewn, "SELECT md5(repeat(name, $1)), locale FROM users WHERE team = $2"),
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
    // Work that a value more in each row adds little to: what the column itself costs is not planted. And
    // enough of it for a machine that does other things as well to be chance, not all there is.
    let mut all: Vec<Statement> = vec![
        Box::new(move |chance| {
            format!(
                "SELECT id, md5(repeat(name, 4000)){column} FROM users WHERE email = 'u{}@example.com'",
                user(chance)
            )
        }),
        Box::new(move |chance| {
            let from = USERS + chance.below(900);
            let list = format!("SELECT upper(repeat(left(note, 40), 100)){column} FROM users");
            format!("{list} WHERE id BETWEEN {from} AND {}", from + 20)
        }),
        Box::new(move |chance| {
            let team = chance.below(220);
            format!("SELECT md5(repeat(name, 200)){column} FROM users WHERE team = {team}")
        }),
        // Nothing happens to these.
        Box::new(move |chance| {
            format!(
                "SELECT email, md5(repeat(name, 4000)){column} FROM users WHERE id = {}",
                user(chance)
            )
        }),
        Box::new(move |chance| {
            let from = chance.below(USERS - 20);
            format!(
                "SELECT id, md5(repeat(name, 2000)){column} FROM users WHERE id >= {from} ORDER BY id LIMIT 2"
            )
        }),
        Box::new(move |chance| {
            format!("UPDATE users SET visits = visits + 1 WHERE id = {}", user(chance))
        }),
    ];
    if has_column && is_used {
        all.push(Box::new(|chance| {
            format!(
                "SELECT md5(repeat(name, 400)) FROM users WHERE locale = 'l{}'",
                chance.below(VALUES)
            )
        }));
    }
    for table in 0..OTHERS {
        let row = |chance: &mut Chance| chance.below(1000) + 1;
        for (begin, end) in [
            ("SELECT md5(repeat(b, 4000)) FROM other_{} WHERE a = ", ""),
            ("SELECT max(md5(repeat(b, 90))) FROM other_{} WHERE a % 10 = 1 AND c < ", ""),
            ("SELECT md5(repeat(b, 900)) FROM other_{} WHERE a > ", " ORDER BY a LIMIT 5"),
            ("SELECT md5(repeat(b, 900)) FROM other_{} WHERE a <= ", " ORDER BY a DESC LIMIT 6"),
            ("SELECT max(md5(repeat(b, 9000))) FROM other_{} WHERE a = ", ""),
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
            format!("UPDATE users SET note = repeat(md5(id::text), 40) WHERE id >= {USERS}");
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
                .flat_map(|at| vec![at; 20 + usize::try_from(self.chance.below(9)).unwrap()])
                .collect();
            for at in (1..calls.len()).rev() {
                let other = self.chance.below(at as u64 + 1);
                calls.swap(at, usize::try_from(other).unwrap());
            }
            // Several at once: the way to the server is no part of what is measured.
            for some in calls.chunks(20) {
                let all: Vec<String> =
                    some.iter().map(|at| release[*at](&mut self.chance)).collect();
                self.world.app.batch(&all.join("; ")).unwrap();
            }
            self.world.take(Purpose::Snap);
        }
    }

    /// Spreads the day in the file; the time since the index `slow` times as far.
    fn spread(&self, slow: f64) {
        let with_index = BEFORE + self.planted.without_index() + 3;
        self.world.spread(STEP, (with_index, slow));
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
    let mut wrong = Vec::new();
    for seed in 0..days {
        let day = Day::of(seed);
        day.spread(1.0);
        let assessment = day.assess();
        let verdict = &assessment.judgement.verdict;
        println!("{seed} {:?}: {}", day.planted, assessment.judgement);
        if named(&assessment) != day.planted.named() {
            wrong.push((seed, assessment.judgement.to_string()));
        }
        let index = assessment.beside.as_ref().unwrap_or(verdict).to_string();
        println!("  index: {index}");
        if day.planted.is_used {
            // So busy may the machine be that it cannot be told; another word would be wrong.
            let is_kept = index.starts_with("KEEP: it saves ");
            let is_close =
                index.starts_with("WAIT: it saves ") && index.contains("too close to tell");
            assert!(is_kept || (is_close && seed != 1), "{seed}: {index}");
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
    assert!(wrong.is_empty(), "of {days} days: {wrong:#?}");
}
