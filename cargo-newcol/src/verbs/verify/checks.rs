//! What is held against the contract beside the values: the database, `schema.rs`, what is written
//! down.

use newcol_core::{
    backend::Backend,
    db::{AppliedMigration, Session, facts::read_table},
    dictionary::{self, Entry, Lack},
    execute::backfill::Recorded,
    plan::StageKind,
    render::asked::{Unlike, unlike},
};
use serde::Serialize;

use super::super::finish::DICTIONARY;
use crate::{
    context::{Column, Context, Project},
    error::{CliError, Exit},
    output::Mark,
};

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    Ok,
    Failed,
    /// There was nothing to look at, or it could not be seen.
    Skipped,
}

impl State {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "FAILED",
            Self::Skipped => "skipped",
        }
    }

    pub(super) fn mark(self) -> Mark {
        match self {
            Self::Ok => Mark::Good,
            Self::Failed => Mark::Bad,
            Self::Skipped => Mark::Idle,
        }
    }
}

/// One thing that was looked at; one that fails in several places is several.
#[derive(Debug, Serialize)]
pub(super) struct Check {
    pub(super) check: &'static str,
    pub(super) state: State,
    /// A file with its line, or a database.
    pub(super) place: Option<String>,
    pub(super) found: String,
    pub(super) way_out: Option<String>,
}

impl Check {
    pub(super) fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, state: State::Ok, place: None, found: found.into(), way_out: None }
    }

    pub(super) fn skipped(check: &'static str, found: impl Into<String>) -> Self {
        Self { state: State::Skipped, ..Self::ok(check, found) }
    }

    pub(super) fn failed(
        check: &'static str,
        place: impl Into<String>,
        found: impl Into<String>,
        way_out: impl Into<String>,
    ) -> Self {
        Self {
            state: State::Failed,
            place: Some(place.into()),
            way_out: Some(way_out.into()),
            ..Self::ok(check, found)
        }
    }
}

const CONTRACT: &str = "contract";
const STAGES: &str = "stages";
const DATABASE: &str = "database";
const SCHEMA: &str = "schema.rs";
const RECEIPT: &str = "receipt";
const DOCUMENT: &str = "document";

/// What the checks found, and whether the column's values can be looked at.
pub(super) struct Looked {
    pub(super) checks: Vec<Check>,
    pub(super) has_column: bool,
}

/// Makes every check but that of the values.
pub(super) fn look(
    ctx: &Context,
    project: &Project,
    column: &Column,
    session: &mut Session,
) -> Result<Looked, CliError> {
    let mut checks = Vec::new();
    let backend = session.backend();
    let has_files =
        StageKind::ALL.into_iter().any(|kind| !column.versions(project, backend, kind).is_empty());
    let has_column = read_table(session, column.contract.table())
        .map_err(|error| CliError::of(Exit::Failed, &error).hint_maybe(error.hint()))?
        .column(column.contract.column())
        .is_some();
    if has_files || !column.is_finished() {
        database(project, column, (session, has_column), &mut checks)?;
    } else {
        checks.push(Check::skipped(
            DATABASE,
            "the migrations of the column are no longer in the project",
        ));
    }
    schema(project, column, &mut checks)?;
    documents(ctx, project, column, session, &mut checks)?;
    Ok(Looked { checks, has_column })
}

/// The stages that a database has, and whether it looks as they leave it.
fn database(
    project: &Project,
    column: &Column,
    (session, has_column): (&mut Session, bool),
    checks: &mut Vec<Check>,
) -> Result<(), CliError> {
    let place = session.url().describe();
    let known = match session.migrations() {
        // A table that a role may not read is not there for it, on MySQL and MariaDB.
        Ok(known) if known.is_empty() && has_column => None,
        Ok(known) => Some(known),
        Err(error) if error.is_denied() => None,
        Err(error) => return Err(error.into()),
    };
    let Some(known) = known else {
        let found = "this role sees no table of applied migrations";
        checks.extend([Check::skipped(STAGES, found), Check::skipped(DATABASE, found)]);
        return Ok(());
    };
    if !stages(project, column, session.backend(), (&known, &place), checks) {
        return Ok(());
    }
    let Some(plan) = column.plans().find(|plan| plan.backend() == session.backend()) else {
        return Ok(());
    };
    let Some(compared) = column.compared(session, project, plan)? else {
        let path = column.contract.path();
        checks.push(Check::failed(
            CONTRACT,
            column.file.as_str(),
            "its stages were released by another contract than the one that is there now",
            format!(
                "put back what was changed in the contract, or take the stages back with `cargo newcol undo {path}`"
            ),
        ));
        return Ok(());
    };
    checks.push(Check::ok(CONTRACT, "the migrations are those that it asks for"));
    if compared.drifts.is_empty() {
        checks.push(Check::ok(
            DATABASE,
            match compared.unseen.as_slice() {
                [] => "the column is as its stages leave it".to_owned(),
                unseen => format!(
                    "the column is as its stages leave it; not looked at: {}",
                    unseen.join(", ")
                ),
            },
        ));
    }
    for drift in compared.drifts {
        checks.push(Check::failed(DATABASE, &place, drift.to_string(), drift.hint()));
    }
    Ok(())
}

/// Returns whether the first stage is applied.
fn stages(
    project: &Project,
    column: &Column,
    backend: Backend,
    (known, place): (&[AppliedMigration], &str),
    checks: &mut Vec<Check>,
) -> bool {
    let path = column.contract.path();
    let mut words = Vec::new();
    let mut missing = Vec::new();
    let mut is_expanded = false;
    for kind in column.stages().into_iter().filter(|kind| *kind != StageKind::Backfill) {
        let landed = column.landed(project, backend, kind, known);
        let (there, released) = (landed.missing.is_empty(), !landed.there.is_empty());
        if !there && (released || kind == StageKind::Expand || column.is_finished()) {
            missing.push(kind);
        }
        match (there, released) {
            (true, true) => words.push(format!("{} is applied", kind.name())),
            (false, _) => words.push(format!("{} is released", kind.name())),
            (true, false) => {}
        }
        is_expanded |= kind == StageKind::Expand && there && released;
    }
    if words.is_empty() {
        checks.push(Check::failed(
            STAGES,
            column.file.as_str(),
            "no migration of the column is in the project",
            "bring its migrations back; `cargo newcol add` writes those of a new column",
        ));
    } else if missing.is_empty() {
        checks.push(Check::ok(STAGES, words.join(", ")));
    }
    for kind in missing {
        checks.push(Check::failed(
            STAGES,
            place,
            format!("`{}` is not applied, or not all of it", kind.name()),
            format!("`cargo newcol apply {path} --database-url <URL>`"),
        ));
    }
    is_expanded
}

/// What `schema.rs` says, held against what `next` would have written.
fn schema(project: &Project, column: &Column, checks: &mut Vec<Check>) -> Result<(), CliError> {
    let Some(last) = column.released.last() else {
        checks.push(Check::skipped(SCHEMA, "no stage is released"));
        return Ok(());
    };
    let sources = column.schema_sources(project)?;
    let found = match unlike(&column.targets, &sources, last) {
        Ok(found) => found,
        Err(error) => {
            let place = error.place().unwrap_or_else(|| column.file.to_string());
            let mut found = error.to_string();
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                found = format!("{found}: {cause}");
                source = cause.source();
            }
            checks.push(Check::failed(SCHEMA, place, found, error.hint().unwrap_or_default()));
            return Ok(());
        }
    };
    if found.is_empty() {
        let files: Vec<&str> = sources.iter().map(|source| source.path.as_str()).collect();
        let found = format!("{} as `{}` leaves it", files.join(", "), last.name());
        checks.push(Check::ok(SCHEMA, found));
    }
    for Unlike { path, place, asked, found } in found {
        let place = place.map_or_else(|| path.to_string(), |place| format!("{path}:{place}"));
        let said = |side: &Option<String>| {
            side.as_ref().map_or_else(|| "nothing".to_owned(), |text| format!("`{text}`"))
        };
        let way_out = match &asked {
            Some(asked) => format!(
                "write `{asked}` there; `diesel print-schema` does on a database that has the stage"
            ),
            None => "take it away: the released stages leave it nowhere".to_owned(),
        };
        let what = format!("`{}` asks for {}, found {}", last.name(), said(&asked), said(&found));
        checks.push(Check::failed(SCHEMA, place, what, way_out));
    }
    Ok(())
}

/// What is written down of a column that is finished: in the project, and in the database.
fn documents(
    ctx: &Context,
    project: &Project,
    column: &Column,
    session: &mut Session,
    checks: &mut Vec<Check>,
) -> Result<(), CliError> {
    if !column.is_finished() {
        checks.push(Check::skipped(DOCUMENT, "written by `finish`, which is still to come"));
        return Ok(());
    }
    let before = checks.len();
    let text = project.read(DICTIONARY.into())?;
    let (since, finished) = (column.since(), ctx.today().to_string());
    let entry =
        Entry { contract: &column.contract, since: &since, owner: None, finished: &finished };
    let path = column.contract.path();
    let again = format!(
        "put it back, or move {} to newcol/ and run `cargo newcol finish {path}` again",
        column.file
    );
    match dictionary::lack(text.as_deref(), &entry) {
        None => {}
        Some(Lack::Entry) => {
            let found = format!("no entry `## `{path}``");
            checks.push(Check::failed(DOCUMENT, DICTIONARY, found, again));
        }
        Some(Lack::Line { at, line }) => {
            let found = format!("the entry lacks `{line}`");
            checks.push(Check::failed(DOCUMENT, format!("{DICTIONARY}:{at}"), found, again));
        }
    }
    comment(column, session, checks)?;
    if checks.len() == before {
        let commented =
            if session.backend() == Backend::Sqlite { "says" } else { "and the comment say" };
        checks.push(Check::ok(DOCUMENT, format!("{DICTIONARY} {commented} why")));
    }
    Ok(())
}

fn comment(
    column: &Column,
    session: &mut Session,
    checks: &mut Vec<Check>,
) -> Result<(), CliError> {
    if session.backend() == Backend::Sqlite {
        return Ok(());
    }
    let contract = &column.contract;
    let facts = read_table(session, contract.table())
        .map_err(|error| CliError::of(Exit::Failed, &error).hint_maybe(error.hint()))?;
    // Whether the column is there at all is another check.
    let Some(ours) = facts.column(contract.column()) else { return Ok(()) };
    let why = contract.answers().why.trim();
    let found = match ours.comment.as_deref().map(str::trim) {
        Some(comment) if comment == why => return Ok(()),
        Some(comment) => format!("the comment on `{}` says `{comment}`", contract.path()),
        None => format!("`{}` has no comment", contract.path()),
    };
    let way_out = match session.backend() {
        Backend::Mysql => {
            format!("a MODIFY COLUMN that says all that the column is, with COMMENT '{why}'")
        }
        Backend::Postgres | Backend::Sqlite => {
            format!("COMMENT ON COLUMN {} IS '{}'", contract.path(), why.replace('\'', "''"))
        }
    };
    checks.push(Check::failed(DOCUMENT, session.url().describe(), found, way_out));
    Ok(())
}

/// What the record of the backfill says.
pub(super) fn receipt(
    column: &Column,
    recorded: &Recorded,
    holds: Option<bool>,
    place: &str,
) -> Check {
    let again = || format!("cargo newcol backfill {} --database-url <URL>", column.contract.path());
    match recorded {
        Recorded::Nothing => Check::skipped(RECEIPT, "no backfill that this role can see"),
        Recorded::Unfinished(phase) => {
            Check::skipped(RECEIPT, format!("the backfill is not done ({})", phase.name()))
        }
        Recorded::Newer { made_by } => {
            Check::skipped(RECEIPT, format!("written by version {made_by}, unreadable here"))
        }
        Recorded::Other => Check::failed(
            RECEIPT,
            place,
            "of a backfill with another type or fill than the contract has now",
            format!("put the contract back, or fill again: `{}`", again()),
        ),
        Recorded::Done(receipt) => {
            let then = format!("{} rows, {} of them NULL", receipt.rows, receipt.empty);
            if holds == Some(false) {
                let found = format!("no longer true: it says {then}");
                let way_out = "find out what emptied rows, then fill them with `--repair`";
                Check::failed(RECEIPT, place, found, way_out)
            } else {
                Check::ok(RECEIPT, then)
            }
        }
    }
}
