//! What needs an index, what would do in its place, and who else uses it: on real servers.

use newcol_core::{
    db::{DatabaseUrl, OpenOptions},
    watch::{
        assess::{Said, assess_with},
        benefit::Balance,
        collect::Purpose,
        replicas,
        verdict::{
            Asked, ColumnFacts, Evidence, IndexEvidence, Level, MonthEnd, Replicas, Usage, Verdict,
            judge,
        },
    },
};
use newcol_testkit::{Want, scratch::Standby, wait::wait_until};

use super::{
    ADD, World,
    plans::{MANY, indexed},
};

/// Statements of which one index comes, and its name.
const NEEDED: &[(&str, &[&str])] = &[
    ("unique", &["CREATE UNIQUE INDEX i ON users (locale)"]),
    (
        "primary key",
        &["ALTER TABLE users DROP CONSTRAINT users_pkey, ADD CONSTRAINT i PRIMARY KEY (locale)"],
    ),
    ("exclusion", &["ALTER TABLE users ADD CONSTRAINT i EXCLUDE USING btree (locale WITH =)"]),
    (
        "replica identity",
        &[
            "ALTER TABLE users ALTER locale SET NOT NULL",
            "CREATE UNIQUE INDEX i ON users (locale)",
            "ALTER TABLE users REPLICA IDENTITY USING INDEX i",
        ],
    ),
    (
        "refers",
        &[
            "CREATE TABLE locales (code text PRIMARY KEY)",
            "INSERT INTO locales SELECT locale FROM users",
            "ALTER TABLE users ADD CONSTRAINT spoken FOREIGN KEY (locale) REFERENCES locales",
            "CREATE INDEX i ON users (locale, age)",
        ],
    ),
    (
        "referred to",
        &[
            "CREATE UNIQUE INDEX i ON users (locale)",
            "CREATE TABLE flags (l text CONSTRAINT flown REFERENCES users (locale))",
        ],
    ),
    ("expression", &["CREATE INDEX i ON users (lower(locale))"]),
    ("nothing", &["CREATE INDEX i ON users (locale)"]),
    ("partial", &["CREATE INDEX i ON users (locale) WHERE age > 3"]),
    ("second place", &["CREATE INDEX i ON users (age, locale)"]),
    ("covered", &["CREATE INDEX j ON users (locale, age)", "CREATE INDEX i ON users (locale)"]),
    ("twice", &["CREATE INDEX h ON users (locale)", "CREATE INDEX i ON users (locale)"]),
    (
        "not covered",
        &[
            "CREATE INDEX j ON users (locale DESC, age)",
            "CREATE INDEX k ON users (locale, age) WHERE age > 3",
            "CREATE INDEX l ON users USING hash (locale)",
            "CREATE INDEX i ON users (locale)",
        ],
    ),
];

/// What would be said of an index of which nothing else is known than that nobody used it.
fn unused(facts: newcol_core::watch::verdict::IndexFacts) -> Verdict {
    let index = IndexEvidence {
        facts,
        usage: Usage::default(),
        replicas: Replicas::None,
        balance: Balance::default(),
        days: 8.0,
        month_end: MonthEnd::NotAsked,
        column: ColumnFacts { null_frac: 0.0, correlation: None, asked: Asked::Unknown },
        rebuild_bytes: 0,
    };
    let evidence = Evidence {
        window: (0.0, 8.0 * 86_400.0),
        level: Level::Plans,
        no_plans: None,
        gates: Vec::new(),
        comparisons: Vec::new(),
        index: Some(index),
    };
    judge(&evidence).verdict
}

#[test]
fn what_needs_an_index_is_found_in_the_catalog() {
    for major in [13, 15, 18] {
        let mut said = String::new();
        let mut world = World::with(Want::postgres().version(major).private(), &[]);
        for (what, statements) in NEEDED {
            world.anew(super::USERS);
            world.run(&[ADD, "UPDATE users SET locale = 'l' || id"]);
            world.run(statements);
            world.take(Purpose::Snap);
            let indexes = world.store().column_indexes().unwrap();
            let mut index = indexes.into_iter().find(|one| one.name == "i").unwrap();
            index.facts.bytes = 8192;
            let more = [
                index.facts.partial.then(|| "partial".to_owned()),
                index.facts.covered_by.as_ref().map(|by| format!("covered by {by}")),
                (!index.leads).then(|| "not leading".to_owned()),
            ];
            let more: Vec<String> = more.into_iter().flatten().collect();
            said += &format!("{what}: {} {}\n", unused(index.facts), more.join(", "));
        }
        insta::allow_duplicates! {
            insta::assert_snapshot!(said, @"
            unique: KEEP: it keeps rows different, which the server counts as no scan 
            primary key: KEEP: it is the primary key's 
            exclusion: KEEP: it keeps an exclusion constraint 
            replica identity: KEEP: it keeps rows different, which the server counts as no scan; logical replication finds rows by it 
            refers: KEEP: deletions look for rows of the foreign key spoken by it 
            referred to: KEEP: it keeps rows different, which the server counts as no scan; the foreign key flown refers to it 
            expression: KEEP: the planner's statistics of its expression would go with it 
            nothing: DROP?: nothing uses it; it costs 0 ms/h (95 %: 0 to 0) and takes 8192 bytes 
            partial: DROP?: nothing uses it; it costs 0 ms/h (95 %: 0 to 0) and takes 8192 bytes partial
            second place: DROP?: nothing uses it; it costs 0 ms/h (95 %: 0 to 0) and takes 8192 bytes not leading
            covered: DROP?: nothing uses it; it costs 0 ms/h (95 %: 0 to 0) and takes 8192 bytes covered by public.j
            twice: DROP?: nothing uses it; it costs 0 ms/h (95 %: 0 to 0) and takes 8192 bytes covered by public.h
            not covered: DROP?: nothing uses it; it costs 0 ms/h (95 %: 0 to 0) and takes 8192 bytes
            ");
        }
    }
}

/// An index that is used, and another one that would do: half an hour each snapshot.
#[test]
fn another_index_is_proposed() {
    for major in [13, 15, 18] {
        let mut said = String::new();
        let mut world = World::with(Want::postgres().version(major).private(), &[]);
        world.settings.plans_a_minute = 100;
        for (what, fill, index, query) in [
            (
                "partial",
                "UPDATE users SET locale = 'w' || id WHERE id % 10 = 0",
                "CREATE INDEX users_locale ON users (locale)",
                "SELECT name FROM users WHERE locale = 'w17'",
            ),
            (
                "partial, but somebody asks for NULL",
                "UPDATE users SET locale = CASE WHEN id % 3 = 0 THEN 'w' || id WHEN id = 8 THEN NULL ELSE 'x' END",
                "CREATE INDEX users_locale ON users (locale)",
                "SELECT name FROM users WHERE locale IS NULL",
            ),
            (
                "ranges",
                "UPDATE users SET locale = 'w' || lpad(id::text, 9, '0')",
                "CREATE INDEX users_locale ON users (locale)",
                "SELECT sum(age) FROM users WHERE locale BETWEEN 'w000000100' AND 'w000000200'",
            ),
            (
                "covered",
                "UPDATE users SET locale = 'w' || id",
                "CREATE INDEX users_locale ON users (locale)",
                "SELECT count(*) FROM users WHERE locale BETWEEN 'w2' AND 'w3'",
            ),
        ] {
            world.anew(MANY);
            world.take(Purpose::Baseline);
            for _ in 0..2 {
                world.take(Purpose::Snap);
            }
            world.run(&[ADD, fill, "VACUUM users"]);
            if what == "covered" {
                world.run(&["CREATE INDEX wider ON users (locale, name, age)"]);
            }
            world.run(&[index, "ANALYZE users", query]);
            world.take(Purpose::Snap);
            world.repeat(30, &[query]);
            world.settle();
            for _ in 0..2 {
                world.take(Purpose::Snap);
            }
            world.spread(1800.0, (100, 1.0));
            let assessment = assess_with(&mut world.store(), Said::default()).unwrap().unwrap();
            said += &format!("{what}: {}\n", assessment.judgement.verdict);
        }
        insta::allow_duplicates! {
            insta::assert_snapshot!(said, @"
            partial: CHANGE: 90 % of its rows have no value, and nobody looks for them: add WHERE … IS NOT NULL
            partial, but somebody asks for NULL: WAIT: 100 % of its uses are of statements that never ran without it, so nobody knows what they would take
            ranges: CHANGE: rows lie in the order of values (correlation 1.00) and only ranges are asked for: a BRIN index would be a thousandth of the size
            covered: CHANGE: public.wider begins with the same columns
            ");
        }
    }
}

/// Nothing on the primary uses the index, something on a replica does.
#[test]
fn a_replica_that_uses_the_index_is_asked() {
    let mut world = indexed(18);
    let standby = Standby::of(&world.db).unwrap();
    let url = DatabaseUrl::parse(standby.url()).unwrap();
    let nobody = DatabaseUrl::parse("postgres://newcol@localhost:1/db").unwrap();
    let primary = world.url();
    let ask = |world: &mut World, urls: &[DatabaseUrl]| {
        world.take(Purpose::Snap);
        let mut store =
            newcol_core::watch::store::Store::write(&world.file(), &world.column).unwrap();
        replicas::ask(urls, &OpenOptions::read(), &mut store, &world.column).unwrap()
    };
    ask(&mut world, std::slice::from_ref(&url));
    for _ in 0..7 {
        standby.rows("SELECT name FROM users WHERE locale = 'w17'").unwrap();
    }
    let counted =
        "SELECT idx_scan >= 7 FROM pg_stat_user_indexes WHERE indexrelname = 'users_locale'";
    let is_counted = || standby.rows(counted).unwrap().concat() == [Some("t".to_owned())];
    wait_until("scans of the replica", std::time::Duration::from_secs(20), is_counted).unwrap();
    ask(&mut world, std::slice::from_ref(&url));
    let used = world.used();
    assert_eq!((used.usage.counted, &used.replicas), (0, &vec![(url.describe(), Some(7))]));
    // Who does not answer, and who is none.
    let said = ask(&mut world, &[nobody, primary]);
    let refused: Vec<&String> = said.iter().map(|one| one.scans.as_ref().unwrap_err()).collect();
    assert!(refused[0].starts_with("error connecting to server"), "{refused:?}");
    assert_eq!(refused[1], "it follows no other server");
    let replicas = world.used().replicas;
    assert!(replicas.contains(&(url.describe(), None)) && replicas.len() == 3, "{replicas:?}");
    ask(&mut world, std::slice::from_ref(&url));
    assert_eq!(world.used().replicas, [(url.describe(), Some(7))]);
    // As if eight days lay between the two snapshots that asked it, 6 and 7, and after them.
    world.spread(1800.0, (6, 400.0));
    let assessment = assess_with(&mut world.store(), Said::default()).unwrap().unwrap();
    assert_eq!(
        assessment.judgement.verdict.to_string().replace(&url.describe(), "[replica]"),
        "WAIT: nothing was seen to use it, but the replica [replica] scanned it 7 times"
    );
}
