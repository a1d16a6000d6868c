//! The case on a server: stage by stage, there and back, and all at once.

use std::{collections::BTreeMap, fmt::Write as _};

use camino::Utf8PathBuf;
use newcol_core::{
    backend::{Backend, Product},
    contract::Contract,
    db::{DatabaseUrl, OpenOptions, Session, facts::read_for},
    execute::{
        drift::{Compared, Progress, compare},
        files,
    },
    ident::Ident,
    plan::{Migration, Plan, Stage, StageKind, facts::TableFacts},
    render::{self, migrations},
};
use newcol_testkit::{
    CommandOutput, Project, ScratchDb, Tool, data_dump, diesel_cli, redact::redact, schema_dump,
};

use super::{
    Fallible, chain,
    folder::Case,
    snapshot::Snapshots,
    text::{self, MIGRATIONS, Planned, SCHEMA, SchemaText},
};

/// A case's project, and its tables in a database.
pub(super) struct Databases<'a> {
    case: &'a Case,
    project: Project,
    diesel: Tool,
    empty: ScratchDb,
    staged: ScratchDb,
    product: Product,
}

impl<'a> Databases<'a> {
    /// Makes the tables, given a database that is still empty.
    pub(super) fn start(case: &'a Case, empty: ScratchDb) -> Fallible<Self> {
        let project = project(case)?;
        let diesel = diesel_cli()?.current_dir(project.root());
        let staged = filled(case, &project)?;
        let product = session(&staged)?.server().product;
        Ok(Self { case, project, diesel, empty, staged, product })
    }

    pub(super) fn product(&self) -> Product {
        self.product
    }

    /// Returns what `diesel print-schema` says before anything has happened, and compares it; `None`
    /// where it refuses.
    pub(super) fn schema_before(
        &self,
        snapshots: Option<&mut Snapshots>,
    ) -> Fallible<Option<String>> {
        let printed = self.print_schema()?;
        let (kind, text) = if printed.status.success() {
            ("schema.rs", printed.stdout)
        } else {
            ("print-schema.txt", redact(&format!("{}{}", printed.stdout, printed.stderr)))
        };
        if let Some(snapshots) = snapshots {
            snapshots.compare_own(kind, &text);
        }
        Ok((kind == "schema.rs").then_some(text))
    }

    /// Plans with all that the server knows.
    pub(super) fn plan(&self, schema: Option<&str>) -> Fallible<Planned> {
        let facts = self.facts(&self.staged, Ours::Absent)?;
        let name = match self.product {
            Product::Mariadb => "mariadb".to_owned(),
            Product::Postgres | Product::Mysql | Product::Sqlite => self.case.stem.clone(),
        };
        let plan = Plan::build(&self.case.contract, &facts);
        text::planned(self.case, name, facts.server, plan, schema)
    }

    fn facts(&self, db: &ScratchDb, ours: Ours) -> Fallible<TableFacts> {
        let mut session = session(db)?;
        let contract = &self.case.contract;
        let mut facts = read_for(&mut session, contract).map_err(|e| chain(&e))?;
        if ours == Ours::Released {
            text::without_ours(&mut facts, contract);
        }
        Ok(facts)
    }

    /// Carries the plan out, and returns the rows after every stage; keeps and names the database where
    /// something is wrong.
    pub(super) fn live(self, planned: Planned, schema: Option<String>) -> Fallible<Option<String>> {
        let Some(plan) = planned.plan else { return Ok(None) };
        let schema = schema.map(|text| SchemaText::before(self.case, &text));
        let all = self.stages(&plan, schema.clone());
        let all = all.and_then(|(last, history)| {
            self.at_once(&plan, schema.as_ref(), &last)?;
            self.step_by_step(&plan, &last)?;
            Ok(Some(history.text))
        });
        all.map_err(|error| {
            let files = self.project.files().unwrap_or_default();
            let names: Vec<&str> = files.keys().map(|name| name.as_str()).collect();
            let note = self.staged.keep();
            format!("{error}\nthe database is kept: {note}\nfiles: {}", names.join(" ")).into()
        })
    }

    /// Every stage: run, run again, taken back and run once more; in the end all taken back.
    fn stages(&self, plan: &Plan, mut schema: Option<SchemaText>) -> Fallible<(Last, History)> {
        let contract = &self.case.contract;
        let first = self.dump(&self.staged)?;
        let others = Others::new(self.case, plan);
        let mut rows = others.rows(&self.staged, None)?;
        let replaced = contract.answers().replaces.as_ref().map(|r| r.column.clone());
        let mut rows_without = others.rows(&self.staged, replaced.as_ref())?;
        let mut history = History::new(self.data(&self.staged)?);
        if let Some(schema) = &schema {
            self.project.write(SCHEMA, &schema.text)?;
        }
        let mut count = 0;
        let mut dump = first.clone();
        for stage in acting(plan) {
            let at = |error: Box<dyn std::error::Error>| format!("{}: {error}", stage.kind.name());
            let ours = if count == 0 { Ours::Absent } else { Ours::Released };
            let plan = Plan::build(contract, &self.facts(&self.staged, ours)?)?;
            let files = text::release_stage(self.case, &plan, stage.kind, schema.as_ref())?;
            files::write(self.project.root(), &files).map_err(|e| chain(&e))?;
            if let Some(schema) = &mut schema {
                schema.apply(&files);
            }
            dump = self.stage(stage, &dump, schema.as_ref()).map_err(at)?;
            let gone = (stage.kind == StageKind::Contract).then_some(replaced.as_ref()).flatten();
            let before = if gone.is_some() { &rows_without } else { &rows };
            before.kept_in(&others.rows(&self.staged, gone)?).map_err(at)?;
            if stage.kind == StageKind::Expand
                && let Some(old) = &self.case.old
            {
                session(&self.staged)?.batch(old).map_err(|e| format!("old.sql: {}", chain(&e)))?;
                rows = others.rows(&self.staged, None)?;
                rows_without = others.rows(&self.staged, replaced.as_ref())?;
            }
            history.push(stage.kind, self.data(&self.staged)?);
            count += stage.migrations.len();
        }
        if contract.required() {
            self.no_null(&self.staged)?;
        }
        let last = Last { schema: dump, rows: history.last.clone() };
        self.revert(count)?;
        same("the schema after everything was taken back", &first, &self.dump(&self.staged)?)?;
        rows.kept_in(&others.rows(&self.staged, None)?)
            .map_err(|error| format!("after everything was taken back: {error}"))?;
        Ok((last, history))
    }

    /// Returns the schema after the stage, given the one before.
    fn stage(&self, stage: &Stage, before: &str, schema: Option<&SchemaText>) -> Fallible<String> {
        let count = stage.migrations.len();
        self.run(count)?;
        self.run(0).map_err(|error| format!("run again: {error}"))?;
        let printed = self.print_schema()?;
        match schema {
            // The contract's own word for the type goes first, and only there they may differ.
            Some(schema) if self.case.contract.answers().diesel.is_some() => {
                let diesel = self.case.contract.answers().diesel.clone().unwrap_or_default();
                let ours: Vec<&str> = schema.text.lines().collect();
                let theirs = printed.success().stdout;
                let pairs = theirs.lines().zip(&ours).filter(|(a, b)| a != *b);
                if ours.len() != theirs.lines().count()
                    || pairs.into_iter().any(|(_, b)| !b.contains(&diesel))
                {
                    same("schema.rs", &theirs, &schema.text)?;
                }
            }
            Some(schema) => same("schema.rs", &printed.success().stdout, &schema.text)?,
            None if printed.status.success() => return Err("print-schema refuses no more".into()),
            None => {}
        }
        let after = self.dump(&self.staged)?;
        self.revert(count)?;
        same("the schema after the stage was taken back", before, &self.dump(&self.staged)?)?;
        self.run(count).map_err(|error| format!("run after revert: {error}"))?;
        same("the schema after the stage was redone", &after, &self.dump(&self.staged)?)?;
        Ok(after)
    }

    /// All migrations in one run, on an empty and on a filled database.
    fn at_once(&self, plan: &Plan, schema: Option<&SchemaText>, last: &Last) -> Fallible<()> {
        let project = project(self.case)?;
        let mut schema = schema.cloned();
        if let Some(schema) = &schema {
            project.write(SCHEMA, &schema.text)?;
        }
        for stage in acting(plan) {
            let files = text::release_stage(self.case, plan, stage.kind, schema.as_ref())?;
            files::write(project.root(), &files).map_err(|e| chain(&e))?;
            if let Some(schema) = &mut schema {
                schema.apply(&files);
            }
        }
        let full = filled(self.case, &project)?;
        for (what, db) in [("empty", &self.empty), ("filled", &full)] {
            let run = session(db)?.run_pending(&project.root().join(MIGRATIONS));
            run.map_err(|e| format!("all stages at once, {what} database: {}", chain(&e)))?;
            let what = format!("the schema after all stages at once, {what} database");
            same(&what, &last.schema, &self.dump(db)?)?;
        }
        if self.case.old.is_none() {
            same("the rows after all stages at once", &last.rows, &self.data(&full)?)?;
        }
        Ok(())
    }

    /// Every statement by itself, its proof asked before and after; and after every migration the
    /// database has what was planned.
    fn step_by_step(&self, plan: &Plan, last: &Last) -> Fallible<()> {
        let db = filled(self.case, &self.project)?;
        let mut session = session(&db)?;
        let folders = plan.stages.iter().flat_map(|stage| migrations::render(plan, stage));
        let files: Vec<String> = folders.flat_map(|folder| [folder.up, folder.down]).collect();
        let mut done: Vec<&Migration> = Vec::new();
        as_planned(&mut session, plan, &done, &files)?;
        for migration in plan.stages.iter().flat_map(|s| &s.migrations) {
            for statement in migration.steps.iter().flat_map(|step| render::up(step, plan)) {
                let ask = |session: &mut Session, wanted: bool| -> Fallible<()> {
                    let Some(proof) = &statement.proof else { return Ok(()) };
                    let answer = session.query_bool(proof.as_str()).map_err(|e| chain(&e))?;
                    if answer == wanted {
                        return Ok(());
                    }
                    let when = if wanted { "after" } else { "before" };
                    Err(format!("proof is {answer} {when} `{}`: {proof}", statement.sql).into())
                };
                ask(&mut session, false)?;
                session.batch(statement.sql.as_str()).map_err(|e| chain(&e))?;
                ask(&mut session, true)?;
            }
            done.push(migration);
            as_planned(&mut session, plan, &done, &files)?;
        }
        drop(session);
        same("the schema after every statement by itself", &last.schema, &self.dump(&db)?)
    }

    fn run(&self, wanted: usize) -> Fallible<()> {
        let dir = self.project.root().join(MIGRATIONS);
        let run = session(&self.staged)?.run_pending(&dir).map_err(|e| chain(&e))?;
        if run.versions.len() == wanted {
            Ok(())
        } else {
            Err(format!("{} migrations ran instead of {wanted}", run.versions.len()).into())
        }
    }

    fn revert(&self, count: usize) -> Fallible<()> {
        let revert = ["migration", "revert", "--number", &count.to_string()].map(str::to_owned);
        let said = self.diesel.clone().args(revert).env("DATABASE_URL", self.staged.url()).run()?;
        if said.status.success() { Ok(()) } else { Err(format!("revert: {said}").into()) }
    }

    fn print_schema(&self) -> Fallible<CommandOutput> {
        let tool = self.diesel.clone().arg("print-schema");
        Ok(tool.env("DATABASE_URL", self.staged.url()).run()?)
    }

    /// Where a replaced column comes back, it comes back last.
    fn dump(&self, db: &ScratchDb) -> Fallible<String> {
        let dump = schema_dump(db.url()).map_err(|e| chain(&e))?;
        if self.case.contract.answers().replaces.is_none() {
            return Ok(dump);
        }
        let mut lines: Vec<String> = dump
            .lines()
            .map(|line| match line.split_once(" #") {
                Some((name, rest)) if line.starts_with("column ") => {
                    format!("{name} {}\n", rest.split_once(' ').map_or("", |(_, rest)| rest))
                }
                _ => format!("{line}\n"),
            })
            .collect();
        lines.sort();
        Ok(lines.concat())
    }

    fn data(&self, db: &ScratchDb) -> Fallible<String> {
        let text = data_dump(db.url(), self.case.contract.table()).map_err(|e| chain(&e))?;
        let text = redact(&text);
        let mut lines: Vec<String> = text.lines().map(|line| without_uuids(line) + "\n").collect();
        lines.sort();
        Ok(lines.concat())
    }

    fn no_null(&self, db: &ScratchDb) -> Fallible<()> {
        let (contract, backend) = (&self.case.contract, self.case.backend);
        let column = render::text::name(backend, contract.column());
        let table = render::text::table(backend, contract.table());
        let sql = format!("SELECT count(*) > 0 FROM {table} WHERE {column} IS NULL");
        let null = session(db)?.query_bool(&sql).map_err(|e| chain(&e))?;
        if null { Err("a required column holds NULL".into()) } else { Ok(()) }
    }
}

/// Whether a stage of ours has been released already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ours {
    Absent,
    Released,
}

/// What the staged run ended with.
struct Last {
    schema: String,
    rows: String,
}

/// The rows after every stage, as one text.
struct History {
    text: String,
    last: String,
}

impl History {
    fn new(rows: String) -> Self {
        Self { text: format!("######## before\n{rows}"), last: rows }
    }

    fn push(&mut self, kind: StageKind, rows: String) {
        let name = kind.name();
        let _ = if rows == self.last {
            writeln!(self.text, "\n######## {name}: the same")
        } else {
            write!(self.text, "\n######## {name}\n{rows}")
        };
        self.last = rows;
    }
}

/// The columns that are not ours, whose values must not change.
struct Others<'a> {
    contract: &'a Contract,
    backend: Backend,
    columns: Vec<Ident>,
}

/// Rows by how often they occur.
#[derive(Debug)]
struct Rows(BTreeMap<Vec<Option<String>>, usize>);

impl<'a> Others<'a> {
    fn new(case: &'a Case, plan: &Plan) -> Self {
        let columns = plan.facts.columns.iter().map(|column| column.name.clone());
        let columns = columns.filter(|name| !case.changes.iter().any(|c| c == name.as_str()));
        Self { contract: &case.contract, backend: case.backend, columns: columns.collect() }
    }

    fn rows(&self, db: &ScratchDb, without: Option<&Ident>) -> Fallible<Rows> {
        let columns: Vec<String> = self
            .columns
            .iter()
            .filter(|name| Some(*name) != without)
            .map(|name| match self.backend {
                Backend::Postgres => format!("{}::text", render::text::name(self.backend, name)),
                Backend::Mysql => {
                    format!("hex(concat({}))", render::text::name(self.backend, name))
                }
                Backend::Sqlite => format!("quote({})", render::text::name(self.backend, name)),
            })
            .collect();
        let table = render::text::table(self.backend, self.contract.table());
        let sql = format!("SELECT {} FROM {table}", columns.join(", "));
        let mut counted = BTreeMap::new();
        for row in session(db)?.query(&sql).map_err(|e| chain(&e))? {
            *counted.entry(row).or_default() += 1;
        }
        Ok(Rows(counted))
    }
}

impl Rows {
    /// Fails where a row is missing; old programs may have added others.
    fn kept_in(&self, after: &Self) -> Fallible<()> {
        let missing = self.0.iter().filter(|(row, n)| after.0.get(*row).is_none_or(|m| m < n));
        let missing: Vec<String> = missing.map(|(row, _)| format!("{row:?}")).collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(format!("other columns have changed; before: {}; after: {after:?}", missing.join(" "))
            .into())
    }
}

/// The stages that have migrations.
fn acting(plan: &Plan) -> impl Iterator<Item = &Stage> {
    plan.stages.iter().filter(|stage| !stage.migrations.is_empty())
}

fn project(case: &Case) -> Fallible<Project> {
    let mut builder = Project::builder().file("diesel.toml", case.diesel_toml.as_str()).migration(
        "before",
        case.tables.as_str(),
        "SELECT 1;\n",
    );
    if let Some((path, text)) = &case.patch {
        builder = builder.file(path.clone(), text.as_str());
    }
    Ok(builder.build()?)
}

/// Makes a database with the tables and rows before.
fn filled(case: &Case, project: &Project) -> Fallible<ScratchDb> {
    let recipe = format!("{}\n{}", case.tables, case.rows);
    let dir: Utf8PathBuf = project.root().join(MIGRATIONS);
    let db = ScratchDb::from_template(case.want, &recipe, |url| {
        let mut session = Session::open(&DatabaseUrl::parse(url)?, &OpenOptions::create())?;
        session.run_up_to(&dir, 1)?;
        if !case.rows.trim().is_empty() {
            session.batch(&case.rows)?;
        }
        Ok(())
    });
    db.map_err(|error| chain(&error).into())
}

/// Fails where the tool would say that somebody changed the column by hand.
fn as_planned(
    session: &mut Session,
    plan: &Plan,
    done: &[&Migration],
    files: &[String],
) -> Fallible<()> {
    let progress = |_: &Stage, migration: &Migration| match done.contains(&migration) {
        true => Progress::Applied,
        false => Progress::Planned,
    };
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let compared = compare(session, plan, &progress, &files).map_err(|e| chain(&e))?;
    if compared == Compared::default() {
        return Ok(());
    }
    let after = done.last().map_or("nothing", |migration| migration.label);
    let drifts: Vec<String> = compared.drifts.iter().map(ToString::to_string).collect();
    Err(format!("after {after}: {}; unseen: {:?}", drifts.join("; "), compared.unseen).into())
}

fn session(db: &ScratchDb) -> Fallible<Session> {
    let url = DatabaseUrl::parse(db.url())?;
    Session::open(&url, &OpenOptions::create()).map_err(|error| chain(&error).into())
}

fn same(what: &str, wanted: &str, found: &str) -> Fallible<()> {
    if wanted == found {
        return Ok(());
    }
    let diff = similar::TextDiff::from_lines(wanted, found);
    Err(format!(
        "{what} is not what it should be:\n{}",
        diff.unified_diff().context_radius(2).header("wanted", "found")
    )
    .into())
}

/// Writes every UUID alike: the server draws them.
fn without_uuids(line: &str) -> String {
    const SHAPE: [usize; 5] = [8, 4, 4, 4, 12];
    let is_uuid = |text: &str| {
        text.split('-').map(str::len).eq(SHAPE)
            && text.chars().all(|c| c == '-' || c.is_ascii_hexdigit())
    };
    let parts = line.split('\'').map(|part| if is_uuid(part) { "[UUID]" } else { part });
    parts.collect::<Vec<_>>().join("'")
}
