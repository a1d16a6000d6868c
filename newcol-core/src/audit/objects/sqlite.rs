//! SQLite keeps every definition as its text, and reads it anew each time.

use super::Objects;
use crate::db::facts::{Catalog, FactsError, Fields, sqlite::find};

pub(super) fn examine(
    catalog: &mut Catalog<'_>,
    objects: &mut Objects<'_>,
) -> Result<(), FactsError> {
    find(catalog)?;
    let rows = catalog.ask(
        "SELECT type || ' ' || name, sql FROM sqlite_master WHERE type IN ('view', 'trigger') \
         UNION ALL SELECT type || ' ' || name, sql FROM sqlite_temp_master WHERE type IN ('view', 'trigger')",
    )?;
    for row in rows {
        let mut fields = Fields::from(row);
        let (object, text) = (fields.text(), fields.text());
        objects.text(&object, &text);
    }
    Ok(())
}
