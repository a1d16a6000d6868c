//! What literals and casts tell about types, and which casts depend on the session.

use sqlparser::ast::{ArrayElemTypeDef, DataType, Expr as Sql, TimezoneInfo, UnaryOperator, Value};

use crate::{backend::Backend, plan::facts::Volatility};

/// What is known of an expression's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing, as of any column.
    Unknown,
    /// A string literal, or NULL: it takes the type that is wanted, once, when it is parsed.
    Literal,
    Text,
    /// Numbers, booleans, uuid, bytea, jsonb: in and out of text the same in every session.
    Fixed,
    Array,
    Date,
    Time,
    TimeTz,
    Timestamp,
    TimestampTz,
    Interval,
    /// Names of objects, `money` and `xml`, which the session's settings spell.
    Session,
    /// A type of the project.
    Custom,
}

impl Kind {
    /// Reports whether PostgreSQL's output of the type depends on the session.
    pub(super) fn prints_by_session(self) -> bool {
        match self {
            Self::Date
            | Self::Timestamp
            | Self::TimestampTz
            | Self::Interval
            | Self::Session
            | Self::Array => true,
            Self::Unknown
            | Self::Literal
            | Self::Text
            | Self::Fixed
            | Self::Time
            | Self::TimeTz
            | Self::Custom => false,
        }
    }
}

/// Judges a cast itself.
pub(super) fn cast(backend: Backend, from: &Sql, to: &DataType) -> Volatility {
    match backend {
        Backend::Postgres => cast_postgres(kind(backend, from), kind_of_type(to)),
        Backend::Mysql | Backend::Sqlite => Volatility::Immutable,
    }
}

/// The casts of `pg_cast`, and those through text: stable where input or output is.
fn cast_postgres(from: Kind, to: Kind) -> Volatility {
    use Kind::{
        Array, Custom, Date, Fixed, Interval, Literal, Session, Text, Time, TimeTz, Timestamp,
        TimestampTz, Unknown,
    };
    match (from, to) {
        (Literal, _) => Volatility::Immutable,
        (_, Custom) | (Custom, _) => Volatility::Unknown,
        (from, to) if from == to && from != Unknown => Volatility::Immutable,
        (Timestamp, Date | Time)
        | (Date, Timestamp)
        | (TimeTz, Time)
        | (Time, Interval)
        | (Interval, Time)
        | (TimestampTz, Literal) => Volatility::Immutable,
        (from, Text) if from.prints_by_session() => Volatility::Stable,
        (_, Date | Time | TimeTz | Timestamp | TimestampTz | Interval | Session | Array) => {
            Volatility::Stable
        }
        (Session, _) => Volatility::Stable,
        (_, Unknown | Literal | Text | Fixed) => Volatility::Immutable,
    }
}

/// Judges reading a field of a date or time: stable for what the session's zone decides.
pub(super) fn field_of(backend: Backend, source: &Sql) -> Volatility {
    let of_session = matches!(kind(backend, source), Kind::TimestampTz | Kind::Unknown);
    match backend {
        Backend::Postgres if of_session => Volatility::Stable,
        Backend::Postgres | Backend::Mysql | Backend::Sqlite => Volatility::Immutable,
    }
}

/// Returns what the text tells about an expression's type.
pub(super) fn kind(backend: Backend, sql: &Sql) -> Kind {
    // Types are looked up at every level, so how far down is bounded.
    kind_within(backend, sql, 16)
}

fn kind_within(backend: Backend, sql: &Sql, levels: u8) -> Kind {
    let Some(levels) = levels.checked_sub(1) else { return Kind::Unknown };
    let kind = |backend, sql| kind_within(backend, sql, levels);
    match sql {
        Sql::Value(value) => match &value.value {
            Value::Number(..) | Value::Boolean(_) => Kind::Fixed,
            Value::Placeholder(_) => Kind::Unknown,
            _ => Kind::Literal,
        },
        Sql::TypedString(typed) => kind_of_type(&typed.data_type),
        Sql::Interval(_) => Kind::Interval,
        Sql::Cast { data_type, .. } => kind_of_type(data_type),
        Sql::Nested(inner) | Sql::Collate { expr: inner, .. } => kind(backend, inner),
        Sql::UnaryOp { op: UnaryOperator::Plus | UnaryOperator::Minus, expr } => {
            kind(backend, expr)
        }
        Sql::Array(_) => Kind::Array,
        Sql::AtTimeZone { timestamp, .. } => match kind(backend, timestamp) {
            Kind::TimestampTz => Kind::Timestamp,
            Kind::Timestamp => Kind::TimestampTz,
            other => other,
        },
        Sql::IsNull(_)
        | Sql::IsNotNull(_)
        | Sql::IsTrue(_)
        | Sql::IsFalse(_)
        | Sql::Between { .. }
        | Sql::InList { .. }
        | Sql::Like { .. }
        | Sql::ILike { .. }
        | Sql::Extract { .. }
        | Sql::Position { .. } => Kind::Fixed,
        Sql::Substring { .. } | Sql::Trim { .. } | Sql::Overlay { .. } => Kind::Text,
        Sql::BinaryOp { left, op, right } => {
            use sqlparser::ast::BinaryOperator as Op;
            match op {
                Op::StringConcat | Op::LongArrow | Op::HashLongArrow => Kind::Text,
                Op::Arrow | Op::HashArrow => Kind::Fixed,
                Op::Plus | Op::Minus => match (kind(backend, left), kind(backend, right)) {
                    (Kind::TimestampTz, _) | (_, Kind::TimestampTz) => Kind::TimestampTz,
                    (Kind::Fixed, Kind::Fixed) => Kind::Fixed,
                    (Kind::Timestamp, Kind::Interval) | (Kind::Interval, Kind::Timestamp) => {
                        Kind::Timestamp
                    }
                    _ => Kind::Unknown,
                },
                _ => Kind::Unknown,
            }
        }
        Sql::Function(function) if backend == Backend::Postgres => {
            match function.name.to_string().to_ascii_lowercase().as_str() {
                "now"
                | "current_timestamp"
                | "statement_timestamp"
                | "transaction_timestamp"
                | "clock_timestamp"
                | "to_timestamp"
                | "make_timestamptz" => Kind::TimestampTz,
                "localtimestamp" | "make_timestamp" => Kind::Timestamp,
                "current_date" | "make_date" | "to_date" => Kind::Date,
                "localtime" | "make_time" => Kind::Time,
                "current_time" => Kind::TimeTz,
                "make_interval" | "age" => Kind::Interval,
                "lower"
                | "upper"
                | "concat"
                | "concat_ws"
                | "format"
                | "to_char"
                | "md5"
                | "initcap"
                | "btrim"
                | "ltrim"
                | "rtrim"
                | "lpad"
                | "rpad"
                | "split_part"
                | "regexp_replace"
                | "replace"
                | "left"
                | "right"
                | "quote_literal"
                | "jsonb_extract_path_text" => Kind::Text,
                "length" | "char_length" | "octet_length" | "random" | "gen_random_uuid"
                | "nextval" | "abs" | "round" | "sqrt" | "ascii" | "strpos" | "date_part" => {
                    Kind::Fixed
                }
                _ => Kind::Unknown,
            }
        }
        _ => Kind::Unknown,
    }
}

fn kind_of_type(ty: &DataType) -> Kind {
    use TimezoneInfo::{None as Bare, Tz, WithTimeZone, WithoutTimeZone};
    match ty {
        DataType::Date => Kind::Date,
        DataType::Time(_, Bare | WithoutTimeZone) => Kind::Time,
        DataType::Time(_, Tz | WithTimeZone) => Kind::TimeTz,
        DataType::Timestamp(_, Bare | WithoutTimeZone) => Kind::Timestamp,
        DataType::Timestamp(_, Tz | WithTimeZone) => Kind::TimestampTz,
        DataType::Interval { .. } => Kind::Interval,
        DataType::Array(
            ArrayElemTypeDef::SquareBracket(..) | ArrayElemTypeDef::AngleBracket(_),
        ) => Kind::Array,
        DataType::Text
        | DataType::Varchar(_)
        | DataType::Char(_)
        | DataType::Character(_)
        | DataType::CharVarying(_)
        | DataType::CharacterVarying(_) => Kind::Text,
        DataType::Regclass => Kind::Session,
        DataType::Custom(name, _) => match name.to_string().to_ascii_lowercase().as_str() {
            "money" | "xml" | "regproc" | "regprocedure" | "regtype" | "regrole"
            | "regnamespace" | "regconfig" | "regdictionary" | "regoper" | "regoperator"
            | "regcollation" => Kind::Session,
            "bpchar" | "name" => Kind::Text,
            "inet" | "cidr" | "macaddr" | "macaddr8" | "oid" | "xid" | "pg_lsn" | "jsonpath"
            | "point" | "box" | "circle" | "line" | "lseg" | "path" | "polygon" | "varbit"
            | "bit" | "serial" | "int2" | "int4" | "int8" | "tsvector" | "tsquery" => Kind::Fixed,
            "timestamptz" => Kind::TimestampTz,
            "timetz" => Kind::TimeTz,
            _ => Kind::Custom,
        },
        _ => Kind::Fixed,
    }
}
