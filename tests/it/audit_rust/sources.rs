//! The marks of a program: which lines the audit must find, and in which case they lie.

use std::collections::{BTreeMap, BTreeSet};

/// A mark in a source: `//~ NC001`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark {
    pub(super) line: usize,
    pub(super) rule: String,
}

/// A program's text, cut into cases.
pub(super) struct Source {
    /// Name of each case, with the marks in it; none in those that are harmless.
    pub(super) cases: BTreeMap<String, BTreeSet<Mark>>,
    /// Case of each line, from 1.
    lines: Vec<Option<String>>,
}

impl Source {
    /// Reads a text: a case is a module at its left edge.
    pub(super) fn read(text: &str) -> Self {
        let (mut cases, mut lines) = (BTreeMap::new(), vec![None]);
        let mut case: Option<String> = None;
        for (line, number) in text.lines().zip(1..) {
            let opens = line.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(" {"));
            if let Some(name) = opens {
                case = Some(name.to_owned());
                cases.insert(name.to_owned(), BTreeSet::new());
            }
            lines.push(case.clone());
            let marks = line.split_once("//~").map(|(_, marks)| marks.split_whitespace());
            for rule in marks.into_iter().flatten() {
                let case = case.as_ref().expect("a mark outside of a case");
                let marks = cases.get_mut(case).unwrap();
                marks.insert(Mark { line: number, rule: rule.to_owned() });
            }
            if line == "}" {
                case = None;
            }
        }
        Self { cases, lines }
    }

    /// Returns the case that a line lies in.
    pub(super) fn case_at(&self, line: usize) -> Option<&str> {
        self.lines.get(line)?.as_deref()
    }

    pub(super) fn marks(&self) -> impl Iterator<Item = (&str, &Mark)> {
        self.cases.iter().flat_map(|(case, marks)| marks.iter().map(move |m| (case.as_str(), m)))
    }
}
