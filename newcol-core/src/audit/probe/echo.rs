//! What rustc says more than once.
//!
//! Of one call it may say twice what its types lack: at the method, and at an argument.
//!
//! A trait of the project's own that asks for a query whose rows are read into `Self` (`LoadQuery<.., Self>`
//! in the bounds of a `Crud`) fails for a struct at its `impl`, and again at every call of its methods. One
//! change of the struct mends them all, so they are one finding.

use std::collections::{BTreeMap, BTreeSet};

use super::{locate::Locator, message::Diagnostic};
use crate::audit::finding::{Finding, Where};

/// An error that may belong to others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Echo {
    /// What is lacking, in rustc's words.
    lacking: String,
    /// Whether code of the project asks for it, and not a library.
    is_own: bool,
    /// Whether it is elsewhere than at an `impl`.
    is_use: bool,
}

impl Echo {
    /// Returns what an error may share with others; `None` of those that are about no trait.
    pub(super) fn of(told: &Diagnostic, locator: &Locator<'_>) -> Option<Self> {
        let is_own = |child: &Diagnostic| {
            child.message.starts_with("required by a bound in ")
                && child.spans.iter().any(|span| locator.place(span).is_some())
        };
        // Of a long type a help has it, of a short one the label of the place.
        let labels = told.spans.iter().filter_map(|span| span.label.as_ref());
        let lacking =
            told.children.iter().map(|child| &child.message).chain(labels).find(|said| {
                said.starts_with("the trait `") && said.contains("` is not implemented for ")
            })?;
        let line = locator.primary(told).and_then(|(path, at)| locator.line(&path, at.line));
        let is_use = line.is_none_or(|line| !line.trim_start().starts_with("impl"));
        let is_own = told.children.iter().any(is_own);
        Some(Self { lacking: lacking.clone(), is_own, is_use })
    }

    /// Returns what is the same of all that belong together.
    fn group(&self, path: &str, line: usize) -> (String, Option<(String, usize)>) {
        (self.lacking.clone(), (!self.is_own).then(|| (path.to_owned(), line)))
    }
}

/// Errors that belong together.
#[derive(Debug)]
struct Group {
    lines: BTreeSet<(String, usize)>,
    /// Where it is said: whether that is a use, and the place.
    kept: (bool, String, usize),
}

/// Keeps of errors that belong together the one at the `impl`, or the first, and says how many there are.
pub(super) fn fold(found: Vec<(Finding, Option<Echo>)>) -> Vec<Finding> {
    let mut groups = BTreeMap::new();
    let place = |finding: &Finding| match &finding.place {
        Where::File { path, at } => Some((path.to_string(), at.line, at.range.start)),
        Where::Database(_) | Where::Package(_) | Where::Statement { .. } => None,
    };
    for (finding, echo) in &found {
        let (Some(echo), Some((path, line, start))) = (echo, place(finding)) else { continue };
        let this = (echo.is_use, path.clone(), start);
        let group = groups
            .entry(echo.group(&path, line))
            .or_insert_with(|| Group { lines: BTreeSet::new(), kept: this.clone() });
        group.lines.insert((path, line));
        if this < group.kept {
            group.kept = this;
        }
    }
    let one_of_each = |(mut finding, echo): (Finding, Option<Echo>)| {
        let (Some(echo), Some((path, line, start))) = (echo, place(&finding)) else {
            return Some(finding);
        };
        let Group { lines, kept } = &groups[&echo.group(&path, line)];
        if *kept != (echo.is_use, path, start) {
            return None;
        }
        let others = lines.len() - 1;
        if others > 0 {
            let places = if others == 1 { "place that relies" } else { "places that rely" };
            finding.message = format!("{}; nor at {others} more {places} on it", finding.message);
        }
        Some(finding)
    };
    found.into_iter().filter_map(one_of_each).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{audit::rules::DOES_NOT_COMPILE, plan::StageKind, schema::Place};

    fn at(path: &str, line: usize) -> Finding {
        Finding {
            rule: &DOES_NOT_COMPILE,
            class: DOES_NOT_COMPILE.class,
            due: StageKind::Expand,
            place: Where::File {
                path: path.into(),
                at: Place { range: line * 10..line * 10 + 5, line, column: 1 },
            },
            message: "it is not satisfied".to_owned(),
            help: None,
            fix: None,
        }
    }

    fn echo(lacking: &str, is_own: bool, is_use: bool) -> Option<Echo> {
        Some(Echo { lacking: lacking.to_owned(), is_own, is_use })
    }

    #[test]
    fn what_lacks_the_same_is_said_once_at_the_impl() {
        let found = vec![
            (at("a.rs", 3), echo("one", true, true)),
            (at("a.rs", 4), None),
            (at("b.rs", 1), echo("one", true, false)),
            // Of the library, and of its tests.
            (at("b.rs", 1), echo("one", true, false)),
            (at("b.rs", 9), echo("two", true, true)),
        ];
        let mut said = at("b.rs", 1);
        said.message = "it is not satisfied; nor at 1 more place that relies on it".to_owned();
        assert_eq!(fold(found), [at("a.rs", 4), said.clone(), said, at("b.rs", 9)]);
    }

    #[test]
    fn what_a_library_asks_for_is_said_once_a_call() {
        let mut argument = at("a.rs", 3);
        let Where::File { at: place, .. } = &mut argument.place else { unreachable!() };
        place.range = 33..34;
        let found = vec![
            (argument, echo("one", false, true)),
            (at("a.rs", 3), echo("one", false, true)),
            (at("a.rs", 4), echo("one", false, true)),
        ];
        assert_eq!(fold(found), [at("a.rs", 3), at("a.rs", 4)]);
    }
}
