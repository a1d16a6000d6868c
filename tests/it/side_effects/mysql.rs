//! What MariaDB and MySQL would do on an UPDATE.

use newcol_core::{db::OpenOptions, db::Session, execute::side_effects::Triggers, plan::Plan};
use newcol_testkit::{ScratchDb, Want};

use super::{SHOUT, care, expand, fill, judged, open, open_url, proposed, rows, told};

const USERS: &str = "
    CREATE TABLE users (id int PRIMARY KEY, name varchar(60),
      `at ``1` timestamp(3) NULL DEFAULT NULL ON UPDATE CURRENT_TIMESTAMP(3),
      at2 datetime DEFAULT NULL ON UPDATE CURRENT_TIMESTAMP,
      made timestamp NOT NULL DEFAULT '2001-01-01');
    INSERT INTO users (id, name, `at ``1`) VALUES (1, 'ann', '2001-01-01 00:00:00.123'), (2, 'bob', NULL);";
const TOUCHED: &str = "SELECT * FROM users ORDER BY id";
const FILLED: &str = "1 ann 2001-01-01 00:00:00.123 NULL 2001-01-01 00:00:00 ANN\n\
                      2 bob NULL NULL 2001-01-01 00:00:00 BOB\n";

fn users(want: Want, body: &str) -> Option<(ScratchDb, Session, Plan)> {
    let db = ScratchDb::require(want)?;
    let mut session = open(&db);
    session.batch(USERS).unwrap();
    let plan = expand(&mut session, body);
    Some((db, session, plan))
}

/// Opens the same database as another user, made for this.
fn open_as(db: &ScratchDb, user: &str) -> Session {
    let (_, place) = db.url().rsplit_once('@').unwrap();
    open_url(&format!("mysql://{user}:secret@{place}"), &OpenOptions::write())
}

/// An account is the whole server's: it must not survive its test.
fn make_user(db: &ScratchDb, user: &str) {
    let make = format!("CREATE OR REPLACE USER {user} IDENTIFIED BY 'secret'");
    db.run(&[&make]).unwrap();
}

#[test]
fn times_that_follow_an_update_stay() {
    let Some((_db, mut session, plan)) = users(Want::mysql(), SHOUT) else { return };
    let skip = judged(&mut session, &plan, Triggers::Skip);
    insta::assert_snapshot!(told(&skip), @"
    assign: at `1
    assign: at2
    notice: an UPDATE would set `at `1` and `at2` to the current time: the fill keeps what is there
    ");
    fill(&mut session, &plan, &skip.unwrap());
    assert_eq!(rows(&mut session, TOUCHED), FILLED);
    // Else they would not have stayed.
    session.batch("UPDATE users SET shout = 'x'").unwrap();
    let stayed = "SELECT count(*) FROM users WHERE at2 IS NULL OR `at ``1` < '2002-01-01'";
    assert_eq!(session.value(stayed).unwrap().unwrap(), "0");
}

#[test]
fn triggers_are_refused_unless_they_may_fire() {
    let Some((_db, mut session, plan)) = users(Want::mysql(), SHOUT) else { return };
    session
        .batch(
            "CREATE TABLE audit (says text);
             CREATE TRIGGER touch BEFORE UPDATE ON users FOR EACH ROW SET NEW.name = 'touched';
             CREATE TRIGGER note AFTER UPDATE ON users FOR EACH ROW INSERT INTO audit VALUES (NEW.id);
             CREATE TRIGGER made BEFORE INSERT ON users FOR EACH ROW SET NEW.name = 'made'",
        )
        .unwrap();
    let skip = judged(&mut session, &plan, Triggers::Skip);
    let fire = judged(&mut session, &plan, Triggers::Fire);
    insta::assert_snapshot!(told(&skip), @"
    filling `users.shout` fires `touch` and `note`, which MariaDB [SERVER] cannot prevent
    choice: drop `touch` and `note` and make again when all is filled: until then, nothing fires for anybody
    choice: pass `--triggers fire`: `touch` runs before each row changes, `note` runs after each row changes
    ");
    insta::assert_snapshot!(told(&fire), @"
    assign: at `1
    assign: at2
    notice: the trigger `touch` of `users` fires for what is filled: it runs before each row changes
    notice: the trigger `note` of `users` fires for what is filled: it runs after each row changes
    notice: an UPDATE would set `at `1` and `at2` to the current time: the fill keeps what is there
    ");
    fill(&mut session, &plan, &fire.unwrap());
    assert_eq!(
        rows(&mut session, TOUCHED),
        FILLED.replace("ann", "touched").replace("bob", "touched")
    );
    assert_eq!(rows(&mut session, "SELECT says FROM audit ORDER BY 1"), "1\n2\n");
}

/// What it may not see at first is an `ON UPDATE` that it has to keep still.
#[test]
fn missing_privileges_are_named_and_can_be_granted() {
    let Some((db, _session, plan)) = users(Want::mysql(), SHOUT) else { return };
    make_user(&db, "newcol_sides_poor");
    db.run(&["GRANT SELECT (id, shout) ON users TO newcol_sides_poor"]).unwrap();
    let judged_anew = || {
        let mut session = open_as(&db, "newcol_sides_poor");
        judged(&mut session, &plan, Triggers::Skip)
    };
    let first = judged_anew();
    db.run(&[&proposed(first.as_ref().unwrap_err(), 0)]).unwrap();
    let second = judged_anew();
    insta::assert_snapshot!(told(&first), @"
    the user `newcol_sides_poor@%` may not fill `users.shout`: it may not read `name`, `at `1`, `at2` and `made` of `users`, nor change `shout` of `users`
    choice: let the owner run GRANT SELECT, UPDATE (`shout`) ON `users` TO 'newcol_sides_poor'@'%'
    choice: use the URL of the owner
    ");
    insta::assert_snapshot!(told(&second), @"
    the user `newcol_sides_poor@%` may not fill `users.shout`: it may not change `at `1` and `at2` of `users`
    choice: let the owner run GRANT UPDATE (`at ``1`, `at2`) ON `users` TO 'newcol_sides_poor'@'%'
    choice: use the URL of the owner
    ");
    db.run(&[&proposed(&second.unwrap_err(), 0)]).unwrap();
    let care = judged_anew().unwrap();
    fill(&mut open_as(&db, "newcol_sides_poor"), &plan, &care);
    db.run(&["DROP USER newcol_sides_poor"]).unwrap();
    assert_eq!(rows(&mut open(&db), TOUCHED), FILLED);
}

/// A role's privileges are the user's, and MariaDB names triggers to those who may not make them.
#[test]
fn roles_and_triggers_of_others_are_seen() {
    let Some((db, _session, plan)) = users(Want::mysql(), SHOUT) else { return };
    make_user(&db, "newcol_sides_role");
    let name = db.url().rsplit_once('/').unwrap().1.to_owned();
    db.run(&[
        "CREATE OR REPLACE ROLE newcol_sides_fillers",
        &format!("GRANT SELECT, UPDATE ON `{name}`.* TO newcol_sides_fillers"),
        "GRANT newcol_sides_fillers TO newcol_sides_role",
        "SET DEFAULT ROLE newcol_sides_fillers FOR newcol_sides_role",
    ])
    .unwrap();
    let mut session = open_as(&db, "newcol_sides_role");
    care(&mut session, &plan, Triggers::Skip);
    db.run(&["CREATE TRIGGER touch BEFORE UPDATE ON users FOR EACH ROW SET NEW.name = 'touched'"])
        .unwrap();
    let refused = judged(&mut session, &plan, Triggers::Skip);
    insta::assert_snapshot!(told(&refused), @"
    filling `users.shout` fires `touch`, which MariaDB [SERVER] cannot prevent
    choice: drop `touch` and make again when all is filled: until then, nothing fires for anybody
    choice: pass `--triggers fire`: `touch` runs before each row changes
    ");
    db.run(&["DROP USER newcol_sides_role", "DROP ROLE newcol_sides_fillers"]).unwrap();
}

#[test]
fn columns_and_history_that_follow_are_named() {
    let Some((_db, mut session, plan)) = users(Want::mysql(), SHOUT) else { return };
    session
        .batch(
            "ALTER TABLE users ADD lowered varchar(60) AS (lower(shout)) STORED,
               ADD named varchar(60) AS (lower(name)) STORED,
               ADD virtually varchar(60) AS (lower(shout)) VIRTUAL;
             ALTER TABLE users ADD SYSTEM VERSIONING",
        )
        .unwrap();
    let judged = judged(&mut session, &plan, Triggers::Skip);
    insta::assert_snapshot!(told(&judged), @"
    assign: at `1
    assign: at2
    notice: an UPDATE would set `at `1` and `at2` to the current time: the fill keeps what is there
    notice: computed from `shout`, and so changed with it: `lowered`
    notice: `users` keeps the history of its rows, and every filled row adds to it
    ");
    fill(&mut session, &plan, &judged.unwrap());
    assert_eq!(rows(&mut session, "SELECT lowered FROM users ORDER BY 1"), "ann\nbob\n");
}

#[test]
fn servers_that_only_read_are_refused() {
    let Some((db, mut session, plan)) = users(Want::mysql().private(), SHOUT) else {
        return;
    };
    make_user(&db, "newcol_sides_reader");
    db.run(&["GRANT ALL ON *.* TO newcol_sides_reader"]).unwrap();
    db.run(&["REVOKE READ_ONLY ADMIN ON *.* FROM newcol_sides_reader"]).unwrap();
    db.run(&["SET GLOBAL read_only = ON"]).unwrap();
    // Who may write nevertheless is not kept from it.
    care(&mut session, &plan, Triggers::Skip);
    let mut session = open_as(&db, "newcol_sides_reader");
    let refused = judged(&mut session, &plan, Triggers::Skip);
    insta::assert_snapshot!(told(&refused), @"
    `users.shout` cannot be filled: `read_only` is on for this server
    choice: use the URL of the server that takes changes, or lift the setting
    ");
    session.batch("UPDATE users SET shout = 'x'").unwrap_err();
}

/// Ours keep two columns equal, and know what a fill is; unless its value is another each time.
#[test]
fn our_own_triggers_change_nothing() {
    let replaces = "[replaces]\ncolumn = 'name'\nback = 'lower(shout)'\n";
    let Some((_db, mut session, plan)) = users(Want::mysql(), &format!("{SHOUT}{replaces}")) else {
        return;
    };
    let care = care(&mut session, &plan, Triggers::Skip);
    fill(&mut session, &plan, &care);
    assert_eq!(rows(&mut session, TOUCHED), FILLED);
    let volatile = "type = 'varchar(60)'\n[old_rows]\nfill = 'md5(rand())'\n";
    let (_db, mut session, plan) = users(Want::mysql(), &format!("{volatile}{replaces}")).unwrap();
    let refused = judged(&mut session, &plan, Triggers::Skip);
    insta::assert_snapshot!(told(&refused), @"
    filling `users.shout` fires `newcol_sync_update_users_shout`, which MariaDB [SERVER] cannot prevent
    choice: drop `newcol_sync_update_users_shout` and make again when all is filled: until then, nothing fires for anybody
    choice: pass `--triggers fire`: `newcol_sync_update_users_shout` runs before each row changes
    ");
}
