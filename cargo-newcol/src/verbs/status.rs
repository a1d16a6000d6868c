//! `cargo newcol status`: how far each column is.

use std::time::Duration;

use clap::Args;
use newcol_core::{
    audit::Marker,
    backend::Backend,
    db::{Access, AppliedMigration, Session},
    ident::ColumnPath,
    plan::{Gate, StageKind, explain},
};

use super::{audit, finish, when};
use crate::{
    context::{Column, Context, GateState, Intent, Project, Witness, Word, observing},
    error::{CliError, Exit},
    output::{DatabaseJson, GateJson, MarkerJson, Output, StageStatusJson, StatusJson},
};

/// Show how far each column is, and what comes next
///
/// Reads the contracts and the migrations directory; with a database, also which stages are applied
/// there, which gates are open and why, and what may be done next. Writes nothing, anywhere.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cargo newcol status\n  \
    cargo newcol status --check\n  \
    cargo newcol status users.locale --database-url postgres://db/app --observe 1m\n  \
    cargo newcol status --database-url postgres://staging/app --database-url postgres://db/app")]
pub(crate) struct StatusArgs {
    /// Columns to show; all of them where none is given
    columns: Vec<ColumnPath>,
    /// Database that the stages are applied to: asked, never changed; give it several times to see
    /// several
    #[arg(long, value_name = "URL")]
    database_url: Vec<String>,
    /// Look so long for programs that do not know the column; not on SQLite, which sees no other
    /// programs
    #[arg(long, value_name = "TIME", value_parser = when::duration, requires = "database_url")]
    observe: Option<Duration>,
    /// Fail when a column's scaffolding is overdue (exit code 100)
    #[arg(long)]
    check: bool,
}

/// How the backfill stands: only its own record knows.
const JOB: &str = "a job, not a migration";

pub(crate) fn run(ctx: &Context, out: &mut Output, args: &StatusArgs) -> Result<Exit, CliError> {
    let project = ctx.project(out, Intent::Read)?;
    let columns = if args.columns.is_empty() {
        Column::all(ctx, &project)?
    } else {
        let load = |path| Column::load(ctx, &project, path, None);
        args.columns.iter().map(load).collect::<Result<_, _>>()?
    };
    if columns.is_empty() {
        out.status("no column is under way; begin one with `cargo newcol add`");
        return Ok(Exit::Nothing);
    }
    let urls =
        args.database_url.iter().map(|url| project.url(url)).collect::<Result<Vec<_>, _>>()?;
    for url in &urls {
        observing(args.observe, url)?;
    }
    let mut sessions =
        urls.iter().map(|url| ctx.session(url, Access::Read)).collect::<Result<Vec<_>, _>>()?;
    let markers = audit::markers_of(&project);
    let mut overdue = false;
    for column in &columns {
        for target in &column.targets {
            let backend = target.plan.backend();
            let mut asked =
                sessions.iter_mut().filter(|session| session.backend() == backend).peekable();
            if asked.peek().is_none() {
                let report = report(ctx, &project, column, backend, None)?.with(&markers);
                overdue |= report.overdue_days.is_some();
                show(out, &report);
            }
            for session in asked {
                let asked = Asked { session, observe: args.observe.unwrap_or_default() };
                let report = report(ctx, &project, column, backend, Some(asked))?.with(&markers);
                overdue |= report.overdue_days.is_some();
                show(out, &report);
            }
        }
    }
    Ok(if overdue && args.check { Exit::Findings } else { Exit::Done })
}

/// A database, and how long old programs are looked for there.
struct Asked<'a> {
    session: &'a mut Session,
    observe: Duration,
}

fn report(
    ctx: &Context,
    project: &Project,
    column: &Column,
    backend: Backend,
    asked: Option<Asked<'_>>,
) -> Result<StatusJson, CliError> {
    let plans = column.plans().filter(|plan| plan.backend() == backend);
    let kinds: Vec<StageKind> = plans.flat_map(|p| &p.stages).map(|s| s.kind).collect();
    let (known, database) = match asked {
        None => (None, None),
        Some(Asked { session, observe }) => {
            let known = session.migrations()?;
            let database = database(project, column, &kinds, &known, session, observe)?;
            (Some(known), Some(database))
        }
    };
    let state = |kind: StageKind| match (kind, known.as_deref()) {
        (StageKind::Backfill, _) => JOB,
        _ if column.versions(project, backend, kind).is_empty() => "in the plan",
        (_, None) => "released",
        (_, Some(known)) => applied(column, project, backend, kind, known),
    };
    // What is released to the end has no scaffolding left, unless a database still holds it.
    let at_work = kinds.iter().any(|kind| !matches!(state(*kind), JOB | "released" | "applied"));
    let overdue_days = finish::overdue_days(ctx, column).filter(|_| at_work);
    Ok(StatusJson {
        column: column.contract.path().to_string(),
        backend: backend.name(),
        stages: kinds
            .iter()
            .map(|kind| StageStatusJson { stage: kind.name(), state: state(*kind) })
            .collect(),
        next: column.next().map(StageKind::name),
        overdue_days,
        markers: Vec::new(),
        database,
    })
}

impl StatusJson {
    /// Adds the markers that are about the column, by stage.
    fn with(mut self, markers: &[Marker]) -> Self {
        let ours = |kind: StageKind| {
            let ours = markers.iter().filter(move |marker| marker.stage == kind);
            ours.filter(|marker| marker.column.to_string() == self.column)
        };
        let shown = |marker: &Marker| MarkerJson {
            stage: marker.stage.name(),
            place: format!("{}:{}", marker.path, marker.at),
            note: marker.note.clone(),
        };
        self.markers = StageKind::ALL.into_iter().flat_map(ours).map(shown).collect();
        self
    }
}

/// Says how many migrations of a stage a database has.
fn applied(
    column: &Column,
    project: &Project,
    backend: Backend,
    kind: StageKind,
    known: &[AppliedMigration],
) -> &'static str {
    let landed = column.landed(project, backend, kind, known);
    match (landed.there.is_empty(), landed.missing.is_empty()) {
        (true, _) => "released, not applied",
        (false, true) => "applied",
        (false, false) => "applied in part",
    }
}

/// Finds the first stage that a database does not have, what its gates show there, and what to do
/// about it.
fn database(
    project: &Project,
    column: &Column,
    kinds: &[StageKind],
    known: &[AppliedMigration],
    session: &mut Session,
    observe: Duration,
) -> Result<DatabaseJson, CliError> {
    let path = column.contract.path();
    let backend = session.backend();
    let url = "--database-url <URL>";
    let name = session.url().describe();
    let done =
        |next: String, gates| DatabaseJson { database: name.clone(), gates, next_step: next };
    let is_there = |kind: StageKind| applied(column, project, backend, kind, known) == "applied";
    let ahead = |kind: &&StageKind| **kind != StageKind::Backfill && !is_there(**kind);
    let Some(kind) = kinds.iter().find(ahead).copied() else {
        return Ok(done("nothing: every stage is applied".to_owned(), Vec::new()));
    };
    let confirmed = column.confirmed.iter().any(|(stage, _)| *stage == kind);
    let word = if confirmed { Word::Before } else { Word::None };
    let gates = column.gates(project, kind, Witness { session: Some(session), word, observe })?;
    let is_shut = |gate: fn(Gate) -> bool| gates.iter().any(|g| !g.is_open && gate(g.gate));
    let step = if is_shut(|gate| matches!(gate, Gate::StageApplied(_))) {
        "apply the stage before it".to_owned()
    } else if let Some(state) = gates.iter().find(|g| !g.is_open && g.gate == Gate::AsPlanned) {
        state.ways_out(path).join("; ")
    } else if is_shut(|gate| gate == Gate::Backfilled) {
        format!("`cargo newcol backfill {path} {url}`")
    } else if is_shut(|_| true) {
        format!("wait until old programs are gone before `{}`", kind.name())
    } else if column.versions(project, backend, kind).is_empty() {
        format!("`cargo newcol next {path} {url}`")
    } else {
        format!("`cargo newcol apply {path} {url}`")
    };
    let shown = |state: &GateState| GateJson {
        gate: explain::gate(state.gate),
        open: state.is_open,
        found: state.found.clone(),
    };
    Ok(done(step, gates.iter().map(shown).collect()))
}

fn show(out: &mut Output, report: &StatusJson) {
    out.json("newcol-status", report);
    out.heading(&report.column, &format!("({})", report.backend));
    for stage in &report.stages {
        out.say(&format!("  {:<10} {}", stage.stage, stage.state));
    }
    if let Some(database) = &report.database {
        out.say(&format!("  in {}", database.database));
        for GateJson { gate, open, found } in &database.gates {
            let sign = if *open { "open" } else { "shut" };
            out.say(&format!("    {sign}: {gate} ({found})"));
        }
        out.say(&format!("    next: {}", database.next_step));
    }
    match report.next {
        _ if report.database.is_some() => {}
        Some(next) => {
            let column = &report.column;
            out.say(&format!("  next: {next}, with `cargo newcol next {column}`"));
            if report.stages.windows(2).any(|two| two[0].state == JOB && two[1].stage == next) {
                out.say(&format!(
                    "  before it: `cargo newcol backfill {column} --database-url <URL>`"
                ));
            }
        }
        None => out.say("  every stage is released"),
    }
    if !report.markers.is_empty() {
        out.say("  code that has to go");
    }
    for MarkerJson { stage, place, note } in &report.markers {
        let note = if note.is_empty() { String::new() } else { format!(" ({note})") };
        out.say(&format!("    after {stage}: {place}{note}"));
    }
    if let Some(days) = report.overdue_days {
        out.warn(&format!("the scaffolding of `{}` is {days} days overdue", report.column));
    }
}
