//! Indexes of PostgreSQL.

use super::{
    Scope, Statement,
    migrations::LOCK_TIMEOUT_MS,
    postgres::{in_schema, regclass, sql, tag},
    text::{Hole, SqlText, join},
};
use crate::{
    backend::Backend,
    contract::Uniqueness,
    ident::Ident,
    plan::{IndexPurpose, UNINDEXED_MB},
};

pub(super) fn build(purpose: IndexPurpose, scope: &Scope<'_>) -> Statement {
    let name = scope.index_name(purpose);
    Statement::proven(create(Way::Concurrent, name, scope), is_valid(name, scope))
}

/// Builds it on a table that nobody uses.
pub(super) fn at_once(purpose: IndexPurpose, scope: &Scope<'_>) -> SqlText {
    create(Way::WithPartitions, scope.index_name(purpose), scope)
}

pub(super) fn drop(purpose: IndexPurpose, scope: &Scope<'_>) -> SqlText {
    let name = scope.index_name(purpose);
    let index = in_schema(name, scope);
    match scope.contract.answers().index.as_ref().map(|index| index.uniqueness) {
        Some(Uniqueness::Constraint) => drop_unique(name, scope),
        Some(Uniqueness::Plain | Uniqueness::Unique) | None => {
            sql("DROP INDEX CONCURRENTLY {index}", &[("index", Hole::Table(&index))])
        }
    }
}

/// Makes a constraint of a unique index, which nothing but dropping it takes back: so this may run
/// again where it is one.
pub(super) fn add_unique(name: &Ident, scope: &Scope<'_>) -> SqlText {
    sql(
        "DO {tag}
BEGIN
  IF NOT {is_constraint} THEN
    ALTER TABLE {table} ADD CONSTRAINT {name} UNIQUE USING INDEX {name};
  END IF;
END
{tag}",
        &[
            ("tag", Hole::Words(tag(scope))),
            ("is_constraint", Hole::Sql(&is_constraint(name, scope))),
            ("table", Hole::Table(scope.table())),
            ("name", Hole::Name(name)),
        ],
    )
}

/// Drops the index, with the constraint where it is one: the statement stands alone, and so sets its
/// own limit where nobody else has.
fn drop_unique(name: &Ident, scope: &Scope<'_>) -> SqlText {
    sql(
        "DO {tag}
BEGIN
  IF current_setting('lock_timeout') = '0' THEN
    PERFORM set_config('lock_timeout', '{milliseconds}ms', true);
  END IF;
  IF {is_constraint} THEN
    ALTER TABLE {table} DROP CONSTRAINT {name};
  ELSE
    DROP INDEX {index};
  END IF;
END
{tag}",
        &[
            ("tag", Hole::Words(tag(scope))),
            ("milliseconds", Hole::Number(LOCK_TIMEOUT_MS)),
            ("is_constraint", Hole::Sql(&is_constraint(name, scope))),
            ("table", Hole::Table(scope.table())),
            ("name", Hole::Name(name)),
            ("index", Hole::Table(&in_schema(name, scope))),
        ],
    )
}

fn is_constraint(name: &Ident, scope: &Scope<'_>) -> SqlText {
    sql(
        "EXISTS (SELECT 1 FROM pg_constraint WHERE conrelid = {table}::regclass AND conname = {name} AND contype = 'u')",
        &[("table", Hole::Literal(&regclass(scope))), ("name", Hole::Literal(name.as_str()))],
    )
}

/// Takes in the indexes of the partitions, and builds those that are missing: a bounded part.
///
/// Writers wait until it is committed. The server takes in an index that is not valid too, and makes
/// the whole of it invalid; that is taken back.
pub(super) fn build_partitioned(scope: &Scope<'_>) -> Vec<Statement> {
    let name = scope.index_name(IndexPurpose::Wished);
    vec![
        Statement::repeatable(stop_at_large_partitions(name, scope)),
        Statement::proven(create(Way::WithPartitions, name, scope), is_valid(name, scope)),
        Statement::repeatable(stop_at_invalid(name, scope)),
    ]
}

/// An index of partitions cannot be dropped concurrently.
pub(super) fn drop_partitioned(scope: &Scope<'_>) -> SqlText {
    let index = in_schema(scope.index_name(IndexPurpose::Wished), scope);
    sql("DROP INDEX {index}", &[("index", Hole::Table(&index))])
}

/// How an index is built.
#[derive(Clone, Copy)]
enum Way {
    /// Writers go on.
    Concurrent,
    /// On all partitions; writers wait.
    WithPartitions,
    /// On no partition: the definition alone.
    Definition,
}

fn create(way: Way, name: &Ident, scope: &Scope<'_>) -> SqlText {
    let wish = scope.contract.answers().index.clone().unwrap_or_default();
    let method = wish.method.as_ref().map_or_else(
        || sql("", &[]),
        |method| sql(" USING {method}", &[("method", Hole::Name(method))]),
    );
    let include: Vec<SqlText> =
        wish.include.iter().map(|c| sql("{c}", &[("c", Hole::Name(c))])).collect();
    let include = if include.is_empty() {
        sql("", &[])
    } else {
        sql(" INCLUDE ({columns})", &[("columns", Hole::Sql(&join(&include, ", ")))])
    };
    let predicate = wish
        .predicate
        .get(Backend::Postgres)
        .map_or_else(|| sql("", &[]), |expr| sql(" WHERE {expr}", &[("expr", Hole::Expr(expr))]));
    let (concurrently, only) = match way {
        Way::Concurrent => ("CONCURRENTLY ", ""),
        Way::WithPartitions => ("", ""),
        Way::Definition => ("", "ONLY "),
    };
    sql(
        "CREATE {unique}INDEX {concurrently}{index} ON {only}{table}{method} ({column}){include}{predicate}",
        &[
            (
                "unique",
                Hole::Words(match wish.uniqueness {
                    Uniqueness::Unique | Uniqueness::Constraint => "UNIQUE ",
                    Uniqueness::Plain => "",
                }),
            ),
            ("concurrently", Hole::Words(concurrently)),
            ("index", Hole::Name(name)),
            ("only", Hole::Words(only)),
            ("table", Hole::Table(scope.table())),
            ("method", Hole::Sql(&method)),
            ("column", Hole::Name(scope.column())),
            ("include", Hole::Sql(&include)),
            ("predicate", Hole::Sql(&predicate)),
        ],
    )
}

fn is_valid(name: &Ident, scope: &Scope<'_>) -> SqlText {
    sql(
        "SELECT EXISTS (SELECT 1 FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
         WHERE i.indrelid = {table}::regclass AND c.relname = {name} AND i.indisvalid)",
        &[("table", Hole::Literal(&regclass(scope))), ("name", Hole::Literal(name.as_str()))],
    )
}

/// An index of a partition counts where the server would take it in: it is the same, and not part of
/// another index of the table.
fn stop_at_large_partitions(name: &Ident, scope: &Scope<'_>) -> SqlText {
    let path = scope.contract.path();
    let too_large =
        format!("newcol {path}: partitions of more than {UNINDEXED_MB} MB have no index on it yet");
    let hint = format!("run `cargo newcol apply {path}`, or build them first: ");
    sql(
        "DO {tag}
DECLARE
  newcol_wished text;
  newcol_bytes bigint;
  newcol_missing text;
BEGIN
  -- Made to see how the server writes it, and taken back with its lock.
  BEGIN
    {definition};
    SELECT substring(pg_get_indexdef(i.indexrelid) FROM ' USING .*') INTO newcol_wished
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE i.indrelid = {table}::regclass AND c.relname = {name};
    RAISE EXCEPTION USING ERRCODE = 'NEWCL';
  EXCEPTION WHEN SQLSTATE 'NEWCL' THEN
    NULL;
  END;
  SELECT sum(pg_relation_size(c.oid)),
    string_agg(format('CREATE INDEX CONCURRENTLY ON %s%s', c.oid::regclass, newcol_wished), '; ' ORDER BY c.oid::regclass::text)
  INTO newcol_bytes, newcol_missing
  FROM pg_partition_tree({table}::regclass) t JOIN pg_class c ON c.oid = t.relid
  WHERE t.isleaf AND c.relkind = 'r' AND NOT EXISTS (
    SELECT 1 FROM pg_index i LEFT JOIN pg_index whole ON whole.indexrelid = pg_partition_root(i.indexrelid)
    WHERE i.indrelid = c.oid AND i.indisvalid AND NOT i.indisunique
      AND substring(pg_get_indexdef(i.indexrelid) FROM ' USING .*') = newcol_wished
      AND whole.indrelid IS DISTINCT FROM {table}::regclass
  );
  IF newcol_bytes > {megabytes} * 1048576 THEN
    RAISE EXCEPTION USING MESSAGE = {too_large}, HINT = {hint} || newcol_missing;
  END IF;
END
{tag}",
        &[
            ("tag", Hole::Words(tag(scope))),
            ("definition", Hole::Sql(&create(Way::Definition, name, scope))),
            ("table", Hole::Literal(&regclass(scope))),
            ("name", Hole::Literal(name.as_str())),
            ("megabytes", Hole::Number(UNINDEXED_MB)),
            ("too_large", Hole::Literal(&too_large)),
            ("hint", Hole::Literal(&hint)),
        ],
    )
}

fn stop_at_invalid(name: &Ident, scope: &Scope<'_>) -> SqlText {
    let path = scope.contract.path();
    let index = sql("{index}", &[("index", Hole::Table(&in_schema(name, scope)))]).to_string();
    let broken = format!("newcol {path}: a build that broke off left an invalid index on it");
    sql(
        "DO {tag}
DECLARE
  newcol_broken text;
BEGIN
  SELECT string_agg(format('DROP INDEX CONCURRENTLY %s', t.relid), '; ' ORDER BY t.relid::text) INTO newcol_broken
  FROM pg_partition_tree({index}::regclass) t JOIN pg_index i ON i.indexrelid = t.relid
  WHERE t.isleaf AND NOT i.indisvalid;
  IF newcol_broken IS NOT NULL THEN
    RAISE EXCEPTION USING MESSAGE = {broken}, HINT = newcol_broken;
  END IF;
END
{tag}",
        &[
            ("tag", Hole::Words(tag(scope))),
            ("index", Hole::Literal(&index)),
            ("broken", Hole::Literal(&broken)),
        ],
    )
}
