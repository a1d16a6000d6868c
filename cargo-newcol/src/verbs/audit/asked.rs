//! What is asked beside the texts: the compiler, and a database.

use std::cell::RefCell;

use camino::Utf8PathBuf;
use newcol_core::{
    audit::{
        Finding, Scope, SourceFile, Subject,
        objects::examine_objects,
        probe::{Answer, Event, Probe, Report, Set, StageSchema, Use},
    },
    backend::{Backend, Product},
    contract::Contract,
    db::{
        Access,
        facts::{FactsError, read_table},
    },
    plan::StageKind,
    render::release::{SchemaSource, release},
    schema::{self, NewColumn, Position, SchemaEdit},
};

use super::{AuditArgs, capture::Run, kept};
use crate::{
    context::{Column, Context, Project, SchemaFile, env, schema_error},
    error::{CliError, Exit},
    interrupt,
    output::Output,
};

/// The most that is copied of a workspace: sources are small, and a larger tree has something in it
/// that Git should ignore.
const LARGEST_COPY: u64 = 2 << 30;

/// What was answered.
pub(super) struct Asked {
    pub(super) scope: Scope,
    pub(super) findings: Vec<Finding>,
    /// Whether the database does not have the column yet.
    pub(super) is_missing: bool,
    /// Every use of the table, as the compiler sees it.
    pub(super) uses: Vec<Use>,
    /// What was captured, by engine.
    pub(super) captures: Vec<Run>,
}

impl Asked {
    /// Asks nobody.
    pub(super) fn nobody() -> Self {
        Self {
            scope: Scope::TEXTS,
            findings: Vec::new(),
            is_missing: false,
            uses: Vec::new(),
            captures: Vec::new(),
        }
    }

    /// Asks whom the arguments name.
    pub(super) fn of(
        ctx: &Context,
        out: &mut Output,
        project: &Project,
        args: &AuditArgs,
        (contract, schemas, subjects): (Option<&Contract>, &[SchemaFile], &[Subject]),
    ) -> Result<Self, CliError> {
        let mut asked = Self::nobody();
        if let (Some(url), Some(subject)) = (&args.database_url, subjects.first()) {
            let mut session = ctx.session(&project.url(url)?, Access::Read)?;
            let failed =
                |error: FactsError| CliError::of(Exit::Failed, &error).at("--database-url");
            let found = examine_objects(&mut session, subject).map_err(failed)?;
            let facts = read_table(&mut session, &subject.path.table).map_err(failed)?;
            asked.is_missing = facts.columns.iter().all(|c| c.name != subject.path.column);
            asked.findings.extend(found);
            asked.scope.database = true;
        }
        if args.full {
            let stages = match contract {
                Some(_) => planned(&Column::load(ctx, project, &args.column, None)?, ctx, project)?,
                None => assumed(project, args, schemas)?,
            };
            let report = compile(ctx, out, project, args, schemas, &stages)?;
            asked.findings.extend(report.findings);
            asked.uses = report.uses;
            asked.scope.compiler = true;
        }
        Ok(asked)
    }
}

/// Returns the `schema.rs` of every stage that is still to be released.
fn planned(
    column: &Column,
    ctx: &Context,
    project: &Project,
) -> Result<Vec<StageSchema>, CliError> {
    let before = column.schema_sources(project)?;
    let version = ctx.version(project)?;
    let mut now = before.clone();
    let mut stages = Vec::new();
    let next = column.next();
    for kind in column.stages().into_iter().filter(|kind| next.is_some_and(|next| *kind >= next)) {
        let patch = release(&column.targets, &now, kind, &version)
            .map_err(|error| column.wish().blame_release(error))?;
        for source in &mut now {
            let change = patch.changes().iter().find(|change| change.path == source.path);
            if let Some(after) = change.and_then(|change| change.after.clone()) {
                source.text = after;
            }
        }
        stages.push(StageSchema { stage: kind, files: changed(&before, &now) });
    }
    Ok(stages)
}

fn changed(before: &[SchemaSource], now: &[SchemaSource]) -> Vec<SourceFile> {
    let pairs = before.iter().zip(now).filter(|(before, now)| before.text != now.text);
    let file = |now: &SchemaSource| SourceFile { path: now.path.clone(), text: now.text.clone() };
    pairs.map(|(_, now)| file(now)).collect()
}

/// Returns the `schema.rs` with a column that has no contract yet: an optional text stands for it.
fn assumed(
    project: &Project,
    args: &AuditArgs,
    schemas: &[SchemaFile],
) -> Result<Vec<StageSchema>, CliError> {
    let mut files = Vec::new();
    for schema in schemas {
        let table = schema
            .parsed
            .table(&schema.text, &args.column.table)
            .map_err(|error| schema_error(&schema.path, &error))?;
        if table.column(&args.column.column).is_some() {
            continue;
        }
        let Some(engine) = project.engines.first() else { continue };
        let column = NewColumn {
            name: args.column.column.clone(),
            ty: "Nullable<Text>".to_owned(),
            max_length: None,
            docs: None,
            position: Position::Last,
            custom: None,
        };
        let edit = SchemaEdit::AddColumn { table: args.column.table.clone(), column };
        let product = match engine.backend {
            Backend::Postgres => Product::Postgres,
            Backend::Mysql => Product::Mysql,
            Backend::Sqlite => Product::Sqlite,
        };
        let text = schema::apply(&schema.text, product, &schema.config, &[edit])
            .map_err(|error| schema_error(&schema.path, &error))?;
        files.push(SourceFile { path: schema.path.clone(), text });
    }
    Ok(match files.is_empty() {
        true => Vec::new(),
        false => vec![StageSchema { stage: StageKind::Expand, files }],
    })
}

/// Lets Cargo compile copies of the workspace.
fn compile(
    ctx: &Context,
    out: &mut Output,
    project: &Project,
    args: &AuditArgs,
    schemas: &[SchemaFile],
    stages: &[StageSchema],
) -> Result<Report, CliError> {
    let wrapper = std::env::current_exe()
        .ok()
        .and_then(|path| Utf8PathBuf::from_path_buf(path).ok())
        .ok_or_else(|| CliError::failed("this program does not know its own path"))?;
    let dir = kept::dir(project);
    let probe = Probe {
        root: project.root.clone(),
        cargo: env("CARGO").unwrap_or_else(|| "cargo".to_owned()).into(),
        wrapper,
        target_dir: dir.join("target"),
        dir: dir.join("copy"),
        sets: vec![Set {
            packages: Vec::new(),
            features: args.features.clone(),
            no_default_features: args.no_default_features,
            all_features: args.all_features,
            target: args.target.clone(),
        }],
        offline: ctx.global().offline,
        locked: ctx.global().locked,
        limit: LARGEST_COPY,
    };
    out.status("the compiler looks at a copy of the workspace; the first time takes as long as `cargo check`");
    let paths: Vec<Utf8PathBuf> = schemas.iter().map(|schema| schema.path.clone()).collect();
    let told = RefCell::new(out);
    let listener = |event: &Event| {
        if let Event::Compiled { tree, package } = event {
            told.borrow_mut().detail(&format!("compiled {package} of {tree}"));
        }
        if interrupt::requested() { Answer::Stop } else { Answer::Go }
    };
    probe.run(&args.column.table, &paths, stages, &listener).map_err(|error| {
        let failed = CliError::of(Exit::Failed, &error).at("--full");
        match error.hint() {
            Some(hint) => failed.hint(hint),
            None => failed,
        }
    })
}
