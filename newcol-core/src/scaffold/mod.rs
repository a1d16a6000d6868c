//! The test of a new column that `add` writes into the project: its text, and the dev-dependency
//! it needs.
//!
//! The test runs old and new code side by side at every stage. Where the table is simple enough,
//! that code is Diesel's, with a struct for either release (`diesel_code` decides); elsewhere the
//! test kit makes it up from the database, and the text shows where the application's own belongs.
//! Pure: texts in, texts out.

mod diesel_code;
mod history;
pub mod manifest;
mod text;
mod values;

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8PathBuf;

pub use self::{diesel_code::Unfit, values::ScaffoldError};
use crate::{
    backend::Backend,
    contract::{Contract, OldRows},
    schema::{Table, types::DerivedType},
};

/// What is to be tested. Paths are below the directory of the package that the test belongs to.
#[derive(Debug, Clone)]
pub struct Subject<'a> {
    /// The contract.
    pub contract: &'a Contract,
    /// Its file.
    pub contract_file: Utf8PathBuf,
    /// The project's engines with their migrations.
    pub engines: Vec<EngineMigrations>,
    /// The table before the column; `None` where several `schema.rs` declare it.
    pub table: Option<SchemaTable<'a>>,
    /// The package.
    pub package: Package,
}

/// The migrations of one engine.
#[derive(Debug, Clone)]
pub struct EngineMigrations {
    /// The engine.
    pub backend: Backend,
    /// Their directory.
    pub dir: Utf8PathBuf,
    /// Every `up.sql` that comes before the column.
    pub history: Vec<String>,
}

/// The table as `schema.rs` declares it, without the column.
#[derive(Debug, Clone)]
pub struct SchemaTable<'a> {
    /// Text of `schema.rs`.
    pub text: &'a str,
    /// The `table!`.
    pub table: &'a Table,
    /// Columns that have a `joinable!`, or whose values are generated, by their Rust names.
    pub bound: BTreeSet<String>,
    /// Diesel type of the new column.
    pub column: DerivedType,
    /// How a test comes by it.
    pub access: SchemaAccess,
}

/// How a test comes by `schema.rs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemaAccess {
    /// It is a public module of the package's library: `app::schema`.
    Import(String),
    /// It is read as a module of the test, from the directory `tests`: `../src/schema.rs`.
    File(Utf8PathBuf),
}

/// The package that the test belongs to.
#[derive(Debug, Clone, Default)]
pub struct Package {
    /// Crates that its tests can name, with the features it asks of them.
    pub dependencies: BTreeMap<String, BTreeSet<String>>,
}

impl Package {
    fn has(&self, name: &str) -> bool {
        self.dependencies.contains_key(name)
    }

    fn has_feature(&self, name: &str, feature: &str) -> bool {
        self.dependencies.get(name).is_some_and(|features| features.contains(feature))
    }
}

/// A test, and what it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scaffold {
    /// The file.
    pub text: String,
    /// Features of the test kit.
    pub features: Vec<&'static str>,
    /// Why there is no Diesel code in it, if there is none.
    pub made_up: Option<Unfit>,
}

/// Writes the test of a column.
///
/// # Errors
///
/// When old rows are computed by application code and no value can stand for it.
pub fn scaffold(subject: &Subject<'_>) -> Result<Scaffold, ScaffoldError> {
    let backfill = match &subject.contract.answers().old_rows {
        OldRows::Rust(path) => Some((path.as_str(), values::stand_in(subject)?)),
        OldRows::Sql(_) | OldRows::Unfilled => None,
    };
    let mut features: Vec<&'static str> =
        subject.engines.iter().map(|engine| engine.backend.name()).collect();
    let code = diesel_code::of(subject);
    if code.as_ref().is_ok_and(|code| code.connection.is_async()) {
        features.push("async");
    }
    Ok(Scaffold {
        text: text::write(subject, code.as_ref().ok(), backfill.as_ref()),
        features,
        made_up: code.err(),
    })
}

/// Returns the name of a column's test, without `.rs`.
pub fn test_name(contract: &Contract) -> String {
    let (table, column) = (contract.table(), contract.column());
    let name = format!("newcol_{}_{column}", table.dotted());
    // What Cargo takes for the name of a target, and every file system for that of a file.
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

/// Reports whether the text of a crate's root has a public module in a file of the usual name.
pub fn declares_public(root: &str, module: &str) -> bool {
    let Ok(file) = syn::parse_file(root) else { return false };
    file.items.iter().any(|item| match item {
        syn::Item::Mod(item) => {
            let is_plain = item.content.is_none()
                && item
                    .attrs
                    .iter()
                    .all(|a| a.path().is_ident("doc") || a.path().is_ident("allow"));
            item.ident == module && matches!(item.vis, syn::Visibility::Public(_)) && is_plain
        }
        _ => false,
    })
}
