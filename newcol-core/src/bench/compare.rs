//! Two runs side by side: what became better, worse, or neither, and what cannot be told.
//!
//! Counts (log, growth) repeat within three hundredths on the same server: batches are cut by time, so not
//! quite the same each time. Latencies are judged **against the idle phase of their own run**, since a
//! machine that had other work makes all of them slow; their interval is that of a bootstrap over seconds,
//! that of the index one over its blocks. An interval that holds "as much" is no difference. Speed is
//! judged against one UPDATE of its own run, where both were gone several times, and only where the
//! intervals of the two runs do not overlap; what was measured once and varies is shown and not judged.

mod varying;

use std::fmt;

use super::{
    blocks::{Estimate, Pairs},
    load::{Load, Phase, PhaseLoad},
    run::{Fill, Run},
    words::SEED,
};

/// How much counts may differ and be the same.
const COUNTS: f64 = 0.03;
/// The same of shares, in points.
const POINTS: f64 = 5.0;
/// Seconds that a phase must have on both sides.
const SECONDS: usize = 5;
/// What is compared of latencies.
const QUANTILES: [(&str, f64); 3] = [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)];
/// Samples of seconds.
const SAMPLES: usize = 200;
/// How much the rates of two runs may differ.
const RATES: f64 = 0.01;

/// What two values of a measure say.
#[derive(Debug, Clone, PartialEq)]
pub enum Judgement {
    /// The second one is better.
    Better,
    /// It is worse.
    Worse,
    /// They cannot be told apart.
    Same,
    /// They must not be compared, and why.
    NotComparable(String),
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Better => f.write_str("better"),
            Self::Worse => f.write_str("worse"),
            Self::Same => f.write_str("no difference"),
            Self::NotComparable(why) => write!(f, "not comparable: {why}"),
        }
    }
}

/// What there is from one run to another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Change {
    /// The second value over the first.
    Ratio(Estimate),
    /// The second value less the first: of shares, which may be none at all, in percentage points.
    Points(Estimate),
}

impl Change {
    /// Returns the value and its interval.
    #[must_use]
    pub fn estimate(&self) -> Estimate {
        let (Self::Ratio(estimate) | Self::Points(estimate)) = *self;
        estimate
    }

    /// Says what that is where both values are the same.
    fn none(&self) -> f64 {
        match self {
            Self::Ratio(_) => 1.0,
            Self::Points(_) => 0.0,
        }
    }
}

/// A measure of both runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Measure {
    /// What it is.
    pub name: String,
    /// What it is in.
    pub unit: &'static str,
    /// In the first run.
    pub first: f64,
    /// In the second run.
    pub second: f64,
    /// From the first to the second, with its interval; of counts, how far they repeat.
    pub change: Change,
    /// What that says.
    pub judgement: Judgement,
}

/// Two runs side by side.
#[derive(Debug, Clone, PartialEq)]
pub struct Compared {
    /// Why nothing can be compared, one reason each; empty where something can.
    pub differing: Vec<String>,
    /// Measures that both have.
    pub measures: Vec<Measure>,
}

impl Compared {
    /// Sets two runs side by side.
    #[must_use]
    pub fn of(first: &Run, second: &Run) -> Self {
        let differing = differing(first, second);
        let mut measures = Vec::new();
        if differing.is_empty() {
            measures.extend(counts(first, second));
            measures.extend(paid(first, second));
            measures.extend(latencies(first, second));
            measures.extend(varying::lags(first, second, incomparable(first, second)));
        }
        Self { differing, measures }
    }

    /// Reports whether anything became worse.
    #[must_use]
    pub fn is_worse(&self) -> bool {
        self.measures.iter().any(|measure| measure.judgement == Judgement::Worse)
    }
}

/// Says why two runs have nothing to do with each other.
fn differing(first: &Run, second: &Run) -> Vec<String> {
    let (a, b) = (&first.conditions, &second.conditions);
    let mut reasons = Vec::new();
    let mut other = |what: &str, a: &str, b: &str| {
        if a != b {
            reasons.push(format!("{what}: `{a}` and `{b}`"));
        }
    };
    other("another column", &a.column, &b.column);
    other("another server version", &a.server, &b.server);
    other("another scale", &format!("{} rows", a.rows), &format!("{} rows", b.rows));
    other("another shape of the table", &a.shape, &b.shape);
    for name in a.settings.keys().chain(b.settings.keys().filter(|n| !a.settings.contains_key(*n)))
    {
        let of = |run: &super::run::Conditions| run.settings.get(name).cloned().unwrap_or_default();
        other(&format!("another setting `{name}`"), &of(a), &of(b));
    }
    reasons
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Better {
    Less,
    More,
}

fn judge(change: &Change, better: Better) -> Judgement {
    let (less, more) = match better {
        Better::Less => (Judgement::Better, Judgement::Worse),
        Better::More => (Judgement::Worse, Judgement::Better),
    };
    let (Estimate { low, high, .. }, none) = (change.estimate(), change.none());
    match (low, high) {
        (_, high) if high < none => less,
        (low, _) if low > none => more,
        _ => Judgement::Same,
    }
}

fn counts(first: &Run, second: &Run) -> Vec<Measure> {
    type Of = fn(&Fill) -> Option<f64>;
    let of: [(&str, &str, Better, Of); 3] = [
        ("log of a row", "B", Better::Less, |fill| fill.per_row(fill.log)),
        ("rows that stayed on their page", "%", Better::More, |fill| Some(fill.hot? * 100.0)),
        ("growth of the table", "×", Better::Less, |fill| Some(fill.heap()?.times())),
    ];
    let mut measures = Vec::new();
    for fill in &first.fills {
        let Some(other) = second.fill(fill.way) else { continue };
        for (name, unit, better, value) in of {
            let Some((a, b)) = value(fill).zip(value(other)) else { continue };
            let change = if unit == "%" { repeated_share(a, b) } else { repeated(a, b) };
            let name = format!("{name}, {}", fill.way);
            let judgement = judge(&change, better);
            measures.push(Measure { name, unit, first: a, second: b, change, judgement });
        }
        measures.extend(varying::speed(fill.way, [first, second]));
    }
    measures
}

/// A count repeats within so much of itself.
fn repeated(a: f64, b: f64) -> Change {
    let value = b / a;
    Change::Ratio(Estimate { value, low: value * (1.0 - COUNTS), high: value * (1.0 + COUNTS) })
}

/// A share repeats within so many points, however small it is.
fn repeated_share(a: f64, b: f64) -> Change {
    let value = b - a;
    Change::Points(Estimate { value, low: value - POINTS, high: value + POINTS })
}

fn paid(first: &Run, second: &Run) -> Vec<Measure> {
    let (Some(a), Some(b)) = (&first.paid, &second.paid) else { return Vec::new() };
    let both = |name: &str, a: &Pairs, b: &Pairs| {
        let of = |with: f64, without: f64| with / without;
        let (one, two) = (a.samples(SEED, of), b.samples(SEED + 1, of));
        let samples = one.iter().zip(&two).map(|(one, two)| two / one).collect();
        let (first, second) = (a.ratio(SEED).value, b.ratio(SEED).value);
        let change = Change::Ratio(Estimate::of(second / first, samples));
        let judgement = judge(&change, Better::Less);
        Measure { name: name.to_owned(), unit: "×", first, second, change, judgement }
    };
    let mut measures = vec![
        both("time of an insert with the index", &a.insert_time, &b.insert_time),
        both("time of a lookup with the index", &a.lookup_time, &b.lookup_time),
    ];
    let logs = a.insert_log.as_ref().zip(b.insert_log.as_ref());
    measures.extend(logs.map(|(a, b)| both("log of an insert with the index", a, b)));
    measures
}

fn latencies(first: &Run, second: &Run) -> Vec<Measure> {
    let (Some(a), Some(b)) = (&first.load, &second.load) else { return Vec::new() };
    let loads = [&a.load, &b.load];
    let why = incomparable(first, second);
    let mut measures = Vec::new();
    let met = |phase: Phase| Some([loads[0].phase(phase)?, loads[1].phase(phase)?]);
    let Some(idle) = met(Phase::Idle) else { return measures };
    let idle_blocks = loads.map(|load| Seconds::of(load, Phase::Idle));
    for phase in Phase::ALL.into_iter().filter(|phase| *phase != Phase::Idle) {
        let Some(both) = met(phase) else { continue };
        let all = idle.iter().chain(&both).zip(loads.into_iter().cycle());
        let saturated =
            all.into_iter().find_map(|(phase, load)| phase.sustained(load.connections).err());
        let blocks = loads.map(|load| Seconds::of(load, phase));
        let short = blocks.iter().chain(&idle_blocks).any(|blocks| blocks.seconds.len() < SECONDS);
        let no = match (&why, saturated) {
            (Some(why), _) => Some(why.clone()),
            (None, Some(saturated)) => Some(saturated.to_string()),
            (None, None) if short => Some(format!("less than {SECONDS} seconds")),
            (None, None) => None,
        };
        let samples = match no {
            None => resampled(&blocks, &idle_blocks),
            Some(_) => Vec::new(),
        };
        for (at, (name, share)) in QUANTILES.into_iter().enumerate() {
            let value = |run: usize| {
                let of = |phase: &PhaseLoad| phase.all().known_quantile(share);
                // What is not to be printed is no number.
                if saturated.is_some() { f64::NAN } else { of(&both[run]) / of(&idle[run]) }
            };
            let (first, second) = (value(0), value(1));
            let ratios = samples.iter().map(|sample| sample[at]).collect();
            let change = Change::Ratio(Estimate::of(second / first, ratios));
            let judged = || match change.estimate().value.is_nan() {
                true => Judgement::NotComparable("too few requests".to_owned()),
                false => judge(&change, Better::Less),
            };
            measures.push(Measure {
                name: format!("{name} against idle, {phase}"),
                unit: "×",
                first,
                second,
                judgement: no.clone().map_or_else(judged, Judgement::NotComparable),
                change,
            });
        }
    }
    measures
}

/// Says why latencies of two runs must not be compared, though counts may be.
fn incomparable(first: &Run, second: &Run) -> Option<String> {
    let (a, b) = (&first.conditions, &second.conditions);
    let rate = |run: &super::run::Conditions| run.rate.unwrap_or_default();
    if a.workload != b.workload {
        return Some(format!("users send something else: `{}` and `{}`", a.workload, b.workload));
    }
    if (rate(a) / rate(b) - 1.0).abs() > RATES {
        let (a, b) = (rate(a), rate(b));
        return Some(format!("{a:.0} and {b:.0} requests/s; give both the same `--rate`"));
    }
    if a.standby != b.standby {
        return Some("only one of them with a standby, which takes its share".to_owned());
    }
    (a.connections != b.connections)
        .then(|| format!("{} and {} connections", a.connections, b.connections))
}

/// Latencies of the seconds of a phase, by their place among all that came.
struct Seconds {
    micros: Vec<u64>,
    seconds: Vec<Vec<(usize, u32)>>,
}

/// Those of both runs.
type Blocks = [Seconds; 2];

impl Seconds {
    fn of(load: &Load, phase: Phase) -> Self {
        let within = |second: u32| {
            let at = f64::from(second);
            load.phases.iter().any(|one| one.phase == phase && one.from <= at && at + 1.0 <= one.to)
        };
        let all = load.by_second().into_iter().filter(|(second, _)| within(*second));
        let all: Vec<Vec<(u64, u32)>> = all.map(|(_, of)| of.counts().collect()).collect();
        let mut micros: Vec<u64> = all.iter().flatten().map(|one| one.0).collect();
        micros.sort_unstable();
        micros.dedup();
        let place = |(value, times): &(u64, u32)| (micros.partition_point(|m| m < value), *times);
        let seconds = all.iter().map(|counts| counts.iter().map(place).collect()).collect();
        Self { micros, seconds }
    }

    /// Draws as many seconds as there are, and returns their quantiles.
    fn sample(&self, random: &mut fastrand::Rng) -> [f64; QUANTILES.len()] {
        let mut counts = vec![0_u64; self.micros.len()];
        for _ in 0..self.seconds.len() {
            for (at, times) in &self.seconds[random.usize(..self.seconds.len())] {
                counts[*at] += u64::from(*times);
            }
        }
        let all: u64 = counts.iter().sum();
        QUANTILES.map(|(_, share)| {
            let mut left = (share * all as f64).ceil() as u64;
            let found = counts.iter().position(|times| {
                left = left.saturating_sub(*times);
                left == 0
            });
            found.map_or(f64::NAN, |at| self.micros[at] as f64)
        })
    }
}

/// Draws seconds again and again, and returns the ratio of each quantile in each sample.
fn resampled(blocks: &Blocks, idle: &Blocks) -> Vec<[f64; QUANTILES.len()]> {
    let mut random = fastrand::Rng::with_seed(SEED);
    let mut ratios = || {
        let [one, two] = [0, 1].map(|run| {
            let (busy, idle) = (blocks[run].sample(&mut random), idle[run].sample(&mut random));
            std::array::from_fn::<f64, { QUANTILES.len() }, _>(|at| busy[at] / idle[at])
        });
        std::array::from_fn(|at| two[at] / one[at])
    };
    (0..SAMPLES).map(|_| ratios()).collect()
}

#[cfg(test)]
pub(super) mod tests;
