//! Finds a Diesel project's files: diesel.toml, schema.rs, migrations, contracts.
//!
//! As the diesel CLI finds them, and beyond: schema crates apart, one migrations directory per
//! engine with one schema, hand-written schemas without a diesel.toml.

use std::{
    cell::{OnceCell, RefCell},
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Read as _},
    thread::{self, JoinHandle},
};

use camino::{Utf8Path, Utf8PathBuf};
use cargo_metadata::{Metadata, MetadataCommand, Package};
use newcol_core::{
    backend::Backend,
    execute::apply::{ApplyError, SqlMigration},
    ident::TableName,
    schema::{
        SchemaError, SchemaFile as Parsed,
        diesel_toml::{DieselConfig, PrintSchemaConfig},
    },
};

use super::{Context, env};
use crate::error::{CliError, Exit};

/// The files of a Diesel project.
pub(crate) struct Project {
    /// Directory that every path below is relative to: the workspace's root.
    pub(crate) root: Utf8PathBuf,
    /// Directory of diesel.toml, or of the package; contracts live in its `newcol/`.
    pub(crate) base: Utf8PathBuf,
    /// diesel.toml, where there is one.
    pub(crate) diesel_toml: Option<Utf8PathBuf>,
    /// Its contents.
    pub(crate) config: DieselConfig,
    /// Migrations directories with their engines.
    pub(crate) engines: Vec<EngineDir>,
    /// Packages of the workspace.
    pub(crate) packages: Vec<Package>,
    /// Where Cargo builds.
    pub(crate) target: Utf8PathBuf,
    migrations: OnceCell<Vec<(Utf8PathBuf, MigrationFolder)>>,
    early: RefCell<Vec<ReadSchema>>,
}

/// A schema.rs, read and understood.
struct ReadSchema {
    path: Utf8PathBuf,
    text: String,
    parsed: Parsed,
}

/// Reads schema.rs while Cargo looks at the workspace: both take about as long, and where
/// diesel.toml lies is known in nearly every project. A wrong guess costs nothing but the work.
struct Early(Option<JoinHandle<Vec<ReadSchema>>>);

impl Early {
    fn begin(ctx: &Context) -> Self {
        let global = ctx.global();
        if global.package.is_some() || global.manifest_path.is_some() {
            return Self(None);
        }
        let start = ctx.cwd().to_owned();
        Self(Some(thread::spawn(move || read_schemas(&start))))
    }

    fn end(self) -> Vec<ReadSchema> {
        self.0.and_then(|thread| thread.join().ok()).unwrap_or_default()
    }
}

/// Reads the schemas that the nearest diesel.toml names, as far as they can be read; what cannot be
/// is reported when it is needed.
fn read_schemas(start: &Utf8Path) -> Vec<ReadSchema> {
    let read = |path: &Utf8Path| fs::read_to_string(path).ok();
    let found = start.ancestors().find_map(|dir| Some((dir, read(&dir.join("diesel.toml"))?)));
    let Some((base, text)) = found else { return Vec::new() };
    let Ok(config) = DieselConfig::parse(&text) else { return Vec::new() };
    let files = config.print_schema.values().filter_map(|config| config.file.as_ref());
    let schema = |file: &Utf8PathBuf| {
        let path = base.join(file);
        let text = read(&path)?;
        let parsed = Parsed::parse(&text).ok()?;
        Some(ReadSchema { path, text, parsed })
    };
    files.filter_map(schema).collect()
}

/// The migrations of one engine.
#[derive(Debug, Clone)]
pub(crate) struct EngineDir {
    pub(crate) backend: Backend,
    /// Below the root.
    pub(crate) dir: Utf8PathBuf,
}

/// A schema.rs with what diesel.toml says about it.
#[derive(Debug, Clone)]
pub(crate) struct SchemaFile {
    /// Below the root.
    pub(crate) path: Utf8PathBuf,
    pub(crate) text: String,
    pub(crate) config: PrintSchemaConfig,
    pub(crate) parsed: Parsed,
}

/// Diesel's lock on a migrations directory; a file made for it goes with it.
pub(crate) struct MigrationsLock {
    path: Utf8PathBuf,
    origin: LockOrigin,
    _held: File,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LockOrigin {
    /// The diesel CLI leaves the file behind, so it may be there, and even committed.
    Found,
    Made,
}

impl MigrationsLock {
    fn take(path: Utf8PathBuf, project: &Project) -> Result<Self, CliError> {
        let place = project.relative(&path);
        let failed = |error: io::Error| {
            CliError::of(Exit::Failed, &error)
                .saying(format!("could not lock {}", place.parent().unwrap_or(&place)))
                .at(&place)
                .hint("make the directory writable, then run the command again")
        };
        let (file, origin) = match File::create_new(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                (File::open(&path).map_err(failed)?, LockOrigin::Found)
            }
            other => (other.map_err(failed)?, LockOrigin::Made),
        };
        if fs4::FileExt::try_lock(&file).is_err() {
            return Err(CliError::failed("another command is creating migrations")
                .at(place)
                .hint("wait until it is done, then run the command again"));
        }
        Ok(Self { path, origin, _held: file })
    }
}

impl Drop for MigrationsLock {
    fn drop(&mut self) {
        if self.origin == LockOrigin::Made {
            drop(fs::remove_file(&self.path));
        }
    }
}

impl Project {
    pub(super) fn find(ctx: &Context) -> Result<Self, CliError> {
        let early = Early::begin(ctx);
        let metadata = metadata(ctx)?;
        let root = Utf8PathBuf::from(metadata.workspace_root.as_str());
        ctx.root.get_or_init(|| root.clone());
        let target = Utf8PathBuf::from(metadata.target_directory.as_str());
        let packages: Vec<Package> = metadata.packages;
        let start = start(ctx, &packages, &root)?;
        let diesel_toml = find_diesel_toml(ctx, &start, &root, &packages)?;
        let base = match &diesel_toml {
            Some(path) => path.parent().unwrap_or(&root).to_owned(),
            None => diesel_package(&start, &root, &packages)?,
        };
        let config = match &diesel_toml {
            None => DieselConfig::default(),
            Some(path) => {
                let text = read(path)?;
                DieselConfig::parse(&text).map_err(|error| {
                    CliError::of(Exit::Usage, &error)
                        .at(format!("{path}:{}", error.place()))
                        .hint("correct it: the diesel CLI refuses the file too")
                })?
            }
        };
        let migrations = migrations_dir(&config, &base, &root);
        let mut project = Self {
            root,
            base,
            diesel_toml,
            config,
            engines: Vec::new(),
            packages,
            target,
            migrations: OnceCell::new(),
            early: RefCell::new(early.end()),
        };
        project.engines = project.engines(ctx, migrations)?;
        Ok(project)
    }

    /// Returns a path below the root, for messages and patches.
    pub(crate) fn relative(&self, path: &Utf8Path) -> Utf8PathBuf {
        path.strip_prefix(&self.root).unwrap_or(path).to_owned()
    }

    /// Returns the path of a contract file.
    pub(crate) fn contract_path(&self, column: &newcol_core::ident::ColumnPath) -> Utf8PathBuf {
        let name: String = column
            .to_string()
            .chars()
            .map(|c| if c.is_alphanumeric() || "._-".contains(c) { c } else { '_' })
            .collect();
        self.relative(&self.base.join("newcol").join(format!("{name}.toml")))
    }

    /// Reads a file below the root.
    pub(crate) fn read(&self, path: &Utf8Path) -> Result<Option<String>, CliError> {
        match fs::read_to_string(self.root.join(path)) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(_) => read(&self.root.join(path)).map(Some),
        }
    }

    /// Returns every schema.rs that diesel.toml names, or that lies in the base package.
    pub(crate) fn schema_files(&self) -> Result<Vec<SchemaFile>, CliError> {
        let named = self.named_schemas()?;
        let mut files = Vec::new();
        for (path, config) in named {
            let relative = self.relative(&path);
            let (text, parsed) = match self.read_early(&path) {
                Some(schema) => (schema.text, schema.parsed),
                None => {
                    let text = read(&path)?;
                    let parsed =
                        Parsed::parse(&text).map_err(|error| schema_error(&relative, &error))?;
                    (text, parsed)
                }
            };
            files.push(SchemaFile { path: relative, text, config, parsed });
        }
        Ok(files)
    }

    /// Hands out what was read while Cargo ran, once: files may change afterwards.
    fn read_early(&self, path: &Utf8Path) -> Option<ReadSchema> {
        let mut early = self.early.borrow_mut();
        let at = early.iter().position(|schema| schema.path == path)?;
        Some(early.swap_remove(at))
    }

    /// Forgets what was read while Cargo ran, because files were put back since.
    pub(super) fn read_anew(&self) {
        self.early.borrow_mut().clear();
    }

    /// Returns the paths of the schema files, read or not.
    pub(crate) fn schema_paths(&self) -> Result<Vec<Utf8PathBuf>, CliError> {
        Ok(self.named_schemas()?.into_iter().map(|(path, _)| self.relative(&path)).collect())
    }

    fn named_schemas(&self) -> Result<Vec<(Utf8PathBuf, PrintSchemaConfig)>, CliError> {
        let mut named: Vec<(Utf8PathBuf, PrintSchemaConfig)> = Vec::new();
        for config in self.config.print_schema.values() {
            if let Some(file) = &config.file {
                named.push((self.base.join(file), config.clone()));
            }
        }
        if named.is_empty() {
            let config = self.config.print_schema.values().next().cloned().unwrap_or_default();
            let mut found = Vec::new();
            find_schemas(&self.base, &mut found);
            named.extend(found.into_iter().map(|path| (path, config.clone())));
        }
        if named.is_empty() {
            return Err(CliError::usage("no schema.rs was found")
                .at(&self.base)
                .hint("name it in diesel.toml: `[print_schema]` with `file = \"src/schema.rs\"`"));
        }
        Ok(named)
    }

    /// Returns the schema files that declare a table.
    pub(crate) fn schemas_of(&self, table: &TableName) -> Result<Vec<SchemaFile>, CliError> {
        let files = self.schema_files()?;
        let mut holding = Vec::new();
        let mut known: BTreeSet<String> = BTreeSet::new();
        let paths: Vec<String> = files.iter().map(|file| file.path.to_string()).collect();
        for file in files {
            known.extend(file.parsed.tables.iter().map(|t| t.full_sql_name()));
            match file.parsed.table(&file.text, table) {
                Ok(_) => holding.push(file),
                Err(SchemaError::TableMissing { .. }) => {}
                Err(error) => return Err(schema_error(&file.path, &error)),
            }
        }
        if holding.is_empty() {
            let mut error = CliError::usage(format!("no `table!` declares `{table}`"));
            let wanted = table.to_string();
            let near = known.iter().filter(|name| similar(name, &wanted));
            let near: Vec<String> = near.take(3).map(|name| format!("`{name}`")).collect();
            error = if near.is_empty() {
                error.hint("create the table first, and let `diesel print-schema` write schema.rs")
            } else {
                error.hint(format!("did you mean {}?", near.join(" or ")))
            };
            return Err(match paths.as_slice() {
                [only] => error.at(only),
                several => error.at(several.join(", ")),
            });
        }
        Ok(holding)
    }

    /// Returns every migration folder with its directory below the root, read once.
    pub(crate) fn migrations(&self) -> &[(Utf8PathBuf, MigrationFolder)] {
        self.migrations.get_or_init(|| {
            let of_engine = |engine: &EngineDir| {
                let dir = engine.dir.clone();
                let folders = migration_folders(&self.root.join(&engine.dir));
                folders.into_iter().map(move |folder| (dir.clone(), folder))
            };
            self.engines.iter().flat_map(of_engine).collect()
        })
    }

    /// Reads the migrations of an engine of the project, as they are run.
    pub(crate) fn sql_migrations(&self, backend: Backend) -> Result<Vec<SqlMigration>, CliError> {
        let engine = self.engines.iter().find(|engine| engine.backend == backend);
        let engine = engine.expect("a URL is of an engine of the project");
        SqlMigration::in_dir(backend, &self.root.join(&engine.dir)).map_err(|error| {
            let exit = match error {
                ApplyError::Twins { .. } => Exit::Usage,
                _ => Exit::Failed,
            };
            CliError::of(exit, &error).at(&engine.dir).hint_maybe(error.hint())
        })
    }

    /// Returns the latest migration version of all engines, as Diesel stores and compares it.
    /// With its folder.
    pub(crate) fn latest_version(&self) -> Option<(String, Utf8PathBuf)> {
        let mut folders: Vec<(String, Utf8PathBuf)> = Vec::new();
        for engine in &self.engines {
            let names = subdirs(&self.root.join(&engine.dir)).into_iter();
            folders.extend(names.map(|name| (stored_version(&name), engine.dir.join(name))));
        }
        folders.sort_unstable();
        let is_migration = |dir: &Utf8Path| self.root.join(dir).join("up.sql").is_file();
        folders.into_iter().rev().find(|(_, dir)| is_migration(dir))
    }

    /// Takes Diesel's own lock on every migrations directory until the guards are dropped.
    pub(crate) fn lock(&self) -> Result<Vec<MigrationsLock>, CliError> {
        let dirs = self.engines.iter().map(|engine| self.root.join(&engine.dir));
        let dirs = dirs.filter(|dir| dir.is_dir());
        dirs.map(|dir| MigrationsLock::take(dir.join(".diesel_lock"), self)).collect()
    }

    fn engines(
        &self,
        ctx: &Context,
        migrations: Option<Utf8PathBuf>,
    ) -> Result<Vec<EngineDir>, CliError> {
        let dir = migrations.unwrap_or_else(|| self.base.join("migrations"));
        let mut several = Vec::new();
        let is_migration = |name: &String| dir.join(name).join("up.sql").is_file();
        if !subdirs(&dir).iter().any(is_migration) {
            for name in subdirs(&dir) {
                if let Ok(backend) = name.parse::<Backend>() {
                    several.push(EngineDir { backend, dir: self.relative(&dir.join(name)) });
                }
            }
        }
        several.sort_by_key(|e| e.backend);
        if let Some(engine) = ctx.global().engine {
            several.retain(|e| e.backend == engine);
            if several.is_empty() {
                return Ok(vec![EngineDir { backend: engine, dir: self.relative(&dir) }]);
            }
        }
        if !several.is_empty() {
            return Ok(several);
        }
        let declared = declared_backends(&self.packages);
        let backend = match declared.iter().collect::<Vec<_>>().as_slice() {
            [only] => **only,
            _ => env("DATABASE_URL")
                .or_else(|| dotenv_url(&self.base, &self.root))
                .map(|url| Backend::of_url(&url))
                .ok_or_else(|| {
                    CliError::usage("nothing tells which engine the project uses")
                        .at(self.relative(&self.base.join("Cargo.toml")))
                        .hint("pass `--engine postgres`, `mysql` or `sqlite`, or set DATABASE_URL")
                })?,
        };
        Ok(vec![EngineDir { backend, dir: self.relative(&dir) }])
    }
}

/// Reads a file that has to be there.
pub(super) fn read(path: &Utf8Path) -> Result<String, CliError> {
    fs::read_to_string(path).map_err(|error| {
        let error = match error.kind() {
            io::ErrorKind::NotFound => CliError::usage("a file of the project is missing")
                .hint("diesel.toml names it; create it, or correct the name"),
            io::ErrorKind::InvalidData => {
                CliError::usage("the file is not UTF-8").hint("save it as UTF-8")
            }
            _ => CliError::of(Exit::Failed, &error)
                .saying("could not read a file of the project")
                .hint("mend that, then run the command again"),
        };
        error.at(path)
    })
}

pub(crate) fn schema_error(path: &Utf8Path, error: &SchemaError) -> CliError {
    let place = match error.place() {
        Some(at) => format!("{path}:{at}"),
        None => path.to_string(),
    };
    CliError::of(Exit::Usage, error).at(place).hint(error.hint())
}

/// A migration folder: one with an `up.sql`.
#[derive(Debug, Clone)]
pub(crate) struct MigrationFolder {
    pub(crate) name: String,
    /// How its `up.sql` begins, which tells whether it is ours.
    pub(crate) opening: String,
}

/// Finds the migration folders in a directory, sorted by name.
fn migration_folders(dir: &Utf8Path) -> Vec<MigrationFolder> {
    let mut folders: Vec<MigrationFolder> =
        subdirs(dir).into_iter().filter_map(|name| migration_folder(dir, name)).collect();
    folders.sort_by(|a, b| a.name.cmp(&b.name));
    folders
}

/// Reads a folder; projects have hundreds of them, so no more is read than the first line needs.
fn migration_folder(dir: &Utf8Path, name: String) -> Option<MigrationFolder> {
    let mut opening = [0; 4096];
    let length = File::open(dir.join(&name).join("up.sql")).ok()?.read(&mut opening).ok()?;
    let opening = String::from_utf8_lossy(&opening[..length]).into_owned();
    Some(MigrationFolder { name, opening })
}

/// The version of a folder as Diesel stores it: the text before the first `_`, without hyphens.
pub(crate) fn stored_version(folder: &str) -> String {
    folder.split('_').next().unwrap_or_default().replace('-', "")
}

fn subdirs(dir: &Utf8Path) -> Vec<String> {
    let Ok(entries) = dir.read_dir_utf8() else { return Vec::new() };
    entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_ok_and(|t| t.is_dir()))
        .map(|entry| entry.file_name().to_owned())
        .filter(|name| !name.starts_with('.'))
        .collect()
}

fn metadata(ctx: &Context) -> Result<Metadata, CliError> {
    let global = ctx.global();
    let mut command = MetadataCommand::new();
    command.no_deps().current_dir(ctx.cwd());
    if let Some(path) = &global.manifest_path {
        command.manifest_path(ctx.cwd().join(path));
    }
    let mut flags = Vec::new();
    flags.extend(global.locked.then(|| "--locked".to_owned()));
    flags.extend(global.offline.then(|| "--offline".to_owned()));
    command.other_options(flags);
    command.exec().map_err(|error| {
        let text = match &error {
            cargo_metadata::Error::CargoMetadata { stderr } => stderr.trim().to_owned(),
            other => other.to_string(),
        };
        // Cargo's causes are worth showing, rustup's stack is not.
        let told = text.lines().take_while(|line| !line.starts_with("Stack backtrace"));
        let manifest = global.manifest_path.as_deref().unwrap_or(Utf8Path::new("Cargo.toml"));
        let mut place = ctx.cwd().join(manifest).to_string();
        let mut lines = told.map(|line| line.trim_start_matches("error: ").trim().to_owned());
        let hint = if text.contains("toolchain") && text.contains("is not installed") {
            "the project pins it: install it, or use another with `cargo +stable newcol ...`"
        } else {
            "run the command inside a Cargo project, or pass `--manifest-path`"
        };
        let mut failed = CliError::usage(lines.next().unwrap_or_default()).hint(hint);
        for line in lines {
            match line.strip_prefix("--> ") {
                Some(at) => at.clone_into(&mut place),
                // The rest of Cargo's picture of the place.
                None if line.is_empty() || line.contains('|') => {}
                None => failed.causes.push(line),
            }
        }
        failed.at(place)
    })
}

/// Where the search for diesel.toml begins.
fn start(ctx: &Context, packages: &[Package], root: &Utf8Path) -> Result<Utf8PathBuf, CliError> {
    let global = ctx.global();
    if let Some(spec) = &global.package {
        let found = packages.iter().find(|p| p.name.as_str() == spec);
        let Some(package) = found else {
            let names: Vec<String> = packages.iter().map(|p| format!("`{}`", p.name)).collect();
            return Err(CliError::usage(format!("the workspace has no package `{spec}`"))
                .at(root.join("Cargo.toml"))
                .hint(format!("it has {}", names.join(", "))));
        };
        return Ok(dir_of(package));
    }
    if let Some(manifest) = &global.manifest_path {
        let manifest = ctx.cwd().join(manifest);
        return Ok(manifest.parent().unwrap_or(root).to_owned());
    }
    Ok(ctx.cwd().to_owned())
}

/// Returns the directory of a package's manifest.
pub(crate) fn dir_of(package: &Package) -> Utf8PathBuf {
    let manifest = Utf8PathBuf::from(package.manifest_path.as_str());
    manifest.parent().map_or_else(Utf8PathBuf::new, Utf8Path::to_owned)
}

fn find_diesel_toml(
    ctx: &Context,
    start: &Utf8Path,
    root: &Utf8Path,
    packages: &[Package],
) -> Result<Option<Utf8PathBuf>, CliError> {
    if let Some(path) = env("DIESEL_CONFIG_FILE") {
        return Ok(Some(ctx.cwd().join(path)));
    }
    let upwards = start.ancestors().take_while(|dir| dir.starts_with(root));
    if let Some(found) = upwards.map(|dir| dir.join("diesel.toml")).find(|path| path.is_file()) {
        return Ok(Some(found));
    }
    let members = packages.iter().map(|p| dir_of(p).join("diesel.toml"));
    let found: Vec<Utf8PathBuf> = members.filter(|path| path.is_file()).collect();
    match found.as_slice() {
        [] => Ok(None),
        [only] => Ok(Some(only.clone())),
        several => {
            let list: Vec<String> = several.iter().map(|p| format!("{p}")).collect();
            Err(CliError::usage("the workspace has several diesel.toml")
                .at(root)
                .hint(format!("choose a package with `-p`: {}", list.join(", "))))
        }
    }
}

/// Without a diesel.toml, the package that depends on diesel is the project.
fn diesel_package(
    start: &Utf8Path,
    root: &Utf8Path,
    packages: &[Package],
) -> Result<Utf8PathBuf, CliError> {
    let using: Vec<&Package> =
        packages.iter().filter(|p| p.dependencies.iter().any(|d| d.name == "diesel")).collect();
    let around = using.iter().find(|p| start.starts_with(dir_of(p)));
    match (around, using.as_slice()) {
        (Some(package), _) => Ok(dir_of(package)),
        (None, [only]) => Ok(dir_of(only)),
        (None, []) => Err(CliError::usage("no package of the workspace depends on diesel")
            .at(root.join("Cargo.toml"))
            .hint("run the command in a Diesel project, or pass `--manifest-path`")),
        (None, several) => {
            let names: Vec<String> = several.iter().map(|p| format!("`{}`", p.name)).collect();
            Err(CliError::usage("several packages depend on diesel, and there is no diesel.toml")
                .at(root)
                .hint(format!("choose one with `-p`: {}", names.join(", "))))
        }
    }
}

/// As the diesel CLI looks for it: environment, diesel.toml, then upwards from the project.
fn migrations_dir(config: &DieselConfig, base: &Utf8Path, root: &Utf8Path) -> Option<Utf8PathBuf> {
    if let Some(dir) = env("MIGRATION_DIRECTORY") {
        return Some(base.join(dir));
    }
    if let Some(dir) = &config.migrations_directory {
        return Some(base.join(dir));
    }
    let upwards = base.ancestors().take_while(|dir| dir.starts_with(root));
    upwards.map(|dir| dir.join("migrations")).find(|dir| dir.is_dir())
}

/// Engines that diesel or diesel-async are built for, directly or through a feature.
fn declared_backends(packages: &[Package]) -> BTreeSet<Backend> {
    let mut found = BTreeSet::new();
    let mut add = |feature: &str| {
        match feature.trim_end_matches("_backend") {
            "postgres" => found.insert(Backend::Postgres),
            "mysql" => found.insert(Backend::Mysql),
            "sqlite" => found.insert(Backend::Sqlite),
            _ => false,
        };
    };
    for package in packages {
        for dependency in &package.dependencies {
            if dependency.name == "diesel" || dependency.name == "diesel-async" {
                dependency.features.iter().for_each(|f| add(f));
            }
        }
        for value in package.features.values().flatten() {
            if let Some(feature) = value.strip_prefix("diesel/") {
                add(feature);
            }
        }
    }
    found
}

/// `DATABASE_URL` of the nearest `.env`, which tells the engine and nothing else: no connection is
/// ever opened to it unasked.
fn dotenv_url(base: &Utf8Path, root: &Utf8Path) -> Option<String> {
    let upwards = base.ancestors().take_while(|dir| dir.starts_with(root));
    let file = upwards.map(|dir| dir.join(".env")).find(|path| path.is_file())?;
    let pairs = dotenvy::from_path_iter(file).ok()?;
    pairs.filter_map(Result::ok).find(|(key, _)| key == "DATABASE_URL").map(|(_, url)| url)
}

/// Finds files that declare tables, without following links and outside of build output.
fn find_schemas(dir: &Utf8Path, found: &mut Vec<Utf8PathBuf>) {
    let Ok(entries) = dir.read_dir_utf8() else { return };
    for entry in entries.filter_map(Result::ok) {
        let (path, name) = (entry.path().to_owned(), entry.file_name());
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() && !name.starts_with('.') && name != "target" && name != "node_modules" {
            find_schemas(&path, found);
        } else if kind.is_file() && name == "schema.rs" {
            let declares = fs::read_to_string(&path).is_ok_and(|text| text.contains("table!"));
            if declares {
                found.push(path);
            }
        }
    }
    found.sort();
}

/// Whether two names are close enough to be a slip.
pub(super) fn similar(one: &str, other: &str) -> bool {
    let (one, other) = (one.to_lowercase(), other.to_lowercase());
    one.contains(&other) || other.contains(&one) || strsim::damerau_levenshtein(&one, &other) <= 2
}
