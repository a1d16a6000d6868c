//! Diesel's word of the statements that this process sends.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use camino::Utf8PathBuf;
use diesel::connection::{Instrumentation, InstrumentationEvent, set_default_instrumentation};
use newcol_core::db::without_binds;

use super::recorded::record;
use crate::settings;

/// Why statements are not recorded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// The file that `NEWCOL_CAPTURE` names cannot be written.
    #[error("could not open `{path}`")]
    File {
        /// The file.
        path: Utf8PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Diesel takes no instrumentation.
    #[error("could not set Diesel's default instrumentation")]
    Diesel(#[source] diesel::result::Error),
}

/// Tells `cargo newcol audit --capture` of the statements of every connection that this process opens
/// from now on; does nothing in any other run.
///
/// Call it before the first connection, as the first line of a test's setup. A connection with an
/// instrumentation of its own tells nothing.
///
/// # Errors
///
/// When the file cannot be written: the capture would take it for silence.
pub fn install() -> Result<(), InstallError> {
    let Some(path) = settings::capture_file() else { return Ok(()) };
    open(&path).map_err(|source| InstallError::File { path, source })?;
    set_default_instrumentation(instrumentation).map_err(InstallError::Diesel)
}

/// Returns what records statements, for a program with a default instrumentation of its own; none
/// without a capture.
pub fn instrumentation() -> Option<Box<dyn Instrumentation>> {
    static RECORDER: OnceLock<Option<Recorder>> = OnceLock::new();
    let recorder = RECORDER.get_or_init(|| open(&settings::capture_file()?).ok());
    Some(Box::new(recorder.clone()?))
}

/// The file, which all connections share.
#[derive(Clone)]
struct Recorder(Arc<Mutex<File>>);

fn open(path: &Utf8PathBuf) -> io::Result<Recorder> {
    // Never made: when the capture is over, nobody wants it.
    let file = OpenOptions::new().append(true).open(path)?;
    Ok(Recorder(Arc::new(Mutex::new(file))))
}

impl Instrumentation for Recorder {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        if let InstrumentationEvent::StartQuery { query, .. } = event {
            let shown = query.to_string();
            let sql = without_binds(&shown);
            let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // The capture ends when the disk is full; the program does not.
            file.write_all(&record(sql)).ok();
        }
    }
}
