//! A part of a table that is gone through piece by piece: pure.

use super::{
    Route,
    job::{Job, Relation},
};
use crate::{ident::TableName, keys::KeyTuple, render::backfill::Range};

/// A part of a table that owns its bounds, as opposed to [`Range`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Chunk {
    /// Blocks of the table or one of its partitions.
    Blocks {
        relation: TableName,
        /// First block.
        from: u64,
        /// Block after the last one.
        to: u64,
    },
    /// Rows in the order of a key.
    Keys {
        /// Rows after this one; from the first one where it is missing.
        after: Option<KeyTuple>,
        /// Key of the last row.
        to: KeyTuple,
    },
}

impl Chunk {
    /// Divides the whole table: by its blocks, or up to its last row.
    pub(super) fn whole(route: &Route, last: Option<KeyTuple>) -> Vec<Self> {
        let blocks = |relation: &Relation| Self::Blocks {
            relation: relation.name.clone(),
            from: 0,
            to: relation.blocks,
        };
        match route {
            Route::Blocks(relations) => {
                relations.iter().filter(|relation| relation.blocks > 0).map(blocks).collect()
            }
            Route::Keys => last.map(|to| Self::Keys { after: None, to }).into_iter().collect(),
        }
    }

    pub(super) fn range<'a>(&'a self, job: &'a Job) -> Range<'a> {
        match self {
            Self::Blocks { relation, from, to } => Range::Pages { relation, from: *from, to: *to },
            Self::Keys { after, to } => {
                Range::Keys { key: &job.key, after: after.as_ref(), to: Some(to) }
            }
        }
    }

    /// Takes so many blocks off the front; returns them and the rest.
    pub(super) fn split_blocks(
        relation: &TableName,
        from: u64,
        to: u64,
        blocks: u64,
    ) -> (Self, Option<Self>) {
        let middle = from.saturating_add(blocks.max(1)).min(to);
        let part = |from, to| Self::Blocks { relation: relation.clone(), from, to };
        (part(from, middle), (middle < to).then(|| part(middle, to)))
    }

    /// Takes the rows up to a key off the front; all of them where there is none. Returns them and
    /// the rest.
    pub(super) fn split_keys(
        after: Option<&KeyTuple>,
        to: &KeyTuple,
        middle: Option<KeyTuple>,
    ) -> (Self, Option<Self>) {
        let part = |after, to| Self::Keys { after, to };
        match middle {
            Some(middle) if middle != *to => {
                (part(after.cloned(), middle.clone()), Some(part(Some(middle), to.clone())))
            }
            Some(_) | None => (part(after.cloned(), to.clone()), None),
        }
    }

    /// Appends a chunk that begins where this one ends; reports whether it does.
    pub(super) fn append(&mut self, next: &Self) -> bool {
        match (self, next) {
            (
                Self::Blocks { relation, to, .. },
                Self::Blocks { relation: other, from, to: end },
            ) if relation == other && to == from => {
                *to = *end;
                true
            }
            (Self::Keys { to, .. }, Self::Keys { after: Some(after), to: end }) if to == after => {
                to.clone_from(end);
                true
            }
            (Self::Blocks { .. } | Self::Keys { .. }, _) => false,
        }
    }

    /// Says where it is, for people.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Blocks { relation, from, to } if *to == from + 1 => {
                format!("block {from} of `{relation}`")
            }
            Self::Blocks { relation, from, to } => {
                format!("blocks {from} to {} of `{relation}`", to.saturating_sub(1))
            }
            Self::Keys { after: None, to } => format!("rows up to {}", to.describe()),
            Self::Keys { after: Some(after), to } => {
                format!("rows after {} up to {}", after.describe(), to.describe())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::KeyValue;

    fn key(number: u64) -> KeyTuple {
        KeyTuple(vec![KeyValue::Number(number.to_string())])
    }

    /// What is split can be put together again.
    #[test]
    fn pieces_make_up_the_whole() {
        let relation: TableName = "public.users".parse().unwrap();
        let (mut blocks, rest) = Chunk::split_blocks(&relation, 3, 10, 4);
        assert_eq!(blocks.describe(), "blocks 3 to 6 of `public.users`");
        assert!(blocks.append(&rest.unwrap()));
        assert_eq!(blocks.describe(), "blocks 3 to 9 of `public.users`");
        assert_eq!(Chunk::split_blocks(&relation, 3, 10, 7).1, None);

        let (mut rows, rest) = Chunk::split_keys(None, &key(10), Some(key(4)));
        assert_eq!(rows.describe(), "rows up to 4");
        let rest = rest.unwrap();
        assert_eq!(rest.describe(), "rows after 4 up to 10");
        assert!(rows.append(&rest));
        assert!(!rows.append(&rest));
        assert!(!rows.append(&blocks));
        assert_eq!(Chunk::split_keys(None, &key(10), Some(key(10))).1, None);
    }
}
