//! Code that takes a whole row by position.

use std::collections::BTreeSet;

use super::{
    super::{
        Project, SourceFacts,
        facts::{Chain, Root, Struct, Value},
        names::Meaning,
        query::{self, Origin, Query, Selection},
    },
    mends,
};
use crate::{
    audit::{
        finding::{Class, Edit, Finding, Fix},
        rules::{FIELD_ORDER, POSITIONAL_QUERYABLE, WHOLE_ROW_TYPE},
    },
    plan::StageKind,
};

/// Words in types that are no structs of rows.
const PLAIN: &[&str] = &["Vec", "Option", "Result", "QueryResult", "Box", "Arc", "HashMap"];

/// Rows that are read by position into structs or tuples, which fit no more, or in another order.
pub(super) fn positional_queryable(project: &Project<'_>, findings: &mut Vec<Finding>) {
    let mut swapped = BTreeSet::new();
    project.each_query(|file, names, query| {
        let Some(terminal) = query.terminal() else { return };
        if query.selection(names) == Selection::Named {
            return;
        }
        let said = query.said_types();
        let structs = query.structs(file, project);
        let mut rows = Vec::new();
        for (home, item) in structs {
            rows.extend(embedded(project, home, item));
        }
        rows.retain(|(home, item)| {
            item.derives("Queryable")
                && (project.has_shape(home, item) || (said.is_some() && !query.joined))
        });
        for (home, item) in &rows {
            if item.field(&project.subject.column.rust_name).is_some() {
                if swapped.insert((home.path().to_owned(), item.range.start)) {
                    findings.extend(order(project, home, item));
                }
                continue;
            }
            findings.push(lacks(project, file, query, home, item));
        }
        if rows.is_empty() && !query.joined && is_tuple(project, said, &query.chain.expected) {
            let message = format!(
                "whole rows of `{}` are read into a tuple without a place for `{}`",
                project.subject.table.rust_name, project.subject.column.rust_name
            );
            let range = terminal.range.clone();
            let finding = file.finding(&POSITIONAL_QUERYABLE, StageKind::Expand, range, message);
            findings.push(finding.helped("select the columns that are wanted: `.select((…))`"));
        }
    });
}

/// Reports whether the types that rows become are those of a tuple for the columns: said by the call
/// itself, or by the code around, which may speak of something else.
fn is_tuple(project: &Project<'_>, said: Option<&[String]>, expected: &[String]) -> bool {
    let types = said.unwrap_or(expected);
    let parts = types.iter().filter(|name| !PLAIN.contains(&name.as_str())).count();
    let columns = project.subject.table.columns.len();
    let fits = if said.is_some() { parts >= columns } else { parts == columns };
    fits && columns > 1 && !types.iter().any(|name| project.structs.contains_key(name.as_str()))
}

fn lacks(
    project: &Project<'_>,
    file: &SourceFacts<'_>,
    query: &Query<'_>,
    home: &SourceFacts<'_>,
    item: &Struct,
) -> Finding {
    let (table, column) = (&project.subject.table.rust_name, &project.subject.column.rust_name);
    let name = &item.name;
    let range = query.terminal().map_or(0..0, |call| call.range.clone());
    let message = format!(
        "whole rows of `{table}` are read by position into `{name}`, which has no `{column}`"
    );
    let writes = matches!(query.origin, Origin::Insert | Origin::Update | Origin::Delete);
    let (adds, takes) =
        if writes { ("returning", "as_returning") } else { ("select", "as_select") };
    let selectable = item.derives("Selectable");
    let finding = file.finding(&POSITIONAL_QUERYABLE, StageKind::Expand, range.clone(), message);
    let place = format!("`{name}` is at {}", home.path());
    let help = match selectable {
        true => format!("name the columns: `.{adds}({name}::{takes}())`; {place}"),
        false => format!(
            "derive `Selectable` for `{name}` and name the columns with `.{adds}({name}::{takes}())`, \
             or give it the field at the column's place; {place}"
        ),
    };
    let has_helper = file.facts.imports.iter().any(|import| match &import.name {
        None => import.path.ends_with(&["diesel".to_owned(), "prelude".to_owned()]),
        Some(name) => name == "SelectableHelper",
    });
    // Of two structs with one name, it may be the other.
    let only = project.structs_named(file, name).len() == 1;
    let certain = has_helper
        && only
        && mends::sees(project, file, query.chain.scope, item)
        && !query.joined
        && query.chain.range.end >= range.end;
    let plain =
        query.terminal().is_some_and(|call| call.name != "save_changes" && call.args.len() == 1);
    let named = certain && plain && query.calls.iter().all(|call| call.name != adds);
    let fix = match selectable {
        true => named.then(|| Fix {
            message: format!("name the columns of `{name}`"),
            path: None,
            edits: vec![Edit {
                range: range.start..range.start,
                text: format!("{adds}({name}::{takes}())."),
            }],
        }),
        false => named.then(|| mends::derive_selectable(project, home, item)).flatten(),
    };
    let fix = fix.or_else(|| only.then(|| mends::add_field(project, home, item)).flatten());
    Finding { fix, ..finding.helped(help) }
}

/// Returns a struct, and those that it embeds.
fn embedded<'a>(
    project: &Project<'a>,
    home: &'a SourceFacts<'a>,
    item: &'a Struct,
) -> Vec<(&'a SourceFacts<'a>, &'a Struct)> {
    let mut found = vec![(home, item)];
    for field in item.fields.iter().filter(|field| field.embed) {
        found.extend(field.ty.names.iter().flat_map(|name| project.structs_named(home, name)));
    }
    found
}

/// Says where a struct's fields come in another order than the columns.
fn order(project: &Project<'_>, home: &SourceFacts<'_>, item: &Struct) -> Option<Finding> {
    let column = &project.subject.column;
    let (position, ty) = (column.position?, column.ty.as_deref()?);
    let mut columns: Vec<(&str, &str)> = project
        .subject
        .table
        .columns
        .iter()
        .map(|column| (column.rust_name.as_str(), column.ty.as_str()))
        .collect();
    columns.insert(position, (&column.rust_name, ty));
    let fields: Vec<&str> = item.fields.iter().filter_map(|f| f.column.as_deref()).collect();
    if fields.len() != columns.len() {
        return None;
    }
    let at = fields.iter().position(|field| *field == column.rust_name)?;
    if at == position {
        return None;
    }
    let same_type = |(field, (_, read)): (&&str, &(&str, &str))| {
        let own = columns.iter().find(|(name, _)| name == field);
        own.is_none_or(|(_, own)| own == read)
    };
    let silent = fields.iter().zip(&columns).all(same_type);
    let message = format!(
        "field `{}` of `{}` stands where column `{}` is read",
        column.rust_name, item.name, columns[at].0
    );
    let range = item.field(&column.rust_name)?.range.clone();
    let finding = home.finding(&FIELD_ORDER, StageKind::Expand, range, message);
    let finding = finding.helped(format!(
        "put the fields in the order of schema.rs, or read the struct with `{}::as_select()`",
        item.name
    ));
    Some(if silent { finding } else { finding.of_class(Class::Compile) })
}

/// Code that speaks of the whole row's type.
pub(super) fn whole_row_type(project: &Project<'_>, findings: &mut Vec<Finding>) {
    let table = &project.subject.table.rust_name;
    for file in project.files {
        let names = project.names(file);
        for path in &file.facts.type_paths {
            if names.means(path) == Some(Meaning::Item("SqlType".to_owned())) {
                let message = format!("the type of a whole row of `{table}` is named here");
                findings.push(file.finding(
                    &WHOLE_ROW_TYPE,
                    StageKind::Expand,
                    path.range.clone(),
                    message,
                ));
            }
        }
        for chain in &file.facts.chains {
            chain.walk(&mut |chain| {
                let Root::Path(root) = &chain.root else { return };
                let ours = names.means(root) == Some(Meaning::Table);
                for call in &chain.calls {
                    let other = call.args.first();
                    let message = match call.name.as_str() {
                        "insert_into" if ours && !narrows(chain) => {
                            if chain.call("into_columns").is_some() {
                                continue;
                            }
                            format!("whole rows of `{table}` are inserted into another table")
                        }
                        "union" | "union_all" | "intersect" | "intersect_all" | "except"
                        | "except_all" => {
                            let Some(other) = other else { continue };
                            let theirs = query::is_table(other, names);
                            let whole = |value: &Value| match value {
                                Value::Chain(chain) => !narrows(chain),
                                _ => true,
                            };
                            if ours == theirs || narrows(chain) || !whole(other) {
                                continue;
                            }
                            format!(
                                "whole rows of `{table}` are combined with those of another table"
                            )
                        }
                        _ => continue,
                    };
                    findings.push(
                        file.finding(
                            &WHOLE_ROW_TYPE,
                            StageKind::Expand,
                            call.range.clone(),
                            message,
                        )
                        .helped("name the columns with `.select((…))` and `.into_columns((…))`"),
                    );
                }
            });
        }
    }
}

fn narrows(chain: &Chain) -> bool {
    chain.call("select").is_some()
}

impl<'a> Project<'a> {
    /// Reports whether a struct is of the table, by its word or by its fields.
    pub(super) fn has_shape(&self, home: &SourceFacts<'a>, item: &Struct) -> bool {
        if item.table_name.is_some() {
            return self.names(home).is_of_table(item);
        }
        let columns = &self.subject.table.columns;
        let known = item.fields.iter().filter(|field| {
            columns.iter().any(|column| Some(&column.rust_name) == field.column.as_ref())
        });
        let fields = item
            .fields
            .iter()
            .filter(|f| f.column.as_deref() != Some(&self.subject.column.rust_name));
        let count = fields.count();
        count == columns.len() && known.count() * 2 >= count
    }
}
