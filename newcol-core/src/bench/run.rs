//! A benchmark that was run: everything that was measured, and all that is needed to run it again.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use super::{
    blocks::{Estimate, Pairs},
    load::Load,
    replica::Replica,
};

/// The version of the file that this program writes.
pub const VERSION: u32 = 1;

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// Version of the file.
    pub version: u32,
    /// Version of this program.
    pub by: String,
    /// When, as RFC 3339.
    pub at: String,
    /// The command line that runs it again.
    pub again: Vec<String>,
    /// What decides what comes out.
    pub conditions: Conditions,
    /// Old rows filled in several ways, with nobody else there.
    pub fills: Vec<Fill>,
    /// The same at a smaller scale, where production has more rows than were made.
    pub scales: Option<Scales>,
    /// The index, built after the fill.
    pub built: Option<Built>,
    /// Writes and reads with and without the index.
    pub paid: Option<Paid>,
    /// Users at work meanwhile.
    pub load: Option<Loaded>,
    /// What could not be measured, and what the numbers do not say, in sentences.
    pub notes: Vec<String>,
}

/// What decides what comes out: two runs are only compared where these agree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conditions {
    /// The column.
    pub column: String,
    /// Product and version of the server.
    pub server: String,
    /// Rows of the table.
    pub rows: u64,
    /// Where its rows are from: a profile, or made up.
    pub shape: String,
    /// What users send: a file, or made up.
    pub workload: String,
    /// Requests per second.
    pub rate: Option<f64>,
    /// What the server could answer in a second when nothing else was done, where that was found out.
    pub capacity: Option<f64>,
    /// Connections.
    pub connections: u32,
    /// Seconds of the phases in which nothing is done to the table.
    pub seconds: f64,
    /// What chance was drawn with.
    pub seed: u64,
    /// Whether a standby followed while users were there.
    #[serde(default)]
    pub standby: bool,
    /// Settings of the server that decide what writing costs.
    pub settings: BTreeMap<String, String>,
}

/// A way to fill old rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// As `cargo newcol backfill` does it: in strides where the engine can, else in ranges of the key.
    Stride,
    /// `cargo newcol backfill`, made to walk by key.
    Ranges,
    /// One `UPDATE`.
    Update,
    /// In strides, after the index on the column was built.
    IndexFirst,
    /// In strides, with an index on `column IS NULL` to find rows by.
    Helper,
    /// In strides, while another session holds a snapshot.
    HeldSnapshot,
}

impl Way {
    /// Every way.
    pub const ALL: [Self; 6] = [
        Self::Stride,
        Self::Ranges,
        Self::Update,
        Self::IndexFirst,
        Self::Helper,
        Self::HeldSnapshot,
    ];

    /// Returns the words used in output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stride => "cargo newcol backfill",
            Self::Ranges => "ranges of the key",
            Self::Update => "one UPDATE",
            Self::IndexFirst => "index before backfill",
            Self::Helper => "helper index on IS NULL",
            Self::HeldSnapshot => "a snapshot held meanwhile",
        }
    }

    /// Reports whether it is shown because it is a mistake.
    #[must_use]
    pub fn is_mistake(self) -> bool {
        matches!(self, Self::IndexFirst | Self::Helper | Self::HeldSnapshot)
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What a way of filling cost. What an engine does not tell is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fill {
    /// Which one.
    pub way: Way,
    /// Rows that it filled.
    pub rows: u64,
    /// How long it took, with the pass that proves it where it has one; the median of all times.
    pub seconds: f64,
    /// How long it took each time, where it was done more than once.
    #[serde(default)]
    pub times: Vec<f64>,
    /// Bytes of the server's log.
    pub log: Option<f64>,
    /// Of those, foretold from the table before.
    pub predicted: Option<f64>,
    /// Of those, whole pages, written because they were changed for the first time since a
    /// checkpoint.
    pub images: Option<f64>,
    /// Of those, for each relation.
    pub log_of: Vec<(String, f64)>,
    /// Share of rows that stayed on their page.
    pub hot: Option<f64>,
    /// Dead rows that it left for vacuum.
    pub dead: Option<f64>,
    /// Rows changed, times indexes changed with each (MariaDB).
    pub changed_with_indexes: Option<f64>,
    /// Checkpoints meanwhile.
    pub checkpoints: Option<f64>,
    /// The table and its indexes, in bytes, before and after.
    pub sizes: Vec<Growth>,
}

impl Fill {
    /// Returns rows filled in a second.
    #[must_use]
    pub fn speed(&self) -> f64 {
        self.rows as f64 / self.seconds.max(1e-9)
    }

    /// Returns rows filled in a second with the interval in which 95 of 100 such means lie, where it was
    /// done often enough to tell.
    #[must_use]
    pub fn speeds(&self) -> Option<Estimate> {
        let count = self.times.len();
        // Student's t for two to five times more than one.
        let t = [4.303, 3.182, 2.776, 2.571].get(count.checked_sub(3)?).copied().unwrap_or(2.447);
        let logs = self.times.iter().map(|time| (self.rows as f64 / time.max(1e-9)).ln());
        let logs: Vec<f64> = logs.collect();
        let mean = logs.iter().sum::<f64>() / count as f64;
        let squares: f64 = logs.iter().map(|log| (log - mean).powi(2)).sum();
        let half = t * (squares / (count - 1) as f64 / count as f64).sqrt();
        Some(Estimate { value: mean.exp(), low: (mean - half).exp(), high: (mean + half).exp() })
    }

    /// Takes down how long it took when it was done again.
    pub fn took_again(&mut self, seconds: f64) {
        if self.times.is_empty() {
            self.times.push(self.seconds);
        }
        self.times.push(seconds);
        let mut sorted = self.times.clone();
        sorted.sort_by(f64::total_cmp);
        self.seconds = sorted[sorted.len() / 2];
    }

    /// Returns something per row.
    #[must_use]
    pub fn per_row(&self, of: Option<f64>) -> Option<f64> {
        (self.rows > 0).then(|| of.map(|of| of / self.rows as f64)).flatten()
    }

    /// Returns how the table itself grew.
    #[must_use]
    pub fn heap(&self) -> Option<&Growth> {
        self.sizes.first()
    }
}

/// Old rows filled at a smaller scale, to tell what more rows will cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scales {
    /// Rows in production.
    pub production: f64,
    /// The fills of the smaller table.
    pub fills: Vec<Fill>,
    /// Seconds between checkpoints in production, where they are known.
    pub checkpoints: Option<f64>,
    /// What is otherwise in production, so that time is not to be foretold, in sentences.
    pub otherwise: Vec<String>,
}

/// How a relation grew.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Growth {
    /// Its name.
    pub name: String,
    /// Bytes before.
    pub before: f64,
    /// Bytes after.
    pub after: f64,
}

impl Growth {
    /// Returns how many times as large it became.
    #[must_use]
    pub fn times(&self) -> f64 {
        if self.before > 0.0 { self.after / self.before } else { f64::NAN }
    }
}

/// The index, as it was built.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Built {
    /// How long it took.
    pub seconds: f64,
    /// Bytes of the server's log.
    pub log: Option<f64>,
    /// Bytes of the index.
    pub bytes: Option<f64>,
}

/// Writes and reads with and without the index, in turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paid {
    /// Rows inserted in each block.
    pub inserts: u32,
    /// Rows looked for in each block.
    pub lookups: u32,
    /// Milliseconds of an insert.
    pub insert_time: Pairs,
    /// Milliseconds of a lookup by the column.
    pub lookup_time: Pairs,
    /// Bytes of log of an insert.
    pub insert_log: Option<Pairs>,
    /// Of those, what the index adds, foretold from its statistics.
    pub predicted_log: Option<f64>,
}

/// Users at work while a column was filled and indexed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loaded {
    /// How it was filled.
    pub way: Way,
    /// What users met.
    pub load: Load,
    /// Who waited for locks.
    pub waits: Option<Waits>,
    /// What the standby was behind, where there was one.
    pub replica: Option<Replica>,
}

/// Who waited for locks, as seen 20 times a second.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waits {
    /// How often it was looked.
    pub looks: u64,
    /// How often somebody waited.
    pub seen: u64,
    /// The most that waited at a time.
    pub most: u64,
    /// Who was waited for: what the session did, and how often it was seen.
    pub blockers: BTreeMap<String, u64>,
}

/// Why a file is no run of the benchmark.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It is of another version of the program.
    #[error("the run has version {found}, this program reads version {VERSION}")]
    Version {
        /// Its version.
        found: u32,
    },
    /// It is something else, or was damaged.
    #[error("this is no run of the benchmark")]
    Json(#[source] serde_json::Error),
}

impl RunError {
    /// Returns the way out.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Version { .. } => "run both again with the same version of cargo-newcol",
            Self::Json(_) => "write one with `cargo newcol bench <table.column> --json FILE`",
        }
    }
}

impl Run {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// Where it is of another version, or no run.
    pub fn parse(text: &str) -> Result<Self, RunError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let Versioned { version: found } = serde_json::from_str(text).map_err(RunError::Json)?;
        if found != VERSION {
            return Err(RunError::Version { found });
        }
        serde_json::from_str(text).map_err(RunError::Json)
    }

    /// Returns the text of its file.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string(self).expect("its keys are texts");
        text.push('\n');
        text
    }

    /// Returns the fill of a way.
    #[must_use]
    pub fn fill(&self, way: Way) -> Option<&Fill> {
        self.fills.iter().find(|fill| fill.way == way)
    }
}
