use proptest::prelude::*;

use super::*;

fn built(pages: f64, key_width: f64, keys: Keys) -> Tree {
    Tree { pages, entries: 100_000.0, key_width, keys, age: Age::Built }
}

#[test]
fn the_formula_of_images_is_that_of_the_note() {
    // 0.9 · 8192 · (N / k) · (1 − e^(−k / N)), but for the new entry on the page and the parts of the
    // tree that are no leaves.
    for (leaves, entries) in [(724.0, 500.0), (276.0, 100.0), (276.0, 2000.0)] {
        let tree = built(leaves, 4.0, Keys::random());
        let cost = tree.cost(Traffic::per_checkpoint(entries));
        let short = 0.9 * 8192.0 * leaves / entries * (1.0 - f64::exp(-entries / leaves));
        let long = cost.images / entries;
        assert!((long / short - 1.0).abs() < 0.02, "{leaves} {entries}: {long} {short}");
    }
}

#[test]
fn the_dominating_term_is_named() {
    let random = built(724.0, 33.0, Keys::random());
    let (term, share) = random.cost(Traffic::per_checkpoint(500.0)).dominating();
    assert_eq!(term.to_string(), "page images after a checkpoint");
    assert!(share > 0.95, "{share}");
    let warm = Traffic { already: 1e4, entries: 500.0 };
    assert_eq!(built(276.0, 4.0, Keys::ascending()).cost(warm).dominating().0, Term::Records);
    let rarer = random.with_rarer_checkpoints(Traffic::per_checkpoint(500.0), 6.0);
    let often = random.cost(Traffic::per_checkpoint(500.0));
    assert!(rarer.per_entry() < often.per_entry() / 2.0, "{rarer:?}");
}

#[test]
fn the_ratio_of_pganalyze_is_theirs() {
    // The two indexes of the note: 0.09 and 0.32 at a row of 130 bytes.
    assert!((iwo(&[4.0], &[4.0, 99.0], 1.0) - 0.092).abs() < 0.001);
    assert!((iwo(&[33.0], &[33.0, 70.0], 1.0) - 0.315).abs() < 0.001);
    assert!((iwo(&[33.0], &[33.0, 70.0], 0.5) - 0.158).abs() < 0.001);
}

#[test]
fn keys_are_read_out_of_statistics() {
    let plain = ColumnStatistics {
        null_frac: 0.0,
        n_distinct: -1.0,
        correlation: Some(1.0),
        most_common: vec![],
    };
    assert_eq!(Keys::from_statistics(&plain, 1e6), Keys::ascending());
    let shuffled = ColumnStatistics { correlation: Some(0.01), ..plain.clone() };
    assert_eq!(Keys::from_statistics(&shuffled, 1e6), Keys::random());
    // Nine of ten rows have no value yet, and a third of the others the same one.
    let sparse = ColumnStatistics {
        null_frac: 0.9,
        n_distinct: 500.0,
        correlation: None,
        most_common: vec![0.03],
    };
    let keys = Keys::from_statistics(&sparse, 1e6);
    let shares: Vec<_> = keys.places.iter().map(|p| (p.share, p.values)).collect();
    assert_eq!(shares[..2], [(0.9, Some(1.0)), (0.03, Some(1.0))]);
    assert!((shares[2].0 - 0.07).abs() < 1e-9 && shares[2].1 == Some(499.0), "{shares:?}");
    assert_eq!(keys.distinct, Some(501.0));
}

#[test]
fn a_partial_index_has_the_rows_that_statistics_say() {
    let statistics = ColumnStatistics {
        null_frac: 0.6,
        n_distinct: 12.0,
        correlation: None,
        most_common: vec![0.2, 0.1],
    };
    let of = |predicate: Predicate| predicate.selectivity(&statistics, 1e6);
    let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
    assert!(near(of(Predicate::Everything), 1.0) && near(of(Predicate::NotNull), 0.4));
    assert!(near(of(Predicate::Null), 0.6) && near(of(Predicate::Common(1)), 0.1));
    assert!(near(of(Predicate::Common(2)), 0.0) && near(of(Predicate::Uncommon), 0.01));
    let filled = Predicate::NotNull.narrow(&statistics);
    assert!(near(filled.null_frac, 0.0) && near(filled.most_common[0], 0.5), "{filled:?}");
    for predicate in [Predicate::Null, Predicate::Common(0), Predicate::Uncommon] {
        let keys = Keys::from_statistics(&predicate.narrow(&statistics), 1e6);
        assert!(keys.places.len() == 1 && near(keys.places[0].share, 1.0), "{keys:?}");
    }
    let sparse = ColumnStatistics { n_distinct: -0.4, most_common: vec![], ..statistics };
    assert_eq!(Keys::from_statistics(&Predicate::NotNull.narrow(&sparse), 1e6), Keys::random());
}

fn keys() -> impl Strategy<Value = Keys> {
    prop_oneof![
        Just(Keys::random()),
        Just(Keys::ascending()),
        (1.0..1e6_f64).prop_map(Keys::repeated),
        (1.0..1e6_f64).prop_map(|distinct| Keys::repeated(distinct).unmerged()),
        (0.0..1.0_f64, 1.0..1e5_f64).prop_map(|(null_frac, n_distinct)| {
            let most_common = vec![(1.0 - null_frac) / 2.0];
            let statistics =
                ColumnStatistics { null_frac, n_distinct, correlation: None, most_common };
            Keys::from_statistics(&statistics, 1e6)
        }),
    ]
}

proptest! {
    /// More entries never write less, and in one go as much as in two.
    #[test]
    fn entries_add_up(keys in keys(), pages in 2.0..1e6_f64, width in 1.0..500.0_f64,
        first in 0.0..1e5_f64, second in 0.0..1e5_f64, grown: bool) {
        let age = if grown { Age::Grown } else { Age::Built };
        let tree = Tree { pages, entries: 1e6, key_width: width, keys, age };
        let a = tree.cost(Traffic::per_checkpoint(first));
        let b = tree.cost(Traffic { already: first, entries: second });
        let whole = tree.cost(Traffic::per_checkpoint(first + second));
        for cost in [a, b, whole] {
            prop_assert!(cost.records >= 0.0 && cost.images >= -1e-6, "{cost:?}");
            prop_assert!(cost.splits >= -1e-6 && cost.merging >= 0.0, "{cost:?}");
            prop_assert!(cost.total().is_finite(), "{cost:?}");
        }
        let rest = |cost: &Cost| cost.records + cost.images;
        prop_assert!((rest(&a) + rest(&b) - rest(&whole)).abs() <= 1e-6 * rest(&whole).max(1.0));
    }
}
