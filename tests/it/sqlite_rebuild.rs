//! SQLite rebuilds a table under the feet of its children: no row is lost, and what goes wrong
//! leaves nothing behind.

mod embedded;

use diesel::{Connection, SqliteConnection, connection::SimpleConnection};
use diesel_migrations::{FileBasedMigrations, MigrationHarness};
use newcol_core::{
    contract::read,
    db::{DatabaseUrl, OpenOptions, Session, facts::read_table},
    execute::files,
    plan::{LEFTOVERS, Plan, StageKind},
    render::{
        migrations::Version,
        release::{Target, release},
    },
};
use newcol_testkit::{Project, ScratchDb, Want, data_dump, diesel_cli, schema_dump};

const TABLES: &str = "
    CREATE TABLE users (id INTEGER PRIMARY KEY NOT NULL, name TEXT NOT NULL,
        boss_id INTEGER REFERENCES users (id) ON DELETE CASCADE);
    CREATE TABLE posts (id INTEGER PRIMARY KEY NOT NULL,
        user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE);
    CREATE TABLE likes (post_id INTEGER NOT NULL REFERENCES posts (id) ON DELETE CASCADE,
        user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
        PRIMARY KEY (post_id, user_id));
    CREATE INDEX posts_by_user ON posts (user_id);";

const ROWS: &str = "
    INSERT INTO users VALUES (1, 'ann', NULL), (2, 'bob', 1), (3, 'eve', 2);
    INSERT INTO posts VALUES (1, 1), (2, 1), (3, 3);
    INSERT INTO likes VALUES (1, 2), (1, 3), (3, 1);";

const CONTRACT: &str = "
format = 1
table = 'users'
column = 'shout'
why = 'a test'
type = 'TEXT'
required = true
[old_rows]
fill = 'upper(name)'
";

/// How the project runs its migrations.
#[derive(Debug, Clone, Copy)]
enum Runner {
    /// `diesel migration run`.
    Cli,
    /// At the start of the program, from files, on a connection that has foreign keys on.
    Program,
}

impl Runner {
    const ALL: [Self; 2] = [Self::Cli, Self::Program];

    /// Runs what is pending, and returns why it failed.
    fn run(self, bench: &Bench) -> Result<(), String> {
        match self {
            Self::Cli => {
                let tool = diesel_cli().unwrap().args(["migration", "run"]);
                let tool = tool.current_dir(bench.project.root());
                let said = tool.env("DATABASE_URL", bench.db.url()).run().unwrap();
                if said.status.success() { Ok(()) } else { Err(said.to_string()) }
            }
            Self::Program => {
                let mut connection = SqliteConnection::establish(bench.db.url()).unwrap();
                connection.batch_execute("PRAGMA foreign_keys = ON").unwrap();
                let dir = bench.project.root().join("migrations");
                let source = FileBasedMigrations::from_path(dir).unwrap();
                let run = connection.run_pending_migrations(source);
                run.map(drop).map_err(|error| error.to_string())
            }
        }
    }
}

/// A project whose expand stage has run, with the next ones waiting to be released.
struct Bench {
    project: Project,
    db: ScratchDb,
    plan: Plan,
}

impl Bench {
    fn new(runner: Runner, rows: &str) -> Option<Self> {
        let db = ScratchDb::require(Want::sqlite())?;
        let config = "[print_schema]\n[migrations_directory]\ndir = \"migrations\"\n";
        let project = Project::builder()
            .file("diesel.toml", config)
            .migration("before", TABLES, "SELECT 1;")
            .build()
            .unwrap();
        let mut session = open(&db);
        session.run_pending(&project.root().join("migrations")).unwrap();
        session.batch(rows).unwrap();
        let contract = read::read(CONTRACT).unwrap().contract;
        let facts = read_table(&mut session, contract.table()).unwrap();
        let plan = Plan::build(&contract, &facts).unwrap();
        let bench = Self { project, db, plan };
        bench.release(StageKind::Expand);
        runner.run(&bench).unwrap();
        Some(bench)
    }

    fn release(&self, kind: StageKind) {
        let at = StageKind::ALL.iter().position(|k| *k == kind).unwrap();
        let first = Version { second: format!("2026-02-{:02}-000000", at + 1), sub: 0 };
        let target = Target { plan: self.plan.clone(), migrations: "migrations".into() };
        let patch = release(&[target], &[], kind, &first).unwrap();
        files::write(self.project.root(), &patch).unwrap();
    }

    /// Changes a released file, as nobody should.
    fn tamper(&self, part: &str, file: &str, from: &str, to: &str) {
        let dir = self.project.root().join("migrations");
        let mut dirs = dir.read_dir_utf8().unwrap().map(|entry| entry.unwrap().into_path());
        let dir = dirs.find(|dir| dir.as_str().ends_with(part)).unwrap();
        let path = dir.strip_prefix(self.project.root()).unwrap().join(file);
        let text = self.project.read(&path).unwrap();
        assert!(text.contains(from), "{path} has no `{from}`");
        self.project.write(&path, &text.replacen(from, to, 1)).unwrap();
    }

    /// Schema, rows and counts of everything.
    fn state(&self) -> String {
        let rows = ["users", "posts", "likes", "__diesel_schema_migrations"].map(|table| {
            let rows = data_dump(self.db.url(), &table.parse().unwrap()).unwrap();
            // When a migration ran is of no interest.
            rows.lines()
                .map(|line| line.split("run_on").next().unwrap_or_default().to_owned() + "\n")
                .collect::<String>()
        });
        schema_dump(self.db.url()).unwrap() + &rows.concat()
    }

    fn children(&self) -> String {
        let rows = ["posts", "likes"];
        rows.map(|table| data_dump(self.db.url(), &table.parse().unwrap()).unwrap()).concat()
    }
}

fn open(db: &ScratchDb) -> Session {
    Session::open(&DatabaseUrl::parse(db.url()).unwrap(), &OpenOptions::create()).unwrap()
}

#[test]
fn no_child_loses_its_parent() {
    for runner in Runner::ALL {
        let Some(bench) = Bench::new(runner, ROWS) else { return };
        let children = bench.children();
        bench.release(StageKind::Constrain);
        bench.release(StageKind::Contract);
        runner.run(&bench).unwrap();
        assert_eq!(bench.children(), children, "{runner:?}");
        assert_eq!(
            data_dump(bench.db.url(), &"users".parse().unwrap()).unwrap(),
            "boss_id=1 id=2 name='bob' shout='BOB'\n\
             boss_id=2 id=3 name='eve' shout='EVE'\n\
             boss_id=NULL id=1 name='ann' shout='ANN'\n",
            "{runner:?}"
        );
        let orphans = open(&bench.db).query("SELECT * FROM pragma_foreign_key_check").unwrap();
        assert!(orphans.is_empty(), "{runner:?}: {orphans:?}");
        // Foreign keys still lead to the table of that name, and are obeyed.
        let sql = "PRAGMA foreign_keys = ON; DELETE FROM users WHERE id = 1";
        open(&bench.db).batch(sql).unwrap();
        assert_eq!(bench.children(), "", "{runner:?}");
    }
}

#[test]
fn a_program_keeps_its_foreign_keys() {
    let Some(bench) = Bench::new(Runner::Program, ROWS) else { return };
    bench.release(StageKind::Constrain);
    let mut connection = SqliteConnection::establish(bench.db.url()).unwrap();
    connection.batch_execute("PRAGMA foreign_keys = ON").unwrap();
    let source = FileBasedMigrations::from_path(bench.project.root().join("migrations")).unwrap();
    connection.run_pending_migrations(source).unwrap();
    let orphan = connection.batch_execute("INSERT INTO posts VALUES (9, 99)");
    assert_eq!(orphan.unwrap_err().to_string(), "FOREIGN KEY constraint failed");
}

#[test]
fn more_rows_than_a_migration_fills_stop_it() {
    let more = LEFTOVERS + 1;
    let rows = format!(
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {more})
         INSERT INTO users SELECT n, 'name', NULL FROM n;
         INSERT INTO posts VALUES (1, 1), (2, {more});"
    );
    for runner in Runner::ALL {
        let Some(bench) = Bench::new(runner, &rows) else { return };
        bench.release(StageKind::Constrain);
        let before = bench.state();
        let said = runner.run(&bench).unwrap_err();
        assert!(said.contains("run cargo newcol backfill users.shout first"), "{said}");
        assert_eq!(bench.state(), before, "{runner:?}");
        // What the error asks for makes it run.
        open(&bench.db).batch("UPDATE users SET shout = upper(name) WHERE id > 5").unwrap();
        runner.run(&bench).unwrap();
    }
}

#[test]
fn a_guard_that_trips_leaves_nothing_behind() {
    let copied = "\nDROP TABLE \"users\";";
    let cases = [
        (
            "rebuild",
            "up.sql",
            copied,
            "\nUPDATE \"newcol_rebuilt_users\" SET id = 77 WHERE id = 1;\nDROP TABLE \"users\";",
            "children lost their parent",
        ),
        (
            "rebuild",
            "up.sql",
            " FROM \"users\";",
            " FROM \"users\" WHERE id <> 2;",
            "rows went missing",
        ),
        ("rebuild", "up.sql", "PRAGMA foreign_keys = OFF", "SELECT 1", "foreign keys are still on"),
        (
            "rebuild",
            "metadata.toml",
            "run_in_transaction = false",
            "run_in_transaction = true",
            "cannot start a transaction within a transaction",
        ),
    ];
    for runner in Runner::ALL {
        for (part, file, from, to, message) in cases {
            // The library of the CLI may leave foreign keys off from the start.
            if matches!(runner, Runner::Cli) && from == "PRAGMA foreign_keys = OFF" {
                continue;
            }
            let Some(bench) = Bench::new(runner, ROWS) else { return };
            bench.release(StageKind::Constrain);
            // The migration before the rebuild stands by itself and may stay.
            let mut session = open(&bench.db);
            session.run_up_to(&bench.project.root().join("migrations"), 3).unwrap();
            drop(session);
            bench.tamper(part, file, from, to);
            let before = bench.state();
            let said = runner.run(&bench).unwrap_err();
            assert!(said.contains(message), "{runner:?}: {said}");
            assert_eq!(bench.state(), before, "{runner:?}: {message}");
        }
    }
}

#[test]
fn an_orphan_that_was_there_before_is_no_reason_to_stop() {
    for runner in Runner::ALL {
        let rows = format!("PRAGMA foreign_keys = OFF; {ROWS} INSERT INTO posts VALUES (8, 88);");
        let Some(bench) = Bench::new(runner, &rows) else { return };
        let children = bench.children();
        bench.release(StageKind::Constrain);
        runner.run(&bench).unwrap();
        assert_eq!(bench.children(), children, "{runner:?}");
    }
}
