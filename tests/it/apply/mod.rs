//! Migrations on live databases: locks, indexes, several runners, interruptions.

mod blockers;
mod drift;
mod embedded;
mod gates;
mod index;
mod index_waits;
mod leftovers;
mod locks;
mod partitions;
mod peers;
mod privileges;
mod runners;
mod several_locks;
mod source;
mod undo;
mod whole;

use std::{sync::Mutex, time::Duration};

use newcol_core::{
    db::{DatabaseUrl, OpenOptions, Session},
    execute::apply::{Answer, Apply, ApplyError, Budget, Event, Outcome, Settings, SqlMigration},
};
use newcol_testkit::ScratchDb;

/// Opens a session as any program would.
fn session(url: &str, name: &str) -> Session {
    let open = OpenOptions { application_name: Some(name.to_owned()), ..OpenOptions::write() };
    Session::open(&DatabaseUrl::parse(url).unwrap(), &open).unwrap()
}

/// Makes a migration without a way back.
pub(crate) fn migration(version: u32, up: &str, in_transaction: bool) -> SqlMigration {
    SqlMigration {
        version: version.to_string(),
        name: format!("{version}_test"),
        up: up.to_owned(),
        down: None,
        in_transaction,
        proofs: Vec::new(),
    }
}

/// Settings that wait for moments only.
fn hasty() -> Settings {
    let budget = Budget {
        lock_timeout: Duration::from_millis(50),
        max_wait: Duration::from_secs(60),
        index_wait: Duration::from_secs(60),
        ..Budget::default()
    };
    Settings { budget, ..Settings::default() }
}

/// A run of some migrations, and all that it told.
struct Told {
    ended: Result<Outcome, ApplyError>,
    events: Vec<Event>,
}

fn apply(url: &str, settings: Settings, migrations: &[SqlMigration]) -> Told {
    apply_and(url, settings, migrations, |_| Answer::Go)
}

/// Applies migrations, and does something at every event.
fn apply_and(
    url: &str,
    settings: Settings,
    migrations: &[SqlMigration],
    at: impl Fn(&Event) -> Answer + Sync,
) -> Told {
    let url = DatabaseUrl::parse(url).unwrap();
    let events = Mutex::new(Vec::new());
    let ended = Apply::new(&url, OpenOptions::write()).settings(settings).run(migrations, &|e| {
        events.lock().unwrap().push(e.clone());
        at(e)
    });
    Told { ended, events: events.into_inner().unwrap() }
}

impl Told {
    /// Returns what was said last, where that was of an index which is left.
    fn left(&self) -> Option<String> {
        match self.events.last() {
            Some(Event::Note(text)) if text.contains(" is left, ") => Some(text.clone()),
            _ => None,
        }
    }

    /// Returns the reports of what was done.
    fn done(&self) -> Vec<newcol_core::execute::apply::MigrationReport> {
        match &self.ended {
            Ok(outcome) => outcome.report().migrations.clone(),
            Err(error) => panic!("{error}: {:?}", std::error::Error::source(error)),
        }
    }
}

/// Returns one value.
fn value(db: &ScratchDb, sql: &str) -> String {
    db.rows(sql).unwrap().remove(0).remove(0).unwrap_or_default()
}

/// Returns the versions that Diesel's table holds.
fn recorded(db: &ScratchDb) -> Vec<String> {
    let sql = "SELECT version FROM __diesel_schema_migrations ORDER BY version";
    db.rows(sql).unwrap().into_iter().flatten().flatten().collect()
}
