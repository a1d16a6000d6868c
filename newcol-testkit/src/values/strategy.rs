//! Proptest strategies over values in SQL.

use proptest::{
    sample::select,
    strategy::{BoxedStrategy, Strategy, Union},
};

use super::{ColumnType, SqlValue, ValueError, edges, kind::Kind, sample};

/// Of this many values, one is an edge.
const EDGE_IN: u32 = 4;

/// Returns literals of a type, one in four of them an edge; they shrink to the first edge and to
/// the sample of zero.
///
/// NULL is the caller's: whether the column allows it is not part of the type.
pub fn sql(ty: &ColumnType<'_>) -> Result<BoxedStrategy<SqlValue>, ValueError> {
    let kind = Kind::of(ty)?;
    let product = ty.product;
    let edges = super::edges(ty)?;
    let plain = proptest::num::u64::ANY.prop_map(move |n| SqlValue {
        sql: sample::value(&kind, product, n).literal(product),
        edge: None,
    });
    Ok(with_edges(edges, plain))
}

/// Mixes edges into plain values.
pub(super) fn with_edges<T: Clone + std::fmt::Debug + 'static>(
    edges: Vec<T>,
    plain: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<T> {
    if edges.is_empty() {
        return plain.boxed();
    }
    Union::new_weighted(vec![(1, select(edges).boxed()), (EDGE_IN - 1, plain.boxed())]).boxed()
}

/// Returns the texts that fit into a kind, as far as it has any that are known.
pub(super) fn texts(kind: &Kind, ty: &ColumnType<'_>) -> Option<Vec<String>> {
    match kind {
        Kind::Text { limit, text } => {
            let texts = edges::texts(*limit, *text, ty.product);
            Some(texts.into_iter().map(|(_, text)| text).collect())
        }
        Kind::Label(labels) => Some(labels.clone()),
        _ => None,
    }
}
