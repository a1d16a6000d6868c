//! `watch report`.

use newcol_core::watch::{
    alert::{Alert, alerts},
    attribution::{Attributed, Attribution},
    history::History,
    involve::role_name,
    plans::Use,
    report::{BLOCKS, IndexUse, Line, Report, Spell, TableUse},
    series::Role,
    store::Store,
};
use serde::Serialize;

use super::{Column, file};
use crate::{
    context::Project,
    error::{CliError, Exit},
    output::{Level, Output},
};

/// Characters of a statement that are shown to people.
const SHOWN: usize = 100;

/// Statements that are shown to people; programs get all of them.
const LINES: usize = 40;

#[derive(Debug, Serialize)]
struct StatementJson<'a> {
    column: &'a str,
    /// As a text: numbers of this size lose digits in many readers of JSON.
    id: String,
    role: &'static str,
    uses: Vec<&'static str>,
    layer: &'static str,
    why: Option<&'a str>,
    older_than_column: bool,
    continues: Vec<String>,
    before: Option<SpellJson>,
    before_is_history: bool,
    after: Option<SpellJson>,
    p50_ms: Option<f64>,
    p95_ms: Option<f64>,
    p99_ms: Option<f64>,
    text: Option<&'a str>,
    plan: Option<PlanJson<'a>>,
}

/// What a statement's plan says of the column's index.
#[derive(Debug, Serialize)]
struct PlanJson<'a> {
    index: &'a str,
    /// `always`, `sometimes` (with some values) or `never`; null where there is no plan.
    uses_index: Option<&'static str>,
    /// Why there is no plan.
    refused: Option<&'a str>,
    calls: u64,
    scans_from: f64,
    scans_to: f64,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct SpellJson {
    seconds: f64,
    calls: u64,
    calls_per_hour: Option<f64>,
    mean_ms: f64,
    sd_ms: Option<f64>,
    rows: u64,
    blocks_per_call: Option<f64>,
    wal_per_row: Option<f64>,
}

#[derive(Debug, Serialize)]
struct ReportJson<'a> {
    column: &'a str,
    snapshots: usize,
    from: f64,
    to: f64,
    column_absent_until: Option<f64>,
    column_present_since: Option<f64>,
    seconds_before: f64,
    seconds_after: f64,
    controls: usize,
    hidden: u64,
    hot_share_before: Option<f64>,
    hot_share_after: Option<f64>,
    index_entries_per_row_before: Option<f64>,
    index_entries_per_row_after: Option<f64>,
    indexes: Vec<IndexJson<'a>>,
    gaps: Vec<GapJson>,
    alerts: Vec<AlertJson<'a>>,
    /// What `blocks_per_call` of the statements counts.
    touched: &'a str,
    own_busy_ms: f64,
    own_share: Option<f64>,
}

#[derive(Debug, Serialize)]
struct IndexJson<'a> {
    name: &'a str,
    has_column: bool,
    valid: bool,
    unique: bool,
    bytes: Option<f64>,
    ignored: bool,
    scans: Option<f64>,
    rows_read: Option<f64>,
    plans: Option<f64>,
    /// Scans of statements whose plan names it; null of indexes that are not judged.
    attributed: Option<u64>,
    /// Looks of the planner at its ends, at most.
    planner: Option<u64>,
    /// Which share of the scans is explained so.
    explained: Option<f64>,
    replicas: Vec<ReplicaJson<'a>>,
}

#[derive(Debug, Serialize)]
struct ReplicaJson<'a> {
    replica: &'a str,
    scans: Option<u64>,
}

#[derive(Debug, Serialize)]
struct GapJson {
    from: f64,
    to: f64,
    statement: Option<String>,
    gap: &'static str,
    sentence: String,
}

/// Something to look at, as the last snapshot shows it.
#[derive(Debug, Serialize)]
pub(super) struct AlertJson<'a> {
    alert: &'static str,
    object: &'a str,
    statement: Option<String>,
    value: f64,
    threshold: f64,
    source: &'static str,
    sentence: &'a str,
}

impl<'a> AlertJson<'a> {
    pub(super) fn of(alert: &'a Alert) -> Self {
        Self {
            alert: alert.name,
            object: &alert.object,
            statement: alert.statement.map(|id| id.to_string()),
            value: alert.value,
            threshold: alert.threshold,
            source: alert.source,
            sentence: &alert.sentence,
        }
    }
}

pub(super) fn run(out: &mut Output, project: &Project, of: &Column) -> Result<Exit, CliError> {
    let column = &of.column;
    let path = file(project, column)?;
    let found = match Store::read(&path, column)? {
        Some(mut store) => {
            let alerts = alerts(&History::of(&mut store)?);
            Report::of(&mut store)?.map(|report| (report, alerts))
        }
        None => None,
    };
    let Some((report, alerts)) = found else {
        out.status(&format!(
            "`{column}` has no snapshot yet; begin with `cargo newcol watch baseline {column} --database-url <URL>`"
        ));
        return Ok(Exit::Nothing);
    };
    let table = &column.table;
    let column = column.to_string();
    if out.is_json() {
        json(out, &column, &report, &alerts);
    } else {
        human(out, &column, &report);
        let trials = report.indexes.iter().filter_map(|index| index.trial(table));
        for trial in trials {
            out.say(&format!("  before it is dropped, let the server do without it: {trial}"));
        }
        for alert in &alerts {
            out.label(Level::Warning, "alert", &alert.to_string());
        }
    }
    Ok(Exit::Done)
}

fn json(out: &mut Output, column: &str, report: &Report, alerts: &[Alert]) {
    for line in &report.lines {
        out.json(
            "newcol-watch-statement",
            &StatementJson {
                column,
                id: line.id.to_string(),
                role: role_name(line.role),
                uses: line.uses.iter().map(|role| role_name(*role)).collect(),
                layer: line.layer.name(),
                why: line.why.as_deref(),
                older_than_column: line.is_of_old,
                continues: line.heirs_of.iter().map(ToString::to_string).collect(),
                before: line.before.as_ref().map(SpellJson::of),
                before_is_history: line.is_history,
                after: line.after.as_ref().map(SpellJson::of),
                p50_ms: line.percentiles.map(|all| all[0]),
                p95_ms: line.percentiles.map(|all| all[1]),
                p99_ms: line.percentiles.map(|all| all[2]),
                text: line.text.as_deref(),
                plan: plan_json(report, line),
            },
        );
    }
    out.json(
        "newcol-watch-report",
        &ReportJson {
            column,
            snapshots: report.snapshots,
            from: report.span.0,
            to: report.span.1,
            column_absent_until: report.absent_until,
            column_present_since: report.present_since,
            seconds_before: report.covered.0,
            seconds_after: report.covered.1,
            controls: report.controls,
            hidden: report.hidden,
            hot_share_before: report.table.0.hot_share(),
            hot_share_after: report.table.1.hot_share(),
            index_entries_per_row_before: report.table.0.entries_per_row(),
            index_entries_per_row_after: report.table.1.entries_per_row(),
            indexes: report.indexes.iter().map(|index| IndexJson::of(report, index)).collect(),
            gaps: report
                .gaps
                .iter()
                .map(|gap| GapJson {
                    from: gap.span.0,
                    to: gap.span.1,
                    statement: gap.statement.map(|id| id.to_string()),
                    gap: gap.gap.stored().0,
                    sentence: gap.gap.to_string(),
                })
                .collect(),
            alerts: alerts.iter().map(AlertJson::of).collect(),
            touched: report.touched,
            own_busy_ms: report.own.busy_ms,
            own_share: report.own.share(),
        },
    );
}

fn plan_json<'a>(report: &'a Report, line: &Line) -> Option<PlanJson<'a>> {
    let (index, _) = report.used.as_ref()?;
    let Attributed { calls, used, scans, .. } = report.attributed(line.id)?;
    Some(PlanJson {
        index,
        uses_index: used.as_ref().ok().map(|used| match used {
            Use::Always { .. } => "always",
            Use::Sometimes => "sometimes",
            Use::Never => "never",
        }),
        refused: used.as_ref().err().map(String::as_str),
        calls: *calls,
        scans_from: scans.0,
        scans_to: scans.1,
    })
}

/// Returns who used an index, if it is the one that is judged.
fn use_of<'a>(report: &'a Report, index: &IndexUse) -> Option<&'a Attribution> {
    report.used.as_ref().filter(|(name, _)| *name == index.name).map(|(_, used)| used)
}

impl<'a> IndexJson<'a> {
    fn of(report: &'a Report, index: &'a IndexUse) -> Self {
        let used = use_of(report, index);
        let replica =
            |(replica, scans): &'a (String, Option<u64>)| ReplicaJson { replica, scans: *scans };
        Self {
            name: &index.name,
            has_column: index.has_column,
            valid: index.is_valid,
            unique: index.is_unique,
            ignored: index.is_ignored,
            bytes: index.bytes,
            scans: index.scans,
            rows_read: index.rows_read,
            plans: index.plans,
            attributed: used.map(|used| used.usage.executed),
            planner: used.map(|used| used.usage.planned),
            explained: used.map(|used| used.usage.explained()),
            replicas: used
                .map(|used| used.replicas.iter().map(replica).collect())
                .unwrap_or_default(),
        }
    }
}

impl SpellJson {
    fn of(spell: &Spell) -> Self {
        Self {
            seconds: spell.seconds,
            calls: spell.calls,
            calls_per_hour: spell.per_hour(),
            mean_ms: spell.mean_ms,
            sd_ms: spell.sd_ms,
            rows: spell.rows,
            blocks_per_call: spell.blocks_per_call(),
            wal_per_row: spell.wal_per_row(),
        }
    }
}

fn human(out: &mut Output, column: &str, report: &Report) {
    out.heading(
        column,
        &format!(
            "{} snapshots from {} to {}",
            report.snapshots,
            at(report.span.0),
            at(report.span.1)
        ),
    );
    out.say(&match (report.absent_until, report.present_since) {
        (Some(from), Some(to)) => format!("  the column came between {} and {}", at(from), at(to)),
        (None, Some(_)) => {
            "  the column was there at the first snapshot: nothing proves what is older".to_owned()
        }
        (_, None) => "  the column is not there yet".to_owned(),
    });
    if !report.has_statements {
        out.say("  there are no statistics of statements; `cargo newcol watch doctor` says why");
    }
    for line in report.lines.iter().take(LINES) {
        statement(out, report, line);
    }
    out.say("");
    if let Some(more) = report.lines.len().checked_sub(LINES + 1) {
        out.say(&format!("  {} more with `--message-format json`", more + 1));
    }
    out.say(&format!("  {} statements of other tables to compare with", report.controls));
    if report.hidden > 0 {
        out.say(&format!("  {} statements of others are hidden from the role", report.hidden));
    }
    table(out, &report.table);
    for index in &report.indexes {
        out.say(&format!("  index {}", described(index)));
        if let Some(used) = use_of(report, index) {
            attributed(out, used);
        }
    }
    for gap in &report.gaps {
        let of = gap.statement.map(|id| format!("statement {id}: ")).unwrap_or_default();
        out.say(&format!("  gap from {} to {}: {of}{}", at(gap.span.0), at(gap.span.1), gap.gap));
    }
    let share = report
        .own
        .share()
        .map(|share| format!(", {:.4} % of what all statements took", share * 100.0));
    out.say(&format!(
        "  watching took at most {:.0} ms of the server's time in {:.0} s{}",
        report.own.busy_ms,
        report.own.seconds,
        share.unwrap_or_default()
    ));
}

fn statement(out: &mut Output, report: &Report, line: &Line) {
    let text = line.text.as_deref().unwrap_or("(its text is not known)");
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let shown: String = match words.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &words[..end]),
        None => words,
    };
    out.say("");
    out.heading(role_name(line.role), &shown);
    let why = line.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    let heirs: Vec<String> = line.heirs_of.iter().map(ToString::to_string).collect();
    let heirs = match heirs.as_slice() {
        [] => String::new(),
        all => format!("; continues {}", all.join(", ")),
    };
    out.say(&format!("  {} (by {}{why}{heirs})", line.id, line.layer));
    let before = if line.is_history { "counted before" } else { "before" };
    for (label, spell) in [(before, &line.before), ("after", &line.after)] {
        if let Some(spell) = spell {
            let writes = line.uses.contains(&Role::Writes);
            out.say(&format!("    {label:<14} {}", figures(spell, writes, report.touched)));
        }
    }
    if let Some([half, most, nearly]) = line.percentiles {
        let label = "percentiles";
        out.say(&format!(
            "    {label:<14} 50 % within {half:.3} ms, 95 % within {most:.3} ms, 99 % within {nearly:.3} ms"
        ));
    }
    if let (Some((index, _)), Some(of)) = (&report.used, report.attributed(line.id)) {
        let said = match &of.used {
            Ok(Use::Always { .. }) => format!("uses {index}, {} calls", of.calls),
            Ok(Use::Sometimes) => format!("uses {index} with some values, {} calls", of.calls),
            Ok(Use::Never) => format!("does not use {index}"),
            Err(why) => format!("not known: {why}"),
        };
        out.say(&format!("    {:<14} {said}", "plan"));
    }
}

/// Returns the figures of a statement in a line; what reading logs is chance.
fn figures(spell: &Spell, writes: bool, touched: &str) -> String {
    let mut parts = Vec::new();
    parts.extend(spell.per_hour().map(|calls| format!("{calls:.1} calls/h")));
    parts.push(match spell.sd_ms {
        Some(sd) => format!("{:.3} ± {sd:.3} ms", spell.mean_ms),
        None => format!("{:.3} ms", spell.mean_ms),
    });
    let blocks = spell.blocks_per_call().filter(|blocks| *blocks > 0.0 || touched == BLOCKS);
    parts.extend(blocks.map(|blocks| format!("{blocks:.1} {touched}/call")));
    let wal = spell.wal_per_row().filter(|_| writes);
    parts.extend(wal.map(|bytes| format!("{bytes:.0} B of WAL/row")));
    parts.join(", ")
}

fn table(out: &mut Output, (before, after): &(TableUse, TableUse)) {
    for (label, of) in [("before", before), ("after", after)] {
        if let Some(entries) = of.entries_per_row() {
            out.say(&format!(
                "  {label}: {entries:.2} entries of indexes were written with each of {:.0} rows",
                of.changed.unwrap_or_default().0
            ));
        }
        if let Some(share) = of.hot_share() {
            out.say(&format!(
                "  {label}: {:.0} % of {:.0} updates were HOT",
                share * 100.0,
                of.updated.unwrap_or_default()
            ));
        }
    }
}

fn described(index: &IndexUse) -> String {
    let mut parts = vec![index.name.clone()];
    if index.has_column {
        parts.push("on the column".to_owned());
    }
    if !index.is_valid {
        parts.push("not valid".to_owned());
    }
    parts.push(match index.bytes {
        Some(bytes) => format!("{:.0} kB", bytes / 1024.0),
        None => "size unknown".to_owned(),
    });
    parts.extend(index.plans.map(|plans| format!("in the plans of {plans:.0} statements")));
    if index.is_ignored {
        parts.push("ignored".to_owned());
    }
    parts.extend(index.rows_read.map(|rows| format!("{rows:.0} rows read through it since")));
    parts.extend(index.scans.map(|scans| format!("{scans:.0} scans since")));
    parts.join(", ")
}

/// Says who scanned the index.
fn attributed(out: &mut Output, used: &Attribution) {
    let usage = &used.usage;
    let planner = match usage.planned {
        0 => String::new(),
        looks => format!(" and {looks} looks of the planner"),
    };
    let share = (usage.explained() * 100.0).floor();
    out.say(&format!(
        "    {} scans are of statements above{planner}: {share:.0} % of {} counted are explained",
        usage.executed, usage.counted
    ));
    for (replica, scans) in &used.replicas {
        out.say(&match scans {
            Some(scans) => format!("    {replica}: {scans} scans"),
            None => format!("    {replica}: could not be asked"),
        });
    }
}

/// Returns a time in seconds since the epoch as people write it, in UTC.
fn at(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "seconds")]
    let second = seconds as i64;
    jiff::Timestamp::from_second(second)
        .map_or_else(|_| seconds.to_string(), |at| at.strftime("%Y-%m-%d %H:%M:%S").to_string())
}
