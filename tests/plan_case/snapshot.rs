//! Files that hold what a test found the last time someone looked.
//!
//! All differences of a test are shown at once. Files that no test compares any more are stale,
//! and fail the test as a difference does.

use std::fs;

use camino::Utf8PathBuf;
use newcol_core::backend::Backend;

use super::{
    Fallible,
    folder::{Case, optional},
};

/// How much of a test ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// Everything.
    All,
    /// There was no server: what only a server tells was not compared.
    Offline,
}

/// The snapshot files of one test.
pub(super) struct Snapshots {
    dir: Utf8PathBuf,
    stem: String,
    backend: Backend,
    used: Vec<String>,
    differences: Vec<String>,
    bless: bool,
}

impl Snapshots {
    pub(super) fn of(case: &Case) -> Self {
        let set = |name| std::env::var_os(name).is_some_and(|v| !v.is_empty() && v != "0");
        Self {
            dir: case.dir.clone(),
            stem: case.stem.clone(),
            backend: case.backend,
            used: Vec::new(),
            differences: Vec::new(),
            bless: set("NEWCOL_BLESS") && !set("CI"),
        }
    }

    /// Returns what a snapshot of this test held, or holds by now.
    pub(super) fn stored(&self, kind: &str) -> Option<String> {
        optional(&self.dir.join(format!("{}.{kind}", self.stem))).ok().flatten()
    }

    /// Compares a text with its snapshot; a difference fails the test at its end.
    pub(super) fn compare(&mut self, name: &str, text: &str) {
        let path = self.dir.join(name);
        self.used.push(name.to_owned());
        let stored = optional(&path).ok().flatten();
        if stored.as_deref() == Some(text) {
            return;
        }
        if self.bless {
            if let Err(error) = fs::write(&path, text) {
                self.differences.push(format!("could not write {path}: {error}"));
            }
            return;
        }
        let before = stored.as_deref().unwrap_or_default();
        let diff = similar::TextDiff::from_lines(before, text);
        self.differences.push(format!(
            "{path} is not what it was (NEWCOL_BLESS=1 accepts it):\n{}",
            diff.unified_diff().context_radius(3).header("stored", "found")
        ));
    }

    /// Compares this test's own snapshot of a kind.
    pub(super) fn compare_own(&mut self, kind: &str, text: &str) {
        self.compare(&format!("{}.{kind}", self.stem), text);
    }

    /// Fails the test where anything differed or is stale.
    pub(super) fn finish(mut self, scope: Scope) -> Fallible<()> {
        let mut kinds = vec!["plan.txt"];
        if scope == Scope::All {
            kinds.extend(["schema.rs", "server.txt", "data.txt", "print-schema.txt"]);
        }
        let mut stems = vec![self.stem.clone()];
        if self.backend == Backend::Mysql {
            stems.push("mariadb".to_owned());
        }
        for name in stems.iter().flat_map(|stem| kinds.iter().map(move |k| format!("{stem}.{k}"))) {
            let path = self.dir.join(&name);
            if self.used.contains(&name) || !path.exists() {
                continue;
            }
            if self.bless {
                fs::remove_file(&path)?;
            } else {
                self.differences.push(format!("{path} is stale: no test compares it any more"));
            }
        }
        if self.differences.is_empty() { Ok(()) } else { Err(self.differences.join("\n\n").into()) }
    }
}
