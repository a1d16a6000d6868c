//! `cargo newcol rehearse`: the whole life of a column on throwaway databases.

mod junit;

use std::ops::ControlFlow;

use camino::Utf8PathBuf;
use clap::Args;
use newcol_core::{backend::Backend, ident::ColumnPath};
use newcol_testkit::{
    ScratchError, Want,
    rehearse::{
        OldRelease, OldReleaseAt, Progress, Rehearsal, RehearsalReport, RehearseError, Sample,
        Scene,
    },
};
use serde::Serialize;

use crate::{
    context::{Column, Context, EngineDir, Intent, Project},
    error::{CliError, Exit},
    interrupt,
    output::Output,
    verbs::{add::split, backfill::TriggersArg},
};

/// Prove a column's stages on throwaway databases, with old and new code, up and down
///
/// No test code is needed: the project's migrations make the schema, rows and code are made up from
/// it. Every stage is applied and taken back while old and new statements run in warm and fresh
/// sessions, one by one and all at once; locks, rewrites and scans are shown. With `--old-rev`, the
/// old release's own command runs at every stage too, and once without the column's table, where it
/// must fail: it would prove nothing else. Exit code 100 when a promise is broken.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cargo newcol rehearse users.locale\n  \
    cargo newcol rehearse users.locale --sample-from postgres://reader@replica/app\n  \
    cargo newcol rehearse users.locale --old-rev v2.13 -- cargo test --test db\n  \
    cargo newcol rehearse users.locale --old-rev v2.13 --rows 0 -- \\\n      \
        sh -c 'APP_DATABASE_URL=$DATABASE_URL cargo test -p app_db'\n  \
    cargo newcol rehearse users.locale --junit target/rehearsal.xml")]
pub(crate) struct RehearseArgs {
    /// Column to rehearse, as `table.column`
    column: ColumnPath,
    /// Rows that are there before the column
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(0..=10_000))]
    rows: u64,
    /// Copy rows from this database instead of making them up; it is only read
    #[arg(long, value_name = "URL")]
    sample_from: Option<String>,
    /// SQL that the application sends before its migrations: `mysql=SET foreign_key_checks = 0`
    #[arg(long, value_name = "SQL")]
    setup: Vec<String>,
    /// What triggers do that an UPDATE of the column would fire, while `backfill` fills old rows
    #[arg(long, value_enum, default_value_t = TriggersArg::Skip)]
    triggers: TriggersArg,
    /// Major version of the throwaway server, such as 16
    #[arg(long, value_name = "MAJOR")]
    server: Option<u32>,
    /// Also run the command after `--` in the old release: a commit, tag or branch
    #[arg(long, value_name = "REV", requires = "command")]
    old_rev: Option<String>,
    /// Write the result as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<Utf8PathBuf>,
    /// What to run in the old release; DATABASE_URL and NEWCOL_STAGE are set
    #[arg(last = true, value_name = "COMMAND", requires = "old_rev")]
    command: Vec<String>,
}

/// A rehearsal on the wire.
#[derive(Debug, Serialize)]
struct RehearsalJson {
    column: String,
    server: String,
    moments: Vec<MomentJson>,
    migrations: Vec<MigrationJson>,
    statements: u64,
    failed_statements: usize,
    retried_migrations: usize,
    retried_batches: usize,
    old_release: Vec<OldReleaseJson>,
    window: String,
    broken: Vec<BrokenJson>,
}

#[derive(Debug, Serialize)]
struct MomentJson {
    after: String,
    cells: Vec<CellJson>,
}

#[derive(Debug, Serialize)]
struct CellJson {
    code: &'static str,
    session: &'static str,
    operation: &'static str,
    promised: bool,
    outcome: &'static str,
}

#[derive(Debug, Serialize)]
struct MigrationJson {
    stage: &'static str,
    name: String,
    locks: Vec<String>,
    rewritten: Option<bool>,
    scans: Option<u64>,
    batches: Option<u64>,
    milliseconds: u128,
}

#[derive(Debug, Serialize)]
struct OldReleaseJson {
    at: &'static str,
    promised: bool,
    exit: Option<i32>,
    milliseconds: u128,
}

#[derive(Debug, Serialize)]
struct BrokenJson {
    scene: &'static str,
    what: String,
}

impl RehearsalJson {
    fn of(report: &RehearsalReport) -> Self {
        let moments = report.matrix.moments.iter().map(|moment| MomentJson {
            after: moment.moment.to_string(),
            cells: moment
                .cells
                .iter()
                .map(|cell| CellJson {
                    code: cell.side.name(),
                    session: cell.session.name(),
                    operation: cell.operation.name(),
                    promised: moment.promised.contains(&cell.side),
                    outcome: cell.outcome.name(),
                })
                .collect(),
        });
        let migrations = report.laws.traced.iter().map(|traced| MigrationJson {
            stage: traced.stage.name(),
            name: traced.name.clone(),
            locks: traced.locks.iter().map(|lock| lock.0.clone()).collect(),
            rewritten: traced.rewritten,
            scans: traced.scans,
            batches: traced.batches,
            milliseconds: traced.took.as_millis(),
        });
        let old_release = report.old_release.iter().map(|run| OldReleaseJson {
            at: run.at.name(),
            promised: run.promised,
            exit: run.exit,
            milliseconds: run.took.as_millis(),
        });
        let faults = report.faults().into_iter();
        Self {
            column: report.matrix.column.to_string(),
            server: report.matrix.server.to_string(),
            moments: moments.collect(),
            migrations: migrations.collect(),
            statements: report.traffic.statements,
            failed_statements: report.traffic.failed.len(),
            retried_migrations: report.traffic.retries,
            retried_batches: report.traffic.batch_retries,
            old_release: old_release.collect(),
            window: report.matrix.window.to_string(),
            broken: faults.map(|f| BrokenJson { scene: f.scene.name(), what: f.what }).collect(),
        }
    }
}

pub(crate) fn run(ctx: &Context, out: &mut Output, args: &RehearseArgs) -> Result<Exit, CliError> {
    let project = ctx.project(out, Intent::Read)?;
    let column = Column::load(ctx, &project, &args.column, None)?;
    let engines = engines(&project, args)?;
    let mut broken = false;
    let mut reports = Vec::new();
    for engine in engines {
        let report = one(ctx, out, &project, &column, engine, args)?;
        out.json("newcol-rehearsal", &RehearsalJson::of(&report));
        out.say(report.to_string().trim_end());
        broken |= !report.faults().is_empty();
        reports.push(report);
    }
    if let Some(path) = &args.junit {
        junit::write(&ctx.cwd().join(path), &reports)?;
    }
    Ok(if broken { Exit::Findings } else { Exit::Done })
}

/// Returns the engines to rehearse on: all, or that of the sample.
fn engines<'a>(project: &'a Project, args: &RehearseArgs) -> Result<Vec<&'a EngineDir>, CliError> {
    let Some(url) = &args.sample_from else { return Ok(project.engines.iter().collect()) };
    let url = project.url(url).map_err(|error| error.at("--sample-from"))?;
    Ok(project.engines.iter().filter(|engine| engine.backend == url.backend()).collect())
}

fn one(
    ctx: &Context,
    out: &mut Output,
    project: &Project,
    column: &Column,
    engine: &EngineDir,
    args: &RehearseArgs,
) -> Result<RehearsalReport, CliError> {
    let migrations = project.root.join(&engine.dir);
    let want = Want { version: args.server, ..Want::from(engine.backend) };
    let sample = args.sample_from.as_ref().map(|url| Sample { url: url.clone(), rows: args.rows });
    let old_release = args.old_rev.as_ref().map(|rev| OldRelease {
        dir: ctx.cwd().to_owned(),
        rev: rev.clone(),
        command: args.command.clone(),
        work: project.target.join("newcol/old-release"),
    });
    let for_engine = |text: &String| {
        let (backend, sql) = split(text);
        backend.is_none_or(|backend| backend == engine.backend).then(|| sql.to_owned())
    };
    let rehearsal = Rehearsal::new(&column.contract, &migrations, want)
        .rows(args.rows)
        .setup(args.setup.iter().filter_map(for_engine).collect())
        .triggers(args.triggers.choice())
        .sample(sample)
        .old_release(old_release);
    let backend = engine.backend;
    rehearsal
        .run(&mut |progress| {
            if interrupt::requested() {
                return ControlFlow::Break(());
            }
            match progress {
                Progress::Begins(scene) => {
                    out.status(&format!("rehearsing on {backend}: {}", doing(scene)));
                }
                Progress::OldRelease { at } => {
                    let moment = match at {
                        OldReleaseAt::Before => "before the first stage".to_owned(),
                        OldReleaseAt::WithoutTable => {
                            "without the table, to see it fail".to_owned()
                        }
                        OldReleaseAt::After(stage) => format!("after {}", stage.name()),
                    };
                    out.status(&format!("rehearsing on {backend}: the old release {moment}"));
                }
                Progress::Line(line) => out.status(&format!("  {line}")),
                Progress::Alive => {}
            }
            ControlFlow::Continue(())
        })
        .map_err(|error| failed(backend, &error))
}

fn doing(scene: Scene) -> &'static str {
    match scene {
        Scene::Schema => "the project's migrations",
        Scene::Matrix => "old and new code at every moment, up and down",
        Scene::Laws => "up, down and up again",
        Scene::Traffic => "old and new code at work while the stages pass by",
        Scene::OldRelease => "the old release's own command at every stage",
    }
}

fn failed(backend: Backend, error: &RehearseError) -> CliError {
    let said = CliError::of(Exit::Failed, error).hint_maybe(error.hint());
    match error {
        RehearseError::Scratch(ScratchError::Build { .. }) => said
            .saying(format!("the project's migrations do not run on an empty {backend} database")),
        RehearseError::Stopped => said,
        RehearseError::Life(_)
        | RehearseError::Statements(_)
        | RehearseError::Matrix(_)
        | RehearseError::Scratch(_)
        | RehearseError::Read(_)
        | RehearseError::Sample(_)
        | RehearseError::OldRelease(_) => said.saying(format!("could not rehearse on {backend}")),
    }
}
