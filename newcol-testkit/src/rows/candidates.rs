//! Values worth a try where a check refuses the plain one. Pure.
//!
//! What a check allows stands as a rule in its own text: the texts and numbers in it come first,
//! then the neighbours of its numbers, then texts of as many characters, then well-known formats.

use newcol_core::backend::Product;

use super::{number::WIDE, recipe::How, shape::Column, tokens::Mentions};
use crate::values::{self, ColumnType, text_literal};

/// Formats that checks ask for: around the number of the row, or fixed.
const FORMATS: &[(&str, &str)] = &[
    ("", ""),
    ("a", ""),
    ("A", ""),
    ("value-", ""),
    ("https://example.com/", ""),
    ("user", "@example.com"),
    ("user", ".example.com"),
    ("/", ""),
    ("+1555", ""),
    ("@", ""),
];

/// Texts that differ from row to row nowhere.
const WORDS: &[&str] =
    &["a", "A", "aa", "AA", "aaa", "AAA", "en", "en-US", "#00ff00", "12:30", "{}", "[]"];

/// The longest text that a number in a check is taken to ask for.
const LONGEST: usize = 4096;

/// The most values of one column that are tried.
const MOST: usize = 60;

/// Returns ways to fill a column apart from NULL, the likeliest first. `plain` is how it is filled
/// now.
pub(super) fn ways(product: Product, column: &Column, plain: &How, text: &Mentions) -> Vec<How> {
    let mut ways = Vec::new();
    match plain {
        How::Null => {}
        How::Parent | How::Itself(_) => return vec![plain.clone()],
        How::Sample { .. } | How::Fixed(_) | How::Text { .. } => ways.push(plain.clone()),
    }
    let ty = ColumnType { product, sql: &column.ty, labels: &column.labels };
    let sample = |n| values::sample(&ty, n).ok();
    let first = sample(1).unwrap_or_default();
    // Short texts hold the number alone.
    let is_text = first.starts_with("'value") || first == "'1'";
    let is_number = first.parse::<f64>().is_ok();
    ways.extend(column.labels.iter().map(|label| How::Fixed(text_literal(product, label))));
    // Narrow types start over too soon to count on from a number.
    let wide = values::capacity(&ty).is_ok_and(|count| count.is_none_or(|count| count >= WIDE));
    if is_number {
        let whole = text.numbers.iter().filter_map(|number| number.parse::<u32>().ok());
        let shifts = whole.filter(|_| wide).map(|number| u64::from(number) + 1);
        ways.extend(shifts.map(|shift| How::Sample { shift }));
        ways.extend(text.numbers.iter().flat_map(|number| around(number)).map(How::Fixed));
        ways.extend(between(&text.numbers).into_iter().map(How::Fixed));
    }
    if !is_number || product == Product::Sqlite {
        for text in &text.texts {
            ways.push(How::Fixed(text_literal(product, text)));
            if text.contains(['%', '_']) {
                let like = text.replace(['%', '_'], "a");
                ways.push(How::Fixed(text_literal(product, &like)));
            }
        }
    }
    if !first.is_empty() {
        ways.push(How::Sample { shift: 1 });
        if wide {
            ways.push(How::Sample { shift: 1000 });
        }
    }
    ways.extend([0, 1].into_iter().filter_map(sample).map(How::Fixed));
    if is_text {
        let lengths = text.numbers.iter().filter_map(|number| number.parse::<usize>().ok());
        let lengths: Vec<usize> = lengths.flat_map(|n| [n, n + 1, n.saturating_sub(1)]).collect();
        for length in lengths.into_iter().filter(|length| (1..=LONGEST).contains(length)) {
            ways.push(How::Text { before: "", after: "", length });
            ways.push(How::Fixed(text_literal(product, &"a".repeat(length))));
            ways.push(How::Fixed(text_literal(product, &"A".repeat(length))));
        }
        let formats = FORMATS.iter();
        ways.extend(formats.map(|(before, after)| How::Text { before, after, length: 0 }));
        ways.extend(WORDS.iter().map(|word| How::Fixed(text_literal(product, word))));
    }
    ways.extend(column.default.iter().cloned().map(How::Fixed));
    let mut distinct: Vec<How> = Vec::new();
    for way in ways {
        if !distinct.contains(&way) {
            distinct.push(way);
        }
    }
    distinct.truncate(MOST);
    distinct
}

/// Returns a number and its neighbours, and its opposite.
fn around(number: &str) -> Vec<String> {
    let mut all = vec![number.to_owned()];
    if let Ok(whole) = number.parse::<i128>() {
        all.extend([whole + 1, whole - 1, -whole].map(|n| n.to_string()));
    } else if let Ok(fraction) = number.parse::<f64>() {
        all.extend([fraction + 1.0, fraction - 1.0, -fraction].map(|n| n.to_string()));
    }
    all
}

/// Returns the middle of each number and the next larger one.
fn between(numbers: &[String]) -> Vec<String> {
    let mut numbers: Vec<f64> = numbers.iter().filter_map(|number| number.parse().ok()).collect();
    numbers.sort_by(f64::total_cmp);
    numbers.windows(2).map(|pair| ((pair[0] + pair[1]) / 2.0).to_string()).collect()
}

/// Chooses one of the ways of each column, and of those that take NULL some to be NULL.
///
/// Few deviations from the first ways come first; of the sets of NULL none, all, all but one, and
/// then the rest while there are few columns. At most `limit` choices.
pub(super) fn choices(ways: &[Vec<How>], nullable: &[bool], limit: usize) -> Vec<Vec<How>> {
    let masks = masks(nullable);
    let mut chosen: Vec<Vec<How>> = Vec::new();
    let combinations = combinations(&ways.iter().map(Vec::len).collect::<Vec<_>>(), limit);
    // Diagonally, so that neither has to be exhausted before the other moves on.
    for sum in 0..masks.len() + combinations.len() {
        for (at, mask) in masks.iter().enumerate().take(sum + 1) {
            let Some(combination) = combinations.get(sum - at) else { continue };
            // What is NULL has no other way, so each choice comes up once.
            if mask.iter().zip(combination).any(|(null, way)| *null && *way != 0) {
                continue;
            }
            let pick = mask.iter().zip(combination).zip(ways);
            let choice: Option<Vec<How>> = pick
                .map(
                    |((null, way), ways)| {
                        if *null { Some(How::Null) } else { ways.get(*way).cloned() }
                    },
                )
                .collect();
            chosen.extend(choice);
            if chosen.len() >= limit {
                return chosen;
            }
        }
    }
    chosen
}

/// Returns which columns are NULL, likeliest first.
pub(super) fn masks(nullable: &[bool]) -> Vec<Vec<bool>> {
    /// More columns have too many sets of them.
    const ALL_SETS: usize = 10;
    let places: Vec<usize> =
        nullable.iter().enumerate().filter(|(_, null)| **null).map(|(at, _)| at).collect();
    let mask = |is_null: &dyn Fn(usize) -> bool| -> Vec<bool> {
        (0..nullable.len()).map(|at| places.contains(&at) && is_null(at)).collect()
    };
    let mut masks = vec![mask(&|_| false), mask(&|_| true)];
    masks.extend(places.iter().map(|kept| mask(&|at| at != *kept)));
    masks.extend(places.iter().map(|lost| mask(&|at| at == *lost)));
    if places.len() <= ALL_SETS {
        masks.extend((0..1_u32 << places.len()).map(|set| {
            mask(&|at| places.iter().position(|p| *p == at).is_some_and(|bit| set >> bit & 1 == 1))
        }));
    } else {
        for (at, first) in places.iter().enumerate() {
            for second in &places[at + 1..] {
                masks.push(mask(&|at| at != *first && at != *second));
            }
        }
    }
    let mut distinct: Vec<Vec<bool>> = Vec::new();
    for mask in masks {
        if !distinct.contains(&mask) {
            distinct.push(mask);
        }
    }
    distinct
}

/// Returns indexes into lists of these lengths, by their sum.
fn combinations(lengths: &[usize], limit: usize) -> Vec<Vec<usize>> {
    let most: usize = lengths.iter().map(|length| length.saturating_sub(1)).sum();
    let mut found = Vec::new();
    for sum in 0..=most {
        extend(&mut found, &mut Vec::new(), lengths, sum, limit);
        if found.len() >= limit {
            break;
        }
    }
    found
}

fn extend(
    found: &mut Vec<Vec<usize>>,
    chosen: &mut Vec<usize>,
    lengths: &[usize],
    rest: usize,
    limit: usize,
) {
    let Some((length, after)) = lengths.split_first() else {
        if rest == 0 {
            found.push(chosen.clone());
        }
        return;
    };
    let reachable: usize = after.iter().map(|length| length.saturating_sub(1)).sum();
    let least = rest.saturating_sub(reachable);
    for at in (least..=rest.min(length.saturating_sub(1))).rev() {
        if found.len() >= limit {
            return;
        }
        chosen.push(at);
        extend(found, chosen, after, rest - at, limit);
        chosen.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_deviate_little_first() {
        let ways = |texts: &[&str]| texts.iter().map(|t| How::Fixed((*t).to_owned())).collect();
        let all = choices(&[ways(&["a", "b"]), ways(&["x", "y"])], &[false, true], 100);
        let text = |how: &How| match how {
            How::Fixed(text) => text.clone(),
            _ => "-".to_owned(),
        };
        let all: Vec<String> =
            all.iter().map(|choice| choice.iter().map(text).collect::<String>()).collect();
        assert_eq!(all, ["ax", "bx", "a-", "ay", "b-", "by"]);
        assert_eq!(combinations(&[2, 3], 100).len(), 6);
        assert_eq!(masks(&[true; 3]).len(), 8);
        assert_eq!(masks(&[true; 12]).len(), 2 + 12 + 12 + 66);
    }
}
