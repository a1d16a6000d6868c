//! Chains of calls as queries.

use super::{
    Project, SourceFacts,
    facts::{Call, Chain, PathAt, Root, Struct, Value},
    names::{Meaning, Names},
};

/// What a chain does with the audited table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// Rows are read: the chain begins with the table, or joins it.
    From,
    Insert,
    Replace,
    Update,
    Delete,
}

/// What a query gives back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Selection {
    /// Every column, in the order of schema.rs.
    WholeRow,
    /// What the code names.
    Named,
}

/// Calls that run a query and make values of its rows.
const TERMINALS: &[&str] = &[
    "load",
    "get_result",
    "get_results",
    "first",
    "load_iter",
    "load_stream",
    "save_changes",
    "internal_load",
];

/// Calls that join another table.
const JOINS: &[&str] = &["inner_join", "left_join", "left_outer_join", "inner_join_on"];

/// A chain that touches the audited table.
pub(super) struct Query<'a> {
    pub(super) chain: &'a Chain,
    pub(super) origin: Origin,
    /// Calls of variables that the chain begins with, and its own.
    pub(super) calls: Vec<&'a Call>,
    /// Whether other tables are part of it.
    pub(super) joined: bool,
}

impl<'a> Query<'a> {
    pub(super) fn of(
        chain: &'a Chain,
        file: &'a SourceFacts<'a>,
        project: &Project<'a>,
    ) -> Option<Self> {
        let names = project.names(file);
        let mut calls: Vec<&Call> = chain.calls.iter().collect();
        let origin = origin(chain, file, names, project, &mut calls, 3);
        let joins = calls.iter().filter(|call| JOINS.contains(&call.name.as_str()));
        let joined: Vec<bool> =
            joins.map(|call| call.args.first().is_some_and(|arg| is_table(arg, names))).collect();
        let origin = match origin {
            Some(origin) => origin,
            None if joined.contains(&true) => Origin::From,
            // Joined as an alias, which only its columns tell.
            None if chain
                .call("select")
                .is_some_and(|call| call.args.iter().any(|arg| is_whole_row(arg, names))) =>
            {
                Origin::From
            }
            None => return None,
        };
        Some(Self { chain, origin, calls, joined: !joined.is_empty() })
    }

    pub(super) fn call(&self, name: &str) -> Option<&'a Call> {
        self.calls.iter().find(|call| call.name == name).copied()
    }

    /// Returns the call that makes values of rows.
    pub(super) fn terminal(&self) -> Option<&'a Call> {
        self.chain.calls.iter().rev().find(|call| TERMINALS.contains(&call.name.as_str()))
    }

    pub(super) fn selection(&self, names: Names<'_>) -> Selection {
        let narrows = ["count", "select", "returning", "group_by", "nullable", "single_value"];
        let narrowing = self.calls.iter().rev().find(|call| narrows.contains(&call.name.as_str()));
        match narrowing {
            None => Selection::WholeRow,
            Some(call) if matches!(call.name.as_str(), "select" | "returning") => {
                let whole = call.args.iter().any(|arg| is_whole_row(arg, names));
                if whole { Selection::WholeRow } else { Selection::Named }
            }
            Some(_) => Selection::Named,
        }
    }

    /// Returns the structs that rows of the query become, as far as the code says so.
    pub(super) fn structs(
        &self,
        file: &'a SourceFacts<'a>,
        project: &Project<'a>,
    ) -> Vec<(&'a SourceFacts<'a>, &'a Struct)> {
        let Some(terminal) = self.terminal() else { return Vec::new() };
        let said: Vec<&String> = terminal.types.iter().filter(|name| *name != "_").collect();
        let types = match terminal.types.iter().any(|name| name != "_") {
            true => said,
            false => self.chain.expected.iter().collect(),
        };
        types.into_iter().flat_map(|name| project.structs_named(file, name)).collect()
    }

    /// Returns the types that the terminal call names, where it names any.
    pub(super) fn said_types(&self) -> Option<&'a [String]> {
        let types = &self.terminal()?.types;
        (!types.is_empty() && types.iter().all(|name| name != "_")).then_some(types)
    }
}

fn origin<'a>(
    chain: &'a Chain,
    file: &'a SourceFacts<'a>,
    names: Names<'a>,
    project: &Project<'a>,
    calls: &mut Vec<&'a Call>,
    hops: usize,
) -> Option<Origin> {
    match &chain.root {
        Root::Path(path) => match names.means(path) {
            Some(Meaning::Table) => {
                let inserts = chain.call("insert_into");
                inserts.is_none().then_some(Origin::From)
            }
            Some(_) => None,
            None => {
                let before = variable(path, file, names).filter(|_| hops > 0)?;
                calls.splice(0..0, &before.calls);
                origin(before, file, names, project, calls, hops - 1)
            }
        },
        Root::Call(call, path) => {
            let first = call.args.first();
            let on_table = first.is_some_and(|arg| is_table(arg, names));
            match call.name.as_str() {
                "insert_into" | "insert_or_ignore_into" if on_table => Some(Origin::Insert),
                "replace_into" if on_table => Some(Origin::Replace),
                "update" if on_table => Some(Origin::Update),
                "delete" if on_table => Some(Origin::Delete),
                "belonging_to" | "query" | "as_select" | "table" => {
                    let [.., owner, _] = path.segments.as_slice() else { return None };
                    let mut owners = project.structs_named(file, owner).into_iter();
                    let ours = owners.any(|(file, item)| project.names(file).is_of_table(item));
                    (ours && call.name == "belonging_to").then_some(Origin::From)
                }
                _ => None,
            }
        }
        Root::Value(value) => match &**value {
            Value::Chain(inner) => origin(inner, file, names, project, calls, hops),
            _ => None,
        },
    }
}

/// Finds the chain that made a variable: the last one before.
fn variable<'a>(path: &PathAt, file: &'a SourceFacts<'a>, names: Names<'_>) -> Option<&'a Chain> {
    let [name] = path.segments.as_slice() else { return None };
    let mut made = file.facts.lets.iter().filter(|made| {
        made.name == *name
            && names.lies_in(path.scope, made.scope)
            && file.facts.chains[made.chain].range.start < path.range.start
    });
    let chain = &file.facts.chains[made.next_back()?.chain];
    // A variable made of itself would lead in a circle.
    let circle = chain.range.contains(&path.range.start);
    (!circle).then_some(chain)
}

/// Reports whether a value is the table, or rows of it.
pub(super) fn is_table(value: &Value, names: Names<'_>) -> bool {
    match value {
        Value::Path(path) => names.means(path) == Some(Meaning::Table),
        Value::Chain(chain) => match &chain.root {
            Root::Path(path) => names.means(path) == Some(Meaning::Table),
            Root::Call(_, _) | Root::Value(_) => false,
        },
        Value::Tuple(_)
        | Value::Struct(_)
        | Value::Text(_)
        | Value::Included
        | Value::Number(_)
        | Value::Other(_) => false,
    }
}

/// Reports whether a selection is, or has in it, every column of the table.
fn is_whole_row(value: &Value, names: Names<'_>) -> bool {
    let aliased = |chain: &Chain| {
        let fields = chain.call("fields");
        fields.is_some_and(|call| call.args.iter().any(|arg| is_whole_row(arg, names)))
    };
    let all = |path: &PathAt| matches!(names.means(path), Some(Meaning::Item(name)) if name == "all_columns" || name == "star");
    match value {
        Value::Path(path) => all(path) || names.means(path) == Some(Meaning::Table),
        Value::Chain(chain) if aliased(chain) => true,
        Value::Chain(chain) => match &chain.root {
            Root::Path(path) => {
                all(path) && !chain.calls.iter().any(|call| call.name == "count")
                    || chain.call("all_columns").is_some()
                        && names.means(path) == Some(Meaning::Table)
            }
            Root::Call(call, path) if call.name == "all_columns" => {
                let owner = &path.segments[..path.segments.len() - 1];
                names.meaning(path.scope, owner) == Some(Meaning::Table)
            }
            Root::Call(_, _) | Root::Value(_) => false,
        },
        Value::Tuple(values) => values.iter().any(|value| is_whole_row(value, names)),
        Value::Struct(_)
        | Value::Text(_)
        | Value::Included
        | Value::Number(_)
        | Value::Other(_) => false,
    }
}
