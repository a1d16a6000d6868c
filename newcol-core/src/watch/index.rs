//! What the catalog says of the column's indexes: what needs them, and what would do in their place.

use super::{
    session::{Fields, Reading},
    verdict::{ForeignKey, IndexFacts},
};
use crate::db::{DbError, Row};

/// An index of the table that holds the column.
#[derive(Debug, Clone, PartialEq)]
pub struct Index {
    /// Its name without schema, as plans and counters have it.
    pub name: String,
    /// Whether the column comes first in it.
    pub leads: bool,
    /// What needs it, and what would do in its place; its size is measured elsewhere.
    pub facts: IndexFacts,
}

/// Returns the condition that an index has the column, itself or within an expression. A partition may
/// number its columns otherwise.
pub(super) fn holds(index: &str, table: &str, attribute: i32) -> String {
    format!(
        "EXISTS (SELECT FROM pg_catalog.pg_attribute p JOIN pg_catalog.pg_attribute a \
         ON a.attrelid = {index}.indrelid AND a.attname = p.attname AND a.attnum > 0 \
         WHERE p.attrelid = {table} AND p.attnum = {attribute} AND p.attnum > 0 \
         AND (a.attnum = ANY ({index}.indkey::int2[]) OR (0 = ANY ({index}.indkey::int2[]) \
         AND EXISTS (SELECT FROM pg_catalog.pg_depend d \
         WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = {index}.indexrelid \
         AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum))))"
    )
}

impl Reading<'_> {
    /// Reads the facts of the column's indexes; nothing while the table is locked against everybody.
    pub(super) fn column_indexes(
        &mut self,
        table: &str,
        attribute: i32,
    ) -> Result<Vec<Index>, DbError> {
        // The leading columns of an index, as many as it has keys.
        let keys =
            |of: &str, what: &str, ty: &str| format!("({of}.{what}::{ty}[])[0:i.indnkeyatts - 1]");
        let same =
            |what: &str, ty: &str| format!("{} = {}", keys("o", what, ty), keys("i", what, ty));
        let rows = self.rows_if_free(&format!(
            "SELECT c.relname, quote_ident(n.nspname) || '.' || quote_ident(c.relname), \
             pg_get_indexdef(i.indexrelid), coalesce((i.indkey::int2[])[0] IN ({attribute}, 0), false), \
             i.indisunique, i.indisprimary, i.indisexclusion, i.indisreplident, \
             i.indexprs IS NOT NULL, i.indpred IS NOT NULL, \
             (SELECT min(k.conname) FROM pg_catalog.pg_constraint k \
             WHERE k.contype = 'f' AND k.conindid = i.indexrelid), \
             (SELECT min(k.conname) FROM pg_catalog.pg_constraint k WHERE k.contype = 'f' \
             AND k.conrelid = i.indrelid \
             AND (i.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey), \
             (SELECT min(quote_ident(m.nspname) || '.' || quote_ident(b.relname)) \
             FROM pg_catalog.pg_index o JOIN pg_catalog.pg_class b ON b.oid = o.indexrelid \
             JOIN pg_catalog.pg_namespace m ON m.oid = b.relnamespace \
             WHERE o.indrelid = i.indrelid AND o.indexrelid <> i.indexrelid AND b.relam = c.relam \
             AND o.indisvalid AND o.indpred IS NULL AND o.indexprs IS NULL AND i.indexprs IS NULL \
             AND o.indnkeyatts >= i.indnkeyatts AND o.indkey::int2[] @> i.indkey::int2[] \
             AND {} AND {} AND {} AND {} \
             AND (o.indnatts > i.indnatts OR o.indexrelid < i.indexrelid)) \
             FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE i.indrelid = {table} AND {} ORDER BY c.relname",
            same("indkey", "int2"),
            same("indclass", "oid"),
            same("indcollation", "oid"),
            same("indoption", "int2"),
            holds("i", table, attribute),
        ))?;
        Ok(rows.into_iter().flatten().map(index).collect())
    }
}

fn index(row: Row) -> Index {
    let mut fields = Fields::from(row);
    let (name, qualified, definition) = (fields.text(), fields.text(), fields.text());
    let leads = fields.is_true();
    let mut facts = IndexFacts {
        unique: fields.is_true(),
        primary: fields.is_true(),
        exclusion: fields.is_true(),
        replica_identity: fields.is_true(),
        expression: fields.is_true(),
        partial: fields.is_true(),
        ..IndexFacts::plain(qualified, definition, 0)
    };
    let (referred_to, refers) = (fields.maybe(), fields.maybe());
    facts.foreign_key = referred_to.map(ForeignKey::ReferredTo).or(refers.map(ForeignKey::Refers));
    facts.covered_by = fields.maybe();
    Index { name, leads, facts }
}
