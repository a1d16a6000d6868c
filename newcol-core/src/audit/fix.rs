//! Applies fixes, to texts.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;

use super::{
    finding::{Edit, Finding, Where},
    sources::SourceFile,
};

/// More rounds than any chain of fixes has; a fix that never ends is a mistake of ours.
const ROUNDS: usize = 16;

/// Sources after their fixes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mended {
    /// All files, changed or not.
    pub files: Vec<SourceFile>,
    /// How many fixes were applied.
    pub applied: usize,
}

/// Applies the fixes of the findings that `audit` has of the sources, and audits again, until nothing
/// changes. Of fixes that overlap, the first one is applied, and the others as they are then.
pub fn mend(files: Vec<SourceFile>, audit: impl Fn(&[SourceFile]) -> Vec<Finding>) -> Mended {
    let mut mended = Mended { files, applied: 0 };
    for _ in 0..ROUNDS {
        let findings = audit(&mended.files);
        let applied = round(&mut mended.files, &findings);
        if applied == 0 {
            break;
        }
        mended.applied += applied;
    }
    mended
}

/// Applies fixes that do not overlap, and returns how many.
fn round(files: &mut [SourceFile], findings: &[Finding]) -> usize {
    let mut chosen: BTreeMap<&Utf8PathBuf, Vec<&Edit>> = BTreeMap::new();
    let mut applied = 0;
    for finding in findings {
        let (Some(fix), Where::File { path, .. }) = (&finding.fix, &finding.place) else {
            continue;
        };
        let Some(file) = files.iter().find(|file| file.path == *path) else { continue };
        let edits = chosen.entry(path).or_default();
        let fits = |edit: &Edit| file.text.get(edit.range.clone()).is_some();
        let free = |edit: &Edit| edits.iter().all(|other| !overlap(edit, other));
        if fix.edits.iter().all(|edit| fits(edit) && free(edit)) {
            edits.extend(&fix.edits);
            applied += 1;
        }
    }
    for (path, mut edits) in chosen {
        edits.sort_by_key(|edit| edit.range.start);
        let file = files.iter_mut().find(|file| file.path == *path);
        let text = &mut file.expect("edits are of files at hand").text;
        for edit in edits.iter().rev() {
            text.replace_range(edit.range.clone(), &edit.text);
        }
    }
    applied
}

/// Reports whether one edit changes what the other one counts on; two insertions at one place do.
fn overlap(one: &Edit, other: &Edit) -> bool {
    one.range.start < other.range.end && other.range.start < one.range.end
        || one.range.start == other.range.start
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        audit::{Fix, rules::REPLACE_INTO},
        plan::StageKind,
        schema::Place,
    };

    fn finding(text: &str, edits: Vec<Edit>) -> Finding {
        let at = Place::new(text, edits[0].range.clone());
        Finding {
            rule: &REPLACE_INTO,
            class: REPLACE_INTO.class,
            due: StageKind::Expand,
            place: Where::File { path: "a.rs".into(), at },
            message: "it is so".to_owned(),
            help: None,
            fix: Some(Fix { message: "mend it".to_owned(), edits }),
        }
    }

    fn files(text: &str) -> Vec<SourceFile> {
        vec![SourceFile { path: "a.rs".into(), text: text.to_owned() }]
    }

    fn edit(range: std::ops::Range<usize>, text: &str) -> Edit {
        Edit { range, text: text.to_owned() }
    }

    /// Every `a` becomes `b`, by a fix that also takes what follows it.
    fn greedy(files: &[SourceFile]) -> Vec<Finding> {
        let text = &files[0].text;
        let every = text.match_indices('a').map(|(at, _)| {
            let end = (at + 2).min(text.len());
            finding(text, vec![edit(at..end, &format!("b{}", &text[at + 1..end]))])
        });
        every.collect()
    }

    #[test]
    fn of_overlapping_fixes_the_first_wins_and_the_next_round_does_the_rest() {
        let mended = mend(files("caaat"), greedy);
        assert_eq!((mended.files[0].text.as_str(), mended.applied), ("cbbbt", 3));
    }

    #[test]
    fn a_fix_is_applied_whole_or_not_at_all() {
        let audit = |files: &[SourceFile]| {
            let text = &files[0].text;
            match text.as_str() {
                "one two" => vec![
                    finding(text, vec![edit(0..3, "1")]),
                    finding(text, vec![edit(2..3, "x"), edit(4..7, "2")]),
                ],
                _ => Vec::new(),
            }
        };
        assert_eq!(mend(files("one two"), audit).files, files("1 two"));
    }

    #[test]
    fn a_fix_outside_of_its_file_is_left() {
        let audit = |files: &[SourceFile]| vec![finding(&files[0].text, vec![edit(9..12, "")])];
        assert_eq!(mend(files("short"), audit), Mended { files: files("short"), applied: 0 });
    }

    #[test]
    fn a_fix_that_never_ends_is_stopped() {
        let audit = |files: &[SourceFile]| vec![finding(&files[0].text, vec![edit(0..0, "x")])];
        assert_eq!(mend(files(""), audit).applied, ROUNDS);
    }

    proptest! {
        #[test]
        fn every_a_is_mended(text in "[abc]{0,14}") {
            let mended = mend(files(&text), greedy);
            prop_assert_eq!(&mended.files[0].text, &text.replace('a', "b"));
            prop_assert_eq!(mended.applied, text.matches('a').count());
        }
    }
}
