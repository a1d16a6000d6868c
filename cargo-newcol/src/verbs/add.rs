//! `cargo newcol add`: from the wish to the first stage.

mod consequences;

use std::collections::BTreeSet;

use camino::Utf8PathBuf;
use clap::Args;
use newcol_core::{
    backend::Backend,
    contract::{
        Contract, ContractError, Date, DefaultLife, DefaultWish, Draft, Expr, IndexWish, OldRows,
        OldWriters, OnDelete, PerBackend, Presence, Reference, Replaces, SqlType, Uniqueness,
        edit::write as write_contract,
        read::{ContractFile, Measured, ReplacedColumn, read as read_contract},
    },
    ident::{ColumnPath, Ident},
    plan::StageKind,
    render::release::{Target, release_read},
};

use crate::{
    context::{Context, Intent, Origin, Project, Released, Tested, Wish, schema_sources},
    error::{CliError, Exit, complaints},
    output::{Output, stage_place},
    verbs::{ask, audit, doctor::warn_of_drift, next},
};

/// Write down every decision about a new column, and release its first stage
///
/// Writes the contract, the migrations of the first stage, its edit of schema.rs, and a test of old
/// and new code at every stage; later stages are released one at a time by `next`. Where engines differ, put the engine before the value:
/// `--type text --type mysql='varchar(255)'`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cargo newcol add users.locale --type 'varchar(16)' --required --default \"'en'\" --why 'Language of e-mails'\n  \
    cargo newcol add users.locale --type text --required --fill \"coalesce(settings->>'locale', 'en')\" --why 'Language of e-mails'\n  \
    cargo newcol add posts.author_id --type bigint --references 'users(id)' --on-delete cascade --index --why 'Who wrote it'\n  \
    cargo newcol add users.mail --type citext --replaces email --fill email --back mail --why 'Case never matters'")]
pub(crate) struct AddArgs {
    /// Column to add, as `table.column` or `schema.table.column`
    column: ColumnPath,
    /// SQL type
    #[arg(long = "type", value_name = "SQL", help_heading = "Column")]
    ty: Vec<String>,
    /// Diesel type, where the derived one is not wanted
    #[arg(long, value_name = "TYPE", help_heading = "Column")]
    diesel: Option<String>,
    /// The finished column is NOT NULL
    #[arg(long, conflicts_with = "optional", help_heading = "Column")]
    required: bool,
    /// The finished column may be NULL
    #[arg(long, help_heading = "Column")]
    optional: bool,
    /// Why the column exists; becomes its comment and documentation
    #[arg(long, value_name = "TEXT", help_heading = "Column")]
    why: Option<String>,
    /// Default
    #[arg(long, value_name = "EXPR", help_heading = "Values")]
    default: Vec<String>,
    /// The default only serves old programs: the last stage drops it
    #[arg(long, requires = "default", help_heading = "Values")]
    drop_default: bool,
    /// What rows get that are there already: SQL over the row
    #[arg(long, value_name = "EXPR", conflicts_with = "fill_rust", help_heading = "Values")]
    fill: Vec<String>,
    /// What rows get that are there already: path to code of the application
    #[arg(long, value_name = "PATH", help_heading = "Values")]
    fill_rust: Option<String>,
    /// Who fills the column for programs that do not know it
    #[arg(long, value_name = "WHO", value_parser = old_writers, help_heading = "Values")]
    old_writers: Option<OldWriters>,
    /// The value is always computed from the row, and not stored
    #[arg(long, value_name = "EXPR", help_heading = "Values")]
    generated: Vec<String>,
    /// Build an index, with a method of the engine's if one is given
    #[arg(long, value_name = "METHOD", num_args = 0..=1, default_missing_value = "", help_heading = "Index and constraints")]
    index: Option<String>,
    /// The index refuses duplicates; `--unique=constraint` makes a UNIQUE constraint of it
    #[arg(long, value_name = "AS", num_args = 0..=1, require_equals = true, default_missing_value = "index", value_parser = uniqueness, help_heading = "Index and constraints")]
    unique: Option<Uniqueness>,
    /// Predicate of a partial index
    #[arg(long, value_name = "EXPR", help_heading = "Index and constraints")]
    index_where: Vec<String>,
    /// Columns stored in the index beside the key
    #[arg(
        long,
        value_name = "COLS",
        value_delimiter = ',',
        help_heading = "Index and constraints"
    )]
    include: Vec<String>,
    /// Foreign key, as `table(column)`
    #[arg(long, value_name = "TABLE(COLUMN)", help_heading = "Index and constraints")]
    references: Option<String>,
    /// What happens when the referenced row is deleted
    #[arg(long, value_name = "ACTION", value_parser = on_delete, requires = "references", help_heading = "Index and constraints")]
    on_delete: Option<OnDelete>,
    /// Condition that every row must meet
    #[arg(long, value_name = "EXPR", help_heading = "Index and constraints")]
    check: Vec<String>,
    /// Column that the new one replaces
    #[arg(long, value_name = "COLUMN", requires = "back", help_heading = "Replacing a column")]
    replaces: Option<String>,
    /// SQL over the row that computes the replaced column from the new one
    #[arg(long, value_name = "EXPR", requires = "replaces", help_heading = "Replacing a column")]
    back: Vec<String>,
    /// Day by which the scaffolding must be gone, as YYYY-MM-DD
    #[arg(long, value_name = "DATE", value_parser = date, help_heading = "Column")]
    retire_by: Option<Date>,
    /// Database with the project's schema: asked, never changed
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// Show the files as a diff and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Scaffold no test of the column
    #[arg(long)]
    no_tests: bool,
    /// Ask nothing, even on a terminal
    #[arg(long)]
    no_input: bool,
}

fn old_writers(text: &str) -> Result<OldWriters, String> {
    let found = OldWriters::ALL.into_iter().find(|w| w.name() == text);
    found.ok_or_else(|| "it is `default`, `trigger` or `nobody`".to_owned())
}

fn uniqueness(text: &str) -> Result<Uniqueness, String> {
    match text {
        "index" => Ok(Uniqueness::Unique),
        "constraint" => Ok(Uniqueness::Constraint),
        _ => Err("it is `index` or `constraint`".to_owned()),
    }
}

fn on_delete(text: &str) -> Result<OnDelete, String> {
    let text = text.replace(['-', '_'], " ").to_lowercase();
    let found = OnDelete::ALL.into_iter().find(|a| a.name() == text);
    found.ok_or_else(|| {
        "it is `restrict`, `cascade`, `set null`, `set default` or `no action`".to_owned()
    })
}

fn date(text: &str) -> Result<Date, String> {
    Date::parse(text).ok_or_else(|| "it is a day, written YYYY-MM-DD".to_owned())
}

pub(crate) fn run(ctx: &Context, out: &mut Output, args: &AddArgs) -> Result<Exit, CliError> {
    let project = ctx.project(out, Intent::of_dry_run(args.dry_run))?;
    let schemas = project.schemas_of(&args.column.table)?;
    let draft = draft(out, args)?;
    let contract = contract(draft)?;
    let file = project.contract_path(contract.path());
    let measured = match &args.database_url {
        Some(url) => Some(ctx.measure(&contract, &project.url(url)?)?),
        None => None,
    };
    if let Some(text) = project.read(&file)? {
        return already(&project, out, &file, &text, &contract);
    }
    // Without a contract there is no stage of ours to look for among hundreds of migrations.
    let released = Released::default();
    let wish = Wish {
        contract: &contract,
        schemas: &schemas,
        released: &released,
        measured: measured.as_ref(),
        origin: Origin::Flags,
    };
    let targets = project.plan(ctx, &wish, args.database_url.as_deref())?;
    if let Some(url) = &args.database_url {
        warn_of_drift(ctx, out, &project, url)?;
    }
    let mut warned = BTreeSet::new();
    for target in &targets {
        for warning in &target.plan.warnings {
            // Engines have much in common.
            if warned.insert(warning) {
                out.warn(warning);
            }
        }
        for reason in &target.plan.reasons {
            out.detail(reason);
        }
    }
    let sources = schema_sources(&project, &schemas)?;
    let read: Vec<_> = schemas.iter().map(|schema| &schema.parsed).collect();
    let version = ctx.version(&project)?;
    let mut patch = release_read(&targets, &sources, &read, StageKind::Expand, &version)
        .map_err(|error| wish.blame_release(error))?;
    let measured = measured.or_else(|| replayed(&targets));
    let contract_file = ContractFile { contract, measured, confirmed: Vec::new() };
    patch.push(&file, None, Some(write_contract(&contract_file)));
    consequences::warn(out, &project, &contract_file.contract, &patch);
    audit::due(out, &project, &contract_file.contract, &schemas)?;
    let mut steps = what_now(&targets, &project);
    if !args.no_tests {
        let contract = &contract_file.contract;
        let tested = Tested { contract, targets: &targets, schemas: &schemas };
        let notes = project.push_test(&mut patch, tested)?;
        notes.warning.iter().for_each(|warning| out.warn(warning));
        notes.detail.iter().for_each(|detail| out.detail(detail));
        steps.extend(notes.next);
    }
    let exit = ctx.commit(out, &project, &patch, args.dry_run)?;
    if !args.dry_run {
        out.next_steps(&steps);
    }
    Ok(exit)
}

/// Once a replaced column is dropped, its definition can only be read from the contract.
fn replayed(targets: &[Target]) -> Option<Measured> {
    targets.iter().find_map(|target| {
        let facts = &target.plan.facts;
        let replaces = target.plan.contract.answers().replaces.as_ref()?;
        Some(Measured {
            server: facts.server.to_string(),
            default_volatility: None,
            type_rewrites: None,
            replaced: Some(ReplacedColumn::of(facts.column(&replaces.column)?)?),
            heirs: Vec::new(),
            partitioned: false,
        })
    })
}

/// Running a command twice changes nothing; another wish for the same column is a mistake.
fn already(
    project: &Project,
    out: &mut Output,
    file: &Utf8PathBuf,
    text: &str,
    contract: &Contract,
) -> Result<Exit, CliError> {
    let there = read_contract(text).map_err(|list| complaints(file, text, &list))?;
    if there.contract != *contract {
        return Err(CliError::usage(format!(
            "`{}` has a contract already, and it says something else",
            contract.path()
        ))
        .at(project.relative(file))
        .hint("edit the contract, or take the column back with `cargo newcol undo`"));
    }
    out.status("nothing to do: the column has this very contract");
    Ok(Exit::Nothing)
}

fn what_now(targets: &[Target], project: &Project) -> Vec<String> {
    let mut steps = Vec::new();
    let Some(target) = targets.first() else { return steps };
    let plan = &target.plan;
    let path = plan.contract.path();
    steps.push(next::how_to_apply(project, path));
    steps.push(
        "structs that load every column without `as_select` need a field for it before they compile"
            .to_owned(),
    );
    if plan.stages.len() > 1 {
        steps.push(format!(
            "this was {}; see the rest with `cargo newcol plan {path}`",
            stage_place(plan, StageKind::Expand)
        ));
    }
    steps
}

fn draft(out: &mut Output, args: &AddArgs) -> Result<Draft, CliError> {
    let interactive = !args.no_input && out.interactive();
    let mut ty = PerBackend::default();
    for text in &args.ty {
        let (backend, text) = split(text);
        ty.set(backend, SqlType::new(text));
    }
    if ty.is_empty() && interactive {
        ty = PerBackend::all(SqlType::new(&ask::text("SQL type")?));
    }
    let presence = match (args.required, args.optional) {
        (true, _) => Presence::Required,
        (_, true) => Presence::Optional,
        (false, false) if interactive => ask::presence()?,
        (false, false) => {
            return Err(CliError::usage(format!(
                "nothing says whether `{}` may be NULL",
                args.column
            ))
            .at("--required")
            .hint("say `--required` or `--optional`"));
        }
    };
    let why = match &args.why {
        Some(why) => why.clone(),
        None if interactive => ask::text("Why does the column exist")?,
        None => String::new(),
    };
    let mut draft = Draft::new(args.column.clone(), ty, why);
    draft.presence = presence;
    draft.diesel.clone_from(&args.diesel);
    draft.old_writers = args.old_writers;
    draft.generated = exprs(&args.generated);
    draft.check = exprs(&args.check);
    draft.retire = args.retire_by;
    draft.default = (!args.default.is_empty()).then(|| DefaultWish {
        value: exprs(&args.default),
        life: if args.drop_default { DefaultLife::UntilContract } else { DefaultLife::Kept },
    });
    draft.old_rows = match &args.fill_rust {
        Some(path) => OldRows::Rust(path.clone()),
        None if args.fill.is_empty() => OldRows::Unfilled,
        None => OldRows::Sql(exprs(&args.fill)),
    };
    let unanswered = draft.presence == Presence::Required
        && draft.default.is_none()
        && draft.old_rows == OldRows::Unfilled
        && draft.generated.is_empty();
    if unanswered && interactive {
        draft.old_rows = OldRows::Sql(PerBackend::all(Expr::new(&ask::text(
            "What do the rows that are there already get (SQL over the row)",
        )?)));
    }
    draft.index = index(args)?;
    draft.references = args.references.as_deref().map(|text| reference(text, args)).transpose()?;
    draft.replaces = match &args.replaces {
        None => None,
        Some(column) => {
            let column = Ident::new(column.as_str()).map_err(|e| wrong_name("--replaces", &e))?;
            Some(Replaces { column, back: exprs(&args.back) })
        }
    };
    Ok(draft)
}

/// Splits `mysql=varchar(255)` into engine and value; other texts are for every engine.
pub(crate) fn split(text: &str) -> (Option<Backend>, &str) {
    match text.split_once('=') {
        Some((engine, value)) if !value.starts_with('=') => match engine.parse() {
            Ok(backend) => (Some(backend), value),
            Err(_) => (None, text),
        },
        Some(_) | None => (None, text),
    }
}

fn exprs(texts: &[String]) -> PerBackend<Expr> {
    let mut values = PerBackend::default();
    for text in texts {
        let (backend, text) = split(text);
        values.set(backend, Expr::new(text));
    }
    values
}

fn index(args: &AddArgs) -> Result<Option<IndexWish>, CliError> {
    let details = args.unique.is_some() || !args.index_where.is_empty() || !args.include.is_empty();
    if args.index.is_none() && !details {
        return Ok(None);
    }
    let method = match args.index.as_deref() {
        None | Some("") => None,
        Some(method) => Some(Ident::new(method).map_err(|e| wrong_name("--index", &e))?),
    };
    let include = args.include.iter().map(|c| Ident::new(c.trim()));
    Ok(Some(IndexWish {
        name: None,
        method,
        uniqueness: args.unique.unwrap_or_default(),
        predicate: exprs(&args.index_where),
        include: include.collect::<Result<_, _>>().map_err(|e| wrong_name("--include", &e))?,
    }))
}

fn reference(text: &str, args: &AddArgs) -> Result<Reference, CliError> {
    let parts = text.strip_suffix(')').and_then(|t| t.rsplit_once('('));
    let Some((table, column)) = parts else {
        return Err(CliError::usage(format!("`{text}` is not of the form `table(column)`"))
            .at("--references")
            .hint("for example `--references 'users(id)'`"));
    };
    Ok(Reference {
        table: table.trim().parse().map_err(|e| wrong_name("--references", &e))?,
        column: Ident::new(column.trim()).map_err(|e| wrong_name("--references", &e))?,
        on_delete: args.on_delete,
    })
}

fn wrong_name(name: &str, error: &dyn std::error::Error) -> CliError {
    CliError::of(Exit::Usage, error).at(name).hint("write one name, as the database has it")
}

fn contract(draft: Draft) -> Result<Contract, CliError> {
    Contract::new(draft).map_err(|error: ContractError| {
        let place = match &error {
            ContractError::NotRustPath { .. } => "--fill-rust",
            error => flag(error.answer()),
        };
        CliError::from(error).at(place)
    })
}

/// The flag that gives an answer.
pub(crate) fn flag(answer: newcol_core::contract::Answer) -> &'static str {
    use newcol_core::contract::Answer;
    match answer {
        Answer::Path => "<COLUMN>",
        Answer::Why => "--why",
        Answer::Type => "--type",
        Answer::Diesel => "--diesel",
        Answer::Presence => "--required",
        Answer::OldRows => "--fill",
        Answer::OldWriters => "--old-writers",
        Answer::Default => "--default",
        Answer::Generated => "--generated",
        Answer::Index => "--index",
        Answer::References => "--references",
        Answer::Check => "--check",
        Answer::Replaces => "--replaces",
        Answer::Retire => "--retire-by",
    }
}
