//! Bounded polling for a state.
//!
//! Waiting never asks for an event and never sleeps for a guessed time: it asks whether the state
//! is there, soon at first and then every 50 ms, and gives up at a limit.

use std::time::{Duration, Instant};

/// Why waiting ended without the state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("still no {what} after {seconds:.1} s", seconds = limit.as_secs_f64())]
pub struct WaitError {
    /// What was waited for.
    pub what: String,
    /// How long.
    pub limit: Duration,
}

/// Asks `probe` until it yields a value, at most for `limit`.
///
/// The probe is asked at least once, and once more when the limit has passed.
pub fn wait_for<T>(
    what: &str,
    limit: Duration,
    mut probe: impl FnMut() -> Option<T>,
) -> Result<T, WaitError> {
    const LONGEST: Duration = Duration::from_millis(50);
    let started = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        let late = started.elapsed() >= limit;
        if let Some(value) = probe() {
            return Ok(value);
        }
        if late {
            return Err(WaitError { what: what.to_owned(), limit });
        }
        #[expect(clippy::disallowed_methods, reason = "the one place that waits, bounded")]
        std::thread::sleep(pause);
        pause = (pause * 3 / 2).min(LONGEST);
    }
}

/// Asks `probe` until it says `true`, at most for `limit`.
pub fn wait_until(
    what: &str,
    limit: Duration,
    mut probe: impl FnMut() -> bool,
) -> Result<(), WaitError> {
    wait_for(what, limit, || probe().then_some(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_that_comes_is_returned() {
        let mut asked = 0;
        let got = wait_for("third", Duration::from_secs(5), || {
            asked += 1;
            (asked == 3).then_some(asked)
        });
        assert_eq!(got, Ok(3));
    }

    #[test]
    fn a_state_that_never_comes_is_named() {
        let error = wait_until("rain", Duration::from_millis(3), || false).unwrap_err();
        assert_eq!(error.to_string(), "still no rain after 0.0 s");
    }
}
