//! How many databases live on one server at a time.
//!
//! Each takes 7 to 20 MB, of memory in most cases, so processes together may have only so many. A
//! slot is a locked file: the kernel gives it back when its process dies.

use std::{fs::File, time::Duration};

use super::{
    error::ScratchError,
    lease::{self, Home},
};
use crate::{settings, wait::wait_for};

/// Databases that may live on a server at once: far more than a test runner has cores.
const SLOTS: u64 = 64;

/// Longest wait for another test to drop its database.
const LIMIT: Duration = Duration::from_secs(60);

/// The right to have a database; given back when dropped.
#[derive(Debug)]
pub(super) struct Slot {
    _file: File,
}

/// Waits for a free slot of a server.
pub(super) fn take(home: &Home) -> Result<Slot, ScratchError> {
    let slots = settings::max_databases().unwrap_or(SLOTS);
    let dir = home.dir.join("slots");
    lease::make_dir(&dir)?;
    // Not always the first, which is the one that is most often taken.
    let start = lease::hash(lease::random_tag().as_bytes()) % slots;
    let taken = wait_for("free database slot", LIMIT, || {
        (0..slots).find_map(|number| {
            let path = dir.join(((start + number) % slots).to_string());
            match lease::open(&path) {
                Ok(file) => lease::try_exclusive(&file).then_some(Ok(Slot { _file: file })),
                Err(error) => Some(Err(error)),
            }
        })
    });
    taken.unwrap_or_else(|source| Err(ScratchError::TooMany { slots, source }))
}
