//! Names that `use table::dsl::*` takes or gives.

use super::super::{
    Project, SourceFacts,
    facts::{Import, Named, Root, ScopeKind, Value},
    names::{Meaning, Names},
};
use crate::{
    audit::{
        finding::{Class, Finding},
        rules::{AMBIGUOUS_GLOBS, BINDING_SHADOWS_COLUMN, GLOB_SHADOWS_BINDING},
    },
    plan::StageKind,
};

/// Returns the imports by glob that bring the table's columns.
fn globs<'a>(names: Names<'a>) -> impl Iterator<Item = &'a Import> {
    names.facts.imports.iter().filter(move |import| {
        import.name.is_none()
            && matches!(
                names.meaning(import.scope, &import.path),
                Some(Meaning::Columns | Meaning::Module)
            )
    })
}

/// Reports whether a name is imported, or bound, by itself where a glob would give it.
fn is_taken(names: Names<'_>, scope: usize, name: &str) -> bool {
    names
        .facts
        .imports
        .iter()
        .any(|import| import.name.as_deref() == Some(name) && names.lies_in(scope, import.scope))
}

/// Variables of the column's name within the reach of a glob.
pub(super) fn shadowing(project: &Project<'_>, findings: &mut Vec<Finding>) {
    let name = project.subject.column.rust_name.as_str();
    let table = &project.subject.table.rust_name;
    for file in project.files {
        let names = project.names(file);
        let of_name = |named: &&Named| named.name == name;
        let mut said = Vec::new();
        for glob in globs(names) {
            let block = names.facts.scopes[glob.scope].kind == ScopeKind::Block;
            let bindings = file.facts.bindings.iter().filter(of_name);
            let (inside, around): (Vec<_>, Vec<_>) =
                bindings.partition(|binding| names.lies_in(binding.scope, glob.scope));
            for binding in inside.iter().filter(|binding| !is_taken(names, binding.scope, name)) {
                if said.contains(&binding.range) {
                    continue;
                }
                said.push(binding.range.clone());
                let message = format!(
                    "`{name}` is a variable here, and becomes the column that `use {}::*` brings",
                    glob.path.join("::")
                );
                findings.push(
                    file.finding(&GLOB_SHADOWS_BINDING, StageKind::Expand, binding.range.clone(), message)
                        .helped(format!("rename the variable, or import only `{table}` and name columns `{table}::…`")),
                );
            }
            if !block {
                continue;
            }
            let outer = around.iter().any(|binding| names.lies_in(glob.scope, binding.scope));
            let again = |used: &Named| {
                inside.iter().any(|binding| names.lies_in(used.scope, binding.scope))
            };
            for used in file.facts.uses.iter().filter(of_name) {
                if !outer
                    || !names.lies_in(used.scope, glob.scope)
                    || again(used)
                    || is_taken(names, used.scope, name)
                {
                    continue;
                }
                let message = format!(
                    "`{name}` means a variable here, and will mean the column: the glob in this block comes before it"
                );
                let range = used.range.clone();
                let finding =
                    file.finding(&BINDING_SHADOWS_COLUMN, StageKind::Expand, range, message);
                let finding = finding.helped(format!(
                    "rename the variable, or move `use {}::*` out of the block",
                    glob.path.join("::")
                ));
                let differs = differs_in_type(project, file, used);
                findings.push(if differs { finding.of_class(Class::Compile) } else { finding });
            }
        }
    }
}

/// Reports whether a name is compared with a column that differs from the new one in `Nullable`.
fn differs_in_type(project: &Project<'_>, file: &SourceFacts<'_>, used: &Named) -> bool {
    let names = project.names(file);
    let nullable = project.subject.column.not_null_from != Some(StageKind::Expand);
    let mut differs = false;
    for chain in &file.facts.chains {
        chain.walk(&mut |chain| {
            let is_used =
                |value: &Value| matches!(value, Value::Path(path) if path.range == used.range);
            let args = chain.calls.first().is_some_and(|call| call.args.iter().any(is_used));
            let Root::Path(root) = &chain.root else { return };
            if let (true, Some(Meaning::Item(other))) = (args, names.means(root)) {
                let columns = &project.subject.table.columns;
                let other = columns.iter().find(|column| column.rust_name == other);
                differs |= other.is_some_and(|other| other.ty.contains("Nullable") != nullable);
            }
        });
    }
    differs
}

/// Two globs that both bring the name.
pub(super) fn ambiguous(project: &Project<'_>, findings: &mut Vec<Finding>) {
    let name = project.subject.column.rust_name.as_str();
    for file in project.files {
        let names = project.names(file);
        let ours: Vec<&Import> = globs(names).collect();
        for glob in ours {
            let Some(other) = other_glob(project, file, glob, name) else { continue };
            let uses = file
                .facts
                .uses
                .iter()
                .filter(|used| used.name == name && names.lies_in(used.scope, glob.scope));
            for used in uses.filter(|used| !is_taken(names, used.scope, name)) {
                let message = format!(
                    "`{name}` comes from `{other}` here, and will come from `{}` too",
                    project.subject.table.rust_name
                );
                findings.push(
                    file.finding(&AMBIGUOUS_GLOBS, StageKind::Expand, used.range.clone(), message)
                        .helped(format!("write `{other}::{name}`")),
                );
            }
        }
    }
}

/// Finds another table's glob in the same scope that brings the name already.
fn other_glob<'a>(
    project: &Project<'a>,
    file: &SourceFacts<'_>,
    ours: &Import,
    name: &str,
) -> Option<&'a str> {
    let globs = file.facts.imports.iter().filter(|import| {
        import.name.is_none() && import.scope == ours.scope && import.path != ours.path
    });
    globs.into_iter().find_map(|import| {
        let table =
            import.path.iter().rev().find(|word| !matches!(word.as_str(), "dsl" | "columns"))?;
        let other = project.subject.others.iter().find(|other| other.rust_name == *table)?;
        let has = other.columns.iter().any(|column| column.rust_name == name);
        has.then_some(other.rust_name.as_str())
    })
}
