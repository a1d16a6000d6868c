//! Values of PostgreSQL's types by their number: in the order of the numbers, as wide as wanted.

use newcol_core::{
    backend::Backend,
    bench::profile::{Column, Statistics},
};

use crate::values::text_literal;

/// Characters of which fillers are made.
const HEX: &[u8; 16] = b"0123456789abcdef";

/// How many values more than the table has the form of texts has room for: new rows come.
const ROOM: u64 = 100;

/// What values of a column are to be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) column: &'a Column,
    pub(super) statistics: &'a Statistics,
    /// How many values there are.
    pub(super) distinct: u64,
    /// Bytes that a value takes on average, its header among them.
    pub(super) width: f64,
    pub(super) seed: u64,
}

impl Wanted<'_> {
    /// Returns the expression of the value whose number the expression `v` has; `None` where the type
    /// is not known here.
    pub(super) fn sql(&self, v: &str) -> Option<String> {
        let Column { base_type, sql_type, labels, .. } = self.column;
        let made = if labels.is_empty() {
            self.of_type(base_type, v)?
        } else {
            let labels: Vec<String> = labels.iter().map(|label| literal(label)).collect();
            format!("(ARRAY[{}])[1 + {v} % {}]", labels.join(","), labels.len())
        };
        Some(format!("({made})::{sql_type}"))
    }

    fn of_type(&self, ty: &str, v: &str) -> Option<String> {
        if let Some(element) = ty.strip_suffix("[]") {
            return (*self).array(element, v);
        }
        let (name, limit) = parts(ty);
        Some(match name.as_str() {
            "smallint" => self.number(v, 32_000),
            "integer" | "oid" => self.number(v, 2_000_000_000),
            "bigint" => self.number(v, 1 << 52),
            "real" => format!("{}::real", self.number(v, 16_000_000)),
            "double precision" => format!("{}::float8 / 7", self.number(v, 1 << 48)),
            "numeric" => self.numeric(v, limit),
            "money" => format!("({v})::numeric::money"),
            "boolean" => format!("{v} % 2 = {}", u64::from(self.distinct > 1)),
            "text" | "character varying" | "character" | "citext" | "\"char\"" | "name" => {
                self.text(v, (self.width - header(self.width), limit), is_padded(&name))
            }
            "bytea" => self.bytes(v),
            "uuid" => {
                format!("(lpad(to_hex({v}), 16, '0') || substr(md5(({v})::text), 1, 16))::uuid")
            }
            "date" => format!("DATE '2000-01-01' + ({})::integer", self.number(v, 1_000_000)),
            "timestamp without time zone" => self.instant(v, "TIMESTAMP"),
            "timestamp with time zone" => self.instant(v, "TIMESTAMPTZ"),
            "time without time zone" | "time with time zone" => format!(
                "(TIME '00:00' + {v} * {} * INTERVAL '1 microsecond')",
                86_399_000_000 / self.distinct.max(1)
            ),
            "interval" => format!("{v} * INTERVAL '1 second'"),
            "json" => format!("('{{\"k\": \"' || {} || '\"}}')", self.inner(v, 9.0)),
            "jsonb" if self.distinct <= 1 && self.width < 16.0 => "'{}'".to_owned(),
            "jsonb" if self.width < 20.0 => format!("to_jsonb({v})"),
            "jsonb" => format!("jsonb_build_object('k', {})", self.inner(v, 13.0)),
            "inet" => format!("INET '10.0.0.0' + {v}"),
            "cidr" => format!("set_masklen(INET '10.0.0.0' + {v}, 32)::cidr"),
            "macaddr" => format!("lpad(to_hex({v}), 12, '0')::macaddr"),
            "bit" | "bit varying" => {
                let bits = limit.unwrap_or(1).min(62);
                format!(
                    "lpad((({v})::bigint::bit(62))::text, 62, '0')::bit(62)::bigint::bit({bits})"
                )
            }
            "hstore" => format!("hstore('k', {})", self.inner(v, 14.0)),
            "tsvector" => format!("array_to_tsvector(ARRAY[{}])", self.inner(v, 12.0)),
            "point" => format!("point({v}, {v})"),
            "int4range" => format!("int4range(({v})::integer, ({v})::integer + 1)"),
            "int8range" => format!("int8range({v}, {v} + 1)"),
            "numrange" => format!("numrange({v}, {v} + 1)"),
            "daterange" => {
                format!(
                    "daterange(DATE '2000-01-01' + ({v})::integer, DATE '2000-01-02' + ({v})::integer)"
                )
            }
            "tstzrange" => format!(
                "tstzrange(TIMESTAMPTZ '2000-01-01' + {v} * INTERVAL '1 second', \
                 TIMESTAMPTZ '2000-01-01' + ({v} + 1) * INTERVAL '1 second')"
            ),
            _ => return None,
        })
    }

    /// Returns whole numbers that lie as the histogram's bounds do, none twice.
    fn number(&self, v: &str, most: u64) -> String {
        let shape = &self.statistics.shape;
        let bins = shape.len().saturating_sub(1);
        let even = |(at, bound): (usize, &f64)| (*bound - at as f64 / bins as f64).abs() < 0.02;
        let span = (self.distinct * 20).min(most).saturating_sub(self.distinct);
        if bins < 2 || span == 0 || shape.iter().enumerate().all(even) {
            return format!("(1 + {v})");
        }
        let bounds: Vec<String> = shape.iter().map(f64::to_string).collect();
        let bounds = format!("'{{{}}}'::float8[]", bounds.join(","));
        // What is beyond the last value, for new rows, goes on past the last bound.
        let at = format!("least({v} * {bins} / {0}, {1})", self.distinct, bins - 1);
        let within = format!("({v} * {bins}::float8 / {} - {at})", self.distinct);
        let low = format!("({bounds})[1 + {at}]");
        let high = format!("({bounds})[2 + {at}]");
        format!("(1 + {v} + (({low} + ({high} - {low}) * {within}) * {span})::bigint)")
    }

    fn instant(&self, v: &str, ty: &str) -> String {
        format!("{ty} '2020-01-01' + {} * INTERVAL '1 second'", self.number(v, 4_000_000_000))
    }

    /// Numbers take two bytes for every four digits that are not zeros at their end.
    fn numeric(&self, v: &str, limit: Option<u64>) -> String {
        let scale = scale(&self.column.base_type);
        let groups = ((self.width - 3.0) / 2.0).max(1.0);
        let fraction = scale.div_ceil(4) as f64;
        // A fraction that is wanted between two numbers of groups is that of values without fraction.
        let whole = (groups - fraction).max(1.0);
        let digits = (4.0 * (whole.floor() - 1.0)).max(0.0) as u32;
        let most = limit.map_or(30, |limit| limit.saturating_sub(scale) as u32).saturating_sub(1);
        let (base, one) = (10_i128.pow(digits.min(most).min(26)), 10_i128.pow(scale as u32));
        // Low digits that end in something else than zeros.
        match (scale, digits) {
            (0, 0) => format!("(1 + {v})::numeric"),
            (0, _) => format!("({base} + 1 + {v} * 10 / 9)::numeric"),
            _ => format!("({}::numeric + 1 + {v} + ({v} + 1) / 9) / {one}", base * one),
        }
    }

    /// Texts begin with their number, so that they sort as it does under every collation, and go on
    /// with what cannot be compressed.
    fn text(&self, v: &str, (width, limit): (f64, Option<u64>), is_padded: bool) -> String {
        let limit = limit.map_or(f64::INFINITY, |limit| limit as f64);
        let width = if is_padded { limit.min(1e6) } else { width.min(limit) }.max(0.0);
        if self.distinct <= 1 {
            return format!("{}::text", literal(&self.filler(width.round() as usize)));
        }
        let room = self.distinct.saturating_mul(ROOM);
        let decimal = room.max(10).ilog10() + 1;
        if width <= f64::from(decimal) {
            // The fewest letters of 36 that tell all of them.
            let few = (1..).find(|n| 36_f64.powi(*n) >= self.distinct as f64).unwrap_or(13);
            let letters = (width.round() as i32).max(few);
            let parts = (0..letters).rev().map(|at| {
                let power = 36_u64.saturating_pow(at as u32);
                format!("substr('0123456789abcdefghijklmnopqrstuvwxyz', (1 + {v} / {power} % 36)::int, 1)")
            });
            return parts.collect::<Vec<_>>().join(" || ");
        }
        // From half to one and a half times the width.
        let least = (width / 2.0).max(f64::from(decimal)).max(2.0 * width - limit).floor();
        let spread = (2.0 * (width - least)).round().max(0.0) as u64 + 1;
        let filler = self.filler((least as u64 + spread) as usize + 256);
        let length = format!(
            "{} + ({v} * 7919 + {}) % {spread}",
            least as u64 - u64::from(decimal),
            self.seed % 1000
        );
        format!(
            "lpad(({v})::text, {decimal}, '0') || substr({}, (1 + {v} % 251)::int, ({length})::int)",
            literal(&filler)
        )
    }

    /// Returns a text inside of something that takes so many bytes itself.
    fn inner(&self, v: &str, around: f64) -> String {
        self.text(v, (self.width - header(self.width) - around, None), false)
    }

    fn bytes(&self, v: &str) -> String {
        let width = (self.width - header(self.width)).max(1.0);
        if width < 9.0 {
            return format!("substring(int8send({v}) from {})", 9 - width.round() as u64);
        }
        let rest = (width - 8.0).round() as usize;
        let filler = self.filler(rest * 2 + 512);
        format!(
            "int8send({v}) || substring(decode('{filler}', 'hex') from (1 + {v} % 251)::int for {rest})"
        )
    }

    fn array(self, element: &str, v: &str) -> Option<String> {
        let room = (self.width - header(self.width) - 20.0).max(0.0);
        let fixed = match parts(element).0.as_str() {
            "smallint" => Some(2.0),
            "integer" | "real" | "date" => Some(4.0),
            "boolean" => Some(1.0),
            "bigint"
            | "double precision"
            | "timestamp without time zone"
            | "timestamp with time zone" => Some(8.0),
            "uuid" => Some(16.0),
            _ => None,
        };
        let each = fixed.unwrap_or(12.0);
        let count = match (fixed, self.statistics.elements) {
            // Elements that are equal are counted once.
            (None, Some(elements)) => elements,
            _ => room / each,
        };
        let count = count.round().max(0.0) as usize;
        if count == 0 {
            return Some("'{}'".to_owned());
        }
        let plain = Statistics::default();
        let of = Wanted {
            // Elements keep a header of four bytes, and begin at a multiple of four.
            width: fixed.unwrap_or(room / count as f64 - 2.0 - 1.5),
            statistics: &plain,
            column: self.column,
            distinct: self.distinct,
            seed: self.seed,
        };
        let made = |at: usize| of.of_type(element, &format!("({v} + {at})"));
        let elements: Option<Vec<String>> = (0..count.min(64)).map(made).collect();
        Some(format!("ARRAY[{}]::{element}[]", elements?.join(", ")))
    }

    /// Returns hexadecimal digits without repetitions that a compressor could find.
    fn filler(&self, length: usize) -> String {
        let mut random = fastrand::Rng::with_seed(self.seed);
        (0..length).map(|_| char::from(HEX[random.usize(..16)])).collect()
    }
}

/// Returns how many bytes stand before a value of such a width.
fn header(width: f64) -> f64 {
    if width <= 127.0 { 1.0 } else { 4.0 }
}

fn is_padded(name: &str) -> bool {
    name == "character"
}

fn literal(text: &str) -> String {
    text_literal(newcol_core::backend::Server::oldest(Backend::Postgres).product, text)
}

/// Divides a type into its name and the number in its parentheses.
fn parts(ty: &str) -> (String, Option<u64>) {
    let Some((before, rest)) = ty.split_once('(') else { return (base(ty), None) };
    let (numbers, after) = rest.split_once(')').unwrap_or((rest, ""));
    let limit = numbers.split(',').next().and_then(|number| number.trim().parse().ok());
    (base(&format!("{before}{after}")), limit)
}

/// Returns a name without the schema of its extension.
fn base(name: &str) -> String {
    name.rsplit('.').next().unwrap_or(name).to_owned()
}

fn scale(ty: &str) -> u64 {
    let inner = ty.split_once(',').and_then(|(_, rest)| rest.split_once(')'));
    inner.and_then(|(scale, _)| scale.trim().parse().ok()).unwrap_or(0)
}
