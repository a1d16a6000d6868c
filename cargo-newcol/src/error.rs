//! Errors as the user meets them: message, place, causes, way out, exit code.

use std::{error::Error as StdError, fmt, path::MAIN_SEPARATOR, process::ExitCode};

use camino::Utf8Path;
use newcol_core::{
    contract::{ContractError, read::Complaint},
    db::{DbError, UrlError},
    execute::files::FilesError,
    plan::PlanError,
    render::release::ReleaseError,
};

/// How the process ends; the numbers are part of our promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0: what was asked for is done.
    Done,
    /// 2: the command line or a file of the project does not say what is wanted.
    Usage,
    /// 3: a gate is shut; the output says what opens it.
    GateShut,
    /// 4: there was nothing to do.
    Nothing,
    /// 100: findings, or a check that failed.
    Findings,
    /// 101: could not complete.
    Failed,
}

impl Exit {
    /// Every ending with the sentence that documents it.
    pub(crate) const ALL: [(Self, &'static str); 6] = [
        (Self::Done, "what was asked for is done"),
        (Self::Usage, "the command line or a file of the project does not say what is wanted"),
        (Self::GateShut, "a gate is shut; the output says what opens it"),
        (Self::Nothing, "there was nothing to do"),
        (Self::Findings, "there are findings, or a check failed"),
        (Self::Failed, "it could not be completed; nothing was left half done"),
    ];

    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Usage => 2,
            Self::GateShut => 3,
            Self::Nothing => 4,
            Self::Findings => 100,
            Self::Failed => 101,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// An error with all that its report needs.
#[derive(Debug)]
pub(crate) struct CliError {
    pub(crate) exit: Exit,
    /// What is wrong, as a lowercase fragment without a final period.
    pub(crate) message: String,
    /// File, or file with line and column, or flag.
    pub(crate) place: Option<String>,
    /// Causes, outermost first.
    pub(crate) causes: Vec<String>,
    /// Other mistakes found on the way, each with its place.
    pub(crate) also: Vec<String>,
    /// What to do about it.
    pub(crate) hints: Vec<String>,
}

impl CliError {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    fn new(exit: Exit, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { exit, message, place: None, causes: Vec::new(), also: Vec::new(), hints: Vec::new() }
    }

    /// Takes message and causes from an error of the library.
    pub(crate) fn of(exit: Exit, error: &dyn StdError) -> Self {
        let mut causes = Vec::new();
        let mut source = error.source();
        while let Some(cause) = source {
            causes.push(cause.to_string());
            source = cause.source();
        }
        Self { causes, ..Self::new(exit, error.to_string()) }
    }

    /// Says what failed; what was the message becomes its cause.
    pub(crate) fn saying(mut self, message: impl Into<String>) -> Self {
        let cause = std::mem::replace(&mut self.message, message.into());
        self.causes.insert(0, cause);
        self
    }

    pub(crate) fn at(mut self, place: impl fmt::Display) -> Self {
        self.place = Some(place.to_string());
        self
    }

    /// Names the files below a directory without it, wherever the report names one.
    pub(crate) fn below(mut self, root: &Utf8Path) -> Self {
        let root = format!("{root}{MAIN_SEPARATOR}");
        let Self { exit: _, message, place, causes, also, hints } = &mut self;
        for text in [message].into_iter().chain(place).chain(causes).chain(also).chain(hints) {
            if text.contains(&root) {
                *text = text.replace(&root, "");
            }
        }
        self
    }

    /// Names another mistake that was made on the way.
    pub(crate) fn also(mut self, other: &Self) -> Self {
        let place = other.place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default();
        self.also.push(format!("{place}{}", other.message));
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    pub(crate) fn hint_maybe(mut self, hint: Option<String>) -> Self {
        self.hints.extend(hint);
        self
    }
}

impl From<ContractError> for CliError {
    fn from(error: ContractError) -> Self {
        Self::of(Exit::Usage, &error).hint_maybe(error.hint())
    }
}

impl From<PlanError> for CliError {
    fn from(error: PlanError) -> Self {
        Self::of(Exit::Usage, &error).hint_maybe(error.hint())
    }
}

impl From<ReleaseError> for CliError {
    fn from(error: ReleaseError) -> Self {
        let place = error.place();
        let report = Self::of(Exit::Usage, &error).hint_maybe(error.hint());
        match place {
            Some(place) => report.at(place),
            None => report,
        }
    }
}

impl From<FilesError> for CliError {
    fn from(error: FilesError) -> Self {
        let hint = match &error {
            FilesError::Changed { .. } => "run the command again",
            FilesError::Busy { .. } => "wait until it is done, then run the command again",
            FilesError::Io { .. } => "nothing was changed; run the command again when it is mended",
            FilesError::Stuck { .. } => "move the backup back by hand, then run the command again",
        };
        let place = match &error {
            FilesError::Changed { path }
            | FilesError::Busy { path }
            | FilesError::Io { path, .. }
            | FilesError::Stuck { path, .. } => path.clone(),
        };
        Self::of(Exit::Failed, &error).at(place).hint(hint)
    }
}

impl From<DbError> for CliError {
    fn from(error: DbError) -> Self {
        let exit = match &error {
            DbError::Url { .. }
            | DbError::NotBuiltIn { .. }
            | DbError::Parameter { .. }
            | DbError::NoFile { .. }
            | DbError::Pooler { .. } => Exit::Usage,
            DbError::CredentialFile { .. }
            | DbError::Connect { .. }
            | DbError::Version { .. }
            | DbError::Statement { .. }
            | DbError::Answer { .. }
            | DbError::ReadOnly { .. }
            | DbError::MigrationSource { .. }
            | DbError::Migration { .. } => Exit::Failed,
        };
        Self::of(exit, &error).hint_maybe(error.hint())
    }
}

impl From<UrlError> for CliError {
    fn from(error: UrlError) -> Self {
        Self::of(Exit::Usage, &error).hint_maybe(error.hint().map(str::to_owned))
    }
}

/// Turns every complaint about a contract file into one error with all the places.
pub(crate) fn complaints(path: &Utf8Path, text: &str, list: &[Complaint]) -> CliError {
    let line = |complaint: &Complaint| {
        let (line, column) = newcol_core::contract::read::line_col(text, complaint.span.start);
        format!("{path}:{line}:{column}")
    };
    let Some((first, rest)) = list.split_first() else {
        return CliError::usage(format!("{path} is not a contract"));
    };
    let mut error =
        CliError::usage(first.message.clone()).at(line(first)).hint_maybe(first.hint.clone());
    for complaint in rest {
        error.also.push(format!("{}: {}", line(complaint), complaint.message));
        error.hints.extend(complaint.hint.clone());
    }
    if error.hints.is_empty() {
        error.hints.push("correct it there; `cargo newcol explain contract` tells more".to_owned());
    }
    error
}
