//! Adds a dev-dependency to a `Cargo.toml`, and leaves every other byte alone.

use toml_edit::{Document, Item, Table};

use crate::schema::Place;

/// A crate that a package's tests need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DevDependency<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its version.
    pub version: &'a str,
    /// Its features; those of `default` are named or not wanted.
    pub features: &'a [&'a str],
}

/// Why a manifest was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It cannot be read.
    #[error("{message} at {at}")]
    Syntax {
        /// What is wrong with it.
        message: String,
        /// Where.
        at: Place,
    },
    /// A key that holds dependencies holds something else.
    #[error("`{key}` is not a table")]
    NotATable {
        /// The key.
        key: &'static str,
    },
}

const DEV: &str = "dev-dependencies";

/// Returns the manifest of a package with the dependency; as it was if it depends on the crate
/// already. `workspace` is the manifest of its workspace, whose version of the crate goes first.
///
/// # Errors
///
/// When a manifest cannot be read.
pub fn with_dev_dependency(
    manifest: &str,
    workspace: Option<&str>,
    wanted: &DevDependency<'_>,
) -> Result<String, ManifestError> {
    let document = parse(manifest)?;
    if [DEV, "dependencies"].iter().any(|key| holds(document.get(key), wanted.name)) {
        return Ok(manifest.to_owned());
    }
    let inherited = inherits(&document, wanted.name)
        || workspace.map(parse).transpose()?.is_some_and(|root| inherits(&root, wanted.name));
    let line_end = if manifest.contains("\r\n") { "\r\n" } else { "\n" };
    let line = format!("{}{line_end}", line(wanted, inherited));
    let (at, text) = match document.get(DEV) {
        Some(item) => {
            let table = item.as_table().ok_or(ManifestError::NotATable { key: DEV })?;
            (place(manifest, table, wanted.name), line)
        }
        None => {
            let table = format!("{line_end}[{DEV}]{line_end}{line}");
            (behind_dependencies(manifest, &document), table)
        }
    };
    let (before, after) = manifest.split_at(at);
    let ended = before.is_empty() || before.ends_with('\n');
    Ok([before, if ended { "" } else { line_end }, &text, after].concat())
}

/// Returns the manifest of a package without a dev-dependency, if that stands on a line of its own as
/// [`with_dev_dependency`] writes it; its table goes too if nothing else is in it.
pub fn without_dev_dependency(manifest: &str, name: &str) -> String {
    let unchanged = || manifest.to_owned();
    let Ok(document) = parse(manifest) else { return unchanged() };
    let Some(table) = document.get(DEV).and_then(Item::as_table) else { return unchanged() };
    let Some(span) = table.get(name).filter(|item| item.is_value()).and_then(Item::span) else {
        return unchanged();
    };
    let start = manifest[..span.start].rfind('\n').map_or(0, |at| at + 1);
    if !manifest[start..span.start].trim_start().starts_with(name) {
        return unchanged();
    }
    let end = next_line(manifest, span.end);
    let header = table.span().map_or(start, |span| span.start);
    let is_alone =
        table.len() == 1 && manifest[header_end(manifest, header) + 1..start].trim().is_empty();
    let start = if is_alone { manifest[..header].trim_end().len() } else { start };
    let (before, after) = (&manifest[..start], &manifest[end..]);
    let gap = match is_alone {
        false => "",
        true if manifest.contains("\r\n") => "\r\n",
        true => "\n",
    };
    [before, gap, after].concat()
}

fn parse(text: &str) -> Result<Document<&str>, ManifestError> {
    Document::parse(text).map_err(|error| ManifestError::Syntax {
        message: error.message().lines().collect::<Vec<_>>().join(", "),
        at: Place::new(text, error.span().unwrap_or(0..0)),
    })
}

fn inherits(document: &Document<&str>, name: &str) -> bool {
    let workspace = document.get("workspace").and_then(Item::as_table_like);
    holds(workspace.and_then(|table| table.get("dependencies")), name)
}

fn holds(table: Option<&Item>, name: &str) -> bool {
    table.and_then(Item::as_table_like).is_some_and(|table| table.contains_key(name))
}

/// Returns the first byte of the line on which the entry belongs: in its place if the entries are
/// sorted, else behind all of them.
fn place(text: &str, table: &Table, name: &str) -> usize {
    let entries: Vec<(&str, usize)> = table
        .iter()
        // What has a header of its own stands elsewhere.
        .filter(|(_, item)| item.as_table().is_none_or(Table::is_dotted))
        .filter_map(|(key, item)| Some((key, last_byte(item)?)))
        .collect();
    let is_sorted = entries.iter().map(|(key, _)| *key).is_sorted();
    let before = entries.iter().rev().find(|(key, _)| !is_sorted || *key < name);
    let header = table.span().map_or(text.len(), |span| span.start);
    let end = before.map_or_else(|| header_end(text, header), |(_, end)| *end);
    next_line(text, end)
}

/// Returns the last byte of a value, also of one that is spread over dotted keys.
fn last_byte(item: &Item) -> Option<usize> {
    let own = item.span().map(|span| span.end);
    let inner = item.as_table().and_then(|t| t.iter().filter_map(|(_, i)| last_byte(i)).max());
    own.max(inner)
}

fn header_end(text: &str, start: usize) -> usize {
    text[start..].find(']').map_or(text.len(), |at| start + at)
}

fn next_line(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |more| at + more + 1)
}

/// A new table stands where one would write it, not behind profiles and lints.
fn behind_dependencies(text: &str, document: &Document<&str>) -> usize {
    let table = document.get("dependencies").and_then(Item::as_table);
    let spread =
        |table: &Table| table.iter().any(|(_, i)| i.as_table().is_some_and(|t| !t.is_dotted()));
    match table {
        Some(table) if !table.is_implicit() && !spread(table) => {
            // No name sorts behind this one.
            place(text, table, "\u{10ffff}")
        }
        Some(_) | None => text.len(),
    }
}

fn line(wanted: &DevDependency<'_>, inherited: bool) -> String {
    let DevDependency { name, version, features } = wanted;
    let of = if inherited {
        "workspace = true".to_owned()
    } else {
        format!("version = \"{version}\", default-features = false")
    };
    format!("{name} = {{ {of}, features = {features:?} }}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: DevDependency<'static> =
        DevDependency { name: "newcol-testkit", version: "0.1.0", features: &["sqlite", "async"] };
    const LINE: &str = "newcol-testkit = { version = \"0.1.0\", default-features = false, \
                        features = [\"sqlite\", \"async\"] }\n";

    /// Adds the dependency at `@`, and nowhere else.
    #[track_caller]
    fn added(marked: &str) {
        let before = marked.replace('@', "");
        let after = with_dev_dependency(&before, None, &WANTED).unwrap();
        assert_eq!(after, marked.replace('@', LINE), "{marked}");
        assert_eq!(with_dev_dependency(&after, None, &WANTED).unwrap(), after);
    }

    #[test]
    fn it_stands_where_one_would_write_it() {
        added("[package]\nname = \"a\"\n\n[dev-dependencies]\n@");
        added(
            "[dev-dependencies] # tests\ninsta = \"1\" # snapshots\n@tempfile = \"3\"\n\n[lints]\n",
        );
        added("[dev-dependencies]\nzebra = \"1\"\ninsta.version = \"1\"\n@# the end\n");
        added("[dev-dependencies]\n@\n[dev-dependencies.zebra]\nversion = \"1\"\n");
        added("[dev-dependencies]\na = { version = \"1\", features = [\n  \"x\",\n] }\n@");
        for (marked, more) in [
            ("[dependencies]\ndiesel = \"2\"\n@\n[profile.dev]\ndebug = 0\n", ""),
            ("[dependencies]\n@", ""),
            ("[package]\nname = \"a\"\n@", ""),
            ("[dependencies.diesel]\nversion = \"2\"\n@", ""),
            ("[dependencies]\ndiesel = \"2\"@", "\n"),
        ] {
            let table = format!("{more}\n[dev-dependencies]\n{LINE}");
            let after = with_dev_dependency(&marked.replace('@', ""), None, &WANTED).unwrap();
            assert_eq!(after, marked.replace('@', &table), "{marked}");
        }
    }

    #[test]
    fn line_ends_stay_as_they_are() {
        let text = "[dev-dependencies]\r\ninsta = \"1\"\r\n";
        let after = with_dev_dependency(text, None, &WANTED).unwrap();
        assert_eq!(after, format!("{text}{}", LINE.replace('\n', "\r\n")));
    }

    #[test]
    fn one_that_is_there_stays_and_one_of_the_workspace_is_inherited() {
        for text in [
            "[dependencies]\nnewcol-testkit = \"0.0.1\"\n",
            "dev-dependencies = { newcol-testkit = \"1\" }\n",
        ] {
            assert_eq!(with_dev_dependency(text, None, &WANTED).unwrap(), text);
        }
        let workspace = "[workspace.dependencies]\nnewcol-testkit = \"0.1\"\n";
        let after = with_dev_dependency("[dev-dependencies]\n", Some(workspace), &WANTED).unwrap();
        assert_eq!(
            after,
            "[dev-dependencies]\nnewcol-testkit = { workspace = true, features = [\"sqlite\", \"async\"] }\n"
        );
    }

    #[test]
    fn what_cannot_be_read_is_left_alone() {
        for (text, complaint) in [
            ("dev-dependencies = 1\n", "`dev-dependencies` is not a table"),
            ("[package\n", "unclosed table, expected `]` at 1:9"),
        ] {
            let error = with_dev_dependency(text, None, &WANTED).unwrap_err();
            assert_eq!(error.to_string(), complaint);
        }
    }
}
