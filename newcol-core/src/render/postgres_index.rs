//! Indexes of PostgreSQL.

use super::{
    Scope, Statement,
    postgres::{in_schema, regclass, sql},
    text::{Hole, SqlText, join},
};
use crate::{backend::Backend, contract::Uniqueness, plan::IndexPurpose};

pub(super) fn build(purpose: IndexPurpose, scope: &Scope<'_>) -> Statement {
    let wish = scope.contract.answers().index.clone().unwrap_or_default();
    let name = scope.index_name(purpose);
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
    let create = sql(
        "CREATE {unique}INDEX CONCURRENTLY {index} ON {table}{method} ({column}){include}{predicate}",
        &[
            (
                "unique",
                Hole::Words(match wish.uniqueness {
                    Uniqueness::Unique => "UNIQUE ",
                    Uniqueness::Plain => "",
                }),
            ),
            ("index", Hole::Name(name)),
            ("table", Hole::Table(scope.table())),
            ("method", Hole::Sql(&method)),
            ("column", Hole::Name(scope.column())),
            ("include", Hole::Sql(&include)),
            ("predicate", Hole::Sql(&predicate)),
        ],
    );
    let proof = sql(
        "SELECT EXISTS (SELECT 1 FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
         WHERE i.indrelid = {table}::regclass AND c.relname = {name} AND i.indisvalid)",
        &[("table", Hole::Literal(&regclass(scope))), ("name", Hole::Literal(name.as_str()))],
    );
    Statement::proven(create, proof)
}

pub(super) fn drop(purpose: IndexPurpose, scope: &Scope<'_>) -> SqlText {
    let index = in_schema(scope.index_name(purpose), scope);
    sql("DROP INDEX CONCURRENTLY {index}", &[("index", Hole::Table(&index))])
}
