//! The values of each kind that get lost between programs and databases, simplest first.
//!
//! A server takes every one of them in a column of the type; what it makes of it, and what a
//! program then reads, is what a test finds out.

use newcol_core::backend::Product;

use super::{
    kind::{Address, Kind, Range, Text, Zone},
    literal::Value,
    sample,
};

/// An edge by name.
pub(super) type Named = (&'static str, Value);

/// Returns the edges of a kind.
pub(super) fn of(kind: &Kind, product: Product) -> Vec<Named> {
    match kind {
        Kind::Bool => bools(product),
        Kind::Integer { bits, signed } => integers(*bits, *signed, product),
        Kind::Decimal { precision, scale, signed } => {
            decimals(*precision, *scale, *signed, product)
        }
        Kind::Float { bits } => floats(*bits, product),
        Kind::Text { limit, text } => named(texts(*limit, *text, product), Value::Text),
        Kind::Bytes { limit, fixed } => named(bytes(*limit, *fixed), Value::Bytes),
        Kind::Date => all(dates(product)),
        Kind::Time { digits, zone } => times(*digits, *zone, product),
        Kind::Timestamp { zone, range, .. } => timestamps(*zone, *range, product),
        Kind::Year => bare(&[("year zero", "0"), ("first", "1901"), ("last", "2155")]),
        Kind::Interval { unit: "second" } => all(INTERVALS),
        Kind::Interval { unit } => vec![("negative", Value::Text(format!("-1 {unit}")))],
        Kind::Uuid => all(&[
            ("nil", "00000000-0000-0000-0000-000000000000"),
            ("max", "ffffffff-ffff-ffff-ffff-ffffffffffff"),
        ]),
        Kind::Json { binary } => json(*binary, product),
        Kind::Address(address) => all(addresses(*address)),
        Kind::Lsn => all(&[("first", "0/0"), ("last", "FFFFFFFF/FFFFFFFF")]),
        Kind::Bits { length, varying } => bits(*length, *varying, product),
        Kind::Label(labels) => labels
            .last()
            .map(|label| ("last label", Value::Text(label.clone())))
            .into_iter()
            .collect(),
        Kind::Set(labels) => {
            vec![("none", Value::Text(String::new())), ("all", Value::Text(labels.join(",")))]
        }
        Kind::Vector { .. } => Vec::new(),
        Kind::Pattern(pattern) => {
            pattern.edges.iter().map(|text| ("odd", Value::Text((*text).to_owned()))).collect()
        }
        Kind::Array(of) => arrays(of, product),
        Kind::Range { of, multi } => ranges(of, *multi, product),
    }
}

/// Texts that fit into a column: by limit, by what the product can store.
pub(super) fn texts(
    limit: Option<u64>,
    text: Text,
    product: Product,
) -> Vec<(&'static str, String)> {
    let mut texts: Vec<(&'static str, String)> = [
        ("empty", ""),
        ("blank", " "),
        ("trailing blanks", "a  "),
        ("leading blank", " a"),
        ("uppercase", "A"),
        ("quote", "'"),
        ("backslash", "\\"),
        ("line break", "a\r\nb"),
        ("wildcards", "%_"),
        ("word for NULL", "NULL"),
    ]
    .map(|(name, text)| (name, text.to_owned()))
    .into();
    if text != Text::Narrow {
        texts.extend(
            [
                ("accent", "ä"),
                ("combining accent", "a\u{308}"),
                ("four bytes", "😀"),
                ("last character", "\u{10ffff}"),
                ("byte order mark", "\u{feff}"),
                ("right to left", "\u{5d0}\u{202e}"),
            ]
            .map(|(name, text)| (name, text.to_owned())),
        );
    }
    if product != Product::Postgres {
        texts.push(("NUL", "a\0b".to_owned()));
    }
    let longest = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    if longest <= 10_000 {
        texts.push(("longest", "x".repeat(longest)));
    }
    texts.retain(|(_, text)| text.chars().count() <= longest);
    texts
}

/// Bytes that fit into a column.
pub(super) fn bytes(limit: Option<u64>, fixed: bool) -> Vec<(&'static str, Vec<u8>)> {
    let longest = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    let mut bytes = vec![
        ("empty", Vec::new()),
        ("zero", vec![0]),
        ("not UTF-8", vec![0xff]),
        ("quote and backslash", b"\\'".to_vec()),
        ("trailing zero", vec![1, 0]),
        ("trailing blank", vec![1, b' ']),
    ];
    if longest <= 10_000 {
        bytes.push(("longest", vec![0xab; longest]));
    }
    if fixed {
        bytes.retain(|(_, value)| value.len() == longest || value.len() < 2);
    }
    bytes.retain(|(_, value)| value.len() <= longest);
    bytes
}

fn named<T>(edges: Vec<(&'static str, T)>, value: fn(T) -> Value) -> Vec<Named> {
    edges.into_iter().map(|(name, edge)| (name, value(edge))).collect()
}

fn all(texts: &[(&'static str, &str)]) -> Vec<Named> {
    texts.iter().map(|(name, text)| (*name, Value::Text((*text).to_owned()))).collect()
}

fn bare(texts: &[(&'static str, &str)]) -> Vec<Named> {
    texts.iter().map(|(name, text)| (*name, Value::Bare((*text).to_owned()))).collect()
}

fn bools(product: Product) -> Vec<Named> {
    match product {
        Product::Postgres => Vec::new(),
        Product::Mysql | Product::Mariadb => bare(&[("two", "2"), ("negative", "-1")]),
        Product::Sqlite => {
            let mut edges = bare(&[("two", "2"), ("fraction", "0.5")]);
            edges.extend(all(&[("word", "true")]));
            edges
        }
    }
}

fn integers(bits: u32, signed: bool, product: Product) -> Vec<Named> {
    let span = 1_i128 << bits;
    let (min, max) = if signed { (-span / 2, span / 2 - 1) } else { (0, span - 1) };
    let mut edges = vec![
        ("zero", Value::Bare("0".to_owned())),
        ("last", Value::Bare(max.to_string())),
        ("first", Value::Bare(min.to_string())),
    ];
    if signed {
        edges.push(("negative", Value::Bare("-1".to_owned())));
    }
    if product == Product::Sqlite {
        // Any value fits; the type of the column is a preference.
        edges.extend(bare(&[("fraction", "1.9"), ("wider than 32 bits", "9999999999")]));
        edges.extend(all(&[("word", "abc")]));
    }
    edges
}

fn decimals(precision: Option<u32>, scale: i32, signed: bool, product: Product) -> Vec<Named> {
    let Some(precision) = precision else {
        let mut edges = bare(&[
            ("zero", "0"),
            ("trailing zero", "1.10"),
            ("negative", "-0.1"),
            ("many digits", "12345678901234567890.12345678901234567890"),
            ("small", "0.00000000000000000001"),
            ("large", "1e40"),
        ]);
        if product == Product::Postgres {
            edges.extend(all(&[("NaN", "NaN")]));
        }
        return edges;
    };
    let last = 10_u64.checked_pow(precision).unwrap_or(u64::MAX) - 1;
    let largest = sample::decimal(last, Some(precision), scale);
    let mut edges = vec![
        ("zero", Value::Bare("0".to_owned())),
        ("smallest", Value::Bare(sample::decimal(1, Some(precision), scale))),
        ("largest", Value::Bare(largest.clone())),
    ];
    if signed {
        edges.push(("negative", Value::Bare(format!("-{largest}"))));
    }
    if product == Product::Postgres {
        edges.extend(all(&[("NaN", "NaN")]));
    }
    edges
}

fn floats(bits: u32, product: Product) -> Vec<Named> {
    let mut edges = bare(&[("negative zero", "-0.0"), ("tenth", "0.1")]);
    edges.extend(bare(match (bits, product) {
        (24, Product::Postgres) => &[("subnormal", "1e-45"), ("largest", "3.4028235e38")],
        (24, _) => &[("small", "1.2e-38"), ("largest", "3.4028234e38")],
        (_, Product::Mysql | Product::Mariadb) => {
            &[("small", "2.3e-308"), ("largest", "1.7976931348623157e308")]
        }
        _ => &[("subnormal", "5e-324"), ("largest", "1.7976931348623157e308")],
    }));
    match product {
        Product::Postgres => {
            edges.extend(all(&[
                ("negative zero", "-0"),
                ("NaN", "NaN"),
                ("infinity", "Infinity"),
                ("negative infinity", "-Infinity"),
            ]));
        }
        Product::Sqlite => {
            edges.extend(bare(&[("infinity", "9e999"), ("negative infinity", "-9e999")]));
            edges.extend(bare(&[("64 bits", "9007199254740993")]));
            edges.extend(all(&[("word", "abc")]));
        }
        Product::Mysql | Product::Mariadb => {}
    }
    edges
}

fn dates(product: Product) -> &'static [(&'static str, &'static str)] {
    match product {
        Product::Postgres => &[
            ("epoch", "1970-01-01"),
            ("leap day", "2000-02-29"),
            ("clock change", "2024-03-10"),
            ("before the Gregorian calendar", "1582-10-10"),
            ("year one", "0001-01-01"),
            ("last four-digit year", "9999-12-31"),
            ("five-digit year", "10000-01-01"),
            ("year zero", "0001-12-31 BC"),
            ("first", "4713-01-01 BC"),
            ("year 262143", "262143-01-01"),
            ("last", "5874897-12-31"),
            ("infinity", "infinity"),
            ("negative infinity", "-infinity"),
        ],
        Product::Mysql | Product::Mariadb => &[
            ("epoch", "1970-01-01"),
            ("leap day", "2000-02-29"),
            ("clock change", "2024-03-10"),
            ("before the Gregorian calendar", "1582-10-10"),
            ("first", "1000-01-01"),
            ("before the first", "0001-01-01"),
            ("last", "9999-12-31"),
        ],
        Product::Sqlite => &[
            ("epoch", "1970-01-01"),
            ("leap day", "2000-02-29"),
            ("year zero", "0000-01-01"),
            ("negative year", "-0044-03-15"),
            ("last four-digit year", "9999-12-31"),
            ("with time", "2024-01-01 12:00:00"),
            ("no date", "2024-02-31"),
        ],
    }
}

fn times(digits: u32, zone: Zone, product: Product) -> Vec<Named> {
    let fraction = &".999999"[..if digits == 0 { 0 } else { 1 + digits as usize }];
    let mut edges =
        vec![("midnight", "00:00:00".to_owned()), ("last", format!("23:59:59{fraction}"))];
    match product {
        Product::Postgres => {
            edges.push(("end of the day", "24:00:00".to_owned()));
            edges.push(("leap second", "23:59:60".to_owned()));
        }
        Product::Mysql | Product::Mariadb => {
            edges.push(("end of the day", "24:00:00".to_owned()));
            edges.push(("longest", "838:59:59".to_owned()));
            edges.push(("negative", "-00:00:01".to_owned()));
        }
        Product::Sqlite => {
            edges.push(("leap second", "23:59:60".to_owned()));
            edges.push(("without seconds", "12:30".to_owned()));
        }
    }
    let offset = sample::offset(zone, product);
    let mut edges: Vec<Named> =
        edges.into_iter().map(|(name, text)| (name, Value::Text(text + offset))).collect();
    if zone == Zone::Offset && product == Product::Postgres {
        edges.extend(all(&[("east", "12:00:00+15:59"), ("west", "12:00:00-15:59:59")]));
    }
    edges
}

fn timestamps(zone: Zone, range: Range, product: Product) -> Vec<Named> {
    let offset = sample::offset(zone, product);
    let with_offset =
        |(name, text): &(&'static str, &str)| (*name, Value::Text(format!("{text}{offset}")));
    // In New York, 02:30 does not exist on the first and 01:30 comes twice on the second.
    let clock = [
        ("skipped hour", "2024-03-10 02:30:00"),
        ("repeated hour", "2024-11-03 01:30:00"),
        ("leap day", "2000-02-29 00:00:00"),
    ];
    let mut edges: Vec<Named> = clock.iter().map(with_offset).collect();
    if range == Range::Unix {
        // A day from the ends, since the session's offset shifts them.
        let ends = [("first", "1970-01-02 00:00:00"), ("last", "2038-01-18 00:00:00")];
        edges.extend(ends.iter().map(with_offset));
        return edges;
    }
    let common = [
        ("epoch", "1970-01-01 00:00:00"),
        ("before the epoch", "1969-12-31 23:59:59.999999"),
        ("after 32 bits of seconds", "2038-01-19 03:14:08"),
        ("last four-digit year", "9999-12-31 23:59:59"),
        ("microsecond", "2024-01-01 00:00:00.000001"),
    ];
    edges.extend(common.iter().map(with_offset));
    match product {
        Product::Postgres => {
            let wide = [
                ("leap second", "2016-12-31 23:59:60"),
                ("year one", "0001-01-01 00:00:00"),
                ("five-digit year", "10000-01-01 00:00:00"),
                ("last", "294276-12-31 23:59:59"),
            ];
            edges.extend(wide.iter().map(with_offset));
            edges.extend([
                ("year zero", Value::Text(format!("0001-12-31 23:59:59{offset} BC"))),
                ("first", Value::Text(format!("4713-01-02 00:00:00{offset} BC"))),
            ]);
            edges.extend(all(&[("infinity", "infinity"), ("negative infinity", "-infinity")]));
        }
        Product::Mysql | Product::Mariadb => {
            edges.extend([("first", "1000-01-01 00:00:00")].iter().map(with_offset));
        }
        Product::Sqlite => {
            edges.extend(all(&[
                ("leap second", "2016-12-31 23:59:60"),
                ("with offset", "2024-01-01 12:00:00+02:00"),
                ("ISO 8601", "2024-01-01T12:00:00Z"),
                ("without time", "2024-01-01"),
                ("negative year", "-0044-03-15 12:00:00"),
            ]));
            edges.extend(bare(&[("Julian day", "2460310.5"), ("seconds", "1704067200")]));
        }
    }
    edges
}

const INTERVALS: &[(&str, &str)] = &[
    ("zero", "0"),
    ("negative", "-1 second"),
    ("day", "1 day"),
    ("hours of a day", "24 hours"),
    ("month", "1 month"),
    ("days of a month", "30 days"),
    ("mixed signs", "1 month -1 day 00:00:01"),
    ("longest", "178000000 years"),
    ("microsecond", "0.000001 second"),
];

fn json(binary: bool, product: Product) -> Vec<Named> {
    let mut edges = all(&[
        ("null", "null"),
        ("empty object", "{}"),
        ("empty array", "[]"),
        ("negative zero", "-0.0"),
        ("trailing zero", "1.10"),
        ("u64", "18446744073709551615"),
        ("four bytes", "\"😀\""),
        ("surrogates", "\"\\ud83d\\ude00\""),
        ("order of keys", "{\"bb\":1,\"a\":2}"),
        ("duplicate keys", "{\"a\":1,\"a\":2}"),
        ("blanks", "{ \"a\" : 1 }"),
        ("integer of 23 digits", "12345678901234567890123"),
        ("many digits", "0.1000000000000000055511151231257827"),
    ]);
    // MariaDB takes 31 levels, MySQL 100, `serde_json` 127.
    let depth = if matches!(product, Product::Mysql | Product::Mariadb) { 30 } else { 200 };
    edges.push(("deep", Value::Text("[".repeat(depth) + &"]".repeat(depth))));
    match (product, binary) {
        (Product::Postgres, true) => edges.extend(all(&[("beyond f64", "1e400")])),
        (Product::Mysql, _) => edges.extend(all(&[("NUL", "\"\\u0000\"")])),
        (Product::Postgres | Product::Mariadb | Product::Sqlite, _) => {
            edges.extend(all(&[("beyond f64", "1e400"), ("NUL", "\"\\u0000\"")]));
        }
    }
    edges
}

fn addresses(address: Address) -> &'static [(&'static str, &'static str)] {
    match address {
        Address::Any => &[
            ("everything", "0.0.0.0/0"),
            ("last", "255.255.255.255"),
            ("host in a network", "10.0.0.1/8"),
            ("nothing of IPv6", "::"),
            ("IPv4 in IPv6", "::ffff:1.2.3.4"),
            ("host in a network of IPv6", "2001:db8::1/32"),
        ],
        Address::Net => &[
            ("everything", "0.0.0.0/0"),
            ("network", "10.0.0.0/8"),
            ("everything of IPv6", "::/0"),
            ("network of IPv6", "2001:db8::/32"),
        ],
        Address::V4 => &[("first", "0.0.0.0"), ("last", "255.255.255.255")],
        Address::V6 => &[("first", "::"), ("IPv4 in IPv6", "::ffff:1.2.3.4")],
        Address::Mac => &[("first", "00:00:00:00:00:00"), ("last", "ff:ff:ff:ff:ff:ff")],
        Address::Mac8 => {
            &[("first", "00:00:00:00:00:00:00:00"), ("last", "ff:ff:ff:ff:ff:ff:ff:ff")]
        }
    }
}

fn bits(length: u64, varying: bool, product: Product) -> Vec<Named> {
    let width = usize::try_from(length).unwrap_or(64);
    let written = |digits: String| match product {
        Product::Postgres => Value::Text(digits),
        Product::Mysql | Product::Mariadb | Product::Sqlite => {
            Value::Expression(format!("b'{digits}'"))
        }
    };
    let mut edges = vec![("ones", written("1".repeat(width)))];
    if varying {
        edges.extend([("empty", written(String::new())), ("one zero", written("0".to_owned()))]);
    }
    edges
}

fn arrays(of: &Kind, product: Product) -> Vec<Named> {
    let e = |n| sample::value(of, product, n).element();
    [
        ("empty", "{}".to_owned()),
        ("one NULL", "{NULL}".to_owned()),
        ("NULL between", format!("{{{},NULL,{}}}", e(0), e(1))),
        ("two dimensions", format!("{{{{{},{}}},{{{},NULL}}}}", e(0), e(1), e(1))),
        ("other bounds", format!("[5:6]={{{},{}}}", e(0), e(1))),
    ]
    .map(|(name, text)| (name, Value::Text(text)))
    .into()
}

fn ranges(of: &Kind, multi: bool, product: Product) -> Vec<Named> {
    let (a, b) = (sample::value(of, product, 1).element(), sample::value(of, product, 9).element());
    let edges = [
        ("empty", "empty".to_owned()),
        ("everything", "(,)".to_owned()),
        ("from", format!("[{a},)")),
        ("up to", format!("(,{a}]")),
        ("usual form", format!("[{a},{b})")),
        ("inclusive", format!("[{a},{b}]")),
        ("exclusive", format!("({a},{b})")),
    ];
    let mut edges: Vec<Named> = edges
        .into_iter()
        .map(|(name, text)| (name, Value::Text(if multi { format!("{{{text}}}") } else { text })))
        .collect();
    if multi {
        edges.push(("no range", Value::Text("{}".to_owned())));
    }
    edges
}
