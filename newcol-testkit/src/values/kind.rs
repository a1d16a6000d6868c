//! What a type holds, apart from how engines spell it.

use newcol_core::backend::Product;

use super::{ColumnType, ValueError, patterns, patterns::Pattern, written::Written};

/// What a type holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// Yes or no.
    Bool,
    /// Whole numbers of this many bits.
    Integer { bits: u32, signed: bool },
    /// Decimal numbers; without precision any.
    Decimal { precision: Option<u32>, scale: i32, signed: bool },
    /// Binary fractions with 24 or 53 significant bits.
    Float { bits: u32 },
    /// Text of at most so many characters.
    Text { limit: Option<u64>, text: Text },
    /// Bytes, at most or exactly so many.
    Bytes { limit: Option<u64>, fixed: bool },
    /// A day.
    Date,
    /// A time of day.
    Time { digits: u32, zone: Zone },
    /// A day and a time, of `days` days.
    Timestamp { digits: u32, zone: Zone, range: Range },
    /// A year of MySQL: one byte.
    Year,
    /// An interval with only these fields.
    Interval { unit: &'static str },
    /// A UUID.
    Uuid,
    /// JSON, as text or as a value.
    Json { binary: bool },
    /// An address.
    Address(Address),
    /// A position in the write-ahead log.
    Lsn,
    /// Bits, at most or exactly so many.
    Bits { length: u64, varying: bool },
    /// One of these.
    Label(Vec<String>),
    /// Some of these.
    Set(Vec<String>),
    /// Numbers of pgvector.
    Vector { dimensions: u64 },
    /// A type whose values differ from each other in one number.
    Pattern(&'static Pattern),
    /// An array of PostgreSQL.
    Array(Box<Kind>),
    /// A range or multirange of PostgreSQL.
    Range { of: Box<Kind>, multi: bool },
}

/// How a text compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Text {
    /// As written.
    Plain,
    /// Filled up with blanks.
    Padded,
    /// Without regard to case.
    AnyCase,
    /// In a character set that lacks most characters.
    Narrow,
}

/// Whether a time knows its offset from UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Zone {
    /// It does not.
    Local,
    /// It is written with an offset.
    Offset,
    /// It is written without one, and the engine takes the session's.
    Session,
}

/// Which days a timestamp can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Range {
    /// All common ones.
    Wide,
    /// Those of a signed 32-bit number of seconds.
    Unix,
}

/// A kind of address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Address {
    /// `inet`.
    Any,
    /// `cidr`: a network, without a host in it.
    Net,
    /// `inet4` of MariaDB.
    V4,
    /// `inet6` of MariaDB.
    V6,
    /// `macaddr`.
    Mac,
    /// `macaddr8`.
    Mac8,
}

impl Kind {
    /// Decimal numbers of any size.
    const NUMERIC: Self = Self::Decimal { precision: None, scale: 0, signed: true };

    /// Reads the type of a column.
    pub(super) fn of(ty: &ColumnType<'_>) -> Result<Self, ValueError> {
        // SQLite allows a column without type.
        if ty.product == Product::Sqlite && ty.sql.trim().is_empty() {
            return Ok(Self::Bytes { limit: None, fixed: false });
        }
        let written = Written::read(ty.sql)?;
        let kind = match ty.product {
            Product::Postgres => postgres(&written),
            Product::Mysql | Product::Mariadb => mysql(&written),
            Product::Sqlite => sqlite(&written, ty.labels),
        };
        let kind = match kind {
            Some(kind) => kind,
            None if ty.labels.is_empty() => {
                return Err(ValueError::Unknown { sql: ty.sql.to_owned() });
            }
            None => Self::Label(ty.labels.to_vec()),
        };
        if let Self::Label(labels) | Self::Set(labels) = &kind
            && labels.is_empty()
        {
            let reason = "it needs its labels";
            return Err(ValueError::Unreadable { sql: ty.sql.to_owned(), reason });
        }
        Ok(if written.array { Self::Array(Box::new(kind)) } else { kind })
    }

    fn signed(bits: u32) -> Self {
        Self::Integer { bits, signed: true }
    }

    fn text(limit: Option<u64>, text: Text) -> Self {
        Self::Text { limit, text }
    }

    fn timestamp(digits: u32, zone: Zone) -> Self {
        Self::Timestamp { digits, zone, range: Range::Wide }
    }

    fn range(of: Self, multi: bool) -> Self {
        Self::Range { of: Box::new(of), multi }
    }
}

/// Returns how many fractional digits of a second a type keeps.
fn digits(written: &Written, default: u32) -> u32 {
    written.length().and_then(|digits| u32::try_from(digits).ok()).map_or(default, |d| d.min(6))
}

fn decimal(written: &Written, default: Option<u32>) -> Kind {
    let numbers = written.numbers();
    let number = |at: usize| numbers.get(at).copied();
    let precision = number(0).and_then(|precision| u32::try_from(precision).ok());
    let scale = number(1).and_then(|scale| i32::try_from(scale).ok()).unwrap_or(0);
    Kind::Decimal { precision: precision.or(default), scale, signed: !written.unsigned }
}

fn postgres(written: &Written) -> Option<Kind> {
    if written.quoted && written.name == "char" {
        return Some(Kind::Pattern(&patterns::BYTE));
    }
    let name = written.name.as_str();
    if name == "interval" || name.starts_with("interval ") {
        return Some(Kind::Interval { unit: finest_unit(name) });
    }
    let micros = digits(written, 6);
    Some(match name {
        "bool" | "boolean" => Kind::Bool,
        "int2" | "smallint" | "smallserial" | "serial2" => Kind::signed(16),
        "int4" | "int" | "integer" | "serial" | "serial4" => Kind::signed(32),
        "int8" | "bigint" | "bigserial" | "serial8" => Kind::signed(64),
        "oid" => Kind::Integer { bits: 32, signed: false },
        "real" | "float4" => Kind::Float { bits: 24 },
        "float" if written.length().is_some_and(|bits| bits <= 24) => Kind::Float { bits: 24 },
        "double precision" | "float8" | "float" => Kind::Float { bits: 53 },
        "numeric" | "decimal" | "dec" => decimal(written, None),
        "text" | "refcursor" => Kind::text(None, Text::Plain),
        "citext" => Kind::text(None, Text::AnyCase),
        "name" => Kind::text(Some(63), Text::Plain),
        "varchar"
        | "character varying"
        | "char varying"
        | "national character varying"
        | "national char varying"
        | "nchar varying" => Kind::text(written.length(), Text::Plain),
        "bpchar" if written.args.is_none() => Kind::text(None, Text::Plain),
        "char" | "character" | "nchar" | "national character" | "national char" | "bpchar" => {
            Kind::text(Some(written.length().unwrap_or(1)), Text::Padded)
        }
        "bytea" => Kind::Bytes { limit: None, fixed: false },
        "date" => Kind::Date,
        "time" | "time without time zone" => Kind::Time { digits: micros, zone: Zone::Local },
        "timetz" | "time with time zone" => Kind::Time { digits: micros, zone: Zone::Offset },
        "timestamp" | "timestamp without time zone" => Kind::timestamp(micros, Zone::Local),
        "timestamptz" | "timestamp with time zone" => Kind::timestamp(micros, Zone::Offset),
        "uuid" => Kind::Uuid,
        "json" => Kind::Json { binary: false },
        "jsonb" => Kind::Json { binary: true },
        "inet" => Kind::Address(Address::Any),
        "cidr" => Kind::Address(Address::Net),
        "macaddr" => Kind::Address(Address::Mac),
        "macaddr8" => Kind::Address(Address::Mac8),
        "pg_lsn" => Kind::Lsn,
        "bit" => Kind::Bits { length: written.length().unwrap_or(1), varying: false },
        "bit varying" | "varbit" => {
            Kind::Bits { length: written.length().unwrap_or(64), varying: true }
        }
        "vector" | "halfvec" => Kind::Vector { dimensions: written.length().unwrap_or(3) },
        "int4range" => Kind::range(Kind::signed(32), false),
        "int8range" => Kind::range(Kind::signed(64), false),
        "numrange" => Kind::range(Kind::NUMERIC, false),
        "daterange" => Kind::range(Kind::Date, false),
        "tsrange" => Kind::range(Kind::timestamp(6, Zone::Local), false),
        "tstzrange" => Kind::range(Kind::timestamp(6, Zone::Offset), false),
        "int4multirange" => Kind::range(Kind::signed(32), true),
        "int8multirange" => Kind::range(Kind::signed(64), true),
        "nummultirange" => Kind::range(Kind::NUMERIC, true),
        "datemultirange" => Kind::range(Kind::Date, true),
        "tsmultirange" => Kind::range(Kind::timestamp(6, Zone::Local), true),
        "tstzmultirange" => Kind::range(Kind::timestamp(6, Zone::Offset), true),
        name => Kind::Pattern(patterns::find(patterns::POSTGRES, name)?),
    })
}

/// Returns the finest field that an interval type keeps.
fn finest_unit(name: &str) -> &'static str {
    const UNITS: [&str; 5] = ["year", "month", "day", "hour", "minute"];
    let last = name.rsplit(' ').next().unwrap_or_default();
    UNITS.into_iter().find(|unit| *unit == last).unwrap_or("second")
}

fn mysql(written: &Written) -> Option<Kind> {
    let signed = !written.unsigned;
    let length = written.length();
    let national = written.name.starts_with('n');
    let narrow = national || written.charset.as_deref().is_some_and(|charset| charset != "utf8mb4");
    let plain = if narrow { Text::Narrow } else { Text::AnyCase };
    let binary = |limit| Kind::Bytes { limit: Some(limit), fixed: false };
    Some(match written.name.as_str() {
        "bool" | "boolean" => Kind::Bool,
        "tinyint" | "int1" if length == Some(1) && signed => Kind::Bool,
        "tinyint" | "int1" => Kind::Integer { bits: 8, signed },
        "smallint" | "int2" => Kind::Integer { bits: 16, signed },
        "mediumint" | "int3" | "middleint" => Kind::Integer { bits: 24, signed },
        "int" | "integer" | "int4" => Kind::Integer { bits: 32, signed },
        "bigint" | "int8" => Kind::Integer { bits: 64, signed },
        "serial" => Kind::Integer { bits: 64, signed: false },
        "decimal" | "dec" | "numeric" | "fixed" => decimal(written, Some(10)),
        "float" | "double" | "double precision" | "real" if written.numbers().len() == 2 => {
            decimal(written, None)
        }
        "float" if length.is_some_and(|bits| bits > 24) => Kind::Float { bits: 53 },
        "float" | "float4" => Kind::Float { bits: 24 },
        "double" | "double precision" | "real" | "float8" => Kind::Float { bits: 53 },
        "char" | "character" | "nchar" | "national char" | "national character" => {
            let padded = if narrow { Text::Narrow } else { Text::Padded };
            Kind::text(Some(length.unwrap_or(1)), padded)
        }
        "tinytext" => Kind::text(Some(length.unwrap_or(63)), plain),
        name if name.contains("char") || name.contains("text") || name == "long" => {
            Kind::text(Some(length.unwrap_or(16_383)), plain)
        }
        "binary" => Kind::Bytes { limit: Some(length.unwrap_or(1)), fixed: true },
        "varbinary" => binary(length.unwrap_or(1)),
        "tinyblob" => binary(length.unwrap_or(255)),
        "blob" | "mediumblob" | "longblob" | "long varbinary" => binary(length.unwrap_or(65_535)),
        "date" => Kind::Date,
        "time" => Kind::Time { digits: digits(written, 0), zone: Zone::Local },
        "datetime" => Kind::timestamp(digits(written, 0), Zone::Local),
        "timestamp" => {
            Kind::Timestamp { digits: digits(written, 0), zone: Zone::Session, range: Range::Unix }
        }
        "year" => Kind::Year,
        "json" => Kind::Json { binary: true },
        "enum" => Kind::Label(written.labels()),
        "set" => Kind::Set(written.labels()),
        "bit" => Kind::Bits { length: length.unwrap_or(1), varying: false },
        "uuid" => Kind::Uuid,
        "inet4" => Kind::Address(Address::V4),
        "inet6" => Kind::Address(Address::V6),
        name => Kind::Pattern(patterns::find(patterns::MYSQL, name)?),
    })
}

/// Reads the declared type as Diesel does, by parts of its name and in its order, so that what is
/// generated can be read back through the column's usual mapping.
fn sqlite(written: &Written, labels: &[String]) -> Option<Kind> {
    let name = written.name.as_str();
    let has = |part: &str| name.contains(part);
    let length = written.length();
    Some(if name == "boolean" || name == "bool" || has("tiny") && has("int") {
        Kind::Bool
    } else if name == "int2" || has("small") && has("int") {
        Kind::signed(16)
    } else if name == "int8" || has("big") && has("int") {
        Kind::signed(64)
    } else if has("int") {
        Kind::signed(32)
    } else if has("char") || has("clob") || has("text") {
        Kind::text(length, Text::Plain)
    } else if has("blob") || has("binary") {
        Kind::Bytes { limit: length, fixed: false }
    } else if has("float") || has("real") {
        Kind::Float { bits: 24 }
    } else if has("double") {
        Kind::Float { bits: 53 }
    } else if has("num") || has("dec") {
        // Stored as a binary fraction, which keeps fifteen digits.
        match length {
            Some(precision) if precision <= 15 => decimal(written, None),
            _ => Kind::Float { bits: 53 },
        }
    } else if has("datetime") || has("timestamp") {
        let zone = if name.ends_with("tz") { Zone::Offset } else { Zone::Local };
        Kind::timestamp(digits(written, 6), zone)
    } else if name == "date" {
        Kind::Date
    } else if name == "time" {
        Kind::Time { digits: digits(written, 6), zone: Zone::Local }
    } else if name == "uuid" {
        Kind::Uuid
    } else if name == "json" || name == "jsonb" {
        Kind::Json { binary: false }
    } else if labels.is_empty() {
        // Numeric affinity.
        Kind::signed(64)
    } else {
        return None;
    })
}
