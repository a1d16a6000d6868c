//! MySQL 8 and MariaDB 10.6 or later.
//!
//! DDL commits by itself here, so each statement stands in a migration of its own, and says the
//! algorithm it counts on: where the server cannot keep to it, it errors instead of copying.

use super::{
    Scope, Statement, postgres,
    text::{Hole, SqlText, join},
};
use crate::{
    backend::{Backend, Product},
    contract::{Expr, Uniqueness, fragment::is_large_object},
    ident::{Ident, TableName},
    plan::{ColumnShape, IndexPurpose, LEFTOVERS, Leftovers, Step, facts::Source, volatility},
};

pub(super) fn up(step: &Step, scope: &Scope<'_>) -> Vec<Statement> {
    match step {
        Step::AddColumn(shape) => vec![Statement::proven(
            alter(
                scope,
                "ALTER TABLE {table} ADD COLUMN {definition}, ALGORITHM=INSTANT",
                &definition(shape, scope),
            ),
            column(scope.column(), "1 = 1", scope),
        )],
        Step::SetDefault => vec![Statement::proven(set_default(scope), has_default(scope))],
        Step::DropDefault => vec![Statement::proven(drop_default(scope), not(&has_default(scope)))],
        Step::CreateFill => vec![create_fill(scope)],
        Step::DropFill => vec![drop_trigger(&scope.names.fill, scope)],
        Step::CreateSync => create_sync(scope),
        Step::DropSync => vec![
            drop_trigger(&scope.names.sync_insert, scope),
            drop_trigger(&scope.names.sync_update, scope),
        ],
        Step::FillLeftovers(leftovers) => {
            fill_leftovers(leftovers, scope).into_iter().map(Statement::repeatable).collect()
        }
        Step::SetNotNull => vec![Statement::proven(
            set_null(true, scope),
            column(scope.column(), "is_nullable = 'NO'", scope),
        )],
        Step::AddForeignKey => add_foreign_key(scope),
        Step::CreateIndex(purpose) => vec![create_index(*purpose, scope)],
        Step::DropReplaced => {
            let (old, _) = scope.replaced();
            vec![Statement::proven(drop_replaced(old, scope), not(&column(old, "1 = 1", scope)))]
        }
        Step::Comment
        | Step::AddNotNullCheck
        | Step::ValidateNotNullCheck
        | Step::DropNotNullCheck
        | Step::AddCheck
        | Step::ValidateCheck
        | Step::ValidateForeignKey
        | Step::CreatePartitionedIndex
        | Step::AddUnique
        | Step::Rebuild { .. } => unreachable!("planned on another engine only"),
    }
}

pub(super) fn down(step: &Step, scope: &Scope<'_>) -> Vec<SqlText> {
    match step {
        Step::AddColumn(_) => vec![drop_column(scope.column(), scope)],
        Step::SetDefault => vec![drop_default(scope)],
        Step::DropDefault => vec![set_default(scope)],
        Step::CreateFill => vec![drop_trigger(&scope.names.fill, scope).sql],
        Step::DropFill => vec![create_fill(scope).sql],
        Step::CreateSync => vec![
            drop_trigger(&scope.names.sync_update, scope).sql,
            drop_trigger(&scope.names.sync_insert, scope).sql,
        ],
        Step::DropSync => {
            let triggers = create_sync(scope).into_iter().map(|s| s.sql);
            into_step(scope).into_iter().chain(triggers).collect()
        }
        Step::SetNotNull => vec![set_null(false, scope)],
        Step::AddForeignKey => vec![sql(
            "ALTER TABLE {table} DROP FOREIGN KEY {name}",
            &[
                ("table", Hole::Table(scope.table())),
                ("name", Hole::Name(&scope.names.foreign_key)),
            ],
        )],
        Step::CreateIndex(purpose) => vec![sql(
            "ALTER TABLE {table} DROP INDEX {index}",
            &[
                ("table", Hole::Table(scope.table())),
                ("index", Hole::Name(scope.index_name(*purpose))),
            ],
        )],
        Step::DropReplaced => restore_replaced(scope),
        Step::FillLeftovers(_)
        | Step::Comment
        | Step::AddNotNullCheck
        | Step::ValidateNotNullCheck
        | Step::DropNotNullCheck
        | Step::AddCheck
        | Step::ValidateCheck
        | Step::ValidateForeignKey
        | Step::CreatePartitionedIndex
        | Step::AddUnique
        | Step::Rebuild { .. } => Vec::new(),
    }
}

fn sql(template: &'static str, holes: &[(&str, Hole<'_>)]) -> SqlText {
    super::text::sql(Backend::Mysql, template, holes)
}

fn alter(scope: &Scope<'_>, template: &'static str, definition: &SqlText) -> SqlText {
    sql(
        template,
        &[
            ("table", Hole::Table(scope.table())),
            ("column", Hole::Name(scope.column())),
            ("definition", Hole::Sql(definition)),
        ],
    )
}

/// The whole column definition: MODIFY keeps nothing that it does not repeat.
fn definition(shape: &ColumnShape, scope: &Scope<'_>) -> SqlText {
    let none = sql("", &[]);
    let default = shape
        .default
        .as_ref()
        .map(|expr| sql(" DEFAULT {default}", &[("default", default_hole(expr, scope))]));
    let generated = shape
        .generated
        .as_ref()
        .map(|expr| sql(" GENERATED ALWAYS AS {expr} VIRTUAL", &[("expr", Hole::Expr(expr))]));
    let check = shape
        .inline_check
        .then(|| scope.contract.answers().check.get(Backend::Mysql))
        .flatten()
        .map(|expr| sql(" CHECK {expr}", &[("expr", Hole::Expr(expr))]));
    let null = match (&generated, shape.not_null) {
        (Some(_), _) => "",
        (None, true) => " NOT NULL",
        (None, false) => " NULL",
    };
    sql(
        "{column} {type}{generated}{null}{default} COMMENT {why}{check}",
        &[
            ("column", Hole::Name(scope.column())),
            ("type", Hole::Type(scope.ty())),
            ("generated", Hole::Sql(generated.as_ref().unwrap_or(&none))),
            ("null", Hole::Words(null)),
            ("default", Hole::Sql(default.as_ref().unwrap_or(&none))),
            ("why", Hole::Literal(scope.contract.answers().why.trim())),
            ("check", Hole::Sql(check.as_ref().unwrap_or(&none))),
        ],
    )
}

/// The column after expand; the default is whatever the plan has set by then.
fn later(not_null: bool, scope: &Scope<'_>) -> ColumnShape {
    ColumnShape {
        not_null,
        default: scope.contract.default(Backend::Mysql).cloned(),
        inline_check: scope.contract.answers().check.get(Backend::Mysql).is_some(),
        ..ColumnShape::default()
    }
}

/// NULL ↔ NOT NULL after expand.
fn set_null(not_null: bool, scope: &Scope<'_>) -> SqlText {
    modify("ALGORITHM=INPLACE, LOCK=NONE", &later(not_null, scope), scope)
}

fn modify(how: &'static str, shape: &ColumnShape, scope: &Scope<'_>) -> SqlText {
    sql(
        "ALTER TABLE {table} MODIFY COLUMN {definition}, {how}",
        &[
            ("table", Hole::Table(scope.table())),
            ("definition", Hole::Sql(&definition(shape, scope))),
            ("how", Hole::Words(how)),
        ],
    )
}

/// Drops the column that was added. MySQL rewrites the table for that in place before 8.0.29.
fn drop_column(column: &Ident, scope: &Scope<'_>) -> SqlText {
    let how = match scope.facts.server.product {
        Product::Mariadb => "ALGORITHM=INSTANT",
        Product::Mysql | Product::Postgres | Product::Sqlite => "ALGORITHM=INPLACE, LOCK=NONE",
    };
    drop_by(how, column, scope)
}

/// Drops a column that may have indexes, which no engine drops with it in a moment.
fn drop_replaced(column: &Ident, scope: &Scope<'_>) -> SqlText {
    drop_by("ALGORITHM=INPLACE, LOCK=NONE", column, scope)
}

fn drop_by(how: &'static str, column: &Ident, scope: &Scope<'_>) -> SqlText {
    sql(
        "ALTER TABLE {table} DROP COLUMN {column}, {how}",
        &[
            ("table", Hole::Table(scope.table())),
            ("column", Hole::Name(column)),
            ("how", Hole::Words(how)),
        ],
    )
}

fn set_default(scope: &Scope<'_>) -> SqlText {
    // `SET DEFAULT ('x')` of a long text is a literal to MySQL 9.7, which it refuses there (error 1101);
    // in a definition it is not.
    if is_large_object(scope.ty()) && scope.facts.server.product == Product::Mysql {
        return modify("ALGORITHM=INSTANT", &later(false, scope), scope);
    }
    sql(
        "ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT {default}, ALGORITHM=INSTANT",
        &[
            ("table", Hole::Table(scope.table())),
            ("column", Hole::Name(scope.column())),
            ("default", default_hole(scope.default(), scope)),
        ],
    )
}

/// MySQL gives long texts, blobs and JSON a default only as an expression.
fn default_hole<'a>(default: &'a Expr, scope: &Scope<'_>) -> Hole<'a> {
    if is_large_object(scope.ty()) { Hole::Expr(default) } else { Hole::Default(default) }
}

fn drop_default(scope: &Scope<'_>) -> SqlText {
    let nothing = sql("", &[]);
    alter(
        scope,
        "ALTER TABLE {table} ALTER COLUMN {column} DROP DEFAULT, ALGORITHM=INSTANT",
        &nothing,
    )
}

/// The row being inserted, as a table that the user's expressions can be evaluated over.
///
/// It has the columns that they read and no others, so that dropping another column later does not
/// break the trigger; all of them where the expressions cannot be read.
fn new_row(exprs: &[&Expr], scope: &Scope<'_>) -> SqlText {
    let read: Option<Vec<Vec<Ident>>> =
        exprs.iter().map(|expr| volatility::column_refs(expr, Backend::Mysql)).collect();
    let reads = |name: &Ident| {
        read.as_ref().is_none_or(|lists| {
            let same = |other: &Ident| other.as_str().eq_ignore_ascii_case(name.as_str());
            lists.iter().flatten().any(same)
        })
    };
    let table = scope.facts.columns.iter().map(|c| &c.name);
    let columns: Vec<SqlText> = table
        .filter(|name| *name != scope.column())
        .chain([scope.column()])
        .filter(|name| reads(name))
        .map(|name| sql("NEW.{c} AS {c}", &[("c", Hole::Name(name))]))
        .collect();
    if columns.is_empty() {
        return sql("DUAL", &[]);
    }
    sql(
        "(SELECT {columns}) AS {row}",
        &[("columns", Hole::Sql(&join(&columns, ", "))), ("row", Hole::Name(&scope.table().name))],
    )
}

fn create_fill(scope: &Scope<'_>) -> Statement {
    let row = new_row(&[scope.fill()], scope);
    Statement::proven(
        sql(
            "CREATE TRIGGER {trigger} BEFORE INSERT ON {table} FOR EACH ROW
SET NEW.{column} = IF(NEW.{column} IS NULL, (SELECT {fill} FROM {row}), NEW.{column})",
            &[
                ("trigger", Hole::Table(&trigger(&scope.names.fill, scope))),
                ("table", Hole::Table(scope.table())),
                ("column", Hole::Name(scope.column())),
                ("fill", Hole::Expr(scope.fill())),
                ("row", Hole::Sql(&row)),
            ],
        ),
        trigger_exists(&scope.names.fill, scope),
    )
}

/// A trigger lives in the schema of its table.
fn trigger(name: &Ident, scope: &Scope<'_>) -> TableName {
    TableName { schema: scope.table().schema.clone(), name: name.clone() }
}

fn create_sync(scope: &Scope<'_>) -> Vec<Statement> {
    let (old, back) = scope.replaced();
    let row = new_row(&[scope.fill(), back], scope);
    let insert = trigger(&scope.names.sync_insert, scope);
    let update = trigger(&scope.names.sync_update, scope);
    let holes = [
        ("insert", Hole::Table(&insert)),
        ("update", Hole::Table(&update)),
        ("table", Hole::Table(scope.table())),
        ("new", Hole::Name(scope.column())),
        ("old", Hole::Name(old)),
        ("fill", Hole::Expr(scope.fill())),
        ("back", Hole::Expr(back)),
        ("row", Hole::Sql(&row)),
    ];
    let on_insert = sql(
        "CREATE TRIGGER {insert} BEFORE INSERT ON {table} FOR EACH ROW
BEGIN
  IF NEW.{new} IS NULL THEN
    SET NEW.{new} = (SELECT {fill} FROM {row});
  ELSEIF NOT (NEW.{new} <=> (SELECT {fill} FROM {row})) THEN
    SET NEW.{old} = (SELECT {back} FROM {row});
  END IF;
END",
        &holes,
    );
    let on_update = sql(
        "CREATE TRIGGER {update} BEFORE UPDATE ON {table} FOR EACH ROW
BEGIN
  IF NEW.{new} <=> OLD.{new} THEN
    IF NOT (NEW.{old} <=> OLD.{old}) THEN
      SET NEW.{new} = (SELECT {fill} FROM {row});
    END IF;
  ELSEIF NOT (NEW.{new} <=> (SELECT {fill} FROM {row})) THEN
    SET NEW.{old} = (SELECT {back} FROM {row});
  END IF;
END",
        &holes,
    );
    vec![
        Statement::proven(on_insert, trigger_exists(&scope.names.sync_insert, scope)),
        Statement::proven(on_update, trigger_exists(&scope.names.sync_update, scope)),
    ]
}

fn drop_trigger(name: &Ident, scope: &Scope<'_>) -> Statement {
    Statement::proven(
        sql("DROP TRIGGER {trigger}", &[("trigger", Hole::Table(&trigger(name, scope)))]),
        not(&trigger_exists(name, scope)),
    )
}

/// There are no blocks outside of stored programs, so a check constraint of a temporary table
/// stops the migration; its name is the message.
fn fill_leftovers(leftovers: &Leftovers, scope: &Scope<'_>) -> Vec<SqlText> {
    let [table, column, guard, stop] = scope.guarded();
    let bound = match leftovers {
        Leftovers::Require(_) | Leftovers::Allow(_) => LEFTOVERS,
        Leftovers::Refuse => 0,
    };
    let mut statements = vec![
        sql("DROP TEMPORARY TABLE IF EXISTS {guard}", &[guard]),
        sql(
            "CREATE TEMPORARY TABLE {guard} (pending BIGINT, CONSTRAINT {stop} CHECK (pending <= {bound}))",
            &[guard, stop, ("bound", Hole::Number(bound))],
        ),
    ];
    match leftovers {
        Leftovers::Require(expr) | Leftovers::Allow(expr) => {
            let fill = ("fill", Hole::Expr(expr));
            statements.push(read_committed());
            statements.push(sql(
                "INSERT INTO {guard} SELECT count(*) FROM (SELECT 1 FROM {table} WHERE {column} IS NULL AND {fill} IS NOT NULL LIMIT {more}) AS pending",
                &[guard, table, column, fill, ("more", Hole::Number(LEFTOVERS + 1))],
            ));
            let set = sql("{column} = {fill}", &[column, fill]);
            let empty = sql(" WHERE {column} IS NULL AND {fill} IS NOT NULL", &[column, fill]);
            statements.extend(update(&set, &empty, scope.column(), scope));
        }
        Leftovers::Refuse => statements.extend([
            read_committed(),
            sql(
                "INSERT INTO {guard} SELECT count(*) FROM {table} WHERE {column} IS NULL",
                &[guard, table, column],
            ),
        ]),
    }
    statements.push(sql("DROP TEMPORARY TABLE {guard}", &[guard]));
    statements
}

/// Lets the next statement lock the rows it changes and no others, nor the gaps between them: with
/// those, whoever writes meanwhile ends in a deadlock.
fn read_committed() -> SqlText {
    sql("SET TRANSACTION ISOLATION LEVEL READ COMMITTED", &[])
}

/// An UPDATE of one column that keeps `ON UPDATE CURRENT_TIMESTAMP` from changing another: a time
/// that is assigned, be it to itself, stays.
fn update(set: &SqlText, end: &SqlText, column: &Ident, scope: &Scope<'_>) -> Vec<SqlText> {
    let table = ("table", Hole::Table(scope.table()));
    let start = sql("UPDATE {table} SET {set}", &[table, ("set", Hole::Sql(set))]);
    match scope.facts.source {
        Source::Replay | Source::Server => {
            let kept = keep_times(column, scope);
            vec![read_committed(), join([&start, &kept, end], "")]
        }
        // Only the server knows which times it changes, and it is asked when the migration runs.
        Source::Schema => {
            let kept = sql(
                "SET @newcol_kept = (SELECT group_concat(concat(', `', replace(column_name, '`', '``'), '` = `', replace(column_name, '`', '``'), '`') SEPARATOR '') FROM information_schema.columns WHERE {in_table} AND extra LIKE '%on update%' AND column_name <> {column})",
                &[
                    ("in_table", Hole::Sql(&in_table(scope))),
                    ("column", Hole::Literal(column.as_str())),
                ],
            );
            let whole = sql(
                "SET @newcol_update = concat({start}, coalesce(@newcol_kept, ''), {end})",
                &[("start", Hole::Sql(&as_text(&start))), ("end", Hole::Sql(&as_text(end)))],
            );
            let [prepare, execute, deallocate] = [
                "PREPARE newcol_update FROM @newcol_update",
                "EXECUTE newcol_update",
                "DEALLOCATE PREPARE newcol_update",
            ]
            .map(|run| sql(run, &[]));
            vec![kept, whole, prepare, read_committed(), execute, deallocate]
        }
    }
}

fn keep_times(changed: &Ident, scope: &Scope<'_>) -> SqlText {
    let is_time = |ty: &String| {
        let ty = ty.to_ascii_lowercase();
        ty.starts_with("timestamp") || ty.starts_with("datetime")
    };
    let times = scope.facts.columns.iter().filter(|column| {
        !column.generated
            && column.name != *changed
            && column.sql_type.as_ref().is_some_and(is_time)
    });
    let kept: Vec<SqlText> =
        times.map(|column| sql(", {c} = {c}", &[("c", Hole::Name(&column.name))])).collect();
    join(&kept, "")
}

/// SQL as the arguments of `concat`: whether a backslash in a literal escapes is up to `sql_mode`.
fn as_text(statement: &SqlText) -> SqlText {
    let parts = statement.as_str().split('\\');
    let parts: Vec<SqlText> =
        parts.map(|part| sql("{part}", &[("part", Hole::Literal(part))])).collect();
    join(&parts, ", CHAR(92 USING utf8mb4), ")
}

/// Built without reading the table, so the rows are proven by hand first: orphans stop it.
fn add_foreign_key(scope: &Scope<'_>) -> Vec<Statement> {
    let reference = scope.contract.answers().references.as_ref();
    let reference = reference.expect("a foreign-key step is planned only with a reference");
    let holes = [
        ("table", Hole::Table(scope.table())),
        ("name", Hole::Name(&scope.names.foreign_key)),
        ("column", Hole::Name(scope.column())),
        ("parent", Hole::Table(&reference.table)),
        ("key", Hole::Name(&reference.column)),
        ("on_delete", Hole::Words(postgres::on_delete(reference.on_delete))),
        ("guard", Hole::Name(&scope.names.guard)),
    ];
    let proof = sql(
        "SELECT count(*) > 0 FROM information_schema.table_constraints WHERE constraint_type = 'FOREIGN KEY' AND {in_table} AND constraint_name = {name}",
        &[
            ("in_table", Hole::Sql(&in_table(scope))),
            ("name", Hole::Literal(scope.names.foreign_key.as_str())),
        ],
    );
    vec![
        Statement::repeatable(sql("DROP TEMPORARY TABLE IF EXISTS {guard}", &holes)),
        Statement::repeatable(sql(
            "CREATE TEMPORARY TABLE {guard} (orphans BIGINT, CONSTRAINT `rows without a parent` CHECK (orphans = 0))",
            &holes,
        )),
        Statement::repeatable(sql(
            "INSERT INTO {guard} SELECT count(*) FROM {table} AS newcol_child WHERE {column} IS NOT NULL AND NOT EXISTS (SELECT 1 FROM {parent} AS newcol_parent WHERE newcol_parent.{key} = newcol_child.{column})",
            &holes,
        )),
        Statement::repeatable(sql("DROP TEMPORARY TABLE {guard}", &holes)),
        // An application may migrate with the checks off, and must find them as they were.
        Statement::repeatable(sql(
            "SET @newcol_foreign_key_checks = @@SESSION.foreign_key_checks",
            &[],
        )),
        Statement::repeatable(sql("SET SESSION foreign_key_checks = 0", &[])),
        Statement::proven(
            sql(
                "ALTER TABLE {table} ADD CONSTRAINT {name} FOREIGN KEY ({column})
REFERENCES {parent} ({key}){on_delete}, ALGORITHM=INPLACE, LOCK=NONE",
                &holes,
            ),
            proof,
        ),
        Statement::repeatable(sql(
            "SET SESSION foreign_key_checks = @newcol_foreign_key_checks",
            &[],
        )),
    ]
}

fn create_index(purpose: IndexPurpose, scope: &Scope<'_>) -> Statement {
    let wish = scope.contract.answers().index.clone().unwrap_or_default();
    let name = scope.index_name(purpose);
    // The method is a keyword here, no name; planning lets only this one through.
    let method = if wish.method.is_some() { " USING BTREE" } else { "" };
    let create = sql(
        "ALTER TABLE {table} ADD {unique}INDEX {index}{method} ({column}), ALGORITHM=INPLACE, LOCK=NONE",
        &[
            ("table", Hole::Table(scope.table())),
            (
                "unique",
                Hole::Words(match wish.uniqueness {
                    Uniqueness::Unique | Uniqueness::Constraint => "UNIQUE ",
                    Uniqueness::Plain => "",
                }),
            ),
            ("index", Hole::Name(name)),
            ("method", Hole::Words(method)),
            ("column", Hole::Name(scope.column())),
        ],
    );
    let proof = sql(
        "SELECT count(*) > 0 FROM information_schema.statistics WHERE {in_table} AND index_name = {name}",
        &[("in_table", Hole::Sql(&in_table(scope))), ("name", Hole::Literal(name.as_str()))],
    );
    Statement::proven(create, proof)
}

fn restore_replaced(scope: &Scope<'_>) -> Vec<SqlText> {
    let (old, back) = scope.replaced();
    let facts = scope.facts.column(old).expect("planning reads the replaced column");
    let ty = facts.sql_type.as_deref().map(SqlText::stored);
    let ty = ty.expect("planning reads the type of the replaced column");
    let default = facts.default.as_deref().map(SqlText::stored);
    let default = default
        .map_or_else(|| sql("", &[]), |d| sql(" DEFAULT {default}", &[("default", Hole::Sql(&d))]));
    let comment = facts.comment.as_deref().filter(|c| !c.is_empty()).map_or_else(
        || sql("", &[]),
        |c| sql(" COMMENT {comment}", &[("comment", Hole::Literal(c))]),
    );
    let holes = [
        ("table", Hole::Table(scope.table())),
        ("old", Hole::Name(old)),
        ("type", Hole::Sql(&ty)),
        ("back", Hole::Expr(back)),
        ("default", Hole::Sql(&default)),
        ("comment", Hole::Sql(&comment)),
    ];
    let set = sql("{old} = {back}", &holes);
    let mut statements =
        vec![sql("ALTER TABLE {table} ADD COLUMN {old} {type} NULL{default}{comment}", &holes)];
    statements.extend(update(&set, &sql("", &[]), old, scope));
    if !facts.nullable {
        statements.push(sql(
            "ALTER TABLE {table} MODIFY COLUMN {old} {type} NOT NULL{default}{comment}",
            &holes,
        ));
    }
    statements
}

/// Lets the replaced column follow what was written while nothing kept it equal. Before the triggers
/// come, which would take it for what old code writes.
fn into_step(scope: &Scope<'_>) -> Vec<SqlText> {
    let (old, back) = scope.replaced();
    let holes = [
        ("new", Hole::Name(scope.column())),
        ("old", Hole::Name(old)),
        ("fill", Hole::Expr(scope.fill())),
        ("back", Hole::Expr(back)),
    ];
    let set = sql("{old} = {back}", &holes);
    let end = sql(" WHERE NOT ({new} <=> {fill}) AND NOT ({old} <=> {back})", &holes);
    update(&set, &end, old, scope)
}

fn in_table(scope: &Scope<'_>) -> SqlText {
    let schema = scope.table().schema.as_ref().map_or_else(
        || sql("DATABASE()", &[]),
        |s| sql("{s}", &[("s", Hole::Literal(s.as_str()))]),
    );
    sql(
        "table_schema = {schema} AND table_name = {table}",
        &[("schema", Hole::Sql(&schema)), ("table", Hole::Literal(scope.table().name.as_str()))],
    )
}

fn column(name: &Ident, condition: &'static str, scope: &Scope<'_>) -> SqlText {
    sql(
        "SELECT count(*) > 0 FROM information_schema.columns WHERE {in_table} AND column_name = {column} AND {condition}",
        &[
            ("in_table", Hole::Sql(&in_table(scope))),
            ("column", Hole::Literal(name.as_str())),
            ("condition", Hole::Words(condition)),
        ],
    )
}

/// MariaDB reports the text NULL for a nullable column without a default. The server says itself what
/// it is, for a plan that was made without one does not know.
fn has_default(scope: &Scope<'_>) -> SqlText {
    column(
        scope.column(),
        "column_default IS NOT NULL AND (version() NOT LIKE '%MariaDB%' OR column_default <> 'NULL')",
        scope,
    )
}

fn trigger_exists(name: &Ident, scope: &Scope<'_>) -> SqlText {
    let schema = scope.table().schema.as_ref().map_or_else(
        || sql("DATABASE()", &[]),
        |s| sql("{s}", &[("s", Hole::Literal(s.as_str()))]),
    );
    sql(
        "SELECT count(*) > 0 FROM information_schema.triggers WHERE trigger_schema = {schema} AND trigger_name = {name}",
        &[("schema", Hole::Sql(&schema)), ("name", Hole::Literal(name.as_str()))],
    )
}

fn not(proof: &SqlText) -> SqlText {
    sql("SELECT NOT ({proof})", &[("proof", Hole::Sql(proof))])
}
