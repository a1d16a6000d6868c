//! Scripts as `psql` and the `mysql` client read them: lines that are for the client are not SQL.

use std::borrow::Cow;

use crate::backend::Backend;

/// Returns a text of the same length without what is not SQL: commands of the client, and the rows
/// behind `COPY … FROM stdin`.
pub(super) fn masked(text: &str, engine: Backend) -> Cow<'_, str> {
    let for_client = |line: &str| match engine {
        Backend::Postgres => line.starts_with('\\') || asks_for_rows(line),
        Backend::Mysql => starts_with(line, "delimiter "),
        Backend::Sqlite => line.starts_with('.'),
    };
    if !text.lines().any(for_client) {
        return Cow::Borrowed(text);
    }
    let mut masked = String::with_capacity(text.len());
    let mut in_rows = false;
    for line in text.split_inclusive('\n') {
        if in_rows {
            in_rows = line.trim_end() != "\\.";
            blank(line, &mut masked);
        } else if starts_with(line, "\\copy") && line.ends_with('\n') {
            // It ends with its line.
            masked.push(' ');
            masked.push_str(&line[1..line.len() - 1]);
            masked.push(';');
        } else if for_client(line) && !asks_for_rows(line) {
            blank(line, &mut masked);
        } else {
            in_rows = engine == Backend::Postgres && asks_for_rows(line);
            masked.push_str(line);
        }
    }
    Cow::Owned(masked)
}

fn asks_for_rows(line: &str) -> bool {
    let line = line.trim_end();
    line.len() >= 10 && line.ends_with(';') && {
        let lower = line.to_ascii_lowercase();
        lower.trim_start().starts_with("copy") && lower.contains("from stdin")
    }
}

fn starts_with(line: &str, word: &str) -> bool {
    line.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

fn blank(line: &str, masked: &mut String) {
    masked.extend(line.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_for_the_client_is_blank() {
        let text = "\\set x 1\nCOPY t FROM stdin;\n1\t'ü\n\\.\n\\copy t from 'f'\nSELECT 1;\n";
        let masked = masked(text, Backend::Postgres);
        assert_eq!(masked.len(), text.len());
        let lines: Vec<&str> = masked.split(['\n', ';']).map(str::trim).collect();
        let left: Vec<&str> = lines.into_iter().filter(|line| !line.is_empty()).collect();
        assert_eq!(left, ["COPY t FROM stdin", "copy t from 'f'", "SELECT 1"]);
    }
}
