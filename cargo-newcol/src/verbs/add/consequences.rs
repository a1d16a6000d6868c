//! What the new schema.rs will do to code that compiles today.

use newcol_core::{
    contract::Contract,
    render::patch::{Change, FilePatch},
    schema::{Joinable, SchemaFile as Parsed},
};

use crate::{context::Project, output::Output, verbs::doctor::column_limit};

/// Warns of joins that go, as print-schema drops them, and of diesel's limit on columns.
pub(super) fn warn(out: &mut Output, project: &Project, contract: &Contract, patch: &FilePatch) {
    for change in patch.changes() {
        let Some((before, after)) = parsed(change) else { continue };
        for gone in
            before.joinables.iter().filter(|old| !after.joinables.iter().any(|j| same(old, j)))
        {
            let Joinable { child, parent, column, .. } = gone;
            out.warn(&format!(
                "`joinable!({child} -> {parent} ({column}))` leaves {}: with two foreign keys between \
                 the tables diesel cannot choose one; joins say \
                 `.inner_join({parent}::table.on({child}::{column}.eq({parent}::<key>)))`",
                change.path
            ));
        }
        let text = change.after.as_deref().unwrap_or_default();
        let Ok(table) = after.table(text, contract.table()) else { continue };
        if let Some(limit) = column_limit(project).filter(|limit| table.columns.len() > *limit) {
            out.warn(&format!(
                "`{}` then has {} columns, and diesel is built for {limit}: {} does not compile \
                 (`cargo newcol doctor` names the feature)",
                contract.table(),
                table.columns.len(),
                change.path
            ));
        }
    }
}

/// Reads a changed schema.rs before and after; `None` for other files.
fn parsed(change: &Change) -> Option<(Parsed, Parsed)> {
    if change.path.extension() != Some("rs") {
        return None;
    }
    let before = Parsed::parse(change.before.as_deref()?).ok()?;
    let after = Parsed::parse(change.after.as_deref()?).ok()?;
    Some((before, after))
}

fn same(one: &Joinable, other: &Joinable) -> bool {
    (&one.child, &one.parent, &one.module) == (&other.child, &other.parent, &other.module)
}
