//! What stops compiling, and what looks like it and does not.

use newcol_core::plan::StageKind::{Constrain, Expand};
use newcol_testkit::project::Project;

use super::{CONN, SCHEMA, ask, found, manifest, marks, package, probe, stage, unchecked, users};

/// A column arrives: every place that takes the whole row in its order.
const ARRIVES: &str = r#"
use schema::{archive, users};

#[derive(Queryable)]
pub struct Row { pub id: i32, pub name: String }

#[derive(Queryable, Selectable)]
#[diesel(table_name = users)]
pub struct Named { pub id: i32, pub name: String }

#[derive(Insertable)]
#[diesel(table_name = users)]
pub struct New<'a> { pub name: &'a str }

pub fn whole(c: &mut impl Conn) -> QueryResult<Vec<Row>> {
    users::table.load::<Row>(c) //~ expand `c`
}

pub fn in_order(c: &mut impl Conn) -> QueryResult<(i32, String)> {
    users::table.select(users::all_columns).first(c) //~ expand `c`
}

pub fn copied(c: &mut impl Conn) -> QueryResult<usize> {
    users::table.insert_into(archive::table).execute(c) //~ expand `c`
}

pub type Both = (i32, String);
pub fn of_type() -> users::SqlType {
    (diesel::sql_types::Integer, diesel::sql_types::Text) //~ expand `(diesel::sql_types::Integer, diesel::sql_types::Text)`
}

macro_rules! all {
    ($table:ident, $row:ty, $c:expr) => {
        $table::table.load::<$row>($c)
    };
}

pub fn by_macro(c: &mut impl Conn) -> QueryResult<Vec<Row>> {
    all!(users, Row, c) //~ expand `c`
}

// None of these knows how many columns there are.
pub fn named(c: &mut impl Conn) -> QueryResult<Vec<Named>> {
    users::table.select(Named::as_select()).load(c)
}

pub fn two(c: &mut impl Conn) -> QueryResult<Vec<(i32, String)>> {
    users::table.select((users::id, users::name)).load(c)
}

pub fn listed(c: &mut impl Conn) -> QueryResult<usize> {
    users::table
        .select((users::id, users::name))
        .insert_into(archive::table)
        .into_columns((archive::id, archive::name))
        .execute(c)
}

pub fn insert(c: &mut impl Conn) -> QueryResult<usize> {
    diesel::insert_into(users::table).values(New { name: "x" }).execute(c)
}

pub fn other(c: &mut impl Conn) -> QueryResult<Vec<Row>> {
    archive::table.load::<Row>(c)
}
"#;

/// A column arrives: every place where its name meant something else.
const NAMES: &str = r#"
mod at_top {
    use crate::{Conn, schema::users::dsl::*};
    use diesel::prelude::*;

    pub fn bound(c: &mut impl Conn) -> QueryResult<String> {
        let locale = String::new(); //~ expand `locale`
        users.filter(name.eq(locale)).select(name).first(c) //~ expand `eq`
    }

    pub fn given(c: &mut impl Conn, wanted: &str) -> QueryResult<String> {
        let language = wanted;
        users.filter(name.eq(language)).select(name).first(c)
    }
}

mod within {
    use crate::Conn;
    use diesel::prelude::*;

    pub fn parameter(c: &mut impl Conn, locale: u8) -> QueryResult<i32> {
        use crate::schema::users::dsl::*;
        let wanted = locale.leading_zeros(); //~ expand `leading_zeros`
        users.filter(id.eq(wanted.cast_signed())).select(id).first(c)
    }

    pub fn other_table(c: &mut impl Conn, locale: u8) -> QueryResult<i32> {
        use crate::schema::archive::dsl::*;
        let wanted = locale.leading_zeros();
        archive.filter(id.eq(wanted.cast_signed())).select(id).first(c)
    }

    pub fn path(c: &mut impl Conn, locale: u8) -> QueryResult<i32> {
        use crate::schema::users;
        let wanted = locale.leading_zeros();
        users::table.filter(users::id.eq(wanted.cast_signed())).select(users::id).first(c)
    }
}

mod function {
    use crate::Conn;
    use diesel::prelude::*;

    fn locale() -> i32 { 1 }

    pub fn hidden(c: &mut impl Conn) -> QueryResult<i32> {
        use crate::schema::users::dsl::*;
        let wanted = locale(); //~ expand `locale`
        users.filter(id.eq(wanted)).select(id).first(c)
    }
}

mod two_globs {
    mod settings {
        pub fn locale() -> &'static str { "en" }
    }
    use crate::schema::users::dsl::*;
    use settings::*;

    pub fn called() -> &'static str {
        let _ = (users, name);
        locale() //~ expand `locale`
    }
}

mod named_import {
    mod settings {
        pub fn locale() -> &'static str { "en" }
    }
    use crate::schema::users::dsl::*;
    use settings::locale;

    pub fn called() -> &'static str {
        let _ = (users, name);
        locale()
    }
}
"#;

const ARCHIVE: &str = "diesel::table! {\n    archive (id) {\n        id -> Integer,\n        name -> Text,\n    }\n}\n\
                       diesel::allow_tables_to_appear_in_same_query!(archive, users);\n";

#[test]
fn the_column_that_comes_breaks_what_takes_the_whole_row_or_its_name() {
    let schema = |columns| users(columns) + ARCHIVE;
    let project = package("arrives", &format!("{ARRIVES}{NAMES}"), &schema("")).build().unwrap();
    let later = schema("        locale -> Nullable<Text>,\n");
    let last = schema("        locale -> Text,\n");
    let stages = [stage(Expand, SCHEMA, later), stage(Constrain, SCHEMA, last)];
    let report = ask(&project, &probe(project.root(), "arrives"), SCHEMA, &stages).unwrap();
    assert_eq!(found(&project, &report.findings), marks(&project));
    assert_eq!(unchecked(&report.findings), "");
    assert!(report.findings.iter().all(|finding| finding.rule.id == "NC301"));
    // Diesel's own words, through rustc.
    let whole = report.findings.iter().find(|finding| finding.message.contains("Row")).unwrap();
    assert_eq!(
        whole.help.as_deref(),
        Some(
            "this is a mismatch between what your query returns and what your type expects the \
             query to return"
        )
    );
}

/// The column is there, and the release relies on it.
const RELIES: &str = r#"
use schema::users;

#[derive(Queryable, Selectable)]
#[diesel(table_name = users)]
#[diesel(check_for_backend(Pg))]
pub struct Optional {
    pub id: i32,
    pub locale: Option<String>, //~ constrain `Option`
}

#[derive(Insertable)]
#[diesel(table_name = users)]
pub struct New { pub name: String, pub locale: Option<String> }

pub fn none(c: &mut impl Conn) -> QueryResult<i32> {
    users::table.filter(users::locale.eq(None::<String>)).select(users::id).first(c) //~ constrain `filter` //~ constrain `eq` //~ constrain `c`
}

pub fn wiped(c: &mut impl Conn, locale: Option<String>) -> QueryResult<usize> {
    diesel::update(users::table).set(users::locale.eq(locale)).execute(c) //~ constrain `set` //~ constrain `eq` //~ constrain `c`
}

pub fn insert(c: &mut impl Conn, new: New) -> QueryResult<usize> {
    diesel::insert_into(users::table).values(new).execute(c)
}

pub fn is_null(c: &mut impl Conn) -> QueryResult<i32> {
    users::table.filter(users::locale.is_null()).select(users::id).first(c)
}
"#;

#[test]
fn a_column_that_is_never_null_refuses_options() {
    let project =
        package("relies", RELIES, &users("        locale -> Nullable<Text>,\n")).build().unwrap();
    let stages = [stage(Constrain, SCHEMA, users("        locale -> Text,\n"))];
    let report = ask(&project, &probe(project.root(), "relies"), SCHEMA, &stages).unwrap();
    assert_eq!(found(&project, &report.findings), marks(&project));
}

/// The release relies on the column before it may.
const TOO_EARLY: &str = r#"
use schema::users;

#[derive(Queryable, Selectable)]
#[diesel(table_name = users)]
#[diesel(check_for_backend(Pg))]
pub struct Required {
    pub id: i32,
    pub locale: String, //~ expand `String`
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = users)]
#[diesel(check_for_backend(Pg))]
pub struct Either { pub id: i32, pub name: String }
"#;

#[test]
fn a_column_that_may_be_null_refuses_what_relies_on_it() {
    let project = package("early", TOO_EARLY, &users("        locale -> Text,\n")).build().unwrap();
    let stages = [stage(Expand, SCHEMA, users("        locale -> Nullable<Text>,\n"))];
    let report = ask(&project, &probe(project.root(), "early"), SCHEMA, &stages).unwrap();
    assert_eq!(found(&project, &report.findings), marks(&project));
}

#[test]
fn one_column_too_many_is_said_once_and_hides_the_rest() {
    let columns: String = (3..=16).map(|n| format!("        c{n} -> Text,\n")).collect();
    let lib = "pub fn f() -> usize { std::mem::size_of_val(&schema::users::table) }\n";
    let schema = |more: &str| format!("{}// the end\n", users(&format!("{columns}{more}")));
    let project = package("columns", lib, &schema("")).build().unwrap();
    let stages = [stage(Expand, SCHEMA, schema("        locale -> Text,\n"))];
    let report = ask(&project, &probe(project.root(), "columns"), SCHEMA, &stages).unwrap();
    let [finding] = &report.findings[..] else { panic!("{:#?}", report.findings) };
    assert!(finding.message.contains("more than 16 columns"), "{}", finding.message);
    // The whole macro of the project's own text, without the column.
    let [(_, path, line, text)] =
        &found(&project, &report.findings).into_iter().collect::<Vec<_>>()[..]
    else {
        panic!("{finding:#?}")
    };
    assert_eq!((path.as_str(), *line), (SCHEMA, 1));
    assert_eq!(format!("{text}\n// the end\n"), schema(""));
}

/// Three crates: the last does not break itself, and is behind one that does.
fn three() -> Project {
    let app = "pub use diesel;\npub fn all(c: &mut impl Conn) -> QueryResult<Vec<(i32, String)>> {\n    \
               schema::schema::users::table.load(c) //~ expand `c`\n}\n";
    let lock = std::fs::read_to_string(super::workspace().join("Cargo.lock")).unwrap();
    Project::builder()
        .file("Cargo.toml", "[workspace]\nresolver = \"3\"\nmembers = [\"a-*\", \"schema\"]\n")
        .file("Cargo.lock", lock)
        .file("schema/Cargo.toml", manifest("schema", ""))
        .file("schema/src/lib.rs", "pub mod schema;\n")
        .file("schema/src/schema.rs", users(""))
        .file("a-app/Cargo.toml", manifest("app", "schema = { path = \"../schema\" }\n"))
        .file("a-app/src/lib.rs", format!("{CONN}{app}"))
        .file(
            "a-app/tests/api.rs",
            "#[test]\nfn api() { let _ = app::diesel::result::Error::NotFound; }\n",
        )
        .file("a-down/Cargo.toml", manifest("down", "app = { path = \"../a-app\" }\n"))
        .file("a-down/src/main.rs", "fn main() { let _ = app::diesel::result::Error::NotFound; }\n")
        .file("a-lone/Cargo.toml", manifest("lone", ""))
        .file("a-lone/src/lib.rs", "pub fn f() {}\n")
        .build()
        .unwrap()
}

/// Two tables of another crate, one of which has the column's name already.
const TWO_TABLES: &str = r#"
use globs_schema::schema;
use globs_schema::schema::posts::dsl::*;
use globs_schema::schema::users::dsl::*;

pub fn posts_of(c: &mut impl Conn) -> QueryResult<i32> {
    let _ = users;
    posts.filter(locale.eq("en")).select(schema::posts::id).first(c) //~ expand `locale`
}
"#;

#[test]
fn globs_of_two_tables_are_reported_before_rustc_refuses_them() {
    let posts = "diesel::table! {\n    posts (id) {\n        id -> Integer,\n        locale -> Text,\n    }\n}\n";
    let cargo = manifest("globs", "globs-schema = { path = \"schema\" }\n");
    let project = package("globs", "", "")
        .file("Cargo.toml", format!("{cargo}\n[workspace]\n"))
        .file("src/lib.rs", format!("{CONN}{TWO_TABLES}"))
        .file("schema/Cargo.toml", manifest("globs-schema", ""))
        .file("schema/src/lib.rs", "pub mod schema;\n")
        .file("schema/src/schema.rs", users("") + posts)
        .build()
        .unwrap();
    let schema = "schema/src/schema.rs";
    let later = users("        locale -> Nullable<Text>,\n") + posts;
    let stages = [stage(Expand, schema, later)];
    let report = ask(&project, &probe(project.root(), "globs"), schema, &stages).unwrap();
    assert_eq!(found(&project, &report.findings), marks(&project));
    assert_eq!(report.findings[0].rule.id, "NC013");
}

#[test]
fn packages_behind_a_broken_one_are_unchecked_and_not_clean() {
    let project = three();
    for unused in ["src", "migrations", "diesel.toml"] {
        let path = project.root().join(unused);
        drop(std::fs::remove_dir_all(&path).or_else(|_| std::fs::remove_file(&path)));
    }
    let schema = "schema/src/schema.rs";
    let stages = [stage(Expand, schema, users("        locale -> Nullable<Text>,\n"))];
    let report = ask(&project, &probe(project.root(), "three"), schema, &stages).unwrap();
    assert_eq!(found(&project, &report.findings), marks(&project));
    insta::assert_snapshot!(unchecked(&report.findings), @"
    expand NC205 app: not compiled at stage expand, because something that it needs does not: test `api`
    expand NC205 down: not compiled at stage expand, because something that it needs does not: bin `down`
    ");
}

/// Generic code of the project's own, which fails for a struct at its `impl` and wherever it is used.
const GENERIC: &str = r#"
use diesel::query_dsl::LoadQuery;
use schema::users;

#[derive(Queryable)]
pub struct Row { pub id: i32, pub name: String }

pub trait Whole<C: Conn>: Sized + 'static
where
    users::table: for<'q> LoadQuery<'q, C, Self>,
{
    fn all(c: &mut C) -> QueryResult<Vec<Self>> {
        users::table.load::<Self>(c)
    }
}

impl<C: Conn> Whole<C> for Row {} //~ expand `Whole<C>`

pub fn once<C: Conn>(c: &mut C) -> QueryResult<Vec<Row>> {
    <Row as Whole<C>>::all(c)
}

pub fn again<C: Conn>(c: &mut C) -> QueryResult<Vec<Row>> {
    Row::all(c)
}
"#;

#[test]
fn what_generic_code_asks_for_is_said_once() {
    let project = package("probed-generic", GENERIC, &users("")).build().unwrap();
    let stages = [super::stage(Expand, SCHEMA, users("        locale -> Nullable<Text>,\n"))];
    let report = ask(&project, &probe(project.root(), "probed-generic"), SCHEMA, &stages).unwrap();
    assert_eq!(found(&project, &report.findings), marks(&project), "{:#?}", report.findings);
    let [one] = report.findings.as_slice() else { panic!("{:#?}", report.findings) };
    assert!(one.message.ends_with("; nor at 2 more places that rely on it"), "{}", one.message);
}
