//! Which directories a workspace is made of, asked of Cargo.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Command,
};

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};
use serde::Deserialize;
use toml_edit::{Document, Item};

use super::super::error::ProbeError;

/// The directories of a workspace, and where they lie to each other.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct Layout {
    /// The workspace's own directory.
    pub(in super::super) root: Utf8PathBuf,
    /// The names of the members by their manifests.
    pub(in super::super) members: BTreeMap<Utf8PathBuf, String>,
    /// The directory that holds all others.
    pub(super) base: Utf8PathBuf,
    /// Those that are copied; none lies within another.
    pub(super) copied: Vec<Utf8PathBuf>,
    /// Those outside of the workspace that are only read; none lies within another.
    pub(super) linked: Vec<Utf8PathBuf>,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    workspace_root: Utf8PathBuf,
    packages: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    manifest_path: Utf8PathBuf,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    path: Option<Utf8PathBuf>,
}

impl Layout {
    /// Asks Cargo for the workspace around `root`; writes nothing, not even Cargo.lock.
    pub(in super::super) fn read(cargo: &Utf8Path, root: &Utf8Path) -> Result<Self, ProbeError> {
        let workspace = metadata(cargo, root, root)?;
        let root = workspace.workspace_root.clone();
        let members = workspace.packages.iter().map(|p| (p.manifest_path.clone(), p.name.clone()));
        let members: BTreeMap<Utf8PathBuf, String> = members.collect();
        let mut copied: BTreeSet<Utf8PathBuf> = dirs(&workspace).collect();
        copied.insert(root.clone());
        let mut linked = BTreeSet::new();
        let mut wanted: Vec<Utf8PathBuf> = paths(&workspace).chain(patches(&root)).collect();
        while let Some(dir) = wanted.pop() {
            let is_known = |known: &BTreeSet<Utf8PathBuf>| known.iter().any(|k| dir.starts_with(k));
            if is_known(&copied) || is_known(&linked) {
                continue;
            }
            let other = metadata(cargo, &root, &dir)?;
            wanted.extend(paths(&other).chain(patches(&other.workspace_root)));
            // A package around the workspace: a link to it would hide the copy.
            let around = root.starts_with(&other.workspace_root);
            if around { &mut copied } else { &mut linked }.insert(other.workspace_root);
        }
        let copied = outermost(copied);
        linked.retain(|dir| !copied.iter().any(|copied| dir.starts_with(copied)));
        let linked = outermost(linked);
        let base = copied.iter().chain(&linked).fold(root.clone(), |base, dir| {
            base.ancestors().find(|base| dir.starts_with(base)).map_or(base.clone(), Into::into)
        });
        Ok(Self { root, members, base, copied, linked })
    }
}

/// Asks for a package and its workspace, as they are written: nothing is resolved.
fn metadata(cargo: &Utf8Path, cwd: &Utf8Path, dir: &Utf8Path) -> Result<Metadata, ProbeError> {
    let mut command = Command::new(cargo);
    command.args(["metadata", "--no-deps", "--format-version", "1", "--color", "never"]);
    command.arg("--manifest-path").arg(dir.join("Cargo.toml")).current_dir(cwd);
    let output = command
        .output()
        .map_err(|source| ProbeError::Start { program: cargo.to_owned(), source })?;
    serde_json::from_slice(&output.stdout).map_err(|_| {
        let told = String::from_utf8_lossy(&output.stderr);
        ProbeError::Cargo { told: told.trim().trim_start_matches("error: ").to_owned() }
    })
}

fn dirs(workspace: &Metadata) -> impl Iterator<Item = Utf8PathBuf> + '_ {
    workspace.packages.iter().filter_map(|p| p.manifest_path.parent()).map(Into::into)
}

fn paths(workspace: &Metadata) -> impl Iterator<Item = Utf8PathBuf> + '_ {
    let dependencies = workspace.packages.iter().flat_map(|package| &package.dependencies);
    dependencies.filter_map(|dependency| dependency.path.as_deref()).map(normal)
}

/// Returns the directories that `[patch]` puts in the place of crates; Cargo does not list them.
fn patches(root: &Utf8Path) -> Vec<Utf8PathBuf> {
    let text = fs::read_to_string(root.join("Cargo.toml")).unwrap_or_default();
    let Ok(manifest) = Document::parse(text) else { return Vec::new() };
    let patch = manifest.get("patch").and_then(Item::as_table_like);
    let registries = patch.into_iter().flat_map(|patch| patch.iter());
    let crates = registries.filter_map(|(_, crates)| crates.as_table_like());
    let crates = crates.flat_map(|crates| crates.iter());
    let paths = crates.filter_map(|(_, krate)| krate.get("path").and_then(Item::as_str));
    paths.map(|path| normal(&root.join(path))).collect()
}

/// Takes `.` and `..` out of a path, as Cargo does: by its text.
pub(in super::super) fn normal(path: &Utf8Path) -> Utf8PathBuf {
    path.components().fold(Utf8PathBuf::new(), |mut normal, component| {
        match component {
            Utf8Component::CurDir => {}
            Utf8Component::ParentDir => {
                normal.pop();
            }
            other => normal.push(other),
        }
        normal
    })
}

fn outermost(dirs: BTreeSet<Utf8PathBuf>) -> Vec<Utf8PathBuf> {
    // A directory sorts before what lies in it.
    dirs.into_iter().fold(Vec::new(), |mut kept: Vec<Utf8PathBuf>, dir| {
        if !kept.iter().any(|outer| dir.starts_with(outer)) {
            kept.push(dir);
        }
        kept
    })
}
