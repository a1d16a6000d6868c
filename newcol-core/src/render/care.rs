//! What a fill runs so that nothing but its column changes, and what its refusals propose to run.
//!
//! Says how, not when: that is for whoever has read what the fill would do besides.

use super::text::{Hole, SqlText, join, sql};
use crate::{
    backend::Backend,
    ident::{Ident, TableName},
};

/// Keeps triggers from firing, for this transaction and nobody else (PostgreSQL).
pub(crate) fn triggers_rest() -> SqlText {
    sql(Backend::Postgres, "SET LOCAL session_replication_role = replica", &[])
}

/// Makes it an error that a policy hides rows, instead of silence (PostgreSQL).
pub(crate) fn no_row_is_hidden() -> SqlText {
    sql(Backend::Postgres, "SET row_security = off", &[])
}

/// Checks foreign keys, which SQLite does only when it is told to.
pub(crate) fn foreign_keys_on() -> SqlText {
    sql(Backend::Sqlite, "PRAGMA foreign_keys = ON", &[])
}

/// Drops triggers and makes them again as they were, around an UPDATE in one transaction (SQLite).
pub(crate) fn without_triggers<'a>(
    table: &TableName,
    triggers: impl IntoIterator<Item = &'a (Ident, String)>,
) -> (Vec<SqlText>, Vec<SqlText>) {
    let off_and_on = |(name, create): &(Ident, String)| {
        let trigger = TableName { schema: table.schema.clone(), name: name.clone() };
        let drop =
            sql(Backend::Sqlite, "DROP TRIGGER {trigger}", &[("trigger", Hole::Table(&trigger))]);
        (drop, SqlText::stored(create.clone()))
    };
    triggers.into_iter().map(off_and_on).unzip()
}

/// Lets a role keep triggers from firing (PostgreSQL 15).
pub(crate) fn grant_rest(role: &Ident) -> SqlText {
    pg("GRANT SET ON PARAMETER session_replication_role TO {role}", &[("role", Hole::Name(role))])
}

/// Lets triggers fire in the sessions of a role, as everywhere (PostgreSQL).
pub(crate) fn starts_at_origin(role: &Ident) -> SqlText {
    pg("ALTER ROLE {role} SET session_replication_role = origin", &[("role", Hole::Name(role))])
}

/// Lets a role see every row (PostgreSQL).
pub(crate) fn bypass_policies(role: &Ident) -> SqlText {
    pg("ALTER ROLE {role} BYPASSRLS", &[("role", Hole::Name(role))])
}

/// Lets the owner of a table see every row of it (PostgreSQL).
pub(crate) fn owner_bypasses_policies(table: &TableName) -> SqlText {
    pg("ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY", &[("table", Hole::Table(table))])
}

/// Lets a trigger fire for all but sessions that apply changes of another server (PostgreSQL).
pub(crate) fn enable_trigger(trigger: &Ident, table: &TableName) -> SqlText {
    pg(
        "ALTER TABLE {table} ENABLE TRIGGER {trigger}",
        &[("table", Hole::Table(table)), ("trigger", Hole::Name(trigger))],
    )
}

/// Keeps a trigger from firing anywhere (PostgreSQL).
pub(crate) fn disable_trigger(trigger: &Ident, table: &TableName) -> SqlText {
    pg(
        "ALTER TABLE {table} DISABLE TRIGGER {trigger}",
        &[("table", Hole::Table(table)), ("trigger", Hole::Name(trigger))],
    )
}

/// Keeps a rule from rewriting statements (PostgreSQL).
pub(crate) fn disable_rule(rule: &Ident, table: &TableName) -> SqlText {
    pg(
        "ALTER TABLE {table} DISABLE RULE {rule}",
        &[("table", Hole::Table(table)), ("rule", Hole::Name(rule))],
    )
}

/// Drops a constraint (PostgreSQL).
pub(crate) fn drop_constraint(constraint: &Ident, table: &TableName) -> SqlText {
    pg(
        "ALTER TABLE {table} DROP CONSTRAINT {constraint}",
        &[("table", Hole::Table(table)), ("constraint", Hole::Name(constraint))],
    )
}

/// Lets subscribers know a changed row by all that it held (PostgreSQL).
pub(crate) fn whole_row_is_identity(table: &TableName) -> SqlText {
    pg("ALTER TABLE {table} REPLICA IDENTITY FULL", &[("table", Hole::Table(table))])
}

/// What a user may not do with a table that it is to fill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The table.
    pub table: TableName,
    /// Where it may not read the whole table: the columns in question, as far as they are known.
    pub read: Option<Vec<Ident>>,
    /// Columns that it may not change.
    pub change: Vec<Ident>,
}

/// Who is granted something, as the engine's GRANT names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grantee {
    /// A role of PostgreSQL.
    Role(Ident),
    /// An account of MySQL or MariaDB.
    Account {
        /// Its name.
        user: String,
        /// Where it connects from.
        host: String,
    },
}

impl Grantee {
    fn backend(&self) -> Backend {
        match self {
            Self::Role(_) => Backend::Postgres,
            Self::Account { .. } => Backend::Mysql,
        }
    }

    fn sql(&self) -> SqlText {
        match self {
            Self::Role(role) => pg("{role}", &[("role", Hole::Name(role))]),
            Self::Account { user, host } => sql(
                Backend::Mysql,
                "{user}@{host}",
                &[("user", Hole::Literal(user)), ("host", Hole::Literal(host))],
            ),
        }
    }
}

/// Grants what is missing.
pub(crate) fn grant(missing: &Missing, to: &Grantee) -> SqlText {
    let backend = to.backend();
    let read = missing.read.as_ref().map(|_| sql(backend, "SELECT", &[]));
    let names: Vec<SqlText> =
        missing.change.iter().map(|c| sql(backend, "{c}", &[("c", Hole::Name(c))])).collect();
    let names = join(&names, ", ");
    let change = (!missing.change.is_empty())
        .then(|| sql(backend, "UPDATE ({columns})", &[("columns", Hole::Sql(&names))]));
    let granted: Vec<SqlText> = read.into_iter().chain(change).collect();
    sql(
        backend,
        "GRANT {granted} ON {table} TO {grantee}",
        &[
            ("granted", Hole::Sql(&join(&granted, ", "))),
            ("table", Hole::Table(&missing.table)),
            ("grantee", Hole::Sql(&to.sql())),
        ],
    )
}

/// Lets an account see which triggers a table has (MySQL).
pub(crate) fn grant_trigger(table: &TableName, to: &Grantee) -> SqlText {
    sql(
        to.backend(),
        "GRANT TRIGGER ON {table} TO {grantee}",
        &[("table", Hole::Table(table)), ("grantee", Hole::Sql(&to.sql()))],
    )
}

fn pg(template: &'static str, holes: &[(&str, Hole<'_>)]) -> SqlText {
    sql(Backend::Postgres, template, holes)
}
