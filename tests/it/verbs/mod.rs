//! Output and exit code of every verb.

mod add;
mod audit;
mod audit_again;
mod audit_full;
mod audit_workspace;
mod backfill;
mod completions;
mod explain;
mod help;
mod man;
mod next;
mod plan;
mod status;
mod undo;
mod verify;

use newcol_testkit::project::Project;

use crate::desk::newcol;

/// Runs a command that must succeed and drops what it says.
fn done(project: &Project, args: &[&str]) {
    drop(newcol(project, args).success());
}

/// A required column whose old rows are computed: the longest life without a replacement.
const LONG: &[&str] = &[
    "add",
    "users.locale",
    "--type",
    "text",
    "--required",
    "--fill",
    "coalesce(settings, 'en')",
    "--index",
    "--why",
    "E-mails go out in the reader's language",
    "--no-tests",
];

/// The way past every gate.
const VOUCH: &[&str] = &["next", "users.locale", "--confirm-release", "2.14 runs everywhere"];
