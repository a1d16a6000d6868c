//! Law: no program notices that a column comes, or goes.
//!
//! Eight programs of the old and of the new release insert, change, read and delete rows without a
//! second try, and some more idle in their transactions, while a required, computed column goes through
//! all its stages and back. On PostgreSQL the column points to another table that they use too, the
//! table has the trigger that Diesel's own `set_updated_at` is, and a row is empty again after the
//! backfill. No statement may fail, none may wait longer than the lock budget, no
//! change may be lost. What other tools do has to fail the same test: else it would show nothing.
//!
//! `NEWCOL_HARM_ROUNDS` says how often the column goes up and back, each time from another stage, and
//! makes the limit of waits strict; `NEWCOL_HARM_ROWS` how large the table is.

mod clients;

use std::time::{Duration, Instant};

use newcol_core::{
    backend::{Backend, Product},
    contract::{Contract, read},
    db::{DatabaseUrl, OpenOptions, Session},
    execute::{
        apply::{Answer, Apply, Budget, Outcome, SqlMigration},
        backfill::{self, Backfill},
    },
    plan::{StageKind, Transaction},
    render,
};
use newcol_testkit::{
    ScratchDb, Want,
    life::{Action, Life, Script},
};

use self::clients::{CLIENTS, Crowd, Harm};
use crate::chance;

/// Rows, where nobody wants more.
const ROWS: u64 = 20_000;

/// What a wait may be longer than the lock budget where time is measured strictly: the statement
/// itself, and the time until the server wakes it.
const MARGIN: Duration = Duration::from_millis(50);

/// The same on a machine that has much else to do.
const WIDE_MARGIN: Duration = Duration::from_secs(2);

const CONTRACT: &str = "format = 1\ntable = 't'\ncolumn = 'c'\nwhy = 'a test'\n\
    type = 'varchar(60)'\nrequired = true\n[old_rows]\nfill = 'left(lower(name), 3)'\n\
    [old_writers]\nby = 'trigger'\n[index]\n";

/// Where only PostgreSQL keeps the limit: the two locks of a foreign key.
const REFERENCES: &str = "[references]\ntable = 'p'\ncolumn = 'name'\n";

/// What PostgreSQL's table has besides: a table to point to, and Diesel's trigger.
const SURROUNDED: &[&str] = &[
    "CREATE TABLE p (name varchar(60) NOT NULL PRIMARY KEY, n integer NOT NULL)",
    "INSERT INTO p SELECT 'app ' || me || ' ' || k, 0 FROM generate_series(0, 7) AS me, generate_series(0, 49) AS k",
    "INSERT INTO p VALUES ('nam', 0), ('own', 0), ('app', 0)",
    "ALTER TABLE t ADD COLUMN touched bigint NOT NULL DEFAULT 0",
    "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS \
     'BEGIN NEW.touched := OLD.touched + 1; RETURN NEW; END'",
    "CREATE TRIGGER set_updated_at BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION touch()",
    "INSERT INTO t VALUES (0, 'Name 0', 0)",
];

/// A table, and the stages of its column.
struct Column {
    db: ScratchDb,
    rows: u64,
    contract: Contract,
    life: Life,
}

impl Column {
    fn new(want: Want) -> Option<Self> {
        let db = ScratchDb::require(want)?;
        let rows = number("NEWCOL_HARM_ROWS").unwrap_or(ROWS);
        let fill = match db.backend() {
            Backend::Mysql => format!("SELECT seq, concat('Name ', seq), 0 FROM seq_1_to_{rows}"),
            Backend::Postgres | Backend::Sqlite => {
                format!("SELECT i, 'Name ' || i, 0 FROM generate_series(1, {rows}) AS i")
            }
        };
        db.run(&[
            "CREATE TABLE t (id bigint NOT NULL PRIMARY KEY, name varchar(40) NOT NULL, n integer NOT NULL)",
            &format!("INSERT INTO t {fill}"),
        ])
        .unwrap();
        let contract = match db.backend() {
            Backend::Postgres => {
                db.run(SURROUNDED).unwrap();
                format!("{CONTRACT}{REFERENCES}")
            }
            Backend::Mysql | Backend::Sqlite => CONTRACT.to_owned(),
        };
        let contract = read::read(&contract).unwrap().contract;
        let life = Life::plan(&contract, db.url()).unwrap();
        Some(Self { db, rows, contract, life })
    }

    fn crowd(&self) -> Crowd<'_> {
        Crowd::new(self.db.url(), self.rows)
    }

    /// Returns the migrations of a stage.
    fn migrations(&self, at: usize) -> Vec<SqlMigration> {
        let stage = &self.life.stages[at];
        let scripts = stage.actions.iter().filter_map(|action| match action {
            Action::Migration(script) => Some(script),
            Action::Backfill(_) | Action::Statements { .. } => None,
        });
        let planned = self.life.plan.stage(stage.kind).unwrap();
        (0..)
            .zip(scripts.zip(&planned.migrations))
            .map(|(number, (script, migration)): (u32, _)| {
                let steps = migration.steps.iter();
                let proofs = steps.flat_map(|step| render::up(step, &self.life.plan));
                SqlMigration {
                    version: format!("{}{number:02}", at + 1),
                    proofs: proofs.filter_map(|one| Some(one.proof?.to_string())).collect(),
                    ..migration_of(script)
                }
            })
            .collect()
    }

    /// Applies, or takes back, a stage while programs go on.
    fn go(&self, crowd: &Crowd<'_>, at: usize, way: Way) {
        let kind = self.life.stages[at].kind;
        crowd.tell(&format!("{way:?} {}", kind.name()));
        let url = DatabaseUrl::parse(self.db.url()).unwrap();
        let started = Instant::now();
        if kind == StageKind::Backfill {
            if way == Way::Up {
                let job = Backfill::new(&self.contract, &url, OpenOptions::write());
                let ended = job.run(&|_| backfill::Answer::Go).unwrap();
                assert!(matches!(ended, backfill::Outcome::Done(_)), "{ended:?}");
                self.db.run(&["UPDATE t SET c = NULL WHERE id = 0"]).unwrap();
            }
            eprintln!("{way:?} {}: {:.1?}", kind.name(), started.elapsed());
            crowd.settle();
            return;
        }
        let mut migrations = self.migrations(at);
        let apply = Apply::new(&url, OpenOptions::write());
        let ended = match way {
            Way::Up => apply.run(&migrations, &|_| Answer::Go),
            Way::Down => {
                migrations.reverse();
                if at == 0 {
                    // As `undo` does it.
                    let mut session = Session::open(&url, &OpenOptions::read()).unwrap();
                    let column = self.contract.path();
                    let forgetting = backfill::forgetting(&mut session, column).unwrap();
                    migrations.last_mut().unwrap().begin_down_with(&forgetting.unwrap());
                }
                apply.revert(&migrations, &|_| Answer::Go)
            }
        };
        let Ok(Outcome::Done(report)) = ended else { panic!("{way:?} {}: {ended:?}", kind.name()) };
        assert_eq!(report.migrations.len(), migrations.len());
        for done in report.migrations {
            let (tries, took, held) = (done.tries, done.took, done.held);
            eprintln!("{way:?} {}: {took:.1?}, tries {tries}, held {held:.1?}", done.name);
        }
        crowd.settle();
    }

    /// Goes up to a stage, and back.
    fn round(&self, crowd: &Crowd<'_>, top: usize) {
        for at in 0..=top {
            if self.life.stages[at].kind == StageKind::Contract {
                // Nobody fills the column for the old release any more.
                crowd.deploy(CLIENTS);
            }
            self.go(crowd, at, Way::Up);
            if at == 0 {
                crowd.deploy(CLIENTS / 2);
            }
        }
        crowd.look();
        for at in (0..=top).rev() {
            if at == 0 {
                crowd.deploy(0);
            }
            self.go(crowd, at, Way::Down);
            if self.life.stages[at].kind == StageKind::Contract {
                crowd.deploy(CLIENTS / 2);
            }
        }
        crowd.forget();
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Up,
    Down,
}

fn migration_of(script: &Script) -> SqlMigration {
    SqlMigration {
        version: String::new(),
        name: script.name.clone(),
        up: script.up.clone(),
        down: Some(script.down.clone()),
        in_transaction: script.transaction == Transaction::Wrapped,
        proofs: Vec::new(),
    }
}

/// How long programs may wait: MySQL and MariaDB know only whole seconds.
fn budget(backend: Backend) -> Duration {
    let limit = Budget::default().lock_timeout;
    match backend {
        Backend::Mysql => Duration::from_secs(limit.as_secs_f64().ceil() as u64),
        Backend::Postgres | Backend::Sqlite => limit,
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that asks how long the tests may be")]
fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

fn nobody_notices(want: Want) {
    let Some(column) = Column::new(want) else { return };
    let crowd = column.crowd();
    let rounds = number("NEWCOL_HARM_ROUNDS");
    let stages = column.life.stages.len();
    let harm = crowd.during(chance::seed(), || {
        for round in 0..rounds.unwrap_or(1) as usize {
            column.round(&crowd, stages - 1 - round % stages);
        }
    });
    let Harm { statements, failed, longest, longest_during, lost } = harm;
    let server = column.db.server();
    eprintln!("{server:?}: {statements} statements, longest {longest:.1?} ({longest_during})");
    assert!(failed.is_empty(), "{} statements failed: {:#?}", failed.len(), &failed[..1]);
    assert!(lost.is_empty(), "{} changes are lost: {:#?}", lost.len(), &lost[..1]);
    let margin = if rounds.is_some() { MARGIN } else { WIDE_MARGIN };
    let limit = budget(column.db.backend()) + margin;
    assert!(longest <= limit, "{longest:?} of waiting: {longest_during}");
}

#[test]
fn nobody_notices_on_postgres() {
    nobody_notices(Want::postgres().version(18));
}

#[test]
fn nobody_notices_on_postgres_15() {
    nobody_notices(Want::postgres().version(15));
}

#[test]
fn nobody_notices_on_an_old_postgres() {
    nobody_notices(Want::postgres().version(13));
}

#[test]
fn nobody_notices_on_mariadb() {
    nobody_notices(Want::mysql().product(Product::Mariadb));
}

/// What is done to programs by statements that are sent as they are.
fn harm_of(want: Want, statements: &[&str]) -> Option<Harm> {
    let column = Column::new(want)?;
    let crowd = column.crowd();
    let harm = crowd.during(chance::seed(), || {
        for sql in statements {
            crowd.tell(sql);
            column.db.run(&[sql]).unwrap();
            crowd.settle();
        }
    });
    eprintln!(
        "{} failed, longest {:.1?}, {:?}",
        harm.failed.len(),
        harm.longest,
        harm.lost.first()
    );
    Some(harm)
}

/// What everybody writes first: the column, one `UPDATE`, `NOT NULL`.
#[test]
fn a_column_that_is_required_at_once_is_noticed() {
    for (want, lock, require) in [
        (Want::postgres(), "BEGIN; LOCK TABLE t", "ALTER COLUMN c SET NOT NULL; COMMIT"),
        (Want::mysql(), "LOCK TABLES t WRITE", "MODIFY c varchar(60) NOT NULL; UNLOCK TABLES"),
    ] {
        // Rows that come after the one `UPDATE` would break the last statement off.
        let fill = "UPDATE t SET c = lower(name) WHERE c IS NULL";
        let last = format!("{lock}; {fill}; ALTER TABLE t {require}");
        let statements = ["ALTER TABLE t ADD COLUMN c varchar(60)", fill, &last];
        let Some(harm) = harm_of(want, &statements) else { continue };
        assert!(!harm.failed.is_empty());
    }
}

#[test]
fn a_constraint_before_its_trigger_is_noticed() {
    let statements = [
        "ALTER TABLE t ADD COLUMN c varchar(60), \
         ADD CONSTRAINT c_there CHECK (c IS NOT NULL) NOT VALID",
        "CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN NEW.c := coalesce(NEW.c, lower(NEW.name)); RETURN NEW; END $$; \
         CREATE TRIGGER fill BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION fill()",
    ];
    let Some(harm) = harm_of(Want::postgres(), &statements) else { return };
    assert!(!harm.failed.is_empty());
}

/// Whoever waits for a lock without a limit holds up all that come later.
#[test]
fn a_queue_behind_a_long_transaction_is_noticed() {
    let Some(column) = Column::new(Want::postgres()) else { return };
    let crowd = column.crowd();
    let harm = crowd.during(chance::seed(), || {
        std::thread::scope(|scope| {
            let url = column.db.url();
            let long = "BEGIN; SELECT count(*) FROM t; SELECT pg_sleep(4.5); COMMIT";
            scope.spawn(move || newcol_testkit::scratch::run(url, &[long]).unwrap());
            clients::wait_for_sleep(url);
            column.db.run(&["ALTER TABLE t ADD COLUMN c varchar(60)"]).unwrap();
        });
    });
    assert!(harm.longest > budget(Backend::Postgres) + WIDE_MARGIN, "{:?}", harm.longest);
}

/// A table that is copied and renamed loses what came meanwhile.
#[test]
fn a_copied_table_is_noticed() {
    let statements = [
        "CREATE TABLE other (LIKE t INCLUDING ALL)",
        "INSERT INTO other SELECT * FROM t",
        "ALTER TABLE t RENAME TO before_that; ALTER TABLE other RENAME TO t",
    ];
    let Some(harm) = harm_of(Want::postgres(), &statements) else { return };
    assert!(!harm.lost.is_empty());
}
