//! The test of a column: which package it belongs to, and what there is to know for its text.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use camino::{Utf8Path, Utf8PathBuf};
use cargo_metadata::{DependencyKind, Edition, Package, TargetKind, semver::Version};
use newcol_core::{
    contract::Contract,
    render::{
        patch::FilePatch,
        release::{Target, shared_type},
    },
    scaffold::{
        self, EngineMigrations, Scaffold, SchemaAccess, SchemaTable, Subject,
        manifest::{DevDependency, with_dev_dependency, without_dev_dependency},
        test_name,
    },
};

use super::{EngineDir, Project, SchemaFile};
use crate::error::CliError;

/// The library that scaffolded tests use, which has our own version.
const TESTKIT: DevDependency<'static> =
    DevDependency { name: "newcol-testkit", version: env!("CARGO_PKG_VERSION"), features: &[] };

/// The oldest compiler that the library builds with.
const OLDEST_RUST: &str = env!("CARGO_PKG_RUST_VERSION");

/// What `add` tells of the test.
#[derive(Debug, Default)]
pub(crate) struct TestNotes {
    /// Why there is none, or it may not work.
    pub(crate) warning: Option<String>,
    /// Why it is no better than it is.
    pub(crate) detail: Option<String>,
    /// What the user does with it.
    pub(crate) next: Option<String>,
}

impl TestNotes {
    fn without(why: impl std::fmt::Display) -> Self {
        Self { warning: Some(format!("no test was scaffolded: {why}")), ..Self::default() }
    }
}

/// A column of which there may be a test.
#[derive(Clone, Copy)]
pub(crate) struct Tested<'a> {
    pub(crate) contract: &'a Contract,
    pub(crate) targets: &'a [Target],
    /// As they are without the column.
    pub(crate) schemas: &'a [SchemaFile],
}

impl Project {
    /// Adds the test of a column to the files of a command, with the dependency that it needs.
    ///
    /// What hinders that is told in the notes: a column can do without a test.
    pub(crate) fn push_test(
        &self,
        patch: &mut FilePatch,
        tested: Tested<'_>,
    ) -> Result<TestNotes, CliError> {
        let Some(package) = self.package_of(tested.schemas) else {
            return Ok(TestNotes::without("schema.rs is in no package of the workspace"));
        };
        if let Some(why) = self.too_old(package) {
            return Ok(TestNotes::without(why));
        }
        let path = self.test_path(package, tested.contract);
        if self.root.join(&path).exists() {
            let warning = Some(format!("{path} is there already, and stays as it is"));
            return Ok(TestNotes { warning, ..TestNotes::default() });
        }
        let scaffold = match self.scaffold(package, tested) {
            Ok(scaffold) => scaffold,
            Err(error) => return Ok(TestNotes::without(error)),
        };
        let manifest = self.relative(Utf8Path::new(package.manifest_path.as_str()));
        let Some(text) = self.read(&manifest)? else {
            return Ok(TestNotes::without(format_args!("{manifest} cannot be read")));
        };
        let root = self.read(Utf8Path::new("Cargo.toml"))?;
        let wanted = DevDependency { features: &scaffold.features, ..TESTKIT };
        let changed = match with_dev_dependency(&text, root.as_deref(), &wanted) {
            Ok(changed) => changed,
            Err(error) => return Ok(TestNotes::without(format_args!("{manifest}: {error}"))),
        };
        let warning = (changed == text).then(|| missing(package, &scaffold)).flatten();
        patch.push(&manifest, Some(text), Some(changed));
        patch.push(&path, None, Some(scaffold.text));
        Ok(TestNotes {
            warning,
            detail: scaffold.made_up.map(|why| format!("the test makes up its code: {why}")),
            next: Some(format!(
                "test old and new code at every stage: `cargo test -p {} --test {}`",
                package.name,
                test_name(tested.contract)
            )),
        })
    }

    /// Takes the test of a column away, with what it recorded, if it is as it was scaffolded.
    /// Returns a warning if it is not.
    pub(crate) fn push_test_removal(
        &self,
        patch: &mut FilePatch,
        tested: Tested<'_>,
    ) -> Result<Option<String>, CliError> {
        let Some(package) = self.package_of(tested.schemas) else { return Ok(None) };
        let path = self.test_path(package, tested.contract);
        let Some(text) = self.read(&path)? else { return Ok(None) };
        let same = self.scaffold(package, tested).is_ok_and(|scaffold| scaffold.text == text);
        if !same {
            return Ok(Some(format!("{path} has been changed since it was scaffolded: kept")));
        }
        for engine in &self.engines {
            let recorded = path.with_extension(format!("{}.txt", engine.backend.name()));
            let text = self.read(&recorded)?;
            patch.push(&recorded, text, None);
        }
        patch.push(&path, Some(text), None);
        Ok(None)
    }

    /// Returns the test of a column and what it recorded, as far as they are there.
    pub(crate) fn test_files(
        &self,
        contract: &Contract,
        schemas: &[SchemaFile],
    ) -> Vec<Utf8PathBuf> {
        let Some(package) = self.package_of(schemas) else { return Vec::new() };
        let path = self.test_path(package, contract);
        let recorded =
            |engine: &EngineDir| path.with_extension(format!("{}.txt", engine.backend.name()));
        let recorded: Vec<_> = self.engines.iter().map(recorded).collect();
        let files = std::iter::once(path).chain(recorded);
        files.filter(|path| self.root.join(path).exists()).collect()
    }

    /// Takes the test of a column away, with what it recorded, and the library that no other test of
    /// the package uses.
    pub(crate) fn push_test_end(
        &self,
        patch: &mut FilePatch,
        contract: &Contract,
        schemas: &[SchemaFile],
    ) -> Result<(), CliError> {
        let files = self.test_files(contract, schemas);
        for file in &files {
            patch.push(file, self.read(file)?, None);
        }
        let Some(package) = self.package_of(schemas).filter(|_| !files.is_empty()) else {
            return Ok(());
        };
        let dir = super::project::dir_of(package);
        if uses_testkit(&dir, &files.iter().map(|file| self.root.join(file)).collect::<Vec<_>>()) {
            return Ok(());
        }
        let manifest = self.relative(Utf8Path::new(package.manifest_path.as_str()));
        if let Some(text) = self.read(&manifest)? {
            let after = without_dev_dependency(&text, TESTKIT.name);
            patch.push(&manifest, Some(text), Some(after));
        }
        Ok(())
    }

    /// Lets the test of a column read its contract where it goes to.
    pub(crate) fn push_test_move(
        &self,
        patch: &mut FilePatch,
        contract: &Contract,
        schemas: &[SchemaFile],
        done: &Utf8Path,
    ) -> Result<(), CliError> {
        let Some(package) = self.package_of(schemas) else { return Ok(()) };
        let path = self.test_path(package, contract);
        let Some(text) = self.read(&path)? else { return Ok(()) };
        let dir = super::project::dir_of(package);
        let place = |file: &Utf8Path| between(&dir, &self.root.join(file)).to_string();
        let after = text.replace(&place(&self.contract_path(contract.path())), &place(done));
        patch.push(&path, Some(text), Some(after));
        Ok(())
    }

    fn scaffold(
        &self,
        package: &Package,
        tested: Tested<'_>,
    ) -> Result<Scaffold, scaffold::ScaffoldError> {
        let dir = super::project::dir_of(package);
        let engines = self.engines.iter().map(|engine| EngineMigrations {
            backend: engine.backend,
            dir: between(&dir, &self.root.join(&engine.dir)),
            history: self.history(&engine.dir, tested.contract),
        });
        scaffold::scaffold(&Subject {
            contract: tested.contract,
            contract_file: between(
                &dir,
                &self.root.join(self.contract_path(tested.contract.path())),
            ),
            engines: engines.collect(),
            table: self.schema_table(package, tested),
            package: scaffold::Package { dependencies: dependencies(package) },
        })
    }

    /// Reads the migrations that come before the column.
    fn history(&self, dir: &Utf8Path, contract: &Contract) -> Vec<String> {
        let ours = |opening: &str| {
            let owner = newcol_core::render::migrations::owner(opening);
            owner.is_some_and(|(path, _)| path == *contract.path())
        };
        let folders = self.migrations().iter().filter(|(of, _)| of == dir);
        let before = folders.take_while(|(_, folder)| !ours(&folder.opening));
        before
            .filter_map(|(dir, folder)| {
                fs::read_to_string(self.root.join(dir).join(&folder.name).join("up.sql")).ok()
            })
            .collect()
    }

    fn schema_table<'a>(&self, package: &Package, tested: Tested<'a>) -> Option<SchemaTable<'a>> {
        let [schema] = tested.schemas else { return None };
        let table = schema.parsed.table(&schema.text, tested.contract.table()).ok()?;
        let joins = schema.parsed.joinables.iter().filter(|join| join.child == table.rust_name);
        let mut bound: BTreeSet<String> = joins.map(|join| join.column.clone()).collect();
        for facts in tested.targets.iter().flat_map(|t| &t.plan.facts.columns) {
            if facts.generated
                && let Some(column) = table.column(&facts.name)
            {
                bound.insert(column.rust_name.clone());
            }
        }
        Some(SchemaTable {
            text: &schema.text,
            table,
            bound,
            column: shared_type(tested.targets, &schema.config).ok()?,
            access: access(package, &self.root.join(&schema.path)),
        })
    }

    /// The package whose directory holds schema.rs, the innermost of them.
    fn package_of(&self, schemas: &[SchemaFile]) -> Option<&Package> {
        let path = self.root.join(&schemas.first()?.path);
        let around = self.packages.iter().filter(|p| path.starts_with(super::project::dir_of(p)));
        around.max_by_key(|package| super::project::dir_of(package).as_str().len())
    }

    fn test_path(&self, package: &Package, contract: &Contract) -> Utf8PathBuf {
        let file = format!("{}.rs", test_name(contract));
        self.relative(&super::project::dir_of(package).join("tests").join(file))
    }

    /// Says what keeps the package from using our library.
    fn too_old(&self, package: &Package) -> Option<String> {
        if package.edition == Edition::E2015 {
            return Some("the package is of edition 2015".to_owned());
        }
        let oldest = version(OLDEST_RUST)?;
        let older = |rust: &Version| *rust < oldest;
        if let Some(rust) = package.rust_version.clone().filter(older) {
            return Some(format!(
                "the package promises to build with Rust {rust}, the test kit needs {OLDEST_RUST}"
            ));
        }
        if let Some(rust) = self.pinned_rust().filter(older) {
            return Some(format!(
                "the project is built with Rust {rust}, the test kit needs {OLDEST_RUST}"
            ));
        }
        let diesel = package.dependencies.iter().find(|d| d.name == "diesel")?;
        let takes =
            |minor| (0..100).any(|patch| diesel.req.matches(&Version::new(2, minor, patch)));
        let usable = (2..10).any(takes);
        (!usable)
            .then(|| format!("the package uses diesel {}, the test kit 2.2 or later", diesel.req))
    }

    /// Returns the version of Rust that a `rust-toolchain` file names, if it names one.
    fn pinned_rust(&self) -> Option<Version> {
        let file = ["rust-toolchain.toml", "rust-toolchain"]
            .into_iter()
            .find_map(|name| fs::read_to_string(self.root.join(name)).ok())?;
        let line = file.lines().find(|line| line.trim_start().starts_with("channel"));
        let value =
            line.map_or(file.trim(), |line| line.split('=').next_back().unwrap_or_default());
        let value = value.trim().trim_matches(['"', '\'']);
        version(value)
    }
}

/// Reports whether any other source of a package names our library.
fn uses_testkit(dir: &Utf8Path, gone: &[Utf8PathBuf]) -> bool {
    let sources = ignore::WalkBuilder::new(dir).require_git(false).build().filter_map(Result::ok);
    let mut sources =
        sources.filter_map(|entry| Utf8PathBuf::from_path_buf(entry.into_path()).ok());
    sources.any(|path| {
        path.extension() == Some("rs")
            && !gone.contains(&path)
            && fs::read_to_string(&path).is_ok_and(|text| text.contains("newcol_testkit"))
    })
}

/// Reads a version of Rust, whose last number may be left out.
fn version(text: &str) -> Option<Version> {
    text.parse().or_else(|_| format!("{text}.0").parse()).ok()
}

/// Says which features a dependency that was there before lacks.
fn missing(package: &Package, scaffold: &Scaffold) -> Option<String> {
    let dependency = package.dependencies.iter().find(|d| d.name == TESTKIT.name)?;
    let lacks: Vec<String> = scaffold
        .features
        .iter()
        .filter(|feature| !dependency.features.iter().any(|has| has == *feature))
        .map(|feature| format!("`{feature}`"))
        .collect();
    (!lacks.is_empty()).then(|| {
        let name = TESTKIT.name;
        format!(
            "the test needs {} of {name}, which {} does not ask for",
            lacks.join(" and "),
            package.name
        )
    })
}

/// Crates that tests of a package can name, with the features it asks of them itself.
fn dependencies(package: &Package) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for dependency in &package.dependencies {
        let usable =
            matches!(dependency.kind, DependencyKind::Normal | DependencyKind::Development)
                && dependency.rename.is_none()
                && dependency.target.is_none()
                && !dependency.optional;
        if usable {
            let features = found.entry(dependency.name.clone()).or_default();
            features.extend(dependency.features.iter().cloned());
        }
    }
    // Features that are on unless somebody turns them off.
    let mut wanted = vec!["default".to_owned()];
    let mut seen = BTreeSet::new();
    while let Some(feature) = wanted.pop() {
        for value in package.features.get(&feature).into_iter().flatten() {
            if let Some((name, of)) = value.split_once('/') {
                if let Some(features) = found.get_mut(name) {
                    features.insert(of.to_owned());
                }
            } else if seen.insert(value.clone()) {
                wanted.push(value.clone());
            }
        }
    }
    found
}

/// Finds out whether the library of a package has schema.rs as a public module.
fn access(package: &Package, schema: &Utf8Path) -> SchemaAccess {
    let library = package.targets.iter().find(|target| target.kind.contains(&TargetKind::Lib));
    let public = library.and_then(|library| {
        let root = Utf8Path::new(library.src_path.as_str());
        let is_beside = root.parent() == schema.parent() && schema.file_name() == Some("schema.rs");
        let text = fs::read_to_string(root).ok().filter(|_| is_beside)?;
        let declares = scaffold::declares_public(&text, "schema");
        declares
            .then(|| SchemaAccess::Import(format!("{}::schema", library.name.replace('-', "_"))))
    });
    let tests = super::project::dir_of(package).join("tests");
    public.unwrap_or_else(|| SchemaAccess::File(between(&tests, schema)))
}

/// Returns the way from a directory to a file, with the slashes of source code.
fn between(from: &Utf8Path, to: &Utf8Path) -> Utf8PathBuf {
    let common = from.components().zip(to.components()).take_while(|(a, b)| a == b).count();
    let up = from.components().skip(common).map(|_| "..");
    let down = to.components().skip(common).map(|part| part.as_str());
    Utf8PathBuf::from(up.chain(down).collect::<Vec<_>>().join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_from_one_place_to_another() {
        for (from, to, way) in [
            ("/a/b", "/a/b/newcol/x.toml", "newcol/x.toml"),
            ("/a/b/tests", "/a/b/src/schema.rs", "../src/schema.rs"),
            ("/a/crates/db", "/a/migrations", "../../migrations"),
        ] {
            assert_eq!(between(from.into(), to.into()), way);
        }
    }
}
