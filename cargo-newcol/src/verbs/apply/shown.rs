//! What `apply` tells: what it would do, what it waits for, and what it did to others.

use std::{
    collections::BTreeSet,
    sync::Mutex,
    time::{Duration, Instant},
};

use indicatif::ProgressBar;
use newcol_core::{
    db::DatabaseUrl,
    execute::{
        apply::{Event, MigrationReport},
        peers::Peer,
    },
};
use serde::Serialize;

use super::{super::when, pending::Pending};
use crate::output::Output;

/// What is done with migrations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::verbs) enum Way {
    /// They are applied.
    Up,
    /// They are taken back.
    Down,
}

/// Shows events: on a terminal as a line that changes, elsewhere as a line each.
pub(in crate::verbs) struct Shown<'a> {
    bar: ProgressBar,
    way: Way,
    state: Mutex<State<'a>>,
}

struct State<'a> {
    out: &'a mut Output,
    /// What the server does with an index, and since when.
    phase: Option<(String, Instant)>,
    /// Who was last said to be in the way of this migration.
    by: Option<BTreeSet<String>>,
}

#[derive(Debug, Serialize)]
struct PendingJson<'a> {
    database: &'a str,
    version: &'a str,
    name: &'a str,
    in_transaction: bool,
    column: Option<String>,
    stage: Option<&'static str>,
}

#[derive(Debug, Serialize)]
pub(super) struct AppliedJson<'a> {
    version: &'a str,
    name: &'a str,
    tries: u32,
    took_ms: u128,
    held_ms: Option<u128>,
    statements: Vec<StatementJson<'a>>,
    blockers: Vec<String>,
    notes: &'a [String],
}

#[derive(Debug, Serialize)]
struct StatementJson<'a> {
    sql: &'a str,
    took_ms: u128,
    waited_ms: u128,
    blocked: Option<u32>,
    locks: Vec<LockJson<'a>>,
}

#[derive(Debug, Serialize)]
struct LockJson<'a> {
    table: &'a str,
    mode: &'static str,
    rewritten: bool,
    scans: u64,
}

#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum EventJson<'a> {
    Queued { by: Vec<String> },
    Held { migration: &'a str, by: Vec<String> },
    Retry { migration: &'a str, tries: u32, why: &'a str, by: Vec<String> },
    Building { phase: &'a str, done: Option<f64>, waits_for: Option<String> },
    Cancelled { by: Vec<String> },
    Note { text: &'a str },
}

impl<'a> Shown<'a> {
    pub(in crate::verbs) fn new(out: &'a mut Output, way: Way) -> Self {
        let bar = out.bar();
        Self { bar, way, state: Mutex::new(State { out, phase: None, by: None }) }
    }

    pub(in crate::verbs) fn show(&self, event: &Event) {
        // A panic of the watcher ends the run anyway.
        let Ok(mut state) = self.state.lock() else { return };
        let State { out, phase: known, by: known_by } = &mut *state;
        self.bar.tick();
        if let Some(json) = EventJson::of(event) {
            out.json("newcol-apply-event", &json);
        }
        let mut say = |text: &str| self.bar.suspend(|| out.status(text));
        match event {
            Event::Waiting => {}
            Event::Began { migration } => {
                *known_by = None;
                self.bar.set_message(migration.clone());
            }
            Event::Queued { by } => {
                say("waiting: another runner is at work");
                list(&mut say, by);
            }
            Event::Held { migration, by } => {
                say(&format!("waiting with {migration}: others hold the table"));
                list(&mut say, by);
            }
            Event::Retry { migration, tries, why, by } => {
                self.bar.set_message(format!("{migration}, try {}", tries + 1));
                if is_news(known_by, by) {
                    say(&format!("{migration}: {why}; trying again"));
                    list(&mut say, by);
                }
            }
            Event::Building { phase, done, waits_for } => {
                let whom = waits_for.as_ref().map(|who| format!(", for {who}")).unwrap_or_default();
                if known.as_ref().is_none_or(|(known, _)| known != phase) {
                    *known = Some((phase.clone(), Instant::now()));
                    if self.bar.is_hidden() {
                        say(&format!("{phase}{whom}"));
                    }
                }
                let begun = known.as_ref().map(|(_, begun)| begun.elapsed()).unwrap_or_default();
                let share = done.map(|done| share(done, begun)).unwrap_or_default();
                self.bar.set_message(format!("{phase}{share}{whom}"));
            }
            Event::Cancelled { by } => {
                say("cancelled:");
                list(&mut say, by);
            }
            Event::Note(text) => say(text),
            Event::Done(report) => {
                let json = AppliedJson::of(report);
                let (reason, did) = match self.way {
                    Way::Up => ("newcol-applied", ""),
                    Way::Down => ("newcol-taken-back", " taken back"),
                };
                self.bar.suspend(|| {
                    out.json(reason, &json);
                    done(out, report, did);
                });
            }
        }
    }

    pub(in crate::verbs) fn end(self) {
        self.bar.finish_and_clear();
    }
}

/// Says how much of a phase is done, and how long the rest may take.
fn share(done: f64, since: Duration) -> String {
    let left = since.mul_f64((1.0 - done).max(0.0) / done.max(0.001)).as_secs();
    format!(", {:.0} %, {} left", done * 100.0, when::shown(left))
}

/// Reports whether somebody else is in the way than before: the first try says it all.
pub(in crate::verbs) fn is_news(known: &mut Option<BTreeSet<String>>, by: &[Peer]) -> bool {
    let now: BTreeSet<String> = by.iter().map(|peer| peer.id.clone()).collect();
    let is_news = known.as_ref().is_none_or(|known| !now.is_subset(known));
    if is_news {
        *known = Some(now);
    }
    is_news
}

fn list(say: &mut impl FnMut(&str), by: &[Peer]) {
    for blocker in by {
        say(&format!("  {blocker}"));
    }
}

fn done(out: &mut Output, report: &MigrationReport, did: &str) {
    let tries = match report.tries {
        1 => String::new(),
        tries => format!(", {tries} tries"),
    };
    out.say(&format!("{}{did} in {} ms{tries}", report.name, report.took.as_millis()));
    for statement in &report.statements {
        for lock in &statement.locks {
            let also = [
                lock.rewritten.then_some("; the table was written anew".to_owned()),
                (lock.scans > 0).then(|| "; the whole table was read".to_owned()),
            ];
            let also: String = also.into_iter().flatten().collect();
            out.say(&format!("  {} on {}{also}", lock.mode, lock.table));
        }
    }
    let waited: u128 = report.statements.iter().map(|s| s.waited.as_millis()).sum();
    let blocked = report.statements.iter().filter_map(|s| s.blocked).max();
    if let Some(held) = report.held {
        let seen = blocked.map(|blocked| format!(", {blocked} sessions seen waiting"));
        out.say(&format!(
            "  held for {} ms, waited {waited} ms for it{}",
            held.as_millis(),
            seen.unwrap_or_default()
        ));
    }
    for note in &report.notes {
        out.say(&format!("  {note}"));
    }
}

/// Shows what would run.
pub(super) fn plan(out: &mut Output, url: &DatabaseUrl, pending: &Pending) {
    let database = url.describe();
    out.heading("pending", &format!("in {database}"));
    for step in &pending.steps {
        let stage = pending.stage_of(step);
        for migration in &step.migrations {
            out.json(
                "newcol-pending",
                &PendingJson {
                    database: &database,
                    version: &migration.version,
                    name: &migration.name,
                    in_transaction: migration.in_transaction,
                    column: stage.map(|(column, _)| column.contract.path().to_string()),
                    stage: stage.map(|(_, kind)| kind.name()),
                },
            );
            let bare = if migration.in_transaction { "" } else { ", without transaction" };
            out.say(&format!("  {}{bare}", migration.name));
        }
    }
}

impl<'a> EventJson<'a> {
    fn of(event: &'a Event) -> Option<Self> {
        let names = |by: &[Peer]| by.iter().map(ToString::to_string).collect();
        Some(match event {
            Event::Queued { by } => Self::Queued { by: names(by) },
            Event::Held { migration, by } => Self::Held { migration, by: names(by) },
            Event::Retry { migration, tries, why, by } => {
                Self::Retry { migration, tries: *tries, why, by: names(by) }
            }
            Event::Building { phase, done, waits_for } => Self::Building {
                phase,
                done: *done,
                waits_for: waits_for.as_ref().map(ToString::to_string),
            },
            Event::Cancelled { by } => Self::Cancelled { by: names(by) },
            Event::Note(text) => Self::Note { text },
            Event::Waiting | Event::Began { .. } | Event::Done(_) => return None,
        })
    }
}

impl<'a> AppliedJson<'a> {
    pub(super) fn of(report: &'a MigrationReport) -> Self {
        let statements = report.statements.iter().map(|statement| StatementJson {
            sql: &statement.sql,
            took_ms: statement.took.as_millis(),
            waited_ms: statement.waited.as_millis(),
            blocked: statement.blocked,
            locks: statement
                .locks
                .iter()
                .map(|lock| LockJson {
                    table: &lock.table,
                    mode: lock.mode,
                    rewritten: lock.rewritten,
                    scans: lock.scans,
                })
                .collect(),
        });
        Self {
            version: &report.version,
            name: &report.name,
            tries: report.tries,
            took_ms: report.took.as_millis(),
            held_ms: report.held.map(|held| held.as_millis()),
            statements: statements.collect(),
            blockers: report.blockers.iter().map(ToString::to_string).collect(),
            notes: &report.notes,
        }
    }
}

#[cfg(test)]
mod tests {
    use newcol_core::execute::peers::PeerKind;

    use super::*;

    fn peer(id: &str) -> Peer {
        Peer {
            id: id.to_owned(),
            kind: PeerKind::Client,
            user: String::new(),
            application: String::new(),
            state: String::new(),
            age: None,
            began: None,
            query: String::new(),
            is_superuser: false,
        }
    }

    #[test]
    fn who_is_in_the_way_is_said_when_it_is_somebody_else() {
        let mut known = None;
        for (by, is_said) in [
            (&["1"][..], true),
            (&["1"], false),
            (&["1", "2"], true),
            (&["2"], false),
            (&[], false),
        ] {
            let by: Vec<Peer> = by.iter().map(|id| peer(id)).collect();
            assert_eq!(is_news(&mut known, &by), is_said, "{by:?}");
        }
    }
}
