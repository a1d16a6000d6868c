//! Text for a terminal that has ASCII only: a few characters of ours, spelled out.

use std::io::{self, IsTerminal, Write};

use crate::context;

const SPELLED: [(char, &str); 6] =
    [('…', "..."), ('×', "x"), ('→', "->"), ('−', "-"), ('µ', "u"), ('±', "+-")];

/// A stream that spells out what its terminal cannot show.
pub(super) struct Spelled<W> {
    pub(super) stream: W,
    is_ascii: bool,
}

impl<W> Spelled<W> {
    pub(super) fn new(stream: W, terminal: &impl IsTerminal) -> Self {
        Self { stream, is_ascii: terminal.is_terminal() && !speaks_unicode() }
    }
}

impl<W: Write> Write for Spelled<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // What is formatted comes in whole strings.
        match str::from_utf8(bytes) {
            Ok(text) if self.is_ascii && !text.is_ascii() => {
                self.stream.write_all(spelled(text).as_bytes())?;
                Ok(bytes.len())
            }
            _ => self.stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

fn spelled(text: &str) -> String {
    SPELLED
        .into_iter()
        .fold(text.to_owned(), |text, (character, ascii)| text.replace(character, ascii))
}

/// Reports whether the terminal's language has more than ASCII.
pub(crate) fn speaks_unicode() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(context::env);
    is_unicode(locale.as_deref())
}

fn is_unicode(locale: Option<&str>) -> bool {
    let locale = locale.unwrap_or_default().to_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locale_says_whether_unicode_is_spoken() {
        for locale in ["en_US.UTF-8", "C.utf8"] {
            assert!(is_unicode(Some(locale)), "{locale}");
        }
        for locale in [None, Some("C"), Some("POSIX"), Some("de_DE.ISO-8859-1")] {
            assert!(!is_unicode(locale), "{locale:?}");
        }
    }

    #[test]
    fn only_what_a_terminal_cannot_show_is_spelled_out() {
        let written = |is_ascii: bool| {
            let mut stream = Spelled { stream: Vec::new(), is_ascii };
            let (ratio, name) = (1.5, "Zoë");
            write!(stream, "{ratio}× of {name}, …").unwrap();
            stream.write_all(b"\xff").unwrap();
            stream.stream
        };
        assert_eq!(written(true), ["1.5x of Zoë, ...".as_bytes(), b"\xff"].concat());
        assert_eq!(written(false), ["1.5× of Zoë, …".as_bytes(), b"\xff"].concat());
    }
}
