//! Finds values of domains, which the server judges without a row.
//!
//! As in [`super::probe`], every try is inside a savepoint.

use newcol_core::db::Session;

use super::{
    RowsError, candidates,
    number::Row,
    probe::WAYS,
    recipe::{How, Pick, Recipes},
    tokens::Mentions,
};

/// Values of a domain that are tried at once: more than most domains have to offer.
const CAST: u64 = 300;

/// Chooses values for columns whose type is a domain.
pub(super) fn settle(
    session: &mut Session,
    recipes: &mut Recipes,
    at: usize,
) -> Result<(), RowsError> {
    for column in 0..recipes.tables[at].shape.columns.len() {
        let found = recipes.tables[at].shape.columns[column].clone();
        let Some(domain) = &found.domain else { continue };
        if !matches!(recipes.tables[at].hows[column], How::Sample { .. }) {
            continue;
        }
        let mut text = Mentions::default();
        for check in &recipes.tables[at].shape.checks {
            if check.columns == [column] {
                text.texts.extend(check.mentions.texts.iter().cloned());
                text.numbers.extend(check.mentions.numbers.iter().cloned());
            }
        }
        let plain = recipes.tables[at].hows[column].clone();
        let alone = recipes.tables[at].shape.uniques.iter().any(|key| *key == [column]);
        let mut ways = Vec::new();
        for how in candidates::ways(recipes.product, &found, &plain, &text) {
            let is_fixed = matches!(how, How::Fixed(_));
            // Further ways only repeat; the only column of a unique index must not.
            if if is_fixed { alone } else { !ways.is_empty() } {
                continue;
            }
            recipes.tables[at].hows[column] = how.clone();
            if casts(session, recipes, at, column, domain)? {
                ways.push(vec![how]);
            }
            // One that varies by itself is enough.
            if ways.len() == WAYS || !(is_fixed || ways.is_empty()) {
                break;
            }
        }
        recipes.tables[at].hows[column] = match ways.as_slice() {
            [] => plain,
            [first, ..] => first[0].clone(),
        };
        if ways.len() > 1 {
            recipes.tables[at].picks.push(Pick { columns: vec![column], ways });
        }
    }
    Ok(())
}

fn casts(
    session: &mut Session,
    recipes: &Recipes,
    at: usize,
    column: usize,
    domain: &str,
) -> Result<bool, RowsError> {
    let mut casts = Vec::new();
    for n in 0..CAST {
        match recipes.literal(at, column, Row::new(n)) {
            Ok(literal) => casts.push(format!("CAST({literal} AS {domain})")),
            Err(RowsError::Exhausted { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let failed = |source| RowsError::Database {
        table: recipes.tables[at].shape.table.clone(),
        source: Box::new(source),
    };
    session.batch("SAVEPOINT newcol_rows").map_err(failed)?;
    let taken = session.query(&format!("SELECT {}", casts.join(", "))).is_ok();
    let end = "ROLLBACK TO SAVEPOINT newcol_rows";
    session.batch(end).map_err(failed)?;
    session.batch("RELEASE SAVEPOINT newcol_rows").map_err(failed)?;
    Ok(taken)
}
