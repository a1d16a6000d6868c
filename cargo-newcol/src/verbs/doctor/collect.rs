//! Reads the project, and where it may a database, into what the checks look at.

use std::{fs, io, process::Command};

use camino::{Utf8Path, Utf8PathBuf};
use cargo_metadata::{DependencyKind, Package, TargetKind};
use newcol_core::{
    backend::Backend,
    db::{self, Access, Session},
    doctor::{
        ContractSource, DatabaseFacts, DieselUse, Embed, Folder, MigrationsDir, PackageFacts,
        SchemaSource, Sources, Toolchain,
    },
    execute::files::JOURNAL,
    ident::{Ident, TableName},
};

use super::printing;
use crate::{
    context::{Context, Project},
    error::{CliError, Exit},
};

/// Reads everything; only what the user names by hand is an error.
pub(super) fn sources(ctx: &Context, url: Option<&str>) -> Result<Sources, CliError> {
    let project = ctx.project_as_it_is()?;
    let mut session = match url {
        Some(url) => Some(ctx.session(&project.url(url)?, Access::Read)?),
        None => None,
    };
    if let Some(session) = &session
        && !project.engines.iter().any(|e| e.backend == session.backend())
    {
        let message =
            format!("the URL is for {}, which the project does not use", session.backend());
        return Err(CliError::usage(message)
            .at("--database-url")
            .hint("pass a URL of the project's engine"));
    }
    let toolchain = toolchain(&project);
    let schemas = schemas(&project)?;
    let mut sources = Sources {
        migrations: migrations(&project, session.as_mut())?,
        configs: project
            .config
            .print_schema
            .values()
            .filter(|c| c.file.is_some())
            .cloned()
            .collect(),
        contracts: contracts(&project)?,
        packages: packages(&project),
        journal: project.root.join(JOURNAL).exists().then(|| JOURNAL.into()),
        databases: databases(&project, session.as_mut()),
        printed: Vec::new(),
        toolchain,
        schemas,
    };
    sources.printed = printing::all(&project, &sources, session.as_ref().map(Session::url));
    Ok(sources)
}

/// Reads what shows whether a database and the project's schemas have drifted apart.
pub(super) fn for_drift(project: &Project, mut session: Session) -> Result<Sources, CliError> {
    let mut sources = Sources {
        migrations: migrations(project, Some(&mut session))?,
        schemas: schemas(project)?,
        toolchain: toolchain(project),
        ..Sources::default()
    };
    sources.printed = printing::all(project, &sources, Some(session.url()));
    Ok(sources)
}

/// Returns the text of a file; `None` if there is none, or if it is no text.
fn text(path: &Utf8Path) -> Result<Option<String>, CliError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(CliError::of(Exit::Failed, &error).at(path)),
    }
}

/// Names in a directory, sorted; none if it cannot be read.
fn names(dir: &Utf8Path) -> Vec<String> {
    let Ok(entries) = dir.read_dir_utf8() else { return Vec::new() };
    let names = entries.filter_map(Result::ok).map(|entry| entry.file_name().to_owned());
    let mut names: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
    names.sort();
    names
}

fn migrations(
    project: &Project,
    mut session: Option<&mut Session>,
) -> Result<Vec<MigrationsDir>, CliError> {
    let mut dirs = Vec::new();
    for engine in &project.engines {
        let dir = project.root.join(&engine.dir);
        let mut folders = Vec::new();
        for name in names(&dir) {
            let folder = dir.join(&name);
            // Diesel takes everything for a migration that is no plain file.
            if !folder.is_file() {
                let up = text(&folder.join("up.sql"))?;
                let metadata = text(&folder.join("metadata.toml"))?;
                folders.push(Folder { name, up, metadata });
            }
        }
        let applied = match &mut session {
            Some(session) if session.backend() == engine.backend => {
                Some(session.migrations()?.into_iter().map(|m| m.version).collect())
            }
            Some(_) | None => None,
        };
        let (backend, path) = (engine.backend, engine.dir.clone());
        dirs.push(MigrationsDir { backend, path, folders, applied });
    }
    Ok(dirs)
}

fn schemas(project: &Project) -> Result<Vec<SchemaSource>, CliError> {
    let mut sources = Vec::new();
    for path in project.schema_paths()? {
        if let Some(text) = text(&project.root.join(&path))? {
            sources.push(SchemaSource::new(path, text));
        }
    }
    Ok(sources)
}

fn contracts(project: &Project) -> Result<Vec<ContractSource>, CliError> {
    let dir = project.base.join("newcol");
    let mut contracts = Vec::new();
    for name in names(&dir).into_iter().filter(|name| name.ends_with(".toml")) {
        let path = dir.join(name);
        if let Some(text) = text(&path)? {
            contracts.push(ContractSource { path: project.relative(&path), text });
        }
    }
    Ok(contracts)
}

fn packages(project: &Project) -> Vec<PackageFacts> {
    project.packages.iter().map(|package| package_facts(project, package)).collect()
}

fn package_facts(project: &Project, package: &Package) -> PackageFacts {
    let manifest = Utf8PathBuf::from(package.manifest_path.as_str());
    let dir = manifest.parent().unwrap_or(&project.root);
    let script = package.targets.iter().find(|t| t.kind.contains(&TargetKind::CustomBuild));
    let mut embeds = Vec::new();
    find_embeds(project, dir, &mut embeds);
    PackageFacts {
        name: package.name.to_string(),
        manifest: project.relative(&manifest),
        diesel: diesel_use(package),
        dependencies: package.dependencies.iter().map(|d| d.name.clone()).collect(),
        build_script: script.and_then(|t| fs::read_to_string(t.src_path.as_str()).ok()),
        embeds,
    }
}

/// All a package may enable: which of its own features are on is the build's choice.
/// Returns how a package depends on diesel.
fn diesel_use(package: &Package) -> Option<DieselUse> {
    let uses = package
        .dependencies
        .iter()
        .filter(|d| d.name == "diesel" && d.kind != DependencyKind::Build);
    let mut found: Option<DieselUse> = None;
    for dependency in uses {
        let found = found.get_or_insert_default();
        found.default_features |= dependency.uses_default_features;
        found.features.extend(dependency.features.iter().cloned());
        let name = dependency.rename.as_deref().unwrap_or("diesel");
        for value in package.features.values().flatten() {
            let rest = value.strip_prefix(name);
            let feature = rest.and_then(|v| v.strip_prefix('/').or_else(|| v.strip_prefix("?/")));
            found.features.extend(feature.map(str::to_owned));
        }
    }
    found
}

/// Returns how many columns a table of the project may have; `None` where nothing uses diesel.
pub(crate) fn column_limit(project: &Project) -> Option<usize> {
    let uses = project.packages.iter().filter_map(diesel_use);
    uses.map(|diesel| diesel.column_limit()).max()
}

/// Looks through a package's own files: not those of packages below it, of tests or of builds.
fn find_embeds(project: &Project, dir: &Utf8Path, found: &mut Vec<Embed>) {
    const ELSEWHERE: [&str; 5] = ["target", "tests", "benches", "examples", "node_modules"];
    for name in names(dir) {
        let path = dir.join(&name);
        let Ok(kind) = fs::symlink_metadata(&path) else { continue };
        if kind.is_dir() && !ELSEWHERE.contains(&name.as_str()) && !path.join("Cargo.toml").exists()
        {
            find_embeds(project, &path, found);
        } else if kind.is_file() && path.extension() == Some("rs") {
            let text = fs::read_to_string(&path).unwrap_or_default();
            found.extend(Embed::find(&project.relative(&path), &text));
        }
    }
}

/// The nearest pin, from the project's directory upwards, as rustup looks for it.
fn toolchain(project: &Project) -> Option<Toolchain> {
    let candidates = project
        .base
        .ancestors()
        .flat_map(|dir| ["rust-toolchain", "rust-toolchain.toml"].map(|name| dir.join(name)));
    let path = candidates.into_iter().find(|path| path.is_file())?;
    let listed = Command::new("rustup").args(["toolchain", "list"]).output();
    let installed = listed.ok().filter(|said| said.status.success()).map(|said| {
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        said.lines().filter_map(|l| l.split_whitespace().next()).map(str::to_owned).collect()
    });
    let text = fs::read_to_string(&path).ok()?;
    Some(Toolchain { path: project.relative(&path), text, installed })
}

/// Asks the user's database; SQLite migrations are replayed in memory where none is given.
fn databases(project: &Project, session: Option<&mut Session>) -> Vec<DatabaseFacts> {
    if let Some(session) = session {
        let place = Utf8PathBuf::from(session.url().describe());
        return vec![facts(session, place)];
    }
    let mut found = Vec::new();
    for engine in project.engines.iter().filter(|e| e.backend == Backend::Sqlite) {
        let dir = project.root.join(&engine.dir);
        let place = engine.dir.clone();
        found.push(match db::sqlite_replay(&dir) {
            Ok(mut session) => facts(&mut session, place),
            Err(error) => DatabaseFacts { place, keyless: Vec::new(), broken: Some(chain(&error)) },
        });
    }
    found
}

fn facts(session: &mut Session, place: Utf8PathBuf) -> DatabaseFacts {
    let sql = match session.backend() {
        Backend::Postgres => {
            "SELECT c.relname::text FROM pg_class c \
             WHERE c.relkind IN ('r', 'p') AND c.relnamespace = current_schema()::regnamespace \
             AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary) \
             ORDER BY 1"
        }
        Backend::Mysql => {
            "SELECT t.table_name FROM information_schema.tables t \
             WHERE t.table_schema = database() AND t.table_type = 'BASE TABLE' \
             AND NOT EXISTS (SELECT 1 FROM information_schema.table_constraints k \
               WHERE k.table_schema = t.table_schema AND k.table_name = t.table_name \
               AND k.constraint_type = 'PRIMARY KEY') ORDER BY 1"
        }
        Backend::Sqlite => {
            "SELECT l.name FROM pragma_table_list l \
             WHERE l.schema = 'main' AND l.type = 'table' \
             AND l.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
             AND NOT EXISTS (SELECT 1 FROM pragma_table_info(l.name) WHERE pk > 0) ORDER BY 1"
        }
    };
    let rows = session.query(sql).unwrap_or_default();
    let names = rows.into_iter().filter_map(|row| row.into_iter().next().flatten());
    let table = |name: String| Some(TableName { schema: None, name: Ident::new(name).ok()? });
    DatabaseFacts { place, keyless: names.filter_map(table).collect(), broken: None }
}

/// Returns an error with its causes, on one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}
