use newcol_core::{
    db::{DatabaseUrl, OpenOptions, facts::read_table},
    execute::apply::{Answer, Apply, ApplyError, Event, Outcome, SqlMigration},
    plan::Plan,
    render::migrations::render,
};
use newcol_testkit::{ScratchDb, Want};

use super::{apply, apply_and, hasty, migration, recorded, session, value};

pub(super) const CREATE: &str =
    "CREATE UNIQUE INDEX CONCURRENTLY users_name ON users (lower(name));";
const NAMES: &str = "CREATE UNIQUE INDEX CONCURRENTLY users_name ON users (name);";

pub(super) fn users(names: &[&str]) -> Option<ScratchDb> {
    with_users(Want::postgres(), names)
}

pub(super) fn users_on(version: u32, names: &[&str]) -> Option<ScratchDb> {
    with_users(Want::postgres().version(version), names)
}

fn with_users(want: Want, names: &[&str]) -> Option<ScratchDb> {
    let db = ScratchDb::require(want)?;
    db.run(&["CREATE TABLE users (id serial PRIMARY KEY, name text, age integer)"]).unwrap();
    for name in names {
        db.run(&[&format!("INSERT INTO users (name) VALUES ('{name}')")]).unwrap();
    }
    Some(db)
}

/// Returns every index but the key, with whether it is valid.
pub(super) fn indexes(db: &ScratchDb) -> String {
    let sql = "SELECT c.relname || ' ' || i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
               WHERE i.indrelid = 'users'::regclass AND NOT i.indisprimary ORDER BY 1";
    let rows: Vec<String> = db.rows(sql).unwrap().into_iter().flatten().flatten().collect();
    rows.join(", ")
}

#[test]
fn a_leftover_is_dropped_and_built_again() {
    let Some(db) = users(&["Ann", "ann"]) else { return };
    assert!(db.run(&[CREATE]).is_err());
    assert_eq!(indexes(&db), "users_name false");
    db.run(&["DELETE FROM users WHERE name = 'ann'"]).unwrap();

    let done = apply(db.url(), hasty(), &[migration(1, CREATE, false)]).done();
    assert_eq!(indexes(&db), "users_name true");
    assert!(done[0].notes[0].contains("left invalid"), "{:?}", done[0].notes);
    assert_eq!(recorded(&db), ["1"]);
}

#[test]
fn a_build_that_fails_leaves_nothing() {
    let Some(db) = users(&["Ann", "ann"]) else { return };
    let told = apply(db.url(), hasty(), &[migration(1, CREATE, false)]);
    let Err(ApplyError::Failed { source, .. }) = told.ended else { panic!("{:?}", told.ended) };
    assert_eq!(source.sqlstate(), Some("23505"));
    assert_eq!(indexes(&db), "");
    assert!(recorded(&db).is_empty());
}

/// What Diesel could not write down is not built again, and no valid index is ever dropped.
#[test]
fn a_valid_index_is_used() {
    let Some(db) = users(&["Ann"]) else { return };
    db.run(&[CREATE]).unwrap();
    let oid = "SELECT 'users_name'::regclass::oid";
    let before = value(&db, oid);
    let done = apply(db.url(), hasty(), &[migration(1, CREATE, false)]).done();
    assert_eq!(value(&db, oid), before);
    assert!(done[0].notes[0].contains("was there already"), "{:?}", done[0].notes);

    let twin = "CREATE UNIQUE INDEX CONCURRENTLY other_name ON users USING btree (LOWER( name ));";
    let done = apply(db.url(), hasty(), &[migration(2, twin, false)]).done();
    assert!(done[0].notes[0].contains("`users_name` is the same"), "{:?}", done[0].notes);
    assert_eq!(indexes(&db), "users_name true");
    assert_eq!(recorded(&db), ["1", "2"]);

    let another = "CREATE INDEX CONCURRENTLY users_name ON users (age) WHERE age > 3";
    let told = apply(db.url(), hasty(), &[migration(3, another, false)]);
    assert!(matches!(told.ended, Err(ApplyError::OtherIndex { .. })), "{:?}", told.ended);
    assert_eq!(indexes(&db), "users_name true");
}

/// What is said of an index that is not complete and that nothing could drop.
pub(super) fn left(and: &str) -> String {
    let name = r#""public"."users_name""#;
    format!(
        "index {name} is left, because others use the table; it is not valid: no query uses it, {and}. \
         The next run drops it, or drop it yourself: DROP INDEX CONCURRENTLY {name}"
    )
}

/// Whoever stops a build does not wait for others: what is left of it, the next run removes.
#[test]
fn a_build_can_be_stopped() {
    let Some(db) = users(&["Ann"]) else { return };
    let mut old = session(db.url(), "report");
    old.batch("BEGIN ISOLATION LEVEL REPEATABLE READ").unwrap();
    drop(old.query("SELECT * FROM users").unwrap());
    let told = apply_and(db.url(), hasty(), &[migration(1, CREATE, false)], |event| match event {
        Event::Building { waits_for: Some(who), .. } => {
            assert_eq!(who.application, "report");
            Answer::Stop
        }
        _ => Answer::Go,
    });
    assert!(matches!(told.ended, Ok(Outcome::Stopped(_))), "{:?}", told.ended);
    assert_eq!(indexes(&db), "users_name false");
    assert_eq!(told.left(), Some(left("but every write pays for it, and it refuses duplicates")));
    old.batch("COMMIT").unwrap();
    assert!(recorded(&db).is_empty());

    apply(db.url(), hasty(), &[migration(1, CREATE, false)]).done();
    assert_eq!(indexes(&db), "users_name true");
}

/// Migrations of one's own that make a constraint of an index: what a broken build has left is no
/// part of it, and nobody queues behind it.
#[test]
fn an_index_becomes_a_constraint() {
    let using = "ALTER TABLE users ADD CONSTRAINT users_key UNIQUE USING INDEX users_name";
    let migrations = [migration(1, NAMES, false), migration(2, using, true)];
    for version in [13, 15, 18] {
        let Some(db) = users_on(version, &["Ann", "Ann"]) else { continue };
        assert!(db.run(&[NAMES]).is_err());
        assert_eq!(indexes(&db), "users_name false");
        db.run(&["DELETE FROM users WHERE id = 2"]).unwrap();
        let program = std::sync::Mutex::new(session(db.url(), "program"));
        let told = apply_and(db.url(), hasty(), &migrations, |event| {
            let sql = match event {
                Event::Began { migration } if migration == "2_test" => {
                    "BEGIN; LOCK TABLE users IN ACCESS SHARE MODE"
                }
                Event::Retry { tries: 2, .. } => "COMMIT",
                _ => return Answer::Go,
            };
            program.lock().unwrap().batch(sql).unwrap();
            Answer::Go
        });
        let done = told.done();
        assert!(done[0].notes[0].contains("left invalid"), "{:?}", done[0].notes);
        assert!(done[1].tries > 2, "{done:?}");
        let locks = &done[1].statements[0].locks;
        assert_eq!((locks[0].mode, locks[0].scans), ("ACCESS EXCLUSIVE", 0), "{locks:?}");
        assert_eq!(indexes(&db), "users_key true");
        assert_eq!(recorded(&db), ["1", "2"]);
    }
}

/// The same as a plan has it: wherever a run or its undoing ends, the next one goes on.
#[test]
fn a_planned_constraint_comes_and_goes() {
    let text = "format = 1\ntable = 'users'\ncolumn = 'mail'\nwhy = 'a test'\ntype = 'text'\nrequired = false\n[index]\nunique = 'constraint'\n";
    let contract = newcol_core::contract::read::read(text).unwrap().contract;
    for version in [13, 15, 18] {
        let Some(db) = users_on(version, &["Ann"]) else { continue };
        let facts = read_table(&mut session(db.url(), "planner"), contract.table()).unwrap();
        let plan = Plan::build(&contract, &facts).unwrap();
        let folders = plan.stages.iter().flat_map(|stage| render(&plan, stage));
        let migrations: Vec<SqlMigration> = folders
            .zip(1..)
            .map(|(folder, version)| SqlMigration {
                down: Some(folder.down),
                ..migration(version, &folder.up, folder.metadata.contains("true"))
            })
            .collect();
        let (expand, build, constrain) = (&migrations[0], &migrations[1], &migrations[2]);
        let is_constraint = || {
            let sql = "SELECT count(*) FROM pg_constraint WHERE conname = 'users_mail_key'";
            value(&db, sql) == "1"
        };
        let url = DatabaseUrl::parse(db.url()).unwrap();
        let back = |one: &SqlMigration| {
            let apply = Apply::new(&url, OpenOptions::write()).settings(hasty());
            apply.revert(std::slice::from_ref(one), &|_| Answer::Go).unwrap();
        };
        let forth = |one: &SqlMigration| {
            apply(db.url(), hasty(), std::slice::from_ref(one)).done();
        };
        forth(expand);
        forth(build);
        assert_eq!((indexes(&db).as_str(), is_constraint()), ("users_mail_key true", false));
        back(build);
        assert_eq!(indexes(&db), "");
        for _ in 0..2 {
            forth(build);
            forth(constrain);
            assert_eq!((indexes(&db).as_str(), is_constraint()), ("users_mail_key true", true));
            back(constrain);
            forth(constrain);
            back(constrain);
            back(build);
            assert_eq!((indexes(&db).as_str(), is_constraint()), ("", false));
        }
    }
}
