//! `watch baseline` and `watch snap`.

use camino::Utf8PathBuf;
use clap::Args;
use newcol_core::{
    backend::Backend,
    db::{Access, DatabaseUrl, OpenOptions},
    ident::ColumnPath,
    measure::{FileError, Measured},
    watch::{
        collect::{Purpose, Settings, Taken, can_watch, take},
        doctor::{State, needs},
        identity::Gap,
        plans::{Explain, Planned},
        replicas::{self, ReplicaScans},
        sent::take_measured,
        session::Watcher,
        store::Store,
    },
};
use serde::Serialize;

use super::{Look, file, watched};
use crate::{
    context::{Context, Project},
    error::{CliError, Exit},
    output::Output,
};

#[derive(Debug, Serialize)]
struct TakenJson<'a> {
    column: &'a str,
    database: String,
    purpose: &'static str,
    file: String,
    on_table: usize,
    unread: usize,
    has_baseline: bool,
    gaps: Vec<String>,
    busy_ms: f64,
    plans_read: usize,
    plans_left: usize,
    plans_refused: Vec<&'a str>,
    replicas: Vec<ReplicaJson<'a>>,
}

#[derive(Debug, Serialize)]
struct ReplicaJson<'a> {
    replica: &'a str,
    /// Why it could not be asked.
    refused: Option<&'a str>,
}

#[derive(Debug, Args)]
pub(super) struct SnapArgs {
    #[command(flatten)]
    look: Look,
    /// Replica whose use of the index is counted as well; may be given several times
    #[arg(long, value_name = "URL")]
    replica_url: Vec<String>,
    /// Plan statements that write as well; nothing is executed
    #[arg(long)]
    explain_writes: bool,
    /// Plan no statement: then nobody knows which of them use the index
    #[arg(long, conflicts_with = "explain_writes")]
    no_explain: bool,
}

pub(super) fn baseline(
    ctx: &Context,
    out: &mut Output,
    project: &Project,
    look: &Look,
) -> Result<Exit, CliError> {
    run(ctx, out, project, (look, &[]), (Purpose::Baseline, Settings::default()))
}

pub(super) fn snap(
    ctx: &Context,
    out: &mut Output,
    project: &Project,
    args: &SnapArgs,
) -> Result<Exit, CliError> {
    let explain = match (args.explain_writes, args.no_explain) {
        (true, _) => Explain::Writes,
        (false, true) => Explain::Nothing,
        (false, false) => Explain::Reads,
    };
    let settings = Settings { explain, ..Settings::default() };
    run(ctx, out, project, (&args.look, &args.replica_url), (Purpose::Snap, settings))
}

fn run(
    ctx: &Context,
    out: &mut Output,
    project: &Project,
    (look, replica_urls): (&Look, &[String]),
    (purpose, settings): (Purpose, Settings),
) -> Result<Exit, CliError> {
    let column = &look.asked.of.column;
    let path = file(project, column)?;
    let source = Source::of(ctx, project, look)?;
    let replica_urls: Vec<DatabaseUrl> =
        replica_urls.iter().map(|url| project.url(url)).collect::<Result<_, _>>()?;
    let mut store = Store::write(&path, column)?;
    let taken = source.take(ctx.now(), &mut store, column, purpose, settings)?;
    let replicas = replicas::ask(&replica_urls, &source.options, &mut store, column)?;
    let url = &source.url;
    let what = match purpose {
        Purpose::Baseline => "baseline",
        Purpose::Snap => "snapshot",
    };
    let Taken { stored, gaps, on_table, unread, has_baseline, sight, planned } = &taken;
    let whole: Vec<&Gap> = gaps.iter().filter(|(id, _)| id.is_none()).map(|(_, gap)| gap).collect();
    out.json(
        "newcol-watch-snapshot",
        &TakenJson {
            column: &column.to_string(),
            database: url.describe(),
            purpose: what,
            file: project.relative(&path).to_string(),
            on_table: *on_table,
            unread: *unread,
            has_baseline: *has_baseline,
            gaps: whole.iter().map(ToString::to_string).collect(),
            busy_ms: stored.busy_ms,
            plans_read: planned.read,
            plans_left: planned.left,
            plans_refused: planned.refused.iter().map(String::as_str).collect(),
            replicas: replicas
                .iter()
                .map(|one| ReplicaJson {
                    replica: &one.replica,
                    refused: one.scans.as_ref().err().map(String::as_str),
                })
                .collect(),
        },
    );
    let statements = if *on_table == 1 { "statement" } else { "statements" };
    out.say(&format!(
        "{what} of {column} in {}: {on_table} {statements} on the table",
        url.describe()
    ));
    out.detail(&format!("the server worked for it for {:.1} ms", stored.busy_ms));
    if *unread > 0 {
        let (are, whose) = if *unread == 1 {
            ("statement is", "its text is")
        } else {
            ("statements are", "their texts are")
        };
        out.status(&format!("{unread} {are} new: {whose} read ten minutes after the last ones"));
    }
    plans(out, planned);
    for ReplicaScans { replica, scans, .. } in &replicas {
        if let Err(why) = scans {
            out.warn(&format!("{replica} says nothing of the index: {why}"));
        }
    }
    for gap in whole {
        match gap {
            // What is missing now is said below.
            Gap::NoStatements | Gap::NoTable => {}
            gap if gap.hides_all() => {
                out.warn(&format!("{gap}: nothing is said of the time since the last snapshot"));
            }
            gap => out.warn(&gap.to_string()),
        }
    }
    for need in needs(sight, column).into_iter().filter(|need| need.state > State::Met) {
        out.warn(&need.sentence);
    }
    if !has_baseline && sight.has_table {
        let lost = if sight.mysql.is_some() || sight.is_measured {
            "which statements are older than it is not known"
        } else if sight.version >= 170_000 {
            "only statements that the server counts since before it are known not to touch it"
        } else {
            "no statement is known for certain not to touch it"
        };
        out.warn(&format!(
            "there is no baseline from before `{column}`: {lost}, the others are judged by their texts, and nothing is known of what they cost without it"
        ));
    }
    Ok(Exit::Done)
}

/// Says what was done for plans.
fn plans(out: &mut Output, planned: &Planned) {
    let Planned { read, left, refused, is_locked } = planned;
    if *read > 0 {
        let (plans, are) = if *read == 1 { ("plan", "was") } else { ("plans", "were") };
        out.detail(&format!("{read} {plans} {are} read"));
    }
    if *is_locked {
        out.status("no plan was read: the table is locked against everybody, or about to be");
    } else if *left > 0 {
        let plans = if *left == 1 { "plan is" } else { "plans are" };
        out.status(&format!("{left} {plans} read with later snapshots: ten a minute"));
    }
    for why in refused {
        out.warn(&format!("a statement could not be planned: {why}"));
    }
}

/// Takes a baseline before the column comes, if one can be had: never fails, and says why not.
pub(in crate::verbs) fn before_expand(
    ctx: &Context,
    out: &mut Output,
    project: &Project,
    column: &ColumnPath,
    url: &DatabaseUrl,
) {
    // Nothing is watched there.
    if url.backend() == Backend::Sqlite {
        return;
    }
    match unasked(ctx, project, column, url) {
        Ok(Some(file)) => out.status(&format!("baseline for `cargo newcol watch`: {file}")),
        Ok(None) => {}
        Err(why) => out.status(&format!("no baseline for `cargo newcol watch`: {why}")),
    }
}

/// Takes a baseline and returns its file; nothing where the column is there already.
fn unasked(
    ctx: &Context,
    project: &Project,
    column: &ColumnPath,
    url: &DatabaseUrl,
) -> Result<Option<Utf8PathBuf>, String> {
    let in_words = |error: CliError| [vec![error.message], error.causes].concat().join(": ");
    let options = ctx.open_options(Access::Read);
    let mut watcher = Watcher::open(url, &options).map_err(|error| in_words(error.into()))?;
    // Nothing is watched there.
    if can_watch(watcher.server().product).is_err() {
        return Ok(None);
    }
    let sight = watcher.sight(column).map_err(|error| in_words(error.into()))?;
    drop(watcher);
    if sight.has_column {
        return Ok(None);
    }
    let missing = needs(&sight, column).into_iter().find(|need| need.state == State::Missing);
    if let Some(need) = missing {
        return Err(need.sentence);
    }
    let path = file(project, column).map_err(in_words)?;
    let mut store = Store::write(&path, column).map_err(|error| in_words(error.into()))?;
    let wanted = (Purpose::Baseline, seconds(ctx.now()));
    take((url, &options), &mut store, column, wanted, Settings::default())
        .map_err(|error| in_words(error.into()))?;
    Ok(Some(project.relative(&path)))
}

/// Where statements are read.
pub(super) struct Source {
    pub(super) url: DatabaseUrl,
    options: OpenOptions,
    files: Vec<Utf8PathBuf>,
}

impl Source {
    pub(super) fn of(ctx: &Context, project: &Project, look: &Look) -> Result<Self, CliError> {
        let files: Vec<Utf8PathBuf> = look.from.iter().map(|file| ctx.cwd().join(file)).collect();
        let given = &look.asked.database_url;
        let (url, options) = if files.is_empty() {
            watched(ctx, project, given)?
        } else {
            (project.url(given)?, ctx.open_options(Access::Read))
        };
        Ok(Self { url, options, files })
    }

    pub(super) fn take(
        &self,
        now: jiff::Timestamp,
        store: &mut Store,
        column: &ColumnPath,
        purpose: Purpose,
        settings: Settings,
    ) -> Result<Taken, CliError> {
        let (database, when) = ((&self.url, &self.options), (purpose, seconds(now)));
        if self.files.is_empty() {
            return Ok(take(database, store, column, when, settings)?);
        }
        let files: Result<Vec<Measured>, FileError> =
            self.files.iter().map(|file| Measured::read(file.as_std_path())).collect();
        Ok(take_measured(&files?, database, store, column, when, settings)?)
    }
}

#[expect(clippy::cast_precision_loss, reason = "microseconds fit for centuries")]
fn seconds(at: jiff::Timestamp) -> f64 {
    at.as_microsecond() as f64 / 1e6
}
