use std::collections::BTreeMap;

use super::*;
use crate::watch::{
    benefit::balance,
    effect::{Signal, Split, Thresholds, compare},
    page::{ScanPoint, TablePoint, Watched},
    series::{QueryId, Role, Series, Window},
    verdict::{
        Asked, ColumnFacts, Evidence, IndexEvidence, IndexFacts, Level, MonthEnd, Replicas, Usage,
        judge,
    },
};

const SPLIT: f64 = 1_790_000_000.0;
const HOSTILE: &str = "select \"<script>alert(1)</script>\" from t where c = '&lt;' -- ]]></style>";

fn series(id: i64, role: Role, factor: f64, calls: u64) -> Series {
    let mut random = fastrand::Rng::with_seed(id as u64);
    let windows = (-180..180).map(|minute: i32| {
        let from = SPLIT + f64::from(minute) * 60.0;
        let load = 1.0 + 0.2 * (f64::from(minute) / 40.0).sin();
        let after = if minute < 0 { 1.0 } else { factor };
        let calls = (calls as f64 * load) as u64;
        let mean = (0.5 + (id % 7) as f64) * load * after * (0.9 + 0.2 * random.f64());
        Window {
            from,
            to: from + 60.0,
            calls,
            total_ms: mean * calls as f64,
            sd_ms: None,
            rows: calls,
            blocks: (40.0 * calls as f64 * after) as u64,
            wal_bytes: Some((300.0 * calls as f64 * after) as u64),
        }
    });
    Series { id: QueryId(id), role, windows: windows.collect() }
}

/// Six hours of a table with an index that pays, one statement that became slower, and hostile texts.
fn sample() -> Report {
    let ours = [
        series(1, Role::Filter, 0.08, 60),
        series(2, Role::Join, 0.3, 20),
        series(3, Role::Order, 1.6, 10),
        series(4, Role::Inserted, 1.15, 90),
        series(5, Role::Projected, 1.01, 200),
        series(6, Role::Writes, 1.12, 30),
        Series { id: QueryId(7), role: Role::Filter, windows: Vec::new() },
    ];
    let controls: Vec<_> = (100..140).map(|id| series(id, Role::Control, 1.0, 50)).collect();
    let split = Split::at(SPLIT);
    let compared =
        |signal| compare(&ours, &controls, split, signal, &Thresholds::default(), 1).unwrap();
    let comparisons = [Signal::Time, Signal::Blocks].map(compared);
    let weighed = balance(&comparisons[0], 3.0);
    let facts = IndexFacts::plain("t_c", "CREATE INDEX t_c ON t (c)", 1 << 20);
    let judgement = judge(&Evidence {
        window: (SPLIT - 10_800.0, SPLIT + 10_800.0),
        level: Level::Plans,
        no_plans: None,
        gates: Vec::new(),
        comparisons: comparisons.to_vec(),
        index: Some(IndexEvidence {
            facts,
            usage: Usage { counted: 100, executed: 95, weighed: 95, planned: 0 },
            replicas: Replicas::None,
            rebuild_bytes: 0,
            balance: weighed.clone(),
            days: 0.2,
            month_end: MonthEnd::NotAsked,
            column: ColumnFacts { null_frac: 0.0, correlation: None, asked: Asked::Values },
        }),
    });
    let names = [
        (1, HOSTILE),
        (
            2,
            "SELECT o.id, o.total FROM orders o JOIN users u ON u.plan_id = o.plan_id WHERE u.id = $1",
        ),
        (3, "SELECT id FROM users ORDER BY plan_id, created_at LIMIT $1"),
        (4, "INSERT INTO users (name, plan_id) VALUES ($1, $2) RETURNING id"),
        (5, "SELECT id, name, plan_id FROM users WHERE id = $1"),
        (6, "UPDATE users SET last_seen = now() WHERE id = $1"),
    ];
    let names: BTreeMap<_, _> =
        names.into_iter().map(|(id, text)| (QueryId(id), text.to_owned())).collect();
    let moments = || (-36..36).map(|at| SPLIT + f64::from(at) * 300.0);
    let table: Vec<_> = moments()
        .map(|at| TablePoint { at, hot: if at < SPLIT { 0.9 } else { 0.55 }, dead: at % 9000.0 })
        .collect();
    let scans: Vec<_> = moments()
        .map(|at| {
            let counted = if at < SPLIT { f64::NAN } else { 4800.0 };
            ScanPoint { at, counted, attributed: counted * 0.95 }
        })
        .collect();
    let marks = [(-3600.0, "release 42 <b>"), (-1800.0, "backfill ends"), (0.0, "index is valid")]
        .map(|(after, label)| Mark { at: SPLIT + after, label: label.into() });
    Watched {
        column: "users.plan_id",
        origin: "db.example, 2026-09-21 14:13 UTC",
        judgement: &judgement,
        beside: None,
        comparisons: &comparisons,
        series: &ours,
        controls: &controls,
        names: &names,
        split,
        marks: &marks,
        table: &table,
        scans: &scans,
        balance: Some(&weighed),
    }
    .report()
}

/// Returns every value of an attribute.
fn attributes<'a>(page: &'a str, name: &str) -> Vec<&'a str> {
    let start = format!(" {name}=\"");
    let values = page.split(&start).skip(1).map(|rest| rest.split('"').next().unwrap());
    values.collect()
}

/// `cargo test -p newcol-core --features report page -- --nocapture` prints the page, to be looked at.
#[test]
fn a_page_needs_nothing_and_nobody() {
    let page = sample().to_html();
    println!("{page}");
    for outside in ["http:", "https:", "//", "url(", "@import", "<img", "<iframe", " src="] {
        let body = page.replace("</", "").replace(SORT, "");
        assert!(!body.contains(outside), "{outside}");
    }
    assert_eq!(attributes(&page, "href"), ["data:,"]);
    assert_eq!(page.matches("<script").count(), 1);
    assert!(page.len() < 400_000, "{}", page.len());
}

#[test]
fn what_comes_from_the_database_is_text() {
    let page = sample().to_html();
    assert!(!page.contains("<script>alert") && !page.contains("]]></style>"));
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(!page.contains("<b>") && page.contains("release 42 &lt;b&gt;"));
}

#[test]
fn every_plot_has_its_numbers_and_stays_in_its_frame() {
    let report = sample();
    let page = report.to_html();
    assert_eq!(page.matches("<figure").count(), page.matches("<details").count());
    assert!(page.matches("<figure").count() >= 9);
    for name in ["x", "x1", "x2", "y1", "y2", "width", "d"] {
        for value in attributes(&page, name) {
            assert!(!value.contains("NaN") && !value.contains("inf"), "{name}={value}");
        }
    }
    for name in ["x", "x1", "x2"] {
        for value in attributes(&page, name) {
            let value: f64 = value.parse().unwrap();
            assert!((0.0..=100.0).contains(&value), "{name}={value}");
        }
    }
    for section in &report.sections {
        let table = section.plot.table();
        assert!(!table.rows.is_empty(), "{}", section.heading);
        assert!(
            table.rows.iter().all(|row| row.len() == table.columns.len()),
            "{}",
            section.heading
        );
    }
}

/// Elements are closed in the order they were opened.
#[test]
fn the_page_is_well_formed() {
    let page = sample().to_html().replace(SORT, "").replace(STYLE, "");
    let mut open: Vec<&str> = Vec::new();
    for tag in page.split('<').skip(1) {
        let tag = tag.split('>').next().unwrap();
        let name = tag.trim_start_matches('/').split_whitespace().next().unwrap();
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !["!DOCTYPE", "meta", "link"].contains(&name) {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn empty_and_odd_plots_are_drawn() {
    let odd = [f64::NAN, f64::INFINITY, -1e300, 1e300, 0.0];
    let points =
        |values: &[f64]| values.iter().enumerate().map(|(at, v)| (at as f64, *v)).collect();
    let chart = |shape, values: &[f64]| {
        let line = Line { name: "a".into(), stroke: Stroke::Plain, points: points(values) };
        let axis = Axis::Clock;
        let unit = String::new();
        Plot::Chart(Chart { axis, unit, shape, lines: vec![line], marks: Vec::new() })
    };
    let strip = |value, low, high| Strip {
        label: "a".into(),
        note: String::new(),
        value,
        interval: (low, high),
        tone: Tone::Neutral,
    };
    let strips =
        |rows| Plot::Strips(Strips { unit: "%".into(), style: Style::Bars, band: None, rows });
    for plot in [
        chart(Shape::Lines, &[]),
        chart(Shape::Stacked, &[]),
        chart(Shape::Lines, &odd),
        chart(Shape::Stacked, &odd),
        chart(Shape::Lines, &[f64::NAN]),
        strips(Vec::new()),
        strips(vec![strip(f64::NAN, f64::NAN, f64::NAN), strip(0.0, 0.0, 0.0)]),
        strips(vec![strip(1.0, f64::NEG_INFINITY, f64::INFINITY)]),
    ] {
        let drawn = plot.draw().into_string();
        for name in ["x", "x1", "x2", "y1", "y2", "width", "d"] {
            for value in attributes(&drawn, name) {
                assert!(
                    !value.contains("NaN") && !value.contains("inf"),
                    "{name}={value}: {plot:?}"
                );
            }
        }
    }
}
