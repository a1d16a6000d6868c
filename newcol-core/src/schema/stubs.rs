//! Structs that stand for types of the database: the module `sql_types` and the `use` lines of
//! the tables that name them.

use proc_macro2::{TokenStream, TokenTree};

use super::{
    edit::Printer,
    error::SchemaError,
    layout::{Splices, eol, indent},
    model::{Column, SchemaFile, Stub, Table, Use},
    print,
    types::CustomType,
};
use crate::ident::TableName;

/// Defines the struct, unless the table can already name one.
pub(super) fn define(
    printer: &Printer<'_>,
    text: &str,
    table: &TableName,
    custom: &CustomType,
) -> Result<String, SchemaError> {
    let file = SchemaFile::parse(text)?;
    let table = file.table(text, table)?;
    if file.stubs.iter().any(|stub| visible(stub, table) && stub.rust_name == custom.rust_name) {
        return Ok(text.to_owned());
    }
    let newline = eol(text);
    let mut splices = Splices::default();
    let mut block = |at: usize, indent: &str, before: &str, after: &str| {
        let lines = print::stub(custom, printer.config, indent.chars().count());
        let body = lines.join(&format!("{newline}{indent}"));
        splices.insert(at, format!("{before}{body}{after}"));
    };
    match file.stub_modules.iter().find(|module| module.module == table.module) {
        Some(module) => {
            let mut path = module.module.clone();
            path.push("sql_types".to_owned());
            let present: Vec<&Stub> = file.stubs.iter().filter(|s| s.module == path).collect();
            let next = present.iter().find(|stub| stub.rust_name > custom.rust_name);
            match (next, present.last()) {
                (Some(next), _) => {
                    let pad = indent(text, next.range.start).unwrap_or_default();
                    block(next.range.start, pad, "", &format!("{newline}{newline}{pad}"));
                }
                (None, Some(last)) => {
                    let pad = indent(text, last.range.start).unwrap_or_default();
                    block(last.range.end, pad, &format!("{newline}{newline}{pad}"), "");
                }
                (None, None) => {
                    let outer = indent(text, module.range.start).unwrap_or_default();
                    let pad = format!("{outer}    ");
                    let after = if text[module.inside.clone()].contains('\n') {
                        String::new()
                    } else {
                        format!("{newline}{outer}")
                    };
                    block(module.inside.start, &pad, &format!("{newline}{pad}"), &after);
                }
            }
        }
        None => {
            let first = file.tables.iter().filter(|t| t.module == table.module).map(|t| t.item);
            let at = first.min().unwrap_or(table.item);
            let outer = indent(text, at).unwrap_or_default();
            let pad = format!("{outer}    ");
            let docs: String = print::stub_module_docs(printer.config)
                .iter()
                .map(|line| format!("{line}{newline}{outer}"))
                .collect();
            block(
                at,
                &pad,
                &format!("{docs}pub mod sql_types {{{newline}{pad}"),
                &format!("{newline}{outer}}}{newline}{newline}{outer}"),
            );
        }
    }
    Ok(splices.apply(text))
}

/// Reports whether the table's own module or its `sql_types` holds the struct.
fn visible(stub: &Stub, table: &Table) -> bool {
    match stub.module.strip_prefix(table.module.as_slice()) {
        Some([]) => true,
        Some([module]) => module == "sql_types",
        Some(_) | None => false,
    }
}

/// Brings the struct into scope in the table, whose columns were `before` until now.
pub(super) fn import(
    printer: &Printer<'_>,
    text: &str,
    table: &TableName,
    before: &[Column],
    custom: &CustomType,
) -> Result<String, SchemaError> {
    let file = SchemaFile::parse(text)?;
    let table = file.table(text, table)?;
    let mut wanted: Vec<String> =
        table.uses.iter().filter_map(imported).map(str::to_owned).collect();
    let known = table.uses.iter().any(|line| names_type(line, &custom.rust_name));
    if !known {
        wanted.push(custom.rust_name.clone());
    }
    Ok(rewrite(printer, text, table, before, &wanted))
}

/// Reports whether a `use` line brings the name into scope.
fn names_type(line: &Use, name: &str) -> bool {
    let glob = line.path.ends_with("::*") && line.path.contains("super::sql_types");
    glob || words(&line.path).iter().any(|word| word == name)
}

/// Returns the name that a `use` line of print-schema's own form imports.
fn imported(line: &Use) -> Option<&str> {
    let name = line.path.strip_prefix("super::sql_types::")?;
    name.chars().all(|c| c.is_alphanumeric() || c == '_').then_some(name)
}

/// Returns the words of a type or path.
fn words(text: &str) -> Vec<String> {
    fn collect(tokens: TokenStream, out: &mut Vec<String>) {
        for token in tokens {
            match token {
                TokenTree::Ident(word) => out.push(word.to_string()),
                TokenTree::Group(group) => collect(group.stream(), out),
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }
    let mut out = Vec::new();
    if let Ok(tokens) = text.parse() {
        collect(tokens, &mut out);
    }
    out
}

/// Orders names as the columns first use them; names that no column uses keep their order at the
/// end.
fn by_first_use(names: &[String], columns: &[Column]) -> Vec<String> {
    let mut ordered: Vec<String> = Vec::new();
    for word in columns.iter().flat_map(|column| words(&column.ty)) {
        if names.contains(&word) && !ordered.contains(&word) {
            ordered.push(word);
        }
    }
    for name in names {
        if !ordered.contains(name) {
            ordered.push(name.clone());
        }
    }
    ordered
}

/// Writes the `use super::sql_types::…;` lines for `wanted`, in the order of the columns if they
/// were in that order `before`.
fn rewrite(
    printer: &Printer<'_>,
    text: &str,
    table: &Table,
    before: &[Column],
    wanted: &[String],
) -> String {
    let lines: Vec<(&Use, String)> =
        table.uses.iter().filter_map(|line| Some((line, imported(line)?.to_owned()))).collect();
    let present: Vec<String> = lines.iter().map(|(_, name)| name.clone()).collect();
    let wanted = if by_first_use(&present, before) == present {
        by_first_use(wanted, &table.columns)
    } else {
        wanted.to_vec()
    };
    if wanted == present {
        return text.to_owned();
    }
    let newline = eol(text);
    let mut splices = Splices::default();
    let write = |name: &String| format!("use super::sql_types::{name};");
    for ((line, old), new) in lines.iter().zip(&wanted) {
        if old != new {
            splices.replace(line.range.clone(), write(new));
        }
    }
    if let Some(extra) = wanted.get(lines.len()..).filter(|extra| !extra.is_empty()) {
        let anchor = lines.last().map(|(line, _)| *line).or(table.uses.last());
        match anchor {
            Some(line) => {
                let pad = indent(text, line.range.start).unwrap_or_default();
                let body: String =
                    extra.iter().map(|name| format!("{newline}{pad}{}", write(name))).collect();
                splices.insert(line.range.end, body);
            }
            None => {
                // The first import switches off the one that `table!` makes by itself.
                let pad = indent(text, table.header).unwrap_or_default();
                let body: String =
                    extra.iter().map(|name| format!("{}{newline}{pad}", write(name))).collect();
                let all = format!("use diesel::sql_types::*;{newline}{pad}");
                let body = body.trim_end_matches([' ', '\t']);
                splices.insert(table.header, format!("{all}{body}{newline}{pad}"));
            }
        }
    }
    if let Some(gone) = lines.get(wanted.len()..).filter(|gone| !gone.is_empty()) {
        let configured =
            printer.config.import_types.as_ref().is_some_and(|types| !types.is_empty());
        let only_all = match table.uses.as_slice() {
            [all, rest @ ..] => all.path == "diesel::sql_types::*" && rest.len() == lines.len(),
            [] => false,
        };
        if wanted.is_empty() && only_all && !configured {
            splices.remove(table.uses[0].range.start..table.header);
        } else {
            for (line, _) in gone {
                let at = table.uses.iter().position(|u| u == *line).unwrap_or_default();
                let (start, end) = match at.checked_sub(1) {
                    Some(previous) => (table.uses[previous].range.end, line.range.end),
                    None => (
                        line.range.start,
                        table.uses.get(1).map_or(table.header, |next| next.range.start),
                    ),
                };
                splices.remove(start..end);
            }
        }
    }
    splices.apply(text)
}

/// Removes import and struct of the type of a dropped column, if nothing else in the module uses
/// them. `before` are the columns with the dropped one.
pub(super) fn forget(
    printer: &Printer<'_>,
    text: &str,
    name: &TableName,
    before: &[Column],
    dropped: &Column,
) -> Result<String, SchemaError> {
    let gone = words(&dropped.ty);
    let file = SchemaFile::parse(text)?;
    let table = file.table(text, name)?;
    let used = |table: &Table, word: &String| {
        table.columns.iter().any(|column| words(&column.ty).contains(word))
    };
    let wanted: Vec<String> = table
        .uses
        .iter()
        .filter_map(imported)
        .map(str::to_owned)
        .filter(|word| !gone.contains(word) || used(table, word))
        .collect();
    let text = rewrite(printer, text, table, before, &wanted);
    let file = SchemaFile::parse(&text)?;
    let table = file.table(&text, name)?;
    let mut path = table.module.clone();
    path.push("sql_types".to_owned());
    let present: Vec<&Stub> = file.stubs.iter().filter(|stub| stub.module == path).collect();
    let neighbours = || file.tables.iter().filter(|other| other.module == table.module);
    let Some(at) = present.iter().position(|stub| {
        gone.contains(&stub.rust_name) && !neighbours().any(|other| used(other, &stub.rust_name))
    }) else {
        return Ok(text);
    };
    let stub = present[at];
    let blank = |from: usize, to: usize| text[from..to].trim().is_empty();
    let module = file.stub_modules.iter().find(|module| module.module == table.module);
    let mut splices = Splices::default();
    match (module, present.get(at + 1), at.checked_sub(1).map(|at| present[at])) {
        (Some(module), None, None)
            if blank(module.inside.start, stub.range.start)
                && blank(stub.range.end, module.inside.end) =>
        {
            let rest = &text[module.range.end..];
            let next = module.range.end + rest.len() - rest.trim_start().len();
            splices.remove(module.range.start..next);
        }
        (_, Some(next), _) if blank(stub.range.end, next.range.start) => {
            splices.remove(stub.range.start..next.range.start);
        }
        (_, _, Some(last)) if blank(last.range.end, stub.range.start) => {
            splices.remove(last.range.end..stub.range.end);
        }
        _ => splices.remove(stub.range.clone()),
    }
    Ok(splices.apply(&text))
}
