//! One run of `cargo check` in the copy.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use camino::{Utf8Path, Utf8PathBuf};

use super::{
    Answer, Event, Listener, Probe, Set,
    error::ProbeError,
    message::{Diagnostic, Message, Target},
    process::{Line, Running},
    shadow::Shadow,
    wrapper::ACT_AS_WRAPPER,
};

/// A target as it is compiled: as such, or with its tests.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Unit {
    pub(super) of: PackageTarget,
    pub(super) test: bool,
}

/// A target of a package of the workspace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PackageTarget {
    pub(super) package: String,
    pub(super) target: Target,
}

impl PackageTarget {
    /// Reports whether it is of a package, and more than its build script.
    pub(super) fn is_code_of(&self, package: &str) -> bool {
        self.package == package && self.target.kind.iter().all(|kind| kind != "custom-build")
    }
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// What compiles.
    pub(super) compiled: BTreeSet<Unit>,
    /// What rustc says of the workspace's packages.
    pub(super) told: Vec<(PackageTarget, Diagnostic)>,
    /// The last thing that Cargo says for people, where it says of an error.
    pub(super) complaint: Option<String>,
}

/// Lines of Cargo's that are kept of an error which is not one of the code.
const LINES: usize = 10;

/// What is checked.
pub(super) struct Check<'a> {
    pub(super) probe: &'a Probe,
    pub(super) shadow: &'a Shadow,
    /// Names of the workspace's packages by their manifests in the copy.
    pub(super) members: BTreeMap<Utf8PathBuf, String>,
    pub(super) listener: &'a Listener<'a>,
}

impl Check<'_> {
    pub(super) fn run(&self, set: &Set, tree: &str) -> Result<Outcome, ProbeError> {
        let running = Running::start(self.command(set))
            .map_err(|source| ProbeError::Start { program: self.probe.cargo.clone(), source })?;
        let mut outcome = Outcome::default();
        let (mut told, mut built) = (String::new(), false);
        // A package has many targets, and each comes with its tests.
        let mut packages = BTreeSet::new();
        while let Some(line) = running.line() {
            let mut event = Event::Waiting;
            match line {
                Line::Silence => {}
                Line::Err(line) => told.extend([line.as_str(), "\n"]),
                Line::Out(line) => match serde_json::from_str(&line) {
                    Ok(Message::Finished {}) => built = true,
                    Ok(message) => {
                        if let (Some(target), Message::Told(told)) = (&set.target, &message)
                            && told.message.lacks_standard_library()
                        {
                            running.stop();
                            return Err(ProbeError::Target { target: target.clone() });
                        }
                        if let Some(package) = outcome.take(message, &self.members)
                            && packages.insert(package.clone())
                        {
                            event = Event::Compiled { tree: tree.to_owned(), package };
                        }
                    }
                    // What a program of the project prints.
                    Err(_) => {}
                },
            }
            if (self.listener)(&event) == Answer::Stop {
                running.stop();
                return Err(ProbeError::Stopped);
            }
        }
        running
            .wait()
            .map_err(|source| ProbeError::Start { program: self.probe.cargo.clone(), source })?;
        if built {
            outcome.complaint = complaint(&told).map(|text| self.shadow.as_theirs(&text));
            Ok(outcome)
        } else {
            Err(ProbeError::Cargo { told: self.shadow.as_theirs(&gave_up(&told)) })
        }
    }

    fn command(&self, set: &Set) -> Command {
        let probe = self.probe;
        let mut command = Command::new(&probe.cargo);
        command.args(["check", "--all-targets", "--keep-going", "--message-format=json"]);
        command.args(["--color", "never", "--manifest-path"]).arg(self.shadow.manifest());
        command.arg("--target-dir").arg(&probe.target_dir).args(set.args());
        command.args(probe.offline.then_some("--offline")).args(probe.locked.then_some("--locked"));
        command.env("RUSTC_WORKSPACE_WRAPPER", &probe.wrapper).env(ACT_AS_WRAPPER, "1");
        // Whatever else the project says of places to build in and of warnings.
        command.env("CARGO_BUILD_BUILD_DIR", &probe.target_dir).env("CARGO_BUILD_WARNINGS", "warn");
        // The project's own toolchain and configuration are found from here.
        command.current_dir(&probe.root);
        command
    }
}

impl Outcome {
    /// Takes in a message; returns the package that it says is compiled.
    fn take(
        &mut self,
        message: Message,
        members: &BTreeMap<Utf8PathBuf, String>,
    ) -> Option<String> {
        let of = |manifest: &Utf8Path, target: Target| {
            let package = members.get(manifest)?.clone();
            Some(PackageTarget { package, target })
        };
        match message {
            Message::Compiled(artifact) => {
                let test = artifact.profile.test;
                match of(&artifact.manifest_path, artifact.target) {
                    Some(of) => {
                        let package = of.package.clone();
                        self.compiled.insert(Unit { of, test });
                        Some(package)
                    }
                    None => artifact.manifest_path.parent()?.file_name().map(ToOwned::to_owned),
                }
            }
            Message::Told(told) => {
                let of = of(&told.manifest_path, told.target)?;
                self.told.push((of, told.message));
                None
            }
            Message::Finished {} | Message::Other => None,
        }
    }

    /// Returns the errors.
    pub(super) fn errors(&self) -> impl Iterator<Item = &(PackageTarget, Diagnostic)> {
        self.told.iter().filter(|(_, told)| told.is_error())
    }
}

/// Finds the first error that Cargo tells of, with what it says of its causes.
fn complaint(told: &str) -> Option<String> {
    let lines = told.lines().skip_while(|line| !line.starts_with("error"));
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with("note: "));
    let lines: Vec<&str> = lines.take(LINES).collect();
    (!lines.is_empty()).then(|| lines.join("\n").trim_start_matches("error: ").to_owned())
}

/// Returns what Cargo gave up for: all that it says from its first error on.
fn gave_up(told: &str) -> String {
    let at = told.find("error: ").map_or(0, |at| at + "error: ".len());
    told[at..].trim().to_owned()
}
