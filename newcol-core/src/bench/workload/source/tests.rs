use super::*;
use crate::bench::profile::{
    Column, Constraint, ConstraintKind, Definition, Profile, References, Size,
    VERSION as PROFILE_VERSION,
};
use crate::bench::workload::Parameter;

fn profile() -> Profile {
    let column = |(name, ty): (&str, &str)| Column {
        name: name.to_owned(),
        sql_type: ty.to_owned(),
        base_type: ty.to_owned(),
        labels: Vec::new(),
        is_nullable: true,
        is_generated: false,
        statistics: None,
    };
    let columns = [
        ("id", "bigint"),
        ("name", "text"),
        ("age", "integer"),
        ("at", "timestamp"),
        ("Odd", "text"),
    ];
    Profile {
        version: PROFILE_VERSION,
        server: "PostgreSQL 15".to_owned(),
        table: "users".to_owned(),
        definition: Definition {
            constraints: vec![Constraint {
                name: "users_pkey".to_owned(),
                kind: ConstraintKind::Primary,
                columns: vec!["id".to_owned()],
                references: None,
                sql: None,
            }],
            ..Definition::default()
        },
        size: Size::default(),
        columns: columns.into_iter().map(column).collect(),
        settings: Default::default(),
        unread: Vec::new(),
    }
}

fn bound(sql: &str, backend: Backend) -> String {
    let counted = Counted { sql: sql.to_owned(), calls: 1.0, rows: Some(4.2) };
    match bind(&counted, &profile(), backend) {
        None => "of another table".to_owned(),
        Some(Bound::Not(why)) => format!("no: {why}"),
        Some(Bound::Sent { verb, parameters, .. }) => {
            let from = parameters.iter().map(|parameter| match parameter {
                Parameter::Column { column } => column.clone(),
                Parameter::New { column } => format!("new {column}"),
                Parameter::List { column, count } => format!("{count} {column}"),
                Parameter::Constant { sql } => format!("= {sql}"),
                Parameter::Number { .. } | Parameter::Computed { .. } => "?".to_owned(),
            });
            format!("{verb}: {}", from.collect::<Vec<_>>().join(", "))
        }
    }
}

#[test]
fn parameters_take_values_of_what_they_are_compared_with_or_assigned_to() {
    let said: Vec<String> = [
        "SELECT * FROM users WHERE id = $1",
        "SELECT \"users\".\"id\" FROM \"users\" WHERE ((\"users\".\"name\" = $1) AND (\"users\".\"Odd\" > $2)) LIMIT $3 OFFSET $4",
        "SELECT 1 AS one FROM public.users u WHERE lower(u.name) = lower($2) AND u.at BETWEEN $1 AND $3",
        "SELECT id FROM users WHERE id = ANY($1) AND age IN ($2, $3) AND name LIKE $4",
        "INSERT INTO users (id, name, age) VALUES ($1, $2, $3), ($4, $5, $6) RETURNING id",
        "INSERT INTO users VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET name = $3, age = users.age + $4",
        "UPDATE users SET name = $1, age = age + $2, id = $3 WHERE id = $4",
        "DELETE FROM users WHERE (id, name) > ($1, $2)",
        "WITH old AS (SELECT id FROM users WHERE age < $1) SELECT count(*) FROM old",
        "SELECT $1::text, name FROM users WHERE $2 = id::text AND at IS NOT DISTINCT FROM $3",
        "SELECT name FROM users WHERE at > date $1 AND at < timestamptz $2",
        "SELECT u.name FROM users u JOIN orders o ON o.user_id = u.id WHERE o.id = $1",
        "SELECT name FROM users WHERE age % $1 = $2",
        "SELECT name FROM orders WHERE id = $1",
        "SELECT users FROM orders WHERE id = $1",
        "VACUUM users",
        "SELECT name FROM users WHERE ((",
    ]
    .iter()
    .map(|sql| format!("{sql}\n    {}", bound(sql, Backend::Postgres)))
    .collect();
    insta::assert_snapshot!(said.join("\n"), @r#"
    SELECT * FROM users WHERE id = $1
        select: id
    SELECT "users"."id" FROM "users" WHERE (("users"."name" = $1) AND ("users"."Odd" > $2)) LIMIT $3 OFFSET $4
        select: name, Odd, = 5, = 0
    SELECT 1 AS one FROM public.users u WHERE lower(u.name) = lower($2) AND u.at BETWEEN $1 AND $3
        select: at, name, at
    SELECT id FROM users WHERE id = ANY($1) AND age IN ($2, $3) AND name LIKE $4
        select: 4 id, age, age, name
    INSERT INTO users (id, name, age) VALUES ($1, $2, $3), ($4, $5, $6) RETURNING id
        insert: new id, name, age, new id, name, age
    INSERT INTO users VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET name = $3, age = users.age + $4
        insert: new id, name, name, = 1
    UPDATE users SET name = $1, age = age + $2, id = $3 WHERE id = $4
        update: name, = 1, new id, id
    DELETE FROM users WHERE (id, name) > ($1, $2)
        delete: id, name
    WITH old AS (SELECT id FROM users WHERE age < $1) SELECT count(*) FROM old
        select: age
    SELECT $1::text, name FROM users WHERE $2 = id::text AND at IS NOT DISTINCT FROM $3
        select: = 1, id, at
    SELECT name FROM users WHERE at > date $1 AND at < timestamptz $2
        select: at, at
    SELECT u.name FROM users u JOIN orders o ON o.user_id = u.id WHERE o.id = $1
        no: it uses `orders` too, which the throwaway database does not have
    SELECT name FROM users WHERE age % $1 = $2
        no: its text does not show which column's values `$1` takes
    SELECT name FROM orders WHERE id = $1
        of another table
    SELECT users FROM orders WHERE id = $1
        of another table
    VACUUM users
        no: it is a command, no query of rows
    SELECT name FROM users WHERE ((
        no: its text cannot be read
    "#);
    for backend in [Backend::Mysql, Backend::Sqlite] {
        let sql = "UPDATE `users` SET `name` = ? WHERE `users`.`id` = ?";
        assert_eq!(bound(sql, backend), "update: name, id");
    }
}

/// Of the table that a foreign key leads to there is the key, and it has the values that refer to it.
#[test]
fn a_joined_table_may_be_asked_for_its_key() {
    let mut profile = profile();
    let references =
        References { table: "public.teams".to_owned(), columns: vec!["no".to_owned()] };
    profile.definition.constraints.push(Constraint {
        name: "users_age".to_owned(),
        kind: ConstraintKind::Foreign,
        columns: vec!["age".to_owned()],
        references: Some(references),
        sql: None,
    });
    let said = |sql: &str| {
        let counted = Counted { sql: sql.to_owned(), calls: 1.0, rows: Some(1.0) };
        match bind(&counted, &profile, Backend::Postgres) {
            Some(Bound::Sent { parameters, .. }) => format!("{parameters:?}"),
            Some(Bound::Not(why)) => format!("no: {why}"),
            None => "of another table".to_owned(),
        }
    };
    let all: Vec<String> = [
        "SELECT u.id FROM users u JOIN teams t ON t.no = u.age WHERE t.no = $1 AND u.name = $2",
        "SELECT \"users\".\"id\" FROM (\"users\" INNER JOIN \"teams\" ON (\"users\".\"age\" = \"teams\".\"no\")) LIMIT $1",
        "SELECT id FROM users WHERE EXISTS (SELECT 1 FROM public.teams WHERE teams.no = age) AND id = $1",
        "SELECT u.id, t.label FROM users u JOIN teams t ON t.no = u.age WHERE u.id = $1",
        "SELECT u.id FROM users u JOIN teams t ON t.no = u.age WHERE label = $1",
        "SELECT * FROM users u JOIN teams t ON t.no = u.age WHERE u.id = $1",
        "SELECT u.*, t.* FROM users u JOIN teams t ON t.no = u.age WHERE u.id = $1",
        "SELECT u.id FROM users u NATURAL JOIN teams t WHERE u.id = $1",
        "SELECT u.id FROM users u JOIN teams t USING (no) WHERE u.id = $1",
        "UPDATE users SET name = $1 FROM teams t WHERE t.no = users.age",
        "SELECT u.id FROM users u JOIN teams t ON t.no = u.age JOIN orders o ON o.u = u.id",
    ]
    .iter()
    .map(|sql| format!("{sql}\n    {}", said(sql)))
    .collect();
    insta::assert_snapshot!(all.join("\n"), @r#"
    SELECT u.id FROM users u JOIN teams t ON t.no = u.age WHERE t.no = $1 AND u.name = $2
        [Column { column: "age" }, Column { column: "name" }]
    SELECT "users"."id" FROM ("users" INNER JOIN "teams" ON ("users"."age" = "teams"."no")) LIMIT $1
        [Constant { sql: "1" }]
    SELECT id FROM users WHERE EXISTS (SELECT 1 FROM public.teams WHERE teams.no = age) AND id = $1
        [Column { column: "id" }]
    SELECT u.id, t.label FROM users u JOIN teams t ON t.no = u.age WHERE u.id = $1
        no: it uses `t.label`, and of a joined table the throwaway database has only the key that the table refers to
    SELECT u.id FROM users u JOIN teams t ON t.no = u.age WHERE label = $1
        no: it uses `label`, and of a joined table the throwaway database has only the key that the table refers to
    SELECT * FROM users u JOIN teams t ON t.no = u.age WHERE u.id = $1
        no: it uses `*`, and of a joined table the throwaway database has only the key that the table refers to
    SELECT u.*, t.* FROM users u JOIN teams t ON t.no = u.age WHERE u.id = $1
        no: it uses `t.*`, and of a joined table the throwaway database has only the key that the table refers to
    SELECT u.id FROM users u NATURAL JOIN teams t WHERE u.id = $1
        no: it uses `NATURAL JOIN teams t`, and of a joined table the throwaway database has only the key that the table refers to
    SELECT u.id FROM users u JOIN teams t USING (no) WHERE u.id = $1
        no: it uses `JOIN teams t USING(no)`, and of a joined table the throwaway database has only the key that the table refers to
    UPDATE users SET name = $1 FROM teams t WHERE t.no = users.age
        no: it joins another table to what it changes
    SELECT u.id FROM users u JOIN teams t ON t.no = u.age JOIN orders o ON o.u = u.id
        no: it uses `orders` too, which the throwaway database does not have
    "#);
}

#[test]
fn the_most_frequent_statements_are_taken_until_they_are_nine_tenths() {
    let counted = |sql: &str, calls| Counted { sql: sql.to_owned(), calls, rows: None };
    let all = [
        counted("SELECT name FROM users WHERE id = $1", 600.0),
        counted("SELECT 1", 9000.0),
        counted("SELECT name FROM users WHERE age % $1 = $2", 80.0),
        counted("UPDATE users SET name = $1 WHERE id = $2", 310.0),
        counted("DELETE FROM users WHERE id = $1", 9.0),
        counted("INSERT INTO users (id) VALUES ($1)", 1.0),
    ];
    let workload = of_counted(&all, &profile(), Backend::Postgres, Some(100.0));
    workload.check(Backend::Postgres).unwrap();
    assert_eq!(workload.rate, Some(10.0));
    let names: Vec<_> =
        workload.statements.iter().map(|of| (of.name.as_str(), of.weight)).collect();
    assert_eq!(names, [("select 1", 600.0), ("update 2", 310.0)]);
    let share = |share: f64| (share * 1000.0).round();
    let left: Vec<_> =
        workload.left_out.iter().map(|of| (of.sql.as_str(), share(of.share))).collect();
    assert_eq!(
        left,
        [("SELECT name FROM users WHERE age % $1 = $2", 80.0), ("2 more statements", 10.0)]
    );
}

#[test]
fn scripts_of_pgbench_are_read_or_refused_with_their_line() {
    let script = "\\set n 100000 * :scale\n\\set aid random(1, :n)\n\\set z random_zipfian(1, 10, 1.5)\n\
        \\set both :aid * 2 + random_gaussian(1, 5, 2.5)\n\n-- a comment of :nobody\nBEGIN;\n\
        UPDATE users SET name = ':aid' || :z::text\n  WHERE id = :aid;\n\\set aid :aid + 1\n\
        SELECT :aid, :both, '2024-01-01 10:00'::date;\nEND;\n";
    let read = pgbench::read("dir/mixed.sql", script, 2.5).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&read).unwrap(), @r#"
    {
      "name": "mixed",
      "sql": "BEGIN;\nUPDATE users SET name = ':aid' || $3::text\n  WHERE id = $2;\nSELECT $6, $5, '2024-01-01 10:00'::date;\nEND;",
      "parameters": [
        {
          "from": "computed",
          "expression": "100000 * 1"
        },
        {
          "from": "number",
          "least": 1,
          "greatest": 100000,
          "spread": "uniform"
        },
        {
          "from": "number",
          "least": 1,
          "greatest": 10,
          "spread": {
            "zipfian": 1.5
          }
        },
        {
          "from": "number",
          "least": 1,
          "greatest": 5,
          "spread": {
            "gaussian": 2.5
          }
        },
        {
          "from": "computed",
          "expression": "$2 * 2 + $4"
        },
        {
          "from": "computed",
          "expression": "$2 + 1"
        }
      ],
      "weight": 2.5
    }
    "#);
    let refused = |script: &str| pgbench::read("x.sql", script, 1.0).unwrap_err().to_string();
    let said: Vec<String> = [
        "SELECT 1;\n\\sleep 10 ms\n",
        "\\set a random(1, 10)\n\\set b random(1, :a)\nSELECT :b;\n",
        "SELECT :id;\n",
        "\\set a 1 + sqrt(4)\n",
        "\\set a random(1)\n",
        "\\set a random(5, 1)\n",
        "\\set a random_zipfian(1, 5, 1.0)\n",
        "\\set a\n",
        "-- nothing\n",
    ]
    .into_iter()
    .map(refused)
    .collect();
    insta::assert_snapshot!(said.join("\n"), @r"
    x.sql:2: `\sleep` is not known here, only `\set` is
    x.sql:2: `$1` has to be the same each time
    x.sql:1: the variable `id` is not set before
    x.sql:1: `1 + sqrt(4)` is no arithmetic of whole numbers: `sqrt` is not known
    x.sql:1: `random(1)` is not known
    x.sql:1: `random(5, 1)` has no values
    x.sql:1: `1.0` is no parameter of that distribution
    x.sql:1: `\set` wants a name and an expression
    x.sql:1: it sends nothing
    ");
    assert_eq!(pgbench::weighted("a.sql@3"), ("a.sql", 3.0));
    assert_eq!(pgbench::weighted("a@b.sql"), ("a@b.sql", 1.0));
}

#[test]
fn what_is_left_out_is_shown_without_its_values() {
    let shown = |text| without_values(text, Backend::Postgres);
    assert_eq!(
        shown(
            "COPY \"users\" (a) FROM '/x' WHERE a > 7 -- b\n AND b = $$c$$ OR d = E'e' OR f = $1"
        ),
        "COPY \"users\" (a) FROM '…' WHERE a > …   AND b = '…' OR d = '…' OR f = $1"
    );
    assert_eq!(shown("ALTER ROLE users PASSWORD 'x"), "ALTER …");
}
