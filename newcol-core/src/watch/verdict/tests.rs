use super::*;
use crate::watch::effect::Finding;
use crate::watch::{
    benefit::{
        balance,
        tests::{compared, comparison},
    },
    series::Role,
};

fn facts() -> IndexFacts {
    IndexFacts::plain("public.t_c", "CREATE INDEX t_c ON public.t USING btree (c)", 9_000_000)
}

/// A used index that pays.
fn paying() -> Evidence {
    let times = comparison(vec![
        compared(1, Role::Filter, 0.1, 0.05, Finding::Changed),
        compared(2, Role::Inserted, 1.2, 0.05, Finding::Changed),
    ]);
    let index = IndexEvidence {
        facts: facts(),
        usage: Usage { counted: 2010, executed: 2000, weighed: 2000, planned: 5 },
        replicas: Replicas::None,
        balance: balance(&times, 1.0),
        days: 0.04,
        month_end: MonthEnd::NotAsked,
        column: ColumnFacts { null_frac: 0.0, correlation: Some(0.1), asked: Asked::Values },
        rebuild_bytes: 0,
    };
    Evidence {
        window: (0.0, 7200.0),
        level: Level::Plans,
        no_plans: None,
        gates: Vec::new(),
        comparisons: vec![times],
        index: Some(index),
    }
}

/// An index that nothing used for eight days.
fn unused() -> Evidence {
    let times = comparison(vec![compared(2, Role::Inserted, 1.2, 0.05, Finding::Changed)]);
    let mut evidence = paying();
    let index = evidence.index.as_mut().unwrap();
    index.usage = Usage { counted: 0, executed: 0, weighed: 0, planned: 0 };
    index.balance = balance(&times, 1.0);
    index.days = 8.0;
    evidence.comparisons = vec![times];
    evidence.window = (0.0, 8.0 * 86_400.0);
    evidence
}

fn changed(mut evidence: Evidence, change: impl Fn(&mut IndexEvidence)) -> Evidence {
    change(evidence.index.as_mut().unwrap());
    evidence
}

fn said(evidence: &Evidence) -> String {
    judge(evidence).to_string()
}

#[test]
fn each_word_has_its_sentence() {
    let mut unknown = paying();
    unknown.gates = vec![Reason::StatsReset, Reason::IndexBuilding];
    let mut regression = paying();
    regression.comparisons[0].queries.push(compared(7, Role::Join, 3.0, 0.1, Finding::Changed));
    let mut close = paying();
    close.index.as_mut().unwrap().balance.benefit = Rate { ms: 5000.0, low: 3000.0, high: 7000.0 };
    let mut together = paying();
    let mut readers = comparison(vec![compared(1, Role::Filter, 1.1, 0.2, Finding::Chance)]);
    readers.group = Some(compared(1, Role::Filter, 1.1, 0.05, Finding::Changed).effect);
    together.comparisons = vec![readers];
    let mut quiet = paying();
    quiet.index = None;
    let mut nothing = quiet.clone();
    nothing.comparisons.clear();
    let lines: Vec<String> = [
        paying(),
        unused(),
        unknown,
        regression,
        together,
        close,
        quiet,
        nothing,
        changed(paying(), |index| index.column.null_frac = 0.9),
        changed(paying(), |index| {
            index.column.correlation = Some(-0.99);
            index.column.asked = Asked::Ranges;
        }),
        changed(paying(), |index| index.facts.covered_by = Some("public.t_c_d".into())),
        changed(paying(), |index| {
            index.balance.benefit = Rate { ms: 10.0, low: 5.0, high: 15.0 };
        }),
    ]
    .iter()
    .map(said)
    .collect();
    insta::assert_snapshot!(lines.join("\n"), @"
    KEEP: it saves 18000 ms/h (95 %: 17025 to 19025) and costs 4000 ms/h (95 %: 2975 to 4975) [2.0 h of counters, texts and plans]
    DROP?: nothing uses it; it costs 4000 ms/h (95 %: 2975 to 4975) and takes 9000000 bytes [192.0 h of counters, texts and plans]
    UNKNOWN: statistics were reset while we watched; the index is still being built [2.0 h of counters, texts and plans]
    REGRESSION: 7: time per call +200 % (95 %: +171 to +232, p = 0.010), 10.000 before and 30.000 after [2.0 h of counters, texts and plans]
    REGRESSION: all together: time per call +10 % (95 %: +5 to +16, p = 0.010) [2.0 h of counters, texts and plans]
    WAIT: it saves 5000 ms/h (95 %: 3000 to 7000) and costs 4000 ms/h (95 %: 2975 to 4975), too close to tell; about 35 more hours or 102560 more calls [2.0 h of counters, texts and plans]
    QUIET: nothing became worse; a change of 7 % would have been found [2.0 h of counters, texts and plans]
    WAIT: no statement could be compared yet [2.0 h of counters, texts and plans]
    CHANGE: 90 % of its rows have no value, and nobody looks for them: add WHERE … IS NOT NULL [2.0 h of counters, texts and plans]
    CHANGE: rows lie in the order of values (correlation 0.99) and only ranges are asked for: a BRIN index would be a thousandth of the size [2.0 h of counters, texts and plans]
    CHANGE: public.t_c_d begins with the same columns [2.0 h of counters, texts and plans]
    CHANGE: it is used, and saves 10 ms/h (95 %: 5 to 15) but costs 4000 ms/h (95 %: 2975 to 4975) [2.0 h of counters, texts and plans]
    ");
}

#[test]
fn what_drops_and_rebuilds_is_printed() {
    let Verdict::Drop { statements, .. } = judge(&unused()).verdict else { panic!() };
    assert_eq!(
        statements,
        [
            "DROP INDEX CONCURRENTLY public.t_c",
            "CREATE INDEX CONCURRENTLY t_c ON public.t USING btree (c)"
        ]
    );
}

/// Each of these alone keeps an unused index from being called so.
#[test]
fn drop_is_refused() {
    type Case = (&'static str, fn(&mut IndexEvidence));
    let refusals: [Case; 16] = [
        ("primary", |i| i.facts.primary = true),
        ("unique", |i| i.facts.unique = true),
        ("exclusion", |i| i.facts.exclusion = true),
        ("replica identity", |i| i.facts.replica_identity = true),
        ("referred to", |i| {
            i.facts.foreign_key = Some(ForeignKey::ReferredTo("o_t_fk".into()));
        }),
        ("refers", |i| i.facts.foreign_key = Some(ForeignKey::Refers("t_c_fk".into()))),
        ("expression", |i| i.facts.expression = true),
        ("no word of replicas", |i| i.replicas = Replicas::Unlisted),
        ("a silent replica", |i| i.replicas = Replicas::Asked(vec![("b".into(), None)])),
        ("a replica", |i| {
            i.replicas = Replicas::Asked(vec![("a".into(), Some(0)), ("b".into(), Some(3))]);
        }),
        ("six days", |i| i.days = 6.9),
        ("no number of days", |i| i.days = f64::NAN),
        ("no month's end", |i| i.month_end = MonthEnd::Missing),
        ("no cost", |i| (i.facts.bytes, i.balance) = (0, Balance::default())),
        ("scans that nobody explains", |i| i.usage.counted = 9),
        ("one execution", |i| i.usage = Usage { counted: 1, executed: 1, weighed: 0, planned: 0 }),
    ];
    let mut lines = Vec::new();
    for (name, change) in refusals {
        let judged = judge(&changed(unused(), change));
        assert_ne!(judged.verdict.word(), "DROP?", "{name}");
        lines.push(format!("{name}: {judged}"));
    }
    insta::assert_snapshot!(lines.join("\n"), @"
    primary: KEEP: it is the primary key's [192.0 h of counters, texts and plans]
    unique: KEEP: it keeps rows different, which the server counts as no scan [192.0 h of counters, texts and plans]
    exclusion: KEEP: it keeps an exclusion constraint [192.0 h of counters, texts and plans]
    replica identity: KEEP: logical replication finds rows by it [192.0 h of counters, texts and plans]
    referred to: KEEP: the foreign key o_t_fk refers to it [192.0 h of counters, texts and plans]
    refers: KEEP: deletions look for rows of the foreign key t_c_fk by it [192.0 h of counters, texts and plans]
    expression: KEEP: the planner's statistics of its expression would go with it [192.0 h of counters, texts and plans]
    no word of replicas: WAIT: nothing was seen to use it, but a replica may use it, and nobody said that there is none [192.0 h of counters, texts and plans]
    a silent replica: WAIT: nothing was seen to use it, but the replica b could not be asked [192.0 h of counters, texts and plans]
    a replica: WAIT: nothing was seen to use it, but the replica b scanned it 3 times [192.0 h of counters, texts and plans]
    six days: WAIT: nothing was seen to use it, but it was watched for 6.9 days, 7 are needed; about 3 more hours [192.0 h of counters, texts and plans]
    no number of days: WAIT: nothing was seen to use it, but it was watched for NaN days, 7 are needed [192.0 h of counters, texts and plans]
    no month's end: WAIT: nothing was seen to use it, but the end of a month was not watched [192.0 h of counters, texts and plans]
    no cost: WAIT: nothing was seen to use it, but it costs nothing that could be saved [192.0 h of counters, texts and plans]
    scans that nobody explains: WAIT: statements explain 0 % of the index's scans, 80 % are needed [192.0 h of counters, texts and plans]
    one execution: WAIT: 100 % of its uses are of statements that never ran without it, so nobody knows what they would take [192.0 h of counters, texts and plans]
    ");
}

#[test]
fn asked_replicas_and_a_seen_month_allow_it() {
    let evidence = changed(unused(), |index| {
        index.replicas = Replicas::Asked(vec![("a".into(), Some(0)), ("b".into(), Some(0))]);
        index.month_end = MonthEnd::Seen;
        // Planning looks at the ends of an index, and the server counts that.
        index.usage = Usage { counted: 40, executed: 0, weighed: 0, planned: 38 };
    });
    assert_eq!(judge(&evidence).verdict.word(), "DROP?");
}

#[test]
fn use_that_is_not_explained_caps_every_verdict() {
    for (counted, executed, planned, word) in [
        (1000, 800, 0, "KEEP"),
        (1000, 799, 0, "WAIT"),
        (1000, 700, 100, "KEEP"),
        // Plans that name the index, and a server that did not scan it.
        (0, 1000, 0, "WAIT"),
        (800, 1000, 0, "KEEP"),
    ] {
        let usage = Usage { counted, executed, weighed: executed, planned };
        let evidence = changed(paying(), |index| index.usage = usage);
        assert_eq!(judge(&evidence).verdict.word(), word, "{usage:?}");
    }
    for level in [Level::Counters, Level::Texts] {
        assert_eq!(judge(&Evidence { level, ..paying() }).verdict.word(), "WAIT");
        assert_eq!(judge(&Evidence { level, ..unused() }).verdict.word(), "WAIT");
    }
}

#[test]
fn writers_that_pay_and_readers_of_more_rows_are_no_regression() {
    let mut evidence = paying();
    evidence.comparisons.push(Comparison {
        signal: Signal::Rows,
        ..comparison(vec![compared(1, Role::Filter, 5.0, 0.1, Finding::Changed)])
    });
    assert_eq!(judge(&evidence).verdict.word(), "KEEP");
}

#[test]
fn waiting_is_longer_the_closer_both_are() {
    let hours = |benefit: f64| {
        let evidence = changed(paying(), |index| {
            let cost = index.balance.cost.ms;
            let ms = cost + benefit;
            index.balance.benefit = Rate { ms, low: ms - 1000.0, high: ms + 1000.0 };
        });
        match judge(&evidence).verdict {
            Verdict::Wait { longer, .. } => longer.map(|longer| longer.hours),
            other => panic!("{other:?}"),
        }
    };
    let (near, far) = (hours(50.0).unwrap(), hours(500.0).unwrap());
    assert!(near > 50.0 * far && far > 0.0, "{near} {far}");
    assert_eq!(hours(0.001), None);
}
