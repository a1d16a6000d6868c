//! Code that inserts rows.

use super::super::{
    Project,
    facts::{Root, Value},
    names::Meaning,
    query::Origin,
};
use crate::{
    audit::{
        finding::Finding,
        rules::{
            BIND_LIMIT, DEFAULT_VALUES, INSERT_WITHOUT_REQUIRED, NONE_IS_DEFAULT, REPLACE_INTO,
        },
    },
    backend::Backend,
    plan::StageKind,
};

/// Inserts without the column, where rows must have it.
pub(super) fn without_required(project: &Project<'_>, findings: &mut Vec<Finding>) {
    let subject = project.subject;
    let Some(due) = subject.column.inserts_fail_from else { return };
    let column = &subject.column.rust_name;
    let table = &subject.table.rust_name;
    let mut completed: Vec<&str> = Vec::new();
    project.each_query(|file, names, query| {
        if query.origin != Origin::Insert {
            return;
        }
        if let Some(call) = query.call("default_values") {
            let message = format!("a row of `{table}` is inserted with nothing but defaults");
            let finding = file.finding(&DEFAULT_VALUES, due, call.range.clone(), message);
            findings.push(
                finding.helped(format!("set `{column}`: `.values({table}::{column}.eq(…))`")),
            );
        }
        let Some(values) = query.call("values") else { return };
        let Some(given) = values.args.first() else { return };
        // A struct beside the column in a tuple is complete.
        if let Value::Tuple(all) = given {
            let sets = |value: &Value| {
                project.columns_set(file, value).is_some_and(|set| set.contains(column))
            };
            if all.iter().any(sets) {
                for value in all {
                    match value {
                        Value::Path(path) => {
                            completed.extend(
                                project
                                    .types_of(file, path)
                                    .unwrap_or_default()
                                    .iter()
                                    .map(String::as_str),
                            );
                        }
                        Value::Struct(path) => completed.extend(path.last().map(String::as_str)),
                        _ => {}
                    }
                }
                return;
            }
        }
        if !written_out(given, names) {
            return;
        }
        let set = match given {
            // Rows, one after the other: the first is like the others.
            Value::Tuple(rows) if matches!(rows.first(), Some(Value::Tuple(_))) => {
                rows.first().and_then(|row| project.columns_set(file, row))
            }
            given => project.columns_set(file, given),
        };
        if set.is_some_and(|set| !set.contains(column)) {
            let message = format!("a row of `{table}` is inserted without `{column}`");
            let finding =
                file.finding(&INSERT_WITHOUT_REQUIRED, due, values.range.clone(), message);
            findings.push(finding.helped(format!("set `{table}::{column}` too")));
        }
    });
    for (file, item) in project.structs_deriving("Insertable") {
        let whole = !item.fields.iter().any(|field| field.embed);
        if !whole || item.field(column).is_some_and(|field| !field.skip_insertion) {
            continue;
        }
        if completed.contains(&item.name.as_str()) {
            continue;
        }
        let message = format!("`{}` inserts rows of `{table}` without `{column}`", item.name);
        let finding = file.finding(&INSERT_WITHOUT_REQUIRED, due, item.range.clone(), message);
        findings.push(finding.helped(format!("give it the field `{column}`")));
    }
}

/// Reports whether the columns stand in the call itself, and not in a struct.
fn written_out(value: &Value, names: super::super::names::Names<'_>) -> bool {
    match value {
        Value::Tuple(values) => {
            !values.is_empty() && values.iter().all(|value| written_out(value, names))
        }
        Value::Chain(chain) => match &chain.root {
            Root::Path(path) => matches!(names.means(path), Some(Meaning::Item(_))),
            _ => false,
        },
        _ => false,
    }
}

/// `None` that stores the default, and not NULL.
pub(super) fn none_is_default(project: &Project<'_>, findings: &mut Vec<Finding>) {
    let column = &project.subject.column;
    if !column.has_default || column.not_null_from.is_some() {
        return;
    }
    for (file, item) in project.structs_deriving("Insertable") {
        let Some(field) = item.field(&column.rust_name) else { continue };
        let default = field.none_as_default.unwrap_or(item.none_as_default);
        if field.ty.options != 1 || !default {
            continue;
        }
        let message = format!(
            "`None` in `{}.{}` stores the column's default, and not NULL",
            item.name, column.rust_name
        );
        let finding =
            file.finding(&NONE_IS_DEFAULT, StageKind::Expand, field.range.clone(), message);
        findings.push(finding.helped(
            "where NULL is meant: `Option<Option<T>>`, or `#[diesel(treat_none_as_default_value = false)]`",
        ));
    }
}

/// Rows that are deleted and inserted again without the column.
pub(super) fn replace_into(project: &Project<'_>, findings: &mut Vec<Finding>) {
    let subject = project.subject;
    if !subject.engines.iter().any(|engine| matches!(engine, Backend::Sqlite | Backend::Mysql)) {
        return;
    }
    let column = &subject.column.rust_name;
    project.each_query(|file, _, query| {
        if query.origin != Origin::Replace {
            return;
        }
        let values = query.call("values").and_then(|call| call.args.first());
        let set = values.and_then(|value| project.columns_set(file, value));
        if set.is_some_and(|set| set.contains(column)) {
            return;
        }
        let message = format!(
            "`replace_into` writes the row of `{}` anew, and `{column}` with it: what it held is lost",
            subject.table.rust_name
        );
        let finding = file.finding(
            &REPLACE_INTO,
            StageKind::Expand,
            query.chain.range.clone(),
            message,
        );
        findings.push(finding.helped(
            "use `insert_into(…).on_conflict(…).do_update().set(…)`, which leaves other columns alone",
        ));
    });
}

/// Parameters that one statement may have.
fn limit(engine: Backend) -> u64 {
    match engine {
        // Both count them in two bytes.
        Backend::Postgres | Backend::Mysql => 65_535,
        // SQLITE_MAX_VARIABLE_NUMBER since 3.32.
        Backend::Sqlite => 32_766,
    }
}

/// Batches that just fit before, and no more with one column more.
pub(super) fn bind_limit(project: &Project<'_>, findings: &mut Vec<Finding>) {
    let subject = project.subject;
    let column = &subject.column.rust_name;
    // Diesel sends batches of structs to SQLite row by row.
    let engines = subject.engines.iter().filter(|engine| **engine != Backend::Sqlite);
    let Some(limit) = engines.map(|engine| limit(*engine)).min() else { return };
    let insertable: Vec<_> = project.structs_deriving("Insertable").collect();
    for file in project.files {
        let names = project.names(file);
        for chain in &file.facts.chains {
            let Some(chunks) = chain
                .calls
                .iter()
                .find(|call| matches!(call.name.as_str(), "chunks" | "chunks_exact"))
            else {
                continue;
            };
            let Some(Value::Number(rows)) = chunks.args.first() else { continue };
            let here = names.module_of(chain.scope);
            let near = |scope| names.module_of(scope) == here;
            let mut inserts = false;
            for other in &file.facts.chains {
                other.walk(&mut |other| {
                    if let Root::Call(call, _) = &other.root {
                        inserts |= call.name == "insert_into"
                            && near(other.scope)
                            && shares_function(names, other.scope, chain.scope)
                            && call
                                .args
                                .first()
                                .is_some_and(|arg| super::super::query::is_table(arg, names));
                    }
                });
            }
            let widest = insertable.iter().filter(|(_, item)| item.field(column).is_none());
            let Some(fields) = widest.map(|(_, item)| item.fields.len() as u64).max() else {
                continue;
            };
            if inserts && rows * fields <= limit && rows * (fields + 1) > limit {
                let message = format!(
                    "{rows} rows of {fields} columns fit one statement; with `{column}` they exceed its {limit} parameters"
                );
                let finding =
                    file.finding(&BIND_LIMIT, StageKind::Expand, chunks.range.clone(), message);
                findings.push(
                    finding.helped(format!("use chunks of at most {} rows", limit / (fields + 1))),
                );
            }
        }
    }
}

/// Reports whether two scopes lie in one function.
fn shares_function(
    names: super::super::names::Names<'_>,
    one: super::super::facts::ScopeId,
    other: super::super::facts::ScopeId,
) -> bool {
    names.function_of(one).is_some() && names.function_of(one) == names.function_of(other)
}
