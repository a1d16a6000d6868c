//! What SQLite would do on an UPDATE.

use newcol_core::{
    db::OpenOptions,
    db::Session,
    execute::side_effects::{Care, Triggers},
    plan::Plan,
};
use newcol_testkit::{ScratchDb, Want};

use super::{SHOUT, care, expand, fill, judged, open, open_url, rows, told};

const USERS: &str = "
    CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, touched TEXT);
    INSERT INTO users VALUES (1, 'ann', 'a'), (2, 'bob', 'b');";
const TOUCHED: &str = "SELECT id, name, shout, touched FROM users ORDER BY id";

fn users(body: &str) -> Option<(ScratchDb, Session, Plan)> {
    let db = ScratchDb::require(Want::sqlite())?;
    let mut session = open(&db);
    session.batch(USERS).unwrap();
    let plan = expand(&mut session, body);
    Some((db, session, plan))
}

/// Names are written in all ways that SQLite reads.
const TRIGGERS: &str = "
    CREATE TABLE audit (says TEXT);
    CREATE TRIGGER of_name AFTER UPDATE OF name, touched ON users
      BEGIN INSERT INTO audit VALUES ('of_name'); END;
    CREATE TRIGGER \"on all\" AFTER UPDATE ON users
      BEGIN INSERT INTO audit VALUES ('it''s all'); END;
    CREATE TRIGGER IF NOT EXISTS main.'of shout' BEFORE UPDATE OF [id], \"SHOUT\" ON users -- for now
      WHEN NEW.id > 1 BEGIN UPDATE users SET touched = 'shout' WHERE id = OLD.id; END;
    CREATE TRIGGER younger AFTER UPDATE OF name ON users
      BEGIN INSERT INTO audit VALUES ('younger'); END;";
/// Those on UPDATE fire by their age, so they must be as old as before, one beside the other.
const STORED: &str = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' \
                      AND sql LIKE '%UPDATE%' AND name NOT LIKE 'newcol%' ORDER BY rowid";
const AUDIT: &str = "SELECT says, count(*) FROM audit GROUP BY 1 ORDER BY 1";

#[test]
fn triggers_rest_and_are_as_they_were() {
    let Some((_db, mut session, plan)) = users(SHOUT) else { return };
    session.batch(TRIGGERS).unwrap();
    let before = rows(&mut session, STORED);
    let skip = judged(&mut session, &plan, Triggers::Skip);
    insta::assert_snapshot!(told(&skip), @r#"
    before: DROP TRIGGER "on all"
    before: DROP TRIGGER "of shout"
    before: DROP TRIGGER "younger"
    after: CREATE TRIGGER "on all" AFTER UPDATE ON users
          BEGIN INSERT INTO audit VALUES ('it''s all'); END
    after: CREATE TRIGGER 'of shout' BEFORE UPDATE OF [id], "SHOUT" ON users -- for now
          WHEN NEW.id > 1 BEGIN UPDATE users SET touched = 'shout' WHERE id = OLD.id; END
    after: CREATE TRIGGER younger AFTER UPDATE OF name ON users
          BEGIN INSERT INTO audit VALUES ('younger'); END
    notice: the triggers `on all` and `of shout` do not fire for what is filled: each batch drops what it would fire and makes it again, in one transaction
    "#);
    fill(&mut session, &plan, &skip.unwrap());
    assert_eq!(rows(&mut session, TOUCHED), "1 ann ANN a\n2 bob BOB b\n");
    assert_eq!(rows(&mut session, AUDIT), "");
    assert_eq!(rows(&mut session, STORED), before);
}

#[test]
fn triggers_fire_where_they_may() {
    let Some((_db, mut session, plan)) = users(SHOUT) else { return };
    session.batch(TRIGGERS).unwrap();
    let fire = judged(&mut session, &plan, Triggers::Fire);
    insta::assert_snapshot!(told(&fire), @"
    notice: the trigger `on all` of `users` fires for what is filled: it runs for each row
    notice: the trigger `of shout` of `users` fires for what is filled: it runs for each row
    ");
    fill(&mut session, &plan, &fire.unwrap());
    assert_eq!(rows(&mut session, TOUCHED), "1 ann ANN a\n2 bob BOB shout\n");
    assert_eq!(rows(&mut session, AUDIT), "it's all 3\nof_name 1\n");
}

/// A batch that is rolled back leaves every trigger where it was.
#[test]
fn a_batch_that_fails_leaves_triggers_alone() {
    let Some((db, mut session, plan)) = users(SHOUT) else { return };
    session.batch("CREATE TRIGGER touch AFTER UPDATE ON users BEGIN SELECT 1; END").unwrap();
    let before = rows(&mut session, STORED);
    let care = care(&mut session, &plan, Triggers::Skip);
    session.batch("BEGIN").unwrap();
    for statement in &care.before {
        session.batch(statement.as_str()).unwrap();
    }
    drop(session);
    assert_eq!(rows(&mut open(&db), STORED), before);
}

#[test]
fn references_are_checked() {
    let reference = "[references]\ntable = 'words'\ncolumn = 'word'\n";
    let Some(db) = ScratchDb::require(Want::sqlite()) else { return };
    let mut session = open(&db);
    session.batch(USERS).unwrap();
    session
        .batch(
            "CREATE TABLE words (word TEXT PRIMARY KEY); INSERT INTO words VALUES ('ANN'), ('BOB')",
        )
        .unwrap();
    let plan = expand(&mut session, &format!("{SHOUT}{reference}"));
    // How it is by itself depends on how SQLite was built.
    session.batch("PRAGMA foreign_keys = OFF").unwrap();
    let skip = judged(&mut session, &plan, Triggers::Skip);
    insta::assert_snapshot!(told(&skip), @"
    session: PRAGMA foreign_keys = ON
    notice: what is filled is checked against `words`, though SQLite does so only when told to
    ");
    fill(&mut session, &plan, &skip.unwrap());
    session.batch("UPDATE users SET shout = 'eve'").unwrap_err();
    // Where they are checked anyway, there is nothing to say.
    assert_eq!(care(&mut session, &plan, Triggers::Skip), Care::default());
}

#[test]
fn files_that_are_only_read_are_refused() {
    let Some((db, _session, plan)) = users(SHOUT) else { return };
    let path = db.url();
    let mut session = open_url(&format!("file:{path}?mode=ro"), &OpenOptions::write());
    let refused = judged(&mut session, &plan, Triggers::Skip);
    insta::assert_snapshot!(told(&refused), @"
    `users.shout` cannot be filled: the file is read-only
    choice: let the file and its directory be written, by a URL without `mode=ro` and `immutable`
    ");
    session.batch("UPDATE users SET shout = 'x'").unwrap_err();
    // A session of ours that only reads is no reason.
    care(&mut open_url(path, &OpenOptions::read()), &plan, Triggers::Skip);
}

/// Ours keep two columns equal, and know what a fill is; unless its value is another each time.
#[test]
fn our_own_triggers_change_nothing() {
    let replaces = "[replaces]\ncolumn = 'name'\nback = 'lower(shout)'\n";
    let Some((_db, mut session, plan)) = users(&format!("{SHOUT}{replaces}")) else { return };
    let steady = care(&mut session, &plan, Triggers::Skip);
    assert!(steady.before.is_empty());
    fill(&mut session, &plan, &steady);
    assert_eq!(rows(&mut session, TOUCHED), "1 ann ANN a\n2 bob BOB b\n");
    let volatile = "type = 'text'\n[old_rows]\nfill = 'hex(randomblob(8))'\n";
    let (_db, mut session, plan) = users(&format!("{volatile}{replaces}")).unwrap();
    let care = care(&mut session, &plan, Triggers::Skip);
    assert_eq!(care.before.len(), 1);
    fill(&mut session, &plan, &care);
    let names = rows(&mut session, "SELECT name, touched, shout <> name FROM users ORDER BY id");
    assert_eq!(names, "ann a 1\nbob b 1\n");
}
