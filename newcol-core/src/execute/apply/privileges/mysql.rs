//! What a user of MySQL or MariaDB may do.

use std::collections::BTreeMap;

use super::{DIESEL, Direction, Lack, Uses};
use crate::{
    backend::{Backend, Product},
    db::{DbError, Session},
    execute::grants::Grants,
    ident::TableName,
    render::text::quote,
};

/// The user of a session.
pub(super) struct Account {
    /// `app@%`
    pub(super) name: String,
    grants: Grants,
    /// The database of the session.
    database: String,
    /// Whether triggers are for those only who may do more (`log_bin`, without
    /// `log_bin_trust_function_creators`).
    guards_triggers: bool,
}

impl Account {
    pub(super) fn read(session: &mut Session) -> Result<Self, DbError> {
        Ok(Self {
            name: session.value("SELECT current_user()")?.unwrap_or_default(),
            grants: Grants::of(&session.query(Grants::QUESTION)?),
            database: session.value("SELECT database()")?.unwrap_or_default(),
            guards_triggers: session
                .query_bool("SELECT @@log_bin AND NOT @@log_bin_trust_function_creators")?,
        })
    }

    /// `'app'@'%'`
    fn quoted(&self) -> String {
        let (user, host) = self.name.rsplit_once('@').unwrap_or((&self.name, "%"));
        format!("'{}'@'{}'", user.replace('\'', "''"), host.replace('\'', "''"))
    }

    /// Adds what it lacks of some privileges on a table.
    fn on(&self, table: &[String; 2], privileges: &[&str], lacks: &mut Vec<Lack>) {
        let missing: Vec<&str> = privileges
            .iter()
            .copied()
            .filter(|privilege| !self.grants.may_in_part(privilege, table))
            .collect();
        if missing.is_empty() {
            return;
        }
        let [schema, name] = table.each_ref().map(|part| quote(Backend::Mysql, part));
        let list = missing.join(", ");
        lacks.push(Lack {
            what: format!("use {list} on {schema}.{name}"),
            grant: format!("GRANT {list} ON {schema}.{name} TO {}", self.quoted()),
        });
    }

    /// Returns what it lacks to keep Diesel's table.
    pub(super) fn bookkeeping(
        &self,
        session: &mut Session,
        direction: Direction,
    ) -> Result<Vec<Lack>, DbError> {
        // What a user has no privilege for is not shown to it; making what is there is nothing.
        let make: &[&str] = if session.has_migrations_table()? { &[] } else { &["CREATE"] };
        let change = match direction {
            Direction::Up => "INSERT",
            Direction::Down => "DELETE",
        };
        let mut lacks = Vec::new();
        let table = [self.database.clone(), DIESEL.to_owned()];
        self.on(&table, &[make, &["SELECT", change]].concat(), &mut lacks);
        Ok(lacks)
    }

    /// Returns what it lacks to carry stages out.
    pub(super) fn lacks(
        &self,
        session: &mut Session,
        tables: &BTreeMap<TableName, Uses>,
    ) -> Result<Vec<Lack>, DbError> {
        let mut lacks = Vec::new();
        for (table, uses) in tables {
            let schema = match &table.schema {
                Some(schema) => schema.as_str(),
                None => &self.database,
            };
            let name = [schema.to_owned(), table.name.as_str().to_owned()];
            let wanted = [
                ("ALTER", uses.alters),
                ("TRIGGER", uses.triggers),
                // A trigger acts as the user that made it: whoever writes would be refused.
                ("SELECT", uses.fills || uses.guards || uses.locks),
                ("UPDATE", uses.fills),
            ];
            let wanted: Vec<&str> = wanted
                .iter()
                .filter_map(|(privilege, is_wanted)| is_wanted.then_some(*privilege))
                .collect();
            self.on(&name, &wanted, &mut lacks);
            for parent in &uses.parents {
                let parts: Vec<String> = parent
                    .split('.')
                    .map(|part| part.trim_matches('`').replace("``", "`"))
                    .collect();
                let parent = match parts.as_slice() {
                    [of, name] => [of.clone(), name.clone()],
                    _ => [schema.to_owned(), parts.concat()],
                };
                let wanted: &[&str] =
                    if uses.guards { &["REFERENCES", "SELECT"] } else { &["REFERENCES"] };
                self.on(&parent, wanted, &mut lacks);
            }
            // Checks in front of a fill are temporary tables.
            if uses.guards {
                let what = ("CREATE TEMPORARY TABLES", "make temporary tables in");
                self.throughout(schema, what, &mut lacks);
            }
            if uses.locks {
                self.throughout(schema, ("LOCK TABLES", "lock tables of"), &mut lacks);
            }
            if uses.triggers && self.guards_triggers && !self.is_trusted(session) {
                lacks.push(Lack {
                    what: "make triggers while the server writes a binary log".to_owned(),
                    grant: "SET GLOBAL log_bin_trust_function_creators = 1".to_owned(),
                });
            }
        }
        Ok(lacks)
    }

    /// Adds what it lacks for a whole schema.
    fn throughout(&self, schema: &str, (privilege, what): (&str, &str), lacks: &mut Vec<Lack>) {
        // No table of that name is meant: what holds for all tables of the schema holds for it.
        if self.grants.may(privilege, &[schema.to_owned(), String::new()]) {
            return;
        }
        let schema = quote(Backend::Mysql, schema);
        lacks.push(Lack {
            what: format!("{what} {schema}"),
            grant: format!("GRANT {privilege} ON {schema}.* TO {}", self.quoted()),
        });
    }

    fn is_trusted(&self, session: &Session) -> bool {
        let mariadb = session.server().product == Product::Mariadb;
        self.grants.everywhere("SUPER") || (mariadb && self.grants.everywhere("BINLOG ADMIN"))
    }

    /// Returns what it cannot see of others.
    pub(super) fn unseen(&self) -> Vec<String> {
        if self.grants.everywhere("PROCESS") {
            return Vec::new();
        }
        let (user, account) = (&self.name, self.quoted());
        vec![format!(
            "{user} sees no session but its own: nobody who stands in the way can be named \
             (GRANT PROCESS ON *.* TO {account})"
        )]
    }
}
