//! The compiler's own word, on stable Rust: who uses the table, and what stops compiling at which
//! stage.
//!
//! A copy of the workspace is compiled, never the workspace: with the table marked as deprecated, so
//! that rustc names every use of it, and then with the `schema.rs` of every stage. What rustc was not
//! shown (other features, other targets, code behind a package that does not compile) is said to be
//! unchecked, never to be clean.

mod cargo;
mod echo;
mod error;
mod inventory;
mod locate;
mod merge;
mod message;
mod process;
mod shadow;
mod stages;
mod wrapper;

use std::fs;

use camino::Utf8PathBuf;

use self::{
    cargo::Check,
    inventory::{Inventory, mark},
    shadow::{Layout, Shadow},
    stages::Stages,
};
pub use self::{
    error::ProbeError,
    inventory::{Item, Use},
    wrapper::{ACT_AS_WRAPPER, act},
};
use super::{SourceFile, finding::Finding};
use crate::{ident::TableName, plan::StageKind};

/// What happens, as it happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The copy is brought up to date.
    Copying {
        /// Files looked at.
        done: usize,
        /// Files in all.
        of: usize,
    },
    /// The first of a package's targets is compiled.
    Compiled {
        /// `the project`, or `stage expand`.
        tree: String,
        /// Its name, or that of its directory.
        package: String,
    },
    /// Nothing is new; whoever listens may stop.
    Waiting,
}

/// What whoever listens wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Go on.
    Go,
    /// End the compiler, and all that it has started.
    Stop,
}

/// Told what happens, several times a second.
pub type Listener<'a> = dyn Fn(&Event) -> Answer + 'a;

/// What of a workspace is compiled, and as what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Set {
    /// Packages, by name; all where none are named.
    pub packages: Vec<String>,
    /// Features to switch on.
    pub features: Vec<String>,
    /// Whether those that are on by default are off.
    pub no_default_features: bool,
    /// Whether all are on.
    pub all_features: bool,
    /// Target triple; that of the configuration where none is named.
    pub target: Option<String>,
}

impl Set {
    /// Returns it as arguments of Cargo.
    pub fn args(&self) -> Vec<String> {
        let mut args = Vec::new();
        for package in &self.packages {
            args.extend(["--package".to_owned(), package.clone()]);
        }
        args.extend(self.packages.is_empty().then(|| "--workspace".to_owned()));
        if !self.features.is_empty() {
            args.extend(["--features".to_owned(), self.features.join(",")]);
        }
        args.extend(self.no_default_features.then(|| "--no-default-features".to_owned()));
        args.extend(self.all_features.then(|| "--all-features".to_owned()));
        args.extend(self.target.iter().flat_map(|target| ["--target".to_owned(), target.clone()]));
        args
    }
}

/// The `schema.rs` of a stage, as far as it differs from the project's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageSchema {
    /// The stage.
    pub stage: StageKind,
    /// Its files, whole.
    pub files: Vec<SourceFile>,
}

/// How the compiler is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The workspace's directory, absolute.
    pub root: Utf8PathBuf,
    /// Cargo's program.
    pub cargo: Utf8PathBuf,
    /// A program that calls [`act`] where [`ACT_AS_WRAPPER`] is set.
    pub wrapper: Utf8PathBuf,
    /// Where the copy is kept; used by one probe at a time.
    pub dir: Utf8PathBuf,
    /// Where Cargo builds it, and nothing else: it tells packages of one name apart by where they are
    /// below the root of their workspace, and would take one for the other.
    pub target_dir: Utf8PathBuf,
    /// What is compiled; the whole workspace as it is by default where nothing is named.
    pub sets: Vec<Set>,
    /// Whether Cargo must not use the network.
    pub offline: bool,
    /// Whether Cargo must not resolve anew.
    pub locked: bool,
    /// The most bytes that are copied.
    pub limit: u64,
}

/// What the compiler says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Every use of the table and its columns, by place.
    pub uses: Vec<Use>,
    /// What stops compiling, and what could not be looked at.
    pub findings: Vec<Finding>,
}

impl Probe {
    /// Asks for the uses of a table of `schemas`, paths below the root, and for what stops compiling at
    /// each of the stages, which come in their order.
    ///
    /// Fails where nothing could be compiled at all, and when whoever listens says [`Answer::Stop`].
    pub fn run(
        &self,
        table: &TableName,
        schemas: &[Utf8PathBuf],
        stages: &[StageSchema],
        listener: &Listener,
    ) -> Result<Report, ProbeError> {
        let layout = Layout::read(&self.cargo, &self.root)?;
        let mut originals = Vec::new();
        for path in schemas {
            let file = layout.root.join(path);
            let text = fs::read_to_string(&file).map_err(ProbeError::io("read", &file))?;
            originals.push(SourceFile { path: path.clone(), text });
        }
        let marked = mark(&originals, table)?;
        let shadow = Shadow::open(&self.dir, layout, self.limit, listener)?;
        let check = Check { probe: self, shadow: &shadow, members: shadow.members(), listener };
        let sets = if self.sets.is_empty() { &[Set::default()][..] } else { &self.sets };
        let Inventory { uses, baselines } = Inventory::take(&check, sets, &originals, &marked)?;
        let compiled = Stages { check, sets, originals: &originals };
        Ok(Report { uses, findings: compiled.run(&baselines, stages)? })
    }
}
