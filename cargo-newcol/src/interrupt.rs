//! Ctrl-C as a flag that is asked between moves, so that no move is cut in half.

use std::sync::{
    OnceLock,
    atomic::{AtomicBool, Ordering},
};

static STOPPED: OnceLock<&'static AtomicBool> = OnceLock::new();

/// Turns SIGINT, SIGTERM and SIGHUP into the flag.
pub(crate) fn install() {
    static FLAG: AtomicBool = AtomicBool::new(false);
    // A second handler in one process is refused; the first one does the same.
    drop(ctrlc::set_handler(|| FLAG.store(true, Ordering::SeqCst)));
    STOPPED.get_or_init(|| &FLAG);
}

/// Reports whether the user asked to stop.
pub(crate) fn requested() -> bool {
    STOPPED.get().is_some_and(|flag| flag.load(Ordering::SeqCst))
}
