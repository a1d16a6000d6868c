use proptest::{collection::vec, option, prelude::*};

use super::*;

/// Any duration at all, most of them useful ones.
fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        4 => (0..200_000_u64).prop_map(Duration::from_micros),
        2 => (0..7_200_000_u64).prop_map(Duration::from_millis),
        1 => (any::<u64>(), 0..1_000_000_000_u32).prop_map(|(secs, nanos)| Duration::new(secs, nanos)),
        1 => Just(Duration::ZERO),
        1 => Just(Duration::MAX),
    ]
}

fn count() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0..20_000_u64, 1 => any::<u64>(), 1 => Just(0), 1 => Just(u64::MAX)]
}

fn settings() -> impl Strategy<Value = Settings> {
    (
        [duration(), duration()],
        any::<u8>(),
        [count(), count(), count()],
        [option::of(count())],
        [option::of(duration()), option::of(duration())],
    )
        .prop_map(
            |([target, max_commit], duty, rows, [wal_per_second], [max_lag, max_horizon])| {
                let [first_rows, min_rows, max_rows] = rows;
                Settings {
                    target,
                    duty,
                    first_rows,
                    min_rows,
                    max_rows,
                    wal_per_second,
                    max_lag,
                    max_commit,
                    max_horizon,
                }
            },
        )
}

fn observation() -> impl Strategy<Value = Observation> {
    let outcome = prop_oneof![
        5 => count().prop_map(|rows| Outcome::Done { rows }),
        1 => Just(Outcome::Conflict),
    ];
    let waiters = prop_oneof![3 => Just(0), 1 => 1..20_u32, 1 => any::<u32>()];
    (outcome, duration(), duration(), option::of(count()), waiters).prop_map(
        |(outcome, statement, commit, wal, waiters)| Observation {
            outcome,
            statement,
            commit,
            wal,
            waiters,
        },
    )
}

fn signals() -> impl Strategy<Value = Signals> {
    let lag = prop_oneof![
        2 => Just(Lag::NotAsked),
        5 => duration().prop_map(Lag::Behind),
        1 => Just(Lag::Lost),
    ];
    let operator = prop_oneof![5 => Just(Operator::Go), 1 => Just(Operator::Pause)];
    (lag, option::of(duration()), operator).prop_map(|(lag, horizon, operator)| Signals {
        lag,
        horizon,
        operator,
    })
}

/// Settings and an observation of a server that limits nothing but by time.
fn usual() -> (Settings, Observation) {
    let settings = Settings { first_rows: 2_000, max_horizon: None, ..Settings::default() };
    let batch = Observation {
        outcome: Outcome::Done { rows: 2_000 },
        statement: Duration::from_millis(18),
        commit: Duration::from_millis(2),
        wal: Some(600_000),
        waiters: 0,
    };
    (settings, batch)
}

/// A pace whose first batch may run.
fn started(settings: Settings, signals: &Signals) -> Pace {
    let mut pace = Pace::new(settings);
    assert_eq!(pace.next().next, Next::Recheck);
    pace.recheck(signals);
    pace
}

/// Waits until the next batch may run; returns its rows, how long that took, and every limit named.
fn rest(pace: &mut Pace, signals: &Signals) -> (u64, Duration, Vec<Limit>) {
    let mut waited = Duration::ZERO;
    let mut limits = Vec::new();
    loop {
        let decision = pace.next();
        waited += decision.pause;
        limits.push(decision.limit);
        match decision.next {
            Next::Batch { rows } => return (rows, waited, limits),
            Next::Recheck => pace.recheck(signals),
        };
    }
}

fn after(settings: Settings, batch: Observation, signals: Signals) -> (u64, Duration, Vec<Limit>) {
    let mut pace = started(settings, &signals);
    pace.observe(&batch, &signals);
    rest(&mut pace, &signals)
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Whatever an engine reports, obedient or not.
    #[test]
    fn no_history_leads_out_of_bounds(
        settings in settings(),
        history in vec((any::<bool>(), observation(), signals()), 1..60),
    ) {
        let mut pace = Pace::new(settings);
        let settings = pace.settings;
        for (obeys, batch, signals) in history {
            let before = pace.rows;
            let runs = !obeys || matches!(pace.next().next, Next::Batch { .. });
            let decision =
                if runs { pace.observe(&batch, &signals) } else { pace.recheck(&signals) };
            prop_assert_eq!(decision, pace.next());
            prop_assert!((settings.min_rows..=settings.max_rows).contains(&pace.rows));
            prop_assert!(pace.rows <= before + before.div_ceil(2));
            prop_assert!(decision.pause <= Duration::from_secs(1));
            if runs && batch.outcome == Outcome::Conflict {
                prop_assert_eq!(pace.rows, settings.min_rows);
            }
            let held = match (signals.operator, signals.lag, settings.max_lag) {
                (Operator::Pause, _, _) => Some(Limit::Paused),
                (_, Lag::Lost, _) | (_, Lag::NotAsked, Some(_)) => Some(Limit::LostSignal),
                (_, Lag::Behind(lag), Some(max)) if lag > max => Some(Limit::ReplicaLag),
                (_, Lag::Behind(_) | Lag::NotAsked, _) => None,
            };
            if let Some(limit) = held {
                prop_assert_eq!(decision.next, Next::Recheck);
                prop_assert_eq!(decision.limit, limit);
                prop_assert!(decision.pause > Duration::ZERO);
                prop_assert!(pace.rows <= settings.first_rows);
            }
            if let Next::Batch { rows } = decision.next {
                prop_assert_eq!(rows, pace.rows);
                prop_assert!(decision.pause <= law::RECHECK);
            }
        }
    }

    #[test]
    fn rests_keep_the_duty_and_the_budget(
        duty in 1..=100_u8,
        wal_per_second in option::of(1_000..100_000_000_u64),
        [statement, commit] in [0..100_000_u64, 0..250_000].prop_map(|both| both.map(Duration::from_micros)),
        wal in 0..20_000_000_u64,
    ) {
        let (settings, batch) = usual();
        let settings = Settings { duty, wal_per_second, ..settings };
        let batch = Observation { statement, commit, wal: Some(wal), ..batch };
        let (_, rest, _) = after(settings, batch, Signals::default());
        let work = statement + commit;
        let cycle = (work + rest).as_nanos() + 1;
        prop_assert!(work.as_nanos() * 100 <= cycle * u128::from(duty));
        if let Some(budget) = wal_per_second {
            prop_assert!(u128::from(wal) * 1_000_000_000 <= cycle * u128::from(budget));
        }
        // And no longer than the strictest of the limits demands.
        let by_duty = work.as_nanos() * 100 / u128::from(duty);
        let by_budget =
            wal_per_second.map_or(0, |budget| u128::from(wal) * 1_000_000_000 / u128::from(budget));
        let slow = commit.as_nanos().max(50_000_000);
        prop_assert!(cycle <= by_duty.max(by_budget).max(by_duty * slow / 50_000_000) + 10);
    }

    /// More of anything bad makes no batch larger and no cycle shorter.
    #[test]
    fn worse_is_never_faster(
        settings in settings(),
        batch in observation(),
        worse in (duration(), duration(), count(), any::<u32>()),
        ages in [duration(), duration()],
    ) {
        let settings = Settings { max_lag: None, ..settings };
        let at = |age| Signals { horizon: Some(age), ..Signals::default() };
        let (age, older) = (ages[0].min(ages[1]), ages[0].max(ages[1]));
        let verdict = |batch: &Observation, age| {
            let mut pace = started(settings, &at(age));
            pace.observe(batch, &at(age));
            (pace.rows, law::nanos(pace.owed) + law::nanos(batch.statement) + law::nanos(batch.commit))
        };
        let before = verdict(&batch, age);
        for worse in [
            Observation { statement: batch.statement.max(worse.0), ..batch },
            Observation { commit: batch.commit.max(worse.1), ..batch },
            Observation { wal: batch.wal.map(|wal| wal.max(worse.2)), ..batch },
            Observation { waiters: batch.waiters.max(worse.3), ..batch },
        ] {
            let then = verdict(&worse, age);
            prop_assert!(then.0 <= before.0 && then.1 + 2 >= before.1, "{worse:?}: {before:?} {then:?}");
        }
        let then = verdict(&batch, older);
        prop_assert!(then.0 == before.0 && then.1 + 2 >= before.1, "{before:?} {then:?}");
    }

    /// A limit that is added takes away; it never gives.
    #[test]
    fn a_further_limit_is_never_faster(
        settings in settings(),
        batch in observation(),
        signals in signals(),
        wal_per_second in count(),
        max_lag in duration(),
    ) {
        let free = Settings { wal_per_second: None, max_lag: None, ..settings };
        let verdict = |settings| {
            let mut pace = started(settings, &signals);
            pace.observe(&batch, &signals);
            (pace.rows, pace.owed)
        };
        let before = verdict(free);
        for settings in [
            Settings { wal_per_second: Some(wal_per_second), ..free },
            Settings { max_lag: Some(max_lag), ..free },
        ] {
            let then = verdict(settings);
            prop_assert!(then.0 <= before.0 && then.1 >= before.1, "{before:?} {then:?}");
        }
    }
}

#[test]
fn each_limit_is_named_when_it_is_the_strictest() {
    let (settings, batch) = usual();
    let go = Signals::default();
    let limited = |settings: Settings, batch: Observation, signals: Signals| {
        let (rows, rest, limits) = after(settings, batch, signals);
        (rows, rest.as_millis(), limits[0])
    };

    assert_eq!(limited(settings, batch, go), (2_000, 20, Limit::BatchTime));
    let small = Settings { max_rows: 2_000, ..settings };
    let quick = Observation { statement: millis(2), ..batch };
    assert_eq!(limited(small, quick, go), (2_000, 4, Limit::BatchRows));
    assert_eq!(limited(settings, quick, go), (2_728, 4, Limit::Growth));
    let slow = Observation { statement: millis(38), ..batch };
    assert_eq!(limited(settings, slow, go), (1_000, 40, Limit::BatchTime));

    // 600 kB at 3 MB per second are 200 ms, 20 of which have passed.
    let budget = Settings { wal_per_second: Some(3_000_000), ..settings };
    assert_eq!(limited(budget, batch, go), (2_000, 180, Limit::WalBudget));
    // At 1 MB per second they are more than a batch may write.
    let budget = Settings { wal_per_second: Some(1_000_000), ..settings };
    assert_eq!(limited(budget, batch, go), (833, 580, Limit::WalBudget));
    let blind = Observation { wal: None, ..batch };
    assert_eq!(limited(budget, blind, go), (10, 1_020, Limit::LostSignal));

    let waited = Observation { waiters: 3, ..batch };
    assert_eq!(limited(settings, waited, go), (500, 20, Limit::LockWaiters));
    let full_speed = Settings { first_rows: 2_000, ..Settings::full_speed() };
    assert_eq!(limited(full_speed, waited, go), (500, 20, Limit::LockWaiters));

    let committed = Observation { statement: millis(5), commit: millis(100), ..batch };
    assert_eq!(limited(settings, committed, go), (1_000, 315, Limit::CommitLatency));

    let old = Signals { horizon: Some(Duration::from_secs(1_200)), ..go };
    assert_eq!(limited(settings, batch, old), (2_000, 20, Limit::BatchTime));
    let short = Settings { max_horizon: Some(MAX_HORIZON), ..settings };
    assert_eq!(limited(short, batch, old), (2_000, 60, Limit::Horizon));
    let ancient = Signals { horizon: Some(Duration::MAX), ..go };
    assert_eq!(limited(short, batch, ancient), (2_000, 620, Limit::Horizon));

    let stalled = Observation { statement: millis(10_000), ..batch };
    assert_eq!(limited(settings, stalled, go), (10, 600, Limit::Stall));
    let stalled = Observation { commit: millis(251), ..batch };
    assert_eq!(limited(settings, stalled, go).2, Limit::Stall);
    let conflict = Observation { outcome: Outcome::Conflict, statement: millis(48), ..batch };
    assert_eq!(limited(settings, conflict, go), (10, 300, Limit::LockConflict));

    // Several at once: all are kept, and the slowest is named.
    let budget = Settings { wal_per_second: Some(3_000_000), ..short };
    assert_eq!(limited(budget, waited, old), (500, 180, Limit::WalBudget));
}

/// Stretches where the rows are filled already say nothing about those where they are not.
#[test]
fn batches_that_find_little_to_do_make_the_next_ones_no_larger_than_they_prove() {
    let (settings, batch) = usual();
    let mut pace = started(settings, &Signals::default());
    let sparse = |rows| Observation {
        outcome: Outcome::Done { rows },
        statement: Duration::from_micros(400),
        ..batch
    };
    for rows in [0, 1, 100, 160] {
        pace.observe(&sparse(rows), &Signals::default());
        assert_eq!(pace.rows, 2_000);
    }
    // But if they take long all the same, they are made smaller.
    let slow = Observation { outcome: Outcome::Done { rows: 0 }, statement: millis(38), ..batch };
    pace.observe(&slow, &Signals::default());
    assert_eq!(pace.rows, 1_000);
    // After trouble they grow to the first size, and where most rows were changed, as ever.
    let conflict = Observation { outcome: Outcome::Conflict, ..batch };
    pace.observe(&conflict, &Signals::default());
    assert_eq!(pace.rows, 10);
    for _ in 0..60 {
        pace.observe(&sparse(0), &Signals::default());
    }
    assert_eq!(pace.rows, 2_000);
    pace.observe(&sparse(1_300), &Signals::default());
    assert_eq!(pace.rows, 2_827);
}

#[test]
fn a_long_rest_looks_at_the_signals_on_the_way() {
    let (settings, batch) = usual();
    let settings = Settings { wal_per_second: Some(600_000), max_lag: Some(MAX_LAG), ..settings };
    let near = Signals { lag: Lag::Behind(Duration::ZERO), ..Signals::default() };
    let lost = Signals { lag: Lag::Lost, ..near };
    let mut pace = started(settings, &near);
    pace.observe(&batch, &near);
    let mut waited = Duration::ZERO;
    for _ in 0..3 {
        assert_eq!(pace.next().next, Next::Recheck);
        waited += pace.next().pause;
        pace.recheck(&near);
    }
    assert_eq!(waited, 3 * law::RECHECK);
    // A hold takes time too, and what passes counts for the rest.
    assert_eq!(pace.recheck(&lost).limit, Limit::LostSignal);
    assert_eq!(pace.recheck(&near).pause, Duration::ZERO);
    assert!(matches!(pace.next().next, Next::Batch { .. }));
}

/// Every word of the progress line is explained, and every default stands there as it is.
#[test]
fn the_document_knows_all_limits_and_defaults() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/pace.md");
    let text = std::fs::read_to_string(path).unwrap();
    for limit in Limit::ALL {
        assert!(text.contains(&format!("| {limit} |")), "{limit} is missing in docs/pace.md");
    }
    let Settings {
        target,
        duty,
        first_rows,
        min_rows,
        max_rows,
        wal_per_second,
        max_lag,
        max_commit,
        max_horizon,
    } = Settings::default();
    assert_eq!((wal_per_second, max_lag), (None, None));
    for row in [
        format!("| `target` | {target:?} |"),
        format!("| `duty` | {duty} % |"),
        format!("| `first_rows` | {first_rows} |"),
        format!("| `min_rows` | {min_rows} |"),
        format!("| `max_rows` | {max_rows} |"),
        "| `wal_per_second` | none |".to_owned(),
        "| `max_lag` | none |".to_owned(),
        format!("| `max_commit` | {max_commit:?} |"),
        format!("| `max_horizon` | {:?} |", max_horizon.unwrap()),
    ] {
        assert!(text.contains(&row), "docs/pace.md lacks {row}");
    }
}
