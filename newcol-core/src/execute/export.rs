//! Writes the values of a column to a file: all of them, or no file.
//!
//! They go to a file of another name beside the target, which nobody else may read, and which gets
//! its name once everything is on the disk. A file that is there already is never replaced: it may
//! hold the only copy of what was lost before.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
};

use camino::{Utf8Path, Utf8PathBuf};
use tempfile::NamedTempFile;

use super::files::FilesError;
use crate::{
    backend::Backend,
    ident::{ColumnPath, Ident},
    keys::KeyValue,
};

/// Statements of a transaction.
const TOGETHER: u64 = 1000;

/// The form of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Comma-separated values with a line of names (RFC 4180).
    Csv,
    /// UPDATE statements that put the values back.
    Sql,
}

/// Where values are written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The file.
    pub path: Utf8PathBuf,
    /// How.
    pub form: Form,
}

/// Why nothing was exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The name does not say in which form.
    #[error("an export is a file `.csv` or `.sql`, and {path} is neither")]
    Form {
        /// The file.
        path: Utf8PathBuf,
    },
    /// There is such a file.
    #[error("{path} exists already")]
    Exists {
        /// The file.
        path: Utf8PathBuf,
    },
    /// It could not be written.
    #[error(transparent)]
    Files(#[from] FilesError),
}

impl Target {
    /// Takes a file whose name says the form, and which must not be there.
    pub fn new(path: Utf8PathBuf) -> Result<Self, ExportError> {
        let form = match path.extension().map(str::to_ascii_lowercase).as_deref() {
            Some("csv") => Form::Csv,
            Some("sql") => Form::Sql,
            Some(_) | None => return Err(ExportError::Form { path }),
        };
        if path.exists() {
            return Err(ExportError::Exists { path });
        }
        Ok(Self { path, form })
    }

    fn dir(&self) -> &Utf8Path {
        match self.path.parent() {
            Some(dir) if !dir.as_str().is_empty() => dir,
            Some(_) | None => Utf8Path::new("."),
        }
    }

    fn failed(&self) -> impl FnOnce(io::Error) -> ExportError {
        let path = self.path.clone();
        move |source| FilesError::Io { action: "write", path, source }.into()
    }
}

/// A file that is being written; without [`Export::finish`] nothing of it stays.
#[derive(Debug)]
pub(super) struct Export<'a> {
    target: &'a Target,
    file: BufWriter<NamedTempFile>,
    rows: u64,
}

impl<'a> Export<'a> {
    /// Begins a file.
    pub(super) fn begin(
        target: &'a Target,
        backend: Backend,
        column: &ColumnPath,
        key: &[&Ident],
    ) -> Result<Self, ExportError> {
        let file = NamedTempFile::with_prefix_in(".newcol-export-", target.dir())
            .map_err(target.failed())?;
        let mut export = Self { target, file: BufWriter::new(file), rows: 0 };
        match target.form {
            Form::Csv => {
                let names = key.iter().map(|name| name.as_str()).chain([column.column.as_str()]);
                export.write(&csv_line(names))?;
            }
            Form::Sql => {
                let settings = match backend {
                    Backend::Postgres => "SET TIME ZONE 'UTC';\nSET intervalstyle = 'postgres';\n",
                    Backend::Mysql => "SET time_zone = '+00:00';\n",
                    Backend::Sqlite => "",
                };
                export.write(&format!(
                    "-- Puts values of {column} back, once the column is there again.\n{settings}"
                ))?;
            }
        }
        Ok(export)
    }

    /// Returns the form.
    pub(super) fn form(&self) -> Form {
        self.target.form
    }

    /// Adds a row of values.
    pub(super) fn values<'v>(
        &mut self,
        values: impl IntoIterator<Item = &'v KeyValue>,
    ) -> Result<(), ExportError> {
        let texts: Vec<String> = values.into_iter().map(plain).collect();
        self.rows += 1;
        self.write(&csv_line(texts.iter().map(String::as_str)))
    }

    /// Adds a statement.
    pub(super) fn statement(&mut self, sql: &str) -> Result<(), ExportError> {
        if self.rows.is_multiple_of(TOGETHER) {
            let end = if self.rows == 0 { "" } else { "COMMIT;\n" };
            self.write(&format!("{end}BEGIN;\n"))?;
        }
        self.rows += 1;
        self.write(&format!("{sql};\n"))
    }

    /// Brings everything to the disk and gives the file its name; returns its rows.
    pub(super) fn finish(mut self) -> Result<u64, ExportError> {
        if self.target.form == Form::Sql && self.rows > 0 {
            self.write("COMMIT;\n")?;
        }
        let Self { target, file, rows } = self;
        let file = file.into_inner().map_err(|error| target.failed()(error.into_error()))?;
        file.as_file().sync_all().map_err(target.failed())?;
        file.persist_noclobber(&target.path).map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => ExportError::Exists { path: target.path.clone() },
            _ => target.failed()(error.error),
        })?;
        // Else the name may be gone after a power failure, and with it the values. Windows opens no
        // directories.
        if cfg!(unix) {
            let dir = File::open(target.dir()).map_err(target.failed())?;
            dir.sync_all().map_err(target.failed())?;
        }
        Ok(rows)
    }

    fn write(&mut self, text: &str) -> Result<(), ExportError> {
        self.file.write_all(text.as_bytes()).map_err(self.target.failed())
    }
}

/// Writes a value as other programs read it.
fn plain(value: &KeyValue) -> String {
    match value {
        KeyValue::Number(digits) => digits.clone(),
        KeyValue::Text(text) => text.clone(),
        KeyValue::Bytes(hex) => format!("0x{hex}"),
    }
}

/// An empty text is quoted: most programs read nothing at all as NULL.
fn csv_line<'a>(fields: impl Iterator<Item = &'a str>) -> String {
    let quoted = |field: &str| {
        if field.is_empty() || field.contains([',', '"', '\r', '\n']) {
            format!("\"{}\"", field.replace('"', "\"\""))
        } else {
            field.to_owned()
        }
    };
    fields.map(quoted).collect::<Vec<_>>().join(",") + "\r\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_where_they_must_be() {
        let line = csv_line(["a", "", "b,c", "say \"x\"", "two\nlines", " d"].into_iter());
        assert_eq!(line, "a,\"\",\"b,c\",\"say \"\"x\"\"\",\"two\nlines\", d\r\n");
    }

    #[test]
    fn what_is_there_stays_and_what_is_begun_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(dir.path()).unwrap();
        let target = Target::new(dir.join("a.sql")).unwrap();
        let column = "users.locale".parse().unwrap();
        let begin = || Export::begin(&target, Backend::Sqlite, &column, &[]).unwrap();
        drop(begin());
        assert_eq!(dir.read_dir_utf8().unwrap().count(), 0);

        let mut first = begin();
        first.statement("UPDATE one").unwrap();
        let second = begin();
        assert_eq!(first.finish().unwrap(), 1);
        assert!(matches!(second.finish(), Err(ExportError::Exists { .. })));
        let text = std::fs::read_to_string(&target.path).unwrap();
        assert!(text.ends_with("BEGIN;\nUPDATE one;\nCOMMIT;\n"), "{text}");
        assert!(matches!(Target::new(target.path), Err(ExportError::Exists { .. })));
        assert!(matches!(Target::new("a.txt".into()), Err(ExportError::Form { .. })));
        assert_eq!(dir.read_dir_utf8().unwrap().count(), 1);
    }
}
