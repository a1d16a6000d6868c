//! Which nullable columns of a row are NULL. Pure.
//!
//! Columns that a check, a foreign key or a choice of values ties together are NULL in the same
//! ways; all others by themselves.

use super::{
    candidates,
    recipe::{How, Recipe},
};

/// Ways to be NULL that are tried for columns that hang together.
const TRIES: usize = 24;

/// Columns that hang together and are NULL in some rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gap {
    /// The columns.
    pub(super) columns: Vec<usize>,
    /// Which of them are NULL, in every way that the server takes; most of them come first.
    pub(super) ways: Vec<Vec<bool>>,
    /// Whether that is so in every row and not only in some.
    pub(super) in_every_row: bool,
}

impl Gap {
    /// Reports whether a column is NULL in a row and its changes, counted together.
    ///
    /// Every other turn is complete, so that no change leaves a NULL as it is. Of the rest the
    /// first take each way once, and later ones are mixed, for each column differently.
    pub(super) fn is_null(&self, column: usize, turn: u64) -> bool {
        let Some(place) = self.columns.iter().position(|other| *other == column) else {
            return false;
        };
        let count = self.ways.len() as u64;
        let way = match turn {
            _ if self.in_every_row => 0,
            0 => return false,
            _ if turn % 2 == 1 => return false,
            _ if turn / 2 <= count => turn / 2 - 1,
            // One of the ways, or none.
            _ => mixed(turn, self.columns[0] as u64) % (count + 1),
        };
        self.ways.get(way as usize).is_some_and(|way| way[place])
    }

    /// Lets columns be NULL in one way, in every row.
    pub(super) fn in_every_row(columns: &[usize], way: Vec<bool>) -> Self {
        Self { columns: columns.to_vec(), ways: vec![way], in_every_row: true }
    }
}

/// Returns the columns that may be NULL, as far as the catalog says, grouped by what ties them
/// together.
pub(super) fn groups(recipe: &Recipe) -> Vec<Vec<usize>> {
    let shape = &recipe.shape;
    let mut group_of: Vec<usize> = (0..shape.columns.len()).collect();
    let checks = shape.checks.iter().map(|check| &check.columns);
    let picks = recipe.picks.iter().map(|pick| &pick.columns);
    let links = recipe.links.iter().map(|link| &link.columns);
    for tied in checks.chain(picks).chain(links) {
        let joined: Vec<usize> = tied.iter().map(|column| group_of[*column]).collect();
        let Some(first) = joined.first() else { continue };
        for group in &mut group_of {
            if joined.contains(group) {
                *group = *first;
            }
        }
    }
    let needed = needed(recipe);
    let picked = |column| recipe.picks.iter().any(|pick| pick.columns.contains(&column));
    let may = |column: &usize| {
        let always = recipe.hows[*column] == How::Null && !picked(*column);
        shape.columns[*column].nullable && !always && !needed.contains(column)
    };
    let all = 0..shape.columns.len();
    let groups = all
        .clone()
        .map(|group| all.clone().filter(|column| group_of[*column] == group).filter(may).collect());
    groups.filter(|columns: &Vec<usize>| !columns.is_empty()).collect()
}

/// Returns the ways in which so many columns can be NULL, likeliest first.
pub(super) fn ways(count: usize) -> impl Iterator<Item = Vec<bool>> {
    let masks = candidates::masks(&vec![true; count]).into_iter();
    masks.filter(|mask| mask.contains(&true)).take(TRIES)
}

/// Returns the columns without which a row cannot be told from others or point to itself.
fn needed(recipe: &Recipe) -> Vec<usize> {
    let shape = &recipe.shape;
    let is_sure = |key: &&Vec<usize>| {
        !key.iter().any(|at| shape.columns[*at].nullable || shape.columns[*at].always)
    };
    let mut needed: Vec<usize> = match shape.uniques.iter().find(is_sure) {
        Some(_) => Vec::new(),
        None => shape.uniques.concat(),
    };
    needed.extend(recipe.hows.iter().filter_map(|how| match how {
        How::Itself(to) => Some(*to),
        _ => None,
    }));
    needed
}

/// Mixes two numbers, the same on every machine (splitmix64).
fn mixed(turn: u64, column: u64) -> u64 {
    let mut bits = (turn ^ column.rotate_left(32)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rows_take_every_way_and_no_change_keeps_a_null() {
        let gap =
            |column| Gap { columns: vec![column], ways: vec![vec![true]], in_every_row: false };
        let nulls = |column| -> Vec<u64> {
            (0..20).filter(|turn| gap(column).is_null(column, *turn)).collect()
        };
        let both = [3, 4].map(nulls);
        assert_eq!(both, [vec![2, 6, 18], vec![2, 6, 8, 10, 16, 18]]);
        let ways = vec![vec![true, true], vec![false, true]];
        let two = Gap { columns: vec![5, 6], ways, in_every_row: false };
        let row = |turn| [5, 6].map(|column| two.is_null(column, turn));
        assert_eq!(
            [1, 2, 3, 4].map(row).concat(),
            [false, false, true, true, false, false, false, true]
        );
        let always = Gap::in_every_row(&[5], vec![true]);
        assert!([0, 1, 7].iter().all(|turn| always.is_null(5, *turn)));
    }
}
