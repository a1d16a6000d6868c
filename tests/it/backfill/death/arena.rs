//! A table whose every fill is counted in the transaction that makes it.
//!
//! The fill yields another value each time, so a second fill of a row cannot hide. A trigger writes
//! every fill down; what the application writes (`app`) and what the trigger for old writers fills
//! (rows named `old`) is none.

use std::{
    fs::File,
    path::PathBuf,
    process::{Child, ExitStatus, Stdio},
    time::Duration,
};

use newcol_core::{
    backend::{Backend, Product},
    contract::read,
    db::{DatabaseUrl, OpenOptions, Session},
};
use newcol_testkit::{ScratchDb, Tool, Want, project::Project, wait::wait_for};

use crate::{desk, expanded::expand};

/// The longest that a run may take to its end, on a machine that has much else to do.
const LIMIT: Duration = Duration::from_secs(60);

const SCHEMA: &str = "\
diesel::table! {
    t (id) {
        id -> BigInt,
        name -> Text,
        n -> Integer,
    }
}
";

/// What makes the values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fill {
    /// An expression, in runs of the tool.
    Sql,
    /// Code, in runs of an application.
    Rust,
}

/// Who fills the column for programs that do not know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Old {
    Trigger,
    Nobody,
}

pub(super) struct Arena {
    pub(super) db: ScratchDb,
    pub(super) backend: Backend,
    pub(super) fill: Fill,
    /// Two checkouts of one project, as on two machines.
    machines: [Project; 2],
    log: tempfile::TempDir,
}

/// A process that runs the backfill.
pub(super) struct Run {
    pub(super) child: Child,
    pub(super) machine: usize,
    words: PathBuf,
}

impl Run {
    /// Returns what it wrote for people.
    pub(super) fn words(&self) -> String {
        std::fs::read_to_string(&self.words).unwrap()
    }

    /// Reports whether it came to its first batch.
    pub(super) fn began(&self) -> bool {
        self.words().contains("\npass ") || self.words().starts_with("pass ")
    }

    /// Returns how it ended, if it has.
    pub(super) fn over(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    pub(super) fn wait(&mut self) -> ExitStatus {
        wait_for("end of a run", LIMIT, || self.over()).unwrap()
    }

    pub(super) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// What all runs of a round reported.
#[derive(Debug, Default)]
pub(super) struct Reported {
    /// Rows of the largest batch.
    pub(super) largest: u64,
    pub(super) retries: u64,
    pub(super) reconnects: u64,
}

impl Arena {
    pub(super) fn new(backend: Backend, server: Server) -> Option<Self> {
        let want: Want = match backend {
            Backend::Mysql => Want::mysql().product(Product::Mariadb),
            Backend::Postgres | Backend::Sqlite => backend.into(),
        };
        let want = match server {
            Server::Shared => want,
            Server::Private => want.private(),
        };
        let db = ScratchDb::require(want)?;
        let engine = match backend {
            Backend::Postgres => "postgres",
            Backend::Mysql => "mysql",
            Backend::Sqlite => "sqlite",
        };
        let project = || {
            let manifest = desk::manifest("app", &[engine]);
            let project = Project::builder().file("Cargo.toml", manifest).schema(SCHEMA);
            project.migration("start", create_table(backend), "DROP TABLE t").build().unwrap()
        };
        let machines = [project(), project()];
        Some(Self { db, backend, fill: Fill::Sql, machines, log: tempfile::tempdir().unwrap() })
    }

    pub(super) fn filled_by(self, fill: Fill) -> Self {
        Self { fill, ..self }
    }

    pub(super) fn session(&self) -> Session {
        self.try_session().unwrap()
    }

    pub(super) fn try_session(&self) -> Option<Session> {
        let url = DatabaseUrl::parse(self.db.url()).unwrap();
        Session::open(&url, &OpenOptions::create()).ok()
    }

    fn contract(&self, old: Old) -> String {
        let fill = match self.backend {
            Backend::Postgres => "'f' || nextval('tickets')",
            Backend::Mysql => "concat('f', next_ticket())",
            Backend::Sqlite => "'f' || hex(randomblob(8))",
        };
        let fill = match self.fill {
            Fill::Sql => format!("fill = \"{fill}\""),
            Fill::Rust => "rust = 'crate::c'".to_owned(),
        };
        let by = match old {
            Old::Trigger => "trigger",
            Old::Nobody => "nobody",
        };
        format!(
            "format = 1\ntable = 't'\ncolumn = 'c'\nwhy = 'a test'\ntype = 'varchar(60)'\n\
             required = false\n[old_rows]\n{fill}\n[old_writers]\nby = '{by}'\n"
        )
    }

    /// Makes the table anew, with twice as many rows so many times, and the column, empty.
    pub(super) fn reset(&self, doublings: u32, old: Old) {
        let mut session = self.session();
        let mut run = |sql: &str| session.batch(sql).unwrap();
        for table in ["t", "fills", "__newcol_backfill", "__newcol_backfill_part"] {
            run(&format!("DROP TABLE IF EXISTS {table}"));
        }
        run(&create_table(self.backend));
        run("CREATE TABLE fills (id bigint NOT NULL, value varchar(60) NOT NULL)");
        run("CREATE INDEX fills_of ON fills (id)");
        run("INSERT INTO t (name) VALUES ('row')");
        for _ in 0..doublings {
            run("INSERT INTO t (name) SELECT name FROM t");
        }
        match self.backend {
            Backend::Postgres => {
                run("DROP FUNCTION IF EXISTS newcol_fill_t_c");
                run("DROP SEQUENCE IF EXISTS tickets; CREATE SEQUENCE tickets");
            }
            Backend::Mysql => {
                run("DROP SEQUENCE IF EXISTS tickets");
                run("CREATE SEQUENCE tickets CACHE 32");
                // A fill names no sequence: it would be a column that is not there.
                run("DROP FUNCTION IF EXISTS next_ticket");
                run("CREATE FUNCTION next_ticket() RETURNS bigint RETURN nextval(tickets)");
            }
            Backend::Sqlite => {}
        }
        let text = self.contract(old);
        for machine in &self.machines {
            machine.write("newcol/t.c.toml", &text).unwrap();
        }
        drop(expand(&mut session, &read::read(&text).unwrap().contract));
        session.batch(self.counter()).unwrap();
        for entry in self.log.path().read_dir().unwrap() {
            std::fs::remove_file(entry.unwrap().path()).unwrap();
        }
    }

    /// The trigger that writes fills down.
    fn counter(&self) -> &'static str {
        match self.backend {
            Backend::Postgres => {
                "CREATE OR REPLACE FUNCTION count_fill() RETURNS trigger LANGUAGE plpgsql AS $$ \
                 BEGIN INSERT INTO fills VALUES (NEW.id, NEW.c); RETURN NULL; END $$; \
                 CREATE TRIGGER count_fill AFTER UPDATE OF c ON t FOR EACH ROW \
                 WHEN (NEW.c LIKE 'f%' AND NEW.name <> 'old') EXECUTE FUNCTION count_fill()"
            }
            Backend::Mysql => {
                "CREATE TRIGGER count_fill AFTER UPDATE ON t FOR EACH ROW \
                 IF NOT (OLD.c <=> NEW.c) AND NEW.c LIKE 'f%' AND NEW.name <> 'old' \
                 THEN INSERT INTO fills VALUES (NEW.id, NEW.c); END IF"
            }
            Backend::Sqlite => {
                "CREATE TRIGGER count_fill AFTER UPDATE OF c ON t \
                 WHEN NEW.c LIKE 'f%' AND NEW.name <> 'old' \
                 BEGIN INSERT INTO fills VALUES (NEW.id, NEW.c); END"
            }
        }
    }

    /// Starts the tool, or the application, on one of the machines.
    pub(super) fn start(&self, machine: usize, url: &str, more: &[&str]) -> Run {
        let root = self.machines[machine].root();
        let tool = match self.fill {
            Fill::Sql => {
                let args =
                    ["backfill", "t.c", "--yes", "--triggers", "fire", "--message-format", "json"];
                let args = [&args, ["--database-url", url].as_slice(), more].concat();
                desk::tool(root, &args)
            }
            Fill::Rust => Tool::new(env!("CARGO_BIN_EXE_newcol-row-fill"))
                .args([&[url, "newcol/t.c.toml"], more].concat())
                .current_dir(root),
        };
        let number = self.log.path().read_dir().unwrap().count();
        let path = |kind: &str| self.log.path().join(format!("{number:05}.{kind}"));
        let words = path("words");
        let child = tool
            .command()
            .stdin(Stdio::null())
            .stdout(File::create(path("events")).unwrap())
            .stderr(File::create(&words).unwrap())
            .spawn()
            .unwrap();
        Run { child, machine, words }
    }

    /// Runs the tool to its end.
    pub(super) fn finish(&self) {
        let status = self.start(0, self.db.url(), &["--full-speed"]).wait();
        assert!(status.success(), "{status}\n{}", self.words());
    }

    /// Returns all that the runs of this round wrote for people.
    pub(super) fn words(&self) -> String {
        self.logs("words").concat()
    }

    fn logs(&self, kind: &str) -> Vec<String> {
        let files = self.log.path().read_dir().unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<_> =
            files.filter(|path| path.extension().is_some_and(|found| found == kind)).collect();
        files.sort();
        files.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect()
    }

    /// Returns what the runs of this round reported to programs.
    pub(super) fn reported(&self) -> Reported {
        let mut reported = Reported::default();
        let logs = self.logs("events");
        for line in logs.iter().flat_map(|log| log.lines()) {
            // A killed run leaves half a line.
            let Ok(event) = serde_json::from_str::<serde_json::Value>(line) else { continue };
            match event["event"].as_str() {
                Some("batch") => {
                    let filled = event["filled"].as_u64().unwrap();
                    reported.largest = reported.largest.max(filled);
                }
                Some("retry") => reported.retries += 1,
                Some("reconnected") => reported.reconnects += 1,
                _ => {}
            }
        }
        reported
    }

    /// Reports whether a transaction of SQLite is under way, or was when its program died.
    pub(super) fn has_journal(&self) -> bool {
        let journal = std::fs::metadata(format!("{}-journal", self.db.url()));
        self.backend == Backend::Sqlite && journal.is_ok_and(|file| file.len() > 0)
    }

    /// Asks one question with numbers for an answer.
    pub(super) fn numbers(&self, sql: &str) -> Vec<u64> {
        let row = self.session().query(sql).unwrap().remove(0);
        row.into_iter().map(|value| value.unwrap_or_default().parse().unwrap()).collect()
    }

    /// Rows that the job filled, as the trigger counted them, and as the record says; `None` before
    /// there is a record.
    pub(super) fn counts(&self) -> Option<(u64, u64)> {
        let sql = "SELECT (SELECT count(*) FROM fills), \
             (SELECT filled FROM __newcol_backfill) \
             + (SELECT coalesce(sum(filled), 0) FROM __newcol_backfill_part)";
        let row = self.session().query(sql).ok()?.remove(0);
        let mut numbers = row.into_iter().map(|value| value?.parse().ok());
        Some((numbers.next()??, numbers.next()??))
    }

    /// Checks all that must hold once the job is done and everybody else has left.
    pub(super) fn check(&self) {
        let numbers = self.numbers(
            "SELECT (SELECT count(*) FROM t WHERE c IS NULL), \
             (SELECT count(*) FROM t WHERE name NOT IN ('row', 'late', 'old', 'new')), \
             (SELECT count(*) - count(DISTINCT id) FROM fills), \
             (SELECT count(*) - count(DISTINCT value) FROM fills), \
             (SELECT count(*) FROM t LEFT JOIN fills ON fills.id = t.id \
              WHERE t.c LIKE 'f%' AND t.name <> 'old' \
                AND (fills.value IS NULL OR fills.value <> t.c))",
        );
        let [missed, strange, twice, same, other] = numbers.try_into().unwrap();
        assert_eq!(missed, 0, "rows missed\n{}", self.words());
        assert_eq!(strange, 0, "other columns changed");
        assert_eq!((twice, same), (0, 0), "rows filled twice");
        assert_eq!(other, 0, "rows with another value than they were filled with");
        let row = self.session().query("SELECT phase, receipt FROM __newcol_backfill").unwrap();
        let row: Vec<String> = row.concat().into_iter().map(Option::unwrap_or_default).collect();
        let rows = self.numbers("SELECT count(*) FROM t")[0];
        assert_eq!(row[0], "done");
        assert!(row[1].contains(&format!("rows={rows} empty=0 ")), "{} of {rows}", row[1]);
    }
}

/// Whether others use the server.
#[derive(Debug, Clone, Copy)]
pub(super) enum Server {
    Shared,
    Private,
}

fn create_table(backend: Backend) -> String {
    let id = match backend {
        Backend::Postgres => "bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY",
        Backend::Mysql => "bigint NOT NULL AUTO_INCREMENT PRIMARY KEY",
        Backend::Sqlite => "integer PRIMARY KEY AUTOINCREMENT",
    };
    format!("CREATE TABLE t (id {id}, name varchar(20) NOT NULL, n integer NOT NULL DEFAULT 0)")
}
