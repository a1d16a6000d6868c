use super::*;
use crate::bench::{compare::tests::sample, words};

/// A run at 100 000 rows with one at a quarter, where a row costs so many times as much log and time.
fn run(log: f64, time: f64) -> Run {
    let mut run = sample(1.0, 1);
    let mut small = run.fills[0].clone();
    let quarter = |value: &mut f64| *value /= 4.0;
    small.rows /= 4;
    small.log.iter_mut().for_each(|value| *value *= log / 4.0);
    small.seconds *= time / 4.0;
    small.sizes.iter_mut().for_each(|size| {
        quarter(&mut size.before);
        quarter(&mut size.after);
    });
    run.scales = Some(Scales {
        production: 48e6,
        fills: vec![small],
        checkpoints: None,
        otherwise: Vec::new(),
    });
    run
}

fn found(run: &Run, what: What) -> Extrapolated {
    extrapolate(run).into_iter().find(|one| one.what == what).unwrap()
}

#[test]
fn what_is_linear_is_told_with_its_range() {
    let run = run(1.0, 1.0);
    let log = found(&run, What::Log);
    assert_eq!((log.way, log.doubts.len()), (Way::Stride, 0));
    let [low, value, high] = [log.total.low, log.total.value, log.total.high].map(|b| b / 1e9);
    assert!(
        (value - 14.4).abs() < 0.01 && (low - 13.97).abs() < 0.01 && (high - 14.83).abs() < 0.01
    );
    assert_eq!(
        words::sentences(&run)[1],
        "Extrapolated to the 48 000 000 rows of production, not \
        measured (a row costs the same at 25 000 and 100 000 rows, within 15 %): 14.0 GB to 14.8 GB \
        of log, 14 min to 18 min at full speed of this machine, the table grows by 1.3 GB to 1.4 GB."
    );
}

#[test]
fn a_trend_widens_the_range() {
    let log = found(&run(0.9, 1.0), What::Log);
    assert!(log.doubts.is_empty());
    // Ten per cent more for each fourfold, over four and a half of them.
    assert!(log.total.high > 1.5 * log.total.value, "{log:?}");
    assert!(log.total.low < log.total.value);
}

#[test]
fn what_is_not_linear_is_not_trusted() {
    let run = run(0.8, 1.0);
    let log = found(&run, What::Log);
    assert_eq!(
        log.doubts,
        [
            "not linear: for a row it differs by 25 % between 25000 and 100000 rows, and 15 % is the most"
        ]
    );
    let said = &words::sentences(&run)[1];
    assert!(said.contains("nothing of log (not linear: "), "{said}");
    assert!(found(&run, What::Time).doubts.is_empty());
}

#[test]
fn production_that_is_otherwise_is_said() {
    let mut run = run(1.0, 1.0);
    let scales = run.scales.as_mut().unwrap();
    scales.checkpoints = Some(300.0);
    scales.otherwise = vec!["there the table does not fit into memory".to_owned()];
    assert!(found(&run, What::Log).doubts[0].starts_with("it takes longer than the 300 s"));
    assert_eq!(found(&run, What::Time).doubts.len(), 1);
    assert!(found(&run, What::Growth).doubts.is_empty());
}
