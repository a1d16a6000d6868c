//! What others do, and the user, while a stage is taken back.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use insta::assert_snapshot;
use newcol_core::{
    backend::{Backend, Product},
    contract::read::read,
    db::{DatabaseUrl, OpenOptions},
    execute::{
        apply::{
            Answer as Go, Apply, ApplyError, Event as Told, Guard, Outcome as Done, SqlMigration,
            Stopped,
        },
        backfill::{Answer, Backfill, Event, Outcome, forgetting},
    },
};
use newcol_testkit::{Want, wait::wait_until};

use super::super::{
    privileges::{User, run},
    recorded, session, value,
    whole::{App, every_stage, schema},
};
use crate::desk::{newcol, wrapped};

const LONG: Duration = Duration::from_secs(30);

/// A backfill at work ends, and writes nothing down of a column that is gone.
fn a_backfill_ends(want: Want) {
    let Some(app) = App::with_rows(want) else { return };
    drop(newcol(&app.project, &every_stage()).success());
    drop(app.apply(&["users.locale"]).success());
    let text = app.project.read("newcol/users.locale.toml").unwrap();
    let contract = read(&text).map_err(|_| "unreadable").unwrap().contract;
    let url = DatabaseUrl::parse(app.db.url()).unwrap();
    let (at_work, hears) = mpsc::channel();
    let (go_on, waits) = mpsc::channel::<()>();
    let waits = Mutex::new(waits);
    thread::scope(|scope| {
        let job = Backfill::new(&contract, &url, OpenOptions::write());
        let worker = scope.spawn(move || {
            job.run(&|event| {
                if matches!(event, Event::Batch { .. }) && at_work.send(()).is_ok() {
                    // Nobody sends: it goes on when the stage is taken back.
                    waits.lock().unwrap().recv().ok();
                }
                Answer::Go
            })
        });
        hears.recv().unwrap();
        let done = app.undo(&["--yes", "--accept-loss"]);
        drop((hears, go_on));
        let ended = worker.join().unwrap();
        drop(done.success());
        assert!(!matches!(ended, Ok(Outcome::Done(_))), "{ended:?}");
    });
    assert_eq!(value(&app.db, "SELECT count(*) FROM __newcol_backfill"), "0");
    assert_eq!(value(&app.db, "SELECT count(*) FROM __newcol_backfill_part"), "0");
    assert!(app.db.rows("SELECT locale FROM users").is_err());
}

#[test]
fn a_backfill_ends_on_postgres() {
    a_backfill_ends(Want::postgres());
}

#[test]
fn a_backfill_ends_on_mysql() {
    a_backfill_ends(Want::mysql());
}

#[test]
fn a_backfill_ends_on_sqlite() {
    a_backfill_ends(Want::sqlite());
}

/// Ctrl-C leaves everything as it was, and no part of a file.
#[test]
fn ctrl_c_leaves_everything_as_it_was() {
    let Some(app) = App::with_rows(Want::postgres()) else { return };
    drop(newcol(&app.project, &every_stage()).success());
    drop(app.apply(&["users.locale"]).success());
    // Seconds of work.
    app.db
        .run(&["INSERT INTO users (id, name, locale) SELECT i, 'n', 'other' FROM generate_series(10, 500000) i"])
        .unwrap();
    let undo = ["undo", "users.locale", "--live", "--yes", "--accept-loss"];
    let more = ["--export", "lost.csv", "--database-url", app.db.url()];
    let until = ["timeout", "--preserve-status", "--signal=INT", "0.5"];
    let stopped = wrapped(&app.project, &until, &[&undo[..], &more].concat());
    assert_eq!(stopped.code(), Some(3), "{stopped}");
    assert!(stopped.stderr.contains("nothing was taken back"), "{stopped}");
    let left = app.project.root().read_dir_utf8().unwrap().filter_map(Result::ok);
    let left: Vec<_> = left.map(|file| file.file_name().to_owned()).collect();
    assert!(!left.iter().any(|name| name.contains("lost") || name.contains("export")), "{left:?}");
    assert_eq!(value(&app.db, "SELECT count(locale) FROM users"), "499991");
}

/// MySQL commits a statement before Diesel's table can say so: whoever dies in between left a
/// `down.sql` that can never run again.
#[test]
fn what_was_taken_back_and_not_written_down_is_written_down() {
    let Some(app) = App::with_rows(Want::mysql()) else { return };
    let before = (schema(&app.db), recorded(&app.db));
    drop(newcol(&app.project, &every_stage()).success());
    drop(app.apply(&["users.locale"]).success());
    app.db
        .run(&["DROP TRIGGER newcol_fill_users_locale", "ALTER TABLE users DROP COLUMN locale"])
        .unwrap();
    let output = app.undo(&["--yes"]).success();
    assert!(output.stdout.contains("could not write it down"), "{output}");
    assert_eq!((schema(&app.db), recorded(&app.db)), before);
}

/// A column that was filled, counted, and is about to be taken back.
struct Counted {
    app: App,
    guard: Guard,
    /// Its migrations, the last of which drops it.
    expand: Vec<SqlMigration>,
}

impl Counted {
    fn new(want: Want) -> Option<Self> {
        let app = App::with_rows(want)?;
        drop(newcol(&app.project, &every_stage()).success());
        drop(app.apply(&["users.locale"]).success());
        drop(app.run(&["backfill", "users.locale", "--yes"]).success());
        let text = app.project.read("newcol/users.locale.toml").unwrap();
        let contract = read(&text).map_err(|_| "unreadable").unwrap().contract;
        let url = DatabaseUrl::parse(app.db.url()).unwrap();
        let job = Backfill::new(&contract, &url, OpenOptions::write());
        let losses = job.losses(None, &|_| Answer::Go).unwrap();
        assert_eq!(losses.lost, 0);
        let guard = job.guard(&losses, Duration::from_secs(1)).unwrap().unwrap();
        let dir = app.project.schema_dir().join("migrations");
        let mut expand = SqlMigration::in_dir(app.db.backend(), &dir).unwrap();
        expand.retain(|migration| migration.name.contains("users_locale"));
        expand.reverse();
        let mut session = session(app.db.url(), "undo");
        let forgetting = forgetting(&mut session, contract.path()).unwrap().unwrap();
        expand.last_mut().unwrap().begin_down_with(&forgetting);
        Some(Self { app, guard, expand })
    }

    fn revert(&self, url: &str, at: impl Fn(&Told) + Sync) -> Result<Done, ApplyError> {
        let url = DatabaseUrl::parse(url).unwrap();
        let apply = Apply::new(&url, OpenOptions::write()).guarded(&self.guard);
        apply.revert(&self.expand, &|event| {
            at(event);
            Go::Go
        })
    }

    /// Takes it back, which a value must stop; the record of the backfill stays with it.
    fn is_kept(&self, at: impl Fn(&Told) + Sync) {
        let stopped =
            self.revert(self.app.db.url(), at).map_err(|error| self.guard.stopped(&error));
        assert_eq!(stopped.unwrap_err(), Some(Stopped::Written));
        let db = &self.app.db;
        assert_eq!(recorded(db).last(), self.expand.last().map(|first| &first.version));
        assert_eq!(value(db, "SELECT locale FROM users WHERE id = 2"), "de");
        assert_eq!(value(db, "SELECT count(*) FROM __newcol_backfill"), "1");
    }
}

/// A value that no count has seen is not dropped unasked: the table is looked at once more when
/// nobody can write any longer.
fn a_value_written_after_the_count_stays(want: Want) {
    let Some(counted) = Counted::new(want) else { return };
    let app = &counted.app;
    let before = (schema(&app.db), recorded(&app.db));
    // Another one than the fill yields, which loses none of its own.
    app.db.run(&["UPDATE users SET locale = 'de' WHERE id = 2"]).unwrap();
    counted.is_kept(|_| {});
    if want.backend != Backend::Mysql {
        // The trigger went in a migration of its own there.
        assert_eq!((schema(&app.db), recorded(&app.db)), before);
    }

    app.db.run(&["UPDATE users SET locale = lower(name)"]).unwrap();
    app.db.run(&["INSERT INTO users (id, name) VALUES (7, 'Old')"]).unwrap();
    drop(counted.revert(app.db.url(), |_| {}).unwrap());
    assert!(app.db.rows("SELECT locale FROM users").is_err());
    assert_eq!(value(&app.db, "SELECT count(*) FROM __newcol_backfill"), "0");
}

#[test]
fn a_value_written_after_the_count_stays_on_postgres() {
    a_value_written_after_the_count_stays(Want::postgres());
    a_value_written_after_the_count_stays(Want::postgres().version(13));
}

#[test]
fn a_value_written_after_the_count_stays_on_mariadb() {
    a_value_written_after_the_count_stays(Want::mysql().product(Product::Mariadb));
}

#[test]
fn a_value_written_after_the_count_stays_on_sqlite() {
    a_value_written_after_the_count_stays(Want::sqlite());
}

/// Where no transaction holds the table from the look to the drop, the session does.
#[test]
fn who_writes_late_is_waited_for_and_seen_on_mariadb() {
    let Some(counted) = Counted::new(Want::mysql().product(Product::Mariadb)) else { return };
    let app = &counted.app;
    let user = User::new(&app.db, "m");
    let database = value(&app.db, "SELECT database()");
    let name = format!("'{}'@'%'", user.name);
    run(
        &app.db,
        &format!(
            "CREATE USER {name} IDENTIFIED BY 'secret'; \
             GRANT SELECT, DELETE, ALTER, TRIGGER ON {database}.* TO {name}"
        ),
    );
    let refused = counted.revert(&user.url, |_| {}).unwrap_err();
    let ApplyError::Privilege { grant, .. } = &refused else { panic!("{refused:?}") };
    assert_eq!(*grant, format!("GRANT LOCK TABLES ON `{database}`.* TO {name}"));
    run(&app.db, grant);

    let last = &counted.expand.last().unwrap().name;
    let pod = Mutex::new((session(app.db.url(), "pod"), 0));
    counted.is_kept(|event| {
        let (pod, begun) = &mut *pod.lock().unwrap();
        match event {
            // The change before it is through.
            Told::Began { migration } if migration == last => {
                pod.batch("BEGIN; UPDATE users SET locale = 'de' WHERE id = 2").unwrap();
                *begun = 1;
            }
            Told::Waiting | Told::Retry { .. } if *begun == 1 => {
                pod.batch("COMMIT").unwrap();
                *begun = 2;
            }
            _ => {}
        }
    });
    assert_eq!(pod.into_inner().unwrap().1, 2);

    app.db.run(&["UPDATE users SET locale = lower(name)"]).unwrap();
    drop(counted.revert(&user.url, |_| {}).unwrap());
    assert!(app.db.rows("SELECT locale FROM users").is_err());
    run(&app.db, &format!("DROP USER {name}"));
}

/// A transaction that is open during the count writes what nobody could see.
#[test]
fn who_writes_late_is_waited_for_and_seen() {
    let Some(app) = App::with_rows(Want::postgres()) else { return };
    drop(newcol(&app.project, &every_stage()).success());
    drop(app.apply(&["users.locale"]).success());
    let mut pod = session(app.db.url(), "pod");
    pod.batch("BEGIN; UPDATE users SET locale = 'de' WHERE id = 2").unwrap();
    let refused = thread::scope(|scope| {
        let undo = scope.spawn(|| app.undo(&["--yes"]));
        // It waits for its lock; or, where the pod was slow, until it may ask for one.
        let waits = "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'users'::regclass \
                       AND mode = 'AccessExclusiveLock') \
                     OR EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() \
                       AND application_name = 'cargo newcol' AND query LIKE '%l.granted%')";
        wait_until("undo", LONG, || value(&app.db, waits) == "t").unwrap();
        pod.batch("COMMIT").unwrap();
        undo.join().unwrap()
    });
    assert_eq!(refused.code(), Some(3), "{refused}");
    let (_, error) = refused.stderr.split_once("error: ").unwrap();
    assert_snapshot!(error.trim_end(), @"
    a program has written a value of `users.locale` since the count
    help: take back the release that writes the column, then run the same command again
    help: say `--accept-loss` to go on all the same
    ");
    assert_eq!(value(&app.db, "SELECT count(locale) FROM users"), "1");
    drop(app.undo(&["--yes", "--accept-loss"]).success());
}

/// Programs go on writing while the table is looked at: none fails, and none waits for longer than the
/// lock timeout until the column goes.
#[test]
fn nobody_waits_for_the_look() {
    let Some(app) = App::with_rows(Want::postgres()) else { return };
    drop(newcol(&app.project, &every_stage()).success());
    drop(app.apply(&["users.locale"]).success());
    let many =
        "INSERT INTO users (id, name) SELECT i, 'Name ' || i FROM generate_series(10, 30000) i";
    app.db.run(&[many]).unwrap();
    let over = AtomicBool::new(false);
    let (done, longest) = thread::scope(|scope| {
        let old = scope.spawn(|| {
            let mut old = session(app.db.url(), "old");
            let mut longest = Duration::ZERO;
            for id in 200_000.. {
                if over.load(Ordering::SeqCst) {
                    break;
                }
                let began = Instant::now();
                old.batch(&format!("INSERT INTO users (id, name) VALUES ({id}, 'Old')")).unwrap();
                longest = longest.max(began.elapsed());
            }
            longest
        });
        let done = app.undo(&["--yes"]);
        over.store(true, Ordering::SeqCst);
        (done, old.join().unwrap())
    });
    drop(done.success());
    // A machine that has other things to do, too.
    assert!(longest < Duration::from_millis(500 + 400), "{longest:?}");
    assert!(app.db.rows("SELECT locale FROM users").is_err());
}

/// Nobody waits until a large table is looked through: then it wants a word.
#[test]
fn a_large_table_wants_a_word() {
    let Some(app) = App::with_rows(Want::postgres()) else { return };
    drop(newcol(&app.project, &every_stage()).success());
    drop(app.apply(&["users.locale"]).success());
    let many =
        "INSERT INTO users (id, name) SELECT i, 'Name ' || i FROM generate_series(10, 100000) i";
    app.db.run(&[many]).unwrap();
    let refused = app.undo(&["--yes", "--lock-timeout", "4ms"]);
    assert_eq!(refused.code(), Some(3), "{refused}");
    assert!(refused.stderr.contains("too large to be looked through in 2 ms"), "{refused}");
    assert_eq!(value(&app.db, "SELECT count(locale) FROM users"), "99991");
    drop(app.undo(&["--yes", "--accept-loss"]).success());
}
