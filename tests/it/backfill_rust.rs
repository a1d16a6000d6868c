//! A column filled by application code: values, errors, rows that change underneath, resuming.

use std::{
    collections::BTreeSet,
    num::NonZeroU32,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Instant,
};

use newcol_core::{
    backend::Backend,
    contract::{Contract, read::read},
    db::{DatabaseUrl, OpenOptions, Session},
    execute::{
        backfill::{
            Answer, Backfill, BackfillError, Event, Outcome, Receipt, RowFill, Settings, per_row,
        },
        pace,
    },
    row,
    row::{BoxError, Parsed, Value},
};
use newcol_testkit::{ScratchDb, Want};

row! {
    /// What the code reads.
    #[derive(Debug)]
    struct User {
        name: Option<String>,
        age: i32,
    }
}

/// What the code computes: nothing of nobody.
fn badge(user: &User) -> Option<String> {
    user.name.as_ref().map(|name| format!("{}/{}", name.to_uppercase(), user.age))
}

/// The same in SQL, to compare.
fn badge_in_sql(backend: Backend) -> &'static str {
    match backend {
        Backend::Postgres | Backend::Sqlite => "upper(name) || '/' || age",
        Backend::Mysql => "concat(upper(name), '/', age)",
    }
}

fn contract(presence: &str) -> Contract {
    let text = format!(
        "format = 1\ntable = 'users'\ncolumn = 'badge'\nwhy = 'a test'\nrequired = {presence}\n\
         type = 'varchar(60)'\n[old_rows]\nrust = 'crate::badge'\n[old_writers]\nby = 'nobody'\n"
    );
    read(&text).map_err(|_| "the contract is wrong").unwrap().contract
}

/// Makes a table of so many rows, every seventh without a name where that may be.
fn users(backend: Backend, key: &str, rows: u64, nobody: bool) -> Option<(ScratchDb, DatabaseUrl)> {
    let db = ScratchDb::require(Want::from(backend))?;
    let (columns, value) = match (key, backend) {
        ("none", _) => ("id bigint NOT NULL", "n"),
        ("text", Backend::Postgres) => ("id varchar(40) PRIMARY KEY", "'k' || md5(n::text)"),
        ("text", Backend::Mysql) => ("id varchar(40) PRIMARY KEY", "concat('k', md5(n))"),
        ("text", Backend::Sqlite) => {
            ("id varchar(40) PRIMARY KEY", "printf('k%08x', n * 2654435761 % 4294967296)")
        }
        ("pair", _) => ("a bigint NOT NULL, b varchar(9) NOT NULL", "n % 10, n"),
        _ => ("id bigint PRIMARY KEY", "n"),
    };
    let primary = if key == "pair" { ", PRIMARY KEY (a, b)" } else { "" };
    let source = match backend {
        Backend::Postgres => format!("generate_series(1, {rows}) AS s (n)"),
        Backend::Mysql => format!("(SELECT seq AS n FROM seq_1_to_{rows}) AS s"),
        Backend::Sqlite => format!(
            "(WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {rows}) \
             SELECT n FROM s)"
        ),
    };
    let name = if backend == Backend::Mysql { "concat('it''s ', n)" } else { "'it''s ' || n" };
    let name =
        if nobody { format!("CASE WHEN n % 7 > 0 THEN {name} END") } else { name.to_owned() };
    db.run(&[
        &format!("CREATE TABLE users ({columns}, name varchar(40), age int NOT NULL{primary})"),
        &format!("INSERT INTO users SELECT {value}, {name}, n % 90 FROM {source}"),
        "ALTER TABLE users ADD COLUMN badge varchar(60)",
    ])
    .unwrap();
    let url = DatabaseUrl::parse(db.url()).unwrap();
    Some((db, url))
}

/// By key also where blocks would do: rows come in an order that a test can rely on.
fn in_order() -> Settings {
    Settings { by_key: true, ..settings(1) }
}

fn settings(workers: u32) -> Settings {
    Settings {
        workers: NonZeroU32::new(workers).unwrap(),
        pace: pace::Settings::full_speed(),
        ..Settings::default()
    }
}

fn go(_: &Event) -> Answer {
    Answer::Go
}

fn fill<F: RowFill>(
    contract: &Contract,
    url: &DatabaseUrl,
    settings: Settings,
    code: &F,
) -> Result<Outcome, BackfillError> {
    Backfill::new(contract, url, OpenOptions::write()).settings(settings).rust(code).run(&go)
}

fn done(outcome: Result<Outcome, BackfillError>) -> Receipt {
    match outcome {
        Ok(Outcome::Done(receipt)) => receipt,
        Ok(other) => panic!("it ended with {other:?}"),
        Err(error) => panic!("{}", chain(&error)),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text += &format!(": {source}");
        next = source.source();
    }
    text
}

fn count(db: &ScratchDb, condition: &str) -> u64 {
    let rows = db.rows(&format!("SELECT count(*) FROM users WHERE {condition}")).unwrap();
    rows[0][0].as_ref().unwrap().parse().unwrap()
}

/// Rows that do not hold what the code computes from them as they are now.
fn wrong(db: &ScratchDb) -> u64 {
    let badge = badge_in_sql(db.backend());
    let differs = match db.backend() {
        Backend::Postgres => format!("badge IS DISTINCT FROM {badge}"),
        Backend::Mysql => format!("NOT (badge <=> {badge})"),
        Backend::Sqlite => format!("badge IS NOT {badge}"),
    };
    count(db, &differs)
}

#[test]
fn values_are_those_of_the_code() {
    for backend in Backend::ALL {
        for key in ["bigint", "text", "pair", "none"] {
            if key == "none" && backend == Backend::Mysql {
                continue;
            }
            for by_key in [false, true] {
                // Without a key there is one way.
                if by_key && key == "none" {
                    continue;
                }
                let Some((db, url)) = users(backend, key, 3_000, true) else { return };
                let code = per_row(|user: &User| Ok(badge(user)));
                let settings = Settings { by_key, ..settings(1) };
                let receipt = done(fill(&contract("false"), &url, settings, &code));
                let case = format!("{backend} by {key}, {by_key}");
                assert_eq!(wrong(&db), 0, "{case}");
                assert_eq!(
                    (receipt.rows, receipt.empty, receipt.filled),
                    (3000, 428, 2572),
                    "{case}"
                );
                assert_eq!((receipt.differing, receipt.passes), (None, 2), "{case}");
            }
        }
    }
}

#[test]
fn a_required_column_names_the_rows_without_a_value() {
    for backend in Backend::ALL {
        let Some((db, url)) = users(backend, "bigint", 20, true) else { return };
        let code = per_row(|user: &User| Ok(badge(user)));
        let outcome = fill(&contract("true"), &url, settings(1), &code).unwrap();
        let Outcome::Unfillable { rows, mut keys, totals } = outcome else { panic!("{outcome:?}") };
        keys.sort();
        assert_eq!(
            (rows, keys, totals.filled),
            (2, vec!["14".into(), "7".into()], 18),
            "{backend}"
        );
        assert_eq!(wrong(&db), 0, "{backend}");
    }
}

/// Computes whole batches.
struct Batch<F>(F);

impl<F> RowFill for Batch<F>
where
    F: Fn(&[User]) -> Result<Vec<Option<Value>>, BoxError> + Sync,
{
    type Row = User;

    fn fill(&self, rows: &[User]) -> Result<Vec<Option<Value>>, BoxError> {
        (self.0)(rows)
    }
}

row! {
    struct Misread {
        name: u8,
    }
}

row! {
    struct Misnamed {
        nickname: String,
    }
}

fn failed<F: RowFill>(url: &DatabaseUrl, code: &F) -> String {
    let error = fill(&contract("true"), url, in_order(), code).unwrap_err();
    // Keys of PostgreSQL are texts.
    format!("{}\n  {}", chain(&error), error.hint().unwrap_or_default()).replace("'1'", "1")
}

/// What the code does wrong is said with the row; the next run goes on.
#[test]
fn mistakes_of_the_code_are_told_with_the_row() {
    for backend in Backend::ALL {
        let Some((db, url)) = users(backend, "bigint", 3_000, false) else { return };
        let said = [
            failed(&url, &Batch(|rows: &[User]| Ok(vec![None; rows.len() - 1]))),
            failed(&url, &Batch(|_: &[User]| Err("no more quota".into()))),
            failed(&url, &per_row(|user: &Misread| Ok(Some(user.name.to_string())))),
            failed(&url, &per_row(|user: &Misnamed| Ok(Some(user.nickname.clone())))),
        ];
        insta::allow_duplicates! {
            insta::assert_snapshot!(said.join("\n"), @r"
            the code that fills `users.badge` made 19 values of the 20 rows that begin with the row 1
              return one value for each row, in their order; `None` for none
            the code that fills `users.badge` failed on the batch that begins with the row 1: no more quota
              correct the code, then run it again: it goes on where it stopped
            in the row 1, the code that fills `users.badge` cannot read what it needs: `name` is no `u8`: invalid digit found in string
              choose a type that holds every value of the column; `Option` for NULL
            the code that fills `users.badge` reads `nickname`, which is no other column of its table
              name the fields of the row as the columns are named
            ");
        }
        // Batches before the mistake stay.
        let some = Batch(|rows: &[User]| {
            if rows.iter().any(|user| user.name.as_deref() == Some("it's 2000")) {
                return Err("2000 is odd".into());
            }
            Ok(rows.iter().map(|user| badge(user).map(Value::Text)).collect())
        });
        let said = failed(&url, &some);
        assert!(said.contains("failed on the batch that begins with the row "), "{said}");
        assert!(said.contains(": 2000 is odd"), "{said}");
        let filled = count(&db, "badge IS NOT NULL");
        assert!(0 < filled && filled < 3000, "{backend}: {filled}");
        let receipt = done(fill(
            &contract("true"),
            &url,
            settings(1),
            &per_row(|user: &User| Ok(badge(user))),
        ));
        assert_eq!((receipt.filled, wrong(&db)), (3000, 0), "{backend}");
    }
}

/// A value that is too long is refused, not cut, and nothing of its batch is written.
#[test]
fn values_that_do_not_fit_are_refused() {
    for backend in [Backend::Postgres, Backend::Mysql] {
        let Some((db, url)) = users(backend, "bigint", 10, false) else { return };
        let said =
            failed(&url, &per_row(|user: &User| Ok(Some("x".repeat(60 + user.age as usize)))));
        assert!(said.to_lowercase().contains("too long"), "{said}");
        assert_eq!(count(&db, "badge IS NOT NULL"), 0, "{backend}");
    }
}

/// Others change what the code reads while it computes, batch by batch; at the end every value is
/// that of the row.
#[test]
fn rows_that_change_underneath_are_computed_again() {
    for (backend, key, by_key) in [
        (Backend::Postgres, "bigint", false),
        (Backend::Postgres, "none", false),
        (Backend::Postgres, "pair", true),
        (Backend::Mysql, "bigint", true),
        (Backend::Mysql, "pair", true),
        (Backend::Sqlite, "text", true),
        (Backend::Sqlite, "pair", true),
    ] {
        let Some((db, url)) = users(backend, key, 4_000, false) else { return };
        let case = format!("{backend} by {key}, {by_key}");
        let (contract, settings) = (contract("true"), Settings { by_key, ..settings(1) });
        let (send, computing) = mpsc::channel();
        let recomputed = AtomicU64::new(0);
        thread::scope(|scope| {
            let writer = url.clone();
            scope.spawn(move || {
                let mut session = Session::open(&writer, &OpenOptions::write()).unwrap();
                for round in computing {
                    // Who knows the column keeps it true: rows that are filled change with it.
                    let badge = badge_in_sql(backend).replace("age", "(age + 1)");
                    let update = format!(
                        "UPDATE users SET badge = CASE WHEN badge IS NOT NULL THEN {badge} END, \
                         age = age + 1 WHERE name LIKE '%{}'",
                        round % 10
                    );
                    // The other one of a deadlock may be this one.
                    session.execute(&update).ok();
                }
            });
            let rounds = AtomicU64::new(0);
            let code = Batch(|rows: &[User]| {
                send.send(rounds.fetch_add(1, Ordering::SeqCst))?;
                Ok(rows.iter().map(|user| badge(user).map(Value::Text)).collect())
            });
            let job = Backfill::new(&contract, &url, OpenOptions::write())
                .settings(settings.clone())
                .rust(&code);
            done(job.run(&|event| {
                if let Event::Recomputed { rows } = event {
                    recomputed.fetch_add(*rows, Ordering::SeqCst);
                }
                Answer::Go
            }));
            // The writer ends.
            drop(send);
        });
        assert_eq!(count(&db, &format!("badge <> {}", badge_in_sql(backend))), 0, "{case}");
        if key != "none" {
            assert!(recomputed.load(Ordering::SeqCst) > 0, "{case}");
        }
        if key == "none" {
            // An UPDATE of another program moves a row to another block, also behind a pass.
            let code = per_row(|user: &User| Ok(badge(user)));
            done(fill(&contract, &url, settings, &code));
        }
        assert_eq!(wrong(&db), 0, "{case}");
    }
}

/// The change comes between reading and writing, for sure: the code itself makes it.
#[test]
fn a_change_while_the_code_computes_is_seen() {
    for backend in Backend::ALL {
        let Some((db, url)) = users(backend, "bigint", 10, false) else { return };
        let changer = Mutex::new(Some(Session::open(&url, &OpenOptions::write()).unwrap()));
        let code = per_row(|user: &User| {
            if let Some(mut session) = changer.lock().unwrap().take() {
                session.batch(
                    "UPDATE users SET name = 'Eve' WHERE id = 3; DELETE FROM users WHERE id = 4",
                )?;
                session.batch("UPDATE users SET badge = 'own' WHERE id = 5")?;
            }
            Ok(badge(user))
        });
        let recomputed = Mutex::new(Vec::new());
        let contract = contract("true");
        let job =
            Backfill::new(&contract, &url, OpenOptions::write()).settings(in_order()).rust(&code);
        let receipt = done(job.run(&|event| {
            if let Event::Recomputed { rows } = event {
                recomputed.lock().unwrap().push(*rows);
            }
            Answer::Go
        }));
        assert_eq!((receipt.rows, receipt.filled), (9, 8), "{backend}");
        assert_eq!(*recomputed.lock().unwrap(), [1], "{backend}");
        assert_eq!(count(&db, "badge = 'own' OR badge = 'EVE/3'"), 2, "{backend}");
        assert_eq!(wrong(&db), 1, "{backend}");
    }
}

#[test]
fn a_stopped_run_goes_on() {
    for backend in Backend::ALL {
        let Some((db, url)) = users(backend, "bigint", 1_000, false) else { return };
        let seen = Mutex::new(Vec::new());
        let code = per_row(|user: &User| {
            seen.lock().unwrap().push(user.name.clone());
            Ok(badge(user))
        });
        let contract = contract("true");
        let mut runs = 0;
        let receipt = loop {
            runs += 1;
            let batches = AtomicU64::new(0);
            let job = Backfill::new(&contract, &url, OpenOptions::write())
                .settings(settings(1))
                .rust(&code);
            let outcome = job.run(&|event| match event {
                Event::Batch { .. } if batches.fetch_add(1, Ordering::SeqCst) == 1 => Answer::Stop,
                _ => Answer::Go,
            });
            match outcome.unwrap() {
                Outcome::Stopped(_) => {}
                other => break done(Ok(other)),
            }
        };
        assert!(runs > 1, "{backend}");
        assert_eq!((receipt.filled, wrong(&db)), (1_000, 0), "{backend}");
        // No row was computed twice.
        let seen = seen.into_inner().unwrap();
        assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), seen.len(), "{backend}");
    }
}

#[test]
fn two_workers_share_the_rows() {
    for backend in [Backend::Postgres, Backend::Mysql] {
        let Some((db, url)) = users(backend, "bigint", 20_000, false) else { return };
        let computed = AtomicU64::new(0);
        let threads = Mutex::new(BTreeSet::new());
        let code = per_row(|user: &User| {
            computed.fetch_add(1, Ordering::SeqCst);
            threads.lock().unwrap().insert(format!("{:?}", thread::current().id()));
            Ok(badge(user))
        });
        let receipt =
            done(fill(&contract("true"), &url, Settings { by_key: true, ..settings(2) }, &code));
        assert_eq!((receipt.filled, wrong(&db)), (20_000, 0), "{backend}");
        assert_eq!(threads.into_inner().unwrap().len(), 2, "{backend}");
        // Neither computes what the other one does.
        assert_eq!(computed.into_inner(), 20_000, "{backend}");
    }
}

row! {
    struct Kinds {
        number: i64,
        share: f64,
        on_it: bool,
        image: Vec<u8>,
        day: Parsed<Day>,
    }
}

struct Day(String);

impl std::str::FromStr for Day {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_day = text.len() == 10 && text.split('-').count() == 3;
        is_day.then(|| Self(text.to_owned())).ok_or_else(|| format!("`{text}` is no day"))
    }
}

/// A value of every kind is read as it was written, and written as it was read.
#[test]
fn every_kind_of_value_makes_the_round_trip() {
    type Make = fn(&Kinds) -> Value;
    for backend in Backend::ALL {
        let bytes = if backend == Backend::Postgres { "bytea" } else { "varbinary(20)" };
        let float = if backend == Backend::Mysql { "double" } else { "double precision" };
        let image = if backend == Backend::Postgres { "'\\x00ff27'" } else { "x'00ff27'" };
        let kinds: [(&str, &str, Make); 5] = [
            ("bigint", "number", |row| row.number.into()),
            (float, "share", |row| row.share.into()),
            ("boolean", "on_it", |row| row.on_it.into()),
            (bytes, "image", |row| row.image.clone().into()),
            ("date", "day", |row| Value::text(&row.day.0.0)),
        ];
        for (ty, source, make) in kinds {
            let Some(db) = ScratchDb::require(Want::from(backend)) else { return };
            db.run(&[
                &format!(
                    "CREATE TABLE users (id int PRIMARY KEY, number bigint, share {float}, \
                     on_it boolean, image {bytes}, day date)"
                ),
                &format!(
                    "INSERT INTO users VALUES (1, -9223372036854775808, 0.1, true, {image}, \
                     '2024-02-29'), (2, 7, -1.5e300, false, {image}, '1999-12-31')"
                ),
                &format!("ALTER TABLE users ADD COLUMN badge {ty}"),
            ])
            .unwrap();
            let text = format!(
                "format = 1\ntable = 'users'\ncolumn = 'badge'\nwhy = 'a test'\nrequired = true\n\
                 type = '{ty}'\n[old_rows]\nrust = 'crate::badge'\n[old_writers]\n\
                 by = 'nobody'\n"
            );
            let contract = read(&text).map_err(|_| "the contract is wrong").unwrap().contract;
            let url = DatabaseUrl::parse(db.url()).unwrap();
            let code = per_row(move |row: &Kinds| Ok(Some(make(row))));
            done(fill(&contract, &url, settings(1), &code));
            assert_eq!(count(&db, &format!("badge = {source}")), 2, "{backend} {ty}");
        }
    }
}

/// As many rows as `NEWCOL_TEST_ROWS` says; prints what it takes beside one plain `UPDATE`.
#[test]
fn many_rows_go_through_the_code() {
    #[expect(clippy::disallowed_methods, reason = "how many rows is for whoever runs the test")]
    let rows = std::env::var("NEWCOL_TEST_ROWS").ok().and_then(|rows| rows.parse().ok());
    let rows: u64 = rows.unwrap_or(10_000);
    for backend in Backend::ALL {
        let Some((db, url)) = users(backend, "bigint", rows, false) else { return };
        let started = Instant::now();
        let code = per_row(|user: &User| Ok(badge(user)));
        done(fill(&contract("true"), &url, settings(1), &code));
        let job = started.elapsed();
        assert_eq!(wrong(&db), 0, "{backend}");
        db.run(&["UPDATE users SET badge = NULL"]).unwrap();
        let started = Instant::now();
        db.run(&[&format!("UPDATE users SET badge = {}", badge_in_sql(backend))]).unwrap();
        let plain = started.elapsed();
        eprintln!(
            "{backend}: {rows} rows through code in {job:.1?}, plain UPDATE in {plain:.1?}, {:.1} times",
            job.as_secs_f64() / plain.as_secs_f64()
        );
    }
}
