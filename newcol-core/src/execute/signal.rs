//! A flag that one thread raises and others wait for.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Down until it is raised, once and for all.
#[derive(Debug, Default)]
pub(super) struct Signal {
    raised: Mutex<bool>,
    changed: Condvar,
}

impl Signal {
    /// Raises it; whoever waits goes on.
    pub(super) fn raise(&self) {
        *self.lock() = true;
        self.changed.notify_all();
    }

    pub(super) fn is_raised(&self) -> bool {
        *self.lock()
    }

    /// Waits so long, or until it is raised; returns whether it is.
    pub(super) fn wait(&self, time: Duration) -> bool {
        let waited = self.changed.wait_timeout_while(self.lock(), time, |raised| !*raised);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        // Nobody panics while it is held.
        self.raised.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
