//! One function per rule, over all files.

mod changes;
mod columns;
mod early;
mod globs;
mod inserts;
mod mends;
mod rows;
mod strings;

use std::ops::Range;

use super::{
    Project, SourceFacts,
    facts::{Field, PathAt, ScopeId, Struct, Value},
    names::{Meaning, Names},
    query::Query,
};
use crate::audit::finding::Finding;

type Rule = fn(&Project<'_>, &mut Vec<Finding>);

pub(super) const ALL: &[Rule] = &[
    rows::positional_queryable,
    rows::whole_row_type,
    inserts::without_required,
    inserts::none_is_default,
    inserts::replace_into,
    inserts::bind_limit,
    changes::none,
    changes::stale_copy,
    globs::shadowing,
    globs::ambiguous,
    columns::option_after_constrain,
    early::plain_while_nullable,
    early::used_before_expand,
    columns::replaced_in_use,
    columns::unknown_label,
    columns::stored_shape,
    strings::sql,
];

/// A place where code uses a column.
enum Use<'a> {
    Field(&'a Struct, &'a Field),
    Path(&'a PathAt),
}

impl Use<'_> {
    fn range(&self) -> Range<usize> {
        match self {
            Self::Field(_, field) => field.range.clone(),
            Self::Path(path) => path.range.clone(),
        }
    }
}

impl<'a> Project<'a> {
    /// Calls `look` with every query that touches the table.
    fn each_query(&self, mut look: impl FnMut(&'a SourceFacts<'a>, Names<'a>, &Query<'a>)) {
        for file in self.files {
            let names = self.names(file);
            for chain in &file.facts.chains {
                chain.walk(&mut |chain| {
                    if let Some(query) = Query::of(chain, file, self) {
                        look(file, names, &query);
                    }
                });
            }
        }
    }

    /// Returns the structs that are of the table and derive something.
    fn structs_deriving<'p>(
        &'p self,
        derive: &'p str,
    ) -> impl Iterator<Item = (&'a SourceFacts<'a>, &'a Struct)> + 'p {
        let all =
            self.files.iter().flat_map(|file| file.facts.structs.iter().map(move |s| (file, s)));
        all.filter(move |(file, item)| item.derives(derive) && self.names(file).is_of_table(item))
    }

    /// Calls `say` with every field of a struct of the table that maps a column, and every path that
    /// names it.
    fn each_use(&self, column: &str, mut say: impl FnMut(&'a SourceFacts<'a>, Use<'a>)) {
        for file in self.files {
            let names = self.names(file);
            for item in &file.facts.structs {
                let derives = ["Queryable", "Selectable", "Insertable", "AsChangeset"];
                if !derives.iter().any(|derive| item.derives(derive)) || !names.is_of_table(item) {
                    continue;
                }
                if let Some(field) = item.field(column) {
                    say(file, Use::Field(item, field));
                }
            }
            for chain in &file.facts.chains {
                chain.walk_paths(&mut |path| {
                    if names.means(path) == Some(Meaning::Item(column.to_owned())) {
                        say(file, Use::Path(path));
                    }
                });
            }
        }
    }

    /// Returns the columns that a value sets, by their Rust names; `None` where that is not known.
    fn columns_set(&self, file: &'a SourceFacts<'a>, value: &Value) -> Option<Vec<String>> {
        let names = self.names(file);
        let of_struct = |item: &str| {
            let found = self.structs_named(file, item);
            let (_, item) = found.first()?;
            let plain = !item.fields.iter().any(|field| field.embed || field.column.is_none());
            plain.then(|| item.fields.iter().filter_map(|field| field.column.clone()).collect())
        };
        match value {
            Value::Tuple(values) => {
                let sets: Option<Vec<Vec<String>>> =
                    values.iter().map(|value| self.columns_set(file, value)).collect();
                Some(sets?.concat())
            }
            Value::Chain(chain) => match &chain.root {
                super::facts::Root::Path(path) => match names.means(path)? {
                    Meaning::Item(column) if chain.call("eq").is_some() => Some(vec![column]),
                    _ => None,
                },
                _ => None,
            },
            Value::Struct(path) => of_struct(path.last()?),
            Value::Path(path) => {
                let types = self.types_of(file, path)?;
                types.iter().find_map(|name| of_struct(name))
            }
            Value::Text(_) | Value::Included | Value::Number(_) | Value::Other(_) => None,
        }
    }

    /// Returns the names in the type of a variable, where it is written.
    fn types_of(&self, file: &'a SourceFacts<'a>, path: &PathAt) -> Option<&'a [String]> {
        let [name] = path.segments.as_slice() else { return None };
        let names = self.names(file);
        let fits = |scope: ScopeId| names.lies_in(path.scope, scope);
        let typed = file.facts.typed.iter().rev();
        let found = typed.filter(|typed| typed.name == *name).find(|typed| fits(typed.scope));
        found.map(|typed| typed.types.as_slice())
    }
}
