use std::thread;

use insta::assert_snapshot;
use newcol_core::db::{DatabaseUrl, OpenOptions, Session};
use newcol_testkit::{
    CommandOutput, Project, ScratchDb, Tool, Want, data_dump, schema_dump, wait::wait_for,
};

use super::done;
use crate::desk::{self, LOWER_NAME as ADD, Tree, newcol, said, tool};

/// A project and its database, in which the column is there and the rows are older than it.
struct App {
    project: Project,
    db: ScratchDb,
}

impl App {
    fn new(want: Want, add: &[&str]) -> Option<Self> {
        let db = ScratchDb::require(want)?;
        let project = desk::one_crate(want.backend.name()).build().unwrap();
        let app = Self { project, db };
        app.migrate();
        app.db
            .run(&["INSERT INTO users (id, name, settings) WITH RECURSIVE n (i) AS \
                   (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300) \
                   SELECT i, concat('Name ', i), NULL FROM n"])
            .unwrap();
        done(&app.project, add);
        app.migrate();
        Some(app)
    }

    fn migrate(&self) {
        let url = DatabaseUrl::parse(self.db.url()).unwrap();
        let mut session = Session::open(&url, &OpenOptions::create()).unwrap();
        drop(session.run_pending(&self.project.schema_dir().join("migrations")).unwrap());
    }

    fn tool(&self, args: &[&str]) -> Tool {
        let base = ["backfill", "users.locale", "--database-url", self.db.url()];
        tool(self.project.root(), &[&base, args].concat())
    }

    fn run(&self, args: &[&str]) -> CommandOutput {
        self.tool(args).run().unwrap()
    }

    /// All that is in the database and in the project.
    fn state(&self) -> (String, String, Tree) {
        let url = self.db.url();
        let data = data_dump(url, &"users".parse().unwrap()).unwrap();
        (schema_dump(url).unwrap(), data, Tree::of(self.project.root()))
    }

    fn empty(&self) -> String {
        let sql = "SELECT count(*) FROM users WHERE locale IS NULL";
        self.db.rows(sql).unwrap().remove(0).remove(0).unwrap()
    }
}

fn engines() -> [Want; 3] {
    [Want::postgres().version(18), Want::mysql(), Want::sqlite()]
}

/// Returns what is said on every engine, which must be the same on all of them but for the place.
fn said_on_all(add: &[&str], run: impl Fn(&App) -> String) -> String {
    let mut first = None;
    for (want, here) in engines().into_iter().zip([
        "PostgreSQL database [DATABASE] on [SERVER]",
        "MySQL database [DATABASE] on [SERVER]",
        "SQLite file [DATABASE_URL]",
    ]) {
        let Some(app) = App::new(want, add) else { continue };
        let text = run(&app).replace(here, "[HERE]");
        assert_eq!(&text, first.get_or_insert_with(|| text.clone()), "{want}");
    }
    first.unwrap()
}

#[test]
fn a_dry_run_estimates_and_writes_nothing() {
    let mut all = String::new();
    for want in engines() {
        let Some(app) = App::new(want, ADD) else { continue };
        let before = app.state();
        all.push_str(&said(&app.run(&["--dry-run"])));
        all.push_str(&said(&app.run(&["--dry-run", "--message-format", "json"])));
        assert_eq!(app.state(), before, "{want}");
    }
    assert_snapshot!(all, @r#"
    exit code: 0
    ----- stdout -----
    users.locale in PostgreSQL database [DATABASE] on [SERVER]
      rows         about 300, gone through by blocks
      time         [DURATION] to [DURATION]
      log written  51 kB
      table        16 kB, grows by about 5538 B
      nothing was written; these are estimates from the table's size, not measurements
    ----- stderr -----
    exit code: 0
    ----- stdout -----
    {"reason":"newcol-backfill-estimate","version":1,"column":"users.locale","database":"PostgreSQL database [DATABASE] on [SERVER]","rows":300,"route":"blocks","log_bytes":52244,"table_bytes":16384,"grown_bytes":5538,"seconds":[0,1],"notices":[]}
    ----- stderr -----
    exit code: 0
    ----- stdout -----
    users.locale in MySQL database [DATABASE] on [SERVER]
      rows         about 300, gone through by key
      time         [DURATION] to [DURATION]
      log written  unknown
      nothing was written; these are estimates from the table's size, not measurements
    ----- stderr -----
    exit code: 0
    ----- stdout -----
    {"reason":"newcol-backfill-estimate","version":1,"column":"users.locale","database":"MySQL database [DATABASE] on [SERVER]","rows":300,"route":"key","log_bytes":null,"table_bytes":null,"grown_bytes":null,"seconds":[0,1],"notices":[]}
    ----- stderr -----
    exit code: 0
    ----- stdout -----
    users.locale in SQLite file [DATABASE_URL]
      rows         unknown, gone through by key
      time         unknown
      log written  unknown
      nothing was written; these are estimates from the table's size, not measurements
    ----- stderr -----
    exit code: 0
    ----- stdout -----
    {"reason":"newcol-backfill-estimate","version":1,"column":"users.locale","database":"SQLite file [DATABASE_URL]","rows":null,"route":"key","log_bytes":null,"table_bytes":null,"grown_bytes":null,"seconds":null,"notices":[]}
    ----- stderr -----
    "#);
}

#[test]
fn nobody_to_ask_is_a_shut_gate() {
    let all = said_on_all(ADD, |app| {
        let before = app.state();
        let run = app.run(&[]);
        assert_eq!(app.state(), before, "{run}");
        said(&run)
    });
    assert_snapshot!(all, @"
    exit code: 3
    ----- stdout -----
    ----- stderr -----
    error: nobody can be asked whether to fill `users.locale` in [HERE]
    help: say `--yes`; `--dry-run` shows what would be done
    ");
}

#[test]
fn rows_are_filled_once_for_all() {
    let all = said_on_all(ADD, |app| {
        let data = || data_dump(app.db.url(), &"users".parse().unwrap()).unwrap();
        let first = app.run(&["--yes"]);
        assert_eq!(app.empty(), "0", "{first}");
        let before = data();
        let again = app.run(&["--yes"]);
        assert_eq!(data(), before, "{again}");
        said(&first) + &said(&again)
    });
    assert_snapshot!(all, @"
    exit code: 0
    ----- stdout -----
    `users.locale` is filled: 300 rows by this job, 300 rows looked at, 0 NULL
    ----- stderr -----
    pass 1: filling rows
    pass 2: looking at every row
    next: release the next stage: `cargo newcol next users.locale --database-url <URL>`
    exit code: 0
    ----- stdout -----
    `users.locale` is filled: 300 rows by this job, 300 rows looked at, 0 NULL
    ----- stderr -----
    going on: 300 rows were filled before
    pass 1: looking at every row
    next: release the next stage: `cargo newcol next users.locale --database-url <URL>`
    ");
}

#[test]
fn programs_read_what_happens() {
    let Some(app) = App::new(Want::postgres().version(18), ADD) else { return };
    let run = said(&app.run(&["--yes", "--message-format", "json"]));
    // How many batches it takes is the machine's affair.
    let is_steady = |line: &&str| !line.contains(r#""event":"batch""#);
    assert!(run.lines().any(|line| !is_steady(&line)), "{run}");
    assert_snapshot!(run.lines().filter(is_steady).collect::<Vec<_>>().join("\n"), @r#"
    exit code: 0
    ----- stdout -----
    {"reason":"newcol-backfill-event","version":1,"event":"began","rows":300,"filled_before":null,"notices":[]}
    {"reason":"newcol-backfill-event","version":1,"event":"pass","phase":"filling","pass":1}
    {"reason":"newcol-backfill-event","version":1,"event":"pass","phase":"proving","pass":2}
    {"reason":"newcol-backfill","version":1,"column":"users.locale","state":"done","filled":300,"rows":300,"empty":0,"differing":0,"late":0,"unfillable":[]}
    ----- stderr -----
    pass 1: filling rows
    pass 2: looking at every row
    next: release the next stage: `cargo newcol next users.locale --database-url <URL>`
    "#);
}

#[test]
fn other_ways_lead_to_the_same_rows() {
    for (want, ways) in [
        (
            Want::postgres().version(18),
            &[
                &["--by-key"] as &[&str],
                &["--workers", "3"],
                &["--workers", "3", "--by-key", "--full-speed"],
                &["--wal-budget", "100MB"],
                &["--triggers", "fire"],
            ] as &[&[&str]],
        ),
        (Want::postgres().version(13), &[&[], &["--workers", "3"]]),
        (Want::mysql(), &[&["--workers", "3"], &["--by-key"]]),
        (Want::sqlite(), &[&["--full-speed"]]),
    ] {
        for way in ways {
            let Some(app) = App::new(want, ADD) else { continue };
            let run = app.run(&[&["--yes"], *way].concat());
            assert_eq!(run.code(), Some(0), "{want} {way:?}\n{run}");
            let told = "300 rows by this job, 300 rows looked at, 0 NULL";
            assert!(run.stdout.contains(told), "{want} {way:?}\n{run}");
            assert_eq!(app.empty(), "0");
        }
    }
}

#[test]
fn what_an_engine_cannot_do_is_refused() {
    let mut all = String::new();
    for (want, args) in [
        (Want::sqlite(), ["--workers", "3"]),
        (Want::sqlite(), ["--max-lag", "2s"]),
        (Want::sqlite(), ["--wal-budget", "8MB"]),
        (Want::mysql(), ["--max-lag", "2s"]),
        (Want::mysql(), ["--wal-budget", "8MB"]),
    ] {
        let Some(app) = App::new(want, ADD) else { continue };
        let before = app.state();
        all.push_str(&said(&app.run(&["--yes", args[0], args[1]])));
        assert_eq!(app.state(), before, "{want}");
    }
    assert_snapshot!(all, @"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: SQLite has one writer at a time, so more workers would only wait for each other
      --> SQLite file [DATABASE_URL]
    help: leave `--workers` out
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: SQLite does not tell how far its replicas are behind on this connection
      --> --max-lag
    help: leave --max-lag out; `--pause-file` lets a monitor of yours pause the job
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: SQLite does not tell how much log a batch writes on this connection
      --> --wal-budget
    help: leave --wal-budget out; `--pause-file` lets a monitor of yours pause the job
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: MySQL does not tell how far its replicas are behind on this connection
      --> --max-lag
    help: leave --max-lag out; `--pause-file` lets a monitor of yours pause the job
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: MySQL does not tell how much log a batch writes on this connection
      --> --wal-budget
    help: leave --wal-budget out; `--pause-file` lets a monitor of yours pause the job
    ");
}

#[test]
fn a_job_is_paused_by_a_file_and_told_to_stop() {
    for want in engines() {
        let Some(app) = App::new(want, ADD) else { continue };
        let order = |what: &str| app.run(&["--order", what]);
        assert_eq!(
            said(&order("pause")),
            "exit code: 4\n----- stdout -----\n----- stderr -----\nno backfill of `users.locale` was begun there\n"
        );
        app.project.write("wait", "").unwrap();
        thread::scope(|scope| {
            let run = scope.spawn(|| app.run(&["--yes", "--pause-file", "wait"]));
            let asked = wait_for("job", std::time::Duration::from_secs(30), || {
                let asked = order("stop");
                (asked.code() == Some(0)).then_some(asked)
            });
            assert!(asked.unwrap().stderr.contains("runs of `users.locale` are asked to stop"));
            let run = run.join().unwrap();
            assert_eq!(run.code(), Some(3), "{want}\n{run}");
            assert!(
                run.stdout.contains("stopped: 0 rows of `users.locale` are filled so far"),
                "{want}\n{run}"
            );
        });
        assert_eq!(app.empty(), "300");
        assert_eq!(order("pause").code(), Some(0));
        assert_eq!(order("run").code(), Some(0));
        std::fs::remove_file(app.project.root().join("wait")).unwrap();
        let run = app.run(&["--yes", "--pause-file", "wait"]);
        assert!(run.stderr.contains("going on: 0 rows were filled before"), "{run}");
        assert_eq!(run.code(), Some(0), "{run}");
    }
}

#[test]
fn whoever_holds_the_table_is_named() {
    let Some(app) = App::new(Want::postgres(), ADD) else { return };
    let url = DatabaseUrl::parse(app.db.url()).unwrap();
    let open = OpenOptions { application_name: Some("billing".to_owned()), ..OpenOptions::write() };
    let mut other = Session::open(&url, &open).unwrap();
    other.batch("BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE").unwrap();
    let hasty = ["--lock-timeout", "50ms", "--max-wait", "1s"];
    let run = app.run(&[&["--yes"], &hasty[..]].concat());
    assert_eq!(run.code(), Some(3), "{run}");
    let lines: Vec<&str> = run.stderr.lines().collect();
    let [waiting, by, .., error, place, help] = lines[..] else { panic!("{run}") };
    assert_eq!(waiting, "waiting: others hold the table");
    assert!(by.starts_with("  pid ") && by.contains(" (billing, user "), "{run}");
    assert!(by.contains("idle in transaction, transaction of "), "{run}");
    assert!(
        error.starts_with("error: the table of `users.locale` could not be read within "),
        "{run}"
    );
    assert!(place.contains("PostgreSQL database"), "{run}");
    assert_eq!(
        help,
        "help: run it again when those who hold the table are done, or wait longer with `--max-wait`"
    );
    let json = app.run(&[&["--dry-run", "--message-format", "json"], &hasty[..]].concat());
    assert!(json.stdout.contains(r#""event":"held","tries":2"#), "{json}");
}

/// No replica tells how far it is behind: the limit cannot be kept, so nothing is written.
#[test]
fn a_signal_that_does_not_come_is_said() {
    let Some(app) = App::new(Want::postgres().version(18), ADD) else { return };
    let run = thread::scope(|scope| {
        let run = scope.spawn(|| app.run(&["--yes", "--max-lag", "2s"]));
        let stop = || (app.run(&["--order", "stop"]).code() == Some(0)).then_some(());
        wait_for("job", std::time::Duration::from_secs(30), stop).unwrap();
        run.join().unwrap()
    });
    assert_eq!(run.code(), Some(3), "{run}");
    assert_eq!(app.empty(), "300");
}

#[test]
fn a_time_of_day_that_is_past_is_tomorrows() {
    let Some(app) = App::new(Want::sqlite(), ADD) else { return };
    let past = Tool::new("date").args(["-d", "1 minute ago", "+%H:%M"]).run().unwrap().success();
    let run = app.run(&["--yes", "--until", past.stdout.trim()]);
    assert_eq!(run.code(), Some(0), "{run}");
    assert_snapshot!(said(&app.run(&["--yes", "--until", "25:00"])), @"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: invalid value '25:00' for '--until <HH:MM>': `25:00` is not a time of day such as 06:00

    For more information, try '--help'.
    ");
}

#[test]
fn another_contract_begins_anew_only_if_told_to() {
    let Some(app) = App::new(Want::sqlite(), ADD) else { return };
    assert_eq!(app.run(&["--yes"]).code(), Some(0));
    let file = "newcol/users.locale.toml";
    let contract = app.project.read(file).unwrap();
    app.project.write(file, &contract.replace("lower(name)", "upper(name)")).unwrap();
    let mut all = said(&app.run(&["--yes"]));
    all.push_str(&said(&app.run(&["--yes", "--restart"])));
    assert_snapshot!(all, @"
    exit code: 3
    ----- stdout -----
    ----- stderr -----
    error: the contract of `users.locale` changed since its backfill began: rows filled so far hold the values of the old one
      --> SQLite file [DATABASE_URL]
    help: begin anew with `--restart`; filled rows keep their values
    exit code: 0
    ----- stdout -----
    `users.locale` is filled: 0 rows by this job, 300 rows looked at, 0 NULL, 300 with a value of their own
    ----- stderr -----
    pass 1: filling rows
    pass 2: looking at every row
    next: release the next stage: `cargo newcol next users.locale --database-url <URL>`
    ");
}

#[test]
fn rows_that_cannot_be_filled_are_named() {
    let mut add = ADD.to_vec();
    add[6] = "nullif(name, 'Name 17')";
    let all = said_on_all(&add, |app| {
        let run = said(&app.run(&["--yes"]));
        let json = said(&app.run(&["--yes", "--message-format", "json"]));
        run + json.lines().rfind(|line| line.contains("unfillable")).unwrap()
    });
    assert_snapshot!(all, @r#"
    exit code: 100
    ----- stdout -----
    299 rows of `users.locale` are filled, 1 cannot be: the fill yields NULL for them
      17
    ----- stderr -----
    pass 1: filling rows
    pass 2: looking at every row
    next: correct these rows, then run the same command again
    next: or correct the fill in the contract, then begin anew with `--restart`
    {"reason":"newcol-backfill","version":1,"column":"users.locale","state":"unfillable","filled":299,"rows":null,"empty":1,"differing":null,"late":null,"unfillable":["17"]}
    "#);
}

#[test]
fn a_row_that_fails_is_named() {
    let mut add = ADD.to_vec();
    add[6] = "(100 / (id - 17))::text";
    let Some(app) = App::new(Want::postgres().version(18), &add) else { return };
    assert_snapshot!(said(&app.run(&["--yes"])), @"
    exit code: 101
    ----- stdout -----
    ----- stderr -----
    pass 1: filling rows
    error: `users.locale` cannot be computed for the row with key 17
      --> PostgreSQL database [DATABASE] on [SERVER]
      because: division by zero
    help: correct the row, or the fill in the contract (then begin anew with `--restart`), and run the same command again
    ");
    // The estimate leaves that to the run.
    assert_eq!(app.run(&["--dry-run"]).code(), Some(0));
}

#[test]
fn a_column_that_is_not_there_is_refused() {
    let Some(db) = ScratchDb::require(Want::sqlite()) else { return };
    let app = App { project: desk::one_crate("sqlite").build().unwrap(), db };
    app.migrate();
    let mut all = said(&app.run(&["--yes"]));
    done(&app.project, ADD);
    all.push_str(&said(&app.run(&["--yes"])));
    all.push_str(&said(&app.run(&["--dry-run"])));
    all.push_str(&said(&newcol(&app.project, &["backfill", "users.locale"])));
    assert_snapshot!(all, @"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: `users.locale` has no contract
      --> newcol/users.locale.toml
    help: write one with `cargo newcol add users.locale ...`
    exit code: 3
    ----- stdout -----
    ----- stderr -----
    error: `users.locale` does not exist in SQLite file [DATABASE_URL]
      --> SQLite file [DATABASE_URL]
    help: apply the expand stage first: `diesel migration run`
    exit code: 3
    ----- stdout -----
    ----- stderr -----
    error: `users.locale` does not exist in SQLite file [DATABASE_URL]
      --> SQLite file [DATABASE_URL]
    help: apply the expand stage first: `diesel migration run`
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: the following required arguments were not provided:
      --database-url <URL>

    Usage: cargo newcol backfill --database-url <URL> <COLUMN>

    For more information, try '--help'.
    ");
}
