//! The file of the snapshots: damaged, foreign, newer, in use.

use std::fs;

use newcol_core::{
    backend::Backend,
    db::{DatabaseUrl, OpenOptions, Session},
    watch::{
        collect::{Purpose, WatchError},
        store::{Store, StoreError},
    },
};

use super::World;
use crate::relay::{End, Relay};

/// Says why the file could not be used, without the directory.
fn said(world: &World, error: &StoreError) -> String {
    let dir = world.file().parent().unwrap().to_string();
    format!("{error}\n{}", error.hint().unwrap_or_default()).replace(&dir, "[dir]")
}

fn refused(world: &World) -> String {
    let of_write = Store::write(&world.file(), &world.column).unwrap_err();
    let of_read = Store::read(&world.file(), &world.column).unwrap_err();
    assert_eq!(said(world, &of_write), said(world, &of_read));
    said(world, &of_write)
}

fn world() -> World {
    let mut world = World::new(15);
    world.take(Purpose::Baseline);
    world
}

#[test]
fn it_is_nothing_to_commit() {
    let world = world();
    let ignore = world.file().with_file_name(".gitignore");
    assert_eq!(fs::read_to_string(ignore).unwrap(), "*\n");
}

#[test]
fn a_file_that_is_damaged() {
    let world = world();
    let whole = fs::read(world.file()).unwrap();
    fs::write(world.file(), "no database, but long enough to have a header of its own".repeat(99))
        .unwrap();
    insta::assert_snapshot!(refused(&world), @"
    [dir]/users.locale.db is damaged: file is not a database
    put a backup in its place, or move it away and begin anew: what was seen before the column came is lost then (`mv [dir]/users.locale.db [dir]/users.locale.db.damaged`)
    ");
    // Cut off, as by a disk that was full.
    fs::write(world.file(), &whole[..whole.len() / 2]).unwrap();
    let error = Store::read(&world.file(), &world.column).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
    // A page in its middle is noise.
    let mut noise = whole.clone();
    noise[4096..8192].fill(0xa5);
    fs::write(world.file(), &noise).unwrap();
    let error = Store::read(&world.file(), &world.column).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
    fs::write(world.file(), &whole).unwrap();
    assert!(Store::read(&world.file(), &world.column).unwrap().is_some());
}

#[test]
fn a_file_of_something_else() {
    let world = world();
    let open = || {
        let url = DatabaseUrl::parse(world.file().as_str()).unwrap();
        Session::open(&url, &OpenOptions::create()).unwrap()
    };
    open().batch("UPDATE subject SET \"column\" = 'users.age'").unwrap();
    insta::assert_snapshot!(refused(&world), @"
    [dir]/users.locale.db is of `users.age`
    move it away; the next snapshot begins a new one
    ");
    open().batch("PRAGMA user_version = 2").unwrap();
    insta::assert_snapshot!(refused(&world), @"
    [dir]/users.locale.db was written by a later version of cargo-newcol (format 2)
    use that version
    ");
    fs::remove_file(world.file()).unwrap();
    open().batch("CREATE TABLE mine (id integer)").unwrap();
    insta::assert_snapshot!(refused(&world), @"
    [dir]/users.locale.db is not a file of `cargo newcol watch`
    move it away; the next snapshot begins a new one
    ");
}

#[test]
fn two_watchers_at_once() {
    let mut world = world();
    let before = world.store().snapshots().unwrap().len();
    let url = DatabaseUrl::parse(world.file().as_str()).unwrap();
    let mut other = Session::open(&url, &OpenOptions::write()).unwrap();
    other.batch("BEGIN IMMEDIATE").unwrap();
    let error = world.try_take(&world.url(), Purpose::Snap).unwrap_err();
    let WatchError::Store(error) = error else { panic!("{error:?}") };
    insta::assert_snapshot!(said(&world, &error), @"
    another watcher is writing to [dir]/users.locale.db
    wait until it is done, then run the command again
    ");
    other.batch("ROLLBACK").unwrap();
    assert_eq!(world.take(Purpose::Snap).stored.id, 2);
    assert_eq!(world.store().snapshots().unwrap().len(), before + 1);
}

/// Several that wait for each other all get their turn, and each sees what those before it wrote.
#[test]
fn watchers_take_turns() {
    let mut world = world();
    world.run(&["SELECT name FROM users WHERE id = 1"]);
    let (url, file, column) = (world.url(), world.file(), world.column.clone());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut store = Store::write(&file, &column).unwrap();
                let options = OpenOptions::read();
                let local = 0.0;
                newcol_core::watch::collect::take(
                    (&url, &options),
                    &mut store,
                    &column,
                    (Purpose::Snap, local),
                    world.settings,
                )
                .unwrap();
            });
        }
    });
    let ids: Vec<i64> = world.store().snapshots().unwrap().iter().map(|s| s.id).collect();
    assert_eq!(ids, [1, 2, 3, 4, 5]);
}

/// Whichever statement the connection ends at.
#[test]
fn a_snapshot_that_is_broken_off_leaves_the_file_as_it_was() {
    let mut world = world();
    let before = fs::read(world.file()).unwrap();
    let through = |relay: &Relay| DatabaseUrl::parse(&relay.url).unwrap();
    let counting = Relay::new(Backend::Postgres, world.db.url(), End::Before, 0);
    world.try_take(&through(&counting), Purpose::Snap).unwrap();
    let statements = counting.statements();
    assert!(statements > 10, "{statements}");
    fs::write(world.file(), &before).unwrap();
    for at in 1..=statements {
        let relay = Relay::new(Backend::Postgres, world.db.url(), End::Before, at);
        let broken = world.try_take(&through(&relay), Purpose::Snap);
        assert!(matches!(broken, Err(WatchError::Db(_))), "{at}: {broken:?}");
        assert_eq!(fs::read(world.file()).unwrap(), before, "{at}");
    }
    assert_eq!(world.take(Purpose::Snap).gaps, []);
}
