//! The one line that changes while something takes long, drawn as the terminal can.

use std::io;

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::{Output, ascii::speaks_unicode};

/// Columns from which on a line has room for a bar, and for a long one.
const ROOM_FOR_A_BAR: (u16, u16) = (60, 90);

/// What a terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Terminal {
    /// As wide as a bar may be.
    bar: Option<&'static str>,
    is_unicode: bool,
}

impl Terminal {
    fn look() -> Self {
        let size = terminal_size::terminal_size_of(io::stderr());
        let (some, enough) = ROOM_FOR_A_BAR;
        Self {
            bar: match size {
                Some((width, _)) if width.0 < some => None,
                Some((width, _)) if width.0 < enough => Some("{bar:10} "),
                Some(_) | None => Some("{bar:24} "),
            },
            is_unicode: speaks_unicode(),
        }
    }

    fn style(self, template: &str) -> ProgressStyle {
        let per_second = |state: &ProgressState, w: &mut dyn std::fmt::Write| {
            // Nobody reads decimals of a rate.
            let _ = write!(w, "{}/s", HumanCount(state.per_sec().round() as u64));
        };
        let style = ProgressStyle::with_template(template)
            .expect("the template is ours")
            .with_key("rate", per_second);
        if self.is_unicode { style } else { style.progress_chars("#>-").tick_chars("|/-\\ ") }
    }
}

impl Output {
    /// Returns a line that is drawn where somebody watches; at first, a spinner with a message.
    pub(crate) fn bar(&self) -> ProgressBar {
        let target =
            if self.draws() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        ProgressBar::with_draw_target(None, target).with_style(message())
    }
}

/// A spinner with a message, cut to the width of the terminal.
fn message() -> ProgressStyle {
    Terminal::look().style("{spinner} {wide_msg}")
}

/// Rows that go by, with a bar where their number is known and the terminal has room for it.
pub(crate) fn rows(are_counted: bool) -> ProgressStyle {
    let terminal = Terminal::look();
    if are_counted {
        let bar = terminal.bar.unwrap_or_default();
        terminal.style(&format!(
            "{bar}{{percent}}% {{human_pos}} rows, {{rate}}, {{eta}} left: {{wide_msg}}"
        ))
    } else {
        terminal.style("{spinner} {human_pos} rows, {rate}: {wide_msg}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_style_is_one() {
        for is_unicode in [false, true] {
            drop(Terminal { bar: None, is_unicode }.style("{bar:24} {rate}"));
        }
        drop([message(), rows(false), rows(true)]);
    }
}
