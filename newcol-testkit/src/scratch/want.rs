//! What a test wants of its database.

use std::fmt;

use newcol_core::backend::{Backend, Product, Server};

/// A wish for a database; whatever is left open is chosen by speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Want {
    /// The dialect.
    pub backend: Backend,
    /// The major version: `15` of PostgreSQL 15.18, `10` of MariaDB 10.11.
    pub version: Option<u32>,
    /// MySQL or MariaDB, where it matters.
    pub product: Option<Product>,
    /// Whether others may use the server at the same time.
    pub sharing: Sharing,
    /// Where SQLite keeps its pages.
    pub storage: Storage,
}

/// Whether others may use the server at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// Own database on a shared server: what all but a few tests want.
    Shared,
    /// Own server, for tests that kill it or change what belongs to the whole server (roles,
    /// settings, replication slots).
    Private,
}

/// Where SQLite keeps its pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// In a temporary file, which other processes can open.
    File,
    /// In the memory of this process.
    Memory,
}

impl Want {
    /// Wishes for any PostgreSQL.
    pub fn postgres() -> Self {
        Backend::Postgres.into()
    }

    /// Wishes for any MySQL or MariaDB.
    pub fn mysql() -> Self {
        Backend::Mysql.into()
    }

    /// Wishes for SQLite in a file.
    pub fn sqlite() -> Self {
        Backend::Sqlite.into()
    }

    /// Wishes for a major version.
    #[must_use]
    pub fn version(self, major: u32) -> Self {
        Self { version: Some(major), ..self }
    }

    /// Wishes for MySQL or for MariaDB.
    #[must_use]
    pub fn product(self, product: Product) -> Self {
        Self { product: Some(product), ..self }
    }

    /// Wishes for a server of its own.
    #[must_use]
    pub fn private(self) -> Self {
        Self { sharing: Sharing::Private, ..self }
    }

    /// Wishes for SQLite in memory.
    #[must_use]
    pub fn in_memory(self) -> Self {
        Self { storage: Storage::Memory, ..self }
    }

    /// Reports whether a server is of the wished product and version.
    pub(crate) fn accepts(&self, server: &Server) -> bool {
        server.backend() == self.backend
            && self.version.is_none_or(|major| major == server.major)
            && self.product.is_none_or(|product| product == server.product)
    }
}

impl From<Backend> for Want {
    fn from(backend: Backend) -> Self {
        Self {
            backend,
            version: None,
            product: None,
            sharing: Sharing::Shared,
            storage: Storage::File,
        }
    }
}

impl fmt::Display for Want {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.product {
            Some(Product::Mariadb) => f.write_str("MariaDB")?,
            Some(Product::Postgres | Product::Mysql | Product::Sqlite) | None => {
                self.backend.fmt(f)?;
            }
        }
        self.version.map_or(Ok(()), |major| write!(f, " {major}"))
    }
}
