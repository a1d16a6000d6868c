//! A database of its own for every test, from the fastest provider at hand.
//!
//! A server is the first of these that satisfies the wish; `NEWCOL_TEST_PROVIDER` leaves only one
//! of the three:
//!
//! - `given`: the one whose URL is in `NEWCOL_TEST_POSTGRES_URL` or `NEWCOL_TEST_MYSQL_URL`
//! - `local`: one of ours from server programs on this machine (`NEWCOL_PG_BIN`,
//!   `NEWCOL_MYSQL_BIN`, `PATH`, the usual places)
//! - `docker`: one of ours in a container, with the feature `docker`, from the image in
//!   `NEWCOL_TEST_IMAGE_POSTGRES` or `NEWCOL_TEST_IMAGE_MYSQL` (an image without tag gets the wanted
//!   version as its tag)
//!
//! All test processes of a user share one server of ours per version, which keeps its data in
//! memory where there is room and ends ten seconds after its last user. Nothing survives a killed
//! run: the next start sweeps what has no living owner, and only that. A failed test keeps its
//! database for an hour and says how to open it.
//!
//! SQLite needs no server. Each engine is a cargo feature (`postgres`, `mysql`, `sqlite`), and none
//! is on by default.
//!
//! ```no_run
//! use newcol_testkit::{ScratchDb, Want};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let db = ScratchDb::new(Want::postgres().version(15))?;
//! db.run(&["CREATE TABLE users (name text)", "INSERT INTO users VALUES ('Ada')"])?;
//! assert_eq!(db.rows("SELECT name FROM users")?, [[Some("Ada".to_owned())]]);
//! # Ok(())
//! # }
//! ```

pub(crate) mod admin;
#[cfg(unix)]
mod container;
#[cfg(all(unix, feature = "docker"))]
mod docker;
pub(crate) mod error;
pub(crate) mod lease;
#[cfg(unix)]
mod local;
mod mysql;
mod postgres;
#[cfg(unix)]
mod program;
mod provider;
#[cfg(unix)]
mod running;
mod server;
#[cfg(unix)]
mod service;
mod slots;
mod sqlite;
mod standby;
#[cfg(unix)]
mod supervisor;
mod want;
#[cfg(unix)]
mod warm;

use std::{fmt, sync::Arc};

use newcol_core::backend::{Backend, Server as ServerVersion};

pub use self::{
    admin::AdminError,
    error::{BoxError, ScratchError, Tried},
    standby::{Standby, StandbyError},
    want::{Sharing, Storage, Want},
};
use self::{server::Server, slots::Slot, sqlite::SqliteDb};
use crate::settings;

/// A database that nobody else uses, gone when the test has passed.
///
/// If it is dropped while its thread panics, it stays for an hour and its URL is printed.
#[must_use = "the database is dropped with this value"]
pub struct ScratchDb {
    url: String,
    backend: Backend,
    holder: Holder,
}

/// What keeps the database.
enum Holder {
    Server { server: Arc<Server>, name: String, slot: Option<Slot> },
    Sqlite(SqliteDb),
}

impl ScratchDb {
    /// Makes an empty database that satisfies a wish: a [`Backend`] or a [`Want`].
    pub fn new(want: impl Into<Want>) -> Result<Self, ScratchError> {
        let want = want.into();
        match want.backend {
            Backend::Sqlite => Self::of_sqlite(SqliteDb::new(want.storage)?),
            Backend::Postgres | Backend::Mysql => {
                let server = server::find(want)?;
                let slot = slots::take(&server.home)?;
                let name = server.create(None)?;
                Ok(Self::of_server(server, name, slot))
            }
        }
    }

    /// Makes an empty PostgreSQL database of any supported version.
    pub fn postgres() -> Result<Self, ScratchError> {
        Self::new(Backend::Postgres)
    }

    /// Makes an empty MySQL or MariaDB database.
    pub fn mysql() -> Result<Self, ScratchError> {
        Self::new(Backend::Mysql)
    }

    /// Makes an empty SQLite database in a temporary file.
    pub fn sqlite() -> Result<Self, ScratchError> {
        Self::new(Backend::Sqlite)
    }

    /// Makes a copy of the database that `build` makes from an empty one, given its URL.
    ///
    /// On PostgreSQL `build` runs once per server and `recipe`, whichever process comes first, and
    /// every later call is one fast copy. So `recipe` must contain all that decides the outcome,
    /// such as the text of the migrations. The other engines cannot copy a database faster than
    /// build it, and do that.
    pub fn from_template(
        want: impl Into<Want>,
        recipe: &str,
        build: impl FnOnce(&str) -> Result<(), BoxError>,
    ) -> Result<Self, ScratchError> {
        let want = want.into();
        if want.backend == Backend::Postgres {
            let server = server::find(want)?;
            let template = postgres::template(&server, recipe, build)?;
            let slot = slots::take(&server.home)?;
            let name = server.create(Some(&template))?;
            return Ok(Self::of_server(server, name, slot));
        }
        let db = Self::new(want)?;
        build(&db.url)
            .map_err(|source| ScratchError::Build { recipe: error::brief(recipe), source })?;
        Ok(db)
    }

    /// Makes a database, or returns `None` after recording the test as skipped: no server here.
    ///
    /// Where skipping would hide something, with `CI=true` or `NEWCOL_TEST_REQUIRE` set, a missing
    /// server fails the test. Any other error fails it everywhere.
    ///
    /// # Panics
    ///
    /// When the database is required and cannot be had, naming everything that was tried.
    #[expect(clippy::panic, reason = "fails the calling test, which is its purpose")]
    pub fn require(want: impl Into<Want>) -> Option<Self> {
        match Self::new(want) {
            Ok(db) => Some(db),
            Err(error) if error.is_missing_server() && !settings::server_is_required() => {
                error::record_skipped(&error);
                None
            }
            Err(error) => panic!("{}", error::chain(&error)),
        }
    }

    /// Returns the URL that Diesel, the Diesel CLI and pure-Rust drivers all understand.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the dialect the database speaks.
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// Returns the server's product and version; `None` on SQLite, which is compiled in.
    pub fn server(&self) -> Option<ServerVersion> {
        match &self.holder {
            Holder::Server { server, .. } => Some(server.version),
            Holder::Sqlite(_) => None,
        }
    }

    /// Runs statements one by one on a connection of their own.
    ///
    /// Not named `execute`: diesel-async's `RunQueryDsl` gives every type a method of that name,
    /// which would win.
    pub fn run(&self, statements: &[&str]) -> Result<(), AdminError> {
        admin::exec(&self.url, statements)
    }

    /// Asks a question; values are the text that the server makes of them, `None` is NULL.
    pub fn rows(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, AdminError> {
        admin::query(&self.url, sql)
    }

    /// Returns the URL of another database of the same server; `None` on SQLite, which has no other.
    pub(crate) fn url_of(&self, database: &str) -> Option<String> {
        match &self.holder {
            Holder::Server { server, .. } => Some(server.url(database)),
            Holder::Sqlite(_) => None,
        }
    }

    /// Returns the home of a server that is for this database alone.
    #[cfg(unix)]
    fn private_home(&self) -> Option<&lease::Home> {
        match &self.holder {
            Holder::Server { server, .. } if server.owner == server::Owner::Private => {
                Some(&server.home)
            }
            Holder::Server { .. } | Holder::Sqlite(_) => None,
        }
    }

    /// Keeps the database as a failed test does, and returns the command that opens it.
    pub fn keep(self) -> String {
        let note = self.keep_in_place();
        std::mem::forget(self);
        note
    }

    /// Kills a server of our own as a crash of the machine's process would, and starts it again on
    /// the same data.
    ///
    /// Only a server asked for with [`Sharing::Private`] can be killed: others use a shared one.
    pub fn crash_server(&self) -> Result<(), ScratchError> {
        match &self.holder {
            Holder::Server { server, .. } => server.crash(),
            Holder::Sqlite(_) => Err(ScratchError::NotPrivate),
        }
    }

    fn of_server(server: Arc<Server>, name: String, slot: Slot) -> Self {
        let url = server.url(&name);
        let backend = server.version.backend();
        Self { url, backend, holder: Holder::Server { server, name, slot: Some(slot) } }
    }

    fn of_sqlite(db: SqliteDb) -> Result<Self, ScratchError> {
        Ok(Self { url: db.url(), backend: Backend::Sqlite, holder: Holder::Sqlite(db) })
    }

    fn keep_in_place(&self) -> String {
        match &self.holder {
            Holder::Server { server, name, .. } => server.keep(name),
            Holder::Sqlite(db) => db.keep(),
        }
    }
}

/// Runs statements one by one on a connection to any URL.
pub fn run(url: &str, statements: &[&str]) -> Result<(), AdminError> {
    admin::exec(url, statements)
}

/// Asks any URL a question; values are the text that the server makes of them, `None` is NULL.
pub fn rows(url: &str, sql: &str) -> Result<Vec<Vec<Option<String>>>, AdminError> {
    admin::query(url, sql)
}

impl Drop for ScratchDb {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let note = self.keep_in_place();
            #[expect(clippy::print_stderr, reason = "the note for whoever reads the failed test")]
            {
                eprintln!("newcol-testkit: kept the database of this failed test: {note}");
            }
            return;
        }
        match &mut self.holder {
            Holder::Server { server, name, slot } => server::discard(server, name, slot.take()),
            Holder::Sqlite(db) => db.discard(),
        }
    }
}

impl fmt::Debug for ScratchDb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScratchDb").field("backend", &self.backend).finish_non_exhaustive()
    }
}
