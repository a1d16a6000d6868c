//! One finding per place, whichever targets, sets and stages see it.

use std::collections::BTreeSet;

use super::Set;
use crate::audit::finding::{Finding, Where};

/// Findings as they come, each with the sets that see it.
pub(super) struct Merged<'a> {
    sets: &'a [Set],
    found: Vec<(Finding, BTreeSet<usize>)>,
}

impl<'a> Merged<'a> {
    pub(super) fn new(sets: &'a [Set]) -> Self {
        Self { sets, found: Vec::new() }
    }

    /// Adds a finding of a set; stages come in their order, so the first is the one it is due at.
    pub(super) fn add(&mut self, set: usize, finding: Finding) {
        let alike = |known: &&mut (Finding, BTreeSet<usize>)| {
            known.0.rule == finding.rule && known.0.place == finding.place
        };
        match self.found.iter_mut().find(alike) {
            Some((known, sets)) if known.due == finding.due => {
                sets.insert(set);
            }
            Some(_) => {}
            None => self.found.push((finding, BTreeSet::from([set]))),
        }
    }

    /// Returns the findings by stage and place; those that not every set sees say so.
    pub(super) fn into_findings(self) -> Vec<Finding> {
        let sets = self.sets;
        let mut findings: Vec<Finding> = self
            .found
            .into_iter()
            .map(|(mut finding, by)| {
                if by.len() < sets.len() {
                    let names = by.iter().map(|at| format!("`{}`", sets[*at].args().join(" ")));
                    let names: Vec<String> = names.collect();
                    finding.message =
                        format!("{} (only with {})", finding.message, names.join(", "));
                }
                finding
            })
            .collect();
        findings.sort_by_cached_key(|finding| match &finding.place {
            Where::File { path, at } => (finding.due, 0, path.to_string(), at.range.start),
            Where::Database(name) | Where::Package(name) | Where::Statement { sql: name, .. } => {
                (finding.due, 1, name.clone(), 0)
            }
        });
        findings
    }
}
