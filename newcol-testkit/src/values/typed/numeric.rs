//! Decimal numbers of `bigdecimal`.

use bigdecimal::BigDecimal;
use proptest::{
    prelude::any,
    strategy::{BoxedStrategy, Strategy},
};

use super::{ColumnType, ColumnValue, Kind, Loss, ValueError, mismatch, with_edges};

fn decimal(digits: i128, scale: i64) -> BigDecimal {
    BigDecimal::new(digits.into(), scale)
}

impl ColumnValue for BigDecimal {
    fn strategy(ty: &ColumnType<'_>) -> Result<BoxedStrategy<Self>, ValueError> {
        let (precision, scale) = match Kind::of(ty)? {
            Kind::Decimal { precision, scale, .. } => (precision, i64::from(scale)),
            Kind::Float { .. } => (Some(15), 5),
            _ => return Err(mismatch::<Self>(ty)),
        };
        let edges = vec![
            decimal(0, 0),
            decimal(0, scale),
            decimal(110, 2),
            decimal(-1, scale),
            decimal(125, scale + 1),
            decimal(12_345_678_901_234_567_890_123, 3),
            decimal(1, -40),
            decimal(1, 20),
        ];
        let Some(precision) = precision else {
            let any_scale = (any::<i128>(), 0..30_i64).prop_map(|(n, scale)| decimal(n, scale));
            return Ok(with_edges(edges, any_scale));
        };
        let last = 10_i128.checked_pow(precision).map_or(i128::MAX, |count| count - 1);
        Ok(with_edges(edges, (-last..=last).prop_map(move |n| decimal(n, scale))))
    }

    fn literal(&self, _ty: &ColumnType<'_>) -> Option<String> {
        Some(self.to_plain_string())
    }

    fn rust(&self) -> String {
        let (digits, scale) = self.as_bigint_and_exponent();
        format!("bigdecimal::BigDecimal::new(\"{digits}\".parse().unwrap(), {scale})")
    }

    fn becomes(&self, read: &Self, loss: Loss) -> bool {
        match loss {
            Loss::Scale(digits) => {
                let half = decimal(5, i64::from(digits) + 1);
                read.fractional_digit_count() == i64::from(digits) && (self - read).abs() <= half
            }
            Loss::Zeros => self == read,
            Loss::Binary => (self - read).abs() <= self.abs() * decimal(1, 15),
            _ => false,
        }
    }
}
