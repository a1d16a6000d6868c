//! Finds what would be lost with a column, and exports it first.
//!
//! As [`Backfill::verify`] it reads small pieces, so the counts are of a table that is in use: what
//! programs write after a piece was read is in no count and no file.

use std::time::Duration;

use super::{
    Backfill, BackfillError, Event, Listener, Phase, Settings, Shared,
    chunk::Chunk,
    job::{self, Job, Route},
    record::{RECORD_TABLES, Record},
    sessions, start,
    walk::{Ended, Passed, Walk},
};
use crate::{
    backend::{Backend, Product},
    db::{DbError, Session},
    execute::{
        apply::{Guard, LOOKS, LockedLook, STOPS, Way},
        export::{Export, ExportError, Form, Target},
    },
    keys::{KeyColumn, KeyTuple},
    plan::facts::Volatility,
    render::backfill::Range,
};

/// Which values of a column would be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// None: the column is generated.
    Nothing,
    /// Those that are not what the fill yields.
    Differing,
    /// All, because nothing computes them again.
    All,
}

/// What would be lost with a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Losses {
    /// Rows of the table.
    pub rows: u64,
    /// Of those, rows whose value would be lost.
    pub lost: u64,
    /// Which these are.
    pub counted: Counted,
    /// Whether it went through the whole table, as opposed to being stopped; then nothing was
    /// exported.
    pub is_whole: bool,
}

/// Why it is not known what would be lost, or could not be exported.
#[derive(Debug, thiserror::Error)]
pub enum LossError {
    /// The table could not be read.
    #[error(transparent)]
    Backfill(#[from] BackfillError),
    /// The file could not be written.
    #[error(transparent)]
    Export(#[from] ExportError),
}

impl From<DbError> for LossError {
    fn from(error: DbError) -> Self {
        Self::Backfill(error.into())
    }
}

/// A column on its way out.
struct Sought<'a> {
    job: &'a Job,
    /// By what rows are named in a file.
    key: Vec<KeyColumn>,
    /// Where the walk ends, where it goes by key.
    last: Option<KeyTuple>,
    /// The column itself.
    value: KeyColumn,
}

impl Backfill<'_> {
    /// Counts the values that would be lost if the column were dropped, and writes them to a file
    /// where one is given. Changes nothing in the database.
    ///
    /// # Errors
    ///
    /// When the table cannot be read or the file cannot be written, of which nothing stays then.
    pub fn losses(
        &self,
        export: Option<&Target>,
        listener: &Listener<'_>,
    ) -> Result<Losses, LossError> {
        if !self.contract.answers().generated.is_empty() {
            return Ok(Losses { rows: 0, lost: 0, counted: Counted::Nothing, is_whole: true });
        }
        let mut session = self.reading_session()?;
        let shared = Shared::new(listener, None);
        let begun = self.patiently(&mut session, &shared, |session| {
            let job = Job::read_anew(self.contract, session, &self.settings)?;
            let last = start::last(&job, session)?;
            let value = job::column(session, &job.plan.contract)?;
            Ok((job, last, value))
        })?;
        let Some((mut job, last, value)) = begun else {
            return Ok(Losses { rows: 0, lost: 0, counted: Counted::All, is_whole: false });
        };
        shared.tell(&Event::Began {
            rows: job.plan.facts.rows,
            resumed: None,
            notices: Vec::new(),
        });
        shared.tell(&Event::Pass { phase: Phase::Proving, pass: 1 });
        let sought = Sought::new(&job, last.clone(), value.clone());
        match sought.find(session, export, &self.settings, &shared) {
            // The fill fails for a row, or reads what is no longer there: so nobody can say which
            // values it would yield.
            Err(LossError::Backfill(error))
                if job.fill.volatility == Volatility::Immutable && is_said(&error) =>
            {
                job.fill.volatility = Volatility::Unknown;
                let session = self.reading_session()?;
                let sought = Sought::new(&job, last, value);
                sought.find(session, export, &self.settings, &shared)
            }
            found => found,
        }
    }
}

impl Backfill<'_> {
    /// Makes what keeps the column from being dropped with a value that was written after a count
    /// which found nothing to lose: within a time it waits for the table's lock and looks at every
    /// row. `None` where nothing can be lost, and on MySQL, where no limit ends the drop of a column.
    ///
    /// # Errors
    ///
    /// When the table cannot be read.
    pub fn guard(&self, losses: &Losses, within: Duration) -> Result<Option<Guard>, LossError> {
        if losses.counted == Counted::Nothing {
            return Ok(None);
        }
        let mut session = self.reading_session()?;
        let mut job = Job::read_anew(self.contract, &mut session, &self.settings)?;
        if losses.counted == Counted::All {
            job.fill.volatility = Volatility::Unknown;
        }
        let value = job::column(&mut session, &job.plan.contract)?;
        // Whoever comes next waits for both.
        let look = within / 2;
        let wait = look.max(LOOKS * 2).min(within);
        let way = match session.backend() {
            Backend::Postgres | Backend::Sqlite => {
                Way::Begins(job.fill.stop_where_lost(&value, STOPS, [wait, look]))
            }
            Backend::Mysql if session.server().product != Product::Mariadb => return Ok(None),
            Backend::Mysql => {
                // The record of the backfill goes with the column.
                let record = Record::new(Backend::Mysql, self.contract.path());
                let also: &[&str] = if record.exists(&mut session)? { &RECORD_TABLES } else { &[] };
                Way::Locks(LockedLook {
                    table: self.contract.table().clone(),
                    lock: job.fill.lock_with(also),
                    is_lost: job.fill.is_any_lost(&value),
                })
            }
        };
        Ok(Some(Guard { way, look }))
    }
}

/// Reports whether the server answered, and refused.
fn is_said(error: &BackfillError) -> bool {
    let source = match error {
        BackfillError::Look { source, .. } => source,
        BackfillError::Database(source) => source,
        _ => return false,
    };
    source.failure().is_some_and(|said| !said.lost)
}

impl<'a> Sought<'a> {
    fn new(job: &'a Job, last: Option<KeyTuple>, value: KeyColumn) -> Self {
        Self { job, key: lasting_key(job), last, value }
    }

    fn find(
        &self,
        mut session: Session,
        export: Option<&Target>,
        settings: &Settings,
        shared: &Shared<'_>,
    ) -> Result<Losses, LossError> {
        let Self { job, key, last, value } = self;
        let path = job.plan.contract.path();
        if export.is_some() && key.is_empty() {
            return Err(BackfillError::Nameless { column: path.clone() }.into());
        }
        let names: Vec<_> = key.iter().map(|column| &column.name).collect();
        let mut export = export
            .map(|target| Export::begin(target, job.fill.backend, path, &names))
            .transpose()?;
        let is_plain = job.fill.is_null() || job.fill.volatility != Volatility::Immutable;
        let counted = if is_plain { Counted::All } else { Counted::Differing };
        let mut found = Losses { rows: 0, lost: 0, counted, is_whole: true };
        if job.route == Route::Keys && job.key.is_empty() {
            let counted =
                start::patiently(&mut session, path, &settings.budget, shared, |session| {
                    let all = Range::Keys { key: &[], after: None, to: None };
                    sessions::ready_to_look(session)?;
                    Ok(counts(session, job, value, all)?)
                })?;
            match counted {
                Some(counted) => (found.rows, found.lost) = counted,
                None => found.is_whole = false,
            }
            return Ok(found);
        }
        let chunks = Chunk::whole(&job.route, last.clone());
        let is_exported = export.is_some();
        let mut walk = Walk::new(job, session, settings, shared)?;
        let mut failed = None;
        for chunk in &chunks {
            let ended = walk.through(
                chunk,
                |session, piece, _tries| self.piece(session, piece, is_exported),
                |piece| {
                    found.rows += piece.rows;
                    found.lost += piece.lost;
                    let Some(export) = &mut export else { return };
                    let written = piece.values.iter().try_for_each(|row| self.write(export, row));
                    if let Err(error) = written {
                        failed.get_or_insert(error);
                        shared.stop();
                    }
                },
            )?;
            if let Some(error) = failed {
                return Err(error.into());
            }
            if ended == Ended::Stopped {
                found.is_whole = false;
                return Ok(found);
            }
        }
        if let Some(export) = export {
            export.finish()?;
        }
        Ok(found)
    }

    /// Counts a piece, and reads its values where they are to be written.
    fn piece(
        &self,
        session: &mut Session,
        piece: &Chunk,
        is_exported: bool,
    ) -> Result<(Passed, Piece), BackfillError> {
        let Self { job, key, value, .. } = self;
        let range = piece.range(job);
        let (rows, lost) = counts(session, job, value, range)?;
        let mut values = Vec::new();
        if is_exported && lost > 0 {
            if job.fill.backend == Backend::Postgres {
                // What a role or database sets may print less than there is, or be read otherwise.
                session.batch(
                    "SET LOCAL datestyle = 'ISO'; SET LOCAL intervalstyle = 'postgres'; \
                     SET LOCAL extra_float_digits = 1",
                )?;
            }
            let columns = || key.iter().chain([value]);
            for row in session.query(job.fill.lost_rows(range, key, value).as_str())? {
                values.push(job.values(columns(), row)?);
            }
        }
        Ok((Passed { rows, changed: 0 }, Piece { rows, lost, values }))
    }

    fn write(&self, export: &mut Export<'_>, row: &KeyTuple) -> Result<(), ExportError> {
        let Some((value, key)) = row.0.split_last() else { return Ok(()) };
        match export.form() {
            Form::Csv => export.values(&row.0),
            Form::Sql => {
                let sql = self.job.fill.put_back(&self.key, key, (&self.value, value));
                export.statement(sql.as_str())
            }
        }
    }
}

/// What a piece of the table would lose.
struct Piece {
    rows: u64,
    lost: u64,
    /// Keys and values, where they were asked for.
    values: Vec<KeyTuple>,
}

fn counts(
    session: &mut Session,
    job: &Job,
    value: &KeyColumn,
    range: Range<'_>,
) -> Result<(u64, u64), DbError> {
    let rows = session.query(job.fill.count_lost(range, value).as_str())?;
    let mut numbers = rows.into_iter().flatten().map(|number| {
        // MySQL's sums are decimals.
        number.and_then(|text| text.parse().ok()).unwrap_or_default()
    });
    let mut next = || numbers.next().unwrap_or_default();
    Ok((next(), next()))
}

/// Returns the key by which rows are found later, too: SQLite gives the numbers of rows anew when
/// it cleans up, unless they are the key.
fn lasting_key(job: &Job) -> Vec<KeyColumn> {
    let facts = &job.plan.facts;
    let may_be_null = |name| facts.column(name).is_none_or(|column| column.nullable);
    if job.fill.backend != Backend::Sqlite
        || facts.primary_key.is_empty()
        || facts.primary_key.iter().any(may_be_null)
    {
        return job.key.clone();
    }
    facts.primary_key.iter().map(|name| job::typed(Backend::Sqlite, name, "")).collect()
}
