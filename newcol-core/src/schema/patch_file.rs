//! Keeps the `patch_file` of print-schema applicable when `schema.rs` changes.
//!
//! diesel_cli applies the patch with the crate `diffy`: a hunk may have moved, but its context
//! must match exactly. So a patch goes stale when a line is added next to one that it changes.

use super::{
    diesel_toml::PrintSchemaConfig,
    edit::{SchemaEdit, apply},
    error::SchemaError,
};
use crate::backend::Product;

/// A `schema.rs` and the patch that makes it from print-schema's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patched {
    /// The patched text, as it stands in `schema.rs`.
    pub schema: String,
    /// The text of the patch.
    pub patch: String,
}

/// Why a patched `schema.rs` could not be edited.
#[derive(Debug, thiserror::Error)]
pub enum PatchError {
    /// The patch is not a unified diff.
    #[error("patch file is not a unified diff")]
    Unreadable {
        /// What is wrong with it.
        source: diffy::ParsePatchError,
    },
    /// The patch does not lead to this `schema.rs`, so its unpatched text is unknown.
    #[error("patch file does not match the schema it should have made")]
    Drifted {
        /// Which hunk does not match.
        source: diffy::ApplyError,
    },
    /// The patched or unpatched text could not be edited.
    #[error("{state} schema could not be edited")]
    Edit {
        /// Which text.
        state: &'static str,
        /// Why not.
        source: Box<SchemaError>,
    },
    /// Without its patch the text still would not be what print-schema has to print.
    #[error("no patch leads from the unpatched schema to the edited one")]
    Unpatchable,
}

/// Edits a patched `schema.rs`, and the patch only if it would no longer lead there.
pub fn apply_patched(
    old: &Patched,
    product: Product,
    config: &PrintSchemaConfig,
    edits: &[SchemaEdit],
) -> Result<Patched, PatchError> {
    let unpatched = unpatched(old)?;
    let edit = |text: &str, state| {
        apply(text, product, config, edits)
            .map_err(|source| PatchError::Edit { state, source: source.into() })
    };
    let schema = edit(&old.schema, "patched")?;
    let printed = edit(&unpatched, "unpatched")?;
    let leads = |patch: &str| {
        diffy::Patch::from_str(patch)
            .ok()
            .and_then(|patch| diffy::apply(&printed, &patch).ok())
            .is_some_and(|text| text == schema)
    };
    if leads(&old.patch) {
        return Ok(Patched { schema, patch: old.patch.clone() });
    }
    let patch = rewritten(&old.patch, &printed, &schema);
    if !leads(&patch) {
        return Err(PatchError::Unpatchable);
    }
    Ok(Patched { schema, patch })
}

/// Returns print-schema's output before the patch.
pub fn unpatched(old: &Patched) -> Result<String, PatchError> {
    let patch =
        diffy::Patch::from_str(&old.patch).map_err(|source| PatchError::Unreadable { source })?;
    diffy::apply(&old.schema, &patch.reverse()).map_err(|source| PatchError::Drifted { source })
}

/// Makes the patch anew under the header of the old one, so that its lines of prose and file
/// names stay.
fn rewritten(old: &str, printed: &str, schema: &str) -> String {
    let header = match old.find("\n@@ ") {
        Some(at) => &old[..=at],
        None => "",
    };
    let new = diffy::create_patch(printed, schema).to_string();
    let hunks = match new.find("\n@@ ") {
        Some(at) if !header.is_empty() => &new[at + 1..],
        _ => new.as_str(),
    };
    format!("{header}{hunks}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{NewColumn, Position};

    const PRINTED: &str = "\
// @generated automatically by Diesel CLI.

diesel::table! {
    posts (id) {
        id -> Integer,
        body -> Text,
    }
}

diesel::table! {
    users (id) {
        id -> Integer,
        created -> Timestamp,
        name -> Text,
    }
}

diesel::allow_tables_to_appear_in_same_query!(posts, users,);
";

    fn patched(by: impl Fn(&str) -> String) -> Patched {
        let schema = by(PRINTED);
        let patch = diffy::create_patch(PRINTED, &schema).to_string();
        let patch =
            patch.replace("--- original\n+++ modified", "diff\n--- a/schema.rs\n+++ b/schema.rs");
        Patched { schema, patch }
    }

    fn add(table: &str) -> SchemaEdit {
        SchemaEdit::AddColumn {
            table: table.parse().unwrap(),
            column: NewColumn {
                name: crate::ident::Ident::new("locale").unwrap(),
                ty: "Nullable<Text>".to_owned(),
                max_length: None,
                docs: None,
                position: Position::Last,
                custom: None,
            },
        }
    }

    fn check(old: &Patched, edit: SchemaEdit) -> Patched {
        let config = PrintSchemaConfig::default();
        let edits = [edit];
        let new = apply_patched(old, Product::Sqlite, &config, &edits).unwrap();
        let printed = apply(PRINTED, Product::Sqlite, &config, &edits).unwrap();
        let patch = diffy::Patch::from_str(&new.patch).unwrap();
        assert_eq!(diffy::apply(&printed, &patch).unwrap(), new.schema);
        assert!(new.schema.contains("locale -> Nullable<Text>,"));
        new
    }

    #[test]
    fn a_distant_patch_keeps_its_bytes() {
        let old =
            patched(|text| text.replace("created -> Timestamp", "created -> TimestamptzSqlite"));
        assert_eq!(check(&old, add("posts")).patch, old.patch);
    }

    #[test]
    fn a_patch_with_stale_context_is_made_anew() {
        let old = patched(|text| text.replace("name -> Text", "name -> Json"));
        let new = check(&old, add("users"));
        assert_ne!(new.patch, old.patch);
        assert!(
            new.patch.starts_with("diff\n--- a/schema.rs\n+++ b/schema.rs\n@@ "),
            "{}",
            new.patch
        );
    }

    #[test]
    fn a_patch_that_made_another_file_is_refused() {
        let mut old = patched(|text| text.replace("name -> Text", "name -> Json"));
        old.schema = PRINTED.to_owned();
        let error =
            apply_patched(&old, Product::Sqlite, &PrintSchemaConfig::default(), &[add("users")]);
        assert!(matches!(error, Err(PatchError::Drifted { .. })));
    }
}
