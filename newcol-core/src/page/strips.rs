//! One value with its interval in each row.

use maud::{Markup, html};

use super::{
    numbers::{short, ticks},
    table::{Table, Value},
};

/// Rows of values.
#[derive(Debug, Clone, PartialEq)]
pub struct Strips {
    /// What the values are in.
    pub unit: String,
    /// How they are drawn.
    pub style: Style,
    /// Where chance lies, if that is known: drawn behind all rows.
    pub band: Option<(f64, f64)>,
    /// The rows.
    pub rows: Vec<Strip>,
}

/// How values are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// A dot on its interval.
    Dots,
    /// A bar from zero, with its interval.
    Bars,
}

/// One row.
#[derive(Debug, Clone, PartialEq)]
pub struct Strip {
    /// What it is of.
    pub label: String,
    /// More of it, in small print.
    pub note: String,
    /// The value.
    pub value: f64,
    /// Its interval; no numbers where there is none.
    pub interval: (f64, f64),
    /// What it means.
    pub tone: Tone,
}

/// What a value means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Not to be told from chance.
    Neutral,
    /// Better.
    Good,
    /// Worse.
    Bad,
}

impl Tone {
    fn name(self) -> &'static str {
        match self {
            Self::Neutral => "neutral",
            Self::Good => "good",
            Self::Bad => "bad",
        }
    }
}

/// The room left and right of what is drawn, as a part of it.
const MARGIN: f64 = 0.04;

/// From a value to a hundredth of the width.
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    fn of(strips: &Strips) -> Self {
        let band = strips.band.map(|(low, high)| [low, high]);
        let values = strips.rows.iter().flat_map(|row| [row.value, row.interval.0, row.interval.1]);
        let values = values.chain(band.into_iter().flatten()).filter(|value| value.is_finite());
        let (low, high) = values.fold((0.0_f64, 0.0_f64), |(l, h), v| (l.min(v), h.max(v)));
        let room = if high > low { (high - low) * MARGIN } else { 1.0 };
        Self { low: low - room, high: high + room }
    }

    fn at(&self, value: f64) -> String {
        let share = (value - self.low) / (self.high - self.low);
        format!("{:.2}", if share.is_nan() { 0.0 } else { 100.0 * share.clamp(0.0, 1.0) })
    }

    fn width(&self, low: f64, high: f64) -> String {
        format!("{:.2}", 100.0 * ((high - low) / (self.high - self.low)).clamp(0.0, 1.0))
    }
}

impl Strips {
    pub(super) fn draw(&self) -> Markup {
        let scale = Scale::of(self);
        html! {
            figure.strips {
                @for row in &self.rows {
                    div.strip {
                        div.label { (row.label) @if !row.note.is_empty() { small { (row.note) } } }
                        (self.draw_row(row, &scale))
                        div.value {
                            (short(row.value)) " " (self.unit)
                            @if row.interval.0.is_finite() && row.interval.1.is_finite() {
                                small { (short(row.interval.0)) " to " (short(row.interval.1)) }
                            }
                        }
                    }
                }
                div.strip.axis aria-hidden="true" {
                    div.label {}
                    div.ticks {
                        @for tick in ticks(scale.low, scale.high, 3.5) {
                            span style={ "left:" (scale.at(tick)) "%" } { (short(tick)) }
                        }
                    }
                    div.value { (self.unit) }
                }
                @if self.band.is_some() {
                    figcaption { span.swatch.band {} "grey: where 95 of 100 controls lie" }
                }
            }
        }
    }

    fn draw_row(&self, row: &Strip, scale: &Scale) -> Markup {
        let (low, high) = row.interval;
        let spoken = format!("{}: {} {}", row.label, short(row.value), self.unit);
        html! {
            svg viewBox="0 0 100 24" preserveAspectRatio="none" role="img" aria-label=(spoken)
                class=(row.tone.name())
            {
                title { (spoken) }
                @if let Some((from, to)) = self.band {
                    rect.band x=(scale.at(from)) width=(scale.width(from, to)) y="0" height="24" {}
                }
                line.zero x1=(scale.at(0.0)) x2=(scale.at(0.0)) y1="0" y2="24" {}
                @if self.style == Style::Bars {
                    rect.bar x=(scale.at(row.value.min(0.0))) width=(scale.width(row.value.min(0.0),
                        row.value.max(0.0))) y="5" height="14" {}
                }
                @if low.is_finite() && high.is_finite() {
                    line.interval x1=(scale.at(low)) x2=(scale.at(high)) y1="12" y2="12" {}
                }
                @if row.value.is_finite() {
                    line.dot x1=(scale.at(row.value)) x2=(scale.at(row.value)) y1="12" y2="12" {}
                }
            }
        }
    }

    pub(super) fn table(&self) -> Table {
        let value = format!("value ({})", self.unit);
        let columns = ["", "more", &value, "from", "to"];
        let rows = self.rows.iter().map(|row| {
            vec![
                Value::Text(row.label.clone()),
                Value::Text(row.note.clone()),
                Value::Number(row.value),
                Value::Number(row.interval.0),
                Value::Number(row.interval.1),
            ]
        });
        let mut table = Table::new(&columns, rows.collect());
        table.rows.extend(self.band.map(|(low, high)| {
            vec![
                Value::Text("controls".into()),
                Value::Text("95 of 100 lie here".into()),
                Value::Number(f64::NAN),
                Value::Number(low),
                Value::Number(high),
            ]
        }));
        table
    }
}
