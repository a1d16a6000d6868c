//! Days and times of `time`.

use newcol_core::backend::Product;
use proptest::strategy::{BoxedStrategy, Strategy};
use time::{Date, Duration, Month, OffsetDateTime, PrimitiveDateTime, Time};

use super::{ColumnType, ColumnValue, Kind, Loss, ValueError, mismatch, with_edges};

fn day(year: i32, month: Month, day: u8) -> Date {
    Date::from_calendar_date(year, month, day).unwrap_or(Date::MIN)
}

fn days() -> impl Strategy<Value = Date> {
    let first = day(1000, Month::January, 1).to_julian_day();
    let last = day(9999, Month::December, 31).to_julian_day();
    (first..=last).prop_map(|day| Date::from_julian_day(day).unwrap_or(Date::MIN))
}

fn edge_days() -> Vec<Date> {
    vec![
        day(1970, Month::January, 1),
        day(2000, Month::February, 29),
        day(2024, Month::March, 10),
        day(1582, Month::October, 10),
        day(1, Month::January, 1),
        day(0, Month::December, 31),
        day(-44, Month::March, 15),
        Date::MAX,
        Date::MIN,
    ]
}

fn time(hour: u8, minute: u8, second: u8, nano: u32) -> Time {
    Time::from_hms_nano(hour, minute, second, nano).unwrap_or(Time::MIDNIGHT)
}

fn edge_times() -> Vec<Time> {
    vec![
        Time::MIDNIGHT,
        time(23, 59, 59, 0),
        time(23, 59, 59, 999_999_000),
        time(12, 0, 0, 600_000_000),
        time(12, 0, 0, 1),
        Time::MAX,
    ]
}

fn times(digits: u32) -> impl Strategy<Value = Time> {
    let unit = 10_u32.pow(9 - digits);
    (0..24_u8, 0..60_u8, 0..60_u8, 0..10_u32.pow(digits)).prop_map(
        move |(hour, minute, second, fraction)| time(hour, minute, second, fraction * unit),
    )
}

fn moments(ty: &ColumnType<'_>) -> Result<BoxedStrategy<PrimitiveDateTime>, ValueError> {
    let Kind::Timestamp { digits, range, .. } = Kind::of(ty)? else {
        return Err(mismatch::<PrimitiveDateTime>(ty));
    };
    let days = match range {
        crate::values::kind::Range::Wide => days().boxed(),
        crate::values::kind::Range::Unix => {
            let first = day(1970, Month::January, 1).to_julian_day();
            (first + 1..first + 24_000)
                .prop_map(|day| Date::from_julian_day(day).unwrap_or(Date::MIN))
                .boxed()
        }
    };
    let mut edges = vec![
        day(2024, Month::March, 10).with_time(time(2, 30, 0, 0)),
        day(2024, Month::November, 3).with_time(time(1, 30, 0, 0)),
    ];
    edges.extend(edge_days().into_iter().map(|day| day.with_time(Time::MIDNIGHT)));
    let on = day(2024, Month::January, 1);
    edges.extend(edge_times().into_iter().map(|time| on.with_time(time)));
    let plain = (days, times(digits)).prop_map(|(day, time)| day.with_time(time));
    Ok(with_edges(edges, plain))
}

fn becomes(wrote: PrimitiveDateTime, read: PrimitiveDateTime, loss: Loss) -> bool {
    match loss {
        Loss::Fraction(digits) if digits <= 9 => {
            let unit = 10_i64.pow(9 - digits);
            let kept = i64::from(read.nanosecond()) % unit == 0;
            kept && (wrote - read).abs() < Duration::nanoseconds(unit)
        }
        _ => false,
    }
}

fn common(day: Date) -> bool {
    (1000..=9999).contains(&day.year())
}

fn date_text(day: Date) -> String {
    format!("{:04}-{:02}-{:02}", day.year(), u8::from(day.month()), day.day())
}

fn time_text(time: Time) -> String {
    let (hour, minute, second, micro) = time.as_hms_micro();
    format!("{hour:02}:{minute:02}:{second:02}.{micro:06}")
}

fn exact(nanos: u32) -> bool {
    nanos.is_multiple_of(1_000)
}

fn date_rust(day: Date) -> String {
    format!("time::Date::from_ordinal_date({}, {}).unwrap()", day.year(), day.ordinal())
}

fn time_rust(time: Time) -> String {
    let (hour, minute, second, nano) = time.as_hms_nano();
    format!("time::Time::from_hms_nano({hour}, {minute}, {second}, {nano}).unwrap()")
}

impl ColumnValue for Date {
    fn strategy(ty: &ColumnType<'_>) -> Result<BoxedStrategy<Self>, ValueError> {
        match Kind::of(ty)? {
            Kind::Date => Ok(with_edges(edge_days(), days())),
            _ => Err(mismatch::<Self>(ty)),
        }
    }

    fn literal(&self, _ty: &ColumnType<'_>) -> Option<String> {
        common(*self).then(|| format!("'{}'", date_text(*self)))
    }

    fn rust(&self) -> String {
        date_rust(*self)
    }

    fn becomes(&self, _read: &Self, _loss: Loss) -> bool {
        false
    }

    fn successor(&self) -> Option<Self> {
        self.next_day()
    }
}

impl ColumnValue for Time {
    fn strategy(ty: &ColumnType<'_>) -> Result<BoxedStrategy<Self>, ValueError> {
        match Kind::of(ty)? {
            Kind::Time { digits, .. } => Ok(with_edges(edge_times(), times(digits))),
            _ => Err(mismatch::<Self>(ty)),
        }
    }

    fn literal(&self, _ty: &ColumnType<'_>) -> Option<String> {
        exact(self.nanosecond()).then(|| format!("'{}'", time_text(*self)))
    }

    fn rust(&self) -> String {
        time_rust(*self)
    }

    fn becomes(&self, read: &Self, loss: Loss) -> bool {
        let on = day(2000, Month::January, 1);
        becomes(on.with_time(*self), on.with_time(*read), loss)
    }
}

impl ColumnValue for PrimitiveDateTime {
    fn strategy(ty: &ColumnType<'_>) -> Result<BoxedStrategy<Self>, ValueError> {
        moments(ty)
    }

    fn literal(&self, _ty: &ColumnType<'_>) -> Option<String> {
        (common(self.date()) && exact(self.nanosecond()))
            .then(|| format!("'{} {}'", date_text(self.date()), time_text(self.time())))
    }

    fn rust(&self) -> String {
        let (day, time) = (date_rust(self.date()), time_rust(self.time()));
        format!("time::PrimitiveDateTime::new({day}, {time})")
    }

    fn becomes(&self, read: &Self, loss: Loss) -> bool {
        becomes(*self, *read, loss)
    }
}

impl ColumnValue for OffsetDateTime {
    fn strategy(ty: &ColumnType<'_>) -> Result<BoxedStrategy<Self>, ValueError> {
        Ok(moments(ty)?.prop_map(PrimitiveDateTime::assume_utc).boxed())
    }

    fn literal(&self, ty: &ColumnType<'_>) -> Option<String> {
        (ty.product == Product::Postgres && common(self.date()) && exact(self.nanosecond()))
            .then(|| format!("'{} {}+00'", date_text(self.date()), time_text(self.time())))
    }

    fn rust(&self) -> String {
        let moment = PrimitiveDateTime::new(self.date(), self.time());
        format!("{}.assume_utc()", moment.rust())
    }

    fn becomes(&self, read: &Self, loss: Loss) -> bool {
        let naive = |moment: &Self| PrimitiveDateTime::new(moment.date(), moment.time());
        becomes(naive(self), naive(read), loss)
    }
}
