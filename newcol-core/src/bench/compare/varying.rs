//! What varies from run to run: speed, and how far a standby is behind.

use super::{Better, Change, Judgement, Measure, SAMPLES, SECONDS, judge};
use crate::bench::{
    blocks::Estimate,
    load::Phase,
    replica::{LagOfSecond, Replica},
    run::{Fill, Run, Way},
    words::SEED,
};

/// Seconds that a standby is behind which nobody can tell from none: it is looked at so often.
const LOOKED: f64 = 0.05;

/// Judges speed against that of one UPDATE in the same run, which says what the machine could do then,
/// where both ways were gone often enough to have an interval.
pub(super) fn speed(way: Way, runs: [&Run; 2]) -> Option<Measure> {
    let fills = [runs[0].fill(way)?, runs[1].fill(way)?];
    let against = runs.map(|run| relative(run.fill(way)?, run.fill(Way::Update)?));
    if let (true, [Some(a), Some(b)]) = (way != Way::Update, against) {
        // Whatever one of them may have been over whatever the other may have been: it holds "as much"
        // where the intervals overlap.
        let change = Change::Ratio(Estimate {
            value: b.value / a.value,
            low: b.low / a.high,
            high: b.high / a.low,
        });
        let (first, second) = (a.value, b.value);
        let judgement = judge(&change, Better::More);
        let name = format!("speed against one UPDATE, {way}");
        return Some(Measure { name, unit: "×", first, second, change, judgement });
    }
    let [first, second] = fills.map(Fill::speed);
    let why = match (way, fills.map(Fill::speeds)) {
        (Way::Update, [Some(_), Some(_)]) => {
            "it is what the machine does, others are held against it"
        }
        _ => "measured once, and varies",
    };
    Some(Measure {
        name: format!("speed, {way}"),
        unit: "rows/s",
        first,
        second,
        change: Change::Ratio(Estimate { value: second / first, low: f64::NAN, high: f64::NAN }),
        judgement: Judgement::NotComparable(why.to_owned()),
    })
}

fn relative(fill: &Fill, update: &Fill) -> Option<Estimate> {
    let (own, other) = (fill.speeds()?, update.speeds()?);
    let value = own.value / other.value;
    Some(Estimate { value, low: own.low / other.high, high: own.high / other.low })
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
        let samples = if no.is_some() { Vec::new() } else { resampled(&x, &y) };
        let change = Change::Ratio(Estimate::of(value, samples));
        let judgement = no.map_or_else(|| judge(&change, Better::Less), Judgement::NotComparable);
        let name = format!("standby behind (p95), {phase}");
        Some(Measure { name, unit: "s", first: mine, second: theirs, change, judgement })
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
