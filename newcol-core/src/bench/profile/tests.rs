use super::*;

fn profile() -> Profile {
    let common = |frequency, value: Option<&str>| Common {
        frequency,
        hash: "5f".to_owned(),
        value: value.map(str::to_owned),
    };
    Profile {
        version: VERSION,
        server: "PostgreSQL 15".to_owned(),
        table: "users".to_owned(),
        definition: Definition {
            table: "CREATE TABLE users (id bigint)".to_owned(),
            ..Definition::default()
        },
        size: Size { rows: 1000.0, pages: Some(8.0), ..Size::default() },
        columns: vec![Column {
            name: "id".to_owned(),
            sql_type: "bigint".to_owned(),
            base_type: "bigint".to_owned(),
            labels: Vec::new(),
            is_nullable: false,
            is_generated: false,
            statistics: Some(Statistics {
                n_distinct: -0.5,
                null_frac: 0.25,
                common: vec![common(0.5, None), common(0.25, Some("x"))],
                ..Statistics::default()
            }),
        }],
        settings: BTreeMap::new(),
        unread: Vec::new(),
    }
}

#[test]
fn a_file_reads_back() {
    let profile = profile();
    assert_eq!(Profile::parse(&profile.to_json()).unwrap(), profile);
}

#[test]
fn an_unknown_version_is_refused_before_anything_else() {
    let error = Profile::parse("{\"version\": 7, \"shape\": \"other\"}").unwrap_err();
    assert_eq!(error.to_string(), "the profile has version 7, this program reads version 1");
    assert!(matches!(Profile::parse("{}"), Err(ProfileError::Json(_))));
}

#[test]
fn distinct_values_grow_with_the_table_or_not() {
    let mut of = Statistics { n_distinct: -0.5, ..Statistics::default() };
    assert_eq!(of.distinct(1000.0), 500.0);
    of.n_distinct = 20.0;
    assert_eq!(of.distinct(1000.0), 20.0);
    assert_eq!(of.distinct(10.0), 10.0);
    of.null_frac = 1.0;
    assert_eq!(of.distinct(10.0), 0.0);
}

#[test]
fn what_is_common_in_a_large_table_may_be_as_any_in_a_small_one() {
    let common = |frequency| Common { frequency, hash: String::new(), value: None };
    let of = Statistics {
        n_distinct: -0.25,
        common: vec![common(0.1), common(0.0005)],
        ..Statistics::default()
    };
    assert_eq!(of.outstanding(20_000.0), [0.1, 0.0005]);
    assert_eq!(of.outstanding(4_000.0), [0.1]);
    let whole = Statistics { n_distinct: 2.0, ..of };
    assert_eq!(whole.outstanding(4_000.0), [0.1, 0.0005]);
}
