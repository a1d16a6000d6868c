//! `cargo newcol audit`: every place that a column touches, before production finds it.

mod asked;
mod capture;
mod collect;
mod fix;
mod gate;
mod github;
mod json;
mod kept;
mod look;
mod print;
mod region;
mod sarif;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use asked::Asked;
use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;
pub(super) use gate::{due, last_look, markers_of, pass, push_baseline_without};
use look::{Comments, Known, Look};
use newcol_core::{
    audit::{Class, Report, SourceFile, Subject, Texts, probe::Use},
    ident::ColumnPath,
    plan::StageKind,
    render::patch::FilePatch,
};

use crate::{
    cli::MessageFormat,
    context::{Context, Intent, Project, contract_of},
    error::{CliError, Exit},
    output::Output,
};

/// Find every place of the project that a column touches
///
/// Says of each place what happens there if nothing is done: it stops compiling, a statement fails,
/// or a value is silently wrong or lost; and before which stage's release it must be dealt with. A
/// finding is acknowledged by a comment, `// newcol:allow(NC009): reason`, or by a baseline. Exit
/// code 100 if there is one that is not; what could not be looked at is shown as unknown and does
/// not count.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cargo newcol audit users.locale\n  \
    cargo newcol audit users.locale --stage constrain --message-format short\n  \
    cargo newcol audit users.locale --full --database-url postgres://db/app\n  \
    cargo newcol audit users.locale --capture\n  \
    cargo newcol audit users.locale --capture -- cargo test --test db\n  \
    cargo newcol audit users.locale --capture -- \\\n      \
        sh -c 'APP_DATABASE_URL=$DATABASE_URL cargo test -p app_db'\n  \
    cargo newcol audit users.locale --fix --dry-run\n  \
    cargo newcol audit users.locale --write-baseline\n  \
    cargo newcol audit users.locale --message-format sarif > newcol.sarif\n  \
    cargo newcol explain NC009")]
pub(crate) struct AuditArgs {
    /// Column to look for, as `table.column`
    column: ColumnPath,
    /// Show what must be dealt with before this stage is released
    #[arg(long, value_name = "STAGE", value_parser = stage)]
    stage: Option<StageKind>,
    /// Read texts only; the default
    #[arg(long, conflicts_with = "full")]
    quick: bool,
    /// Ask the compiler too: it compiles a copy of the workspace as it is and at every stage
    #[arg(long)]
    full: bool,
    /// Features that the compiler looks at
    #[arg(long, value_name = "FEATURES", value_delimiter = ',', requires = "full")]
    features: Vec<String>,
    /// Let the compiler look at all features
    #[arg(long, requires = "full")]
    all_features: bool,
    /// Let the compiler look without the features that are on by default
    #[arg(long, requires = "full")]
    no_default_features: bool,
    /// Target that the compiler looks at
    #[arg(long, value_name = "TRIPLE", requires = "full")]
    target: Option<String>,
    /// Findings that are known [default: newcol/baseline.json beside diesel.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    baseline: Option<Utf8PathBuf>,
    /// Write all that is found into the baseline
    #[arg(long, conflicts_with = "fix")]
    write_baseline: bool,
    /// Apply the fixes that keep the program's meaning for certain
    #[arg(long)]
    fix: bool,
    /// Show the files of `--fix` or `--write-baseline` as a diff and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Fix although there are changes that are not committed
    #[arg(long, requires = "fix")]
    allow_dirty: bool,
    /// Fix although there is no Git repository to go back with
    #[arg(long, requires = "fix")]
    allow_no_vcs: bool,
    /// Run a command, by default the tests, on a throwaway database and look at what it sends there
    #[arg(long, conflicts_with = "fix")]
    capture: bool,
    /// SQL that the application sends before its migrations: `mysql=SET foreign_key_checks = 0`
    #[arg(long, value_name = "SQL", requires = "capture")]
    setup: Vec<String>,
    /// Major version of the throwaway server, such as 16
    #[arg(long, value_name = "MAJOR", requires = "capture")]
    server: Option<u32>,
    /// Read every file anew, and keep nothing of it for the next audit
    #[arg(long)]
    no_cache: bool,
    /// Database whose views, functions and triggers are looked at too: asked, never changed
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// What to run with `--capture`; DATABASE_URL is set [default: cargo test of the workspace]
    #[arg(last = true, value_name = "COMMAND", requires = "capture")]
    command: Vec<String>,
}

fn stage(text: &str) -> Result<StageKind, String> {
    let found = StageKind::ALL.into_iter().find(|kind| kind.name() == text);
    found.ok_or_else(|| {
        let names: Vec<String> = StageKind::ALL.map(|kind| format!("`{}`", kind.name())).into();
        format!("it is one of {}", names.join(", "))
    })
}

/// A report with what its printing needs.
struct Audited<'a> {
    column: &'a ColumnPath,
    report: &'a Report,
    /// What the project's command has sent, by engine.
    captures: &'a [capture::Run],
    texts: Texts<'a>,
    /// Files that were read.
    files: usize,
    /// The root of the project below that of its repository, as code scanning wants paths.
    prefix: Utf8PathBuf,
}

impl Audited<'_> {
    fn text(&self, path: &Utf8Path) -> &str {
        self.texts.get(path).unwrap_or_default()
    }
}

/// How many findings there are.
struct Tally {
    /// Those to act on, by class.
    open: BTreeMap<Class, usize>,
    unknown: usize,
    acknowledged: usize,
}

impl Tally {
    fn of(report: &Report) -> Self {
        let mut tally = Self { open: BTreeMap::new(), unknown: 0, acknowledged: 0 };
        for judged in &report.findings {
            if judged.acknowledged.is_some() {
                tally.acknowledged += 1;
            } else if judged.is_open() {
                *tally.open.entry(judged.finding.class).or_default() += 1;
            } else {
                tally.unknown += 1;
            }
        }
        tally
    }

    /// Returns the whole in one line.
    fn sentence(&self) -> String {
        let classes: Vec<String> =
            self.open.iter().map(|(class, count)| format!("{count} {}", class.name())).collect();
        let mut text = match self.open.values().sum() {
            0 => "nothing to act on".to_owned(),
            1 => format!("1 place to act on ({})", classes.join(", ")),
            places => format!("{places} places to act on ({})", classes.join(", ")),
        };
        if self.unknown > 0 {
            let _ = write!(text, "; {} unknown", self.unknown);
        }
        if self.acknowledged > 0 {
            let _ = write!(text, "; {} acknowledged", self.acknowledged);
        }
        text
    }
}

pub(crate) fn run(ctx: &Context, out: &mut Output, args: &AuditArgs) -> Result<Exit, CliError> {
    let writes = args.fix || args.write_baseline;
    let project = ctx.project(out, Intent::of_dry_run(args.dry_run || !writes))?;
    let look = look(ctx, out, &project, args)?;
    for other in &look.sources.foreign {
        out.detail(&format!("{other} is of another workspace and was left out"));
    }
    if args.write_baseline {
        return write_baseline(ctx, out, &project, args, &look);
    }
    let mut files = look.sources.files.clone();
    if args.fix {
        if !args.dry_run {
            fix::check_repository(&project, args)?;
        }
        files = fix::apply(ctx, out, &project, args, &look)?;
        if args.dry_run {
            return Ok(Exit::Done);
        }
    }
    let mut report = look.report(&project, &files, Comments::Judged);
    if let Some(stage) = args.stage {
        report = report.due_by(stage);
    }
    if !args.no_cache {
        kept::store(out, &project, &look.memory);
    }
    show(out, &project, args, &files, (&report, &look.asked.captures));
    show_uses(out, &look.asked.uses);
    Ok(if report.open().next().is_some() {
        Exit::Findings
    } else if look.asked.captures.iter().all(capture::Run::is_whole) {
        Exit::Done
    } else {
        Exit::Failed
    })
}

fn look(
    ctx: &Context,
    out: &mut Output,
    project: &Project,
    args: &AuditArgs,
) -> Result<Look, CliError> {
    let schemas = project.schemas_of(&args.column.table)?;
    let contract = contract_of(project, &args.column)?;
    let known = match &args.baseline {
        None => Known::of(project)?,
        Some(path) => {
            let known = Known::at(project, project.relative(&ctx.cwd().join(path)))?;
            if known.text.is_none() && !args.write_baseline {
                return Err(CliError::usage("there is no such baseline")
                    .at(path)
                    .hint("write it with `--write-baseline`"));
            }
            known
        }
    };
    let mut look = Look::new(project, (&args.column, contract.as_ref()), &schemas, known)?;
    if !args.no_cache {
        look.memory = kept::load(project);
    }
    look.asked = Asked::of(ctx, out, project, args, (contract.as_ref(), &schemas, &look.subjects))?;
    if look.asked.is_missing {
        look.subjects = look.subjects.into_iter().map(Subject::missing).collect();
    }
    if args.capture {
        let captures = capture::run(ctx, out, project, args, &look)?;
        let found = captures.iter().flat_map(|run| run.captured.findings.iter().cloned());
        look.asked.findings.extend(found);
        look.asked.scope.capture = true;
        look.asked.captures = captures;
    }
    Ok(look)
}

fn write_baseline(
    ctx: &Context,
    out: &mut Output,
    project: &Project,
    args: &AuditArgs,
    look: &Look,
) -> Result<Exit, CliError> {
    let known = &look.baseline;
    let report = look.report(project, &look.sources.files, Comments::Taken);
    let baseline = report.baseline(&look.column, known.baseline.clone());
    let mut patch = FilePatch::default();
    patch.push(&known.path, known.text.clone(), Some(baseline.to_text()));
    ctx.commit(out, project, &patch, args.dry_run)
}

fn show(
    out: &mut Output,
    project: &Project,
    args: &AuditArgs,
    files: &[SourceFile],
    (report, captures): (&Report, &[capture::Run]),
) {
    let audited = Audited {
        column: &args.column,
        report,
        captures,
        texts: Texts::of(files),
        files: files.len(),
        prefix: below_repository(&project.root),
    };
    match out.format() {
        MessageFormat::Human => {
            let width = out.width();
            for judged in &report.findings {
                if judged.acknowledged.is_none() || out.is_verbose() {
                    out.say(&print::finding(&audited, judged, width));
                    out.say("");
                }
            }
            for remark in &report.remarks {
                out.say(&print::remark(&audited, remark, width));
                out.say("");
            }
            for run in captures {
                out.say(&capture::text(&audited, run));
                out.say("");
            }
            out.say(&Tally::of(report).sentence());
        }
        MessageFormat::Short => {
            for judged in report.findings.iter().filter(|judged| judged.acknowledged.is_none()) {
                out.say(&print::short(judged));
            }
            for remark in &report.remarks {
                out.say(&print::short_remark(remark));
            }
        }
        MessageFormat::Json => {
            for line in json::lines(&audited, args.stage) {
                out.json(line.reason, &line.body);
            }
        }
        MessageFormat::Sarif => out.raw(format!("{}\n", sarif::document(&audited)).as_bytes()),
        MessageFormat::Github => out.raw(github::commands(&audited).as_bytes()),
    }
    let texts =
        if files.len() == 1 { "1 file".to_owned() } else { format!("{} files", files.len()) };
    let silent = match (report.scope.compiler, report.scope.database) {
        (true, true) => "",
        (true, false) => "; no database was asked",
        (false, true) => "; the compiler was not asked",
        (false, false) => "; the compiler and the database were not asked",
    };
    out.status(&format!("read {texts}{silent}"));
    for run in captures {
        for warning in capture::warnings(&audited, run) {
            out.warn(&warning);
        }
    }
    match report.stale {
        0 => {}
        1 => out.status("1 finding of the baseline is gone; `--write-baseline` drops it"),
        gone => out.status(&format!(
            "{gone} findings of the baseline are gone; `--write-baseline` drops them"
        )),
    }
}

/// Says where the compiler sees the table used: what else the change of a column may concern.
fn show_uses(out: &mut Output, uses: &[Use]) {
    if uses.is_empty() {
        return;
    }
    let files: BTreeSet<&Utf8PathBuf> = uses.iter().map(|one| &one.path).collect();
    for one in uses {
        out.detail(&format!("{}:{} names {}", one.path, one.at, one.item));
    }
    let count = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    out.status(&format!(
        "the compiler sees {} of the table in {}{}",
        count(uses.len(), "use"),
        count(files.len(), "file"),
        if out.is_verbose() { "" } else { "; `--verbose` lists them" }
    ));
}

/// Returns a directory as seen from the root of its repository.
fn below_repository(root: &Utf8Path) -> Utf8PathBuf {
    let repository = root.ancestors().find(|dir| dir.join(".git").exists());
    let below = repository.and_then(|top| root.strip_prefix(top).ok());
    below.map(Utf8Path::to_owned).unwrap_or_default()
}
