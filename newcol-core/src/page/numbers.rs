//! Numbers and moments as text.

/// Returns a number with three digits that count, and a letter for thousands.
pub(crate) fn short(value: f64) -> String {
    if !value.is_finite() {
        return "–".into();
    }
    let size = value.abs();
    let (scaled, unit) = match size {
        1e12.. => (value / 1e12, " T"),
        1e9.. => (value / 1e9, " G"),
        1e6.. => (value / 1e6, " M"),
        1e4.. => (value / 1e3, " k"),
        _ => (value, ""),
    };
    let digits = match scaled.abs() {
        100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        0.1.. => 3,
        _ => 4,
    };
    let text = format!("{scaled:.digits$}");
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    };
    let text = if text == "-0" { "0".to_owned() } else { text.replace('-', "−") };
    text + unit
}

/// Returns a moment as day and time, by UTC.
pub(super) fn moment(seconds: f64) -> String {
    let (year, month, day) = date((seconds / 86_400.0).floor() as i64);
    let (hour, minute) = clock(seconds);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}")
}

/// Returns a moment as short as an axis needs it: with the day only where more than one is shown.
pub(super) fn tick(seconds: f64, span: f64) -> String {
    let (_, month, day) = date((seconds / 86_400.0).floor() as i64);
    let (hour, minute) = clock(seconds);
    if span > 3.0 * 86_400.0 {
        format!("{month:02}-{day:02}")
    } else if span > 86_400.0 {
        format!("{month:02}-{day:02} {hour:02}:{minute:02}")
    } else {
        format!("{hour:02}:{minute:02}")
    }
}

fn clock(seconds: f64) -> (i64, i64) {
    let minutes = (seconds.rem_euclid(86_400.0) / 60.0).floor() as i64;
    (minutes / 60, minutes % 60)
}

/// Returns the date of a day since 1970-01-01 (Howard Hinnant, *chrono-Compatible Low-Level Date
/// Algorithms*).
fn date(day: i64) -> (i64, i64, i64) {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// Returns round numbers between two bounds, at least two, about as many as wished.
pub(super) fn ticks(low: f64, high: f64, wished: f64) -> Vec<f64> {
    let rough = (high - low) / wished;
    if !rough.is_finite() || rough <= 0.0 {
        return vec![low];
    }
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|part| part * power);
    let step = step.into_iter().find(|step| *step >= rough).unwrap_or(rough);
    let first = (low / step).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    (first..=last).map(|at| at as f64 * step).collect()
}

/// Returns round moments between two, five at most.
pub(super) fn time_ticks(from: f64, to: f64) -> Vec<f64> {
    const MINUTES: [u32; 17] =
        [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10_080, 20_160, 43_200, 129_600];
    let steps = MINUTES.into_iter().map(|minutes| f64::from(minutes) * 60.0);
    let step = steps.into_iter().find(|step| (to - from) / step <= 5.0);
    let step = step.unwrap_or((to - from) / 5.0);
    let first = (from / step).ceil();
    (0..=5).map(|at| (first + f64::from(at)) * step).filter(|at| *at <= to).collect()
}

/// Returns how often chance gives as much.
pub(crate) fn chance(p: f64) -> String {
    if p < 0.001 { "p\u{a0}<\u{a0}0.001".into() } else { format!("p\u{a0}=\u{a0}{p:.3}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let said =
            [0.0, -0.0, 0.012_345, 1.0, 1.5, 12.345, 999.6, -1234.4, 56_789.0, 2.5e9, f64::NAN];
        let said = said.map(short).join(" | ");
        assert_eq!(said, "0 | 0 | 0.0123 | 1 | 1.5 | 12.3 | 1000 | −1234 | 56.8 k | 2.5 G | –");
    }

    #[test]
    fn moments_are_dates() {
        assert_eq!(moment(0.0), "1970-01-01 00:00");
        assert_eq!(moment(1_709_251_199.0), "2024-02-29 23:59");
        assert_eq!(moment(-1.0), "1969-12-31 23:59");
        assert_eq!(moment(951_868_800.0), "2000-03-01 00:00");
        assert_eq!(tick(1_709_251_199.0, 7200.0), "23:59");
    }

    #[test]
    fn moments_on_an_axis_are_round() {
        assert_eq!(time_ticks(50.0, 250.0), [60.0, 120.0, 180.0, 240.0]);
        for days in [0.01, 0.3, 2.0, 40.0, 4000.0] {
            let ticks = time_ticks(1e9, 1e9 + days * 86_400.0);
            assert!((2..=6).contains(&ticks.len()), "{days}: {ticks:?}");
        }
    }

    #[test]
    fn ticks_are_round_and_within() {
        assert_eq!(ticks(0.0, 1.0, 4.0), [0.0, 0.5, 1.0]);
        assert_eq!(ticks(-30.0, 47.0, 4.0), [-20.0, 0.0, 20.0, 40.0]);
        assert_eq!(ticks(3.0, 3.0, 4.0), [3.0]);
    }
}
