//! Days and times of `chrono`.

use chrono::{DateTime, Duration, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike, Utc};
use newcol_core::backend::Product;
use proptest::strategy::{BoxedStrategy, Strategy};

use super::{ColumnType, ColumnValue, Kind, Loss, ValueError, mismatch, with_edges};

fn day(year: i32, month: u32, day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(year, month, day).unwrap_or_default()
}

fn time(hour: u32, minute: u32, second: u32, nano: u32) -> NaiveTime {
    NaiveTime::from_hms_nano_opt(hour, minute, second, nano).unwrap_or_default()
}

fn days() -> impl Strategy<Value = NaiveDate> {
    let (first, last) = (day(1000, 1, 1), day(9999, 12, 31));
    let count = last.signed_duration_since(first).num_days();
    (0..=count).prop_map(move |n| first + Duration::days(n))
}

/// Days at which engines, calendars or clocks change.
fn edge_days() -> Vec<NaiveDate> {
    vec![
        day(1970, 1, 1),
        day(2000, 2, 29),
        day(2024, 3, 10),
        day(2038, 1, 20),
        day(1969, 12, 31),
        day(1582, 10, 10),
        day(999, 12, 31),
        day(1, 1, 1),
        day(0, 12, 31),
        day(-44, 3, 15),
        day(-4712, 1, 1),
        day(9999, 12, 31),
        day(20_000, 1, 1),
        NaiveDate::MAX,
        NaiveDate::MIN,
    ]
}

/// Times with every fraction that is cut, and the leap second.
fn edge_times() -> Vec<NaiveTime> {
    vec![
        time(0, 0, 0, 0),
        time(23, 59, 59, 0),
        time(0, 0, 0, 1_000),
        time(23, 59, 59, 999_999_000),
        time(12, 0, 0, 600_000_000),
        time(12, 0, 0, 1),
        time(23, 59, 59, 999_999_999),
        time(23, 59, 59, 1_500_000_000),
    ]
}

/// Times that are in the day, with a fraction of so many digits.
fn times(digits: u32) -> impl Strategy<Value = NaiveTime> {
    let unit = 10_u32.pow(9 - digits);
    (0..86_400_u32, 0..10_u32.pow(digits)).prop_map(move |(second, fraction)| {
        NaiveTime::from_num_seconds_from_midnight_opt(second, fraction * unit).unwrap_or_default()
    })
}

/// Points in time at which the clock of New York changes, and the products of all edges.
fn edge_moments() -> Vec<NaiveDateTime> {
    let mut moments = vec![
        day(1970, 1, 1).and_time(time(0, 0, 0, 0)),
        day(2024, 3, 10).and_time(time(2, 30, 0, 0)),
        day(2024, 11, 3).and_time(time(1, 30, 0, 0)),
        day(2038, 1, 19).and_time(time(3, 14, 8, 0)),
        day(2016, 12, 31).and_time(time(23, 59, 59, 1_500_000_000)),
    ];
    moments.extend(edge_days().into_iter().map(|day| day.and_time(time(0, 0, 0, 0))));
    moments.extend(edge_times().into_iter().map(|time| day(2024, 1, 1).and_time(time)));
    moments
}

fn moments(ty: &ColumnType<'_>) -> Result<BoxedStrategy<NaiveDateTime>, ValueError> {
    let (digits, range) = match Kind::of(ty)? {
        Kind::Timestamp { digits, range, .. } => (digits, range),
        // Diesel lets MySQL's be read as a point in time.
        Kind::Date => (6, crate::values::kind::Range::Wide),
        _ => return Err(mismatch::<NaiveDateTime>(ty)),
    };
    let days = match range {
        crate::values::kind::Range::Wide => days().boxed(),
        crate::values::kind::Range::Unix => {
            (1..24_000_i64).prop_map(|n| day(1970, 1, 1) + Duration::days(n)).boxed()
        }
    };
    let plain = (days, times(digits)).prop_map(|(day, time)| day.and_time(time));
    Ok(with_edges(edge_moments(), plain))
}

/// Reports whether a time lost what a loss says.
fn moment_becomes(wrote: NaiveDateTime, read: NaiveDateTime, loss: Loss) -> bool {
    match loss {
        Loss::Fraction(digits) if digits <= 9 => {
            let unit = TimeDelta::nanoseconds(10_i64.pow(9 - digits));
            let lost = wrote.signed_duration_since(read).abs();
            let kept = i64::from(read.nanosecond()) % 10_i64.pow(9 - digits) == 0;
            kept && lost < unit
        }
        Loss::LeapSecond => {
            let leap = wrote.nanosecond() >= 1_000_000_000;
            let next = NaiveDateTime::new(
                wrote.date(),
                wrote
                    .time()
                    .with_nanosecond(wrote.nanosecond() % 1_000_000_000)
                    .unwrap_or_default(),
            );
            // The column may also keep fewer digits.
            let lost = next.checked_add_signed(TimeDelta::seconds(1)).map(|next| next - read);
            leap && lost.is_some_and(|lost| lost.abs() < TimeDelta::seconds(1))
        }
        _ => false,
    }
}

/// A type whose `Debug` text is what its `FromStr` reads.
macro_rules! calendar {
    ($($ty:ty, $name:literal, |$value:ident, $column:ident| $literal:expr, $strategy:expr,
        |$wrote:ident, $read:ident, $loss:ident| $becomes:expr, $successor:expr;)*) => {$(
        impl ColumnValue for $ty {
            fn strategy(ty: &ColumnType<'_>) -> Result<BoxedStrategy<Self>, ValueError> {
                $strategy(ty)
            }

            fn literal(&self, $column: &ColumnType<'_>) -> Option<String> {
                let $value = self;
                $literal
            }

            fn rust(&self) -> String {
                format!("{:?}.parse::<{}>().unwrap()", format!("{self:?}"), $name)
            }

            fn becomes(&self, read: &Self, $loss: Loss) -> bool {
                let ($wrote, $read) = (self, read);
                $becomes
            }

            fn successor(&self) -> Option<Self> {
                $successor(self)
            }
        }
    )*};
}

calendar! {
    NaiveDate, "chrono::NaiveDate",
    |value, _ty| common(*value).then(|| format!("'{value}'")),
    |ty: &ColumnType<'_>| match Kind::of(ty)? {
        Kind::Date => Ok(with_edges(edge_days(), days())),
        _ => Err(mismatch::<Self>(ty)),
    },
    |_wrote, _read, _loss| false,
    |day: &NaiveDate| day.succ_opt();

    NaiveTime, "chrono::NaiveTime",
    |value, _ty| exact(value.nanosecond()).then(|| format!("'{value}'")),
    |ty: &ColumnType<'_>| match Kind::of(ty)? {
        Kind::Time { digits, .. } => Ok(with_edges(edge_times(), times(digits))),
        _ => Err(mismatch::<Self>(ty)),
    },
    |wrote, read, loss| {
        // The next minute may be the next day's first.
        let on = day(2000, 1, 1);
        let became = |read: NaiveDateTime| moment_becomes(on.and_time(*wrote), read, loss);
        became(on.and_time(*read)) || became(day(2000, 1, 2).and_time(*read))
    },
    |_: &NaiveTime| None;

    NaiveDateTime, "chrono::NaiveDateTime",
    |value, _ty| (common(value.date()) && exact(value.nanosecond()))
        .then(|| format!("'{}'", value.format("%F %T%.f"))),
    moments,
    |wrote, read, loss| moment_becomes(*wrote, *read, loss),
    |_: &NaiveDateTime| None;

    DateTime<Utc>, "chrono::DateTime<chrono::Utc>",
    |value, ty| (ty.product == Product::Postgres
        && common(value.date_naive())
        && exact(value.nanosecond()))
        .then(|| format!("'{}+00'", value.format("%F %T%.f"))),
    |ty: &ColumnType<'_>| Ok(moments(ty)?.prop_map(|moment| moment.and_utc()).boxed()),
    |wrote, read, loss| moment_becomes(wrote.naive_utc(), read.naive_utc(), loss),
    |_: &DateTime<Utc>| None;
}

/// Reports whether every engine writes a day as ISO 8601 does.
fn common(day: NaiveDate) -> bool {
    day >= self::day(1000, 1, 1) && day <= self::day(9999, 12, 31)
}

/// Reports whether a fraction of a second has six digits, none of a leap second.
fn exact(nanos: u32) -> bool {
    nanos < 1_000_000_000 && nanos.is_multiple_of(1_000)
}

impl ColumnValue for Duration {
    fn strategy(ty: &ColumnType<'_>) -> Result<BoxedStrategy<Self>, ValueError> {
        let Kind::Interval { .. } = Kind::of(ty)? else { return Err(mismatch::<Self>(ty)) };
        let edges = vec![
            Duration::zero(),
            Duration::microseconds(-1),
            Duration::days(1),
            Duration::nanoseconds(1),
            Duration::days(100_000_000),
            Duration::MAX,
        ];
        Ok(with_edges(edges, (-(1_i64 << 50)..1 << 50).prop_map(Duration::microseconds)))
    }

    fn literal(&self, _ty: &ColumnType<'_>) -> Option<String> {
        None
    }

    fn rust(&self) -> String {
        match self.num_nanoseconds() {
            Some(nanos) => format!("chrono::Duration::nanoseconds({nanos})"),
            None => format!("chrono::Duration::seconds({})", self.num_seconds()),
        }
    }

    fn becomes(&self, read: &Self, loss: Loss) -> bool {
        matches!(loss, Loss::Fraction(6)) && (*self - *read).abs() < Duration::microseconds(1)
    }
}
