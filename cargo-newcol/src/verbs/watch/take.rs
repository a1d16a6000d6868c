//! `watch baseline` and `watch snap`.

use newcol_core::watch::{
    collect::{Purpose, Settings, Taken, take},
    doctor::{State, needs},
    identity::Gap,
    store::Store,
};
use serde::Serialize;

use super::{Asked, file, watched};
use crate::{
    context::{Context, Project},
    error::{CliError, Exit},
    output::Output,
};

#[derive(Debug, Serialize)]
struct TakenJson<'a> {
    column: &'a str,
    database: String,
    purpose: &'static str,
    file: String,
    on_table: usize,
    unread: usize,
    has_baseline: bool,
    gaps: Vec<String>,
    busy_ms: f64,
}

pub(super) fn run(
    ctx: &Context,
    out: &mut Output,
    project: &Project,
    asked: &Asked,
    purpose: Purpose,
) -> Result<Exit, CliError> {
    let column = &asked.of.column;
    let path = file(project, column)?;
    let (url, options) = watched(ctx, project, &asked.database_url)?;
    let mut store = Store::write(&path, column)?;
    let taken =
        take((&url, &options), &mut store, column, (purpose, now(ctx)), Settings::default())?;
    let what = match purpose {
        Purpose::Baseline => "baseline",
        Purpose::Snap => "snapshot",
    };
    let Taken { stored, gaps, on_table, unread, has_baseline, sight } = &taken;
    let whole: Vec<&Gap> = gaps.iter().filter(|(id, _)| id.is_none()).map(|(_, gap)| gap).collect();
    out.json(
        "newcol-watch-snapshot",
        &TakenJson {
            column: &column.to_string(),
            database: url.describe(),
            purpose: what,
            file: project.relative(&path).to_string(),
            on_table: *on_table,
            unread: *unread,
            has_baseline: *has_baseline,
            gaps: whole.iter().map(ToString::to_string).collect(),
            busy_ms: stored.busy_ms,
        },
    );
    let statements = if *on_table == 1 { "statement" } else { "statements" };
    out.say(&format!(
        "{what} of {column} in {}: {on_table} {statements} on the table",
        url.describe()
    ));
    out.detail(&format!("the server worked for it for {:.1} ms", stored.busy_ms));
    if *unread > 0 {
        out.status(&format!(
            "{unread} statements are new: their texts are read with the next snapshot that is due"
        ));
    }
    for gap in whole {
        match gap {
            // What is missing now is said below.
            Gap::NoStatements | Gap::NoTable => {}
            gap if gap.hides_all() => {
                out.warn(&format!("{gap}: nothing is said of the time since the last snapshot"));
            }
            gap => out.warn(&gap.to_string()),
        }
    }
    for need in needs(sight, column).into_iter().filter(|need| need.state > State::Met) {
        out.warn(&need.sentence);
    }
    if !has_baseline && sight.has_table {
        let lost = if sight.version >= 170_000 {
            "only statements that the server counts since before it are known not to touch it"
        } else {
            "no statement is known for certain not to touch it"
        };
        out.warn(&format!(
            "there is no baseline from before `{column}`: {lost}, the others are judged by their texts, and nothing is known of what they cost without it"
        ));
    }
    Ok(Exit::Done)
}

#[expect(clippy::cast_precision_loss, reason = "microseconds fit for centuries")]
fn now(ctx: &Context) -> f64 {
    ctx.now().as_microsecond() as f64 / 1e6
}
