//! `cargo newcol finish`: proves that nothing but the column is left, and documents it.

mod leftovers;
mod overdue;

pub(super) use overdue::days as overdue_days;

use clap::{Args, ValueEnum};
use newcol_core::{
    db::{Access, DatabaseUrl},
    dictionary::{self, Entry},
    execute::backfill,
    ident::ColumnPath,
    render::patch::FilePatch,
};
use serde::Serialize;

use self::leftovers::Leftover;
use super::{ask, audit};
use crate::{
    context::{Column, Context, Intent, Project, done_contract},
    error::{CliError, Exit},
    output::Output,
};

/// Where what is known of finished columns is kept, below the project's root.
pub(super) const DICTIONARY: &str = "docs/columns.md";

/// Prove that nothing but the column is left, document it, and close its contract
///
/// Looks for leftovers of the column's life: in each database given (stages that are not applied,
/// triggers, defaults and checks that should be gone, the record of the backfill) and in the sources
/// (comments `newcol:until(users.locale, ...)`, open findings of the audit, `newcol:allow` comments and
/// baseline entries that were about it, the test that `add` wrote). Any of them is named with its place,
/// and nothing is done. Else it takes away the backfill's record, writes an entry into
/// docs/columns.md, and moves the contract to `newcol/done/`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cargo newcol finish users.locale --database-url postgres://db/app --owner 'team mail' --tests remove\n  \
    cargo newcol finish users.locale --database-url postgres://staging/app --database-url postgres://db/app --yes\n  \
    cargo newcol finish users.locale --database-url postgres://db/app --check\n  \
    cargo newcol finish --check")]
pub(crate) struct FinishArgs {
    /// Column to finish, as `table.column`; with `--check`, all of them where none is given
    #[arg(required_unless_present = "check")]
    column: Option<ColumnPath>,
    /// Database that the column lives in; give it several times to have several asked
    #[arg(long, value_name = "URL")]
    database_url: Vec<String>,
    /// Only say what is left, and which columns are overdue; either is exit code 100
    #[arg(long)]
    check: bool,
    /// Who answers questions about the column, for its entry in docs/columns.md
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,
    /// What becomes of the test that `add` wrote; it is a leftover where this is not said
    #[arg(long, value_enum, value_name = "FATE")]
    tests: Option<Tests>,
    /// Comments and baseline entries that acknowledge findings may stay
    #[arg(long)]
    keep_acknowledged: bool,
    /// Do not ask; without a database: every stage is applied everywhere
    #[arg(long)]
    yes: bool,
    /// Show what would be done, files as a diff; changes nothing
    #[arg(long, conflicts_with = "check")]
    dry_run: bool,
}

/// What becomes of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Tests {
    /// It goes, with what it recorded, and with the library that no other test needs
    Remove,
    /// It stays, and reads the contract at its new place
    Keep,
}

#[derive(Debug, Serialize)]
struct FinishJson<'a> {
    column: String,
    finished: bool,
    overdue_days: Option<i64>,
    leftovers: &'a [Leftover],
}

pub(crate) fn run(ctx: &Context, out: &mut Output, args: &FinishArgs) -> Result<Exit, CliError> {
    let project = ctx.project(out, Intent::of_dry_run(args.dry_run || args.check))?;
    let columns = match &args.column {
        Some(path) => vec![Column::load(ctx, &project, path, None)?],
        None => Column::all(ctx, &project)?,
    };
    let urls =
        args.database_url.iter().map(|url| project.url(url)).collect::<Result<Vec<_>, _>>()?;
    if args.check {
        return check(ctx, out, &project, &columns, (args, &urls));
    }
    let [column] = columns.as_slice() else {
        return Err(CliError::usage("name the column that is to be finished"));
    };
    if urls.is_empty() && !args.yes && !args.dry_run {
        return Err(CliError {
            exit: Exit::GateShut,
            ..CliError::failed("no database was asked whether every stage is applied")
        }
        .at(&column.file)
        .hint("pass `--database-url` for each of them, or say `--yes`"));
    }
    under_way(column)?;
    let found = leftovers::find(ctx, &project, column, &urls, args)?;
    if !found.leftovers.is_empty() {
        report(out, column, (args, None), &found.leftovers);
        return Err(refused(column));
    }
    let patch = patch(ctx, out, &project, column, args)?;
    if args.dry_run {
        for url in &found.records {
            out.status(&format!("the record of the backfill would go from {}", url.describe()));
        }
        return ctx.commit(out, &project, &patch, true);
    }
    clear(ctx, out, column, &found.records, args.yes)?;
    report(out, column, (args, None), &[]);
    let exit = ctx.commit(out, &project, &patch, false)?;
    out.next_steps(&["commit the files".to_owned()]);
    Ok(exit)
}

/// Says what is left of each column, and fails where something is that should not be.
fn check(
    ctx: &Context,
    out: &mut Output,
    project: &Project,
    columns: &[Column],
    (args, urls): (&FinishArgs, &[DatabaseUrl]),
) -> Result<Exit, CliError> {
    let mut exit = Exit::Done;
    for column in columns {
        let overdue = overdue::days(ctx, column);
        // Of all columns, those that are on their way are nobody's fault.
        let leftovers = match (&args.column, column.next()) {
            (None, Some(_)) => Vec::new(),
            (Some(_), Some(kind)) => vec![Leftover::unreleased(column, kind)],
            (_, None) => leftovers::find(ctx, project, column, urls, args)?.leftovers,
        };
        let asked = args.column.is_some() || overdue.is_some();
        if overdue.is_some() || (asked && !leftovers.is_empty()) {
            exit = Exit::Findings;
        }
        report(out, column, (args, overdue), &leftovers);
    }
    Ok(exit)
}

fn report(
    out: &mut Output,
    column: &Column,
    (args, overdue): (&FinishArgs, Option<i64>),
    leftovers: &[Leftover],
) {
    let path = column.contract.path().to_string();
    out.json(
        "newcol-finish",
        &FinishJson {
            column: path.clone(),
            finished: leftovers.is_empty() && column.next().is_none(),
            overdue_days: overdue,
            leftovers,
        },
    );
    let state = match (leftovers, column.next()) {
        ([], Some(kind)) => format!("is under way: `{}` is next", kind.name()),
        ([], None) if args.database_url.is_empty() => {
            "has nothing left in the sources; no database was asked".to_owned()
        }
        ([], None) => "has nothing left but itself".to_owned(),
        ([_], _) => "has 1 leftover".to_owned(),
        (more, _) => format!("has {} leftovers", more.len()),
    };
    out.heading(&path, &state);
    for leftover in leftovers {
        out.say(&format!("  {}: {}", leftover.place, leftover.what));
        out.say(&format!("    {}", leftover.way_out));
    }
    if let Some(days) = overdue {
        out.warn(&format!("`{path}` should have been finished {days} days ago"));
    }
}

/// Refuses while there are stages to come.
fn under_way(column: &Column) -> Result<(), CliError> {
    let Some(kind) = column.next() else { return Ok(()) };
    let path = column.contract.path();
    let error = CliError::failed(format!("`{path}` is still under way: `{}` is next", kind.name()));
    Err(CliError { exit: Exit::GateShut, ..error }
        .at(&column.file)
        .hint(format!("release it: `cargo newcol next {path}`")))
}

fn refused(column: &Column) -> CliError {
    let path = column.contract.path();
    let error = CliError::failed(format!("`{path}` is not finished: nothing was changed"));
    CliError { exit: Exit::GateShut, ..error }.at(&column.file)
}

/// Takes the records of the backfill away, where databases still have them.
fn clear(
    ctx: &Context,
    out: &Output,
    column: &Column,
    records: &[DatabaseUrl],
    yes: bool,
) -> Result<(), CliError> {
    for url in records {
        let path = column.contract.path();
        let what = format!("remove the record of the backfill of {path} from {}", url.describe());
        if !yes {
            ask::consent(out, &what)?;
        }
        let mut session = ctx.session(url, Access::Write)?;
        backfill::clear(&mut session, path).map_err(|error| {
            CliError::of(Exit::Failed, &error)
                .saying(format!("could not {what}"))
                .hint("run the same command again; nothing else was changed")
        })?;
    }
    Ok(())
}

/// What becomes of the files.
fn patch(
    ctx: &Context,
    out: &mut Output,
    project: &Project,
    column: &Column,
    args: &FinishArgs,
) -> Result<FilePatch, CliError> {
    let mut patch = FilePatch::default();
    let Column { contract, schemas, .. } = column;
    match args.tests {
        Some(Tests::Remove) => project.push_test_end(&mut patch, contract, schemas)?,
        Some(Tests::Keep) => {
            project.push_test_move(&mut patch, contract, schemas, &done_contract(&column.file))?;
        }
        None => {}
    }
    let before = project.read(DICTIONARY.into())?;
    let since = column.since();
    let finished = ctx.today().to_string();
    let owner = args.owner.as_deref();
    let entry = Entry { contract: &column.contract, since: &since, owner, finished: &finished };
    let after = dictionary::with_entry(before.as_deref(), &entry);
    patch.push(DICTIONARY, before, Some(after));
    audit::push_baseline_without(project, column.contract.path(), &mut patch)?;
    let applied = column.file.with_extension("applied.jsonl");
    for file in [column.file.clone(), applied] {
        if let Some(text) = project.read(&file)? {
            let done = done_contract(&file);
            if project.read(&done)?.is_some() {
                out.warn(&format!("{done} was there from an earlier life, and is replaced"));
            }
            patch.push(&done, project.read(&done)?, Some(text.clone()));
            patch.push(&file, Some(text), None);
        }
    }
    Ok(patch)
}
