//! Why a column cannot be filled without changing anything else, and what the user may choose.

use std::fmt;

use super::{Grantee, Missing, Trigger, list};
use crate::{
    backend::Server,
    ident::{ColumnPath, Ident, TableName},
    render::{care, text::SqlText},
};

/// Why nothing is filled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The database takes no changes.
    #[error("`{column}` cannot be filled: {why}")]
    ReadOnly {
        /// The column.
        column: ColumnPath,
        /// Why it takes none.
        why: ReadOnly,
    },
    /// Policies would keep rows from being filled, and nobody would notice (PostgreSQL).
    #[error(
        "row-level security hides rows of {} from the role `{role}`: `{column}` would stay empty in them",
        list(.tables)
    )]
    HiddenRows {
        /// The column.
        column: ColumnPath,
        /// The role.
        role: Ident,
        /// The tables with policies.
        tables: Vec<TableName>,
    },
    /// The user may not read what the fill reads, or not change what it changes.
    #[error("{who} may not fill `{column}`: it may not {}", lacks(.missing))]
    Privileges {
        /// The column.
        column: ColumnPath,
        /// The user.
        who: Grantee,
        /// What is missing, by table.
        missing: Vec<Missing>,
    },
    /// A rule makes something else of an UPDATE (PostgreSQL).
    #[error("a fill of `{column}` is an UPDATE, and rules make something else of it: {}", on(.rules))]
    Rules {
        /// The column.
        column: ColumnPath,
        /// The rules, with their tables.
        rules: Vec<(Ident, TableName)>,
    },
    /// The server refuses to update what it could not tell its subscribers of (PostgreSQL).
    #[error(
        "`{column}` cannot be filled: the server refuses every UPDATE of {}, which {} publishes without a replica identity",
        list(.tables), list(.publications)
    )]
    NoIdentity {
        /// The column.
        column: ColumnPath,
        /// The tables.
        tables: Vec<TableName>,
        /// What publishes them.
        publications: Vec<Ident>,
    },
    /// Triggers would fire.
    #[error("filling `{column}` fires {}, which {because}", triggers(.fires))]
    Triggers {
        /// The column.
        column: ColumnPath,
        /// The triggers.
        fires: Vec<Trigger>,
        /// Why they cannot rest.
        because: NoRest,
    },
    /// Triggers would fire where others rest (PostgreSQL).
    #[error("filling `{column}` fires {} even where triggers rest", triggers(.restless))]
    RestlessTriggers {
        /// The column.
        column: ColumnPath,
        /// What would fire if nothing rested.
        fires: Vec<Trigger>,
        /// What would fire if triggers rested.
        restless: Vec<Trigger>,
        /// What makes them rest with the others, and changes nothing for the application.
        edits: Vec<SqlText>,
    },
    /// Nobody can tell whether triggers would fire (MySQL).
    #[error("{who} may not see whether filling `{column}` fires triggers")]
    HiddenTriggers {
        /// The column.
        column: ColumnPath,
        /// The user.
        who: Grantee,
    },
    /// Triggers could rest, and with them what checks the column (PostgreSQL).
    #[error(
        "if {} rested while `{column}` is filled, nothing would check {}",
        triggers(.fires), on(.constraints)
    )]
    Unchecked {
        /// The column.
        column: ColumnPath,
        /// The triggers.
        fires: Vec<Trigger>,
        /// The constraints, with their tables.
        constraints: Vec<(Ident, TableName)>,
    },
    /// What checks the column rests in every session of the role (PostgreSQL).
    #[error(
        "sessions of the role `{role}` start with `session_replication_role = replica`, in which nothing checks {} while `{column}` is filled",
        on(.constraints)
    )]
    Replica {
        /// The column.
        column: ColumnPath,
        /// The role.
        role: Ident,
        /// The constraints, with their tables.
        constraints: Vec<(Ident, TableName)>,
    },
}

/// Why a database takes no changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReadOnly {
    /// It follows a primary server (PostgreSQL).
    #[error("this server is a standby, which only follows its primary")]
    Standby,
    /// Its sessions start read-only (PostgreSQL).
    #[error("`default_transaction_read_only` is on for this database, role or URL")]
    Default,
    /// A variable says so (MySQL, MariaDB).
    #[error("`{0}` is on for this server")]
    Variable(&'static str),
    /// The file is, or the URL says so (SQLite).
    #[error("the file is read-only")]
    File,
}

/// Why triggers cannot rest while rows are filled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoRest {
    /// The role may not let them (PostgreSQL).
    #[error("the role `{role}` may not prevent")]
    Denied {
        /// The role.
        role: Ident,
        /// The server, which may be too old to grant it.
        server: Server,
    },
    /// There is no way (MySQL, MariaDB).
    #[error("{0} cannot prevent")]
    Engine(Server),
}

impl Refusal {
    /// Returns what the user may choose from, a sentence each.
    pub fn choices(&self) -> Vec<String> {
        match self {
            Self::ReadOnly { why, .. } => vec![why.choice().to_owned()],
            Self::HiddenRows { role, tables, .. } => vec![
                format!("let a superuser run {}", commands([care::bypass_policies(role)])),
                format!(
                    "use the URL of the table's owner, and run {} where its policies bind the owner too",
                    commands(tables.iter().map(care::owner_bypasses_policies))
                ),
            ],
            Self::Privileges { who, missing, .. } => vec![
                format!(
                    "let the owner run {}",
                    commands(missing.iter().map(|m| care::grant(m, who)))
                ),
                "use the URL of the owner".to_owned(),
            ],
            Self::Rules { rules, .. } => {
                let edits = rules.iter().map(|(rule, table)| care::disable_rule(rule, table));
                vec![format!("run {} until all is filled", commands(edits))]
            }
            Self::NoIdentity { tables, .. } => vec![
                format!("give {} a primary key", list(tables)),
                format!(
                    "run {}, after which an UPDATE sends the whole row",
                    commands(tables.iter().map(care::whole_row_is_identity))
                ),
            ],
            Self::Triggers { fires, because, .. } => {
                because.choices(fires).into_iter().chain([fire(fires)]).collect()
            }
            Self::RestlessTriggers { fires, edits, .. } => vec![
                format!("run {}, which changes nothing for the application", commands(edits)),
                fire(fires),
            ],
            Self::HiddenTriggers { column, who } => vec![
                format!(
                    "let the owner run {}",
                    commands([care::grant_trigger(&column.table, who)])
                ),
                "pass `--triggers fire`, and whatever there is fires".to_owned(),
            ],
            Self::Unchecked { fires, constraints, .. } => {
                let drop = constraints.iter().map(|(name, on)| care::drop_constraint(name, on));
                vec![
                    format!("run {}, to be undone when all is filled", commands(drop)),
                    fire(fires),
                ]
            }
            Self::Replica { role, .. } => vec![
                format!("run {}", commands([care::starts_at_origin(role)])),
                "use the URL of another role".to_owned(),
            ],
        }
    }

    /// Returns all choices in one line.
    pub fn hint(&self) -> String {
        self.choices().join("; or ")
    }
}

impl ReadOnly {
    fn choice(self) -> &'static str {
        match self {
            Self::Standby => "use the URL of the primary",
            Self::Default => "lift the setting, or use a role for which it is off",
            Self::Variable(_) => {
                "use the URL of the server that takes changes, or lift the setting"
            }
            Self::File => {
                "let the file and its directory be written, by a URL without `mode=ro` and `immutable`"
            }
        }
    }
}

impl NoRest {
    fn choices(&self, fires: &[Trigger]) -> Vec<String> {
        match self {
            Self::Denied { role, server } => {
                let grant = format!("let a superuser run {}", commands([care::grant_rest(role)]));
                let superuser = "use the URL of a superuser".to_owned();
                if server.at_least(15, 0) { vec![grant, superuser] } else { vec![superuser] }
            }
            Self::Engine(_) => vec![format!(
                "drop {} and make again when all is filled: until then, nothing fires for anybody",
                triggers(fires)
            )],
        }
    }
}

impl fmt::Display for Grantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Role(role) => write!(f, "the role `{role}`"),
            Self::Account { user, host } => write!(f, "the user `{user}@{host}`"),
        }
    }
}

fn fire(fires: &[Trigger]) -> String {
    let does = fires.iter().map(|Trigger { name, does, .. }| format!("`{name}` {does}"));
    format!("pass `--triggers fire`: {}", does.collect::<Vec<_>>().join(", "))
}

/// Returns statements for the user to run; MySQL's names have backticks of their own.
fn commands<T: std::borrow::Borrow<SqlText>>(statements: impl IntoIterator<Item = T>) -> String {
    let quoted = |statement: T| match statement.borrow().as_str() {
        sql if sql.contains('`') => sql.to_owned(),
        sql => format!("`{sql}`"),
    };
    statements.into_iter().map(quoted).collect::<Vec<_>>().join(" and ")
}

fn triggers(triggers: &[Trigger]) -> String {
    list(triggers.iter().map(|trigger| &trigger.name))
}

fn on(objects: &[(Ident, TableName)]) -> String {
    let names: Vec<String> =
        objects.iter().map(|(name, table)| format!("`{name}` on `{table}`")).collect();
    names.join(", ")
}

fn lacks(missing: &[Missing]) -> String {
    let lacks = missing.iter().flat_map(|Missing { table, read, change }| {
        let read = read.as_ref().map(|columns| match columns.as_slice() {
            [] => format!("read all of `{table}`"),
            columns => format!("read {} of `{table}`", list(columns)),
        });
        let change = (!change.is_empty()).then(|| format!("change {} of `{table}`", list(change)));
        [read, change]
    });
    lacks.flatten().collect::<Vec<_>>().join(", nor ")
}
