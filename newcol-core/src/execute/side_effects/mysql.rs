//! MySQL and MariaDB: triggers fire for everybody, and times that follow an UPDATE stay where they
//! are assigned to themselves.

use super::{
    Care, Grantee, Missing, NoRest, ReadOnly, Refusal, Trigger, Triggers, counts, firing, list,
    no_column, same,
};
use crate::{
    backend::{Backend, Product, Server},
    contract::Expr,
    db::facts::{
        Catalog, FactsError, Fields,
        mysql::{Found, find},
    },
    execute::grants::Grants,
    ident::{ColumnPath, Ident},
    plan::{Plan, volatility::column_refs},
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Effects {
    who: Grantee,
    read_only: Option<ReadOnly>,
    missing: Option<Missing>,
    /// `None` where the user may not see them.
    triggers: Option<Vec<Trigger>>,
    /// Columns that an UPDATE sets to the current time.
    times: Vec<Ident>,
    /// Stored columns that are computed from this one.
    generated: Vec<Ident>,
    history: History,
}

/// Whether the server keeps what rows were before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum History {
    None,
    /// As rows of the same table (MariaDB).
    Kept,
}

impl Effects {
    pub(super) fn care(
        &self,
        column: &ColumnPath,
        server: Server,
        choice: Triggers,
    ) -> Result<Care, Refusal> {
        let (path, who) = (column.clone(), self.who.clone());
        if let Some(why) = self.read_only {
            return Err(Refusal::ReadOnly { column: path, why });
        }
        if let Some(missing) = &self.missing {
            return Err(Refusal::Privileges { column: path, who, missing: vec![missing.clone()] });
        }
        let mut care = Care { assign: self.times.clone(), ..Care::default() };
        match (choice, &self.triggers) {
            (Triggers::Skip, None) => return Err(Refusal::HiddenTriggers { column: path, who }),
            (Triggers::Fire, None) => {
                care.notices.push(format!("{who} may not see which triggers fire"))
            }
            (_, Some(fires)) if fires.is_empty() => {}
            (Triggers::Skip, Some(fires)) => {
                let because = NoRest::Engine(server);
                return Err(Refusal::Triggers { column: path, fires: fires.clone(), because });
            }
            (Triggers::Fire, Some(fires)) => care.notices.extend(firing(fires)),
        }
        let name = &column.column;
        if !self.times.is_empty() {
            let names = list(&self.times);
            care.notices.push(format!(
                "an UPDATE would set {names} to the current time: the fill keeps what is there"
            ));
        }
        if !self.generated.is_empty() {
            let names = list(&self.generated);
            care.notices.push(format!("computed from `{name}`, and so changed with it: {names}"));
        }
        match self.history {
            History::None => {}
            History::Kept => care.notices.push(format!(
                "`{}` keeps the history of its rows, and every filled row adds to it",
                column.table
            )),
        }
        Ok(care)
    }
}

pub(super) fn read(catalog: &mut Catalog<'_>, plan: &Plan) -> Result<Effects, FactsError> {
    let found = find(catalog)?;
    let columns = columns(catalog, &found)?;
    let column = plan.contract.column();
    // Columns on which the user has no privilege at all are not shown to it.
    if !columns.iter().any(|c| same(&c.name, column)) {
        return Err(no_column(catalog, plan));
    }
    let times: Vec<Ident> = columns
        .iter()
        .filter(|c| c.extra.contains("ON UPDATE") && !same(&c.name, column))
        .map(|c| c.name.clone())
        .collect();
    let generated = columns.iter().filter(|c| c.is_stored() && c.depends_on(column));
    let grants = Grants::of(&catalog.ask(Grants::QUESTION)?);
    Ok(Effects {
        who: who(catalog)?,
        read_only: read_only(catalog, &grants)?,
        missing: missing(plan, &found, &grants, &columns, &times),
        triggers: triggers(catalog, plan, &found, &grants)?,
        generated: generated.map(|c| c.name.clone()).collect(),
        times,
        history: match found.kind.as_str() {
            "SYSTEM VERSIONED" => History::Kept,
            _ => History::None,
        },
    })
}

struct Column {
    name: Ident,
    extra: String,
    /// What this user may do with it, however it came by that.
    privileges: String,
    generation: String,
}

impl Column {
    fn is_stored(&self) -> bool {
        self.extra.contains("STORED GENERATED") || self.extra.contains("PERSISTENT")
    }

    fn depends_on(&self, column: &Ident) -> bool {
        column_refs(&Expr::new(&self.generation), Backend::Mysql)
            .is_none_or(|names| names.iter().any(|name| same(name, column)))
    }

    fn lets(&self, privilege: &str) -> bool {
        self.privileges.split(',').any(|p| p.eq_ignore_ascii_case(privilege))
    }
}

fn columns(catalog: &mut Catalog<'_>, found: &Found) -> Result<Vec<Column>, FactsError> {
    let place = &found.place;
    let rows = catalog.ask(&format!(
        "SELECT column_name, extra, privileges, generation_expression \
         FROM information_schema.columns \
         WHERE table_schema = {} AND table_name = {} ORDER BY ordinal_position",
        place.schema, place.name
    ))?;
    let read = |row| {
        let mut fields = Fields::from(row);
        Ok(Column {
            name: catalog.ident(fields.text())?,
            extra: fields.text().to_ascii_uppercase(),
            privileges: fields.text(),
            generation: fields.text(),
        })
    };
    rows.into_iter().map(read).collect()
}

/// Columns that a user may not read are not shown to it, and what is not shown may follow an UPDATE.
/// Assigning a time to itself takes the right to change it.
fn missing(
    plan: &Plan,
    found: &Found,
    grants: &Grants,
    columns: &[Column],
    times: &[Ident],
) -> Option<Missing> {
    let lacks = |name: &Ident, privilege| {
        !columns.iter().any(|column| same(&column.name, name) && column.lets(privilege))
    };
    let known = plan.facts.columns.iter().map(|c| &c.name);
    let mut read: Vec<Ident> = Vec::new();
    for name in columns.iter().map(|c| &c.name).chain(known) {
        if lacks(name, "select") && !read.iter().any(|other| same(other, name)) {
            read.push(name.clone());
        }
    }
    let all = read.is_empty() && grants.may("SELECT", &found.spelled);
    let changed = [plan.contract.column()].into_iter().chain(times);
    let change: Vec<Ident> = changed.filter(|name| lacks(name, "update")).cloned().collect();
    let read = (!all).then_some(read);
    let table = plan.contract.table().clone();
    (read.is_some() || !change.is_empty()).then_some(Missing { table, read, change })
}

/// MariaDB names triggers to whoever may do anything with the table; MySQL to those who may make
/// them.
fn triggers(
    catalog: &mut Catalog<'_>,
    plan: &Plan,
    found: &Found,
    grants: &Grants,
) -> Result<Option<Vec<Trigger>>, FactsError> {
    let rows = catalog.ask(&format!(
        "SELECT trigger_name, action_timing FROM information_schema.triggers \
         WHERE event_object_schema = {} AND event_object_table = {} \
           AND event_manipulation = 'UPDATE' ORDER BY action_timing = 'AFTER', action_order",
        found.place.schema, found.place.name
    ))?;
    let mut triggers = Vec::new();
    for row in rows {
        let mut fields = Fields::from(row);
        let name = catalog.ident(fields.text())?;
        let when = if fields.text() == "AFTER" { "after" } else { "before" };
        let (table, does) =
            (plan.contract.table().clone(), format!("runs {when} each row changes"));
        if counts(&name, plan) {
            triggers.push(Trigger { name, table, does });
        }
    }
    let hides = catalog.session.server().product == Product::Mysql
        && !grants.may("TRIGGER", &found.spelled);
    Ok((!hides).then_some(triggers))
}

fn who(catalog: &mut Catalog<'_>) -> Result<Grantee, FactsError> {
    let row = catalog.ask("SELECT current_user()")?.into_iter().next().unwrap_or_default();
    let account = Fields::from(row).text();
    let (user, host) = account.rsplit_once('@').unwrap_or((&account, "%"));
    Ok(Grantee::Account { user: user.to_owned(), host: host.to_owned() })
}

/// Some may write where a variable says that nobody does.
fn read_only(catalog: &mut Catalog<'_>, grants: &Grants) -> Result<Option<ReadOnly>, FactsError> {
    const VARIABLES: [&str; 3] = ["innodb_read_only", "super_read_only", "read_only"];
    let rows = catalog.ask(
        "SHOW GLOBAL VARIABLES WHERE variable_name IN \
           ('innodb_read_only', 'super_read_only', 'read_only') AND value NOT IN ('OFF', '0')",
    )?;
    let on: Vec<String> = rows.into_iter().map(|row| Fields::from(row).text()).collect();
    let on = VARIABLES.into_iter().find(|variable| on.iter().any(|o| o == variable));
    // MariaDB took the right away from SUPER in 10.11.
    let server = catalog.session.server();
    let by_super = server.product == Product::Mysql || !server.at_least(10, 11);
    let exempt = ["READ_ONLY ADMIN", "READ ONLY ADMIN", "CONNECTION_ADMIN"]
        .into_iter()
        .chain(by_super.then_some("SUPER"))
        .any(|privilege| grants.everywhere(privilege));
    Ok(on.filter(|on| *on != "read_only" || !exempt).map(ReadOnly::Variable))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As MySQL has it; MariaDB, which the other tests run on, shows their names.
    #[test]
    fn triggers_that_cannot_be_seen_may_fire() {
        let effects = Effects {
            who: Grantee::Account { user: "app".to_owned(), host: "%".to_owned() },
            read_only: None,
            missing: None,
            triggers: None,
            times: Vec::new(),
            generated: Vec::new(),
            history: History::None,
        };
        let server = Server::oldest(Backend::Mysql);
        let column = "shop.users.shout".parse().unwrap();
        let refusal = effects.care(&column, server, Triggers::Skip).unwrap_err();
        let notices = effects.care(&column, server, Triggers::Fire).unwrap().notices;
        let said = format!("{refusal}; {}; {}", refusal.hint(), notices.join("; "));
        insta::assert_snapshot!(said, @"the user `app@%` may not see whether filling `shop.users.shout` fires triggers; let the owner run GRANT TRIGGER ON `shop`.`users` TO 'app'@'%'; or pass `--triggers fire`, and whatever there is fires; the user `app@%` may not see which triggers fire");
    }
}
