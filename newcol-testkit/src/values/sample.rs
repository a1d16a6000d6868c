//! The `n`-th plain value of a kind, and how many there are.

use newcol_core::backend::Product;

use super::{
    calendar,
    kind::{Address, Kind, Range, Zone},
    literal::Value,
};

/// Days from 2000-01-01 that a signed 32-bit number of seconds names for certain.
const UNIX_DAYS: u64 = 13_800;

/// Addresses in 10.0.0.0/8.
const PRIVATE_V4: u64 = 1 << 24;

/// Returns the `n`-th value.
pub(super) fn value(kind: &Kind, product: Product, n: u64) -> Value {
    match kind {
        Kind::Bool => Value::Bare(boolean(product, n % 2 == 1).to_owned()),
        Kind::Integer { bits, signed } => Value::Bare(wrapped(n, *bits, *signed).to_string()),
        Kind::Decimal { precision, scale, .. } => Value::Bare(decimal(n, *precision, *scale)),
        Kind::Float { bits } => Value::Bare(halves(n % (1 << bits))),
        Kind::Text { limit, .. } => Value::Text(text(n, *limit)),
        Kind::Bytes { limit, .. } => Value::Bytes(bytes(n, *limit)),
        Kind::Date => Value::Text(calendar::date(n)),
        Kind::Time { digits, zone } => {
            Value::Text(calendar::time(n, *digits) + offset(*zone, product))
        }
        Kind::Timestamp { digits, zone, range } => {
            let text = calendar::timestamp(n, days(*range), *digits);
            Value::Text(text + offset(*zone, product))
        }
        Kind::Year => Value::Bare((1901 + n % 255).to_string()),
        Kind::Interval { unit } => Value::Text(format!("{} {unit}", n % intervals(unit))),
        Kind::Uuid => {
            let (high, low) = (n >> 48, n & 0xffff_ffff_ffff);
            Value::Text(format!("00000000-{high:04x}-4000-8000-{low:012x}"))
        }
        Kind::Json { .. } => Value::Text(format!("{{\"n\": {n}}}")),
        Kind::Address(address) => Value::Text(self::address(*address, n)),
        Kind::Lsn => Value::Text(format!("{:X}/{:X}", n >> 32, n & 0xffff_ffff)),
        Kind::Bits { length, .. } => bits(product, n, *length),
        Kind::Label(labels) => {
            let at = usize::try_from(n % labels.len().max(1) as u64).unwrap_or_default();
            Value::Text(labels.get(at).cloned().unwrap_or_default())
        }
        Kind::Set(labels) => {
            let chosen = labels.iter().take(64).enumerate();
            let chosen: Vec<&str> = chosen
                .filter(|(at, _)| n >> at & 1 == 1)
                .map(|(_, label)| label.as_str())
                .collect();
            Value::Text(chosen.join(","))
        }
        Kind::Vector { dimensions } => {
            let rest = ",0".repeat(usize::try_from(dimensions.saturating_sub(1)).unwrap_or(0));
            Value::Text(format!("[{}{rest}]", n % (1 << 11)))
        }
        Kind::Pattern(pattern) if pattern.expression => Value::Expression(pattern.of(n)),
        Kind::Pattern(pattern) => Value::Text(pattern.of(n)),
        Kind::Array(of) => Value::Text(array(of, product, n)),
        Kind::Range { of, multi } => {
            // One value each: no two of them overlap, and none ends before it begins.
            let bound = value(of, product, n % range_capacity(of)).element();
            let range = format!("[{bound},{bound}]");
            Value::Text(if *multi { format!("{{{range}}}") } else { range })
        }
    }
}

/// Returns how many distinct values there are; `None` is one for every `n`.
pub(super) fn capacity(kind: &Kind) -> Option<u64> {
    Some(match kind {
        Kind::Bool => 2,
        Kind::Integer { bits: 64, .. } => return None,
        Kind::Integer { bits, .. } | Kind::Float { bits } => 1 << bits,
        Kind::Decimal { precision, .. } => 10_u64.checked_pow((*precision)?)?,
        Kind::Text { limit, .. } => 36_u64.checked_pow(u32::try_from((*limit)?).ok()?)?,
        Kind::Bytes { limit, .. } => 256_u64.checked_pow(u32::try_from((*limit)?).ok()?)?,
        Kind::Date => calendar::COMMON_DAYS,
        Kind::Time { digits, .. } => 86_400 * 10_u64.pow(*digits),
        Kind::Timestamp { digits, range, .. } => calendar::timestamps(days(*range), *digits),
        Kind::Year => 255,
        Kind::Interval { unit } => intervals(unit),
        Kind::Uuid | Kind::Json { .. } | Kind::Lsn => return None,
        Kind::Address(Address::V4) => 1 << 32,
        Kind::Address(Address::Mac) => 1 << 48,
        Kind::Address(Address::Any | Address::Net | Address::V6 | Address::Mac8) => return None,
        Kind::Bits { length, .. } => 1_u64.checked_shl(u32::try_from(*length).ok()?)?,
        Kind::Label(labels) => labels.len() as u64,
        Kind::Set(labels) => 1_u64.checked_shl(u32::try_from(labels.len()).ok()?)?,
        Kind::Vector { .. } => 1 << 11,
        Kind::Pattern(pattern) if pattern.capacity == u64::MAX => return None,
        Kind::Pattern(pattern) => pattern.capacity,
        // Enough elements are written to tell all `n` apart.
        Kind::Array(of) => return if capacity(of) == Some(1) { Some(64) } else { None },
        Kind::Range { of, .. } => range_capacity(of),
    })
}

/// Returns a truth value as the engine's own tools write it.
pub(super) fn boolean(product: Product, value: bool) -> &'static str {
    match (product, value) {
        (Product::Postgres, true) => "true",
        (Product::Postgres, false) => "false",
        (Product::Mysql | Product::Mariadb | Product::Sqlite, true) => "1",
        (Product::Mysql | Product::Mariadb | Product::Sqlite, false) => "0",
    }
}

/// Returns what is written after a time that knows its offset.
pub(super) fn offset(zone: Zone, product: Product) -> &'static str {
    match (zone, product) {
        (Zone::Offset, Product::Sqlite) => "+00:00",
        (Zone::Offset, Product::Postgres | Product::Mysql | Product::Mariadb) => "+00",
        (Zone::Local | Zone::Session, _) => "",
    }
}

/// Counts up from zero and goes on with the lowest number after the highest.
fn wrapped(n: u64, bits: u32, signed: bool) -> i128 {
    let span = 1_i128 << bits;
    let n = i128::from(n) % span;
    if signed && n >= span / 2 { n - span } else { n }
}

/// Writes `n` as a decimal number, its last digits after the point.
pub(super) fn decimal(n: u64, precision: Option<u32>, scale: i32) -> String {
    let Some(precision) = precision else { return format!("{n}.25") };
    let digits = 10_u64.checked_pow(precision).map_or(n, |count| n % count).to_string();
    let Ok(places) = usize::try_from(scale) else {
        return digits + &"0".repeat(scale.unsigned_abs() as usize);
    };
    if places == 0 {
        return digits;
    }
    let digits = format!("{digits:0>width$}", width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    format!("{whole}.{fraction}")
}

/// Returns `n` halves: fractions that binary numbers hold exactly.
fn halves(n: u64) -> String {
    format!("{}.{}", n / 2, if n.is_multiple_of(2) { 0 } else { 5 })
}

/// Returns lowercase letters and digits only, so that no collation takes two for equal.
fn text(n: u64, limit: Option<u64>) -> String {
    const WORD: &str = "value ";
    /// Digits in base 36 of the largest number.
    const DIGITS: u64 = 13;
    match limit {
        Some(0) => String::new(),
        Some(limit) if limit < WORD.len() as u64 + DIGITS => {
            let count = u32::try_from(limit).ok().and_then(|limit| 36_u64.checked_pow(limit));
            base_36(count.map_or(n, |count| n % count))
        }
        Some(_) | None => format!("{WORD}{}", base_36(n)),
    }
}

fn base_36(mut n: u64) -> String {
    let mut digits = Vec::new();
    loop {
        digits.extend(char::from_digit((n % 36) as u32, 36));
        n /= 36;
        if n == 0 {
            return digits.into_iter().rev().collect();
        }
    }
}

fn bytes(n: u64, limit: Option<u64>) -> Vec<u8> {
    let length = usize::try_from(limit.unwrap_or(8)).unwrap_or(8).min(8);
    n.to_be_bytes()[8 - length..].to_vec()
}

fn days(range: Range) -> u64 {
    match range {
        Range::Wide => calendar::COMMON_DAYS,
        Range::Unix => UNIX_DAYS,
    }
}

/// Returns how many intervals of a unit there are on every version.
fn intervals(unit: &str) -> u64 {
    match unit {
        "year" => 100_000_000,
        _ => 2_000_000_000,
    }
}

fn address(address: Address, n: u64) -> String {
    let v6 = |n: u64| {
        let [a, b, c, d] = [n >> 48, n >> 32 & 0xffff, n >> 16 & 0xffff, n & 0xffff];
        format!("fd00::1:{a:x}:{b:x}:{c:x}:{d:x}")
    };
    let mac =
        |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":");
    let [a, b, c, d] = [n >> 24 & 0xff, n >> 16 & 0xff, n >> 8 & 0xff, n & 0xff];
    match address {
        Address::Any | Address::Net if n < PRIVATE_V4 => format!("10.{b}.{c}.{d}"),
        Address::Any | Address::Net | Address::V6 => v6(n),
        Address::V4 => format!("{a}.{b}.{c}.{d}"),
        Address::Mac => mac(&n.to_be_bytes()[2..]),
        Address::Mac8 => mac(&n.to_be_bytes()),
    }
}

fn bits(product: Product, n: u64, length: u64) -> Value {
    let width = usize::try_from(length).unwrap_or(64);
    let n = if width < 64 { n & ((1 << width) - 1) } else { n };
    let digits = format!("{n:0width$b}");
    match product {
        Product::Postgres => Value::Text(digits),
        Product::Mysql | Product::Mariadb | Product::Sqlite => {
            Value::Expression(format!("b'{digits}'"))
        }
    }
}

/// Writes `n` in as many elements as it takes, each a digit, and a last one that varies the rest.
fn array(of: &Kind, product: Product, n: u64) -> String {
    let mut elements = Vec::new();
    match capacity(of) {
        None => elements.push(value(of, product, n).element()),
        Some(count) if count < 2 => {
            let length = usize::try_from(n % 64).unwrap_or(0);
            elements.extend(std::iter::repeat_n(value(of, product, 0).element(), length));
        }
        Some(count) => {
            let mut rest = n;
            loop {
                elements.push(value(of, product, rest % count).element());
                rest /= count;
                if rest == 0 {
                    break;
                }
            }
        }
    }
    format!("{{{}}}", elements.join(","))
}

/// Returns how many values can bound a range; the server adds one to a whole upper bound.
fn range_capacity(of: &Kind) -> u64 {
    match of {
        Kind::Integer { bits, .. } => (1 << (bits - 1)) - 1,
        _ => capacity(of).unwrap_or(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use crate::values::{ColumnType, capacity, sample};
    use newcol_core::backend::Product;

    fn of(product: Product, sql: &str, n: u64) -> String {
        sample(&ColumnType::new(product, sql), n).unwrap()
    }

    #[test]
    fn values_are_plain_and_wrap_at_the_end_of_the_type() {
        let pg = |sql, n| of(Product::Postgres, sql, n);
        assert_eq!(pg("smallint", 32_768), "-32768");
        assert_eq!(pg("numeric(5,2)", 7), "0.07");
        assert_eq!(pg("numeric(2,-3)", 107), "7000");
        assert_eq!(pg("numeric(3,5)", 123), "0.00123");
        assert_eq!(pg("varchar(3)", 36 * 36 * 36 + 35), "'z'");
        assert_eq!(pg("text", 36), "'value 10'");
        assert_eq!(pg("bytea", 258), "'\\x0000000000000102'");
        assert_eq!(pg("timestamptz(0)", 1), "'2000-01-02 12:00:00+00'");
        assert_eq!(pg("interval day to hour", 5), "'5 hour'");
        assert_eq!(pg("boolean[]", 5), "'{\"true\",\"false\",\"true\"}'");
        assert_eq!(pg("int4range", 7), "'[\"7\",\"7\"]'");
        assert_eq!(pg("point", 7), "'(7,0)'");
        let my = |sql, n| of(Product::Mariadb, sql, n);
        assert_eq!(my("set('a','b')", 3), "'a,b'");
        assert_eq!(my("varbinary(2)", 258), "x'0102'");
        assert_eq!(my("bit(4)", 5), "b'0101'");
        assert_eq!(my("bigint unsigned", u64::MAX), "18446744073709551615");
        let lite = |sql, n| of(Product::Sqlite, sql, n);
        assert_eq!(lite("decimal(10,2)", 7), "0.07");
        assert_eq!(lite("BOOLEAN", 1), "1");
        assert_eq!(lite("", 1), "x'0000000000000001'");
    }

    #[test]
    fn a_type_has_as_many_values_as_it_says() {
        for (product, sql) in [
            (Product::Postgres, "bool"),
            (Product::Postgres, "char(2)"),
            (Product::Postgres, "numeric(3,1)"),
            (Product::Postgres, "bit(5)"),
            (Product::Postgres, "char(0)"),
            (Product::Mysql, "tinyint unsigned"),
            (Product::Mysql, "year"),
            (Product::Mysql, "set('a','b','c')"),
            (Product::Mysql, "binary(1)"),
        ] {
            let ty = ColumnType::new(product, sql);
            let count = capacity(&ty).unwrap().unwrap();
            let values: HashSet<String> = (0..2 * count).map(|n| sample(&ty, n).unwrap()).collect();
            assert_eq!(values.len() as u64, count, "{sql}");
        }
        for sql in ["bigint", "text", "uuid", "jsonb", "inet", "macaddr8", "bool[]", "smallint[]"] {
            let ty = ColumnType::new(Product::Postgres, sql);
            assert_eq!(capacity(&ty), Ok(None), "{sql}");
            let values: HashSet<String> = (0..1000)
                .flat_map(|n| [n, u64::MAX - n, n << 40])
                .map(|n| sample(&ty, n).unwrap())
                .collect();
            assert_eq!(values.len(), 2999, "{sql}");
        }
    }

    #[test]
    fn unknown_types_are_refused_and_labels_make_them_known() {
        let mood = ColumnType::new(Product::Postgres, "mood");
        assert!(sample(&mood, 0).unwrap_err().to_string().contains("`mood`"));
        let labels = ["it's".to_owned()];
        assert_eq!(sample(&ColumnType { labels: &labels, ..mood }, 9).unwrap(), "'it''s'");
    }
}
