//! Values over time.

use maud::{Markup, html};

use super::{
    numbers::{short, tick, ticks, time_ticks},
    table::{Table, Value},
};

/// Values over time, or over something else that goes on.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// What goes from left to right.
    pub axis: Axis,
    /// What the values are in.
    pub unit: String,
    /// How they are drawn.
    pub shape: Shape,
    /// What is drawn; lines need not have the same moments, areas do.
    pub lines: Vec<Line>,
    /// What happened.
    pub marks: Vec<Mark>,
}

/// What goes from left to right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Axis {
    /// The time of day, in seconds since the epoch.
    Clock,
    /// A number, and what it is of.
    Number(String),
    /// A share of all, and what of: 0 for none, 1 for 90 of 100, 2 for 99, 3 for 99.9.
    Nines(String),
}

impl Axis {
    fn name(&self) -> &str {
        match self {
            Self::Clock => "time",
            Self::Number(name) | Self::Nines(name) => name,
        }
    }

    fn label(&self, at: f64, span: f64) -> String {
        match self {
            Self::Clock => tick(at, span),
            Self::Number(_) => short(at),
            Self::Nines(_) => share(at),
        }
    }

    fn ticks(&self, from: f64, to: f64) -> Vec<f64> {
        match self {
            Self::Clock => time_ticks(from, to),
            Self::Number(_) => ticks(from, to, 5.0),
            Self::Nines(_) => (0..=9).map(f64::from).filter(|at| *at <= to).collect(),
        }
    }

    fn value(&self, at: f64) -> Value {
        match self {
            Self::Clock => Value::Moment(at),
            Self::Number(_) => Value::Number(at),
            Self::Nines(_) => Value::Text(share(at)),
        }
    }
}

/// Returns a share of all as text, given its nines.
fn share(nines: f64) -> String {
    let percent = format!("{:.4}", 100.0 * (1.0 - 10_f64.powf(-nines)));
    format!("{} %", percent.trim_end_matches('0').trim_end_matches('.'))
}

/// How values are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Each for itself.
    Lines,
    /// One on top of the other.
    Stacked,
}

/// A line of a chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// What it is of.
    pub name: String,
    /// How it is drawn.
    pub stroke: Stroke,
    /// Where on the axis, and values; one that is no number leaves a gap.
    pub points: Vec<(f64, f64)>,
}

/// How a line is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stroke {
    /// In a colour of its own.
    Plain,
    /// As what the others are compared with.
    Reference,
}

/// A moment worth a word.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    /// Where on the axis.
    pub at: f64,
    /// The word.
    pub label: String,
}

/// How many colours there are; lines beyond begin anew, with dashes.
const COLOURS: usize = 7;

/// The rectangle that everything is within.
struct Frame {
    from: f64,
    to: f64,
    low: f64,
    high: f64,
}

impl Frame {
    fn x(&self, moment: f64) -> f64 {
        100.0 * ((moment - self.from) / (self.to - self.from)).clamp(0.0, 1.0)
    }

    fn y(&self, value: f64) -> f64 {
        100.0 - 100.0 * ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }
}

fn bounds(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let values = values.filter(|value| value.is_finite());
    let (low, high) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    if low <= high { (low, high) } else { (0.0, 1.0) }
}

impl Line {
    fn class(&self, at: usize) -> String {
        match (self.stroke, at >= COLOURS) {
            (Stroke::Reference, _) => "reference".into(),
            (Stroke::Plain, false) => format!("c{at}"),
            (Stroke::Plain, true) => format!("c{} again", at % COLOURS),
        }
    }
}

impl Chart {
    pub(super) fn draw(&self) -> Markup {
        let bands = self.bands();
        let frame = self.frame(&bands);
        let span = frame.to - frame.from;
        let spoken = self.spoken();
        html! {
            figure.chart {
                figcaption {
                    @for (at, line) in self.lines.iter().enumerate() {
                        span.key { span class={ "swatch " (line.class(at)) } {} (line.name) }
                    }
                    span.unit { (self.unit) }
                }
                div.plot {
                    div.y aria-hidden="true" {
                        @for value in ticks(frame.low, frame.high, 4.0) {
                            span style={ "top:" (cut(frame.y(value))) "%" } { (short(value)) }
                        }
                    }
                    div.area {
                        @for (at, mark) in self.marks.iter().enumerate() {
                            span.flag aria-hidden="true"
                                style={ "left:" (cut(frame.x(mark.at))) "%" } { (at + 1) }
                        }
                        svg viewBox="0 0 100 100" preserveAspectRatio="none" role="img"
                            aria-label=(spoken)
                        {
                            title { (spoken) }
                            @for value in ticks(frame.low, frame.high, 4.0) {
                                line.grid x1="0" x2="100" y1=(cut(frame.y(value)))
                                    y2=(cut(frame.y(value))) {}
                            }
                            (self.draw_lines(&bands, &frame))
                            @for mark in &self.marks {
                                line.mark x1=(cut(frame.x(mark.at))) x2=(cut(frame.x(mark.at)))
                                    y1="0" y2="100" {}
                            }
                        }
                    }
                    div.x aria-hidden="true" {
                        @for value in self.axis.ticks(frame.from, frame.to) {
                            // Its own place of its width: at either end it stays within.
                            @let at = cut(frame.x(value));
                            span style={ "left:" (at) "%;transform:translateX(-" (at) "%)" } {
                                (self.axis.label(value, span))
                            }
                        }
                    }
                }
                @if self.axis != Axis::Clock { p.axis-name aria-hidden="true" { (self.axis.name()) } }
                @if !self.marks.is_empty() {
                    ol.marks {
                        @for mark in &self.marks {
                            li { (self.axis.label(mark.at, span)) " " (mark.label) }
                        }
                    }
                }
            }
        }
    }

    /// Returns the lower and upper edge of each line: of stacked ones, the sum of those below.
    fn bands(&self) -> Vec<Vec<(f64, f64, f64)>> {
        let mut below: Vec<f64> = Vec::new();
        let band = |line: &Line| {
            let points = line.points.iter().enumerate().map(|(at, (moment, value))| {
                if self.shape == Shape::Lines {
                    return (*moment, 0.0, *value);
                }
                if below.len() <= at {
                    below.push(0.0);
                }
                let from = below[at];
                below[at] += if value.is_finite() { *value } else { 0.0 };
                (*moment, from, below[at])
            });
            points.collect()
        };
        self.lines.iter().map(band).collect()
    }

    fn frame(&self, bands: &[Vec<(f64, f64, f64)>]) -> Frame {
        let points = || bands.iter().flatten();
        let (from, to) = bounds(points().map(|point| point.0));
        let (low, high) = bounds(points().map(|point| point.2));
        let low = low.min(0.0);
        let high = if high > low { high + 0.05 * (high - low) } else { low + 1.0 };
        Frame { from, to: if to > from { to } else { from + 1.0 }, low, high }
    }

    fn draw_lines(&self, bands: &[Vec<(f64, f64, f64)>], frame: &Frame) -> Markup {
        html! {
            @for (at, band) in bands.iter().enumerate() {
                @let class = self.lines[at].class(at);
                @match self.shape {
                    Shape::Lines => path class={ "line " (class) } d=(line(band, frame)) {},
                    Shape::Stacked => path class={ "filled " (class) } d=(area(band, frame)) {},
                }
            }
        }
    }

    fn spoken(&self) -> String {
        let names: Vec<_> = self.lines.iter().map(|line| line.name.as_str()).collect();
        format!(
            "{} over {}, in {}; the numbers are in the table below",
            names.join(", "),
            self.axis.name(),
            self.unit
        )
    }

    pub(super) fn table(&self) -> Table {
        let mut moments: Vec<f64> =
            self.lines.iter().flat_map(|line| &line.points).map(|point| point.0).collect();
        moments.sort_by(f64::total_cmp);
        moments.dedup();
        let names: Vec<String> =
            self.lines.iter().map(|line| format!("{} ({})", line.name, self.unit)).collect();
        let columns: Vec<&str> = [
            &[if self.axis == Axis::Clock { "time (UTC)" } else { self.axis.name() }],
            &names.iter().map(String::as_str).collect::<Vec<_>>()[..],
            &["happened"],
        ]
        .concat();
        let mut passed = f64::NEG_INFINITY;
        let mut cursors = vec![0; self.lines.len()];
        let row = |moment: f64| {
            let mut row = vec![self.axis.value(moment)];
            for (line, cursor) in self.lines.iter().zip(&mut cursors) {
                let here =
                    line.points.get(*cursor).filter(|point| point.0.total_cmp(&moment).is_le());
                *cursor += usize::from(here.is_some());
                row.push(Value::Number(here.map_or(f64::NAN, |point| point.1)));
            }
            let marks = self.marks.iter().filter(|mark| mark.at > passed && mark.at <= moment);
            let words: Vec<_> = marks.map(|mark| mark.label.as_str()).collect();
            row.push(Value::Text(words.join(", ")));
            passed = moment;
            row
        };
        let rows = moments.into_iter().map(row).collect();
        Table::new(&columns, rows)
    }
}

fn cut(value: f64) -> String {
    format!("{value:.2}")
}

fn line(band: &[(f64, f64, f64)], frame: &Frame) -> String {
    let mut pen = 'M';
    let step = |(moment, _, value): &(f64, f64, f64)| {
        if !value.is_finite() {
            pen = 'M';
            return String::new();
        }
        let (x, y) = (frame.x(*moment), frame.y(*value));
        format!("{}{x:.2} {y:.2}", std::mem::replace(&mut pen, 'L'))
    };
    band.iter().map(step).collect()
}

fn area(band: &[(f64, f64, f64)], frame: &Frame) -> String {
    let there = band.iter().map(|(moment, _, to)| (*moment, *to));
    let back = band.iter().rev().map(|(moment, from, _)| (*moment, *from));
    let points: Vec<_> = there
        .chain(back)
        .map(|(moment, value)| format!("{:.2} {:.2}", frame.x(moment), frame.y(value)))
        .collect();
    if points.is_empty() { String::new() } else { format!("M{}Z", points.join("L")) }
}
