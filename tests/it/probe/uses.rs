//! Every use of the table, exactly where it is named.

use newcol_core::audit::probe::{Report, Set};
use newcol_testkit::project::Project;

use super::{CONN, SCHEMA, ask, package, probe, users};

/// Writes the uses, one a line: place, text there, and what is named.
fn uses(project: &Project, report: &Report) -> String {
    let lines = report.uses.iter().map(|used| {
        let text = &project.read(&used.path).unwrap()[used.at.range.clone()];
        format!("{}:{}: `{text}` is {:?}\n", used.path, used.at, used.item)
    });
    lines.collect()
}

const USES: &str = r#"
#![allow(deprecated)]
use schema::users;

#[derive(Queryable, Selectable)]
#[diesel(table_name = users)]
pub struct Row { pub id: i32, pub name: String }

#[derive(Insertable, AsChangeset)]
#[diesel(table_name = users)]
pub struct New { pub name: String }

pub fn whole(c: &mut impl Conn) -> QueryResult<Vec<(i32, String)>> {
    users::table.select(users::all_columns).load(c)
}

pub fn glob(c: &mut impl Conn) -> QueryResult<Vec<String>> {
    use schema::users::dsl::*;
    users.filter(name.eq("x")).select(name).load(c)
}

pub use schema::users as people;
pub fn renamed() -> people::BoxedQuery<'static, Pg> {
    people::table.order(people::id).into_boxed()
}

macro_rules! column {
    ($table:ident) => { $table::name };
}
pub fn by_macro() -> users::name { column!(users) }

#[deprecated(note = "of the project's own")]
pub fn old() {}
pub fn other() { old() }
"#;

#[test]
fn all_that_a_table_makes_is_found_under_any_name() {
    // Inner attributes come first in a file.
    let lib = USES.replace("#![allow(deprecated)]\n", "");
    let project = package("uses", &lib, &users(""))
        .file(
            "src/lib.rs",
            format!("#![allow(deprecated)]\n#![deny(warnings)]\n{CONN}pub mod schema;{lib}"),
        )
        .file("tests/names.rs", "#[test]\nfn name() { let _ = uses::schema::users::name; }\n")
        .build()
        .unwrap();
    let report = ask(&project, &probe(project.root(), "uses"), SCHEMA, &[]).unwrap();
    insta::assert_snapshot!(uses(&project, &report), @r#"
    src/lib.rs:6:13: `users` is Module
    src/lib.rs:10:22: `id` is Column("id")
    src/lib.rs:10:35: `name` is Column("name")
    src/lib.rs:14:22: `name` is Column("name")
    src/lib.rs:17:12: `table` is Table
    src/lib.rs:17:32: `all_columns` is WholeRow
    src/lib.rs:21:24: `dsl` is Module
    src/lib.rs:22:5: `users` is Table
    src/lib.rs:22:18: `name` is Column("name")
    src/lib.rs:22:39: `name` is Column("name")
    src/lib.rs:25:17: `users` is Module
    src/lib.rs:26:29: `BoxedQuery` is WholeRow
    src/lib.rs:27:13: `table` is Table
    src/lib.rs:27:33: `id` is Column("id")
    src/lib.rs:31:33: `name` is Column("name")
    src/lib.rs:33:29: `name` is Column("name")
    tests/names.rs:2:42: `name` is Column("name")
    "#);
    assert_eq!(report.findings, []);
}

#[test]
fn diesel_may_have_another_name() {
    let lib =
        "pub mod schema;\npub use schema::users;\npub fn f() -> users::name { users::name }\n";
    let manifest =
        super::manifest("renamed", "").replace("diesel = {", "orm = { package = \"diesel\",");
    let schema = users("").replace("diesel::table!", "orm::table!");
    let project = package("renamed", "", &schema)
        .file("Cargo.toml", manifest)
        .file("src/lib.rs", format!("extern crate orm as diesel;\n{lib}"))
        .build()
        .unwrap();
    let report = ask(&project, &probe(project.root(), "renamed"), SCHEMA, &[]).unwrap();
    insta::assert_snapshot!(uses(&project, &report), @r#"
    src/lib.rs:3:17: `users` is Module
    src/lib.rs:4:22: `name` is Column("name")
    src/lib.rs:4:36: `name` is Column("name")
    "#);
}

#[test]
fn features_show_what_others_hide() {
    let lib =
        "#[cfg(feature = \"more\")]\npub fn f() -> schema::users::name { schema::users::name }\n";
    let manifest = format!("{}\n[features]\nmore = []\n", super::manifest("features", ""));
    let project =
        package("features", lib, &users("")).file("Cargo.toml", manifest).build().unwrap();
    let mut probe = probe(project.root(), "features");
    assert_eq!(uses(&project, &ask(&project, &probe, SCHEMA, &[]).unwrap()), "");
    probe.sets = vec![Set::default(), Set { features: vec!["more".to_owned()], ..Set::default() }];
    let report = ask(&project, &probe, SCHEMA, &[]).unwrap();
    insta::assert_snapshot!(uses(&project, &report), @r#"
    src/lib.rs:5:30: `name` is Column("name")
    src/lib.rs:5:52: `name` is Column("name")
    "#);
}
