//! The watch on real servers of several majors, each with a server of its own: counters of statements
//! are of the whole server.

mod cli;
mod day;
mod exposition;
mod faults;
mod files;
mod harmless;
mod indexes;
mod involvement;
mod lineage;
mod live;
mod measured;
mod mysql;
mod plans;
mod verdict;

use std::time::Duration;

use camino::Utf8PathBuf;
use newcol_core::{
    backend::Backend,
    db::{Access, DatabaseUrl, OpenOptions, Session},
    ident::ColumnPath,
    watch::{
        collect::{Purpose, Settings, Taken, WatchError, take},
        store::{Statement, Store, path},
    },
};
use newcol_testkit::{ScratchDb, Want, wait::wait_until};
use tempfile::TempDir;

const USERS: &[&str] = &[
    "CREATE EXTENSION pg_stat_statements",
    "CREATE TABLE users (id integer PRIMARY KEY, name text, age integer)",
    "INSERT INTO users SELECT n, 'name ' || n, n % 90 FROM generate_series(1, 500) n",
];

const ADD: &str = "ALTER TABLE users ADD COLUMN locale text";

/// A directory in memory where there is some: a snapshot syncs its file several times, and a disk takes
/// longer for that than everything else.
fn files() -> TempDir {
    let made = tempfile::Builder::new().prefix("newcol-watch-").tempdir_in("/dev/shm");
    made.or_else(|_| TempDir::new()).unwrap()
}

/// A server, an application's session with it, and a watcher's file.
struct World {
    db: ScratchDb,
    app: Session,
    column: ColumnPath,
    files: TempDir,
    settings: Settings,
    /// Our clock, which only the test moves.
    now: f64,
}

impl World {
    fn new(major: u32) -> Self {
        Self::with(Want::postgres().version(major).private(), USERS)
    }

    fn with(want: Want, setup: &[&str]) -> Self {
        let db = ScratchDb::new(want).unwrap();
        let app = Session::open(&DatabaseUrl::parse(db.url()).unwrap(), &OpenOptions::write());
        let mut world = Self {
            app: app.unwrap(),
            db,
            column: "users.locale".parse().unwrap(),
            files: files(),
            settings: Settings { texts_every: Duration::ZERO, ..Settings::default() },
            now: 0.0,
        };
        world.run(setup);
        world
    }

    /// Forgets all tables, all that was counted and all that was kept, and begins with other tables.
    fn anew(&mut self, setup: &[&str]) {
        self.run(&["DROP SCHEMA public CASCADE", "CREATE SCHEMA public"]);
        self.run(setup);
        self.run(&["SELECT pg_stat_statements_reset()"]);
        self.files = files();
    }

    /// Opens the application's session again, after its server has died.
    fn reconnect(&mut self) {
        self.app = Session::open(&self.url(), &OpenOptions::write()).unwrap();
    }

    /// Waits until the server has counted all that the application did; takes a table `ticks`.
    ///
    /// A session that ends hands over what it has, in the order in which it did it.
    fn settle(&mut self) {
        self.run(&["UPDATE ticks SET n = n + 1"]);
        self.reconnect();
        let is_counted = "SELECT n_tup_upd = n FROM ticks, pg_stat_user_tables, \
            pg_stat_clear_snapshot() WHERE relname = 'ticks'";
        wait_until("count of what was done", Duration::from_secs(10), || {
            self.app.query_bool(is_counted).unwrap()
        })
        .unwrap();
    }

    fn run(&mut self, statements: &[&str]) {
        for sql in statements {
            self.app.query(sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        }
    }

    fn file(&self) -> Utf8PathBuf {
        path(&Utf8PathBuf::from(self.files.path().to_str().unwrap()), &self.column)
    }

    /// Writes into the file that its snapshots were taken `step` seconds apart, those after snapshot
    /// `late` so many times as far. What they counted stays.
    fn spread(&self, step: f64, (late, times): (u32, f64)) {
        let mut file = Session::open(
            &DatabaseUrl::parse(self.file().as_str()).unwrap(),
            &OpenOptions::write(),
        )
        .unwrap();
        let at = format!("start + {step} * (min(id, {late}) + {times} * max(id - {late}, 0))");
        let mut sql = format!(
            "BEGIN; CREATE TEMP TABLE at AS SELECT id, server AS was, \
             (SELECT min(server) FROM snapshot) AS start FROM snapshot; \
             UPDATE snapshot SET server = (SELECT {at} FROM at WHERE at.id = snapshot.id); \
             UPDATE snapshot SET local = server; \
             UPDATE window SET begun = (SELECT server FROM snapshot WHERE id = window.snapshot - 1), \
             ended = (SELECT server FROM snapshot WHERE id = window.snapshot); "
        );
        for table in ["plan", "plan_use"] {
            // Just after the snapshot that made them due.
            sql += &format!(
                "UPDATE {table} SET at = (SELECT {at} + 1 FROM at WHERE was <= {table}.at \
                 ORDER BY id DESC LIMIT 1) + ({table}.at % 1); "
            );
        }
        file.batch(&(sql + "COMMIT")).unwrap();
    }

    fn store(&self) -> Store {
        Store::read(&self.file(), &self.column).unwrap().unwrap()
    }

    fn url(&self) -> DatabaseUrl {
        DatabaseUrl::parse(self.db.url()).unwrap()
    }

    fn try_take(&mut self, url: &DatabaseUrl, purpose: Purpose) -> Result<Taken, WatchError> {
        // Both clocks run alike unless a test says otherwise.
        let clock = match url.backend() {
            Backend::Mysql => "SELECT UNIX_TIMESTAMP(NOW(6))",
            _ => "SELECT extract(epoch FROM clock_timestamp())",
        };
        let now = self.app.value(clock).unwrap();
        let local = now.unwrap().parse::<f64>().unwrap() + self.now;
        let mut store = Store::write(&self.file(), &self.column)?;
        let options = OpenOptions { access: Access::Read, ..OpenOptions::default() };
        take((url, &options), &mut store, &self.column, (purpose, local), self.settings)
    }

    fn take(&mut self, purpose: Purpose) -> Taken {
        self.try_take(&self.url(), purpose).unwrap()
    }

    fn statements(&self) -> Vec<Statement> {
        self.store().statements().unwrap()
    }
}
