//! Where a worker is in its part of the table: pure, and stored as one line of text.

use std::{fmt, str::FromStr};

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::{ident::TableName, keys::KeyTuple};

/// How far a part of the table is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Blocks that are filled in windows of several visits each.
    Windows {
        /// The table or one of its partitions.
        relation: TableName,
        /// Block after the last one of the part.
        end: u64,
        /// The window that is under way, or the next one.
        window: Window,
    },
    /// Blocks that are looked at once.
    Blocks {
        /// The table or one of its partitions.
        relation: TableName,
        /// Block after the last one of the part.
        end: u64,
        /// The next block.
        at: u64,
    },
    /// Rows in the order of a key.
    Keys {
        /// What is done with them.
        task: Task,
        /// Key of the last row done, or of the row before the part.
        after: Option<KeyTuple>,
        /// Key of the part's last row.
        last: Option<KeyTuple>,
        /// Whether that row is done.
        done: bool,
    },
}

/// What is done with the rows of a part: it is stored with the place, because a worker may not have
/// heard yet that another one began the next pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    /// They are filled.
    Fill,
    /// They are looked at, and filled where they were missed.
    Prove,
}

impl Task {
    const ALL: [Self; 2] = [Self::Fill, Self::Prove];

    /// Returns the stored word.
    fn name(self) -> &'static str {
        match self {
            Self::Fill => "fill",
            Self::Prove => "prove",
        }
    }
}

/// A run of blocks that is visited several times before the next one begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    /// Its first block.
    pub start: u64,
    /// How many blocks it has.
    pub size: u64,
    /// The visit that is under way, counted from 0.
    pub visit: u32,
    /// How many visits there are.
    pub visits: u32,
    /// How much a row grows, in thousandths of its size: 1000 if it does not.
    pub growth: u32,
    /// The next block of this visit.
    pub at: u64,
}

impl Window {
    /// Returns the part of the window's rows that a visit updates, between 0 and 1.
    ///
    /// A visit may fill no more room than the one before it left, and rows that grow take more than
    /// their dead versions give back: so each visit is smaller than the one before, by the growth.
    pub(super) fn part(&self, visit: u32) -> f64 {
        let growth = f64::from(self.growth.max(1000)) / 1000.0;
        let visits = f64::from(self.visits);
        let first = if self.growth > 1000 {
            (1.0 - 1.0 / growth) / (1.0 - growth.powf(-visits))
        } else {
            1.0 / visits
        };
        first * growth.powf(-f64::from(visit))
    }

    /// Returns the chance with which this visit takes a row that no visit took before it.
    pub(super) fn chance(&self) -> f64 {
        if self.visit + 1 >= self.visits {
            return 1.0;
        }
        let before: f64 = (0..self.visit).map(|visit| self.part(visit)).sum();
        (self.part(self.visit) / (1.0 - before)).clamp(0.0, 1.0)
    }

    /// Makes the first window of a part: the worker that comes there decides what it is like.
    pub(super) fn fresh(start: u64) -> Self {
        Self { start, size: 1, visit: 0, visits: 1, growth: 0, at: start }
    }

    /// Reports whether no worker has decided yet.
    pub(super) fn is_fresh(&self) -> bool {
        self.growth == 0
    }

    /// Returns the block after its last one.
    pub(super) fn end(&self) -> u64 {
        self.start + self.size
    }
}

impl Place {
    /// Returns what is done with the part's rows.
    pub(super) fn task(&self) -> Task {
        match self {
            Self::Windows { .. } => Task::Fill,
            Self::Blocks { .. } => Task::Prove,
            Self::Keys { task, .. } => *task,
        }
    }

    /// Reports whether nothing is left of the part.
    pub(super) fn is_done(&self) -> bool {
        match self {
            Self::Windows { end, window, .. } => window.start >= *end,
            Self::Blocks { end, at, .. } => at >= end,
            Self::Keys { done, .. } => *done,
        }
    }
}

impl Place {
    /// Says where it is, for people.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Windows { relation, window, .. } => {
                format!("block {} of `{relation}`", window.at)
            }
            Self::Blocks { relation, at, .. } => format!("block {at} of `{relation}`"),
            Self::Keys { after: Some(key), .. } => format!("the rows after {}", key.describe()),
            Self::Keys { after: None, .. } => "the first rows".to_owned(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |relation: &TableName| {
            utf8_percent_encode(&relation.to_string(), NON_ALPHANUMERIC).to_string()
        };
        let key =
            |tuple: &Option<KeyTuple>| tuple.as_ref().map_or("-".to_owned(), ToString::to_string);
        match self {
            Self::Windows { relation, end, window } => {
                let Window { start, size, visit, visits, growth, at } = window;
                let name = name(relation);
                write!(f, "windows {name} {end} {start} {size} {visit} {visits} {growth} {at}")
            }
            Self::Blocks { relation, end, at } => write!(f, "blocks {} {end} {at}", name(relation)),
            Self::Keys { task, after, last, done } => {
                let (task, done) = (task.name(), u8::from(*done));
                write!(f, "keys {task} {} {} {done}", key(after), key(last))
            }
        }
    }
}

/// A text that is no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no place in a table")]
pub(super) struct BadPlace(String);

impl FromStr for Place {
    type Err = BadPlace;

    fn from_str(text: &str) -> Result<Self, BadPlace> {
        read(text).ok_or_else(|| BadPlace(text.to_owned()))
    }
}

fn read(text: &str) -> Option<Place> {
    let mut words = text.split(' ');
    let kind = words.next()?;
    let words: Vec<&str> = words.collect();
    let name = |word: &str| percent_decode_str(word).decode_utf8().ok()?.parse::<TableName>().ok();
    let number = |word: &str| word.parse::<u64>().ok();
    let small = |word: &str| word.parse::<u32>().ok();
    let key = |word: &str| match word {
        "-" => Some(None),
        word => word.parse().ok().map(Some),
    };
    match (kind, words.as_slice()) {
        ("windows", [relation, end, start, size, visit, visits, growth, at]) => {
            let window = Window {
                start: number(start)?,
                size: number(size)?,
                visit: small(visit)?,
                visits: small(visits)?,
                growth: small(growth)?,
                at: number(at)?,
            };
            let sound = window.visits > 0 && window.size > 0;
            sound.then_some(Place::Windows { relation: name(relation)?, end: number(end)?, window })
        }
        ("blocks", [relation, end, at]) => {
            Some(Place::Blocks { relation: name(relation)?, end: number(end)?, at: number(at)? })
        }
        ("keys", [task, after, last, done]) => {
            let task = Task::ALL.into_iter().find(|known| known.name() == *task)?;
            Some(Place::Keys { task, after: key(after)?, last: key(last)?, done: *done == "1" })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::keys::KeyValue;

    #[test]
    fn a_place_is_read_as_it_was_written() {
        let relation: TableName = "odd schema.\"a.b\"".parse().unwrap();
        let window = Window { start: 256, size: 256, visit: 2, visits: 7, growth: 1130, at: 300 };
        let key =
            KeyTuple(vec![KeyValue::Number("-5".to_owned()), KeyValue::Text("a - b/c".to_owned())]);
        for place in [
            Place::Windows { relation: relation.clone(), end: 4096, window },
            Place::Blocks { relation, end: 10, at: 0 },
            Place::Keys { task: Task::Fill, after: None, last: Some(key.clone()), done: false },
            Place::Keys { task: Task::Prove, after: Some(key), last: None, done: true },
        ] {
            assert_eq!(place.to_string().parse::<Place>().unwrap(), place);
        }
        for text in [
            "",
            "windows",
            "blocks a 1",
            "keys fill - x 0",
            "keys - - 0",
            "windows a 1 1 0 0 1 1000 1",
        ] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_visits_of_a_window_are_the_whole(visits in 1_u32..32, growth in 1000_u32..4000) {
            let mut window =
                Window { start: 0, size: 256, visit: 0, visits, growth, at: 0 };
            let sum: f64 = (0..visits).map(|visit| window.part(visit)).sum();
            prop_assert!((sum - 1.0).abs() < 1e-6, "{sum}");
            let mut left = 1.0;
            for visit in 0..visits {
                window.visit = visit;
                let chance = window.chance();
                prop_assert!((0.0..=1.0).contains(&chance));
                left *= 1.0 - chance;
            }
            prop_assert!(left.abs() < 1e-9);
        }
    }
}
