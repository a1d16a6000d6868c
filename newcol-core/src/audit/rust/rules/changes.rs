//! Code that changes rows.

use super::super::{Project, query::Origin};
use crate::{
    audit::{
        finding::Finding,
        rules::{NONE_IS_NULL, NONE_KEEPS_VALUE, STALE_COPY},
    },
    plan::StageKind,
};

/// What `None` in a changeset does to an optional column.
pub(super) fn none(project: &Project<'_>, findings: &mut Vec<Finding>) {
    let column = &project.subject.column;
    if column.not_null_from.is_some() {
        return;
    }
    for (file, item) in project.structs_deriving("AsChangeset") {
        let Some(field) = item.field(&column.rust_name) else { continue };
        if field.ty.options != 1 {
            continue;
        }
        let name = format!("{}.{}", item.name, column.rust_name);
        let wipes = field.none_as_null.unwrap_or(item.none_as_null);
        let (rule, message, help) = match wipes {
            true => (
                &NONE_IS_NULL,
                format!("`None` in `{name}` writes NULL over what the row holds"),
                "where `None` means \"not said\", take `treat_none_as_null` away for this field",
            ),
            false => (
                &NONE_KEEPS_VALUE,
                format!("`None` in `{name}` leaves the row as it is: it cannot be set to NULL"),
                "where NULL is meant: `Option<Option<T>>`, or `#[diesel(treat_none_as_null = true)]`",
            ),
        };
        let finding = file.finding(rule, StageKind::Expand, field.range.clone(), message);
        findings.push(finding.helped(help));
    }
}

/// Changes of what the column is computed from, without the column.
pub(super) fn stale_copy(project: &Project<'_>, findings: &mut Vec<Finding>) {
    let subject = project.subject;
    let column = &subject.column;
    // Triggers keep a replaced column and its successor alike.
    if column.computed_from.is_empty() || column.replaces.is_some() {
        return;
    }
    let sources: Vec<&str> = subject
        .table
        .columns
        .iter()
        .filter(|source| column.computed_from.contains(&source.sql_name))
        .map(|source| source.rust_name.as_str())
        .collect();
    project.each_query(|file, _, query| {
        if !matches!(query.origin, Origin::Update | Origin::Insert) {
            return;
        }
        let Some(set) = query.call("set") else { return };
        let Some(columns) = set.args.first().and_then(|value| project.columns_set(file, value))
        else {
            return;
        };
        let Some(changed) = columns.iter().find(|name| sources.contains(&name.as_str())) else {
            return;
        };
        if columns.contains(&column.rust_name) {
            return;
        }
        let message = format!(
            "`{changed}` changes here, and `{}`, which is filled from it, does not",
            column.rust_name
        );
        let finding = file.finding(&STALE_COPY, StageKind::Expand, set.range.clone(), message);
        findings.push(finding.helped("set both, or let a generated column or a trigger follow"));
    });
}
