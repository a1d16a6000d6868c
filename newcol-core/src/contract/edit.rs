//! Writes contract files, with comments for newcomers.
//!
//! What [`write()`] returns, [`super::read::read`] reads back as the same value. It writes answers,
//! not what was derived from them; who serves old writers is then said in a comment.

use std::fmt::Write as _;

use toml_edit::{DocumentMut, Item};

use super::{
    Contract, DefaultLife, Expr, IndexWish, OldRows, PerBackend, Presence, Uniqueness,
    read::{ContractFile, FORMAT, Measured, volatility_name},
};
use crate::{
    backend::Backend,
    ident::Ident,
    plan::{StageKind, facts::Volatility},
};

/// Returns a contract as a commented file in canonical form.
pub fn write(file: &ContractFile) -> String {
    let contract = &file.contract;
    let answers = contract.answers();
    let mut out = Writer::default();
    out.comment(
        "Every decision about one new column, kept by `cargo newcol`; see `cargo newcol plan`.",
    );
    out.pair("format", &FORMAT.to_string());
    out.text("table", &contract.table().to_string());
    out.text("column", contract.column().as_str());
    out.comment("Why it exists: becomes the column's comment in the database.");
    out.text("why", &answers.why);
    if let Some(ty) = &answers.ty.common {
        out.text("type", ty.as_str());
    }
    if let Some(diesel) = &answers.diesel {
        out.comment("Overrides the type in `schema.rs`, without `Nullable`.");
        out.text("diesel", diesel);
    }
    out.comment("true: NOT NULL in the end.");
    out.pair("required", if answers.presence == Presence::Required { "true" } else { "false" });
    write_old_rows(&mut out, contract);
    if let Some(default) = &answers.default {
        let transitional = default.life == DefaultLife::UntilContract;
        if default.value.common.is_some() || transitional {
            out.section("default", "The column's default, in SQL: text has its own quotes.");
            out.expr("value", default.value.common.as_ref());
            if transitional {
                out.comment("Only serves old writers; the contract stage drops it.");
                out.pair("keep", "false");
            }
        }
    }
    if let Some(expr) = &answers.generated.common {
        out.section("generated", "The database computes the column from the row.");
        out.expr("as", Some(expr));
    }
    if let Some(index) = &answers.index {
        write_index(&mut out, index);
    }
    if let Some(references) = &answers.references {
        out.section("references", "Foreign key of the column.");
        out.text("table", &references.table.to_string());
        out.text("column", references.column.as_str());
        if let Some(action) = references.on_delete {
            out.text("on_delete", action.name());
        }
    }
    if let Some(expr) = &answers.check.common {
        out.section("check", "Holds for every row; NULL passes.");
        out.expr("expr", Some(expr));
    }
    if let Some(replaces) = &answers.replaces {
        out.section("replaces", "The old column, kept equal until the contract stage drops it.");
        out.text("column", replaces.column.as_str());
        if let Some(back) = &replaces.back.common {
            out.comment("Computes the old column from the new one.");
            out.expr("back", Some(back));
        }
    }
    if let Some(date) = answers.retire {
        out.section("retire", "From this day on, leftover scaffolding fails the status check.");
        out.pair("by", &date.to_string());
    }
    for backend in Backend::ALL {
        write_engine(&mut out, contract, backend);
    }
    if let Some(measured) = &file.measured {
        out.section("measured", "What a server told; written by `cargo newcol`.");
        for (key, value) in measured_pairs(measured) {
            if let Some(value) = value {
                out.pair(key, &value);
            }
        }
    }
    if !file.confirmed.is_empty() {
        out.section(CONFIRMED, "Why stages were released that no database could clear.");
        for (kind, reason) in &file.confirmed {
            out.text(kind.name(), reason);
        }
    }
    out.0
}

/// The section of reasons given with `--confirm-release`.
const CONFIRMED: &str = "confirmed";

/// Returns the text of a contract file with the reason why a stage was released, or without it;
/// every other byte is kept.
pub fn with_confirmation(
    text: &str,
    kind: StageKind,
    reason: Option<&str>,
) -> Result<String, toml_edit::TomlError> {
    let mut document: DocumentMut = text.parse()?;
    match reason {
        Some(reason) => {
            let section = document.entry(CONFIRMED).or_insert(toml_edit::table());
            section[kind.name()] = toml_edit::value(reason);
        }
        None => {
            let section = document.get_mut(CONFIRMED).and_then(Item::as_table_like_mut);
            if let Some(section) = section {
                section.remove(kind.name());
                if section.is_empty() {
                    document.remove(CONFIRMED);
                }
            }
        }
    }
    Ok(document.to_string())
}

fn write_old_rows(out: &mut Writer, contract: &Contract) {
    let answers = contract.answers();
    match &answers.old_rows {
        OldRows::Sql(PerBackend { common: Some(fill), .. }) => {
            out.section("old_rows", "What rows written before the column get: SQL over the row.");
            out.expr("fill", Some(fill));
        }
        OldRows::Rust(path) => {
            out.section("old_rows", "What rows written before the column get: Rust code.");
            out.text("rust", path);
        }
        OldRows::Sql(_) | OldRows::Unfilled => {}
    }
    let who = "Who fills the column while programs that do not know it still insert";
    match answers.old_writers {
        Some(writers) => {
            out.section("old_writers", &format!("{who}."));
            out.text("by", writers.name());
        }
        None if answers.generated.is_empty() => {
            out.0.push('\n');
            let derived = contract.old_writers().name();
            out.comment(&format!("{who}: {derived}, unless [old_writers] says otherwise."));
        }
        None => {}
    }
}

fn write_index(out: &mut Writer, index: &IndexWish) {
    out.section("index", "Built after old rows are filled.");
    if let Some(name) = &index.name {
        out.text("name", name.as_str());
    }
    if let Some(method) = &index.method {
        out.text("method", method.as_str());
    }
    match index.uniqueness {
        Uniqueness::Plain => {}
        Uniqueness::Unique => out.pair("unique", "true"),
        Uniqueness::Constraint => out.text("unique", "constraint"),
    }
    out.expr("where", index.predicate.common.as_ref());
    if !index.include.is_empty() {
        let names: Vec<String> = index.include.iter().map(Ident::as_str).map(quoted).collect();
        out.pair("include", &format!("[{}]", names.join(", ")));
    }
}

fn write_engine(out: &mut Writer, contract: &Contract, backend: Backend) {
    let answers = contract.answers();
    let no_fill = PerBackend::default();
    let fill = match &answers.old_rows {
        OldRows::Sql(fill) => fill,
        OldRows::Unfilled | OldRows::Rust(_) => &no_fill,
    };
    let ty = special(&answers.ty, backend).map(|ty| ty.as_str());
    let exprs = [
        ("fill", special(fill, backend)),
        ("default", answers.default.as_ref().and_then(|d| special(&d.value, backend))),
        ("generated", special(&answers.generated, backend)),
        ("where", answers.index.as_ref().and_then(|i| special(&i.predicate, backend))),
        ("check", special(&answers.check, backend)),
        ("back", answers.replaces.as_ref().and_then(|r| special(&r.back, backend))),
    ];
    if ty.is_none() && exprs.iter().all(|(_, expr)| expr.is_none()) {
        return;
    }
    out.section(backend.name(), &format!("What differs on {backend}."));
    if let Some(ty) = ty {
        out.text("type", ty);
    }
    for (key, expr) in exprs {
        out.expr(key, expr);
    }
}

fn special<T>(value: &PerBackend<T>, backend: Backend) -> Option<&T> {
    value.special.iter().find(|(b, _)| *b == backend).map(|(_, v)| v)
}

/// Returns the keys of `[measured]` with their TOML values, `None` where nothing was measured.
fn measured_pairs(measured: &Measured) -> [(&'static str, Option<String>); 9] {
    let volatility = measured.default_volatility.filter(|v| *v != Volatility::Unknown);
    let replaced = measured.replaced.as_ref();
    let heirs: Vec<String> =
        measured.heirs.iter().map(|name| quoted_on_one_line(&name.to_string())).collect();
    [
        ("server", Some(quoted_on_one_line(&measured.server))),
        ("default_volatility", volatility.map(|v| quoted(volatility_name(v)))),
        ("type_rewrites", measured.type_rewrites.map(|b| b.to_string())),
        ("replaced_type", replaced.map(|r| quoted_on_one_line(&r.ty))),
        ("replaced_required", replaced.map(|r| r.required.to_string())),
        ("replaced_default", replaced.and_then(|r| r.default.as_deref()).map(quoted_on_one_line)),
        ("replaced_comment", replaced.and_then(|r| r.comment.as_deref()).map(quoted_on_one_line)),
        ("heirs", (!heirs.is_empty()).then(|| format!("[{}]", heirs.join(", ")))),
        ("partitioned", measured.partitioned.then(|| "true".to_owned())),
    ]
}

#[derive(Default)]
struct Writer(String);

impl Writer {
    fn comment(&mut self, text: &str) {
        self.line(&format!("# {text}"));
    }

    fn section(&mut self, name: &str, comment: &str) {
        self.0.push('\n');
        self.comment(comment);
        self.line(&format!("[{name}]"));
    }

    fn pair(&mut self, key: &str, value: &str) {
        self.line(&format!("{key} = {value}"));
    }

    fn text(&mut self, key: &str, value: &str) {
        self.pair(key, &quoted(value));
    }

    fn expr(&mut self, key: &str, value: Option<&Expr>) {
        if let Some(value) = value {
            self.text(key, value.as_str());
        }
    }

    fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }
}

/// Quotes a TOML string in the form that needs the fewest escapes.
fn quoted(text: &str) -> String {
    let control = |c: char| c.is_control() && c != '\t';
    if text.contains('\n') && !text.chars().any(|c| control(c) && c != '\n') {
        return format!("\"\"\"\n{}\"\"\"", escaped(text, &['\n']));
    }
    let awkward = text.contains(['"', '\\']) && !text.chars().any(control);
    if awkward && !text.contains('\'') {
        return format!("'{text}'");
    }
    // `''''` would read as the end and a quote, so the text may not touch its delimiters.
    if awkward && !text.contains("'''") && !text.starts_with('\'') && !text.ends_with('\'') {
        return format!("'''{text}'''");
    }
    quoted_on_one_line(text)
}

fn quoted_on_one_line(text: &str) -> String {
    format!("\"{}\"", escaped(text, &[]))
}

fn escaped(text: &str, plain: &[char]) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            _ if plain.contains(&c) => out.push(c),
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                write!(out, "\\u{:04X}", u32::from(c)).expect("writing to a string cannot fail");
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests;
