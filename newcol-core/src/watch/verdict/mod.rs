//! One word for a column's index, and what stands behind it.
//!
//! | word | said when |
//! |---|---|
//! | `UNKNOWN` | a gate is closed ([`super::gate`]): nothing else is looked at |
//! | `REGRESSION` | a statement became slower, or its plan worse, and it is not chance |
//! | `DROP?` | nothing used the index, anywhere, for long enough, and nothing needs it |
//! | `CHANGE` | another index would do the same for less |
//! | `KEEP` | the least it saves is more than the most it costs, or a constraint needs it |
//! | `WAIT` | all else, with how long |
//! | `QUIET` | there is no index, and nothing became worse |
//!
//! The first that holds is said. Each carries its numbers, its window and the level of the data, and a
//! `DROP?` that was refused says why: [`Refusal`] lists what makes "unused" a wrong conclusion. The
//! question mark stays: we print the statements, we never run them.
//!
//! `idx_scan` alone proves neither use nor disuse: uniqueness checks do not count, planning does. So
//! scans are attributed to statements by their plans, and if less than four fifths of what the server
//! counted can be explained so ([`Usage::explained`]), no verdict goes beyond `WAIT`.

mod drop;
mod wait;
mod words;

use std::fmt;

pub use self::{
    drop::{ForeignKey, Refusal},
    wait::Longer,
};
use super::{
    benefit::{Balance, Rate, may_pay},
    effect::{Compared, Comparison, Effect, Finding, Signal},
    gate::Reason,
};

/// Which share of index scans must be explained by statements.
pub const EXPLAINED: f64 = 0.8;
/// Days without use before an index may be called unused: a week has all its weekdays.
pub const DAYS: f64 = 7.0;
/// From which share of NULLs on a partial index is smaller by half or more.
pub const NULLS: f64 = 0.5;
/// From which correlation on blocks are in the order of values, as BRIN needs.
pub const CORRELATION: f64 = 0.95;

/// Everything that a verdict is based on.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// Beginning and end of what was watched, in seconds since the epoch.
    pub window: (f64, f64),
    /// What could be read.
    pub level: Level,
    /// Why no plan could be read, if so.
    pub no_plans: Option<String>,
    /// Closed gates.
    pub gates: Vec<Reason>,
    /// Comparisons of all signals that could be compared.
    pub comparisons: Vec<Comparison>,
    /// The index, if there is one.
    pub index: Option<IndexEvidence>,
}

/// What is known of an index.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexEvidence {
    /// Its facts in the catalog.
    pub facts: IndexFacts,
    /// Who used it.
    pub usage: Usage,
    /// Where else it may be used.
    pub replicas: Replicas,
    /// What it saves and costs.
    pub balance: Balance,
    /// Days that its use was watched for.
    pub days: f64,
    /// Whether a month's end has to be, and was, among them.
    pub month_end: MonthEnd,
    /// What the column's statistics say.
    pub column: ColumnFacts,
    /// Bytes to read and write if it had to be built again.
    pub rebuild_bytes: u64,
}

/// How much can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Counters without texts: roles are unknown but for "cannot involve the column".
    Counters,
    /// Texts as well: roles are known.
    Texts,
    /// Plans as well: use of the index is attributed.
    Plans,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counters => "counters only",
            Self::Texts => "counters and texts",
            Self::Plans => "counters, texts and plans",
        })
    }
}

/// What the catalog says of an index.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexFacts {
    /// Its name, with schema, quoted.
    pub name: String,
    /// `pg_get_indexdef`.
    pub definition: String,
    /// Its size.
    pub bytes: u64,
    /// Rows must differ in it.
    pub unique: bool,
    /// It is the primary key's.
    pub primary: bool,
    /// An exclusion constraint's.
    pub exclusion: bool,
    /// Logical replication finds rows by it.
    pub replica_identity: bool,
    /// A foreign key that deletes or updates look up by it, or that refers to it.
    pub foreign_key: Option<ForeignKey>,
    /// It is of an expression, of which the planner keeps statistics as long as it is there.
    pub expression: bool,
    /// It has a predicate.
    pub partial: bool,
    /// Another index that begins with the same columns.
    pub covered_by: Option<String>,
}

impl IndexFacts {
    /// An index that nothing but its readers needs.
    #[must_use]
    pub fn plain(name: impl Into<String>, definition: impl Into<String>, bytes: u64) -> Self {
        Self {
            name: name.into(),
            definition: definition.into(),
            bytes,
            unique: false,
            primary: false,
            exclusion: false,
            replica_identity: false,
            foreign_key: None,
            expression: false,
            partial: false,
            covered_by: None,
        }
    }
}

/// What is known of the column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ColumnFacts {
    /// Share of rows without a value.
    pub null_frac: f64,
    /// Between the order of rows and of values.
    pub correlation: Option<f64>,
    /// What statements ask of it.
    pub asked: Asked,
}

/// What statements ask of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Nothing but ranges of values.
    Ranges,
    /// Values, and never rows without one.
    Values,
    /// Rows without a value as well.
    Nulls,
    /// Not to be told.
    Unknown,
}

/// Who used an index, between two snapshots.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// What the server counted (`idx_scan`).
    pub counted: u64,
    /// Executions of statements whose plan names the index.
    pub executed: u64,
    /// Of these, executions of statements that ran before the index as well, so that what it saves them
    /// is known.
    pub weighed: u64,
    /// Looks at its ends while planning, which the server counts as scans.
    pub planned: u64,
}

impl Usage {
    /// Returns which share of the scans is explained; scans that should have been and were not count
    /// against it as well.
    #[must_use]
    pub fn explained(&self) -> f64 {
        let told = self.executed.saturating_add(self.planned);
        match told.max(self.counted) {
            0 => 1.0,
            most => told.min(self.counted) as f64 / most as f64,
        }
    }
}

/// Where else an index may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replicas {
    /// Someone said that there is none.
    None,
    /// Nobody said anything: a physical replica has the index and its own counters.
    Unlisted,
    /// Their names, each with its scans; `None` where it could not be asked.
    Asked(Vec<(String, Option<u64>)>),
}

/// Whether a month's end matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MonthEnd {
    /// Nobody asked for it.
    NotAsked,
    /// It was watched.
    Seen,
    /// It has to be, and was not.
    Missing,
}

/// The one word, with its numbers.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// The index stays.
    Keep(Keep),
    /// It may go.
    Drop {
        /// What it costs, and for nothing.
        cost: Rate,
        /// Bytes that it takes.
        bytes: u64,
        /// What drops it, and what would build it again.
        statements: [String; 2],
        /// Bytes that the latter would read and write.
        rebuild_bytes: u64,
    },
    /// Another one would be better.
    Change(Change),
    /// Something became worse.
    Regression {
        /// Which statements, the one that became worst first.
        worse: Vec<Worse>,
        /// All of them together, by the signals that show it.
        together: Vec<(Signal, Effect)>,
    },
    /// Not yet to be told.
    Wait {
        /// Why not.
        why: Why,
        /// How long.
        longer: Option<Longer>,
    },
    /// Not to be told like this.
    Unknown(Vec<Reason>),
    /// No index, and nothing became worse.
    Quiet {
        /// The smallest change of all statements together that would have been found, as a logarithm.
        detectable: Option<f64>,
    },
}

/// Why an index stays.
#[derive(Debug, Clone, PartialEq)]
pub enum Keep {
    /// It saves more than it costs.
    Pays {
        /// Of readers.
        benefit: Rate,
        /// Of writers.
        cost: Rate,
    },
    /// Something needs it, used or not.
    Needed(Vec<Refusal>),
}

/// What would be better.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// `WHERE column IS NOT NULL`.
    Partial {
        /// Share of rows that would not be in it.
        null_frac: f64,
    },
    /// Ranges of a column whose rows lie in its order.
    Brin {
        /// How well they do.
        correlation: f64,
    },
    /// There is one already.
    Covered {
        /// Its name.
        by: String,
    },
    /// None: it is used, and costs more than that saves.
    Loses {
        /// Of readers.
        benefit: Rate,
        /// Of writers.
        cost: Rate,
    },
}

/// A statement that became worse.
#[derive(Debug, Clone, PartialEq)]
pub struct Worse {
    /// What became worse.
    pub signal: Signal,
    /// The statement.
    pub query: Compared,
}

/// Why it cannot be told yet.
#[derive(Debug, Clone, PartialEq)]
pub enum Why {
    /// Nobody knows who scans it.
    NoPlans {
        /// What the server said.
        why: Option<String>,
    },
    /// Scans that no statement explains.
    Unexplained {
        /// The share that is explained.
        share: f64,
    },
    /// What it saves most of its users is unknown: they never ran without it.
    NoBefore {
        /// The share of uses of which it is known.
        share: f64,
    },
    /// Nothing used it, but.
    NotDropped(Vec<Refusal>),
    /// Intervals of benefit and cost overlap.
    Overlap {
        /// Of readers.
        benefit: Rate,
        /// Of writers.
        cost: Rate,
    },
    /// There is nothing to compare.
    NothingCompared,
}

/// A verdict and what it is of.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// The word.
    pub verdict: Verdict,
    /// Beginning and end of what was watched.
    pub window: (f64, f64),
    /// What could be read.
    pub level: Level,
}

impl Verdict {
    /// Returns the word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Keep(_) => "KEEP",
            Self::Drop { .. } => "DROP?",
            Self::Change(_) => "CHANGE",
            Self::Regression { .. } => "REGRESSION",
            Self::Wait { .. } => "WAIT",
            Self::Unknown(_) => "UNKNOWN",
            Self::Quiet { .. } => "QUIET",
        }
    }
}

/// Says the word.
#[must_use]
pub fn judge(evidence: &Evidence) -> Judgement {
    let verdict = verdict(evidence);
    Judgement { verdict, window: evidence.window, level: evidence.level }
}

fn verdict(evidence: &Evidence) -> Verdict {
    if !evidence.gates.is_empty() {
        return Verdict::Unknown(evidence.gates.clone());
    }
    let (worse, together) = (worse(&evidence.comparisons), together(&evidence.comparisons));
    if !worse.is_empty() || !together.is_empty() {
        return Verdict::Regression { worse, together };
    }
    let Some(index) = &evidence.index else {
        let detectable = wait::detectable(&evidence.comparisons);
        if detectable.is_none() {
            return Verdict::Wait { why: Why::NothingCompared, longer: None };
        }
        return Verdict::Quiet { detectable };
    };
    of_index(evidence, index)
}

/// Says the word on the index alone, whatever became of statements; nothing while a gate is closed or
/// there is none.
#[must_use]
pub fn judge_index(evidence: &Evidence) -> Option<Verdict> {
    let index = evidence.index.as_ref().filter(|_| evidence.gates.is_empty())?;
    Some(of_index(evidence, index))
}

fn of_index(evidence: &Evidence, index: &IndexEvidence) -> Verdict {
    let needed = drop::needed(&index.facts);
    if !needed.is_empty() {
        return Verdict::Keep(Keep::Needed(needed));
    }
    let share = index.usage.explained();
    let hours = (evidence.window.1 - evidence.window.0) / 3600.0;
    if evidence.level < Level::Plans {
        let why = Why::NoPlans { why: evidence.no_plans.clone() };
        return Verdict::Wait { why, longer: None };
    }
    if share < EXPLAINED {
        return Verdict::Wait { why: Why::Unexplained { share }, longer: None };
    }
    if index.usage.executed == 0 {
        return drop::unused(index);
    }
    let (benefit, cost) = (index.balance.benefit, index.balance.cost);
    if let Some(change) = change(index) {
        return Verdict::Change(change);
    }
    if benefit.low > cost.high.max(0.0) {
        return Verdict::Keep(Keep::Pays { benefit, cost });
    }
    let weighed = index.usage.weighed as f64 / index.usage.executed as f64;
    if weighed < EXPLAINED {
        return Verdict::Wait { why: Why::NoBefore { share: weighed }, longer: None };
    }
    if benefit.high < cost.low {
        return Verdict::Change(Change::Loses { benefit, cost });
    }
    let longer = wait::longer(&index.balance, &evidence.comparisons, hours);
    Verdict::Wait { why: Why::Overlap { benefit, cost }, longer }
}

/// More rows for a call are another question, not a worse answer.
fn tells_of_worse(comparison: &&Comparison) -> bool {
    comparison.signal != Signal::Rows
}

fn became_worse(effect: &Effect) -> bool {
    effect.finding == Finding::Changed && effect.interval.0 > 0.0
}

/// Returns what became worse of all statements together, if none of them is a writer: writers pay for an
/// index by design, and that is weighed.
fn together(comparisons: &[Comparison]) -> Vec<(Signal, Effect)> {
    let readers = |one: &&Comparison| !one.queries.iter().any(|query| may_pay(query.role));
    let group = |one: &Comparison| Some((one.signal, one.group.clone()?));
    let groups = comparisons.iter().filter(tells_of_worse).filter(readers).filter_map(group);
    groups.filter(|(_, effect)| became_worse(effect)).collect()
}

/// Returns what became worse: a statement once, by the first signal that shows it.
fn worse(comparisons: &[Comparison]) -> Vec<Worse> {
    let mut worse: Vec<Worse> = Vec::new();
    for comparison in comparisons.iter().filter(tells_of_worse) {
        for query in comparison.queries.iter().filter(|query| !may_pay(query.role)) {
            let known = worse.iter().any(|other| other.query.id == query.id);
            if became_worse(&query.effect) && !known {
                worse.push(Worse { signal: comparison.signal, query: query.clone() });
            }
        }
    }
    worse.sort_by(|a, b| b.query.effect.log_ratio.total_cmp(&a.query.effect.log_ratio));
    worse
}

fn change(index: &IndexEvidence) -> Option<Change> {
    if let Some(by) = &index.facts.covered_by {
        return Some(Change::Covered { by: by.clone() });
    }
    let column = &index.column;
    if let Some(correlation) = column.correlation.map(f64::abs)
        && correlation >= CORRELATION
        && column.asked == Asked::Ranges
    {
        return Some(Change::Brin { correlation });
    }
    let never_null = matches!(column.asked, Asked::Ranges | Asked::Values);
    (column.null_frac >= NULLS && !index.facts.partial && never_null)
        .then_some(Change::Partial { null_frac: column.null_frac })
}

#[cfg(test)]
mod tests;
