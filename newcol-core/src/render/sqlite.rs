//! SQLite 3.37 or later.

use super::{
    Scope, Statement, care, postgres, sqlite_rebuild,
    text::{Hole, SqlText},
};
use crate::{
    backend::Backend,
    contract::Uniqueness,
    ident::{Ident, TableName},
    plan::{ColumnShape, LEFTOVERS, Leftovers, Step},
};

pub(super) fn up(step: &Step, scope: &Scope<'_>) -> Vec<Statement> {
    match step {
        Step::AddColumn(shape) => vec![Statement::proven(
            sql(
                "ALTER TABLE {table} ADD COLUMN {definition}",
                &[
                    ("table", Hole::Table(scope.table())),
                    ("definition", Hole::Sql(&definition(shape, scope))),
                ],
            ),
            column_exists(scope.column(), scope),
        )],
        Step::CreateFill => vec![create_fill(scope)],
        Step::DropFill => vec![drop_trigger(&scope.names.fill, scope)],
        Step::CreateSync => create_sync(scope),
        Step::DropSync => sync_names(scope).iter().map(|n| drop_trigger(n, scope)).collect(),
        Step::FillLeftovers(leftovers) => {
            fill_leftovers(leftovers, scope).into_iter().map(Statement::repeatable).collect()
        }
        Step::CreateIndex(_) => vec![create_index(scope)],
        Step::Rebuild { to, .. } => {
            sqlite_rebuild::rebuild(to, scope).into_iter().map(Statement::repeatable).collect()
        }
        Step::DropReplaced => {
            let (old, _) = scope.replaced();
            vec![Statement::proven(drop_column(old, scope), not(&column_exists(old, scope)))]
        }
        Step::Comment
        | Step::SetDefault
        | Step::DropDefault
        | Step::AddNotNullCheck
        | Step::ValidateNotNullCheck
        | Step::SetNotNull
        | Step::DropNotNullCheck
        | Step::AddCheck
        | Step::ValidateCheck
        | Step::AddForeignKey
        | Step::ValidateForeignKey
        | Step::AddUnique
        | Step::CreatePartitionedIndex => unreachable!("planned on another engine only"),
    }
}

pub(super) fn down(step: &Step, scope: &Scope<'_>) -> Vec<SqlText> {
    match step {
        Step::AddColumn(_) => vec![drop_column(scope.column(), scope)],
        Step::CreateFill => vec![drop_trigger(&scope.names.fill, scope).sql],
        Step::DropFill => vec![create_fill(scope).sql],
        Step::CreateSync => {
            sync_names(scope).iter().rev().map(|n| drop_trigger(n, scope).sql).collect()
        }
        Step::DropSync => create_sync(scope).into_iter().map(|s| s.sql).collect(),
        Step::CreateIndex(_) => {
            vec![sql(
                "DROP INDEX {index}",
                &[("index", Hole::Table(&beside(&scope.names.index, scope)))],
            )]
        }
        Step::Rebuild { from, .. } => sqlite_rebuild::rebuild(from, scope),
        Step::DropReplaced => restore_replaced(scope),
        Step::FillLeftovers(_)
        | Step::Comment
        | Step::SetDefault
        | Step::DropDefault
        | Step::AddNotNullCheck
        | Step::ValidateNotNullCheck
        | Step::SetNotNull
        | Step::DropNotNullCheck
        | Step::AddCheck
        | Step::ValidateCheck
        | Step::AddForeignKey
        | Step::ValidateForeignKey
        | Step::AddUnique
        | Step::CreatePartitionedIndex => Vec::new(),
    }
}

pub(super) fn sql(template: &'static str, holes: &[(&str, Hole<'_>)]) -> SqlText {
    super::text::sql(Backend::Sqlite, template, holes)
}

/// An object in the same (attached) database as the table.
fn beside(name: &Ident, scope: &Scope<'_>) -> TableName {
    TableName { schema: scope.table().schema.clone(), name: name.clone() }
}

/// The column definition as ADD COLUMN appends it to the stored `CREATE TABLE`.
pub(super) fn definition(shape: &ColumnShape, scope: &Scope<'_>) -> SqlText {
    let answers = scope.contract.answers();
    let none = sql("", &[]);
    let default = shape
        .default
        .as_ref()
        .map(|expr| sql(" DEFAULT {default}", &[("default", Hole::Default(expr))]));
    let generated = shape
        .generated
        .as_ref()
        .map(|expr| sql(" GENERATED ALWAYS AS {expr} VIRTUAL", &[("expr", Hole::Expr(expr))]));
    let check = shape
        .inline_check
        .then(|| answers.check.get(Backend::Sqlite))
        .flatten()
        .map(|expr| sql(" CHECK {expr}", &[("expr", Hole::Expr(expr))]));
    let reference =
        shape.inline_reference.then_some(answers.references.as_ref()).flatten().map(|r| {
            sql(
                " REFERENCES {parent} ({key}){on_delete}",
                &[
                    ("parent", Hole::Name(&r.table.name)),
                    ("key", Hole::Name(&r.column)),
                    ("on_delete", Hole::Words(postgres::on_delete(r.on_delete))),
                ],
            )
        });
    sql(
        "{column} {type}{generated}{not_null}{default}{reference}{check}",
        &[
            ("column", Hole::Name(scope.column())),
            ("type", Hole::Type(scope.ty())),
            ("generated", Hole::Sql(generated.as_ref().unwrap_or(&none))),
            ("not_null", Hole::Words(if shape.not_null { " NOT NULL" } else { "" })),
            ("default", Hole::Sql(default.as_ref().unwrap_or(&none))),
            ("reference", Hole::Sql(reference.as_ref().unwrap_or(&none))),
            ("check", Hole::Sql(check.as_ref().unwrap_or(&none))),
        ],
    )
}

fn drop_column(column: &Ident, scope: &Scope<'_>) -> SqlText {
    sql(
        "ALTER TABLE {table} DROP COLUMN {column}",
        &[("table", Hole::Table(scope.table())), ("column", Hole::Name(column))],
    )
}

/// Finds the inserted row again: by rowid, or by key in a table without one.
fn same_row(scope: &Scope<'_>) -> SqlText {
    let without_rowid = scope.facts.sqlite.as_ref().is_some_and(|t| t.without_rowid);
    if !without_rowid {
        return sql("rowid = NEW.rowid", &[]);
    }
    let parts: Vec<SqlText> = scope
        .facts
        .primary_key
        .iter()
        .map(|name| sql("{c} = NEW.{c}", &[("c", Hole::Name(name))]))
        .collect();
    super::text::join(&parts, " AND ")
}

/// SQLite's BEFORE triggers cannot change the row, so the fill comes right after it, in the same
/// statement.
fn create_fill(scope: &Scope<'_>) -> Statement {
    Statement::proven(
        sql(
            "CREATE TRIGGER {trigger} AFTER INSERT ON {table} WHEN NEW.{column} IS NULL
BEGIN
  UPDATE {table_name} SET {column} = {fill} WHERE {same_row};
END",
            &[
                ("trigger", Hole::Table(&beside(&scope.names.fill, scope))),
                ("table", Hole::Name(&scope.table().name)),
                ("table_name", Hole::Name(&scope.table().name)),
                ("column", Hole::Name(scope.column())),
                ("fill", Hole::Expr(scope.fill())),
                ("same_row", Hole::Sql(&same_row(scope))),
            ],
        ),
        trigger_exists(&scope.names.fill, scope),
    )
}

fn sync_names<'a>(scope: &'a Scope<'_>) -> [&'a Ident; 3] {
    [&scope.names.sync_insert, &scope.names.sync_update, &scope.names.sync_back]
}

fn create_sync(scope: &Scope<'_>) -> Vec<Statement> {
    let (old, back) = scope.replaced();
    let same_row = same_row(scope);
    let [insert, forward, backward] = sync_names(scope).map(|n| beside(n, scope));
    let holes = [
        ("insert", Hole::Table(&insert)),
        ("forward", Hole::Table(&forward)),
        ("backward", Hole::Table(&backward)),
        ("table", Hole::Name(&scope.table().name)),
        ("new", Hole::Name(scope.column())),
        ("old", Hole::Name(old)),
        ("fill", Hole::Expr(scope.fill())),
        ("back", Hole::Expr(back)),
        ("same_row", Hole::Sql(&same_row)),
    ];
    let on_insert = sql(
        "CREATE TRIGGER {insert} AFTER INSERT ON {table}
BEGIN
  UPDATE {table} SET {new} = {fill} WHERE {same_row} AND NEW.{new} IS NULL;
  UPDATE {table} SET {old} = {back} WHERE {same_row} AND NEW.{new} IS NOT NULL AND {new} IS NOT {fill};
END",
        &holes,
    );
    // It also fires for what the others write: then the old column follows from the new one, which
    // must stay as it was written.
    let on_old = sql(
        "CREATE TRIGGER {forward} AFTER UPDATE OF {old} ON {table}
WHEN NEW.{old} IS NOT OLD.{old} AND NEW.{new} IS OLD.{new}
BEGIN
  UPDATE {table} SET {new} = {fill} WHERE {same_row} AND {old} IS NOT {back};
END",
        &holes,
    );
    let on_new = sql(
        "CREATE TRIGGER {backward} AFTER UPDATE OF {new} ON {table}
WHEN NEW.{new} IS NOT OLD.{new}
BEGIN
  UPDATE {table} SET {old} = {back} WHERE {same_row} AND {new} IS NOT {fill};
END",
        &holes,
    );
    vec![
        Statement::proven(on_insert, trigger_exists(&scope.names.sync_insert, scope)),
        Statement::proven(on_old, trigger_exists(&scope.names.sync_update, scope)),
        Statement::proven(on_new, trigger_exists(&scope.names.sync_back, scope)),
    ]
}

fn drop_trigger(name: &Ident, scope: &Scope<'_>) -> Statement {
    Statement::proven(
        sql("DROP TRIGGER {trigger}", &[("trigger", Hole::Table(&beside(name, scope)))]),
        not(&trigger_exists(name, scope)),
    )
}

/// A statement cannot raise an error of its own outside of triggers, so a check constraint of a
/// temporary table does; its name is the message.
fn fill_leftovers(leftovers: &Leftovers, scope: &Scope<'_>) -> Vec<SqlText> {
    let path = scope.contract.path();
    let empty = Ident::derived(&[&format!("{path} is still NULL in some rows")]);
    let [table, column, guard, stop] = scope.guarded();
    let mut statements = vec![sql(
        "CREATE TEMP TABLE {guard} (pending INTEGER CONSTRAINT {stop} CHECK (pending <= {bound}), empty INTEGER CONSTRAINT {still} CHECK (empty = 0))",
        &[guard, stop, ("still", Hole::Name(&empty)), ("bound", Hole::Number(LEFTOVERS))],
    )];
    match leftovers {
        Leftovers::Require(expr) | Leftovers::Allow(expr) => {
            let fill = ("fill", Hole::Expr(expr));
            statements.push(sql(
                "INSERT INTO temp.{guard} (pending) SELECT count(*) FROM (SELECT 1 FROM {table} WHERE {column} IS NULL AND {fill} IS NOT NULL LIMIT {more})",
                &[guard, table, column, fill, ("more", Hole::Number(LEFTOVERS + 1))],
            ));
            let update = sql(
                "UPDATE {table} SET {column} = {fill} WHERE {column} IS NULL AND {fill} IS NOT NULL",
                &[table, column, fill],
            );
            statements.extend(without_triggers(update, scope));
        }
        Leftovers::Refuse => {}
    }
    match leftovers {
        Leftovers::Require(_) | Leftovers::Refuse => statements.push(sql(
            "INSERT INTO temp.{guard} (empty) SELECT count(*) FROM {table} WHERE {column} IS NULL",
            &[guard, table, column],
        )),
        Leftovers::Allow(_) => {}
    }
    statements.push(sql("DROP TABLE temp.{guard}", &[guard]));
    statements
}

/// An UPDATE that fires no trigger of the user's, such as one that sets `updated_at`: there is one
/// writer at a time, so nobody misses what is made again before the transaction ends.
fn without_triggers(update: SqlText, scope: &Scope<'_>) -> Vec<SqlText> {
    let attached = scope.facts.sqlite.iter().flat_map(|table| &table.attached);
    let triggers = attached.filter(|(name, _)| scope.facts.update_triggers.contains(name));
    let (drop, again) = care::without_triggers(scope.table(), triggers);
    drop.into_iter().chain([update]).chain(again).collect()
}

fn create_index(scope: &Scope<'_>) -> Statement {
    let wish = scope.contract.answers().index.clone().unwrap_or_default();
    let predicate = wish
        .predicate
        .get(Backend::Sqlite)
        .map_or_else(|| sql("", &[]), |expr| sql(" WHERE {expr}", &[("expr", Hole::Expr(expr))]));
    let index = beside(&scope.names.index, scope);
    let create = sql(
        "CREATE {unique}INDEX {index} ON {table} ({column}){predicate}",
        &[
            (
                "unique",
                Hole::Words(match wish.uniqueness {
                    Uniqueness::Unique | Uniqueness::Constraint => "UNIQUE ",
                    Uniqueness::Plain => "",
                }),
            ),
            ("index", Hole::Table(&index)),
            ("table", Hole::Name(&scope.table().name)),
            ("column", Hole::Name(scope.column())),
            ("predicate", Hole::Sql(&predicate)),
        ],
    );
    Statement::proven(create, object_exists("index", &scope.names.index, scope))
}

fn restore_replaced(scope: &Scope<'_>) -> Vec<SqlText> {
    let (old, back) = scope.replaced();
    let facts = scope.facts.column(old).expect("planning reads the replaced column");
    let ty = facts.sql_type.as_deref().map(SqlText::stored);
    let ty = ty.expect("planning reads the type of the replaced column");
    let default = facts.default.as_deref().map(SqlText::stored);
    let default = default.map_or_else(
        || sql("", &[]),
        |d| {
            let not_null = if facts.nullable { "" } else { " NOT NULL" };
            sql(
                "{not_null} DEFAULT {d}",
                &[("not_null", Hole::Words(not_null)), ("d", Hole::Sql(&d))],
            )
        },
    );
    let holes = [
        ("table", Hole::Table(scope.table())),
        ("old", Hole::Name(old)),
        ("type", Hole::Sql(&ty)),
        ("default", Hole::Sql(&default)),
        ("back", Hole::Expr(back)),
    ];
    let mut statements = vec![sql("ALTER TABLE {table} ADD COLUMN {old} {type}{default}", &holes)];
    statements.extend(without_triggers(sql("UPDATE {table} SET {old} = {back}", &holes), scope));
    statements
}

/// `sqlite_schema` of the (attached) database that holds the table.
fn object_exists(kind: &'static str, name: &Ident, scope: &Scope<'_>) -> SqlText {
    let schema = Ident::new("sqlite_master").expect("a constant name");
    sql(
        "SELECT EXISTS (SELECT 1 FROM {schema} WHERE type = '{kind}' AND name = {name})",
        &[
            ("schema", Hole::Table(&beside(&schema, scope))),
            ("kind", Hole::Words(kind)),
            ("name", Hole::Literal(name.as_str())),
        ],
    )
}

fn trigger_exists(name: &Ident, scope: &Scope<'_>) -> SqlText {
    object_exists("trigger", name, scope)
}

fn column_exists(name: &Ident, scope: &Scope<'_>) -> SqlText {
    let main = Ident::new("main").expect("a constant name");
    sql(
        "SELECT EXISTS (SELECT 1 FROM pragma_table_xinfo({table}, {schema}) WHERE name = {name})",
        &[
            ("table", Hole::Literal(scope.table().name.as_str())),
            ("schema", Hole::Literal(scope.table().schema.as_ref().unwrap_or(&main).as_str())),
            ("name", Hole::Literal(name.as_str())),
        ],
    )
}

fn not(proof: &SqlText) -> SqlText {
    sql("SELECT NOT ({proof})", &[("proof", Hole::Sql(proof))])
}
