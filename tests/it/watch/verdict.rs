//! What a file of two hours says in one word: the truth is known, because the file is made up.

use std::fmt::Write as _;

use camino::Utf8PathBuf;
use newcol_core::{
    db::{DatabaseUrl, OpenOptions, Session},
    watch::{
        assess::assess,
        store::{Store, path},
    },
};
use newcol_testkit::project::Project;

use crate::{
    chance::Chance,
    desk::{self, GOOD, newcol, said},
};

/// Minutes on each side.
const MINUTES: i64 = 120;

/// Two hours of a server: statements of other tables, and those of `users` before and after the release
/// that knows the column.
struct Hours {
    project: Project,
    file: Utf8PathBuf,
}

/// What happens beside the column.
#[derive(Clone, Copy, Default)]
struct Planted {
    /// How many times as long the list of users takes with the column.
    slower: Option<f64>,
    index: bool,
}

impl Hours {
    fn new(seed: u64, planted: Planted) -> Self {
        let project = desk::one_crate("postgres").build().unwrap();
        let add = [&["add", "users.locale"], GOOD].concat();
        drop(newcol(&project, &add).success());
        let column = "users.locale".parse().unwrap();
        let file = path(&project.root().join("newcol"), &column);
        drop(Store::write(&file, &column).unwrap());
        let hours = Self { project, file };
        hours.run(&script(seed, planted));
        hours
    }

    fn run(&self, sql: &str) {
        let url = DatabaseUrl::parse(self.file.as_str()).unwrap();
        Session::open(&url, &OpenOptions::write()).unwrap().batch(sql).unwrap();
    }

    fn verdict(&self) -> String {
        said(&newcol(&self.project, &["watch", "verdict", "users.locale"]))
    }

    fn sentence(&self) -> String {
        let mut store = Store::read(&self.file, &"users.locale".parse().unwrap()).unwrap().unwrap();
        let assessment = assess(&mut store).unwrap().unwrap();
        let word = assessment.judgement.verdict.word();
        let found = assessment.comparisons.iter().flat_map(|one| one.findings());
        let found = found.map(|query| assessment.texts[&query.id].as_str());
        let found: std::collections::BTreeSet<&str> = found.collect();
        format!("{word} {}", found.into_iter().collect::<Vec<_>>().join("; ")).trim().to_owned()
    }
}

fn script(seed: u64, planted: Planted) -> String {
    let mut chance = Chance::of(seed);
    // A number from 0 to 1.
    let mut random = move || chance.below(1 << 20) as f64 / f64::from(1 << 20);
    let mut sql = String::from("BEGIN;");
    let start = 1_700_000_000_i64;
    for minute in 0..=2 * MINUTES {
        let (at, column) = (start + 60 * minute, if minute < MINUTES { "NULL" } else { "7" });
        write!(
            sql,
            "INSERT INTO snapshot VALUES ({minute}, 1, {at}, {at}, {}, 5, {}, 0, 0, 1, 1, '77', '5', 150018, \
             {start} - 90000, 1, '1.10', {start} - 90000, 0, '16384', {column});",
            i64::from(minute == 0),
            minute * 60_000,
        )
        .unwrap();
        if planted.index && minute >= MINUTES {
            for (name, value) in [
                ("has_column", 1),
                ("is_valid", 1),
                ("is_ready", 1),
                ("is_unique", 0),
                ("bytes", 8192),
                ("idx_scan", 10 * minute),
            ] {
                write!(
                    sql,
                    "INSERT INTO measure VALUES ({minute}, 'users_locale_idx', '{name}', {value});"
                )
                .unwrap();
            }
        }
    }
    // Number, text, role, on the table, lineage, of old; before, after.
    let mut statements = vec![
        (
            1,
            "SELECT id, name FROM users ORDER BY id LIMIT $1",
            "control",
            1,
            "'list'",
            true,
            1.0,
            0.0,
        ),
        (
            2,
            "SELECT id, name, locale FROM users ORDER BY id LIMIT $1",
            "projected",
            1,
            "'list'",
            false,
            0.0,
            planted.slower.unwrap_or(1.0),
        ),
        (3, "INSERT INTO users (name) VALUES ($1)", "writes", 1, "NULL", true, 1.0, 1.0),
        (4, "SELECT id FROM users WHERE locale = $1", "filter", 1, "NULL", false, 0.0, 1.0),
    ];
    let texts: Vec<String> = (0..30).map(|at| format!("SELECT * FROM other_{at}")).collect();
    statements.extend(
        texts
            .iter()
            .zip(100..)
            .map(|(text, id)| (id, text.as_str(), "control", 0, "NULL", true, 1.0, 1.0)),
    );
    let drift: Vec<f64> = (0..2 * MINUTES).map(|m| 1.0 + 0.25 * (m as f64 / 37.0).sin()).collect();
    for (id, text, role, on_table, lineage, is_of_old, before, after) in statements {
        // The list is one query, whatever its number.
        let mean = if id <= 2 { 2.0 } else { 0.5 + 4.0 * random() };
        write!(
            sql,
            "INSERT INTO statement VALUES (1, {id}, 0, NULL, 1, 'table', '{text}', {}, '{role}', 'text', '{}', NULL, \
             {on_table}, {lineage}, 0, 0, 0, 0, NULL, 0, 0, NULL);",
            i64::from(is_of_old),
            if role == "control" { "" } else { role },
        )
        .unwrap();
        for minute in 0..2 * MINUTES {
            let factor = if minute < MINUTES { before } else { after };
            if factor == 0.0 || minute == MINUTES - 1 {
                continue;
            }
            let calls = 40 + (random() * 40.0) as i64;
            let noise: f64 = (0..12).map(|_| random()).sum::<f64>() - 6.0;
            let total = calls as f64
                * mean
                * factor
                * drift[usize::try_from(minute).unwrap()]
                * (0.08_f64 * noise).exp();
            let (from, to) = (start + 60 * minute, start + 60 * (minute + 1));
            write!(
                sql,
                "INSERT INTO window VALUES ({}, {id}, {from}, {to}, {calls}, {total}, NULL, {calls}, {}, 0);",
                minute + 1,
                calls * 4,
            )
            .unwrap();
        }
    }
    sql.push_str("COMMIT");
    sql
}

#[test]
fn what_was_planted_is_named_and_nothing_else() {
    for seed in 0..10 {
        assert_eq!(Hours::new(seed, Planted::default()).sentence(), "QUIET", "seed {seed}");
        let planted = Planted { slower: Some(1.5), index: false };
        let list = "REGRESSION SELECT id, name, locale FROM users ORDER BY id LIMIT $1";
        assert_eq!(Hours::new(seed, planted).sentence(), list, "seed {seed}");
    }
}

#[test]
fn a_regression_in_words() {
    let hours = Hours::new(1, Planted { slower: Some(1.5), index: false });
    insta::assert_snapshot!(hours.verdict(), @"
    exit code: 0
    ----- stdout -----
    users.locale REGRESSION [4.0 h of counters and texts]
      time per call +51 %, 2.333 -> 2.582: SELECT id, name, locale FROM users ORDER BY id LIMIT $1
    ----- stderr -----
    ");
    let fails =
        ["watch", "verdict", "users.locale", "--fail-on", "drop,regression", "--html", "out.html"];
    assert_eq!(newcol(&hours.project, &fails).code(), Some(100));
    let page = hours.project.read("out.html").unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("REGRESSION"), "{page}");
    let json =
        newcol(&hours.project, &["watch", "verdict", "users.locale", "--message-format", "json"]);
    let line: serde_json::Value = serde_json::from_str(json.stdout.trim()).unwrap();
    assert_eq!(line["verdict"], "REGRESSION");
    assert_eq!(line["controls"], 30);
}

/// Who used the index is in no counter: without plans there is no word on it.
#[test]
fn an_index_is_not_judged_without_plans() {
    let hours = Hours::new(1, Planted { slower: None, index: true });
    insta::assert_snapshot!(hours.verdict(), @"
    exit code: 0
    ----- stdout -----
    users.locale WAIT: no plan was read, so nobody knows which statements use it (its plan was not read yet) [4.0 h of counters and texts]
    ----- stderr -----
    ");
}

#[test]
fn what_may_not_be_compared_is_unknown() {
    let mut said = String::new();
    for (what, sql) in [
        ("reset", "UPDATE snapshot SET stats_reset = 1700009000 WHERE id > 200"),
        ("upgrade", "UPDATE snapshot SET version = 180001, extension = '1.12' WHERE id > 200"),
        ("other server", "UPDATE snapshot SET system = '78' WHERE id > 200"),
        ("restart", "UPDATE snapshot SET started = 1700009000 WHERE id > 200"),
        ("evictions", "UPDATE snapshot SET evictions = 9, all_ms = all_ms * 100 WHERE id > 200"),
        ("clock", "UPDATE snapshot SET server = server + 3600 WHERE id > 200"),
        ("too short", "DELETE FROM snapshot WHERE id > 130"),
        ("no column", "UPDATE snapshot SET \"column\" = NULL"),
        ("an index that failed", "INSERT INTO measure VALUES (240, 'i', 'has_column', 1)"),
    ] {
        let hours = Hours::new(1, Planted { slower: Some(1.5), index: false });
        hours.run(sql);
        let verdict = hours.verdict();
        assert!(verdict.contains("UNKNOWN"), "{what}: {verdict}");
        let reasons = verdict.lines().filter(|line| line.starts_with("  "));
        for line in reasons {
            writeln!(said, "{what}: {}", line.trim()).unwrap();
        }
    }
    insta::assert_snapshot!(said, @"
    reset: statistics were reset while we watched: take a new baseline, and keep other tools from resetting statistics
    upgrade: the server went from PostgreSQL [SERVER] with pg_stat_statements 1.10 to PostgreSQL [SERVER] with pg_stat_statements 1.12, which numbers statements anew: take a new baseline
    other server: this is another server than the one of the baseline: take a new baseline
    restart: the server was restarted while we watched: take a new baseline
    evictions: statements were evicted: only 0 % of all calls can be followed: raise pg_stat_statements.max (MySQL and MariaDB: performance_schema_digests_size) and take a new baseline
    clock: a clock jumped by [DURATION]: look at the time service of both machines, then watch on
    too short: 10 minutes are too short: both sides need 45: wait
    no column: the column is not there yet: release and apply `expand`, then watch on
    an index that failed: the index is invalid: its build failed: run `cargo newcol apply`, which drops the rest and builds it again
    ");
}
