//! Code that knows the column, or the one it replaces.

use super::{
    super::{
        Project,
        facts::{Root, Value},
        names::Meaning,
    },
    Use,
};
use crate::{
    audit::{
        finding::Finding,
        rules::{OPTION_AFTER_CONSTRAIN, REPLACED_IN_USE, STORED_SHAPE, UNKNOWN_LABEL},
    },
    plan::StageKind,
};

/// `Option` where the column will not be `Nullable` any more.
pub(super) fn option_after_constrain(project: &Project<'_>, findings: &mut Vec<Finding>) {
    let column = &project.subject.column;
    let Some(due) = column.not_null_from else { return };
    if column.ty.as_ref().is_none_or(|ty| !ty.contains("Nullable")) {
        return;
    }
    let name = &column.rust_name;
    for derive in ["Queryable", "Selectable"] {
        for (file, item) in project.structs_deriving(derive) {
            let Some(field) = item.field(name) else { continue };
            let both = derive == "Selectable" && item.derives("Queryable");
            if field.ty.options == 0 || both {
                continue;
            }
            let message = format!(
                "`{}.{name}` is an `Option`, and the column will not be `Nullable`",
                item.name
            );
            let finding = file.finding(&OPTION_AFTER_CONSTRAIN, due, field.range.clone(), message);
            findings.push(
                finding.helped("take the `Option` away in the release that comes with the stage"),
            );
        }
    }
    for (file, item) in project.structs_deriving("AsChangeset") {
        let Some(field) = item.field(name) else { continue };
        if field.ty.options == 1 && field.none_as_null.unwrap_or(item.none_as_null) {
            let message = format!(
                "`None` in `{}.{name}` is to write NULL, which the column will not take",
                item.name
            );
            findings.push(file.finding(&OPTION_AFTER_CONSTRAIN, due, field.range.clone(), message));
        }
    }
    for file in project.files {
        let names = project.names(file);
        for chain in &file.facts.chains {
            chain.walk(&mut |chain| {
                let Root::Path(root) = &chain.root else { return };
                if names.means(root) != Some(Meaning::Item(name.clone())) {
                    return;
                }
                let compared =
                    chain.calls.iter().find(|call| matches!(call.name.as_str(), "eq" | "ne"));
                let Some(call) = compared else { return };
                if let Some(Value::Path(path)) = call.args.first()
                    && path.segments == ["None"]
                {
                    let message = format!("`{name}` is compared with, or set to, `None`");
                    findings.push(file.finding(
                        &OPTION_AFTER_CONSTRAIN,
                        due,
                        call.range.clone(),
                        message,
                    ));
                }
            });
        }
    }
}

/// Code that still uses the column that goes.
pub(super) fn replaced_in_use(project: &Project<'_>, findings: &mut Vec<Finding>) {
    let subject = project.subject;
    let Some(old) = &subject.column.replaces else { return };
    let Some(old) = subject.table.columns.iter().find(|column| column.sql_name == *old) else {
        return;
    };
    let old = &old.rust_name;
    project.each_use(old, |file, used| {
        let message = match used {
            Use::Field(item, _) => {
                format!("`{}.{old}` maps the column that `contract` drops", item.name)
            }
            Use::Path(_) => format!("`{old}` is named here, and `contract` drops it"),
        };
        let finding = file.finding(&REPLACED_IN_USE, StageKind::Contract, used.range(), message);
        findings.push(finding.helped(format!("use `{}`", subject.column.rust_name)));
    });
}

/// Enums that refuse a label that they do not know.
pub(super) fn unknown_label(project: &Project<'_>, findings: &mut Vec<Finding>) {
    let name = &project.subject.column.rust_name;
    let mut types: Vec<&str> = Vec::new();
    for derive in ["Queryable", "Selectable"] {
        for (_, item) in project.structs_deriving(derive) {
            let field = item.field(name);
            types.extend(field.iter().flat_map(|field| field.ty.names.iter().map(String::as_str)));
        }
    }
    for file in project.files {
        for reader in &file.facts.refusing_readers {
            if types.contains(&reader.name.as_str()) {
                let message = format!("`{}` refuses a label that it does not know", reader.name);
                let finding =
                    file.finding(&UNKNOWN_LABEL, StageKind::Expand, reader.range.clone(), message);
                findings.push(finding.helped(
                    "a release with a label more comes only after every reader knows it: keep a variant for others",
                ));
            }
        }
    }
}

/// Structs of rows that are read from stored text too.
pub(super) fn stored_shape(project: &Project<'_>, findings: &mut Vec<Finding>) {
    let name = &project.subject.column.rust_name;
    for file in project.files {
        for item in &file.facts.structs {
            let reads = item.derives("Queryable") || item.derives("Selectable");
            if !reads || !item.derives("Deserialize") || item.serde_default {
                continue;
            }
            if !project.has_shape(file, item) {
                continue;
            }
            let field = item.field(name);
            if field.is_some_and(|field| field.serde_default || field.ty.options > 0) {
                continue;
            }
            let message = match field {
                Some(_) => format!(
                    "`{}` is read from stored text too, and what was stored before has no `{name}`",
                    item.name
                ),
                None => format!(
                    "`{}` is read from stored text too: with a field `{name}`, what is stored cannot be read",
                    item.name
                ),
            };
            let range = field.map_or_else(|| item.range.clone(), |field| field.range.clone());
            let finding = file.finding(&STORED_SHAPE, StageKind::Expand, range, message);
            findings.push(finding.helped(format!("give the field `{name}` `#[serde(default)]`")));
        }
    }
}
