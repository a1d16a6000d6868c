//! Server programs on this machine: where they are and which version each is.

use std::{fs, io};

use camino::{Utf8Path, Utf8PathBuf};
use newcol_core::backend::{Backend, Product, Server as ServerVersion};

use super::{
    error::{ScratchError, Tried},
    lease, mysql, postgres,
    server::tried_at,
    service::Service,
};
use crate::settings;

/// A server program whose version is known.
pub(super) struct Program {
    pub(super) path: Utf8PathBuf,
    pub(super) version: ServerVersion,
    /// Names the program with its version in file names.
    pub(super) key: String,
}

impl Program {
    /// Asks a program for its version; the answer is remembered until the file changes.
    pub(super) fn probe(backend: Backend, path: &Utf8Path) -> Result<Self, ScratchError> {
        let failed = |source| ScratchError::file(path, source);
        let meta = fs::metadata(path).map_err(failed)?;
        let stamp = format!("{path} {} {:?}", meta.len(), meta.modified().ok());
        let tag = format!("{:08x}", lease::hash(stamp.as_bytes()) >> 32);
        let memory = lease::base_dir()?.join(format!("version-{tag}"));
        let mut said = lease::read(&memory);
        if said.is_empty() {
            let output = Service::of(backend).command(path).arg("--version").output();
            let output = output.map_err(failed)?;
            said = String::from_utf8_lossy(&output.stdout).into_owned();
            lease::write(&memory, &said)?;
        }
        // `mariadbd  Ver 10.11.19-MariaDB…`, `postgres (PostgreSQL) 15.20 (Debian…)`
        let version = ServerVersion::parse(backend, &said)
            .ok_or_else(|| failed(io::Error::other("does not tell its version")))?;
        let short = match version.product {
            Product::Postgres => "pg",
            Product::Mysql => "mysql",
            Product::Mariadb => "mariadb",
            Product::Sqlite => "sqlite",
        };
        Ok(Self { path: path.to_owned(), version, key: format!("{short}{}-{tag}", version.major) })
    }
}

/// Returns the server programs of this machine, the user's choice first.
pub(super) fn candidates(backend: Backend, tried: &mut Vec<Tried>) -> Vec<Utf8PathBuf> {
    let (variable, names, usual): (_, &[&str], _) = match backend {
        Backend::Postgres => ("NEWCOL_PG_BIN", &["postgres"], postgres::usual_dirs()),
        Backend::Mysql | Backend::Sqlite => {
            ("NEWCOL_MYSQL_BIN", &["mariadbd", "mysqld"], mysql::usual_dirs())
        }
    };
    let mut found: Vec<Utf8PathBuf> = Vec::new();
    let mut look = |dir: &Utf8Path| {
        let before = found.len();
        for name in names {
            let Ok(path) = dir.join(name).canonicalize_utf8() else { continue };
            // Client packages ship neither program; a stray `postgres` without `initdb` is of no
            // use.
            let complete = backend != Backend::Postgres || path.with_file_name("initdb").exists();
            if complete && !found.contains(&path) {
                found.push(path);
            }
        }
        found.len() > before
    };
    for dir in settings::dirs(variable) {
        // An installation directory and an unpacked npm bundle serve as well as its `bin`.
        let places = [dir.clone(), dir.join("bin"), dir.join("native/bin")];
        if !places.iter().any(|place| look(place)) {
            tried.push(tried_at(&format!("{variable}={dir}"), "has no server program"));
        }
    }
    for dir in settings::dirs("PATH").iter().chain(&usual) {
        look(dir);
    }
    if found.is_empty() {
        tried.push(tried_at("PATH and the usual directories", "have no server program"));
    }
    found
}
