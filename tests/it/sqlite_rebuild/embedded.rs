//! The same through the real `embed_migrations!`: the files are committed, so that the macro finds
//! them when the tests are compiled, and they are what the tool writes today.

use std::{collections::BTreeMap, fs};

use camino::Utf8Path;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};

use super::*;

const EMBEDDED: EmbeddedMigrations = embed_migrations!("it/sqlite_rebuild/migrations");

#[test]
fn embedded_are_the_files_the_tool_writes() {
    let Some(bench) = Bench::new(Runner::Program, ROWS) else { return };
    bench.release(StageKind::Constrain);
    bench.release(StageKind::Contract);
    let files = bench.project.files().unwrap().into_iter().filter_map(|(path, text)| {
        let path = path.strip_prefix("migrations").ok()?.to_owned();
        Some((path, text))
    });
    let written: BTreeMap<_, _> = files.collect();
    let dir = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("it/sqlite_rebuild/migrations");
    if std::env::var_os("NEWCOL_BLESS").is_some() && std::env::var_os("CI").is_none() {
        fs::remove_dir_all(&dir).unwrap();
        for (path, text) in &written {
            let path = dir.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }
    let mut committed = BTreeMap::new();
    for folder in dir.read_dir_utf8().unwrap() {
        for file in folder.unwrap().path().read_dir_utf8().unwrap() {
            let path = file.unwrap().into_path();
            let text = fs::read_to_string(&path).unwrap();
            committed.insert(path.strip_prefix(&dir).unwrap().to_owned(), text);
        }
    }
    assert!(
        committed == written,
        "{dir} is stale: NEWCOL_BLESS=1 cargo test -p newcol-tests embedded, and read the diff"
    );
}

#[test]
fn embedded_lose_no_child_row() {
    let Some(db) = ScratchDb::require(Want::sqlite()) else { return };
    let mut connection = SqliteConnection::establish(db.url()).unwrap();
    connection.batch_execute("PRAGMA foreign_keys = ON").unwrap();
    connection.run_next_migration(EMBEDDED).unwrap();
    connection.batch_execute(ROWS).unwrap();
    let rows = |table: &str| data_dump(db.url(), &table.parse().unwrap()).unwrap();
    let children = [rows("posts"), rows("likes")];

    connection.run_pending_migrations(EMBEDDED).unwrap();
    assert_eq!([rows("posts"), rows("likes")], children);
    assert_eq!(
        rows("users"),
        "boss_id=1 id=2 name='bob' shout='BOB'\n\
         boss_id=2 id=3 name='eve' shout='EVE'\n\
         boss_id=NULL id=1 name='ann' shout='ANN'\n"
    );
    let orphans = open(&db).query("SELECT * FROM pragma_foreign_key_check").unwrap();
    assert!(orphans.is_empty(), "{orphans:?}");
    let orphan = connection.batch_execute("INSERT INTO posts VALUES (9, 99)");
    assert_eq!(orphan.unwrap_err().to_string(), "FOREIGN KEY constraint failed");

    // And back again.
    connection.revert_last_migration(EMBEDDED).unwrap();
    connection.revert_last_migration(EMBEDDED).unwrap();
    assert_eq!([rows("posts"), rows("likes")], children);
    // The cascade is still there.
    connection.batch_execute("DELETE FROM users WHERE id = 1").unwrap();
    assert_eq!([rows("posts"), rows("likes")], [String::new(), String::new()]);
}
