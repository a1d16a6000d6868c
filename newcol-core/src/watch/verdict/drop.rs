//! What makes "unused" a wrong conclusion.

use super::{DAYS, IndexEvidence, IndexFacts, MonthEnd, Replicas, Verdict, Why};

/// A foreign key that has to do with an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForeignKey {
    /// Others refer to the index's columns: it is what keeps them unique.
    ReferredTo(String),
    /// The index's columns refer to others: each deletion there looks for rows here, and no plan of a
    /// statement shows it.
    Refers(String),
}

/// Why an index that nothing was seen to use is not called unused.
#[derive(Debug, Clone, PartialEq)]
pub enum Refusal {
    /// It keeps rows different, which counts as no scan.
    Unique,
    /// It is the primary key's.
    Primary,
    /// It keeps an exclusion constraint.
    Exclusion,
    /// Logical replication finds rows by it.
    ReplicaIdentity,
    /// A foreign key needs it.
    ForeignKey(ForeignKey),
    /// The planner's statistics of its expression would go with it, and serve other plans.
    Expression,
    /// Nobody said which replicas there are.
    ReplicasUnlisted,
    /// A replica could not be asked.
    ReplicaSilent {
        /// Which.
        name: String,
    },
    /// A replica uses it.
    ReplicaUses {
        /// Which.
        name: String,
        /// How often.
        scans: u64,
    },
    /// Not watched for long enough.
    TooFewDays {
        /// How many.
        days: f64,
    },
    /// A month's end has to be watched, and was not.
    NoMonthEnd,
    /// It costs nothing that could be saved.
    CostsNothing,
}

/// Returns why the index has to stay, used or not.
pub(super) fn needed(facts: &IndexFacts) -> Vec<Refusal> {
    let rules = [
        (facts.primary, Refusal::Primary),
        (facts.unique && !facts.primary, Refusal::Unique),
        (facts.exclusion, Refusal::Exclusion),
        (facts.replica_identity, Refusal::ReplicaIdentity),
        (facts.expression, Refusal::Expression),
    ];
    let mut needed: Vec<_> =
        rules.into_iter().filter_map(|(holds, refusal)| holds.then_some(refusal)).collect();
    needed.extend(facts.foreign_key.clone().map(Refusal::ForeignKey));
    needed
}

/// Returns why it is too early to call the index unused.
fn too_early(index: &IndexEvidence) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    match &index.replicas {
        Replicas::None => {}
        Replicas::Unlisted => refusals.push(Refusal::ReplicasUnlisted),
        Replicas::Asked(replicas) => {
            refusals.extend(replicas.iter().filter_map(|(name, scans)| match scans {
                None => Some(Refusal::ReplicaSilent { name: name.clone() }),
                Some(0) => None,
                Some(scans) => Some(Refusal::ReplicaUses { name: name.clone(), scans: *scans }),
            }));
        }
    }
    let long_enough = index.days >= DAYS;
    if !long_enough {
        refusals.push(Refusal::TooFewDays { days: index.days });
    }
    if index.month_end == MonthEnd::Missing {
        refusals.push(Refusal::NoMonthEnd);
    }
    if index.facts.bytes == 0 && index.balance.cost.high <= 0.0 {
        refusals.push(Refusal::CostsNothing);
    }
    refusals
}

/// Judges an index that nothing was seen to use and that nothing needs.
pub(super) fn unused(index: &IndexEvidence) -> Verdict {
    let refusals = too_early(index);
    if !refusals.is_empty() {
        let days = (DAYS - index.days).max(0.0);
        let longer = (days > 0.0).then_some(super::Longer { hours: days * 24.0, calls: None });
        return Verdict::Wait { why: Why::NotDropped(refusals), longer };
    }
    let rebuild = index.facts.definition.replacen("INDEX", "INDEX CONCURRENTLY", 1);
    Verdict::Drop {
        cost: index.balance.cost,
        bytes: index.facts.bytes,
        statements: [format!("DROP INDEX CONCURRENTLY {}", index.facts.name), rebuild],
        rebuild_bytes: index.rebuild_bytes,
    }
}
