//! What stops compiling with the `schema.rs` of every stage.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Set, StageSchema,
    cargo::{Check, Outcome, PackageTarget},
    echo::{self, Echo},
    error::ProbeError,
    inventory::Baseline,
    locate::{Locator, is_among},
    merge::Merged,
    message::Diagnostic,
};
use crate::{
    audit::{
        SourceFile,
        finding::{Class, Finding, Where},
        rules::{AMBIGUOUS_GLOBS, DOES_NOT_COMPILE, Rule, UNCHECKED_PACKAGE},
    },
    plan::StageKind,
};

/// Lints that say of an error that a later Rust will make of it, with their rules.
pub(super) const NOT_YET_ERRORS: [(&str, &Rule); 1] =
    [("ambiguous_glob_imports", &AMBIGUOUS_GLOBS)];

/// The copy, shown the stages one after the other.
pub(super) struct Stages<'a> {
    pub(super) check: Check<'a>,
    pub(super) sets: &'a [Set],
    /// The project's own text of every `schema.rs`.
    pub(super) originals: &'a [SourceFile],
}

/// What is known of a stage in one set.
struct Seen<'a> {
    stage: StageKind,
    outcome: &'a Outcome,
    baseline: &'a Baseline,
    locator: &'a Locator<'a>,
    originals: &'a [SourceFile],
}

impl Stages<'_> {
    /// Compiles every stage whose schema is not that of the one before it.
    pub(super) fn run(
        self,
        baselines: &[Baseline],
        stages: &[StageSchema],
    ) -> Result<Vec<Finding>, ProbeError> {
        let mut found = Merged::new(self.sets);
        let first = stages.first().map_or(StageKind::Expand, |stage| stage.stage);
        for (at, (set, baseline)) in self.sets.iter().zip(baselines).enumerate() {
            for finding in self.broken(set, baseline, first) {
                found.add(at, finding);
            }
        }
        let mut last: Vec<SourceFile> = self.originals.to_vec();
        for stage in stages {
            let shown = self.shown(stage);
            if shown == last {
                continue;
            }
            for file in &shown {
                self.check.shadow.put(&file.path, &file.text)?;
            }
            let locator = Locator::new(self.check.shadow, self.originals, &shown);
            for (at, (set, baseline)) in self.sets.iter().zip(baselines).enumerate() {
                let outcome = self.check.run(set, &format!("stage {}", stage.stage.name()))?;
                let seen = Seen {
                    stage: stage.stage,
                    outcome: &outcome,
                    baseline,
                    locator: &locator,
                    originals: self.originals,
                };
                for finding in seen.findings() {
                    found.add(at, finding);
                }
            }
            last = shown;
        }
        Ok(found.into_findings())
    }

    /// Returns every schema as it is at a stage.
    fn shown(&self, stage: &StageSchema) -> Vec<SourceFile> {
        let mut shown = self.originals.to_vec();
        for file in &stage.files {
            match shown.iter_mut().find(|shown| shown.path == file.path) {
                Some(shown) => shown.text.clone_from(&file.text),
                None => shown.push(file.clone()),
            }
        }
        shown
    }

    /// Returns the packages of which nothing can be said, because they do not compile as they are.
    fn broken(&self, set: &Set, baseline: &Baseline, due: StageKind) -> Vec<Finding> {
        let named = |name: &&String| set.packages.is_empty() || set.packages.contains(*name);
        let mut findings = Vec::new();
        for package in self.check.members.values().filter(named) {
            let compiles = baseline.compiled.iter().any(|unit| unit.of.is_code_of(package));
            let (message, help) = match (as_it_is(package, baseline), &baseline.complaint) {
                (Some(message), _) => {
                    (message, "mend what does not compile as it is, then audit again".to_owned())
                }
                (None, _) if compiles => continue,
                (None, Some(complaint)) => {
                    (UNCOMPILED.to_owned(), format!("Cargo says: {complaint}"))
                }
                (None, None) => {
                    (UNCOMPILED.to_owned(), "name the features that its targets need".to_owned())
                }
            };
            findings.push(unchecked(package, due, message, help));
        }
        findings
    }
}

impl Seen<'_> {
    fn findings(&self) -> Vec<Finding> {
        let known =
            |of: &PackageTarget, told| self.baseline.explains(of, &self.locator.quote(told));
        let told = self.outcome.told.iter().filter(|(of, told)| !known(of, told));
        let mut found: Vec<((Finding, Option<Echo>), &PackageTarget)> = told
            .filter_map(|(of, told)| {
                Some(((self.finding(of, told)?, Echo::of(told, self.locator)), of))
            })
            .collect();
        // Without its table everything around it fails too, and says nothing of the column.
        let in_schema = |finding: &Finding| matches!(&finding.place, Where::File { path, .. } if is_among(self.originals, path));
        let schema_fails = self.outcome.errors().any(|(_, error)| {
            error.code.is_none()
                && self.locator.primary(error).is_some_and(|(p, _)| is_among(self.originals, &p))
        });
        if schema_fails {
            found.retain(|((finding, _), _)| in_schema(finding));
        }
        let told: BTreeSet<&PackageTarget> = found.iter().map(|(_, of)| *of).collect();
        let unchecked = self.unchecked(&told);
        let found = found.into_iter().map(|(finding, _)| finding).collect();
        echo::fold(found).into_iter().chain(unchecked).collect()
    }

    /// Makes a finding of an error that the stage brings, or of what will be one.
    fn finding(&self, of: &PackageTarget, told: &Diagnostic) -> Option<Finding> {
        let place = self.locator.primary(told);
        let later = NOT_YET_ERRORS.iter().find(|(code, _)| told.code() == Some(code));
        let rule = match later {
            _ if told.is_error() => &DOES_NOT_COMPILE,
            Some((_, rule))
                if place.as_ref().is_some_and(|at| !self.baseline.warned.contains(at)) =>
            {
                rule
            }
            Some(_) | None => return None,
        };
        Some(Finding {
            rule,
            class: Class::Compile,
            due: self.stage,
            place: match place {
                Some((path, at)) => Where::File { path, at },
                None => Where::Package(of.package.clone()),
            },
            message: short(&told.message),
            help: help(told),
            // What rustc suggests makes sense of the new schema, and changes what the program does.
            fix: None,
        })
    }

    /// Returns the packages with targets that compiled before, and of which rustc says nothing now.
    fn unchecked(&self, told: &BTreeSet<&PackageTarget>) -> Vec<Finding> {
        let missing = self.baseline.compiled.difference(&self.outcome.compiled);
        let mut packages: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for unit in missing.filter(|unit| !told.contains(&unit.of)) {
            packages.entry(&unit.of.package).or_default().insert(name(&unit.of));
        }
        let stage = self.stage.name();
        let why = match &self.outcome.complaint {
            Some(complaint) if told.is_empty() => format!("Cargo says: {complaint}"),
            Some(_) | None => {
                "mend what does not compile, then audit again: more may lie behind it".to_owned()
            }
        };
        let say = |(package, targets): (&str, BTreeSet<String>)| {
            let targets: Vec<String> = targets.into_iter().collect();
            let message = format!(
                "not compiled at stage {stage}, because something that it needs does not: {}",
                targets.join(", ")
            );
            unchecked(package, self.stage, message, why.clone())
        };
        packages.into_iter().map(say).collect()
    }
}

fn unchecked(package: &str, due: StageKind, message: String, help: String) -> Finding {
    Finding {
        rule: &UNCHECKED_PACKAGE,
        class: UNCHECKED_PACKAGE.class,
        due,
        place: Where::Package(package.to_owned()),
        message,
        help: Some(help),
        fix: None,
    }
}

/// What is said of a package of which rustc says nothing at all.
const UNCOMPILED: &str = "not compiled, also without any change";

/// Says what of a package does not compile without any change.
fn as_it_is(package: &str, baseline: &Baseline) -> Option<String> {
    let broken = || baseline.broken.iter().filter(|(of, _)| of.package == package);
    let error = broken().next()?.1.first()?;
    let say = |(of, _): (&PackageTarget, _)| {
        let tests = if baseline.compiles(of) { "the tests in " } else { "" };
        format!("{tests}{}", name(of))
    };
    let names: Vec<String> = broken().map(say).collect();
    Some(format!("does not compile as it is: {} ({error})", names.join(", ")))
}

/// Names a target as Cargo does.
fn name(of: &PackageTarget) -> String {
    match of.target.kind.first().map(String::as_str) {
        Some(kind @ ("bin" | "test" | "bench" | "example")) => {
            format!("{kind} `{}`", of.target.name)
        }
        Some("custom-build") => format!("the build script of `{}`", of.package),
        Some(_) | None => format!("the library of `{}`", of.package),
    }
}

/// Says once what rustc leaves out many times: the types of a wide row.
fn short(message: &str) -> String {
    let mut short = message.to_owned();
    while short.contains("..., ...") {
        short = short.replace("..., ...", "...");
    }
    short
}

/// How rustc begins what explains its own reasoning, and not what to do.
const REASONING: [&str; 7] = [
    "the trait ",
    "the following other types",
    "the full name for",
    "consider using `--verbose`",
    "required ",
    "expected ",
    "redundant requirement",
];

/// Returns the first thing that rustc, or Diesel through it, says for people.
fn help(told: &Diagnostic) -> Option<String> {
    let advice =
        told.children.iter().filter(|child| child.level == "help" || child.level == "note");
    let first = |text: &str| !REASONING.iter().any(|reasoning| text.starts_with(reasoning));
    advice.map(|child| child.message.as_str()).find(|text| first(text)).map(ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wide_row_is_short() {
        let message =
            "the trait bound `(..., ..., ..., ..., ...): CompatibleType<..., ...>` is not";
        assert_eq!(short(message), "the trait bound `(...): CompatibleType<...>` is not");
    }
}
