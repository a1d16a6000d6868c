//! Every use of the table and its columns, by a mark that rustc warns about.
//!
//! One `#[deprecated]` on the table reaches all that `table!` makes of it, under whatever name it is
//! imported: the deprecation of a module is that of its items.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use camino::Utf8PathBuf;

use super::{
    Set,
    cargo::{Check, Outcome, PackageTarget, Unit},
    error::ProbeError,
    locate::Locator,
    message::Diagnostic,
    stages::NOT_YET_ERRORS,
};
use crate::{
    audit::SourceFile,
    ident::{Ident, TableName},
    schema::{Place, SchemaError, SchemaFile, Table},
};

/// How our own deprecation is told from the project's.
const NOTE: &str = "newcol-probe";

/// A place that names the table, or something of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// The file, below the project's root.
    pub path: Utf8PathBuf,
    /// The name in it.
    pub at: Place,
    /// What is named.
    pub item: Item,
}

/// What `table!` makes of a table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    /// A column, by its name in Rust.
    Column(String),
    /// The table itself.
    Table,
    /// All of its columns, in their order: `all_columns`, `SqlType` and the like.
    WholeRow,
    /// A module: that of the table, or `dsl` in it.
    Module,
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Column(name) => write!(f, "column `{name}`"),
            Self::Table => f.write_str("the table"),
            Self::WholeRow => f.write_str("whole rows"),
            Self::Module => f.write_str("the table's module"),
        }
    }
}

impl Item {
    /// Reads what rustc calls deprecated, such as ``unit struct `app::schema::users::name` ``.
    fn read(told: &str) -> Option<Self> {
        let told = told.strip_prefix("use of deprecated ")?;
        let (kind, rest) = told.split_once(" `")?;
        let name = rest.split_once('`')?.0.rsplit("::").next()?;
        Some(match (kind, name) {
            ("module", _) => Self::Module,
            (_, "table" | "star") => Self::Table,
            ("constant" | "type alias", _) => Self::WholeRow,
            (_, column) => Self::Column(column.to_owned()),
        })
    }
}

/// What the project is like without any change.
#[derive(Debug, Default)]
pub(super) struct Baseline {
    pub(super) compiled: BTreeSet<Unit>,
    /// What does not compile as it is, or not with its tests, with all that rustc says of it.
    pub(super) broken: BTreeMap<PackageTarget, Vec<String>>,
    /// What Cargo says where rustc says nothing.
    pub(super) complaint: Option<String>,
    /// Places of warnings that a stage could add.
    pub(super) warned: Vec<(Utf8PathBuf, Place)>,
}

/// The uses, and the state of the project before anything else is asked.
pub(super) struct Inventory {
    pub(super) uses: Vec<Use>,
    /// One for each set.
    pub(super) baselines: Vec<Baseline>,
}

impl Inventory {
    /// Compiles the project with its table marked.
    pub(super) fn take(
        check: &Check,
        sets: &[Set],
        originals: &[SourceFile],
        marked: &[SourceFile],
    ) -> Result<Self, ProbeError> {
        for file in marked {
            check.shadow.put(&file.path, &file.text)?;
        }
        let locator = Locator::new(check.shadow, originals, marked);
        let (mut uses, mut baselines) = (Vec::new(), Vec::new());
        for set in sets {
            let outcome = check.run(set, "the project")?;
            let found = outcome.told.iter().filter_map(|(_, told)| read_use(told, &locator));
            uses.extend(found);
            baselines.push(Baseline::of(outcome, &locator));
        }
        let key = |used: &Use| {
            (used.path.clone(), used.at.range.start, used.at.range.end, used.item.clone())
        };
        uses.sort_by_key(key);
        uses.dedup();
        Ok(Self { uses, baselines })
    }
}

fn read_use(told: &Diagnostic, locator: &Locator) -> Option<Use> {
    let item = Item::read(told.message.strip_suffix(NOTE)?)?;
    let (path, at) = locator.primary(told)?;
    Some(Use { path, at, item })
}

impl Baseline {
    fn of(outcome: Outcome, locator: &Locator) -> Self {
        let mut broken: BTreeMap<PackageTarget, Vec<String>> = BTreeMap::new();
        for (target, error) in outcome.errors() {
            broken.entry(target.clone()).or_default().push(locator.quote(error));
        }
        let warnings = outcome
            .told
            .iter()
            .filter(|(_, told)| NOT_YET_ERRORS.iter().any(|(code, _)| told.code() == Some(code)));
        let warned = warnings.filter_map(|(_, told)| locator.primary(told)).collect();
        Self { compiled: outcome.compiled, broken, complaint: outcome.complaint, warned }
    }
}

impl Baseline {
    /// Reports whether a target compiles as it is, if not with its tests.
    pub(super) fn compiles(&self, of: &PackageTarget) -> bool {
        self.compiled.iter().any(|unit| unit.of == *of)
    }

    /// Reports whether rustc says an error without any change, or would not come to say it.
    pub(super) fn explains(&self, of: &PackageTarget, quoted: &String) -> bool {
        self.broken.get(of).is_some_and(|known| !self.compiles(of) || known.contains(quoted))
    }
}

/// Returns the schemas with the table marked, each under its path.
pub(super) fn mark(
    schemas: &[SourceFile],
    table: &TableName,
) -> Result<Vec<SourceFile>, ProbeError> {
    let fails = |path: &Utf8PathBuf| {
        let path = path.clone();
        move |source| ProbeError::Schema { path, source }
    };
    let mut marked = Vec::new();
    let mut missing = None;
    for schema in schemas {
        let file = SchemaFile::parse(&schema.text).map_err(fails(&schema.path))?;
        let places = match file.table(&schema.text, table) {
            Ok(found) => vec![found.header],
            // Alternatives of one `cfg`, or of two schemas: the path of a use tells which is meant.
            Err(SchemaError::TwoTables { .. }) => named(&file, table).map(|t| t.header).collect(),
            Err(error @ SchemaError::TableMissing { .. }) => {
                missing = Some(fails(&schema.path)(error));
                continue;
            }
            Err(error) => return Err(fails(&schema.path)(error)),
        };
        let mut text = schema.text.clone();
        for place in places.into_iter().rev() {
            text.insert_str(place, &format!("#[deprecated(note = \"{NOTE}\")] "));
        }
        marked.push(SourceFile { path: schema.path.clone(), text });
    }
    match missing {
        Some(error) if marked.is_empty() => Err(error),
        Some(_) | None => Ok(marked),
    }
}

fn named<'a>(file: &'a SchemaFile, table: &'a TableName) -> impl Iterator<Item = &'a Table> {
    let wanted = table.schema.as_ref().map(Ident::as_str);
    file.tables.iter().filter(move |found| {
        let schema = found.schema.as_deref();
        found.sql_name == table.name.as_str()
            && (wanted.is_none() || schema.is_none() || wanted == schema)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rustc_names_what_is_deprecated() {
        let read = |text: &str| Item::read(text).unwrap();
        assert_eq!(read("use of deprecated module `app::schema::users`: "), Item::Module);
        assert_eq!(read("use of deprecated unit struct `schema::users::table`: "), Item::Table);
        assert_eq!(
            read("use of deprecated constant `schema::users::all_columns`: "),
            Item::WholeRow
        );
        let column = read("use of deprecated struct `schema::users::r#type`: ");
        assert_eq!(column, Item::Column("r#type".to_owned()));
        assert_eq!(Item::read("unused variable: `x`"), None);
    }

    #[test]
    fn the_mark_stands_before_documents_and_behind_imports() {
        let text = "diesel::table! {\n    use diesel::sql_types::*;\n\n    /// People.\n    \
                    users (id) {\n        id -> Integer,\n    }\n}\n";
        let schema = SourceFile { path: "src/schema.rs".into(), text: text.to_owned() };
        let table = TableName { schema: None, name: Ident::new("users").unwrap() };
        let marked = mark(&[schema], &table).unwrap();
        let with = "#[deprecated(note = \"newcol-probe\")] /// People.";
        assert_eq!(marked[0].text, text.replace("/// People.", with));
    }
}
