//! Shapes around a type: NULL, arrays, ranges.

use std::{fmt::Debug, ops::Bound};

use proptest::{
    collection::vec,
    prelude::Just,
    strategy::{BoxedStrategy, Strategy, Union},
};

use super::{ColumnType, ColumnValue, Loss, ValueError, mismatch, with_edges};
use crate::values::kind;

impl<T: ColumnValue> ColumnValue for Option<T> {
    fn strategy(ty: &ColumnType<'_>) -> Result<BoxedStrategy<Self>, ValueError> {
        Ok(proptest::option::weighted(0.9, T::strategy(ty)?).boxed())
    }

    fn literal(&self, ty: &ColumnType<'_>) -> Option<String> {
        self.as_ref().map_or(Some("NULL".to_owned()), |value| value.literal(ty))
    }

    fn rust(&self) -> String {
        self.as_ref().map_or("None".to_owned(), |value| format!("Some({})", value.rust()))
    }

    fn becomes(&self, read: &Self, loss: Loss) -> bool {
        match (self, read) {
            (Some(wrote), Some(read)) => wrote.becomes(read, loss),
            (Some(wrote), None) => loss == Loss::NanIsNull && format!("{wrote:?}") == "NaN",
            (None, _) => false,
        }
    }
}

/// Reports whether two values are the same to the last bit, which `PartialEq` need not say: NaN
/// equals nothing, `1.10` equals `1.1`.
pub(crate) fn same<T: Debug>(a: &T, b: &T) -> bool {
    format!("{a:?}") == format!("{b:?}")
}

impl<T: ColumnValue> ColumnValue for Vec<Option<T>> {
    fn strategy(ty: &ColumnType<'_>) -> Result<BoxedStrategy<Self>, ValueError> {
        let element = kind::element_type(ty).ok_or_else(|| mismatch::<Self>(ty))?;
        let element = ColumnType { sql: &element, ..*ty };
        let edges = vec![Vec::new(), vec![None]];
        Ok(with_edges(edges, vec(Option::<T>::strategy(&element)?, 0..=4)))
    }

    fn literal(&self, _ty: &ColumnType<'_>) -> Option<String> {
        None
    }

    fn rust(&self) -> String {
        let elements: Vec<String> = self.iter().map(ColumnValue::rust).collect();
        format!("vec![{}]", elements.join(", "))
    }

    fn becomes(&self, read: &Self, loss: Loss) -> bool {
        self.len() == read.len()
            && self
                .iter()
                .zip(read)
                .all(|(wrote, read)| same(wrote, read) || wrote.becomes(read, loss))
    }
}

impl<T: ColumnValue + PartialOrd> ColumnValue for (Bound<T>, Bound<T>) {
    fn strategy(ty: &ColumnType<'_>) -> Result<BoxedStrategy<Self>, ValueError> {
        let bound = kind::bound_type(ty).ok_or_else(|| mismatch::<Self>(ty))?;
        let bound = T::strategy(&ColumnType { sql: bound, ..*ty })?;
        let low = Union::new_weighted(vec![
            (8, bound.clone().prop_map(Bound::Included).boxed()),
            (1, Just(Bound::Unbounded).boxed()),
            (1, bound.clone().prop_map(Bound::Excluded).boxed()),
        ]);
        let high = Union::new_weighted(vec![
            (8, bound.clone().prop_map(Bound::Excluded).boxed()),
            (1, Just(Bound::Unbounded).boxed()),
            (1, bound.prop_map(Bound::Included).boxed()),
        ]);
        Ok((low, high).prop_map(ordered).boxed())
    }

    fn literal(&self, _ty: &ColumnType<'_>) -> Option<String> {
        None
    }

    fn rust(&self) -> String {
        let bound = |bound: &Bound<T>| match bound {
            Bound::Included(value) => format!("std::ops::Bound::Included({})", value.rust()),
            Bound::Excluded(value) => format!("std::ops::Bound::Excluded({})", value.rust()),
            Bound::Unbounded => "std::ops::Bound::Unbounded".to_owned(),
        };
        format!("({}, {})", bound(&self.0), bound(&self.1))
    }

    fn becomes(&self, read: &Self, loss: Loss) -> bool {
        if loss == Loss::RangeForm {
            let (wrote, read) = (usual(self), usual(read));
            return is_empty(&wrote) && is_empty(&read) || same(&wrote, &read);
        }
        let bound = |wrote: &Bound<T>, read: &Bound<T>| match (wrote, read) {
            (Bound::Included(wrote), Bound::Included(read))
            | (Bound::Excluded(wrote), Bound::Excluded(read)) => {
                same(wrote, read) || wrote.becomes(read, loss)
            }
            (wrote, read) => same(wrote, read),
        };
        bound(&self.0, &read.0) && bound(&self.1, &read.1)
    }
}

/// Swaps bounds in the wrong order, which every server refuses.
fn ordered<T: PartialOrd>((low, high): (Bound<T>, Bound<T>)) -> (Bound<T>, Bound<T>) {
    use Bound::{Excluded, Included};
    match (low, high) {
        (Included(low), Excluded(high)) if low > high => (Included(high), Excluded(low)),
        (Included(low), Included(high)) if low > high => (Included(high), Included(low)),
        (Excluded(low), Excluded(high)) if low > high => (Excluded(high), Excluded(low)),
        (Excluded(low), Included(high)) if low > high => (Excluded(high), Included(low)),
        bounds => bounds,
    }
}

/// Returns a range with its first value included and its last excluded, where values are counted.
fn usual<T: ColumnValue>(range: &(Bound<T>, Bound<T>)) -> (Bound<T>, Bound<T>) {
    let low = match &range.0 {
        Bound::Excluded(value) => value.successor().map(Bound::Included),
        Bound::Included(_) | Bound::Unbounded => None,
    };
    let high = match &range.1 {
        Bound::Included(value) => value.successor().map(Bound::Excluded),
        Bound::Excluded(_) | Bound::Unbounded => None,
    };
    (low.unwrap_or_else(|| range.0.clone()), high.unwrap_or_else(|| range.1.clone()))
}

fn is_empty<T: PartialOrd>(range: &(Bound<T>, Bound<T>)) -> bool {
    match range {
        (Bound::Included(low), Bound::Included(high)) => low > high,
        (Bound::Included(low) | Bound::Excluded(low), Bound::Excluded(high))
        | (Bound::Excluded(low), Bound::Included(high)) => low >= high,
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
    }
}
