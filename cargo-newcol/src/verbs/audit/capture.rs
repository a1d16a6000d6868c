//! `audit --capture`: what the project's tests, or another command, send to a throwaway database.

use std::{collections::BTreeSet, fmt::Write as _, ops::ControlFlow, process::Command};

use camino::Utf8PathBuf;
use newcol_core::{
    audit::{
        Where,
        capture::{Captured, Places, SeenStatement, Sender, Sent, Source, examine_sent},
        rules::BUILT_SQL,
    },
    backend::{Backend, Server},
    schema::Place,
};
use newcol_testkit::{
    Want,
    capture::{self, Capture, CaptureError, CaptureProgress, SentStatement},
};

use super::{AuditArgs, Audited, look::Look};
use crate::{
    context::{Context, EngineDir, Project, env},
    error::{CliError, Exit},
    interrupt,
    output::Output,
    verbs::add::split,
};

/// Characters of a statement that are shown to people.
const SHOWN: usize = 400;

/// What a command has sent to one engine.
pub(super) struct Run {
    pub(super) engine: Backend,
    /// None for SQLite.
    pub(super) server: Option<Server>,
    pub(super) command: Vec<String>,
    /// None if a signal ended it.
    pub(super) exit: Option<i32>,
    /// Statements of any table.
    pub(super) total: u64,
    pub(super) captured: Captured,
    /// The places at which the program makes SQL.
    pub(super) built: Vec<Built>,
}

/// A place of which the texts alone cannot say what SQL it makes.
pub(super) struct Built {
    pub(super) path: Utf8PathBuf,
    pub(super) at: Place,
    /// Different statements on the table that came from there.
    pub(super) on_table: usize,
}

impl Run {
    /// Reports whether the command came to a good end.
    pub(super) fn is_whole(&self) -> bool {
        self.exit == Some(0)
    }

    fn server(&self) -> String {
        self.server.map_or_else(|| self.engine.to_string(), |server| server.to_string())
    }
}

/// Runs the command once on each engine of the project.
pub(super) fn run(
    ctx: &Context,
    out: &mut Output,
    project: &Project,
    args: &AuditArgs,
    look: &Look,
) -> Result<Vec<Run>, CliError> {
    let Some(subject) = look.subjects.first() else { return Ok(Vec::new()) };
    let files = &look.sources.files;
    let engines: BTreeSet<Backend> = project.engines.iter().map(|engine| engine.backend).collect();
    let places = Places::of(subject, &engines, files);
    let found = look.findings(files);
    let built: Vec<_> = found.iter().filter(|finding| *finding.rule == BUILT_SQL).collect();
    let command = command(ctx, args);
    let mut runs = Vec::new();
    for engine in &project.engines {
        let done = one(ctx, out, project, args, (engine, &command))?;
        let sent: Vec<Sent> = done.statements.into_iter().map(sent).collect();
        let captured = examine_sent(subject, &places, engine.backend, &sent, &found);
        let built = built.iter().filter_map(|finding| match &finding.place {
            Where::File { path, at } => Some(Built {
                path: path.clone(),
                at: at.clone(),
                on_table: captured.made_at(finding, &places).len(),
            }),
            Where::Database(_) | Where::Package(_) | Where::Statement { .. } => None,
        });
        let built = built.collect();
        runs.push(Run {
            engine: engine.backend,
            server: done.server,
            command: command.clone(),
            exit: done.exit,
            total: done.total,
            captured,
            built,
        });
    }
    Ok(runs)
}

/// Returns what is run: one failed test must not keep the others from being seen.
fn command(ctx: &Context, args: &AuditArgs) -> Vec<String> {
    if !args.command.is_empty() {
        return args.command.clone();
    }
    let mut words = ["cargo", "test", "--workspace", "--no-fail-fast"].map(str::to_owned).to_vec();
    let global = ctx.global();
    words.extend(global.offline.then(|| "--offline".to_owned()));
    words.extend(global.locked.then(|| "--locked".to_owned()));
    words
}

fn one(
    ctx: &Context,
    out: &mut Output,
    project: &Project,
    args: &AuditArgs,
    (engine, words): (&EngineDir, &[String]),
) -> Result<capture::Captured, CliError> {
    let backend = engine.backend;
    let for_engine = |text: &String| {
        let (of, sql) = split(text);
        of.is_none_or(|of| of == backend).then(|| sql.to_owned())
    };
    let migrations = project.root.join(&engine.dir);
    let want = Want { version: args.server, ..Want::from(backend) };
    let capture = Capture::new(args.column.table.name.as_str(), &migrations, want)
        .setup(args.setup.iter().filter_map(for_engine).collect());
    let is_default = args.command.is_empty();
    let cargo = env("CARGO").filter(|_| is_default);
    let mut command = Command::new(cargo.as_ref().unwrap_or(&words[0]));
    command.args(&words[1..]).current_dir(if is_default { &project.root } else { ctx.cwd() });
    let done = capture.run(command, &mut |progress| {
        if interrupt::requested() {
            return ControlFlow::Break(());
        }
        match progress {
            CaptureProgress::Schema => {
                out.status(&format!("capturing on {backend}: the project's migrations"));
            }
            CaptureProgress::Command => {
                out.status(&format!("capturing on {backend}: {}", words.join(" ")));
            }
            CaptureProgress::Line(line) => out.status(&format!("  {line}")),
            _ => {}
        }
        ControlFlow::Continue(())
    });
    done.map_err(|error| {
        let failed = CliError::of(Exit::Failed, &error).at("--capture");
        match error {
            CaptureError::Migrations { .. } => {
                failed.hint("what the application sends before its migrations goes into `--setup`")
            }
            _ => failed,
        }
    })
}

fn sent(statement: SentStatement) -> Sent {
    Sent {
        is_cut: statement.is_cut,
        sql: statement.sql,
        count: statement.count,
        sender: match statement.sender {
            capture::Sender::Unknown => Sender::Unknown,
            capture::Sender::Diesel => Sender::Diesel,
            capture::Sender::DieselBuilder => Sender::DieselBuilder,
        },
        application: statement.application,
        refused: statement.refused,
    }
}

/// Returns what was captured, for people.
pub(super) fn text(audited: &Audited<'_>, run: &Run) -> String {
    let table = audited.column.table.dotted();
    let seen = &run.captured.statements;
    let mut text = format!(
        "{} seen on {}, {} on `{table}`",
        count(run.total, "statement"),
        run.server(),
        match seen.len() {
            0 => "which proves nothing: none".to_owned(),
            1 => "1 kind".to_owned(),
            kinds => format!("{kinds} kinds"),
        }
    );
    for statement in seen {
        let shown: String = statement.sql.chars().take(SHOWN).collect();
        let more = if shown.len() < statement.sql.len() { "…" } else { "" };
        let _ = write!(text, "\n{:>6} × {shown}{more}", statement.count);
        for note in notes(statement, &table) {
            let _ = write!(text, "\n         {note}");
        }
    }
    let (heard, silent): (Vec<&Built>, Vec<&Built>) =
        run.built.iter().partition(|built| built.on_table > 0);
    for built in heard {
        let kinds = count(built.on_table as u64, "kind");
        let _ = write!(text, "\n{}:{} makes SQL: {kinds} on `{table}` seen", built.path, built.at);
    }
    for built in silent {
        let _ = write!(text, "\n{}:{} makes SQL: none on `{table}` seen", built.path, built.at);
    }
    text
}

fn notes(statement: &SeenStatement, table: &str) -> Vec<String> {
    let places = |places: &[(Utf8PathBuf, Place)]| {
        let places: Vec<String> = places.iter().map(|(path, at)| format!("{path}:{at}")).collect();
        places.join(", ")
    };
    let mut notes = vec![match &statement.source {
        Source::Written(found) => format!("written at {}", places(found)),
        Source::Template(found) => format!("fits the text at {}", places(found)),
        Source::Diesel => "built by Diesel".to_owned(),
        Source::LikeDiesel => "in the form that Diesel builds".to_owned(),
        Source::ThroughDiesel => "sent by Diesel; its text is nowhere in the sources".to_owned(),
        Source::Unknown => "its text is nowhere in the sources".to_owned(),
    }];
    let mut columns = statement.columns.clone();
    if statement.all_columns {
        columns.insert(0, "all".to_owned());
    }
    if !columns.is_empty() {
        notes.push(format!("columns: {}", columns.join(", ")));
    }
    let others: Vec<&str> =
        statement.tables.iter().map(String::as_str).filter(|other| *other != table).collect();
    if !others.is_empty() {
        notes.push(format!("tables beside it: {}", others.join(", ")));
    }
    if statement.refused {
        notes.push("refused by the server".to_owned());
    }
    notes.extend(statement.comments.iter().map(|comment| format!("comment: {comment}")));
    notes.extend(statement.applications.iter().map(|name| format!("application: {name}")));
    notes
}

fn count(number: u64, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}

/// Returns what keeps the capture from being the whole.
pub(super) fn warnings(audited: &Audited<'_>, run: &Run) -> Vec<String> {
    let table = audited.column.table.dotted();
    let command = run.command.join(" ");
    let mut warnings = Vec::new();
    match run.exit {
        Some(0) => {}
        Some(code) => warnings.push(format!(
            "`{command}` ended with exit code {code}: what it would have sent is not seen"
        )),
        None => warnings.push(format!(
            "`{command}` was ended by a signal: what it would have sent is not seen"
        )),
    }
    if run.captured.statements.is_empty() {
        let way_out = match (run.engine, run.total) {
            (Backend::Sqlite, 0) => {
                "SQLite has no server that logs: let the tests call \
                 `newcol_testkit::capture::install()` (feature `capture`) before they connect"
            }
            _ => "the command may not use the table, or another database than that of DATABASE_URL",
        };
        warnings.push(format!("no statement on `{table}` was seen on {}: {way_out}", run.server()));
    }
    warnings
}
