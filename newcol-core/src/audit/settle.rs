//! What several layers found, as one list.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;

use super::{
    finding::{Class, Finding, Where},
    rules::DOES_NOT_COMPILE,
};

/// Sorts findings by place, and merges those that say the same.
///
/// Where the compiler breaks off at a place of which a layer can say why, the layer's finding
/// stays, and is due as early as the compiler proves.
pub fn settle(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by(|one, other| key(one).cmp(&key(other)));
    findings.dedup_by(|later, first| {
        let same = later.rule == first.rule && later.place == first.place;
        if same {
            first.due = first.due.min(later.due);
            first.fix = first.fix.take().or_else(|| later.fix.take());
        }
        same
    });
    let (compiler, mut telling): (Vec<Finding>, Vec<Finding>) =
        findings.into_iter().partition(|finding| *finding.rule == DOES_NOT_COMPILE);
    let mut lines: BTreeMap<(Utf8PathBuf, usize), Vec<usize>> = BTreeMap::new();
    for (at, finding) in telling.iter().enumerate() {
        if let (Class::Compile, Where::File { path, at: place }) = (finding.class, &finding.place) {
            lines.entry((path.clone(), place.line)).or_default().push(at);
        }
    }
    for error in compiler {
        let Where::File { path, at } = &error.place else {
            telling.push(error);
            continue;
        };
        let near = lines.get(&(path.clone(), at.line)).into_iter().flatten();
        let explained: Vec<usize> =
            near.copied().filter(|near| touch(&telling[*near].place, &error.place)).collect();
        for near in &explained {
            telling[*near].due = telling[*near].due.min(error.due);
        }
        if explained.is_empty() {
            telling.push(error);
        }
    }
    telling.sort_by(|one, other| key(one).cmp(&key(other)));
    telling
}

/// Reports whether two places of one file have bytes in common.
fn touch(one: &Where, other: &Where) -> bool {
    match (one, other) {
        (Where::File { at: one, .. }, Where::File { at: other, .. }) => {
            one.range.start <= other.range.end && other.range.start <= one.range.end
        }
        _ => false,
    }
}

fn key(finding: &Finding) -> impl Ord + '_ {
    let (group, name, start, end) = match &finding.place {
        Where::File { path, at } => (0, path.as_str(), at.range.start, at.range.end),
        Where::Database(object) => (1, object.as_str(), 0, 0),
        Where::Package(name) => (2, name.as_str(), 0, 0),
        Where::Statement { sql, .. } => (3, sql.as_str(), 0, 0),
    };
    (group, name, start, end, finding.rule.id, &finding.message)
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::select};

    use super::*;
    use crate::{
        audit::{
            Edit, Fix,
            rules::{POSITIONAL_QUERYABLE, REPLACE_INTO, Rule},
        },
        plan::StageKind,
        schema::Place,
    };

    const TEXT: &str = "one two three\nfour five six\n";

    fn at(rule: &'static Rule, range: std::ops::Range<usize>) -> Finding {
        Finding {
            rule,
            class: rule.class,
            due: StageKind::Expand,
            place: Where::File { path: "a.rs".into(), at: Place::new(TEXT, range) },
            message: "it is so".to_owned(),
            help: None,
            fix: None,
        }
    }

    #[test]
    fn the_layer_knows_more_than_the_compiler() {
        let shape = Finding { due: StageKind::Constrain, ..at(&POSITIONAL_QUERYABLE, 4..7) };
        let settled = settle(vec![at(&DOES_NOT_COMPILE, 0..13), shape.clone()]);
        assert_eq!(settled, [Finding { due: StageKind::Expand, ..shape }]);
    }

    #[test]
    fn what_only_the_compiler_knows_stays() {
        let other_line = at(&POSITIONAL_QUERYABLE, 14..18);
        let other_class = at(&REPLACE_INTO, 4..7);
        let error = at(&DOES_NOT_COMPILE, 4..7);
        let settled = settle(vec![other_line.clone(), error.clone(), other_class.clone()]);
        assert_eq!(settled, [other_class, error, other_line]);
    }

    #[test]
    fn of_two_equal_findings_the_fix_survives() {
        let fix = Fix {
            message: "mend it".to_owned(),
            path: None,
            edits: vec![Edit { range: 4..7, text: "2".to_owned() }],
        };
        let mended = Finding { fix: Some(fix), ..at(&REPLACE_INTO, 4..7) };
        assert_eq!(settle(vec![at(&REPLACE_INTO, 4..7), mended.clone()]), [mended]);
    }

    proptest! {
        #[test]
        fn settling_is_stable_and_ignores_the_order(
            found in proptest::collection::vec(
                (
                    select(vec![&DOES_NOT_COMPILE, &POSITIONAL_QUERYABLE, &REPLACE_INTO]),
                    0..20_usize,
                    0..6_usize,
                ),
                0..12,
            ),
            seed in any::<u64>(),
        ) {
            let findings: Vec<Finding> =
                found.into_iter().map(|(rule, start, length)| at(rule, start..start + length)).collect();
            let mut shuffled = findings.clone();
            fastrand::Rng::with_seed(seed).shuffle(&mut shuffled);
            let settled = settle(findings);
            prop_assert_eq!(&settle(shuffled), &settled);
            prop_assert_eq!(&settle(settled.clone()), &settled);
        }
    }
}
