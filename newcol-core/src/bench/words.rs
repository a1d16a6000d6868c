//! A run in five sentences, and numbers as people read them.

use super::{
    blocks::BreakEven,
    extrapolate::{Extrapolated, LINEAR, What, extrapolate},
    latency::Percentiles,
    load::{Load, Phase, Saturated},
    run::{Run, Way},
};

/// What chance is drawn with for intervals: the same run always says the same.
pub(super) const SEED: u64 = 1;

/// Returns what somebody has to know who reads nothing else.
#[must_use]
pub fn sentences(run: &Run) -> Vec<String> {
    [filling(run), more(run), users(run), behind(run), growth(run), index(run), Some(plan(run))]
        .into_iter()
        .flatten()
        .collect()
}

fn filling(run: &Run) -> Option<String> {
    let fill = run.fill(Way::Stride)?;
    let mut parts = vec![format!(
        "Filling {} rows took {} at full speed ({} rows/s)",
        rows(fill.rows),
        seconds(fill.seconds),
        rows(fill.speed() as u64)
    )];
    if let (Some(log), Some(per)) = (fill.log, fill.per_row(fill.log)) {
        parts.push(format!(" and wrote {} of log, {per:.0} bytes a row", bytes(log)));
    }
    let predicted = fill.per_row(fill.predicted);
    parts.extend(predicted.map(|per| format!(" (foretold: {per:.0})")));
    if let Some(update) = run.fill(Way::Update) {
        parts.push(format!("; one UPDATE took {}", seconds(update.seconds)));
        parts.extend(update.per_row(update.log).map(|per| format!(" and {per:.0} bytes")));
    }
    Some(parts.concat() + ".")
}

/// Says what filling costs where there are more rows than were measured.
fn more(run: &Run) -> Option<String> {
    let scales = run.scales.as_ref()?;
    let all = extrapolate(run).into_iter().filter(|one| one.way == Way::Stride);
    let all: Vec<Extrapolated> = all.collect();
    let small = scales.fills.iter().find(|fill| fill.way == Way::Stride)?.rows;
    let large = run.fill(Way::Stride)?.rows;
    let range = |one: &Extrapolated, words: &dyn Fn(f64) -> String| {
        format!("{} to {}", words(one.total.low), words(one.total.high))
    };
    let say = |what: What| {
        let one = all.iter().find(|one| one.what == what)?;
        if !one.doubts.is_empty() {
            return Some(format!("nothing of {} ({})", what.name(), one.doubts.join("; ")));
        }
        Some(match what {
            What::Log => format!("{} of log", range(one, &bytes)),
            What::Time => format!("{} at full speed of this machine", range(one, &seconds)),
            What::Growth => format!("the table grows by {}", range(one, &bytes)),
        })
    };
    let parts: Vec<String> =
        [What::Log, What::Time, What::Growth].into_iter().filter_map(say).collect();
    let is_linear = all.iter().all(|one| one.differ() <= LINEAR);
    let (small, large) = (rows(small), rows(large));
    let same = if is_linear {
        format!("a row costs the same at {small} and {large} rows, within {:.0} %", LINEAR * 100.0)
    } else {
        format!("from {small} and {large} rows")
    };
    (!parts.is_empty()).then(|| {
        format!(
            "Extrapolated to the {} rows of production, not measured ({same}): {}.",
            rows(scales.production as u64),
            parts.join(", ")
        )
    })
}

/// Says how far the standby was behind.
fn behind(run: &Run) -> Option<String> {
    let replica = run.load.as_ref()?.replica.as_ref()?;
    let words = [
        (Phase::Idle, "before"),
        (Phase::Backfill, "while old rows were filled"),
        (Phase::Index, "while the index was built"),
        (Phase::After, "after"),
    ];
    let parts = words.into_iter().filter_map(|(phase, words)| {
        let most = replica.phase(phase)?;
        Some(format!("{} ({}) {words}", lag(most.seconds.max), bytes(most.bytes.max)))
    });
    let parts: Vec<String> = parts.collect();
    (!parts.is_empty()).then(|| format!("The standby was behind by at most {}.", parts.join(", ")))
}

/// Says what users met in a phase.
fn met(load: &Load, phase: Phase) -> Option<Result<Percentiles, Saturated>> {
    load.phase(phase)?.percentiles(load.connections).transpose()
}

fn users(run: &Run) -> Option<String> {
    let load = &run.load.as_ref()?.load;
    let rate = format!("With {:.0} requests/s", load.rate);
    let Some(Ok(idle)) = met(load, Phase::Idle) else {
        let why = match met(load, Phase::Idle) {
            Some(Err(saturated)) => saturated.to_string(),
            _ => "no request was due".to_owned(),
        };
        return Some(format!(
            "{rate} nothing can be said of latency: {why}, before anything began."
        ));
    };
    let mut parts = vec![format!("{} before", slow(&idle))];
    for (phase, words) in [
        (Phase::Backfill, "while old rows were filled"),
        (Phase::Index, "while the index was built"),
        (Phase::After, "after"),
    ] {
        match met(load, phase) {
            // What it is of was said of the first one.
            Some(Ok(met)) if !met.p99.is_nan() && !idle.p99.is_nan() => {
                parts.push(format!("{} {words}", ms(met.p99)));
            }
            Some(Ok(met)) => parts.push(format!("{} {words}", slow(&met))),
            Some(Err(saturated)) => parts.push(format!("{words} no latency holds ({saturated})")),
            None => {}
        }
    }
    let disturbed = match met(load, Phase::After) {
        Some(Ok(after))
            if !(0.5..=2.0).contains(&(after.p99 / idle.p99)) && !after.p99.is_nan() =>
        {
            "; before and after differ so much that this machine had other work: run it again"
        }
        _ => "",
    };
    Some(format!("{rate}, {}{disturbed}.", parts.join(", ")))
}

/// Says how slow requests were, as far as there were enough of them to say it.
fn slow(met: &Percentiles) -> String {
    if met.p99.is_nan() {
        return format!("the slowest of {} took {}", met.requests, ms(met.max));
    }
    format!("99 of 100 took less than {}", ms(met.p99))
}

fn growth(run: &Run) -> Option<String> {
    let fill = run.fill(Way::Stride)?;
    let mut parts = vec![format!("The table became {:.2} times as large", fill.heap()?.times())];
    let hot = fill.hot.map(|hot| hot * 100.0);
    parts.extend(hot.map(|hot| format!(", because {hot:.0} of 100 rows stayed on their page")));
    let other = run.fill(Way::Update).and_then(|fill| fill.heap());
    let other = other.map(|heap| heap.times());
    parts.extend(other.map(|times| format!("; one UPDATE made it {times:.2} times as large")));
    let dead = fill.dead.map(|dead| rows(dead as u64));
    parts.extend(dead.map(|dead| format!("; {dead} dead rows are left for vacuum")));
    Some(parts.concat() + ".")
}

fn index(run: &Run) -> Option<String> {
    let built = run.built.as_ref();
    let mut text = built.map_or_else(String::new, |built| {
        let mut parts = vec![format!("The index was built in {}", seconds(built.seconds))];
        parts.extend(built.log.map(|log| format!("wrote {} of log", bytes(log))));
        parts.extend(built.bytes.map(|size| format!("has {}", bytes(size))));
        parts.join(", ")
    });
    if let Some(paid) = &run.paid {
        let ratio = paid.insert_time.ratio(SEED);
        let change = format!(
            "an insert takes {:.2} times as long with the index ({:.2} to {:.2})",
            ratio.value, ratio.low, ratio.high
        );
        let even = BreakEven::of(&paid.insert_time, &paid.lookup_time, SEED).sentence();
        let said = format!("{change}; {even}");
        text = if text.is_empty() { capital(&said) } else { format!("{text}; {said}") };
    }
    (!text.is_empty()).then(|| text + ".")
}

/// Says what to do, by what was counted.
fn plan(run: &Run) -> String {
    let per_row = |way| run.fill(way).and_then(|fill| Some((way, fill.per_row(fill.log)?)));
    let Some((_, ours)) = per_row(Way::Stride) else {
        return if run.fills.is_empty() {
            "Nothing has to be filled: adding the column is the whole work.".to_owned()
        } else {
            "Fill with `cargo newcol backfill`, which can stop and go on, and build the index \
             afterwards."
                .to_owned()
        };
    };
    let best = [Way::Stride, Way::Ranges, Way::Update].into_iter().filter_map(per_row);
    let best = best.fold((Way::Stride, ours), |a, b| if b.1 < a.1 * 0.98 { b } else { a });
    let advice = match best.0 {
        Way::Stride => {
            "Fill with `cargo newcol backfill`, and build the index afterwards".to_owned()
        }
        way => format!("On this table {way} writes least ({:.0} bytes a row)", best.1),
    };
    let dearer = [
        (Way::IndexFirst, "with the index there before"),
        (Way::HeldSnapshot, "under an open snapshot"),
    ];
    let dearer: Vec<String> = dearer
        .into_iter()
        .filter_map(|(way, words)| Some((per_row(way)?.1, words)))
        .filter(|(per, _)| *per > ours * 1.02)
        .map(|(per, words)| format!("{words} it writes {:.1} times as much", per / ours))
        .collect();
    if dearer.is_empty() { advice + "." } else { format!("{advice}: {}.", dearer.join(", ")) }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + chars.as_str())
}

/// Returns a latency.
#[must_use]
pub fn ms(value: f64) -> String {
    match value {
        v if v.is_nan() => "–".to_owned(),
        v if v >= 1000.0 => format!("{:.2} s", v / 1000.0),
        v if v >= 10.0 => format!("{v:.0} ms"),
        v => format!("{v:.1} ms"),
    }
}

/// Returns how long a standby was behind, as exactly as it is looked at.
#[must_use]
pub fn lag(seconds: f64) -> String {
    if seconds < 0.05 { "< 50 ms".to_owned() } else { ms(seconds * 1e3) }
}

/// Returns a time.
#[must_use]
pub fn seconds(value: f64) -> String {
    match value {
        v if v >= 120.0 => format!("{:.0} min", v / 60.0),
        v if v >= 10.0 => format!("{v:.0} s"),
        v if v < 0.95 => format!("{:.0} ms", v * 1e3),
        v => format!("{v:.1} s"),
    }
}

/// Returns a size.
#[must_use]
pub fn bytes(value: f64) -> String {
    match value.abs() {
        1e9.. => format!("{:.1} GB", value / 1e9),
        1e6.. => format!("{:.1} MB", value / 1e6),
        1e3.. => format!("{:.0} kB", value / 1e3),
        _ => format!("{value:.0} B"),
    }
}

/// Returns a count, its digits in groups of three.
#[must_use]
pub fn rows(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}
