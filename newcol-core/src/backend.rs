//! The database engines, and what each server version can do without a rewrite.
//!
//! The set is closed: one variant per SQL dialect that Diesel speaks. MariaDB shares the dialect
//! of MySQL and differs by [`Server`].

use std::{fmt, str::FromStr};

/// A SQL dialect, named as Diesel's cargo features name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Backend {
    /// PostgreSQL 13 to 18.
    Postgres,
    /// MySQL 8 and MariaDB 10.6 or later.
    Mysql,
    /// SQLite 3.37 or later.
    Sqlite,
}

impl Backend {
    /// Every backend, in the order in which output lists them.
    pub const ALL: [Self; 3] = [Self::Postgres, Self::Mysql, Self::Sqlite];

    /// Returns the lowercase name used in flags, files and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
            Self::Sqlite => "sqlite",
        }
    }

    /// Returns the backend that `diesel` chooses for a database URL: anything that is not a
    /// PostgreSQL or MySQL URL is a SQLite file.
    pub fn of_url(url: &str) -> Self {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            Self::Postgres
        } else if url.starts_with("mysql://") {
            Self::Mysql
        } else {
            Self::Sqlite
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Postgres => "PostgreSQL",
            Self::Mysql => "MySQL",
            Self::Sqlite => "SQLite",
        })
    }
}

/// A text that names no backend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not one of postgres, mysql, sqlite")]
pub struct UnknownBackend(pub String);

impl FromStr for Backend {
    type Err = UnknownBackend;

    fn from_str(text: &str) -> Result<Self, UnknownBackend> {
        match text {
            "postgres" | "postgresql" | "pg" => Ok(Self::Postgres),
            "mysql" | "mariadb" => Ok(Self::Mysql),
            "sqlite" => Ok(Self::Sqlite),
            other => Err(UnknownBackend(other.to_owned())),
        }
    }
}

/// The product behind a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Product {
    /// PostgreSQL.
    Postgres,
    /// Oracle's MySQL.
    Mysql,
    /// MariaDB.
    Mariadb,
    /// SQLite.
    Sqlite,
}

/// A server as planning sees it: product and version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Server {
    /// Which product answers.
    pub product: Product,
    /// First number of its version (`15` of 15.18, `10` of 10.11).
    pub major: u32,
    /// Second number of its version.
    pub minor: u32,
    /// Third number of its version, 0 where there is none.
    pub patch: u32,
}

impl Server {
    /// Returns the oldest server we support, assumed while none can be asked: what it can do,
    /// every supported one can.
    pub fn oldest(backend: Backend) -> Self {
        let (product, major, minor) = match backend {
            Backend::Postgres => (Product::Postgres, 13, 0),
            Backend::Mysql => (Product::Mysql, 8, 0),
            Backend::Sqlite => (Product::Sqlite, 3, 37),
        };
        Self { product, major, minor, patch: 0 }
    }

    /// Returns the dialect this server speaks.
    pub fn backend(&self) -> Backend {
        match self.product {
            Product::Postgres => Backend::Postgres,
            Product::Mysql | Product::Mariadb => Backend::Mysql,
            Product::Sqlite => Backend::Sqlite,
        }
    }

    /// Reports whether this version is at least `major.minor`.
    pub fn at_least(&self, major: u32, minor: u32) -> bool {
        (self.major, self.minor) >= (major, minor)
    }

    /// Reads back what [`Display`](fmt::Display) prints: `PostgreSQL 15`, `MariaDB 10.11`.
    pub fn parse_display(text: &str) -> Option<Self> {
        let (name, _) = text.split_once(' ')?;
        let (product, backend) = match name {
            "PostgreSQL" => (Product::Postgres, Backend::Postgres),
            "MySQL" => (Product::Mysql, Backend::Mysql),
            "MariaDB" => (Product::Mariadb, Backend::Mysql),
            "SQLite" => (Product::Sqlite, Backend::Sqlite),
            _ => return None,
        };
        Some(Self { product, ..Self::parse(backend, text)? })
    }

    /// Reads what the server says of itself: `SELECT version()` on PostgreSQL, MySQL and MariaDB,
    /// `sqlite_version()` on SQLite. Returns `None` when no number is found.
    pub fn parse(backend: Backend, text: &str) -> Option<Self> {
        let start = text.find(|c: char| c.is_ascii_digit())?;
        let number: String =
            text[start..].chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
        let mut numbers = number.split('.').map(|n| n.parse().unwrap_or(0));
        let product = match backend {
            Backend::Postgres => Product::Postgres,
            Backend::Mysql if text.contains("MariaDB") => Product::Mariadb,
            Backend::Mysql => Product::Mysql,
            Backend::Sqlite => Product::Sqlite,
        };
        Some(Self {
            product,
            major: numbers.next()?,
            minor: numbers.next().unwrap_or(0),
            patch: numbers.next().unwrap_or(0),
        })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.product {
            Product::Postgres => "PostgreSQL",
            Product::Mysql => "MySQL",
            Product::Mariadb => "MariaDB",
            Product::Sqlite => "SQLite",
        };
        match self.product {
            Product::Postgres => write!(f, "{name} {}", self.major),
            Product::Mysql | Product::Mariadb | Product::Sqlite => {
                write!(f, "{name} {}.{}", self.major, self.minor)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_as_servers_print_them() {
        let seen: Vec<String> = [
            (Backend::Postgres, "PostgreSQL 15.18 (Debian 15.18-0+deb12u1) on x86_64"),
            (Backend::Postgres, "PostgreSQL 18beta1 on aarch64"),
            (Backend::Mysql, "10.11.19-MariaDB-0+deb12u1"),
            (Backend::Mysql, "8.0.43"),
            (Backend::Sqlite, "3.50.4"),
        ]
        .iter()
        .map(|(backend, text)| {
            let server = Server::parse(*backend, text).unwrap();
            let printed = server.to_string();
            assert_eq!(Server::parse_display(&printed).unwrap().product, server.product);
            printed
        })
        .collect();
        assert_eq!(
            seen,
            ["PostgreSQL 15", "PostgreSQL 18", "MariaDB 10.11", "MySQL 8.0", "SQLite 3.50"]
        );
    }
}
