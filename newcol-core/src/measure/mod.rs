//! What an application's statements take, counted by itself.
//!
//! For SQLite, which keeps no statistics that another program could read, and for servers whose
//! statistics cannot be reached or do not tell applications apart, as behind a pooler. The application
//! turns it on before its first connection:
//!
//! ```no_run
//! use newcol_core::measure::{Options, install};
//!
//! install(Options::to("/var/lib/app/statements.json"))?;
//! # Ok::<(), newcol_core::measure::InstallError>(())
//! ```
//!
//! `cargo newcol watch snap --from FILE` takes the file up, and [`prometheus`] says the same to a scrape.
//! Values that statements bind are not kept. Of each statement its executions, the mean and spread of
//! their times, and a histogram of two digits are kept: some 12 kB at most, for [`MOST`] statements.

mod file;
mod meter;
mod text;

use std::{
    path::{Path, PathBuf},
    sync::{
        Mutex, OnceLock, PoisonError,
        mpsc::{self, RecvTimeoutError, Sender},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use diesel::connection::{Instrumentation, set_default_instrumentation};

pub use self::{
    file::{FileError, Measured, MeasuredStatement},
    meter::Meter,
};
use self::{meter::Meters, text::families};

/// How many statements are told apart.
pub const MOST: usize = 1000;

/// How long a statement may be.
pub const LONGEST: usize = 16 << 10;

/// How statements are measured.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// Where the figures are written; one file for each process.
    pub file: Option<PathBuf>,
    /// How often.
    pub every: Duration,
    /// One execution in how many is measured, by chance; 1 is all.
    pub one_in: u32,
}

impl Options {
    /// Measures every execution and writes to a file once a minute.
    pub fn to(file: impl Into<PathBuf>) -> Self {
        Self { file: Some(file.into()), every: Duration::from_secs(60), one_in: 1 }
    }

    /// Measures every execution and writes nothing: [`prometheus`] is asked.
    pub fn without_file() -> Self {
        Self { file: None, every: Duration::from_secs(60), one_in: 1 }
    }

    /// Measures one execution in so many.
    #[must_use]
    pub fn one_in(self, one_in: u32) -> Self {
        Self { one_in: one_in.max(1), ..self }
    }

    /// Writes the file this often.
    #[must_use]
    pub fn every(self, every: Duration) -> Self {
        Self { every, ..self }
    }
}

/// Why nothing is measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// It is measured already.
    #[error("statements are measured already: `install` was called before")]
    Twice,
    /// The file cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// There is no thread to write the file.
    #[error("could not start the thread that writes the figures")]
    Thread(#[source] std::io::Error),
    /// Diesel takes no instrumentation.
    #[error("could not set Diesel's default instrumentation")]
    Diesel(#[source] diesel::result::Error),
}

/// What this process has measured.
struct Global {
    options: Options,
    meters: Mutex<Meters>,
    /// Ends the writer's pause.
    wake: Sender<Sender<Result<(), FileError>>>,
}

static GLOBAL: OnceLock<Global> = OnceLock::new();

/// Measures the statements of every connection that this process opens from now on.
///
/// A connection with an instrumentation of its own is not measured, unless that passes events on to
/// [`instrumentation`].
///
/// # Errors
///
/// When the file cannot be written, or it was called before.
pub fn install(options: Options) -> Result<(), InstallError> {
    let (wake, woken) = mpsc::channel();
    let global = Global { meters: Mutex::new(Meters::begun(now())), options, wake };
    if let Some(path) = &global.options.file {
        global.write(path)?;
    }
    GLOBAL.set(global).map_err(|_| InstallError::Twice)?;
    let Some(global) = GLOBAL.get() else { return Ok(()) };
    if let Some(path) = &global.options.file {
        let write = move || {
            loop {
                match woken.recv_timeout(global.options.every) {
                    Ok(asker) => drop(asker.send(global.write(path))),
                    // A disk that is full now may have room in a minute.
                    Err(RecvTimeoutError::Timeout) => drop(global.write(path)),
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            }
        };
        let thread = std::thread::Builder::new().name("newcol-measure".to_owned());
        thread.spawn(write).map_err(InstallError::Thread)?;
    }
    set_default_instrumentation(instrumentation).map_err(InstallError::Diesel)
}

/// Returns what measures a connection, for a program with an instrumentation of its own; none before
/// [`install`].
pub fn instrumentation() -> Option<Box<dyn Instrumentation>> {
    let global = GLOBAL.get()?;
    Some(Box::new(Meter::new(global.options.one_in, &global.meters)))
}

/// Writes the file now, as before the process ends: what came after the last writing is lost otherwise.
///
/// # Errors
///
/// When the file cannot be written.
pub fn write_now() -> Result<(), FileError> {
    let Some(global) = GLOBAL.get() else { return Ok(()) };
    let (asker, answer) = mpsc::channel();
    match global.wake.send(asker) {
        // Without a file nobody listens.
        Err(_) => Ok(()),
        Ok(()) => answer.recv().unwrap_or(Ok(())),
    }
}

/// Returns what was measured, in the text format of Prometheus: histograms of the 50 statements that
/// took most.
pub fn prometheus() -> String {
    GLOBAL.get().map_or_else(String::new, |global| families(&global.meters()))
}

impl Global {
    fn meters(&self) -> std::sync::MutexGuard<'_, Meters> {
        self.meters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, path: &Path) -> Result<(), FileError> {
        let measured = self.meters().measured(now(), self.options.one_in);
        measured.write(path)
    }
}

#[expect(clippy::disallowed_methods, reason = "an application has no context but its own clock")]
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
