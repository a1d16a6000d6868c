//! Who scans the column's index: plans of real servers against what they counted.

use std::collections::BTreeMap;

use newcol_core::{
    db::{DatabaseUrl, OpenOptions, Session},
    watch::{
        attribution::Attribution,
        collect::Purpose,
        plans::{Explain, Use},
        report::Report,
    },
};

use super::{ADD, World};

/// Enough rows for an index to pay, and as many values.
pub(super) const MANY: &[&str] = &[
    "CREATE EXTENSION pg_stat_statements",
    "CREATE TABLE users (id integer PRIMARY KEY, name text, age integer)",
    "CREATE TABLE words (id integer PRIMARY KEY, word text)",
    "INSERT INTO users SELECT n, 'name ' || n, n % 90 FROM generate_series(1, 20000) n",
    "INSERT INTO words SELECT n, 'w' || n FROM generate_series(1, 200) n",
    "ALTER TABLE users SET (autovacuum_enabled = false)",
    "ANALYZE words",
    "CREATE TABLE ticks (n bigint)",
    "INSERT INTO ticks VALUES (0)",
];

/// A table with the column and its index, watched from before both.
pub(super) fn indexed(major: u32) -> World {
    let mut world = World::with(newcol_testkit::Want::postgres().version(major).private(), MANY);
    world.settings.plans_a_minute = 100;
    world.take(Purpose::Baseline);
    world.take(Purpose::Snap);
    world.take(Purpose::Snap);
    world.run(&[ADD, "UPDATE users SET locale = 'w' || (id % 5000)", "VACUUM ANALYZE users"]);
    world.take(Purpose::Snap);
    world.run(&["CREATE INDEX users_locale ON users (locale)", "ANALYZE users"]);
    // Before 15 the time of an ANALYZE comes to be known a little later.
    world.settle();
    world.take(Purpose::Snap);
    world
}

impl World {
    pub(super) fn repeat(&mut self, times: u32, statements: &[&str]) {
        for _ in 0..times {
            self.run(statements);
        }
    }

    /// What plans say of the index, statement by statement.
    fn uses(&self) -> String {
        let report = Report::of(&mut self.store()).unwrap().unwrap();
        let line = |line: &newcol_core::watch::report::Line| {
            let of = report.attributed(line.id)?;
            let used = match &of.used {
                Ok(Use::Always { searches: 1, .. }) => "always".to_owned(),
                Ok(Use::Always { searches, .. }) => format!("always, {searches} values"),
                Ok(Use::Sometimes) => "sometimes".to_owned(),
                Ok(Use::Never) => "never".to_owned(),
                Err(why) => format!("unknown: {why}"),
            };
            Some((line.text.clone()?, format!("{used}, {} calls", of.calls)))
        };
        let lines: BTreeMap<String, String> = report.lines.iter().filter_map(line).collect();
        lines.iter().map(|(text, used)| format!("{text}: {used}\n")).collect()
    }

    pub(super) fn used(&self) -> Attribution {
        Report::of(&mut self.store()).unwrap().unwrap().used.unwrap().1
    }
}

/// The same on all majors: 13 and 15 plan prepared statements, 18 plans without values.
#[test]
fn scans_are_told_apart_by_plans() {
    for major in [13, 15, 18] {
        let mut world = indexed(major);
        let statements = [
            "SELECT name FROM users WHERE locale = 'w17'",
            "SELECT u.name, w.word FROM words w JOIN users u ON u.locale = w.word WHERE w.id = 7",
            "SELECT sum(age) FROM users WHERE name = 'name 7' AND locale > 'w1'",
            "SELECT age FROM users WHERE locale || name = 'x'",
            "UPDATE users SET age = 3 WHERE locale = 'w18'",
        ];
        world.run(&statements);
        world.take(Purpose::Snap);
        world.repeat(20, &statements);
        world.settle();
        world.take(Purpose::Snap);
        insta::allow_duplicates! {
            insta::assert_snapshot!(world.uses(), @"
            SELECT age FROM users WHERE locale || name = $1: never, 21 calls
            SELECT name FROM users WHERE locale = $1: always, 21 calls
            SELECT sum(age) FROM users WHERE name = $1 AND locale > $2: always, 21 calls
            SELECT u.name, w.word FROM words w JOIN users u ON u.locale = w.word WHERE w.id = $1: always, 21 calls
            UPDATE users SET age = $1 WHERE locale = $2: unknown: it writes or locks, and such plans are read with `--explain-writes` only, 21 calls
            ");
        }
        // Each round: one scan of each plan that names the index, one of the update, which was not planned;
        // and two looks of the planner, which both ends of the join take.
        let usage = world.used().usage;
        assert_eq!(
            (usage.counted, usage.executed, usage.planned),
            (21 * 6, 21 * 3, 21 * 2),
            "{major}"
        );
        world.settings.explain = Explain::Writes;
        world.take(Purpose::Snap);
        let update = "UPDATE users SET age = $1 WHERE locale = $2: always, 21 calls";
        assert_eq!(world.uses().lines().last().unwrap(), update);
        // The looks of our own are in no count.
        let usage = world.used().usage;
        assert_eq!(
            (usage.counted, usage.executed, usage.planned),
            (21 * 6, 21 * 4, 21 * 2),
            "{major}"
        );
    }
}

/// 18 does not show how many values a list has.
#[test]
fn each_value_of_a_list_may_be_a_scan() {
    for major in [15, 18] {
        let mut world = indexed(major);
        let list = ["SELECT name FROM users WHERE locale IN ('w1', 'w222', 'w4000')"];
        world.run(&list);
        world.take(Purpose::Snap);
        world.repeat(20, &list);
        world.settle();
        world.take(Purpose::Snap);
        let usage = world.used().usage;
        assert!(usage.executed == usage.counted && usage.counted > 21, "{major}: {usage:?}");
    }
}

/// What is known of a plan is read again when an index or the statistics change, so many a minute.
#[test]
fn plans_are_read_again_when_something_changed() {
    for major in [13, 18] {
        let mut world = indexed(major);
        world.run(&[
            "SELECT name FROM users WHERE locale = 'w17'",
            "SELECT age FROM users WHERE locale = 'w17'",
            "SELECT id FROM users WHERE locale = 'w17'",
        ]);
        let read = |world: &mut World| {
            let planned = world.take(Purpose::Snap).planned;
            (planned.read, planned.left)
        };
        world.settings.plans_a_minute = 2;
        assert_eq!(read(&mut world), (2, 1), "{major}");
        assert_eq!(read(&mut world), (0, 1), "{major}: two a minute");
        world.settings.plans_a_minute = 100;
        assert_eq!(read(&mut world), (1, 0), "{major}");
        assert_eq!(read(&mut world), (0, 0), "{major}: nothing changed");
        world.run(&["CREATE INDEX other ON users (age)"]);
        assert_eq!(read(&mut world), (3, 0), "{major}: an index came");
        world.run(&["ANALYZE users"]);
        world.settle();
        assert_eq!(read(&mut world), (3, 0), "{major}: other statistics");
        world.settings.explain = Explain::Nothing;
        world.run(&["DROP INDEX other"]);
        assert_eq!(read(&mut world), (0, 0), "{major}: nobody wants plans");
    }
}

/// Nobody waits for us, nor we for them.
#[test]
fn a_table_that_is_locked_is_not_planned() {
    for major in [13, 18] {
        let mut world = indexed(major);
        world.run(&["SELECT name FROM users WHERE locale = 'w17'"]);
        let mut other = Session::open(&world.url(), &OpenOptions::write()).unwrap();
        other.batch("BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE").unwrap();
        let planned = world.take(Purpose::Snap).planned;
        assert!(planned.is_locked && planned.read == 0, "{major}: {planned:?}");
        other.batch("COMMIT").unwrap();
        assert_eq!(world.take(Purpose::Snap).planned.read, 1, "{major}");
    }
}

#[test]
fn a_role_that_may_not_read_the_table_gets_no_plan() {
    for major in [13, 18] {
        let mut world = indexed(major);
        world.run(&[
            "CREATE ROLE watcher LOGIN IN ROLE pg_monitor",
            "SELECT name FROM users WHERE locale = 'w17'",
        ]);
        let (head, tail) = world.db.url().split_once("newcol@").unwrap();
        let url = DatabaseUrl::parse(&format!("{head}watcher@{tail}")).unwrap();
        let planned = world.try_take(&url, Purpose::Snap).unwrap().planned;
        let refused: Vec<String> = planned.refused.into_iter().collect();
        assert_eq!(refused, ["permission denied for table users"], "{major}");
        world.run(&["SELECT name FROM users WHERE locale = 'w17'"]);
        world.try_take(&url, Purpose::Snap).unwrap();
        assert_eq!(
            world.used().no_plans().as_deref(),
            Some("permission denied for table users"),
            "{major}"
        );
    }
}
