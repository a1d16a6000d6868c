//! A watch as a [page](crate::page).

mod bins;

use std::collections::{BTreeMap, BTreeSet};

use self::bins::Bins;
pub use super::{attribution::ScanPoint, report::TablePoint};
use super::{
    benefit::{Balance, can_gain, may_pay},
    effect::{Comparison, Effect, Finding, Signal, Split},
    series::{QueryId, Role, Series},
    verdict::{Judgement, Verdict, Worse},
};
use crate::page::{
    Axis, Chart, Line, Mark, Plot, Report, Section, Shape, Strip, Strips, Stroke, Style, Table,
    Tone, Value,
    numbers::{chance, short},
};

/// What a report of a watch is made of.
#[derive(Debug, Clone)]
pub struct Watched<'a> {
    /// The column, as `table.column`.
    pub column: &'a str,
    /// Server, database, time and version of this program.
    pub origin: &'a str,
    /// The verdict.
    pub judgement: &'a Judgement,
    /// The word on the index, where the verdict is one on statements.
    pub beside: Option<&'a Verdict>,
    /// Comparisons, the one of times first.
    pub comparisons: &'a [Comparison],
    /// Statements of the column's table.
    pub series: &'a [Series],
    /// Statements that cannot have noticed the column.
    pub controls: &'a [Series],
    /// Texts of statements, as far as they are known.
    pub names: &'a BTreeMap<QueryId, String>,
    /// Where before ends and after begins.
    pub split: Split,
    /// Deploys, backfill, index.
    pub marks: &'a [Mark],
    /// The table over time.
    pub table: &'a [TablePoint],
    /// Scans of the index over time.
    pub scans: &'a [ScanPoint],
    /// What the index saves and costs.
    pub balance: Option<&'a Balance>,
}

/// How many statements a chart can show and still be read.
const LINES: usize = 5;
/// How much of a statement's text a label can hold.
const LABEL: usize = 80;

impl Watched<'_> {
    /// Returns the report.
    #[must_use]
    pub fn report(&self) -> Report {
        let sections = [
            self.effects(),
            self.blocks(),
            Some(self.time_by_role()),
            self.against_controls(Signal::Time, "Time of a call, against controls"),
            self.against_controls(Signal::Blocks, "Blocks of a call, against controls"),
            self.log_of_writers(),
            self.hot_updates(),
            self.dead_rows(),
            self.index_scans(),
            self.weighed(),
            self.thin(),
        ];
        Report {
            title: format!("Watch of {}", self.column),
            origin: self.origin.to_owned(),
            verdict: Some(self.judgement.verdict.word().to_owned()),
            sentences: self.sentences(),
            sections: sections.into_iter().flatten().collect(),
        }
    }

    fn times(&self) -> Option<&Comparison> {
        self.comparisons.iter().find(|comparison| comparison.signal == Signal::Time)
    }

    fn name(&self, id: QueryId) -> String {
        let text = self.names.get(&id).map_or("", String::as_str);
        let words: Vec<&str> = text.split_whitespace().collect();
        let line = words.join(" ");
        if line.is_empty() {
            return format!("statement {id}");
        }
        let mut short: String = line.chars().take(LABEL).collect();
        if short.len() < line.len() {
            short.push('…');
        }
        short
    }

    /// Five sentences for a reader who reads nothing else.
    fn sentences(&self) -> Vec<String> {
        let mut said = vec![self.judged()];
        said.extend(self.beside.map(|beside| format!("The index, for itself: {beside}.")));
        let dropped = self.beside.unwrap_or(&self.judgement.verdict);
        if let Verdict::Drop { statements: [drop, build], .. } = dropped {
            said.push(format!("To drop it: {drop}. To have it back: {build}."));
        }
        let Some(times) = self.times() else {
            said.push("No times could be compared yet.".into());
            return said;
        };
        let changed = |worse: bool| {
            times.findings().filter(|query| (query.effect.log_ratio > 0.0) == worse).count()
        };
        said.push(format!(
            "Of {} statements, {} became slower and {} faster; the others did nothing that chance does \
             not do.",
            times.queries.len(),
            changed(true),
            changed(false)
        ));
        said.push(format!(
            "Meanwhile {} controls, which cannot have noticed the column, changed by {:+.1} % (median); \
             that is subtracted everywhere.",
            times.placebos.len(),
            percent(times.drift)
        ));
        said.push(match self.balance {
            Some(balance) => format!(
                "The index saves readers {} and costs writers {}.",
                balance.benefit, balance.cost
            ),
            None => "There is no index to weigh.".into(),
        });
        let single = times.queries.first().map(|query| &query.effect);
        let detectable =
            times.group.as_ref().or(single).map_or(f64::NAN, |effect| effect.detectable);
        said.push(format!(
            "A change of all of them by {:.0} % would have been found in eight of ten cases; too few \
             calls to be compared: {}.",
            percent(detectable),
            times.thin.len()
        ));
        said
    }

    /// Returns the verdict, with texts for the numbers of statements.
    fn judged(&self) -> String {
        let Verdict::Regression { worse, together } = &self.judgement.verdict else {
            return self.judgement.to_string();
        };
        let one = |one: &Worse| {
            let name = self.name(one.query.id);
            format!("{name}: {} {:+.0} %", one.signal, one.query.effect.percent())
        };
        let all = |(signal, effect): &(Signal, Effect)| {
            format!("all together: {signal} {:+.0} %", effect.percent())
        };
        let parts: Vec<_> = worse.iter().map(one).chain(together.iter().map(all)).collect();
        format!("Slower than chance explains: {}.", parts.join("; "))
    }

    fn forest(&self, comparison: &Comparison) -> Plot {
        let strip = |label: String, note: String, effect: &Effect| Strip {
            label,
            note,
            value: effect.percent(),
            interval: (percent(effect.interval.0), percent(effect.interval.1)),
            tone: tone(effect),
        };
        let group = comparison.group.as_ref().map(|effect| {
            let note = format!("weighted by calls, {}", chance(effect.adjusted_p));
            strip("all together".into(), note, effect)
        });
        let mut queries: Vec<_> = comparison.queries.iter().collect();
        queries.sort_by(|a, b| b.effect.log_ratio.total_cmp(&a.effect.log_ratio));
        let rows = queries.into_iter().map(|query| {
            let role = role(query.role);
            let note = format!(
                "{role}, {} calls, {} → {}, {}",
                query.calls.0 + query.calls.1,
                short(query.before),
                short(query.after),
                chance(query.effect.adjusted_p)
            );
            strip(self.name(query.id), note, &query.effect)
        });
        Plot::Strips(Strips {
            unit: "%".into(),
            style: Style::Dots,
            band: band(&comparison.placebos),
            rows: group.into_iter().chain(rows).collect(),
        })
    }

    fn effects(&self) -> Option<Section> {
        let times = self.times()?;
        Some(section(
            "What became slower or faster",
            "Time of a call after against before, less what happened to the controls. A dot is the \
             effect, the line around it its interval of 95 %; coloured is what chance does not do.",
            self.forest(times),
        ))
    }

    fn blocks(&self) -> Option<Section> {
        let blocks = self.comparisons.iter().find(|one| one.signal == Signal::Blocks)?;
        Some(section(
            "Whose plan changed",
            "Blocks touched by a call, the same way. Load does not move them: they tell of another plan \
             even where times are too noisy.",
            self.forest(blocks),
        ))
    }

    fn bins(&self) -> Bins {
        Bins::over(self.series.iter().chain(self.controls))
    }

    fn time_by_role(&self) -> Section {
        let bins = self.bins();
        let roles: BTreeSet<Role> = self.series.iter().map(|series| series.role).collect();
        let lines = roles.into_iter().map(|one| {
            let mine = self.series.iter().filter(|series| series.role == one);
            let points = bins.sums(mine, |window| window.total_ms);
            Line { name: role(one).into(), stroke: Stroke::Plain, points: bins.per_second(points) }
        });
        section(
            "Time of the database, by what statements do with the column",
            "Milliseconds of execution in each second, summed over all statements of the table.",
            self.chart("ms/s", Shape::Stacked, lines.collect()),
        )
    }

    fn chart(&self, unit: &str, shape: Shape, lines: Vec<Line>) -> Plot {
        Plot::Chart(Chart {
            axis: Axis::Clock,
            unit: unit.into(),
            shape,
            lines,
            marks: self.marks.to_vec(),
        })
    }

    fn against_controls(&self, signal: Signal, heading: &str) -> Option<Section> {
        let bins = self.bins();
        let mut top: Vec<(f64, &Series)> = self
            .series
            .iter()
            .map(|series| (series.windows.iter().map(|window| window.total_ms).sum(), series))
            .collect();
        top.sort_by(|a, b| b.0.total_cmp(&a.0));
        let line = |series: &Series| bins.relative(series, signal, self.split);
        let lines = top.into_iter().filter_map(|(_, series)| {
            Some(Line { name: self.name(series.id), stroke: Stroke::Plain, points: line(series)? })
        });
        let mut lines: Vec<Line> = lines.take(LINES).collect();
        let controls: Vec<_> = self.controls.iter().filter_map(line).collect();
        if lines.is_empty() || controls.is_empty() {
            return None;
        }
        lines.push(Line {
            name: "median control".into(),
            stroke: Stroke::Reference,
            points: bins::median(&controls),
        });
        Some(section(
            heading,
            "The statements that take most time, each as a multiple of its own mean before; what they \
             share with the median control is load, and no effect.",
            self.chart("× before", Shape::Lines, lines),
        ))
    }

    fn log_of_writers(&self) -> Option<Section> {
        let bins = self.bins();
        let writers = || self.series.iter().filter(|series| may_pay(series.role));
        let roles: BTreeSet<Role> = writers().map(|series| series.role).collect();
        let lines = roles.into_iter().map(|one| {
            let mine = || writers().filter(|series| series.role == one);
            let bytes = bins.sums(mine(), |window| window.wal_bytes.unwrap_or(0) as f64);
            let rows = bins.sums(mine(), |window| window.rows as f64);
            let points = bytes.iter().zip(&rows).map(|((at, b), (_, r))| (*at, b / r)).collect();
            Line { name: role(one).into(), stroke: Stroke::Plain, points }
        });
        let lines: Vec<Line> = lines.collect();
        let known = writers().flat_map(|series| &series.windows).any(|w| w.wal_bytes.is_some());
        known.then(|| {
            section(
                "Log of a written row",
                "Bytes of log for each row that statements write: what replicas replay and archives keep.",
                self.chart("bytes/row", Shape::Lines, lines),
            )
        })
    }

    fn hot_updates(&self) -> Option<Section> {
        let points = self.table.iter().map(|point| (point.at, point.hot * 100.0)).collect();
        let line = Line {
            name: "updates that stayed on their page".into(),
            stroke: Stroke::Plain,
            points,
        };
        (!self.table.is_empty()).then(|| {
            section(
                "Updates that touch no index",
                "An update that stays on its page (HOT) writes to no index. A new index on a column that \
                 is updated makes fewer of them.",
                self.chart("%", Shape::Lines, vec![line]),
            )
        })
    }

    fn dead_rows(&self) -> Option<Section> {
        let points = self.table.iter().map(|point| (point.at, point.dead)).collect();
        let line = Line { name: "dead rows".into(), stroke: Stroke::Plain, points };
        (!self.table.is_empty()).then(|| {
            section(
                "Dead rows",
                "What updates and deletions leave until vacuum comes by.",
                self.chart("rows", Shape::Lines, vec![line]),
            )
        })
    }

    fn index_scans(&self) -> Option<Section> {
        let line = |name: &str, value: fn(&ScanPoint) -> f64| Line {
            name: name.into(),
            stroke: Stroke::Plain,
            points: self.scans.iter().map(|point| (point.at, value(point))).collect(),
        };
        let lines = vec![
            line("counted by the server", |point| point.counted),
            line("explained by statements", |point| point.attributed),
        ];
        (!self.scans.is_empty()).then(|| {
            section(
                "Scans of the index",
                "The server counts looks of the planner too, and no checks of uniqueness; statements are \
                 attributed by their plans. Where both part, no verdict goes beyond WAIT.",
                self.chart("scans/h", Shape::Lines, lines),
            )
        })
    }

    fn weighed(&self) -> Option<Section> {
        let balance = self.balance?;
        let strip = |label: String, note: &str, ms: f64, low: f64, high: f64| Strip {
            label,
            note: note.into(),
            value: ms,
            interval: (low, high),
            tone: match (low > 0.0, high < 0.0) {
                (true, _) => Tone::Good,
                (_, true) => Tone::Bad,
                _ => Tone::Neutral,
            },
        };
        let parts = balance.parts.iter().map(|part| {
            let (rate, name) = (part.rate, self.name(part.id));
            if can_gain(part.role) {
                strip(name, "saves", rate.ms, rate.low, rate.high)
            } else {
                strip(name, "pays", -rate.ms, -rate.high, -rate.low)
            }
        });
        let (gain, loss) = (balance.benefit, balance.cost);
        let whole = strip(
            "benefit − cost".into(),
            "all together",
            gain.ms - loss.ms,
            gain.low - loss.high,
            gain.high - loss.low,
        );
        let rows = parts.chain([whole]).collect();
        Some(section(
            "What the index saves and costs",
            "Milliseconds of execution in each hour: to the right what readers save, to the left what \
             writers pay.",
            Plot::Strips(Strips { unit: "ms/h".into(), style: Style::Bars, band: None, rows }),
        ))
    }

    fn thin(&self) -> Option<Section> {
        let times = self.times()?;
        let row = |thin: &crate::watch::effect::Thin| {
            vec![
                Value::Text(self.name(thin.id)),
                Value::Text(role(thin.role).into()),
                Value::Number(thin.calls.0 as f64),
                Value::Number(thin.calls.1 as f64),
            ]
        };
        let rows: Vec<_> = times.thin.iter().map(row).collect();
        (!rows.is_empty()).then(|| {
            section(
                "Not compared",
                "Statements with too few calls before or after, or that did not exist before.",
                Plot::Table(Table::new(
                    &["statement", "role", "calls before", "calls after"],
                    rows,
                )),
            )
        })
    }
}

fn section(heading: &str, text: &str, plot: Plot) -> Section {
    Section { heading: heading.into(), text: text.into(), plot }
}

fn percent(log_ratio: f64) -> f64 {
    log_ratio.exp_m1() * 100.0
}

fn tone(effect: &Effect) -> Tone {
    match (effect.finding, effect.log_ratio > 0.0) {
        (Finding::Changed, true) => Tone::Bad,
        (Finding::Changed, false) => Tone::Good,
        (Finding::Small | Finding::Chance, _) => Tone::Neutral,
    }
}

/// Returns where 95 of 100 placebos lie, in percent.
fn band(placebos: &[f64]) -> Option<(f64, f64)> {
    let last = placebos.len().checked_sub(1)?;
    let at = |share: f64| percent(placebos[(share * last as f64).round() as usize]);
    Some((at(0.025), at(0.975)))
}

/// Returns what a statement does with the column, in words.
fn role(role: Role) -> &'static str {
    match role {
        Role::Filter => "filters",
        Role::Join => "joins",
        Role::Order => "orders",
        Role::Assigned => "assigns",
        Role::Inserted => "inserts",
        Role::Projected => "reads",
        Role::Star => "reads all columns",
        Role::Writes => "writes the table",
        Role::Control => "control",
        Role::Unknown => "unknown",
    }
}
