//! The progress line of a backfill, and its events for programs.

use std::{collections::BTreeSet, sync::Mutex};

use indicatif::ProgressBar;
use newcol_core::execute::{
    backfill::{Event, Phase, Totals},
    pace::Limit,
};
use serde::Serialize;

use crate::{
    output::{Output, progress},
    verbs::apply::is_news,
};

/// Shows events: on a terminal as a line that changes, elsewhere as a line per pass.
pub(in crate::verbs) struct Progress<'a> {
    bar: ProgressBar,
    /// What events are called for programs.
    reason: &'static str,
    state: Mutex<State<'a>>,
}

struct State<'a> {
    out: &'a mut Output,
    rows: Option<u64>,
    /// How far a pass is that an earlier run began.
    behind: Option<Totals>,
    /// What was waited for when last said.
    waiting: Option<Limit>,
    /// Who held the table when last said.
    by: Option<BTreeSet<String>>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum EventJson<'a> {
    Began { rows: Option<u64>, filled_before: Option<u64>, notices: &'a [String] },
    Pass { phase: &'static str, pass: u32 },
    Batch { filled: u64, passed: u64, limit: &'static str },
    Waiting { limit: &'static str },
    Held { tries: u32, why: &'a str, by: Vec<String> },
    Retry { tries: u32, why: &'a str },
    Recomputed { rows: u64 },
    Connecting { tries: u32 },
    Reconnected,
}

impl<'a> Progress<'a> {
    pub(in crate::verbs) fn new(out: &'a mut Output, reason: &'static str) -> Self {
        let bar = out.bar();
        Self {
            bar,
            reason,
            state: Mutex::new(State { out, rows: None, behind: None, waiting: None, by: None }),
        }
    }

    pub(in crate::verbs) fn show(&self, event: &Event) {
        // Another worker's panic ends the run anyway.
        let Ok(mut state) = self.state.lock() else { return };
        if let Some(event) = EventJson::of(event) {
            state.out.json(self.reason, &event);
        }
        match event {
            Event::Began { rows, resumed, notices } => {
                state.rows = *rows;
                state.behind.clone_from(resumed);
                if let Some(totals) = resumed {
                    let filled = totals.filled;
                    state.out.status(&format!("going on: {filled} rows were filled before"));
                }
                for notice in notices {
                    state.out.warn(notice);
                }
            }
            Event::Pass { phase, pass } => {
                let what = match phase {
                    Phase::Filling => "filling rows",
                    Phase::Proving | Phase::Done => "looking at every row",
                };
                self.bar.suspend(|| state.out.status(&format!("pass {pass}: {what}")));
                self.bar.set_style(progress::rows(state.rows.is_some()));
                self.bar.reset();
                if let Some(rows) = state.rows {
                    self.bar.set_length(rows);
                }
                if let Some(totals) = state.behind.take() {
                    let is_filling = *phase == Phase::Filling;
                    self.bar.set_position(if is_filling { totals.filled_now } else { totals.rows });
                    self.bar.reset_eta();
                }
            }
            Event::Batch { passed, limit, .. } => {
                self.bar.inc(*passed);
                self.bar.set_message(limit.name());
                state.waiting = None;
            }
            Event::Waiting(limit) => {
                self.bar.set_message(format!("waiting: {limit}"));
                // Where no line is drawn, a job that stands still says why once.
                if self.bar.is_hidden() && stands_still(*limit) && state.waiting != Some(*limit) {
                    state.waiting = Some(*limit);
                    state.out.status(&format!("waiting: {limit}"));
                }
            }
            Event::Held { tries, by, .. } => {
                self.bar.set_message(format!("others hold the table, try {}", tries + 1));
                let State { out, by: known, .. } = &mut *state;
                if is_news(known, by) {
                    self.bar.suspend(|| {
                        out.status("waiting: others hold the table");
                        by.iter().for_each(|one| out.status(&format!("  {one}")));
                    });
                }
            }
            Event::Retry { tries, why } => {
                self.bar.set_message(format!("try {}: {why}", tries + 1));
            }
            // Only code of an application computes anew; the tool has none.
            Event::Committing { .. } | Event::Recomputed { .. } => {}
            Event::Connecting { tries } => {
                self.bar.set_message(format!("the connection is lost, try {tries}"));
            }
            Event::Reconnected => {
                self.bar.suspend(|| state.out.status("the connection was lost and made again"));
            }
        }
    }

    pub(in crate::verbs) fn end(self) {
        self.bar.finish_and_clear();
    }
}

/// Limits that stop the work until they change, as opposed to those that only slow it down.
fn stands_still(limit: Limit) -> bool {
    matches!(limit, Limit::Paused | Limit::LostSignal | Limit::ReplicaLag)
}

impl<'a> EventJson<'a> {
    /// Returns what programs are told, if anything.
    fn of(event: &'a Event) -> Option<Self> {
        Some(match event {
            Event::Committing { .. } => return None,
            Event::Began { rows, resumed, notices } => Self::Began {
                rows: *rows,
                filled_before: resumed.map(|totals| totals.filled),
                notices,
            },
            Event::Pass { phase, pass } => Self::Pass { phase: phase.name(), pass: *pass },
            Event::Batch { filled, passed, limit } => {
                Self::Batch { filled: *filled, passed: *passed, limit: limit.name() }
            }
            Event::Waiting(limit) => Self::Waiting { limit: limit.name() },
            Event::Held { tries, why, by } => {
                Self::Held { tries: *tries, why, by: by.iter().map(ToString::to_string).collect() }
            }
            Event::Retry { tries, why } => Self::Retry { tries: *tries, why },
            Event::Recomputed { rows } => Self::Recomputed { rows: *rows },
            Event::Connecting { tries } => Self::Connecting { tries: *tries },
            Event::Reconnected => Self::Reconnected,
        })
    }
}
