//! A report as one file of HTML: to be opened from a disk, mailed, or attached to a ticket.
//!
//! # What it promises
//!
//! Nothing is loaded: plots are SVG in the page, styles and the one small script too, and a policy in
//! the head forbids the browser to ask anyone for anything. The script sorts tables and does nothing
//! else; without it the page says the same. Light and dark follow the reader's setting. Nothing is
//! wider than the screen, from 360 pixels on. Whatever comes from the database is escaped.
//!
//! # How it is made
//!
//! A [`Report`] is plain data: sentences first, then sections, each with a plot. A plot is its numbers,
//! so the table below it is made of the same numbers and cannot say anything else. There are two kinds:
//!
//! - a [`Chart`] over time or another [`Axis`], lines or stacked areas, with marks for what happened;
//! - [`Strips`], one value with its interval in each row, as dots (effects) or bars (a balance).
//!
//! Drawings are stretched to whatever room there is, with lines of constant width, and all text stands
//! beside them as text: so it is never too small to read on a phone, can be searched, and follows the
//! reader's font size. That is why no plotting library draws them: those place text in the picture, and
//! give it colours of their own.
//!
//! What stands in it is made elsewhere: by [`watch::page`](crate::watch::page) and `bench::report`.

mod chart;
pub(crate) mod numbers;
mod strips;
mod table;

use maud::{DOCTYPE, Markup, PreEscaped, html};

pub use self::{
    chart::{Axis, Chart, Line, Mark, Shape, Stroke},
    strips::{Strip, Strips, Style, Tone},
    table::{Column, Table, Value},
};

/// A report.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// What it is of.
    pub title: String,
    /// When, where and by what it was made.
    pub origin: String,
    /// The one word, if there is one.
    pub verdict: Option<String>,
    /// What a reader has to know who reads nothing else: five sentences.
    pub sentences: Vec<String>,
    /// The rest.
    pub sections: Vec<Section>,
}

/// A part of a report.
#[derive(Debug, Clone, PartialEq)]
pub struct Section {
    /// Heading.
    pub heading: String,
    /// How to read the plot, and where its numbers are from.
    pub text: String,
    /// The plot.
    pub plot: Plot,
}

/// Numbers to be drawn.
#[derive(Debug, Clone, PartialEq)]
pub enum Plot {
    /// Over time.
    Chart(Chart),
    /// Row by row.
    Strips(Strips),
    /// Not at all: the table stands for itself.
    Table(Table),
}

impl Plot {
    fn draw(&self) -> Markup {
        match self {
            Self::Chart(chart) => chart.draw(),
            Self::Strips(strips) => strips.draw(),
            Self::Table(_) => html! {},
        }
    }

    /// Returns the numbers of the plot.
    #[must_use]
    pub fn table(&self) -> Table {
        match self {
            Self::Chart(chart) => chart.table(),
            Self::Strips(strips) => strips.table(),
            Self::Table(table) => table.clone(),
        }
    }
}

const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
    img-src data:";
const STYLE: &str = include_str!("style.css");
const SORT: &str = include_str!("sort.js");

impl Report {
    /// Returns the page.
    #[must_use]
    pub fn to_html(&self) -> String {
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta http-equiv="Content-Security-Policy" content=(POLICY);
                    link rel="icon" href="data:,";
                    title { (self.title) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    header {
                        h1 { (self.title) }
                        @if let Some(word) = &self.verdict {
                            p.verdict data-word=(word) { (word) }
                        }
                        p.origin { (self.origin) }
                    }
                    main {
                        ul.sentences {
                            @for sentence in &self.sentences {
                                li { (sentence) }
                            }
                        }
                        @for section in &self.sections {
                            (section.draw())
                        }
                    }
                    script { (PreEscaped(SORT)) }
                }
            }
        };
        page.into_string()
    }
}

impl Section {
    fn draw(&self) -> Markup {
        let table = self.plot.table();
        html! {
            section {
                h2 { (self.heading) }
                p { (self.text) }
                @match &self.plot {
                    Plot::Table(table) => (table.draw()),
                    Plot::Chart(_) | Plot::Strips(_) => {
                        (self.plot.draw())
                        details {
                            summary { "Numbers (" (table.rows.len()) " rows)" }
                            (table.draw())
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
