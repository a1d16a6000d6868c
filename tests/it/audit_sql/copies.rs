//! Rows that are copied to other servers, and rows from files.

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt as _, time::Duration};

use newcol_core::{
    audit::sql::{Origin, examine},
    backend::Backend,
    db::{DatabaseUrl, OpenOptions, Session},
};
use newcol_testkit::{ScratchDb, Want, wait::wait_until};

use super::world::{Kind, Server, subject};

const LONG: Duration = Duration::from_secs(30);

const TABLE: &str = "CREATE TABLE users (id int PRIMARY KEY, name text)";
const COLUMN: &str = "ALTER TABLE users ADD COLUMN title text";

/// A publisher, and a database of the same server that subscribes to its `users`.
struct Replicated {
    publisher: ScratchDb,
    subscriber: String,
}

impl Replicated {
    /// Starts both; the publication is given what it publishes of `users`.
    fn new(published: &str) -> Option<Self> {
        let publisher = ScratchDb::require(Want::postgres().version(18).private())?;
        let settings = [
            "ALTER SYSTEM SET wal_level = logical",
            "ALTER SYSTEM SET wal_retrieve_retry_interval = 50",
        ];
        publisher.run(&settings).unwrap();
        // Only a start reads it.
        publisher.crash_server().unwrap();
        wait_until("server", LONG, || publisher.rows("SELECT 1").is_ok()).unwrap();
        let (server, database) = publisher.url().rsplit_once('/').unwrap();
        let (socket, user) = ("SHOW unix_socket_directories", "SELECT current_user");
        let value = |sql| publisher.rows(sql).unwrap().concat().remove(0).unwrap();
        let from = format!("host={} user={} dbname={database}", value(socket), value(user));
        let publish = format!("CREATE PUBLICATION shop FOR TABLE {published}");
        let slot = "SELECT pg_create_logical_replication_slot('shop', 'pgoutput')";
        publisher.run(&[TABLE, &publish, slot, "CREATE DATABASE subscriber"]).unwrap();
        let both = Self { subscriber: format!("{server}/subscriber"), publisher };
        both.at_subscriber(TABLE);
        // A server that subscribes to itself cannot wait for the slot that it makes.
        both.at_subscriber(&format!(
            "CREATE SUBSCRIPTION shop CONNECTION '{from}' PUBLICATION shop WITH (create_slot = false)"
        ));
        Some(both)
    }

    fn at_subscriber(&self, sql: &str) {
        self.session().batch(sql).unwrap();
    }

    fn session(&self) -> Session {
        let url = DatabaseUrl::parse(&self.subscriber).unwrap();
        Session::open(&url, &OpenOptions::write()).unwrap()
    }

    fn ask(&self, sql: &str) -> Option<String> {
        self.session().value(sql).unwrap()
    }

    fn arrives(&self, id: u32) {
        let sql = format!("SELECT count(*) FROM users WHERE id = {id}");
        wait_until("row", LONG, || self.ask(&sql).as_deref() == Some("1")).unwrap();
    }

    /// Returns how often the subscriber has failed.
    fn failures(&self) -> u32 {
        let sql = "SELECT apply_error_count FROM pg_stat_subscription_stats";
        self.ask(sql).unwrap().parse().unwrap()
    }
}

impl Drop for Replicated {
    /// The database goes only without its slot.
    fn drop(&mut self) {
        self.at_subscriber("ALTER SUBSCRIPTION shop DISABLE");
        self.at_subscriber("ALTER SUBSCRIPTION shop SET (slot_name = NONE)");
        self.at_subscriber("DROP SUBSCRIPTION shop");
    }
}

/// NC116: a subscriber without the column stops, and goes on once it has it.
#[test]
fn a_subscriber_needs_the_column_first() {
    let Some(both) = Replicated::new("users") else { return };
    let insert = |sql: &str| both.publisher.run(&[sql]).unwrap();
    insert("INSERT INTO users VALUES (1, 'ada')");
    both.arrives(1);
    assert_eq!(both.failures(), 0);
    insert(COLUMN);
    insert("INSERT INTO users VALUES (2, 'bob', 'new')");
    wait_until("failure", LONG, || both.failures() > 0).unwrap();
    assert_eq!(both.ask("SELECT count(*) FROM users").as_deref(), Some("1"));
    both.at_subscriber(COLUMN);
    both.arrives(2);
    assert_eq!(both.ask("SELECT title FROM users WHERE id = 2").as_deref(), Some("new"));
    // The other way round nothing stops.
    let (failures, other) = (both.failures(), "ALTER TABLE users ADD COLUMN other text");
    both.at_subscriber(other);
    insert("INSERT INTO users VALUES (3, 'eve', 'new')");
    both.arrives(3);
    insert(other);
    insert("INSERT INTO users VALUES (4, 'kim', 'new', 'x')");
    both.arrives(4);
    assert_eq!(both.failures(), failures);
}

/// NC116: a publication that lists its columns leaves the new one out.
#[test]
fn a_publication_with_a_list_publishes_no_more() {
    let Some(both) = Replicated::new("users (id, name)") else { return };
    both.at_subscriber(COLUMN);
    both.publisher.run(&[COLUMN, "INSERT INTO users VALUES (1, 'ada', 'new')"]).unwrap();
    both.arrives(1);
    assert_eq!(both.ask("SELECT title FROM users"), None);
    assert_eq!(both.failures(), 0);
}

/// NC107 on MySQL and MariaDB: lines that were written before the column.
#[test]
fn lines_without_a_field_are_refused() {
    let Some(mut server) = Server::new(Want::mysql()) else { return };
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let file = dir.path().join("users.txt");
    fs::write(&file, "7,ann,a\n").unwrap();
    let from = format!("LOAD DATA INFILE '{}' INTO TABLE users", file.display());
    let whole = format!("{from} FIELDS TERMINATED BY ','");
    let listed = format!("{whole} (id, name, email)");
    let world = server.world(Kind::Optional);
    let run = |sql: &str| {
        let mut session = world.session();
        let said = session.batch(sql).map_err(|error| format!("{error:?}"));
        session.batch("DELETE FROM users WHERE id = 7").unwrap();
        said
    };
    assert_eq!((run(&whole), run(&listed)), (Ok(()), Ok(())));
    world.expand().unwrap();
    let said = run(&whole).unwrap_err();
    assert!(said.contains("doesn't contain data for all columns"), "{said}");
    assert_eq!(run(&listed), Ok(()));
    let rules = |sql: &str| -> Vec<&str> {
        let subject = subject(Kind::Optional, Backend::Mysql);
        let found = examine(sql, &BTreeSet::from([Backend::Mysql]), &subject, Origin::Script);
        found.iter().map(|finding| finding.rule.id).collect()
    };
    assert_eq!((rules(&whole), rules(&listed)), (vec!["NC107"], vec![]));
}
