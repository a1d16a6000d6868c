//! What the checks look at, as values.

use std::collections::BTreeSet;

use camino::Utf8PathBuf;
use toml_edit::Document;

use crate::{
    backend::Backend,
    schema::{Place, SchemaError, SchemaFile, diesel_toml::PrintSchemaConfig},
    sql::{self, Statement},
};

/// Everything that is looked at; all paths are below the project's root.
#[derive(Debug, Default)]
pub struct Sources {
    /// Migrations, one directory per engine.
    pub migrations: Vec<MigrationsDir>,
    /// The `schema.rs` files.
    pub schemas: Vec<SchemaSource>,
    /// `[print_schema]` tables of diesel.toml that name a file.
    pub configs: Vec<PrintSchemaConfig>,
    /// Contracts of columns under way.
    pub contracts: Vec<ContractSource>,
    /// Packages of the workspace.
    pub packages: Vec<PackageFacts>,
    /// The toolchain that the project pins.
    pub toolchain: Option<Toolchain>,
    /// The journal of a command that was killed while it wrote.
    pub journal: Option<Utf8PathBuf>,
    /// Databases that could be asked: the user's, or one made from the migrations.
    pub databases: Vec<DatabaseFacts>,
    /// What `diesel print-schema` prints for the schemas.
    pub printed: Vec<Printed>,
}

/// A migrations directory.
#[derive(Debug)]
pub struct MigrationsDir {
    /// Its engine.
    pub backend: Backend,
    /// Where it is.
    pub path: Utf8PathBuf,
    /// Its folders, without hidden ones.
    pub folders: Vec<Folder>,
    /// Versions that a database has, where one was asked.
    pub applied: Option<BTreeSet<String>>,
}

/// A folder in a migrations directory.
#[derive(Debug, Clone, Default)]
pub struct Folder {
    /// Its name.
    pub name: String,
    /// Text of `up.sql`.
    pub up: Option<String>,
    /// Text of `metadata.toml`.
    pub metadata: Option<String>,
}

/// What a `metadata.toml` says, as Diesel reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    Key(bool),
    /// No key, which Diesel takes for "no transaction".
    Nothing,
    /// Not readable, which Diesel passes over.
    Garbage,
}

impl Folder {
    /// Returns the version as Diesel stores it.
    pub(super) fn version(&self) -> String {
        self.name.split('_').next().unwrap_or_default().replace('-', "")
    }

    pub(super) fn said(&self) -> Option<Said> {
        let text = self.metadata.as_ref()?;
        let Ok(document) = Document::parse(text.as_str()) else { return Some(Said::Garbage) };
        Some(match document.get("run_in_transaction").map(|item| item.as_bool()) {
            Some(Some(value)) => Said::Key(value),
            Some(None) => Said::Garbage,
            None => Said::Nothing,
        })
    }

    /// Reports whether Diesel runs it in a transaction.
    pub(super) fn in_transaction(&self) -> bool {
        match self.said() {
            Some(Said::Key(value)) => value,
            Some(Said::Nothing) => false,
            Some(Said::Garbage) | None => true,
        }
    }

    /// Returns the statements of `up.sql`; none if it cannot be read.
    pub(super) fn statements(&self, backend: Backend) -> Vec<Statement> {
        self.up.as_deref().map_or_else(Vec::new, |up| sql::statements(up, backend))
    }
}

impl MigrationsDir {
    /// Returns how many migrations a database that was asked does not have.
    pub fn pending(&self) -> usize {
        let lacking = |folder: &&Folder| folder.up.is_some() && !self.has_run(folder);
        match self.applied {
            Some(_) => self.folders.iter().filter(lacking).count(),
            None => 0,
        }
    }

    /// Returns the migrations in the order in which Diesel runs them.
    pub(super) fn ordered(&self) -> Vec<&Folder> {
        let mut folders: Vec<&Folder> = self.folders.iter().filter(|f| f.up.is_some()).collect();
        folders.sort_by_key(|folder| folder.version());
        folders
    }

    /// Reports whether a database that was asked has the migration already.
    pub(super) fn has_run(&self, folder: &Folder) -> bool {
        self.applied.as_ref().is_some_and(|applied| applied.contains(&folder.version()))
    }

    pub(super) fn up(&self, folder: &Folder) -> Utf8PathBuf {
        self.path.join(&folder.name).join("up.sql")
    }
}

/// A `schema.rs`.
#[derive(Debug)]
pub struct SchemaSource {
    /// Where it is.
    pub path: Utf8PathBuf,
    /// Its text.
    pub text: String,
    /// What it declares.
    pub parsed: Result<SchemaFile, SchemaError>,
}

impl SchemaSource {
    /// Reads a text.
    pub fn new(path: impl Into<Utf8PathBuf>, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { path: path.into(), parsed: SchemaFile::parse(&text), text }
    }
}

/// A contract file.
#[derive(Debug)]
pub struct ContractSource {
    /// Where it is.
    pub path: Utf8PathBuf,
    /// Its text.
    pub text: String,
}

/// A package of the workspace.
#[derive(Debug, Default)]
pub struct PackageFacts {
    /// Its name.
    pub name: String,
    /// Its manifest.
    pub manifest: Utf8PathBuf,
    /// Its dependency on diesel.
    pub diesel: Option<DieselUse>,
    /// Names of its dependencies.
    pub dependencies: BTreeSet<String>,
    /// Where it embeds migrations.
    pub embeds: Vec<Embed>,
    /// Text of its build script.
    pub build_script: Option<String>,
}

/// How a package depends on diesel.
#[derive(Debug, Default)]
pub struct DieselUse {
    /// Features it asks for, directly or through a feature of its own.
    pub features: BTreeSet<String>,
    /// Whether diesel's default features are on.
    pub default_features: bool,
}

impl DieselUse {
    /// Returns how many columns a table may have with these features.
    pub fn column_limit(&self) -> usize {
        let has = |names: &[&str]| names.iter().any(|name| self.features.contains(*name));
        if has(&["128-column-tables"]) {
            128
        } else if has(&["64-column-tables", "huge-tables"]) {
            64
        } else if self.default_features || has(&["32-column-tables", "large-tables", "default"]) {
            32
        } else {
            16
        }
    }
}

/// One `embed_migrations!`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Embed {
    /// The Rust file.
    pub path: Utf8PathBuf,
    /// The macro in it.
    pub at: Place,
    /// The directory it names.
    pub argument: Option<String>,
}

impl Embed {
    /// Finds the macro in the text of a Rust file; comments and strings do not count.
    pub fn find(path: &camino::Utf8Path, text: &str) -> Vec<Self> {
        super::checks::embed::find(path, text)
    }
}

/// A pinned toolchain.
#[derive(Debug)]
pub struct Toolchain {
    /// `rust-toolchain.toml` or `rust-toolchain`.
    pub path: Utf8PathBuf,
    /// Its text.
    pub text: String,
    /// Names that rustup lists; `None` where there is no rustup.
    pub installed: Option<Vec<String>>,
}

/// What a database told.
#[derive(Debug)]
pub struct DatabaseFacts {
    /// Where it is, without password; or the migrations directory it was made from.
    pub place: Utf8PathBuf,
    /// Tables without primary key.
    pub keyless: Vec<crate::ident::TableName>,
    /// Why the migrations could not be replayed.
    pub broken: Option<String>,
}

/// What `diesel print-schema` printed for a schema.
#[derive(Debug)]
pub struct Printed {
    /// The `schema.rs`.
    pub schema: Utf8PathBuf,
    /// What came out.
    pub printing: Printing,
}

/// How `diesel print-schema` ended.
#[derive(Debug)]
pub enum Printing {
    /// It printed this.
    Text(String),
    /// It ended with an error.
    Failed(String),
    /// It was not run, for this reason.
    NotRun(String),
}
