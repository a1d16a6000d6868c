//! Asks the project's own `diesel print-schema` what it prints, where a database can be had.

use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use newcol_core::{
    backend::Backend,
    db::{DatabaseUrl, OpenOptions, Session},
    doctor::{MigrationsDir, Printed, Printing, Sources},
};
use tempfile::TempDir;

use super::collect::chain;
use crate::context::{Project, env};

/// A database to print from; a replayed one lives as long as this.
struct Database {
    url: String,
    _dir: Option<TempDir>,
}

/// Prints every schema that diesel.toml says is printed.
pub(super) fn all(project: &Project, sources: &Sources, url: Option<&DatabaseUrl>) -> Vec<Printed> {
    let files: Vec<(&String, Utf8PathBuf)> = project
        .config
        .print_schema
        .iter()
        .filter_map(|(key, config)| {
            let path = project.relative(&project.base.join(config.file.as_ref()?));
            Some((key, path))
        })
        .collect();
    if files.is_empty() {
        return Vec::new();
    }
    let ready = ready(project, sources, url);
    let mut printed = Vec::new();
    for (key, schema) in files {
        let printing = match &ready {
            Ok((diesel, database)) => {
                let key = (project.config.print_schema.len() > 1).then_some(key.as_str());
                print(project, diesel, &database.url, key)
            }
            Err(why) => Printing::NotRun(why.clone()),
        };
        printed.push(Printed { schema, printing });
    }
    printed
}

/// Returns the program and the database, or why there are none.
fn ready(
    project: &Project,
    sources: &Sources,
    url: Option<&DatabaseUrl>,
) -> Result<(Utf8PathBuf, Database), String> {
    if project.engines.len() > 1 {
        return Err("it serves several engines, and print-schema knows one".to_owned());
    }
    // Started through `cargo`, we and the rustfmt below us have a toolchain whatever is pinned.
    let overridden = env("RUSTUP_TOOLCHAIN").is_some();
    if !overridden && sources.toolchain.as_ref().is_some_and(|toolchain| !toolchain.is_present()) {
        return Err("the pinned toolchain is missing, so it would come unformatted".to_owned());
    }
    let diesel = diesel().ok_or("no `diesel` program was found (NEWCOL_DIESEL_BIN, PATH)")?;
    if let Some(url) = url {
        let pending: usize = sources.migrations.iter().map(MigrationsDir::pending).sum();
        match pending {
            0 => {}
            1 => return Err("1 migration of the project is not applied there".to_owned()),
            many => return Err(format!("{many} migrations of the project are not applied there")),
        }
        return Ok((diesel, Database { url: url.expose().to_owned(), _dir: None }));
    }
    let engine = project.engines.first().filter(|e| e.backend == Backend::Sqlite);
    let engine = engine.ok_or("it needs a database: pass `--database-url`")?;
    let database = replayed(&project.root.join(&engine.dir))?;
    Ok((diesel, database))
}

/// Applies the migrations to a file that is gone afterwards: another process has to read it.
fn replayed(migrations: &Utf8Path) -> Result<Database, String> {
    let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
    let path = dir.path().join("replay.db");
    let path = path.to_str().ok_or("the temporary directory has no readable name")?;
    let url = DatabaseUrl::parse(path).map_err(|error| error.to_string())?;
    let mut session = Session::open(&url, &OpenOptions::create()).map_err(|error| chain(&error))?;
    session
        .run_pending(migrations)
        .map_err(|_| "the migrations do not run on an empty database".to_owned())?;
    Ok(Database { url: path.to_owned(), _dir: Some(dir) })
}

fn diesel() -> Option<Utf8PathBuf> {
    if let Some(given) = env("NEWCOL_DIESEL_BIN") {
        return Some(given.into());
    }
    let path = env("PATH")?;
    let name = format!("diesel{}", std::env::consts::EXE_SUFFIX);
    std::env::split_paths(&path)
        .filter_map(|dir| Utf8PathBuf::from_path_buf(dir.join(&name)).ok())
        .find(|path| path.is_file())
}

fn print(project: &Project, diesel: &Utf8Path, url: &str, key: Option<&str>) -> Printing {
    let mut command = Command::new(diesel);
    // The URL goes through the environment, where no list of processes shows its password.
    command.arg("print-schema").env("DATABASE_URL", url).current_dir(&project.base);
    if let Some(path) = &project.diesel_toml {
        command.arg("--config-file").arg(path);
    }
    if let Some(key) = key {
        command.args(["--schema-key", key]);
    }
    match command.output() {
        Err(error) => Printing::NotRun(format!("{diesel}: {error}")),
        Ok(said) if said.status.success() => {
            Printing::Text(String::from_utf8_lossy(&said.stdout).into_owned())
        }
        Ok(said) => {
            let text = String::from_utf8_lossy(&said.stderr).into_owned();
            // Drivers repeat the URL in what they say.
            let text = text.replace(url, "(the database)");
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            Printing::Failed(lines.take(3).collect::<Vec<_>>().join(" "))
        }
    }
}
