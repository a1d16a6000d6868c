//! UUIDs.

use proptest::{prelude::any, strategy::BoxedStrategy, strategy::Strategy};
use uuid::Uuid;

use super::{ColumnType, ColumnValue, Kind, Loss, ValueError, with_edges};

impl ColumnValue for Uuid {
    fn strategy(ty: &ColumnType<'_>) -> Result<BoxedStrategy<Self>, ValueError> {
        Kind::of(ty)?;
        let edges = vec![Uuid::nil(), Uuid::from_u128(u128::MAX)];
        Ok(with_edges(edges, any::<u128>().prop_map(Uuid::from_u128)))
    }

    fn literal(&self, _ty: &ColumnType<'_>) -> Option<String> {
        Some(format!("'{self}'"))
    }

    fn rust(&self) -> String {
        format!("uuid::Uuid::from_u128({:#034x})", self.as_u128())
    }

    fn becomes(&self, _read: &Self, _loss: Loss) -> bool {
        false
    }
}
