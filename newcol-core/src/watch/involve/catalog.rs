//! What the server's catalog says of names.

use std::collections::{BTreeMap, BTreeSet};

use crate::{backend::Backend, contract::fragment::dialect, ident::ColumnPath};
use sqlparser::tokenizer::{Token, Tokenizer};

/// The table, and all that may be taken for it or leads to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalog {
    /// In whose words statements are written.
    pub backend: Backend,
    /// Whether statements are numbered by their trees, so that a number of old proves something.
    pub proves: bool,
    /// The column's name.
    pub column: String,
    /// Columns of the table in order, with the column at its place; at the end where it is to come.
    pub columns: Vec<String>,
    /// Relations of interest by name, each with the schemas that have one.
    pub relations: BTreeMap<String, Vec<(String, Named)>>,
    /// Functions outside of the system whose text names the table, by name.
    pub functions: BTreeSet<String>,
    /// Tables of which a trigger calls such a function.
    pub triggered: BTreeSet<String>,
    /// The orders in which the roles of the database look through schemas, where nothing else is said.
    pub search_paths: Vec<Vec<String>>,
    /// Policies of row-level security that read the column: they do so in every query.
    pub policies: Vec<String>,
}

impl Default for Catalog {
    fn default() -> Self {
        Self::of(Backend::Postgres)
    }
}

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// The table.
    Table,
    /// One of its partitions or heirs.
    Part,
    /// A view that reads the table.
    View(View),
    /// Another relation, and whether it has a column of the column's name.
    Other {
        /// Whether it has.
        has_column: bool,
    },
}

/// A view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Its query, as the server prints it; `None` where it could not be asked.
    pub query: Option<String>,
}

/// What a written name may mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning<'a> {
    One(&'a Named),
    /// Nothing of interest.
    Nothing,
    /// The sessions' search paths decide.
    Several,
}

impl Catalog {
    /// Makes an empty one.
    pub fn of(backend: Backend) -> Self {
        Self {
            backend,
            proves: backend == Backend::Postgres,
            column: String::new(),
            columns: Vec::new(),
            relations: BTreeMap::new(),
            functions: BTreeSet::new(),
            triggered: BTreeSet::new(),
            search_paths: Vec::new(),
            policies: Vec::new(),
        }
    }

    /// Makes one of a table that has no views, partitions or namesakes.
    pub fn plain(path: &ColumnPath, columns: &[&str]) -> Self {
        let schema = path.table.schema.as_ref().map_or("public", |schema| schema.as_str());
        let mut catalog = Self {
            column: path.column.as_str().to_owned(),
            columns: columns.iter().map(|column| (*column).to_owned()).collect(),
            search_paths: vec![vec!["public".to_owned()]],
            ..Self::default()
        };
        catalog.add(schema, path.table.name.as_str(), Named::Table);
        catalog
    }

    /// Adds a relation.
    pub fn add(&mut self, schema: &str, name: &str, named: Named) {
        self.relations.entry(name.to_owned()).or_default().push((schema.to_owned(), named));
    }

    /// Reports whether a text has a word that may lead to the table.
    pub(super) fn is_mentioned(&self, text: &str) -> bool {
        let of_interest = |word: &str| {
            let leads = |name: &str| {
                self.relations.get(name).is_some_and(|all| {
                    all.iter().any(|(_, named)| !matches!(named, Named::Other { .. }))
                }) || self.functions.contains(name)
                    || self.triggered.contains(name)
            };
            leads(word) || leads(&word.to_lowercase())
        };
        let mut tokens = Vec::new();
        let whole = Tokenizer::new(dialect(self.backend), text)
            .tokenize_with_location_into_buf(&mut tokens);
        let found = tokens.iter().any(|placed| match &placed.token {
            Token::Word(word) => of_interest(&word.value),
            _ => false,
        });
        // What is cut off or foreign is looked through as it is.
        found || (whole.is_err() && text.split(|c: char| !is_part(c)).any(of_interest))
    }

    /// Finds what a name means, whose parts are given outermost first.
    pub(super) fn meaning(&self, parts: &[String]) -> Meaning<'_> {
        let Some((name, before)) = parts.split_last() else { return Meaning::Nothing };
        let Some(all) = self.relations.get(name) else { return Meaning::Nothing };
        let of = |schema: &str| all.iter().find(|(found, _)| found == schema).map(|(_, n)| n);
        if let Some(schema) = before.last() {
            return of(schema).map_or(Meaning::Nothing, Meaning::One);
        }
        // Where a path leads nowhere, the statement would have failed: it was sent with another one.
        let first = |path: &Vec<String>| path.iter().find_map(|schema| of(schema));
        let meant: Vec<&Named> = self.search_paths.iter().filter_map(first).collect();
        match (meant.as_slice(), all.as_slice()) {
            ([one, others @ ..], _) if others.iter().all(|other| other == one) => Meaning::One(one),
            ([], [(_, one)]) => Meaning::One(one),
            _ => Meaning::Several,
        }
    }

    /// Returns the column's place in the table, from 0.
    pub(super) fn position(&self) -> usize {
        self.columns.iter().position(|name| *name == self.column).unwrap_or(self.columns.len())
    }
}

fn is_part(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

/// Returns the words of a text in lower case.
pub(in crate::watch) fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c| !is_part(c)).filter(|word| !word.is_empty()).map(str::to_lowercase)
}
