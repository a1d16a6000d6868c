//! Reports as SARIF 2.1.0, the form that code scanning reads.

use std::ops::Range;

use newcol_core::audit::{
    Acknowledged, Class, Edit, Fix, Judged, Remark, Where,
    rules::{RULES, Rule},
};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::Serialize;

use super::{Audited, region::Region};

/// What a relative URI escapes: all but letters, digits, `-._~/` and what lies beyond ASCII.
const PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'!')
    .add(b'"')
    .add(b'#')
    .add(b'$')
    .add(b'%')
    .add(b'&')
    .add(b'\'')
    .add(b'(')
    .add(b')')
    .add(b'*')
    .add(b'+')
    .add(b',')
    .add(b':')
    .add(b';')
    .add(b'<')
    .add(b'=')
    .add(b'>')
    .add(b'?')
    .add(b'@')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

#[derive(Debug, Serialize)]
struct Log<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run<'a>; 1],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Run<'a> {
    tool: Tool,
    invocations: [Invocation<'a>; 1],
    results: Vec<ResultForm<'a>>,
    column_kind: &'static str,
}

#[derive(Debug, Serialize)]
struct Tool {
    driver: Driver,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Driver {
    name: &'static str,
    semantic_version: &'static str,
    information_uri: &'static str,
    rules: Vec<RuleForm>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RuleForm {
    id: &'static str,
    name: String,
    short_description: Text<'static>,
    help: Help,
    default_configuration: Configuration,
    properties: RuleProperties,
}

#[derive(Debug, Serialize)]
struct Text<'a> {
    text: &'a str,
}

#[derive(Debug, Serialize)]
struct Help {
    text: &'static str,
    markdown: &'static str,
}

#[derive(Debug, Serialize)]
struct Configuration {
    level: &'static str,
}

#[derive(Debug, Serialize)]
struct RuleProperties {
    class: &'static str,
    tags: [&'static str; 1],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Invocation<'a> {
    execution_successful: bool,
    tool_execution_notifications: Vec<Notification<'a>>,
}

#[derive(Debug, Serialize)]
struct Notification<'a> {
    level: &'static str,
    message: Text<'a>,
    locations: [Location<'a>; 1],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ResultForm<'a> {
    rule_id: &'static str,
    rule_index: usize,
    level: &'static str,
    message: Message,
    locations: [Location<'a>; 1],
    partial_fingerprints: Fingerprints,
    suppressions: Vec<Suppression<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fixes: Option<[FixForm<'a>; 1]>,
    properties: ResultProperties,
}

#[derive(Debug, Serialize)]
struct Message {
    text: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum Location<'a> {
    PhysicalLocation(Physical),
    LogicalLocations([Logical<'a>; 1]),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Physical {
    artifact_location: Artifact,
    region: RegionForm,
}

#[derive(Debug, Serialize)]
struct Artifact {
    uri: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RegionForm {
    start_line: usize,
    start_column: usize,
    end_line: usize,
    end_column: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Logical<'a> {
    fully_qualified_name: &'a str,
    kind: &'static str,
}

#[derive(Debug, Serialize)]
struct Fingerprints {
    #[serde(rename = "newcolLine/v1")]
    line: String,
}

#[derive(Debug, Serialize)]
struct Suppression<'a> {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    justification: Option<&'a str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct FixForm<'a> {
    description: Text<'a>,
    artifact_changes: [ArtifactChange<'a>; 1],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ArtifactChange<'a> {
    artifact_location: Artifact,
    replacements: Vec<Replacement<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Replacement<'a> {
    deleted_region: RegionForm,
    inserted_content: Text<'a>,
}

#[derive(Debug, Serialize)]
struct ResultProperties {
    class: &'static str,
    due: &'static str,
}

/// Returns the report as one document.
pub(super) fn document(audited: &Audited<'_>) -> String {
    let results = audited.report.findings.iter().map(|judged| result(audited, judged));
    let notifications = audited.report.remarks.iter().map(|remark| notification(audited, remark));
    let log = Log {
        schema: "https://json.schemastore.org/sarif-2.1.0.json",
        version: "2.1.0",
        runs: [Run {
            tool: Tool {
                driver: Driver {
                    name: "cargo-newcol",
                    semantic_version: env!("CARGO_PKG_VERSION"),
                    information_uri: env!("CARGO_PKG_REPOSITORY"),
                    rules: RULES.iter().map(|rule| rule_form(rule)).collect(),
                },
            },
            invocations: [Invocation {
                execution_successful: true,
                tool_execution_notifications: notifications.collect(),
            }],
            results: results.collect(),
            column_kind: "unicodeCodePoints",
        }],
    };
    serde_json::to_string_pretty(&log).expect("our own types have JSON forms")
}

fn level(class: Class) -> &'static str {
    match class {
        Class::Compile | Class::Runtime | Class::Silent => "error",
        Class::Unknown => "warning",
    }
}

fn rule_form(rule: &'static Rule) -> RuleForm {
    RuleForm {
        id: rule.id,
        name: pascal(rule.name),
        short_description: Text { text: rule.name },
        help: Help { text: rule.text, markdown: rule.text },
        default_configuration: Configuration { level: level(rule.class) },
        properties: RuleProperties { class: rule.class.name(), tags: ["database"] },
    }
}

/// SARIF recommends such names of rules.
fn pascal(name: &str) -> String {
    let word = |word: &str| {
        let mut chars = word.chars();
        let first = chars.next().map(|c| c.to_ascii_uppercase());
        first.into_iter().chain(chars).collect::<String>()
    };
    name.split('-').map(word).collect()
}

fn result<'a>(audited: &Audited<'_>, judged: &'a Judged) -> ResultForm<'a> {
    let found = &judged.finding;
    let mut text = found.message.clone();
    if let Some(help) = &found.help {
        text.push_str("\nhelp: ");
        text.push_str(help);
    }
    let location = match &found.place {
        Where::File { path, at } => Location::PhysicalLocation(Physical {
            artifact_location: artifact(audited, path),
            region: region(audited.text(path), &at.range),
        }),
        Where::Database(name) => logical(name, "resource"),
        Where::Package(name) => logical(name, "module"),
        Where::Statement { sql, .. } => logical(sql, "resource"),
    };
    let suppression = judged.acknowledged.as_ref().map(|known| match known {
        Acknowledged::Comment { reason } => {
            Suppression { kind: "inSource", justification: Some(reason) }
        }
        Acknowledged::Baseline => Suppression { kind: "external", justification: None },
    });
    let fixes = match (&found.fix, &found.place) {
        (Some(fix), Where::File { path, .. }) => Some([fix_form(audited, path, fix)]),
        _ => None,
    };
    ResultForm {
        rule_id: found.rule.id,
        rule_index: RULES.iter().position(|rule| *rule == found.rule).unwrap_or_default(),
        level: level(found.class),
        message: Message { text },
        locations: [location],
        partial_fingerprints: Fingerprints { line: judged.mark.fingerprint() },
        suppressions: suppression.into_iter().collect(),
        fixes,
        properties: ResultProperties { class: found.class.name(), due: found.due.name() },
    }
}

fn logical<'a>(fully_qualified_name: &'a str, kind: &'static str) -> Location<'a> {
    Location::LogicalLocations([Logical { fully_qualified_name, kind }])
}

fn notification<'a>(audited: &Audited<'_>, remark: &'a Remark) -> Notification<'a> {
    Notification {
        level: "warning",
        message: Text { text: &remark.message },
        locations: [Location::PhysicalLocation(Physical {
            artifact_location: artifact(audited, &remark.path),
            region: region(audited.text(&remark.path), &remark.at.range),
        })],
    }
}

fn fix_form<'a>(audited: &Audited<'_>, path: &camino::Utf8Path, fix: &'a Fix) -> FixForm<'a> {
    let path = fix.path.as_deref().unwrap_or(path);
    let text = audited.text(path);
    let replacement = |edit: &'a Edit| Replacement {
        deleted_region: region(text, &edit.range),
        inserted_content: Text { text: &edit.text },
    };
    FixForm {
        description: Text { text: &fix.message },
        artifact_changes: [ArtifactChange {
            artifact_location: artifact(audited, path),
            replacements: fix.edits.iter().map(replacement).collect(),
        }],
    }
}

fn artifact(audited: &Audited<'_>, path: &camino::Utf8Path) -> Artifact {
    let path = audited.prefix.join(path);
    Artifact { uri: utf8_percent_encode(path.as_str(), PATH).to_string() }
}

fn region(text: &str, range: &Range<usize>) -> RegionForm {
    let Region { line, column, end_line, end_column } = Region::of(text, range);
    RegionForm { start_line: line, start_column: column, end_line, end_column }
}
