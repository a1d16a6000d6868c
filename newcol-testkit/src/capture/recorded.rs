//! The file of the statements of which Diesel tells: each with its length before it.
//!
//! Several processes write to it at once, each statement by one call, and any of them may be killed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
};

use camino::Utf8Path;
use tempfile::NamedTempFile;

use super::{CaptureError, LONGEST, Logged, Sender, SentStatement};

/// Makes an empty file, gone with the value.
pub(super) fn file() -> Result<NamedTempFile, CaptureError> {
    let dir = crate::settings::temp_dir();
    let made = NamedTempFile::with_prefix_in("newcol-capture-", &dir);
    made.map_err(|source| CaptureError::File { path: dir, source })
}

pub(super) fn failed(file: &NamedTempFile, source: io::Error) -> CaptureError {
    CaptureError::File {
        path: Utf8Path::from_path(file.path()).unwrap_or("".into()).into(),
        source,
    }
}

/// Adds the statements that the server's log does not have.
pub(super) fn add(
    logged: &mut Logged,
    file: &NamedTempFile,
    word: &str,
) -> Result<(), CaptureError> {
    let bytes = fs::read(file.path()).map_err(|source| failed(file, source))?;
    let word = word.to_ascii_lowercase();
    let mut recorded: BTreeMap<String, (usize, u64)> = BTreeMap::new();
    let has_log = logged.total > 0;
    for (at, sql) in records(&bytes).enumerate() {
        logged.total += u64::from(!has_log);
        if sql.to_ascii_lowercase().contains(&word) {
            recorded.entry(sql).or_insert((at, 0)).1 += 1;
        }
    }
    let mut in_log: BTreeSet<&str> = BTreeSet::new();
    for known in &mut logged.statements {
        if recorded.contains_key(&known.sql) {
            known.sender = known.sender.max(Sender::Diesel);
            in_log.insert(&known.sql);
        }
    }
    recorded.retain(|sql, _| !in_log.contains(sql.as_str()));
    let mut recorded: Vec<_> = recorded.into_iter().collect();
    recorded.sort_by_key(|(_, (first, _))| *first);
    let told = recorded.into_iter().map(|(sql, (_, count))| SentStatement {
        is_cut: sql.len() >= LONGEST,
        sql,
        count,
        sender: Sender::Diesel,
        database: None,
        application: None,
        refused: false,
    });
    logged.statements.extend(told);
    Ok(())
}

/// Returns the texts of a file; what follows a record that is no record is left out.
fn records(bytes: &[u8]) -> impl Iterator<Item = String> + '_ {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let line = rest.iter().position(|b| *b == b'\n')?;
        let length: usize = std::str::from_utf8(&rest[..line]).ok()?.parse().ok()?;
        let text = rest.get(line + 1..(line + 1).checked_add(length)?)?;
        rest = &rest[line + 1 + length..];
        Some(String::from_utf8_lossy(text).into_owned())
    })
}

/// Returns the bytes of a text in the file.
#[cfg(any(test, feature = "capture"))]
pub(super) fn record(sql: &str) -> Vec<u8> {
    let mut end = sql.len().min(LONGEST);
    while !sql.is_char_boundary(end) {
        end -= 1;
    }
    format!("{end}\n{}", &sql[..end]).into_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn texts_come_back(texts in proptest::collection::vec("(?s).*", 0..6), cut in 0..20_usize) {
            let mut bytes: Vec<u8> = texts.iter().flat_map(|text| record(text)).collect();
            prop_assert_eq!(records(&bytes).collect::<Vec<_>>(), texts.clone());
            // Of one that was being written, nothing comes.
            if let Some(last) = texts.last() {
                let length = record(last).len();
                bytes.truncate(bytes.len() - length + cut.min(length - 1));
                prop_assert_eq!(records(&bytes).collect::<Vec<_>>(), texts[..texts.len() - 1].to_vec());
            }
        }
    }

    #[test]
    fn what_the_server_has_logged_counts_once() {
        let file = file().unwrap();
        let texts = ["SELECT 1 FROM Users", "SELECT 2", "DELETE FROM users", "SELECT 1 FROM Users"];
        fs::write(file.path(), texts.map(record).concat()).unwrap();
        let mut logged = Logged {
            total: 7,
            statements: vec![SentStatement {
                sql: "DELETE FROM users".to_owned(),
                count: 3,
                sender: Sender::Unknown,
                database: None,
                application: None,
                refused: false,
                is_cut: false,
            }],
        };
        add(&mut logged, &file, "users").unwrap();
        let seen: Vec<_> =
            logged.statements.iter().map(|s| (s.sql.as_str(), s.count, s.sender)).collect();
        assert_eq!(logged.total, 7);
        assert_eq!(
            seen,
            [("DELETE FROM users", 3, Sender::Diesel), ("SELECT 1 FROM Users", 2, Sender::Diesel),]
        );
    }
}
