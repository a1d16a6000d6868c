//! `// newcol:until(users.locale, contract)`: code that only bridges the life of a column.
//!
//! A comment costs the program nothing and needs no crate. It stands at what has to go once a stage is
//! applied everywhere: a fallback for NULL, a second write, a query of the replaced column.

use camino::Utf8PathBuf;

use super::{comment, report::Remark, sources::SourceFile};
use crate::{ident::ColumnPath, plan::StageKind, schema::Place};

const WORD: &str = "newcol:until";

/// A place that has to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    /// The file, below the project's root.
    pub path: Utf8PathBuf,
    /// In the file.
    pub at: Place,
    /// The column that it bridges.
    pub column: ColumnPath,
    /// The stage after which it has to go.
    pub stage: StageKind,
    /// What else the comment says; often nothing.
    pub note: String,
}

/// Finds the markers of all columns, in the order of the files, and what is wrong with some.
pub fn markers(files: &[SourceFile]) -> (Vec<Marker>, Vec<Remark>) {
    let (mut markers, mut remarks) = (Vec::new(), Vec::new());
    for file in files.iter().filter(|file| file.text.contains(WORD)) {
        let mut offset = 0;
        for line in file.text.split('\n') {
            if let Some(word) = comment::find(line, WORD) {
                let at = Place::new(&file.text, offset + word..offset + line.trim_end().len());
                let path = file.path.clone();
                match read(&line[word + WORD.len()..]) {
                    Ok((column, stage, note)) => {
                        markers.push(Marker { path, at, column, stage, note });
                    }
                    Err(message) => remarks.push(Remark {
                        path,
                        at,
                        message,
                        help: "write `newcol:until(users.locale, contract)`: the column, and the \
                               stage after which this goes"
                            .to_owned(),
                    }),
                }
            }
            offset += line.len() + 1;
        }
    }
    (markers, remarks)
}

/// Reads what stands behind the word.
fn read(text: &str) -> Result<(ColumnPath, StageKind, String), String> {
    let inner = text.strip_prefix('(').and_then(|rest| rest.split_once(')'));
    let parts = inner.and_then(|(list, rest)| Some((list.rsplit_once(',')?, rest)));
    let Some(((column, stage), rest)) = parts else {
        return Err("the comment does not name a column and a stage in brackets".to_owned());
    };
    let (column, stage) = (column.trim(), stage.trim());
    let path = column.parse().map_err(|error| format!("`{column}` is no column: {error}"))?;
    let known = StageKind::ALL.into_iter().find(|kind| kind.name() == stage);
    let kind = known.ok_or_else(|| {
        let names = StageKind::ALL.map(StageKind::name).join(", ");
        format!("there is no stage `{stage}`; there are {names}")
    })?;
    let note = rest.trim().trim_end_matches("*/").trim().trim_start_matches(':').trim();
    Ok((path, kind, note.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Vec<String> {
        let file = SourceFile { path: "a.rs".into(), text: text.to_owned() };
        let (markers, remarks) = markers(std::slice::from_ref(&file));
        let markers = markers
            .iter()
            .map(|m| format!("{} {} until {}: {}", m.at, m.column, m.stage.name(), m.note));
        markers
            .chain(remarks.iter().map(|remark| format!("{} {}", remark.at, remark.message)))
            .collect()
    }

    #[test]
    fn markers_are_read_wherever_comments_are() {
        assert_eq!(
            said("a(); // newcol:until(users.locale, contract): old rows\nb();\n"),
            ["1:9 users.locale until contract: old rows"]
        );
        assert_eq!(
            said("SELECT 1; -- newcol:until( app.users.\"a.b\" ,constrain)\r\n"),
            ["1:14 app.users.\"a.b\" until constrain: "]
        );
        assert_eq!(said("/* newcol:until(t.c, index) */"), ["1:4 t.c until index: "]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let brackets = "1:4 the comment does not name a column and a stage in brackets";
        for text in ["// newcol:until", "// newcol:until(t.c)", "// newcol:until t.c, index"] {
            assert_eq!(said(text), [brackets]);
        }
        assert_eq!(
            said("// newcol:until(t.c, done)"),
            [
                "1:4 there is no stage `done`; there are expand, backfill, index, constrain, contract"
            ]
        );
        assert_eq!(said("// newcol:until(t, index)").len(), 1);
    }

    #[test]
    fn words_outside_of_a_comment_are_nothing() {
        assert_eq!(said("let a = \"newcol:until(t.c, index)\";"), [""; 0]);
        assert_eq!(said("// write newcol:until(t.c, index)"), [""; 0]);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(parts in proptest::collection::vec(
            proptest::sample::select(vec![
                "// ", "newcol:until", "(", ")", "t.c", "\"", ",", "index", ":", " ", "é", "\n", "\r\n", "*/",
            ]),
            0..40,
        )) {
            for line in said(&parts.concat()) {
                proptest::prop_assert!(!line.is_empty());
            }
        }
    }
}
