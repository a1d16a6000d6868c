//! `bench compare`: two runs side by side.

use camino::Utf8PathBuf;
use clap::Args;
use newcol_core::bench::{
    compare::{Compared, Judgement, Measure},
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
    ratio: Option<f64>,
    ratio_low: Option<f64>,
    ratio_high: Option<f64>,
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
        Self {
            name: &measure.name,
            unit: measure.unit,
            first: number(measure.first),
            second: number(measure.second),
            ratio: number(measure.ratio.value),
            ratio_low: number(measure.ratio.low),
            ratio_high: number(measure.ratio.high),
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
        let ratio = |value: f64| {
            if value.is_finite() { format!("{value:.2}") } else { "-".to_owned() }
        };
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
            ratio(measure.ratio.value),
            ratio(measure.ratio.low),
            ratio(measure.ratio.high),
            measure.judgement.to_string(),
        ]
    });
    table(&heading, rows.collect())
}
