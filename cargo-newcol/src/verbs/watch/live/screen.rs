//! What the screen shows, as a function of what was seen.

use newcol_core::{
    ident::ColumnPath,
    watch::{
        history::{History, Moment},
        identity::Gap,
        series::Role,
    },
};
use ratatui::{
    Frame,
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Paragraph, Wrap},
};

use crate::verbs::watch::looking::{Glance, Look as Taken};

/// Columns of the name of a row, and of its last value.
const NAME: usize = 22;
const VALUE: usize = 14;

/// How it is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) color: bool,
    pub(super) ascii: bool,
}

/// All that is shown.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Look {
    pub(super) column: String,
    pub(super) database: String,
    /// When the last snapshot was taken, by the server's clock.
    pub(super) at: Option<f64>,
    pub(super) snapshots: usize,
    /// The word and its sentence.
    pub(super) verdict: Option<(&'static str, String)>,
    pub(super) rows: Vec<Row>,
    /// Name and sentence.
    pub(super) alerts: Vec<(&'static str, String)>,
    /// Why the last snapshot could not be taken.
    pub(super) error: Option<String>,
}

/// One figure over time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
    /// Oldest first; nothing where it is not known.
    pub(super) values: Vec<Option<f64>>,
    /// Where the column came.
    pub(super) split: Option<usize>,
}

impl Row {
    /// Returns the value of the last snapshot.
    pub(super) fn last(&self) -> Option<f64> {
        self.values.last().copied().flatten()
    }

    fn shown(&self) -> String {
        match self.last() {
            None => "-".to_owned(),
            Some(value) if value.abs() >= 100.0 => format!("{value:.0} {}", self.unit),
            Some(value) if value.abs() >= 1.0 => format!("{value:.1} {}", self.unit),
            Some(value) => format!("{value:.3} {}", self.unit),
        }
    }
}

impl Look {
    pub(super) fn of(column: &ColumnPath, database: &str) -> Self {
        Self {
            column: column.to_string(),
            database: database.to_owned(),
            at: None,
            snapshots: 0,
            verdict: None,
            rows: Vec::new(),
            alerts: Vec::new(),
            error: None,
        }
    }

    /// Takes what came of a snapshot.
    pub(super) fn take(&mut self, taken: Taken) {
        match taken {
            Taken::Failed(why) => self.error = Some(why),
            Taken::Taken(glance) => {
                let Glance { history, report, judgement, alerts } = *glance;
                self.error = None;
                self.at = history.moments.last().map(|moment| moment.at);
                self.snapshots = report.snapshots;
                let word = judgement.verdict.word();
                let sentence = judgement.verdict.to_string();
                let rest = sentence.strip_prefix(word).unwrap_or(&sentence);
                self.verdict = Some((word, rest.trim_start_matches(": ").trim().to_owned()));
                self.rows = rows(&history);
                self.alerts = alerts.iter().map(|alert| (alert.name, alert.to_string())).collect();
            }
        }
    }

    /// Returns the last snapshot as one line.
    pub(super) fn line(&self) -> String {
        let mut parts = vec![clock(self.at)];
        parts.extend(self.verdict.as_ref().map(|(word, _)| (*word).to_owned()));
        let known = self.rows.iter().filter(|row| row.last().is_some());
        parts.extend(known.map(|row| format!("{} {}", row.name, row.shown())));
        parts.extend(self.alerts.iter().map(|(_, sentence)| format!("alert: {sentence}")));
        parts.join(", ")
    }
}

/// Returns the figures that are worth a look, without those of which nothing is known.
fn rows(history: &History) -> Vec<Row> {
    let reads = |role: Role| {
        matches!(role, Role::Filter | Role::Join | Role::Order | Role::Projected | Role::Star)
    };
    let writes = |role: Role| matches!(role, Role::Inserted | Role::Assigned | Role::Writes);
    let time = |of: fn(Role) -> bool| {
        move |_: &Moment, moment: &Moment| {
            let windows = moment.windows.iter();
            let sum = windows
                .filter(|(id, _)| history.roles.get(id).copied().is_some_and(of))
                .fold((0.0, 0), |all, (_, window)| (all.0 + window.total_ms, all.1 + window.calls));
            (sum.1 > 0).then(|| sum.0 / sum.1 as f64)
        }
    };
    let split = history.moments.iter().position(|moment| moment.has_column).filter(|at| *at > 0);
    let row = |name, unit, of: &dyn Fn(&Moment, &Moment) -> Option<f64>| {
        let value = |two: &[Moment]| {
            let is_hidden = two[1].gaps.iter().any(Gap::hides_all);
            of(&two[0], &two[1]).filter(|_| !is_hidden)
        };
        let values = history.moments.windows(2).map(value).collect();
        // Values are of pairs.
        Row { name, unit, values, split: split.map(|at| at.saturating_sub(1)) }
    };
    let all = [
        row("time of reads", "ms", &time(reads)),
        row("time of writes", "ms", &time(writes)),
        row("time of controls", "ms", &time(|role| role == Role::Control)),
        row("log of a row", "B", &|_, moment| {
            let windows = moment.windows.iter();
            let of_writes =
                windows.filter(|(id, _)| history.roles.get(id).copied().is_some_and(writes));
            let sum = of_writes.fold((0, 0), |all, (_, window)| {
                (all.0 + window.wal_bytes.unwrap_or_default(), all.1 + window.rows)
            });
            (sum.0 > 0 && sum.1 > 0).then(|| sum.0 as f64 / sum.1 as f64)
        }),
        row("HOT updates", "%", &|from, to| {
            let all = to.growth(from, "", "n_tup_upd").filter(|all| *all > 0.0)?;
            Some(to.growth(from, "", "n_tup_hot_upd")? * 100.0 / all)
        }),
        row("entries of indexes", "/row", &|from, to| {
            let rows = to.growth(from, "", "rows_changed").filter(|rows| *rows > 0.0)?;
            Some(to.growth(from, "", "rows_changed_x_indexes")? / rows)
        }),
        row("uses of the index", "/min", &|from, to| {
            let of_column = |index: &&str| to.measure(index, "has_column") == Some(1.0);
            let uses = |index: &str| {
                let scans = to.growth(from, index, "idx_scan");
                scans.or_else(|| to.growth(from, index, "rows_read"))
            };
            let minutes = (to.at - from.at) / 60.0;
            let uses: Vec<f64> = to.indexes().filter(of_column).filter_map(uses).collect();
            (!uses.is_empty() && minutes > 0.0).then(|| uses.iter().sum::<f64>() / minutes)
        }),
        row("replica lag", "s", &|_, to| to.measure("", "replica_lag_s")),
    ];
    all.into_iter().filter(|row| row.values.iter().any(Option::is_some)).collect()
}

/// Draws it.
pub(super) fn draw(frame: &mut Frame<'_>, look: &Look, marks: Marks) {
    let style = |color: Color, modifier: Modifier| {
        let style = Style::new().add_modifier(modifier);
        if marks.color { style.fg(color) } else { style }
    };
    let (bold, plain) = (Modifier::BOLD, Modifier::empty());
    let width = usize::from(frame.area().width);
    let mut lines = vec![
        Line::from(vec![
            Span::styled(look.column.clone(), style(Color::Green, bold)),
            Span::raw(format!(" in {}", look.database)),
        ]),
        Line::from(format!("{}, {} snapshots", clock(look.at), look.snapshots)),
        Line::from(""),
    ];
    match &look.verdict {
        None if look.error.is_some() => {}
        None => lines.push(Line::from("the first snapshot is being taken")),
        Some((word, sentence)) => {
            let color = match *word {
                "REGRESSION" => Color::Red,
                "KEEP" | "QUIET" => Color::Green,
                _ => Color::Yellow,
            };
            lines.push(Line::from(vec![
                Span::styled(*word, style(color, bold)),
                Span::raw(format!(" {sentence}")),
            ]));
        }
    }
    lines.push(Line::from(""));
    for row in &look.rows {
        let room = width.saturating_sub(NAME + VALUE + 2);
        lines.push(Line::from(vec![
            Span::raw(format!("{:<NAME$}", row.name)),
            Span::styled(spark(row, room, marks.ascii), style(Color::Cyan, plain)),
            Span::raw(format!(" {:>VALUE$}", row.shown())),
        ]));
    }
    if look.rows.is_empty() && look.verdict.is_some() {
        lines.push(Line::from("figures need two snapshots"));
    }
    lines.push(Line::from(""));
    if let Some(error) = &look.error {
        lines.push(Line::from(vec![
            Span::styled("no snapshot", style(Color::Red, bold)),
            Span::raw(format!(": {error}")),
        ]));
    }
    for (_, sentence) in &look.alerts {
        lines.push(Line::from(vec![
            Span::styled("alert", style(Color::Red, bold)),
            Span::raw(format!(": {sentence}")),
        ]));
    }
    lines.push(Line::styled("q ends it", style(Color::Reset, Modifier::DIM)));
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }), frame.area());
}

/// Returns the last values as a row of bars, from nothing to the largest; `|` where the column came.
fn spark(row: &Row, width: usize, ascii: bool) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    const LETTERS: [char; 8] = ['_', '.', ':', '-', '=', '+', '*', '#'];
    let bars = if ascii { LETTERS } else { BARS };
    let room = width.saturating_sub(usize::from(row.split.is_some()));
    let first = row.values.len().saturating_sub(room);
    let shown = &row.values[first..];
    let most = shown.iter().flatten().fold(0.0_f64, |most, value| most.max(*value));
    let mut text = String::new();
    for (at, value) in shown.iter().enumerate() {
        if row.split.is_some_and(|split| split == first + at && split > 0) {
            text.push(if ascii { '|' } else { '│' });
        }
        text.push(match value {
            None => ' ',
            Some(_) if most <= 0.0 => bars[0],
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "between 0 and 7"
            )]
            Some(value) => bars[((value / most * 7.0).round().clamp(0.0, 7.0)) as usize],
        });
    }
    let used = text.chars().count();
    text.extend(std::iter::repeat_n(' ', width.saturating_sub(used)));
    text
}

/// Returns a time of day in UTC.
fn clock(at: Option<f64>) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "seconds")]
    let second = at.map(|at| at as i64);
    second
        .and_then(|second| jiff::Timestamp::from_second(second).ok())
        .map_or_else(|| "no snapshot yet".to_owned(), |at| at.strftime("%H:%M:%S UTC").to_string())
}
