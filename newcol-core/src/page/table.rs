//! Tables that can be sorted.

use maud::{Markup, html};

use super::numbers;

/// A table.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// What each column holds.
    pub columns: Vec<Column>,
    /// Rows, with one value for each column.
    pub rows: Vec<Vec<Value>>,
}

/// A column's heading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column(pub String);

/// What a cell holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Words.
    Text(String),
    /// A number; one that is none is shown as a dash.
    Number(f64),
    /// Seconds since the epoch.
    Moment(f64),
}

impl Table {
    /// Returns a table of some columns.
    #[must_use]
    pub fn new(columns: &[&str], rows: Vec<Vec<Value>>) -> Self {
        Self { columns: columns.iter().map(|name| Column((*name).to_owned())).collect(), rows }
    }

    pub(super) fn draw(&self) -> Markup {
        html! {
            div.scroll tabindex="0" {
                table {
                    thead { tr { @for column in &self.columns { th scope="col" { (column.0) } } } }
                    tbody {
                        @for row in &self.rows {
                            tr { @for value in row { (value.draw()) } }
                        }
                    }
                }
            }
        }
    }
}

impl Value {
    fn draw(&self) -> Markup {
        match self {
            Self::Text(text) => html! { td { (text) } },
            Self::Number(number) => {
                html! { td.number data-sort=(number) { (numbers::short(*number)) } }
            }
            Self::Moment(moment) => html! { td data-sort=(moment) { (numbers::moment(*moment)) } },
        }
    }
}
