//! The law at work on virtual servers, on more than a billion rows.

mod server;

use self::server::{Entry, Server};
use super::*;

/// Counts the batches until all are within a fifth of the target.
fn batches_to_converge(log: &[Entry], target: f64) -> usize {
    let far = |entry: &Entry| (entry.took() / target - 1.0).abs() > 0.2;
    log.iter().rposition(far).map_or(0, |last| last + 1)
}

/// Returns the largest of some values as a multiple of the smallest.
fn spread(values: impl Iterator<Item = f64> + Clone) -> f64 {
    values.clone().fold(0.0, f64::max) / values.fold(f64::INFINITY, f64::min)
}

fn sizes(log: &[Entry]) -> impl ExactSizeIterator<Item = f64> + Clone {
    log.iter().map(|entry| entry.asked as f64)
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len() as f64;
    values.sum::<f64>() / count
}

#[test]
fn a_steady_server_is_filled_to_the_target_without_a_swing() {
    for settings in [Settings::default(), Settings::full_speed()] {
        let target = settings.target.as_secs_f64();
        for row in [0.000_001_2, 0.000_004, 0.000_01, 0.000_05, 0.000_2, 0.001] {
            for [statement, commit] in [[0.0, 0.000_05], [0.001, 0.002], [0.004, 0.009]] {
                let mut server = Server { statement, commit, ..Server::new(row) };
                let log = server.batches(&mut Pace::new(settings), 200);
                // Each batch closes a third of the gap in the price of a row, or less of it where
                // most of the time goes to what all batches cost alike.
                let count = batches_to_converge(log, target);
                let from = if log[0].limit == Limit::Stall { MIN_ROWS } else { FIRST_ROWS };
                let gap = target / row / from as f64;
                let most = 4.0 + (5.0 * gap).ln().max(0.0) / 1.5_f64.ln();
                let most = if statement + commit < target / 2.0 { most } else { 25.0 };
                assert!(count as f64 <= most, "{row}, {statement}: {count} > {most}");
                // The first batch may have been far too large; from then on sizes go one way.
                let sizes: Vec<_> = sizes(&log[1..]).collect();
                assert!(sizes.is_sorted() || sizes.iter().rev().is_sorted(), "{sizes:?}");
                assert!(spread(sizes[100..].iter().copied()) < 1.01, "{row}: {sizes:?}");
                assert_eq!(log.last().unwrap().limit, Limit::BatchTime);
            }
        }
    }
}

#[test]
fn noise_moves_sizes_by_no_more_than_itself_and_makes_no_slow_swings() {
    for noise in [0.05, 0.1, 0.2, 0.4] {
        for row in [0.000_002, 0.000_01, 0.000_05] {
            let mut server = Server { noise, ..Server::new(row) };
            let log = server.batches(&mut Pace::new(Settings::default()), 5_000);
            let log = &log[30..];
            let most = (1.0 + noise) / (1.0 - noise);
            assert!(spread(sizes(log)) < most, "{noise}: {}", spread(sizes(log)));
            let means: Vec<_> = log.chunks_exact(50).map(|some| mean(sizes(some))).collect();
            let slow = spread(means.into_iter());
            let took = mean(log.iter().map(Entry::took)) / 0.02;
            assert!(slow < 1.0 + noise / 2.0, "{noise}: {slow}");
            assert!((1.0 - noise / 3.0..1.0).contains(&took), "{noise}: {took}");
        }
    }
}

#[test]
fn a_price_that_jumps_is_followed_at_once_and_one_that_falls_soon() {
    let mut server = Server::new(0.000_01);
    let mut pace = Pace::new(Settings::default());
    server.batches(&mut pace, 50);
    server.row *= 4.0;
    // The first batch has the size of the old price.
    assert_eq!(batches_to_converge(server.batches(&mut pace, 50), 0.02), 1);
    server.row /= 4.0;
    let count = batches_to_converge(server.batches(&mut pace, 50), 0.02);
    assert!(count <= 7, "{count}");
}

#[test]
fn a_stall_is_answered_by_the_very_next_batch() {
    for settings in [Settings::default(), Settings::full_speed()] {
        let mut server = Server { stalled: [5.003, 15.003], ..Server::new(0.000_01) };
        server.run_until(&mut Pace::new(settings), 20.0);
        let hit = server.log.iter().position(|entry| entry.took() > 9.0).unwrap();
        let [stalled, next, ..] = &server.log[hit..] else { panic!("nothing ran after it") };
        assert_eq!((stalled.limit, next.asked), (Limit::Stall, MIN_ROWS));
        // Ten seconds of waiting are no ten seconds of work.
        let rest = next.start - stalled.end;
        assert!((0.25..1.0).contains(&rest), "{rest}");
        let count = batches_to_converge(&server.log[hit + 1..], settings.target.as_secs_f64());
        assert!(count <= 21, "{count}");
    }
}

#[test]
fn a_server_that_stays_stalled_is_left_alone_more_and_more() {
    let mut server = Server { statement: 2.0, ..Server::new(0.000_01) };
    let log = server.batches(&mut Pace::new(Settings::default()), 10);
    let rests: Vec<_> = log.windows(2).map(|two| (two[1].start - two[0].end) as u64).collect();
    assert_eq!(rests, [0, 0, 1, 2, 4, 8, 16, 16, 16]);
    assert!(log[1..].iter().all(|entry| entry.asked == MIN_ROWS && entry.limit == Limit::Stall));
}

#[test]
fn the_log_stays_within_its_budget_in_any_ten_seconds() {
    for budget in [50_000.0, 1e6, 5e6, 8e6, 2e7] {
        for settings in [Settings::default(), Settings::full_speed()] {
            let settings = Settings { wal_per_second: Some(budget as u64), ..settings };
            let mut pace = Pace::new(settings);
            let mut server = Server { noise: 0.3, ..Server::new(0.000_01) };
            while server.now < 300.0 {
                server.step(&mut pace, |server, _| {
                    // After a checkpoint the log holds whole pages for a while.
                    server.wal = if server.now % 60.0 < 15.0 { 2_000.0 } else { 300.0 };
                });
            }
            let most = server.most_bytes_in(10.0);
            assert!(most <= 10.0 * budget + server.largest_batch(), "{most} of {budget}");
            // Where the budget limits, all of it is used.
            let used = server.bytes() / server.now / budget;
            assert!(used > 0.99 || budget > 1e7, "{used} of {budget}");
        }
    }
}

#[test]
fn a_slow_replica_is_followed_smoothly() {
    for asking in [0.0, 0.1, 0.5] {
        for replay in [200_000.0, 2e6, 6e6, 1e7, 2e7] {
            for settings in [Settings::default(), Settings::full_speed()] {
                let settings = Settings { max_lag: Some(MAX_LAG), ..settings };
                let mut server =
                    Server { replay: Some(replay), asking, noise: 0.2, ..Server::new(0.000_01) };
                server.run_until(&mut Pace::new(settings), 120.0);
                let used = server.bytes() / server.now / replay;
                let one = server.largest_batch() / replay;
                assert!(server.worst_lag < 1.5 + one, "{}", server.worst_lag);
                // Where the replica is the limit, all that it can replay is used.
                assert!(used > 0.93 || replay > 1e7, "{used} of {replay}");
                // No waves: the same bytes in every five seconds.
                let fives = (8..24).map(|five| {
                    let [from, to] = [f64::from(five) * 5.0, f64::from(five) * 5.0 + 5.0];
                    let in_it = |entry: &&Entry| (from..to).contains(&entry.start);
                    server.log.iter().filter(in_it).map(|entry| entry.bytes).sum::<f64>()
                });
                assert!(spread(fives.clone()) < 1.2, "{replay}: {}", spread(fives));
            }
        }
    }
}

#[test]
fn a_replica_that_stops_is_waited_for() {
    let settings = Settings { max_lag: Some(Duration::from_secs(2)), ..Settings::default() };
    let mut pace = Pace::new(settings);
    let mut server = Server { replay: Some(1e8), ..Server::new(0.000_01) };
    server.run_until(&mut pace, 60.0);
    server.replay = Some(0.0);
    server.run_until(&mut pace, 90.0);
    // It goes on for as long as the replica could be merely slow, and slower all the time.
    assert_eq!(server.batches_in([62.1, 90.0]), 0);
    assert_eq!(pace.next().limit, Limit::ReplicaLag);
    let [full, less] = [[58.0, 60.0], [60.0, 62.0]].map(|times| server.batches_in(times));
    server.replay = Some(1e8);
    server.run_until(&mut pace, 91.0);
    assert!(less * 3 < full * 2, "{less} of {full}");
    assert!(server.batches_in([90.0, 91.0]) > 0);
}

#[test]
fn nothing_runs_without_the_signal_or_during_a_pause() {
    let settings = Settings { max_lag: Some(Duration::from_secs(2)), ..Settings::default() };
    let mut pace = Pace::new(settings);
    // At the start the signal is not there yet.
    let mut server =
        Server { replay: Some(1e8), lost: [0.0, 10.0], noise: 0.2, ..Server::new(0.000_01) };
    server.run_until(&mut pace, 11.5);
    assert_eq!(server.batches_in([0.0, 10.0]), 0);
    assert!(server.batches_in([10.0, 11.5]) > 0);
    for start in [30.0, 45.0, 60.0, 75.0] {
        let away = [start, start + 10.0];
        if start < 50.0 {
            server.lost = away;
        } else {
            server.paused = away;
        }
        server.run_until(&mut pace, start + 5.0);
        let limit = if start < 50.0 { Limit::LostSignal } else { Limit::Paused };
        assert_eq!(pace.next().limit, limit);
        server.run_until(&mut pace, start + 15.0);
        // The last look was at most a quarter of a second before.
        assert_eq!(server.batches_in([start + 0.26, start + 10.0]), 0);
        let first = server.log.iter().find(|entry| entry.start > start + 9.0).unwrap();
        assert!(first.start < start + 11.1, "{}", first.start);
        assert!(first.asked <= FIRST_ROWS, "{}", first.asked);
    }
}

#[test]
fn a_disk_that_cannot_follow_is_given_time() {
    for disk in [2e6, 1e7, 4e7] {
        let mut server = Server { disk, ..Server::new(0.000_01) };
        let log = server.batches(&mut Pace::new(Settings::full_speed()), 500);
        assert_eq!(spread(sizes(&log[100..])), 1.0);
        // Slow because of what was written: smaller batches bring it back.
        assert!(log.last().unwrap().took() < 0.15, "{}", log.last().unwrap().took());
    }
}

#[test]
fn the_more_the_application_waits_for_rows_the_fewer_are_taken() {
    let waits = |heeded: bool, per_second: f64| {
        let mut pace = Pace::new(Settings::default());
        let mut server = Server { noise: 0.1, ..Server::new(0.000_01) };
        let mut waited = 0.0;
        while server.log.len() < 5_000 {
            server.step(&mut pace, |server, batch| {
                // Statements of the application that need one of 50 000 hot rows.
                let Entry { start, end, asked, .. } = server.log[server.log.len() - 1];
                let expected = per_second * (end - start) * asked as f64 / 50_000.0;
                let waiters = (expected + server.random()).floor();
                waited += waiters * (end - start) / 2.0;
                batch.waiters = if heeded { waiters as u32 } else { 0 };
            });
        }
        [waited / server.now, mean(sizes(&server.log[100..]))]
    };
    let mut before = f64::INFINITY;
    for (per_second, less) in [(100.0, 0.95), (1_000.0, 0.4), (10_000.0, 0.08)] {
        let [[without, _], [with, rows]] = [false, true].map(|heeded| waits(heeded, per_second));
        assert!(with < less * without, "{per_second}: {with} of {without}");
        assert!((MIN_ROWS as f64 * 2.0..before).contains(&rows), "{per_second}: {rows}");
        before = rows;
    }
}

#[test]
fn a_billion_rows_through_everything() {
    let budget = 6e7;
    let settings = Settings {
        wal_per_second: Some(budget as u64),
        max_lag: Some(Duration::from_secs(3)),
        ..Settings::default()
    };
    let mut pace = Pace::new(settings);
    let mut server = Server { replay: Some(2e8), noise: 0.2, ..Server::new(0.000_002) };
    let mut rows = 0;
    while rows < 1_000_000_000 {
        server.step(&mut pace, |server, batch| {
            rows += server.log.last().unwrap().asked;
            let minute = server.now / 60.0;
            // Load comes and goes, checkpoints come, the replica has others to serve.
            server.row = 0.000_002 * (1.5 + (minute / 30.0).sin());
            server.wal = if minute % 5.0 < 1.0 { 900.0 } else { 250.0 };
            server.replay = Some(if minute % 40.0 > 30.0 { 4e7 } else { 2e8 });
            let tenth = (minute / 10.0).floor() * 600.0;
            server.stalled = [tenth + 100.0, tenth + 110.0];
            server.lost = [tenth + 200.0, tenth + 220.0];
            server.paused = [tenth + 300.0, tenth + 330.0];
            batch.waiters = u32::from(server.random() < 0.01);
        });
    }
    // The replica gets slow from one moment to the next: what is on its way by then comes on top.
    assert!(server.worst_lag < 6.0, "{}", server.worst_lag);
    let most = server.most_bytes_in(10.0);
    assert!(most <= 10.0 * budget + server.largest_batch(), "{most}");
}
