//! From a column's SQL type to what `diesel print-schema` 2.3 writes for it.
//!
//! Each engine maps as diesel_cli does, from the name under which its catalog reports the type;
//! so the text is first brought to that name. A type that would give a schema that does not
//! compile or cannot work is refused with the reason. Knows no catalog: what a name of the user's
//! own stands for (an enum, a domain) must be said.

mod mysql;
mod postgres;
mod sqlite;

use super::{
    diesel_toml::PrintSchemaConfig,
    names::{column_name, table_name, upper_camel},
};
use crate::{
    backend::{Backend, Product},
    ident::ColumnPath,
};

/// A type to derive, and what it depends on.
#[derive(Debug, Clone, Copy)]
pub struct TypeQuery<'a> {
    /// The server; MySQL and MariaDB report some types differently.
    pub product: Product,
    /// The type as it stands in `ADD COLUMN`.
    pub sql: &'a str,
    /// The column; MySQL names a type's struct after it.
    pub column: &'a ColumnPath,
    /// What print-schema is told about types.
    pub config: &'a PrintSchemaConfig,
    /// What the type is under its name, as far as the caller knows.
    pub named: Named<'a>,
    /// Schema that PostgreSQL's `current_schema()` reports; types in it are named without schema.
    pub default_schema: &'a str,
}

/// What stands behind a type's name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Named<'a> {
    /// A built-in type or alias; else a type of the schema that is written or the default one.
    #[default]
    Unknown,
    /// A type found in the catalog under this schema.
    InSchema(&'a str),
    /// A PostgreSQL domain over this type.
    DomainOver(&'a str),
    /// A SQLite column that references a rowid, which `sqlite_integer_primary_key_is_bigint`
    /// turns into `BigInt`.
    RowidReference,
}

/// What print-schema writes for a type, and what Rust code needs for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DerivedType {
    /// Type in `table!`, without `Nullable`.
    pub diesel: String,
    /// Value of `#[max_length]`.
    pub max_length: Option<u64>,
    /// The struct that print-schema defines for the type.
    pub custom: Option<CustomType>,
    /// Usual Rust type of a field, without `Option`; `None` if the user has to write one.
    pub rust: Option<&'static str>,
    /// Cargo features of diesel that the Rust type needs.
    pub features: &'static [&'static str],
    /// What the user should know although the type works.
    pub notes: Vec<&'static str>,
}

impl DerivedType {
    /// Returns the type in `table!` of a column that allows NULL.
    pub fn nullable(&self) -> String {
        format!("Nullable<{}>", self.diesel)
    }
}

/// A struct in `sql_types`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomType {
    /// Name of the struct.
    pub rust_name: String,
    /// Name of the type in the database.
    pub sql_name: String,
    /// How it is bound to the database.
    pub kind: StubKind,
}

/// How a struct in `sql_types` is bound to the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StubKind {
    /// `#[diesel(postgres_type(…))]`.
    Postgres {
        /// Schema, unless it is the default one.
        schema: Option<String>,
    },
    /// `#[diesel(mysql_type(…))]`: one struct for each column.
    Mysql {
        /// Rust name of the table.
        table: String,
        /// Rust name of the column.
        column: String,
    },
}

/// Why a type cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TypeError {
    /// The text is not a type of the engine.
    #[error("`{sql}` is not a type: {reason}")]
    Unreadable {
        /// The text.
        sql: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The engine takes the type, Diesel cannot use it.
    #[error("Diesel cannot use `{sql}`: {reason}")]
    Unusable {
        /// The text.
        sql: String,
        /// Why not.
        reason: &'static str,
    },
}

/// Derives what `diesel print-schema` writes for a type.
pub fn derive(query: &TypeQuery<'_>) -> Result<DerivedType, TypeError> {
    match query.product {
        Product::Postgres => postgres::derive(query),
        Product::Mysql | Product::Mariadb => mysql::derive(query),
        Product::Sqlite => sqlite::derive(query),
    }
}

impl TypeQuery<'_> {
    fn unreadable(&self, reason: &'static str) -> TypeError {
        TypeError::Unreadable { sql: self.sql.to_owned(), reason }
    }

    fn unusable(&self, reason: &'static str) -> TypeError {
        TypeError::Unusable { sql: self.sql.to_owned(), reason }
    }
}

/// Types that diesel_cli takes for provided on every backend.
const COMMON: &[&str] = &[
    "Bool",
    "Integer",
    "SmallInt",
    "BigInt",
    "Binary",
    "Text",
    "Double",
    "Float",
    "Numeric",
    "Timestamp",
    "Date",
    "Time",
    "Float4",
    "Smallint",
    "Int2",
    "Int4",
    "Int8",
    "Bigint",
    "Float8",
    "Decimal",
    "VarChar",
    "Varchar",
    "Char",
    "Tinytext",
    "Mediumtext",
    "Longtext",
    "Tinyblob",
    "Blob",
    "Mediumblob",
    "Longblob",
    "Varbinary",
    "Bit",
];

/// Types that diesel_cli takes for provided on PostgreSQL only.
const POSTGRES: &[&str] = &[
    "Cidr",
    "Citext",
    "Inet",
    "Jsonb",
    "MacAddr",
    "MacAddr8",
    "Money",
    "Oid",
    "Range",
    "Timestamptz",
    "Uuid",
    "Json",
    "PgLsn",
    "Record",
    "Interval",
    "Int4range",
    "Int8range",
    "Daterange",
    "Numrange",
    "Tsrange",
    "Tstzrange",
    "Int4multirange",
    "Int8multirange",
    "Datemultirange",
    "Nummultirange",
    "Tsmultirange",
    "Tstzmultirange",
    "SmallSerial",
    "BigSerial",
    "Serial",
    "Bytea",
    "Bpchar",
    "Macaddr",
    "Macaddr8",
];

/// Types that diesel_cli takes for provided on MySQL only.
const MYSQL: &[&str] = &["TinyInt", "Tinyint", "Datetime", "Json"];

fn provided(backend: Backend, rust_name: &str) -> bool {
    COMMON.contains(&rust_name)
        || match backend {
            Backend::Postgres => POSTGRES.contains(&rust_name),
            Backend::Mysql => MYSQL.contains(&rust_name),
            Backend::Sqlite => false,
        }
}
