//! PostgreSQL 13 to 18.

use super::{
    Scope, Statement, postgres_index,
    text::{Hole, SqlText},
};
use crate::{
    backend::Backend,
    contract::{Expr, OnDelete},
    ident::{Ident, TableName},
    plan::{ColumnShape, IndexPurpose, LEFTOVERS, Leftovers, Step},
};

pub(super) fn up(step: &Step, scope: &Scope<'_>) -> Vec<Statement> {
    match step {
        Step::AddColumn(shape) => {
            vec![Statement::proven(add_column(shape, scope), column_exists(scope.column(), scope))]
        }
        Step::Comment => vec![comment(scope)],
        Step::SetDefault => vec![Statement::proven(set_default(scope), has_default(scope))],
        Step::DropDefault => {
            vec![Statement::proven(drop_default(scope), not(&has_default(scope)))]
        }
        Step::CreateFill => create_fill(scope),
        Step::DropFill => drop_trigger(&scope.names.fill, scope),
        Step::CreateSync => create_sync(scope),
        Step::DropSync => drop_trigger(&scope.names.sync, scope),
        Step::FillLeftovers(leftovers) => vec![fill_leftovers(leftovers, scope)],
        Step::AddNotNullCheck => vec![Statement::proven(
            fill(
                scope,
                "ALTER TABLE {table} ADD CONSTRAINT {check} CHECK ({column} IS NOT NULL) NOT VALID",
                &scope.names.not_null_check,
            ),
            constraint(&scope.names.not_null_check, "true", scope),
        )],
        Step::ValidateNotNullCheck => vec![validate(&scope.names.not_null_check, scope)],
        Step::SetNotNull => vec![Statement::proven(
            alter_column(scope, "ALTER TABLE {table} ALTER COLUMN {column} SET NOT NULL"),
            attribute(scope.column(), "a.attnotnull", scope),
        )],
        Step::DropNotNullCheck => vec![Statement::proven(
            drop_constraint(&scope.names.not_null_check, scope),
            not(&constraint(&scope.names.not_null_check, "true", scope)),
        )],
        Step::AddCheck => {
            vec![Statement::proven(add_check(scope), constraint(&scope.names.check, "true", scope))]
        }
        Step::ValidateCheck => vec![validate(&scope.names.check, scope)],
        Step::AddForeignKey => vec![Statement::proven(
            add_foreign_key(scope),
            constraint(&scope.names.foreign_key, "true", scope),
        )],
        Step::ValidateForeignKey => vec![validate(&scope.names.foreign_key, scope)],
        Step::CreateIndex(purpose) => vec![postgres_index::build(*purpose, scope)],
        Step::CreatePartitionedIndex => postgres_index::build_partitioned(scope),
        Step::AddUnique => {
            let name = scope.index_name(IndexPurpose::Wished);
            vec![Statement::proven(
                postgres_index::add_unique(name, scope),
                constraint(name, "c.contype = 'u'", scope),
            )]
        }
        Step::Rebuild { .. } => unreachable!("only SQLite rebuilds a table"),
        Step::DropReplaced => {
            let (old, _) = scope.replaced();
            vec![Statement::proven(drop_column(old, scope), not(&column_exists(old, scope)))]
        }
    }
}

pub(super) fn down(step: &Step, scope: &Scope<'_>) -> Vec<SqlText> {
    match step {
        Step::AddColumn(_) => vec![drop_column(scope.column(), scope)],
        Step::SetDefault => vec![drop_default(scope)],
        Step::DropDefault => vec![set_default(scope)],
        Step::CreateFill => sql_of(drop_trigger(&scope.names.fill, scope)),
        Step::DropFill => sql_of(create_fill(scope)),
        Step::CreateSync => sql_of(drop_trigger(&scope.names.sync, scope)),
        Step::DropSync => sql_of(create_sync(scope)),
        Step::AddNotNullCheck => vec![drop_constraint(&scope.names.not_null_check, scope)],
        Step::SetNotNull => {
            vec![alter_column(scope, "ALTER TABLE {table} ALTER COLUMN {column} DROP NOT NULL")]
        }
        Step::DropNotNullCheck => sql_of(up(&Step::AddNotNullCheck, scope)),
        Step::AddCheck => vec![drop_constraint(&scope.names.check, scope)],
        Step::AddForeignKey => vec![drop_constraint(&scope.names.foreign_key, scope)],
        Step::CreateIndex(purpose) => vec![postgres_index::drop(*purpose, scope)],
        Step::CreatePartitionedIndex => vec![postgres_index::drop_partitioned(scope)],
        Step::DropReplaced => restore_replaced(scope),
        Step::Comment
        | Step::FillLeftovers(_)
        | Step::ValidateNotNullCheck
        | Step::ValidateCheck
        | Step::ValidateForeignKey
        | Step::AddUnique
        | Step::Rebuild { .. } => Vec::new(),
    }
}

/// An empty copy of a table, without the column, at the place of the scope.
pub(super) fn copy(table: &TableName, scope: &Scope<'_>) -> [SqlText; 2] {
    let holes = [
        ("copy", Hole::Table(scope.table())),
        ("table", Hole::Table(table)),
        ("column", Hole::Name(scope.column())),
    ];
    [
        sql("CREATE TABLE {copy} (LIKE {table})", &holes),
        sql("ALTER TABLE {copy} DROP COLUMN IF EXISTS {column}", &holes),
    ]
}

/// A step on such a copy. Triggers are left out, for their functions are no part of it, and so are
/// foreign keys, which no temporary table may have to a lasting one.
pub(super) fn on_copy(step: &Step, scope: &Scope<'_>) -> Vec<SqlText> {
    match step {
        Step::AddColumn(_)
        | Step::Comment
        | Step::SetDefault
        | Step::DropDefault
        | Step::AddNotNullCheck
        | Step::ValidateNotNullCheck
        | Step::SetNotNull
        | Step::DropNotNullCheck
        | Step::AddCheck
        | Step::ValidateCheck => sql_of(up(step, scope)),
        Step::CreateIndex(purpose) => vec![postgres_index::at_once(*purpose, scope)],
        Step::CreatePartitionedIndex => {
            vec![postgres_index::at_once(IndexPurpose::Wished, scope)]
        }
        Step::CreateFill
        | Step::DropFill
        | Step::CreateSync
        | Step::DropSync
        | Step::FillLeftovers(_)
        | Step::AddForeignKey
        | Step::ValidateForeignKey
        | Step::AddUnique
        | Step::Rebuild { .. }
        | Step::DropReplaced => Vec::new(),
    }
}

pub(super) fn sql(template: &'static str, holes: &[(&str, Hole<'_>)]) -> SqlText {
    super::text::sql(Backend::Postgres, template, holes)
}

fn sql_of(statements: Vec<Statement>) -> Vec<SqlText> {
    statements.into_iter().map(|s| s.sql).collect()
}

/// An object of ours in the schema of the table.
pub(super) fn in_schema(name: &Ident, scope: &Scope<'_>) -> TableName {
    TableName { schema: scope.table().schema.clone(), name: name.clone() }
}

fn fill(scope: &Scope<'_>, template: &'static str, check: &Ident) -> SqlText {
    sql(
        template,
        &[
            ("table", Hole::Table(scope.table())),
            ("column", Hole::Name(scope.column())),
            ("check", Hole::Name(check)),
        ],
    )
}

fn alter_column(scope: &Scope<'_>, template: &'static str) -> SqlText {
    fill(scope, template, scope.column())
}

fn add_column(shape: &ColumnShape, scope: &Scope<'_>) -> SqlText {
    let default = shape.default.as_ref().map_or_else(
        || sql("", &[]),
        |expr| sql(" DEFAULT {default}", &[("default", Hole::Default(expr))]),
    );
    let generated = shape.generated.as_ref().map_or_else(
        || sql("", &[]),
        |expr| sql(" GENERATED ALWAYS AS {expr} VIRTUAL", &[("expr", Hole::Expr(expr))]),
    );
    sql(
        "ALTER TABLE {table} ADD COLUMN {column} {type}{generated}{not_null}{default}",
        &[
            ("table", Hole::Table(scope.table())),
            ("column", Hole::Name(scope.column())),
            ("type", Hole::Type(scope.ty())),
            ("generated", Hole::Sql(&generated)),
            ("not_null", Hole::Words(if shape.not_null { " NOT NULL" } else { "" })),
            ("default", Hole::Sql(&default)),
        ],
    )
}

fn drop_column(column: &Ident, scope: &Scope<'_>) -> SqlText {
    sql(
        "ALTER TABLE {table} DROP COLUMN {column}",
        &[("table", Hole::Table(scope.table())), ("column", Hole::Name(column))],
    )
}

fn comment(scope: &Scope<'_>) -> Statement {
    let why = scope.contract.answers().why.trim();
    let holes = [
        ("table", Hole::Table(scope.table())),
        ("column", Hole::Name(scope.column())),
        ("why", Hole::Literal(why)),
    ];
    let proof =
        attribute(scope.column(), "col_description(a.attrelid, a.attnum) IS NOT NULL", scope);
    Statement::proven(sql("COMMENT ON COLUMN {table}.{column} IS {why}", &holes), proof)
}

fn set_default(scope: &Scope<'_>) -> SqlText {
    sql(
        "ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT {default}",
        &[
            ("table", Hole::Table(scope.table())),
            ("column", Hole::Name(scope.column())),
            ("default", Hole::Default(scope.default())),
        ],
    )
}

fn drop_default(scope: &Scope<'_>) -> SqlText {
    alter_column(scope, "ALTER TABLE {table} ALTER COLUMN {column} DROP DEFAULT")
}

/// A dollar quote that the user's expressions do not contain.
pub(super) fn tag(scope: &Scope<'_>) -> &'static str {
    let answers = scope.contract.answers();
    let mut texts = vec![scope.table().to_string(), scope.column().to_string()];
    texts.extend(scope.contract.sql_fill(Backend::Postgres).map(ToString::to_string));
    texts.extend(scope.contract.default(Backend::Postgres).map(ToString::to_string));
    texts.extend(
        answers
            .replaces
            .as_ref()
            .and_then(|r| r.back.get(Backend::Postgres))
            .map(ToString::to_string),
    );
    let predicate = answers.index.as_ref().and_then(|i| i.predicate.get(Backend::Postgres));
    texts.extend(predicate.map(ToString::to_string));
    ["$newcol$", "$newcol1$", "$newcol2$", "$newcol3$"]
        .into_iter()
        .find(|tag| !texts.iter().any(|t| t.contains(tag)))
        .unwrap_or("$newcol4$")
}

/// The fill is evaluated over the row as if it were read from the table, so that the expression
/// stands as the user wrote it, whether it says `settings` or `users.settings`.
fn create_fill(scope: &Scope<'_>) -> Vec<Statement> {
    let function = in_schema(&scope.names.fill, scope);
    let body = sql(
        "CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS {tag}
#variable_conflict use_column
BEGIN
  SELECT {fill} INTO NEW.{column} FROM (SELECT NEW.*) AS {row};
  RETURN NEW;
END
{tag}",
        &[
            ("function", Hole::Table(&function)),
            ("tag", Hole::Words(tag(scope))),
            ("fill", Hole::Expr(scope.fill())),
            ("column", Hole::Name(scope.column())),
            ("row", Hole::Name(&scope.table().name)),
        ],
    );
    let trigger = sql(
        "CREATE TRIGGER {trigger} BEFORE INSERT ON {table}
FOR EACH ROW WHEN (NEW.{column} IS NULL) EXECUTE FUNCTION {function}()",
        &[
            ("trigger", Hole::Name(&scope.names.fill)),
            ("table", Hole::Table(scope.table())),
            ("column", Hole::Name(scope.column())),
            ("function", Hole::Table(&function)),
        ],
    );
    vec![
        Statement::proven(body, function_exists(&function)),
        Statement::proven(trigger, trigger_exists(&scope.names.fill, scope)),
    ]
}

fn drop_trigger(name: &Ident, scope: &Scope<'_>) -> Vec<Statement> {
    let function = in_schema(name, scope);
    let holes = [
        ("trigger", Hole::Name(name)),
        ("table", Hole::Table(scope.table())),
        ("function", Hole::Table(&function)),
    ];
    vec![
        Statement::proven(
            sql("DROP TRIGGER {trigger} ON {table}", &holes),
            not(&trigger_exists(name, scope)),
        ),
        Statement::proven(
            sql("DROP FUNCTION {function}()", &holes),
            not(&function_exists(&function)),
        ),
    ]
}

/// Whoever is written leads. A value that the other column already maps to is left alone, so that
/// filling the new column never changes the old one.
fn create_sync(scope: &Scope<'_>) -> Vec<Statement> {
    let (old, back) = scope.replaced();
    let function = in_schema(&scope.names.sync, scope);
    let holes = [
        ("function", Hole::Table(&function)),
        ("tag", Hole::Words(tag(scope))),
        ("new", Hole::Name(scope.column())),
        ("old", Hole::Name(old)),
        ("row", Hole::Name(&scope.table().name)),
        ("fill", Hole::Expr(scope.fill())),
        ("back", Hole::Expr(back)),
        ("trigger", Hole::Name(&scope.names.sync)),
        ("table", Hole::Table(scope.table())),
    ];
    let body = sql(
        "CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS {tag}
#variable_conflict use_column
DECLARE
  newcol_filled {table}.{new}%TYPE;
BEGIN
  SELECT {fill} INTO newcol_filled FROM (SELECT NEW.*) AS {row};
  IF TG_OP = 'INSERT' AND NEW.{new} IS NULL THEN
    NEW.{new} := newcol_filled;
  ELSIF TG_OP = 'UPDATE' AND NEW.{new}::text IS NOT DISTINCT FROM OLD.{new}::text THEN
    IF NEW.{old}::text IS DISTINCT FROM OLD.{old}::text THEN
      NEW.{new} := newcol_filled;
    END IF;
  ELSIF NEW.{new}::text IS DISTINCT FROM newcol_filled::text THEN
    SELECT {back} INTO NEW.{old} FROM (SELECT NEW.*) AS {row};
  END IF;
  RETURN NEW;
END
{tag}",
        &holes,
    );
    let trigger = sql(
        "CREATE TRIGGER {trigger} BEFORE INSERT OR UPDATE ON {table}
FOR EACH ROW EXECUTE FUNCTION {function}()",
        &holes,
    );
    vec![
        Statement::proven(body, function_exists(&function)),
        Statement::proven(trigger, trigger_exists(&scope.names.sync, scope)),
    ]
}

/// Fills what a backfill has left, and stops where something stays empty.
///
/// The table is read before anything is locked; then only the rows that were found are written, for
/// which nobody is waited for. Where one has changed meanwhile, all of it is taken back and tried again.
fn fill_leftovers(leftovers: &Leftovers, scope: &Scope<'_>) -> Statement {
    let expr = match leftovers {
        Leftovers::Require(expr) | Leftovers::Allow(expr) => Some(expr),
        Leftovers::Refuse => None,
    };
    let none = sql("", &[]);
    let declared = match expr {
        Some(_) => sql(
            "{declared}\n  newcol_rows tid[];\n  newcol_filled bigint;",
            &[("declared", Hole::Words(DECLARED))],
        ),
        None => none.clone(),
    };
    let find = expr.map_or_else(|| none.clone(), |expr| find_leftovers(expr, scope));
    let guard = match leftovers {
        Leftovers::Require(_) | Leftovers::Refuse => refuse_empty(expr, scope),
        Leftovers::Allow(_) => none.clone(),
    };
    let fill = expr.map_or(none, |expr| fill_found(expr, scope));
    Statement::repeatable(sql(
        "DO {tag}{declared}
BEGIN{find}{guard}{fill}
END
{tag}",
        &[
            ("tag", Hole::Words(tag(scope))),
            ("declared", Hole::Sql(&declared)),
            ("find", Hole::Sql(&find)),
            ("guard", Hole::Sql(&guard)),
            ("fill", Hole::Sql(&fill)),
        ],
    ))
}

fn find_leftovers(expr: &Expr, scope: &Scope<'_>) -> SqlText {
    let path = scope.contract.path();
    let too_many = format!("newcol {path}: more than {LEFTOVERS} rows are not filled yet");
    let hint = format!("run `cargo newcol backfill {path}` first");
    sql(
        "
  newcol_rows := ARRAY(SELECT ctid FROM {table} WHERE {column} IS NULL AND {fill} IS NOT NULL LIMIT {bound} + 1);
  IF cardinality(newcol_rows) > {bound} THEN
    RAISE EXCEPTION USING MESSAGE = {too_many}, HINT = {hint};
  END IF;",
        &[
            ("table", Hole::Table(scope.table())),
            ("column", Hole::Name(scope.column())),
            ("fill", Hole::Expr(expr)),
            ("bound", Hole::Number(LEFTOVERS)),
            ("too_many", Hole::Literal(&too_many)),
            ("hint", Hole::Literal(&hint)),
        ],
    )
}

/// Stops at rows that nothing here can fill.
fn refuse_empty(expr: Option<&Expr>, scope: &Scope<'_>) -> SqlText {
    let says =
        format!("newcol {}: some rows are still empty after the fill", scope.contract.path());
    let (unfilled, hint) = match expr {
        Some(expr) => (
            sql(" AND {fill} IS NULL", &[("fill", Hole::Expr(expr))]),
            "its expression yields NULL for them: find them with WHERE column IS NULL",
        ),
        None => (sql("", &[]), "only application code can fill them"),
    };
    sql(
        "
  IF EXISTS (SELECT 1 FROM {table} WHERE {column} IS NULL{unfilled}) THEN
    RAISE EXCEPTION USING MESSAGE = {says}, HINT = {hint};
  END IF;",
        &[
            ("table", Hole::Table(scope.table())),
            ("column", Hole::Name(scope.column())),
            ("unfilled", Hole::Sql(&unfilled)),
            ("says", Hole::Literal(&says)),
            ("hint", Hole::Literal(hint)),
        ],
    )
}

fn fill_found(expr: &Expr, scope: &Scope<'_>) -> SqlText {
    let changed =
        format!("newcol {}: rows were changed while they were being filled", scope.contract.path());
    let holes = [
        ("table", Hole::Table(scope.table())),
        ("column", Hole::Name(scope.column())),
        ("fill", Hole::Expr(expr)),
    ];
    let update = sql(
        "UPDATE {table} SET {column} = {fill} WHERE {column} IS NULL AND {fill} IS NOT NULL AND ctid = ANY (ARRAY(
      SELECT ctid FROM {table} WHERE {column} IS NULL AND ctid = ANY (newcol_rows) FOR NO KEY UPDATE SKIP LOCKED));
    GET DIAGNOSTICS newcol_filled = ROW_COUNT",
        &holes,
    );
    sql(
        "
  IF cardinality(newcol_rows) > 0 THEN{update}
    IF newcol_filled < cardinality(newcol_rows) THEN
      RAISE EXCEPTION USING ERRCODE = 'serialization_failure', MESSAGE = {changed}, HINT = 'run it again';
    END IF;
  END IF;",
        &[
            ("update", Hole::Sql(&without_triggers(&update, scope.column(), scope))),
            ("changed", Hole::Literal(&changed)),
        ],
    )
}

/// What [`without_triggers`] needs declared.
const DECLARED: &str = "
DECLARE
  newcol_trigger record;
  newcol_again text := '';
  newcol_until timestamptz;";

/// An UPDATE that changes one column and no other, whatever triggers there are.
///
/// A trigger that sets `updated_at` would take it for a change of the row. Switching triggers off
/// holds writers up until the transaction ends, so that nobody else does without them; our own stay,
/// since they know what a fill is. Partitions have copies of their parent's triggers, with a state
/// of their own, and PostgreSQL before 15 counts the copies as internal; the limit of a wait is then
/// that of all waits together, since whoever waits for one lock holds the ones before.
fn without_triggers(update: &SqlText, column: &Ident, scope: &Scope<'_>) -> SqlText {
    sql(
        "
    -- Triggers on UPDATE would change other columns, such as updated_at: they are off for this one,
    -- and writers wait until it is committed.
    newcol_until := clock_timestamp() + current_setting('lock_timeout')::interval;
    FOR newcol_trigger IN
      WITH RECURSIVE newcol_tables (id) AS (
        SELECT {regclass}::regclass::oid
        UNION SELECT i.inhrelid FROM pg_inherits i JOIN newcol_tables n ON n.id = i.inhparent
      )
      SELECT n.id::regclass AS on_table, t.tgname AS name, CASE t.tgenabled WHEN 'A' THEN 'ALWAYS ' ELSE '' END AS always
      FROM newcol_tables n JOIN pg_trigger t ON t.tgrelid = n.id
      JOIN pg_attribute a ON a.attrelid = n.id AND a.attname = {column}
      WHERE t.tgtype & 16 <> 0 AND t.tgenabled IN ('O', 'A') AND t.tgname !~ '^newcol_'
        AND (t.tgattr::text = '' OR a.attnum = ANY (t.tgattr))
        AND (NOT t.tgisinternal OR (t.tgparentid <> 0 AND t.tgconstraint = 0))
    LOOP
      EXECUTE format('ALTER TABLE ONLY %s DISABLE TRIGGER %I', newcol_trigger.on_table, newcol_trigger.name);
      newcol_again := newcol_again || format('ALTER TABLE ONLY %s ENABLE %sTRIGGER %I;', newcol_trigger.on_table, newcol_trigger.always, newcol_trigger.name);
      PERFORM set_config('lock_timeout', greatest(1, extract(epoch FROM newcol_until - clock_timestamp()) * 1000)::integer::text, true);
    END LOOP;
    {update};
    EXECUTE newcol_again;",
        &[
            ("regclass", Hole::Literal(&regclass(scope))),
            ("column", Hole::Literal(column.as_str())),
            ("update", Hole::Sql(update)),
        ],
    )
}

fn validate(name: &Ident, scope: &Scope<'_>) -> Statement {
    Statement::proven(
        sql(
            "ALTER TABLE {table} VALIDATE CONSTRAINT {name}",
            &[("table", Hole::Table(scope.table())), ("name", Hole::Name(name))],
        ),
        constraint(name, "c.convalidated", scope),
    )
}

fn drop_constraint(name: &Ident, scope: &Scope<'_>) -> SqlText {
    sql(
        "ALTER TABLE {table} DROP CONSTRAINT {name}",
        &[("table", Hole::Table(scope.table())), ("name", Hole::Name(name))],
    )
}

fn add_check(scope: &Scope<'_>) -> SqlText {
    let check = scope.contract.answers().check.get(Backend::Postgres);
    let check = check.expect("a check step is planned only with a check");
    sql(
        "ALTER TABLE {table} ADD CONSTRAINT {name} CHECK {check} NOT VALID",
        &[
            ("table", Hole::Table(scope.table())),
            ("name", Hole::Name(&scope.names.check)),
            ("check", Hole::Expr(check)),
        ],
    )
}

fn add_foreign_key(scope: &Scope<'_>) -> SqlText {
    let reference = scope.contract.answers().references.as_ref();
    let reference = reference.expect("a foreign-key step is planned only with a reference");
    sql(
        "ALTER TABLE {table} ADD CONSTRAINT {name} FOREIGN KEY ({column})
REFERENCES {parent} ({key}){on_delete} NOT VALID",
        &[
            ("table", Hole::Table(scope.table())),
            ("name", Hole::Name(&scope.names.foreign_key)),
            ("column", Hole::Name(scope.column())),
            ("parent", Hole::Table(&reference.table)),
            ("key", Hole::Name(&reference.column)),
            ("on_delete", Hole::Words(on_delete(reference.on_delete))),
        ],
    )
}

/// The ON DELETE clause, the same on every engine.
pub(super) fn on_delete(action: Option<OnDelete>) -> &'static str {
    match action {
        None => "",
        Some(OnDelete::Restrict) => " ON DELETE RESTRICT",
        Some(OnDelete::Cascade) => " ON DELETE CASCADE",
        Some(OnDelete::SetNull) => " ON DELETE SET NULL",
        Some(OnDelete::SetDefault) => " ON DELETE SET DEFAULT",
        Some(OnDelete::NoAction) => " ON DELETE NO ACTION",
    }
}

fn restore_replaced(scope: &Scope<'_>) -> Vec<SqlText> {
    let (old, back) = scope.replaced();
    let facts = scope.facts.column(old).expect("planning reads the replaced column");
    let ty = facts.sql_type.as_deref().map(SqlText::stored);
    let ty = ty.expect("planning reads the type of the replaced column");
    let default = facts.default.as_deref().map(SqlText::stored);
    let holes = [
        ("table", Hole::Table(scope.table())),
        ("old", Hole::Name(old)),
        ("type", Hole::Sql(&ty)),
        ("back", Hole::Expr(back)),
    ];
    let update = sql("UPDATE {table} SET {old} = {back}", &holes);
    let mut statements = vec![
        sql("ALTER TABLE {table} ADD COLUMN {old} {type}", &holes),
        sql(
            "DO {tag}{declared}
BEGIN{update}
END
{tag}",
            &[
                ("tag", Hole::Words(tag(scope))),
                ("declared", Hole::Words(DECLARED)),
                ("update", Hole::Sql(&without_triggers(&update, old, scope))),
            ],
        ),
    ];
    if let Some(default) = &default {
        statements.push(sql(
            "ALTER TABLE {table} ALTER COLUMN {old} SET DEFAULT {default}",
            &[holes[0], holes[1], ("default", Hole::Sql(default))],
        ));
    }
    if !facts.nullable {
        statements.push(sql("ALTER TABLE {table} ALTER COLUMN {old} SET NOT NULL", &holes));
    }
    if let Some(comment) = &facts.comment {
        statements.push(sql(
            "COMMENT ON COLUMN {table}.{old} IS {comment}",
            &[holes[0], holes[1], ("comment", Hole::Literal(comment))],
        ));
    }
    statements
}

/// The table as `regclass` reads it from a literal.
pub(super) fn regclass(scope: &Scope<'_>) -> String {
    sql("{table}", &[("table", Hole::Table(scope.table()))]).to_string()
}

fn attribute(column: &Ident, condition: &'static str, scope: &Scope<'_>) -> SqlText {
    sql(
        "SELECT EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = {table}::regclass \
         AND a.attname = {column} AND NOT a.attisdropped AND {condition})",
        &[
            ("table", Hole::Literal(&regclass(scope))),
            ("column", Hole::Literal(column.as_str())),
            ("condition", Hole::Words(condition)),
        ],
    )
}

fn column_exists(column: &Ident, scope: &Scope<'_>) -> SqlText {
    attribute(column, "true", scope)
}

fn has_default(scope: &Scope<'_>) -> SqlText {
    attribute(scope.column(), "a.atthasdef", scope)
}

fn constraint(name: &Ident, condition: &'static str, scope: &Scope<'_>) -> SqlText {
    sql(
        "SELECT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conrelid = {table}::regclass \
         AND c.conname = {name} AND {condition})",
        &[
            ("table", Hole::Literal(&regclass(scope))),
            ("name", Hole::Literal(name.as_str())),
            ("condition", Hole::Words(condition)),
        ],
    )
}

fn trigger_exists(name: &Ident, scope: &Scope<'_>) -> SqlText {
    sql(
        "SELECT EXISTS (SELECT 1 FROM pg_trigger t WHERE t.tgrelid = {table}::regclass \
         AND t.tgname = {name})",
        &[("table", Hole::Literal(&regclass(scope))), ("name", Hole::Literal(name.as_str()))],
    )
}

fn function_exists(function: &TableName) -> SqlText {
    let name = sql("{function}()", &[("function", Hole::Table(function))]).to_string();
    sql("SELECT to_regprocedure({function}) IS NOT NULL", &[("function", Hole::Literal(&name))])
}

/// Turns `SELECT …` of one boolean round.
fn not(proof: &SqlText) -> SqlText {
    sql("SELECT NOT ({proof})", &[("proof", Hole::Sql(proof))])
}
