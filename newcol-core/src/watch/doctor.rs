//! What a role can see of a server, and what can therefore be said. Pure.

use super::{mysql::MysqlSight, session::Sight};
use crate::backend::Product;
use crate::ident::ColumnPath;

/// Bytes of a digest that are enough for a list of a hundred columns with their table.
const LONG_ENOUGH: usize = 4096;

/// One thing that is needed to say something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// Its name in reports.
    pub name: &'static str,
    /// Whether it is met.
    pub state: State,
    /// What is so, and what can or cannot be said because of it, in one sentence.
    pub sentence: String,
    /// What would change it.
    pub remedy: Option<String>,
}

/// Whether a need is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It is.
    Met,
    /// Less can be said.
    Lacking,
    /// Nothing can be said of statements.
    Missing,
}

/// Says what can be seen and what that is enough for.
pub fn needs(sight: &Sight, column: &ColumnPath) -> Vec<Need> {
    if sight.is_measured {
        return vec![table(sight, column)];
    }
    if let Some(mysql) = &sight.mysql {
        return of_mysql(sight, mysql, column);
    }
    let mut needs = vec![table(sight, column), statements(sight), others(sight)];
    needs.extend(sight.has_table.then(|| values(sight, column)));
    needs.push(system(sight));
    needs
}

fn met(name: &'static str, sentence: impl Into<String>) -> Need {
    Need { name, state: State::Met, sentence: sentence.into(), remedy: None }
}

fn table(sight: &Sight, column: &ColumnPath) -> Need {
    let table = column.table.dotted();
    if !sight.has_table {
        return Need {
            name: "table",
            state: State::Missing,
            sentence: format!(
                "there is no table `{table}` that `{}` may see, so nothing can be said",
                sight.role
            ),
            remedy: Some(
                "pass the URL of a database that has it, or grant USAGE on its schema".to_owned(),
            ),
        };
    }
    met(
        "table",
        if sight.has_column {
            format!("`{column}` is there: a baseline taken now proves nothing any more")
        } else {
            format!("`{column}` is not there yet: a baseline can still be taken")
        },
    )
}

fn statements(sight: &Sight) -> Need {
    let missing = |sentence: &str, remedy: &str| Need {
        name: "statements",
        state: State::Missing,
        sentence: sentence.to_owned(),
        remedy: Some(remedy.to_owned()),
    };
    if !sight.is_loaded {
        return missing(
            "pg_stat_statements is not loaded: nothing can be said of statements, only of the table and its indexes",
            "add it to shared_preload_libraries and restart the server",
        );
    }
    let Some(version) = &sight.extension else {
        return missing(
            "pg_stat_statements is loaded, but not an extension of this database: nothing can be said of statements, only of the table and its indexes",
            "let its owner run `CREATE EXTENSION pg_stat_statements`: the watch creates nothing",
        );
    };
    if sight.track.as_deref() == Some("none") {
        return missing(
            "pg_stat_statements.track is `none`: no statement is counted",
            "set it to `top`, or to `all` to see into functions",
        );
    }
    if sight.numbers.as_deref() == Some("off") {
        return missing("compute_query_id is `off`: no statement is counted", "set it to `auto`");
    }
    let most = sight.most_statements.unwrap_or_default();
    let inside = match sight.track.as_deref() {
        Some("all") => "those of functions, too",
        _ => "those of functions are hidden in the statement that calls them",
    };
    met(
        "statements",
        format!("pg_stat_statements {version} counts up to {most} statements; {inside}"),
    )
}

fn others(sight: &Sight) -> Need {
    let role = &sight.role;
    if sight.sees_others {
        return met("others", format!("`{role}` sees the statements of every role"));
    }
    Need {
        name: "others",
        state: State::Lacking,
        sentence: format!(
            "`{role}` sees only its own statements: of the application's nothing can be said, unless it connects as `{role}`"
        ),
        remedy: Some(format!("GRANT pg_read_all_stats TO {role}")),
    }
}

fn values(sight: &Sight, column: &ColumnPath) -> Need {
    let (role, table) = (&sight.role, column.table.dotted());
    if sight.reads_table {
        return met(
            "values",
            format!(
                "`{role}` may read `{table}`, and so what ANALYZE knows of it and how it is planned"
            ),
        );
    }
    Need {
        name: "values",
        state: State::Lacking,
        sentence: format!(
            "`{role}` may not read `{table}`: of how many values are NULL or distinct, and of which statements use an index, nothing can be said"
        ),
        remedy: Some(format!("GRANT SELECT ON {table} TO {role}")),
    }
}

fn system(sight: &Sight) -> Need {
    if sight.knows_system {
        return met("system", "another server behind the same URL would be noticed");
    }
    let role = &sight.role;
    Need {
        name: "system",
        state: State::Lacking,
        sentence: format!(
            "`{role}` may not ask which cluster it is: another one behind the same URL would go unnoticed where its version and its numbers are the same"
        ),
        remedy: Some(format!("GRANT pg_monitor TO {role}")),
    }
}

fn of_mysql(sight: &Sight, mysql: &MysqlSight, column: &ColumnPath) -> Vec<Need> {
    let mut needs = vec![table(sight, column), digests(sight, mysql)];
    needs.extend((mysql.product == Product::Mariadb).then(|| userstat(mysql)));
    if mysql.is_on {
        needs.push(texts(mysql));
        needs.extend(prepared(mysql));
    }
    needs
}

fn userstat(mysql: &MysqlSight) -> Need {
    if mysql.has_userstat {
        return met(
            "userstat",
            "userstat is on: entries of indexes that are written with a row are counted",
        );
    }
    Need {
        name: "userstat",
        state: State::Lacking,
        sentence: "userstat is off: how many entries of indexes are written with a row cannot be said".to_owned(),
        remedy: Some("put `userstat = 1` into [mysqld], or let an administrator run `SET GLOBAL userstat = 1`: the watch sets nothing".to_owned()),
    }
}

fn digests(sight: &Sight, mysql: &MysqlSight) -> Need {
    let missing = |sentence: String, remedy: &str| Need {
        name: "statements",
        state: State::Missing,
        sentence,
        remedy: Some(remedy.to_owned()),
    };
    let role = &sight.role;
    if !mysql.is_on {
        let default = match mysql.product {
            Product::Mariadb => ", as it is by default",
            _ => "",
        };
        return missing(
            format!(
                "performance_schema is off{default}: nothing can be said of statements, nor of how indexes are used"
            ),
            "put `performance_schema = ON` into [mysqld] and restart the server",
        );
    }
    if !sight.has_statements() {
        return missing(
            format!("`{role}` may not read performance_schema: nothing can be said of statements"),
            "let an administrator run `GRANT SELECT ON performance_schema.* TO` the role",
        );
    }
    if !mysql.counts_digests {
        return missing(
            "the consumer `statements_digest` is off: no statement is counted".to_owned(),
            "put `performance_schema_consumer_statements_digest = ON` into [mysqld] and restart the server",
        );
    }
    let most = sight.most_statements.unwrap_or_default();
    met(
        "statements",
        match mysql.product {
            Product::Mariadb => {
                format!("up to {most} digests are counted, of statements that are sent as texts")
            }
            _ => format!("up to {most} digests are counted"),
        },
    )
}

/// Says that executions are missing, where there are any.
fn prepared(mysql: &MysqlSight) -> Option<Need> {
    let (prepared, all) = mysql.executions;
    (prepared > 0).then(|| Need {
        name: "prepared",
        state: State::Lacking,
        sentence: format!(
            "{prepared} of {all} executions were sent prepared, as Diesel does, which this server counts by no statement: of these nothing can be said"
        ),
        remedy: Some(
            "let the application measure its statements (docs/watch.md), and use --from".to_owned(),
        ),
    })
}

fn texts(mysql: &MysqlSight) -> Need {
    let length = mysql.digest_length;
    if length >= LONG_ENOUGH {
        return met("texts", format!("digests reach {length} bytes of a statement"));
    }
    Need {
        name: "texts",
        state: State::Lacking,
        sentence: format!(
            "digests reach {length} bytes of a statement: of longer ones, as with many columns, nothing can be said, and several may count as one"
        ),
        remedy: Some(format!(
            "put `max_digest_length = {LONG_ENOUGH}` and `performance_schema_max_digest_length = {LONG_ENOUGH}` into [mysqld] and restart the server"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sight() -> Sight {
        Sight {
            role: "watcher".to_owned(),
            version: 150_018,
            has_table: true,
            reads_table: true,
            extension: Some("1.10".to_owned()),
            is_loaded: true,
            most_statements: Some(5000),
            track: Some("top".to_owned()),
            numbers: Some("auto".to_owned()),
            sees_others: true,
            knows_system: true,
            ..Sight::default()
        }
    }

    fn said(sight: &Sight) -> String {
        let line = |need: Need| {
            let remedy = need.remedy.map(|remedy| format!(" [{remedy}]")).unwrap_or_default();
            format!("{:?} {}{remedy}", need.state, need.sentence)
        };
        needs(sight, &"users.locale".parse().unwrap())
            .into_iter()
            .map(line)
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn all_is_well() {
        insta::assert_snapshot!(said(&sight()), @"
        Met `users.locale` is not there yet: a baseline can still be taken
        Met pg_stat_statements 1.10 counts up to 5000 statements; those of functions are hidden in the statement that calls them
        Met `watcher` sees the statements of every role
        Met `watcher` may read `users`, and so what ANALYZE knows of it and how it is planned
        Met another server behind the same URL would be noticed
        ");
    }

    #[test]
    fn a_role_that_sees_little() {
        let little = Sight {
            has_column: true,
            reads_table: false,
            sees_others: false,
            knows_system: false,
            track: Some("all".to_owned()),
            ..sight()
        };
        insta::assert_snapshot!(said(&little), @"
        Met `users.locale` is there: a baseline taken now proves nothing any more
        Met pg_stat_statements 1.10 counts up to 5000 statements; those of functions, too
        Lacking `watcher` sees only its own statements: of the application's nothing can be said, unless it connects as `watcher` [GRANT pg_read_all_stats TO watcher]
        Lacking `watcher` may not read `users`: of how many values are NULL or distinct, and of which statements use an index, nothing can be said [GRANT SELECT ON users TO watcher]
        Lacking `watcher` may not ask which cluster it is: another one behind the same URL would go unnoticed where its version and its numbers are the same [GRANT pg_monitor TO watcher]
        ");
    }

    #[test]
    fn each_way_to_have_no_statements() {
        let first = |sight: Sight| said(&sight).lines().nth(1).unwrap_or_default().to_owned();
        let all = [
            first(Sight { is_loaded: false, ..sight() }),
            first(Sight { extension: None, ..sight() }),
            first(Sight { track: Some("none".to_owned()), ..sight() }),
            first(Sight { numbers: Some("off".to_owned()), ..sight() }),
            said(&Sight { has_table: false, ..sight() }).lines().next().unwrap().to_owned(),
        ];
        insta::assert_snapshot!(all.join("\n"), @"
        Missing pg_stat_statements is not loaded: nothing can be said of statements, only of the table and its indexes [add it to shared_preload_libraries and restart the server]
        Missing pg_stat_statements is loaded, but not an extension of this database: nothing can be said of statements, only of the table and its indexes [let its owner run `CREATE EXTENSION pg_stat_statements`: the watch creates nothing]
        Missing pg_stat_statements.track is `none`: no statement is counted [set it to `top`, or to `all` to see into functions]
        Missing compute_query_id is `off`: no statement is counted [set it to `auto`]
        Missing there is no table `users` that `watcher` may see, so nothing can be said [pass the URL of a database that has it, or grant USAGE on its schema]
        ");
    }
}
