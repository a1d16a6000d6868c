//! `cargo newcol undo`: takes back the last stage of a column, its files or what it did to a database.

mod live;

use std::fs;

use camino::Utf8PathBuf;
use clap::Args;
use newcol_core::{
    db::Access,
    dictionary::without_entry,
    ident::ColumnPath,
    plan::StageKind,
    render::{
        patch::FilePatch,
        release::{delete_folder, retract},
    },
};

use super::{finish::DICTIONARY, waiting::Waiting};
use crate::{
    context::{Column, Context, Intent, Project, Tested, stored_version},
    error::{CliError, Exit},
    output::Output,
};

/// Take back the last stage: its files, or with `--live` what it did to a database
///
/// First in each database that has the stage, with `--live`: the `down.sql` of its migrations is run
/// as `apply` runs `up.sql`, and holds nobody up. Values that would be gone with the column are
/// counted, and exported where you say so; unless there are none it wants `--accept-loss`. Then the
/// files, without `--live`: the stage's migrations and its edit of schema.rs. A database given with
/// `--database-url` is only asked then, and must not have the stage. Taking back the first stage
/// removes the contract too, and the test unless it has been changed.
#[derive(Debug, Args)]
#[command(mut_group("Waiting", |group| group.requires("live")))]
#[command(mut_group("Locks", |group| group.requires("live")))]
#[command(after_help = "Examples:\n  \
    cargo newcol undo users.locale --live --database-url postgres://db/app --dry-run\n  \
    cargo newcol undo users.locale --live --database-url postgres://db/app --export lost.sql --accept-loss --yes\n  \
    cargo newcol undo users.locale --database-url postgres://db/app\n  \
    cargo newcol undo users.locale --yes")]
pub(crate) struct UndoArgs {
    /// Column to take back, as `table.column`
    column: ColumnPath,
    /// Database to take the stage back in; without `--live` it is asked, never changed
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// Take the last stage back that the database has, there; files stay as they are
    #[arg(long, requires = "database_url")]
    live: bool,
    /// Write the values that would be lost to a new file first: `.csv`, or `.sql` to put them back
    #[arg(long, value_name = "FILE", requires = "live", conflicts_with = "dry_run")]
    export: Option<Utf8PathBuf>,
    /// Go on though values are lost
    #[arg(long, requires = "live")]
    accept_loss: bool,
    /// Do not ask; without `--live`: the stage is applied nowhere
    #[arg(long)]
    yes: bool,
    /// Show what would be done and lost, files as a diff; changes nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    waiting: Waiting,
}

pub(crate) fn run(ctx: &Context, out: &mut Output, args: &UndoArgs) -> Result<Exit, CliError> {
    let project = ctx.project(out, Intent::of_dry_run(args.dry_run))?;
    let column = Column::load(ctx, &project, &args.column, None)?;
    if let Some(url) = args.database_url.as_deref().filter(|_| args.live) {
        return live::run(ctx, out, &project, &column, (args, url));
    }
    let Some(kind) = column.released.last() else {
        out.status("nothing to do: no stage is released");
        return Ok(Exit::Nothing);
    };
    let folders = column.released.folders(kind);
    if let Some(url) = &args.database_url {
        let mut session = ctx.session(&project.url(url)?, Access::Read)?;
        let applied = session.migrations()?;
        let there = folders.iter().find(|folder| {
            let version = stored_version(folder.file_name().unwrap_or_default());
            applied.iter().any(|m| m.version == version)
        });
        if let Some(folder) = there {
            return Err(CliError {
                exit: Exit::GateShut,
                message: format!("`{}` is applied to {}", kind.name(), session.url().describe()),
                place: Some(folder.to_string()),
                causes: Vec::new(),
                also: Vec::new(),
                hints: vec![format!(
                    "take it back there first: `cargo newcol undo {} --live --database-url <URL>`",
                    column.contract.path()
                )],
            });
        }
    } else if !args.yes && !args.dry_run {
        return Err(CliError {
            exit: Exit::GateShut,
            message: format!("nothing shows that `{}` is applied nowhere", kind.name()),
            place: folders.first().map(ToString::to_string),
            causes: Vec::new(),
            also: Vec::new(),
            hints: vec!["pass `--database-url` to have it checked, or say `--yes`".to_owned()],
        });
    }
    let mut patch = patch(&project, &column, kind)?;
    if column.stages().first() == Some(&kind) {
        let schemas = column.schemas_after(&patch)?;
        let Column { contract, targets, .. } = &column;
        let tested = Tested { contract, targets, schemas: &schemas };
        if let Some(warning) = project.push_test_removal(&mut patch, tested)? {
            out.warn(&warning);
        }
    }
    ctx.commit(out, &project, &patch, args.dry_run)
}

fn patch(project: &Project, column: &Column, kind: StageKind) -> Result<FilePatch, CliError> {
    let mut patch = FilePatch::default();
    for folder in column.released.folders(kind) {
        let dir = project.root.join(folder);
        let mut files = Vec::new();
        let unreadable = |error: std::io::Error| {
            CliError::of(Exit::Failed, &error)
                .saying("could not read a migration")
                .at(folder)
                .hint("mend that, then run the command again")
        };
        let entries = dir.read_dir_utf8().map_err(unreadable)?;
        for entry in entries.filter_map(Result::ok) {
            let text = fs::read_to_string(entry.path()).map_err(unreadable)?;
            files.push((entry.file_name().to_owned(), text));
        }
        files.sort();
        delete_folder(&mut patch, folder, files);
    }
    let sources = column.schema_sources(project)?;
    retract(&mut patch, &column.targets, &sources, kind)
        .map_err(|error| column.wish().blame_release(error))?;
    if column.stages().first() == Some(&kind) {
        patch.push(&column.file, Some(column.text.clone()), None);
        // It may have been finished before.
        if let Some(text) = project.read(DICTIONARY.into())? {
            let after = without_entry(&text, column.contract.path());
            if after.as_ref() != Some(&text) {
                patch.push(DICTIONARY, Some(text), after);
            }
        }
    } else {
        column.confirm(&mut patch, kind, None)?;
    }
    Ok(patch)
}
