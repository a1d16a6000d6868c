//! What is known of a column, in the text format of Prometheus. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use super::{
    alert::{Alert, NAMES},
    history::History,
    involve::role_name,
    report::Report,
    series::{QueryId, Role},
};

/// The words of verdicts.
const WORDS: [&str; 7] = ["KEEP", "DROP?", "CHANGE", "REGRESSION", "WAIT", "UNKNOWN", "QUIET"];

/// How many lineages are told apart: each is two time series in somebody's store.
pub const MOST: usize = 50;

/// Lineages that are told apart. Once one is, it stays so: a counter that falls is a restart to who
/// reads it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shown(BTreeSet<QueryId>);

/// What is exposed of a column.
#[derive(Debug)]
pub struct Exposed<'a> {
    /// The column.
    pub column: &'a str,
    /// Whether the last snapshot could be taken.
    pub is_up: bool,
    /// Snapshots that were taken since this began, and those that could not be.
    pub snapshots: (u64, u64),
    /// What the file holds; nothing before the first snapshot.
    pub seen: Option<Seen<'a>>,
}

/// What a file holds.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// Snapshot by snapshot.
    pub history: &'a History,
    /// All together.
    pub report: &'a Report,
    /// The word of the verdict.
    pub verdict: Option<&'a str>,
    /// What to look at.
    pub alerts: &'a [Alert],
}

/// A family of time series that is written.
struct Family<'t> {
    text: &'t mut String,
    name: &'static str,
    column: &'t str,
}

impl Family<'_> {
    /// Writes one sample.
    fn sample(&mut self, labels: &[(&str, &str)], value: f64) {
        let Self { text, name, column } = self;
        // Writing to a string does not fail.
        write!(text, "{name}{{column=\"{}\"", escaped(column)).ok();
        for (label, of) in labels {
            write!(text, ",{label}=\"{}\"", escaped(of)).ok();
        }
        writeln!(text, "}} {value}").ok();
    }
}

/// Returns the whole page.
pub fn text(exposed: &Exposed<'_>, shown: &mut Shown) -> String {
    let mut text = String::new();
    let mut family =
        |name: &'static str, kind: &str, help: &str, write: &mut dyn FnMut(Family<'_>)| {
            writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}").ok();
            write(Family { text: &mut text, name, column: exposed.column });
        };
    let is_up = f64::from(u8::from(exposed.is_up));
    family("newcol_up", "gauge", "Whether the last snapshot could be taken.", &mut |mut f| {
        f.sample(&[], is_up);
    });
    let (taken, failed) = exposed.snapshots;
    family("newcol_snapshots_total", "counter", "Snapshots that were taken.", &mut |mut f| {
        f.sample(&[], taken as f64);
    });
    family(
        "newcol_snapshot_failures_total",
        "counter",
        "Snapshots that could not be taken.",
        &mut |mut f| f.sample(&[], failed as f64),
    );
    let Some(seen) = exposed.seen else { return text };
    let Some(last) = seen.history.moments.last() else { return text };
    family(
        "newcol_last_snapshot_timestamp_seconds",
        "gauge",
        "When the last snapshot was taken, by the server's clock.",
        &mut |mut f| f.sample(&[], last.at),
    );
    let sums = sums(seen, shown);
    let counters: [(&'static str, &str, Figure); 3] = [
        ("newcol_query_seconds_total", "Time of statements since the first snapshot.", |sum| {
            sum.seconds
        }),
        ("newcol_query_calls_total", "Executions since the first snapshot.", |sum| sum.calls),
        (
            "newcol_wal_bytes_total",
            "Bytes of log that statements have written since the first snapshot.",
            |sum| sum.wal_bytes,
        ),
    ];
    for (name, help, of) in counters {
        family(name, "counter", help, &mut |mut f| {
            for ((role, lineage), sum) in &sums {
                f.sample(&[("role", role), ("lineage", lineage)], of(sum));
            }
        });
    }
    let pairs = || seen.history.moments.windows(2).rev();
    let hot = pairs().find_map(|two| {
        let all = two[1].growth(&two[0], "", "n_tup_upd").filter(|all| *all > 0.0)?;
        Some(two[1].growth(&two[0], "", "n_tup_hot_upd")? / all)
    });
    family(
        "newcol_hot_ratio",
        "gauge",
        "Share of the last updates that no index had to hear of.",
        &mut |mut f| hot.into_iter().for_each(|hot| f.sample(&[], hot)),
    );
    for (name, measure, help) in [
        ("newcol_index_scans_total", "idx_scan", "Scans of an index, as the server counts them."),
        (
            "newcol_index_rows_read_total",
            "rows_read",
            "Rows read through an index (MySQL and MariaDB).",
        ),
    ] {
        family(name, "counter", help, &mut |mut f| {
            for index in last.indexes() {
                if let Some(value) = last.measure(index, measure) {
                    f.sample(&[("index", index)], value);
                }
            }
        });
    }
    family(
        "newcol_replica_lag_seconds",
        "gauge",
        "How far the slowest replica is behind.",
        &mut |mut f| {
            last.measure("", "replica_lag_s").into_iter().for_each(|lag| f.sample(&[], lag));
        },
    );
    family("newcol_verdict", "gauge", "1 for the word of the verdict.", &mut |mut f| {
        for word in WORDS {
            f.sample(&[("verdict", word)], f64::from(u8::from(seen.verdict == Some(word))));
        }
    });
    family("newcol_alert", "gauge", "1 for what somebody should look at.", &mut |mut f| {
        for name in NAMES {
            let is_on = seen.alerts.iter().any(|alert| alert.name == name);
            f.sample(&[("alert", name)], f64::from(u8::from(is_on)));
        }
    });
    text
}

/// What statements of one role and lineage did.
#[derive(Debug, Default)]
struct Sum {
    seconds: f64,
    calls: f64,
    wal_bytes: f64,
}

/// One of its figures.
type Figure = fn(&Sum) -> f64;

/// Adds up statements by role and lineage; those to compare with are one.
fn sums(seen: Seen<'_>, shown: &mut Shown) -> BTreeMap<(&'static str, String), Sum> {
    let mut of: BTreeMap<QueryId, (Role, QueryId)> = BTreeMap::new();
    for line in seen.report.lines.iter().filter(|line| line.on_table) {
        let lineage = line.heirs_of.iter().min().copied().unwrap_or(line.id);
        of.insert(line.id, (line.role, lineage));
    }
    let mut times: BTreeMap<QueryId, f64> = BTreeMap::new();
    for (id, window) in seen.history.moments.iter().flat_map(|moment| &moment.windows) {
        if let Some((_, lineage)) = of.get(id) {
            *times.entry(*lineage).or_default() += window.total_ms;
        }
    }
    let mut new: Vec<(QueryId, f64)> =
        times.into_iter().filter(|(lineage, _)| !shown.0.contains(lineage)).collect();
    new.sort_by(|a, b| b.1.total_cmp(&a.1));
    let room = MOST.saturating_sub(shown.0.len());
    shown.0.extend(new.into_iter().take(room).map(|(lineage, _)| lineage));
    let mut sums: BTreeMap<(&'static str, String), Sum> = BTreeMap::new();
    for (id, window) in seen.history.moments.iter().flat_map(|moment| &moment.windows) {
        let (role, lineage) = match of.get(id) {
            Some((role, lineage)) if shown.0.contains(lineage) => (*role, lineage.to_string()),
            Some((role, _)) => (*role, "others".to_owned()),
            None => match seen.history.roles.get(id) {
                Some(Role::Control) => (Role::Control, "all".to_owned()),
                _ => continue,
            },
        };
        let sum = sums.entry((role_name(role), lineage)).or_default();
        sum.seconds += window.total_ms / 1000.0;
        sum.calls += window.calls as f64;
        sum.wal_bytes += window.wal_bytes.unwrap_or_default() as f64;
    }
    sums
}

/// Returns a label's value as it is written.
pub(crate) fn escaped(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::{
        history::Moment,
        involve::Layer,
        report::{BLOCKS, Line, OwnCost, TableUse},
        series::Window,
    };

    fn line(id: i64, heirs_of: &[i64]) -> Line {
        Line {
            id: QueryId(id),
            text: None,
            role: Role::Filter,
            uses: BTreeSet::from([Role::Filter]),
            layer: Layer::Text,
            why: None,
            on_table: true,
            is_of_old: heirs_of.is_empty(),
            before: None,
            is_history: false,
            after: None,
            percentiles: None,
            heirs_of: heirs_of.iter().copied().map(QueryId).collect(),
        }
    }

    fn report(lines: Vec<Line>) -> Report {
        Report {
            snapshots: 2,
            span: (0.0, 60.0),
            absent_until: None,
            present_since: None,
            covered: (0.0, 60.0),
            lines,
            controls: 0,
            table: (TableUse::default(), TableUse::default()),
            table_points: Vec::new(),
            indexes: Vec::new(),
            used: None,
            gaps: Vec::new(),
            own: OwnCost::default(),
            hidden: 0,
            touched: BLOCKS,
            has_statements: true,
        }
    }

    /// A moment in which each statement ran once, for as many ms as `took` says.
    fn moment(ids: std::ops::Range<i64>, took: fn(i64) -> f64) -> Moment {
        let window = |id: i64| Window {
            from: 0.0,
            to: 60.0,
            calls: 1,
            total_ms: took(id),
            sd_ms: None,
            rows: 1,
            blocks: 0,
            wal_bytes: None,
        };
        let windows = ids.map(|id| (QueryId(id), window(id))).collect();
        Moment { at: 60.0, windows, ..Moment::default() }
    }

    fn page(history: &History, report: &Report, shown: &mut Shown) -> String {
        let seen = Seen { history, report, verdict: Some("WAIT"), alerts: &[] };
        let exposed =
            Exposed { column: "users.locale", is_up: true, snapshots: (2, 0), seen: Some(seen) };
        text(&exposed, shown)
    }

    fn lineages(page: &str) -> Vec<&str> {
        let lines = page.lines().filter(|line| line.starts_with("newcol_query_calls_total"));
        lines.filter_map(|line| line.split("lineage=\"").nth(1)?.split('"').next()).collect()
    }

    #[test]
    fn no_more_than_fifty_lineages_are_told_apart_and_always_the_same() {
        let mut shown = Shown::default();
        let report = report((0..60).map(|id| line(id, &[])).collect());
        let mut history = History {
            moments: vec![moment(0..60, |id| 100.0 - id as f64)],
            roles: BTreeMap::new(),
        };
        let first = page(&history, &report, &mut shown);
        let wanted: BTreeSet<String> =
            (0..50).map(|id| id.to_string()).chain(["others".to_owned()]).collect();
        let found = |page: &str| lineages(page).into_iter().map(str::to_owned).collect();
        let told: BTreeSet<String> = found(&first);
        assert_eq!(told, wanted);
        // The last ones take most now; who reads counters sees none of them fall.
        history.moments.push(moment(0..60, |id| if id > 49 { 1e6 } else { 0.0 }));
        let told: BTreeSet<String> = found(&page(&history, &report, &mut shown));
        assert_eq!(told, wanted);
    }

    #[test]
    fn a_statement_goes_on_as_what_it_continues() {
        let report = report(vec![line(7, &[]), line(9, &[7])]);
        let history = History { moments: vec![moment(7..10, |_| 250.0)], roles: BTreeMap::new() };
        let page = page(&history, &report, &mut Shown::default());
        let of =
            "newcol_query_seconds_total{column=\"users.locale\",role=\"filter\",lineage=\"7\"} 0.5";
        assert!(page.lines().any(|line| line == of), "{page}");
        assert!(page.contains("newcol_verdict{column=\"users.locale\",verdict=\"WAIT\"} 1\n"));
    }

    #[test]
    fn before_the_first_snapshot_it_says_only_that() {
        let exposed = Exposed { column: "a\"\\b", is_up: false, snapshots: (0, 3), seen: None };
        insta::assert_snapshot!(text(&exposed, &mut Shown::default()), @r#"
        # HELP newcol_up Whether the last snapshot could be taken.
        # TYPE newcol_up gauge
        newcol_up{column="a\"\\b"} 0
        # HELP newcol_snapshots_total Snapshots that were taken.
        # TYPE newcol_snapshots_total counter
        newcol_snapshots_total{column="a\"\\b"} 0
        # HELP newcol_snapshot_failures_total Snapshots that could not be taken.
        # TYPE newcol_snapshot_failures_total counter
        newcol_snapshot_failures_total{column="a\"\\b"} 3
        "#);
    }
}
