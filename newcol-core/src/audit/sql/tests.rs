//! What holds for every text; what is true of each rule is held against servers by the tests of the
//! whole tool.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::schema::SchemaFile;

const SCHEMA: &str = "
    table! { users (id) { id -> Integer, name -> Text, email -> Text, } }
    table! { posts (id) { id -> Integer, user_id -> Integer, title -> Text, body -> Text, } }
    table! { hist (id) { id -> Integer, name -> Text, email -> Text, } }";

fn subject() -> Subject {
    let schema = SchemaFile::parse(SCHEMA).unwrap();
    Subject::new(&"users.title".parse().unwrap(), None, (SCHEMA, &[]), &schema, Backend::ALL.into())
        .unwrap()
}

fn rules(text: &str, engines: &[Backend], origin: Origin) -> Vec<(&'static str, Class)> {
    let engines: BTreeSet<Backend> = engines.iter().copied().collect();
    let found = examine(text, &engines, &subject(), origin);
    found.iter().map(|finding| (finding.rule.id, finding.class)).collect()
}

fn ids(text: &str, engine: Backend, origin: Origin) -> Vec<&'static str> {
    rules(text, &[engine], origin).into_iter().map(|(id, _)| id).collect()
}

use Backend::{Mysql, Postgres, Sqlite};

#[test]
fn the_place_is_that_of_the_name() {
    let text = "-- ü\nSELECT 'ä', u.id,\n  title FROM users u, posts p";
    for engine in Backend::ALL {
        let found = examine(text, &BTreeSet::from([engine]), &subject(), Origin::Script);
        let [finding] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(&text[finding.range.clone()], "title");
        assert_eq!(
            finding.message,
            "`title` means a column of `p` and will mean one of `users` too"
        );
    }
    let text = "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $x$ BEGIN PERFORM title FROM users, posts; END $x$";
    let found = examine(text, &BTreeSet::from([Postgres]), &subject(), Origin::Script);
    assert_eq!(&text[found[0].range.clone()], "title");
}

#[test]
fn a_block_that_a_procedure_is_handed_is_looked_into() {
    let call = |block: &str| format!("CALL r.make_triggers('posts', $$\n{block}\n$$)");
    let bad = call("BEGIN INSERT INTO hist SELECT * FROM users; RETURN NULL; END;");
    assert_eq!(ids(&bad, Postgres, Origin::Script), ["NC106"]);
    let good =
        call("BEGIN UPDATE users AS u SET name = 'x' FROM posts WHERE posts.user_id = u.id; END;");
    assert_eq!(ids(&good, Postgres, Origin::Script), [""; 0]);
    assert_eq!(ids(&call("all users, * and more"), Postgres, Origin::Script), [""; 0]);
    let copy = "COPY \"users\" (\"id\", \"name\") FROM STDIN WITH (FORMAT binary)";
    let columns = usage(copy, Postgres, &subject()).unwrap().columns;
    assert_eq!(columns.into_iter().collect::<Vec<_>>(), ["id", "name"]);
    assert!(usage(&good, Postgres, &subject()).is_some());
    assert!(
        usage(&call("BEGIN UPDATE posts SET title = 'x'; END;"), Postgres, &subject()).is_none()
    );
}

#[test]
fn an_insert_without_list_is_mended_by_one() {
    let mended = |text: &str, engine| {
        let found = examine(text, &BTreeSet::from([engine]), &subject(), Origin::Script);
        let edit = found[0].fix.as_ref()?.edits[0].clone();
        let mut text = text.to_owned();
        text.replace_range(edit.range, &edit.text);
        assert_eq!(ids(&text, engine, Origin::Script), [""; 0], "{text}");
        Some(text)
    };
    assert_eq!(
        mended("INSERT INTO users VALUES (?, ?, 'x')", Mysql).as_deref(),
        Some("INSERT INTO users (id, name, email) VALUES (?, ?, 'x')")
    );
    let written =
        |name: &str, engines: &[Backend]| names::written(name, &engines.iter().copied().collect());
    assert_eq!(written("order", &[Mysql]).as_deref(), Some("`order`"));
    assert_eq!(written("order", &[Postgres, Sqlite]).as_deref(), Some("\"order\""));
    assert_eq!(written("order", &[Mysql, Sqlite]), None);
    assert_eq!(written("userId", &[Postgres]).as_deref(), Some("\"userId\""));
    // A list would make a silent loss of what fails.
    let found = examine(
        "REPLACE INTO users VALUES (1, 'a', 'b')",
        &BTreeSet::from([Sqlite]),
        &subject(),
        Origin::Script,
    );
    assert_eq!((found[0].rule.id, &found[0].fix), ("NC105", &None));
    // The number of values is not that of the columns: schema.rs and database differ.
    assert_eq!(mended("INSERT INTO users VALUES (1)", Sqlite), None);
}

#[test]
fn binds_of_every_driver_are_read() {
    for (text, engine) in [
        ("SELECT title FROM users, posts WHERE id = $1", Postgres),
        ("SELECT title FROM users, posts WHERE id = ?", Mysql),
        (
            "SELECT title FROM users, posts WHERE id = ?1 OR id = :name OR id = @x OR id = $y",
            Sqlite,
        ),
    ] {
        assert_eq!(rules(text, &[engine], Origin::Script), [("NC101", Class::Runtime)], "{text}");
    }
}

#[test]
fn what_cannot_be_read_is_never_clean() {
    for text in
        ["SELECT 1 FROM users WHERE )", "SELECT * FROM users WHERE (", "INSERT INTO users 'x"]
    {
        assert_eq!(
            rules(text, &Backend::ALL, Origin::Script),
            [("NC203", Class::Unknown)],
            "{text}"
        );
    }
    // One engine reads it.
    assert_eq!(rules("SELECT id::text FROM users", &Backend::ALL, Origin::Script), []);
    // It has nothing to do with the table.
    assert_eq!(rules("SELECT 1 FROM users_old WHERE )", &Backend::ALL, Origin::Script), []);
    let chain = format!("SELECT 1 FROM users WHERE a = 1{}", " OR a = 1".repeat(100_000));
    assert_eq!(rules(&chain, &[Postgres], Origin::Script), [("NC203", Class::Unknown)]);
    let chain = format!("SELECT 1, 2 FROM users{}", " UNION SELECT 1, 2".repeat(100_000));
    assert_eq!(rules(&chain, &[Postgres], Origin::Script), [("NC203", Class::Unknown)]);
}

#[test]
fn rows_are_read_by_name_and_by_position() {
    let by = |text, reading| ids(text, Postgres, Origin::Program(reading));
    let users_first = "SELECT * FROM users u JOIN posts p ON p.user_id = u.id";
    let users_last = "SELECT p.title, u.* FROM users u JOIN posts p ON p.user_id = u.id";
    let none: [&str; 0] = [];
    assert_eq!(by(users_first, Reading::FirstOfName), ["NC102"]);
    assert_eq!(by(users_last, Reading::FirstOfName), none);
    assert_eq!(by(users_first, Reading::LastOfName), none);
    assert_eq!(by(users_last, Reading::LastOfName), ["NC102"]);
    assert_eq!(by(users_first, Reading::Unknown), ["NC102"]);
    assert_eq!(by(users_first, Reading::Position), ["NC115"]);
    assert_eq!(by(users_last, Reading::Position), none);
    assert_eq!(by("DELETE FROM users RETURNING *", Reading::EveryField), ["NC115"]);
    assert_eq!(by("SELECT id FROM users", Reading::EveryField), none);
    assert_eq!(by("SELECT * FROM posts WHERE body = 'users'", Reading::EveryField), none);
}

#[test]
fn fragments_of_diesel() {
    let of = |text| rules(text, &[Postgres], Origin::Fragment);
    assert_eq!(of("users.*"), [("NC114", Class::Silent)]);
    assert_eq!(of("posts.*, users.*"), [("NC114", Class::Silent)]);
    assert_eq!(of("lower(title) = 'x'"), [("NC101", Class::Unknown)]);
    for harmless in
        ["count(users.*)", "users.id * 2", "posts.title", "title()", "1 AS title", "'title'"]
    {
        assert_eq!(of(harmless), [], "{harmless}");
    }
}

#[test]
fn an_old_migration_leaves_only_what_it_made() {
    let of = |text, origin| ids(text, Postgres, origin);
    let copies = "INSERT INTO hist SELECT * FROM users; CREATE VIEW v AS SELECT * FROM users;";
    assert_eq!(of(copies, Origin::OldMigration), ["NC110"]);
    assert_eq!(of(copies, Origin::NewMigration), ["NC106"]);
    let changes =
        "ALTER TABLE users ALTER COLUMN name SET DATA TYPE text, ALTER email SET DEFAULT 'x'";
    assert_eq!(of(changes, Origin::OldMigration), [""; 0]);
    assert_eq!(of(changes, Origin::NewMigration), ["NC119"]);
    let label = "ALTER TYPE mood ADD VALUE 'calm'; UPDATE users SET mood = 'calm';";
    assert_eq!(of(label, Origin::NewMigration), ["NC120"]);
    let apart = "ALTER TYPE mood ADD VALUE 'calm'; UPDATE users SET mood = 'sad';";
    assert_eq!(of(apart, Origin::NewMigration), [""; 0]);
    let made = "CREATE TYPE mood AS ENUM ('sad'); ALTER TYPE mood ADD VALUE 'calm'; UPDATE users SET mood = 'calm';";
    assert_eq!(rules(made, &[Postgres], Origin::NewMigration), [("NC120", Class::Unknown)]);
}

#[test]
fn what_later_migrations_drop_is_gone() {
    let history = |texts: &[&'static str]| {
        let found = examine_history(texts.iter().copied(), &BTreeSet::from([Postgres]), &subject());
        found.into_iter().map(|(text, finding)| (text, finding.rule.id)).collect::<Vec<_>>()
    };
    let made =
        "CREATE VIEW v AS SELECT * FROM users; CREATE MATERIALIZED VIEW w AS SELECT * FROM users";
    assert_eq!(history(&["SELECT 1", made]), [(1, "NC110"), (1, "NC110")]);
    assert_eq!(history(&[made, "DROP VIEW IF EXISTS public.v, w"]), []);
    assert_eq!(history(&[made, "DROP VIEW x; DROP TABLE v"]), [(0, "NC110"), (0, "NC110")]);
    let again = "CREATE OR REPLACE VIEW v AS SELECT id FROM posts; DROP MATERIALIZED VIEW w";
    assert_eq!(history(&[made, again]), []);
    assert_eq!(
        history(&[made, again, "CREATE VIEW w AS SELECT users.* FROM users"]),
        [(2, "NC110")]
    );
}

#[test]
fn rights_and_publications_by_column() {
    let of = |text| rules(text, &[Postgres], Origin::Script);
    assert_eq!(
        of("GRANT SELECT (id, name), INSERT ON TABLE posts, public.users TO r"),
        [("NC111", Class::Runtime)]
    );
    assert_eq!(of("GRANT SELECT, UPDATE (title) ON users TO r"), []);
    assert_eq!(of("GRANT SELECT (id) ON posts TO users"), []);
    assert_eq!(
        of("CREATE PUBLICATION p FOR TABLE posts, users (id, name)"),
        [("NC116", Class::Silent)]
    );
    assert_eq!(of("ALTER PUBLICATION p ADD TABLE users"), [("NC116", Class::Runtime)]);
    assert_eq!(of("CREATE PUBLICATION users FOR TABLE posts"), []);
}

#[test]
fn scripts_with_rows_and_bulk_loads() {
    let rows = "COPY users FROM stdin;\n3\tc'\tc\n\\.\nSELECT 1 FROM users;\n";
    assert_eq!(ids(rows, Postgres, Origin::Script), ["NC107"]);
    assert_eq!(ids("\\copy users from 'users.csv' csv\n", Postgres, Origin::Script), ["NC107"]);
    assert_eq!(ids("COPY users (id) FROM stdin;\n3\n\\.\n", Postgres, Origin::Script), [""; 0]);
    assert_eq!(
        rules("COPY users TO stdout", &[Postgres], Origin::Script),
        [("NC107", Class::Silent)]
    );
    let load = "LOAD DATA INFILE 'f' INTO TABLE users FIELDS TERMINATED BY ','";
    assert_eq!(ids(load, Mysql, Origin::Script), ["NC107"]);
    assert_eq!(ids(&format!("{load} (id, name)"), Mysql, Origin::Script), [""; 0]);
}

#[test]
fn statements_that_bodies_build_are_not_known() {
    let text = "DO $$ BEGIN EXECUTE 'DELETE FROM users WHERE ' || 'x'; EXECUTE 'SELECT 1'; END $$";
    assert_eq!(rules(text, &[Postgres], Origin::Script), [("NC202", Class::Unknown)]);
    let text = "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN EXECUTE format('INSERT INTO %I SELECT ($1).*', TG_ARGV[0]) USING OLD; RETURN NEW; END $$;
        CREATE TRIGGER t AFTER UPDATE ON users FOR EACH ROW EXECUTE FUNCTION f('hist')";
    assert_eq!(rules(text, &[Postgres], Origin::Script), [("NC202", Class::Unknown)]);
    let text = "CREATE FUNCTION f() RETURNS void LANGUAGE plpython3u AS $$ plpy.execute('SELECT * FROM users') $$";
    assert_eq!(rules(text, &[Postgres], Origin::Script), [("NC203", Class::Unknown)]);
}

#[test]
fn a_table_of_a_schema_is_not_the_one_of_another() {
    let schema = "pub mod audit { table! { audit.users (id) { id -> Integer, name -> Text, } } }
        table! { users (id) { id -> Integer, } }
        table! { posts (id) { id -> Integer, title -> Text, } }";
    let parsed = SchemaFile::parse(schema).unwrap();
    let path = "audit.users.title".parse().unwrap();
    let subject =
        Subject::new(&path, None, (schema, &[]), &parsed, BTreeSet::from([Postgres])).unwrap();
    let count = |text| examine(text, &BTreeSet::from([Postgres]), &subject, Origin::Script).len();
    assert_eq!(count("SELECT title FROM audit.users, posts"), 1);
    assert_eq!(count("SELECT title FROM users, posts"), 0);
    assert_eq!(count("SELECT title FROM public.users, posts"), 0);
}

#[test]
fn caches_of_sqlx() {
    let cache = |query: &str| {
        format!(r#"{{"db_name": "PostgreSQL", "query": "{query}", "describe": {{}}, "hash": "x"}}"#)
    };
    let of = |text: &str| {
        let found = examine_cache(text, &subject());
        found.iter().map(|finding| finding.rule.id).collect::<Vec<_>>()
    };
    assert_eq!(of(&cache("SELECT * FROM users WHERE id = $1")), ["NC121"]);
    assert_eq!(of(&cache("DELETE FROM users RETURNING *")), ["NC121"]);
    assert_eq!(of(&cache("SELECT 1 FROM users WHERE )")), ["NC203"]);
    for fresh in [cache("SELECT id FROM users"), cache("SELECT * FROM posts"), "{".to_owned()] {
        assert_eq!(of(&fresh), [""; 0], "{fresh}");
    }
}

/// Statements without strings, so that their case may change.
const STATEMENTS: &[&str] = &[
    "SELECT users.id , title FROM users JOIN posts ON posts.user_id = users.id",
    "SELECT id FROM posts p WHERE EXISTS ( SELECT 1 FROM users u WHERE u.id = p.user_id AND title IS NULL )",
    "SELECT count(*) FROM users NATURAL JOIN posts",
    "INSERT INTO users VALUES ( 1 , 2 , 3 )",
    "INSERT INTO hist SELECT * FROM users",
    "SELECT * FROM users UNION ALL SELECT id , name , email FROM hist",
    "WITH u AS ( SELECT * FROM users ) SELECT title FROM u , posts ORDER BY title",
    "SELECT * FROM users u JOIN posts p ON p.user_id = u.id",
    "CREATE VIEW v AS SELECT * FROM users",
    "CREATE TRIGGER keep AFTER UPDATE ON users FOR EACH ROW BEGIN INSERT INTO hist SELECT * FROM users WHERE id = NEW.id ; END",
    "GRANT SELECT ( id ) ON users TO r",
    "COPY users FROM stdin",
    "SELECT 1 FROM users WHERE )",
    "SELECT id , name FROM users ; SELECT count(*) FROM ( SELECT * FROM users ) x",
];

fn dress(statement: &str, spaces: &[&str], cases: &[bool]) -> String {
    let words = statement.split(' ').enumerate();
    words.fold(String::new(), |text, (n, word)| {
        let space = spaces[n % spaces.len()];
        let word = if cases[n % cases.len()] { word.to_uppercase() } else { word.to_owned() };
        text + space + &word
    })
}

proptest! {
    #[test]
    fn dress_changes_nothing(
        which in 0..STATEMENTS.len(),
        spaces in prop::collection::vec(
            prop::sample::select(vec![" ", "\n", "\t  ", " /* users; ' */ ", " -- x \"\n", "\r\n", " /*ü*/"]), 1..9),
        cases in prop::collection::vec(any::<bool>(), 1..7),
    ) {
        let dressed = dress(STATEMENTS[which], &spaces, &cases);
        for engine in Backend::ALL {
            prop_assert_eq!(
                rules(&dressed, &[engine], Origin::Script),
                rules(STATEMENTS[which], &[engine], Origin::Script),
                "{}: {}", engine, dressed
            );
        }
    }

    #[test]
    fn no_text_is_too_much(
        words in prop::collection::vec(prop_oneof![
            prop::sample::select(STATEMENTS.join(" ").split(' ').map(str::to_owned).collect::<Vec<_>>()),
            prop::sample::select(
                ["$$", "'", "\"", "`", "(", ")", ";", "users", "\\.", "BEGIN", "END", "CASE", "DO",
                 "CREATE FUNCTION f(", "RETURNS TABLE", "LANGUAGE plpgsql AS", "RETURN QUERY", "FOR", "IN",
                 "LOOP", "IF", "THEN", "EXECUTE", "USING (title)", "::", "*", "NEW.*", "(OLD).*", "INTO",
                 "COPY", "GRANT", "ON", "TO", "CREATE PUBLICATION", "TABLE", "ALTER TABLE users ALTER",
                 "TYPE", "MERGE INTO", "WHEN NOT MATCHED THEN INSERT", "WITH RECURSIVE", "VALUES", "."]
                .map(str::to_owned).to_vec()),
            "\\PC{0,6}",
        ], 0..40),
        origin in prop::sample::select(vec![
            Origin::Script, Origin::Fragment, Origin::OldMigration, Origin::NewMigration, Origin::Object,
            Origin::Program(Reading::Unknown),
        ]),
    ) {
        let text = words.join(" ");
        for finding in examine(&text, &Backend::ALL.into(), &subject(), origin) {
            prop_assert!(text.get(finding.range.clone()).is_some(), "{:?} of {}", finding.range, text);
        }
        examine_cache(&text, &subject());
    }
}

/// Returns the example under a heading of a rule's text.
fn example<'a>(text: &'a str, heading: &str) -> &'a str {
    let section = text.split(heading).nth(1).unwrap();
    section.split("```").nth(1).unwrap().split_once('\n').unwrap().1
}

#[test]
fn the_examples_of_the_rules_are_true() {
    let mut subject = subject();
    subject.column.has_default = true;
    subject.column.sql_types.insert(Postgres, "json".to_owned());
    subject.column.inserts_fail_from = Some(StageKind::Constrain);
    for rule in crate::audit::rules::RULES {
        let sql = rule.text.contains("## Fails\n\n```sql\n");
        let json = rule.text.contains("## Fails\n\n```json\n");
        // What a catalog shows is held against servers.
        let of_catalog = matches!(rule.id, "NC122" | "NC123");
        if of_catalog || (!sql && !json) {
            continue;
        }
        let engine = match rule.id {
            "NC105" | "NC118" => Sqlite,
            _ => Postgres,
        };
        let origin = match rule.id {
            "NC119" | "NC120" => Origin::NewMigration,
            _ => Origin::Script,
        };
        let found = |heading| {
            let text = example(rule.text, heading);
            let found = if json {
                examine_cache(text, &subject)
            } else {
                examine(text, &BTreeSet::from([engine]), &subject, origin)
            };
            found.iter().map(|finding| finding.rule.id).collect::<Vec<_>>()
        };
        assert!(found("## Fails").contains(&rule.id), "{}: {:?}", rule.id, found("## Fails"));
        assert!(!found("## Mended").contains(&rule.id), "{}", rule.id);
    }
}
