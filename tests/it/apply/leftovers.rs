//! The migration that fills what a backfill has left: nobody waits while it reads the table.

use newcol_core::{contract::read, execute::apply::SqlMigration};
use newcol_testkit::{
    ScratchDb, Want,
    life::{Action, Life},
};

use super::{Answer, Event, apply, apply_and, hasty, migration, session, value};

const CONTRACT: &str = "format = 1\ntable = 'users'\ncolumn = 'locale'\nwhy = 'a test'\n\
    type = 'varchar(60)'\nrequired = true\n[old_rows]\nfill = 'lower(name)'\n";

/// A table with Diesel's own trigger, its column, and two rows that are empty.
fn users(version: u32) -> Option<(ScratchDb, SqlMigration)> {
    let db = ScratchDb::require(Want::postgres().version(version))?;
    db.run(&[
        "CREATE TABLE users (id integer PRIMARY KEY, name text NOT NULL, touched integer NOT NULL DEFAULT 0)",
        "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS \
         'BEGIN NEW.touched := OLD.touched + 1; RETURN NEW; END'",
        "CREATE TRIGGER set_updated_at BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION touch()",
        "INSERT INTO users SELECT i, 'Name' FROM generate_series(1, 20000) AS i",
    ])
    .unwrap();
    let life = Life::plan(&read::read(CONTRACT).unwrap().contract, db.url()).unwrap();
    let script = life.actions().find_map(|(_, action)| match action {
        Action::Migration(script) if script.name.ends_with("leftovers") => Some(script.clone()),
        Action::Migration(_) | Action::Backfill(_) | Action::Statements { .. } => None,
    });
    let leftovers = migration(1, &script.unwrap().up, true);
    db.run(&[
        "ALTER TABLE users ADD COLUMN locale varchar(60)",
        "ALTER TABLE users DISABLE TRIGGER set_updated_at",
        "UPDATE users SET locale = 'name' WHERE id NOT IN (50, 60)",
        "ALTER TABLE users ENABLE TRIGGER set_updated_at",
    ])
    .unwrap();
    Some((db, leftovers))
}

fn assert_filled(db: &ScratchDb) {
    assert_eq!(value(db, "SELECT count(*) FROM users WHERE locale = 'name'"), "20000");
    assert_eq!(value(db, "SELECT sum(touched) FROM users"), "0");
}

/// Writers wait from the moment the trigger is switched off: the table is read before that.
#[test]
fn the_table_is_not_read_under_the_lock() {
    for version in [13, 15, 18] {
        let Some((db, leftovers)) = users(version) else { continue };
        db.run(&[
            "CREATE TABLE seen (scans bigint)",
            "CREATE FUNCTION look() RETURNS event_trigger LANGUAGE plpgsql AS \
             'BEGIN INSERT INTO seen VALUES (pg_stat_get_xact_numscans(''users''::regclass)); END'",
            "CREATE EVENT TRIGGER look ON ddl_command_end WHEN TAG IN ('ALTER TABLE') \
             EXECUTE FUNCTION look()",
        ])
        .unwrap();
        let done = apply(db.url(), hasty(), &[leftovers]).done();
        let locks = &done[0].statements[0].locks;
        let all = locks.iter().find(|lock| lock.table == "users").unwrap().scans;
        let before = value(&db, "SELECT min(scans) FROM seen");
        assert!(all > 0, "{locks:?}");
        assert_eq!(before, all.to_string(), "scans on PostgreSQL {version}");
        assert_filled(&db);
    }
}

/// Nobody waits behind a fill that waits for a row: it begins again.
#[test]
fn a_row_that_somebody_holds_is_not_waited_for() {
    let Some((db, leftovers)) = users(18) else { return };
    let mut holder = session(db.url(), "holder");
    holder.batch("BEGIN; SELECT * FROM users WHERE id = 60 FOR UPDATE").unwrap();
    let holder = std::sync::Mutex::new(holder);
    let told = apply_and(db.url(), hasty(), &[leftovers], |event| {
        if let Event::Retry { tries: 2, .. } = event {
            holder.lock().unwrap().batch("COMMIT").unwrap();
        }
        Answer::Go
    });
    let why = told.events.iter().find_map(|event| match event {
        Event::Retry { why, .. } => Some(why.as_str()),
        _ => None,
    });
    assert!(why.unwrap_or_default().contains("rows were changed"), "{why:?}");
    assert_eq!(told.done()[0].tries, 3);
    assert_filled(&db);
}
