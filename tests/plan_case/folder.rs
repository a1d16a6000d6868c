//! Reads what a case's folder says.

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use newcol_core::{
    backend::{Backend, Product, Server},
    contract::{Contract, read},
    schema::diesel_toml::{DieselConfig, PrintSchemaConfig},
};
use newcol_testkit::Want;

use super::Fallible;

/// A contract and the tables it meets on one engine.
pub(super) struct Case {
    pub(super) dir: Utf8PathBuf,
    /// `postgres` or `postgres-18`: how all files of this test start.
    pub(super) stem: String,
    pub(super) backend: Backend,
    pub(super) want: Want,
    pub(super) contract: Contract,
    /// Statements that make the tables.
    pub(super) tables: String,
    /// Statements that fill them.
    pub(super) rows: String,
    /// What an old program does after `expand`.
    pub(super) old: Option<String>,
    pub(super) diesel_toml: String,
    pub(super) config: PrintSchemaConfig,
    /// Path in the project and text of the patch file.
    pub(super) patch: Option<(Utf8PathBuf, String)>,
    /// Other columns whose values may change.
    pub(super) changes: Vec<String>,
}

impl Case {
    pub(super) fn load(path: &Utf8Path) -> Fallible<Self> {
        let dir = path.parent().ok_or("a case lies in a folder")?.to_owned();
        let stem = path.file_stem().ok_or("a case has a name")?.to_owned();
        let (engine, version) = match stem.split_once('-') {
            Some((engine, version)) => (engine, Some(version.parse()?)),
            None => (stem.as_str(), None),
        };
        let backend: Backend = engine.parse()?;
        let want = Want { version, ..backend.into() };
        let contract = read::read(&fs::read_to_string(dir.join("contract.toml"))?)
            .map_err(|complaints| {
                let lines = complaints.iter().map(|c| format!("{}; {:?}", c.message, c.hint));
                format!("contract.toml: {}", lines.collect::<Vec<_>>().join("\n"))
            })?
            .contract;
        let sql = fs::read_to_string(path)?;
        let (tables, rows) = sql.split_once("\n-- rows\n").unwrap_or((&sql, ""));
        let diesel_toml = optional(&dir.join("diesel.toml"))?.unwrap_or_else(|| {
            "[print_schema]\n\n[migrations_directory]\ndir = \"migrations\"\n".to_owned()
        });
        let config = DieselConfig::parse(&diesel_toml)?;
        let config = config.print_schema.values().next().cloned().unwrap_or_default();
        let patch = config
            .patch_file
            .clone()
            .map(|name| {
                Ok::<_, std::io::Error>((name.clone(), fs::read_to_string(dir.join(name))?))
            })
            .transpose()?;
        let changes = optional(&dir.join("changes.txt"))?.unwrap_or_default();
        let changes = changes.lines().filter_map(|line| line.split('#').next());
        let changes = changes.map(str::trim).filter(|c| !c.is_empty()).map(str::to_owned).collect();
        let old = optional(&dir.join(format!("{stem}.old.sql")))?;
        Ok(Self {
            tables: tables.to_owned(),
            rows: rows.to_owned(),
            dir,
            stem,
            backend,
            want,
            contract,
            old,
            diesel_toml,
            config,
            patch,
            changes,
        })
    }

    /// Servers a plan without a server is made for, with the name of its file.
    pub(super) fn assumed(&self) -> Vec<(String, Server)> {
        let mut oldest = Server::oldest(self.backend);
        if let Some(major) = self.want.version {
            (oldest.major, oldest.minor) = (major, 0);
        }
        let mut assumed = vec![(self.stem.clone(), oldest)];
        if self.backend == Backend::Mysql {
            let mariadb = Server { product: Product::Mariadb, major: 10, minor: 6, patch: 0 };
            assumed.push(("mariadb".to_owned(), mariadb));
        }
        assumed
    }
}

/// Reads a file that need not be there.
pub(super) fn optional(path: &Utf8Path) -> Fallible<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("could not read {path}: {error}").into()),
    }
}
