//! A range of rows that owns its bounds.

use super::job::Job;
use crate::{ident::TableName, keys::KeyTuple, render::backfill::Range};

/// What a statement works on, kept for later; see [`Range`].
#[derive(Debug, Clone)]
pub(super) enum Stretch {
    /// Blocks of a relation.
    Pages { relation: TableName, from: u64, to: u64 },
    /// Slots of a block.
    Slots { relation: TableName, block: u64, from: u64, to: u64 },
    /// Rows between two keys.
    Keys { after: Option<KeyTuple>, to: Option<KeyTuple> },
}

impl Stretch {
    pub(super) fn of(range: Range<'_>) -> Self {
        match range {
            Range::Pages { relation, from, to } => {
                Self::Pages { relation: relation.clone(), from, to }
            }
            Range::Slots { relation, block, from, to } => {
                Self::Slots { relation: relation.clone(), block, from, to }
            }
            Range::Keys { after, to, .. } => Self::Keys { after: after.cloned(), to: to.cloned() },
        }
    }

    pub(super) fn range<'a>(&'a self, job: &'a Job) -> Range<'a> {
        match self {
            Self::Pages { relation, from, to } => Range::Pages { relation, from: *from, to: *to },
            Self::Slots { relation, block, from, to } => {
                Range::Slots { relation, block: *block, from: *from, to: *to }
            }
            Self::Keys { after, to } => {
                Range::Keys { key: &job.key, after: after.as_ref(), to: to.as_ref() }
            }
        }
    }
}
