//! `watch verdict`, and the same as a page.

use std::fs;

use camino::Utf8PathBuf;
use clap::{Args, ValueEnum};
use newcol_core::{
    page::Mark,
    watch::{
        alert::{Alert, alerts},
        assess::{Assessment, Said, assess_with},
        effect::{Compared, Comparison, Finding, Refusal, Signal, Split},
        history::History,
        page::Watched,
        series::QueryId,
        store::Store,
        verdict::{Judgement, Verdict, Worse},
    },
};
use serde::Serialize;

use super::{Column, file, report::AlertJson};
use crate::{
    context::{Context, Project},
    error::{CliError, Exit},
    output::{Level, Output},
};

/// Megabytes a second, at which the time of a build is told: few disks are slower.
const SPEED: f64 = 100.0;

/// Characters of a statement that are shown to people.
const SHOWN: usize = 100;

#[derive(Debug, Args)]
pub(super) struct VerdictArgs {
    #[command(flatten)]
    of: Column,
    /// Words for which the exit code is 100
    #[arg(long, value_enum, value_name = "WORD", value_delimiter = ',')]
    fail_on: Vec<Word>,
    /// Write a page for people too: one file, which loads nothing
    #[arg(long, value_name = "FILE")]
    html: Option<Utf8PathBuf>,
    /// Say that the server has no replica, which might use the index
    #[arg(long)]
    no_replicas: bool,
    /// Call no index unused before the end of a month was watched
    #[arg(long)]
    monthly: bool,
}

/// The words of a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Word {
    /// A statement became slower, or its plan worse
    Regression,
    /// Nothing uses the index
    Drop,
    /// Another index would do the same for less
    Change,
    /// Too early, or too close, to tell
    Wait,
    /// Not to be told like this
    Unknown,
    /// Whatever the verdict, somebody should look at something now
    Alert,
}

impl Word {
    fn text(self) -> &'static str {
        match self {
            Self::Regression => "REGRESSION",
            Self::Drop => "DROP?",
            Self::Change => "CHANGE",
            Self::Wait => "WAIT",
            Self::Unknown => "UNKNOWN",
            Self::Alert => "ALERT",
        }
    }
}

#[derive(Debug, Serialize)]
struct VerdictJson<'a> {
    column: &'a str,
    verdict: &'static str,
    sentence: String,
    level: String,
    from: f64,
    to: f64,
    controls: usize,
    /// Signals of which nothing could be compared, with the reason.
    not_compared: Vec<(String, String)>,
    statements: Vec<ComparedJson<'a>>,
    alerts: Vec<AlertJson<'a>>,
    index: Option<IndexJson<'a>>,
}

#[derive(Debug, Serialize)]
struct IndexJson<'a> {
    name: &'a str,
    /// The word on the index alone.
    verdict: &'static str,
    sentence: String,
    counted: u64,
    attributed: u64,
    planner: u64,
    explained: f64,
    /// What would drop it and build it again, where that is the answer: never run.
    statements: Vec<&'a str>,
}

#[derive(Debug, Serialize)]
struct ComparedJson<'a> {
    /// As a text: numbers of this size lose digits in many readers of JSON.
    id: String,
    signal: String,
    before: f64,
    after: f64,
    calls_before: u64,
    calls_after: u64,
    percent: f64,
    percent_from: f64,
    percent_to: f64,
    adjusted_p: f64,
    finding: &'static str,
    text: Option<&'a str>,
}

pub(super) fn run(
    ctx: &Context,
    out: &mut Output,
    project: &Project,
    args: &VerdictArgs,
) -> Result<Exit, CliError> {
    let column = &args.of.column;
    let path = file(project, column)?;
    let said = Said { no_replicas: args.no_replicas, monthly: args.monthly };
    let found = match Store::read(&path, column)? {
        Some(mut store) => {
            let alerts = alerts(&History::of(&mut store)?);
            assess_with(&mut store, said)?.map(|assessment| (assessment, alerts))
        }
        None => None,
    };
    let Some((assessment, alerts)) = found else {
        out.status(&format!(
            "`{column}` has no snapshot yet; begin with `cargo newcol watch baseline {column} --database-url <URL>`"
        ));
        return Ok(Exit::Nothing);
    };
    let column = column.to_string();
    if out.is_json() {
        json(out, &column, &assessment, &alerts);
    } else {
        human(out, &column, &assessment);
        for alert in &alerts {
            out.label(Level::Warning, "alert", &alert.to_string());
        }
    }
    if let Some(html) = &args.html {
        let page = page(ctx, &column, &assessment);
        fs::write(ctx.cwd().join(html), page).map_err(|error| {
            CliError::of(Exit::Failed, &error).saying("could not write the page").at(html)
        })?;
        out.status(&format!("wrote {html}"));
    }
    let word = assessment.judgement.verdict.word();
    let fails = args
        .fail_on
        .iter()
        .any(|wanted| wanted.text() == word || (*wanted == Word::Alert && !alerts.is_empty()));
    Ok(if fails { Exit::Findings } else { Exit::Done })
}

fn human(out: &mut Output, column: &str, assessment: &Assessment) {
    let Judgement { verdict, window, level } = &assessment.judgement;
    let hours = (window.1 - window.0) / 3600.0;
    let (word, from) = (verdict.word(), format!("[{hours:.1} h of {level}]"));
    match verdict {
        Verdict::Unknown(reasons) => {
            out.heading(column, &format!("{word} {from}"));
            for reason in reasons {
                out.say(&format!("  {reason}: {}", reason.way_out()));
            }
            return;
        }
        Verdict::Regression { worse, together } => {
            out.heading(column, &format!("{word} {from}"));
            for Worse { signal, query } in worse {
                let text = shown(assessment, query.id);
                out.say(&format!("  {signal} {}: {text}", change(query)));
            }
            for (signal, effect) in together {
                out.say(&format!("  {signal} {:+.0} %: all together", effect.percent()));
            }
        }
        _ => out.heading(column, &assessment.judgement.to_string()),
    }
    for comparison in &assessment.comparisons {
        for query in comparison.findings().filter(|query| query.effect.log_ratio < 0.0) {
            let text = shown(assessment, query.id);
            out.say(&format!("  {} {}: {text}", comparison.signal, change(query)));
        }
    }
    if let (Some(beside), Some((index, _))) = (&assessment.beside, &assessment.used) {
        out.say(&format!("  its index {index}: {beside}"));
    }
    if let Some(Verdict::Drop { statements: [drop, build], rebuild_bytes, .. }) =
        on_index(assessment)
    {
        out.say(&format!("  {drop};"));
        out.say("  and, to have it back:");
        out.say(&format!("  {build};"));
        let megabytes = *rebuild_bytes as f64 / 1e6;
        out.say(&format!(
            "  which reads and writes about {megabytes:.0} MB: {:.0} s at {SPEED:.0} MB/s",
            (megabytes / SPEED).ceil()
        ));
    }
    for (signal, refusal) in &assessment.refused {
        out.detail(&format!("{signal}: {refusal}"));
    }
}

fn change(query: &Compared) -> String {
    format!("{:+.0} %, {:.3} -> {:.3}", query.effect.percent(), query.before, query.after)
}

/// Returns the beginning of a statement on one line.
fn shown(assessment: &Assessment, id: QueryId) -> String {
    let text = assessment.texts.get(&id).map_or("", String::as_str);
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(SHOWN).collect()
}

fn json(out: &mut Output, column: &str, assessment: &Assessment, alerts: &[Alert]) {
    let of = |comparison: &'_ Comparison| {
        let signal = comparison.signal;
        comparison.queries.iter().map(move |query| (signal, query.clone())).collect::<Vec<_>>()
    };
    let statements = assessment
        .comparisons
        .iter()
        .flat_map(of)
        .map(|(signal, query)| ComparedJson::of(assessment, signal, &query));
    let refused = |(signal, refusal): &(Signal, Refusal)| (signal.to_string(), refusal.to_string());
    let judgement = &assessment.judgement;
    out.json(
        "newcol-watch-verdict",
        &VerdictJson {
            column,
            verdict: judgement.verdict.word(),
            sentence: judgement.verdict.to_string(),
            level: judgement.level.to_string(),
            from: judgement.window.0,
            to: judgement.window.1,
            controls: assessment.controls.len(),
            not_compared: assessment.refused.iter().map(refused).collect(),
            statements: statements.collect(),
            alerts: alerts.iter().map(AlertJson::of).collect(),
            index: IndexJson::of(assessment),
        },
    );
}

impl<'a> IndexJson<'a> {
    fn of(assessment: &'a Assessment) -> Option<Self> {
        let (name, used) = assessment.used.as_ref()?;
        let verdict = on_index(assessment)?;
        let usage = &used.usage;
        Some(Self {
            name,
            verdict: verdict.word(),
            sentence: verdict.to_string(),
            counted: usage.counted,
            attributed: usage.executed,
            planner: usage.planned,
            explained: usage.explained(),
            statements: match verdict {
                Verdict::Drop { statements, .. } => statements.iter().map(String::as_str).collect(),
                _ => Vec::new(),
            },
        })
    }
}

/// Returns the word on the index alone; nothing where there is none.
fn on_index(assessment: &Assessment) -> Option<&Verdict> {
    assessment.beside.as_ref().or(match &assessment.judgement.verdict {
        Verdict::Unknown(_) | Verdict::Quiet { .. } | Verdict::Regression { .. } => None,
        verdict => Some(verdict),
    })
}

impl<'a> ComparedJson<'a> {
    fn of(assessment: &'a Assessment, signal: Signal, query: &Compared) -> Self {
        let percent = |log: f64| log.exp_m1() * 100.0;
        Self {
            id: query.id.to_string(),
            signal: signal.to_string(),
            before: query.before,
            after: query.after,
            calls_before: query.calls.0,
            calls_after: query.calls.1,
            percent: query.effect.percent(),
            percent_from: percent(query.effect.interval.0),
            percent_to: percent(query.effect.interval.1),
            adjusted_p: query.effect.adjusted_p,
            finding: match query.effect.finding {
                Finding::Changed => "changed",
                Finding::Small => "small",
                Finding::Chance => "chance",
            },
            text: assessment.texts.get(&query.id).map(String::as_str),
        }
    }
}

fn page(ctx: &Context, column: &str, assessment: &Assessment) -> String {
    let origin =
        format!("written by cargo newcol {} on {}", env!("CARGO_PKG_VERSION"), ctx.today());
    let end = assessment.judgement.window.1;
    let marks = marks(assessment);
    Watched {
        column,
        origin: &origin,
        judgement: &assessment.judgement,
        beside: assessment.beside.as_ref(),
        comparisons: &assessment.comparisons,
        series: &assessment.series,
        controls: &assessment.controls,
        names: &assessment.texts,
        // Without a column all is before.
        split: assessment.split.unwrap_or(Split::at(end)),
        marks: &marks,
        table: &assessment.table,
        scans: assessment.used.as_ref().map_or(&[], |(_, used)| &used.points),
        balance: assessment.balance.as_ref(),
    }
    .report()
    .to_html()
}

/// Returns when the column and its index came.
fn marks(assessment: &Assessment) -> Vec<Mark> {
    let column = assessment.split.map(|split| (split.after, "column"));
    let index = assessment.used.as_ref().map(|(_, used)| (used.since, "index"));
    column
        .into_iter()
        .chain(index)
        .map(|(at, label)| Mark { at, label: label.to_owned() })
        .collect()
}
