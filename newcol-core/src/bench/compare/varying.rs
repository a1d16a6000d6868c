//! What varies from run to run: speed, and how far a standby is behind.

use super::{Better, Judgement, Measure, SAMPLES, SECONDS, judge};
use crate::bench::{
    blocks::Estimate,
    load::Phase,
    replica::{LagOfSecond, Replica},
    run::{Fill, Run},
    words::SEED,
};

/// Seconds that a standby is behind which nobody can tell from none: it is looked at so often.
const LOOKED: f64 = 0.05;

/// Judges rows filled in a second, by the intervals that both runs have of it.
pub(super) fn speed(first: &Fill, second: &Fill) -> Measure {
    let (ratio, judgement) = match first.speeds().zip(second.speeds()) {
        Some((a, b)) => {
            // Whatever one of them may have been over whatever the other may have been: it holds "as
            // much" where the intervals overlap.
            let ratio =
                Estimate { value: b.value / a.value, low: b.low / a.high, high: b.high / a.low };
            (ratio, judge(&ratio, Better::More))
        }
        None => {
            let value = second.speed() / first.speed();
            let why = "measured once, and varies".to_owned();
            let ratio = Estimate { value, low: f64::NAN, high: f64::NAN };
            (ratio, Judgement::NotComparable(why))
        }
    };
    let name = format!("speed, {}", first.way);
    let (first, second) = (first.speed(), second.speed());
    Measure { name, unit: "rows/s", first, second, ratio, judgement }
}

/// Judges how far the standby was behind in each phase, by a bootstrap over its seconds.
pub(super) fn lags(first: &Run, second: &Run, why: Option<String>) -> Vec<Measure> {
    let of = |run: &'_ Run| run.load.as_ref().and_then(|loaded| loaded.replica.clone());
    let (Some(a), Some(b)) = (of(first), of(second)) else { return Vec::new() };
    let measure = |phase: Phase| {
        let (one, two) = (a.phase(phase)?, b.phase(phase)?);
        let [x, y] = [(&a, first), (&b, second)].map(|(replica, run)| most(replica, run, phase));
        let no = match &why {
            Some(why) => Some(why.clone()),
            None if x.len().min(y.len()) < SECONDS => Some(format!("less than {SECONDS} seconds")),
            None => None,
        };
        let (mine, theirs) = (one.seconds.p95, two.seconds.p95);
        let value = theirs.max(LOOKED) / mine.max(LOOKED);
        let ratio = Estimate::of(value, if no.is_some() { Vec::new() } else { resampled(&x, &y) });
        let judgement = no.map_or_else(|| judge(&ratio, Better::Less), Judgement::NotComparable);
        let name = format!("standby behind (p95), {phase}");
        Some(Measure { name, unit: "s", first: mine, second: theirs, ratio, judgement })
    };
    Phase::ALL.into_iter().filter_map(measure).collect()
}

/// Returns the most of each second that lies in a phase.
fn most(replica: &Replica, run: &Run, phase: Phase) -> Vec<f64> {
    let phases = run.load.iter().flat_map(|loaded| &loaded.load.phases);
    let of = phases.filter(|one| one.phase == phase).map(|one| (one.from, one.to));
    let spans: Vec<(f64, f64)> = of.collect();
    let within = |second: &&LagOfSecond| {
        let at = f64::from(second.second);
        spans.iter().any(|(from, to)| *from <= at && at + 1.0 <= *to)
    };
    replica.seconds.iter().filter(within).map(|of| of.seconds.max(LOOKED)).collect()
}

/// Draws seconds of both again and again, and returns the ratio of what most of them stay below.
fn resampled(first: &[f64], second: &[f64]) -> Vec<f64> {
    let mut random = fastrand::Rng::with_seed(SEED);
    let mut draw = |of: &[f64]| {
        let mut drawn: Vec<f64> = (0..of.len()).map(|_| of[random.usize(..of.len())]).collect();
        drawn.sort_by(f64::total_cmp);
        drawn[((0.95 * drawn.len() as f64).ceil() as usize).clamp(1, drawn.len()) - 1]
    };
    (0..SAMPLES).map(|_| draw(second) / draw(first)).collect()
}
