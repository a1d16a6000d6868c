//! Reports as JSON lines; places and fixes have the names that rustc gives them.

use std::ops::Range;

use camino::Utf8Path;
use newcol_core::{
    audit::{
        Acknowledged, Class, Edit, Fix, Judged, Remark, Where,
        capture::{SeenStatement, Source},
    },
    plan::StageKind,
    schema::Place,
};
use serde::Serialize;

use super::{Audited, Tally, capture::Run, region::Region};

#[derive(Debug, Serialize)]
pub(super) struct FindingJson<'a> {
    column: String,
    rule: &'static str,
    name: &'static str,
    class: &'static str,
    due: &'static str,
    message: &'a str,
    help: Option<&'a str>,
    place: PlaceJson<'a>,
    acknowledged: Option<AcknowledgedJson<'a>>,
    fix: Option<FixJson<'a>>,
    fingerprint: String,
}

#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum PlaceJson<'a> {
    File(SpanJson<'a>),
    Database { object: &'a str },
    Package { name: &'a str },
    Statement { sql: &'a str, from: Vec<SpanJson<'a>> },
}

#[derive(Debug, Serialize)]
struct SpanJson<'a> {
    file_name: &'a str,
    byte_start: usize,
    byte_end: usize,
    line_start: usize,
    line_end: usize,
    column_start: usize,
    column_end: usize,
}

#[derive(Debug, Serialize)]
struct AcknowledgedJson<'a> {
    by: &'static str,
    reason: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct FixJson<'a> {
    message: &'a str,
    spans: Vec<EditJson<'a>>,
}

#[derive(Debug, Serialize)]
struct EditJson<'a> {
    #[serde(flatten)]
    span: SpanJson<'a>,
    suggested_replacement: &'a str,
    suggestion_applicability: &'static str,
}

#[derive(Debug, Serialize)]
pub(super) struct RemarkJson<'a> {
    message: &'a str,
    help: &'a str,
    place: PlaceJson<'a>,
}

#[derive(Debug, Serialize)]
pub(super) struct StatementJson<'a> {
    column: String,
    engine: &'static str,
    sql: &'a str,
    count: u64,
    refused: bool,
    tables: &'a [String],
    columns: &'a [String],
    all_columns: bool,
    source: SourceJson<'a>,
    comments: &'a [String],
    applications: &'a [String],
}

#[derive(Debug, Serialize)]
struct SourceJson<'a> {
    kind: &'static str,
    places: Vec<SpanJson<'a>>,
}

#[derive(Debug, Serialize)]
pub(super) struct CaptureJson<'a> {
    column: String,
    engine: &'static str,
    server: Option<String>,
    command: &'a [String],
    exit: Option<i32>,
    /// Statements of any table.
    statements: u64,
    /// Different ones on the table.
    on_table: usize,
    built: Vec<BuiltJson<'a>>,
}

#[derive(Debug, Serialize)]
struct BuiltJson<'a> {
    place: SpanJson<'a>,
    on_table: usize,
}

#[derive(Debug, Serialize)]
pub(super) struct SummaryJson {
    column: String,
    /// The stage that was asked for; null for all.
    stage: Option<&'static str>,
    files: usize,
    compiler: bool,
    database: bool,
    compile: usize,
    runtime: usize,
    silent: usize,
    unknown: usize,
    acknowledged: usize,
    stale: usize,
}

/// One line, and what kind it is.
pub(super) struct Line<'a> {
    pub(super) reason: &'static str,
    pub(super) body: Body<'a>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Body<'a> {
    Finding(FindingJson<'a>),
    Remark(RemarkJson<'a>),
    Statement(StatementJson<'a>),
    Capture(CaptureJson<'a>),
    Summary(SummaryJson),
}

/// Returns the whole report.
pub(super) fn lines<'a>(audited: &'a Audited<'_>, stage: Option<StageKind>) -> Vec<Line<'a>> {
    let column = audited.column.to_string();
    let findings = audited.report.findings.iter().map(|judged| Line {
        reason: "newcol-audit-finding",
        body: Body::Finding(FindingJson::of(audited, judged, column.clone())),
    });
    let remarks = audited.report.remarks.iter().map(|remark| Line {
        reason: "newcol-audit-remark",
        body: Body::Remark(RemarkJson::of(audited, remark)),
    });
    let mut lines: Vec<Line<'_>> = findings.chain(remarks).collect();
    for run in audited.captures {
        lines.extend(run.captured.statements.iter().map(|seen| Line {
            reason: "newcol-audit-statement",
            body: Body::Statement(StatementJson::of(audited, run, seen)),
        }));
        lines.push(Line {
            reason: "newcol-audit-capture",
            body: Body::Capture(CaptureJson::of(audited, run)),
        });
    }
    let Tally { open, unknown, acknowledged } = Tally::of(audited.report);
    let count = |class| open.get(&class).copied().unwrap_or_default();
    let summary = SummaryJson {
        column,
        stage: stage.map(StageKind::name),
        files: audited.files,
        compiler: audited.report.scope.compiler,
        database: audited.report.scope.database,
        compile: count(Class::Compile),
        runtime: count(Class::Runtime),
        silent: count(Class::Silent),
        unknown,
        acknowledged,
        stale: audited.report.stale,
    };
    lines.push(Line { reason: "newcol-audit-summary", body: Body::Summary(summary) });
    lines
}

impl<'a> FindingJson<'a> {
    fn of(audited: &'a Audited<'_>, judged: &'a Judged, column: String) -> Self {
        let found = &judged.finding;
        let (place, fix) = match &found.place {
            Where::File { path, at } => {
                let text = audited.text(path);
                let fix = found.fix.as_ref().map(|fix| {
                    let path = fix.path.as_ref().unwrap_or(path);
                    FixJson::of(path.as_str(), audited.text(path), fix)
                });
                (PlaceJson::File(SpanJson::of(path.as_str(), text, &at.range)), fix)
            }
            Where::Database(object) => (PlaceJson::Database { object }, None),
            Where::Package(name) => (PlaceJson::Package { name }, None),
            Where::Statement { sql, from } => {
                let from = from.iter().map(|(path, at)| span(audited, path, at)).collect();
                (PlaceJson::Statement { sql, from }, None)
            }
        };
        Self {
            column,
            rule: found.rule.id,
            name: found.rule.name,
            class: found.class.name(),
            due: found.due.name(),
            message: &found.message,
            help: found.help.as_deref(),
            place,
            acknowledged: judged.acknowledged.as_ref().map(|known| match known {
                Acknowledged::Comment { reason } => {
                    AcknowledgedJson { by: "comment", reason: Some(reason) }
                }
                Acknowledged::Baseline => AcknowledgedJson { by: "baseline", reason: None },
            }),
            fix,
            fingerprint: judged.mark.fingerprint(),
        }
    }
}

impl<'a> SpanJson<'a> {
    fn of(file_name: &'a str, text: &str, range: &Range<usize>) -> Self {
        let region = Region::of(text, range);
        Self {
            file_name,
            byte_start: range.start,
            byte_end: range.end,
            line_start: region.line,
            line_end: region.end_line,
            column_start: region.column,
            column_end: region.end_column,
        }
    }
}

impl<'a> StatementJson<'a> {
    fn of(audited: &'a Audited<'_>, run: &'a Run, seen: &'a SeenStatement) -> Self {
        let (kind, places) = match &seen.source {
            Source::Written(places) => ("written", places.as_slice()),
            Source::Template(places) => ("template", places.as_slice()),
            Source::Diesel => ("diesel", &[][..]),
            Source::LikeDiesel => ("like-diesel", &[][..]),
            Source::ThroughDiesel => ("through-diesel", &[][..]),
            Source::Unknown => ("unknown", &[][..]),
        };
        let places = places.iter().map(|(path, at)| span(audited, path, at)).collect();
        Self {
            column: audited.column.to_string(),
            engine: run.engine.name(),
            sql: &seen.sql,
            count: seen.count,
            refused: seen.refused,
            tables: &seen.tables,
            columns: &seen.columns,
            all_columns: seen.all_columns,
            source: SourceJson { kind, places },
            comments: &seen.comments,
            applications: &seen.applications,
        }
    }
}

impl<'a> CaptureJson<'a> {
    fn of(audited: &'a Audited<'_>, run: &'a Run) -> Self {
        let built = run.built.iter().map(|built| BuiltJson {
            place: span(audited, &built.path, &built.at),
            on_table: built.on_table,
        });
        Self {
            column: audited.column.to_string(),
            engine: run.engine.name(),
            server: run.server.map(|server| server.to_string()),
            command: &run.command,
            exit: run.exit,
            statements: run.total,
            on_table: run.captured.statements.len(),
            built: built.collect(),
        }
    }
}

fn span<'a>(audited: &Audited<'_>, path: &'a Utf8Path, at: &Place) -> SpanJson<'a> {
    SpanJson::of(path.as_str(), audited.text(path), &at.range)
}

impl<'a> FixJson<'a> {
    fn of(path: &'a str, text: &str, fix: &'a Fix) -> Self {
        let edit = |edit: &'a Edit| EditJson {
            span: SpanJson::of(path, text, &edit.range),
            suggested_replacement: &edit.text,
            suggestion_applicability: "MachineApplicable",
        };
        Self { message: &fix.message, spans: fix.edits.iter().map(edit).collect() }
    }
}

impl<'a> RemarkJson<'a> {
    fn of(audited: &Audited<'_>, remark: &'a Remark) -> Self {
        let text = audited.text(&remark.path);
        Self {
            message: &remark.message,
            help: &remark.help,
            place: PlaceJson::File(SpanJson::of(remark.path.as_str(), text, &remark.at.range)),
        }
    }
}
