//! A release's code as asynchronous closures over a connection.

use std::{fmt::Debug, io, sync::Arc};

use tokio::runtime::{Builder, Runtime};

use super::{Code, Operation, Program, Running};
use crate::scratch::BoxError;

/// As [`Code`], for connections whose calls are awaited.
///
/// The closures run on a runtime of the program's own, one statement after the other.
pub struct AsyncCode<C, R> {
    runtime: Arc<Runtime>,
    code: Code<C, R>,
}

impl<C, R: Debug + PartialEq + Send + 'static> AsyncCode<C, R> {
    /// As [`Code::new`].
    ///
    /// # Errors
    ///
    /// When the system gives no more threads or files for a runtime.
    pub fn new<E: Into<BoxError>>(
        connect: impl AsyncFn(&str) -> Result<C, E> + Send + Sync + 'static,
        row: impl Fn(u64) -> R + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let runtime = Arc::new(runtime);
        let on = runtime.clone();
        let code = Code::new(move |url: &str| on.block_on(connect(url)), row);
        Ok(Self { runtime, code })
    }

    /// As [`Code::column`].
    #[must_use]
    pub fn column(mut self, says: impl Fn(&R) -> Option<String> + Send + Sync + 'static) -> Self {
        self.code = self.code.column(says);
        self
    }

    /// As [`Code::same`].
    #[must_use]
    pub fn same(mut self, same: impl Fn(&R, &R) -> bool + Send + Sync + 'static) -> Self {
        self.code = self.code.same(same);
        self
    }

    /// As [`Code::insert`].
    #[must_use]
    pub fn insert<T, E: Into<BoxError>>(
        mut self,
        run: impl AsyncFn(&mut C, &R) -> Result<T, E> + Send + Sync + 'static,
    ) -> Self {
        let on = self.runtime.clone();
        self.code = self.code.insert(move |db, row| on.block_on(run(db, row)));
        self
    }

    /// As [`Code::batch_insert`].
    #[must_use]
    pub fn batch_insert<T, E: Into<BoxError>>(
        mut self,
        run: impl AsyncFn(&mut C, &[R]) -> Result<T, E> + Send + Sync + 'static,
    ) -> Self {
        let on = self.runtime.clone();
        self.code = self.code.batch_insert(move |db, rows| on.block_on(run(db, rows)));
        self
    }

    /// As [`Code::update`].
    #[must_use]
    pub fn update<T, E: Into<BoxError>>(
        mut self,
        run: impl AsyncFn(&mut C, &mut R) -> Result<T, E> + Send + Sync + 'static,
    ) -> Self {
        let on = self.runtime.clone();
        self.code = self.code.update(move |db, row| on.block_on(run(db, row)));
        self
    }

    /// As [`Code::upsert`].
    #[must_use]
    pub fn upsert<T, E: Into<BoxError>>(
        mut self,
        run: impl AsyncFn(&mut C, &mut R) -> Result<T, E> + Send + Sync + 'static,
    ) -> Self {
        let on = self.runtime.clone();
        self.code = self.code.upsert(move |db, row| on.block_on(run(db, row)));
        self
    }

    /// As [`Code::read`].
    #[must_use]
    pub fn read<E: Into<BoxError>>(
        mut self,
        run: impl AsyncFn(&mut C, &R) -> Result<R, E> + Send + Sync + 'static,
    ) -> Self {
        let on = self.runtime.clone();
        self.code = self.code.read(move |db, row| on.block_on(run(db, row)));
        self
    }

    /// As [`Code::list`].
    #[must_use]
    pub fn list<E: Into<BoxError>>(
        mut self,
        run: impl AsyncFn(&mut C) -> Result<Vec<R>, E> + Send + Sync + 'static,
    ) -> Self {
        let on = self.runtime.clone();
        self.code = self.code.list(move |db| on.block_on(run(db)));
        self
    }

    /// As [`Code::delete`].
    #[must_use]
    pub fn delete<T, E: Into<BoxError>>(
        mut self,
        run: impl AsyncFn(&mut C, &R) -> Result<T, E> + Send + Sync + 'static,
    ) -> Self {
        let on = self.runtime.clone();
        self.code = self.code.delete(move |db, row| on.block_on(run(db, row)));
        self
    }
}

impl<C, R: Debug + PartialEq + Send + 'static> Program for AsyncCode<C, R> {
    fn can(&self, operation: Operation) -> bool {
        self.code.can(operation)
    }

    fn open(&self, url: &str) -> Result<Box<dyn Running + '_>, BoxError> {
        self.code.open(url)
    }

    fn forget(&self, row: u64) {
        self.code.forget(row);
    }
}
