//! Days and times as text, without a calendar library.

/// Days from 1000-01-01 to 9999-12-31, what every engine and every Rust type takes.
pub(super) const COMMON_DAYS: u64 = 3_287_182;

/// Days from 0000-03-01 to 2000-01-01 and to 1000-01-01.
const DAY_2000: u64 = 730_425;
const DAY_1000: u64 = 365_183;

/// Returns the `n`-th day from 2000-01-01 on; after 9999-12-31 comes 1000-01-01.
pub(super) fn date(n: u64) -> String {
    let from_1000 = (n % COMMON_DAYS + (DAY_2000 - DAY_1000)) % COMMON_DAYS;
    let (year, month, day) = civil(from_1000 + DAY_1000);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Returns the time `n` seconds after midnight; every day that `n` is long adds one in the last of
/// `digits` fractional digits.
pub(super) fn time(n: u64, digits: u32) -> String {
    const DAY: u64 = 86_400;
    let second = n % DAY;
    let whole = format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60);
    whole + &fraction(n / DAY, digits)
}

/// Returns a point in time between noon and one, when no clock is ever changed: the `n`-th of
/// `days` days, and then the seconds and `digits` fractional digits.
pub(super) fn timestamp(n: u64, days: u64, digits: u32) -> String {
    const HOUR: u64 = 3600;
    let second = n / days % HOUR;
    let whole = format!("{} 12:{:02}:{:02}", date(n % days), second / 60, second % 60);
    whole + &fraction(n / days / HOUR, digits)
}

/// Returns how many values [`timestamp`] has.
pub(super) fn timestamps(days: u64, digits: u32) -> u64 {
    days.saturating_mul(3600).saturating_mul(10_u64.pow(digits))
}

fn fraction(n: u64, digits: u32) -> String {
    match digits {
        0 => String::new(),
        _ => format!(".{:0width$}", n % 10_u64.pow(digits), width = digits as usize),
    }
}

/// Turns days since 0000-03-01 into year, month and day of the Gregorian calendar.
fn civil(days: u64) -> (u64, u64, u64) {
    let era = days / 146_097;
    let in_era = days % 146_097;
    let year = (in_era - in_era / 1460 + in_era / 36_524 - in_era / 146_096) / 365;
    let in_year = in_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * in_year + 2) / 153;
    let day = in_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_count_over_leap_years_and_wrap() {
        let days: Vec<String> =
            [0, 59, 60, 366, 2_921_939, 2_921_940, COMMON_DAYS - 1].map(date).into();
        assert_eq!(
            days,
            [
                "2000-01-01",
                "2000-02-29",
                "2000-03-01",
                "2001-01-01",
                "9999-12-31",
                "1000-01-01",
                "1999-12-31"
            ]
        );
    }

    #[test]
    fn times_use_the_digits_they_have() {
        assert_eq!(time(86_399, 0), "23:59:59");
        assert_eq!(time(86_401, 3), "00:00:01.001");
        assert_eq!(timestamp(8, 7, 6), "2000-01-02 12:00:01.000000");
    }
}
