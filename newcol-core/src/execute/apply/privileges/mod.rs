//! May the user do what pending migrations need? Asked before anything runs, and read-only.
//!
//! Known are Diesel's table and the stages of a column; what other migrations need, only the server
//! can say when they run.

mod mysql;
mod postgres;

use std::collections::{BTreeMap, BTreeSet};

use super::{ApplyError, Direction, SqlMigration};
use crate::{
    backend::Backend,
    db::{Access, DbError, Session},
    execute::writable,
    ident::TableName,
    render::migrations::owner,
    sql,
};

/// The table of what is applied.
const DIESEL: &str = "__diesel_schema_migrations";

/// One thing that a user may not do.
struct Lack {
    /// Continues "user `app` may not".
    what: String,
    /// The statement that gives it.
    grant: String,
}

/// What pending stages do to one table.
#[derive(Debug, Default, PartialEq, Eq)]
struct Uses {
    /// Makes something that stands in the schema of the table: an index or a function.
    creates: bool,
    /// One of these is an index.
    indexes: bool,
    alters: bool,
    triggers: bool,
    /// Changes rows, or makes a trigger that does.
    fills: bool,
    /// Looks at rows in temporary tables first (MySQL, MariaDB).
    guards: bool,
    /// Is locked by the session, and looked at (MariaDB).
    locks: bool,
    /// Tables that a foreign key points to, as they are written.
    parents: BTreeSet<String>,
    /// Functions that are dropped, as they are written.
    drops: BTreeSet<String>,
}

/// Refuses what the user may not do, all of it at once.
pub(super) fn check(
    session: &mut Session,
    direction: Direction,
    migrations: &[SqlMigration],
    locked: Option<&TableName>,
) -> Result<(), ApplyError> {
    let backend = session.backend();
    let read_only = |session: &Session, why| {
        Err(ApplyError::ReadOnly { database: session.url().describe(), why })
    };
    let (user, lacks) = match backend {
        Backend::Postgres if session.query_bool("SELECT pg_is_in_recovery()")? => {
            return read_only(session, "it is a standby");
        }
        Backend::Postgres => {
            let user = session.value("SELECT current_user")?.unwrap_or_default();
            let mut lacks = postgres::bookkeeping(session, &user, direction)?;
            if lacks.is_empty() {
                let uses = uses(backend, direction, &pending(session, direction, migrations)?);
                lacks = postgres::lacks(session, &user, &uses)?;
            }
            (user, lacks)
        }
        Backend::Mysql => {
            let account = mysql::Account::read(session)?;
            let mut lacks = account.bookkeeping(session, direction)?;
            if lacks.is_empty() {
                let mut uses = uses(backend, direction, &pending(session, direction, migrations)?);
                if let Some(table) = locked {
                    uses.entry(table.clone()).or_default().locks = true;
                }
                lacks = account.lacks(session, &uses)?;
            }
            (account.name, lacks)
        }
        Backend::Sqlite => {
            // A session of ours that only reads has a reason of its own.
            let is_refused = session.access() != Access::Read
                && writable::is_refused(&session.query(writable::QUESTION)?);
            return if is_refused { read_only(session, "it is open to read only") } else { Ok(()) };
        }
    };
    if lacks.is_empty() {
        return Ok(());
    }
    let unique = |part: fn(&Lack) -> &str| {
        let mut seen = BTreeSet::new();
        let new = lacks.iter().map(part).filter(|text| seen.insert(*text));
        new.map(str::to_owned).collect::<Vec<_>>()
    };
    Err(ApplyError::Privilege {
        user,
        what: unique(|lack| &lack.what).join(", nor "),
        grant: unique(|lack| &lack.grant).join("; "),
    })
}

/// Returns what the user cannot see of others, a sentence each.
pub(super) fn unseen(session: &mut Session) -> Result<Vec<String>, DbError> {
    match session.backend() {
        Backend::Postgres => postgres::unseen(session),
        Backend::Mysql => Ok(mysql::Account::read(session)?.unseen()),
        Backend::Sqlite => Ok(Vec::new()),
    }
}

fn pending<'a>(
    session: &mut Session,
    direction: Direction,
    migrations: &'a [SqlMigration],
) -> Result<Vec<&'a SqlMigration>, DbError> {
    let applied: BTreeSet<String> =
        session.migrations()?.into_iter().map(|migration| migration.version).collect();
    let is_wanted =
        |m: &&SqlMigration| applied.contains(&m.version) == (direction == Direction::Down);
    Ok(migrations.iter().filter(is_wanted).collect())
}

/// Reads from stages what they do to their tables.
fn uses(
    backend: Backend,
    direction: Direction,
    migrations: &[&SqlMigration],
) -> BTreeMap<TableName, Uses> {
    let mut tables: BTreeMap<TableName, Uses> = BTreeMap::new();
    for migration in migrations {
        let text = match direction {
            Direction::Up => &migration.up,
            Direction::Down => migration.down.as_ref().unwrap_or(&migration.up),
        };
        let Some((column, _)) = owner(text) else { continue };
        let uses = tables.entry(column.table).or_default();
        for statement in sql::statements(text, backend) {
            let words = statement.words();
            let has = |word: &str| words.iter().any(|found| found == word);
            let creates = statement.starts(&["CREATE"]);
            uses.triggers |=
                ["CREATE", "DROP"].iter().any(|verb| statement.starts(&[verb, "TRIGGER"]));
            uses.alters |= statement.starts(&["ALTER"]);
            // What is prepared is an UPDATE, spelled so that nobody could read it.
            uses.fills |= statement.starts(&["CREATE", "TRIGGER"])
                || statement.starts(&["UPDATE"])
                || statement.starts(&["PREPARE"]);
            uses.guards |= creates && has("TEMPORARY");
            uses.indexes |= creates && has("INDEX");
            uses.creates |= creates && (has("INDEX") || has("FUNCTION"));
            let names = |words: &[&str]| {
                let ranges = statement.name_ranges_after(words).into_iter();
                ranges.map(|range| text[range].to_owned()).collect::<Vec<_>>()
            };
            uses.parents.extend(names(&["REFERENCES"]));
            uses.drops.extend(names(&["DROP", "FUNCTION"]));
        }
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_are_read_from_stages() {
        let up = "-- cargo newcol: shop.users.locale, stage expand\n\
                  ALTER TABLE \"shop\".\"users\" ADD CONSTRAINT c FOREIGN KEY (a) REFERENCES \"shop\".\"Places\" (id) NOT VALID;\n\
                  CREATE FUNCTION \"shop\".\"f\"() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN; END $$;";
        let ours = SqlMigration {
            version: "1".to_owned(),
            name: "1_ours".to_owned(),
            up: up.to_owned(),
            down: None,
            in_transaction: true,
            proofs: Vec::new(),
        };
        let others = SqlMigration { up: "CREATE INDEX i ON t (a)".to_owned(), ..ours.clone() };
        let found = uses(Backend::Postgres, Direction::Up, &[&ours, &others]);
        let parents = BTreeSet::from(["\"shop\".\"Places\"".to_owned()]);
        let wanted = Uses { creates: true, alters: true, parents, ..Uses::default() };
        assert_eq!(found, BTreeMap::from([("shop.users".parse().unwrap(), wanted)]));
    }
}
