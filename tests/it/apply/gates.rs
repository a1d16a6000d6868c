use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use newcol_testkit::{Want, wait::wait_until};

use super::{session, whole::App};
use crate::desk::{self, newcol};

const OLD: &str = "INSERT INTO users (id, name) VALUES";

/// A rolling deployment: the scaffolding stays while an old pod is at work, and goes when it is gone.
#[test]
fn an_old_pod_keeps_the_gate_shut() {
    let Some(app) = App::new(Want::postgres()) else { return };
    app.db.run(&["CREATE EXTENSION pg_stat_statements"]).unwrap();
    drop(app.apply(&["--all"]).success());
    let idle = session(app.db.url(), "app/1.0 pod 1");
    drop(newcol(&app.project, desk::LOWER_NAME).success());
    drop(app.apply(&["users.locale"]).success());
    drop(app.run(&["backfill", "users.locale", "--yes"]).success());
    drop(app.run(&["next", "users.locale"]).success());
    drop(app.apply(&["users.locale"]).success());

    // It does nothing, but it was there before the column.
    let next = ["next", "users.locale", "--observe", "300ms"];
    let refused = app.run(&next);
    assert_eq!(refused.code(), Some(3));
    assert!(refused.stderr.contains("app/1.0 pod 1"), "{refused}");
    assert!(refused.stderr.contains("connected since before the column"), "{refused}");
    drop(idle);

    // Another one was started since, and inserts as it always did.
    let (begun, over) = (AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| {
        let (url, over, begun) = (app.db.url(), &over, &begun);
        scope.spawn(move || {
            let mut pod = session(url, "app/1.0 pod 2");
            for id in 1.. {
                if over.load(Ordering::SeqCst) {
                    break;
                }
                pod.batch(&format!("{OLD} ({id}, 'Ann')")).unwrap();
                begun.store(true, Ordering::SeqCst);
            }
        });
        wait_until("an insert", std::time::Duration::from_secs(10), || {
            begun.load(Ordering::SeqCst)
        })
        .unwrap();
        let refused = app.run(&next);
        let status = app.run(&["status", "users.locale", "--observe", "300ms"]);
        over.store(true, Ordering::SeqCst);
        assert_eq!(refused.code(), Some(3), "{refused}");
        assert!(refused.stderr.contains("app/1.0 pod 2"), "{refused}");
        assert!(refused.stderr.contains("INSERT INTO users"), "{refused}");
        assert!(status.stdout.contains("shut: no running program is older"), "{status}");
    });

    insta::assert_snapshot!(desk::said(&app.run(&["status", "--observe", "300ms"])), @"
    exit code: 0
    ----- stdout -----
    users.locale (postgres)
      expand     applied
      backfill   a job, not a migration
      constrain  applied
      contract   in the plan
      in PostgreSQL database [DATABASE] on [SERVER]
        open: the database has what the applied stages planned (nothing differs)
        open: `constrain` is applied wherever this stage will be (it is, to PostgreSQL database [DATABASE] on [SERVER]
        open: no running program is older than the column (no statement of theirs within [DURATION])
        next: `cargo newcol next users.locale --database-url <URL>`
    ----- stderr -----
    ");
    // Without a look nothing is known.
    assert_eq!(app.run(&["next", "users.locale"]).code(), Some(3));
    drop(app.run(&next).success());
    let applied = app.apply(&["users.locale", "--observe", "300ms"]).success();
    assert!(applied.stdout.contains("_contract"), "{applied}");
}

/// What the user said at release time does not hold while somebody shows the contrary.
#[test]
fn a_word_given_earlier_is_not_stronger_than_evidence() {
    let Some(app) = App::new(Want::postgres()) else { return };
    drop(app.apply(&["--all"]).success());
    drop(newcol(&app.project, desk::LOWER_NAME).success());
    drop(app.apply(&["users.locale"]).success());
    drop(app.run(&["next", "users.locale"]).success());
    drop(app.run(&["next", "users.locale", "--confirm-release", "all are new"]));
    drop(app.apply(&["users.locale"]));
    drop(app.run(&["next", "users.locale", "--confirm-release", "all are new"]).success());
    let mut pod = session(app.db.url(), "app/1.0");
    pod.batch(&format!("{OLD} (1, 'Ann')")).unwrap();

    let refused = app.apply(&["users.locale"]);
    assert_eq!(refused.code(), Some(3), "{refused}");
    assert!(refused.stderr.contains("app/1.0"), "{refused}");
    drop(app.apply(&["users.locale", "--confirm-release", "a job of ours"]).success());
    let contract = std::fs::read_to_string(app.project.root().join("newcol/users.locale.toml"));
    assert!(contract.unwrap().contains("a job of ours"));
}

/// A large table is not believed to be full because nothing is empty: a pass must have proved it.
#[test]
fn a_large_table_needs_its_receipt() {
    let Some(app) = App::new(Want::sqlite()) else { return };
    drop(app.apply(&["--all"]).success());
    drop(newcol(&app.project, desk::LOWER_NAME).success());
    drop(app.apply(&["users.locale"]).success());
    app.db
        .run(&["WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10001) \
               INSERT INTO users (id, name, locale) SELECT i, 'n' || i, 'n' || i FROM n"])
        .unwrap();
    let refused = app.run(&["next", "users.locale", "--confirm-release", "all are new"]);
    assert!(refused.stderr.contains("no row is empty, and no backfill proved it"), "{refused}");
    drop(app.run(&["backfill", "users.locale", "--yes"]).success());
    drop(app.run(&["next", "users.locale", "--confirm-release", "all are new"]).success());
}

/// Staging may be further than production.
#[test]
fn several_databases_are_shown_side_by_side() {
    let (Some(app), Some(other)) = (App::new(Want::sqlite()), App::new(Want::sqlite())) else {
        return;
    };
    drop(app.apply(&["--all"]).success());
    drop(newcol(&app.project, desk::LOWER_NAME).success());
    drop(app.apply(&["users.locale"]).success());
    let both = ["status", "--database-url", other.db.url()];
    insta::assert_snapshot!(desk::said(&app.run(&both)), @"
    exit code: 0
    ----- stdout -----
    users.locale (sqlite)
      expand     released, not applied
      backfill   a job, not a migration
      constrain  in the plan
      contract   in the plan
      in SQLite file [DATABASE_URL]
        open: the database has what the applied stages planned (nothing differs)
        next: `cargo newcol apply users.locale --database-url <URL>`
    users.locale (sqlite)
      expand     applied
      backfill   a job, not a migration
      constrain  in the plan
      contract   in the plan
      in SQLite file [DATABASE_URL]
        open: the database has what the applied stages planned (nothing differs)
        open: the backfill has left no row empty (no row is empty)
        shut: no running program is older than the column (SQLite sees no other programs, so only you can know)
        next: wait until old programs are gone before `constrain`
    ----- stderr -----
    ");
    // There is nobody to be seen.
    for refused in [
        app.run(&["status", "--observe", "1s"]),
        app.run(&["next", "users.locale", "--observe", "1s"]),
        app.apply(&["--all", "--observe", "1s"]),
    ] {
        assert_eq!(refused.code(), Some(2), "{refused}");
        assert!(refused.stderr.contains("SQLite sees no other programs"), "{refused}");
    }
}
