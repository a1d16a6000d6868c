//! SQLite: there is one writer at a time, so triggers can be dropped and made again by the
//! transaction that fills, and nobody does without them.

use super::{
    Care, ReadOnly, Refusal, Trigger, Triggers, counts, firing, list, no_column, resting, same,
};
use crate::{
    db::{
        Access,
        facts::{
            Catalog, FactsError, Fields,
            sqlite::{Place, find, statements, watched},
        },
    },
    execute::writable,
    ident::{ColumnPath, Ident, TableName},
    plan::Plan,
    render::care,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Effects {
    read_only: Option<ReadOnly>,
    /// Every trigger on UPDATE, in the order in which they were made.
    triggers: Vec<Stored>,
    /// Tables whose rows the column names, though the session does not check that they exist.
    unchecked: Vec<TableName>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Stored {
    named: (Ident, String),
    /// `None` where the fill does not fire it.
    fires: Option<Trigger>,
}

impl Effects {
    pub(super) fn care(&self, column: &ColumnPath, choice: Triggers) -> Result<Care, Refusal> {
        if let Some(why) = self.read_only {
            return Err(Refusal::ReadOnly { column: column.clone(), why });
        }
        let mut care = Care::default();
        let fires: Vec<Trigger> = self.triggers.iter().filter_map(|t| t.fires.clone()).collect();
        match choice {
            Triggers::Skip if !fires.is_empty() => {
                // Those made later come along: triggers fire by their age.
                let rest = self.triggers.iter().skip_while(|stored| stored.fires.is_none());
                let rest = rest.map(|stored| &stored.named);
                (care.before, care.after) = care::without_triggers(&column.table, rest);
                let how =
                    "each batch drops what it would fire and makes it again, in one transaction";
                care.notices.push(resting(&fires, how));
            }
            Triggers::Skip => {}
            Triggers::Fire => care.notices.extend(firing(&fires)),
        }
        if !self.unchecked.is_empty() {
            care.session.push(care::foreign_keys_on());
            care.notices.push(format!(
                "what is filled is checked against {}, though SQLite does so only when told to",
                list(&self.unchecked)
            ));
        }
        Ok(care)
    }
}

pub(super) fn read(catalog: &mut Catalog<'_>, plan: &Plan) -> Result<Effects, FactsError> {
    let place = find(catalog)?;
    let column = plan.contract.column();
    let names = catalog.idents(&format!(
        "SELECT name FROM pragma_table_xinfo({}, {})",
        place.name, place.schema
    ))?;
    if !names.iter().any(|name| same(name, column)) {
        return Err(no_column(catalog, plan));
    }
    let mut triggers = Vec::new();
    for named in statements(catalog, &place)?.attached {
        let (name, sql) = &named;
        let Some(watched) = watched(sql) else { continue };
        let fires = (watched.includes(column) && counts(name, plan)).then(|| Trigger {
            name: name.clone(),
            table: plan.contract.table().clone(),
            does: "runs for each row".to_owned(),
        });
        triggers.push(Stored { named, fires });
    }
    Ok(Effects {
        read_only: read_only(catalog)?,
        triggers,
        unchecked: unchecked(catalog, &place, column)?,
    })
}

/// Our own session may read for a reason of its own.
fn read_only(catalog: &mut Catalog<'_>) -> Result<Option<ReadOnly>, FactsError> {
    if catalog.session.access() == Access::Read {
        return Ok(None);
    }
    let steps = catalog.ask(writable::QUESTION)?;
    Ok(writable::is_refused(&steps).then_some(ReadOnly::File))
}

fn unchecked(
    catalog: &mut Catalog<'_>,
    place: &Place,
    column: &Ident,
) -> Result<Vec<TableName>, FactsError> {
    let rows = catalog.ask(&format!(
        "SELECT f.\"table\", f.\"from\" FROM pragma_foreign_keys k \
         JOIN pragma_foreign_key_list({}, {}) f WHERE NOT k.foreign_keys ORDER BY f.id",
        place.name, place.schema
    ))?;
    let mut tables = Vec::new();
    for row in rows {
        let mut fields = Fields::from(row);
        let (table, from) = (catalog.ident(fields.text())?, catalog.ident(fields.text())?);
        if same(&from, column) {
            tables.push(TableName { schema: None, name: table });
        }
    }
    Ok(tables)
}
