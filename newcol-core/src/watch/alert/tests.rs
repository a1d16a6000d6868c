use std::collections::BTreeMap;

use super::*;
use crate::watch::series::Window;

const MINUTE: f64 = 60.0;

/// Snapshots a minute apart, of which the column is there in the last ones.
fn history(before: usize, after: usize) -> History {
    let moments = (0..before + after).map(|n| Moment {
        at: 1e9 + n as f64 * MINUTE,
        has_column: n >= before,
        ..Moment::default()
    });
    History { moments: moments.collect(), roles: BTreeMap::new() }
}

fn set(moment: &mut Moment, object: &str, name: &str, value: f64) {
    moment.measures.insert((object.to_owned(), name.to_owned()), value);
}

fn window(calls: u64, mean: f64) -> Window {
    Window {
        from: 0.0,
        to: 0.0,
        calls,
        total_ms: calls as f64 * mean,
        sd_ms: None,
        rows: calls,
        blocks: 0,
        wal_bytes: Some(calls * 200),
    }
}

fn names(history: &History) -> Vec<&'static str> {
    alerts(history).into_iter().map(|alert| alert.name).collect()
}

#[test]
fn a_quiet_table_has_none() {
    assert_eq!(names(&History::default()), Vec::<&str>::new());
    assert_eq!(names(&history(3, 3)), Vec::<&str>::new());
}

#[test]
fn states_of_the_last_snapshot() {
    let cases: [(&str, f64, f64, &str); 4] = [
        ("replica_lag_s", 10.0, 10.5, "replica-lag"),
        ("slots_not_reserved", 0.0, 1.0, "slot"),
        ("lock_wait_s", 1.0, 1.5, "lock-wait"),
        ("oldest_snapshot_s", 300.0, 301.0, "old-snapshot"),
    ];
    for (name, calm, loud, wanted) in cases {
        let of = |value: f64, at: usize| {
            let mut history = history(2, 2);
            set(&mut history.moments[at], "", name, value);
            names(&history)
        };
        assert_eq!(of(calm, 3), Vec::<&str>::new(), "{name}");
        assert_eq!(of(loud, 3), [wanted]);
        // It is over.
        assert_eq!(of(loud, 2), Vec::<&str>::new(), "{name}");
    }
}

#[test]
fn dead_rows_are_held_against_living_ones() {
    let of = |dead: f64, live: f64| {
        let mut history = history(1, 1);
        set(&mut history.moments[1], "", "n_dead_tup", dead);
        set(&mut history.moments[1], "", "n_live_tup", live);
        names(&history)
    };
    assert_eq!(of(3000.0, 10_000.0), ["dead-rows"]);
    assert_eq!(of(2000.0, 10_000.0), Vec::<&str>::new());
    assert_eq!(of(900.0, 10.0), Vec::<&str>::new());
}

#[test]
fn what_lasts_too_long() {
    let of = |object: &str, name: &str, value: f64, minutes: usize| {
        let mut history = history(0, 20);
        for moment in history.moments.iter_mut().rev().take(minutes + 1) {
            set(moment, object, name, value);
        }
        names(&history)
    };
    assert_eq!(of("i", "is_valid", 0.0, 11), ["invalid-index"]);
    assert_eq!(of("i", "is_valid", 0.0, 10), Vec::<&str>::new());
    assert_eq!(of("i", "is_valid", 1.0, 15), Vec::<&str>::new());
    assert_eq!(of("", "build_waits_for", 77.0, 2), ["stuck-build"]);
    assert_eq!(of("", "build_waits_for", 77.0, 1), Vec::<&str>::new());
    // Another session each time: it moves.
    let mut history = history(0, 5);
    for (n, moment) in history.moments.iter_mut().enumerate() {
        set(moment, "", "build_waits_for", n as f64);
    }
    assert_eq!(names(&history), Vec::<&str>::new());
}

#[test]
fn an_index_that_its_statements_do_not_use() {
    let of = |hours: usize, scans: fn(usize) -> f64, role: Role| {
        let mut history = history(0, 0);
        history.roles.insert(QueryId(1), role);
        for n in 0..=hours {
            let mut moment =
                Moment { at: n as f64 * 3600.0, has_column: true, ..Moment::default() };
            for (name, value) in [("is_valid", 1.0), ("has_column", 1.0), ("idx_scan", scans(n))] {
                set(&mut moment, "i", name, value);
            }
            moment.windows.insert(QueryId(1), window(5, 1.0));
            history.moments.push(moment);
        }
        names(&history)
    };
    assert_eq!(of(24, |_| 7.0, Role::Filter), ["unused-index"]);
    assert_eq!(of(23, |_| 7.0, Role::Filter), Vec::<&str>::new());
    assert_eq!(of(24, |_| 7.0, Role::Projected), Vec::<&str>::new());
    assert_eq!(of(24, |n| n as f64, Role::Filter), Vec::<&str>::new());
}

#[test]
fn hot_updates_and_log_need_two_windows() {
    let hot = |shares: [f64; 4]| {
        let mut history = history(3, 3);
        let (mut all, mut hot) = (0.0, 0.0);
        let shares = [shares[0], shares[0], shares[0], shares[1], shares[2], shares[3]];
        for (moment, share) in history.moments.iter_mut().zip(shares) {
            all += 1000.0;
            hot += 1000.0 * share;
            set(moment, "", "n_tup_upd", all);
            set(moment, "", "n_tup_hot_upd", hot);
        }
        names(&history)
    };
    assert_eq!(hot([0.9, 0.9, 0.7, 0.7]), ["hot"]);
    assert_eq!(hot([0.9, 0.9, 0.9, 0.7]), Vec::<&str>::new());
    assert_eq!(hot([0.9, 0.9, 0.8, 0.8]), Vec::<&str>::new());
    let log = |bytes: [u64; 2]| {
        let mut history = history(3, 3);
        history.roles.insert(QueryId(1), Role::Writes);
        for (n, moment) in history.moments.iter_mut().enumerate() {
            let bytes = if n < 4 { 200 } else { bytes[n - 4] };
            let window = Window { wal_bytes: Some(500 * bytes), ..window(500, 1.0) };
            moment.windows.insert(QueryId(1), window);
        }
        names(&history)
    };
    assert_eq!(log([260, 250]), ["log"]);
    assert_eq!(log([200, 260]), Vec::<&str>::new());
    assert_eq!(log([249, 400]), Vec::<&str>::new());
}

/// `slower[n]` is by how much the statement is slower in the last windows; all drift alike.
fn drifting(slower: [f64; 2], controls: i64, noise: impl Fn(i64, usize) -> f64) -> History {
    let mut history = history(10, 4);
    let count = history.moments.len();
    for id in 0..=controls {
        history.roles.insert(QueryId(id), if id == 0 { Role::Filter } else { Role::Control });
        for (n, moment) in history.moments.iter_mut().enumerate() {
            let drift = 1.0 + 0.3 * (n as f64 / 4.0).sin();
            let own = match (id, count - n) {
                (0, 2) => slower[0],
                (0, 1) => slower[1],
                _ => 0.0,
            };
            let mean = 5.0 * drift * (1.0 + own) * noise(id, n);
            moment.windows.insert(QueryId(id), window(100, mean));
        }
    }
    history
}

#[test]
fn a_slower_statement_is_named_and_drift_is_not() {
    let small = |id: i64, n: usize| 1.0 + 0.02 * ((id * 31 + n as i64 * 17) % 7) as f64;
    assert_eq!(names(&drifting([0.4, 0.4], 25, small)), ["slower"]);
    assert_eq!(alerts(&drifting([0.4, 0.4], 25, small))[0].statement, Some(QueryId(0)));
    assert_eq!(names(&drifting([0.0, 0.4], 25, small)), Vec::<&str>::new());
    assert_eq!(names(&drifting([0.0, 0.0], 25, small)), Vec::<&str>::new());
    assert_eq!(names(&drifting([0.1, 0.1], 25, small)), Vec::<&str>::new());
    // Too few to compare with.
    assert_eq!(names(&drifting([0.4, 0.4], 19, small)), Vec::<&str>::new());
}

/// Where nothing happened, one of the five statements of a table is named in a few runs of a hundred.
#[test]
fn noise_alone_is_seldom_an_alert() {
    let mut random = fastrand::Rng::with_seed(7);
    let runs = 400;
    let mut alarms = 0;
    for _ in 0..runs {
        let noise: Vec<f64> = (0..50 * 14).map(|_| (0.12 * gaussian(&mut random)).exp()).collect();
        let mut history = drifting([0.0, 0.0], 45, |id, n| noise[id as usize * 14 + n]);
        history.roles.extend((0..5).map(|id| (QueryId(id), Role::Filter)));
        alarms += usize::from(!alerts(&history).is_empty());
    }
    let share = alarms as f64 / f64::from(runs);
    println!("{:.1} % of {runs} runs", share * 100.0);
    assert!(share <= 0.03, "{share}");
}

fn gaussian(random: &mut fastrand::Rng) -> f64 {
    (0..12).map(|_| random.f64()).sum::<f64>() - 6.0
}

#[test]
fn what_was_thrown_out_is_missed_only_where_it_is_much() {
    let of = |gap: Option<Gap>, followed: f64| {
        let mut history = history(1, 1);
        history.moments[1].gaps.extend(gap);
        history.moments[1].counted_ms = (100.0, followed);
        names(&history)
    };
    let evicted = Gap::Evicted { times: Some(1) };
    assert_eq!(of(Some(evicted.clone()), 80.0), ["coverage"]);
    assert_eq!(of(Some(evicted), 95.0), Vec::<&str>::new());
    assert_eq!(of(None, 80.0), Vec::<&str>::new());
}

#[test]
fn every_name_is_listed() {
    let mut sorted = NAMES.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted.len(), NAMES.len());
}
