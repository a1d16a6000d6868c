use crate::bench::{
    compare::tests::{sample, with_standby},
    words,
};

#[test]
fn five_sentences_say_what_it_costs() {
    insta::assert_snapshot!(words::sentences(&sample(1.0, 1)).join("\n"), @"
    Filling 100 000 rows took 2.0 s at full speed (50 000 rows/s) and wrote 30.0 MB of log, 300 bytes a row (foretold: 315); one UPDATE took 2.0 s and 580 bytes.
    With 100 requests/s, 99 of 100 took less than 11 ms before, 23 ms while old rows were filled, 12 ms while the index was built, 11 ms after.
    The table became 1.28 times as large, because 80 of 100 rows stayed on their page; one UPDATE made it 2.00 times as large; 19 999 dead rows are left for vacuum.
    An insert takes 1.33 times as long with the index (1.32 to 1.34); the index pays from 3.1 lookups per insert (2.3 to 4.1).
    Fill with `cargo newcol backfill`, and build the index afterwards: with the index there before it writes 2.1 times as much.
    ");
}

#[test]
fn a_page_has_every_plot_and_nothing_from_elsewhere() {
    let report = sample(1.0, 1).report();
    let headings: Vec<&str> = report.sections.iter().map(|one| one.heading.as_str()).collect();
    insta::assert_snapshot!(headings.join("\n"), @"
    What users met, over time
    How bad it gets
    What users met, by phase and statement
    Log of a row, by way of filling
    Where the log is from
    Rows that stayed on their page
    Growth of the table
    Speed
    With the index, against without
    From when the index pays
    How it was measured
    ");
    let page = report.to_html();
    assert!(
        page.contains("read &lt;by&gt; key") && !page.contains("http:") && !page.contains("https:")
    );
    for section in &report.sections {
        let table = section.plot.table();
        assert!(!table.rows.is_empty(), "{}", section.heading);
        assert!(table.rows.iter().all(|row| row.len() == table.columns.len()));
    }
}

#[test]
fn a_standby_has_its_plot_its_table_and_its_sentence() {
    let report = with_standby(sample(1.0, 1), 1.0).report();
    let of = |heading: &str| {
        let section = report.sections.iter().find(|one| one.heading.starts_with(heading)).unwrap();
        section.plot.table()
    };
    assert_eq!(of("How far the standby was behind, over time").rows.len(), 80);
    assert_eq!(of("How far the standby was behind, by phase").rows.len(), 4);
    assert_eq!(
        report.sentences[2],
        "The standby was behind by at most < 50 ms (0 B) before, 250 ms (298 kB) while old rows were filled, \
         < 50 ms (0 B) while the index was built, < 50 ms (0 B) after."
    );
}

/// A latency that grows as long as one looks is nowhere in the page.
#[test]
fn a_saturated_run_shows_no_percentile() {
    let mut run = sample(1.0, 1);
    for phase in &mut run.load.as_mut().unwrap().load.phases {
        phase.in_time /= 2;
    }
    let report = run.report();
    assert_eq!(report.verdict.as_deref(), Some("SATURATED"));
    let headings: Vec<&str> = report.sections.iter().map(|one| one.heading.as_str()).collect();
    assert!(
        !headings.contains(&"How bad it gets") && !headings.contains(&"What users met, over time")
    );
    assert!(report.sentences[1].contains("nothing can be said of latency: SATURATED"));
    assert!(!report.sentences.join(" ").contains(" ms"), "{:?}", report.sentences);
}

/// Nothing is done before nor after: what differs there is not the column's.
#[test]
fn a_machine_with_other_work_is_named() {
    let mut run = sample(1.0, 1);
    let mut other = sample(3.0, 2);
    let load = &mut run.load.as_mut().unwrap().load;
    load.phases[3] = other.load.as_mut().unwrap().load.phases.remove(3);
    let said = &run.report().sentences[1];
    assert!(said.ends_with("this machine had other work: run it again."), "{said}");
}
