//! What planning must know about the table: filled by `db` from a live server or a replay of the
//! project's migrations, or from `schema.rs` alone; read by [`super::build`].

use crate::{
    backend::{Backend, Server},
    ident::{Ident, TableName},
};

/// Where facts come from, and so how much of them is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// `schema.rs` alone: columns and key, nothing else.
    Schema,
    /// A throwaway database onto which the project's own migrations were replayed.
    Replay,
    /// The user's database.
    Server,
}

/// How often the server must evaluate a default, as measured or judged.
///
/// Mirrors `pg_proc.provolatile`; only [`Volatility::Volatile`] makes PostgreSQL rewrite the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Volatility {
    /// One value for ever: literals and immutable functions of them.
    Immutable,
    /// One value per statement, such as `now()`.
    Stable,
    /// A value per row, such as `gen_random_uuid()`.
    Volatile,
    /// Names something that only a server can judge.
    Unknown,
}

impl Volatility {
    /// Reports whether asking twice in one statement yields the same.
    pub fn is_steady(self) -> bool {
        matches!(self, Self::Immutable | Self::Stable)
    }
}

/// Everything planning knows about the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableFacts {
    /// Server the plan is for; the oldest supported one while none was asked.
    pub server: Server,
    /// Where the facts come from.
    pub source: Source,
    /// Estimated rows; `None` when unknown.
    pub rows: Option<u64>,
    /// Columns in table order.
    pub columns: Vec<ColumnFacts>,
    /// Columns of the primary key; empty without one.
    pub primary_key: Vec<Ident>,
    /// Tables with a foreign key to this one.
    pub children: Vec<TableName>,
    /// Tables that change with this one: its partitions and heirs (PostgreSQL).
    pub heirs: Vec<TableName>,
    /// Triggers, without our own, that an UPDATE of any column fires.
    pub update_triggers: Vec<Ident>,
    /// Whether the table is partitioned (PostgreSQL).
    pub partitioned: bool,
    /// Volatility of the wished default, where a server measured it.
    pub default_volatility: Option<Volatility>,
    /// Whether adding the column with this type rewrites the table even without a default (domain
    /// with constraints), where a server measured it.
    pub type_rewrites: Option<bool>,
    /// What keeps MariaDB from changing the table while writers go on.
    pub hindrance: Option<Hindrance>,
    /// `sql_mode` of the server holds a strict mode (MySQL, MariaDB); `true` elsewhere.
    pub strict: bool,
    /// SQLite only: the stored statements that a rebuild must repeat.
    pub sqlite: Option<SqliteTable>,
}

impl TableFacts {
    /// Starts facts that hold for any table of an engine: nothing known but its dialect.
    pub fn unknown(backend: Backend) -> Self {
        Self {
            server: Server::oldest(backend),
            source: Source::Schema,
            rows: None,
            columns: Vec::new(),
            primary_key: Vec::new(),
            children: Vec::new(),
            heirs: Vec::new(),
            update_triggers: Vec::new(),
            partitioned: false,
            default_volatility: None,
            type_rewrites: None,
            hindrance: None,
            strict: true,
            sqlite: None,
        }
    }

    /// Returns the column of that name.
    pub fn column(&self, name: &Ident) -> Option<&ColumnFacts> {
        self.columns.iter().find(|c| c.name == *name)
    }
}

/// A generated column because of which MariaDB holds writers up (measured on 10.11).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hindrance {
    /// It is stored: only a copy of the table turns NULL into NOT NULL.
    Stored(Ident),
    /// It is virtual and has an index: adding a column rebuilds the table, and not online.
    IndexedVirtual(Ident),
}

/// One existing column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnFacts {
    /// Its name.
    pub name: Ident,
    /// SQL type as the server prints it; `None` from `schema.rs`.
    pub sql_type: Option<String>,
    /// Whether it may hold NULL.
    pub nullable: bool,
    /// Default as the server prints it.
    pub default: Option<String>,
    /// Whether its value is generated (stored, virtual or identity), so that it cannot be set.
    pub generated: bool,
    /// Its comment.
    pub comment: Option<String>,
}

/// Statements SQLite keeps of a table (`sqlite_schema.sql`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqliteTable {
    /// `CREATE TABLE` as stored.
    pub create: String,
    /// Stored `CREATE INDEX` and `CREATE TRIGGER` statements on the table, by name.
    pub attached: Vec<(Ident, String)>,
    /// Whether the table was made `WITHOUT ROWID`.
    pub without_rowid: bool,
}
