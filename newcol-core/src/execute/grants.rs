//! What a user of MySQL or MariaDB may do.

use crate::db::Row;

/// What `SHOW GRANTS` says of the user and of its active roles.
#[derive(Debug)]
pub(super) struct Grants(Vec<Grant>);

#[derive(Debug)]
struct Grant {
    /// In upper case.
    privileges: Vec<String>,
    /// Such as `*.*` and `` `shop\_%`.* ``.
    on: String,
}

impl Grants {
    /// The question whose answer is read.
    pub(super) const QUESTION: &str = "SHOW GRANTS";

    pub(super) fn of(rows: &[Row]) -> Self {
        Self(rows.iter().flatten().flatten().filter_map(|line| Grant::parse(line)).collect())
    }

    pub(super) fn everywhere(&self, privilege: &str) -> bool {
        self.0.iter().any(|grant| grant.on == "*.*" && grant.gives(privilege))
    }

    /// Reports whether a privilege may hold for a table, given as schema and name.
    pub(super) fn may(&self, privilege: &str, table: &[String; 2]) -> bool {
        self.0.iter().any(|grant| grant.gives(privilege) && grant.covers(table))
    }

    /// Reports whether a privilege may hold for some columns of a table at least.
    pub(super) fn may_in_part(&self, privilege: &str, table: &[String; 2]) -> bool {
        let in_part = |grant: &Grant| {
            let starts = format!("{privilege} (");
            grant.privileges.iter().any(|p| p.starts_with(&starts))
        };
        self.0.iter().any(|g| (g.gives(privilege) || in_part(g)) && g.covers(table))
    }
}

impl Grant {
    /// Reads `GRANT … ON … TO …`; there is no ON where a role is granted.
    fn parse(line: &str) -> Option<Self> {
        let (privileges, rest) = line.strip_prefix("GRANT ")?.split_once(" ON ")?;
        let (on, _) = rest.split_once(" TO ")?;
        let privileges = privileges.split(',').map(|p| p.trim().to_ascii_uppercase()).collect();
        Some(Self { privileges, on: on.to_owned() })
    }

    fn gives(&self, privilege: &str) -> bool {
        self.privileges.iter().any(|p| p == privilege || p == "ALL PRIVILEGES")
    }

    /// A schema may be a pattern, of which the part before its first wildcard is enough for "may".
    fn covers(&self, [schema, name]: &[String; 2]) -> bool {
        let Some((of, table)) = self.on.rsplit_once('.') else { return false };
        let bare = |part: &str| part.trim_matches('`').replace("``", "`");
        let pattern = bare(of).replace("\\_", "_").replace("\\%", "%");
        let fixed = pattern.split(['%', '_']).next().unwrap_or_default();
        let here =
            of == "*" || *schema == pattern || (pattern != fixed && schema.starts_with(fixed));
        here && (table == "*" || bare(table) == *name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_as_servers_print_them() {
        let table = ["shop_1".to_owned(), "users".to_owned()];
        let seen = [
            "GRANT USAGE ON *.* TO `app`@`%`",
            "GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION",
            "GRANT BACKUP_ADMIN,TRIGGER,XA_RECOVER_ADMIN ON *.* TO `app`@`%`",
            "GRANT SELECT, UPDATE, TRIGGER ON `shop\\_1`.* TO `app`@`%`",
            "GRANT SELECT, TRIGGER ON `shop%`.* TO `app`@`%`",
            "GRANT TRIGGER ON `shop_1`.`users` TO 'app'@'%'",
            "GRANT TRIGGER ON `shop_1`.`orders` TO `app`@`%`",
            "GRANT TRIGGER ON `blog`.* TO `app`@`%`",
            "GRANT SELECT (`trigger`), UPDATE ON `shop_1`.`users` TO `app`@`%`",
            "GRANT `TRIGGER`@`%` TO `app`@`%`",
        ]
        .map(|line| {
            let grants = Grants(Grant::parse(line).into_iter().collect());
            format!("{} {line}", if grants.may("TRIGGER", &table) { "yes" } else { "no " })
        });
        insta::assert_snapshot!(seen.join("\n"), @r"
        no  GRANT USAGE ON *.* TO `app`@`%`
        yes GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION
        yes GRANT BACKUP_ADMIN,TRIGGER,XA_RECOVER_ADMIN ON *.* TO `app`@`%`
        yes GRANT SELECT, UPDATE, TRIGGER ON `shop\_1`.* TO `app`@`%`
        yes GRANT SELECT, TRIGGER ON `shop%`.* TO `app`@`%`
        yes GRANT TRIGGER ON `shop_1`.`users` TO 'app'@'%'
        no  GRANT TRIGGER ON `shop_1`.`orders` TO `app`@`%`
        no  GRANT TRIGGER ON `blog`.* TO `app`@`%`
        no  GRANT SELECT (`trigger`), UPDATE ON `shop_1`.`users` TO `app`@`%`
        no  GRANT `TRIGGER`@`%` TO `app`@`%`
        ");
    }
}
