//! What was found of a column's values, in words and as JSON.

use newcol_core::{
    contract::{Contract, OldRows},
    execute::backfill::{BadChunk, Recorded, Verification},
};
use serde::Serialize;

use super::checks::Check;
use crate::{error::Exit, output::Output};

/// Bad chunks that are shown to people; programs get all of them.
const SHOWN: usize = 20;

/// The check of the values.
pub(super) const VALUES: &str = "values";

/// What was found of the values; all of it null where they were not looked at.
#[derive(Debug, Default, Serialize)]
pub(super) struct ValuesJson<'a> {
    state: Option<&'static str>,
    rows: Option<u64>,
    empty: Option<u64>,
    pending: Option<u64>,
    differing: Option<u64>,
    bad: Vec<BadJson<'a>>,
    record: Option<RecordJson>,
    repaired: Option<RepairedJson>,
}

#[derive(Debug, Serialize)]
pub(super) struct BadJson<'a> {
    place: String,
    rows: u64,
    empty: u64,
    pending: u64,
    differing: u64,
    lacking_keys: &'a [String],
    differing_keys: &'a [String],
}

#[derive(Debug, Serialize)]
pub(super) struct RecordJson {
    state: &'static str,
    /// Whether what the receipt says is still so; null without one.
    holds: Option<bool>,
    rows: Option<u64>,
    empty: Option<u64>,
    differing: Option<u64>,
}

#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct RepairedJson {
    pub(super) filled: u64,
    pub(super) replaced: u64,
}

/// The values of a column, looked at.
#[derive(Debug)]
pub(super) struct Values<'a> {
    pub(super) contract: &'a Contract,
    pub(super) found: Verification,
    pub(super) repaired: Option<RepairedJson>,
}

impl Values<'_> {
    /// Says it in one line.
    pub(super) fn check(&self, place: &str) -> Check {
        let Self { found, .. } = self;
        let whole = if found.is_whole { "" } else { ", as far as it was looked at" };
        if found.is_filled() {
            let other = match found.differing {
                Some(0) => String::new(),
                Some(rows) => format!(", {rows} of them with another one than the fill yields"),
                None => ", which may be any".to_owned(),
            };
            return Check::ok(
                VALUES,
                format!("{} rows have their value{other}{whole}", found.rows),
            );
        }
        let lacking = format!("{} of {} rows lack their value{whole}", found.lacking(), found.rows);
        Check::failed(VALUES, place, lacking, next(found, self.contract).join("; "))
    }

    /// Returns how the command ends for them.
    pub(super) fn exit(&self) -> Exit {
        match (self.found.is_filled(), self.found.is_whole) {
            (false, true) => Exit::Findings,
            (true, true) => Exit::Done,
            (_, false) => Exit::GateShut,
        }
    }

    pub(super) fn json(&self) -> ValuesJson<'_> {
        let Self { found, repaired, .. } = self;
        let state = match self.exit() {
            Exit::Findings => "pending",
            Exit::GateShut => "stopped",
            _ => "filled",
        };
        ValuesJson {
            state: Some(state),
            rows: Some(found.rows),
            empty: Some(found.empty),
            pending: Some(found.pending),
            differing: found.differing,
            bad: found.bad.iter().map(BadJson::of).collect(),
            record: Some(RecordJson::of(found)),
            repaired: *repaired,
        }
    }

    /// Says where rows are as they should not be, and what to do about it.
    pub(super) fn show(&self, out: &mut Output) {
        let Self { contract, found, repaired } = self;
        if let Some(RepairedJson { filled, replaced }) = repaired {
            out.say(&format!("  repaired   {filled} filled, {replaced} replaced"));
        }
        let whole = if found.is_whole { "" } else { " before it was stopped" };
        out.say(&format!("  rows       {}{whole}", found.rows));
        let nothing = match found.empty - found.pending.min(found.empty) {
            0 => String::new(),
            rows => format!(", {rows} for which the fill yields NULL"),
        };
        out.say(&format!("  NULL       {}: {} pending{nothing}", found.empty, found.pending));
        out.say(&match found.differing {
            Some(rows) => format!("  differing  {rows}"),
            None => "  differing  unknown: only NULL can be found".to_owned(),
        });
        out.say(&format!("  record     {}", record(found)));
        for chunk in found.bad.iter().take(SHOWN) {
            out.say(&format!("  {}", described(chunk, found.is_required)));
        }
        if found.bad.len() > SHOWN {
            out.say(&format!(
                "  and {} more places; `--message-format json` has them all",
                found.bad.len() - SHOWN
            ));
        }
        out.next_steps(&next(found, contract));
    }
}

fn described(chunk: &BadChunk, required: bool) -> String {
    let counted = |rows: u64, what: &str, keys: &[String]| {
        let more = if rows > keys.len() as u64 { ", …" } else { "" };
        let names = keys.iter().map(|key| format!("({key})")).collect::<Vec<_>>().join(", ");
        format!("{rows} {what}: {names}{more}")
    };
    let mut parts = Vec::new();
    match chunk.lacking(required) {
        0 => {}
        rows => parts.push(counted(rows, "without their value", &chunk.lacking_keys)),
    }
    if chunk.differing > 0 {
        parts.push(counted(chunk.differing, "with another one", &chunk.differing_keys));
    }
    format!("{}: {}", chunk.place(), parts.join("; "))
}

fn record(found: &Verification) -> String {
    match &found.recorded {
        Recorded::Nothing => "no backfill that this role can see".to_owned(),
        Recorded::Unfinished(phase) => {
            format!("a backfill was begun and is not done ({})", phase.name())
        }
        Recorded::Done(receipt) => {
            let then = format!(
                "the backfill ended with {} rows, {} of them NULL",
                receipt.rows, receipt.empty
            );
            match found.receipt_holds() {
                Some(true) => format!("{then}: still true"),
                Some(false) => format!("{then}: no longer true"),
                None => then,
            }
        }
        Recorded::Other => {
            "a backfill with another type or fill than the contract has now".to_owned()
        }
        Recorded::Newer { made_by } => format!("a backfill by version {made_by}, unreadable here"),
    }
}

fn next(found: &Verification, contract: &Contract) -> Vec<String> {
    let mut steps = Vec::new();
    if !found.is_whole {
        steps.push("run the same command again: it begins anew".to_owned());
    }
    if found.pending > 0 {
        steps.push(match (&contract.answers().old_rows, &found.recorded) {
            (OldRows::Rust(path), _) => format!("fill them from the application, with `{path}`"),
            (OldRows::Sql(_) | OldRows::Unfilled, Recorded::Done(_)) => {
                "fill them with `--repair`".to_owned()
            }
            (
                OldRows::Sql(_) | OldRows::Unfilled,
                Recorded::Nothing
                | Recorded::Unfinished(_)
                | Recorded::Other
                | Recorded::Newer { .. },
            ) => format!(
                "fill them: `cargo newcol backfill {} --database-url <URL>`",
                contract.path()
            ),
        });
    }
    if found.is_required && found.empty > found.pending {
        steps.push(
            "correct the rows for which the fill yields NULL, or the fill in the contract"
                .to_owned(),
        );
    }
    if found.differing.is_some_and(|rows| rows > 0) {
        steps.push(
            "leave values that differ where a program wrote them; `--repair=differing` replaces them all"
                .to_owned(),
        );
    }
    steps
}

impl<'a> BadJson<'a> {
    fn of(chunk: &'a BadChunk) -> Self {
        Self {
            place: chunk.place(),
            rows: chunk.rows,
            empty: chunk.empty,
            pending: chunk.pending,
            differing: chunk.differing,
            lacking_keys: &chunk.lacking_keys,
            differing_keys: &chunk.differing_keys,
        }
    }
}

impl RecordJson {
    fn of(found: &Verification) -> Self {
        let state = match &found.recorded {
            Recorded::Nothing => "nothing",
            Recorded::Unfinished(_) => "unfinished",
            Recorded::Done(_) => "done",
            Recorded::Other => "other",
            Recorded::Newer { .. } => "newer",
        };
        let receipt = match &found.recorded {
            Recorded::Done(receipt) => Some(receipt),
            Recorded::Nothing
            | Recorded::Unfinished(_)
            | Recorded::Other
            | Recorded::Newer { .. } => None,
        };
        Self {
            state,
            holds: found.receipt_holds(),
            rows: receipt.map(|receipt| receipt.rows),
            empty: receipt.map(|receipt| receipt.empty),
            differing: receipt.and_then(|receipt| receipt.differing),
        }
    }
}
