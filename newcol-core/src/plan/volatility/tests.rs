use proptest::prelude::*;

use super::*;

fn assert_table(backend: Backend, table: &str) {
    let mut wrong = Vec::new();
    for line in table.trim().lines() {
        let (expected, text) = line.trim().split_once(' ').unwrap();
        let judged = judge(&Expr::new(text), backend);
        if format!("{judged:?}") != expected {
            wrong.push(format!("{text}: expected {expected}, judged {judged:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// As PostgreSQL 15 answers: volatile is what rewrites a table as a default, immutable what a
/// generated column takes.
#[test]
fn postgres_measured() {
    assert_table(
        Backend::Postgres,
        r#"
Immutable 'en'
Immutable 42
Immutable -1
Immutable 1 + 2 * 3
Immutable 'a' || 'b'
Immutable 'a' || 1
Immutable 'now'::timestamp
Immutable 'now'::timestamptz
Immutable timestamptz '2020-01-01'
Immutable date '2020-01-01'
Immutable date '2020-01-01' + 1
Immutable '2020-01-01'::timestamp + interval '1 day'
Immutable '2020-01-01'::date::timestamp
Immutable '2020-01-01'::timestamp::date
Immutable '12:00'::time::text
Immutable '2020-01-01'::timestamptz AT TIME ZONE 'UTC'
Immutable '2020-01-01'::timestamp AT TIME ZONE 'UTC'
Immutable coalesce(null, 'a')
Immutable nullif(1, 2)
Immutable greatest(1, 2)
Immutable least(1, 2)
Immutable to_timestamp(0)
Immutable array[1,2]
Immutable array[]::int[]
Immutable '{}'::int[]
Immutable '{}'::jsonb
Immutable '{"a":1}'::jsonb ->> 'a'
Immutable '{"a":1}'::jsonb::text
Immutable case when true then 1 else 2 end
Immutable date_trunc('day', '2020-01-01'::timestamp)
Immutable extract(year from '2020-01-01'::date)
Immutable extract(year from '2020-01-01'::timestamptz at time zone 'UTC')
Immutable date_part('year', '2020-01-01'::timestamp)
Immutable age('2020-01-01'::timestamp, '2020-01-02'::timestamp)
Immutable make_date(2020,1,1)
Immutable make_interval(days => 1)
Immutable interval '1 day'
Immutable interval '1' day
Immutable E'a\n'
Immutable $$a$$
Immutable 'users'::regclass
Immutable 1::text
Immutable true::text
Immutable 1.5::int
Immutable '1'::text::int
Immutable length('a')
Immutable to_tsvector('english', 'a')
Immutable quote_literal('a')
Immutable substring('abc' from 1 for 2)
Immutable trim(both ' ' from ' a ')
Immutable overlay('abc' placing 'x' from 1)
Immutable 'abc' like 'a%'
Immutable 1 between 0 and 2
Immutable 1 in (1,2)
Immutable '2020-01-01'::date = '2020-01-01'::date
Immutable row(1,2) is null
Immutable (1,2) = (1,2)
Immutable not true
Immutable 1 is distinct from 2
Immutable encode('a'::bytea, 'hex')
Immutable sha256('a')
Immutable array_append(array[1], 2)
Immutable array[1] || 2
Immutable (array[1,2])[1]
Immutable btrim('  a')
Immutable jsonb_set('{}', '{a}', '1')
Immutable jsonb_extract_path_text('{}', 'a')
Immutable date_bin('1 day', '2020-01-01'::timestamp, '2020-01-01'::timestamp)
Immutable 'now'::date
Immutable '2020-01-01'::timestamptz - '2020-01-01'::timestamptz
Immutable 'a'::varchar(3)
Immutable 'a'::bpchar
Immutable cast('1' as int)
Immutable 1 = any(array[1,2])
Immutable justify_days('1 day')
Immutable 'a'::xml
Immutable left('abc', 2)
Immutable reverse('abc')
Immutable repeat('a', 3)
Immutable 'epoch'::timestamptz
Immutable date('2020-01-01')
Immutable '12:00+00'::timetz::time
Immutable '1 hour'::interval::time
Immutable uuid 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'
Immutable 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid::text
Immutable 'infinity'::float8
Immutable point(1,2)
Immutable int4range(1,2)
Immutable '[1,2)'::int4range
Immutable 'a'::text::tsvector
Immutable '\x01'::bytea
Immutable 'a' is not null
Immutable normalize('a')
Immutable 'a' is normalized
Immutable ceil(1.5)
Immutable bit_length('a')
Immutable '2020-01-01'::date - '2020-01-02'::date
Immutable 'en'::text
Immutable '{}'::text[]
Immutable null::text
Immutable null
Immutable 'a'::"char"
Immutable '5'::int + 1
Immutable 'a'::tsvector @@ 'b'::tsquery
Stable 'a' || now()
Stable 'a' || '2020-01-01'::date
Stable 'now'::text::timestamp
Stable '2020-01-01'::timestamptz + interval '1 day'
Stable '2020-01-01'::date::timestamptz
Stable '2020-01-01'::timestamptz::date
Stable '2020-01-01'::timestamptz::text
Stable '2020-01-01'::date::text
Stable '1 day'::interval::text
Stable '1 day'::text::interval
Stable now() AT TIME ZONE 'UTC'
Stable now()
Stable current_timestamp
Stable current_timestamp(3)
Stable current_date
Stable localtimestamp
Stable localtime
Stable current_time
Stable current_user
Stable session_user
Stable user
Stable current_role
Stable current_catalog
Stable current_schema
Stable current_setting('server_version')
Stable statement_timestamp()
Stable transaction_timestamp()
Stable txid_current()
Stable pg_backend_pid()
Stable version()
Stable concat('a', 'b')
Stable format('%s', 1)
Stable to_char(1, '9')
Stable to_date('2020', 'YYYY')
Stable to_timestamp('2020', 'YYYY')
Stable array['a','b']::text
Stable jsonb_build_object('a', 1)
Stable json_build_object('a', 1)
Stable to_jsonb(1)
Stable jsonb_build_array()
Stable date_trunc('day', now())
Stable date_trunc('day', '2020-01-01'::timestamptz)
Stable extract(year from '2020-01-01'::timestamptz)
Stable age('2020-01-01'::timestamp)
Stable make_timestamptz(2020,1,1,1,1,1)
Stable '1'::text::money
Stable 1::money
Stable 1::numeric::money
Stable to_tsvector('a')
Stable plainto_tsquery('a')
Stable now() > '2020-01-01'
Stable '2020-01-01'::date < '2020-01-01'::timestamptz
Stable pg_catalog.now()
Stable array_to_string(array[1], ',')
Stable has_table_privilege('users', 'select')
Stable pg_typeof(1)
Stable inet_client_addr()
Stable timezone('UTC', now())
Stable isfinite(now())
Stable concat_ws(',', 'a', 'b')
Stable '2020-01-01'::timestamptz::timestamp
Stable '12:00'::time::timetz
Stable now()::date
Stable now()::text
Stable now()::timestamp
Stable now() - interval '1 day'
Stable current_date + 30
Stable current_date::text
Stable extract(epoch from now())
Stable extract(epoch from now())::bigint
Stable to_char(now(), 'YYYY')
Stable '{a}'::text::text[]
Stable obj_description(1, 'pg_class')
Stable 'a'::text @@ 'b'::text
Stable lower(current_user)
Stable pg_get_userbyid(10)
Volatile clock_timestamp()
Volatile timeofday()
Volatile random()
Volatile gen_random_uuid()
Volatile gen_random_uuid()::text
Volatile random() + 1
Volatile floor(random() * 10)::int
Volatile md5(random()::text)
Volatile now() + random() * interval '1 day'
Volatile nextval('s')
Volatile nextval('s'::regclass)
Volatile case when random() < 0.5 then 1 else 2 end
Volatile pg_catalog.random()
Volatile set_config('a.b', 'c', false)
Volatile current_query()
Volatile nextval('s') % 2
Volatile coalesce(nextval('s'), 1)
"#,
    );
}

#[test]
fn postgres_judged() {
    assert_table(
        Backend::Postgres,
        r#"
Immutable lower(email)
Immutable settings->>'locale'
Immutable coalesce(settings->>'locale', 'en')
Immutable first || ' ' || "Last"
Immutable name::text
Immutable price * 1.19
Immutable case when a then b else lower(c) end
Immutable (address).city
Immutable tags[1]
Immutable '1'::my_domain
Immutable uuid_generate_v5(uuid_ns_url(), url)
Stable created_at::date
Stable created_at + interval '1 day'
Stable quote_literal(1)
Stable extract(year from created_at)
Stable CURRENT_TIMESTAMP
Stable system_user
Stable "now"()
Volatile uuidv4()
Volatile uuidv7()
Volatile uuid_generate_v4()
Volatile public.uuid_generate_v4()
Volatile PG_CATALOG.RANDOM()
Volatile my_fn(random())
Volatile currval('s')
Unknown my_fn(1)
Unknown "NOW"()
Unknown public.now()
Unknown app.uuid_generate_v4()
Unknown name::mood
Unknown (select 1)
Unknown exists (select 1)
Unknown 1 in (select 2)
Unknown array(select 1)
Unknown count(*)
Unknown sum(x) over ()
Unknown $1
Stable '[2020-01-01,)'::text::date
Unknown json_object('a': 1)
Unknown 1 2
Unknown 1 +
Unknown a operator(app.+) b
"#,
    );
}

#[test]
fn mysql_judged() {
    assert_table(
        Backend::Mysql,
        r#"
Immutable 'en'
Immutable "en"
Immutable -1
Immutable _utf8mb4'x'
Immutable lower(`Email`)
Immutable concat(a, 'x')
Immutable json_object('a', 1)
Immutable date_add(created_at, interval 1 day)
Immutable timestampdiff(HOUR, a, b)
Immutable cast('1' as signed)
Immutable if(a, 1, 2)
Stable now()
Stable NOW(6)
Stable CURRENT_TIMESTAMP
Stable current_timestamp(3)
Stable current_user
Stable current_user()
Stable curdate()
Stable utc_timestamp()
Stable unix_timestamp()
Stable now() + interval 1 day
Volatile uuid()
Volatile UUID()
Volatile uuid_to_bin(uuid())
Volatile rand()
Volatile rand(1)
Volatile sysdate()
Volatile last_insert_id()
Unknown my_fn(1)
Unknown app.uuid()
Unknown (select 1)
Unknown @v
"#,
    );
}

#[test]
fn sqlite_judged() {
    assert_table(
        Backend::Sqlite,
        r#"
Immutable 'en'
Immutable x'00'
Immutable lower("Email")
Immutable json_extract(settings, '$.locale')
Immutable settings ->> '$.locale'
Immutable datetime('2020-01-01')
Immutable datetime(created_at, '+1 day')
Immutable strftime('%Y', created_at)
Immutable coalesce(a, b)
Stable datetime('now')
Stable datetime('NOW')
Stable datetime("now")
Stable datetime()
Stable date('now', '+1 day')
Stable strftime('%s')
Stable strftime('%s', 'now')
Stable unixepoch()
Stable datetime(created_at, 'localtime')
Stable CURRENT_TIMESTAMP
Stable current_date
Volatile random()
Volatile abs(random()) % 10
Volatile RANDOMBLOB(16)
Volatile lower(hex(randomblob(16)))
Volatile "random"()
Volatile last_insert_rowid()
Unknown my_fn(1)
Unknown (select 1)
"#,
    );
}

#[test]
fn literals() {
    let literal = |backend, text: &str| is_literal(&Expr::new(text), backend);
    // SQLite 3.40 was asked with `ADD COLUMN c NOT NULL DEFAULT …`.
    for backend in Backend::ALL {
        for text in ["1", "-1", "+1.5", "- 1", "'a'", "'it''s'", "x'00'", "true", "FALSE", "1e3"] {
            assert!(literal(backend, text), "{backend}: {text}");
        }
        for text in [
            "",
            "--1",
            "null",
            "current_timestamp",
            "CURRENT_DATE",
            "(1)",
            "('a')",
            "1+1",
            "abc",
            "cast('a' as text)",
            "random()",
            "now()",
            "'a' 'b'",
            "- 'a'",
            "'open",
        ] {
            assert!(!literal(backend, text), "{backend}: {text}");
        }
    }
    assert!(literal(Backend::Mysql, "\"a\""));
    assert!(!literal(Backend::Sqlite, "\"a\""));
    assert!(literal(Backend::Postgres, "E'\\n'"));
    assert!(!literal(Backend::Postgres, "'a'::text"));
}

#[test]
fn columns() {
    let refs = |backend, text: &str| match column_refs(&Expr::new(text), backend) {
        Some(columns) => columns.iter().map(Ident::as_str).collect::<Vec<_>>().join(" "),
        None => "?".to_owned(),
    };
    for (text, expected) in [
        ("coalesce(Settings->>'locale', lower(\"Email\"), Settings)", "settings Email"),
        ("users.Name || public.users.x", "name x"),
        ("(address).city || tags[i]", "address tags i"),
        ("now() + current_date + current_user || current_role", ""),
        ("extract(year from created_at at time zone zone)", "created_at zone"),
        ("case when a then b else 'c' end", "a b"),
        ("position(a in b) + interval '1 day'", "a b"),
        ("'x'::mood", ""),
        ("(select a)", "?"),
        ("a b", "?"),
        ("a +", "?"),
    ] {
        assert_eq!(refs(Backend::Postgres, text), expected, "{text}");
    }
    for (text, expected) in [
        ("timestampdiff(HOUR, a, `B c`)", "a B c"),
        ("date_add(Day, interval 1 day)", "Day"),
        ("concat(a, \"b\", _utf8mb4'c')", "a"),
    ] {
        assert_eq!(refs(Backend::Mysql, text), expected, "{text}");
    }
    assert_eq!(refs(Backend::Sqlite, "datetime(Created, 'now') || [my col]"), "Created my col");
}

#[test]
fn deep_expressions_do_not_overflow() {
    for text in [
        "1".to_owned() + &" + 1".repeat(100_000),
        "(".repeat(100_000),
        "1".to_owned() + &"+1".repeat(999),
        format!("{}1{}", "(".repeat(900), ")".repeat(900)),
        format!("{}1{}", "f(".repeat(40), ")".repeat(40)),
    ] {
        for backend in Backend::ALL {
            let expr = Expr::new(&text);
            drop((judge(&expr, backend), column_refs(&expr, backend), is_literal(&expr, backend)));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_text_is_judged(
        text in "\\PC{0,20}|([a-z(),.'\"\\[\\]:+|<>*-]|now\\(|case |when |end |interval |::|'a'| ){0,12}"
    ) {
        let expr = Expr::new(&text);
        for backend in Backend::ALL {
            if is_literal(&expr, backend) {
                prop_assert_eq!(judge(&expr, backend), Volatility::Immutable);
                prop_assert_eq!(column_refs(&expr, backend), Some(Vec::new()));
            }
            judge(&expr, backend);
        }
    }
}
