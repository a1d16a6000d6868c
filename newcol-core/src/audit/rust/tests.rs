//! Sources with marks: `//~ NC001` says that the line is found by that rule, and nothing else is.

use std::collections::BTreeSet;

use super::{Memory, examine};
use crate::{
    audit::{Finding, SourceFile, Subject, Where},
    backend::Backend,
    contract::read,
    schema::SchemaFile,
};

const SCHEMA: &str = "
diesel::table! { users (id) { id -> Integer, name -> Text, email -> Nullable<Text>, } }
diesel::table! { posts (id) { id -> Integer, user_id -> Integer, title -> Text, nick -> Text, } }
diesel::joinable!(posts -> users (user_id));
diesel::allow_tables_to_appear_in_same_query!(users, posts);
";

/// The schema with the column, where the code knows it already.
const KNOWN: &str = "
diesel::table! { users (id) { id -> Integer, name -> Text, nick -> Nullable<Text>, email -> Nullable<Text>, } }
";

fn subject(contract: &str, schema: &str) -> Subject {
    let contract =
        format!("format = 1\ntable = 'users'\nwhy = 'a test'\ntype = 'text'\n{contract}");
    let contract = read::read(&contract).unwrap().contract;
    let parsed = SchemaFile::parse(schema).unwrap();
    let engines = BTreeSet::from([Backend::Postgres, Backend::Sqlite]);
    let module = ["schema".to_owned()];
    Subject::new(contract.path(), Some(&contract), (schema, &module), &parsed, engines).unwrap()
}

fn found(subject: &Subject, files: &[(&str, &str)]) -> Vec<Finding> {
    let files: Vec<SourceFile> = files
        .iter()
        .map(|(path, text)| SourceFile { path: (*path).into(), text: (*text).to_owned() })
        .collect();
    examine(subject, &files, &Memory::default())
}

/// Compares what is found with the marks.
fn check_with(subject: &Subject, text: &str) {
    let mut said = BTreeSet::new();
    for finding in found(subject, &[("src/lib.rs", text)]) {
        let Where::File { at, .. } = &finding.place else { panic!("{finding:?}") };
        said.insert(format!("{} {}", at.line, finding.rule.id));
    }
    let marks = text.lines().zip(1..).flat_map(|(line, number)| {
        let marks = line.split_once("//~").map(|(_, marks)| marks).unwrap_or_default();
        marks.split_whitespace().map(move |id| format!("{number} {id}"))
    });
    let wanted: BTreeSet<String> = marks.collect();
    let only = |one: &BTreeSet<String>, other: &BTreeSet<String>| -> Vec<String> {
        let lines: Vec<&str> = text.lines().collect();
        let line = |mark: &String| {
            let number: usize = mark.split(' ').next().unwrap().parse().unwrap();
            format!("{mark}: {}", lines.get(number - 1).unwrap_or(&"").trim())
        };
        one.difference(other).map(line).collect()
    };
    assert!(
        said == wanted,
        "missed: {:#?}\nfalse: {:#?}",
        only(&wanted, &said),
        only(&said, &wanted)
    );
}

const OPTIONAL: &str = "column = 'nick'\nrequired = false";
const REQUIRED: &str = "column = 'nick'\nrequired = true\n[old_rows]\nfill = 'lower(name)'\n[old_writers]\nby = 'nobody'";

fn check(text: &str) {
    check_with(&subject(OPTIONAL, SCHEMA), text);
}

#[test]
fn rows_by_position() {
    check(
        "use diesel::prelude::*; use crate::schema::{users, posts};
        #[derive(Queryable)] struct User { id: i32, name: String, email: Option<String> }
        #[derive(Queryable, Selectable)] #[diesel(table_name = users)] struct Known { id: i32, name: String }
        #[derive(Queryable)] struct Post { id: i32, user_id: i32, title: String, nick: String }
        fn all(c: &mut C) -> QueryResult<Vec<User>> { users::table.load(c) } //~ NC001
        fn said(c: &mut C) { users::table.filter(users::id.eq(1)).first::<User>(c); } //~ NC001
        fn boxed(c: &mut C) {
            let mut query = users::table.into_boxed();
            query = query.filter(users::id.gt(1));
            let rows: Vec<User> = query.load(c).unwrap(); //~ NC001
        }
        fn joined(c: &mut C) -> Vec<(Post, User)> {
            posts::table.inner_join(users::table).load(c).unwrap() //~ NC001
        }
        fn wide(c: &mut C) { users::table.select(users::all_columns).load::<User>(c); } //~ NC001
        fn aliased(c: &mut C) {
            let other = diesel::alias!(users as other);
            posts::table.inner_join(other.on(true)).select(other.fields(users::all_columns)).load::<User>(c); //~ NC001
        }
        fn added(c: &mut C) { diesel::insert_into(users::table).values(users::name.eq(\"x\")).get_result::<User>(c); } //~ NC001
        fn tuple(c: &mut C) { users::table.load::<(i32, String, Option<String>)>(c); } //~ NC001
        fn tuples(c: &mut C) -> QueryResult<Vec<(i32, String, Option<String>)>> { users::table.load(c) } //~ NC001
        // Harmless.
        fn named(c: &mut C) { users::table.select(Known::as_select()).load::<Known>(c); }
        fn some(c: &mut C) { users::table.select((users::id, users::name)).load::<(i32, String)>(c); }
        fn count(c: &mut C) { users::table.count().get_result::<i64>(c); }
        fn other(c: &mut C) { posts::table.load::<Post>(c); }
        fn changed(c: &mut C) { diesel::update(users::table).set(users::name.eq(\"x\")).execute(c); }
        ",
    );
}

#[test]
fn names_are_followed_through_imports() {
    check(
        "use diesel::prelude::*; use crate::db::schema::users as people;
        #[derive(Queryable)] struct User { id: i32, name: String, email: Option<String> }
        fn alias(c: &mut C) { people::table.load::<User>(c); } //~ NC001
        fn dsl(c: &mut C) { use crate::schema::users::dsl::*; users.load::<User>(c); } //~ NC001
        fn whole(c: &mut C) { use crate::schema::*; users::table.load::<User>(c); } //~ NC001
        fn full(c: &mut C) { crate::schema::users::table.load::<User>(c); } //~ NC001
        mod inner { use super::*; fn alias(c: &mut C) { people::table.load::<User>(c); } } //~ NC001
        impl User {
            fn own(c: &mut C) -> Option<Self> { people::table.first::<Self>(c).ok() } //~ NC001
            fn all(c: &mut C) -> Vec<Self> { people::table.load(c).unwrap() } //~ NC001
        }
        // A variable.
        fn local(users: Vec<i32>) { users.first::<User>(1); }
        mod elsewhere { pub mod users { pub fn load<T>(_: i32) {} } fn f() { users::load::<super::User>(1); } }
        ",
    );
}

/// Packages of one workspace have structs of one name.
#[test]
fn a_struct_is_looked_for_in_the_package_that_its_import_names() {
    const ROW: &str =
        "#[derive(Queryable)] pub struct User { id: i32, name: String, email: Option<String> }";
    const KNOWN: &str =
        "#[derive(Queryable, Selectable)] #[diesel(table_name = crate::schema::users)]
        pub struct User { id: i32, name: String, nick: Option<String>, email: Option<String> }";
    let ask = |import: &str| {
        let text = format!(
            "use diesel::prelude::*; use schema::users; {import}
            fn all(c: &mut C) -> QueryResult<Vec<User>> {{ users::table.load(c) }}"
        );
        let files = [
            ("a-row/src/models.rs", ROW),
            ("known/src/models.rs", KNOWN),
            ("known/src/queries.rs", text.as_str()),
            ("none/src/queries.rs", text.as_str()),
        ];
        let found = found(&subject(OPTIONAL, SCHEMA), &files);
        let said = found.iter().map(|f| {
            let in_row = f.help.as_deref().unwrap_or_default().ends_with("a-row/src/models.rs");
            (f.place.to_string(), in_row)
        });
        said.collect::<Vec<_>>()
    };
    let at = |dir: &str| (format!("{dir}/src/queries.rs:2:72"), true);
    assert_eq!(ask("use crate::models::User;"), [at("none")]);
    assert_eq!(ask("use super::models::*;"), [at("none")]);
    assert_eq!(ask("use a_row::models::User;"), [at("known"), at("none")]);
    assert_eq!(ask("use a_row::models::*;"), [at("known"), at("none")]);
    assert_eq!(ask("use known::models::User;"), []);
    assert_eq!(ask("use facade::User as User;").len(), 2);
}

#[test]
fn code_in_macros_counts() {
    check(
        "use crate::schema::users;
        db_object! {
            #[derive(Queryable)]
            pub struct User { id: i32, name: String, email: Option<String> }
        }
        async fn all(conn: &Conn) -> Vec<User> {
            db_run! { conn: { users::table.load::<User>(conn).expect(\"all\") } } //~ NC001
        }
        async fn two(conn: &Conn) -> Vec<User> {
            db_run! { conn:
                sqlite, mysql { users::table.load::<User>(conn) } //~ NC001
                postgresql { users::table.count() }
            }
        }
        ",
    );
}

#[test]
fn globs() {
    check(
        "use crate::schema::users::dsl::*;
        fn lets() { let nick = 1; } //~ NC011
        fn parameters(nick: &str) { users.filter(name.eq(1)); } //~ NC011
        fn closures() { [1].iter().map(|nick| 1); } //~ NC011
        fn patterns(pair: (i32, i32)) { if let (nick, _) = pair {} } //~ NC011
        fn shorthand(user: User) { let User { nick, .. } = user; } //~ NC011
        mod own { fn lets() { let nick = 1; } }
        ",
    );
    check(
        "fn by_name(nick: &str, c: &mut C) {
            use crate::schema::users::dsl::*;
            users.filter(name.eq(nick)); //~ NC012
        }
        fn harmless(nick: &str, c: &mut C) {
            { use crate::schema::users::dsl::*; users.filter(name.eq(\"x\")); }
            dbg(nick);
        }
        fn inner(c: &mut C) {
            use crate::schema::users::dsl::*;
            let nick = 1; //~ NC011
            users.filter(id.eq(nick));
        }
        fn taken(nick: &str) {
            use crate::schema::users::dsl::{users, name};
            users.filter(name.eq(nick));
        }
        ",
    );
    check(
        "use crate::schema::{users::dsl::*, posts::dsl::*};
        fn both(c: &mut C) { posts.filter(nick.eq(1)); } //~ NC013
        fn own(c: &mut C) { posts.filter(title.eq(1)); }
        ",
    );
}

#[test]
fn inserts_of_rows_that_must_have_it() {
    check_with(
        &subject(REQUIRED, SCHEMA),
        "use diesel::prelude::*; use crate::schema::users;
        #[derive(Insertable)] #[diesel(table_name = users)] struct New { name: String } //~ NC004
        #[derive(Insertable)] #[diesel(table_name = users)] struct Full { name: String, nick: String }
        #[derive(Insertable)] #[diesel(table_name = crate::schema::posts)] struct Post { title: String }
        #[derive(Insertable)] #[diesel(table_name = users)] struct Part { name: String }
        #[cfg_attr(feature = \"full\", derive(Insertable))]
        #[cfg_attr(feature = \"full\", diesel(table_name = users))]
        struct Gated { name: String } //~ NC004
        fn add(c: &mut C) { diesel::insert_into(users::table).values(users::name.eq(\"x\")).execute(c); } //~ NC004
        fn two(c: &mut C) { diesel::insert_into(users::table).values((users::name.eq(\"x\"), users::email.eq(\"y\"))).execute(c); } //~ NC004
        fn none(c: &mut C) { diesel::insert_into(users::table).default_values().execute(c); } //~ NC005
        fn all(c: &mut C) { diesel::insert_into(users::table).values((users::name.eq(\"x\"), users::nick.eq(\"y\"))).execute(c); }
        fn beside(c: &mut C, part: &Part) { diesel::insert_into(users::table).values((part, users::nick.eq(\"y\"))).execute(c); }
        ",
    );
    check(
        "use crate::schema::users;
        #[derive(Insertable)] #[diesel(table_name = users)] struct New { name: String }
        ",
    );
}

#[test]
fn copies_that_go_stale_and_rows_written_anew() {
    check_with(
        &subject(REQUIRED, SCHEMA),
        "use crate::schema::users;
        #[derive(AsChangeset)] #[diesel(table_name = users)] struct Rename { name: String }
        fn rename(c: &mut C) { diesel::update(users::table.find(1)).set(users::name.eq(\"x\")).execute(c); } //~ NC010
        fn form(c: &mut C, form: &Rename) { diesel::update(users::table).set(form).execute(c); } //~ NC010
        fn both(c: &mut C) { diesel::update(users::table).set((users::name.eq(\"x\"), users::nick.eq(\"x\"))).execute(c); }
        fn other(c: &mut C) { diesel::update(users::table).set(users::email.eq(\"x\")).execute(c); }
        fn replace(c: &mut C, row: &Row) { diesel::replace_into(users::table).values(row).execute(c); } //~ NC009
        fn kept(c: &mut C) { diesel::replace_into(users::table).values((users::id.eq(1), users::nick.eq(2))).execute(c); }
        ",
    );
}

#[test]
fn what_none_means() {
    check_with(
        &subject("column = 'nick'\nrequired = false\n[default]\nvalue = \"'D'\"\nkeep = true", KNOWN),
        "use crate::schema::users;
        #[derive(Insertable)] #[diesel(table_name = users)] struct New { name: String, nick: Option<String> } //~ NC006
        #[derive(Insertable)] #[diesel(table_name = users)] struct Sure { name: String, nick: Option<Option<String>> }
        #[derive(Insertable)] #[diesel(table_name = users, treat_none_as_default_value = false)] struct Null { nick: Option<String> }
        #[derive(AsChangeset)] #[diesel(table_name = users)] struct Keep { nick: Option<String> } //~ NC007
        #[derive(AsChangeset)] #[diesel(table_name = users)] #[diesel(treat_none_as_null = true)] struct Wipe { nick: Option<String> } //~ NC008
        #[derive(AsChangeset)] #[diesel(table_name = users, treat_none_as_null = true)] struct Without { email: Option<String> }
        #[derive(AsChangeset)] #[diesel(table_name = users)] struct Both { nick: Option<Option<String>> }
        ",
    );
}

#[test]
fn structs_that_know_the_column() {
    check_with(
        &subject(REQUIRED, KNOWN),
        "use crate::schema::users;
        #[derive(Queryable)] struct Swapped { id: i32, name: String, email: Option<String>,
            nick: Option<String> } //~ NC002
        #[derive(Queryable)] struct Sound { id: i32, name: String, nick: Option<String>, email: Option<String> }
        #[derive(Queryable, Selectable)] #[diesel(table_name = users)] struct Part { id: i32,
            nick: Option<String> } //~ NC017
        fn load(c: &mut C) { users::table.load::<Swapped>(c); users::table.load::<Sound>(c); }
        fn clear(c: &mut C) { diesel::update(users::table).set((users::id.eq(1), users::nick.eq(None::<String>))); } //~ NC017
        fn empty(c: &mut C) { users::table.filter(users::nick.is_null()).count(); }
        ",
    );
}

#[test]
fn replaced_columns_and_stored_rows() {
    check_with(
        &subject("column = 'nick'\nrequired = false\n[old_rows]\nfill = 'email'\n[replaces]\ncolumn = 'email'\nback = 'nick'", SCHEMA),
        "use crate::schema::{posts, users};
        #[derive(Insertable)] #[diesel(table_name = users)] struct New { name: String,
            email: Option<String> } //~ NC020
        fn named(c: &mut C) { users::table.filter(users::email.is_null()).select(users::id); } //~ NC020
        fn other(c: &mut C) { posts::table.filter(posts::title.eq(1)); }
        ",
    );
    check(
        "#[derive(Queryable, Deserialize)]
        struct Cached { id: i32, name: String, email: Option<String> } //~ NC022
        #[derive(Queryable, Deserialize)] #[serde(default)]
        struct Kind { id: i32, name: String, email: Option<String> }
        #[derive(Queryable, Serialize)]
        struct Shown { id: i32, name: String, email: Option<String> }
        ",
    );
}

#[test]
fn a_fix_fits_between_the_quotes_of_its_literal() {
    let schema = "diesel::table! { users (id) { id -> Integer, group -> Text, \
                  #[sql_name = \"Case\"] case_ -> Text, } }";
    let text = "fn f() { sql_query(\"INSERT INTO users VALUES (1, 'a', 'b')\"); }
        fn g() { sql_query(r#\"INSERT INTO users VALUES (1, 'a', 'b')\"#); }
        fn h() { sql_query(r\"INSERT INTO users VALUES (1, 'a', 'b')\"); }";
    let found = found(&subject(OPTIONAL, schema), &[("src/lib.rs", text)]);
    let texts: Vec<Option<&str>> =
        found.iter().map(|one| one.fix.as_ref().map(|fix| fix.edits[0].text.as_str())).collect();
    let escaped = r#" (id, \"group\", \"Case\")"#;
    assert_eq!(texts, [Some(escaped), Some(r#" (id, "group", "Case")"#), None]);
}

#[test]
fn what_cannot_be_read_is_said() {
    check("fn sql( { //~ NC201");
}

mod no_text_panics {
    use proptest::prelude::*;

    use super::*;

    const WORDS: &[&str] = &[
        "users",
        "::",
        "table",
        ".",
        "load",
        "<",
        ">",
        "(",
        ")",
        "{",
        "}",
        "use",
        "dsl",
        "*",
        ";",
        "fn",
        "f",
        "struct",
        "#",
        "[",
        "]",
        "derive",
        "Queryable",
        "diesel",
        "nick",
        "=",
        "let",
        "\"",
        "|",
        ",",
        "r#",
        "macro_rules",
        "!",
        "\u{e4}",
        "'",
        "insert_into",
        "values",
        "None",
        "1",
        "sql_query",
    ];

    proptest! {
        #[test]
        fn of_words(words in prop::collection::vec(prop::sample::select(WORDS), 0..60)) {
            found(&subject(REQUIRED, KNOWN), &[("a.rs", &words.join(" "))]);
        }

        #[test]
        fn at_all(text in "\\PC{0,200}") {
            found(&subject(REQUIRED, KNOWN), &[("a.rs", &text)]);
        }
    }

    #[test]
    fn however_deep() {
        for open in ["(", "[", "{", "!", "&", "if a {} else ", "a.b().", "a+", "Option<"] {
            let text = format!("fn f() {{ let a = {} }}", open.repeat(5_000));
            found(&subject(REQUIRED, KNOWN), &[("a.rs", &text)]);
        }
    }
}
