use std::{collections::BTreeMap, time::Duration};

use super::*;
use crate::bench::{
    latency::Histogram,
    load::{PhaseLoad, Second},
    replica::{Look, Replica},
    run::{Conditions, Growth, Loaded, Paid, VERSION, Way},
};

/// A run in which everything that is done takes `slow` times as long, drawn by a seed.
pub(in crate::bench) fn sample(slow: f64, seed: u64) -> Run {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut phases = Vec::new();
    let mut seconds = Vec::new();
    for (at, phase) in Phase::ALL.into_iter().enumerate() {
        let busy = match phase {
            Phase::Idle => 1.0,
            Phase::Backfill => 2.0 * slow,
            Phase::Index | Phase::After => slow,
        };
        let from = at as f64 * 20.0;
        let mut met = PhaseLoad { from, to: from + 20.0, ..PhaseLoad::new(phase, 1) };
        for second in 0..20 {
            let mut histogram = Histogram::with_digits(2);
            for _ in 0..100 {
                let ms = 2.0 * busy * (0.5 + random.f64() - random.f64().ln());
                let took = Duration::from_secs_f64(ms / 1e3);
                histogram.record(took);
                met.statements[0].record(took);
            }
            let second = from as u32 + second;
            seconds.push(Second { second, statement: 0, histogram });
            met.due += 100;
            met.in_time += 100;
        }
        phases.push(met);
    }
    let fill = |way: Way, log: f64, hot: f64| Fill {
        way,
        rows: 100_000,
        seconds: 2.0 * slow,
        times: Vec::new(),
        log: Some(log * 1e5),
        predicted: Some(log * 1.05e5),
        images: Some(4e6),
        log_of: vec![("users".into(), log * 6e4), ("users_pkey".into(), log * 4e4)],
        hot: Some(hot),
        dead: Some((1.0 - hot) * 1e5),
        changed_with_indexes: None,
        checkpoints: Some(0.0),
        sizes: vec![Growth { name: "users".into(), before: 1e7, after: 2e7 - hot * 9e6 }],
    };
    let mut pairs = |with: f64, without: f64| {
        let blocks = (0..7).map(|_| {
            let drift = 1.0 + random.f64();
            (with * drift * (1.0 + 0.05 * random.f64()), without * drift)
        });
        Pairs { blocks: blocks.collect() }
    };
    let load = Load {
        rate: 100.0,
        connections: 8,
        statements: vec!["read <by> key".into()],
        phases,
        seconds,
        failures: Vec::new(),
    };
    Run {
        version: VERSION,
        by: "0.1.0".into(),
        at: "2026-11-23T12:00:00Z".into(),
        again: vec!["cargo".into(), "newcol".into(), "bench".into(), "users.locale".into()],
        conditions: Conditions {
            column: "users.locale".into(),
            server: "PostgreSQL 18".into(),
            rows: 100_000,
            shape: "made up".into(),
            workload: "made up".into(),
            rate: Some(100.0),
            capacity: None,
            connections: 8,
            seconds: 20.0,
            seed: 1,
            standby: false,
            settings: BTreeMap::from([("fsync".to_owned(), "on".to_owned())]),
        },
        fills: vec![
            fill(Way::Stride, 300.0, 0.8),
            fill(Way::Update, 580.0, 0.0),
            fill(Way::IndexFirst, 640.0, 0.0),
        ],
        scales: None,
        built: None,
        paid: Some(Paid {
            inserts: 200,
            lookups: 20,
            insert_time: pairs(1.3 * slow, 1.0),
            lookup_time: pairs(0.1, 0.2),
            insert_log: Some(pairs(450.0, 360.0)),
            predicted_log: Some(95.0),
        }),
        load: Some(Loaded { way: Way::Stride, load, waits: None, replica: None }),
        notes: Vec::new(),
    }
}

fn said(compared: &Compared, name: &str) -> String {
    let measure = compared.measures.iter().find(|measure| measure.name == name);
    measure.unwrap_or_else(|| panic!("{name}: {compared:?}")).judgement.to_string()
}

#[test]
fn chance_is_no_difference() {
    let mut wrong = 0;
    for seed in 0..6 {
        let compared = Compared::of(&sample(1.0, seed), &sample(1.0, seed + 100));
        let judged = compared.measures.iter();
        wrong +=
            judged.filter(|m| matches!(m.judgement, Judgement::Better | Judgement::Worse)).count();
    }
    // Of 6 runs with 15 measures that vary, one in twenty may look like a difference.
    assert!(wrong <= 12, "{wrong} of 90");
}

#[test]
fn what_is_slower_is_worse() {
    let compared = Compared::of(&sample(1.0, 1), &sample(1.5, 2));
    assert_eq!(said(&compared, "p99 against idle, backfill"), "worse");
    assert_eq!(said(&compared, "p50 against idle, after"), "worse");
    assert_eq!(said(&compared, "time of an insert with the index"), "worse");
    assert_eq!(said(&compared, "log of a row, one UPDATE"), "no difference");
    assert_eq!(said(&compared, "speed, one UPDATE"), "not comparable: measured once, and varies");
    assert!(compared.is_worse());
    let back = Compared::of(&sample(1.5, 2), &sample(1.0, 1));
    assert_eq!(said(&back, "p99 against idle, backfill"), "better");
}

#[test]
fn a_share_of_none_changes_by_points() {
    let name = "rows that stayed on their page, one UPDATE";
    let first = sample(1.0, 1);
    let at = |hot: f64| {
        let mut second = sample(1.0, 2);
        let fill = second.fills.iter_mut().find(|fill| fill.way == Way::Update).unwrap();
        fill.hot = Some(hot);
        Compared::of(&first, &second)
    };
    assert_eq!(said(&at(0.02), name), "no difference");
    let compared = at(0.2);
    assert_eq!(said(&compared, name), "better");
    let measure = compared.measures.iter().find(|measure| measure.name == name).unwrap();
    let Change::Points(points) = measure.change else { panic!("{measure:?}") };
    assert_eq!([points.value, points.low, points.high], [20.0, 15.0, 25.0]);
}

#[test]
fn speed_is_judged_where_its_intervals_do_not_overlap() {
    let with = |ours: [f64; 3], update: [f64; 3]| {
        let mut run = sample(1.0, 1);
        (run.fills[0].times, run.fills[1].times) = (ours.to_vec(), update.to_vec());
        run
    };
    let update = [1.0, 1.02, 0.98];
    let one = with([2.0, 1.95, 2.05], update);
    let name = "speed against one UPDATE, cargo newcol backfill";
    let of = |run: &Run| said(&Compared::of(&one, run), name);
    assert_eq!(of(&with([2.1, 2.0, 2.15], update)), "no difference");
    let mut slower = with([2.9, 3.0, 3.1], update);
    assert_eq!(of(&slower), "worse");
    assert_eq!(said(&Compared::of(&slower, &one), name), "better");
    // A machine with other work makes all of it slower.
    assert_eq!(of(&with([6.1, 5.9, 6.0], [3.0, 3.05, 2.95])), "no difference");
    assert_eq!(
        said(&Compared::of(&one, &slower), "speed, one UPDATE"),
        "not comparable: it is what the machine does, others are held against it"
    );
    slower.fills[0].times.pop();
    assert_eq!(
        said(&Compared::of(&one, &slower), "speed, cargo newcol backfill"),
        "not comparable: measured once, and varies"
    );
}

/// A standby that is so many times as far behind while old rows are filled.
pub(in crate::bench) fn with_standby(mut run: Run, times: f64) -> Run {
    run.conditions.standby = true;
    let load = run.load.as_mut().unwrap();
    let looks = (0..1600).map(|n| {
        let at = f64::from(n) / 20.0;
        let rate = 1e6;
        let late = if (20.0..40.0).contains(&at) { times * (0.2 + (at % 3.0) / 30.0) } else { 0.0 };
        Look { at, written: at * rate, replayed: (at - late) * rate }
    });
    load.replica = Some(Replica::of(&looks.collect::<Vec<_>>(), &load.load.phases));
    run
}

#[test]
fn a_standby_that_is_further_behind_is_worse() {
    let with = |times| with_standby(sample(1.0, 1), times);
    let name = "standby behind (p95), backfill";
    let compared = Compared::of(&with(1.0), &with(3.0));
    assert_eq!(said(&compared, name), "worse");
    // Nothing is not divided by.
    assert_eq!(said(&compared, "standby behind (p95), idle"), "no difference");
    assert_eq!(said(&Compared::of(&with(1.0), &with(1.0)), name), "no difference");
    let one_has_none = Compared::of(&sample(1.0, 1), &with(1.0));
    assert!(one_has_none.measures.iter().all(|measure| measure.name != name));
    assert_eq!(
        said(&one_has_none, "p50 against idle, after"),
        "not comparable: only one of them with a standby, which takes its share"
    );
}

#[test]
fn counts_are_judged_by_little() {
    let (one, mut two) = (sample(1.0, 1), sample(1.0, 1));
    two.fills[0].log = two.fills[0].log.map(|log| log * 1.05);
    two.fills[0].hot = Some(0.86);
    two.fills[1].hot = Some(0.03);
    let compared = Compared::of(&one, &two);
    assert_eq!(said(&compared, "log of a row, cargo newcol backfill"), "worse");
    assert_eq!(said(&compared, "rows that stayed on their page, cargo newcol backfill"), "better");
    // Three in a hundred are many times as much as none, and hardly more.
    assert_eq!(said(&compared, "rows that stayed on their page, one UPDATE"), "no difference");
}

/// A machine that is slower as a whole is no difference.
#[test]
fn what_is_slow_when_nothing_is_done_is_the_machine() {
    let one = sample(1.0, 1);
    let mut two = sample(1.0, 2);
    let load = &mut two.load.as_mut().unwrap().load;
    for histogram in load.seconds.iter_mut().map(|one| &mut one.histogram) {
        *histogram = slower(histogram);
    }
    for phase in &mut load.phases {
        phase.statements[0] = slower(&phase.statements[0]);
    }
    let compared = Compared::of(&one, &two);
    assert_eq!(said(&compared, "p99 against idle, backfill"), "no difference");
    assert_eq!(said(&compared, "p50 against idle, after"), "no difference");
}

fn slower(histogram: &Histogram) -> Histogram {
    let mut slower = Histogram::default();
    histogram.counts().for_each(|(micros, times)| slower.count(micros * 3, times));
    slower
}

#[test]
fn other_servers_settings_and_scales_are_not_compared() {
    let one = sample(1.0, 1);
    let mut two = sample(1.0, 2);
    two.conditions.server = "PostgreSQL 15".into();
    two.conditions.rows = 1_000_000;
    two.conditions.settings.insert("fsync".into(), "off".into());
    let compared = Compared::of(&one, &two);
    assert!(compared.measures.is_empty());
    insta::assert_snapshot!(compared.differing.join("\n"), @"
    another server version: `PostgreSQL 18` and `PostgreSQL 15`
    another scale: `100000 rows` and `1000000 rows`
    another setting `fsync`: `on` and `off`
    ");
}

#[test]
fn other_rates_and_saturated_runs_have_no_latency_to_compare() {
    let one = sample(1.0, 1);
    let mut two = sample(1.0, 2);
    two.conditions.rate = Some(200.0);
    let why = said(&Compared::of(&one, &two), "p99 against idle, after");
    assert_eq!(why, "not comparable: 100 and 200 requests/s; give both the same `--rate`");
    let mut two = sample(1.0, 2);
    two.load.as_mut().unwrap().load.phases[3].in_time = 1000;
    let compared = Compared::of(&one, &two);
    let why = said(&compared, "p99 against idle, after");
    assert_eq!(why, "not comparable: SATURATED: 50 of 100 requests/s were answered");
    assert!(
        compared.measures.iter().any(|m| m.name == "p99 against idle, after" && m.second.is_nan())
    );
}
