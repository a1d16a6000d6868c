//! `cargo newcol doctor`: what in this project will bite.

mod collect;
mod printing;

pub(crate) use collect::column_limit;

use clap::Args;
use newcol_core::{
    db::Access,
    doctor::{self, Finding, Severity},
};
use serde::Serialize;

use crate::{
    context::{Context, Project},
    error::{CliError, Exit},
    output::{Level, Output},
};

/// Say what in this project will bite: migrations, schema.rs, features, contracts
///
/// Reads and runs nothing that writes. SQLite migrations are replayed in memory; `--database-url`
/// adds what only a database knows. Where a `diesel` program is found (NEWCOL_DIESEL_BIN, PATH),
/// schema.rs is compared with what it prints. Exit code 100 if anything is an error.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cargo newcol doctor\n  \
    cargo newcol doctor --database-url postgres://db/app\n  \
    cargo newcol doctor --message-format json")]
pub(crate) struct DoctorArgs {
    /// Database with the project's schema: asked, never changed
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
}

/// A finding on the wire.
#[derive(Debug, Serialize)]
struct FindingJson<'a> {
    check: &'static str,
    severity: &'static str,
    path: &'a str,
    line: Option<usize>,
    column: Option<usize>,
    message: &'a str,
    help: Option<&'a str>,
}

pub(crate) fn run(ctx: &Context, out: &mut Output, args: &DoctorArgs) -> Result<Exit, CliError> {
    let sources = collect::sources(ctx, args.database_url.as_deref())?;
    let findings = doctor::examine(&sources);
    for finding in &findings {
        show(out, finding);
    }
    let count = |severity| findings.iter().filter(|f| f.check.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    out.say(&match (errors, warnings) {
        (0, 0) if findings.is_empty() => "no findings".to_owned(),
        (0, 0) => "no errors, no warnings".to_owned(),
        (errors, warnings) => {
            let counted =
                |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
            format!("{}, {}", counted(errors, "error"), counted(warnings, "warning"))
        }
    });
    Ok(if errors > 0 { Exit::Findings } else { Exit::Done })
}

/// Warns where a schema.rs had drifted before anything was done, as far as a database and a
/// `diesel` program can tell.
pub(super) fn warn_of_drift(
    ctx: &Context,
    out: &mut Output,
    project: &Project,
    url: &str,
) -> Result<(), CliError> {
    let session = ctx.session(&project.url(url)?, Access::Read)?;
    let sources = collect::for_drift(project, session)?;
    for Finding { path, at, message, help, .. } in doctor::drift(&sources) {
        let at = at.map(|at| format!(":{at}")).unwrap_or_default();
        let help = help.map(|help| format!("; {help}")).unwrap_or_default();
        out.warn(&format!("{path}{at} {message}{help}"));
    }
    Ok(())
}

fn show(out: &mut Output, finding: &Finding) {
    let at = finding.at.as_ref();
    let severity = finding.check.severity;
    out.json(
        "newcol-finding",
        &FindingJson {
            check: finding.check.id,
            severity: severity.name(),
            path: finding.path.as_str(),
            line: at.map(|at| at.line),
            column: at.map(|at| at.column),
            message: &finding.message,
            help: finding.help.as_deref(),
        },
    );
    let level = match severity {
        Severity::Error => Level::Error,
        Severity::Warning => Level::Warning,
        Severity::Note => Level::Note,
    };
    let label = format!("{}[{}]", severity.name(), finding.check.id);
    out.label(level, &label, &finding.message);
    match at {
        Some(at) => out.say(&format!("  --> {}:{at}", finding.path)),
        None => out.say(&format!("  --> {}", finding.path)),
    }
    if let Some(help) = &finding.help {
        out.say(&format!("  help: {help}"));
    }
    out.say("");
}
