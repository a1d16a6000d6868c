//! What names in a file stand for, as far as its own imports tell.

use super::facts::{FileFacts, PathAt, ScopeId, ScopeKind, Struct};
use crate::audit::subject::Subject;

/// Aliases that lead to aliases are followed so often.
const HOPS: usize = 4;

/// What a path stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The module that `table!` makes.
    Module,
    /// The table as a value.
    Table,
    /// Something in the module or its `dsl`: a column, `all_columns`, `star`, a type.
    Item(String),
    /// The module `dsl` or `columns`.
    Columns,
}

/// The names of one file.
#[derive(Clone, Copy)]
pub(super) struct Names<'a> {
    pub(super) facts: &'a FileFacts,
    pub(super) subject: &'a Subject,
}

impl<'a> Names<'a> {
    /// Returns the scopes that a name is looked up in: outwards to the module.
    fn around(self, scope: ScopeId) -> impl Iterator<Item = ScopeId> + 'a {
        let scopes = &self.facts.scopes;
        let next = move |at: &ScopeId| match scopes[*at].kind {
            ScopeKind::Module => None,
            ScopeKind::Function | ScopeKind::Block => scopes[*at].parent,
        };
        std::iter::successors(Some(scope), next)
    }

    /// Reports whether `inner` is `outer` or lies in it, in the same module.
    pub(super) fn lies_in(self, inner: ScopeId, outer: ScopeId) -> bool {
        self.around(inner).any(|scope| scope == outer)
    }

    /// Returns the outermost function around a scope.
    pub(super) fn function_of(self, scope: ScopeId) -> Option<ScopeId> {
        self.around(scope).filter(|at| self.facts.scopes[*at].kind == ScopeKind::Function).last()
    }

    pub(super) fn module_of(self, scope: ScopeId) -> ScopeId {
        self.around(scope).last().unwrap_or_default()
    }

    /// Returns the full paths that a path may stand for, and whether an import said so.
    fn full(self, scope: ScopeId, segments: &[String], hops: usize) -> Vec<(Vec<String>, bool)> {
        let Some(first) = segments.first() else { return Vec::new() };
        if hops == 0 || matches!(first.as_str(), "crate" | "self" | "super") {
            return vec![(segments.to_vec(), false)];
        }
        let mut found = Vec::new();
        for at in self.around(scope) {
            let here = self.facts.imports.iter().filter(|import| import.scope == at);
            for import in here.clone() {
                if import.name.as_deref() == Some(first) {
                    let path = [&import.path, &segments[1..]].concat();
                    // An import of its own name leads nowhere else.
                    let again = if import.path.first() == Some(first) { 0 } else { hops - 1 };
                    let full = self.full(at, &path, again);
                    return full.into_iter().map(|(path, _)| (path, true)).collect();
                }
            }
            for import in here.filter(|import| import.name.is_none()) {
                let parent = self.facts.scopes[self.module_of(at)].parent;
                if let (["super"], Some(parent)) = (words(&import.path).as_slice(), parent) {
                    found.extend(self.full(parent, segments, hops - 1));
                } else {
                    let path = [import.path.as_slice(), segments].concat();
                    let again = if import.path.first() == Some(first) { 0 } else { hops - 1 };
                    let full = self.full(at, &path, again).into_iter();
                    found.extend(full.map(|(path, _)| (path, true)));
                }
            }
        }
        found.push((segments.to_vec(), false));
        found
    }

    /// Returns what of the audited table a path stands for.
    pub(super) fn meaning(self, scope: ScopeId, segments: &[String]) -> Option<Meaning> {
        let full = self.full(scope, segments, HOPS);
        full.iter().find_map(|(path, imported)| self.in_schema(path, *imported))
    }

    pub(super) fn means(self, path: &PathAt) -> Option<Meaning> {
        self.meaning(path.scope, &path.segments)
    }

    fn in_schema(self, path: &[String], imported: bool) -> Option<Meaning> {
        let table = &self.subject.table;
        let rust_name = table.rust_name.as_str();
        let at = path.iter().position(|segment| segment == rust_name)?;
        let before: Vec<&str> = words(&path[..at])
            .into_iter()
            .filter(|word| !matches!(*word, "crate" | "self" | "super"))
            .collect();
        let rest = words(&path[at + 1..]);
        let (meaning, sure) = match rest.as_slice() {
            [] => (Meaning::Module, false),
            ["table"] => (Meaning::Table, true),
            ["dsl" | "columns"] => (Meaning::Columns, true),
            ["dsl", name] if *name == rust_name => (Meaning::Table, true),
            ["dsl" | "columns", name] => (Meaning::Item((*name).to_owned()), true),
            [name] => (Meaning::Item((*name).to_owned()), false),
            _ => return None,
        };
        if self.subject.others.iter().any(|other| {
            other.rust_name == rust_name
                && other.module != table.module
                && other.module.last().map(String::as_str) == before.last().copied()
        }) {
            return None;
        }
        let module = table.module.last().map(String::as_str);
        let fits = match before.last() {
            Some(last) => Some(*last) == module || sure,
            None => imported || sure,
        };
        fits.then_some(meaning)
    }

    /// Reports whether a struct says that it is of the table.
    pub(super) fn is_of_table(self, item: &Struct) -> bool {
        match &item.table_name {
            Some(path) => match self.meaning(item.scope, path) {
                Some(Meaning::Module | Meaning::Table) => true,
                Some(_) => false,
                None => {
                    let full = self.full(item.scope, path, HOPS);
                    path.len() == 1
                        && path[0] == self.subject.table.rust_name
                        && full.iter().all(|(_, imported)| !imported)
                }
            },
            None => {
                let needs = ["Insertable", "AsChangeset", "Identifiable", "Selectable", "HasQuery"];
                needs.iter().any(|derive| item.derives(derive))
                    && inferred_table(&item.name) == self.subject.table.rust_name
            }
        }
    }
}

fn words(path: &[String]) -> Vec<&str> {
    path.iter().map(String::as_str).collect()
}

/// Returns the table that Diesel's derives take for a struct that names none.
fn inferred_table(name: &str) -> String {
    let mut table = String::with_capacity(name.len() + 4);
    for (at, letter) in name.char_indices() {
        if letter.is_uppercase() && at > 0 {
            table.push('_');
        }
        table.extend(letter.to_lowercase());
    }
    table.push('s');
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_named_as_diesel_does() {
        assert_eq!(inferred_table("User"), "users");
        assert_eq!(inferred_table("UserAgent"), "user_agents");
    }
}
