//! `// newcol:allow(NC009): reason`: what the code says of a finding itself.
//!
//! A comment behind code is about the findings that begin on its line; one that stands alone is about
//! the line below it, and about the comments and attributes between.

use std::ops::RangeInclusive;

use super::{comment, report::Remark, rules::Rule, sources::SourceFile};
use crate::schema::Place;

const WORD: &str = "newcol:allow";

/// A comment that acknowledges findings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Allow {
    /// The rules that it names, each with its place.
    pub(super) rules: Vec<(&'static Rule, Place)>,
    /// The lines of the findings that it is about.
    pub(super) lines: RangeInclusive<usize>,
    pub(super) reason: String,
}

/// Finds the comments of a file, and what is wrong with some.
pub(super) fn find(file: &SourceFile) -> (Vec<Allow>, Vec<Remark>) {
    let (mut allows, mut remarks) = (Vec::new(), Vec::new());
    if !file.text.contains(WORD) {
        return (allows, remarks);
    }
    let lines: Vec<&str> = file.text.split('\n').collect();
    let mut offset = 0;
    for (at, line) in lines.iter().enumerate() {
        if let Some(comment) = comment::find(line, WORD) {
            let remark = |range: std::ops::Range<usize>, message: String, help: &str| Remark {
                path: file.path.clone(),
                at: Place::new(&file.text, offset + range.start..offset + range.end),
                message,
                help: help.to_owned(),
            };
            match read(line, comment) {
                Err(wrong) => remarks.push(remark(wrong.range, wrong.message, wrong.help)),
                Ok(read) => {
                    let mut rules = Vec::new();
                    for (name, range) in read.names {
                        match Rule::find(name) {
                            Some(rule) => {
                                let range = offset + range.start..offset + range.end;
                                rules.push((rule, Place::new(&file.text, range)));
                            }
                            None => remarks.push(remark(
                                range,
                                format!("there is no rule `{name}`"),
                                "`cargo newcol explain` lists them",
                            )),
                        }
                    }
                    let last = if read.stands_alone { subject(&lines, at) } else { at };
                    let reason = read.reason.to_owned();
                    allows.push(Allow { rules, lines: at + 1..=last + 1, reason });
                }
            }
        }
        offset += line.len() + 1;
    }
    (allows, remarks)
}

/// A comment as it is written.
struct Read<'a> {
    names: Vec<(&'a str, std::ops::Range<usize>)>,
    reason: &'a str,
    stands_alone: bool,
}

/// What is wrong with a comment, at bytes of its line.
struct Wrong {
    range: std::ops::Range<usize>,
    message: String,
    help: &'static str,
}

fn read(line: &str, word: usize) -> Result<Read<'_>, Wrong> {
    const FORM: &str = "write `newcol:allow(NC009): reason`";
    let before = line[..word].trim_end();
    let stands_alone = before[..before.len() - 2].trim().is_empty();
    let inner = word + WORD.len();
    let end = line.trim_end().len();
    let wrong = |message: String, help| Wrong { range: word..end, message, help };
    let unread = || wrong("the comment does not name rules in brackets".to_owned(), FORM);
    let list = line[inner..].strip_prefix('(').ok_or_else(unread)?;
    let (list, rest) = list.split_once(')').ok_or_else(unread)?;
    let mut names = Vec::new();
    let mut at = inner + 1;
    for part in list.split(',') {
        let name = part.trim();
        let start = at + (part.len() - part.trim_start().len());
        if name.is_empty() {
            return Err(unread());
        }
        names.push((name, start..start + name.len()));
        at += part.len() + 1;
    }
    let reason = rest.trim().trim_end_matches("*/").trim_end().strip_prefix(':').map(str::trim);
    match reason {
        Some(reason) if !reason.is_empty() => Ok(Read { names, reason, stands_alone }),
        Some(_) | None => Err(wrong(
            "the comment gives no reason, and acknowledges nothing without one".to_owned(),
            FORM,
        )),
    }
}

/// Returns the line that a comment alone on its line is about: the next one that is neither comment
/// nor attribute.
fn subject(lines: &[&str], comment: usize) -> usize {
    let mut open = 0_usize;
    for (at, line) in lines.iter().enumerate().skip(comment + 1) {
        let text = line.trim();
        let is_comment = ["//", "--", "/*", "*"].iter().any(|marker| text.starts_with(marker));
        if open == 0 && is_comment {
            continue;
        }
        if open > 0 || text.starts_with("#[") {
            open += text.matches('[').count();
            open = open.saturating_sub(text.matches(']').count());
            if open > 0 || text.ends_with(']') {
                continue;
            }
        }
        return at;
    }
    comment
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Vec<String> {
        let file = SourceFile { path: "a.rs".into(), text: text.to_owned() };
        let (allows, remarks) = find(&file);
        let allows = allows.iter().map(|allow| {
            let ids: Vec<String> =
                allow.rules.iter().map(|(rule, at)| format!("{}@{at}", rule.id)).collect();
            format!("{} in {:?}: {}", ids.join(" "), allow.lines, allow.reason)
        });
        let remarks = remarks.iter().map(|remark| format!("{} {}", remark.at, remark.message));
        allows.chain(remarks).collect()
    }

    #[test]
    fn a_comment_behind_code_is_about_its_line() {
        let text = "a();\nb(); // newcol:allow(NC009): it is a cache\nc();\n";
        assert_eq!(said(text), ["NC009@2:22 in 2..=2: it is a cache"]);
        assert_eq!(
            said("INSERT INTO t VALUES (1); -- newcol:allow(insert-without-list): seeds\n"),
            ["NC105@1:43 in 1..=1: seeds"]
        );
        assert_eq!(said("x /* newcol:allow(NC009): y */ z"), ["NC009@1:19 in 1..=1: y */ z"]);
    }

    #[test]
    fn a_comment_above_reaches_over_comments_and_attributes() {
        let text = "\
// newcol:allow(NC001, NC002): the cache is dropped
// with every release
#[derive(Queryable)]
#[diesel(
    table_name = users,
)]
/// A user.
struct User {
    id: i32,
}
";
        assert_eq!(said(text), ["NC001@1:17 NC002@1:24 in 1..=8: the cache is dropped"]);
    }

    #[test]
    fn an_attribute_before_its_item_ends_the_search() {
        let text = "// newcol:allow(NC001): why\n#[derive(Queryable)] struct A(i32);\nstruct B;\n";
        assert_eq!(said(text), ["NC001@1:17 in 1..=2: why"]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert_eq!(
            said("// newcol:allow(NC009)\n"),
            ["1:4 the comment gives no reason, and acknowledges nothing without one"]
        );
        assert_eq!(
            said("/* newcol:allow(NC009):   */\n"),
            ["1:4 the comment gives no reason, and acknowledges nothing without one"]
        );
        assert_eq!(
            said("// newcol:allow NC009: why\n"),
            ["1:4 the comment does not name rules in brackets"]
        );
        assert_eq!(
            said("// newcol:allow(): why\n"),
            ["1:4 the comment does not name rules in brackets"]
        );
        assert_eq!(
            said("// newcol:allow(NC009, no-such): why"),
            ["NC009@1:17 in 1..=1: why", "1:24 there is no rule `no-such`"]
        );
    }

    #[test]
    fn words_outside_of_a_comment_are_nothing() {
        assert_eq!(said("let a = \"newcol:allow(NC009): why\";\n"), [""; 0]);
        assert_eq!(said("// see newcol:allow(NC009): why\n"), [""; 0]);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(parts in proptest::collection::vec(
            proptest::sample::select(vec![
                "// ", "-- ", "/*", "*/", "newcol:allow", "(", ")", "NC009", ",", ":", " ", "é", "\n",
                "\r\n", "#[", "]", "why",
            ]),
            0..40,
        )) {
            let text = parts.concat();
            for line in said(&text) {
                proptest::prop_assert!(!line.is_empty());
            }
        }
    }
}
