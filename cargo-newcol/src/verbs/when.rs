//! Times and sizes as they are typed and shown.

use std::time::{Duration, Instant};

use jiff::{Timestamp, civil::Time, tz::TimeZone};

/// Parses `500ms`, `2s`, `3m`, `4h`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text).ok_or_else(|| wrong(text, "500ms, 2s, 3m or 4h"))?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong(text, "500ms, 2s, 3m or 4h")),
    };
    Ok(Duration::from_millis(number.saturating_mul(millis)))
}

/// Parses `512kB`, `8MB`, `1GB`.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text).ok_or_else(|| wrong(text, "512kB, 8MB or 1GB"))?;
    let size = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" | "k" => 1 << 10,
        "mb" | "m" => 1 << 20,
        "gb" | "g" => 1 << 30,
        _ => return Err(wrong(text, "512kB, 8MB or 1GB")),
    };
    Ok(number.saturating_mul(size)).and_then(|size| match size {
        0 => Err(wrong(text, "more than nothing")),
        size => Ok(size),
    })
}

/// Parses `06:00`.
pub(super) fn time_of_day(text: &str) -> Result<Time, String> {
    Time::strptime("%H:%M", text).map_err(|_| wrong(text, "a time of day such as 06:00"))
}

fn split(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit.trim()))
}

fn wrong(text: &str, wanted: &str) -> String {
    format!("`{text}` is not {wanted}")
}

/// Writes a span of time for people.
pub(super) fn shown(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Writes a size for people.
pub(super) fn shown_bytes(bytes: u64) -> String {
    match bytes {
        0..10_240 => format!("{bytes} B"),
        10_240..10_485_760 => format!("{} kB", bytes >> 10),
        10_485_760..10_737_418_240 => format!("{} MB", bytes >> 20),
        _ => format!("{} GB", bytes >> 30),
    }
}

/// A moment at which to stop.
pub(super) struct Deadline(Instant);

impl Deadline {
    /// The next time that a clock in the machine's zone shows this.
    pub(super) fn next(now: Timestamp, time: Time) -> Self {
        let zoned = now.to_zoned(TimeZone::system());
        let today = zoned.date().to_datetime(time).to_zoned(zoned.time_zone().clone());
        let at = today.ok().filter(|at| *at > zoned).or_else(|| {
            let tomorrow = zoned.date().tomorrow().ok()?;
            tomorrow.to_datetime(time).to_zoned(zoned.time_zone().clone()).ok()
        });
        let left = at.map_or(0, |at| at.timestamp().as_second() - now.as_second());
        Self(Instant::now() + Duration::from_secs(left.try_into().unwrap_or_default()))
    }

    pub(super) fn is_over(&self) -> bool {
        Instant::now() >= self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_as_they_are_typed() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(duration("4h"), Ok(Duration::from_hours(4)));
        assert_eq!(bytes("8MB"), Ok(8 << 20));
        assert_eq!(bytes("100"), Ok(100));
        for text in ["", "s", "5", "5d", "-1s"] {
            assert!(duration(text).is_err(), "{text}");
        }
        for text in ["", "MB", "5TB", "0"] {
            assert!(bytes(text).is_err(), "{text}");
        }
        assert!(time_of_day("06:00").is_ok());
        assert!(time_of_day("25:00").is_err());
    }

    #[test]
    fn a_deadline_is_within_a_day() {
        let now = Timestamp::from_second(1_790_000_000).unwrap();
        let deadline = Deadline::next(now, Time::constant(6, 0, 0, 0));
        let left = deadline.0 - Instant::now();
        assert!(left <= Duration::from_hours(25), "{left:?}");
    }
}
