use crate::contract::read::ReplacedColumn;
use proptest::{option, prelude::*, sample::select};

use super::*;
use crate::contract::{
    Date, DefaultWish, Draft, OldWriters, OnDelete, Reference, Replaces, SqlType,
    read::{read, read_draft},
};

/// Compiles a pattern once; a bare `&str` strategy compiles it for every case.
fn regex(pattern: &str) -> proptest::string::RegexGeneratorStrategy<String> {
    proptest::string::string_regex(pattern).unwrap()
}

fn ident() -> impl Strategy<Value = Ident> {
    regex("[^\\p{Cc}]{1,12}|[a-z_]{1,8}|[.\"' ]{1,4}").prop_map(|text| Ident::new(text).unwrap())
}

fn table() -> impl Strategy<Value = crate::ident::TableName> {
    (option::of(ident()), ident())
        .prop_map(|(schema, name)| crate::ident::TableName { schema, name })
}

/// Expressions every engine accepts, with everything that is awkward to quote in TOML.
fn expr() -> impl Strategy<Value = Expr> {
    let word = "[a-zA-Z_]{1,6}|[0-9]{1,4}|'[^'\\p{Cc}\\\\]{0,8}'|\"[^\"\\p{Cc}\\\\]{1,8}\"|'\\{\"a\": 1\\}'";
    proptest::collection::vec(regex(word), 1..4).prop_flat_map(|words| {
        select(vec![" + ", "\n|| ", "\t* "]).prop_map(move |op| Expr::new(&words.join(op)))
    })
}

fn per_backend<T: Clone + std::fmt::Debug + 'static>(
    value: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = PerBackend<T>> {
    let value = value.boxed();
    (
        option::of(value.clone()),
        proptest::collection::vec((select(Backend::ALL.to_vec()), value), 0..3),
    )
        .prop_map(|(common, special)| {
            let mut all = PerBackend { common, special: Vec::new() };
            for (backend, value) in special {
                all.set(Some(backend), value);
            }
            all
        })
}

fn filled<T: Clone + std::fmt::Debug + 'static>(
    value: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = PerBackend<T>> {
    per_backend(value).prop_filter("no value", |v| !v.is_empty())
}

fn old_rows() -> impl Strategy<Value = OldRows> {
    prop_oneof![
        Just(OldRows::Unfilled),
        filled(expr()).prop_map(OldRows::Sql),
        Just(OldRows::Rust("crate::backfill::locale".to_owned())),
    ]
}

fn default() -> impl Strategy<Value = DefaultWish> {
    let life = select(vec![DefaultLife::Kept, DefaultLife::UntilContract]);
    (filled(expr()), life).prop_map(|(value, life)| DefaultWish { value, life })
}

fn index() -> impl Strategy<Value = IndexWish> {
    (
        option::of(ident()),
        option::of(ident()),
        select(vec![Uniqueness::Plain, Uniqueness::Unique, Uniqueness::Constraint]),
        per_backend(expr()),
        proptest::collection::vec(ident(), 0..3),
    )
        .prop_map(|(name, method, uniqueness, predicate, include)| IndexWish {
            name,
            method,
            uniqueness,
            predicate,
            include,
        })
}

fn ty() -> impl Strategy<Value = SqlType> {
    select(vec!["text", "varchar(16)", "enum('a','b;\"c\\d')", "\"My Type\"", "text[]"])
        .prop_map(SqlType::new)
}

fn draft() -> impl Strategy<Value = Draft> {
    let names =
        (table(), ident(), regex("\\PC{0,20}|[a\"'\\\\\n\r\t\\x00-\\x1f]{1,10}"), filled(ty()));
    let rows = (
        select(vec![Presence::Required, Presence::Optional]),
        option::of(select(vec!["Text", "crate::sql_types::Mood", "Array<Nullable<Text>>"])),
        old_rows(),
        option::of(select(OldWriters::ALL.to_vec())),
        option::of(default()),
        prop_oneof![9 => Just(PerBackend::default()), 1 => filled(expr())],
    );
    let rest = (
        option::of(index()),
        option::of((table(), ident(), option::of(select(OnDelete::ALL.to_vec())))),
        per_backend(expr()),
        option::of((ident(), per_backend(expr()))),
        option::of((0u16..=9999, 1u8..=12, 1u8..=28)),
    );
    (names, rows, rest).prop_map(|(names, rows, rest)| Draft {
        path: crate::ident::ColumnPath { table: names.0, column: names.1 },
        why: names.2,
        ty: names.3,
        presence: rows.0,
        diesel: rows.1.map(str::to_owned),
        old_rows: rows.2,
        old_writers: rows.3,
        default: rows.4,
        generated: rows.5,
        index: rest.0,
        references: rest.1.map(|(table, column, on_delete)| Reference { table, column, on_delete }),
        check: rest.2,
        replaces: rest.3.map(|(column, back)| Replaces { column, back }),
        retire: rest.4.map(|(year, month, day)| Date { year, month, day }),
    })
}

fn contract() -> impl Strategy<Value = Contract> {
    draft().prop_filter_map("contradicts itself", |draft| {
        // What is wrong with a draft is often only one answer; without it most are contracts.
        let plain = Draft { old_writers: None, replaces: None, references: None, ..draft.clone() };
        let unfilled = Draft { presence: Presence::Optional, ..plain.clone() };
        [draft, plain, unfilled].into_iter().find_map(|draft| Contract::new(draft).ok())
    })
}

fn measured() -> impl Strategy<Value = Measured> {
    let volatility = select(vec![Volatility::Immutable, Volatility::Stable, Volatility::Volatile]);
    let text = || regex("\\PC{0,12}|[\n\"']{1,3}");
    let replaced = (text(), any::<bool>(), option::of(text()), option::of(text())).prop_map(
        |(ty, required, default, comment)| ReplacedColumn { ty, required, default, comment },
    );
    let heir = select(vec!["logs_2026", "app.logs", "\"it's\".\"a.b\""]);
    let heirs = proptest::collection::vec(heir.prop_map(|name| name.parse().unwrap()), 0..3);
    let rewrites = option::of(any::<bool>());
    let partitioned = any::<bool>();
    let facts =
        (text(), option::of(volatility), rewrites, option::of(replaced), heirs, partitioned);
    facts.prop_map(|(server, default_volatility, type_rewrites, replaced, heirs, partitioned)| {
        Measured { server, default_volatility, type_rewrites, replaced, heirs, partitioned }
    })
}

fn file() -> impl Strategy<Value = ContractFile> {
    let reason = (select(StageKind::ALL.to_vec()), regex("\\PC{1,12}"));
    let confirmed = option::of(reason).prop_map(|reason| reason.into_iter().collect());
    (contract(), option::of(measured()), confirmed)
        .prop_map(|(contract, measured, confirmed)| ContractFile { contract, measured, confirmed })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_written_contract_reads_back(file in file()) {
        let text = write(&file);
        prop_assert_eq!(read(&text), Ok(file.clone()), "{}", text);
        prop_assert_eq!(write(&read(&text).unwrap()), text.as_str());
        let crlf = text.replace('\n', "\r\n");
        prop_assert_eq!(read(&format!("\u{feff}{crlf}")), Ok(file));
    }

    #[test]
    fn a_confirmation_is_added_and_taken_back(
        file in file().prop_filter("unconfirmed", |file| file.confirmed.is_empty()),
        kind in select(StageKind::ALL.to_vec()),
        reason in regex("\\PC{1,20}"),
    ) {
        let text = write(&file);
        let with = with_confirmation(&text, kind, Some(&reason)).unwrap();
        prop_assert_eq!(read(&with).unwrap().confirmed, vec![(kind, reason)]);
        prop_assert_eq!(with_confirmation(&with, kind, None).unwrap(), text);
    }

    #[test]
    fn reading_never_panics(
        file in file(),
        at in any::<prop::sample::Index>(),
        length in 0usize..20,
        new in "\\PC{0,8}|[\\[\\]\"'=#\n\r\\\\{}<>.,;(\u{feff}\\x00-]{0,8}",
    ) {
        let mut text = write(&file);
        let mut start = at.index(text.len());
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        let mut end = (start + length).min(text.len());
        while !text.is_char_boundary(end) {
            end += 1;
        }
        text.replace_range(start..end, &new);
        for text in [text.as_str(), &new] {
            if let Err(complaints) = read(text) {
                prop_assert!(!complaints.is_empty());
                for complaint in complaints {
                    prop_assert!(text.get(complaint.span).is_some());
                }
            }
            prop_assert!(read(text).is_err() || read_draft(text).is_ok());
        }
    }
}

#[test]
fn a_contract_as_a_newcomer_sees_it() {
    let text = r#"
        format = 1
        table = "users"
        column = "locale"
        why = "E-mails go out in the reader's language"
        type = "varchar(16)"
        required = true
        [old_rows]
        fill = "coalesce(settings->>'locale', \"fallback\")"
        [default]
        value = "'en'"
        keep = false
        [index]
        unique = true
        where = "locale <> ''"
        include = ["id"]
        [references]
        table = "locales"
        column = "id"
        on_delete = "restrict"
        [check]
        expr = "locale <> ''"
        [retire]
        by = 2027-03-01
        [sqlite]
        type = "TEXT"
        fill = "coalesce(json_extract(settings, '$.locale'), 'en')"
    "#;
    insta::assert_snapshot!(write(&read(text).unwrap()), @r##"
    # Every decision about one new column, kept by `cargo newcol`; see `cargo newcol plan`.
    format = 1
    table = "users"
    column = "locale"
    # Why it exists: becomes the column's comment in the database.
    why = "E-mails go out in the reader's language"
    type = "varchar(16)"
    # true: NOT NULL in the end.
    required = true

    # What rows written before the column get: SQL over the row.
    [old_rows]
    fill = '''coalesce(settings->>'locale', "fallback")'''

    # Who fills the column while programs that do not know it still insert: default, unless [old_writers] says otherwise.

    # The column's default, in SQL: text has its own quotes.
    [default]
    value = "'en'"
    # Only serves old writers; the contract stage drops it.
    keep = false

    # Built after old rows are filled.
    [index]
    unique = true
    where = "locale <> ''"
    include = ["id"]

    # Foreign key of the column.
    [references]
    table = "locales"
    column = "id"
    on_delete = "restrict"

    # Holds for every row; NULL passes.
    [check]
    expr = "locale <> ''"

    # From this day on, leftover scaffolding fails the status check.
    [retire]
    by = 2027-03-01

    # What differs on SQLite.
    [sqlite]
    type = "TEXT"
    fill = "coalesce(json_extract(settings, '$.locale'), 'en')"
    "##);
}
