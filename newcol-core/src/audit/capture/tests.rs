//! Statements, their groups and where they come from.

use proptest::prelude::*;

use super::*;
use crate::{audit::SourceFile, schema::SchemaFile};

const SCHEMA: &str = "
    table! { users (id) { id -> Integer, name -> Text, } }
    table! { posts (id) { id -> Integer, user_id -> Integer, } }";

const CODE: &str = r#"
const SEED: &str = "INSERT INTO users VALUES (1, 'a')";
fn a(by: &str) {
    sql_query("SELECT *\n    FROM users; DELETE FROM users").execute(c);
    sql_query(format!("SELECT id FROM users WHERE name = '{{}}' ORDER BY {by}")).execute(c);
    sql_query(format!("UPDATE {t} SET name = $1 WHERE id = $2")).execute(c);
    sql_query(format!("SELECT {}", 1)).execute(c);
    sql_query("SELECT `users`.`id` FROM `users`").execute(c);
    assert_eq!(debug_query(q), "SELECT `users`.`name` FROM `users`");
}
"#;

fn subject() -> Subject {
    let schema = SchemaFile::parse(SCHEMA).unwrap();
    let column = "users.locale".parse().unwrap();
    Subject::new(&column, None, (SCHEMA, &[]), &schema, Backend::ALL.into()).unwrap()
}

fn sent(sql: &str) -> Sent {
    Sent {
        sql: sql.to_owned(),
        count: 1,
        sender: Sender::Unknown,
        application: None,
        refused: false,
        is_cut: false,
    }
}

fn captured(engine: Backend, sent: &[Sent]) -> Captured {
    captured_beside(engine, sent, &[])
}

fn captured_beside(engine: Backend, sent: &[Sent], known: &[Finding]) -> Captured {
    let file = |path: &str, text: &str| SourceFile { path: path.into(), text: text.to_owned() };
    let files =
        [file("a.rs", CODE), file("seed.sql", "-- one\nINSERT INTO users (id) VALUES (7);\n")];
    let places = Places::of(&subject(), &BTreeSet::from([engine]), &files);
    examine_sent(&subject(), &places, engine, sent, known)
}

/// Returns `count × statement | tables | columns` of each.
fn lines(engine: Backend, texts: &[&str]) -> Vec<String> {
    let texts: Vec<Sent> = texts.iter().map(|text| sent(text)).collect();
    let line = |seen: &SeenStatement| {
        let all = if seen.all_columns { "all " } else { "" };
        let (tables, columns) = (seen.tables.join(" "), seen.columns.join(" "));
        format!("{} × {} | {tables} | {all}{columns}", seen.count, seen.sql)
    };
    captured(engine, &texts).statements.iter().map(line).collect()
}

#[test]
fn what_touches_the_table_is_told_with_what_it_names() {
    let texts = [
        "SELECT u.id, p.user_id FROM public.users u JOIN posts p ON p.user_id = u.id WHERE name = 'x'",
        "select u.id, p.user_id from public.users u",
        "SELECT * FROM posts WHERE user_id IN (SELECT id FROM users WHERE locale IS NULL)",
        "SELECT u.*, p.id FROM posts p, users u",
        "INSERT INTO users (id, name) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET name = $2 RETURNING *",
        "UPDATE users SET name = 'a' WHERE id = 3",
        "UPDATE users SET name = 'b' WHERE id = 4",
        "DELETE FROM users",
        "ALTER TABLE users ADD COLUMN x text DEFAULT 'a'",
        "EXPLAIN SELECT name FROM users",
        // None of these is about the table.
        "SELECT users FROM posts",
        "SELECT 'users' FROM posts",
        "SELECT * FROM other.users",
        "WITH users AS (SELECT 1) SELECT * FROM users",
        "SELECT \"Users\".id FROM \"Users\"",
        "",
        ";",
    ];
    insta::assert_debug_snapshot!(lines(Backend::Postgres, &texts), @r#"
    [
        "1 × SELECT u.id, p.user_id FROM public.users u JOIN posts p ON p.user_id = u.id WHERE name = ? | posts public.users | id name",
        "1 × select u.id, p.user_id from public.users u | public.users | id",
        "1 × SELECT * FROM posts WHERE user_id IN (SELECT id FROM users WHERE locale IS NULL) | posts users | id locale",
        "1 × SELECT u.*, p.id FROM posts p, users u | posts users | all ",
        "1 × INSERT INTO users (id, name) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET name = ? RETURNING * | users | all id name",
        "2 × UPDATE users SET name = ? WHERE id = ? | users | id name",
        "1 × DELETE FROM users | users | ",
        "1 × ALTER TABLE users ADD COLUMN x text DEFAULT 'a' | users | ",
        "1 × EXPLAIN SELECT name FROM users | users | ",
    ]
    "#);
}

#[test]
fn what_cannot_be_read_is_told_if_it_has_the_name() {
    let texts =
        ["SELECT 'open FROM users", "SELEC users", "SELECT 1 FROM users WHERE", "VACUUM users"];
    insta::assert_debug_snapshot!(lines(Backend::Postgres, &texts), @r#"
    [
        "1 × SELECT | users | ",
        "1 × SELEC users | users | ",
        "1 × SELECT ? FROM users WHERE | users | ",
        "1 × VACUUM users | users | ",
    ]
    "#);
    let cut = Sent { is_cut: true, ..sent("INSERT INTO users VALUES (1, 'a") };
    let found = captured(Backend::Postgres, &[cut]).findings;
    let said: Vec<_> = found.iter().map(|f| (f.rule.id, f.message.as_str())).collect();
    insta::assert_debug_snapshot!(said, @r#"
    [
        (
            "NC203",
            "a statement that has `users` in it is too long to be kept, and was not read",
        ),
    ]
    "#);
}

fn sources(texts: &[&str]) -> Vec<String> {
    let texts: Vec<Sent> = texts.iter().map(|text| sent(text)).collect();
    let line = |seen: &SeenStatement| match &seen.source {
        Source::Written(at) => format!(
            "written {}",
            at.iter().map(|(p, at)| format!("{p}:{at}")).collect::<Vec<_>>().join(" ")
        ),
        Source::Template(at) => format!(
            "template {}",
            at.iter().map(|(p, at)| format!("{p}:{at}")).collect::<Vec<_>>().join(" ")
        ),
        other => format!("{other:?}"),
    };
    captured(Backend::Sqlite, &texts).statements.iter().map(line).collect()
}

#[test]
fn a_place_is_told_where_the_text_is_written() {
    let texts = [
        "INSERT INTO users VALUES (1, 'a')",
        "SELECT * FROM users",
        "DELETE\n\tFROM users /* said */",
        "INSERT INTO users (id) VALUES (7)",
        "SELECT id FROM users WHERE name = '{}' ORDER BY name, id",
        "UPDATE users SET name = ? WHERE id = ?",
        "UPDATE users SET name = $1 WHERE id = $2",
        "SELECT name FROM users",
        "SELECT `users`.`name` FROM `users`",
        "SELECT `users`.`id` FROM `users`",
    ];
    insta::assert_debug_snapshot!(sources(&texts), @r#"
    [
        "written a.rs:2:20",
        "written a.rs:4:15",
        "written a.rs:4:15",
        "written seed.sql:2:1",
        "template a.rs:5:23",
        "template a.rs:6:23",
        "Unknown",
        "LikeDiesel",
        "written a.rs:8:15",
    ]
    "#);
}

#[test]
fn only_what_nobody_has_examined_is_found() {
    let found = |text: &str| {
        let found = captured(Backend::Sqlite, &[sent(text)]).findings;
        found.iter().map(|f| (f.rule.id, f.help.clone())).collect::<Vec<_>>()
    };
    assert_eq!(
        found("INSERT INTO users VALUES (1, 'a')"),
        [("NC105", Some("it is written at a.rs:2:20".to_owned()))]
    );
    assert_eq!(found("INSERT INTO users VALUES (2, 'a')"), [("NC105", None)]);
    assert_eq!(found("INSERT INTO users (id, name) VALUES (2, 'a')"), []);
    assert_eq!(found("SELECT * FROM users"), []);
}

#[test]
fn what_the_code_says_of_diesels_statements_is_not_said_twice() {
    let known = Finding {
        rule: &REPLACE_INTO,
        class: REPLACE_INTO.class,
        due: StageKind::Expand,
        place: Where::File { path: "a.rs".into(), at: Place::new(CODE, 0..1) },
        message: "it is so".to_owned(),
        help: None,
        fix: None,
    };
    let found = |texts: &[&str], known: &[Finding]| {
        let texts: Vec<Sent> = texts.iter().map(|text| sent(text)).collect();
        let found = captured_beside(Backend::Mysql, &texts, known).findings;
        found.iter().map(|finding| finding.rule.id).collect::<Vec<_>>()
    };
    let built = "REPLACE INTO `users` (`id`) VALUES (?)";
    let other = "REPLACE INTO `users` (`id`, `name`) VALUES (?, ?)";
    assert_eq!(found(&[built], &[]), ["NC118"]);
    assert_eq!(found(&[built], std::slice::from_ref(&known)), [""; 0]);
    // One of them is not the one in the code.
    assert_eq!(found(&[built, other], std::slice::from_ref(&known)), ["NC118"; 2]);
    assert_eq!(found(&["REPLACE INTO users (id) VALUES (?)"], &[known]), ["NC118"]);
}

#[test]
fn values_make_no_statement_of_their_own_and_notes_are_kept() {
    let with = |sql: &str, application: &str| Sent {
        application: Some(application.to_owned()),
        count: 5,
        ..sent(sql)
    };
    let texts = [
        with("SELECT id FROM users WHERE id = 1 /*route='a'*/", "web"),
        with("SELECT id FROM users WHERE id = 2 /*route='b'*/", "job"),
        Sent { refused: true, count: 0, ..sent("SELECT id FROM users WHERE id = $1") },
    ];
    let seen = captured(Backend::Postgres, &texts).statements;
    let [one] = seen.as_slice() else { panic!("{seen:?}") };
    assert_eq!((one.count, one.refused), (10, true));
    assert_eq!(one.comments, ["route='a'", "route='b'"]);
    assert_eq!(one.applications, ["job", "web"]);
}

proptest! {
    #[test]
    fn any_text_is_counted_once(
        texts in proptest::collection::vec(
            "((?s).{0,20}|SELECT|FROM|users| |\"users\"|[*;,.()?'{}]|INSERT INTO|VALUES|WITH|/\\*|\\*/){0,12}",
            0..8,
        ),
        code in "((?s).{0,20}|\"|let |const |;|[{}()]|sql_query|SELECT \\{\\} FROM users|users| ){0,12}",
    ) {
        let files = [SourceFile { path: "a.rs".into(), text: code }];
        let sent: Vec<Sent> = texts.iter().map(|text| sent(text)).collect();
        for engine in Backend::ALL {
            let places = Places::of(&subject(), &BTreeSet::from([engine]), &files);
            let captured = examine_sent(&subject(), &places, engine, &sent, &[]);
            let shapes: BTreeSet<&str> = captured.statements.iter().map(|s| s.sql.as_str()).collect();
            prop_assert_eq!(shapes.len(), captured.statements.len());
            let twice: Vec<Sent> = sent.iter().chain(&sent).cloned().collect();
            let again = examine_sent(&subject(), &places, engine, &twice, &[]);
            let counts = |captured: &Captured| {
                captured.statements.iter().map(|seen| seen.count).collect::<Vec<_>>()
            };
            let doubled: Vec<u64> = counts(&captured).iter().map(|count| count * 2).collect();
            prop_assert_eq!(counts(&again), doubled);
        }
    }
}
