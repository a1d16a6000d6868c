//! Finds out which values the server takes, by trying.
//!
//! Every try happens inside a savepoint; the caller rolls the whole transaction back. A row that
//! passes is not looked at any further; one that does not is mended by what the refusal tells: a
//! check leads to other values of its columns, a unique index to fewer rows, anything else to rows
//! that leave out what may be left out.

use newcol_core::db::{DbError, Session};

use super::{
    RowsError, candidates,
    insert::{self, InsertError},
    number::Row,
    recipe::{How, Pick, Recipes},
    tokens::Mentions,
};

/// Choices that are tried for the columns of one check.
const CHOICES: usize = 4000;

/// Ways that a check's columns are filled in turn.
const WAYS: usize = 4;

/// Choices that are tried for further ways.
const FURTHER: usize = 120;

/// Times that a table is mended: each solves a check or drops a column.
const MENDINGS: usize = 24;

/// Rows that are tried: the first, the one that all children share, and late ones, whose plain
/// values pass an upper bound.
const TRIED: [u64; 6] = [1, 2, 3, 0, 50, 100_000];

/// Values of a domain that are tried at once.
const CAST: u64 = 300;

/// Rows that may be there from before, so that a later one is tried instead.
const SKIPPED: u64 = 200;

/// How often the first row is changed.
const REVISIONS: u64 = 3;

/// A refusal, and the row that met it.
struct Refusal {
    n: u64,
    source: DbError,
}

/// Makes the recipe of a table such that the server takes its rows. Parents are settled before.
pub(super) fn settle(
    session: &mut Session,
    recipes: &mut Recipes,
    at: usize,
) -> Result<(), RowsError> {
    settle_domains(session, recipes, at)?;
    let mut probe = Probe { session, recipes, at, rows: Vec::new(), depth: 0 };
    probe.prepare()?;
    let mut mendings = MENDINGS;
    loop {
        let Err(refusal) = probe.attempt(Keep::Rows)? else { return probe.settle_changes() };
        if mendings == 0 || !probe.mend(&refusal)? {
            return Err(insert::refused(probe.recipes, at, refusal.source));
        }
        mendings -= 1;
    }
}

/// Chooses values for columns whose type is a domain, which the server judges without a row.
pub(super) fn settle_domains(
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
        for how in candidates::ways(recipes.product, &found, &plain, &text) {
            recipes.tables[at].hows[column] = how;
            if casts(session, recipes, at, column, domain)? {
                break;
            }
            recipes.tables[at].hows[column] = plain.clone();
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

/// Whether the rows of a successful attempt stay in the transaction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    Rows,
    Nothing,
}

struct Probe<'a> {
    session: &'a mut Session,
    recipes: &'a mut Recipes,
    at: usize,
    /// Rows to try, as far as their parents can be had.
    rows: Vec<u64>,
    /// Savepoints that are open; some engines forget one when another takes its name.
    depth: usize,
}

impl Probe<'_> {
    /// Inserts the parents of all rows that are tried.
    fn prepare(&mut self) -> Result<(), RowsError> {
        for n in TRIED {
            match insert::prepare(self.session, self.recipes, self.at, Row::new(n)) {
                Ok(()) => self.rows.push(n),
                Err(RowsError::Exhausted { .. }) if n != 1 => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Tries rows as the recipe says, and changes of the first.
    fn attempt(&mut self, keep: Keep) -> Result<Result<(), Refusal>, RowsError> {
        self.within(keep, |probe| {
            let mut first = 1;
            for wanted in probe.rows.clone() {
                let n = match probe.insert(wanted)? {
                    Ok(n) => n,
                    Err(source) => return Ok(Err(Refusal { n: wanted, source })),
                };
                if wanted == 1 {
                    first = n;
                }
            }
            // Only checks: what triggers forbid to change is found out apart.
            match probe.change(first, &probe.changeable())? {
                Err(source) if insert::is_check(&source) => Ok(Err(Refusal { n: 1, source })),
                Ok(()) | Err(_) => Ok(Ok(())),
            }
        })
    }

    /// Inserts a row, or the next that is not there from before; returns which. A row for which
    /// there are no values is none that could be refused.
    fn insert(&mut self, wanted: u64) -> Result<Result<u64, DbError>, RowsError> {
        let mut n = wanted;
        let mut skipped = 0;
        loop {
            match insert::is_free(self.session, self.recipes, self.at, Row::new(n)) {
                Ok(false) if skipped < SKIPPED => {
                    skipped += 1;
                    n += 1;
                }
                Ok(_) => break,
                Err(RowsError::Exhausted { .. }) if n != 1 => return Ok(Ok(n)),
                Err(error) => return Err(error),
            }
        }
        // Where no row is free, values do not differ from row to row: let the server say so.
        let n = if skipped == SKIPPED { wanted } else { n };
        if n != wanted {
            match insert::prepare(self.session, self.recipes, self.at, Row::new(n)) {
                Ok(()) => {}
                Err(RowsError::Exhausted { .. }) => return Ok(Ok(n)),
                Err(error) => return Err(error),
            }
        }
        match insert::insert(self.session, self.recipes, self.at, Row::new(n)) {
            Ok(()) => Ok(Ok(n)),
            Err(InsertError::Refused(source)) => Ok(Err(source)),
            Err(InsertError::Made(RowsError::Exhausted { .. })) if n != 1 => Ok(Ok(n)),
            Err(InsertError::Made(error)) => Err(error),
        }
    }

    /// Changes columns of a row several times over.
    fn change(&mut self, n: u64, columns: &[usize]) -> Result<Result<(), DbError>, RowsError> {
        self.within(Keep::Nothing, |probe| {
            for revision in (1..=REVISIONS).rev() {
                let row = Row { revision, ..Row::new(n) };
                match insert::update(probe.session, probe.recipes, probe.at, row, columns) {
                    Ok(()) => {}
                    Err(InsertError::Refused(source)) => return Ok(Err(source)),
                    Err(InsertError::Made(error)) => return Err(error),
                }
            }
            Ok(Ok(()))
        })
    }

    fn changeable(&self) -> Vec<usize> {
        let recipe = &self.recipes.tables[self.at];
        recipe.settable().filter(|column| !recipe.frozen[*column]).collect()
    }

    /// Leaves columns alone that the server does not let anybody change. The first row is there.
    fn settle_changes(&mut self) -> Result<(), RowsError> {
        let columns = self.changeable();
        if self.change(1, &columns)?.is_ok() {
            return Ok(());
        }
        for column in columns {
            if self.change(1, &[column])?.is_err() {
                self.recipes.tables[self.at].frozen[column] = true;
            }
        }
        Ok(())
    }

    /// Runs something inside a savepoint, and undoes it unless all went well and is to stay.
    fn within<E>(
        &mut self,
        keep: Keep,
        work: impl FnOnce(&mut Self) -> Result<Result<(), E>, RowsError>,
    ) -> Result<Result<(), E>, RowsError> {
        let name = format!("newcol_rows_{}", self.depth);
        self.run(&format!("SAVEPOINT {name}"))?;
        self.depth += 1;
        let done = work(self);
        self.depth -= 1;
        if keep == Keep::Nothing || !matches!(done, Ok(Ok(()))) {
            self.run(&format!("ROLLBACK TO SAVEPOINT {name}"))?;
        }
        self.run(&format!("RELEASE SAVEPOINT {name}"))?;
        done
    }

    fn run(&mut self, sql: &str) -> Result<(), RowsError> {
        let table = &self.recipes.tables[self.at].shape.table;
        let failed = |source| RowsError::Database { table: table.clone(), source };
        self.session.batch(sql).map_err(|source| failed(Box::new(source)))
    }

    /// Changes the recipe so that the refusal does not come again; says whether it could.
    fn mend(&mut self, refusal: &Refusal) -> Result<bool, RowsError> {
        if insert::is_check(&refusal.source) {
            return self.mend_check(&refusal.source);
        }
        if insert::is_taken(&refusal.source) && refusal.n != 1 && self.fits_alone()? {
            self.recipes.tables[self.at].limit = Some(1);
            self.rows = vec![1];
            return Ok(true);
        }
        Ok(self.leave_out()? || self.mend_any(&refusal.source)?)
    }

    fn fits_alone(&mut self) -> Result<bool, RowsError> {
        let rows = std::mem::replace(&mut self.rows, vec![1]);
        let fits = self.attempt(Keep::Nothing)?.is_ok();
        self.rows = rows;
        Ok(fits)
    }

    /// Looks for values of the columns of the check that the server names, or else of all checks.
    fn mend_check(&mut self, source: &DbError) -> Result<bool, RowsError> {
        let said = source.failure().map(|said| said.message.clone()).unwrap_or_default();
        let named = self.checked(|names| names.iter().any(|name| said.contains(name.as_str())));
        Ok(self.mend_columns(&named, source)? || self.mend_any(source)?)
    }

    /// Looks for values of the columns of each check, and of all together.
    fn mend_any(&mut self, source: &DbError) -> Result<bool, RowsError> {
        let checks = self.recipes.tables[self.at].shape.checks.clone();
        for check in checks {
            if self.mend_columns(&check.columns, source)? {
                return Ok(true);
            }
        }
        self.mend_columns(&self.checked(|_| true), source)
    }

    /// Returns the columns of checks.
    fn checked(&self, wanted: impl Fn(&[String]) -> bool) -> Vec<usize> {
        let checks = self.recipes.tables[self.at].shape.checks.iter();
        let wanted = checks.filter(|check| wanted(&check.names));
        let mut columns: Vec<usize> = wanted.flat_map(|check| check.columns.clone()).collect();
        columns.sort_unstable();
        columns.dedup();
        columns
    }

    /// Tries other values for columns, and those that already hang together with them, until the
    /// rows pass or are refused by another check.
    fn mend_columns(&mut self, columns: &[usize], source: &DbError) -> Result<bool, RowsError> {
        let recipe = &self.recipes.tables[self.at];
        let mut columns = columns.to_vec();
        for pick in &recipe.picks {
            if pick.columns.iter().any(|column| columns.contains(column)) {
                columns.extend(&pick.columns);
            }
        }
        columns.sort_unstable();
        columns.dedup();
        if columns.is_empty() {
            return Ok(false);
        }
        let mut text = Mentions::default();
        let mut solved: Vec<String> =
            source.failure().map(|s| s.message.clone()).into_iter().collect();
        for check in &recipe.shape.checks {
            if check.columns.iter().any(|column| columns.contains(column)) {
                text.texts.extend(check.mentions.texts.iter().cloned());
                text.numbers.extend(check.mentions.numbers.iter().cloned());
                solved.extend(check.names.iter().cloned());
            }
        }
        let found = |column: &usize| &recipe.shape.columns[*column];
        let ways: Vec<Vec<How>> = columns
            .iter()
            .map(|at| candidates::ways(self.recipes.product, found(at), &recipe.hows[*at], &text))
            .collect();
        let nullable: Vec<bool> = columns.iter().map(|column| found(column).nullable).collect();
        let before = recipe.picks.clone();
        let mut picks = before.clone();
        picks.retain(|pick| !pick.columns.iter().any(|column| columns.contains(column)));
        let mut taken: Vec<Vec<How>> = Vec::new();
        let mut further = 0;
        for choice in candidates::choices(&ways, &nullable, CHOICES) {
            if let Some(first) = taken.first() {
                further += 1;
                if taken.len() == WAYS || further > FURTHER {
                    break;
                }
                if nulls(&choice) > nulls(first) {
                    continue;
                }
            }
            let mut tried = picks.clone();
            tried.push(Pick { columns: columns.clone(), ways: vec![choice.clone()] });
            self.recipes.tables[self.at].picks = tried;
            let outcome = self.attempt(Keep::Nothing);
            if passes(outcome, &solved, self.recipes.tables[self.at].tells_rows_apart())? {
                let varies = !choice.iter().any(|how| matches!(how, How::Fixed(_)));
                taken.push(choice);
                if varies {
                    break;
                }
            }
        }
        let mended = !taken.is_empty();
        if mended {
            picks.push(Pick { columns, ways: taken });
        }
        self.recipes.tables[self.at].picks = if mended { picks } else { before };
        Ok(mended)
    }

    /// Leaves out every column that may be, and takes back one by one what does no harm.
    fn leave_out(&mut self) -> Result<bool, RowsError> {
        let recipe = &self.recipes.tables[self.at];
        let full = recipe.hows.clone();
        let mut least = full.clone();
        for (column, found) in recipe.shape.columns.iter().enumerate() {
            if recipe.shape.key.contains(&column) {
                continue;
            }
            if found.nullable {
                least[column] = How::Null;
            } else if let Some(default) = &found.default {
                least[column] = How::Fixed(default.clone());
            }
        }
        if least == full {
            return Ok(false);
        }
        self.recipes.tables[self.at].hows = least.clone();
        if self.attempt(Keep::Nothing)?.is_err() {
            self.recipes.tables[self.at].hows = full;
            return Ok(false);
        }
        for (column, how) in full.into_iter().enumerate() {
            if how == least[column] {
                continue;
            }
            self.recipes.tables[self.at].hows[column] = how;
            if self.attempt(Keep::Nothing)?.is_err() {
                self.recipes.tables[self.at].hows[column] = least[column].clone();
            }
        }
        Ok(true)
    }
}

/// Reports whether rows passed, or were refused by a check that is not among those to be solved.
fn passes(
    outcome: Result<Result<(), Refusal>, RowsError>,
    solved: &[String],
    other_checks_may_refuse: bool,
) -> Result<bool, RowsError> {
    match outcome {
        Ok(Ok(())) => Ok(true),
        Ok(Err(refusal)) => {
            let said = refusal.source.failure().map(|said| said.message.as_str());
            let of_solved =
                said.is_none_or(|said| solved.iter().any(|name| said.contains(name.as_str())));
            Ok(other_checks_may_refuse && insert::is_check(&refusal.source) && !of_solved)
        }
        // A way without a value for one of the rows.
        Err(RowsError::Exhausted { .. } | RowsError::Type { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

fn nulls(choice: &[How]) -> usize {
    choice.iter().filter(|how| **how == How::Null).count()
}
