//! Whatever breaks the series is kept as a gap with its reason, and no window is made up across it.

use std::time::Duration;

use newcol_core::{
    db::{DatabaseUrl, OpenOptions, Session},
    watch::{
        collect::{Purpose, Settings, Taken},
        identity::Gap,
        report::Report,
        series::{QueryId, Series},
    },
};
use newcol_testkit::Want;

use super::{ADD, USERS, World};
use crate::pooler::Pooler;

const NO_CALLS: [u64; 0] = [];

const READ: &str = "SELECT name FROM users WHERE id = 1";

/// Returns the gaps that are of everything.
fn whole(taken: &Taken) -> Vec<&Gap> {
    taken.gaps.iter().filter(|(id, _)| id.is_none()).map(|(_, gap)| gap).collect()
}

impl World {
    fn id_of(&self, text: &str) -> QueryId {
        let found = self.statements().into_iter().find(|s| s.text.as_deref() == Some(text));
        found.unwrap_or_else(|| panic!("no {text}")).id
    }

    fn calls_of(&self, id: QueryId) -> Vec<u64> {
        let all: Vec<Series> = self.store().series().unwrap();
        let own = all.into_iter().find(|series| series.id == id);
        own.map(|own| own.windows.iter().map(|w| w.calls).collect()).unwrap_or_default()
    }
}

const TEXT: &str = "SELECT name FROM users WHERE id = $1";

#[test]
fn windows_hold_what_happened_and_nothing_else() {
    for major in [13, 18] {
        let mut world = World::new(major);
        world.run(&[READ; 7]);
        world.take(Purpose::Baseline);
        let id = world.id_of(TEXT);
        world.run(&[READ; 3]);
        world.take(Purpose::Snap);
        world.take(Purpose::Snap);
        world.run(&[READ; 2]);
        let last = world.take(Purpose::Snap);
        assert_eq!(last.gaps, []);
        // Nothing is kept of an interval without calls.
        assert_eq!(world.calls_of(id), [3, 2]);
        let first = world.statements().into_iter().find(|s| s.id == id).unwrap();
        assert_eq!(first.history.calls, 7);
        let counted = world.app.query(&format!(
            "SELECT total_exec_time, rows FROM pg_stat_statements WHERE queryid = {id}"
        ));
        let counted = counted.unwrap().remove(0);
        let total: f64 = counted[0].as_ref().unwrap().parse().unwrap();
        let series = world.store().series().unwrap();
        let windows = &series.iter().find(|s| s.id == id).unwrap().windows;
        let kept: f64 = windows.iter().map(|w| w.total_ms).sum::<f64>() + first.history.total_ms;
        assert!((total - kept).abs() < 1e-6, "{total} and {kept}");
        assert_eq!(windows.iter().map(|w| w.rows).sum::<u64>(), 5);
        assert!(windows.iter().all(|w| w.blocks > 0 && w.wal_bytes == Some(0)));
    }
}

#[test]
fn statistics_that_are_reset() {
    for major in [13, 15, 18] {
        let mut world = World::new(major);
        world.run(&[READ; 5]);
        world.take(Purpose::Baseline);
        let id = world.id_of(TEXT);
        world.run(&[READ, "SELECT pg_stat_statements_reset()", READ, READ]);
        let taken = world.take(Purpose::Snap);
        assert_eq!(whole(&taken), [&Gap::StatsReset], "{major}");
        assert_eq!(world.calls_of(id), NO_CALLS, "{major}");
        // The series goes on after it.
        world.run(&[READ; 4]);
        assert_eq!(whole(&world.take(Purpose::Snap)), Vec::<&Gap>::new());
        assert_eq!(world.calls_of(id), [4], "{major}");
    }
}

#[test]
fn statements_that_are_thrown_out() {
    for major in [13, 15, 18] {
        let mut world = World::new(major);
        world.run(&["ALTER SYSTEM SET pg_stat_statements.max = 100"]);
        world.db.crash_server().unwrap();
        world.reconnect();
        world.run(&[READ]);
        world.take(Purpose::Baseline);
        let id = world.id_of(TEXT);
        world.run(&[READ]);
        for n in 1..300 {
            // Each with another number of columns.
            world.run(&[&format!("SELECT 1{}", ", 1".repeat(n))]);
        }
        let taken = world.take(Purpose::Snap);
        let [gap] = whole(&taken)[..] else { panic!("{major}: {:?}", taken.gaps) };
        match (major, gap) {
            (13, Gap::Evicted { times: None } | Gap::StatsReset) => {}
            (_, Gap::Evicted { times: Some(times) }) => assert!(*times > 0),
            other => panic!("{other:?}"),
        }
        let is_kept =
            world.app.query(&format!("SELECT 1 FROM pg_stat_statements WHERE queryid = {id}"));
        if is_kept.unwrap().is_empty() {
            assert!(taken.gaps.contains(&(Some(id), Gap::Restarted)), "{:?}", taken.gaps);
            assert_eq!(world.calls_of(id), NO_CALLS);
        }
    }
}

#[test]
fn a_server_that_crashes() {
    let mut world = World::new(18);
    world.run(&[READ; 5]);
    world.take(Purpose::Baseline);
    let id = world.id_of(TEXT);
    world.run(&[READ]);
    world.db.crash_server().unwrap();
    world.reconnect();
    world.run(&[READ; 9]);
    let taken = world.take(Purpose::Snap);
    assert_eq!(whole(&taken), [&Gap::ServerStarted, &Gap::StatsReset]);
    assert_eq!(world.calls_of(id), NO_CALLS);
}

#[test]
fn another_server_behind_the_same_name() {
    let mut world = World::new(15);
    let newer = World::new(18);
    world.run(&[READ; 5]);
    world.take(Purpose::Baseline);
    let id = world.id_of(TEXT);
    // Private servers are copies of one cluster, as a restored backup is: the same number, and what
    // is proved of numbers of statements holds. What they have counted does not.
    let copy = World::new(15);
    let taken = world.try_take(&copy.url(), Purpose::Snap).unwrap();
    assert_eq!(whole(&taken), [&Gap::ServerStarted, &Gap::StatsReset]);
    assert_eq!(world.calls_of(id), NO_CALLS);
    let taken = world.try_take(&newer.url(), Purpose::Snap).unwrap();
    assert!(
        matches!(whole(&taken)[..], [Gap::Upgraded { from, to }]
        if from / 10_000 == 15 && to / 10_000 == 18),
        "{:?}",
        taken.gaps
    );
    // What the first one has proved is not said of this one.
    assert_eq!(taken.stored.epoch, 2);
    assert!(world.store().series().unwrap().is_empty());
    let report = Report::of(&mut world.store()).unwrap().unwrap();
    assert_eq!(report.gaps.len(), 3);
}

#[test]
fn another_database_behind_the_same_name() {
    let mut world = World::new(15);
    world.run(&[READ; 5]);
    world.take(Purpose::Baseline);
    world.run(&["CREATE DATABASE elsewhere"]);
    let (server, _) = world.db.url().rsplit_once('/').unwrap();
    let other = DatabaseUrl::parse(&format!("{server}/elsewhere")).unwrap();
    let mut session = Session::open(&other, &OpenOptions::write()).unwrap();
    USERS.iter().for_each(|sql| session.batch(sql).unwrap());
    let taken = world.try_take(&other, Purpose::Snap).unwrap();
    assert_eq!(whole(&taken), [&Gap::OtherDatabase]);
    assert_eq!(taken.stored.epoch, 2);
}

#[test]
fn another_database_or_table_of_the_same_name() {
    let mut world = World::new(15);
    world.run(&[READ; 5]);
    world.take(Purpose::Baseline);
    world.run(&["DROP TABLE users", USERS[1]]);
    assert_eq!(whole(&world.take(Purpose::Snap)), [&Gap::TableRemade]);
    world.run(&["DROP TABLE users"]);
    assert_eq!(whole(&world.take(Purpose::Snap)), [&Gap::NoTable]);
}

#[test]
fn a_column_that_is_dropped_and_comes_again() {
    let mut world = World::new(15);
    world.take(Purpose::Baseline);
    world.run(&[ADD]);
    world.take(Purpose::Snap);
    let first = "SELECT count(locale) FROM users";
    world.run(&[first]);
    world.take(Purpose::Snap);
    let old = world.id_of(first);
    world.run(&["ALTER TABLE users DROP COLUMN locale", ADD, first]);
    assert_eq!(whole(&world.take(Purpose::Snap)), [&Gap::ColumnRemade]);
    // The number of the first column's time cannot name the second.
    let statement = world.statements().into_iter().find(|s| s.id == old).unwrap();
    assert!(statement.is_of_old && statement.involvement.unwrap().uses.is_empty());
}

#[test]
fn a_clock_that_jumps() {
    let mut world = World::new(15);
    world.run(&[READ]);
    world.take(Purpose::Baseline);
    let id = world.id_of(TEXT);
    world.run(&[READ]);
    world.now = -3600.0;
    let taken = world.take(Purpose::Snap);
    assert!(
        matches!(whole(&taken)[..], [Gap::ClockJump { seconds: 3590..=3610 }]),
        "{:?}",
        taken.gaps
    );
    assert_eq!(world.calls_of(id), NO_CALLS);
}

#[test]
fn an_extension_that_goes_and_comes() {
    let mut world = World::new(15);
    world.run(&[READ]);
    world.take(Purpose::Baseline);
    let id = world.id_of(TEXT);
    world.run(&[READ, "DROP EXTENSION pg_stat_statements"]);
    let taken = world.take(Purpose::Snap);
    assert_eq!(whole(&taken), [&Gap::NoStatements]);
    assert!(!taken.sight.has_statements());
    // Of the table, something can still be said.
    assert!(world.store().measures().unwrap().iter().any(|m| m.snapshot == taken.stored.id));
    world.run(&[READ, USERS[0]]);
    assert_eq!(whole(&world.take(Purpose::Snap)), Vec::<&Gap>::new());
    // What it did meanwhile belongs to no window.
    assert_eq!(world.calls_of(id), NO_CALLS);
    world.run(&[READ]);
    world.take(Purpose::Snap);
    assert_eq!(world.calls_of(id), [1]);
}

#[test]
fn a_role_that_sees_little() {
    let mut world = World::new(15);
    world.run(&[READ, "CREATE ROLE watcher LOGIN"]);
    let (head, tail) = world.db.url().split_once("newcol@").unwrap();
    let url = DatabaseUrl::parse(&format!("{head}watcher@{tail}")).unwrap();
    let taken = world.try_take(&url, Purpose::Baseline).unwrap();
    assert!(taken.stored.hidden > 0 && taken.on_table == 0, "{taken:?}");
    assert!(!taken.sight.sees_others && !taken.sight.reads_table);
    // What comes to light later is not taken for what happened since.
    world.run(&["GRANT pg_read_all_stats TO watcher", READ]);
    let taken = world.try_take(&url, Purpose::Snap).unwrap();
    assert_eq!((taken.stored.hidden, taken.on_table > 0), (0, true), "{taken:?}");
    assert_eq!(world.calls_of(world.id_of(TEXT)), NO_CALLS);
    world.run(&[READ]);
    world.try_take(&url, Purpose::Snap).unwrap();
    assert_eq!(world.calls_of(world.id_of(TEXT)), [1]);
}

#[test]
fn a_table_that_is_locked() {
    let mut world = World::new(15);
    world.run(&["CREATE VIEW v AS SELECT id FROM users", READ]);
    let mut migration = Session::open(&world.url(), &OpenOptions::write()).unwrap();
    migration.batch("BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE").unwrap();
    let taken = world.take(Purpose::Baseline);
    migration.batch("ROLLBACK").unwrap();
    assert!(taken.on_table > 0);
    let has = |world: &World, name: &str| {
        let all = world.store().measures().unwrap();
        let last = all.last().unwrap().snapshot;
        all.iter().any(|m| m.snapshot == last && m.measure.name == name)
    };
    // Unknown is no zero.
    assert!(has(&world, "idx_scan") && !has(&world, "bytes"));
    world.take(Purpose::Snap);
    assert!(has(&world, "bytes"));
}

/// Texts are read anew only so often; what is new meanwhile is counted all the same.
#[test]
fn statements_whose_text_is_not_read_yet() {
    let mut world = World::new(15);
    world.take(Purpose::Baseline);
    world.settings = Settings { texts_every: Duration::from_secs(600), ..world.settings };
    world.run(&[READ; 3]);
    let taken = world.take(Purpose::Snap);
    assert!(taken.unread > 0, "{taken:?}");
    world.settings = Settings { texts_every: Duration::ZERO, ..world.settings };
    assert_eq!(world.take(Purpose::Snap).unread, 0);
    assert_eq!(world.calls_of(world.id_of(TEXT)), [3]);
}

#[test]
fn a_pool_in_transaction_mode_passes_nothing_on() {
    let mut world = World::with(Want::postgres().private(), USERS);
    world.run(&[READ]);
    let pooler = Pooler::before(&world.db, "pool_mode = transaction\ndefault_pool_size = 1");
    let url = DatabaseUrl::parse(&pooler.url).unwrap();
    for purpose in [Purpose::Baseline, Purpose::Snap] {
        let taken = world.try_take(&url, purpose).unwrap();
        assert!(taken.gaps.is_empty() && taken.on_table > 0, "{taken:?}");
    }
    // There is one connection to the server, and the application gets it.
    let mut app = Session::open(&url, &OpenOptions::write()).unwrap();
    for (setting, wanted) in [
        ("statement_timeout", "0"),
        ("lock_timeout", "0"),
        ("idle_in_transaction_session_timeout", "0"),
        ("default_transaction_read_only", "off"),
        ("transaction_read_only", "off"),
    ] {
        assert_eq!(app.value(&format!("SHOW {setting}")).unwrap().as_deref(), Some(wanted));
    }
    app.batch("INSERT INTO users (id) VALUES (9999)").unwrap();
}
