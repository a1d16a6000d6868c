//! Fixes of structs that are read by position.

use std::sync::LazyLock;

use regex::Regex;

use super::super::{
    Project, SourceFacts,
    facts::{DeriveAt, Import, ScopeId, Struct},
    names::Meaning,
};
use crate::{
    audit::finding::{Edit, Fix},
    backend::Backend,
};

/// Derives that do nothing with a field but read, copy, compare or show it.
const HARMLESS: &[&str] = &[
    "Queryable",
    "Identifiable",
    "Associations",
    "Debug",
    "Clone",
    "PartialEq",
    "Eq",
    "Hash",
    "PartialOrd",
    "Ord",
    "Default",
];

/// A name before a brace, with the word before it.
static BUILT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?:(\w+|->)\s+)?(?:\w+::)*(\w+)\s*\{").expect("a valid expression")
});

/// Derives `Selectable`, so that the columns can be named: where the fields are the columns, one by
/// one, and so mean what they meant.
pub(super) fn derive_selectable(
    project: &Project<'_>,
    home: &SourceFacts<'_>,
    item: &Struct,
) -> Option<Fix> {
    let at = item.derive.as_ref().filter(|_| is_row(project, item))?;
    let names = project.names(home);
    let table = &project.subject.table.rust_name;
    let path = item.table_name.clone().unwrap_or_else(|| vec![table.clone()]);
    if names.meaning(item.scope, &path) != Some(Meaning::Module) {
        return None;
    }
    let seen = |import: &&Import| names.lies_in(item.scope, import.scope);
    let brings = |import: &Import| match &import.name {
        None => import.path == ["diesel", "prelude"],
        Some(name) => name == "Selectable",
    };
    let derive = match home.facts.imports.iter().filter(seen).any(brings) {
        true => "Selectable",
        false => "diesel::Selectable",
    };
    let mut settings = Vec::new();
    if item.table_name.is_none() && !names.is_of_table(&selectable(item)) {
        settings.push(format!("table_name = {table}"));
    }
    if let [engine] = project.subject.engines.iter().collect::<Vec<_>>()[..] {
        let backend = match engine {
            Backend::Postgres => "diesel::pg::Pg",
            Backend::Mysql => "diesel::mysql::Mysql",
            Backend::Sqlite => "diesel::sqlite::Sqlite",
        };
        settings.push(format!("check_for_backend({backend})"));
    }
    let mut edits = vec![Edit { range: at.last..at.last, text: format!(", {derive}") }];
    if !settings.is_empty() {
        let text = format!("{}#[diesel({})]", gap(&home.source.text, at), settings.join(", "));
        edits.push(Edit { range: at.end..at.end, text });
    }
    let message = format!("derive `Selectable` for `{}`", item.name);
    Some(Fix { message, path: Some(home.path().to_owned()), edits })
}

/// Reports whether a struct can be called by its bare name somewhere, as far as the file tells.
pub(super) fn sees(
    project: &Project<'_>,
    file: &SourceFacts<'_>,
    scope: ScopeId,
    item: &Struct,
) -> bool {
    let names = project.names(file);
    let module = names.module_of(scope);
    let own = |other: &Struct| other.name == item.name && names.module_of(other.scope) == module;
    let brings = |import: &Import| match &import.name {
        Some(name) => *name == item.name,
        // Globs of Diesel and of what `table!` makes bring no structs.
        None => !import.path.iter().any(|word| matches!(word.as_str(), "diesel" | "dsl")),
    };
    let mut imports = file.facts.imports.iter();
    file.facts.structs.iter().any(own)
        || imports.any(|import| names.lies_in(scope, import.scope) && brings(import))
}

/// Gives the struct the field at the column's place, where schema.rs has the column, its type is
/// known, and nothing else is made of the struct's fields.
pub(super) fn add_field(
    project: &Project<'_>,
    home: &SourceFacts<'_>,
    item: &Struct,
) -> Option<Fix> {
    let column = &project.subject.column;
    let before = item.fields.get(column.position?.checked_sub(1)?)?;
    let ty = rust_type(column.ty.as_deref()?)?;
    let harmless = item.derives.iter().all(|derive| HARMLESS.contains(&derive.as_str()));
    if !is_row(project, item) || !harmless || is_built(project, &item.name) {
        return None;
    }
    let text = &home.source.text;
    let start = before.visibility.start.min(before.range.start);
    let line = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let indent = &text[line..start];
    let gap = if indent.trim().is_empty() { format!("\n{indent}") } else { " ".to_owned() };
    let visibility = text.get(before.visibility.clone())?;
    let visibility = if visibility.is_empty() { String::new() } else { format!("{visibility} ") };
    let field = format!(",{gap}{visibility}{}: {ty}", column.rust_name);
    Some(Fix {
        message: format!("read `{}` into `{}`", column.rust_name, item.name),
        path: Some(home.path().to_owned()),
        edits: vec![Edit { range: before.end..before.end, text: field }],
    })
}

/// Reports whether the fields are the table's columns, in their order.
fn is_row(project: &Project<'_>, item: &Struct) -> bool {
    let columns = &project.subject.table.columns;
    item.plain
        && item.fields.len() == columns.len()
        && item.fields.iter().zip(columns).all(|(field, column)| {
            field.column.as_ref() == Some(&column.rust_name) && !field.embed && !field.read_as
        })
}

/// Returns the struct as it is with the derive, by whose name Diesel then takes the table.
fn selectable(item: &Struct) -> Struct {
    let mut item = item.clone();
    item.derives.push("Selectable".to_owned());
    item
}

/// Returns what stands between two attributes.
fn gap(text: &str, at: &DeriveAt) -> String {
    if !text[at.end..].trim_start_matches([' ', '\t']).starts_with(['\n', '\r']) {
        return " ".to_owned();
    }
    let line = text[..at.start].rfind('\n').map_or(0, |at| at + 1);
    let indent: String = text[line..].chars().take_while(|c| *c == ' ' || *c == '\t').collect();
    format!("\n{indent}")
}

/// Reports whether a struct of this name is made, or taken apart, anywhere: each such place names all
/// fields, or may.
fn is_built(project: &Project<'_>, name: &str) -> bool {
    const HEADS: &[&str] = &["struct", "impl", "for", "->", "enum", "union", "trait", "mod"];
    project.files.iter().any(|file| {
        let text = &file.source.text;
        let own = text.contains("Self") && text.contains(name);
        text.contains(name)
            && BUILT.captures_iter(text).any(|found| {
                let word = found.get(2).map_or("", |word| word.as_str());
                let is_head = found.get(1).is_some_and(|head| HEADS.contains(&head.as_str()));
                (word == name || (word == "Self" && own)) && !is_head
            })
    })
}

/// Returns the type that Diesel reads a type of its own into.
fn rust_type(ty: &str) -> Option<String> {
    if let Some(inner) = ty.strip_prefix("Nullable<").and_then(|rest| rest.strip_suffix('>')) {
        return rust_type(inner).map(|inner| format!("Option<{inner}>"));
    }
    let name = match ty {
        "Text" | "Varchar" | "Char" | "Bpchar" | "VarChar" => "String",
        "Integer" | "Int4" => "i32",
        "BigInt" | "Int8" | "Bigint" => "i64",
        "SmallInt" | "Int2" | "Smallint" => "i16",
        "Bool" => "bool",
        "Float" | "Float4" => "f32",
        "Double" | "Float8" => "f64",
        "Binary" | "Bytea" | "Blob" => "Vec<u8>",
        _ => return None,
    };
    Some(name.to_owned())
}
