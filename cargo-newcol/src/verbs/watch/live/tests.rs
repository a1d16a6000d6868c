use newcol_core::watch::alert::NAMES;
use ratatui::{Terminal, backend::TestBackend};

use super::*;

fn row(name: &'static str, unit: &'static str, values: &[f64], split: Option<usize>) -> Row {
    Row { name, unit, values: values.iter().copied().map(Some).collect(), split }
}

fn screen() -> Screen {
    let mut reads = row("time of reads", "ms", &[4.1, 4.0, 4.3, 4.2, 1.1, 0.9, 0.8], Some(4));
    reads.values[2] = None;
    Screen {
        column: "users.locale".to_owned(),
        database: "PostgreSQL database app on db.example.com".to_owned(),
        at: Some(1_795_000_000.0),
        snapshots: 8,
        verdict: Some(("WAIT", "19 controls, 20 needed".to_owned())),
        rows: vec![
            reads,
            row("log of a row", "B", &[210.0, 200.0, 220.0, 215.0, 390.0, 400.0, 410.0], Some(4)),
            row("replica lag", "s", &[0.0; 7], Some(4)),
        ],
        alerts: vec![(
            NAMES[1],
            "statements that write the table log 400 B a row, 211 before the column".to_owned(),
        )],
        error: None,
    }
}

fn drawn(screen: &Screen, width: u16, marks: Marks) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, 14)).unwrap();
    terminal.draw(|frame| draw(frame, screen, marks)).unwrap();
    terminal.backend().to_string()
}

const UNICODE: Marks = Marks { color: true, ascii: false };

#[test]
fn at_sixty_columns() {
    insta::assert_snapshot!(drawn(&screen(), 60, UNICODE), @r#"
    "users.locale in PostgreSQL database app on db.example.com   "
    "11:06:40 UTC, 8 snapshots                                   "
    "                                                            "
    "WAIT 19 controls, 20 needed                                 "
    "                                                            "
    "time of reads         ██ █│▃▃▂                     0.800 ms "
    "log of a row          ▅▄▅▅│███                        410 B "
    "replica lag           ▁▁▁▁│▁▁▁                      0.000 s "
    "                                                            "
    "alert: statements that write the table log 400 B a row, 211 "
    "before the column                                           "
    "q ends it                                                   "
    "                                                            "
    "                                                            "
    "#);
}

#[test]
fn at_a_hundred_columns() {
    insta::assert_snapshot!(drawn(&screen(), 100, UNICODE), @r#"
    "users.locale in PostgreSQL database app on db.example.com                                           "
    "11:06:40 UTC, 8 snapshots                                                                           "
    "                                                                                                    "
    "WAIT 19 controls, 20 needed                                                                         "
    "                                                                                                    "
    "time of reads         ██ █│▃▃▂                                                             0.800 ms "
    "log of a row          ▅▄▅▅│███                                                                410 B "
    "replica lag           ▁▁▁▁│▁▁▁                                                              0.000 s "
    "                                                                                                    "
    "alert: statements that write the table log 400 B a row, 211 before the column                       "
    "q ends it                                                                                           "
    "                                                                                                    "
    "                                                                                                    "
    "                                                                                                    "
    "#);
}

#[test]
fn at_two_hundred_columns() {
    insta::assert_snapshot!(drawn(&screen(), 200, UNICODE), @r#"
    "users.locale in PostgreSQL database app on db.example.com                                                                                                                                               "
    "11:06:40 UTC, 8 snapshots                                                                                                                                                                               "
    "                                                                                                                                                                                                        "
    "WAIT 19 controls, 20 needed                                                                                                                                                                             "
    "                                                                                                                                                                                                        "
    "time of reads         ██ █│▃▃▂                                                                                                                                                                 0.800 ms "
    "log of a row          ▅▄▅▅│███                                                                                                                                                                    410 B "
    "replica lag           ▁▁▁▁│▁▁▁                                                                                                                                                                  0.000 s "
    "                                                                                                                                                                                                        "
    "alert: statements that write the table log 400 B a row, 211 before the column                                                                                                                           "
    "q ends it                                                                                                                                                                                               "
    "                                                                                                                                                                                                        "
    "                                                                                                                                                                                                        "
    "                                                                                                                                                                                                        "
    "#);
}

#[test]
fn in_ascii_and_without_color() {
    let marks = Marks { color: false, ascii: true };
    let drawn = drawn(&screen(), 60, marks);
    assert!(drawn.is_ascii(), "{drawn}");
    insta::assert_snapshot!(drawn, @r#"
    "users.locale in PostgreSQL database app on db.example.com   "
    "11:06:40 UTC, 8 snapshots                                   "
    "                                                            "
    "WAIT 19 controls, 20 needed                                 "
    "                                                            "
    "time of reads         ## #|::.                     0.800 ms "
    "log of a row          =-==|###                        410 B "
    "replica lag           ____|___                      0.000 s "
    "                                                            "
    "alert: statements that write the table log 400 B a row, 211 "
    "before the column                                           "
    "q ends it                                                   "
    "                                                            "
    "                                                            "
    "#);
    let mut terminal = Terminal::new(TestBackend::new(60, 14)).unwrap();
    terminal.draw(|frame| draw(frame, &screen(), marks)).unwrap();
    let colored = terminal.backend().buffer().content.iter();
    assert!(colored.clone().all(|cell| cell.fg == ratatui::style::Color::Reset));
    assert!(colored.count() > 0);
}

#[test]
fn before_the_first_snapshot_and_without_a_database() {
    let mut screen = Screen::of(&"users.locale".parse().unwrap(), "SQLite file app.db");
    insta::assert_snapshot!(drawn(&screen, 60, UNICODE), @r#"
    "users.locale in SQLite file app.db                          "
    "no snapshot yet, 0 snapshots                                "
    "                                                            "
    "the first snapshot is being taken                           "
    "                                                            "
    "                                                            "
    "q ends it                                                   "
    "                                                            "
    "                                                            "
    "                                                            "
    "                                                            "
    "                                                            "
    "                                                            "
    "                                                            "
    "#);
    screen.take(Look::Failed("could not connect: connection refused".to_owned()));
    insta::assert_snapshot!(drawn(&screen, 60, UNICODE), @r#"
    "users.locale in SQLite file app.db                          "
    "no snapshot yet, 0 snapshots                                "
    "                                                            "
    "                                                            "
    "                                                            "
    "no snapshot: could not connect: connection refused          "
    "q ends it                                                   "
    "                                                            "
    "                                                            "
    "                                                            "
    "                                                            "
    "                                                            "
    "                                                            "
    "                                                            "
    "#);
}

#[test]
fn one_line_says_all() {
    insta::assert_snapshot!(screen().line(), @"11:06:40 UTC, WAIT, time of reads 0.800 ms, log of a row 410 B, replica lag 0.000 s, alert: statements that write the table log 400 B a row, 211 before the column");
}

#[test]
fn no_width_breaks_it() {
    for width in 1..=210 {
        for ascii in [false, true] {
            let mut many = screen();
            many.rows[0].values = (0..500).map(|n| Some(f64::from(n % 17))).collect();
            assert!(!drawn(&many, width, Marks { color: true, ascii }).is_empty());
        }
    }
}
