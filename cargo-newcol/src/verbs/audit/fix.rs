//! `audit --fix`: the fixes that keep the program's meaning, all files or none.

use std::process::Command;

use newcol_core::{
    audit::{Finding, Mended, SourceFile, mend},
    render::patch::FilePatch,
};

use super::{
    AuditArgs,
    look::{Comments, Look},
};
use crate::{
    context::{Context, Project},
    error::{CliError, Exit},
    output::Output,
};

/// Changed files that are named in a refusal.
const NAMED: usize = 5;

/// Applies what can be applied, and returns the sources as they are then.
pub(super) fn apply(
    ctx: &Context,
    out: &mut Output,
    project: &Project,
    args: &AuditArgs,
    look: &Look,
) -> Result<Vec<SourceFile>, CliError> {
    let audit = |files: &[SourceFile]| {
        let report = look.report(project, files, Comments::Taken);
        let open = report.findings.into_iter().filter(|judged| judged.acknowledged.is_none());
        let due = open.filter(|judged| args.stage.is_none_or(|s| judged.finding.due <= s));
        due.map(|judged| judged.finding).collect()
    };
    let (Mended { files, applied }, patch) = changes(&look.sources.files, audit);
    if patch.is_empty() {
        out.status("nothing can be fixed without you");
        return Ok(files);
    }
    ctx.commit(out, project, &patch, args.dry_run)?;
    let verb = if args.dry_run { "would be applied" } else { "applied" };
    out.status(&format!("{applied} {} {verb}", if applied == 1 { "fix" } else { "fixes" }));
    Ok(files)
}

/// Mends sources, and returns the files that change.
pub(super) fn changes(
    before: &[SourceFile],
    audit: impl Fn(&[SourceFile]) -> Vec<Finding>,
) -> (Mended, FilePatch) {
    let mended = mend(before.to_vec(), audit);
    let mut patch = FilePatch::default();
    for (old, new) in before.iter().zip(&mended.files) {
        patch.push(&old.path, Some(old.text.clone()), Some(new.text.clone()));
    }
    (mended, patch)
}

/// Refuses where changes could not be told from those of the user, as `cargo fix` does.
pub(super) fn check_repository(project: &Project, args: &AuditArgs) -> Result<(), CliError> {
    if args.allow_no_vcs {
        return Ok(());
    }
    let mut command = Command::new("git");
    command.current_dir(&project.root).env("GIT_OPTIONAL_LOCKS", "0");
    command.args(["status", "--porcelain", "--untracked-files=all", "--", "."]);
    let said = command.output().ok().filter(|output| output.status.success());
    let Some(said) = said else {
        return Err(CliError::usage("there is no Git repository to go back with")
            .at(&project.root)
            .hint("fix nevertheless with `--allow-no-vcs`, or look first with `--dry-run`"));
    };
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let changed: Vec<&str> = said.lines().collect();
    if changed.is_empty() || args.allow_dirty {
        return Ok(());
    }
    let mut causes: Vec<String> =
        changed.iter().take(NAMED).map(|line| line.trim().to_owned()).collect();
    if changed.len() > NAMED {
        causes.push(format!("and {} more", changed.len() - NAMED));
    }
    Err(CliError {
        exit: Exit::Usage,
        causes,
        ..CliError::usage("there are changes that are not committed")
            .at(&project.root)
            .hint("commit or stash them, or fix nevertheless with `--allow-dirty`")
    })
}
