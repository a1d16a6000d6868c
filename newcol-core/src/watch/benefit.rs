//! What an index saves and what it costs, both in milliseconds of the database for an hour.
//!
//! For a statement that ran before the index and runs since, the time it would take without the index is
//! its time before, moved by what happened to everyone (the drift of the controls). So
//!
//! ```text
//! saved ms/h = Δcalls/h · (mean_before · e^drift − mean_after)
//! ```
//!
//! and, since `effect = ln(mean_after / mean_before) − drift`, it is `Δcalls/h · mean_after · (e^−effect
//! − 1)`: bounds of the effect are bounds of what is saved. The cost is the same with the sign turned, of
//! the statements that write. Statements born with the column have no time before; what they would
//! take without the index is not known from production, and they are listed, not guessed.
//!
//! Bounds of several statements add up as if all were at their worst at once, which is wider than
//! chance would have it and never narrower.

use super::{
    effect::{Compared, Comparison, Finding},
    series::{QueryId, Role},
};

/// Milliseconds for an hour, with an interval of 95 %.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rate {
    /// The estimate.
    pub ms: f64,
    /// Lower bound.
    pub low: f64,
    /// Upper bound.
    pub high: f64,
}

impl Rate {
    fn plus(self, other: Self) -> Self {
        Self { ms: self.ms + other.ms, low: self.low + other.low, high: self.high + other.high }
    }
}

/// One statement's part.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Part {
    /// Whose.
    pub id: QueryId,
    /// How it uses the column.
    pub role: Role,
    /// What it saves, or costs.
    pub rate: Rate,
}

/// Both sides of an index.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Balance {
    /// What readers save, all together.
    pub benefit: Rate,
    /// What writers pay, all together.
    pub cost: Rate,
    /// Statements, the one that moves most first.
    pub parts: Vec<Part>,
}

/// Returns whether an index can serve a statement of this role.
#[must_use]
pub fn can_gain(role: Role) -> bool {
    match role {
        Role::Filter | Role::Join | Role::Order => true,
        Role::Assigned
        | Role::Inserted
        | Role::Writes
        | Role::Projected
        | Role::Star
        | Role::Control
        | Role::Unknown => false,
    }
}

/// Returns whether a statement of this role may pay for an index.
#[must_use]
pub fn may_pay(role: Role) -> bool {
    match role {
        Role::Assigned | Role::Inserted | Role::Writes => true,
        Role::Filter
        | Role::Join
        | Role::Order
        | Role::Projected
        | Role::Star
        | Role::Control
        | Role::Unknown => false,
    }
}

/// Returns what one statement takes less, if the effect is the index's.
fn saved(query: &Compared, hours: f64) -> Rate {
    let per_hour = query.calls.1 as f64 / hours;
    let less = |effect: f64| per_hour * query.after * (-effect).exp_m1();
    let (low, high) = query.effect.interval;
    // Faster is a negative effect, so the bounds change places.
    Rate { ms: less(query.effect.log_ratio), low: less(high), high: less(low) }
}

/// Weighs a comparison of times, `hours` being the length of the side after.
///
/// Only what was found counts as an estimate; what chance may have done widens the bounds alone.
#[must_use]
pub fn balance(times: &Comparison, hours: f64) -> Balance {
    let mut balance = Balance::default();
    for query in &times.queries {
        let mut rate = saved(query, hours);
        if query.effect.finding != Finding::Changed {
            rate = Rate { ms: 0.0, low: rate.low.min(0.0), high: rate.high.max(0.0) };
        }
        if can_gain(query.role) {
            balance.benefit = balance.benefit.plus(rate);
        } else if may_pay(query.role) {
            rate = Rate { ms: -rate.ms, low: -rate.high, high: -rate.low };
            balance.cost = balance.cost.plus(rate);
        } else {
            continue;
        }
        balance.parts.push(Part { id: query.id, role: query.role, rate });
    }
    balance.parts.sort_by(|a, b| b.rate.ms.abs().total_cmp(&a.rate.ms.abs()));
    balance
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::watch::effect::{Effect, Signal};

    pub(in crate::watch) fn compared(
        id: i64,
        role: Role,
        effect: f64,
        half: f64,
        finding: Finding,
    ) -> Compared {
        let log_ratio = f64::ln(effect);
        Compared {
            id: QueryId(id),
            role,
            before: 10.0,
            after: 10.0 * effect,
            calls: (1000, 2000),
            effect: Effect {
                log_ratio,
                interval: (log_ratio - half, log_ratio + half),
                error: half / 2.0,
                p: 0.001,
                adjusted_p: if finding == Finding::Changed { 0.01 } else { 0.5 },
                detectable: 1.4 * half,
                finding,
            },
        }
    }

    pub(in crate::watch) fn comparison(queries: Vec<Compared>) -> Comparison {
        Comparison {
            signal: Signal::Time,
            queries,
            group: None,
            thin: Vec::new(),
            placebos: vec![-0.02, 0.0, 0.02],
            drift: 0.0,
        }
    }

    #[test]
    fn readers_save_and_writers_pay() {
        let times = comparison(vec![
            compared(1, Role::Filter, 0.1, 0.05, Finding::Changed),
            compared(2, Role::Inserted, 1.2, 0.05, Finding::Changed),
            compared(3, Role::Projected, 9.0, 0.05, Finding::Changed),
        ]);
        let balance = balance(&times, 2.0);
        // 1000 calls an hour, each 9 ms faster; 1000 each 2 ms slower; the third is no reader by index.
        assert!((balance.benefit.ms - 9000.0).abs() < 1e-6, "{balance:?}");
        assert!((balance.cost.ms - 2000.0).abs() < 1e-6, "{balance:?}");
        for rate in [balance.benefit, balance.cost] {
            assert!(rate.low < rate.ms && rate.ms < rate.high, "{rate:?}");
        }
        assert_eq!(balance.parts.iter().map(|p| p.id.0).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn what_everyone_gained_is_not_saved() {
        let mut times = comparison(vec![compared(1, Role::Filter, 1.0, 0.05, Finding::Changed)]);
        // Twice as fast as before, and so are the controls: the effect is none.
        times.queries[0].after = 5.0;
        assert!(balance(&times, 1.0).benefit.ms.abs() < 1e-9);
    }

    #[test]
    fn chance_widens_and_does_not_move() {
        let times = comparison(vec![compared(1, Role::Filter, 0.97, 0.1, Finding::Small)]);
        let benefit = balance(&times, 1.0).benefit;
        assert!(benefit.ms.abs() < 1e-9 && benefit.low < 0.0 && benefit.high > 0.0, "{benefit:?}");
    }
}
