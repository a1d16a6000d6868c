//! `bench compare`: two runs side by side.

use camino::Utf8PathBuf;
use clap::Args;
use newcol_core::bench::{
    compare::{Change, Compared, Judgement, Measure},
    run::Run,
};
use serde::Serialize;

use super::{read, text::table};
use crate::{
    context::Context,
    error::{CliError, Exit},
    output::Output,
};

#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// Run to compare with, as `bench --json` wrote it
    first: Utf8PathBuf,
    /// Run to judge
    second: Utf8PathBuf,
}

#[derive(Debug, Serialize)]
struct ComparedJson<'a> {
    comparable: bool,
    differing: &'a [String],
    measures: Vec<MeasureJson<'a>>,
}

#[derive(Debug, Serialize)]
struct MeasureJson<'a> {
    name: &'a str,
    unit: &'a str,
    /// Null where nothing may be said.
    first: Option<f64>,
    second: Option<f64>,
    /// Null of shares, which have `points`.
    ratio: Option<f64>,
    ratio_low: Option<f64>,
    ratio_high: Option<f64>,
    /// Percentage points, of shares alone.
    points: Option<f64>,
    points_low: Option<f64>,
    points_high: Option<f64>,
    judgement: &'static str,
    why: Option<&'a str>,
}

impl<'a> MeasureJson<'a> {
    fn of(measure: &'a Measure) -> Self {
        let number = |value: f64| value.is_finite().then_some(value);
        let (judgement, why) = match &measure.judgement {
            Judgement::Better => ("better", None),
            Judgement::Worse => ("worse", None),
            Judgement::Same => ("no-difference", None),
            Judgement::NotComparable(why) => ("not-comparable", Some(why.as_str())),
        };
        let (ratio, points) = match measure.change {
            Change::Ratio(ratio) => (Some(ratio), None),
            Change::Points(points) => (None, Some(points)),
        };
        Self {
            name: &measure.name,
            unit: measure.unit,
            first: number(measure.first),
            second: number(measure.second),
            ratio: ratio.and_then(|of| number(of.value)),
            ratio_low: ratio.and_then(|of| number(of.low)),
            ratio_high: ratio.and_then(|of| number(of.high)),
            points: points.map(|of| of.value),
            points_low: points.map(|of| of.low),
            points_high: points.map(|of| of.high),
            judgement,
            why,
        }
    }
}

pub(super) fn run(ctx: &Context, out: &mut Output, args: &CompareArgs) -> Result<Exit, CliError> {
    let run = |path: &Utf8PathBuf| {
        Run::parse(&read(ctx, path)?)
            .map_err(|error| CliError::of(Exit::Usage, &error).at(path).hint(error.hint()))
    };
    let compared = Compared::of(&run(&args.first)?, &run(&args.second)?);
    out.json(
        "newcol-bench-compare",
        &ComparedJson {
            comparable: compared.differing.is_empty(),
            differing: &compared.differing,
            measures: compared.measures.iter().map(MeasureJson::of).collect(),
        },
    );
    if !compared.differing.is_empty() {
        out.say("not comparable:");
        for reason in &compared.differing {
            out.say(&format!("- {reason}"));
        }
        return Ok(Exit::Failed);
    }
    out.say(lines(&compared).trim_end());
    let is_speed = |of: &Measure| of.name.starts_with("speed against");
    if compared.measures.iter().any(is_speed) {
        out.say(
            "\nspeed is held against one UPDATE of the same run, and told apart only where the intervals \
             of the two runs do not overlap",
        );
    }
    Ok(if compared.is_worse() { Exit::Findings } else { Exit::Done })
}

fn lines(compared: &Compared) -> String {
    let heading = ["measure", "first", "second", "", "ratio", "from", "to", "judgement"];
    let rows = compared.measures.iter().map(|measure| {
        let change = |value: f64| match measure.change {
            _ if !value.is_finite() => "-".to_owned(),
            Change::Ratio(_) => format!("{value:.2}"),
            Change::Points(_) => format!("{value:+.0} pt"),
        };
        let of = measure.change.estimate();
        let value = |value: f64| match value {
            v if !v.is_finite() => "-".to_owned(),
            v if v.abs() >= 100.0 => format!("{v:.0}"),
            v => format!("{v:.2}"),
        };
        vec![
            measure.name.clone(),
            value(measure.first),
            value(measure.second),
            measure.unit.to_owned(),
            change(of.value),
            change(of.low),
            change(of.high),
            measure.judgement.to_string(),
        ]
    });
    table(&heading, rows.collect())
}
