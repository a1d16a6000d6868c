//! Which structs a name may stand for: packages of one workspace often use the same names.

use camino::Utf8Path;

use super::{Project, SourceFacts, facts::Struct};

/// Directories of a package that hold code, as Cargo knows them.
const OF_CODE: &[&str] = &["src", "tests", "examples", "benches"];

/// A struct, and its file.
pub(super) type Found<'a> = (&'a SourceFacts<'a>, &'a Struct);

impl<'a> Project<'a> {
    /// Finds the structs that a name in a file may stand for: its own, else those of the packages that
    /// its imports name, else all of that name.
    pub(super) fn structs_named(&self, file: &'a SourceFacts<'a>, name: &str) -> Vec<Found<'a>> {
        let own = file.facts.structs.iter().filter(|item| item.name == name);
        let own: Vec<_> = own.map(|item| (file, item)).collect();
        if !own.is_empty() {
            return own;
        }
        let all = self.structs.get(name).map(Vec::as_slice).unwrap_or_default();
        let roots = roots(file, name);
        let near = |(home, _): &&Found<'a>| roots.iter().any(|root| leads_to(file, root, home));
        let found: Vec<_> = all.iter().filter(near).copied().collect();
        if found.is_empty() { all.to_vec() } else { found }
    }
}

/// Returns the first words of the imports that may bring a name: of that which names it, else of all
/// by glob, and what needs no import.
fn roots<'a>(file: &'a SourceFacts<'_>, name: &str) -> Vec<&'a str> {
    let imports = &file.facts.imports;
    let named = imports.iter().find(|import| import.name.as_deref() == Some(name));
    if let Some(import) = named {
        return import.path.first().map(String::as_str).into_iter().collect();
    }
    let globs = imports.iter().filter(|import| import.name.is_none());
    globs.filter_map(|glob| glob.path.first()).map(String::as_str).chain(["crate"]).collect()
}

/// Reports whether a path that begins with this word may lead from one file to the other.
fn leads_to(from: &SourceFacts<'_>, root: &str, to: &SourceFacts<'_>) -> bool {
    let (Some(here), Some(there)) = (from.package, to.package) else { return false };
    match root {
        "crate" | "self" | "super" => here == there,
        root => there.file_name().is_some_and(|dir| {
            dir.len() == root.len()
                && dir.bytes().zip(root.bytes()).all(|(a, b)| a == b || (a, b) == (b'-', b'_'))
        }),
    }
}

/// Returns the directory of a file's package, where it is laid out as most are.
pub(super) fn package(path: &Utf8Path) -> Option<&Utf8Path> {
    let is_code = |dir: &Utf8Path| dir.file_name().is_some_and(|name| OF_CODE.contains(&name));
    path.ancestors().filter(|dir| is_code(dir)).last()?.parent()
}
