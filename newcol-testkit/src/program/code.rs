//! A release's code as closures over a connection, typed as the application types it.

use std::{
    collections::HashMap,
    fmt::Debug,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{ActError, Operation, Program, Running, Said};
use crate::scratch::BoxError;

type Says<R> = Box<dyn Fn(&R) -> Option<String> + Send + Sync>;
type Same<R> = Box<dyn Fn(&R, &R) -> bool + Send + Sync>;
type Connect<C> = Box<dyn Fn(&str) -> Result<C, BoxError> + Send + Sync>;
type Write<C, R> = Box<dyn Fn(&mut C, &R) -> Result<(), BoxError> + Send + Sync>;
type Change<C, R> = Box<dyn Fn(&mut C, &mut R) -> Result<(), BoxError> + Send + Sync>;
type Batch<C, R> = Box<dyn Fn(&mut C, &[R]) -> Result<(), BoxError> + Send + Sync>;
type Read<C, R> = Box<dyn Fn(&mut C, &R) -> Result<R, BoxError> + Send + Sync>;
type List<C, R> = Box<dyn Fn(&mut C) -> Result<Vec<R>, BoxError> + Send + Sync>;

/// The code of one release: how it connects, what its rows look like, and what it does with them.
///
/// `C` is the connection, `R` the row as this release knows it. Operations that are not given are
/// left out of the matrix.
///
/// ```no_run
/// # use diesel::prelude::*;
/// # use newcol_testkit::program::Code;
/// # mod schema { diesel::table! { users (id) { id -> BigInt, name -> Text, } } }
/// use schema::users;
///
/// #[derive(Debug, Clone, PartialEq, Queryable, Selectable, Insertable, AsChangeset)]
/// #[diesel(table_name = users)]
/// struct User {
///     id: i64,
///     name: String,
/// }
///
/// let old = Code::new(SqliteConnection::establish, |n| User { id: n as i64, name: format!("{n}") })
///     .insert(|db, user| diesel::insert_into(users::table).values(user).execute(db))
///     .update(|db, user| {
///         user.name += "!";
///         diesel::update(users::table.find(user.id)).set(&*user).execute(db)
///     })
///     .read(|db, user| users::table.find(user.id).select(User::as_select()).first(db));
/// ```
pub struct Code<C, R> {
    connect: Connect<C>,
    row: Box<dyn Fn(u64) -> R + Send + Sync>,
    column: Option<Says<R>>,
    same: Same<R>,
    insert: Option<Write<C, R>>,
    batch: Option<Batch<C, R>>,
    update: Option<Change<C, R>>,
    upsert: Option<Change<C, R>>,
    read: Option<Read<C, R>>,
    list: Option<List<C, R>>,
    delete: Option<Write<C, R>>,
    known: Mutex<HashMap<u64, R>>,
}

impl<C, R: Debug + PartialEq + Send + 'static> Code<C, R> {
    /// Starts the code of a release from how it connects to a URL and what its row of a number is.
    ///
    /// Rows of different numbers must have different keys, and equal numbers equal keys in every
    /// release of the matrix; numbers start at 1.
    pub fn new<E: Into<BoxError>>(
        connect: impl Fn(&str) -> Result<C, E> + Send + Sync + 'static,
        row: impl Fn(u64) -> R + Send + Sync + 'static,
    ) -> Self {
        Self {
            connect: Box::new(move |url| connect(url).map_err(Into::into)),
            row: Box::new(row),
            column: None,
            same: Box::new(R::eq),
            insert: None,
            batch: None,
            update: None,
            upsert: None,
            read: None,
            list: None,
            delete: None,
            known: Mutex::default(),
        }
    }

    /// Says what a row's column holds, in the text the database makes of it (`None`: NULL), so
    /// that it can be compared with what the database really holds. Only for releases that know
    /// the column.
    #[must_use]
    pub fn column(mut self, says: impl Fn(&R) -> Option<String> + Send + Sync + 'static) -> Self {
        self.column = Some(Box::new(says));
        self
    }

    /// Compares a written row with the row read, where `==` is too strict: a time of change that
    /// the database sets, say.
    #[must_use]
    pub fn same(mut self, same: impl Fn(&R, &R) -> bool + Send + Sync + 'static) -> Self {
        self.same = Box::new(same);
        self
    }

    /// Adds the code that inserts a row.
    #[must_use]
    pub fn insert<T, E: Into<BoxError>>(
        mut self,
        run: impl Fn(&mut C, &R) -> Result<T, E> + Send + Sync + 'static,
    ) -> Self {
        self.insert = Some(Box::new(move |db, row| run(db, row).map(drop).map_err(Into::into)));
        self
    }

    /// Adds the code that inserts several rows at once.
    #[must_use]
    pub fn batch_insert<T, E: Into<BoxError>>(
        mut self,
        run: impl Fn(&mut C, &[R]) -> Result<T, E> + Send + Sync + 'static,
    ) -> Self {
        self.batch = Some(Box::new(move |db, rows| run(db, rows).map(drop).map_err(Into::into)));
        self
    }

    /// Adds the code that changes a row; it leaves the row as it should then be read. A row that
    /// another release wrote is loaded first, if there is code that reads.
    #[must_use]
    pub fn update<T, E: Into<BoxError>>(
        mut self,
        run: impl Fn(&mut C, &mut R) -> Result<T, E> + Send + Sync + 'static,
    ) -> Self {
        self.update = Some(Box::new(move |db, row| run(db, row).map(drop).map_err(Into::into)));
        self
    }

    /// Adds the code that inserts a row which exists already; it leaves the row as it should then
    /// be read.
    #[must_use]
    pub fn upsert<T, E: Into<BoxError>>(
        mut self,
        run: impl Fn(&mut C, &mut R) -> Result<T, E> + Send + Sync + 'static,
    ) -> Self {
        self.upsert = Some(Box::new(move |db, row| run(db, row).map(drop).map_err(Into::into)));
        self
    }

    /// Adds the code that reads the row with the key of the given one.
    #[must_use]
    pub fn read<E: Into<BoxError>>(
        mut self,
        run: impl Fn(&mut C, &R) -> Result<R, E> + Send + Sync + 'static,
    ) -> Self {
        self.read = Some(Box::new(move |db, row| run(db, row).map_err(Into::into)));
        self
    }

    /// Adds the code that reads all rows.
    #[must_use]
    pub fn list<E: Into<BoxError>>(
        mut self,
        run: impl Fn(&mut C) -> Result<Vec<R>, E> + Send + Sync + 'static,
    ) -> Self {
        self.list = Some(Box::new(move |db| run(db).map_err(Into::into)));
        self
    }

    /// Adds the code that deletes the row with the key of the given one.
    #[must_use]
    pub fn delete<T, E: Into<BoxError>>(
        mut self,
        run: impl Fn(&mut C, &R) -> Result<T, E> + Send + Sync + 'static,
    ) -> Self {
        self.delete = Some(Box::new(move |db, row| run(db, row).map(drop).map_err(Into::into)));
        self
    }

    fn known(&self) -> MutexGuard<'_, HashMap<u64, R>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a row as this program last wrote it, or as it would write it.
    fn take(&self, number: u64) -> R {
        let known = self.known().remove(&number);
        known.unwrap_or_else(|| (self.row)(number))
    }

    /// As [`Self::take`], for a row that is there: what others made of it is loaded first, as an
    /// application would. That loading fails is not what is asked here.
    fn load(&self, db: &mut C, number: u64) -> R {
        let known = self.known().remove(&number);
        known.unwrap_or_else(|| {
            let by = (self.row)(number);
            self.read.as_ref().and_then(|read| read(db, &by).ok()).unwrap_or(by)
        })
    }

    fn said(&self, row: &R) -> Said {
        self.column.as_ref().map_or(Said::Nothing, |says| Said::Column(says(row)))
    }
}

impl<C, R: Debug + PartialEq + Send + 'static> Program for Code<C, R> {
    fn can(&self, operation: Operation) -> bool {
        match operation {
            Operation::Insert => self.insert.is_some(),
            Operation::BatchInsert => self.batch.is_some(),
            Operation::Update => self.update.is_some(),
            Operation::Upsert => self.upsert.is_some(),
            Operation::Read => self.read.is_some(),
            Operation::List => self.list.is_some(),
            Operation::Delete => self.delete.is_some(),
        }
    }

    fn open(&self, url: &str) -> Result<Box<dyn Running + '_>, BoxError> {
        Ok(Box::new(Connected { db: (self.connect)(url)?, code: self }))
    }

    fn forget(&self, row: u64) {
        self.known().remove(&row);
    }
}

/// A session of [`Code`].
struct Connected<'a, C, R> {
    db: C,
    code: &'a Code<C, R>,
}

impl<C, R: Debug + PartialEq + Send + 'static> Running for Connected<'_, C, R> {
    fn act(&mut self, operation: Operation, numbers: &[u64]) -> Result<Vec<Said>, ActError> {
        let Self { db, code } = self;
        match operation {
            Operation::BatchInsert => {
                let Some(run) = &code.batch else { return Ok(Vec::new()) };
                let rows: Vec<R> = numbers.iter().map(|number| (code.row)(*number)).collect();
                run(db, &rows).map_err(ActError::Failed)?;
                let said = rows.iter().map(|row| code.said(row)).collect();
                code.known().extend(numbers.iter().copied().zip(rows));
                Ok(said)
            }
            Operation::List => {
                let Some(run) = &code.list else { return Ok(Vec::new()) };
                let found = run(db).map_err(ActError::Failed)?;
                let known = code.known();
                for row in numbers.iter().filter_map(|number| known.get(number)) {
                    if !found.iter().any(|other| (code.same)(row, other)) {
                        let found = format!("{} others", found.len());
                        return Err(ActError::Different { expected: format!("{row:?}"), found });
                    }
                }
                Ok(Vec::new())
            }
            Operation::Insert
            | Operation::Update
            | Operation::Upsert
            | Operation::Read
            | Operation::Delete => {
                numbers.iter().map(|number| code.act_on(db, operation, *number)).collect()
            }
        }
    }
}

impl<C, R: Debug + PartialEq + Send + 'static> Code<C, R> {
    fn act_on(&self, db: &mut C, operation: Operation, number: u64) -> Result<Said, ActError> {
        let (write, change) = match operation {
            Operation::Insert => (&self.insert, &None),
            Operation::Delete => (&self.delete, &None),
            Operation::Update => (&None, &self.update),
            Operation::Upsert => (&None, &self.upsert),
            Operation::Read => return self.read_one(db, number),
            Operation::BatchInsert | Operation::List => (&None, &None),
        };
        let mut row = match change {
            Some(_) => self.load(db, number),
            None => self.take(number),
        };
        if let Some(write) = write {
            write(db, &row).map_err(ActError::Failed)?;
        }
        if let Some(change) = change {
            change(db, &mut row).map_err(ActError::Failed)?;
        }
        if operation == Operation::Delete {
            return Ok(Said::Nothing);
        }
        let said = self.said(&row);
        self.known().insert(number, row);
        Ok(said)
    }

    fn read_one(&self, db: &mut C, number: u64) -> Result<Said, ActError> {
        let Some(read) = &self.read else { return Ok(Said::Nothing) };
        let known = self.known().remove(&number);
        let by = (self.row)(number);
        let found = read(db, known.as_ref().unwrap_or(&by)).map_err(ActError::Failed)?;
        let said = self.said(&found);
        if let Some(known) = known {
            let same = (self.same)(&known, &found);
            let told = (!same).then(|| (format!("{known:?}"), format!("{found:?}")));
            self.known().insert(number, known);
            if let Some((expected, found)) = told {
                return Err(ActError::Different { expected, found });
            }
        }
        Ok(said)
    }
}
