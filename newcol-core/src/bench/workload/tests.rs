use proptest::prelude::*;

use super::*;

/// Values that say where they come from.
struct Told(fastrand::Rng);

impl Values for Told {
    fn of_a_row(&mut self, column: &str) -> Option<String> {
        (column != "gone").then(|| format!("'a {column}'"))
    }

    fn new_one(&mut self, column: &str) -> Option<String> {
        Some(format!("'new {column}'"))
    }

    fn random(&mut self) -> f64 {
        self.0.f64()
    }
}

fn told() -> Told {
    Told(fastrand::Rng::with_seed(7))
}

fn statement(sql: &str, parameters: Vec<Parameter>) -> Statement {
    Statement { name: "s".to_owned(), sql: sql.to_owned(), parameters, weight: 1.0 }
}

fn column(column: &str) -> Parameter {
    Parameter::Column { column: column.to_owned() }
}

fn number(least: i64, greatest: i64, spread: Spread) -> Parameter {
    Parameter::Number { least, greatest, spread }
}

fn computed(text: &str) -> Parameter {
    Parameter::Computed { expression: text.parse().unwrap() }
}

#[test]
fn values_stand_where_parameters_stood() {
    let update = statement(
        "UPDATE t SET a = $2, b = '$1' WHERE id = $1 AND \"$2\" < $1 -- $1\n",
        vec![column("id"), Parameter::New { column: "a".to_owned() }],
    );
    for backend in [Backend::Postgres, Backend::Sqlite] {
        let filled = update.template(backend).unwrap().fill(&update.draw(&mut told()).unwrap());
        let wanted =
            "UPDATE t SET a = 'new a', b = '$1' WHERE id = 'a id' AND \"$2\" < 'a id' -- $1\n";
        assert_eq!(filled, wanted);
    }
    let mysql =
        statement("SELECT `$2`, \"\\\"$1\" FROM t WHERE id = $1 # $2\n", vec![column("id")]);
    let filled = mysql.template(Backend::Mysql).unwrap().fill(&["7".to_owned()]);
    assert_eq!(filled, "SELECT `$2`, \"\\\"$1\" FROM t WHERE id = 7 # $2\n");
}

#[test]
fn a_workload_that_cannot_be_sent_is_refused_with_its_statement() {
    let workload = |statements: Vec<Statement>| Workload {
        version: VERSION,
        table: "t".to_owned(),
        rate: None,
        statements,
        left_out: Vec::new(),
    };
    let refused = |workload: &Workload| {
        let error = Workload::parse(&workload.to_json(), Backend::Postgres).unwrap_err();
        let source = std::error::Error::source(&error).map(ToString::to_string);
        format!("{error}: {}", source.unwrap_or_default())
    };
    let one = |sql| workload(vec![statement(sql, vec![column("id")])]);
    let light = |weight| {
        let mut of = one("SELECT 1");
        of.statements[0].weight = weight;
        of
    };
    Workload::parse(&one("SELECT $1").to_json(), Backend::Postgres).unwrap();
    let newer = Workload { version: 9, ..one("SELECT 1") };
    let all = [one("SELECT $2"), one("SELECT '"), workload(Vec::new()), light(0.0), newer];
    let said: Vec<String> = all.iter().map(refused).collect();
    insta::assert_snapshot!(said.join("\n"), @"
    the statement `s` of the workload cannot be sent: `$2` is not among its 1 parameters
    the statement `s` of the workload cannot be sent: its text cannot be read as SQL
    the workload has no statement: 
    the weight of `s` of the workload is 0, which is no frequency: 
    the workload has version 9, this program reads version 1:
    ");
}

#[test]
fn an_edited_file_says_what_it_does_not_know() {
    let text = r#"{"version": 1, "table": "t", "rate": 3, "left_out": [], "statements": [
        {"name": "s", "sql": "SELECT $1", "weight": 1, "parameters": [
            {"from": "number", "least": 1, "greatest": 9},
            {"from": "computed", "expression": "$1 * sqrt(2)"}]}]}"#;
    let error = Workload::parse(text, Backend::Postgres).unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("`sqrt` is not known"), "{source}");
    let text = text.replace("sqrt(2)", "2");
    let workload = Workload::parse(&text, Backend::Postgres).unwrap();
    let drawn = workload.statements[0].draw(&mut told()).unwrap();
    assert_eq!(drawn[1], (drawn[0].parse::<i64>().unwrap() * 2).to_string());
}

#[test]
fn expressions_have_the_values_that_pgbench_gives_them() {
    let value = |text: &str| computed(text).draw(&mut told(), &["7".to_owned(), "'x'".to_owned()]);
    for (text, wanted) in [
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("-7 / 2", "-3"),
        ("-7 % 3", "-1"),
        ("$1 - 1 - 1", "5"),
        ("least($1, 3) + greatest(1, $1, 2) + abs(-2) + mod(7, 4)", "15"),
    ] {
        assert_eq!(value(text).unwrap(), wanted, "{text}");
    }
    for text in ["$2", "$3", "1 / ($1 - 7)", "9223372036854775807 + 1"] {
        assert!(value(text).is_err(), "{text}");
    }
    let deep = format!("{}1{}", "(".repeat(500), ")".repeat(500));
    for text in ["", "1 +", "(1", "$0", "1.5", "1 2", "random(1, 2)", &deep] {
        assert!(text.parse::<Arithmetic>().is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn numbers_stay_between_their_ends(
        least in -1000_i64..1000,
        span in 0_i64..1000,
        seed: u64,
        spread in prop_oneof![
            Just(Spread::Uniform),
            Just(Spread::Gaussian(2.5)),
            Just(Spread::Exponential(3.0)),
            (0.5..2.0).prop_map(Spread::Zipfian),
        ],
    ) {
        let mut told = Told(fastrand::Rng::with_seed(seed));
        for _ in 0..50 {
            let drawn = number(least, least + span, spread).draw(&mut told, &[]).unwrap();
            let drawn: i64 = drawn.parse().unwrap();
            prop_assert!((least..=least + span).contains(&drawn), "{drawn}");
        }
    }
}

#[test]
fn spreads_have_their_form() {
    let share = |spread, of: std::ops::Range<i64>| {
        let mut told = told();
        let all = 20_000;
        let hits = (0..all).filter(|_| {
            let drawn = number(0, 99, spread).draw(&mut told, &[]).unwrap();
            of.contains(&drawn.parse().unwrap())
        });
        hits.count() as f64 / f64::from(all)
    };
    assert!((share(Spread::Uniform, 0..10) - 0.10).abs() < 0.01);
    // Two of five standard deviations around the middle: 0.683 / 0.988.
    assert!((share(Spread::Gaussian(2.5), 30..70) - 0.69).abs() < 0.02);
    // (1 - e^-0.3) / (1 - e^-3)
    assert!((share(Spread::Exponential(3.0), 0..10) - 0.273).abs() < 0.01);
    assert!(share(Spread::Zipfian(1.1), 0..10) > 0.5);
}

#[test]
fn a_column_without_values_is_named() {
    let error = statement("SELECT $1", vec![column("gone")]).draw(&mut told()).unwrap_err();
    assert_eq!(error.to_string(), "there is no value of the column `gone`");
}
