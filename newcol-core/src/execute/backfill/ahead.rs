//! Where a batch by key ends, without asking the server each time.
//!
//! Pure. Finding the row that is so many rows further costs the engine a walk over all of them. Of
//! integers that are unique, a range of `n` holds `n` rows at most; so where they lie close together,
//! as numbers that a sequence gave do, the end is computed, and no batch is larger than was asked.

use crate::keys::{KeyColumn, KeyKind, KeyTuple, KeyValue};

/// Computed ends after which the server is asked again.
const TRUST: u32 = 32;

/// Integers per row above which the table is too sparse to compute ends.
const SPARSE: i128 = 2;

/// What is known of the way ahead.
#[derive(Debug, Clone, Default)]
pub(super) struct Ahead {
    /// Ends that may still be computed.
    trust: u32,
}

impl Ahead {
    /// Returns the end of a batch of at most so many rows after a place; `None` where the server
    /// must be asked.
    pub(super) fn end(
        &mut self,
        key: &[KeyColumn],
        after: Option<&KeyTuple>,
        last: Option<&KeyTuple>,
        rows: u64,
    ) -> Option<KeyTuple> {
        let [KeyColumn { kind: KeyKind::Integer, .. }] = key else { return None };
        if self.trust == 0 {
            return None;
        }
        self.trust -= 1;
        let end = integer(after?)?.checked_add(rows.max(1).into())?;
        (end < integer(last?)?).then(|| KeyTuple(vec![KeyValue::Number(end.to_string())]))
    }

    /// Learns from an end that the server found so many rows after a place.
    pub(super) fn learn(&mut self, after: Option<&KeyTuple>, end: Option<&KeyTuple>, rows: u64) {
        let distance = || integer(end?)?.checked_sub(integer(after?)?);
        let is_dense = distance().is_some_and(|far| far <= i128::from(rows.max(1)) * SPARSE);
        self.trust = if is_dense { TRUST } else { 0 };
    }
}

fn integer(tuple: &KeyTuple) -> Option<i128> {
    match tuple.0.as_slice() {
        [KeyValue::Number(digits)] => digits.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ident::Ident;

    fn key(kind: KeyKind) -> Vec<KeyColumn> {
        vec![KeyColumn { name: Ident::new("id").unwrap(), ty: "bigint".to_owned(), kind }]
    }

    fn at(number: i128) -> KeyTuple {
        KeyTuple(vec![KeyValue::Number(number.to_string())])
    }

    #[test]
    fn dense_keys_are_counted_and_sparse_ones_are_asked_for() {
        let mut ahead = Ahead::default();
        let key = key(KeyKind::Integer);
        let end =
            |ahead: &mut Ahead, after| ahead.end(&key, Some(&at(after)), Some(&at(5000)), 100);
        assert_eq!(end(&mut ahead, 0), None, "nothing is known");
        ahead.learn(Some(&at(0)), Some(&at(120)), 100);
        assert_eq!(end(&mut ahead, 120), Some(at(220)));
        assert_eq!(end(&mut ahead, 4990), None, "the part's last row is near");
        ahead.learn(Some(&at(0)), Some(&at(1000)), 100);
        assert_eq!(end(&mut ahead, 1000), None, "sparse");
    }

    #[test]
    fn trust_ends_and_other_keys_have_none() {
        let mut ahead = Ahead::default();
        ahead.learn(Some(&at(0)), Some(&at(100)), 100);
        let integers = key(KeyKind::Integer);
        let computed = (0..100)
            .filter(|_| ahead.end(&integers, Some(&at(0)), Some(&at(i128::MAX)), 1).is_some())
            .count();
        assert_eq!(computed, TRUST as usize);
        ahead.learn(Some(&at(0)), Some(&at(100)), 100);
        assert_eq!(ahead.end(&key(KeyKind::Number), Some(&at(0)), Some(&at(900)), 1), None);
    }
}
