//! Each check with what it finds and what it lets pass.

use std::collections::BTreeSet;

use super::super::*;
use crate::{
    backend::Backend,
    ident::{Ident, TableName},
    schema::diesel_toml::{DieselConfig, PrintSchemaConfig},
};

/// Returns `id path:line` of every finding.
fn found(sources: &Sources) -> Vec<String> {
    examine(sources)
        .iter()
        .map(|f| match &f.at {
            Some(at) => format!("{} {}:{}", f.check.id, f.path, at.line),
            None => format!("{} {}", f.check.id, f.path),
        })
        .collect()
}

fn folder(name: &str, up: &str) -> Folder {
    Folder { name: name.to_owned(), up: Some(up.to_owned()), metadata: None }
}

fn bare(name: &str, up: &str) -> Folder {
    Folder { metadata: Some("run_in_transaction = false\n".to_owned()), ..folder(name, up) }
}

fn migrations(backend: Backend, folders: impl IntoIterator<Item = Folder>) -> Sources {
    let folders = folders.into_iter().collect();
    let dir = MigrationsDir { backend, path: "m".into(), folders, applied: None };
    Sources { migrations: vec![dir], ..Sources::default() }
}

fn named(names: &[&str]) -> Sources {
    migrations(Backend::Sqlite, names.iter().map(|name| folder(name, "SELECT 1;")))
}

fn schema(text: &str) -> Sources {
    Sources { schemas: vec![SchemaSource::new("s.rs", text)], ..Sources::default() }
}

fn diesel(features: &[&str]) -> PackageFacts {
    let features = features.iter().map(|f| (*f).to_owned()).collect();
    PackageFacts {
        name: "app".to_owned(),
        diesel: Some(DieselUse { features, default_features: true }),
        ..PackageFacts::default()
    }
}

const NONE: [&str; 0] = [];

#[test]
fn an_empty_project_has_no_findings() {
    assert_eq!(found(&Sources::default()), NONE);
    let ids: BTreeSet<&str> = CHECKS.iter().map(|check| check.id).collect();
    assert_eq!(ids.len(), CHECKS.len(), "every check has a name of its own");
}

#[test]
fn versions_are_unique() {
    let names = ["2026-01-05-090000-0000_a", "2026-01-05-090000-0000_b", "20260105_0900_c"];
    assert_eq!(found(&named(&names)), ["duplicate-version m/2026-01-05-090000-0000_b"]);
    // Hyphens do not tell versions apart.
    let names = ["2026-01-05-090000_a", "20260105090000_b"];
    assert_eq!(found(&named(&names)), ["duplicate-version m/20260105090000_b"]);
}

#[test]
fn versions_run_in_the_order_in_which_they_read() {
    for (names, wanted) in [
        (&["0.1.0_a", "0.2.0_b", "0.10.0_c"][..], &["version-order m/0.2.0_b"][..]),
        (&["1_a", "2_b", "10_c"], &["version-order m/2_b"]),
        (&["01_a", "02_b", "10_c"], &[]),
        (&["00000000000000_setup", "2018-01-14-171611_a", "2026-01-05-090000-0000_b"], &[]),
        // Old and new form of the CLI, and a day that no calendar has.
        (&["2026-01-05-090000-0000_a", "2026-02-30-999999_b", "2026-03-01-000000-0001_c"], &[]),
        (&["20260105_a", "2026-01-05-090000_b"], &[]),
        (&["2018-01-14-171611_a", "V2_b"], &["late-version m/V2_b"]),
        (&["2018-01-14-171611_a", "9_b"], &["late-version m/9_b", "version-order m/9_b"]),
        (&["2018-01-14-171611_a", "2126-01-14-171611_b"], &[]),
    ] {
        assert_eq!(found(&named(names)), wanted, "{names:?}");
    }
}

#[test]
fn folders_hold_an_up_sql_with_something_in_it() {
    let missing = Folder { name: "3_c".to_owned(), ..Folder::default() };
    let folders = [folder("1_a", ""), folder("2_b", "-- nothing\n"), missing];
    assert_eq!(
        found(&migrations(Backend::Postgres, folders)),
        ["empty-up-sql m/1_a/up.sql", "missing-up-sql m/3_c"]
    );
}

#[test]
fn metadata_says_what_it_means() {
    for (text, wanted) in [
        ("run_in_transaction = true\n", None),
        ("run_in_transaction = false\n# why\n", None),
        ("", Some("metadata-without-key m/1_a/metadata.toml")),
        ("disable_checks = []\n", Some("metadata-without-key m/1_a/metadata.toml")),
        ("run_in_transaction = no\n", Some("metadata-unreadable m/1_a/metadata.toml")),
        ("run_in_transaction = \"false\"\n", Some("metadata-unreadable m/1_a/metadata.toml")),
        ("run_in_transaction: false\n", Some("metadata-unreadable m/1_a/metadata.toml")),
    ] {
        let one = Folder { metadata: Some(text.to_owned()), ..folder("1_a", "SELECT 1") };
        assert_eq!(found(&migrations(Backend::Sqlite, [one])), wanted.as_slice(), "{text}");
    }
}

#[test]
fn concurrent_statements_are_alone_and_outside() {
    const INDEX: &str = "-- slow\nCREATE UNIQUE INDEX CONCURRENTLY i ON t (a);";
    let company = format!("SET lock_timeout = 1;{INDEX}");
    let unreadable = Folder { metadata: Some("?".to_owned()), ..folder("1_a", INDEX) };
    for (one, wanted) in [
        (bare("1_a", INDEX), &[][..]),
        (bare("1_a", "CREATE INDEX CONCURRENTLY i ON t (a);;\n-- done; really\n"), &[]),
        (folder("1_a", INDEX), &["concurrently-in-transaction m/1_a/up.sql:2"]),
        (bare("1_a", &company), &["concurrently-in-company m/1_a/up.sql:2"]),
        (
            folder("1_a", "DROP INDEX CONCURRENTLY IF EXISTS i"),
            &["concurrently-in-transaction m/1_a/up.sql:1"],
        ),
        (
            unreadable,
            &[
                "concurrently-in-transaction m/1_a/up.sql:2",
                "metadata-unreadable m/1_a/metadata.toml",
            ],
        ),
        // Not statements, and one that is allowed.
        (folder("1_a", "-- CREATE INDEX CONCURRENTLY\nSELECT 'CREATE INDEX CONCURRENTLY'"), &[]),
        (folder("1_a", "CREATE INDEX \"concurrently\" ON t (a)"), &[]),
        (folder("1_a", "REFRESH MATERIALIZED VIEW CONCURRENTLY v"), &[]),
        (
            folder(
                "1_a",
                "CREATE FUNCTION f() RETURNS trigger AS $$ begin DROP INDEX CONCURRENTLY i; end $$ LANGUAGE plpgsql",
            ),
            &[],
        ),
        (folder("1_a", "CREATE TABLE index_concurrently (a INT); CREATE INDEX i ON t (a)"), &[]),
    ] {
        let mut seen = found(&migrations(Backend::Postgres, [one.clone()]));
        seen.sort();
        assert_eq!(seen, wanted, "{one:?}");
        assert!(!found(&migrations(Backend::Sqlite, [one])).iter().any(|f| f.starts_with("conc")));
    }
}

const PARENT: &str = "CREATE TABLE users (id INTEGER PRIMARY KEY);\n\
    CREATE TABLE posts (id INTEGER PRIMARY KEY, user_id INT NOT NULL REFERENCES users (id) ON DELETE CASCADE);";

const REBUILD: &str = "PRAGMA foreign_keys = OFF;\nCREATE TABLE new_users (id INTEGER PRIMARY KEY, a INT);\n\
    INSERT INTO new_users (id) SELECT id FROM users;\nDROP TABLE users;\nALTER TABLE new_users RENAME TO users;\n\
    PRAGMA foreign_keys = ON;";

#[test]
fn a_rebuild_in_a_transaction_deletes_children() {
    let trap = ["rebuild-in-transaction m/2_b/up.sql:4"];
    let seen =
        |second: Folder, backend| found(&migrations(backend, [folder("1_a", PARENT), second]));
    assert_eq!(seen(folder("2_b", REBUILD), Backend::Sqlite), trap);
    assert_eq!(seen(folder("2_b", REBUILD), Backend::Postgres), NONE);
    assert_eq!(seen(bare("2_b", REBUILD), Backend::Sqlite), NONE);
    // The table goes for good, and its rows with it: that is what was meant.
    assert_eq!(seen(folder("2_b", "DROP TABLE users;"), Backend::Sqlite), NONE);
    // The old table set aside: references follow it.
    let aside = "ALTER TABLE users RENAME TO old;\nCREATE TABLE users (id INTEGER PRIMARY KEY);\nDROP TABLE old;";
    assert_eq!(
        seen(folder("2_b", aside), Backend::Sqlite),
        ["rebuild-in-transaction m/2_b/up.sql:3"]
    );
    // A child without such an action loses nothing, and neither does a parent without children.
    let plain = PARENT.replace(" ON DELETE CASCADE", "");
    let folders = [folder("1_a", &plain), folder("2_b", REBUILD)];
    assert_eq!(found(&migrations(Backend::Sqlite, folders)), NONE);
    // Where it has run, it cannot run again.
    let mut sources = migrations(Backend::Sqlite, [folder("1_a", PARENT), folder("2_b", REBUILD)]);
    sources.migrations[0].applied = Some(["1", "2"].map(str::to_owned).into());
    assert_eq!(found(&sources), NONE);
}

#[test]
fn mysql_commits_each_schema_change() {
    let folders = || {
        [
            folder("1_a", "CREATE TABLE a (id INT); CREATE TABLE b (id INT);"),
            folder("2_b", "ALTER TABLE a ADD c INT; UPDATE a SET c = 1;"),
        ]
    };
    assert_eq!(found(&migrations(Backend::Mysql, folders())), ["several-ddl m/1_a/up.sql"]);
    assert_eq!(found(&migrations(Backend::Postgres, folders())), NONE);
}

#[test]
fn databases_tell_of_keys_and_replays() {
    let table = |name| TableName { schema: None, name: Ident::new(name).unwrap() };
    let facts = || DatabaseFacts {
        place: "m".into(),
        keyless: vec![table("log"), table("previously_run_sql")],
        broken: None,
    };
    let config = DieselConfig::parse(
        "[print_schema]\nfile = \"s.rs\"\nfilter = { except_tables = [\"previously_run_sql\"] }",
    );
    let configs: Vec<PrintSchemaConfig> = config.unwrap().print_schema.into_values().collect();
    let sources = Sources { databases: vec![facts()], configs, ..Sources::default() };
    assert_eq!(found(&sources), ["no-primary-key m"]);
    assert!(examine(&sources)[0].message.contains("`log`"));
    let broken = DatabaseFacts { keyless: Vec::new(), broken: Some("no".into()), ..facts() };
    let sources = Sources { databases: vec![broken], ..Sources::default() };
    assert_eq!(found(&sources), ["replay m"]);
}

#[test]
fn schemas_are_readable() {
    let merge = "a\n<<<<<<< HEAD\nb\n=======\nc\n>>>>>>> x\n";
    assert_eq!(found(&schema(merge)), ["unreadable-schema s.rs:2"]);
    assert_eq!(
        found(&schema("diesel::table! { users (id) { id -> } }")),
        ["unreadable-schema s.rs:1"]
    );
    assert_eq!(found(&schema("// <<<<<<< not a merge\n")), NONE);
}

#[test]
fn names_that_table_needs_itself() {
    let table = |column: &str| {
        format!(
            "diesel::table! {{\n    users (id) {{\n        id -> Integer,\n        {column}\n    }}\n}}\n"
        )
    };
    for name in ["star", "all_columns", "dsl", "SqlType", "BoxedQuery", "users", "table", "columns"]
    {
        let text = table(&format!("{name} -> Text,"));
        assert_eq!(found(&schema(&text)), ["reserved-name s.rs:4"], "{name}");
    }
    for fine in [
        "#[sql_name = \"star\"]\n        star_ -> Text,",
        "filter -> Text,",
        "r#type -> Text,",
        "__x -> Text,",
    ] {
        assert_eq!(found(&schema(&table(fine))), NONE, "{fine}");
    }
}

/// A table `t` with so many columns.
fn wide(columns: usize) -> String {
    let columns: String = (1..columns).map(|n| format!("        c{n} -> Integer,\n")).collect();
    format!("diesel::table! {{\n    t (id) {{\n        id -> Integer,\n{columns}    }}\n}}\n")
}

#[test]
fn columns_fit_what_diesel_is_built_for() {
    for (columns, features, wanted) in [
        (31, &[][..], None),
        (32, &[], Some("column-limit s.rs:2")),
        (33, &[], Some("too-many-columns s.rs:2")),
        (33, &["64-column-tables"], None),
        (64, &["64-column-tables"], Some("column-limit s.rs:2")),
        (128, &["128-column-tables"], Some("column-limit s.rs:2")),
    ] {
        let packages = vec![PackageFacts::default(), diesel(features)];
        let sources = Sources { packages, ..schema(&wide(columns)) };
        assert_eq!(found(&sources), wanted.as_slice(), "{columns} {features:?}");
    }
    let mut package = diesel(&[]);
    package.diesel = Some(DieselUse::default());
    let sources = Sources { packages: vec![package], ..schema(&wide(16)) };
    assert_eq!(found(&sources), ["column-limit s.rs:2"]);
    assert_eq!(found(&schema(&wide(200))), NONE, "without diesel nothing is known");
}

const TYPES: &str = "diesel::table! {\n    t (id) {\n        id -> Uuid,\n        a -> Nullable<Numeric>,\n        \
    b -> Timestamptz,\n        c -> Nullable<Array<Nullable<Jsonb>>>,\n        d -> Inet,\n        e -> Array<Numeric>,\n    }\n}\n";

#[test]
fn types_have_their_features() {
    let with = |features: &[&str], backend| Sources {
        packages: vec![diesel(features)],
        ..Sources { migrations: migrations(backend, []).migrations, ..schema(TYPES) }
    };
    let all = [
        "missing-feature s.rs:3",
        "missing-feature s.rs:4",
        "missing-feature s.rs:5",
        "missing-feature s.rs:6",
        "missing-feature s.rs:7",
    ];
    assert_eq!(found(&with(&[], Backend::Postgres)), all);
    let numeric = &examine(&with(&[], Backend::Postgres))[1];
    assert!(numeric.message.contains("(and 1 more)"), "{numeric:?}");
    let some = ["uuid", "numeric", "time", "serde_json", "ipnet-address"];
    assert_eq!(found(&with(&some, Backend::Postgres)), NONE);
    // SQLite's times are read as text.
    assert!(!found(&with(&[], Backend::Sqlite)).contains(&"missing-feature s.rs:5".to_owned()));
    // A crate with a mapping of its own.
    let mut sources = with(&["uuid", "time", "serde_json", "network-address"], Backend::Postgres);
    assert_eq!(found(&sources), ["missing-feature s.rs:4"]);
    sources.packages[0].dependencies.insert("rust_decimal".to_owned());
    assert_eq!(found(&sources), NONE);
}

#[test]
fn schemas_are_what_diesel_prints() {
    let text = "// @generated\n\nuse diesel::table;\n";
    let with = |printing| Sources {
        printed: vec![Printed { schema: "s.rs".into(), printing }],
        ..schema("")
    };
    let mut same = with(Printing::Text(text.to_owned()));
    same.schemas = vec![SchemaSource::new("s.rs", text)];
    assert_eq!(found(&same), NONE);
    same.schemas = vec![SchemaSource::new("s.rs", text.replace("table", "view"))];
    assert_eq!(found(&same), ["schema-drift s.rs:3"]);
    let message = examine(&same)[0].message.clone();
    assert!(message.contains("`use diesel::view;`") && message.contains("`use diesel::table;`"));
    same.schemas = vec![SchemaSource::new("s.rs", text.trim_end())];
    assert_eq!(found(&same), ["schema-drift s.rs:3"]);
    same.schemas = vec![SchemaSource::new("s.rs", "")];
    assert_eq!(found(&same), ["schema-drift s.rs:1"]);
    assert_eq!(found(&with(Printing::Failed("no key".into()))), ["print-schema-fails s.rs"]);
    assert_eq!(found(&with(Printing::NotRun("no diesel".into()))), ["drift-not-checked s.rs"]);
}

#[test]
fn embedded_migrations_are_watched() {
    let rust = "// embed_migrations!()\nconst A: &str = \"embed_migrations!()\";\n\
                mod m { const M: E = diesel_migrations::embed_migrations!(\"../migrations\"); }\n";
    let embeds = Embed::find("src/lib.rs".into(), rust);
    assert_eq!(embeds.len(), 1);
    assert_eq!(embeds[0].argument.as_deref(), Some("../migrations"));
    assert_eq!(Embed::find("a.rs".into(), "embed_migrations!(").len(), 0);
    let plain = Embed::find("src/lib.rs".into(), "const M: E = embed_migrations!();");
    assert_eq!(plain[0].argument, None);

    let stale = ["stale-embed src/lib.rs:3"];
    let fresh = "fn main() { println!(\"cargo::rerun-if-changed=../migrations\"); }";
    let built = "fn main() { let dir = \"../../migrations/\"; println!(\"cargo:rerun-if-changed={dir}\"); }";
    let git = "fn main() { println!(\"cargo:rerun-if-changed=.git/HEAD\"); /* rerun-if-changed=migrations */ }";
    let silent = "fn main() { println!(\"cargo:rustc-cfg=x\"); }";
    for (script, embeds, wanted) in [
        (None, &embeds, &stale[..]),
        (Some(fresh), &embeds, &[]),
        (Some(built), &embeds, &[]),
        (Some(git), &embeds, &stale),
        // Runs again for every file of the package, which the directory is not below.
        (Some(silent), &embeds, &stale),
        (Some(silent), &plain, &[]),
    ] {
        let package = PackageFacts {
            embeds: embeds.clone(),
            build_script: script.map(str::to_owned),
            ..PackageFacts::default()
        };
        let sources = Sources { packages: vec![package], ..Sources::default() };
        assert_eq!(found(&sources), wanted, "{script:?}");
    }
}

#[test]
fn a_pinned_toolchain_is_there() {
    let installed = [
        "stable-x86_64-unknown-linux-gnu",
        "1.95.0-x86_64-unknown-linux-gnu",
        "nightly-2026-01-01-x86_64-unknown-linux-gnu",
        "mine",
    ];
    let missing = ["missing-toolchain rust-toolchain.toml"];
    let pin = |channel: &str| format!("[toolchain]\nchannel = \"{channel}\"\n");
    for (text, wanted) in [
        (pin("stable"), &[][..]),
        (pin("1.95.0"), &[]),
        (pin("1.95"), &missing),
        (pin("1.9"), &missing),
        (pin("nightly"), &missing),
        (pin("nightly-2026-01-01"), &[]),
        (pin("stable-x86_64-unknown-linux-gnu"), &[]),
        ("1.95.0\n".to_owned(), &[]),
        ("1.70.0\n".to_owned(), &missing),
        ("mine\n".to_owned(), &[]),
        ("[toolchain]\npath = \"/opt/rust\"\n".to_owned(), &[]),
        (String::new(), &[]),
    ] {
        let toolchain = |installed| Toolchain {
            path: "rust-toolchain.toml".into(),
            text: text.clone(),
            installed,
        };
        let list = Some(installed.map(str::to_owned).to_vec());
        let sources = Sources { toolchain: Some(toolchain(list)), ..Sources::default() };
        assert_eq!(found(&sources), wanted, "{text}");
        let sources = Sources { toolchain: Some(toolchain(None)), ..Sources::default() };
        assert_eq!(found(&sources), NONE, "without rustup nothing is known");
    }
}

#[test]
fn a_killed_command_is_reported() {
    let sources = Sources { journal: Some(".newcol-journal".into()), ..Sources::default() };
    assert_eq!(found(&sources), ["leftover-journal .newcol-journal"]);
}

const CONTRACT: &str = "format = 1\ntable = \"users\"\ncolumn = \"locale\"\nwhy = \"E-mails\"\n\
                        type = \"text\"\nrequired = false\n";

const USERS: &str = "diesel::table! {\n    users (id) {\n        id -> Integer,\n        locale -> Nullable<Text>,\n    }\n}\n";

#[test]
fn contracts_are_readable_and_known_to_the_schema() {
    let with = |contract: &str, rust: &str, up: &str| Sources {
        contracts: vec![ContractSource { path: "c.toml".into(), text: contract.to_owned() }],
        ..Sources {
            migrations: migrations(Backend::Postgres, [folder("1_a", up)]).migrations,
            ..schema(rust)
        }
    };
    let expand = "-- cargo newcol: users.locale, stage expand\nSELECT 1;";
    let without = USERS.replace("        locale -> Nullable<Text>,\n", "");
    assert_eq!(found(&with(CONTRACT, USERS, expand)), NONE);
    assert_eq!(found(&with(CONTRACT, &without, "SELECT 1;")), NONE, "not released yet");
    assert_eq!(found(&with(CONTRACT, &without, expand)), ["column-not-in-schema c.toml"]);
    let other = USERS.replace("users", "people");
    assert_eq!(found(&with(CONTRACT, &other, expand)), ["column-not-in-schema c.toml"]);
    let odd = CONTRACT.replace("required", "requird");
    assert_eq!(found(&with(&odd, USERS, expand)).last().unwrap(), "unreadable-contract c.toml:6");
    assert_eq!(found(&with("format = ", USERS, expand)), ["unreadable-contract c.toml:1"]);
    let star = CONTRACT.replace("locale", "star");
    assert_eq!(found(&with(&star, USERS, "SELECT 1;")), ["reserved-name c.toml"]);
    let mut json = with(&CONTRACT.replace("\"text\"", "\"jsonb\""), USERS, expand);
    json.packages = vec![diesel(&["postgres"])];
    assert_eq!(found(&json), ["missing-feature c.toml"]);
    json.packages = vec![diesel(&["serde_json"])];
    assert_eq!(found(&json), NONE);
}

#[test]
fn the_worst_comes_first() {
    let mut sources = migrations(
        Backend::Mysql,
        [folder("1_a", "CREATE TABLE a (id INT); DROP TABLE a"), folder("9_z", "")],
    );
    sources.journal = Some(".newcol-journal".into());
    let severities: Vec<Severity> = examine(&sources).iter().map(|f| f.check.severity).collect();
    assert!(severities.is_sorted_by(|a, b| a >= b), "{severities:?}");
    assert_eq!(severities.last(), Some(&Severity::Note));
}

#[test]
fn arbitrary_text_never_panics() {
    use proptest::{collection::vec, prelude::*, test_runner::TestRunner};
    let word = prop::sample::select(vec![
        "CREATE TRIGGER t BEGIN ",
        "END;",
        "CASE ",
        "END IF",
        ";",
        "'",
        "\"",
        "$$",
        "--",
        "/*",
        "\n",
        "DROP TABLE IF",
        " CONCURRENTLY INDEX ",
        "REFERENCES ",
        "ON DELETE",
        "ä",
        "table! {",
        "}",
        "embed_migrations!",
        "(",
        "=",
        "[toolchain]",
        "channel",
        "REINDEX",
        "ALTER TABLE x RENAME TO",
        ".",
        "🦀",
    ]);
    let text = vec(word, 0..24).prop_map(|words| words.concat());
    let run = |text: String| {
        for backend in Backend::ALL {
            let one = Folder { metadata: Some(text.clone()), ..folder(&text, &text) };
            let mut sources = migrations(backend, [one, folder("2_b", &text)]);
            sources.schemas = vec![SchemaSource::new("s.rs", text.as_str())];
            sources.contracts = vec![ContractSource { path: "c".into(), text: text.clone() }];
            sources.printed =
                vec![Printed { schema: "s.rs".into(), printing: Printing::Text("x".into()) }];
            sources.toolchain = Some(Toolchain {
                path: "t".into(),
                text: text.clone(),
                installed: Some(Vec::new()),
            });
            let embeds = Embed::find("a.rs".into(), &text);
            sources.packages =
                vec![PackageFacts { embeds, build_script: Some(text.clone()), ..diesel(&[]) }];
            examine(&sources);
        }
        Ok(())
    };
    TestRunner::default().run(&text, run).unwrap();
}
