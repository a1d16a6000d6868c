//! Types that Diesel has for PostgreSQL's own.

use diesel::data_types::{PgInterval, PgMoney};
use diesel::pg::data_types::PgLsn;
use proptest::{
    prelude::any,
    strategy::{BoxedStrategy, Strategy},
};

use super::{ColumnType, ColumnValue, Kind, Loss, ValueError, with_edges};

/// A type that comes back exactly or not at all.
macro_rules! exact {
    ($($ty:ty, $edges:expr, $plain:expr, |$value:ident| $literal:expr, $rust:expr;)*) => {$(
        impl ColumnValue for $ty {
            fn strategy(ty: &ColumnType<'_>) -> Result<BoxedStrategy<Self>, ValueError> {
                Kind::of(ty)?;
                Ok(with_edges($edges, $plain))
            }

            fn literal(&self, _ty: &ColumnType<'_>) -> Option<String> {
                let $value = self;
                $literal
            }

            fn rust(&self) -> String {
                let $value = self;
                $rust
            }

            fn becomes(&self, _read: &Self, _loss: Loss) -> bool {
                false
            }
        }
    )*};
}

exact! {
    PgInterval,
    vec![
        PgInterval::new(0, 0, 0),
        PgInterval::new(-1, 0, 0),
        PgInterval::new(0, 30, 0),
        PgInterval::new(0, 0, 1),
        PgInterval::new(1, -1, 1),
        PgInterval::new(i64::MAX, i32::MAX, i32::MAX),
        PgInterval::new(i64::MIN, i32::MIN, i32::MIN),
    ],
    (any::<i64>(), any::<i32>(), any::<i32>())
        .prop_map(|(micros, days, months)| PgInterval::new(micros / 2, days / 2, months / 2)),
    |_value| None,
    format!(
        "diesel::data_types::PgInterval::new({}, {}, {})",
        _value.microseconds, _value.days, _value.months
    );

    PgMoney,
    vec![PgMoney(0), PgMoney(-1), PgMoney(i64::MAX), PgMoney(i64::MIN)],
    any::<i64>().prop_map(PgMoney),
    |_value| None,
    format!("diesel::data_types::PgMoney({})", _value.0);

    PgLsn,
    vec![PgLsn(0), PgLsn(u64::MAX)],
    any::<u64>().prop_map(PgLsn),
    |value| Some(format!("'{:X}/{:X}'", value.0 >> 32, value.0 & 0xffff_ffff)),
    format!("diesel::pg::data_types::PgLsn({})", value.0);

    [u8; 6],
    vec![[0; 6], [0xff; 6]],
    any::<[u8; 6]>(),
    |value| Some(mac(value)),
    format!("{value:?}");

    [u8; 8],
    vec![[0; 8], [0xff; 8]],
    any::<[u8; 8]>(),
    |value| Some(mac(value)),
    format!("{value:?}");
}

fn mac(bytes: &[u8]) -> String {
    let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("'{}'", bytes.join(":"))
}
