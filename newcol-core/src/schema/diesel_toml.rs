//! Reads `diesel.toml` as diesel_cli 2.3 does: every key, and no other.
//!
//! Keeps paths as written (they are relative to the file); resolving them is the caller's.

use std::{collections::BTreeMap, ops::Range};

use camino::Utf8PathBuf;
use regex::Regex;
use toml_edit::{Document, Item, TableLike};

use super::error::Place;
use crate::ident::TableName;

/// The content of a `diesel.toml`; the default is that of a project without one.
#[derive(Debug, Clone)]
pub struct DieselConfig {
    /// `[print_schema]` under the key `default`, which is always there, and each
    /// `[print_schema.<key>]`.
    pub print_schema: BTreeMap<String, PrintSchemaConfig>,
    /// `dir` of `[migrations_directory]`.
    pub migrations_directory: Option<Utf8PathBuf>,
}

/// One `[print_schema]` table: what `diesel print-schema` prints, and how.
#[derive(Debug, Clone, Default)]
pub struct PrintSchemaConfig {
    /// The `schema.rs` that is written after migrations.
    pub file: Option<Utf8PathBuf>,
    /// Which doc comments are printed.
    pub with_docs: Docs,
    /// Which tables are grouped in `allow_tables_to_appear_in_same_query!`.
    pub allow_tables_to_appear_in_same_query_config: Together,
    /// Which tables are printed.
    pub filter: Filter,
    /// The order of columns.
    pub column_sorting: ColumnSorting,
    /// The schema that is printed instead of the default one.
    pub schema: Option<String>,
    /// The patch applied to the output.
    pub patch_file: Option<Utf8PathBuf>,
    /// `use` lines of every table.
    pub import_types: Option<Vec<String>>,
    /// Whether unknown types get a struct; yes where it is not said.
    pub generate_missing_sql_type_definitions: Option<bool>,
    /// Rust names of types that get no struct.
    pub except_custom_type_definitions: Vec<Regex>,
    /// Derives of those structs.
    pub custom_type_derives: Option<Vec<String>>,
    /// Whether a SQLite rowid is printed as `BigInt`.
    pub sqlite_integer_primary_key_is_bigint: Option<bool>,
    /// PostgreSQL domains that are printed under their own name.
    pub pg_domains_as_custom_types: Vec<Regex>,
}

/// Which doc comments print-schema writes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Docs {
    /// The database's comments, and a generated text where there is none.
    Fallback,
    /// The database's comments.
    OnlyDatabase,
    /// None.
    #[default]
    None,
}

/// The order in which print-schema writes columns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ColumnSorting {
    /// As in the database.
    #[default]
    OrdinalPosition,
    /// By name.
    Name,
}

/// How print-schema groups tables in `allow_tables_to_appear_in_same_query!`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Together {
    /// All in one.
    #[default]
    AllTables,
    /// Those connected by foreign keys.
    FkRelatedTables,
    /// Not at all.
    None,
}

/// Which tables print-schema writes; the patterns match anywhere in the name.
#[derive(Debug, Clone, Default)]
pub enum Filter {
    /// Every table.
    #[default]
    All,
    /// Those that match.
    Only(Vec<Regex>),
    /// Those that do not match.
    Except(Vec<Regex>),
}

/// Why a `diesel.toml` could not be read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DieselTomlError {
    /// The text is not TOML.
    #[error("{message} at {at}")]
    Syntax {
        /// Place of the error.
        at: Place,
        /// What the TOML parser says.
        message: String,
    },
    /// Diesel refuses the file for a key that it does not know.
    #[error("unknown key `{key}` at {at}")]
    UnknownKey {
        /// The key, with its table.
        key: String,
        /// Place of the key.
        at: Place,
    },
    /// A value is not of the kind the key takes.
    #[error("`{key}` takes {expected} at {at}")]
    Value {
        /// The key, with its table.
        key: String,
        /// What the key takes.
        expected: &'static str,
        /// Place of the value.
        at: Place,
    },
    /// A pattern is not a regular expression.
    #[error("pattern in `{key}` is not a regular expression at {at}")]
    Pattern {
        /// The key, with its table.
        key: String,
        /// Place of the pattern.
        at: Place,
        /// What is wrong with the pattern.
        source: regex::Error,
    },
}

impl Default for DieselConfig {
    fn default() -> Self {
        let default = ("default".to_owned(), PrintSchemaConfig::default());
        Self { print_schema: BTreeMap::from([default]), migrations_directory: None }
    }
}

impl DieselTomlError {
    /// Returns the place in the text.
    pub fn place(&self) -> &Place {
        match self {
            Self::Syntax { at, .. }
            | Self::UnknownKey { at, .. }
            | Self::Value { at, .. }
            | Self::Pattern { at, .. } => at,
        }
    }
}

impl DieselConfig {
    /// Reads the text of a `diesel.toml`.
    pub fn parse(text: &str) -> Result<Self, DieselTomlError> {
        let document = Document::parse(text).map_err(|error| DieselTomlError::Syntax {
            at: Place::new(text, error.span().unwrap_or(0..0)),
            message: error.message().lines().collect::<Vec<_>>().join(", "),
        })?;
        let mut reader = Reader { text, spans: &document };
        let mut config = Self::default();
        for (key, item) in document.as_table() {
            match key {
                "print_schema" => {
                    let table = reader.table(key, item)?;
                    config.print_schema = reader.print_schemas(table)?;
                }
                "migrations_directory" => {
                    let table = reader.table(key, item)?;
                    let mut dir = None;
                    for (key, item) in table.iter() {
                        match key {
                            "dir" => dir = Some(reader.string("migrations_directory.dir", item)?),
                            _ => return Err(reader.unknown(table, "migrations_directory.", key)),
                        }
                    }
                    let dir = dir.ok_or_else(|| {
                        reader.value("migrations_directory", "a table with the key `dir`", item)
                    })?;
                    config.migrations_directory = Some(dir.into());
                }
                _ => return Err(reader.unknown(document.as_table(), "", key)),
            }
        }
        Ok(config)
    }

    /// Returns the tables of print-schema whose output holds `table`, by key; more than one when
    /// their filters overlap. `default_schema` is what the connection uses where none is named.
    pub fn printing<'a>(
        &'a self,
        table: &'a TableName,
        default_schema: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a str, &'a PrintSchemaConfig)> + 'a {
        self.print_schema
            .iter()
            .filter(move |(_, config)| config.prints(table, default_schema))
            .map(|(key, config)| (key.as_str(), config))
    }
}

impl PrintSchemaConfig {
    /// Reports whether the output holds `table`.
    pub fn prints(&self, table: &TableName, default_schema: Option<&str>) -> bool {
        let of_table = table.schema.as_ref().map(|s| s.as_str()).or(default_schema);
        of_table == self.schema.as_deref().or(default_schema)
            && self.filter.keeps(table.name.as_str())
    }

    /// Reports whether a type that Diesel does not provide gets a struct of its own.
    pub fn defines(&self, rust_name: &str) -> bool {
        self.generate_missing_sql_type_definitions.unwrap_or(true)
            && !self.except_custom_type_definitions.iter().any(|rx| rx.is_match(rust_name))
    }

    /// Returns the derives of such a struct.
    pub fn derives(&self) -> Vec<&str> {
        const SQL_TYPE: &str = "diesel::sql_types::SqlType";
        let mut derives: Vec<&str> =
            self.custom_type_derives.iter().flatten().map(String::as_str).collect();
        if !derives.contains(&SQL_TYPE) {
            derives.push(SQL_TYPE);
        }
        derives
    }
}

impl Filter {
    /// Reports whether a table of this name is printed.
    pub fn keeps(&self, table: &str) -> bool {
        let matches = |patterns: &[Regex]| patterns.iter().any(|rx| rx.is_match(table));
        match self {
            Self::All => true,
            Self::Only(patterns) => matches(patterns),
            Self::Except(patterns) => !matches(patterns),
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    spans: &'a Document<&'a str>,
}

impl<'a> Reader<'a> {
    fn place(&self, span: Option<Range<usize>>) -> Place {
        let span = span.or_else(|| self.spans.as_table().span()).unwrap_or(0..0);
        Place::new(self.text, span)
    }

    fn unknown(&self, table: &dyn TableLike, path: &str, key: &str) -> DieselTomlError {
        let span = table.get_key_value(key).and_then(|(key, _)| key.span());
        DieselTomlError::UnknownKey { key: format!("{path}{key}"), at: self.place(span) }
    }

    fn value(&self, key: &str, expected: &'static str, item: &Item) -> DieselTomlError {
        DieselTomlError::Value { key: key.to_owned(), expected, at: self.place(item.span()) }
    }

    fn table(&self, key: &str, item: &'a Item) -> Result<&'a dyn TableLike, DieselTomlError> {
        item.as_table_like().ok_or_else(|| self.value(key, "a table", item))
    }

    fn string(&self, key: &str, item: &Item) -> Result<String, DieselTomlError> {
        item.as_str().map(str::to_owned).ok_or_else(|| self.value(key, "a string", item))
    }

    fn flag(&self, key: &str, item: &Item) -> Result<bool, DieselTomlError> {
        item.as_bool().ok_or_else(|| self.value(key, "`true` or `false`", item))
    }

    fn strings(&self, key: &str, item: &Item) -> Result<Vec<String>, DieselTomlError> {
        let wrong = || self.value(key, "a list of strings", item);
        let list = item.as_array().ok_or_else(wrong)?;
        list.iter().map(|v| v.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
    }

    fn patterns(&self, key: &str, item: &Item) -> Result<Vec<Regex>, DieselTomlError> {
        let wrong = || self.value(key, "a list of regular expressions", item);
        let list = item.as_array().ok_or_else(wrong)?;
        list.iter()
            .map(|value| {
                Regex::new(value.as_str().ok_or_else(wrong)?).map_err(|source| {
                    DieselTomlError::Pattern {
                        key: key.to_owned(),
                        at: self.place(value.span()),
                        source,
                    }
                })
            })
            .collect()
    }

    /// Reads `[print_schema]`: its own keys are the table `default`, every other key is a table.
    fn print_schemas(
        &mut self,
        table: &'a dyn TableLike,
    ) -> Result<BTreeMap<String, PrintSchemaConfig>, DieselTomlError> {
        let mut default = PrintSchemaConfig::default();
        let mut others = BTreeMap::new();
        for (key, item) in table.iter() {
            let path = format!("print_schema.{key}");
            if self.set(&mut default, &path, key, item)? {
                continue;
            }
            let Some(inner) = item.as_table_like() else {
                return Err(self.unknown(table, "print_schema.", key));
            };
            let mut config = PrintSchemaConfig::default();
            for (name, item) in inner.iter() {
                if !self.set(&mut config, &format!("{path}.{name}"), name, item)? {
                    return Err(self.unknown(inner, &format!("{path}."), name));
                }
            }
            others.insert(key.to_owned(), config);
        }
        others.entry("default".to_owned()).or_insert(default);
        Ok(others)
    }

    /// Sets one key; `false` if print-schema does not know it.
    fn set(
        &self,
        config: &mut PrintSchemaConfig,
        path: &str,
        key: &str,
        item: &'a Item,
    ) -> Result<bool, DieselTomlError> {
        match key {
            "file" => config.file = Some(self.string(path, item)?.into()),
            "with_docs" => config.with_docs = self.docs(path, item)?,
            "allow_tables_to_appear_in_same_query_config" => {
                config.allow_tables_to_appear_in_same_query_config = match item.as_str() {
                    Some("all_tables") => Together::AllTables,
                    Some("fk_related_tables") => Together::FkRelatedTables,
                    Some("none") => Together::None,
                    _ => {
                        let expected = "\"all_tables\", \"fk_related_tables\" or \"none\"";
                        return Err(self.value(path, expected, item));
                    }
                }
            }
            "filter" => config.filter = self.filter(path, item)?,
            "column_sorting" => {
                config.column_sorting = match item.as_str() {
                    Some("ordinal_position") => ColumnSorting::OrdinalPosition,
                    Some("name") => ColumnSorting::Name,
                    _ => {
                        return Err(self.value(path, "\"ordinal_position\" or \"name\"", item));
                    }
                }
            }
            "schema" => config.schema = Some(self.string(path, item)?),
            "patch_file" => config.patch_file = Some(self.string(path, item)?.into()),
            "import_types" => config.import_types = Some(self.strings(path, item)?),
            "generate_missing_sql_type_definitions" => {
                config.generate_missing_sql_type_definitions = Some(self.flag(path, item)?);
            }
            "except_custom_type_definitions" => {
                config.except_custom_type_definitions = self.patterns(path, item)?;
            }
            "custom_type_derives" => config.custom_type_derives = Some(self.strings(path, item)?),
            "sqlite_integer_primary_key_is_bigint" => {
                config.sqlite_integer_primary_key_is_bigint = Some(self.flag(path, item)?);
            }
            "pg_domains_as_custom_types" => {
                config.pg_domains_as_custom_types = self.patterns(path, item)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn docs(&self, path: &str, item: &Item) -> Result<Docs, DieselTomlError> {
        match (item.as_bool(), item.as_str()) {
            (Some(true), _)
            | (_, Some("database-comments-fallback-to-auto-generated-doc-comment")) => {
                Ok(Docs::Fallback)
            }
            (_, Some("only-database-comments")) => Ok(Docs::OnlyDatabase),
            (Some(false), _) | (_, Some("no-doc-comments")) => Ok(Docs::None),
            _ => Err(self.value(
                path,
                "a boolean, \"database-comments-fallback-to-auto-generated-doc-comment\", \
                 \"only-database-comments\" or \"no-doc-comments\"",
                item,
            )),
        }
    }

    fn filter(&self, path: &str, item: &'a Item) -> Result<Filter, DieselTomlError> {
        let table = self.table(path, item)?;
        let mut filter = Filter::All;
        for (key, value) in table.iter() {
            let full = format!("{path}.{key}");
            let next = match key {
                "only_tables" => Filter::Only(self.patterns(&full, value)?),
                "except_tables" => Filter::Except(self.patterns(&full, value)?),
                _ => return Err(self.unknown(table, &format!("{path}."), key)),
            };
            if !matches!(filter, Filter::All) {
                return Err(self.value(path, "either `only_tables` or `except_tables`", item));
            }
            filter = next;
        }
        Ok(filter)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_key_is_read() {
        let config = DieselConfig::parse(
            r#"
            [print_schema]
            file = "src/schema.rs"
            with_docs = "only-database-comments"
            allow_tables_to_appear_in_same_query_config = "fk_related_tables"
            filter = { except_tables = ["^spatial_"] }
            column_sorting = "name"
            patch_file = "src/schema.patch"
            import_types = ["diesel::sql_types::*", "crate::types::*"]
            generate_missing_sql_type_definitions = true
            except_custom_type_definitions = ["^Vector$"]
            custom_type_derives = ["diesel::query_builder::QueryId", "Clone"]
            sqlite_integer_primary_key_is_bigint = true
            pg_domains_as_custom_types = ["^email$"]

            [print_schema.audit]
            schema = "audit"
            with_docs = true
            filter = { only_tables = ["^log$"] }

            [migrations_directory]
            dir = "migrations/postgres"
            "#,
        )
        .unwrap();
        let main = &config.print_schema["default"];
        assert_eq!(main.with_docs, Docs::OnlyDatabase);
        assert_eq!(main.column_sorting, ColumnSorting::Name);
        assert!(!main.defines("Vector") && main.defines("Mood"));
        assert_eq!(
            main.derives(),
            ["diesel::query_builder::QueryId", "Clone", "diesel::sql_types::SqlType"]
        );
        assert_eq!(config.print_schema["audit"].with_docs, Docs::Fallback);
        assert_eq!(config.migrations_directory.as_deref().unwrap(), "migrations/postgres");
        let printing = |table: &str| -> Vec<String> {
            let table = table.parse().unwrap();
            config.printing(&table, Some("public")).map(|(key, _)| key.to_owned()).collect()
        };
        assert_eq!(printing("users"), ["default"]);
        assert_eq!(printing("public.users"), ["default"]);
        assert_eq!(printing("spatial_ref_sys"), [""; 0]);
        assert_eq!(printing("audit.log"), ["audit"]);
        assert_eq!(printing("audit.other"), [""; 0]);
    }

    #[test]
    fn complaints_name_their_place() {
        for (text, complaint) in [
            ("[print_schema]\nfoo = 1\n", "unknown key `print_schema.foo` at 2:1"),
            ("[print_schema.a]\nfoo = 1\n", "unknown key `print_schema.a.foo` at 2:1"),
            ("\n[other]\n", "unknown key `other` at 2:2"),
            (
                "[print_schema]\nwith_docs = 3\n",
                "`print_schema.with_docs` takes a boolean, \"database-comments-fallback-to-auto-generated-doc-comment\", \"only-database-comments\" or \"no-doc-comments\" at 2:13",
            ),
            (
                "[print_schema]\nfilter = { only_tables = [\"(\"] }\n",
                "pattern in `print_schema.filter.only_tables` is not a regular expression at 2:27",
            ),
            (
                "[print_schema]\nfilter = { only_tables = [], except_tables = [] }\n",
                "`print_schema.filter` takes either `only_tables` or `except_tables` at 2:10",
            ),
            (
                "[migrations_directory]\n",
                "`migrations_directory` takes a table with the key `dir` at 1:1",
            ),
        ] {
            assert_eq!(DieselConfig::parse(text).unwrap_err().to_string(), complaint);
        }
        assert!(DieselConfig::parse("").unwrap().print_schema.contains_key("default"));
        let error = DieselConfig::parse("[print_schema\n").unwrap_err();
        assert!(matches!(error, DieselTomlError::Syntax { .. }), "{error}");
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in "\\PC*|([\\[\\]a-z_.= \"\n1{}]|print_schema|filter)*") {
            drop(DieselConfig::parse(&text));
        }
    }
}
