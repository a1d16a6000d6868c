//! Reads the text format of Prometheus as strictly as its documentation has it.

use std::collections::{BTreeMap, BTreeSet};

/// Names and values.
type Labels = Vec<(String, String)>;

/// One line with a number.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample {
    pub(super) name: String,
    pub(super) labels: Labels,
    pub(super) value: f64,
}

/// Reads all samples, and fails on what Prometheus would refuse or warn of.
pub(super) fn read(text: &str) -> Vec<Sample> {
    assert!(text.is_empty() || text.ends_with('\n'), "no end of line at the end");
    let mut types: BTreeMap<String, String> = BTreeMap::new();
    let mut helped = BTreeSet::new();
    let mut ended: BTreeSet<String> = BTreeSet::new();
    let mut current = String::new();
    let mut seen = BTreeSet::new();
    let mut samples = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect(line);
            assert!(is_name(name) && !help.is_empty() && helped.insert(name.to_owned()), "{line}");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect(line);
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert!(kind != "counter" || name.ends_with("_total"), "{line}");
            assert!(types.insert(name.to_owned(), kind.to_owned()).is_none(), "{line}");
        } else {
            let sample = sample(line);
            let family = family(&sample.name, &types);
            assert!(helped.contains(&family), "no help before {line}");
            // Lines of a family stand together.
            if family != current {
                assert!(!ended.contains(&family), "{line} is apart from its family");
                ended.insert(std::mem::replace(&mut current, family.clone()));
            }
            assert!(types[&family] == "gauge" || sample.value >= 0.0, "{line}");
            assert!(seen.insert((sample.name.clone(), sample.labels.clone())), "twice: {line}");
            samples.push(sample);
        }
    }
    histograms(&samples, &types);
    samples
}

fn family(name: &str, types: &BTreeMap<String, String>) -> String {
    let of_histogram = ["_bucket", "_sum", "_count"].iter().find_map(|end| {
        let base = name.strip_suffix(end)?;
        (types.get(base).map(String::as_str) == Some("histogram")).then(|| base.to_owned())
    });
    let family = of_histogram.unwrap_or_else(|| name.to_owned());
    assert!(types.contains_key(&family), "no type before {name}");
    family
}

fn sample(line: &str) -> Sample {
    let (head, value) = line.rsplit_once(' ').expect(line);
    let (name, labels) = match head.split_once('{') {
        None => (head, Vec::new()),
        Some((name, rest)) => (name, labels(rest.strip_suffix('}').expect(line))),
    };
    assert!(is_name(name), "{line}");
    Sample { name: name.to_owned(), labels, value: value.parse().expect(line) }
}

fn labels(text: &str) -> Labels {
    let mut all = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").expect(text);
        assert!(is_name(name) && !name.contains(':'), "{text}");
        let mut value = String::new();
        let mut chars = after.char_indices();
        let end = loop {
            match chars.next().expect(text) {
                (at, '"') => break at,
                (_, '\\') => match chars.next().expect(text).1 {
                    'n' => value.push('\n'),
                    c @ ('\\' | '"') => value.push(c),
                    other => panic!("escape of {other}: {text}"),
                },
                (_, c) => value.push(c),
            }
        };
        assert!(all.iter().all(|(known, _)| known != name), "{name} twice: {text}");
        all.push((name.to_owned(), value));
        rest = &after[end + 1..];
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    all
}

fn is_name(name: &str) -> bool {
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
    name.starts_with(is_first) && name.chars().all(|c| is_first(c) || c.is_ascii_digit())
}

/// Buckets grow up to that of all, which is the count.
fn histograms(samples: &[Sample], types: &BTreeMap<String, String>) {
    for (family, _) in types.iter().filter(|(_, kind)| *kind == "histogram") {
        let mut buckets: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
        for sample in samples.iter().filter(|s| s.name == format!("{family}_bucket")) {
            let (le, others): (Vec<_>, Vec<_>) =
                sample.labels.iter().cloned().partition(|(name, _)| name == "le");
            let bound = le[0].1.replace("+Inf", "inf").parse().unwrap();
            buckets.entry(others).or_default().push((bound, sample.value));
        }
        for (labels, buckets) in buckets {
            assert!(buckets.windows(2).all(|two| two[0].0 < two[1].0 && two[0].1 <= two[1].1));
            let count =
                samples.iter().find(|s| s.name == format!("{family}_count") && s.labels == labels);
            assert_eq!(buckets.last().unwrap(), &(f64::INFINITY, count.unwrap().value));
        }
    }
}

#[test]
fn what_prometheus_refuses_is_refused() {
    const HEAD: &str = "# HELP a_total A.\n# TYPE a_total counter\n";
    let refused = |text: &str| std::panic::catch_unwind(|| read(text)).is_err();
    assert_eq!(read(&format!("{HEAD}a_total{{x=\"\\\"\\n\"}} 1\n"))[0].labels[0].1, "\"\n");
    for bad in [
        "a_total 1\n",
        &format!("{HEAD}a_total 1"),
        &format!("{HEAD}a_total one\n"),
        &format!("{HEAD}a_total -1\n"),
        &format!("{HEAD}a_total 1\na_total 1\n"),
        &format!("{HEAD}a_total{{x=\"\\q\"}} 1\n"),
        &format!("{HEAD}a_total{{x=\"a\nb\"}} 1\n"),
        "# HELP a A.\n# TYPE a counter\na 1\n",
    ] {
        assert!(refused(bad), "{bad}");
    }
}
