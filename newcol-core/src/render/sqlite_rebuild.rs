//! Rebuilds a SQLite table with another definition of one column.
//!
//! SQLite's own recipe (lang_altertable.html, "Making Other Kinds Of Table Schema Changes"), run
//! outside of Diesel's transaction: `PRAGMA foreign_keys` is a no-op inside one, and with foreign
//! keys on the `DROP TABLE` would delete the rows of child tables. Invariant: if foreign keys are
//! still on, if a row is missing or a child lost its parent, nothing is committed.

use sqlparser::tokenizer::Token;

use super::{
    Scope,
    sqlite::{definition, sql},
    text::{Hole, SqlText, join},
};
use crate::{
    backend::Backend,
    ident::Ident,
    plan::{ColumnShape, Stage, Step},
    sql::{self as tokenized, Placed},
};

/// Returns the statements, PRAGMAs and transaction control included.
pub(super) fn rebuild(to: &ColumnShape, scope: &Scope<'_>) -> Vec<SqlText> {
    let table = scope.facts.sqlite.as_ref().expect("a rebuild is planned only with stored SQL");
    let create = with_definition(&table.create, to, scope);
    let create = sql(
        "CREATE TABLE {rebuilt} {definition}",
        &[("rebuilt", Hole::Name(&scope.names.rebuilt.name)), ("definition", Hole::Sql(&create))],
    );
    let columns: Vec<SqlText> = scope
        .facts
        .columns
        .iter()
        .filter(|c| !c.generated && c.name != *scope.column())
        .map(|c| &c.name)
        .chain([scope.column()])
        .map(|name| sql("{c}", &[("c", Hole::Name(name))]))
        .collect();
    let columns = join(&columns, ", ");
    let holes = [
        ("table", Hole::Table(scope.table())),
        ("name", Hole::Name(&scope.table().name)),
        ("text", Hole::Literal(scope.table().name.as_str())),
        ("rebuilt", Hole::Name(&scope.names.rebuilt.name)),
        ("guard", Hole::Name(&scope.names.guard)),
        ("columns", Hole::Sql(&columns)),
    ];
    let mut statements: Vec<SqlText> = [
        "PRAGMA foreign_keys = OFF",
        "PRAGMA legacy_alter_table = ON",
        "BEGIN IMMEDIATE",
        "CREATE TEMP TABLE {guard} (
  foreign_keys INTEGER CONSTRAINT \"foreign keys are still on\" CHECK (foreign_keys = 0),
  missing INTEGER CONSTRAINT \"rows went missing\" CHECK (missing = 0),
  orphans INTEGER CONSTRAINT \"children lost their parent\" CHECK (orphans <= 0),
  known INTEGER, seq INTEGER)",
        "INSERT INTO temp.{guard} (foreign_keys) SELECT foreign_keys FROM pragma_foreign_keys",
        "INSERT INTO temp.{guard} (known) SELECT count(*) FROM pragma_foreign_key_check",
    ]
    .map(|template| sql(template, &holes))
    .into();
    let numbered = mentions_autoincrement(&table.create);
    if numbered {
        statements.push(sql(
            "INSERT INTO temp.{guard} (seq) SELECT seq FROM sqlite_sequence WHERE name = {text}",
            &holes,
        ));
    }
    statements.push(create);
    statements.extend(
        [
            "INSERT INTO {rebuilt} ({columns}) SELECT {columns} FROM {name}",
            "INSERT INTO temp.{guard} (missing) SELECT (SELECT count(*) FROM {name}) - (SELECT count(*) FROM {rebuilt})",
            "DROP TABLE {name}",
            "ALTER TABLE {rebuilt} RENAME TO {name}",
        ]
        .map(|template| sql(template, &holes)),
    );
    if numbered {
        // Numbers of deleted rows must not be given out again.
        statements.extend(
            [
                "DELETE FROM sqlite_sequence WHERE name = {text}",
                "INSERT INTO sqlite_sequence (name, seq) SELECT {text}, seq FROM temp.{guard} WHERE seq IS NOT NULL",
            ]
            .map(|template| sql(template, &holes)),
        );
    }
    statements.extend(attached(scope));
    statements.extend(
        [
            "INSERT INTO temp.{guard} (orphans) SELECT (SELECT count(*) FROM pragma_foreign_key_check) - (SELECT max(known) FROM temp.{guard})",
            "DROP TABLE temp.{guard}",
            "COMMIT",
            "PRAGMA legacy_alter_table = OFF",
            "PRAGMA foreign_keys = ON",
        ]
        .map(|template| sql(template, &holes)),
    );
    statements
}

/// Indexes and triggers go with the table, so they are made again: those that are stored, and our
/// own that the stages before this one bring.
fn attached(scope: &Scope<'_>) -> Vec<SqlText> {
    let stored = scope.facts.sqlite.iter().flat_map(|t| &t.attached);
    let mut statements: Vec<SqlText> =
        stored.clone().map(|(_, sql)| SqlText::stored(sql.clone())).collect();
    let known: Vec<&Ident> = stored.map(|(name, _)| name).collect();
    let before = scope.plan.stages.iter().take_while(|stage| !rebuilds(stage));
    for step in before.flat_map(|s| &s.migrations).flat_map(|m| &m.steps) {
        if !objects(step, scope).iter().all(|name| known.contains(name)) {
            statements.extend(super::sqlite::up(step, scope).into_iter().map(|s| s.sql));
        }
    }
    statements
}

fn rebuilds(stage: &Stage) -> bool {
    stage.migrations.iter().flat_map(|m| &m.steps).any(|s| matches!(s, Step::Rebuild { .. }))
}

/// What a step leaves hanging on the table.
fn objects<'a>(step: &Step, scope: &'a Scope<'_>) -> Vec<&'a Ident> {
    let names = &scope.names;
    match step {
        Step::CreateFill => vec![&names.fill],
        Step::CreateSync => vec![&names.sync_insert, &names.sync_update, &names.sync_back],
        Step::CreateIndex(_) => vec![&names.index],
        _ => Vec::new(),
    }
}

/// Returns the stored definition from its bracket on, with our column as it shall become.
fn with_definition(create: &str, to: &ColumnShape, scope: &Scope<'_>) -> SqlText {
    let wanted = definition(to, scope);
    let body = Body::read(create);
    let ours = scope.column().as_str();
    let text = match body.columns.iter().find(|c| c.name.eq_ignore_ascii_case(ours)) {
        Some(column) => {
            format!("{}{wanted}{}", &create[body.open..column.start], &create[column.end..])
        }
        // Planned ahead of the expand stage: put where ADD COLUMN will put it.
        None => {
            let end = body.columns.last().map_or(body.open + 1, |c| c.end);
            format!("{}, {wanted}{}", &create[body.open..end], &create[end..])
        }
    };
    SqlText::stored(text)
}

fn mentions_autoincrement(create: &str) -> bool {
    tokens(create).iter().any(|placed| {
        matches!(&placed.token, Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case("autoincrement"))
    })
}

/// The bracketed part of a stored `CREATE TABLE`.
struct Body {
    /// Offset of the opening bracket.
    open: usize,
    columns: Vec<StoredColumn>,
}

struct StoredColumn {
    name: String,
    start: usize,
    end: usize,
}

impl Body {
    fn read(create: &str) -> Self {
        let tokens = tokens(create);
        let mut depth = 0;
        let mut open = create.len();
        let mut columns = Vec::new();
        let mut current: Option<StoredColumn> = None;
        let mut constraints = false;
        for Placed { token, range, .. } in tokens {
            match token {
                Token::Whitespace(_) => continue,
                Token::LParen => {
                    depth += 1;
                    if depth == 1 && open == create.len() {
                        open = range.start;
                        continue;
                    }
                }
                Token::RParen => {
                    depth -= 1;
                    if depth == 0 {
                        columns.extend(current.take());
                        break;
                    }
                }
                Token::Comma if depth == 1 => {
                    columns.extend(current.take());
                    continue;
                }
                _ => {}
            }
            if depth == 0 || constraints {
                continue;
            }
            match &mut current {
                Some(column) => column.end = range.end,
                None if starts_constraint(&token) => constraints = true,
                None => {
                    current = Some(StoredColumn {
                        name: name_of(&token),
                        start: range.start,
                        end: range.end,
                    })
                }
            }
        }
        Self { open, columns }
    }
}

fn starts_constraint(token: &Token) -> bool {
    const WORDS: [&str; 5] = ["CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"];
    matches!(token, Token::Word(w) if w.quote_style.is_none()
        && WORDS.iter().any(|k| w.value.eq_ignore_ascii_case(k)))
}

fn name_of(token: &Token) -> String {
    match token {
        Token::Word(word) => word.value.clone(),
        Token::SingleQuotedString(text) | Token::DoubleQuotedString(text) => text.clone(),
        other => other.to_string(),
    }
}

fn tokens(create: &str) -> Vec<Placed> {
    tokenized::tokens(create, Backend::Sqlite).unwrap_or_default()
}
