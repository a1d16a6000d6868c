//! A stage → Diesel migration folders, as path → bytes.
//!
//! A folder holds `up.sql`, `down.sql` and `metadata.toml`, the last always with the key written
//! out: Diesel reads a file without it as "no transaction".

use std::fmt::Write as _;

use super::{down, text::SqlText, up};
use crate::{
    backend::Backend,
    ident::ColumnPath,
    plan::{Migration, Plan, Stage, StageKind, Transaction, effect::effect, explain},
};

/// How long a brief statement waits for its lock before it gives up and leaves the queue.
///
/// Half a second is what the most careful tools use; everything queued behind the statement waits
/// as long as it does.
pub const LOCK_TIMEOUT_MS: u64 = 500;

/// The version of a migration, as Diesel's CLI names folders since 2.3:
/// `2026-08-21-091806-0000`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// `2026-08-21-091806`, UTC.
    pub second: String,
    /// Counts migrations made in the same second.
    pub sub: u16,
}

impl Version {
    /// Returns the version as Diesel stores it: the folder's text without hyphens.
    pub fn stored(&self) -> String {
        self.to_string().replace('-', "")
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{:04x}", self.second, self.sub)
    }
}

/// One migration folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// Name without the version: `users_locale_expand`.
    pub name: String,
    /// Contents of `up.sql`.
    pub up: String,
    /// Contents of `down.sql`.
    pub down: String,
    /// Contents of `metadata.toml`.
    pub metadata: &'static str,
}

/// Renders the migrations of a stage, in order.
pub fn render(plan: &Plan, stage: &Stage) -> Vec<Folder> {
    stage.migrations.iter().map(|migration| folder(plan, stage, migration)).collect()
}

/// Returns the part of a folder's name that tells which column and stage it belongs to.
pub fn slug(plan: &Plan, stage: &Stage, migration: &Migration) -> String {
    let mut name =
        format!("{}_{}_{}", plan.contract.table().name, plan.contract.column(), stage.kind.name());
    if migration.label != stage.kind.name() {
        name.push('_');
        name.push_str(migration.label);
    }
    // A folder name has to survive every file system and shell.
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

fn folder(plan: &Plan, stage: &Stage, migration: &Migration) -> Folder {
    let steps = &migration.steps;
    let mut text = header(plan, stage, migration.transaction);
    for step in steps {
        text.push('\n');
        comment(&mut text, &explain::what(step, &plan.contract));
        comment(&mut text, &explain::blocks(&effect(step, &plan.facts)));
        statements(&mut text, up(step, plan).iter().map(|s| &s.sql));
    }
    let mut undo = header(plan, stage, migration.transaction);
    let undone: Vec<SqlText> = steps.iter().rev().flat_map(|step| down(step, plan)).collect();
    undo.push('\n');
    for step in steps.iter().rev() {
        comment(&mut undo, explain::undo(step));
    }
    if undone.is_empty() {
        undo.push_str("SELECT 1;\n");
    } else {
        statements(&mut undo, &undone);
    }
    Folder {
        name: slug(plan, stage, migration),
        up: text,
        down: undo,
        metadata: match migration.transaction {
            Transaction::Wrapped => "run_in_transaction = true\n",
            Transaction::Bare => "run_in_transaction = false\n",
        },
    }
}

fn header(plan: &Plan, stage: &Stage, transaction: Transaction) -> String {
    let path = plan.contract.path();
    let mut text = format!("-- cargo newcol: {path}, stage {}\n", stage.kind.name());
    match (plan.backend(), transaction) {
        (Backend::Postgres, Transaction::Wrapped) => {
            let _ = writeln!(text, "SET LOCAL lock_timeout = '{LOCK_TIMEOUT_MS}ms';");
        }
        // The setting outlives the file, but the unit is whole seconds and DDL is what waits.
        (Backend::Mysql, _) => text.push_str("SET SESSION lock_wait_timeout = 1;\n"),
        (Backend::Sqlite, _) => text.push_str("PRAGMA busy_timeout = 5000;\n"),
        // One statement is all a concurrent build may be sent with.
        (Backend::Postgres, Transaction::Bare) => {}
    }
    text
}

/// Writes a comment, which may quote an expression of several lines: none of them may leave it.
fn comment(text: &mut String, says: &str) {
    for line in says.split(['\n', '\r']) {
        let _ = writeln!(text, "-- {}", line.trim_end());
    }
}

fn statements<'a>(text: &mut String, parts: impl IntoIterator<Item = &'a SqlText>) {
    for sql in parts {
        let _ = writeln!(text, "{sql};");
    }
}

/// Reads from an `up.sql` which column and stage it belongs to; `None` if it is not ours.
pub fn owner(up: &str) -> Option<(ColumnPath, StageKind)> {
    let rest = up.lines().next()?.strip_prefix("-- cargo newcol: ")?;
    let (path, stage) = rest.rsplit_once(", stage ")?;
    let kind = StageKind::ALL.into_iter().find(|kind| kind.name() == stage)?;
    Some((path.parse().ok()?, kind))
}
