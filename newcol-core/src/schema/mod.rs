//! Reads and edits Diesel's `schema.rs`, `diesel.toml` and patch file, as text.
//!
//! An edit splices at byte ranges and leaves every other byte alone; in a generated file the
//! result is what `diesel print-schema` 2.3 prints after the same change of the database. Pure:
//! texts in, texts out. Does not know the database: what diesel would read there (a comment, the
//! type's name, the foreign key) comes with the edit.
//!
//! ```
//! use newcol_core::{
//!     backend::Product,
//!     ident::Ident,
//!     schema::{SchemaEdit, apply, diesel_toml::PrintSchemaConfig},
//! };
//!
//! let before = "diesel::table! {\n    users (id) {\n        id -> Int8,\n        locale -> Nullable<Text>,\n    }\n}\n";
//! let required = SchemaEdit::SetNotNull { table: "users".parse()?, column: Ident::new("locale")? };
//! let after = apply(before, Product::Postgres, &PrintSchemaConfig::default(), &[required])?;
//! assert_eq!(after, before.replace("Nullable<Text>", "Text"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod columns;
pub mod diesel_toml;
mod edit;
mod error;
mod joins;
mod layout;
mod model;
pub mod names;
mod parse;
pub mod patch_file;
mod print;
mod stubs;
pub mod types;

pub use edit::{NewColumn, Position, SchemaEdit, apply, apply_read};
pub use error::{Place, SchemaError};
pub use model::{Attr, Column, Joinable, SchemaFile, Stub, StubModule, Table, Together, Use};
#[cfg(test)]
mod tests;
