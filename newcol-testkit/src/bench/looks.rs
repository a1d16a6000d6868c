//! Looks at the server 20 times a second, while something is done.

use std::{
    sync::{Condvar, Mutex, PoisonError},
    time::Duration,
};

const EVERY: Duration = Duration::from_millis(50);

/// What is looked at.
pub(super) trait Look: Send {
    /// Looks; `None` where that failed, and then it is not asked again.
    fn look(&mut self) -> Option<()>;
}

/// Looks while `work` is done, at each thing in a thread of its own.
pub(super) fn during<T>(at: Vec<&mut dyn Look>, work: impl FnOnce() -> T) -> T {
    let ended = Ended::default();
    std::thread::scope(|scope| {
        let ended = &ended;
        for thing in at {
            scope.spawn(move || while ended.wait() && thing.look().is_some() {});
        }
        // Whatever becomes of the work, nobody must look for ever.
        let _end = EndOnDrop(ended);
        work()
    })
}

#[derive(Default)]
struct Ended(Mutex<bool>, Condvar);

struct EndOnDrop<'a>(&'a Ended);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }
}

impl Ended {
    /// Waits for the next look; returns whether there is one.
    fn wait(&self) -> bool {
        let ended = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = self.1.wait_timeout_while(ended, EVERY, |ended| !*ended);
        !*ended.unwrap_or_else(PoisonError::into_inner).0
    }
}
