//! `verify` compares and writes nothing; `--repair` fills what it found and nothing else.

mod checks;
mod pieces;

use insta::assert_snapshot;
use newcol_core::db::{DatabaseUrl, OpenOptions, Session};
use newcol_testkit::{ScratchDb, Want, command::CommandOutput, project::Project, redact::redact};

use crate::desk::{self, Tree, newcol};

/// A required column whose old rows are computed, so that every kind of row can be wrong.
const ADD: &[&str] = &[
    "add",
    "users.locale",
    "--type",
    "varchar(16)",
    "--required",
    "--why",
    "Because",
    "--no-tests",
];

/// Six rows: the fill has nothing for the last one where it only reads `settings`.
const ROWS: &str = "INSERT INTO users (id, name, settings) VALUES (1, 'ann', 'en'), (2, 'bob', 'de'), \
     (3, 'cy', 'fr'), (4, 'dan', 'it'), (5, 'eve', 'es'), (6, 'fay', NULL)";

/// Stands for the database's own URL in a list of answers.
const HERE: &str = "[HERE]";

const COALESCE: &str = "coalesce(settings, 'en')";

/// A project and its database, with rows that were there before the column.
struct Desk {
    project: Project,
    db: ScratchDb,
}

impl Desk {
    fn new(want: impl Into<Want>, answers: &[&str]) -> Option<Self> {
        Self::with(want, answers, &[])
    }

    /// The statements are run before the column is there.
    fn with(want: impl Into<Want>, answers: &[&str], before: &[&str]) -> Option<Self> {
        let db = ScratchDb::require(want)?;
        let project = desk::one_crate(db.backend().name()).build().unwrap();
        let desk = Self { project, db };
        let migrations = desk.project.root().join("migrations");
        drop(desk.session().run_pending(&migrations).unwrap());
        desk.db.run(&[ROWS]).unwrap();
        desk.db.run(before).unwrap();
        let answers = answers.iter().map(|answer| match *answer {
            HERE => desk.db.url(),
            answer => answer,
        });
        let add: Vec<&str> = ADD.iter().copied().chain(answers).collect();
        drop(newcol(&desk.project, &add).success());
        drop(desk.session().run_pending(&migrations).unwrap());
        Some(desk)
    }

    fn session(&self) -> Session {
        let url = DatabaseUrl::parse(self.db.url()).unwrap();
        Session::open(&url, &OpenOptions::create()).unwrap()
    }

    fn run(&self, verb: &str, args: &[&str]) -> CommandOutput {
        self.run_on(self.db.url(), verb, args)
    }

    fn run_on(&self, url: &str, verb: &str, args: &[&str]) -> CommandOutput {
        let args = [&[verb, "users.locale", "--database-url", url], args].concat();
        newcol(&self.project, &args)
    }

    fn verify(&self, args: &[&str]) -> String {
        self.verify_on(self.db.url(), args)
    }

    /// Also without the server's place, and without what its speed decides.
    fn verify_on(&self, url: &str, args: &[&str]) -> String {
        let here = DatabaseUrl::parse(self.db.url()).unwrap().describe();
        let text = self.run_on(url, "verify", args).to_string().replace(&here, "[HERE]");
        let lines = text.lines().filter(|line| !line.contains(r#""event":"batch""#));
        redact(&lines.map(|line| format!("{line}\n")).collect::<String>())
    }

    fn filled(&self) {
        drop(self.run("backfill", &["--yes"]).success());
    }

    fn sql(&self, sql: &str) {
        self.db.run(&[sql]).unwrap();
    }

    fn values(&self) -> String {
        rows(&self.db, "SELECT id, locale FROM users ORDER BY id")
    }
}

fn rows(db: &ScratchDb, sql: &str) -> String {
    let text = |value: Option<String>| value.unwrap_or_else(|| "NULL".to_owned());
    let rows = db.rows(sql).unwrap().into_iter();
    rows.map(|row| row.into_iter().map(text).collect::<Vec<_>>().join(" ") + "\n").collect()
}

/// From a table that nobody filled to one in which even the application's values are replaced; what is
/// said on PostgreSQL is said on the others.
#[test]
fn a_life_is_the_same_on_every_engine() {
    let mut first = None;
    for want in [Want::postgres(), Want::mysql(), Want::sqlite()] {
        let now = if want == Want::mysql() { " ON UPDATE CURRENT_TIMESTAMP" } else { "" };
        let before = format!(
            "ALTER TABLE users ADD at timestamp NOT NULL DEFAULT '2001-01-01 00:00:00'{now}"
        );
        let Some(desk) = Desk::with(want, &["--fill", COALESCE], &[&before]) else { continue };
        let life = life(&desk);
        // No repair is a change of the row.
        let touched = "SELECT count(*) FROM users WHERE at <> '2001-01-01 00:00:00'";
        assert_eq!(rows(&desk.db, touched), "0\n", "{want}");
        let kept =
            "warning: an UPDATE would set `at` to the current time: the fill keeps what is there\n";
        assert_eq!(life.contains(kept), want == Want::mysql(), "{want}");
        let life = life.replace(kept, "").replace("block 0 of `public.users`", "rows up to 6");
        assert_eq!(&life, first.get_or_insert_with(|| life.clone()), "{want}");
    }
    assert_snapshot!(first.unwrap(), @"
    exit code: 100
    ----- stdout -----
    users.locale in [HERE]
      ok       stages    expand is applied
      ok       contract  the migrations are those that it asks for
      ok       database  the column is as its stages leave it
      ok       schema.rs src/schema.rs as `expand` leaves it
      skipped  document  written by `finish`, which is still to come
      FAILED   values    [HERE]: 6 of 6 rows lack their value
               fill them: `cargo newcol backfill users.locale --database-url <URL>`
      skipped  receipt   no backfill that this role can see
      rows       6
      NULL       6: 6 pending
      differing  0
      record     no backfill that this role can see
      rows up to 6: 6 without their value: (1), (2), (3), (4), (5), …
    ----- stderr -----
    pass 1: looking at every row
    next: fill them: `cargo newcol backfill users.locale --database-url <URL>`
    exit code: 0
    ----- stdout -----
    users.locale in [HERE]
      ok       stages    expand is applied
      ok       contract  the migrations are those that it asks for
      ok       database  the column is as its stages leave it
      ok       schema.rs src/schema.rs as `expand` leaves it
      skipped  document  written by `finish`, which is still to come
      ok       values    6 rows have their value
      ok       receipt   6 rows, 0 of them NULL
      rows       6
      NULL       0: 0 pending
      differing  0
      record     the backfill ended with 6 rows, 0 of them NULL: still true
    ----- stderr -----
    pass 1: looking at every row
    exit code: 100
    ----- stdout -----
    users.locale in [HERE]
      ok       stages    expand is applied
      ok       contract  the migrations are those that it asks for
      ok       database  the column is as its stages leave it
      ok       schema.rs src/schema.rs as `expand` leaves it
      skipped  document  written by `finish`, which is still to come
      FAILED   values    [HERE]: 1 of 6 rows lack their value
               fill them with `--repair`; leave values that differ where a program wrote them; `--repair=differing` replaces them all
      FAILED   receipt   [HERE]: no longer true: it says 6 rows, 0 of them NULL
               find out what emptied rows, then fill them with `--repair`
      rows       6
      NULL       1: 1 pending
      differing  1
      record     the backfill ended with 6 rows, 0 of them NULL: no longer true
      rows up to 6: 1 without their value: (4); 1 with another one: (2)
    ----- stderr -----
    pass 1: looking at every row
    next: fill them with `--repair`
    next: leave values that differ where a program wrote them; `--repair=differing` replaces them all
    exit code: 3
    ----- stdout -----
    ----- stderr -----
    error: nobody can be asked whether to fill rows of `users.locale` that lack their value in [HERE]
    help: say `--yes`; without `--repair` nothing is changed
    exit code: 3
    ----- stdout -----
    ----- stderr -----
    error: nobody can be asked whether to replace every value of `users.locale` that is not what its fill yields, those that the application wrote included, in [HERE]
    help: say `--yes`; without `--repair` nothing is changed
    exit code: 0
    ----- stdout -----
    users.locale in [HERE]
      ok       stages    expand is applied
      ok       contract  the migrations are those that it asks for
      ok       database  the column is as its stages leave it
      ok       schema.rs src/schema.rs as `expand` leaves it
      skipped  document  written by `finish`, which is still to come
      ok       values    6 rows have their value, 1 of them with another one than the fill yields
      ok       receipt   6 rows, 0 of them NULL
      repaired   1 filled, 0 replaced
      rows       6
      NULL       0: 0 pending
      differing  1
      record     the backfill ended with 6 rows, 0 of them NULL: still true
      rows up to 6: 1 with another one: (2)
    ----- stderr -----
    pass 1: looking at every row
    pass 2: filling rows
    pass 3: looking at every row
    next: leave values that differ where a program wrote them; `--repair=differing` replaces them all
    1 en
    2 xx
    3 fr
    4 it
    5 es
    6 en
    exit code: 0
    ----- stdout -----
    users.locale in [HERE]
      ok       stages    expand is applied
      ok       contract  the migrations are those that it asks for
      ok       database  the column is as its stages leave it
      ok       schema.rs src/schema.rs as `expand` leaves it
      skipped  document  written by `finish`, which is still to come
      ok       values    6 rows have their value
      ok       receipt   6 rows, 0 of them NULL
      repaired   0 filled, 1 replaced
      rows       6
      NULL       0: 0 pending
      differing  0
      record     the backfill ended with 6 rows, 0 of them NULL: still true
    ----- stderr -----
    pass 1: looking at every row
    pass 2: filling rows
    pass 3: looking at every row
    1 en
    2 de
    3 fr
    4 it
    5 es
    6 en
    ");
}

fn life(desk: &Desk) -> String {
    let mut all = desk.verify(&[]);
    desk.filled();
    all.push_str(&desk.verify(&[]));
    // The application writes a value of its own, and somebody empties a row.
    desk.sql("UPDATE users SET locale = 'xx', at = at WHERE id = 2");
    desk.sql("UPDATE users SET locale = NULL, at = at WHERE id = 4");
    for args in
        [&["--by-key"] as &[&str], &["--repair"], &["--repair=differing"], &["--repair", "--yes"]]
    {
        all.push_str(&desk.verify(args));
    }
    all.push_str(&desk.values());
    all.push_str(&desk.verify(&["--repair=differing", "--yes"]));
    all + &desk.values()
}

/// What the fill has nothing for lacks its value in a required column, and no repair invents one;
/// nor does it take away what somebody wrote there.
#[test]
fn what_the_fill_has_nothing_for_stays() {
    for want in [Want::postgres(), Want::postgres().version(13), Want::mysql(), Want::sqlite()] {
        let Some(desk) = Desk::new(want, &["--fill", "settings"]) else { continue };
        assert_eq!(desk.run("backfill", &["--yes"]).code(), Some(100));
        let found = desk.run("verify", &["--repair=differing", "--yes"]);
        assert_eq!(found.code(), Some(100), "{found}");
        let text = found.to_string();
        assert!(text.contains("1 without their value: (6)"), "{text}");
        assert!(
            text.contains("NULL       1: 0 pending, 1 for which the fill yields NULL"),
            "{text}"
        );
        desk.sql("UPDATE users SET locale = 'mine' WHERE id = 6");
        let found = desk.run("verify", &["--repair=differing", "--yes"]).success();
        assert!(found.to_string().contains("1 with another one: (6)"), "{found}");
        assert!(desk.values().ends_with("6 mine\n"));
    }
}

#[test]
fn programs_read_it_as_json() {
    let Some(desk) = Desk::new(Want::sqlite(), &["--fill", COALESCE]) else { return };
    desk.filled();
    desk.sql("UPDATE users SET locale = NULL WHERE id IN (1, 5)");
    assert_snapshot!(desk.verify(&["--message-format", "json"]), @r#"
    exit code: 100
    ----- stdout -----
    {"reason":"newcol-verify-event","version":1,"event":"began","rows":null,"filled_before":null,"notices":[]}
    {"reason":"newcol-verify-event","version":1,"event":"pass","phase":"proving","pass":1}
    {"reason":"newcol-verify","version":1,"column":"users.locale","database":"[HERE]","failed":2,"checks":[{"check":"stages","state":"ok","place":null,"found":"expand is applied","way_out":null},{"check":"contract","state":"ok","place":null,"found":"the migrations are those that it asks for","way_out":null},{"check":"database","state":"ok","place":null,"found":"the column is as its stages leave it","way_out":null},{"check":"schema.rs","state":"ok","place":null,"found":"src/schema.rs as `expand` leaves it","way_out":null},{"check":"document","state":"skipped","place":null,"found":"written by `finish`, which is still to come","way_out":null},{"check":"values","state":"failed","place":"[HERE]","found":"2 of 6 rows lack their value","way_out":"fill them with `--repair`"},{"check":"receipt","state":"failed","place":"[HERE]","found":"no longer true: it says 6 rows, 0 of them NULL","way_out":"find out what emptied rows, then fill them with `--repair`"}],"state":"pending","rows":6,"empty":2,"pending":2,"differing":0,"bad":[{"place":"rows up to 6","rows":6,"empty":2,"pending":2,"differing":0,"lacking_keys":["1","5"],"differing_keys":[]}],"record":{"state":"done","holds":false,"rows":6,"empty":0,"differing":0},"repaired":null}
    ----- stderr -----
    pass 1: looking at every row
    next: fill them with `--repair`
    "#);
    assert_snapshot!(desk.verify(&["--repair", "--yes", "--message-format", "json"]), @r#"
    exit code: 0
    ----- stdout -----
    {"reason":"newcol-verify-event","version":1,"event":"began","rows":null,"filled_before":null,"notices":[]}
    {"reason":"newcol-verify-event","version":1,"event":"pass","phase":"proving","pass":1}
    {"reason":"newcol-verify-event","version":1,"event":"began","rows":6,"filled_before":null,"notices":[]}
    {"reason":"newcol-verify-event","version":1,"event":"pass","phase":"filling","pass":2}
    {"reason":"newcol-verify-event","version":1,"event":"pass","phase":"proving","pass":3}
    {"reason":"newcol-verify","version":1,"column":"users.locale","database":"[HERE]","failed":0,"checks":[{"check":"stages","state":"ok","place":null,"found":"expand is applied","way_out":null},{"check":"contract","state":"ok","place":null,"found":"the migrations are those that it asks for","way_out":null},{"check":"database","state":"ok","place":null,"found":"the column is as its stages leave it","way_out":null},{"check":"schema.rs","state":"ok","place":null,"found":"src/schema.rs as `expand` leaves it","way_out":null},{"check":"document","state":"skipped","place":null,"found":"written by `finish`, which is still to come","way_out":null},{"check":"values","state":"ok","place":null,"found":"6 rows have their value","way_out":null},{"check":"receipt","state":"ok","place":null,"found":"6 rows, 0 of them NULL","way_out":null}],"state":"filled","rows":6,"empty":0,"pending":0,"differing":0,"bad":[],"record":{"state":"done","holds":true,"rows":6,"empty":0,"differing":0},"repaired":{"filled":2,"replaced":0}}
    ----- stderr -----
    pass 1: looking at every row
    pass 2: filling rows
    pass 3: looking at every row
    "#);
}

/// Only immutable fills can be asked again; of others, and of Rust code, only NULL is found.
#[test]
fn what_cannot_be_asked_again_is_said() {
    let volatile = "substr('abc', 1 + floor(random() * 3)::int, 1)";
    let Some(desk) = Desk::new(Want::postgres(), &["--fill", volatile]) else { return };
    desk.filled();
    assert_snapshot!(desk.verify(&[]), @"
    exit code: 0
    ----- stdout -----
    users.locale in [HERE]
      ok       stages    expand is applied
      ok       contract  the migrations are those that it asks for
      ok       database  the column is as its stages leave it
      ok       schema.rs src/schema.rs as `expand` leaves it
      skipped  document  written by `finish`, which is still to come
      ok       values    6 rows have their value, which may be any
      ok       receipt   6 rows, 0 of them NULL
      rows       6
      NULL       0: 0 pending
      differing  unknown: only NULL can be found
      record     the backfill ended with 6 rows, 0 of them NULL: still true
    ----- stderr -----
    warning: the fill yields another value each time: only NULL can be found, not a wrong value
    pass 1: looking at every row
    ");
    assert_snapshot!(desk.verify(&["--repair=differing", "--yes"]), @"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: which values of `users.locale` are wrong cannot be told: its fill is not known to yield the same value each time
      --> [HERE]
    help: leave values as they are: `--repair` fills what is NULL
    ");
    desk.sql("UPDATE users SET locale = NULL WHERE id = 3");
    assert_snapshot!(desk.verify(&["--repair", "--yes"]), @"
    exit code: 0
    ----- stdout -----
    users.locale in [HERE]
      ok       stages    expand is applied
      ok       contract  the migrations are those that it asks for
      ok       database  the column is as its stages leave it
      ok       schema.rs src/schema.rs as `expand` leaves it
      skipped  document  written by `finish`, which is still to come
      ok       values    6 rows have their value, which may be any
      ok       receipt   6 rows, 0 of them NULL
      repaired   1 filled, 0 replaced
      rows       6
      NULL       0: 0 pending
      differing  unknown: only NULL can be found
      record     the backfill ended with 6 rows, 0 of them NULL: still true
    ----- stderr -----
    warning: the fill yields another value each time: only NULL can be found, not a wrong value
    pass 1: looking at every row
    pass 2: filling rows
    pass 3: looking at every row
    ");
}

#[test]
fn of_rust_code_only_null_is_found() {
    let Some(desk) =
        Desk::new(Want::postgres(), &["--fill-rust", "app::locale_of", "--old-writers", "nobody"])
    else {
        return;
    };
    desk.sql("UPDATE users SET locale = 'en' WHERE id < 6");
    assert_snapshot!(desk.verify(&[]), @"
    exit code: 100
    ----- stdout -----
    users.locale in [HERE]
      ok       stages    expand is applied
      ok       contract  the migrations are those that it asks for
      ok       database  the column is as its stages leave it
      ok       schema.rs src/schema.rs as `expand` leaves it
      skipped  document  written by `finish`, which is still to come
      FAILED   values    [HERE]: 1 of 6 rows lack their value
               fill them from the application, with `app::locale_of`
      skipped  receipt   no backfill that this role can see
      rows       6
      NULL       1: 1 pending
      differing  unknown: only NULL can be found
      record     no backfill that this role can see
      rows up to 6: 1 without their value: (6)
    ----- stderr -----
    warning: `app::locale_of` fills the column, which only the application can run: only NULL can be found, not a wrong value
    pass 1: looking at every row
    next: fill them from the application, with `app::locale_of`
    ");
    assert_snapshot!(desk.verify(&["--repair", "--yes"]), @"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: `users.locale` is filled by `app::locale_of`, which only the application can run
      --> [HERE]
    help: run it from the application with `newcol_core::execute::backfill::Backfill::rust`
    ");
}

#[test]
fn nothing_to_look_at_is_said() {
    let Some(desk) = Desk::new(Want::sqlite(), &["--fill", COALESCE]) else { return };
    desk.sql("DELETE FROM users");
    assert_snapshot!(desk.verify(&[]), @"
    exit code: 0
    ----- stdout -----
    users.locale in [HERE]
      ok       stages    expand is applied
      ok       contract  the migrations are those that it asks for
      ok       database  the column is as its stages leave it
      ok       schema.rs src/schema.rs as `expand` leaves it
      skipped  document  written by `finish`, which is still to come
      ok       values    0 rows have their value
      skipped  receipt   no backfill that this role can see
      rows       0
      NULL       0: 0 pending
      differing  0
      record     no backfill that this role can see
    ----- stderr -----
    pass 1: looking at every row
    ");
    assert_snapshot!(desk.verify(&["--yes"]), @"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: the following required arguments were not provided:
      --repair[=<WHAT>]

    Usage: cargo newcol verify --database-url <URL> --repair[=<WHAT>] --yes <COLUMN>

    For more information, try '--help'.
    ");
}

/// Law 9, for the server as a witness: not a row was written, and nothing was made.
#[test]
fn nothing_is_written() {
    let Some(desk) = Desk::new(Want::postgres(), &["--fill", COALESCE]) else { return };
    let look = || {
        rows(&desk.db, "SELECT xmin, ctid, * FROM users ORDER BY id")
            + &rows(&desk.db, "SELECT oid, relname, relfilenode FROM pg_class ORDER BY oid")
            + &rows(
                &desk.db,
                "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables",
            )
    };
    let (before, tree) = (look(), Tree::of(desk.project.root()));
    assert_eq!(desk.run("verify", &[]).code(), Some(100));
    assert_eq!(look(), before);
    assert_eq!(Tree::of(desk.project.root()), tree);

    let Some(desk) = Desk::new(Want::sqlite(), &["--fill", COALESCE]) else { return };
    let before = std::fs::read(desk.db.url()).unwrap();
    assert_eq!(desk.run("verify", &[]).code(), Some(100));
    assert_eq!(std::fs::read(desk.db.url()).unwrap(), before);
    // Also where the URL itself allows no more.
    let url = format!("file:{}?mode=ro", desk.db.url());
    assert_eq!(desk.run_on(&url, "verify", &[]).code(), Some(100));
}

/// A role that may only read, and a database whose sessions may.
#[test]
fn reading_is_all_it_needs_on_postgres() {
    let Some(desk) = Desk::new(Want::postgres(), &["--fill", COALESCE]) else { return };
    desk.filled();
    let role = "newcol_verify_reader";
    desk.sql(&format!(
        "DO 'BEGIN CREATE ROLE {role}; EXCEPTION WHEN duplicate_object THEN END';
         GRANT SELECT ON users TO {role};
         DO 'BEGIN EXECUTE format(''ALTER DATABASE %I SET default_transaction_read_only = on'', current_database()); END'"
    ));
    let sign = if desk.db.url().contains('?') { '&' } else { '?' };
    let url = format!("{}{sign}options=-c%20role%3D{role}", desk.db.url());
    assert_snapshot!(desk.verify_on(&url, &[]), @"
    exit code: 0
    ----- stdout -----
    users.locale in [HERE]
      skipped  stages    this role sees no table of applied migrations
      skipped  database  this role sees no table of applied migrations
      ok       schema.rs src/schema.rs as `expand` leaves it
      skipped  document  written by `finish`, which is still to come
      ok       values    6 rows have their value
      skipped  receipt   no backfill that this role can see
      rows       6
      NULL       0: 0 pending
      differing  0
      record     no backfill that this role can see
    ----- stderr -----
    pass 1: looking at every row
    ");

    // Rows that a policy hides would be counted by nobody.
    let mut owner = desk.session();
    owner.batch("SET default_transaction_read_only = off").unwrap();
    owner.batch("ALTER TABLE users ENABLE ROW LEVEL SECURITY").unwrap();
    assert_snapshot!(desk.verify_on(&url, &[]), @r#"
    exit code: 101
    ----- stdout -----
    ----- stderr -----
    pass 1: looking at every row
    error: could not look at `users.locale` in block 0 of `public.users`
      --> [HERE]
      because: `SELECT count(*), count(*) - count("locale"), count(*) FILTER (WHERE "locale" IS NULL AND (coalesce(settings, 'en')) IS NOT NULL), count(*) FILTER (WHERE "locale…` failed on [DATABASE_URL]
      because: query would be affected by row-level security policy for table "users"
    help: use the URL of a role that may read every row of the table
    "#);
    owner.batch("ALTER TABLE users DISABLE ROW LEVEL SECURITY").unwrap();
    owner.batch(&format!("REVOKE ALL ON users FROM {role}")).unwrap();
    assert_snapshot!(desk.verify_on(&url, &[]), @r#"
    exit code: 101
    ----- stdout -----
    ----- stderr -----
    error: `SELECT "id"::text FROM "users" ORDER BY "users"."id" DESC LIMIT 1` failed on [DATABASE_URL]
      --> [HERE]
      because: permission denied for table users
    "#);
}

#[test]
fn reading_is_all_it_needs_on_mariadb() {
    let answers = ["--fill", COALESCE, "--check", "locale <> ''", "--database-url", HERE];
    let Some(desk) = Desk::new(Want::mysql(), &answers) else { return };
    desk.filled();
    let user = "newcol_verify_reader";
    desk.db
        .run(&[
            &format!("CREATE USER IF NOT EXISTS {user}@'%' IDENTIFIED BY 'secret'"),
            &format!("GRANT SELECT ON users TO {user}@'%'"),
        ])
        .unwrap();
    let (_, place) = desk.db.url().rsplit_once('@').unwrap();
    let url = format!("mysql://{user}:secret@{place}");
    assert_snapshot!(desk.verify_on(&url, &[]), @"
    exit code: 0
    ----- stdout -----
    users.locale in [HERE]
      skipped  stages    this role sees no table of applied migrations
      skipped  database  this role sees no table of applied migrations
      ok       schema.rs src/schema.rs as `expand` leaves it
      skipped  document  written by `finish`, which is still to come
      ok       values    6 rows have their value
      skipped  receipt   no backfill that this role can see
      rows       6
      NULL       0: 0 pending
      differing  0
      record     no backfill that this role can see
    ----- stderr -----
    pass 1: looking at every row
    ");
    // It sees the stages then, and still not what needs another privilege.
    desk.sql(&format!("GRANT SELECT ON __diesel_schema_migrations TO {user}@'%'"));
    let said = desk.run_on(&url, "verify", &[]).success().stdout;
    let line = said.lines().find(|line| line.contains(" database  ")).unwrap();
    assert_snapshot!(line.trim(), @"ok       database  the column is as its stages leave it; not looked at: constraints, for want of any privilege but SELECT, triggers, for want of the privilege TRIGGER");
}

/// A partition may be out of reach by its own name; the whole is not.
#[test]
fn partitions_are_read_through_their_parent_where_they_must() {
    let before = &[
        "ALTER TABLE posts DROP CONSTRAINT posts_user_id_fkey",
        "ALTER TABLE users RENAME TO users_low",
        "CREATE TABLE users (id INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL, settings TEXT) PARTITION BY RANGE (id)",
        "ALTER TABLE users ATTACH PARTITION users_low FOR VALUES FROM (0) TO (100)",
        "CREATE TABLE users_high PARTITION OF users FOR VALUES FROM (100) TO (200)",
        "INSERT INTO users VALUES (150, 'zoe', 'pl')",
    ];
    let Some(desk) = Desk::with(Want::postgres(), &["--fill", COALESCE], before) else { return };
    assert_snapshot!(desk.verify(&[]), @"
    exit code: 100
    ----- stdout -----
    users.locale in [HERE]
      ok       stages    expand is applied
      ok       contract  the migrations are those that it asks for
      ok       database  the column is as its stages leave it
      ok       schema.rs src/schema.rs as `expand` leaves it
      skipped  document  written by `finish`, which is still to come
      FAILED   values    [HERE]: 7 of 7 rows lack their value
               fill them: `cargo newcol backfill users.locale --database-url <URL>`
      skipped  receipt   no backfill that this role can see
      rows       7
      NULL       7: 7 pending
      differing  0
      record     no backfill that this role can see
      block 0 of `public.users_low`: 6 without their value: (1), (2), (3), (4), (5), …
      block 0 of `public.users_high`: 1 without their value: (150)
    ----- stderr -----
    pass 1: looking at every row
    next: fill them: `cargo newcol backfill users.locale --database-url <URL>`
    ");
    let role = "newcol_verify_parent";
    desk.sql(&format!(
        "DO 'BEGIN CREATE ROLE {role}; EXCEPTION WHEN duplicate_object THEN END'; GRANT SELECT ON users TO {role}"
    ));
    let sign = if desk.db.url().contains('?') { '&' } else { '?' };
    let url = format!("{}{sign}options=-c%20role%3D{role}", desk.db.url());
    assert_snapshot!(desk.verify_on(&url, &[]), @"
    exit code: 100
    ----- stdout -----
    users.locale in [HERE]
      skipped  stages    this role sees no table of applied migrations
      skipped  database  this role sees no table of applied migrations
      ok       schema.rs src/schema.rs as `expand` leaves it
      skipped  document  written by `finish`, which is still to come
      FAILED   values    [HERE]: 7 of 7 rows lack their value
               fill them: `cargo newcol backfill users.locale --database-url <URL>`
      skipped  receipt   no backfill that this role can see
      rows       7
      NULL       7: 7 pending
      differing  0
      record     no backfill that this role can see
      rows up to 150: 7 without their value: (1), (2), (3), (4), (5), …
    ----- stderr -----
    pass 1: looking at every row
    next: fill them: `cargo newcol backfill users.locale --database-url <URL>`
    ");
}
