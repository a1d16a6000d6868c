//! JSON of `serde_json`.

use proptest::{
    collection::{btree_map, vec},
    prelude::{Just, any},
    strategy::{BoxedStrategy, Strategy, Union},
};
use serde_json::{Map, Value, json};

use super::{ColumnType, ColumnValue, Kind, Loss, ValueError, with_edges};
use crate::values::literal;

impl ColumnValue for Value {
    fn strategy(ty: &ColumnType<'_>) -> Result<BoxedStrategy<Self>, ValueError> {
        Kind::of(ty)?;
        let edges = vec![
            Value::Null,
            json!({}),
            json!([]),
            json!(-0.0),
            json!(1.0),
            json!(0.1),
            json!(u64::MAX),
            json!(i64::MIN),
            json!(f64::MAX),
            json!(5e-324),
            json!("😀"),
            json!({"": null}),
            json!({"bb": 1, "a": 2}),
            json!("\0"),
        ];
        Ok(with_edges(edges, plain()))
    }

    fn literal(&self, ty: &ColumnType<'_>) -> Option<String> {
        Some(literal::text(ty.product, &self.to_string()))
    }

    fn rust(&self) -> String {
        format!("serde_json::from_str::<serde_json::Value>({:?}).unwrap()", self.to_string())
    }

    fn becomes(&self, read: &Self, loss: Loss) -> bool {
        loss == Loss::JsonNumber && near(self, read)
    }
}

/// Reports whether two values differ in the last digits of fractions only.
fn near(a: &Value, b: &Value) -> bool {
    match (a, b) {
        // A whole number may be written without its point.
        (Value::Number(a), Value::Number(b)) if a.is_f64() || b.is_f64() => {
            let (a, b) = (a.as_f64().unwrap_or_default(), b.as_f64().unwrap_or_default());
            (a - b).abs() <= a.abs() * 1e-15
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| near(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| near(a, b)))
        }
        (a, b) => a == b,
    }
}

fn plain() -> BoxedStrategy<Value> {
    let text = "[a-zä😀\"\\\\ ]{0,6}";
    let leaf = Union::new(vec![
        Just(Value::Null).boxed(),
        any::<bool>().prop_map(Value::Bool).boxed(),
        any::<i64>().prop_map(|n| json!(n)).boxed(),
        proptest::num::f64::NORMAL.prop_map(|n| json!(n)).boxed(),
        text.prop_map(Value::String).boxed(),
    ]);
    leaf.prop_recursive(3, 12, 4, move |inner| {
        Union::new(vec![
            vec(inner.clone(), 0..4).prop_map(Value::Array).boxed(),
            btree_map(text, inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect::<Map<_, _>>()))
                .boxed(),
        ])
    })
    .boxed()
}
