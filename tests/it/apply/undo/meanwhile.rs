//! What others do, and the user, while a stage is taken back.

use std::{
    sync::{Mutex, mpsc},
    thread,
};

use newcol_core::{
    contract::read::read,
    db::{DatabaseUrl, OpenOptions},
    execute::backfill::{Answer, Backfill, Event, Outcome},
};
use newcol_testkit::Want;

use super::super::{
    recorded, value,
    whole::{App, every_stage, schema},
};
use crate::desk::{newcol, wrapped};

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
