//! A small Diesel project in a temporary directory.
//!
//! Only files: nothing is compiled or run unless the test does so.

use std::{collections::BTreeMap, fs, io};

use camino::{Utf8Path, Utf8PathBuf};
use tempfile::TempDir;

/// How a project is cut into crates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// One crate, all at its root.
    OneCrate,
    /// A workspace whose crate `schema` holds `diesel.toml`, migrations and `schema.rs`, and whose
    /// crate `app` uses it.
    SchemaCrate,
}

/// Why a project could not be written or read.
#[derive(Debug, thiserror::Error)]
#[error("could not use `{path}` of a test project")]
pub struct ProjectError {
    /// The file.
    pub path: Utf8PathBuf,
    /// What the system says.
    pub source: io::Error,
}

/// A project as a map from path to text, written by [`ProjectBuilder::build`].
#[derive(Debug, Clone)]
pub struct ProjectBuilder {
    layout: Layout,
    files: BTreeMap<Utf8PathBuf, String>,
    migrations: usize,
}

/// A project on disk, gone with this value; kept if the test fails.
#[derive(Debug)]
pub struct Project {
    dir: Option<TempDir>,
    root: Utf8PathBuf,
    layout: Layout,
}

impl Project {
    /// Starts a project of one crate with an empty schema.
    pub fn builder() -> ProjectBuilder {
        Self::with_layout(Layout::OneCrate)
    }

    /// Starts a project of a layout with an empty schema.
    pub fn with_layout(layout: Layout) -> ProjectBuilder {
        ProjectBuilder::new(layout)
    }

    /// Returns the directory of the whole project.
    pub fn root(&self) -> &Utf8Path {
        &self.root
    }

    /// Returns the directory of `diesel.toml`, the migrations and `src/schema.rs`.
    pub fn schema_dir(&self) -> Utf8PathBuf {
        match self.layout {
            Layout::OneCrate => self.root.clone(),
            Layout::SchemaCrate => self.root.join("schema"),
        }
    }

    /// Returns the text of a file, its path relative to the root.
    pub fn read(&self, path: impl AsRef<Utf8Path>) -> Result<String, ProjectError> {
        let path = self.root.join(path);
        fs::read_to_string(&path).map_err(|source| ProjectError { path, source })
    }

    /// Writes a file, its path relative to the root.
    pub fn write(&self, path: impl AsRef<Utf8Path>, text: &str) -> Result<(), ProjectError> {
        write(&self.root, path.as_ref(), text)
    }

    /// Returns every file with its text, sorted by path, without `target` and hidden directories.
    pub fn files(&self) -> Result<BTreeMap<Utf8PathBuf, String>, ProjectError> {
        let mut files = BTreeMap::new();
        collect(&self.root, &self.root, &mut files)?;
        Ok(files)
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(dir) = self.dir.take()
        {
            drop(dir.keep());
            #[expect(clippy::print_stderr, reason = "the note for whoever reads the failed test")]
            {
                eprintln!("newcol-testkit: kept the project of this failed test: {}", self.root);
            }
        }
    }
}

impl ProjectBuilder {
    fn new(layout: Layout) -> Self {
        let package = |name: &str, more: &str| {
            format!(
                "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\
                 publish = false\n\n[dependencies]\n{more}"
            )
        };
        let diesel = "diesel = { version = \"2.3\", default-features = false }\n";
        let config = "[print_schema]\nfile = \"src/schema.rs\"\n\n\
                      [migrations_directory]\ndir = \"migrations\"\n";
        let builder = Self { layout, files: BTreeMap::new(), migrations: 0 };
        match layout {
            Layout::OneCrate => builder
                .file("Cargo.toml", package("app", diesel))
                .file("diesel.toml", config)
                .file("src/lib.rs", "pub mod schema;\n"),
            Layout::SchemaCrate => builder
                .file(
                    "Cargo.toml",
                    "[workspace]\nresolver = \"3\"\nmembers = [\"app\", \"schema\"]\n",
                )
                .file("schema/Cargo.toml", package("schema", diesel))
                .file("schema/diesel.toml", config)
                .file("schema/src/lib.rs", "pub mod schema;\n")
                .file(
                    "app/Cargo.toml",
                    package("app", &format!("{diesel}schema = {{ path = \"../schema\" }}\n")),
                )
                .file("app/src/lib.rs", "pub use schema::schema;\n"),
        }
        .schema("// @generated automatically by Diesel CLI.\n")
    }

    /// Sets a file, its path relative to the root; replaces what was there.
    #[must_use]
    pub fn file(mut self, path: impl Into<Utf8PathBuf>, text: impl Into<String>) -> Self {
        self.files.insert(path.into(), text.into());
        self
    }

    /// Sets files from a map.
    #[must_use]
    pub fn files<P: Into<Utf8PathBuf>, T: Into<String>>(
        self,
        files: impl IntoIterator<Item = (P, T)>,
    ) -> Self {
        files.into_iter().fold(self, |builder, (path, text)| builder.file(path, text))
    }

    /// Sets `src/schema.rs` where the layout has it.
    #[must_use]
    pub fn schema(self, text: impl Into<String>) -> Self {
        let path = self.in_schema_dir("src/schema.rs");
        self.file(path, text)
    }

    /// Sets `src/lib.rs` of the crate that uses the schema.
    #[must_use]
    pub fn lib(self, text: impl Into<String>) -> Self {
        let path = match self.layout {
            Layout::OneCrate => "src/lib.rs",
            Layout::SchemaCrate => "app/src/lib.rs",
        };
        self.file(path, text)
    }

    /// Adds a migration after those added before, named `<version>_<name>`.
    #[must_use]
    pub fn migration(mut self, name: &str, up: impl Into<String>, down: impl Into<String>) -> Self {
        self.migrations += 1;
        let dir = format!("migrations/2026-01-{:02}-000000-0000_{name}", self.migrations);
        let up_path = self.in_schema_dir(&format!("{dir}/up.sql"));
        let down_path = self.in_schema_dir(&format!("{dir}/down.sql"));
        self.file(up_path, up).file(down_path, down)
    }

    /// Writes all files into a new temporary directory.
    pub fn build(self) -> Result<Project, ProjectError> {
        let dir =
            tempfile::Builder::new().prefix("newcol-project-").tempdir().map_err(|source| {
                ProjectError { path: Utf8PathBuf::from("temporary directory"), source }
            })?;
        let root = Utf8PathBuf::from_path_buf(dir.path().to_owned())
            .and_then(|path| path.canonicalize_utf8().map_err(|_| dir.path().to_owned()))
            .unwrap_or_else(|path| Utf8PathBuf::from(path.to_string_lossy().into_owned()));
        for (path, text) in &self.files {
            write(&root, path, text)?;
        }
        // Diesel looks for the directory even when there is no migration.
        let migrations = root.join(self.in_schema_dir("migrations"));
        fs::create_dir_all(&migrations)
            .map_err(|source| ProjectError { path: migrations.clone(), source })?;
        Ok(Project { dir: Some(dir), root, layout: self.layout })
    }

    fn in_schema_dir(&self, path: &str) -> Utf8PathBuf {
        match self.layout {
            Layout::OneCrate => Utf8PathBuf::from(path),
            Layout::SchemaCrate => Utf8Path::new("schema").join(path),
        }
    }
}

fn write(root: &Utf8Path, path: &Utf8Path, text: &str) -> Result<(), ProjectError> {
    let path = root.join(path);
    path.parent()
        .map_or(Ok(()), fs::create_dir_all)
        .and_then(|()| fs::write(&path, text))
        .map_err(|source| ProjectError { path, source })
}

fn collect(
    root: &Utf8Path,
    dir: &Utf8Path,
    files: &mut BTreeMap<Utf8PathBuf, String>,
) -> Result<(), ProjectError> {
    let fails = |path: &Utf8Path| {
        let path = path.to_owned();
        move |source| ProjectError { path, source }
    };
    for entry in dir.read_dir_utf8().map_err(fails(dir))? {
        let entry = entry.map_err(fails(dir))?;
        let path = entry.path();
        let is_dir = entry.file_type().map_err(fails(path))?.is_dir();
        if is_dir && entry.file_name() != "target" && !entry.file_name().starts_with('.') {
            collect(root, path, files)?;
        } else if !is_dir {
            let bytes = fs::read(path).map_err(fails(path))?;
            let name = path.strip_prefix(root).unwrap_or(path).to_owned();
            files.insert(name, String::from_utf8_lossy(&bytes).into_owned());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layout_has_its_schema_and_migrations_in_one_place() {
        for layout in [Layout::OneCrate, Layout::SchemaCrate] {
            let project = Project::with_layout(layout)
                .migration("users", "CREATE TABLE users (id INTEGER);", "DROP TABLE users;")
                .lib("pub mod other;\n")
                .build()
                .unwrap();
            let dir = project.schema_dir();
            for path in
                ["diesel.toml", "src/schema.rs", "migrations/2026-01-01-000000-0000_users/up.sql"]
            {
                assert!(dir.join(path).is_file(), "{layout:?} {path}");
            }
            let root = project.root().to_owned();
            assert!(project.files().unwrap().values().any(|text| text == "pub mod other;\n"));
            drop(project);
            assert!(!root.exists());
        }
    }
}
