//! Finds out which values the server takes, by trying.
//!
//! Every try happens inside a savepoint; the caller rolls the whole transaction back. A row that
//! passes is not looked at any further; one that does not is mended by what the refusal tells: a
//! check leads to other values of its columns, a unique index to fewer rows, anything else to rows
//! that leave out what may be left out. In the end NULL is tried wherever a column takes it.

mod gaps;

use newcol_core::db::{DbError, Session};

use super::{
    RowsError, candidates, domain, insert,
    number::Row,
    recipe::{How, Pick, Recipes},
    tokens::Mentions,
};

/// Choices that are tried for the columns of one check.
const CHOICES: usize = 3000;

/// Ways that a check's columns are filled in turn.
pub(super) const WAYS: usize = 4;

/// Choices that are tried for further ways.
const FURTHER: usize = 120;

/// Times that a table is mended: each solves a check or drops a column.
const MENDINGS: usize = 24;

/// Rows that are tried: the first, the one that all children share, and late ones, whose plain
/// values pass an upper bound.
const TRIED: [u64; 6] = [1, 2, 3, 0, 50, 100_000];

/// Rows that may be there from before, so that a later one is tried instead.
const SKIPPED: u64 = 200;

/// How often rows make room in one attempt.
const MOVES: usize = 4;

/// How often the first row is changed.
const REVISIONS: u64 = 3;

/// A refusal, and the row that met it.
struct Refusal {
    which: Which,
    source: DbError,
}

/// Which of the rows that are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    First,
    Others,
}

/// Whether nullable columns hold NULL in some rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nulls {
    /// Wherever the server takes it.
    InSomeRows,
    /// Only where the server takes nothing else.
    Rarely,
}

/// Makes the recipe of a table such that the server takes its rows. Parents are settled before.
pub(super) fn settle(
    session: &mut Session,
    recipes: &mut Recipes,
    at: usize,
    nulls: Nulls,
) -> Result<(), RowsError> {
    domain::settle(session, recipes, at)?;
    let mut probe = Probe { session, recipes, at, rows: Vec::new(), depth: 0 };
    probe.prepare()?;
    let mut mendings = MENDINGS;
    let mut keep = if nulls == Nulls::InSomeRows { Keep::Nothing } else { Keep::Rows };
    loop {
        let Err(refusal) = probe.attempt(keep)? else {
            if keep == Keep::Rows {
                return probe.settle_changes();
            }
            probe.settle_gaps()?;
            keep = Keep::Rows;
            continue;
        };
        let gaps = std::mem::take(&mut probe.recipes.tables[at].gaps);
        if !gaps.is_empty() {
            continue;
        }
        if mendings == 0 || !probe.mend(&refusal)? {
            return Err(insert::refused(probe.recipes, at, refusal.source));
        }
        mendings -= 1;
    }
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

    /// Tries rows as the recipe says, and changes of the first. Rows that are there from before
    /// make room for later ones.
    fn attempt(&mut self, keep: Keep) -> Result<Result<(), Refusal>, RowsError> {
        for _ in 0..MOVES {
            let refusal = match self.within(keep, Self::insert_all)? {
                Err(refusal) if insert::is_taken(&refusal.source) => refusal,
                done => return Ok(done),
            };
            if !self.make_room()? {
                return Ok(Err(refusal));
            }
        }
        self.within(keep, Self::insert_all)
    }

    /// Inserts the first row, and then in one go the others and changes of the first.
    fn insert_all(&mut self) -> Result<Result<(), Refusal>, RowsError> {
        let mut sql = Vec::new();
        for n in &self.rows {
            match insert::insert(self.recipes, self.at, Row::new(*n)) {
                Ok(statement) => sql.push(statement),
                // A row for which there are no values is none that could be refused.
                Err(RowsError::Exhausted { .. }) if !sql.is_empty() => {}
                Err(error) => return Err(error),
            }
        }
        let (first, others) = sql.split_at(sql.len().min(1));
        for (sql, which) in [(first, Which::First), (others, Which::Others)] {
            if let Err(source) = self.session.batch(&sql.join(";\n")) {
                return Ok(Err(Refusal { which, source }));
            }
        }
        // Only checks: what triggers forbid to change is found out apart.
        match self.change(&self.changeable())? {
            Err(source) if insert::is_check(&source) => {
                Ok(Err(Refusal { which: Which::First, source }))
            }
            Ok(()) | Err(_) => Ok(Ok(())),
        }
    }

    /// Puts later rows in the place of those that are there already; says whether there were any.
    fn make_room(&mut self) -> Result<bool, RowsError> {
        let mut rows = Vec::new();
        let mut moved = false;
        for mut n in self.rows.clone() {
            let mut free = false;
            for _ in 0..SKIPPED {
                free = match insert::is_free(self.session, self.recipes, self.at, Row::new(n)) {
                    Ok(free) => free && !rows.contains(&n),
                    Err(RowsError::Exhausted { .. }) => break,
                    Err(error) => return Err(error),
                };
                if free {
                    break;
                }
                moved = true;
                n += 1;
            }
            if !free {
                continue;
            }
            let row = Row::new(n);
            match insert::prepare(self.session, self.recipes, self.at, row) {
                // A trigger of a parent makes the very row: there is never room.
                Ok(()) if !insert::is_free(self.session, self.recipes, self.at, row)? => {
                    return Ok(false);
                }
                Ok(()) => rows.push(n),
                Err(RowsError::Exhausted { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        // Without any room the server may as well say what is wrong.
        if rows.iter().all(|n| *n == 0) {
            return Ok(false);
        }
        self.rows = rows;
        Ok(moved)
    }

    /// Changes columns of the first row several times over.
    fn change(&mut self, columns: &[usize]) -> Result<Result<(), DbError>, RowsError> {
        let mut sql = Vec::new();
        for revision in (1..=REVISIONS).rev() {
            let row = Row { revision, ..Row::new(self.rows.first().copied().unwrap_or(1)) };
            sql.extend(insert::update(self.recipes, self.at, row, columns)?);
        }
        if sql.is_empty() {
            return Ok(Ok(()));
        }
        self.within(Keep::Nothing, |probe| Ok(probe.session.batch(&sql.join(";\n"))))
    }

    fn changeable(&self) -> Vec<usize> {
        let recipe = &self.recipes.tables[self.at];
        recipe.settable().filter(|column| !recipe.frozen[*column]).collect()
    }

    /// Leaves columns alone that the server does not let anybody change. The first row is there.
    fn settle_changes(&mut self) -> Result<(), RowsError> {
        let columns = self.changeable();
        if self.change(&columns)?.is_ok() {
            return Ok(());
        }
        // What cannot be changed to NULL and back may still be changed to values.
        let gaps = std::mem::take(&mut self.recipes.tables[self.at].gaps);
        for column in columns {
            if self.change(&[column])?.is_err() {
                self.recipes.tables[self.at].frozen[column] = true;
            }
        }
        for gap in gaps {
            self.recipes.tables[self.at].gaps.push(gap);
            if self.change(&self.changeable())?.is_err() {
                self.recipes.tables[self.at].gaps.pop();
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
        let source = &refusal.source;
        let mended = if insert::is_check(source) {
            self.mend_check(source)?
        } else if insert::is_taken(source) {
            self.limit(refusal)? || self.leave_out()?
        } else {
            self.leave_out()? || self.mend_any(source)?
        };
        Ok(mended || self.limit(refusal)?)
    }

    /// Makes do with one row, where that is taken and only others are refused.
    fn limit(&mut self, refusal: &Refusal) -> Result<bool, RowsError> {
        if refusal.which == Which::First || !self.fits_alone()? {
            return Ok(false);
        }
        self.recipes.tables[self.at].limit = Some(1);
        self.rows.truncate(1);
        Ok(true)
    }

    fn fits_alone(&mut self) -> Result<bool, RowsError> {
        let first = self.rows.first().copied().into_iter().collect();
        let rows = std::mem::replace(&mut self.rows, first);
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
            let least = taken.first().map(|first| nulls(first));
            if let Some(least) = least {
                further += 1;
                if (taken.len() == WAYS && least == 0) || further > FURTHER {
                    break;
                }
                if nulls(&choice) > least || (nulls(&choice) == least && taken.len() == WAYS) {
                    continue;
                }
            }
            let mut tried = picks.clone();
            tried.push(Pick { columns: columns.clone(), ways: vec![choice.clone()] });
            self.recipes.tables[self.at].picks = tried;
            let outcome = self.attempt(Keep::Nothing);
            if passes(outcome, &solved, self.recipes.tables[self.at].tells_rows_apart())? {
                // A row with fewer NULLs says more.
                if least.is_some_and(|least| nulls(&choice) < least) {
                    taken.clear();
                }
                let varies = !choice.iter().any(|how| matches!(how, How::Fixed(_) | How::Null));
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
