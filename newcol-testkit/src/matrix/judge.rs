//! Holds what a cell did against what is then there.
//!
//! Code is never believed: the rows before and after decide, and its own word is only compared with
//! them.

use super::{
    Outcome, Side,
    promise::Follows,
    run::{Act, Numbered, Scene},
    view::{Key, Seen, View, rows},
};
use crate::program::{Operation, Said};

impl Numbered {
    /// Judges an operation that the code finished, and learns which rows there are.
    pub(super) fn judge(&mut self, scene: &Scene, act: &Act<'_>, before: &View) -> Outcome {
        let after = &scene.view;
        let difference = after.since(before);
        let counts = difference.counts();
        let n = act.numbers.len();
        let wanted = match act.operation {
            Operation::Insert | Operation::BatchInsert => [n, 0, 0],
            Operation::Update => [0, n, 0],
            // One that finds nothing to change is right to change nothing.
            Operation::Upsert if counts[1] <= n => [0, counts[1], 0],
            Operation::Upsert => [0, n, 0],
            Operation::Read | Operation::List => [0, 0, 0],
            Operation::Delete => [0, 0, n],
        };
        if counts != wanted {
            let [new, changed, gone] = wanted;
            let expected = match act.operation {
                Operation::Insert | Operation::BatchInsert => rows(new, "new"),
                Operation::Update | Operation::Upsert => rows(changed, "changed"),
                Operation::Delete => rows(gone, "gone"),
                Operation::Read | Operation::List => "no row touched".to_owned(),
            };
            return Outcome::WrongValue { expected, found: difference.describe() };
        }
        match act.operation {
            Operation::Insert | Operation::BatchInsert => {
                for number in act.numbers {
                    self.alive.insert(*number, act.side);
                }
                // Which of several is which is not known.
                if let ([number], [key]) = (act.numbers, difference.new.as_slice()) {
                    self.keys.insert(*number, key.clone());
                }
                judge_new(scene, act, &difference.new)
            }
            Operation::Update | Operation::Upsert => {
                judge_changed(scene, act, &difference.changed, before)
            }
            Operation::Read => self.judge_read(act, after),
            Operation::List => Outcome::Works,
            Operation::Delete => {
                for number in act.numbers {
                    self.alive.remove(number);
                    self.keys.remove(number);
                }
                Outcome::Works
            }
        }
    }

    /// Judges rows read: the column must come as it is.
    fn judge_read(&self, act: &Act<'_>, after: &View) -> Outcome {
        for (number, said) in act.numbers.iter().zip(act.said) {
            let seen = self.keys.get(number).and_then(|key| after.rows.get(key));
            if let (Some(found), Said::Column(said)) =
                (seen.and_then(|seen| seen.column.as_ref()), said)
                && found != said
            {
                return Outcome::WrongValue {
                    expected: shown(Some(found)),
                    found: format!("{} in what was read", shown(Some(said))),
                };
            }
        }
        Outcome::Works
    }
}

/// Judges new rows: by what is promised if the code does not know the column, by its own word
/// if it does.
fn judge_new(scene: &Scene, act: &Act<'_>, keys: &[Key]) -> Outcome {
    if act.side != Side::Old {
        return judge_own_word(scene, act, keys);
    }
    let mut seen = keys.iter().filter_map(|key| scene.view.rows.get(key));
    match seen.find(|row| !row.inserted) {
        Some(row) => Outcome::WrongValue {
            expected: scene.inserted.describe(),
            found: shown(row.column.as_ref()),
        },
        None => Outcome::Works,
    }
}

/// Judges what code wrote that knows the column: it must be there, and the column that is replaced
/// must have followed.
fn judge_own_word(scene: &Scene, act: &Act<'_>, keys: &[Key]) -> Outcome {
    let seen: Vec<&Seen> = keys.iter().filter_map(|key| scene.view.rows.get(key)).collect();
    if let Some(row) = seen.iter().find(|row| !row.followed) {
        let expected = format!("{} in what the column replaces", scene.replaced.describe());
        return Outcome::WrongValue {
            expected,
            found: format!("a row with {}", shown(row.column.as_ref())),
        };
    }
    let said: Option<Vec<&Option<String>>> = act
        .said
        .iter()
        .map(|said| match said {
            Said::Column(value) => Some(value),
            Said::Nothing => None,
        })
        .collect();
    let found: Option<Vec<&Option<String>>> = seen.iter().map(|row| row.column.as_ref()).collect();
    let (Some(mut said), Some(mut found)) = (said, found) else { return Outcome::Works };
    // Which new row is which is not known.
    said.sort();
    found.sort();
    match said.iter().zip(&found).find(|(said, found)| said != found) {
        Some((said, found)) => {
            Outcome::WrongValue { expected: shown(Some(said)), found: shown(Some(found)) }
        }
        None => Outcome::Works,
    }
}

/// Judges changed rows: code that does not know the column leaves it alone, unless it follows what
/// was changed.
fn judge_changed(scene: &Scene, act: &Act<'_>, keys: &[Key], before: &View) -> Outcome {
    let after = &scene.view;
    if act.side != Side::Old {
        return judge_own_word(scene, act, keys);
    }
    for key in keys {
        let (Some(old), Some(new)) = (before.rows.get(key), after.rows.get(key)) else { continue };
        let stays = old.column == new.column;
        let kept = match scene.follows {
            Follows::Nothing => stays,
            Follows::Row => new.inserted,
            // What else the fill reads may change without it.
            Follows::Replaced(at) => new.followed || (stays && old.others[at] == new.others[at]),
        };
        if kept {
            continue;
        }
        let expected = match scene.follows {
            Follows::Nothing => format!("{} as before", shown(old.column.as_ref())),
            Follows::Row | Follows::Replaced(_) => scene.inserted.describe(),
        };
        return Outcome::WrongValue { expected, found: shown(new.column.as_ref()) };
    }
    if keys.iter().any(|key| after.rows.get(key).is_some_and(|row| row.column.is_some())) {
        Outcome::Preserves
    } else {
        Outcome::Works
    }
}

/// Writes what a row's column holds.
pub(super) fn shown(value: Option<&Option<String>>) -> String {
    match value {
        None => "no column".to_owned(),
        Some(None) => "NULL".to_owned(),
        Some(Some(text)) => format!("{text:?}"),
    }
}
