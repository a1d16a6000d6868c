//! Laws of reading and editing, over schemas of every style we know.

use proptest::prelude::*;

use super::{
    diesel_toml::{DieselConfig, PrintSchemaConfig},
    types::{CustomType, Named, StubKind, TypeQuery, derive},
    *,
};
use crate::{
    backend::{Backend, Product},
    ident::{ColumnPath, Ident, TableName},
};

fn ident(text: &str) -> Ident {
    Ident::new(text).unwrap()
}

fn table(text: &str) -> TableName {
    TableName { schema: None, name: ident(text) }
}

fn column(name: &str, ty: &str) -> NewColumn {
    NewColumn {
        name: ident(name),
        ty: ty.to_owned(),
        max_length: None,
        docs: None,
        position: Position::Last,
        custom: None,
    }
}

fn add(to: &str, column: NewColumn) -> SchemaEdit {
    SchemaEdit::AddColumn { table: table(to), column }
}

fn config(toml: &str) -> PrintSchemaConfig {
    DieselConfig::parse(&format!("[print_schema]\n{toml}\n")).unwrap().print_schema["default"]
        .clone()
}

fn mood() -> CustomType {
    CustomType {
        rust_name: "Mood".to_owned(),
        sql_name: "mood".to_owned(),
        kind: StubKind::Postgres { schema: None },
    }
}

/// Applies an edit, demands `after`, and demands `before` again from its inverse.
fn check(toml: &str, before: &str, edit: SchemaEdit, after: &str) {
    let config = config(toml);
    let got = apply(before, Product::Postgres, &config, std::slice::from_ref(&edit)).unwrap();
    assert_eq!(got, after);
    let undo = inverse(&edit);
    assert_eq!(apply(after, Product::Postgres, &config, &[undo]).unwrap(), before);
}

fn inverse(edit: &SchemaEdit) -> SchemaEdit {
    match edit.clone() {
        SchemaEdit::AddColumn { table, column } => {
            SchemaEdit::DropColumn { table, column: column.name }
        }
        SchemaEdit::SetNullable { table, column } => SchemaEdit::SetNotNull { table, column },
        SchemaEdit::SetNotNull { table, column } => SchemaEdit::SetNullable { table, column },
        SchemaEdit::AddJoinable { child, column, parent } => {
            SchemaEdit::RemoveJoinable { child, column, parent }
        }
        SchemaEdit::AllowTogether { first, second } => SchemaEdit::ForbidTogether { first, second },
        other @ (SchemaEdit::DropColumn { .. }
        | SchemaEdit::SetDocs { .. }
        | SchemaEdit::RemoveJoinable { .. }
        | SchemaEdit::ForbidTogether { .. }) => panic!("{other:?} has no inverse here"),
    }
}

#[test]
fn a_file_is_read_with_all_its_parts() {
    let source = "\u{feff}// größe\r\n//! x\r\npub mod audit {\r\n    pub mod sql_types {\r\n        #[derive(SqlType)]\r\n        #[diesel(postgres_type(name = \"mood\", schema = \"x\"))]\r\n        pub struct Mood;\r\n    }\r\n\r\n    #[rustfmt::skip]\r\n    #[cfg(feature = \"ö\")]\r\n    diesel::table! {\r\n        use diesel::sql_types::*;\r\n        use super::sql_types::Mood;\r\n\r\n        /// Öffentlich\r\n        #[sql_name = \"audit.lög\"]\r\n        audit.log (a, b) {\r\n            /// doc ü\r\n            #[sql_name = \"type\"]\r\n            #[max_length = 7]\r\n            type_ -> Nullable<Varchar>, // c\r\n            m -> Array<Nullable<Mood>>\r\n        }\r\n    }\r\n}\r\njoinable!(log -> audit::users (m));\r\n";
    let file = SchemaFile::parse(source).unwrap();
    let found = file.table(source, &"audit.lög".parse().unwrap()).unwrap();
    assert_eq!(file.table(source, &"lög".parse().unwrap()).unwrap(), found);
    assert_eq!(
        (found.schema.as_deref(), found.module.as_slice()),
        (Some("audit"), &["audit".to_owned()][..])
    );
    assert_eq!(found.primary_key, ["a", "b"]);
    assert_eq!(found.cfgs, ["#[cfg(feature = \"ö\")]"]);
    assert_eq!(found.prefix, "diesel::");
    assert!(source[found.item..].starts_with("#[rustfmt::skip]"));
    assert!(source[found.range.clone()].starts_with("diesel::table!"));
    assert!(source[found.range.clone()].ends_with("}\r\n    }"));
    assert_eq!(&source[found.name_range.clone()], "log");
    assert_eq!(found.uses[1].path, "super::sql_types::Mood");
    let [ty, m] = found.columns.as_slice() else { panic!("{:?}", found.columns) };
    assert_eq!((ty.sql_name.as_str(), ty.max_length), ("type", Some(7)));
    assert_eq!(ty.docs, ["doc ü"]);
    assert!(source[ty.range.clone()].starts_with("/// doc ü\r\n"));
    assert_eq!(&source[ty.nullable.clone().unwrap()], "Varchar");
    assert_eq!(&source[m.ty_range.clone()], "Array<Nullable<Mood>>");
    assert!(m.comma.is_none() && !m.is_nullable());
    assert_eq!(file.stubs[0].rust_name, "Mood");
    assert_eq!(file.joinables[0].parent, "users");
}

#[test]
fn complaints_name_their_place() {
    let complaint = |source: &str| SchemaFile::parse(source).unwrap_err().to_string();
    assert_eq!(complaint("a\n<<<<<<< HEAD\n=======\n>>>>>>> b\n"), "merge conflict marker at 2:1");
    assert_eq!(
        complaint("table! { a (id) { id Integer } }"),
        "expected `->` after the name of a column at 1:22"
    );
    assert_eq!(complaint("table! {\n    ü (id) { id -> 5, } }"), "`5` is not a type at 2:20");
    assert!(complaint("table! { a (id) {").starts_with("unreadable token"));
    let source = "table! { a (id) { id -> Integer, } }\ntable! { a (id) { id -> Integer, } }\n";
    let error = apply(
        source,
        Product::Sqlite,
        &PrintSchemaConfig::default(),
        &[add("a", column("b", "Text"))],
    );
    assert_eq!(error.unwrap_err().to_string(), "table `a` is declared twice, at 1:1 and 2:1");
}

#[test]
fn edits_that_cannot_be_made_are_refused() {
    let source = "table! { a (id) { id -> Integer, type_ -> Text, } }\n";
    let edit = |edit| {
        apply(source, Product::Sqlite, &PrintSchemaConfig::default(), &[edit])
            .unwrap_err()
            .to_string()
    };
    assert_eq!(edit(add("b", column("c", "Text"))), "no `table!` declares `b`");
    assert_eq!(
        edit(add("a", column("type", "Text"))),
        "column `type` of `a` is already declared at 1:34"
    );
    assert_eq!(
        edit(add("a", column("star", "Text"))),
        "`table!` of `a` cannot hold a column named `star`"
    );
    assert_eq!(edit(add("a", column("c", "Text>"))), "`Text>` is not a Diesel type");
    assert!(edit(add("a", column("c\\d", "Text"))).starts_with("edited schema is not valid Rust"));
    assert_eq!(
        edit(SchemaEdit::DropColumn { table: table("a"), column: ident("x") }),
        "`table!` of `a` has no column `x`"
    );
}

#[test]
fn a_hand_written_table_keeps_its_style() {
    check(
        "",
        "table! { a (id) { id -> Integer, b -> Text } }",
        add("a", column("c", "Nullable<Text>")),
        "table! { a (id) { id -> Integer, b -> Text, c -> Nullable<Text> } }",
    );
    check(
        "",
        "table! { a { id -> Integer,/*x*/ } }",
        add(
            "a",
            NewColumn {
                max_length: Some(3),
                docs: Some("hi".to_owned()),
                ..column("type", "Varchar")
            },
        ),
        "table! { a { id -> Integer, #[sql_name = \"type\"] #[max_length = 3] type_ -> Varchar,/*x*/ } }",
    );
    check(
        "",
        "table! {\r\n\ta {\r\n\t\tid -> diesel::sql_types::Integer, // key, }\r\n\t\tb -> diesel::sql_types::Text /* no\r\ncomma */ // at all\r\n\t\t// end\r\n\t}\r\n}",
        add("a", column("c", "Nullable<Array<Text>>")),
        "table! {\r\n\ta {\r\n\t\tid -> diesel::sql_types::Integer, // key, }\r\n\t\tb -> diesel::sql_types::Text, /* no\r\ncomma */ // at all\r\n\t\tc -> diesel::sql_types::Nullable<diesel::sql_types::Array<diesel::sql_types::Text>>\r\n\t\t// end\r\n\t}\r\n}",
    );
    check(
        "column_sorting = \"name\"",
        "table! { a { id -> sql_types::Integer, z -> sql_types::Text } }",
        add("a", column("b", "Text")),
        "table! { a { b -> sql_types::Text, id -> sql_types::Integer, z -> sql_types::Text } }",
    );
    check(
        "",
        "table! { a { id -> Integer, z -> sql_types::Text } }",
        SchemaEdit::SetNullable { table: table("a"), column: ident("z") },
        "table! { a { id -> Integer, z -> sql_types::Nullable<sql_types::Text> } }",
    );
    check(
        "",
        "table! { a { id -> Integer } }\ntable! { b { id -> Integer } }\nfn f() {}\n",
        SchemaEdit::AllowTogether { first: table("b"), second: table("a") },
        "table! { a { id -> Integer } }\ntable! { b { id -> Integer } }\n\nallow_tables_to_appear_in_same_query!(a, b,);\nfn f() {}\n",
    );
}

#[test]
fn a_custom_type_comes_and_goes_with_its_last_column() {
    let before = "// @generated automatically by Diesel CLI.\n\ndiesel::table! {\n    a (id) {\n        id -> Int4,\n    }\n}\n";
    let once = "// @generated automatically by Diesel CLI.\n\npub mod sql_types {\n    #[derive(diesel::sql_types::SqlType)]\n    #[diesel(postgres_type(name = \"mood\"))]\n    pub struct Mood;\n}\n\ndiesel::table! {\n    use diesel::sql_types::*;\n    use super::sql_types::Mood;\n\n    a (id) {\n        id -> Int4,\n        m -> Mood,\n    }\n}\n";
    check("", before, add("a", NewColumn { custom: Some(mood()), ..column("m", "Mood") }), once);
    let twice = once.replace("m -> Mood,\n", "m -> Mood,\n        n -> Nullable<Mood>,\n");
    let second = NewColumn { custom: Some(mood()), ..column("n", "Nullable<Mood>") };
    check("", once, add("a", second), &twice);
}

#[test]
fn docs_follow_the_type() {
    check(
        "with_docs = true",
        "table! {\n    a {\n        /// The `id` column of the `a` table.\n        ///\n        /// Its SQL type is `Text`.\n        ///\n        /// (Automatically generated by Diesel.)\n        id -> Text,\n    }\n}\n",
        SchemaEdit::SetNullable { table: table("a"), column: ident("id") },
        "table! {\n    a {\n        /// The `id` column of the `a` table.\n        ///\n        /// Its SQL type is `Nullable<Text>`.\n        ///\n        /// (Automatically generated by Diesel.)\n        id -> Nullable<Text>,\n    }\n}\n",
    );
}

#[test]
fn foreign_keys_join_groups() {
    let before = "diesel::table! {\n    a (id) {\n        id -> Integer,\n        b_id -> Integer,\n    }\n}\n\ndiesel::table! {\n    b (id) {\n        id -> Integer,\n    }\n}\n";
    let after = format!(
        "{before}\ndiesel::joinable!(a -> b (b_id));\n\ndiesel::allow_tables_to_appear_in_same_query!(a, b,);\n"
    );
    let edit =
        SchemaEdit::AddJoinable { child: table("a"), column: ident("b_id"), parent: table("b") };
    let toml = "allow_tables_to_appear_in_same_query_config = \"fk_related_tables\"";
    check(toml, before, edit, &after);
    let drop = SchemaEdit::DropColumn { table: table("a"), column: ident("b_id") };
    assert_eq!(
        apply(&after, Product::Postgres, &config(toml), &[drop]).unwrap(),
        before.replace("        b_id -> Integer,\n", "")
    );
}

#[test]
fn deep_nesting_does_not_exhaust_the_stack() {
    for (open, close) in [
        ("pub mod a {", "}"),
        ("cfg_if! { { ", "} }"),
        ("(", ")"),
        ("table! { t0 { a -> A<", "> } }"),
    ] {
        exercise(&(open.repeat(20_000) + &close.repeat(20_000)));
    }
    exercise(&format!(
        "table! {{ t0 {{ id__ -> {}A{} }} }}",
        "A<".repeat(20_000),
        ">".repeat(20_000)
    ));
    let deep = "Nullable<".repeat(20_000) + &">".repeat(20_000);
    let edit = add("t0", column("c", &deep));
    let source = "table! { t0 { id__ -> Integer } }";
    let error = apply(source, Product::Sqlite, &PrintSchemaConfig::default(), &[edit]);
    assert!(matches!(error, Err(SchemaError::NotAType { .. })));
}

/// What PostgreSQL, MariaDB and SQLite make of a type was compared with diesel_cli 2.3.14 on
/// servers; here stands what must not change.
#[test]
fn types_as_print_schema_writes_them() {
    let path: ColumnPath = "users.mood".parse().unwrap();
    let config = PrintSchemaConfig::default();
    let of = |product, sql| {
        let named = Named::Unknown;
        let query = TypeQuery {
            product,
            sql,
            column: &path,
            config: &config,
            named,
            default_schema: "public",
        };
        match derive(&query) {
            Ok(ty) => match ty.max_length {
                Some(length) => format!("{} {length}", ty.diesel),
                None => ty.diesel,
            },
            Err(_) => "refused".to_owned(),
        }
    };
    for (product, sql, ty) in [
        (Product::Postgres, "timestamp with time zone", "Timestamptz"),
        (Product::Postgres, "character varying(16)", "Varchar 16"),
        (Product::Postgres, "char", "Bpchar 1"),
        (Product::Postgres, "\"char\"", "Char"),
        (Product::Postgres, "bigserial", "Int8"),
        (Product::Postgres, "text[3][]", "Array<Nullable<Text>>"),
        (Product::Postgres, "x.\"Odd\"\"y\"", "OddY"),
        (Product::Postgres, "bit(3)", "refused"),
        (Product::Postgres, "int -- x", "refused"),
        (Product::Mysql, "tinyint(1)", "Bool"),
        (Product::Mysql, "int(10) unsigned zerofill", "Unsigned<Integer>"),
        (Product::Mysql, "enum('a','b''c)')", "UsersMoodEnum 4"),
        (Product::Mysql, "set('a','bc')", "UsersMoodSet 4"),
        (Product::Mysql, "json", "Json"),
        (Product::Mariadb, "json", "Longtext"),
        (Product::Mariadb, "mediumint", "refused"),
        (Product::Sqlite, "varchar(16)", "Text"),
        (Product::Sqlite, "unsigned big int", "BigInt"),
        (Product::Sqlite, "point", "Integer"),
        (Product::Sqlite, "json", "refused"),
    ] {
        assert_eq!(of(product, sql), ty, "{product:?} {sql}");
    }
}

/// A column's name: plain, reserved, odd, in another script.
fn names() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z][a-z0-9_]{0,6}",
        "[^\\p{C}\\\\]{1,6}",
        prop::sample::select(vec!["type", "self", "__x", "größe", "a b", "a\"b", "users", "1"])
            .prop_map(str::to_owned),
    ]
}

#[derive(Debug, Clone)]
struct Style {
    crlf: bool,
    one_line: bool,
    trailing_comma: bool,
    comments: bool,
    bom: bool,
    end: bool,
}

fn style() -> impl Strategy<Value = Style> {
    any::<[bool; 6]>().prop_map(|[crlf, one_line, trailing_comma, comments, bom, end]| Style {
        crlf,
        one_line,
        trailing_comma,
        comments: comments && !one_line,
        bom,
        end,
    })
}

/// Writes tables with the columns given, as a person of this style would.
fn write(style: &Style, tables: &[Vec<String>]) -> String {
    let mut lines = vec!["// größe: ⌘".to_owned()];
    for (at, columns) in tables.iter().enumerate() {
        let mut seen = Vec::new();
        let mut written = vec!["id__ -> Integer".to_owned()];
        for name in columns {
            let rust = names::column_name(name, &format!("t{at}"));
            if seen.contains(&rust) || names::breaks_table(name, &rust) {
                continue;
            }
            let attr = if rust == *name {
                String::new()
            } else {
                let gap = if style.one_line { " " } else { "\n        " };
                format!("#[sql_name = {}]{gap}", names::string_literal(name))
            };
            written.push(format!("{attr}{rust} -> Nullable<Text>"));
            seen.push(rust);
        }
        let count = written.len();
        if style.one_line {
            let comma = if style.trailing_comma { "," } else { "" };
            let columns = written.join(", ");
            lines.push(format!("table! {{ t{at} (id__) {{ {columns}{comma} }} }}"));
            continue;
        }
        lines.push(format!("diesel::table! {{\n    t{at} (id__) {{"));
        for (n, column) in written.iter().enumerate() {
            if style.comments {
                lines.push("        // é, } ->".to_owned());
            }
            let comma = if n + 1 < count || style.trailing_comma { "," } else { "" };
            let note = if style.comments { " /* ß\n */ // x," } else { "" };
            lines.push(format!("        {column}{comma}{note}"));
        }
        lines.push("    }\n}\n".to_owned());
    }
    let bom = if style.bom { "\u{feff}" } else { "" };
    let text = format!("{bom}{}", lines.join("\n"));
    let text = if style.end { text } else { text.trim_end().to_owned() };
    if style.crlf { text.replace('\n', "\r\n") } else { text }
}

fn tables() -> impl Strategy<Value = Vec<Vec<String>>> {
    prop::collection::vec(prop::collection::vec(names(), 0..5), 1..4)
}

proptest! {
    #[test]
    fn an_edit_adds_one_column_and_its_inverse_gives_the_file_back(
        style in style(),
        tables in tables(),
        name in names(),
        pick in any::<prop::sample::Index>(),
        by_name in any::<bool>(),
        custom in any::<bool>(),
        docs in prop::option::of("[^\\p{C}]{0,20}(\n[a-z ]{0,5})?"),
        max_length in prop::option::of(1_u64..99),
        with_docs in prop::sample::select(vec!["true", "false", "\"only-database-comments\""]),
    ) {
        let sorting = if by_name { "name" } else { "ordinal_position" };
        let config = config(&format!("with_docs = {with_docs}\ncolumn_sorting = \"{sorting}\""));
        let source = write(&style, &tables);
        let before = SchemaFile::parse(&source).unwrap();
        let target = format!("t{}", pick.index(tables.len()));
        let ty = if custom { "Nullable<Mood>" } else { "Nullable<Text>" };
        let new = NewColumn {
            max_length,
            docs,
            custom: custom.then(mood),
            ..column(&name, ty)
        };
        let edit = add(&target, new);
        let after = match apply(&source, Product::Postgres, &config, std::slice::from_ref(&edit)) {
            Err(SchemaError::ColumnExists { .. } | SchemaError::ColumnReserved { .. }) => {
                return Ok(());
            }
            after => after.unwrap(),
        };
        let parsed = SchemaFile::parse(&after).unwrap();
        for (old, new) in before.tables.iter().zip(&parsed.tables) {
            let added = usize::from(old.rust_name == target);
            prop_assert_eq!(old.columns.len() + added, new.columns.len());
            let kept = new.columns.iter().filter(|c| c.sql_name != name || added == 0);
            prop_assert!(kept.map(|c| (&c.rust_name, &c.ty)).eq(
                old.columns.iter().map(|c| (&c.rust_name, &c.ty))
            ));
        }
        let found = parsed.table(&after, &table(&target)).unwrap().column(&ident(&name));
        prop_assert!(found.is_some_and(|c| c.ty == ty));
        if style.crlf {
            prop_assert!(!after.replace("\r\n", "").contains('\n'));
        }
        let not_null =
            SchemaEdit::SetNotNull { table: table(&target), column: ident(&name) };
        let back = inverse(&not_null);
        prop_assert_eq!(
            &apply(&after, Product::Postgres, &config, &[not_null, back]).unwrap(),
            &after
        );
        let undone = apply(&after, Product::Postgres, &config, &[inverse(&edit)]).unwrap();
        prop_assert_eq!(undone, source);
    }

    #[test]
    fn docs_come_and_go(style in style(), tables in tables(), docs in "[a-zé ]{1,9}(\n *[a-z]{1,5})?") {
        let config = config("with_docs = \"only-database-comments\"");
        let source = write(&style, &tables);
        let set = |docs: Option<&str>| SchemaEdit::SetDocs {
            table: table("t0"),
            column: ident("id__"),
            docs: docs.map(str::to_owned),
        };
        let with = apply(&source, Product::Postgres, &config, &[set(Some(&docs))]).unwrap();
        let file = SchemaFile::parse(&with).unwrap();
        let lines: Vec<&str> = docs.lines().map(str::trim).collect();
        prop_assert_eq!(&file.tables[0].columns[0].docs, &lines);
        prop_assert_eq!(apply(&with, Product::Postgres, &config, &[set(None)]).unwrap(), source);
    }

    #[test]
    fn arbitrary_text_never_panics(text in any::<String>(), words in tokens()) {
        for text in [text, words] {
            let _result = SchemaFile::parse(&text);
            exercise(&text);
        }
    }

    #[test]
    fn a_damaged_file_never_panics(
        style in style(),
        tables in tables(),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..6, tokens()), 1..4),
    ) {
        let mut text = write(&style, &tables);
        for (at, remove, insert) in cuts {
            let mut start = at.index(text.len() + 1);
            while !text.is_char_boundary(start) {
                start -= 1;
            }
            let end = text[start..].char_indices().nth(remove).map_or(text.len(), |(n, _)| start + n);
            text.replace_range(start..end, &insert);
        }
        exercise(&text);
    }

    #[test]
    fn an_arbitrary_type_never_panics(sql in "\\PC{0,12}|[a-z ()'\"\\[\\].,0-9]{0,20}", over in "[a-z\"\\[(]{0,6}") {
        let path: ColumnPath = "users.mood".parse().unwrap();
        for backend in Backend::ALL {
            let product = crate::backend::Server::oldest(backend).product;
            for named in [Named::Unknown, Named::DomainOver(&over)] {
                let config = PrintSchemaConfig::default();
                let query = TypeQuery { product, sql: &sql, column: &path, config: &config, named, default_schema: "public" };
                if let Ok(ty) = derive(&query) {
                    prop_assert!(syn::parse_str::<syn::TypePath>(&ty.diesel).is_ok(), "{}", ty.diesel);
                }
            }
        }
    }
}

/// Text made of the tokens that a schema is made of.
fn tokens() -> impl Strategy<Value = String> {
    let words = [
        "table!",
        "{",
        "}",
        "(",
        ")",
        "diesel::",
        "joinable!",
        "->",
        "id",
        "Integer",
        ",",
        "t0",
        "<",
        ">",
        "Nullable",
        "#[sql_name = \"x\"]",
        "#[max_length = 3]",
        "/// é\n",
        "//",
        "/*",
        "*/",
        "\n",
        " ",
        "pub mod sql_types",
        "pub struct Mood;",
        ";",
        "use x::y;",
        "'",
        "\"",
        "#",
        "!",
        "r#",
        "allow_tables_to_appear_in_same_query!",
        ".",
        "<<<<<<<\n",
        "cfg_if!",
        "#[diesel(postgres_type(name = \"mood\"))]",
        "\r",
        "ß",
    ];
    prop::collection::vec(prop::sample::select(words.to_vec()), 0..30).prop_map(|w| w.concat())
}

/// Makes every edit once, whatever comes of it.
fn exercise(text: &str) {
    let configs = [
        config("column_sorting = \"name\"\nwith_docs = true"),
        config("allow_tables_to_appear_in_same_query_config = \"fk_related_tables\""),
    ];
    let custom = NewColumn { custom: Some(mood()), ..column("m", "Mood") };
    let (child, parent, id) = (table("t0"), table("t1"), ident("id__"));
    let edits = [
        add("t0", custom),
        SchemaEdit::DropColumn { table: child.clone(), column: id.clone() },
        SchemaEdit::SetNullable { table: child.clone(), column: id.clone() },
        SchemaEdit::SetNotNull { table: child.clone(), column: id.clone() },
        SchemaEdit::SetDocs {
            table: child.clone(),
            column: id.clone(),
            docs: Some("é".to_owned()),
        },
        SchemaEdit::AddJoinable {
            child: child.clone(),
            column: id.clone(),
            parent: parent.clone(),
        },
        SchemaEdit::RemoveJoinable { child: child.clone(), column: id, parent: parent.clone() },
        SchemaEdit::AllowTogether { first: child.clone(), second: parent.clone() },
        SchemaEdit::ForbidTogether { first: child, second: parent },
    ];
    for config in &configs {
        for edit in &edits {
            let _result = apply(text, Product::Mariadb, config, std::slice::from_ref(edit));
        }
    }
}
