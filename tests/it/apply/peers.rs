//! Who stands in the way is known before anybody is ended, and what is told of others was seen.

use std::{sync::Mutex, thread, time::Duration};

use newcol_core::{
    backend::Product,
    db::{DatabaseUrl, OpenOptions, Session},
    execute::{
        apply::{ApplyError, BlockerPolicy, Budget, Settings},
        old_writers::{Counted, Search, Sign, observe},
        peers::PeerKind,
    },
};
use newcol_testkit::{ScratchDb, Want, wait::wait_until};

use super::{
    Answer, Event, apply, apply_and, hasty, migration,
    privileges::{User, run},
    session, value,
};

const ADD: &str = "ALTER TABLE users ADD COLUMN locale varchar(16)";

fn cancel() -> Settings {
    Settings { blockers: BlockerPolicy::Cancel, ..hasty() }
}

/// Makes a table with an owner, and another user that may read and write it.
fn users(version: u32) -> Option<(ScratchDb, User, User)> {
    let db = ScratchDb::require(Want::postgres().version(version))?;
    let (owner, other) = (User::new(&db, "m"), User::new(&db, "o"));
    run(
        &db,
        &format!(
            "CREATE TABLE users (id integer PRIMARY KEY); CREATE TABLE posts (id integer); \
             CREATE ROLE {0} LOGIN; CREATE ROLE {1} LOGIN; \
             GRANT CREATE ON SCHEMA public TO {0}; ALTER TABLE users OWNER TO {0}; \
             GRANT SELECT, INSERT ON users, posts TO {1}; GRANT pg_signal_backend TO {0}",
            owner.name, other.name
        ),
    );
    Some((db, owner, other))
}

fn drop_users(db: &ScratchDb, users: [&User; 2]) {
    let [one, other] = users.map(|user| user.name.as_str());
    run(db, &format!("DROP OWNED BY {one}, {other}; DROP ROLE {one}, {other}"));
}

fn ended(events: &[Event]) -> Vec<&str> {
    let by = events.iter().filter_map(|event| match event {
        Event::Cancelled { by } => Some(by.iter().map(|peer| peer.application.as_str())),
        _ => None,
    });
    by.flatten().collect()
}

fn notes(events: &[Event]) -> Vec<&str> {
    let notes = events.iter().filter_map(|event| match event {
        Event::Note(text) => Some(text.as_str()),
        _ => None,
    });
    notes.collect()
}

#[test]
fn nobody_is_ended_who_is_hidden() {
    for version in [13, 18] {
        let Some((db, owner, other)) = users(version) else { continue };
        let mut holder = session(&other.url, "holder");
        holder.batch("BEGIN; SELECT * FROM users").unwrap();
        let told =
            apply_and(&owner.url, cancel(), &[migration(1, ADD, true)], |event| match event {
                Event::Retry { tries: 3.., .. } => Answer::Stop,
                _ => Answer::Go,
            });
        assert_eq!(ended(&told.events), [""; 0]);
        let notes = notes(&told.events);
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert!(notes[0].contains("GRANT pg_read_all_stats"), "{notes:?}");
        let by = told.events.iter().find_map(|event| match event {
            Event::Retry { by, .. } => by.first(),
            _ => None,
        });
        assert_eq!(by.unwrap().kind, PeerKind::Hidden);

        run(&db, &format!("GRANT pg_read_all_stats TO {}", owner.name));
        let told = apply(&owner.url, cancel(), &[migration(1, ADD, true)]);
        told.done();
        assert_eq!(ended(&told.events), ["holder"]);
        assert!(holder.query("SELECT 1").is_err());
        drop(holder);
        drop_users(&db, [&owner, &other]);
    }
}

/// Between the look and the end, a session may have gone on to something else.
#[test]
fn another_transaction_of_a_session_is_not_ended() {
    let Some((db, owner, other)) = users(18) else { return };
    run(&db, &format!("GRANT pg_read_all_stats TO {}", owner.name));
    let holder = Mutex::new(session(&other.url, "holder"));
    holder.lock().unwrap().batch("BEGIN; SELECT * FROM users").unwrap();
    // Long enough to be seen.
    let budget = Budget { lock_timeout: Duration::from_millis(500), ..hasty().budget };
    let settings = Settings { budget, ..cancel() };
    let told = apply_and(&owner.url, settings, &[migration(1, ADD, true)], |event| {
        if let Event::Retry { by, .. } = event {
            assert_eq!(by[0].application, "holder");
            let mut holder = holder.lock().unwrap();
            holder.batch("COMMIT; BEGIN; SELECT * FROM posts").unwrap();
        }
        Answer::Go
    });
    assert_eq!(told.done()[0].tries, 2);
    assert_eq!(ended(&told.events), [""; 0]);
    holder.lock().unwrap().batch("COMMIT").unwrap();
    drop(holder);
    drop_users(&db, [&owner, &other]);
}

/// MariaDB tells who holds a table only with its plugin; without it nobody is ended.
#[test]
fn only_who_is_in_the_way_is_ended_on_mariadb() {
    let Some(db) = ScratchDb::require(Want::mysql().product(Product::Mariadb).private()) else {
        return;
    };
    let plain = User::new(&db, "p");
    run(
        &db,
        &format!(
            "CREATE TABLE users (id integer PRIMARY KEY); CREATE TABLE posts (id integer); \
             CREATE USER '{0}'@'%' IDENTIFIED BY 'secret'; GRANT ALL ON *.* TO '{0}'@'%'; \
             REVOKE SUPER, CONNECTION ADMIN ON *.* FROM '{0}'@'%'",
            plain.name
        ),
    );
    let mut at_work = session(&plain.url, "worker");
    at_work.batch("BEGIN; INSERT INTO posts VALUES (1)").unwrap();
    let mut holder = session(&plain.url, "holder");
    holder.batch("BEGIN; SELECT * FROM users").unwrap();

    let told = apply_and(db.url(), cancel(), &[migration(1, ADD, false)], |event| match event {
        Event::Retry { tries: 2.., .. } => Answer::Stop,
        _ => Answer::Go,
    });
    assert!(notes(&told.events)[0].contains("metadata_lock_info"), "{:?}", told.events);
    let suspects = told.events.iter().find_map(|event| match event {
        Event::Retry { by, .. } => Some(by.iter().map(|peer| peer.kind).collect::<Vec<_>>()),
        _ => None,
    });
    assert_eq!(suspects.unwrap(), [PeerKind::Suspect; 2]);
    at_work.batch("INSERT INTO posts VALUES (2)").unwrap();
    holder.batch("SELECT 1").unwrap();

    db.run(&["INSTALL SONAME 'metadata_lock_info'"]).unwrap();
    let told = apply(db.url(), cancel(), &[migration(1, ADD, false)]);
    told.done();
    assert_eq!(ended(&told.events).len(), 1, "{:?}", told.events);
    at_work.batch("COMMIT").unwrap();
    assert!(holder.query("SELECT 1").is_err());
    assert_eq!(value(&db, "SELECT count(*) FROM posts"), "2");
}

/// Also while its lock is asked for without waiting, a migration keeps to its time and says who is
/// in the way.
#[test]
fn the_time_is_over_at_once_on_mariadb() {
    let Some(db) = ScratchDb::require(Want::mysql().product(Product::Mariadb)) else { return };
    db.run(&["CREATE TABLE users (id integer PRIMARY KEY)"]).unwrap();
    let mut holder = session(db.url(), "holder");
    holder.batch("BEGIN; SELECT * FROM users").unwrap();
    let budget = Budget { max_wait: Duration::ZERO, ..hasty().budget };
    let up = format!("{ADD}, ALGORITHM=INSTANT");
    let told = apply(db.url(), Settings { budget, ..hasty() }, &[migration(1, &up, false)]);
    let Err(ApplyError::Busy { tries, by, .. }) = told.ended else { panic!("{:?}", told.ended) };
    assert_eq!((tries, by.len()), (1, 1), "{by:?}");
}

/// Who may not see what others do sees all the same that they wait.
#[test]
fn waiting_sessions_are_counted_without_seeing_them() {
    let Some((db, owner, other)) = users(18) else { return };
    let up = "LOCK TABLE users IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(1)";
    let done = thread::scope(|scope| {
        scope.spawn(|| {
            let sql = "SELECT count(*) FROM pg_locks WHERE relation = 'users'::regclass \
                       AND mode = 'AccessExclusiveLock' AND granted";
            wait_until("a lock", Duration::from_secs(10), || value(&db, sql) == "1").unwrap();
            session(&other.url, "web").batch("INSERT INTO users VALUES (1)").unwrap();
        });
        apply(&owner.url, hasty(), &[migration(1, up, true)]).done()
    });
    assert_eq!(done[0].statements[1].blocked, Some(1));
    drop_users(&db, [&owner, &other]);
}

/// One statement has a count for programs and another one for functions.
#[test]
fn counts_of_one_statement_add_up() {
    let Some(db) = ScratchDb::require(Want::postgres().version(18)) else { return };
    db.run(&[
        "CREATE EXTENSION pg_stat_statements",
        "CREATE TABLE users (id integer)",
        "CREATE FUNCTION enter() RETURNS void LANGUAGE sql AS 'INSERT INTO users (id) VALUES (1)'",
    ])
    .unwrap();
    let mut web = session(db.url(), "web");
    web.batch("SET pg_stat_statements.track = 'all'").unwrap();
    let acts = ["INSERT INTO users (id) VALUES (1)", "SELECT enter()"];
    // Both are known before.
    acts.iter().for_each(|act| web.batch(act).unwrap());
    let web = Mutex::new(web);
    let search =
        Search { column: "users.locale".parse().unwrap(), sign: Sign::InsertsWithout, since: None };
    let url = DatabaseUrl::parse(db.url()).unwrap();
    let mut looking = Session::open(&url, &OpenOptions::read()).unwrap();
    for act in acts {
        let seen = observe(&mut looking, &search, Duration::from_secs(5), &|| {
            web.lock().unwrap().batch(act).unwrap();
            true
        });
        assert_eq!(seen.unwrap().counted, Counted::Times(1), "{act}");
    }
}
