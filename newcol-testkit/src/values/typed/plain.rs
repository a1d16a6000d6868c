//! The types of the language: truth values, numbers, text, bytes.

use proptest::{
    prelude::any,
    strategy::{BoxedStrategy, Strategy},
};

use super::{ColumnType, ColumnValue, Kind, Loss, ValueError, mismatch, with_edges};
use crate::values::{edges, kind::Text, literal, sample, strategy::texts};
use newcol_core::backend::Product;

impl ColumnValue for bool {
    fn strategy(ty: &ColumnType<'_>) -> Result<BoxedStrategy<Self>, ValueError> {
        Kind::of(ty)?;
        Ok(any::<bool>().boxed())
    }

    fn literal(&self, ty: &ColumnType<'_>) -> Option<String> {
        Some(sample::boolean(ty.product, *self).to_owned())
    }

    fn rust(&self) -> String {
        self.to_string()
    }

    fn becomes(&self, _read: &Self, _loss: Loss) -> bool {
        false
    }
}

/// Whole numbers: within the column most of the time, and at both ends of both types.
macro_rules! integers {
    ($($int:ident)*) => {$(
        impl ColumnValue for $int {
            fn strategy(ty: &ColumnType<'_>) -> Result<BoxedStrategy<Self>, ValueError> {
                let (min, max) = match Kind::of(ty)? {
                    Kind::Integer { bits, signed } => sample::integers(bits, signed),
                    _ => (i128::from($int::MIN), i128::from($int::MAX)),
                };
                let fit = |n: i128| {
                    let whole = n.clamp(i128::from($int::MIN), i128::from($int::MAX));
                    $int::try_from(whole).unwrap_or_default()
                };
                let (low, high) = (fit(min), fit(max));
                let edges = vec![0, 1, $int::MAX, $int::MIN, low, high];
                Ok(with_edges(edges, low..=high))
            }

            fn literal(&self, _ty: &ColumnType<'_>) -> Option<String> {
                Some(self.to_string())
            }

            fn rust(&self) -> String {
                format!("{self}_{}", stringify!($int))
            }

            fn becomes(&self, _read: &Self, _loss: Loss) -> bool {
                false
            }

            fn successor(&self) -> Option<Self> {
                self.checked_add(1)
            }
        }
    )*};
}

integers!(i8 i16 i32 i64 u8 u16 u32 u64);

/// Binary fractions: every bit pattern that is a number, and those that are none.
macro_rules! floats {
    ($($float:ident $any:expr;)*) => {$(
        impl ColumnValue for $float {
            fn strategy(ty: &ColumnType<'_>) -> Result<BoxedStrategy<Self>, ValueError> {
                Kind::of(ty)?;
                let edges = vec![
                    0.0,
                    0.1,
                    -0.0,
                    $float::NAN,
                    $float::INFINITY,
                    $float::NEG_INFINITY,
                    $float::MAX,
                    $float::MIN_POSITIVE,
                    $float::from_bits(1),
                ];
                Ok(with_edges(edges, $any))
            }

            fn literal(&self, ty: &ColumnType<'_>) -> Option<String> {
                // SQLite stores 64 bits, and reads numbers in SQL exactly only if they are short.
                const DIGITS: usize = 15;
                let wide = format!("{:e}", f64::from(*self));
                let digits = wide.chars().take_while(|c| *c != 'e').filter(char::is_ascii_digit);
                let near = (1e-15..1e15).contains(&self.abs()) || *self == 0.0;
                let short = digits.count() <= DIGITS && near;
                match (self.is_finite(), ty.product) {
                    (true, Product::Sqlite) => short.then_some(wide),
                    (true, Product::Postgres) => Some(format!("'{self:e}'")),
                    (true, _) => Some(format!("{self:e}")),
                    (false, Product::Postgres) => Some(format!("'{self}'")),
                    (false, _) => None,
                }
            }

            fn rust(&self) -> String {
                let name = stringify!($float);
                if self.is_nan() {
                    format!("{name}::NAN")
                } else if self.is_infinite() {
                    let sign = if *self < 0.0 { "NEG_" } else { "" };
                    format!("{name}::{sign}INFINITY")
                } else {
                    format!("{self:?}_{name}")
                }
            }

            fn becomes(&self, read: &Self, loss: Loss) -> bool {
                loss == Loss::NegativeZero && *self == 0.0 && *read == 0.0
            }
        }
    )*};
}

floats! {
    f32 proptest::num::f32::NORMAL | proptest::num::f32::SUBNORMAL;
    f64 proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL;
}

impl ColumnValue for String {
    fn strategy(ty: &ColumnType<'_>) -> Result<BoxedStrategy<Self>, ValueError> {
        /// Longest text that is drawn; the longest that fits is an edge.
        const LONG: u64 = 24;
        let kind = Kind::of(ty)?;
        let fitting = texts(&kind, ty);
        match kind {
            Kind::Text { limit, text } => {
                let longest = usize::try_from(limit.unwrap_or(LONG).min(LONG)).unwrap_or_default();
                let mut edges = fitting.unwrap_or_default();
                // Loud or silent is what is asked.
                edges.push("a\0b".to_owned());
                edges
                    .extend(limit.map(|limit| {
                        "x".repeat(usize::try_from(limit).unwrap_or_default()) + "  "
                    }));
                let one = match text {
                    Text::Narrow => proptest::char::range(' ', '~').boxed(),
                    Text::Plain | Text::Padded | Text::AnyCase => {
                        any::<char>().prop_filter("an edge", |c| *c != '\0').boxed()
                    }
                };
                let plain = proptest::collection::vec(one, 0..=longest)
                    .prop_map(|chars| chars.into_iter().collect());
                Ok(with_edges(edges, plain))
            }
            Kind::Label(labels) => Ok(proptest::sample::select(labels).boxed()),
            // Types without a Rust type of their own are read as text.
            kind => {
                let product = ty.product;
                let texts = edges::of(&kind, product);
                let texts = texts.into_iter().filter_map(|(_, value)| value.into_text()).collect();
                let plain = any::<u64>()
                    .prop_filter_map("text", move |n| sample::value(&kind, product, n).into_text());
                Ok(with_edges(texts, plain))
            }
        }
    }

    fn literal(&self, ty: &ColumnType<'_>) -> Option<String> {
        let impossible = ty.product == Product::Postgres && self.contains('\0');
        (!impossible).then(|| literal::text(ty.product, self))
    }

    fn rust(&self) -> String {
        format!("{self:?}.to_owned()")
    }

    fn becomes(&self, read: &Self, loss: Loss) -> bool {
        loss == Loss::Blanks && self.trim_end_matches(' ') == read.trim_end_matches(' ')
    }
}

impl ColumnValue for Vec<u8> {
    fn strategy(ty: &ColumnType<'_>) -> Result<BoxedStrategy<Self>, ValueError> {
        let (limit, fixed) = match Kind::of(ty)? {
            Kind::Bytes { limit, fixed } => (limit, fixed),
            Kind::Bits { length, .. } => {
                let length = usize::try_from(length.div_ceil(8)).unwrap_or_default();
                let edges = vec![vec![0; length], vec![0xff; length]];
                return Ok(with_edges(edges, proptest::collection::vec(any::<u8>(), length)));
            }
            _ => return Err(mismatch::<Self>(ty)),
        };
        let longest = usize::try_from(limit.unwrap_or(24).min(24)).unwrap_or_default();
        let edges = edges::bytes(limit, fixed).into_iter().map(|(_, bytes)| bytes).collect();
        let least = if fixed { longest } else { 0 };
        Ok(with_edges(edges, proptest::collection::vec(any::<u8>(), least..=longest)))
    }

    fn literal(&self, ty: &ColumnType<'_>) -> Option<String> {
        Some(literal::bytes(ty.product, self))
    }

    fn rust(&self) -> String {
        if self.is_empty() { "Vec::<u8>::new()".to_owned() } else { format!("vec!{self:?}") }
    }

    fn becomes(&self, read: &Self, loss: Loss) -> bool {
        let added = read.strip_prefix(self.as_slice());
        loss == Loss::Zeros && added.is_some_and(|rest| rest.iter().all(|byte| *byte == 0))
    }
}
