//! What was measured, held against what is recorded in `benches/recorded`.

use std::{collections::BTreeMap, env, fmt, fmt::Write as _, fs, io};

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

/// Set to anything, it makes what is measured the new record.
pub const RECORD: &str = "NEWCOL_BENCH_RECORD";

/// What a figure is, and so by how much it may grow before that means something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Counted, and so about the same on every machine: bytes of log, pages, rows. More is an error.
    Count,
    /// A time as ratio to another one of the same run. More is only said: machines differ.
    Time,
}

impl Kind {
    fn tolerance(self) -> f64 {
        match self {
            Self::Count => 0.02,
            Self::Time => 0.15,
        }
    }
}

/// A figure of which less is better.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    kind: Kind,
    value: f64,
}

/// Figures of one benchmark.
#[derive(Debug, Default)]
pub struct Figures(BTreeMap<String, Figure>);

/// Counts that have grown.
#[derive(Debug)]
pub struct Worse(Vec<String>);

impl fmt::Display for Worse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "more than recorded: {}; where that is meant, set {RECORD}=1", self.0.join(", "))
    }
}

impl std::error::Error for Worse {}

impl Figures {
    /// Adds a figure that was counted.
    pub fn count(&mut self, name: impl Into<String>, value: f64) {
        self.0.insert(name.into(), Figure { kind: Kind::Count, value });
    }

    /// Adds a time, as ratio to another one of the same run.
    pub fn time(&mut self, name: impl Into<String>, ratio: f64) {
        self.0.insert(name.into(), Figure { kind: Kind::Time, value: ratio });
    }

    /// Prints each figure beside the recorded one, or records it. What was not measured this time stays
    /// recorded.
    ///
    /// # Errors
    ///
    /// When a count has grown, or the record can be neither read nor written.
    #[expect(clippy::print_stdout, reason = "the table is what a benchmark is for")]
    pub fn finish(self, bench: &str) -> Result<(), Box<dyn std::error::Error>> {
        let path = Utf8PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("recorded")
            .join(format!("{bench}.json"));
        let mut recorded: BTreeMap<String, Figure> = match fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text).map_err(|error| format!("{path}: {error}"))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(format!("{path}: {error}").into()),
        };
        print!("\n{}", self.table(bench, &recorded));
        if env::var_os(RECORD).is_some() {
            recorded.extend(self.0);
            let text = serde_json::to_string_pretty(&recorded)?;
            fs::create_dir_all(path.parent().unwrap_or(&path))?;
            fs::write(&path, text + "\n")?;
            println!("recorded in {path}");
            return Ok(());
        }
        let worse = self.worse(&recorded);
        if worse.is_empty() { Ok(()) } else { Err(Worse(worse).into()) }
    }

    fn table(&self, bench: &str, recorded: &BTreeMap<String, Figure>) -> String {
        let mut table =
            format!("| {bench} (less is better) | recorded | now | change | |\n|-|-:|-:|-:|-|\n");
        for (name, now) in &self.0 {
            let (before, change, word) = match recorded.get(name) {
                None => ("none".to_owned(), String::new(), ""),
                Some(before) => {
                    let change = now.value / before.value - 1.0;
                    let word = match now.kind {
                        kind if change.abs() <= kind.tolerance() => "",
                        _ if change < 0.0 => "better",
                        Kind::Count => "worse",
                        Kind::Time => "slower",
                    };
                    (format!("{:.2}", before.value), format!("{:+.1} %", change * 100.0), word)
                }
            };
            let now = now.value;
            let _ = writeln!(table, "| {name} | {before} | {now:.2} | {change} | {word} |");
        }
        table
    }

    fn worse(&self, recorded: &BTreeMap<String, Figure>) -> Vec<String> {
        let is_worse = |(name, now): &(&String, &Figure)| {
            now.kind == Kind::Count
                && recorded
                    .get(*name)
                    .is_some_and(|before| now.value > before.value * (1.0 + now.kind.tolerance()))
        };
        self.0.iter().filter(is_worse).map(|(name, _)| name.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_that_grow_are_errors_and_times_are_said() {
        let mut recorded = Figures::default();
        recorded.count("log", 200.0);
        recorded.count("heap", 1.2);
        recorded.time("time", 1.0);
        let mut now = Figures::default();
        now.count("log", 210.0);
        now.count("heap", 1.22);
        now.time("time", 1.5);
        now.time("other", 2.0);
        assert_eq!(now.worse(&recorded.0), ["log"]);
        assert_eq!(
            now.table("fill", &recorded.0),
            "| fill (less is better) | recorded | now | change | |\n|-|-:|-:|-:|-|\n\
             | heap | 1.20 | 1.22 | +1.7 % |  |\n\
             | log | 200.00 | 210.00 | +5.0 % | worse |\n\
             | other | none | 2.00 |  |  |\n\
             | time | 1.00 | 1.50 | +50.0 % | slower |\n"
        );
    }
}
