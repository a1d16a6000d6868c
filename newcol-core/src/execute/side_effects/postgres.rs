//! PostgreSQL: of the table with its partitions and heirs, any of which may be what is updated.

use super::{
    Care, Grantee, Missing, NoRest, ReadOnly, Refusal, Trigger, Triggers, counts, firing, list,
    no_column, resting,
};
use crate::{
    backend::{Backend, Server},
    db::{
        facts::{Catalog, FactsError, Fields, postgres::find},
        quote::literal,
    },
    ident::{ColumnPath, Ident, TableName},
    plan::Plan,
    render::{care, text::SqlText},
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Effects {
    role: Ident,
    read_only: Option<ReadOnly>,
    /// Tables of which policies show this role not every row.
    hidden: Vec<TableName>,
    missing: Vec<Missing>,
    /// Rules that rewrite an UPDATE.
    rules: Vec<(Ident, TableName)>,
    /// What sends an UPDATE to subscribers.
    publications: Vec<Ident>,
    /// Tables of these with nothing by which subscribers could find the row.
    unidentified: Vec<TableName>,
    /// Stored columns that are computed from this one.
    generated: Vec<Ident>,
    triggers: Vec<Armed>,
    /// Constraints of the column that the server checks by triggers of its own.
    checked: Vec<(Ident, TableName)>,
    /// Whether sessions of the role start as those that apply changes of another server.
    replica: bool,
    /// Whether the role may let triggers rest.
    may_rest: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Armed {
    trigger: Trigger,
    when: When,
}

/// In which sessions a trigger fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    /// In those that do not apply changes of another server: nearly all.
    Origin,
    /// In those that do.
    Replica,
    /// In all.
    Always,
}

impl Armed {
    fn fires(&self, replica: bool) -> bool {
        match self.when {
            When::Always => true,
            When::Replica => replica,
            When::Origin => !replica,
        }
    }

    /// What makes it rest with the others, and changes nothing for the application.
    fn edit(&self) -> SqlText {
        let Trigger { name, table, .. } = &self.trigger;
        match self.when {
            When::Replica => care::disable_trigger(name, table),
            When::Always | When::Origin => care::enable_trigger(name, table),
        }
    }
}

impl Effects {
    pub(super) fn care(
        &self,
        column: &ColumnPath,
        server: Server,
        choice: Triggers,
    ) -> Result<Care, Refusal> {
        self.refuse(column)?;
        let fires = self.firing(self.replica);
        let mut care = Care::default();
        match choice {
            _ if fires.is_empty() => care.session.push(care::no_row_is_hidden()),
            Triggers::Skip => {
                self.check_rest(column, server, &fires)?;
                care.session.push(care::no_row_is_hidden());
                care.before.push(care::triggers_rest());
                care.notices
                    .push(resting(&fires, "batches run with `session_replication_role = replica`"));
            }
            // Policies stay as they are for what a trigger does.
            Triggers::Fire => care.notices.extend(firing(&fires)),
        }
        let name = &column.column;
        if !self.generated.is_empty() {
            let names = list(&self.generated);
            care.notices.push(format!("computed from `{name}`, and so changed with it: {names}"));
        }
        if !self.publications.is_empty() {
            let names = list(&self.publications);
            care.notices.push(format!(
                "every filled row goes to the subscribers of {names}, whose tables must have `{name}`"
            ));
        }
        Ok(care)
    }

    /// Refuses what no choice about triggers makes right.
    fn refuse(&self, column: &ColumnPath) -> Result<(), Refusal> {
        let (column, role) = (column.clone(), self.role.clone());
        if let Some(why) = self.read_only {
            return Err(Refusal::ReadOnly { column, why });
        }
        if !self.hidden.is_empty() {
            return Err(Refusal::HiddenRows { column, role, tables: self.hidden.clone() });
        }
        if !self.missing.is_empty() {
            let (who, missing) = (Grantee::Role(role), self.missing.clone());
            return Err(Refusal::Privileges { column, who, missing });
        }
        if !self.rules.is_empty() {
            return Err(Refusal::Rules { column, rules: self.rules.clone() });
        }
        if !self.unidentified.is_empty() {
            let (tables, publications) = (self.unidentified.clone(), self.publications.clone());
            return Err(Refusal::NoIdentity { column, tables, publications });
        }
        if self.replica && !self.checked.is_empty() {
            return Err(Refusal::Replica { column, role, constraints: self.checked.clone() });
        }
        Ok(())
    }

    /// Refuses where triggers cannot rest, or where something that is needed would rest with them.
    fn check_rest(
        &self,
        column: &ColumnPath,
        server: Server,
        fires: &[Trigger],
    ) -> Result<(), Refusal> {
        let (column, fires) = (column.clone(), fires.to_vec());
        let restless = self.firing(true);
        if !restless.is_empty() {
            let edits = self.triggers.iter().filter(|armed| armed.fires(true)).map(Armed::edit);
            let edits = edits.collect();
            return Err(Refusal::RestlessTriggers { column, fires, restless, edits });
        }
        if !self.checked.is_empty() {
            let constraints = self.checked.clone();
            return Err(Refusal::Unchecked { column, fires, constraints });
        }
        if !self.may_rest {
            let because = NoRest::Denied { role: self.role.clone(), server };
            return Err(Refusal::Triggers { column, fires, because });
        }
        Ok(())
    }

    fn firing(&self, replica: bool) -> Vec<Trigger> {
        let firing = self.triggers.iter().filter(|armed| armed.fires(replica));
        firing.map(|armed| armed.trigger.clone()).collect()
    }
}

pub(super) fn read(catalog: &mut Catalog<'_>, plan: &Plan) -> Result<Effects, FactsError> {
    let oid = find(catalog)?.oid;
    let family = Family::new(oid, plan.contract.column());
    if catalog.ask(&family.ask("SELECT FROM family f WHERE f.root"))?.is_empty() {
        return Err(no_column(catalog, plan));
    }
    let (role, replica, read_only) = session(catalog)?;
    let triggers: Vec<Armed> = triggers(catalog, &family)?
        .into_iter()
        .filter(|armed| counts(&armed.trigger.name, plan))
        .collect();
    let may_rest = triggers.is_empty() || may_rest(catalog)?;
    Ok(Effects {
        role,
        read_only,
        hidden: catalog.tables(&family.ask(
            "SELECT f.place, f.name FROM family f \
             WHERE pg_catalog.row_security_active(f.id) ORDER BY NOT f.root, 2, 1",
        ))?,
        missing: missing(catalog, &family)?,
        rules: named(
            catalog,
            &family.ask(
                "SELECT r.rulename, f.place, f.name FROM family f \
             JOIN pg_catalog.pg_rewrite r ON r.ev_class = f.id \
             WHERE r.ev_type = '2' AND r.ev_enabled <> 'D' ORDER BY NOT f.root, 1, 3, 2",
            ),
        )?,
        publications: catalog
            .idents(&family.ask("SELECT DISTINCT s.pubname FROM sent s ORDER BY 1"))?,
        unidentified: catalog.tables(&family.ask(UNIDENTIFIED))?,
        generated: catalog.idents(&family.ask(GENERATED))?,
        triggers,
        checked: named(catalog, &family.ask(CHECKED))?,
        replica,
        may_rest,
    })
}

/// The table with its partitions and heirs.
struct Family {
    oid: String,
    column: String,
}

impl Family {
    fn new(oid: String, column: &Ident) -> Self {
        Self { oid, column: literal(Backend::Postgres, column.as_str()) }
    }

    /// A question about `family` (its tables that have the column, as `col`) and about `sent` (which
    /// of them goes to subscribers, and by what).
    fn ask(&self, question: &'static str) -> String {
        let Self { oid, column } = self;
        format!(
            "WITH RECURSIVE tree (id) AS (SELECT {oid}::oid UNION \
               SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN tree t ON t.id = i.inhparent), \
             family AS (SELECT c.oid AS id, c.oid = {oid} AS root, c.relkind AS kind, \
                 c.relreplident AS identity, a.attnum AS col, c.relname AS name, \
                 CASE WHEN pg_catalog.pg_table_is_visible(c.oid) THEN NULL ELSE n.nspname END AS place \
               FROM tree t JOIN pg_catalog.pg_class c ON c.oid = t.id \
               JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
               JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid \
               WHERE a.attname = {column} AND a.attnum > 0 AND NOT a.attisdropped), \
             published AS (SELECT p.pubname, g.relid FROM pg_catalog.pg_publication p \
               CROSS JOIN LATERAL pg_catalog.pg_get_publication_tables(p.pubname) g WHERE p.pubupdate), \
             sent AS (SELECT f.*, p.pubname FROM family f JOIN published p ON p.relid = f.id \
                 OR p.relid IN (SELECT relid FROM pg_catalog.pg_partition_ancestors(f.id)) \
               WHERE f.kind = 'r') \
             {question}"
        )
    }
}

/// As the server sees it when it is asked to update a row.
const UNIDENTIFIED: &str = "SELECT DISTINCT s.place, s.name FROM sent s \
     WHERE NOT (s.identity = 'f' OR EXISTS (SELECT 1 FROM pg_catalog.pg_index i \
       WHERE i.indrelid = s.id AND i.indisvalid AND i.indimmediate \
         AND CASE s.identity WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident END)) \
     ORDER BY 2, 1";

/// Up to PostgreSQL 14 the column itself depends, later its default.
const GENERATED: &str = "SELECT DISTINCT a.attname FROM family f \
     JOIN pg_catalog.pg_attribute a ON a.attrelid = f.id AND a.attgenerated = 's' \
     JOIN pg_catalog.pg_attrdef x ON x.adrelid = f.id AND x.adnum = a.attnum \
     JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_class'::regclass \
       AND d.refobjid = f.id AND d.refobjsubid = f.col \
     WHERE (d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = f.id \
         AND d.objsubid = a.attnum) \
       OR (d.classid = 'pg_catalog.pg_attrdef'::regclass AND d.objid = x.oid) \
     ORDER BY 1";

/// Foreign keys, and what is deferrable: unique and exclusion constraints, over expressions too.
const CHECKED: &str = "SELECT DISTINCT ON (k.conname) k.conname, f.place, f.name FROM family f \
     JOIN pg_catalog.pg_constraint k ON k.conrelid = f.id AND k.contype <> 't' \
     WHERE EXISTS (SELECT 1 FROM pg_catalog.pg_trigger t WHERE t.tgconstraint = k.oid \
         AND t.tgrelid = f.id AND t.tgtype & 16 <> 0) \
       AND (f.col = ANY (k.conkey) OR EXISTS (SELECT 1 FROM pg_catalog.pg_depend d \
         WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = k.conindid \
           AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = f.id \
           AND d.refobjsubid = f.col)) \
     ORDER BY k.conname, NOT f.root, f.name, f.place";

/// Partitions have copies of their parent's triggers, with a state of their own; PostgreSQL before
/// 15 counts the copies as internal. Of triggers that are alike, the one nearest to the table.
const TRIGGERS: &str = "SELECT DISTINCT ON (t.tgname, p.oid, t.tgenabled) \
       t.tgname, f.place, f.name, t.tgenabled, \
       CASE WHEN pg_catalog.pg_function_is_visible(p.oid) THEN NULL ELSE n.nspname END, p.proname \
     FROM family f JOIN pg_catalog.pg_trigger t ON t.tgrelid = f.id \
     JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid \
     JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
     LEFT JOIN pg_catalog.pg_constraint k ON k.oid = t.tgconstraint \
     WHERE t.tgtype & 16 <> 0 AND t.tgenabled <> 'D' \
       AND (t.tgattr::text = '' OR f.col = ANY (t.tgattr)) \
       AND (NOT t.tgisinternal OR (t.tgparentid <> 0 AND coalesce(k.contype, 't') = 't')) \
     ORDER BY t.tgname, p.oid, t.tgenabled, NOT f.root, f.name, f.place";

/// Reads a schema (NULL where it need not be said) and a name in it.
fn qualified(catalog: &Catalog<'_>, fields: &mut Fields) -> Result<TableName, FactsError> {
    let schema = fields.next().map(|schema| catalog.ident(schema)).transpose()?;
    Ok(TableName { schema, name: catalog.ident(fields.text())? })
}

/// Reads rows of a name, and schema and name of its table.
fn named(catalog: &mut Catalog<'_>, sql: &str) -> Result<Vec<(Ident, TableName)>, FactsError> {
    let rows = catalog.ask(sql)?;
    let read = |row| {
        let mut fields = Fields::from(row);
        let name = catalog.ident(fields.text())?;
        Ok((name, qualified(catalog, &mut fields)?))
    };
    rows.into_iter().map(read).collect()
}

/// Reads who asks, in what kind of session, and whether sessions are read-only from the start: ours
/// may be for a reason of its own.
fn session(catalog: &mut Catalog<'_>) -> Result<(Ident, bool, Option<ReadOnly>), FactsError> {
    let row = catalog.ask(
        "SELECT current_user, current_setting('session_replication_role') = 'replica', \
           pg_catalog.pg_is_in_recovery(), reset_val = 'on' \
         FROM pg_catalog.pg_settings WHERE name = 'default_transaction_read_only'",
    )?;
    let mut fields = Fields::from(row.into_iter().next().unwrap_or_default());
    let (role, replica) = (catalog.ident(fields.text())?, fields.yes());
    let read_only = match (fields.yes(), fields.yes()) {
        (true, _) => Some(ReadOnly::Standby),
        (false, true) => Some(ReadOnly::Default),
        (false, false) => None,
    };
    Ok((role, replica, read_only))
}

fn triggers(catalog: &mut Catalog<'_>, family: &Family) -> Result<Vec<Armed>, FactsError> {
    let rows = catalog.ask(&family.ask(TRIGGERS))?;
    let read = |row| {
        let mut fields = Fields::from(row);
        let name = catalog.ident(fields.text())?;
        let table = qualified(catalog, &mut fields)?;
        let when = match fields.text().as_str() {
            "A" => When::Always,
            "R" => When::Replica,
            _ => When::Origin,
        };
        let function = qualified(catalog, &mut fields)?;
        let does = match function.name.as_str() {
            // Made by `diesel setup`.
            "diesel_set_updated_at" => "sets `updated_at` to the time of the fill".to_owned(),
            _ => format!("runs `{function}()`"),
        };
        Ok(Armed { trigger: Trigger { name, table, does }, when })
    };
    rows.into_iter().map(read).collect()
}

/// Asks by doing it for the length of one question: beside superusers and those who were granted
/// it, hosted servers let others do it by means of their own.
fn may_rest(catalog: &mut Catalog<'_>) -> Result<bool, FactsError> {
    const INSUFFICIENT_PRIVILEGE: &str = "42501";
    match catalog.ask("SELECT set_config('session_replication_role', 'replica', true)") {
        Ok(_) => Ok(true),
        Err(FactsError::Database { source, .. })
            if source.sqlstate() == Some(INSUFFICIENT_PRIVILEGE) =>
        {
            Ok(false)
        }
        Err(other) => Err(other),
    }
}

/// A partition that is updated by its own name is a table of its own to privileges. Rows are found
/// by where they lie, which is readable with the whole table alone.
fn missing(catalog: &mut Catalog<'_>, family: &Family) -> Result<Vec<Missing>, FactsError> {
    let rows = catalog.ask(&family.ask(
        "SELECT f.place, f.name, a.attname, \
           NOT pg_catalog.has_column_privilege(f.id, a.attnum, 'SELECT'), \
           a.attnum = f.col AND NOT pg_catalog.has_column_privilege(f.id, a.attnum, 'UPDATE') \
         FROM family f JOIN pg_catalog.pg_attribute a ON a.attrelid = f.id \
         WHERE (f.root OR f.kind = 'r') AND NOT a.attisdropped \
           AND (a.attnum > 0 OR a.attname = 'ctid') \
           AND NOT (pg_catalog.has_column_privilege(f.id, a.attnum, 'SELECT') \
             AND pg_catalog.has_column_privilege(f.id, a.attnum, 'UPDATE')) \
         ORDER BY NOT f.root, f.name, f.place, a.attnum < 0, a.attnum",
    ))?;
    let mut missing: Vec<Missing> = Vec::new();
    for row in rows {
        let mut fields = Fields::from(row);
        let table = qualified(catalog, &mut fields)?;
        let column = catalog.ident(fields.text())?;
        if missing.last().is_none_or(|last| last.table != table) {
            missing.push(Missing { table, read: None, change: Vec::new() });
        }
        let Some(last) = missing.last_mut() else { continue };
        // Said where nothing else is in question, as only the whole table has it.
        let place = column.as_str() == "ctid";
        if fields.yes() && !(place && last.read.is_some()) {
            last.read.get_or_insert_default().push(column.clone());
        }
        if fields.yes() {
            last.change.push(column);
        }
    }
    missing.retain(|missing| missing.read.is_some() || !missing.change.is_empty());
    Ok(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standby_is_refused_before_anything_else() {
        let name = |text: &str| Ident::new(text).unwrap();
        let effects = Effects {
            role: name("app"),
            read_only: Some(ReadOnly::Standby),
            hidden: vec!["users".parse().unwrap()],
            missing: Vec::new(),
            rules: Vec::new(),
            publications: Vec::new(),
            unidentified: Vec::new(),
            generated: Vec::new(),
            triggers: Vec::new(),
            checked: Vec::new(),
            replica: false,
            may_rest: true,
        };
        let server = Server::oldest(Backend::Postgres);
        let column = "users.shout".parse().unwrap();
        let refusal = effects.care(&column, server, Triggers::Skip).unwrap_err();
        insta::assert_snapshot!(format!("{refusal}; {}", refusal.hint()), @"`users.shout` cannot be filled: this server is a standby, which only follows its primary; use the URL of the primary");
    }
}
