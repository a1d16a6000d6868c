//! Columns of a `table!`: add, drop, change the type, change the docs.

use std::cmp::Ordering;

use super::{
    diesel_toml::{ColumnSorting, Docs},
    edit::{NewColumn, Position, Printer, is_generated},
    error::{Place, SchemaError},
    joins,
    layout::{Splices, eol, indent, line_end, previous_line_end},
    model::{Column, SchemaFile, Table},
    names,
    parse::is_type,
    print, stubs,
};
use crate::{
    backend::Product,
    ident::{Ident, TableName},
};

fn find<'f>(
    file: &'f SchemaFile,
    text: &str,
    table: &TableName,
    column: &Ident,
) -> Result<(&'f Table, usize), SchemaError> {
    let found = file.table(text, table)?;
    let at = found.columns.iter().position(|c| c.sql_name == column.as_str());
    at.map(|at| (found, at))
        .ok_or_else(|| SchemaError::ColumnMissing { table: table.clone(), column: column.clone() })
}

pub(super) fn add(
    printer: &Printer<'_>,
    text: &str,
    file: &SchemaFile,
    name: &TableName,
    new: &NewColumn,
) -> Result<String, SchemaError> {
    let table = file.table(text, name)?;
    let rust_name = names::column_name(new.name.as_str(), &table.rust_name);
    if let Some(present) = table
        .columns
        .iter()
        .find(|column| column.sql_name == new.name.as_str() || column.rust_name == rust_name)
    {
        return Err(SchemaError::ColumnExists {
            table: name.clone(),
            column: new.name.clone(),
            at: Place::new(text, present.range.clone()),
        });
    }
    if names::breaks_table(new.name.as_str(), &rust_name) {
        return Err(SchemaError::ColumnReserved { table: name.clone(), column: new.name.clone() });
    }
    if !is_type(&new.ty) {
        return Err(SchemaError::NotAType { ty: new.ty.clone() });
    }
    let mut lines = print::column_docs(
        printer.config,
        new.docs.as_deref(),
        new.name.as_str(),
        &table.full_sql_name(),
        &new.ty,
    );
    let docs = lines.len();
    if rust_name != new.name.as_str() {
        lines.push(format!("#[sql_name = {}]", names::string_literal(new.name.as_str())));
    }
    if let Some(max_length) = new.max_length.filter(|_| writes_lengths(text, file)) {
        lines.push(format!("#[max_length = {max_length}]"));
    }
    lines.push(format!("{rust_name} -> {}", in_style_of(table, &new.ty, new)));
    let at = position(printer, table, name, new)?;
    let added = insert(text, table, at, &lines, docs);
    match &new.custom {
        None => Ok(added),
        Some(custom) => {
            let with_stub = stubs::define(printer, &added, name, custom)?;
            stubs::import(printer, &with_stub, name, &table.columns, custom)
        }
    }
}

/// Reports whether the file says how long its texts are: generated files do, and files written
/// by hand if they do so anywhere, or have no text of limited length.
fn writes_lengths(text: &str, file: &SchemaFile) -> bool {
    let mut columns = file.tables.iter().flat_map(|table| &table.columns);
    is_generated(text)
        || columns.any(|column| column.max_length.is_some())
        || !text.to_ascii_lowercase().contains("varchar")
}

/// Writes the type with the path that all types of a table written by hand have.
fn in_style_of(table: &Table, ty: &str, new: &NewColumn) -> String {
    let Some(first) = table.columns.first() else { return ty.to_owned() };
    let head = first.ty.split('<').next().unwrap_or_default();
    let Some(end) = head.rfind("::") else { return ty.to_owned() };
    let prefix = &head[..end + 2];
    if new.custom.is_some() || !table.columns.iter().all(|c| c.ty.starts_with(prefix)) {
        return ty.to_owned();
    }
    let mut out = String::new();
    for part in ty.split_inclusive(['<', '>', ',', ' ']) {
        if part.starts_with(|c: char| c.is_alphabetic() || c == '_') && !part.contains("::") {
            out.push_str(prefix);
        }
        out.push_str(part);
    }
    out
}

/// Returns the index before which the column goes.
fn position(
    printer: &Printer<'_>,
    table: &Table,
    name: &TableName,
    new: &NewColumn,
) -> Result<usize, SchemaError> {
    if printer.config.column_sorting == ColumnSorting::Name {
        let after = |column: &Column| {
            compare(printer.product, &column.sql_name, new.name.as_str()) == Ordering::Greater
        };
        return Ok(table.columns.iter().position(after).unwrap_or(table.columns.len()));
    }
    match &new.position {
        Position::Last => Ok(table.columns.len()),
        Position::First => Ok(0),
        Position::After(before) => table
            .columns
            .iter()
            .position(|column| column.sql_name == before.as_str())
            .map(|at| at + 1)
            .ok_or_else(|| SchemaError::ColumnMissing {
                table: name.clone(),
                column: before.clone(),
            }),
    }
}

/// Compares names as the server sorts them: PostgreSQL and SQLite by bytes, MySQL in lowercase
/// (`utf8_tolower_ci`), MariaDB in uppercase without accents (`utf8mb3_general_ci`).
fn compare(product: Product, a: &str, b: &str) -> Ordering {
    match product {
        Product::Postgres | Product::Sqlite => a.cmp(b),
        Product::Mysql => a.to_lowercase().cmp(&b.to_lowercase()),
        Product::Mariadb => a.chars().map(general_ci).cmp(b.chars().map(general_ci)),
    }
}

/// Returns the weight of a character in `utf8mb3_general_ci`, exact for Latin-1.
fn general_ci(c: char) -> char {
    match c {
        'à'..='å' | 'À'..='Å' => 'A',
        'ç' | 'Ç' => 'C',
        'è'..='ë' | 'È'..='Ë' => 'E',
        'ì'..='ï' | 'Ì'..='Ï' => 'I',
        'ñ' | 'Ñ' => 'N',
        'ò'..='ö' | 'Ò'..='Ö' => 'O',
        'ù'..='ü' | 'Ù'..='Ü' => 'U',
        'ý' | 'ÿ' | 'Ý' => 'Y',
        'ß' => 'S',
        c => c.to_uppercase().next().unwrap_or(c),
    }
}

/// Inserts a column, given as lines without comma of which the first `docs` are doc comments,
/// before the column at `at`.
fn insert(text: &str, table: &Table, at: usize, lines: &[String], docs: usize) -> String {
    let mut splices = Splices::default();
    let newline = eol(text);
    let doc = |line: &str| print::doc_line(line);
    let on_lines = |indent: &str| {
        let mut out = Vec::new();
        for (n, line) in lines.iter().enumerate() {
            out.push(format!("{indent}{}", if n < docs { doc(line) } else { line.clone() }));
        }
        out.join(newline)
    };
    let inline = || {
        let mut out = Vec::new();
        for (n, line) in lines.iter().enumerate() {
            out.push(if n < docs { print::doc_attr(line) } else { line.clone() });
        }
        out.join(" ")
    };
    let Some(anchor) = at.checked_sub(1) else {
        match table.columns.first() {
            None => {
                let outer = indent(text, table.header).unwrap_or_default();
                let body = on_lines(&format!("{outer}    "));
                splices.insert(table.block.start, format!("{newline}{body},{newline}{outer}"));
            }
            Some(next) => {
                let line = line_end(text, table.block.start, next.range.start);
                match (line, indent(text, next.range.start)) {
                    (Some(end), Some(indent)) => {
                        splices.insert(end, format!("{newline}{},", on_lines(indent)));
                    }
                    _ => splices.insert(next.range.start, format!("{}, ", inline())),
                }
            }
        }
        return splices.apply(text);
    };
    let before = &table.columns[anchor];
    let next = table.columns.get(at).map_or(table.block.end, |column| column.range.start);
    let end = before.comma.as_ref().map_or(before.range.end, |comma| comma.end);
    // Without a comma the file keeps its style: none after the last column.
    if before.comma.is_none() {
        splices.insert(before.range.end, ",");
    }
    let comma = if before.comma.is_some() { "," } else { "" };
    let indents = indent(text, before.range.start);
    match (line_end(text, end, next), indents) {
        (Some(line), Some(indent)) => {
            splices.insert(line, format!("{newline}{}{comma}", on_lines(indent)));
        }
        _ => splices.insert(end, format!(" {}{comma}", inline())),
    }
    splices.apply(text)
}

pub(super) fn drop(
    printer: &Printer<'_>,
    text: &str,
    name: &TableName,
    column: &Ident,
) -> Result<String, SchemaError> {
    let file = SchemaFile::parse(text)?;
    let (table, at) = find(&file, text, name, column)?;
    if table.columns.len() == 1 {
        return Err(SchemaError::LastColumn { table: name.clone(), column: column.clone() });
    }
    let dropped = &table.columns[at];
    let mut splices = Splices::default();
    let end = dropped.comma.as_ref().map_or(dropped.range.end, |comma| comma.end);
    let next = table.columns.get(at + 1).map_or(table.block.end, |next| next.range.start);
    let own_line = indent(text, dropped.range.start).is_some();
    let before = at.checked_sub(1).map(|before| &table.columns[before]);
    match (line_end(text, end, next), before) {
        (Some(line), _) if own_line => {
            splices.remove(previous_line_end(text, dropped.range.start)..line);
            if let (None, Some(before)) = (&dropped.comma, before) {
                splices.remove(before.comma.clone().unwrap_or(0..0));
            }
        }
        (_, Some(before)) => {
            let start = match (&dropped.comma, &before.comma) {
                (None, _) | (_, None) => before.range.end,
                (Some(_), Some(comma)) => comma.end,
            };
            splices.remove(start..end);
        }
        (_, None) => splices.remove(dropped.range.start..next),
    }
    let without = splices.apply(text);
    let without = joins::forget(printer, &without, name, &dropped.rust_name)?;
    stubs::forget(printer, &without, name, &table.columns, dropped)
}

pub(super) fn set_nullable(
    text: &str,
    table: &TableName,
    column: &Ident,
) -> Result<String, SchemaError> {
    let file = SchemaFile::parse(text)?;
    let (table, at) = find(&file, text, table, column)?;
    let column = &table.columns[at];
    if column.is_nullable() {
        return Ok(text.to_owned());
    }
    let head = column.ty.split('<').next().unwrap_or_default();
    let path = head.rfind("::").map_or("", |at| &head[..at + 2]);
    // The type of a struct of one's own may have a path in which there is no `Nullable`.
    let path = if path.trim_end_matches(':').ends_with("sql_types") { path } else { "" };
    let path = if path.contains("super") || path.contains("crate") { "" } else { path };
    Ok(retype(text, table, column, &format!("{path}Nullable<{}>", column.ty)))
}

pub(super) fn set_not_null(
    text: &str,
    table: &TableName,
    column: &Ident,
) -> Result<String, SchemaError> {
    let file = SchemaFile::parse(text)?;
    let (table, at) = find(&file, text, table, column)?;
    let column = &table.columns[at];
    Ok(match &column.nullable {
        None => text.to_owned(),
        Some(inner) => retype(text, table, column, &text[inner.clone()]),
    })
}

/// Changes the type, and with it the generated doc comment that names it.
fn retype(text: &str, table: &Table, column: &Column, ty: &str) -> String {
    let mut splices = Splices::default();
    let generated = |ty: &str| print::generated_docs(&column.sql_name, &table.full_sql_name(), ty);
    if column.docs == generated(&column.ty) {
        let docs = column.attrs.iter().filter(|attr| attr.name == "doc");
        for (attr, line) in docs.zip(generated(ty)) {
            let old = &text[attr.range.clone()];
            let new = match old.starts_with("///") {
                true => print::doc_line(&line),
                false => print::doc_attr(&line),
            };
            if old != new {
                splices.replace(attr.range.clone(), new);
            }
        }
    }
    splices.replace(column.ty_range.clone(), ty);
    splices.apply(text)
}

pub(super) fn set_docs(
    printer: &Printer<'_>,
    text: &str,
    name: &TableName,
    column: &Ident,
    docs: Option<&str>,
) -> Result<String, SchemaError> {
    let file = SchemaFile::parse(text)?;
    let (table, at) = find(&file, text, name, column)?;
    if printer.config.with_docs == Docs::None {
        return Ok(text.to_owned());
    }
    let column = &table.columns[at];
    let lines = print::column_docs(
        printer.config,
        docs,
        &column.sql_name,
        &table.full_sql_name(),
        &column.ty,
    );
    if lines == column.docs {
        return Ok(text.to_owned());
    }
    let newline = eol(text);
    let start = column.range.start;
    let own_line = indent(text, start);
    let (lines, gap): (Vec<String>, String) = match own_line {
        Some(indent) => {
            (lines.iter().map(|line| print::doc_line(line)).collect(), format!("{newline}{indent}"))
        }
        None => {
            let attr = |line: &String| print::doc_attr(line);
            (lines.iter().map(attr).collect(), " ".to_owned())
        }
    };
    let mut splices = Splices::default();
    let mut present = column.attrs.iter().enumerate().filter(|(_, attr)| attr.name == "doc");
    match (present.next(), present.next_back()) {
        (None, _) => {
            let block: String = lines.iter().map(|line| format!("{line}{gap}")).collect();
            splices.insert(start, block);
        }
        (Some((first, from)), last) => {
            let (last, to) = last.unwrap_or((first, from));
            if lines.is_empty() {
                let after = column
                    .attrs
                    .get(last + 1)
                    .map_or(column.name_range.start, |attr| attr.range.start);
                splices.remove(from.range.start..after);
            } else {
                splices.replace(from.range.start..to.range.end, lines.join(&gap));
            }
        }
    }
    Ok(splices.apply(text))
}
