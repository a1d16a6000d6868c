//! Programs of an old and of a new release that use the table all the time, without a second try,
//! and know what must come of it.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    thread::{Scope, ScopedJoinHandle},
    time::{Duration, Instant},
};

use newcol_core::{
    backend::Backend,
    db::{DatabaseUrl, OpenOptions, Row, Session},
};
use newcol_testkit::wait::wait_until;

use crate::chance::Chance;

/// Programs at work.
pub(super) const CLIENTS: u64 = 8;

/// Time between two statements of a program.
const BETWEEN: Duration = Duration::from_millis(2);

/// Statements that every program completes before the next change.
const ROUND: u64 = 20;

/// The longest time until all have completed them.
const LIMIT: Duration = Duration::from_secs(60);

/// The longest transaction of the program that idles in its transactions: shorter than what is
/// looked for before a lock is asked for, so that others do queue behind it.
const IDLE: u64 = 900;

/// Rows that programs insert have numbers from here on, as many for each.
const OWN: u64 = 1_000_000_000;

/// What the code of a program knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Release {
    /// Nothing of the column.
    Old,
    New,
}

/// What was done to programs.
#[derive(Debug, Default)]
pub(super) struct Harm {
    pub(super) statements: u64,
    pub(super) failed: Vec<String>,
    /// The longest statement, and during what.
    pub(super) longest: Duration,
    pub(super) longest_during: String,
    /// Changes that are not there.
    pub(super) lost: Vec<String>,
}

/// All programs.
pub(super) struct Crowd<'a> {
    url: &'a str,
    backend: Backend,
    rows: u64,
    stop: AtomicBool,
    now: Mutex<String>,
    harm: Mutex<Harm>,
    /// How often all values were to be looked at.
    looks: AtomicU64,
    /// How often the column has gone.
    gone: AtomicU64,
    seats: Vec<Seat>,
}

/// What one program is to do, and what it does.
#[derive(Default)]
struct Seat {
    is_new: AtomicBool,
    obeys: AtomicBool,
    done: AtomicU64,
    looked: AtomicU64,
}

/// What one program knows of its changes.
#[derive(Debug, Default)]
pub(super) struct Books {
    /// By how much it raised `n` of common rows.
    raised: HashMap<u64, u64>,
    /// Its own rows, with `n`.
    own: HashMap<u64, u64>,
    inserted: u64,
    /// The column in common rows that nobody else writes it in.
    written: HashMap<u64, String>,
    gone: u64,
}

impl<'a> Crowd<'a> {
    pub(super) fn new(url: &'a str, rows: u64) -> Self {
        Self {
            url,
            backend: Backend::of_url(url),
            rows,
            stop: AtomicBool::new(false),
            now: Mutex::new("before".to_owned()),
            harm: Mutex::default(),
            looks: AtomicU64::new(0),
            gone: AtomicU64::new(0),
            seats: (0..CLIENTS).map(|_| Seat::default()).collect(),
        }
    }

    /// Lets all of them work while `act` changes the table, and says what it did to them.
    pub(super) fn during(&self, seed: u64, act: impl FnOnce()) -> Harm {
        let books = std::thread::scope(|scope| {
            let programs: Vec<_> = (0..CLIENTS).map(|me| self.start(scope, me, seed)).collect();
            for (sql, seed) in self.idling().iter().zip(seed..) {
                scope.spawn(move || self.idle(sql, &mut Chance::of(seed)));
            }
            let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                self.settle();
                act();
            }));
            self.stop.store(true, SeqCst);
            let books: Vec<Books> = programs.into_iter().map(|one| one.join().unwrap()).collect();
            if let Err(panic) = ended {
                std::panic::resume_unwind(panic);
            }
            books
        });
        let mut harm = std::mem::take(&mut *self.harm.lock().unwrap());
        harm.lost.extend(self.compare(&books));
        harm
    }

    fn start<'s>(
        &'s self,
        scope: &'s Scope<'s, '_>,
        me: u64,
        seed: u64,
    ) -> ScopedJoinHandle<'s, Books> {
        let mut chance = Chance::of(seed.wrapping_mul(CLIENTS).wrapping_add(me));
        scope.spawn(move || {
            let mut program =
                Program { crowd: self, me, session: self.open("web"), books: Books::default() };
            while wait_until("end", BETWEEN, || self.stop.load(SeqCst)).is_err() {
                program.step(&mut chance);
            }
            program.books
        })
    }

    /// What programs do in transactions that are open longer than they need to be.
    fn idling(&self) -> &'static [&'static str] {
        match self.backend {
            Backend::Postgres => &[
                "SELECT count(*) FROM t WHERE id < 100",
                "UPDATE t SET n = 0 WHERE id = 0",
                "UPDATE p SET n = n + 1 WHERE name = 'nam'",
            ],
            Backend::Mysql | Backend::Sqlite => &["SELECT count(*) FROM t WHERE id < 100"],
        }
    }

    fn idle(&self, act: &str, chance: &mut Chance) {
        let mut session = self.open("report");
        while !self.stop.load(SeqCst) {
            let rest = Duration::from_millis(chance.below(IDLE));
            for sql in ["BEGIN", act, "COMMIT"] {
                self.timed(sql, || session.query(sql).map(drop));
                if sql != "BEGIN" {
                    drop(wait_until("end", rest, || self.stop.load(SeqCst)));
                }
            }
        }
    }

    fn open(&self, name: &str) -> Session {
        let open = OpenOptions { application_name: Some(name.to_owned()), ..OpenOptions::write() };
        Session::open(&DatabaseUrl::parse(self.url).unwrap(), &open).unwrap()
    }

    /// Says what happens to the table from now on.
    pub(super) fn tell(&self, what: &str) {
        what.clone_into(&mut self.now.lock().unwrap());
    }

    /// Gives so many programs the new release and the others the old one, and waits until they run.
    pub(super) fn deploy(&self, new: u64) {
        for (at, seat) in (0..).zip(&self.seats) {
            seat.is_new.store(at < new, SeqCst);
        }
        self.until("deployment", || {
            (0..).zip(&self.seats).all(|(at, seat)| seat.obeys.load(SeqCst) == (at < new))
        });
        self.settle();
    }

    /// Waits until every program has done some statements more.
    pub(super) fn settle(&self) {
        let goals: Vec<u64> = self.seats.iter().map(|one| one.done.load(SeqCst) + ROUND).collect();
        self.until("round", || {
            self.seats.iter().zip(&goals).all(|(seat, goal)| seat.done.load(SeqCst) >= *goal)
        });
    }

    /// Has every program look whether the column holds what it has written.
    pub(super) fn look(&self) {
        let wanted = self.looks.fetch_add(1, SeqCst) + 1;
        self.until("look", || self.seats.iter().all(|seat| seat.looked.load(SeqCst) >= wanted));
    }

    /// The column goes, with all that was in it.
    pub(super) fn forget(&self) {
        self.gone.fetch_add(1, SeqCst);
    }

    fn until(&self, what: &str, is_there: impl FnMut() -> bool) {
        if wait_until(what, LIMIT, is_there).is_err() {
            let during = self.now.lock().unwrap().clone();
            panic!("programs do not get on during {during}: {what}");
        }
    }

    /// Does something that a program waits for.
    fn timed<T>(
        &self,
        sql: &str,
        act: impl FnOnce() -> Result<T, newcol_core::db::DbError>,
    ) -> Option<T> {
        let started = Instant::now();
        let done = act();
        let took = started.elapsed();
        let mut harm = self.harm.lock().unwrap();
        harm.statements += 1;
        if took > harm.longest {
            harm.longest = took;
            harm.longest_during = format!("{}: {sql}", self.now.lock().unwrap());
        }
        match done {
            Ok(value) => Some(value),
            Err(error) => {
                let why = error.failure().map_or_else(String::new, |said| said.message.clone());
                let during = self.now.lock().unwrap().clone();
                harm.failed.push(format!("{during}: {sql}: {error}: {why}"));
                None
            }
        }
    }

    fn lose(&self, what: String) {
        self.harm.lock().unwrap().lost.push(what);
    }

    /// Compares the table with what all programs know.
    fn compare(&self, books: &[Books]) -> Vec<String> {
        let mut wanted: HashMap<u64, u64> = HashMap::new();
        for book in books {
            for (id, n) in book.raised.iter().chain(&book.own) {
                *wanted.entry(*id).or_default() += n;
            }
        }
        let own: HashSet<u64> = books.iter().flat_map(|book| book.own.keys().copied()).collect();
        let sql = format!("SELECT id, n FROM t WHERE n <> 0 OR id >= {OWN}");
        let found: HashMap<u64, u64> =
            self.open("check").query(&sql).unwrap().iter().map(pair).collect();
        let ids: HashSet<u64> = wanted.keys().chain(found.keys()).copied().collect();
        ids.into_iter()
            .filter(|id| {
                let is_there = *id < OWN || (own.contains(id) && found.contains_key(id));
                !is_there
                    || wanted.get(id).copied().unwrap_or(0) != found.get(id).copied().unwrap_or(0)
            })
            .map(|id| format!("row {id}: {:?} instead of {:?}", found.get(&id), wanted.get(&id)))
            .collect()
    }
}

/// A program at work.
struct Program<'a> {
    crowd: &'a Crowd<'a>,
    me: u64,
    session: Session,
    books: Books,
}

impl Program<'_> {
    /// Obeys, then does one thing.
    fn step(&mut self, chance: &mut Chance) {
        let seat = &self.crowd.seats[self.me as usize];
        let is_new = seat.is_new.load(SeqCst);
        seat.obeys.store(is_new, SeqCst);
        let gone = self.crowd.gone.load(SeqCst);
        if self.books.gone != gone {
            self.books.gone = gone;
            self.books.written.clear();
        }
        let wanted = self.crowd.looks.load(SeqCst);
        if seat.looked.load(SeqCst) < wanted {
            if is_new {
                self.look();
            }
            seat.looked.store(wanted, SeqCst);
        }
        self.act(if is_new { Release::New } else { Release::Old }, chance);
        seat.done.fetch_add(1, SeqCst);
    }

    fn act(&mut self, release: Release, chance: &mut Chance) {
        let common = chance.below(self.crowd.rows) + 1;
        match (chance.below(13), release) {
            (0 | 1, _) => self.insert(release, 1),
            (2, _) => self.insert(release, 3),
            (3, _) => self.upsert(release, common),
            (4 | 5, Release::New) => self.write(common),
            (4..=6, _) => {
                self.raise(&format!("UPDATE t SET n = n + 1 WHERE id = {common}"), common);
            }
            (7 | 8, _) => self.read(release),
            (9, _) => {
                let sql = format!(
                    "SELECT {} FROM t WHERE id BETWEEN {common} AND {}",
                    columns(release),
                    common + 20
                );
                self.query(&sql);
            }
            (10, _) => self.transact(common),
            (11, _) if self.crowd.backend == Backend::Postgres => {
                let sql = format!("UPDATE p SET n = n + 1 WHERE name = 'app {} 0'", self.me);
                let _done = self.execute(&sql);
            }
            _ => self.delete(),
        }
    }

    fn insert(&mut self, release: Release, count: u64) {
        let first = OWN * (self.me + 1) + self.books.inserted;
        self.books.inserted += count;
        let values: Vec<String> = (first..first + count).map(|id| values(release, id)).collect();
        let sql = format!("INSERT INTO t ({}) VALUES {}", columns(release), values.join(", "));
        if self.execute(&sql).is_some() {
            self.books.own.extend((first..first + count).map(|id| (id, 0)));
        }
    }

    fn upsert(&mut self, release: Release, id: u64) {
        let otherwise = match self.crowd.backend {
            Backend::Mysql => "ON DUPLICATE KEY UPDATE n = n + 1",
            Backend::Postgres | Backend::Sqlite => "ON CONFLICT (id) DO UPDATE SET n = t.n + 1",
        };
        let sql = format!(
            "INSERT INTO t ({}) VALUES {} {otherwise}",
            columns(release),
            values(release, id)
        );
        if self.execute(&sql).is_some() {
            *self.books.raised.entry(id).or_default() += 1;
        }
    }

    fn raise(&mut self, sql: &str, id: u64) {
        match self.execute(sql) {
            Some(1) => *self.books.raised.entry(id).or_default() += 1,
            Some(count) => self.crowd.lose(format!("{count} rows: {sql}")),
            None => {}
        }
    }

    /// Writes the column of a row in which no other program does.
    fn write(&mut self, near: u64) {
        let id = near - near % CLIENTS + self.me + 1;
        if id > self.crowd.rows {
            return;
        }
        let value = format!("app {} {}", self.me, self.books.inserted % 50);
        let raised = self.books.raised.get(&id).copied();
        self.raise(&format!("UPDATE t SET n = n + 1, c = '{value}' WHERE id = {id}"), id);
        if self.books.raised.get(&id).copied() != raised {
            self.books.written.insert(id, value);
        }
    }

    /// Reads a row of its own, which nobody else changes.
    fn read(&mut self, release: Release) {
        let Some((id, n)) = self.books.own.iter().next().map(|(id, n)| (*id, *n)) else { return };
        let sql = format!("SELECT {} FROM t WHERE id = {id}", columns(release));
        let Some(rows) = self.query(&sql) else { return };
        let found = rows.first().map(|row| (row[1].clone(), row[2].clone()));
        if found != Some((Some(format!("Own {id}")), Some(n.to_string()))) {
            self.crowd.lose(format!("{found:?} instead of {n}: {sql}"));
        }
    }

    /// Reads and writes in one transaction.
    fn transact(&mut self, id: u64) {
        // A plain read would be broken off as a deadlock once it writes: where DDL waits for a table
        // that a transaction has read, the server makes the transaction the victim, always.
        let lock = match self.crowd.backend {
            Backend::Mysql => " FOR UPDATE",
            Backend::Postgres | Backend::Sqlite => "",
        };
        let sql = format!("SELECT n FROM t WHERE id = {id}{lock}");
        if self.execute("BEGIN").is_some() && self.query(&sql).is_some() {
            let sql = format!("UPDATE t SET n = n + 1 WHERE id = {id}");
            let is_done = self.execute(&sql).is_some() && self.execute("COMMIT").is_some();
            if is_done {
                *self.books.raised.entry(id).or_default() += 1;
                return;
            }
        }
        self.session.batch("ROLLBACK").ok();
    }

    fn delete(&mut self) {
        let Some(id) = self.books.own.keys().next().copied() else { return };
        let sql = format!("DELETE FROM t WHERE id = {id}");
        match self.execute(&sql) {
            Some(1) => drop(self.books.own.remove(&id)),
            Some(count) => self.crowd.lose(format!("{count} rows: {sql}")),
            None => {}
        }
    }

    /// Looks whether the column holds what it has written.
    fn look(&mut self) {
        for (id, value) in &self.books.written {
            let sql = format!("SELECT c FROM t WHERE id = {id}");
            let found = self.session.value(&sql).unwrap();
            if found.as_ref() != Some(value) {
                self.crowd.lose(format!("row {id}: {found:?} instead of {value}"));
            }
        }
    }

    fn execute(&mut self, sql: &str) -> Option<u64> {
        self.crowd.timed(sql, || self.session.execute(sql))
    }

    fn query(&mut self, sql: &str) -> Option<Vec<Row>> {
        self.crowd.timed(sql, || self.session.query(sql))
    }
}

fn columns(release: Release) -> &'static str {
    match release {
        Release::Old => "id, name, n",
        Release::New => "id, name, n, c",
    }
}

fn values(release: Release, id: u64) -> String {
    match release {
        Release::Old => format!("({id}, 'Own {id}', 0)"),
        Release::New => format!("({id}, 'Own {id}', 0, 'app')"),
    }
}

fn pair(row: &Row) -> (u64, u64) {
    let number = |at: usize| row[at].as_deref().unwrap_or_default().parse().unwrap();
    (number(0), number(1))
}

/// Waits for a session that sleeps in its transaction (PostgreSQL).
pub(super) fn wait_for_sleep(url: &str) {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
               AND wait_event = 'PgSleep'";
    let is_there =
        || newcol_testkit::scratch::rows(url, sql).unwrap()[0][0].as_deref() == Some("1");
    wait_until("a session that sleeps", LIMIT, is_there).unwrap();
}
