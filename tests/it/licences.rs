//! What the tool links, and the testkit with all it can, checked against `deny.toml` without a
//! network: every licence is allowed, no C client library comes along, and nothing asks for a newer
//! Rust than we do. What else libraries link
//! is for their users to choose.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8Path;
use cargo_metadata::{CargoOpt, DependencyKind, Metadata, MetadataCommand, PackageId};

fn root() -> &'static Utf8Path {
    Utf8Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The crates that end up in `cargo-newcol`, or in tests by `newcol-testkit`, with all features.
fn linked(metadata: &Metadata) -> BTreeSet<PackageId> {
    let resolve = metadata.resolve.as_ref().unwrap();
    let nodes: BTreeMap<_, _> = resolve.nodes.iter().map(|node| (&node.id, node)).collect();
    let ours = ["cargo-newcol", "newcol-testkit"];
    let ours = metadata.packages.iter().filter(|p| ours.contains(&p.name.as_str()));
    let mut seen = BTreeSet::new();
    let mut todo: Vec<PackageId> = ours.map(|p| p.id.clone()).collect();
    while let Some(id) = todo.pop() {
        let node = nodes[&id];
        if seen.insert(id) {
            let normal = |kind: &DependencyKind| *kind == DependencyKind::Normal;
            let deps = node.deps.iter().filter(|d| d.dep_kinds.iter().any(|k| normal(&k.kind)));
            todo.extend(deps.map(|d| d.pkg.clone()));
        }
    }
    seen
}

#[test]
fn every_linked_crate_is_allowed() {
    let mut metadata = MetadataCommand::new();
    let metadata = metadata.current_dir(root()).features(CargoOpt::AllFeatures).exec().unwrap();
    let deny: toml_edit::DocumentMut =
        std::fs::read_to_string(root().join("deny.toml")).unwrap().parse().unwrap();
    let texts = |item: &toml_edit::Item, key: Option<&str>| -> BTreeSet<String> {
        let items = item.as_array().unwrap().iter();
        items
            .map(|value| match key {
                None => value.as_str().unwrap().to_owned(),
                Some(key) => value.as_inline_table().unwrap()[key].as_str().unwrap().to_owned(),
            })
            .collect()
    };
    let allowed = texts(&deny["licenses"]["allow"], None);
    let banned = texts(&deny["bans"]["deny"], Some("crate"));
    let linked = linked(&metadata);
    assert!(linked.len() > 200, "the dependency graph was not read");
    let ours = metadata.packages.iter().find(|p| p.name == "cargo-newcol").unwrap();
    let mut wrong = Vec::new();
    for package in metadata.packages.iter().filter(|p| linked.contains(&p.id)) {
        if package.rust_version > ours.rust_version {
            wrong.push(format!("{} wants Rust {:?}", package.name, package.rust_version));
        }
        if banned.contains(package.name.as_str()) {
            wrong.push(format!("{} is banned", package.name));
        }
        let licence = package.license.clone().unwrap_or_default().replace('/', " OR ");
        // `A AND (B OR C)`: every part needs an alternative that is allowed.
        let fine = licence.split(" AND ").all(|part| {
            let part = part.trim_matches(['(', ')', ' ']);
            part.split(" OR ").any(|one| allowed.contains(one.trim_matches(['(', ')', ' '])))
        });
        if !fine {
            wrong.push(format!("{}: {licence}", package.name));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Two versions of a crate with `links` do not resolve, and a default feature cannot be turned off
/// by a crate between.
#[test]
fn the_libraries_leave_native_libraries_and_engines_to_their_users() {
    let metadata = MetadataCommand::new().current_dir(root()).exec().unwrap();
    let resolve = metadata.resolve.as_ref().unwrap();
    for name in ["newcol-core", "newcol-testkit"] {
        let library = metadata.packages.iter().find(|p| p.name.as_str() == name).unwrap();
        assert!(library.features["default"].is_empty(), "{name}");
        let node = resolve.nodes.iter().find(|node| node.id == library.id).unwrap();
        let normal = node
            .deps
            .iter()
            .filter(|d| d.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal));
        for dependency in normal {
            let package = &metadata[&dependency.pkg];
            assert_eq!(package.links, None, "{name} depends on {}", package.name);
        }
    }
}
