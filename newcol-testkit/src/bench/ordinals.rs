//! Which of a column's values a row has: NULL, or the number of a value in their order.
//!
//! Pure. Rows go through two bijections: one says which rows are NULL, the other one which place among
//! the sorted values a row takes. Where the order of the values is to follow that of the rows, a share
//! of them stays in its place and the others change places, which gives any correlation without
//! sorting. The place then tells the value: common values take many places, the others few each.

use newcol_core::bench::profile::Statistics;

/// Fractions by whose multiples rows are spread: far from every fraction of small numbers.
const SPREADS: [f64; 12] = [
    0.618_033_988_749_895,
    0.414_213_562_373_095,
    0.732_050_807_568_877,
    0.449_489_742_783_178,
    0.645_751_311_064_591,
    0.316_624_790_355_400,
    0.605_551_275_463_989,
    0.358_898_943_540_674,
    0.582_575_694_955_840,
    0.690_415_759_823_430,
    0.385_164_807_134_504,
    0.567_764_362_830_022,
];

/// How the values of one column lie in a table of so many rows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ordinals {
    /// Places, a multiple of `block` and at least as many as rows.
    pub(super) places: u64,
    /// Rows that change places together with none of their neighbours.
    pub(super) block: u64,
    /// How many rows of a block stay in their place.
    pub(super) stay: u64,
    /// Whether values fall.
    pub(super) falls: bool,
    /// Steps by which blocks, rows of a block, and rows that are NULL are spread.
    pub(super) steps: [u64; 3],
    /// Places that stand for NULL.
    pub(super) nulls: u64,
    /// Places that stand for values.
    pub(super) filled: u64,
    /// Values in their order; none where each place is a value of its own.
    pub(super) segments: Vec<Segment>,
    /// How many values there are.
    pub(super) distinct: u64,
    /// The column whose places it follows, by steps of so many.
    pub(super) leader: Option<(u64, Box<Ordinals>)>,
}

/// Places next to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    /// The first place.
    pub(super) from: u64,
    /// How many places.
    pub(super) places: u64,
    /// The first value.
    pub(super) value: u64,
    /// How many values share the places.
    pub(super) values: u64,
}

/// What is changed of statistics, so that the server finds what it is to find.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Tuning {
    /// Is added to the correlation.
    pub(super) correlation: f64,
    /// Multiplies the number of values.
    pub(super) distinct: f64,
    /// Is added to the width.
    pub(super) width: f64,
}

impl Default for Tuning {
    fn default() -> Self {
        Self { correlation: 0.0, distinct: 1.0, width: 0.0 }
    }
}

impl Ordinals {
    /// Arranges a column of which so much is known; `live` is how many of the rows will stay.
    pub(super) fn of(
        statistics: &Statistics,
        (rows, live): (u64, u64),
        tuning: Tuning,
        seed: u64,
    ) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let block = ((rows as f64).sqrt() as u64).next_power_of_two().clamp(2, 1024);
        let places = rows.div_ceil(block).max(1) * block;
        let share = 1.0 - statistics.null_frac.clamp(0.0, 1.0);
        let filled = (share * places as f64).round() as u64;
        let live_share = live as f64 / rows.max(1) as f64;
        let mut distinct = statistics.distinct(live as f64) * tuning.distinct;
        // Where each row has a value of its own, the rows that go had theirs, too.
        let is_unique = distinct >= 0.98 * live as f64 * share;
        if is_unique || statistics.n_distinct < 0.0 {
            distinct /= live_share;
        }
        let common = statistics.outstanding(live as f64);
        let mut of = Self {
            places,
            block,
            stay: 0,
            falls: false,
            steps: [0; 3],
            nulls: places - filled,
            filled,
            segments: Vec::new(),
            distinct: places,
            leader: None,
        };
        if !is_unique {
            of.arrange(&common, (distinct.round() as u64).clamp(1, filled.max(1)), &mut random);
        }
        let mut between = steps(places / block);
        let blocks = between.swap_remove(random.usize(..between.len().min(4)));
        let rows = between.get(random.usize(..between.len().clamp(1, 4))).copied();
        let all = steps(places);
        of.steps = [blocks, rows.unwrap_or(blocks), all[random.usize(..all.len().min(4))]];
        of.correlate(statistics.correlation.unwrap_or(0.0) + tuning.correlation);
        of
    }

    /// Lets rows that have one value of another column have different values of this one, if there are
    /// enough: what is next to each other there is spread over all places here.
    pub(super) fn follow(&mut self, leader: Self) {
        let step = steps(self.places).first().copied().unwrap_or(1);
        self.leader = Some((step, Box::new(leader)));
    }

    /// Divides the places among the values: each common one stands between others.
    fn arrange(&mut self, common: &[f64], distinct: u64, random: &mut fastrand::Rng) {
        let mut common: Vec<u64> = common
            .iter()
            .take(distinct as usize)
            .map(|frequency| (frequency * self.places as f64).round() as u64)
            .collect();
        random.shuffle(&mut common);
        let taken: u64 = common.iter().sum();
        let mut rest = self.filled.saturating_sub(taken);
        let mut others = (distinct - common.len() as u64).min(rest);
        if others == 0 {
            rest = 0;
        }
        self.distinct = 0;
        let mut from = 0;
        let chunks = common.len() as u64 + 1;
        for at in 0..chunks {
            let left = chunks - at;
            let (values, places) =
                (others.div_ceil(left), rest * others.div_ceil(left) / others.max(1));
            let places = if left == 1 { rest } else { places };
            self.push(&mut from, places, values);
            (others, rest) = (others - values, rest - places);
            if let Some(places) = common.get(at as usize) {
                self.push(&mut from, *places, 1);
            }
        }
        // What rounding has left over or lacks.
        self.filled = from.max(1);
        self.distinct = self.distinct.max(1);
    }

    fn push(&mut self, from: &mut u64, places: u64, values: u64) {
        if places > 0 && values > 0 {
            let values = values.min(places);
            self.segments.push(Segment { from: *from, places, value: self.distinct, values });
            self.distinct += values;
            *from += places;
        }
    }

    /// Lets so many rows stay in their place that the server finds the correlation.
    ///
    /// It ranks rows of one value by where they are, so that few values are always correlated: by the
    /// chance that two rows have the same one, if they lie anyhow.
    fn correlate(&mut self, wanted: f64) {
        let shares = || {
            self.segments.iter().map(|s| {
                let each = s.places as f64 / s.values as f64 / self.filled.max(1) as f64;
                (each, s.values as f64)
            })
        };
        let same: f64 = shares().map(|(each, values)| each * each * values).sum();
        let cubes: f64 = shares().map(|(each, values)| each * each * each * values).sum();
        self.falls = wanted < same;
        let stay = if self.falls {
            (same - wanted) / (1.0 + same - 2.0 * cubes).max(1e-9)
        } else {
            (wanted - same) / (1.0 - same).max(1e-9)
        };
        self.stay = (stay.clamp(0.0, 1.0) * self.block as f64).round() as u64;
    }

    /// Returns the place of a row among all.
    fn place(&self, row: u64) -> u64 {
        if let Some((step, leader)) = &self.leader {
            return leader.place(row) * step % self.places;
        }
        let [blocks, rows, _] = self.steps;
        let (block, within) = (row / self.block, row % self.block);
        let place = if within * 5 % self.block < self.stay {
            row
        } else {
            (block * blocks + within * rows) % (self.places / self.block) * self.block + within
        };
        if self.falls { self.places - 1 - place } else { place }
    }

    /// Returns the number of the value that a row has; `None` is NULL.
    pub(super) fn at(&self, row: u64) -> Option<u64> {
        if row * self.steps[2] % self.places < self.nulls {
            return None;
        }
        let place = self.place(row);
        if self.segments.is_empty() {
            return Some(place);
        }
        let place = place * self.filled / self.places;
        let at = self.segments.partition_point(|segment| segment.from <= place) - 1;
        let segment = self.segments[at];
        Some(segment.value + (place - segment.from) * segment.values / segment.places)
    }

    /// Returns PostgreSQL's expression for the place of row `i` among all.
    fn all_sql(&self) -> String {
        if let Some((step, leader)) = &self.leader {
            return format!("({}) * {step} % {}", leader.all_sql(), self.places);
        }
        let Self { places, block, stay, .. } = self;
        let [blocks, rows, _] = self.steps;
        let moved = format!(
            "(i / {block} * {blocks} + i % {block} * {rows}) % {} * {block} + i % {block}",
            places / block
        );
        let place = match *stay {
            0 => moved,
            all if all == *block => "i".to_owned(),
            some => {
                format!("CASE WHEN i % {block} * 5 % {block} < {some} THEN i ELSE {moved} END")
            }
        };
        if self.falls { format!("{} - ({place})", places - 1) } else { place }
    }

    /// Returns PostgreSQL's expression for the place of row `i` among values, NULL where the row has
    /// none.
    pub(super) fn place_sql(&self) -> String {
        let Self { places, nulls, .. } = self;
        let null_step = self.steps[2];
        let place = self.all_sql();
        let place = if self.segments.is_empty() {
            place
        } else {
            format!("({place}) * {} / {places}", self.filled)
        };
        match nulls {
            0 => place,
            some => format!("CASE WHEN i * {null_step} % {places} >= {some} THEN {place} END"),
        }
    }

    /// Returns PostgreSQL's expression for the segment of a place.
    pub(super) fn segment_sql(&self, place: &str) -> Option<String> {
        (!self.segments.is_empty()).then(|| {
            let from: Vec<String> = self.segments.iter().map(|s| s.from.to_string()).collect();
            format!("width_bucket({place}, '{{{}}}'::bigint[])", from.join(","))
        })
    }

    /// Returns PostgreSQL's expression for the value's number, given place and segment.
    pub(super) fn value_sql(&self, place: &str, segment: &str) -> String {
        if self.segments.is_empty() {
            return place.to_owned();
        }
        let list = |number: fn(&Segment) -> u64| {
            let all: Vec<String> = self.segments.iter().map(|s| number(s).to_string()).collect();
            format!("('{{{}}}'::bigint[])[{segment}]", all.join(","))
        };
        format!(
            "{} + ({place} - {}) * {} / {}",
            list(|s| s.value),
            list(|s| s.from),
            list(|s| s.values),
            list(|s| s.places)
        )
    }
}

/// Returns numbers whose multiples go through all places of so many, the most evenly first.
fn steps(places: u64) -> Vec<u64> {
    let step = |fraction: &f64| coprime((fraction * places as f64).round() as u64, places);
    let mut steps: Vec<u64> = SPREADS.iter().map(step).collect();
    steps.sort_unstable();
    steps.dedup();
    // How near to its beginning few steps lead.
    let evenness = |step: &u64| {
        let back = |count: u64| {
            let at = count * step % places;
            count * at.min(places - at)
        };
        (1..places.min(64)).map(back).min().unwrap_or(0)
    };
    steps.sort_by_key(|step| std::cmp::Reverse(evenness(step)));
    steps
}

/// Returns the next number that shares no divisor with another one.
fn coprime(mut number: u64, of: u64) -> u64 {
    fn divisor(a: u64, b: u64) -> u64 {
        if b == 0 { a } else { divisor(b, a % b) }
    }
    number = number.max(1);
    while divisor(number, of) != 1 {
        number += 1;
    }
    number
}

#[cfg(test)]
mod tests {
    use newcol_core::bench::profile::Common;

    use super::*;

    fn statistics(null_frac: f64, n_distinct: f64, correlation: f64, common: &[f64]) -> Statistics {
        let common = common.iter().map(|frequency| Common {
            frequency: *frequency,
            hash: String::new(),
            value: None,
        });
        Statistics {
            null_frac,
            n_distinct,
            correlation: Some(correlation),
            common: common.collect(),
            ..Statistics::default()
        }
    }

    /// As PostgreSQL computes it: ranks of equal values by their rows.
    fn correlation(values: &[Option<u64>]) -> f64 {
        let mut sorted: Vec<(u64, usize)> =
            values.iter().enumerate().filter_map(|(row, value)| Some(((*value)?, row))).collect();
        sorted.sort_unstable();
        let n = sorted.len() as f64;
        let pairs = || sorted.iter().enumerate().map(|(rank, (_, row))| (rank as f64, *row as f64));
        let mean = |of: &mut dyn Iterator<Item = f64>| of.sum::<f64>() / n;
        let (x, y) = (mean(&mut pairs().map(|p| p.0)), mean(&mut pairs().map(|p| p.1)));
        let cov = mean(&mut pairs().map(|p| (p.0 - x) * (p.1 - y)));
        let (vx, vy) = (
            mean(&mut pairs().map(|p| (p.0 - x).powi(2))),
            mean(&mut pairs().map(|p| (p.1 - y).powi(2))),
        );
        cov / (vx * vy).sqrt()
    }

    #[test]
    fn every_statistic_comes_out() {
        let cases = [
            statistics(0.0, -1.0, 1.0, &[]),
            statistics(0.0, -1.0, 0.0, &[]),
            statistics(0.0, -1.0, -0.7, &[]),
            statistics(0.3, -0.2, 0.5, &[]),
            statistics(0.1, 60.0, 0.1, &[0.4, 0.1]),
            statistics(0.0, 2.0, 0.9, &[0.95, 0.05]),
            statistics(0.0, 500.0, -0.3, &[0.2, 0.05, 0.01]),
            statistics(0.9, 7.0, 0.4, &[]),
        ];
        for (wanted, seed) in cases.iter().zip(1..) {
            for rows in [3_000, 20_000_u64] {
                let of = Ordinals::of(wanted, (rows, rows), Tuning::default(), seed);
                let values: Vec<Option<u64>> = (0..rows).map(|row| of.at(row)).collect();
                let n = rows as f64;
                let mut found: Vec<u64> = values.iter().copied().flatten().collect();
                let nulls = 1.0 - found.len() as f64 / n;
                assert!((nulls - wanted.null_frac).abs() < 0.02, "{wanted:?}: {nulls}");
                found.sort_unstable();
                let mut runs: Vec<f64> =
                    found.chunk_by(|a, b| a == b).map(|run| run.len() as f64 / n).collect();
                let distinct = wanted.distinct(n);
                let ratio = runs.len() as f64 / distinct;
                assert!((0.97..1.03).contains(&ratio), "{wanted:?} of {rows}: {ratio}");
                runs.sort_by(|a, b| b.total_cmp(a));
                for (found, common) in runs.iter().zip(&wanted.common) {
                    assert!((found - common.frequency).abs() < 0.01, "{wanted:?}: {runs:?}");
                }
                let found = correlation(&values);
                let wanted_correlation = wanted.correlation.unwrap();
                assert!((found - wanted_correlation).abs() < 0.1, "{wanted:?} of {rows}: {found}");
            }
        }
    }

    #[test]
    fn columns_are_unique_together_where_they_have_to_be() {
        for (seed, users) in [(1, 1_000.0), (2, 900.0), (3, 4_000.0)] {
            let rows = (20_000, 20_000);
            let team = statistics(0.0, 300.0, 0.1, &[0.01, 0.005]);
            let leader = Ordinals::of(&team, rows, Tuning::default(), seed);
            let user = statistics(0.0, users, 0.0, &[]);
            let mut of = Ordinals::of(&user, rows, Tuning::default(), seed + 7);
            of.follow(leader.clone());
            let pairs: std::collections::BTreeSet<_> =
                (0..rows.0).map(|row| (leader.at(row), of.at(row))).collect();
            assert_eq!(pairs.len(), 20_000, "{users}");
            let values: Vec<Option<u64>> = (0..rows.0).map(|row| of.at(row)).collect();
            assert!(correlation(&values).abs() < 0.1);
        }
    }

    #[test]
    fn tuning_comes_nearer_from_wherever_chance_begins() {
        for seed in 0..40 {
            for (rows, distinct, wanted) in
                [(5_000, 4.0, 0.25), (5_000, 12.0, 0.08), (1_000, 2.0, 0.5), (9_000, 40.0, -0.5)]
            {
                let even: Vec<f64> = vec![1.0 / distinct; distinct as usize];
                let statistics = statistics(0.0, distinct, wanted, &even);
                let mut tuning = Tuning::default();
                let mut seen = Vec::new();
                for _ in 0..4 {
                    let of = Ordinals::of(&statistics, (rows, rows), tuning, seed);
                    let values: Vec<Option<u64>> = (0..rows).map(|row| of.at(row)).collect();
                    seen.push(correlation(&values));
                    let off = wanted - seen[seen.len() - 1];
                    if off.abs() < 0.09 {
                        break;
                    }
                    tuning.correlation += off;
                }
                let last = seen[seen.len() - 1];
                assert!((last - wanted).abs() < 0.09, "{seed}, {rows}, {distinct}: {seen:?}");
            }
        }
    }

    #[test]
    fn rows_that_stay_keep_the_number_of_values_after_others_are_deleted() {
        let unique =
            Ordinals::of(&statistics(0.0, -1.0, 0.0, &[]), (9_000, 6_000), Tuning::default(), 3);
        let values: std::collections::BTreeSet<_> = (0..9_000).map(|row| unique.at(row)).collect();
        assert_eq!(values.len(), 9_000);
    }
}
