use proptest::prelude::*;

use super::*;
use crate::watch::series::Window;

fn window(from: f64, calls: u64, mean: f64, blocks: u64) -> Window {
    let total_ms = calls as f64 * mean;
    let wal_bytes = Some(100 * calls);
    Window { from, to: from + 60.0, calls, total_ms, sd_ms: None, rows: calls, blocks, wal_bytes }
}

/// `minutes` before and after the moment 0, of 10 calls each; `mean` is asked with the minute.
fn series(id: i64, minutes: i32, mean: impl Fn(i32) -> f64) -> Series {
    let windows = (-minutes..minutes)
        .map(|at| window(f64::from(at) * 60.0, 10, mean(at), if at < 0 { 40 } else { 400 }))
        .collect();
    Series { id: QueryId(id), role: Role::Filter, windows }
}

fn wobble(id: i64, at: i32) -> f64 {
    1.0 + 0.02 * (f64::from(at) * 0.7 + id as f64).sin() + 0.002 * (id as f64 * 1.3).sin()
}

fn controls(count: i64, minutes: i32) -> Vec<Series> {
    (100..100 + count).map(|id| series(id, minutes, |at| wobble(id, at))).collect()
}

fn compared(treated: &[Series], controls: &[Series], signal: Signal) -> Comparison {
    compare(treated, controls, Split::at(0.0), signal, &Thresholds::default(), 1).unwrap()
}

#[test]
fn one_of_five_is_named_and_the_others_are_not() {
    let slow = |id: i64| {
        series(id, 60, move |at| wobble(id, at) * if id == 3 && at >= 0 { 2.0 } else { 1.0 })
    };
    let treated: Vec<_> = (1..=5).map(slow).collect();
    let found = compared(&treated, &controls(40, 60), Signal::Time);
    let names: Vec<_> = found.findings().map(|query| query.id.0).collect();
    assert_eq!(names, [3]);
    let effect = &found.queries[2].effect;
    assert!((effect.percent() - 100.0).abs() < 3.0, "{effect:?}");
    assert!(effect.interval.0 < 2.0_f64.ln() && 2.0_f64.ln() < effect.interval.1, "{effect:?}");
}

#[test]
fn a_small_change_is_small_however_certain() {
    let slow = series(1, 600, |at| wobble(1, at) * if at >= 0 { 1.04 } else { 1.0 });
    let found = compared(&[slow], &controls(100, 600), Signal::Time);
    let effect = &found.queries[0].effect;
    assert!(effect.adjusted_p <= 0.05, "{effect:?}");
    assert_eq!(effect.finding, Finding::Small);
}

#[test]
fn a_statement_with_too_little_is_listed_and_not_judged() {
    let seldom = Series {
        windows: (-60..60)
            .map(|at| window(f64::from(at) * 60.0, 1, if at < 0 { 1.0 } else { 9.0 }, 4))
            .collect(),
        ..series(1, 1, |_| 1.0)
    };
    let short = series(2, 30, |at| if at < 0 { 1.0 } else { 9.0 });
    let ours = [seldom, short, series(3, 60, |at| wobble(3, at))];
    let found = compared(&ours, &controls(40, 60), Signal::Time);
    let thin: Vec<_> = found.thin.iter().map(|t| (t.id.0, t.calls, t.blocks)).collect();
    assert_eq!(thin, [(1, (60, 60), (4, 4)), (2, (300, 300), (2, 2))]);
    assert!(!found.alarms());
}

#[test]
fn refusals_say_what_is_missing() {
    let refused = |ours: &[Series], theirs: &[Series]| {
        compare(ours, theirs, Split::at(0.0), Signal::Time, &Thresholds::default(), 1)
            .unwrap_err()
            .to_string()
    };
    let one = [series(1, 60, |_| 1.0)];
    assert_eq!(refused(&one, &controls(19, 60)), "19 controls, 20 needed");
    assert_eq!(refused(&one, &[]), "0 controls, 20 needed");
    // Thirty controls, none with three blocks.
    assert_eq!(refused(&one, &controls(30, 20)), "0 controls, 20 needed");
    assert_eq!(refused(&[], &controls(20, 60)), "no statement has enough calls before and after");
}

#[test]
fn a_changed_plan_shows_in_blocks_although_times_say_nothing() {
    let same = |id: i64| {
        let mut series = series(id, 60, |at| wobble(id, at));
        series.windows.iter_mut().for_each(|window| window.blocks = 40);
        series
    };
    let theirs: Vec<_> = (100..120).map(same).collect();
    let ours = [series(1, 60, |at| wobble(1, at))];
    assert!(!compared(&ours, &theirs, Signal::Time).alarms());
    let blocks = compared(&ours, &theirs, Signal::Blocks);
    assert!((blocks.queries[0].effect.percent() - 900.0).abs() < 5.0, "{blocks:?}");
    assert!(blocks.alarms());
}

#[test]
fn what_lies_between_the_sides_counts_for_neither() {
    let slow = |at: i32| if (0..30).contains(&at) { 50.0 } else { wobble(1, at) };
    let split = Split { before: 0.0, after: 30.0 * 60.0 };
    let ours = [series(1, 90, slow)];
    let found =
        compare(&ours, &controls(20, 90), split, Signal::Time, &Thresholds::default(), 1).unwrap();
    assert!(!found.alarms(), "{found:?}");
    assert_eq!(found.queries[0].calls, (900, 600));
}

#[test]
fn weeks_are_compared_hour_by_hour() {
    // A statement that is slow by night. Before, it ran by day for the most part; after, by night.
    let hours = |id: i64, count: fn(bool, bool) -> u64| {
        let windows = (-7 * 24..7 * 24)
            .map(|hour: i32| {
                let night = hour.rem_euclid(24) < 12;
                let mean = wobble(id, hour) * if night { 5.0 } else { 1.0 };
                let from = f64::from(hour) * 3600.0;
                let calls = count(night, hour >= 0);
                Window { to: from + 3600.0, ..window(from, calls, mean, calls) }
            })
            .collect();
        Series { id: QueryId(id), role: Role::Filter, windows }
    };
    let ours = [hours(1, |night, after| if night == after { 100 } else { 10 })];
    let theirs: Vec<_> = (100..130).map(|id| hours(id, |_, _| 50)).collect();
    let found = compared(&ours, &theirs, Signal::Time);
    assert!(!found.alarms(), "{found:?}");
    let unpaired = Thresholds { paired_from: f64::INFINITY, ..Thresholds::default() };
    let split = Split::at(0.0);
    let naive = compare(&ours, &theirs, split, Signal::Time, &unpaired, 1).unwrap();
    assert!(naive.queries[0].effect.percent() > 100.0, "{naive:?}");
}

#[test]
fn how_much_longer_to_wait_goes_with_the_square() {
    let ours = [series(1, 60, |at| wobble(1, at))];
    let found = compared(&ours, &controls(20, 60), Signal::Time);
    let effect = &found.queries[0].effect;
    assert!((effect.longer_for(effect.detectable) - 1.0).abs() < 1e-9);
    assert!((effect.longer_for(effect.detectable / 2.0) - 4.0).abs() < 1e-9);
}

#[test]
fn corrections_are_those_of_holm() {
    let adjusted = placebo::holm(&[0.01, 0.04, 0.03, 0.005], &[1.0; 4]);
    let expected = [0.03, 0.06, 0.06, 0.02];
    for (found, expected) in adjusted.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-12, "{adjusted:?}");
    }
    // The last has half of the error: 0.02 / (1/2), then 0.02 / (1/2) of what is left.
    let adjusted = placebo::holm(&[0.02, 0.9, 0.02], &[1.0, 1.0, 2.0]);
    assert!((adjusted[2] - 0.04).abs() < 1e-12 && (adjusted[0] - 0.04).abs() < 1e-12);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// What multiplies all times of a side is load, and no effect.
    #[test]
    fn what_moves_everyone_moves_no_effect(factor in 0.2..5.0_f64) {
        let ours = [series(1, 60, |at| wobble(1, at) * if at < 0 { 1.0 } else { 1.3 })];
        let theirs = controls(20, 60);
        let mut moved = (ours.clone(), theirs.clone());
        for series in moved.0.iter_mut().chain(&mut moved.1) {
            let after = series.windows.iter_mut().filter(|window| window.from >= 0.0);
            after.for_each(|window| window.total_ms *= factor);
        }
        let still = compared(&ours, &theirs, Signal::Time);
        let moved = compared(&moved.0, &moved.1, Signal::Time);
        let (a, b) = (&still.queries[0].effect, &moved.queries[0].effect);
        prop_assert!((a.log_ratio - b.log_ratio).abs() < 1e-5, "{a:?} {b:?}");
        prop_assert!((a.p - b.p).abs() < 0.03 && a.finding == b.finding, "{a:?} {b:?}");
        prop_assert!((moved.drift - still.drift - factor.ln()).abs() < 1e-5);
    }

    /// Whatever the windows hold, every number is one, and intervals are around their effects.
    #[test]
    fn any_windows_give_numbers(seed: u64, gap in 0.0..2000.0_f64) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut any = |id: i64| {
            let windows = (-80..80)
                .filter_map(|at| {
                    let seen = random.u8(..) > 60;
                    let calls = [0, 1, 7, 10_000][random.usize(..4)];
                    let mean = [0.0, 1e-9, 1.0, 1e9][random.usize(..4)];
                    seen.then(|| window(f64::from(at) * 60.0, calls, mean, random.u64(..3)))
                })
                .collect();
            Series { id: QueryId(id), role: Role::Unknown, windows }
        };
        let ours: Vec<_> = (0..6).map(&mut any).collect();
        let theirs: Vec<_> = (0..24).map(&mut any).collect();
        let split = Split { before: -gap, after: gap };
        for signal in Signal::ALL {
            let thresholds = Thresholds { samples: 20, groups: 50, ..Thresholds::default() };
            let Ok(found) = compare(&ours, &theirs, split, signal, &thresholds, seed) else {
                continue;
            };
            let again = compare(&ours, &theirs, split, signal, &thresholds, seed);
            prop_assert_eq!(again.as_ref(), Ok(&found));
            for effect in found.queries.iter().map(|q| &q.effect).chain(&found.group) {
                let (low, high) = effect.interval;
                prop_assert!(low <= effect.log_ratio && effect.log_ratio <= high, "{effect:?}");
                prop_assert!(low.is_finite() && high.is_finite(), "{effect:?}");
                prop_assert!(effect.error > 0.0 && effect.p > 0.0, "{effect:?}");
                prop_assert!((effect.p..=1.0).contains(&effect.adjusted_p), "{effect:?}");
            }
        }
    }
}
