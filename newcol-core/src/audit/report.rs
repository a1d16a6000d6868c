//! Findings, held against what the project has acknowledged.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;

use super::{
    allow::{self, Allow},
    baseline::{Baseline, Mark},
    finding::{Class, Finding, Where},
    rules::{DOES_NOT_COMPILE, Rule, UNCHECKED_PACKAGE},
    rust::literals,
    sources::{SourceFile, Texts},
    until::markers,
};
use crate::{ident::ColumnPath, plan::StageKind, schema::Place};

/// What was asked beside the texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope {
    /// Whether the compiler was.
    pub compiler: bool,
    /// Whether a database was.
    pub database: bool,
    /// Whether statements were captured.
    pub capture: bool,
}

impl Scope {
    /// Only texts were looked at.
    pub const TEXTS: Self = Self { compiler: false, database: false, capture: false };

    /// Reports whether findings of a rule in a file can be expected.
    fn covers(self, rule: &Rule) -> bool {
        self.compiler || (*rule != DOES_NOT_COMPILE && *rule != UNCHECKED_PACKAGE)
    }

    /// Reports whether the finding of a mark can be expected, if it is still there.
    fn covers_mark(self, mark: &Mark) -> bool {
        Rule::find(&mark.rule).is_none_or(|rule| self.covers(rule))
            && (self.database || !mark.is_of_database())
            && (self.capture || !mark.is_of_statement())
    }
}

/// A finding, and who knows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// The finding.
    pub finding: Finding,
    /// Where it stands in a baseline, known or not.
    pub mark: Mark,
    /// Why it is none to act on.
    pub acknowledged: Option<Acknowledged>,
}

/// Why a finding is none to act on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acknowledged {
    /// A comment at its place says so.
    Comment {
        /// The reason given there.
        reason: String,
    },
    /// It stands in the baseline.
    Baseline,
}

/// Something wrong with an acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// The file, below the project's root.
    pub path: Utf8PathBuf,
    /// In the file.
    pub at: Place,
    /// What is wrong, in one sentence.
    pub message: String,
    /// The way out.
    pub help: String,
}

/// All that an audit says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Sorted by place.
    pub findings: Vec<Judged>,
    /// Comments to us that say nothing, sorted by place.
    pub remarks: Vec<Remark>,
    /// Entries of the baseline, counted, that stand for nothing any more.
    pub stale: usize,
    /// What was asked.
    pub scope: Scope,
}

impl Judged {
    /// Reports whether somebody has to act before the stage at which it is due.
    pub fn is_open(&self) -> bool {
        self.acknowledged.is_none() && self.finding.class != Class::Unknown
    }

    /// Reports whether nothing but this audit would tell in time.
    pub fn is_harmful(&self) -> bool {
        self.is_open() && matches!(self.finding.class, Class::Runtime | Class::Silent)
    }
}

impl Report {
    /// Holds settled findings against the comments in the sources and a baseline.
    ///
    /// Comments do not say of which column they speak: `others`, what is found of the other columns
    /// of the project, is asked for where one seems to be of no use. Where that is not known, none is.
    pub fn new(
        findings: Vec<Finding>,
        files: &[SourceFile],
        (column, baseline): (&ColumnPath, &Baseline),
        scope: Scope,
        others: impl FnOnce() -> Option<Vec<Finding>>,
    ) -> Self {
        let texts = Texts::of(files);
        let mut remarks = Vec::new();
        let mut allows = BTreeMap::new();
        for file in files {
            let (found, wrong) = allow::find(file);
            remarks.extend(wrong);
            if !found.is_empty() {
                allows.insert(&file.path, found);
            }
        }
        remarks.extend(markers(files).1);
        let mut unused = Unused::of(&allows, scope);
        let mut left = baseline.of(column);
        let mut judged = Vec::new();
        for finding in findings {
            let mark = Mark::of(&finding, &texts);
            let mut acknowledged = None;
            if let Some(allow) = unused.strike(&allows, &finding) {
                acknowledged = Some(Acknowledged::Comment { reason: allow.reason.clone() });
            }
            if acknowledged.is_none()
                && let Some(count) = left.get_mut(&mark).filter(|count| **count > 0)
            {
                *count -= 1;
                acknowledged = Some(Acknowledged::Baseline);
            }
            judged.push(Judged { finding, mark, acknowledged });
        }
        if !scope.capture {
            unused.leave_captured(&allows, files);
        }
        if !unused.0.is_empty() {
            match others() {
                None => unused.0.clear(),
                Some(found) => found.iter().for_each(|finding| {
                    unused.strike(&allows, finding);
                }),
            }
        }
        remarks.extend(unused.0.into_values());
        remarks.sort_by(|one, other| {
            (&one.path, one.at.range.start).cmp(&(&other.path, other.at.range.start))
        });
        let stale = left.iter().filter(|(mark, _)| scope.covers_mark(mark));
        let stale = stale.map(|(_, count)| count).sum();
        Self { findings: judged, remarks, stale, scope }
    }

    /// Keeps what must be dealt with before a stage is released.
    pub fn due_by(mut self, stage: StageKind) -> Self {
        self.findings.retain(|judged| judged.finding.due <= stage);
        self
    }

    /// Returns the findings that somebody has to act on.
    pub fn open(&self) -> impl Iterator<Item = &Judged> {
        self.findings.iter().filter(|judged| judged.is_open())
    }

    /// Returns the baseline in which all of these findings are known, but for those that a comment
    /// acknowledges. What was not asked of stays as it was.
    pub fn baseline(&self, column: &ColumnPath, mut before: Baseline) -> Baseline {
        let in_comment =
            |judged: &&Judged| matches!(judged.acknowledged, Some(Acknowledged::Comment { .. }));
        let found = self.findings.iter().filter(|judged| !in_comment(judged));
        let mut marks: Vec<Mark> = found.map(|judged| judged.mark.clone()).collect();
        for (mark, count) in before.of(column) {
            if !self.scope.covers_mark(&mark) {
                marks.extend(std::iter::repeat_n(mark, count));
            }
        }
        before.set(column, marks);
        before
    }
}

/// Comments of all files.
type Allows<'a> = BTreeMap<&'a Utf8PathBuf, Vec<Allow>>;

/// Rules in comments that acknowledge nothing so far, by file and place.
struct Unused<'a>(BTreeMap<(&'a Utf8PathBuf, usize), Remark>);

impl<'a> Unused<'a> {
    fn of(allows: &Allows<'a>, scope: Scope) -> Self {
        let mut unused = BTreeMap::new();
        for (path, allows) in allows {
            for (rule, at) in allows.iter().flat_map(|allow| &allow.rules) {
                if scope.covers(rule) {
                    let remark = Remark {
                        path: (*path).clone(),
                        at: at.clone(),
                        message: format!("there is no finding of `{}` here", rule.id),
                        help: "remove it from the comment".to_owned(),
                    };
                    unused.insert((*path, at.range.start), remark);
                }
            }
        }
        Self(unused)
    }

    /// Keeps what only a capture can judge: rules for SQL beside texts that may be SQL, and are not
    /// looked at where they stand.
    fn leave_captured(&mut self, allows: &Allows<'a>, files: &[SourceFile]) {
        for file in files.iter().filter(|file| file.path.extension() == Some("rs")) {
            let Some(here) = allows.get(&file.path) else { continue };
            let is_here = |(path, _): &(&Utf8PathBuf, usize)| **path == file.path;
            if !self.0.keys().any(is_here) {
                continue;
            }
            let texts = literals(&[file]);
            let texts = texts.iter().flat_map(|found| &found.literals);
            let lines: Vec<usize> = texts
                .filter(|text| !text.is_examined)
                .map(|text| Place::new(&file.text, text.range.clone()).line)
                .collect();
            for allow in here.iter().filter(|one| lines.iter().any(|at| one.lines.contains(at))) {
                for (_, at) in allow.rules.iter().filter(|(rule, _)| rule.is_of_sql()) {
                    self.0
                        .retain(|(path, start), _| **path != file.path || *start != at.range.start);
                }
            }
        }
    }

    /// Strikes out what acknowledges a finding, and returns the first comment that does. What comes
    /// from several places is acknowledged where each of them says so.
    fn strike<'b>(&mut self, allows: &'b Allows<'a>, finding: &Finding) -> Option<&'b Allow> {
        let places: Vec<(&Utf8PathBuf, &Place)> = match &finding.place {
            Where::File { path, at } => vec![(path, at)],
            Where::Statement { from, .. } => from.iter().map(|(path, at)| (path, at)).collect(),
            Where::Database(_) | Where::Package(_) => return None,
        };
        let mut found = Vec::with_capacity(places.len());
        for place in places {
            found.push(self.strike_at(allows, finding.rule, place));
        }
        found.into_iter().collect::<Option<Vec<_>>>()?.first().copied()
    }

    fn strike_at<'b>(
        &mut self,
        allows: &'b Allows<'a>,
        wanted: &Rule,
        (path, at): (&Utf8PathBuf, &Place),
    ) -> Option<&'b Allow> {
        let (path, allows) = allows.get_key_value(path)?;
        let mut first = None;
        for allow in allows.iter().filter(|allow| allow.lines.contains(&at.line)) {
            for (_, name) in allow.rules.iter().filter(|(rule, _)| *rule == wanted) {
                self.0.remove(&(*path, name.range.start));
                first.get_or_insert(allow);
            }
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::select};

    use super::*;
    use crate::audit::{
        BaselineError,
        rules::{RAW_STAR, REPLACE_INTO},
    };

    const LINES: [&str; 4] = ["one(x);", "two(x);", "  two(x);", "three(x);"];

    fn column() -> ColumnPath {
        "users.locale".parse().unwrap()
    }

    fn source(lines: &[&str]) -> Vec<SourceFile> {
        vec![SourceFile { path: "src/a.rs".into(), text: lines.join("\n") }]
    }

    /// A finding at every `x`.
    fn findings(files: &[SourceFile]) -> Vec<Finding> {
        let text = &files[0].text;
        let every = text.match_indices("(x)").map(|(at, _)| Finding {
            rule: &REPLACE_INTO,
            class: REPLACE_INTO.class,
            due: StageKind::Constrain,
            place: Where::File {
                path: files[0].path.clone(),
                at: Place::new(text, at + 1..at + 2),
            },
            message: "it is so".to_owned(),
            help: None,
            fix: None,
        });
        every.collect()
    }

    fn report(lines: &[&str], baseline: &Baseline) -> Report {
        let files = source(lines);
        Report::new(findings(&files), &files, (&column(), baseline), Scope::TEXTS, || None)
    }

    /// The baseline in which everything in these lines is known, as it reads back from its file.
    fn known(lines: &[&str]) -> Baseline {
        let baseline = report(lines, &Baseline::default()).baseline(&column(), Baseline::default());
        let read = Baseline::parse(&baseline.to_text()).unwrap();
        assert_eq!(read, baseline);
        read
    }

    fn open(lines: &[&str], baseline: &Baseline) -> usize {
        report(lines, baseline).open().count()
    }

    proptest! {
        #[test]
        fn moved_lines_stay_known(
            lines in proptest::collection::vec(select(LINES.to_vec()), 0..8),
            above in proptest::collection::vec(select(vec!["", "other();", "// two"]), 0..5),
            indent in select(vec!["", "    ", "\t"]),
            seed in any::<u64>(),
        ) {
            let baseline = known(&lines);
            prop_assert_eq!(open(&lines, &baseline), 0);
            let mut moved: Vec<String> = lines.iter().map(|line| format!("{indent}{line}")).collect();
            fastrand::Rng::with_seed(seed).shuffle(&mut moved);
            let moved: Vec<&str> =
                above.iter().copied().chain(moved.iter().map(String::as_str)).collect();
            let report = report(&moved, &baseline);
            prop_assert_eq!((report.open().count(), report.stale), (0, 0));
        }

        #[test]
        fn an_edited_line_is_new(
            lines in proptest::collection::vec(select(LINES.to_vec()), 1..8),
            at in any::<proptest::sample::Index>(),
        ) {
            let baseline = known(&lines);
            let at = at.index(lines.len());
            let edited = format!("{} // edited", lines[at]);
            let mut changed = lines.clone();
            changed[at] = &edited;
            let report = report(&changed, &baseline);
            prop_assert_eq!((report.open().count(), report.stale), (1, 1));
        }

        #[test]
        fn a_copied_line_is_new(
            lines in proptest::collection::vec(select(LINES.to_vec()), 1..8),
            at in any::<proptest::sample::Index>(),
        ) {
            let baseline = known(&lines);
            let copied = [&lines[..], &[lines[at.index(lines.len())]]].concat();
            prop_assert_eq!(open(&copied, &baseline), 1);
        }
    }

    #[test]
    fn another_column_knows_nothing_of_it() {
        let other: ColumnPath = "users.mail".parse().unwrap();
        let mut baseline = known(&["one(x);"]);
        let files = source(&["one(x);"]);
        let known = (&other, &baseline);
        let report = Report::new(findings(&files), &files, known, Scope::TEXTS, || None);
        assert_eq!(report.open().count(), 1);
        baseline = report.baseline(&other, baseline);
        insta::assert_snapshot!(baseline.to_text(), @r#"
        {
          "format": 1,
          "findings": [
            {"column":"users.locale","rule":"NC009","place":"src/a.rs","line":"8e8e383de0b55d23","count":1},
            {"column":"users.mail","rule":"NC009","place":"src/a.rs","line":"8e8e383de0b55d23","count":1}
          ]
        }
        "#);
        assert_eq!(open(&["one(x);"], &baseline), 0);
    }

    #[test]
    fn what_was_not_asked_of_stays_in_the_baseline() {
        let files = source(&["one(x);"]);
        let mut found = findings(&files);
        found[0].rule = &DOES_NOT_COMPILE;
        found.push(Finding { place: Where::Database("view v".to_owned()), ..found[0].clone() });
        let all = Scope { compiler: true, database: true, capture: true };
        let baseline = Baseline::default();
        let report = Report::new(found, &files, (&column(), &baseline), all, || None);
        let known = report.baseline(&column(), baseline);
        let quick = Report::new(Vec::new(), &files, (&column(), &known), Scope::TEXTS, || None);
        assert_eq!((quick.stale, quick.baseline(&column(), known.clone())), (0, known.clone()));
        let again = Report::new(Vec::new(), &files, (&column(), &known), all, || None);
        assert_eq!((again.stale, again.baseline(&column(), known)), (2, Baseline::default()));
    }

    #[test]
    fn comments_acknowledge_with_a_reason() {
        let lines = [
            "one(x); // newcol:allow(NC009): it is a cache",
            "// newcol:allow(replace-into): so is it",
            "two(x);",
            "three(x); // newcol:allow(NC009)",
        ];
        let report = report(&lines, &Baseline::default());
        let reasons: Vec<_> = report.findings.iter().map(|f| f.acknowledged.clone()).collect();
        let comment = |reason: &str| Some(Acknowledged::Comment { reason: reason.to_owned() });
        assert_eq!(reasons, [comment("it is a cache"), comment("so is it"), None]);
        let remarks: Vec<String> =
            report.remarks.iter().map(|r| format!("{} {}", r.at, r.message)).collect();
        assert_eq!(
            remarks,
            ["4:14 the comment gives no reason, and acknowledges nothing without one"]
        );
        let written = report.baseline(&column(), Baseline::default());
        assert_eq!(written.of(&column()).len(), 1, "what a comment knows is not in the baseline");
    }

    #[test]
    fn a_comment_that_no_column_needs_is_told() {
        let lines = ["one(x); // newcol:allow(NC009, NC301): nothing here"];
        let files = source(&lines);
        let remarks = |scope, others: Option<Vec<Finding>>| {
            let baseline = Baseline::default();
            let known = (&column(), &baseline);
            let report = Report::new(Vec::new(), &files, known, scope, || others);
            let said = report.remarks.into_iter().map(|r| format!("{} {}", r.at, r.message));
            said.collect::<Vec<_>>()
        };
        let unused = "1:25 there is no finding of `NC009` here";
        assert_eq!(remarks(Scope::TEXTS, Some(Vec::new())), [unused]);
        let full = Scope { compiler: true, ..Scope::TEXTS };
        let compiler = "1:32 there is no finding of `NC301` here";
        assert_eq!(remarks(full, Some(Vec::new())), [unused, compiler]);
        assert_eq!(remarks(full, Some(findings(&files))), [compiler]);
        assert_eq!(remarks(full, None), [""; 0]);
    }

    #[test]
    fn what_is_due_later_is_left_out_and_what_is_unknown_is_not_open() {
        let files = source(&["one(x);"]);
        let mut found = findings(&files);
        found.push(Finding { due: StageKind::Expand, rule: &RAW_STAR, ..found[0].clone() });
        found.push(Finding::unread("b.sql".into(), "it is not UTF-8"));
        let report =
            Report::new(found, &files, (&column(), &Baseline::default()), Scope::TEXTS, || None);
        assert_eq!((report.findings.len(), report.open().count()), (3, 2));
        let due = report.due_by(StageKind::Index);
        let ids: Vec<&str> = due.findings.iter().map(|judged| judged.finding.rule.id).collect();
        assert_eq!(ids, ["NC114", "NC203"]);
    }

    #[test]
    fn a_broken_baseline_says_where() {
        let wrong = |text: &str| match Baseline::parse(text) {
            Err(BaselineError::Syntax { message, line, .. }) => format!("{line}: {message}"),
            other => format!("{other:?}"),
        };
        assert_eq!(wrong("{\n<<<<<<< HEAD"), "2: key must be a string");
        assert_eq!(
            wrong("{\"format\": 1, \"findings\": [], \"x\": 1}").split(',').next(),
            Some("1: unknown field `x`")
        );
        let entry = "{\"column\": \"a.b\", \"rule\": \"NC009\", \"place\": \"a.rs\", \"line\": \"xyz\", \"count\": 1}";
        let text = format!("{{\"format\": 1, \"findings\": [\n{entry}]}}");
        assert_eq!(wrong(&text), "2: `xyz` is no hash of a line");
        assert!(matches!(
            Baseline::parse("{\"format\": 2, \"findings\": []}"),
            Err(BaselineError::Format { found: 2 })
        ));
    }
}
