//! Which statements the scans of the column's index are of.
//!
//! The server counts scans of an index, and calls of statements; plans say which statements scan it
//! ([`super::plans`]). Held against each other they say how much is understood. Two numbers are not
//! known exactly and come as a range: how often the inner side of a loop runs (the planner's guess, taken
//! to be right within [`GUESS`]), and which calls of a statement had values with which it uses the index
//! (none to all). Within such a range the server's count decides. What is left over may be looks of the
//! planner, as many as were counted when the same statements were planned by us.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    plans::{Plan, Use, can_use, is_write},
    report::{Interval, intervals_of},
    series::{QueryId, Window},
    store::{Statement, Store, StoreError},
    verdict::Usage,
};

/// Within which factor the planner's guess of loops is believed.
pub const GUESS: f64 = 10.0;

/// What is known of an index's scans since it is there.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Attribution {
    /// When it was last seen not to be there, if ever.
    pub absent_until: Option<f64>,
    /// When it was first seen valid.
    pub since: f64,
    /// Seconds between snapshots that both counted its scans, our own taken away.
    pub seconds: f64,
    /// Who used it; which uses are weighed is for the comparison to say.
    pub usage: Usage,
    /// Statements that an index could serve, with what they did meanwhile.
    pub statements: Vec<Attributed>,
    /// Scans over time.
    pub points: Vec<ScanPoint>,
    /// Replicas that were asked, with their scans; `None` where the last snapshot could not ask.
    pub replicas: Vec<(String, Option<u64>)>,
    /// Seconds between snapshots that counted the scans of all of them.
    pub replica_seconds: f64,
}

/// One statement that an index could serve.
#[derive(Debug, Clone, PartialEq)]
pub struct Attributed {
    /// Its number.
    pub id: QueryId,
    /// Executions.
    pub calls: u64,
    /// What its last plan says of the index, or why there is none.
    pub used: Result<Use, String>,
    /// Scans of the index that are its own, at least and at most.
    pub scans: (f64, f64),
    /// Looks of the planner at the index's ends, at most.
    pub looks: f64,
}

/// Scans of the index between two snapshots, for an hour.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScanPoint {
    /// Seconds since the epoch.
    pub at: f64,
    /// As the server counted.
    pub counted: f64,
    /// As statements explain.
    pub attributed: f64,
}

impl Attributed {
    /// Reports whether it uses the index, if only with some values.
    #[must_use]
    pub fn is_user(&self) -> bool {
        matches!(self.used, Ok(Use::Always { .. } | Use::Sometimes))
    }
}

impl Attribution {
    /// Returns how many of the index's uses are of the given statements.
    #[must_use]
    pub fn of(&self, ids: &BTreeSet<QueryId>) -> u64 {
        let middle = |one: &Attributed| f64::midpoint(one.scans.0, one.scans.1);
        let all: f64 = self.statements.iter().map(middle).sum();
        let own: f64 = self.statements.iter().filter(|one| ids.contains(&one.id)).map(middle).sum();
        let share = if all > 0.0 { own / all } else { 0.0 };
        (share * self.usage.executed as f64).round() as u64
    }

    /// Returns why no plan was read at all; nothing where one was, or there was nothing to plan.
    #[must_use]
    pub fn no_plans(&self) -> Option<String> {
        let refused = self.statements.iter().filter_map(|one| one.used.as_ref().err());
        let any = self.statements.iter().any(|one| one.used.is_ok());
        refused.max().filter(|_| !any).cloned()
    }
}

/// Why a statement has no plan while nothing was tried.
const NOT_READ: &str = "its plan was not read yet";
/// The same of one that is not tried unless asked for.
const WRITES: &str = "it writes or locks, and such plans are read with `--explain-writes` only";

/// Attributes the scans of an index; `None` where it was not seen valid since the column is there.
///
/// # Errors
///
/// Where the file cannot be read.
pub fn attribute(store: &mut Store, index: &str) -> Result<Option<Attribution>, StoreError> {
    let intervals = intervals_of(store)?;
    let mut measured: BTreeMap<(i64, String), f64> = BTreeMap::new();
    for found in store.measures()? {
        if found.measure.object == index {
            measured.insert((found.snapshot, found.measure.name), found.measure.value);
        }
    }
    let statements = store.statements()?;
    let windows: BTreeMap<QueryId, Vec<Window>> =
        store.series()?.into_iter().map(|series| (series.id, series.windows)).collect();
    let plans = store.plans()?;
    let mut told: Vec<Told<'_>> = statements
        .iter()
        .filter(|statement| can_use(statement))
        .map(|statement| Told::of(statement, &plans, &windows, index))
        .collect();
    let at = |snapshot: i64, name: &str| measured.get(&(snapshot, name.to_owned())).copied();
    let is_valid = |snapshot: i64| at(snapshot, "is_valid").is_some_and(|valid| valid != 0.0);
    let Some(since) = intervals.iter().find(|i| i.is_after() && is_valid(i.ends.1)) else {
        return Ok(None);
    };
    let was_there = is_valid(since.ends.0);
    let mut attribution = Attribution {
        absent_until: (!was_there).then_some(since.span.0),
        since: if was_there { since.span.0 } else { since.span.1 },
        ..Attribution::default()
    };
    let mut counted = 0.0;
    let mut known: Vec<&Interval> = Vec::new();
    for interval in intervals.iter().filter(|interval| interval.is_after()) {
        let (from, to) = (at(interval.ends.0, "idx_scan"), at(interval.ends.1, "idx_scan"));
        // Fewer than before: it was built anew, or its counters were reset.
        let (Some(from), Some(to)) = (from, to) else { continue };
        if !is_valid(interval.ends.0) || to < from {
            continue;
        }
        let own = at(interval.ends.0, "own_scans").unwrap_or_default();
        let scans = (to - from - own).max(0.0);
        let (mut least, mut most) = (0.0, 0.0);
        for statement in &mut told {
            let (low, high) = statement.during(interval);
            least += low;
            most += high;
        }
        counted += scans;
        attribution.seconds += interval.seconds();
        let per_hour = |scans: f64| scans * 3600.0 / interval.seconds().max(1e-3);
        attribution.points.push(ScanPoint {
            at: interval.span.1,
            counted: per_hour(scans),
            attributed: per_hour(scans.clamp(least, most.max(least))),
        });
        known.push(interval);
    }
    attribution.statements =
        told.into_iter().map(|told| told.done).filter(|one| one.calls > 0).collect();
    attribution.usage = usage(counted, &attribution.statements);
    replicas(store, index, &known, &mut attribution)?;
    Ok(Some(attribution))
}

/// Lets the server's count decide within what statements may have done.
fn usage(counted: f64, statements: &[Attributed]) -> Usage {
    let sum = |of: fn(&Attributed) -> f64| statements.iter().map(of).sum::<f64>();
    let (least, most) = (sum(|one| one.scans.0), sum(|one| one.scans.1));
    let executed = counted.clamp(least, most.max(least));
    // What was not planned may have scanned it, and must not be taken for a look.
    let unplanned = sum(|one| if one.used.is_err() { one.calls as f64 } else { 0.0 });
    let planned = (counted - executed - unplanned).clamp(0.0, sum(|one| one.looks));
    Usage {
        counted: counted as u64,
        executed: executed as u64,
        weighed: 0,
        planned: planned as u64,
    }
}

/// A statement with its plans, as intervals are added up.
struct Told<'p> {
    done: Attributed,
    /// Plans that were read while the index was there.
    plans: Vec<(&'p Plan, &'p Use)>,
    windows: &'p [Window],
}

impl<'p> Told<'p> {
    fn of(
        statement: &Statement,
        plans: &'p [Plan],
        windows: &'p BTreeMap<QueryId, Vec<Window>>,
        index: &str,
    ) -> Self {
        let own = || plans.iter().filter(|plan| plan.statement == statement.id);
        let read: Vec<(&Plan, &Use)> =
            own().filter_map(|plan| Some((plan, plan.found.as_ref().ok()?.get(index)?))).collect();
        let used = match (read.last(), own().rev().find_map(|plan| plan.found.as_ref().err())) {
            (Some((_, used)), _) => Ok((*used).clone()),
            (None, Some(why)) => Err(why.clone()),
            (None, None)
                if statement.text.as_deref().is_some_and(|text| is_write(statement, text)) =>
            {
                Err(WRITES.to_owned())
            }
            (None, None) => Err(NOT_READ.to_owned()),
        };
        Self {
            done: Attributed { id: statement.id, calls: 0, used, scans: (0.0, 0.0), looks: 0.0 },
            plans: read,
            windows: windows.get(&statement.id).map(Vec::as_slice).unwrap_or_default(),
        }
    }

    /// Adds what it did between two snapshots, and returns its scans then, at least and at most.
    fn during(&mut self, interval: &Interval) -> (f64, f64) {
        let near = |window: &&Window| (window.to - interval.span.1).abs() < 1e-3;
        let Some(window) = self.windows.iter().find(near) else { return (0.0, 0.0) };
        let calls = window.calls as f64;
        self.done.calls += window.calls;
        // A plan is read just after the snapshot that made it due; before the first one nothing else
        // is known.
        let current = self.plans.iter().rfind(|(plan, _)| plan.at <= interval.span.1);
        let Some((plan, used)) = current.or(self.plans.first()) else { return (0.0, 0.0) };
        let scans = match used {
            Use::Always { loops, searches } => {
                let is_guess = (loops - 1.0).abs() > 1e-9;
                let (low, high) = match is_guess {
                    true => ((loops / GUESS).max(1.0), loops * GUESS),
                    false => (1.0, 1.0),
                };
                (calls * low, calls * high * f64::from(*searches))
            }
            Use::Sometimes => (0.0, calls),
            Use::Never => (0.0, 0.0),
        };
        self.done.scans = (self.done.scans.0 + scans.0, self.done.scans.1 + scans.1);
        self.done.looks += calls * plan.looks as f64;
        scans
    }
}

fn replicas(
    store: &mut Store,
    index: &str,
    intervals: &[&Interval],
    attribution: &mut Attribution,
) -> Result<(), StoreError> {
    let mut said: BTreeMap<(i64, String), Option<u64>> = BTreeMap::new();
    let mut names = BTreeSet::new();
    let all = store.replicas()?;
    let newest = all.last().map(|one| one.snapshot);
    for one in all {
        // A name that never answered and is not passed any more was misspelt.
        if one.scans.is_ok() || Some(one.snapshot) == newest {
            names.insert(one.replica.clone());
        }
        let scans = one.scans.ok().and_then(|scans| {
            scans.into_iter().find(|(name, _)| name == index).map(|(_, scans)| scans)
        });
        said.insert((one.snapshot, one.replica), scans);
    }
    let at = |snapshot: i64, name: &str| said.get(&(snapshot, name.to_owned())).copied().flatten();
    let grown = |interval: &Interval, name: &str| {
        at(interval.ends.1, name)?.checked_sub(at(interval.ends.0, name)?)
    };
    for interval in intervals {
        if names.iter().all(|name| grown(interval, name).is_some()) {
            attribution.replica_seconds += interval.seconds();
        }
    }
    for name in names {
        let is_known = intervals.last().is_some_and(|last| at(last.ends.1, &name).is_some());
        let scans: u64 = intervals.iter().filter_map(|interval| grown(interval, &name)).sum();
        attribution.replicas.push((name, is_known.then_some(scans)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(used: Use, scans: (f64, f64), looks: f64) -> Attributed {
        Attributed { id: QueryId(1), calls: 100, used: Ok(used), scans, looks }
    }

    #[test]
    fn the_count_decides_within_what_plans_allow() {
        let always = || one(Use::Always { loops: 1.0, searches: 1 }, (100.0, 100.0), 0.0);
        let sometimes = || one(Use::Sometimes, (0.0, 100.0), 0.0);
        let planned = || one(Use::Never, (0.0, 0.0), 200.0);
        let unplanned =
            || Attributed { used: Err("denied".into()), ..one(Use::Never, (0.0, 0.0), 0.0) };
        for (counted, statements, executed, planned_looks, explained) in [
            (100.0, vec![always()], 100, 0, 1.0),
            // Somebody else scans it as often.
            (200.0, vec![always()], 100, 0, 0.5),
            // It does not do what its plan says.
            (10.0, vec![always()], 100, 0, 0.1),
            (150.0, vec![always(), sometimes()], 150, 0, 1.0),
            // Nothing but looks of the planner.
            (150.0, vec![planned()], 0, 150, 1.0),
            (400.0, vec![planned()], 0, 200, 0.5),
            // A use comes before a look: what may be used is not called unused.
            (50.0, vec![planned(), sometimes()], 50, 0, 1.0),
            (0.0, vec![sometimes()], 0, 0, 1.0),
            // Nor is what was not planned.
            (150.0, vec![planned(), unplanned()], 0, 50, 1.0 / 3.0),
        ] {
            let usage = usage(counted, &statements);
            assert_eq!((usage.executed, usage.planned), (executed, planned_looks), "{usage:?}");
            assert!((usage.explained() - explained).abs() < 1e-9, "{usage:?}");
        }
    }
}
