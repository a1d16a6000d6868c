//! Leaves that overflow, and duplicates that are merged so that they do not.

use super::{
    Age, BUILT, BUILT_INNER, End, PAGE, POINTER, Place, RECORD, ROOM, Traffic, Tree, touched,
};

/// Bytes of a split's record beside the entries that move: headers of four pages, and a high key.
const SPLIT_RECORD: f64 = 110.0;
/// Bytes of a merging pass, and of each value in it.
const PASS: f64 = 52.0;
const PASS_VALUE: f64 = 4.0;
/// Bytes of one more row in a merged entry.
const ROW: f64 = 6.0;

/// What overflowing writes.
pub(super) struct Splits {
    pub(super) bytes: f64,
    pub(super) merging: f64,
}

pub(super) fn splits(tree: &Tree, traffic: Traffic) -> Splits {
    let entry = tree.entry_bytes();
    let until = traffic.already + traffic.entries;
    let moved = |share: f64| share * ROOM * entry / (entry + POINTER) + entry + SPLIT_RECORD;
    // The page to the right may not have been changed since the checkpoint.
    let since = Traffic { already: 0.0, entries: until };
    let places = tree.places();
    let changed: f64 = places.iter().map(|place| touched(place, since)).sum();
    let untouched = (1.0 - changed / tree.leaves()).max(0.0);
    let mut splits = Splits { bytes: 0.0, merging: 0.0 };
    for (place, pages) in &places {
        let pages = *pages;
        let number = |entries| count(tree, place, pages, entries);
        let before = number(traffic.already);
        // What differs by rounding alone is no split taken back.
        let after = number(until).max(before);
        let parent = BUILT_INNER * PAGE;
        let (half, parents, parent) = match place.end {
            // Above, too, the last page is half full.
            End::Right => (moved(1.0 - BUILT), 1.0, parent / 2.0),
            End::Inner => {
                let sibling = tree.image_bytes(End::Inner) * untouched;
                (moved(0.5) + sibling, (pages / tree.fanout()).max(1.0), parent)
            }
        };
        // The pages above are changed for the first time, too.
        let above = parents * ((-before / parents).exp() - (-after / parents).exp());
        splits.bytes += (after - before) * (half + RECORD + entry) + above * parent;
        splits.merging += merging(tree, place, pages, traffic);
    }
    splits
}

/// Returns how many pages of a place have become two, after some entries of all.
fn count(tree: &Tree, place: &Place, pages: f64, entries: f64) -> f64 {
    let entry = tree.entry_bytes();
    let grows = if tree.keys.merged { ROW } else { entry + POINTER };
    let arrived = entries * place.share;
    match (place.end, tree.age) {
        (End::Right, _) => arrived * grows / (ROOM * BUILT),
        (End::Inner, Age::Grown) => arrived * grows / (ROOM * std::f64::consts::LN_2),
        (End::Inner, Age::Built) => pages * overflowing(tree, arrived / pages, grows),
    }
}

/// Returns how many times a page has overflowed after some entries, as the tree was when built.
fn overflowing(tree: &Tree, arrived: f64, grows: f64) -> f64 {
    let (least, average) = tree.free();
    if tree.keys.merged {
        // Pages differ by what is free on them far more than by what arrives.
        let spread = (2.0 * (average - least)).max(1.0);
        return ((arrived * grows - least) / spread).clamp(0.0, 1.0);
    }
    let first = above(arrived, least / grows);
    // Each half fills again, with half of what comes.
    let again = (arrived - least / grows) / 2.0;
    first + 2.0 * above(again.max(0.0), ROOM / 2.0 / grows)
}

/// Returns how likely a Poisson count of that mean is above some number.
fn above(mean: f64, limit: f64) -> f64 {
    if mean <= 0.0 {
        return 0.0;
    }
    // Far from the limit the sum has too many terms, and the normal law says the same.
    if mean > 500.0 {
        return f64::from(u8::from(mean > limit));
    }
    let (mut term, mut sum) = ((-mean).exp(), 0.0);
    for count in 0..=(limit.max(0.0) as u32).min(2000) {
        sum += term;
        term *= mean / f64::from(count + 1);
    }
    (1.0 - sum).max(0.0)
}

/// Returns what merging duplicates writes.
///
/// A page that is full is merged, which leaves six bytes of each new entry. So it fills again after as
/// many entries as fit into what is left, `(T + 4) / (free − 6j)` passes for the *j*th entry.
fn merging(tree: &Tree, place: &Place, pages: f64, traffic: Traffic) -> f64 {
    if !tree.keys.merged {
        return 0.0;
    }
    let entry = tree.entry_bytes() + POINTER;
    let (_, free) = tree.free();
    let passes = |entries: f64| {
        let arrived = entries * place.share / pages;
        // Before it is full for the first time there is nothing to merge; after a split it has half a
        // page, and the same begins again.
        let used = (ROW * arrived).min(0.9 * free);
        if arrived * entry < free { 0.0 } else { entry / ROW * (free / (free - used)).ln() }
    };
    let number = passes(traffic.already + traffic.entries) - passes(traffic.already);
    let values = (tree.keys.distinct.unwrap_or(1.0) / tree.leaves()).max(1.0);
    let between = traffic.entries * place.share / pages / number.max(1e-9);
    let merged = values * (1.0 - (-between / values).exp());
    pages * number * (PASS + PASS_VALUE * merged)
}
