//! Programs that use the table meanwhile: some know the column, some do not.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use newcol_core::db::Session;
use newcol_testkit::wait::wait_until;

use super::arena::{Arena, Old};
use crate::chance::Chance;

/// Time between two statements of a program.
const BETWEEN: Duration = Duration::from_millis(4);

/// Works until told to stop; returns what failed.
pub(super) fn work(
    arena: &Arena,
    old: Old,
    rows: u64,
    seed: u64,
    stop: &AtomicBool,
) -> Vec<String> {
    let mut chance = Chance::of(seed);
    let mut failed = Vec::new();
    let mut session: Option<Session> = None;
    while wait_until("end", BETWEEN, || stop.load(Ordering::SeqCst)).is_err() {
        let Some(open) = &mut session else {
            session = arena.try_session();
            continue;
        };
        if let Err(error) = open.batch(&statement(&mut chance, old, rows)) {
            let why = error.failure().map_or_else(String::new, |failure| failure.message.clone());
            failed.push(format!("{error}: {why}"));
            session = None;
        }
    }
    failed
}

fn statement(chance: &mut Chance, old: Old, rows: u64) -> String {
    let id = chance.below(rows) + 1;
    match (chance.below(10), old) {
        (0 | 1, _) => "INSERT INTO t (name, c) VALUES ('new', 'app')".to_owned(),
        (2 | 3, Old::Trigger) => "INSERT INTO t (name) VALUES ('old')".to_owned(),
        // Each of them costs a pass, and the job gives up after twenty.
        (2 | 3, Old::Nobody) if chance.once_in(20) => {
            "INSERT INTO t (name) VALUES ('late')".to_owned()
        }
        (4, _) => format!("UPDATE t SET c = 'app' WHERE id = {id}"),
        (5, _) => format!("DELETE FROM t WHERE id = {id}"),
        _ => format!("UPDATE t SET n = n + 1 WHERE id = {id}"),
    }
}
