//! Hours of a server where the truth is known.
//!
//! A run is an hour of minutes before a release and an hour after it, five statements of the column and
//! forty controls. Load moves all of them by up to a quarter; each has its own noise, in which a minute
//! resembles the one before it.
//!
//! `cargo test -p newcol-core watch::effect::simulation -- --nocapture` prints the figures.

use super::*;
use crate::watch::series::Window;

/// How a server behaves.
#[derive(Clone, Copy)]
struct Server {
    treated: usize,
    controls: usize,
    /// Windows of each side.
    windows: usize,
    /// Seconds of a window.
    length: f64,
    /// How far each statement's own time of the day moves it.
    daily: f64,
    /// How far load moves everyone.
    drift: f64,
    /// The standard deviation of a minute's mean.
    noise: f64,
    /// How much a minute resembles the one before.
    memory: f64,
    /// How much noisier the treated are than the controls.
    uneven: f64,
    tails: Tails,
    /// The share of all calls that the first control has, and how much slower it becomes.
    dominating: Option<(f64, f64)>,
}

#[derive(Clone, Copy, PartialEq)]
enum Tails {
    Normal,
    /// Student's t with three degrees of freedom, of the same variance.
    Heavy,
}

const USUAL: Server = Server {
    treated: 5,
    controls: 40,
    windows: 60,
    length: 60.0,
    daily: 0.0,
    drift: 0.25,
    noise: 0.12,
    memory: 0.6,
    uneven: 1.0,
    tails: Tails::Normal,
    dominating: None,
};

/// Series of both kinds.
struct Run {
    treated: Vec<Series>,
    controls: Vec<Series>,
}

const SPLIT: f64 = 1_700_000_000.0;

fn normal(random: &mut fastrand::Rng) -> f64 {
    let (u, v): (f64, f64) = (1.0 - random.f64(), random.f64());
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

impl Tails {
    fn draw(self, random: &mut fastrand::Rng) -> f64 {
        match self {
            Self::Normal => normal(random),
            Self::Heavy => {
                let squares: f64 = (0..3).map(|_| normal(random).powi(2)).sum();
                normal(random) / squares.sqrt()
            }
        }
    }
}

impl Server {
    /// Runs both hours; the treated become slower by a factor.
    fn run(&self, factor: f64, random: &mut fastrand::Rng) -> Run {
        // Each hour has its own load, and a swing within.
        let load: Vec<f64> = (0..2)
            .flat_map(|_| {
                let level = 1.0 + self.drift * (2.0 * random.f64() - 1.0);
                let swing = std::f64::consts::TAU * random.f64();
                let windows = self.windows as f64;
                (0..self.windows)
                    .map(move |at| level * (1.0 + 0.05 * (swing + at as f64 / windows).sin()))
            })
            .collect();
        let mut id = 0;
        let mut series = |role, factor: f64, noise: f64, calls: f64, random: &mut fastrand::Rng| {
            id += 1;
            let base = (2.0 * normal(random)).exp();
            let phase = std::f64::consts::TAU * random.f64();
            let mut state = self.tails.draw(random);
            let fresh = (1.0 - self.memory * self.memory).sqrt();
            let windows = load.iter().enumerate().map(|(at, load)| {
                state = self.memory * state + fresh * self.tails.draw(random);
                let from = SPLIT + (at as f64 - self.windows as f64) * self.length;
                let after = if from >= SPLIT { factor } else { 1.0 };
                let day = std::f64::consts::TAU * from / DAY + phase;
                let day = 1.0 + self.daily * day.sin();
                let calls = (calls * load * (0.9 + 0.2 * random.f64())).max(1.0) as u64;
                let mean = base * load * day * after * (noise * state).exp();
                Window {
                    from,
                    to: from + self.length,
                    calls,
                    total_ms: mean * calls as f64,
                    sd_ms: None,
                    rows: calls,
                    blocks: (4.0 * calls as f64 * after) as u64,
                    wal_bytes: None,
                }
            });
            Series { id: QueryId(id), role, windows: windows.collect() }
        };
        let usual = |random: &mut fastrand::Rng| 40.0 * (0.8 * normal(random)).exp();
        let treated = (0..self.treated)
            .map(|_| {
                let calls = usual(random).max(8.0);
                series(Role::Filter, factor, self.noise * self.uneven, calls, random)
            })
            .collect();
        let controls = (0..self.controls)
            .map(|at| {
                let calls = usual(random).max(8.0);
                match self.dominating {
                    Some((share, slower)) if at == 0 => {
                        let calls = 40.0 * self.controls as f64 * share / (1.0 - share);
                        series(Role::Control, slower, self.noise, calls, random)
                    }
                    _ => series(Role::Control, 1.0, self.noise, calls, random),
                }
            })
            .collect();
        Run { treated, controls }
    }
}

fn minutes(series: &Series, before: bool) -> Vec<f64> {
    let of = series.windows.iter().filter(|window| (window.from < SPLIT) == before);
    of.filter_map(Window::mean_ms).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Ten percent more or less than before, all treated together.
fn naive(run: &Run) -> bool {
    let side = |before| {
        let windows =
            || run.treated.iter().flat_map(|s| &s.windows).filter(|w| (w.from < SPLIT) == before);
        windows().map(|w| w.total_ms).sum::<f64>() / windows().map(|w| w.calls as f64).sum::<f64>()
    };
    (side(false) / side(true) - 1.0).abs() >= 0.1
}

/// Welch's t of the minutes' means of the first treated, at 5 %.
fn welch(run: &Run) -> bool {
    let (before, after) = (minutes(&run.treated[0], true), minutes(&run.treated[0], false));
    let square = |values: &[f64]| {
        let mean = mean(values);
        let n = values.len() as f64;
        values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0) / n
    };
    (mean(&after) - mean(&before)).abs() / (square(&before) + square(&after)).sqrt() > 1.98
}

/// Counts of some runs.
#[derive(Default)]
struct Tally {
    runs: u32,
    alarms: u32,
    group: u32,
    naive: u32,
    welch: u32,
    covered: u32,
    refused: u32,
}

impl Tally {
    fn share(&self, count: u32) -> f64 {
        f64::from(count) / f64::from(self.runs)
    }
}

fn tally(server: Server, factor: f64, runs: u32, seed: u64) -> Tally {
    let mut random = fastrand::Rng::with_seed(seed);
    let thresholds = Thresholds { samples: 100, groups: 499, ..Thresholds::default() };
    let mut tally = Tally { runs, ..Tally::default() };
    for _ in 0..runs {
        let run = server.run(factor, &mut random);
        tally.naive += u32::from(naive(&run));
        tally.welch += u32::from(welch(&run));
        let seed = random.u64(..);
        let split = Split::at(SPLIT);
        let Ok(found) =
            compare(&run.treated, &run.controls, split, Signal::Time, &thresholds, seed)
        else {
            tally.refused += 1;
            continue;
        };
        tally.alarms += u32::from(found.alarms());
        let group = found.group.as_ref().unwrap();
        tally.group += u32::from(group.finding == Finding::Changed);
        let (low, high) = found.queries[0].effect.interval;
        tally.covered += u32::from((low..=high).contains(&factor.ln()));
    }
    tally
}

/// Capability: false alarms at most 7 %, power at least 80 % at +10 %, where the usual rules cry wolf.
#[test]
fn chance_is_not_called_an_effect_and_ten_percent_is_found() {
    let same = tally(USUAL, 1.0, 400, 7);
    let slower = tally(USUAL, 1.1, 300, 8);
    let double = tally(USUAL, 1.2, 100, 9);
    println!("nothing happened, {} runs:", same.runs);
    println!("  ours            {:5.1} % false alarms", 100.0 * same.share(same.alarms));
    println!("  ±10 % threshold {:5.1} %", 100.0 * same.share(same.naive));
    println!("  Welch's t       {:5.1} %", 100.0 * same.share(same.welch));
    println!("  intervals that cover: {:.1} %", 100.0 * same.share(same.covered));
    println!(
        "+10 %: found {:.1} % (group {:.1} %), intervals that cover {:.1} %",
        100.0 * slower.share(slower.alarms),
        100.0 * slower.share(slower.group),
        100.0 * slower.share(slower.covered)
    );
    println!("+20 %: found {:.1} %", 100.0 * double.share(double.alarms));
    assert!(same.share(same.alarms) <= 0.07);
    assert!(same.share(same.naive) >= 0.4);
    assert!(same.share(same.welch) >= 0.4);
    assert!(same.share(same.covered) >= 0.92);
    assert!(slower.share(slower.group) >= 0.8);
    assert!(slower.share(slower.covered) >= 0.92);
    assert!(double.share(double.group) >= 0.98);
}

/// None of these may raise more false alarms than promised.
#[test]
fn odd_servers_raise_no_more_alarms() {
    for (name, server) in [
        ("treated twice as noisy", Server { uneven: 2.0, ..USUAL }),
        ("treated half as noisy", Server { uneven: 0.5, ..USUAL }),
        ("heavy tails", Server { tails: Tails::Heavy, ..USUAL }),
        (
            "a control of 95 % of the calls, 3 times slower",
            Server { dominating: Some((0.95, 3.0)), ..USUAL },
        ),
        ("long memory", Server { memory: 0.9, ..USUAL }),
        ("20 controls", Server { controls: 20, ..USUAL }),
        (
            "eight days, by the hour",
            Server { windows: 8 * 24, length: 3600.0, daily: 0.5, ..USUAL },
        ),
    ] {
        let runs = if server.windows > 60 { 60 } else { 150 };
        let same = tally(server, 1.0, runs, 11);
        println!(
            "{name}: {:.1} % false alarms, cover {:.1} %",
            100.0 * same.share(same.alarms),
            100.0 * same.share(same.covered)
        );
        assert_eq!(same.refused, 0, "{name}");
        assert!(same.share(same.alarms) <= 0.07, "{name}: {}", same.alarms);
    }
}

/// The planted are named, and nothing else is, seed after seed.
#[test]
fn three_of_twelve_are_named_and_nothing_else() {
    let server = Server { treated: 12, ..USUAL };
    let mut named = Vec::new();
    for seed in 0..10 {
        let mut run = server.run(1.0, &mut fastrand::Rng::with_seed(seed));
        for planted in &mut run.treated[..3] {
            let after = planted.windows.iter_mut().filter(|window| window.from >= SPLIT);
            after.for_each(|window| window.total_ms *= 2.0);
        }
        let split = Split::at(SPLIT);
        let thresholds = Thresholds::default();
        let found =
            compare(&run.treated, &run.controls, split, Signal::Time, &thresholds, seed).unwrap();
        named.push(found.findings().map(|query| query.id.0).collect::<Vec<_>>());
    }
    println!("{named:?}");
    assert!(named.iter().all(|ids| ids == &[1, 2, 3]), "{named:?}");
}

/// It is one placebo of many: it moves no effect, and only a change smaller than its own is hidden.
#[test]
fn a_dominating_control_hides_no_large_change() {
    let server = Server { dominating: Some((0.95, 1.5)), ..USUAL };
    let slower = tally(server, 1.3, 60, 12);
    println!("+30 % beside it: found {:.1} %", 100.0 * slower.share(slower.group));
    assert!(slower.share(slower.group) >= 0.9, "{}", slower.group);
    assert!(slower.share(slower.covered) >= 0.92, "{}", slower.covered);
}

/// What noise costs: printed, and never more alarms than promised.
#[test]
fn power_falls_with_noise_and_rises_with_time() {
    let mut found = Vec::new();
    for (noise, windows) in [(0.08, 60), (0.15, 60), (0.25, 60), (0.25, 240)] {
        let slower = tally(Server { noise, windows, ..USUAL }, 1.1, 60, 14);
        println!(
            "noise {noise}, {windows} minutes, +10 %: found {:.0} %",
            100.0 * slower.share(slower.group)
        );
        found.push(slower.group);
    }
    assert!(found[0] > found[1] && found[1] > found[2] && found[3] > found[2], "{found:?}");
}

#[test]
fn too_few_controls_are_refused_whatever_happened() {
    let refused = tally(Server { controls: 19, ..USUAL }, 5.0, 5, 13);
    assert_eq!(refused.refused, 5);
}
