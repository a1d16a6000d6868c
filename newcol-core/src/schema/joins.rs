//! `joinable!` and `allow_tables_to_appear_in_same_query!`.

use std::{collections::BTreeSet, ops::Range};

use super::{
    diesel_toml::Together as Grouping,
    edit::Printer,
    error::{Place, SchemaError},
    layout::{Splices, eol, indent, line_end, previous_line_end},
    model::{Joinable, SchemaFile, Table, Together},
    names, print,
};
use crate::ident::{Ident, TableName};

/// The order in which print-schema sorts tables.
type TableKey<'f> = (&'f str, &'f str, Option<&'f str>);

fn table_key(table: &Table) -> TableKey<'_> {
    (&table.sql_name, &table.rust_name, table.schema.as_deref())
}

/// The tables, `joinable!` and groups of one module of the file.
struct Scope<'f> {
    text: &'f str,
    module: &'f [String],
    tables: Vec<&'f Table>,
    joinables: Vec<&'f Joinable>,
    together: Vec<&'f Together>,
}

impl<'f> Scope<'f> {
    fn new(text: &'f str, file: &'f SchemaFile, module: &'f [String]) -> Self {
        Self {
            text,
            module,
            tables: file.tables.iter().filter(|t| t.module == module).collect(),
            joinables: file.joinables.iter().filter(|j| j.module == module).collect(),
            together: file.together.iter().filter(|t| t.module == module).collect(),
        }
    }

    fn table(&self, rust_name: &str) -> Option<&'f Table> {
        self.tables.iter().copied().find(|table| table.rust_name == rust_name)
    }

    /// Returns the place of a foreign key in the order of print-schema.
    fn key<'k>(
        &self,
        child: &'k str,
        parent: &'k str,
        column: &'k str,
    ) -> (TableKey<'k>, TableKey<'k>, &'k str)
    where
        'f: 'k,
    {
        let key =
            |name: &'k str| self.table(name).map_or((name, name, None), |table| table_key(table));
        let sql = self
            .table(child)
            .and_then(|table| table.columns.iter().find(|c| c.rust_name == column))
            .map_or(column, |column| column.sql_name.as_str());
        (key(child), key(parent), sql)
    }

    /// Returns the place of a `joinable!` in that order.
    fn key_of<'k>(&self, joinable: &'k Joinable) -> (TableKey<'k>, TableKey<'k>, &'k str)
    where
        'f: 'k,
    {
        self.key(&joinable.child, &joinable.parent, &joinable.column)
    }

    /// Returns the tables that `edges` connect, as print-schema orders groups and tables.
    fn groups(&self, edges: &[(&str, &str)]) -> Vec<Vec<String>> {
        let mut tables = self.tables.clone();
        tables.sort_by_key(|table| table_key(table));
        let mut seen = BTreeSet::new();
        let mut groups = Vec::new();
        for table in &tables {
            if !seen.insert(table.rust_name.as_str()) {
                continue;
            }
            let mut members = BTreeSet::new();
            let mut pending = vec![table.rust_name.as_str()];
            while let Some(name) = pending.pop() {
                members.insert(name);
                for (a, b) in edges {
                    for (from, to) in [(a, b), (b, a)] {
                        if *from == name && seen.insert(to) {
                            pending.push(to);
                        }
                    }
                }
            }
            let group: Vec<String> = tables
                .iter()
                .filter(|table| members.contains(table.rust_name.as_str()))
                .map(|table| table.rust_name.clone())
                .collect();
            if group.len() >= 2 {
                groups.push(group);
            }
        }
        groups
    }

    fn edges(&self) -> Vec<(&'f str, &'f str)> {
        self.joinables.iter().map(|j| (j.child.as_str(), j.parent.as_str())).collect()
    }

    /// Returns the end of the last declaration of its kind, with the comment on its line.
    fn end_of_line(&self, at: usize) -> usize {
        line_end(self.text, at, self.text.len()).unwrap_or(at)
    }

    fn last_table_end(&self) -> usize {
        self.tables.iter().map(|table| table.range.end).max().unwrap_or(self.text.len())
    }

    /// Returns the indentation of the module's declarations.
    fn pad(&self) -> &'f str {
        self.tables.first().and_then(|table| indent(self.text, table.item)).unwrap_or_default()
    }
}

pub(super) fn add(
    printer: &Printer<'_>,
    text: &str,
    child: &TableName,
    column: &Ident,
    parent: &TableName,
) -> Result<String, SchemaError> {
    let file = SchemaFile::parse(text)?;
    let Some(pair) = Pair::find(&file, text, child, parent)? else { return Ok(text.to_owned()) };
    let Pair { child: child_table, parent: parent_table } = pair;
    let scope = Scope::new(text, &file, &child_table.module);
    let rust_column = pair.rust_column(column);
    let (child_name, parent_name) = (&child_table.rust_name, &parent_table.rust_name);
    let same = |j: &&&Joinable| {
        (&j.child, &j.parent) == (child_name, parent_name)
            || (&j.child, &j.parent) == (parent_name, child_name)
    };
    if let Some(present) = scope.joinables.iter().find(same) {
        if present.child == *child_name && present.column == rust_column {
            return Err(SchemaError::JoinableExists {
                child: child.clone(),
                column: column.clone(),
                at: Place::new(text, present.range.clone()),
            });
        }
        return Ok(without(printer, &scope, present));
    }
    let newline = eol(text);
    let mut splices = Splices::default();
    let prefix = scope.joinables.first().map_or(&child_table.prefix, |j| &j.prefix);
    let line = format!("{prefix}joinable!({child_name} -> {parent_name} ({rust_column}));");
    let new = scope.key(child_name, parent_name, &rust_column);
    let sorted = scope.joinables.is_sorted_by(|a, b| scope.key_of(a) <= scope.key_of(b));
    let next = scope.joinables.iter().find(|j| sorted && scope.key_of(j) > new);
    let pad = scope.pad();
    match (next, scope.joinables.last()) {
        (Some(next), _) => splices.insert(next.range.start, format!("{line}{newline}{pad}")),
        (None, Some(last)) => {
            splices.insert(scope.end_of_line(last.range.end), format!("{newline}{pad}{line}"));
        }
        (None, None) => {
            let at = scope.end_of_line(scope.last_table_end());
            splices.insert(at, format!("{newline}{newline}{pad}{line}"));
        }
    }
    if printer.config.allow_tables_to_appear_in_same_query_config == Grouping::FkRelatedTables {
        let mut edges = scope.edges();
        let before = scope.groups(&edges);
        edges.push((child_name, parent_name));
        let anchor = (next.is_none())
            .then(|| scope.joinables.last().map_or(scope.last_table_end(), |last| last.range.end));
        regroup(&scope, &mut splices, &before, &scope.groups(&edges), anchor);
    }
    Ok(splices.apply(text))
}

/// Two tables whose foreign key gets a `joinable!`.
#[derive(Clone, Copy)]
struct Pair<'f> {
    child: &'f Table,
    parent: &'f Table,
}

impl<'f> Pair<'f> {
    /// Finds both; `None` where print-schema writes nothing: for a table that references itself, a
    /// parent that it does not print, or one with a key of several columns.
    fn find(
        file: &'f SchemaFile,
        text: &str,
        child: &TableName,
        parent: &TableName,
    ) -> Result<Option<Self>, SchemaError> {
        let child = file.table(text, child)?;
        let parent = match file.table(text, parent) {
            Ok(table) => table,
            Err(SchemaError::TableMissing { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let joined = child.range != parent.range
            && child.module == parent.module
            && parent.primary_key.len() == 1;
        Ok(joined.then_some(Self { child, parent }))
    }

    /// Returns the child's column as `joinable!` names it.
    fn rust_column(&self, column: &Ident) -> String {
        self.child.column(column).map_or_else(
            || names::joinable_column(column.as_str(), &self.child.rust_name),
            |column| column.rust_name.clone(),
        )
    }
}

pub(super) fn remove(
    printer: &Printer<'_>,
    text: &str,
    child: &TableName,
    column: &Ident,
    parent: &TableName,
) -> Result<String, SchemaError> {
    let file = SchemaFile::parse(text)?;
    let missing = || SchemaError::JoinableMissing { child: child.clone(), column: column.clone() };
    // Adding it wrote nothing either.
    let Some(pair) = Pair::find(&file, text, child, parent)? else { return Ok(text.to_owned()) };
    let scope = Scope::new(text, &file, &pair.child.module);
    let rust_column = pair.rust_column(column);
    let present = scope.joinables.iter().find(|j| {
        j.child == pair.child.rust_name
            && j.parent == pair.parent.rust_name
            && j.column == rust_column
    });
    Ok(without(printer, &scope, present.ok_or_else(missing)?))
}

/// Removes the `joinable!` of a column that is gone, given its name in Rust.
pub(super) fn forget(
    printer: &Printer<'_>,
    text: &str,
    child: &TableName,
    column: &str,
) -> Result<String, SchemaError> {
    let file = SchemaFile::parse(text)?;
    let table = file.table(text, child)?;
    let scope = Scope::new(text, &file, &table.module);
    let gone = scope.joinables.iter().find(|j| j.child == table.rust_name && j.column == column);
    Ok(gone.map_or_else(|| text.to_owned(), |gone| without(printer, &scope, gone)))
}

/// Returns the text without a `joinable!`, and with the groups that remain.
fn without(printer: &Printer<'_>, scope: &Scope<'_>, gone: &Joinable) -> String {
    let mut splices = Splices::default();
    let range = removal(scope, &gone.range, || {
        let at = scope.joinables.iter().position(|j| j.range == gone.range).unwrap_or_default();
        (
            at.checked_sub(1).map(|at| scope.joinables[at].range.clone()),
            scope.joinables.get(at + 1).map(|j| j.range.clone()),
        )
    });
    splices.remove(range);
    if printer.config.allow_tables_to_appear_in_same_query_config == Grouping::FkRelatedTables {
        let before = scope.groups(&scope.edges());
        let rest: Vec<(&str, &str)> = scope
            .joinables
            .iter()
            .filter(|j| j.range != gone.range)
            .map(|j| (j.child.as_str(), j.parent.as_str()))
            .collect();
        regroup(scope, &mut splices, &before, &scope.groups(&rest), None);
    }
    splices.apply(scope.text)
}

/// Returns the bytes to remove with a declaration: those that inserting it would have added.
fn removal(
    scope: &Scope<'_>,
    range: &Range<usize>,
    neighbours: impl Fn() -> (Option<Range<usize>>, Option<Range<usize>>),
) -> Range<usize> {
    let blank = |from: usize, to: usize| scope.text[from..to].trim().is_empty();
    let end = scope.end_of_line(range.end);
    match neighbours() {
        (_, Some(next)) if blank(range.end, next.start) => range.start..next.start,
        (None, _) => {
            // The only one: with it goes the blank line that sets its kind apart.
            let before = &scope.text[..range.start];
            let kept = before.trim_end().len();
            if before.is_empty() || kept == 0 { range.start..end } else { kept..end }
        }
        (Some(_), _) => previous_line_end(scope.text, range.start)..end,
    }
}

/// Turns the groups `before` into `after`, if the file has exactly those before; else makes sure
/// only that what is new in a group may appear together.
fn regroup(
    scope: &Scope<'_>,
    splices: &mut Splices,
    before: &[Vec<String>],
    after: &[Vec<String>],
    anchor: Option<usize>,
) {
    let present: Vec<&Vec<String>> = scope.together.iter().map(|t| &t.tables).collect();
    if before == after || !present.iter().copied().eq(before) {
        return;
    }
    let newline = eol(scope.text);
    let pad = scope.pad();
    let prefix = scope
        .together
        .first()
        .map(|t| t.prefix.as_str())
        .or(scope.tables.first().map(|t| t.prefix.as_str()))
        .unwrap_or_default();
    let block = |tables: &[String]| {
        print::together(prefix, tables, pad.chars().count()).join(&format!("{newline}{pad}"))
    };
    for (old, new) in scope.together.iter().zip(after) {
        if old.tables != *new {
            splices.replace(old.range.clone(), block(new));
        }
    }
    if let Some(extra) = after.get(scope.together.len()..).filter(|extra| !extra.is_empty()) {
        let body: Vec<String> = extra.iter().map(|tables| block(tables)).collect();
        let body = body.join(&format!("{newline}{pad}"));
        match scope.together.last() {
            Some(last) => {
                let at = scope.end_of_line(last.range.end);
                splices.insert(at, format!("{newline}{pad}{body}"));
            }
            None => {
                let at = anchor
                    .or(scope.joinables.last().map(|j| j.range.end))
                    .unwrap_or_else(|| scope.last_table_end());
                splices.insert(scope.end_of_line(at), format!("{newline}{newline}{pad}{body}"));
            }
        }
    }
    for (at, old) in scope.together.iter().enumerate().skip(after.len()) {
        let end = scope.end_of_line(old.range.end);
        let start = match at.checked_sub(1) {
            Some(_) => previous_line_end(scope.text, old.range.start),
            None => scope.text[..old.range.start].trim_end().len(),
        };
        splices.remove(start..end);
    }
}

pub(super) fn allow(
    text: &str,
    first: &TableName,
    second: &TableName,
) -> Result<String, SchemaError> {
    let file = SchemaFile::parse(text)?;
    let (first, second) = (file.table(text, first)?, file.table(text, second)?);
    let scope = Scope::new(text, &file, &first.module);
    let both =
        |t: &&Together| t.tables.contains(&first.rust_name) && t.tables.contains(&second.rust_name);
    if first.range == second.range || file.together.iter().any(|t| both(&t)) {
        return Ok(text.to_owned());
    }
    let mut pair = [first, second];
    pair.sort_by_key(|table| table_key(table));
    let relative = |table: &Table| {
        let extra = table.module.strip_prefix(scope.module).unwrap_or_default();
        extra.iter().chain([&table.rust_name]).cloned().collect::<Vec<_>>().join("::")
    };
    let (newline, pad) = (eol(text), scope.pad());
    let prefix = scope.together.first().map_or(&first.prefix, |t| &t.prefix);
    let body = print::together(prefix, &pair.map(relative), pad.chars().count())
        .join(&format!("{newline}{pad}"));
    let mut splices = Splices::default();
    match scope.together.last() {
        Some(last) => {
            splices.insert(scope.end_of_line(last.range.end), format!("{newline}{pad}{body}"))
        }
        None => {
            let ends = scope.joinables.iter().map(|j| j.range.end).max();
            let at = ends.unwrap_or_default().max(scope.last_table_end());
            splices.insert(scope.end_of_line(at), format!("{newline}{newline}{pad}{body}"));
        }
    }
    Ok(splices.apply(text))
}

pub(super) fn forbid(
    text: &str,
    first: &TableName,
    second: &TableName,
) -> Result<String, SchemaError> {
    let file = SchemaFile::parse(text)?;
    let (first, second) = (file.table(text, first)?, file.table(text, second)?);
    let scope = Scope::new(text, &file, &first.module);
    let wanted = BTreeSet::from([&first.rust_name, &second.rust_name]);
    let Some(at) =
        scope.together.iter().position(|t| t.tables.iter().collect::<BTreeSet<_>>() == wanted)
    else {
        return Ok(text.to_owned());
    };
    let range = removal(&scope, &scope.together[at].range, || {
        (
            at.checked_sub(1).map(|at| scope.together[at].range.clone()),
            scope.together.get(at + 1).map(|t| t.range.clone()),
        )
    });
    let mut splices = Splices::default();
    splices.remove(range);
    Ok(splices.apply(text))
}
