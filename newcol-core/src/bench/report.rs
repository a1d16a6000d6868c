//! A run as a [page](crate::page).

use self::more::{behind, behind_over_time, scales};
use super::{
    blocks::BreakEven,
    latency::Histogram,
    load::{Load, Phase, PhaseLoad},
    run::{Fill, Loaded, Paid, Run, Way},
    words::{SEED, seconds, sentences},
};
use crate::page::{
    Axis, Chart, Line, Mark, Plot, Report, Section, Shape, Strip, Strips, Stroke, Style, Table,
    Tone, Value,
};

impl Run {
    /// Returns the report.
    #[must_use]
    pub fn report(&self) -> Report {
        let conditions = &self.conditions;
        let load = self.load.as_ref();
        let sections = [
            load.and_then(over_time),
            load.and_then(curves),
            load.map(|loaded| phases(&loaded.load)),
            load.and_then(behind_over_time),
            load.and_then(behind),
            scales(self),
            self.log(),
            self.log_by_relation(),
            self.hot(),
            self.growth(),
            self.speed(),
            self.paid.as_ref().map(ratios),
            self.paid.as_ref().and_then(break_even),
            load.and_then(waits),
            Some(self.conditions()),
        ];
        let saturated = load.is_some_and(|loaded| loaded.load.sustained().is_err());
        Report {
            title: format!("Benchmark of {}", conditions.column),
            origin: format!(
                "{}, {} rows ({}), {}, cargo-newcol {}",
                conditions.server, conditions.rows, conditions.shape, self.at, self.by
            ),
            verdict: saturated.then(|| "SATURATED".to_owned()),
            sentences: sentences(self),
            sections: sections.into_iter().flatten().collect(),
        }
    }

    fn strips(
        &self,
        (heading, text): (&str, &str),
        unit: &str,
        of: impl Fn(&Fill) -> Option<f64>,
        note: impl Fn(&Fill) -> String,
        better: Better,
    ) -> Option<Section> {
        let least = self.fill(Way::Update).and_then(&of);
        let rows = self.fills.iter().filter_map(|fill| {
            let value = of(fill)?;
            let tone = least.map_or(Tone::Neutral, |base| better.tone(value, base));
            let label = fill.way.name().to_owned();
            Some(Strip { label, note: note(fill), value, interval: NO_INTERVAL, tone })
        });
        let rows: Vec<Strip> = rows.collect();
        (!rows.is_empty()).then(|| Section {
            heading: heading.into(),
            text: text.into(),
            plot: Plot::Strips(Strips { unit: unit.into(), style: Style::Bars, band: None, rows }),
        })
    }

    fn log(&self) -> Option<Section> {
        let text = "Bytes of the server's log for each row filled, counted with nobody else there. \
            Green and red: less or more than one UPDATE. In small print: what was foretold of the \
            table before, by its pages, rows and indexes.";
        self.strips(
            ("Log of a row, by way of filling", text),
            "B",
            |fill| fill.per_row(fill.log),
            |fill| {
                let (found, said) = (fill.per_row(fill.log), fill.per_row(fill.predicted));
                found.zip(said).map_or_else(String::new, |(found, said)| {
                    let off = ((said / found - 1.0) * 100.0).round() as i64;
                    format!("foretold {said:.0} B ({off:+} %)")
                })
            },
            Better::Less,
        )
    }

    fn log_by_relation(&self) -> Option<Section> {
        let all: Vec<&Fill> = self.fills.iter().filter(|fill| !fill.log_of.is_empty()).collect();
        let mut names: Vec<&str> = Vec::new();
        for (name, _) in all.iter().flat_map(|fill| &fill.log_of) {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        // What is no relation's comes last, whichever way brought its own index.
        names.sort_by_key(|name| *name == "everything else");
        let columns: Vec<&str> =
            ["way"].into_iter().chain(names.iter().copied()).chain(["of it page images"]).collect();
        let rows = all.iter().map(|fill| {
            let of = |name: &&str| {
                let found = fill.log_of.iter().find(|(other, _)| other == name);
                Value::Number(fill.per_row(found.map(|one| one.1)).unwrap_or(f64::NAN))
            };
            let images = fill.per_row(fill.images).unwrap_or(f64::NAN);
            let first = Value::Text(fill.way.name().to_owned());
            [first].into_iter().chain(names.iter().map(of)).chain([Value::Number(images)]).collect()
        });
        let rows: Vec<Vec<Value>> = rows.collect();
        (!rows.is_empty()).then(|| Section {
            heading: "Where the log is from".into(),
            text: "Bytes for each row filled, by the table or index that changed. Page images are \
                whole pages, written when they are changed for the first time since a checkpoint: \
                every fill began right after one."
                .into(),
            plot: Plot::Table(Table::new(&columns, rows)),
        })
    }

    fn hot(&self) -> Option<Section> {
        let text = "Rows that stayed on their page when they were filled (HOT): no index had to be \
            told. Each row that moved costs an entry in every index.";
        self.strips(
            ("Rows that stayed on their page", text),
            "%",
            |fill| Some(100.0 * fill.hot?),
            |fill| {
                let dead = fill.dead.map(|dead| format!("{dead:.0} dead rows left"));
                dead.unwrap_or_default()
            },
            Better::More,
        )
    }

    fn growth(&self) -> Option<Section> {
        let text = "How many times as large the table became. In small print: its indexes, which do \
            not shrink by themselves either.";
        self.strips(
            ("Growth of the table", text),
            "×",
            |fill| Some(fill.heap()?.times()),
            |fill| {
                let of = fill.sizes.iter().skip(1);
                let grown = of.map(|one| format!("{} {:.2}×", one.name, one.times()));
                grown.collect::<Vec<_>>().join(", ")
            },
            Better::Less,
        )
    }

    fn speed(&self) -> Option<Section> {
        let text = "Rows filled in a second at full speed, with the pass that proves that none is \
            missing where the way has one, against one UPDATE. On this machine: where a way was gone \
            several times, 95 of 100 such means lie between the two figures in small print; where it \
            was gone once, it tells which is faster by far, not more.";
        let plain = self.fill(Way::Update).map(Fill::speed);
        self.strips(
            ("Speed", text),
            "rows/s",
            |fill| Some(fill.speed()),
            |fill| {
                let ratio = plain.map(|plain| fill.speed() / plain);
                let ratio = ratio.map(|ratio| format!("{ratio:.2} of one UPDATE"));
                let speeds = fill.speeds().map(|of| format!("{:.0} to {:.0}", of.low, of.high));
                ratio.into_iter().chain(speeds).collect::<Vec<_>>().join(", ")
            },
            Better::Unsaid,
        )
    }

    fn conditions(&self) -> Section {
        let conditions = &self.conditions;
        let mut rows = vec![
            ("column", conditions.column.clone()),
            ("server", conditions.server.clone()),
            ("rows", conditions.rows.to_string()),
            ("shape of the table", conditions.shape.clone()),
            ("what users send", conditions.workload.clone()),
            ("connections", conditions.connections.to_string()),
            ("seconds before and after", conditions.seconds.to_string()),
            ("seed", conditions.seed.to_string()),
            ("standby", if conditions.standby { "one follows" } else { "none" }.to_owned()),
        ];
        rows.extend(conditions.rate.map(|rate| ("requests/s", format!("{rate:.1}"))));
        let capacity = conditions.capacity;
        rows.extend(
            capacity.map(|most| ("requests/s the server can answer", format!("{most:.0}"))),
        );
        let settings = conditions.settings.iter();
        rows.extend(settings.map(|(name, value)| (name.as_str(), value.clone())));
        rows.push(("to run it again", self.again.join(" ")));
        rows.extend(self.notes.iter().map(|note| ("note", note.clone())));
        let row =
            |(name, value): (&str, String)| vec![Value::Text(name.to_owned()), Value::Text(value)];
        Section {
            heading: "How it was measured".into(),
            text: "On a server of its own, which is gone. Runs are only comparable where all of \
                this agrees."
                .into(),
            plot: Plot::Table(Table::new(&["", ""], rows.into_iter().map(row).collect())),
        }
    }
}

const NO_INTERVAL: (f64, f64) = (f64::NAN, f64::NAN);

/// Which values are to be wished for.
#[derive(Debug, Clone, Copy)]
enum Better {
    Less,
    More,
    /// Too unsure to be coloured.
    Unsaid,
}

impl Better {
    fn tone(self, value: f64, base: f64) -> Tone {
        let (lower, higher) = (value < base * 0.98, value > base * 1.02);
        match self {
            Self::Less if lower => Tone::Good,
            Self::Less if higher => Tone::Bad,
            Self::More if higher => Tone::Good,
            Self::More if lower => Tone::Bad,
            _ => Tone::Neutral,
        }
    }
}

fn line(name: &str, points: Vec<(f64, f64)>) -> Line {
    Line { name: name.to_owned(), stroke: Stroke::Plain, points }
}

/// The latency of each second; none where the server did not keep up.
fn over_time(loaded: &Loaded) -> Option<Section> {
    let load = &loaded.load;
    load.sustained().ok()?;
    let all = load.by_second();
    let of = |share: f64| {
        let point = |(second, histogram): (&u32, &Histogram)| {
            (f64::from(*second), histogram.known_quantile(share))
        };
        all.iter().map(point).collect::<Vec<_>>()
    };
    Some(Section {
        heading: "What users met, over time".into(),
        text: format!(
            "Latency of requests that came by chance, {:.0} a second, counted from the moment they \
             were due: whoever had to queue has waited. Old rows were filled by {} at its usual pace.",
            load.rate, loaded.way
        ),
        plot: Plot::Chart(Chart {
            axis: Axis::Number("seconds".into()),
            unit: "ms".into(),
            shape: Shape::Lines,
            lines: vec![line("95 of 100", of(0.95)), line("half", of(0.5))],
            marks: phase_marks(load),
        }),
    })
}

/// When each phase began.
fn phase_marks(load: &Load) -> Vec<Mark> {
    let mark = |phase: &PhaseLoad| Mark {
        at: (phase.from * 10.0).round() / 10.0,
        label: format!("s: {}, for {}", phase.phase, seconds(phase.seconds())),
    };
    load.phases.iter().map(mark).collect()
}

/// The latency that each share of the requests stays below, by phase.
fn curves(loaded: &Loaded) -> Option<Section> {
    let load = &loaded.load;
    load.sustained().ok()?;
    let curve = |phase: PhaseLoad| {
        let all = phase.all();
        // Beyond that there is less than one request.
        let most = (all.len().max(1) as f64).log10();
        let steps = (0..=(most * 10.0) as u32).map(|step| f64::from(step) / 10.0);
        let points = steps.map(|nines| (nines, all.quantile(1.0 - 10_f64.powf(-nines))));
        line(phase.phase.name(), points.collect())
    };
    let lines: Vec<Line> =
        Phase::ALL.into_iter().filter_map(|phase| load.phase(phase)).map(curve).collect();
    (!lines.is_empty()).then(|| Section {
        heading: "How bad it gets".into(),
        text: "The latency that so many of the requests stayed below. Lines that part far to the \
            right differ only for a few; what happens once is at the very end."
            .into(),
        plot: Plot::Chart(Chart {
            axis: Axis::Nines("share of requests".into()),
            unit: "ms".into(),
            shape: Shape::Lines,
            lines,
            marks: Vec::new(),
        }),
    })
}

fn phases(load: &Load) -> Section {
    let mut rows = Vec::new();
    for phase in Phase::ALL.into_iter().filter_map(|phase| load.phase(phase)) {
        let sustained = phase.sustained(load.connections);
        let named = load.statements.iter().zip(&phase.statements);
        let named = named.map(|(name, histogram)| (name.as_str(), histogram.clone()));
        for (name, histogram) in [("all", phase.all())].into_iter().chain(named) {
            let quantile = |share: f64| match sustained {
                Ok(()) if share == 1.0 => Value::Number(histogram.max()),
                Ok(()) => Value::Number(histogram.known_quantile(share)),
                Err(_) => Value::Text("SATURATED".into()),
            };
            rows.push(vec![
                Value::Text(phase.phase.name().into()),
                Value::Text(name.into()),
                Value::Number(histogram.len() as f64),
                quantile(0.5),
                quantile(0.95),
                quantile(0.99),
                quantile(1.0),
            ]);
        }
        let counts = [phase.late, phase.skipped, phase.failed];
        if let Some(said) = sustained.err().map(|saturated| saturated.to_string()).or_else(|| {
            let [late, skipped, failed] = counts;
            (skipped + failed > 0)
                .then(|| format!("{late} sent late, {skipped} never sent, {failed} refused"))
        }) {
            let mut row = vec![Value::Text(phase.phase.name().into()), Value::Text(said)];
            row.extend((0..5).map(|_| Value::Text(String::new())));
            rows.push(row);
        }
    }
    let columns =
        ["phase", "statement", "requests", "p50 (ms)", "p95 (ms)", "p99 (ms)", "max (ms)"];
    Section {
        heading: "What users met, by phase and statement".into(),
        text: "Where less than 99 of 100 requests were answered in time, the server did not keep \
            up, and no latency is shown: it would only say how long the run was."
            .into(),
        plot: Plot::Table(Table::new(&columns, rows)),
    }
}

fn ratios(paid: &Paid) -> Section {
    let measures = [
        ("time of an insert", Some(&paid.insert_time)),
        ("time of a lookup", Some(&paid.lookup_time)),
        ("log of an insert", paid.insert_log.as_ref()),
    ];
    let rows = measures.into_iter().filter_map(|(label, pairs)| {
        let ratio = pairs?.ratio(SEED);
        let tone = match (ratio.low, ratio.high) {
            (_, high) if high < 1.0 => Tone::Good,
            (low, _) if low > 1.0 => Tone::Bad,
            _ => Tone::Neutral,
        };
        let note = match (label, paid.predicted_log) {
            ("log of an insert", Some(said)) => {
                let added = pairs?.difference(SEED).value;
                format!("the index adds {added:.0} B, foretold {said:.0} B")
            }
            _ => String::new(),
        };
        let interval = (ratio.low, ratio.high);
        Some(Strip { label: label.to_owned(), note, value: ratio.value, interval, tone })
    });
    Section {
        heading: "With the index, against without".into(),
        text: format!(
            "How many times as much it is. {} blocks of {} inserts and {} lookups by the column, \
             with and without in turn, so that a machine that gets slower harms both; where 95 of 100 \
             samples of the blocks lie.",
            paid.insert_time.blocks.len(),
            paid.inserts,
            paid.lookups
        ),
        plot: Plot::Strips(Strips {
            unit: "×".into(),
            style: Style::Dots,
            band: None,
            rows: rows.collect(),
        }),
    }
}

/// Time of an insert and its lookups, with and without the index.
fn break_even(paid: &Paid) -> Option<Section> {
    let mean = |pick: &dyn Fn(&Paid) -> Vec<f64>| {
        let values = pick(paid);
        values.iter().sum::<f64>() / values.len().max(1) as f64
    };
    let with = |pairs: &super::blocks::Pairs| pairs.blocks.iter().map(|b| b.0).collect::<Vec<_>>();
    let without =
        |pairs: &super::blocks::Pairs| pairs.blocks.iter().map(|b| b.1).collect::<Vec<_>>();
    let insert = [mean(&|p| with(&p.insert_time)), mean(&|p| without(&p.insert_time))];
    let lookup = [mean(&|p| with(&p.lookup_time)), mean(&|p| without(&p.lookup_time))];
    let even = BreakEven::of(&paid.insert_time, &paid.lookup_time, SEED);
    let most = match even {
        BreakEven::From(found) if found.value.is_finite() => (3.0 * found.value).max(0.01),
        _ => 3.0,
    };
    let over = |at: usize| {
        let points = (0..=20).map(|step| {
            let lookups = most * f64::from(step) / 20.0;
            (lookups, insert[at] + lookups * lookup[at])
        });
        points.collect::<Vec<_>>()
    };
    let said = even.sentence();
    let marks = match even {
        BreakEven::From(found) => vec![Mark { at: found.value, label: "the index pays".into() }],
        BreakEven::Always | BreakEven::Never => Vec::new(),
    };
    (!paid.insert_time.blocks.is_empty()).then(|| Section {
        heading: "From when the index pays".into(),
        text: format!(
            "Time of one insert and the lookups that come with it: {said}. A lookup is for one value \
             and returns a hundred rows at most."
        ),
        plot: Plot::Chart(Chart {
            axis: Axis::Number("lookups for each insert".into()),
            unit: "ms".into(),
            shape: Shape::Lines,
            lines: vec![line("with the index", over(0)), line("without", over(1))],
            marks,
        }),
    })
}

fn waits(loaded: &Loaded) -> Option<Section> {
    let waits = loaded.waits.as_ref()?;
    let row = |(name, seen): (&String, &u64)| {
        vec![Value::Text(name.clone()), Value::Number(*seen as f64)]
    };
    Some(Section {
        heading: "Waits for locks".into(),
        text: format!(
            "In {} of {} looks, 20 a second, somebody waited for a lock, at most {} at a time. \
             Whom for, and how often that was seen:",
            waits.seen, waits.looks, waits.most
        ),
        plot: Plot::Table(Table::new(
            &["who was waited for", "seen"],
            waits.blockers.iter().map(row).collect(),
        )),
    })
}

mod more;

#[cfg(test)]
mod tests;
