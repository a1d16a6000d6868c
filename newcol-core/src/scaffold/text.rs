//! The text of the test, as rustfmt leaves it for usual names.

use std::fmt::Write as _;

use super::{
    EngineMigrations, SchemaAccess, Subject,
    diesel_code::{Connection, DieselCode, Field},
    test_name,
    values::Kind,
};
use crate::{backend::Backend, schema::Table};

/// Writes the file. `backfill` is the code that fills old rows, and the statement that stands for it.
pub(super) fn write(
    subject: &Subject<'_>,
    code: Option<&DieselCode<'_>>,
    backfill: Option<&(&str, String)>,
) -> String {
    let mut text = opening(subject, code, backfill.is_some());
    if let Some(code) = code {
        modules(&mut text, code);
        rows(&mut text, code, subject.contract.required());
        releases(&mut text, code);
    }
    if let Some((path, sql)) = backfill {
        filling(&mut text, path, sql);
    }
    let run = run(code, backfill.is_some());
    match subject.engines.as_slice() {
        [engine] => one_engine(&mut text, subject, engine, &run),
        _ => several_engines(&mut text, subject, &run),
    }
    text
}

/// Returns the `table!` that was there before the column, without doc comments.
pub(super) fn declaration(source: &str, table: &Table) -> String {
    let mut text = String::from("diesel::table! {\n");
    for line in &table.uses {
        let _ = writeln!(text, "    {}", &source[line.range.clone()]);
    }
    let attrs = |text: &mut String, attrs: &[crate::schema::Attr], indent: &str| {
        for attr in attrs.iter().filter(|attr| attr.name != "doc") {
            let _ = writeln!(text, "{indent}{}", &source[attr.range.clone()]);
        }
    };
    attrs(&mut text, &table.attrs, "    ");
    let name = &source[table.name_range.clone()];
    let _ = writeln!(text, "    {name} ({}) {{", table.primary_key.join(", "));
    for column in &table.columns {
        attrs(&mut text, &column.attrs, "        ");
        let _ = writeln!(text, "        {} -> {},", column.rust_name, column.ty);
    }
    text + "    }\n}\n"
}

fn opening(subject: &Subject<'_>, code: Option<&DieselCode<'_>>, backfill: bool) -> String {
    let path = subject.contract.path();
    let what = match code {
        Some(_) => {
            "//! Yours to extend: give the rows what your application gives them, and call its own code.\n\
             //! What is left out (`upsert`, say) is not tested.\n"
        }
        None => {
            "//! The code of both is made up from the table, and shows what the database does to plain\n\
             //! statements. Yours to extend: the comment below says how to run your own.\n"
        }
    };
    let mut text = format!(
        "//! `{path}` at every stage: the release before it and the one that writes it, side by\n\
         //! side on a throwaway database that the project's migrations make.\n//!\n{what}\n"
    );
    let mut uses = vec!["use newcol_testkit::{ColumnFiles, Want};".to_owned()];
    match code.map(|code| &code.connection) {
        Some(Connection::Blocking(_) | Connection::Multi(_)) => {
            uses.push("use diesel::prelude::*;".to_owned());
            uses.push("use newcol_testkit::program::Code;".to_owned());
        }
        Some(Connection::Async(backend)) => {
            uses.push("use diesel::prelude::*;".to_owned());
            let connection = connection_type(*backend, true);
            uses.push(format!("use diesel_async::{{AsyncConnection, {connection}, RunQueryDsl}};"));
            uses.push("use newcol_testkit::program::AsyncCode;".to_owned());
        }
        None => {}
    }
    if backfill {
        uses.push("use newcol_testkit::scratch::{self, AdminError};".to_owned());
    }
    if let Some(SchemaAccess::Import(path)) = code.map(|code| code.access) {
        uses.push(format!("use {path};"));
    }
    uses.sort();
    let _ = writeln!(text, "{}", uses.join("\n"));
    text
}

fn connection_type(backend: Backend, is_async: bool) -> &'static str {
    match (backend, is_async) {
        (Backend::Postgres, true) => "AsyncPgConnection",
        (Backend::Mysql, true) => "AsyncMysqlConnection",
        (Backend::Postgres, false) => "PgConnection",
        (Backend::Mysql, false) => "MysqlConnection",
        (Backend::Sqlite, _) => "SqliteConnection",
    }
}

fn modules(text: &mut String, code: &DieselCode<'_>) {
    text.push_str("\n/// The table before the column.\nmod before {\n");
    for line in code.declaration.lines() {
        let _ = writeln!(text, "    {line}");
    }
    text.push_str("}\n");
    if let SchemaAccess::File(path) = code.access {
        let _ = write!(text, "\n#[path = \"{path}\"]\nmod schema;\n");
    }
    if let Connection::Multi(backends) = &code.connection {
        text.push_str(
            "\n/// One connection for every engine, so that the code is written once.\n\
             #[derive(diesel::MultiConnection)]\nenum AnyConnection {\n",
        );
        for backend in backends {
            let _ = writeln!(text, "    {backend:?}({}),", connection_type(*backend, false));
        }
        text.push_str("}\n");
    }
}

const DERIVES: &str = "Queryable, Selectable, Insertable, AsChangeset";

fn rows(text: &mut String, code: &DieselCode<'_>, required: bool) {
    let key = code.told_key.as_ref().map(|key| format!(", primary_key({key})")).unwrap_or_default();
    for side in [Release::Old, Release::New] {
        let (name, path) = side.names(code);
        let _ = write!(
            text,
            "\n#[derive(Debug, PartialEq, {DERIVES})]\n#[diesel(table_name = {path}{key})]\nstruct {name} {{\n",
        );
        for field in &code.fields {
            let _ = writeln!(text, "    {}: {},", field.name, rust_type(field));
        }
        if side == Release::New {
            let Field { name, .. } = &code.new;
            if !required {
                // The audit cannot know that no row of the test wants NULL there.
                text.push_str("    // newcol:allow(NC007): rows of this test have a value\n");
            }
            let _ = write!(
                text,
                "    // `nullable()` also reads it once schema.rs says that it is never NULL.\n    \
                 #[diesel(select_expression = {path}::{name}.nullable())]\n    {name}: {},\n",
                rust_type(&code.new)
            );
        }
        text.push_str("}\n");
    }
}

fn rust_type(field: &Field) -> String {
    let rust = field.sample.rust;
    if field.nullable { format!("Option<{rust}>") } else { rust.to_owned() }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Release {
    Old,
    New,
}

impl Release {
    /// Returns the struct's name and the table's path.
    fn names(self, code: &DieselCode<'_>) -> (&'static str, String) {
        match self {
            Self::Old => ("OldRow", format!("before::{}", code.table)),
            Self::New => ("NewRow", format!("schema::{}", code.path)),
        }
    }
}

fn releases(text: &mut String, code: &DieselCode<'_>) {
    for side in [Release::Old, Release::New] {
        release(text, code, side);
    }
}

fn release(text: &mut String, code: &DieselCode<'_>, side: Release) {
    let (row, path) = side.names(code);
    let (of, connection) = match &code.connection {
        Connection::Blocking(backend) => ("Code", connection_type(*backend, false)),
        Connection::Multi(_) => ("Code", "AnyConnection"),
        Connection::Async(backend) => ("AsyncCode", connection_type(*backend, true)),
    };
    let name = match side {
        Release::Old => "old",
        Release::New => "new",
    };
    let _ = write!(
        text,
        "\nfn {name}() -> {of}<{connection}, {row}> {{\n    use {path}::table;\n    \
         let row = |n: u64| {row} {{\n"
    );
    for field in &code.fields {
        let value = if field.nullable { "None" } else { &field.sample.value };
        let _ = writeln!(text, "        {}: {value},", field.name);
    }
    if side == Release::New {
        let Field { name, sample, .. } = &code.new;
        let _ = writeln!(text, "        {name}: Some({}),", sample.value);
    }
    let _ = write!(text, "    }};\n    {of}::new({connection}::establish, row)\n");
    if code.connection.is_async() {
        text.push_str("        .expect(\"a runtime\")\n");
    }
    if side == Release::New {
        let name = &code.new.name;
        match code.new.sample.kind {
            Kind::Text => {
                let _ = writeln!(text, "        .column(|row| row.{name}.clone())");
            }
            Kind::Number => {
                let _ = writeln!(
                    text,
                    "        .column(|row| row.{name}.map(|value| value.to_string()))"
                );
            }
            Kind::Id | Kind::Other => {}
        }
    }
    operations(text, code, row);
    text.push_str("}\n");
}

fn operations(text: &mut String, code: &DieselCode<'_>, row: &str) {
    let key = &code.key;
    let (closure, wait) = if code.connection.is_async() { ("async ", ".await") } else { ("", "") };
    let mut add = |operation: &str, arguments: &str, first: Option<&str>, parts: &[&str]| {
        let parts: Vec<&str> =
            parts.iter().copied().chain([wait]).filter(|p| !p.is_empty()).collect();
        let body = chained(&parts, 12);
        let body = match first {
            None if !body.contains('\n') => body,
            None => format!("{{\n            {body}\n        }}"),
            Some(first) => format!("{{\n            {first}\n            {body}\n        }}"),
        };
        let _ = writeln!(text, "        .{operation}({closure}|{arguments}| {body})");
    };
    add("insert", "db, row", None, &["row.insert_into(table)", ".execute(db)"]);
    // Not every engine of several has the same idea of it.
    if !matches!(code.connection, Connection::Multi(_)) {
        add("batch_insert", "db, rows", None, &["rows.insert_into(table)", ".execute(db)"]);
    }
    let (found, select) = (format!(".find({key})"), format!(".select({row}::as_select())"));
    if let Some(change) = &code.change {
        let update = format!("diesel::update(table{found})");
        add("update", "db, row", Some(change), &[&update, ".set(&*row)", ".execute(db)"]);
    }
    add("read", "db, row", None, &["table", &found, &select, ".first(db)"]);
    add("list", "db", None, &["table", &select, ".load(db)"]);
    let delete = format!("diesel::delete(table{found})");
    add("delete", "db, row", None, &[&delete, ".execute(db)"]);
}

/// Writes a chain of calls on one line, or on one each where rustfmt would.
fn chained(parts: &[&str], indent: usize) -> String {
    const CHAIN_WIDTH: usize = 60;
    let line = parts.concat();
    if line.len() <= CHAIN_WIDTH {
        return line;
    }
    parts.join(&format!("\n{}", " ".repeat(indent + 4)))
}

/// Writes the arguments of a call on one line, or on one each where rustfmt would.
fn called(arguments: &[String]) -> String {
    const FN_CALL_WIDTH: usize = 60;
    let line = arguments.join(", ");
    if line.len() <= FN_CALL_WIDTH {
        return line;
    }
    format!("\n        {},\n    ", arguments.join(",\n        "))
}

const HINT: &str = "    // Your own code goes in front of `and_back`, as `newcol_testkit::program` shows:\n    \
                    // .old(Code::new(connect, row).insert(|db, row| ...)).new_code(...)\n";

/// Writes what both kinds of test do with `column`.
fn run(code: Option<&DieselCode<'_>>, is_filled: bool) -> String {
    let mut parts = vec!["column", ".matrix()"];
    let hint = if code.is_some() {
        parts.extend([".old(old())", ".new_code(new())"]);
        ""
    } else {
        HINT
    };
    if is_filled {
        parts.push(".backfill(backfill)");
    }
    parts.push(".and_back()");
    format!(
        "{hint}    let matrix = {};\n    matrix.run(column.url()).unwrap().assert_kept();\n",
        chained(&parts, 4)
    )
}

fn filling(text: &mut String, path: &str, sql: &str) {
    let _ = write!(
        text,
        "\n/// Fills old rows. Let it call `{path}`; until then, one value stands for all.\n\
         fn backfill(url: &str) -> Result<(), AdminError> {{\n    scratch::run({})\n}}\n",
        called(&["url".to_owned(), format!("&[{sql:?}]")])
    );
}

fn one_engine(text: &mut String, subject: &Subject<'_>, engine: &EngineMigrations, run: &str) {
    let (file, dir) = (&subject.contract_file, &engine.dir);
    let (name, engine) = (test_name(subject.contract), engine.backend.name());
    let recorded = [format!("Want::{engine}()"), format!("\"tests/{name}.{engine}.txt\"")];
    let _ = write!(
        text,
        "\nconst COLUMN: ColumnFiles = ColumnFiles {{\n    package: env!(\"CARGO_MANIFEST_DIR\"),\n    \
         contract: \"{file}\",\n    migrations: \"{dir}\",\n}};\n\n\
         #[test]\nfn both_releases_work_at_every_stage() {{\n    \
         let Some(column) = COLUMN.on(Want::{engine}()) else {{\n        return;\n    }};\n{run}}}\n\n\
         #[test]\nfn every_stage_changes_the_schema_as_recorded() {{\n    \
         COLUMN.assert_changes({});\n}}\n",
        called(&recorded)
    );
}

fn several_engines(text: &mut String, subject: &Subject<'_>, run: &str) {
    let (file, name) = (&subject.contract_file, test_name(subject.contract));
    let _ = write!(
        text,
        "\n/// Runs both releases at every stage, and compares what each stage changes in the schema.\n\
         fn check(engine: Want, migrations: &str, recorded: &str) {{\n    \
         let files = ColumnFiles {{\n        package: env!(\"CARGO_MANIFEST_DIR\"),\n        \
         contract: \"{file}\",\n        migrations,\n    }};\n    \
         let Some(column) = files.on(engine) else {{\n        return;\n    }};\n{run}    \
         files.assert_changes(engine, recorded);\n}}\n"
    );
    for engine in &subject.engines {
        let (backend, dir) = (engine.backend.name(), &engine.dir);
        let arguments = [
            format!("Want::{backend}()"),
            format!("\"{dir}\""),
            format!("\"tests/{name}.{backend}.txt\""),
        ];
        let _ = write!(
            text,
            "\n#[test]\nfn on_{backend}() {{\n    check({});\n}}\n",
            called(&arguments)
        );
    }
}
