//! Code that is ahead of its database.

use std::collections::BTreeSet;

use super::{
    super::{Project, facts::Type, query::Selection},
    Use,
};
use crate::{
    audit::{
        finding::{Class, Finding},
        rules::{PLAIN_WHILE_NULLABLE, USED_BEFORE_EXPAND},
    },
    plan::StageKind,
};

/// Types that Diesel reads from no column that is `Nullable`.
const PLAIN: &[&str] = &[
    "String",
    "bool",
    "i8",
    "i16",
    "i32",
    "i64",
    "u8",
    "u16",
    "u32",
    "u64",
    "f32",
    "f64",
    "Vec",
    "NaiveDate",
    "NaiveDateTime",
    "NaiveTime",
    "DateTime",
    "Uuid",
    "BigDecimal",
];

/// Fields without `Option` while the column may be NULL.
pub(super) fn plain_while_nullable(project: &Project<'_>, findings: &mut Vec<Finding>) {
    let column = &project.subject.column;
    let Some(ty) = &column.ty else { return };
    let (class, why) = if ty.contains("Nullable") {
        (Class::Compile, "while the column is `Nullable`")
    } else if column.is_nullable {
        (Class::Runtime, "which fails at the first row that holds NULL: `schema.rs` is too early")
    } else {
        return;
    };
    let mut said = BTreeSet::new();
    for derive in ["Queryable", "Selectable"] {
        for (file, item) in project.structs_deriving(derive) {
            let Some(field) = item.field(&column.rust_name) else { continue };
            if field.read_as || !is_plain(&field.ty) || !item.derives("Queryable") {
                continue;
            }
            if !said.insert((file.path(), field.range.start)) {
                continue;
            }
            let message =
                format!("`{}.{}` is read into no `Option`, {why}", item.name, column.rust_name);
            let finding = file
                .finding(&PLAIN_WHILE_NULLABLE, StageKind::Expand, field.range.clone(), message)
                .of_class(class);
            findings
                .push(finding.helped("read it into an `Option` until the column is constrained"));
        }
    }
}

fn is_plain(ty: &Type) -> bool {
    ty.names.first().is_some_and(|name| PLAIN.contains(&name.as_str()))
}

/// Code that names a column, or reads it with whole rows, which the database does not have.
pub(super) fn used_before_expand(project: &Project<'_>, findings: &mut Vec<Finding>) {
    let column = &project.subject.column;
    // Without a line in schema.rs, a name of that kind is another's.
    if !column.is_missing || column.position.is_none() {
        return;
    }
    let (name, table) = (&column.rust_name, &project.subject.table.rust_name);
    let help = "release `expand` before this code";
    project.each_use(name, |file, used| {
        let message = match used {
            Use::Field(item, _) => {
                format!("`{}.{name}` maps a column that the database does not have", item.name)
            }
            Use::Path(_) => format!("`{name}` is named here, and the database does not have it"),
        };
        let finding = file.finding(&USED_BEFORE_EXPAND, StageKind::Expand, used.range(), message);
        findings.push(finding.helped(help));
    });
    project.each_query(|file, names, query| {
        let Some(terminal) = query.terminal() else { return };
        let knows = |(_, item): &(_, &super::Struct)| item.field(name).is_some();
        // What a struct says is said at its field.
        if query.selection(names) != Selection::WholeRow
            || query.structs(file, project).iter().any(knows)
        {
            return;
        }
        let message = format!("whole rows of `{table}` have `{name}`, which the database has not");
        let range = terminal.range.clone();
        let finding = file.finding(&USED_BEFORE_EXPAND, StageKind::Expand, range, message);
        findings.push(finding.helped(help));
    });
}
