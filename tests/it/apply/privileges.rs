//! What a user may not do is said before anything runs, and the least that it needs is enough.

use newcol_core::{
    backend::Backend,
    db::{DatabaseUrl, OpenOptions},
    execute::apply::{
        Answer, Apply, ApplyError, BlockerPolicy, Event, Others, Outcome, Settings, SqlMigration,
    },
};
use newcol_testkit::{ScratchDb, Want, schema_dump};

use super::{
    apply, apply_and, hasty, migration, recorded, session, value,
    whole::{App, every_stage},
};
use crate::desk::{self, newcol};

/// A user of its own, under a name that no other test has: users are the server's.
pub(super) struct User {
    pub(super) name: String,
    pub(super) url: String,
}

impl User {
    pub(super) fn new(db: &ScratchDb, part: &str) -> Self {
        let database = database(db);
        let name: String = format!("{part}_{:08x}", fnv(&database));
        let url = db.url().to_owned();
        let (_, place) = url.rsplit_once('@').unwrap();
        let scheme = url.split("://").next().unwrap();
        let url = match db.backend() {
            Backend::Postgres => format!("{scheme}://{name}@{place}"),
            Backend::Mysql | Backend::Sqlite => format!("{scheme}://{name}:secret@{place}"),
        };
        Self { name, url }
    }
}

fn database(db: &ScratchDb) -> String {
    value(
        db,
        match db.backend() {
            Backend::Postgres => "SELECT current_database()",
            Backend::Mysql | Backend::Sqlite => "SELECT database()",
        },
    )
}

/// Short enough for the names of users on every engine.
fn fnv(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

pub(super) fn run(db: &ScratchDb, statements: &str) {
    let statements: Vec<&str> =
        statements.split(';').map(str::trim).filter(|text| !text.is_empty()).collect();
    db.run(&statements).unwrap();
}

/// A column's whole life, carried by a user that may do what `docs/privileges.md` lists.
fn the_whole_life(app: &App, url: &str) {
    let run = |args: &[&str]| newcol(&app.project, &[args, &["--database-url", url]].concat());
    app.db.run(&["INSERT INTO users (id, name) VALUES (1, 'Ann'), (2, 'Bob')"]).unwrap();
    drop(newcol(&app.project, &every_stage()).success());
    let output = run(&["apply", "users.locale", "--yes"]).success();
    assert_eq!(output.stderr.matches("note: ").count(), 1, "{output}");
    drop(run(&["backfill", "users.locale", "--yes"]).success());
    drop(run(&["verify", "users.locale"]).success());
    while run(&["next", "users.locale", "--confirm-release", "all pods are new"]).code() == Some(0)
    {
        drop(run(&["apply", "users.locale", "--yes"]).success());
    }
    drop(run(&["status", "users.locale"]).success());
    let rows = app.db.rows("SELECT locale FROM users ORDER BY id").unwrap();
    let names: Vec<_> = rows.into_iter().flatten().flatten().collect();
    assert_eq!(names, ["ann", "bob"]);
    let last = value(&app.db, "SELECT max(version) FROM __diesel_schema_migrations");
    let revert =
        SqlMigration::in_dir(app.db.backend(), &app.project.schema_dir().join("migrations"))
            .unwrap()
            .into_iter()
            .filter(|m| m.version == last)
            .collect::<Vec<_>>();
    let url = DatabaseUrl::parse(url).unwrap();
    Apply::new(&url, OpenOptions::write()).revert(&revert, &|_| Answer::Go).unwrap();
}

/// Takes the SQL of a section of the guide, with the names of a test in it.
fn documented(section: &str, names: &[(&str, &str)]) -> String {
    let guide = include_str!("../../../docs/privileges.md");
    let (_, rest) = guide.split_once(&format!("## {section}\n")).unwrap();
    let (_, rest) = rest.split_once("```sql\n").unwrap();
    let (sql, _) = rest.split_once("```").unwrap();
    let sql: Vec<&str> =
        sql.lines().map(|line| line.split("--").next().unwrap_or_default()).collect();
    names.iter().fold(sql.join("\n"), |sql, (from, to)| sql.replace(from, to))
}

#[test]
fn the_documented_role_is_enough_on_postgres() {
    let Some(app) = App::new(Want::postgres()) else { return };
    drop(app.apply(&["--all"]).success());
    let (owner, user) = (User::new(&app.db, "o").name, User::new(&app.db, "m"));
    run(
        &app.db,
        &format!(
            "REVOKE ALL ON SCHEMA public FROM PUBLIC; CREATE ROLE {owner}; ALTER TABLE users OWNER TO {owner}"
        ),
    );
    run(&app.db, &documented("PostgreSQL", &[("app_owner", &owner), ("migrator", &user.name)]));
    the_whole_life(&app, &user.url);
    run(&app.db, &format!("DROP OWNED BY {0}, {owner} CASCADE; DROP ROLE {0}, {owner}", user.name));
}

#[test]
fn the_documented_role_is_enough_on_mariadb() {
    let Some(app) = App::new(Want::mysql()) else { return };
    drop(app.apply(&["--all"]).success());
    let user = User::new(&app.db, "m");
    let database = database(&app.db);
    run(
        &app.db,
        &documented("MySQL and MariaDB", &[("migrator", &user.name), ("shop", &database)]),
    );
    the_whole_life(&app, &user.url);
    run(&app.db, &format!("DROP USER '{}'@'%'", user.name));
}

/// Takes one privilege after the other from a user. Each refusal comes before anything runs, and
/// the statement that it names is enough.
fn each_is_missed(
    want: Want,
    tables: &str,
    migrations: &[SqlMigration],
    gives: impl Fn(&ScratchDb, &User) -> (String, Vec<(&'static str, String)>, String),
) -> String {
    let mut said = String::new();
    for at in 0.. {
        let Some(db) = ScratchDb::require(want) else { return said };
        let user = User::new(&db, "m");
        run(&db, tables);
        let (all, mut takes, clean) = gives(&db, &user);
        run(&db, &all);
        if at == takes.len() {
            apply(&user.url, hasty(), migrations).done();
            run(&db, &clean);
            break;
        }
        let (case, take) = takes.remove(at);
        run(&db, &take);
        let before = schema_dump(db.url()).unwrap();
        let told = apply(&user.url, hasty(), migrations);
        let Err(error @ ApplyError::Privilege { .. }) = told.ended else {
            panic!("{case}: {:?}", told.ended)
        };
        assert_eq!(schema_dump(db.url()).unwrap(), before, "{case}");
        assert_eq!(told.events, [], "{case}");
        let ApplyError::Privilege { grant, .. } = &error else { unreachable!() };
        run(&db, grant);
        apply(&user.url, hasty(), migrations).done();
        assert_eq!(recorded(&db).len(), migrations.len(), "{case}");
        let database = database(&db);
        let text = format!("{case}: {error}\n  {}\n", error.hint().unwrap());
        let tail = &user.name[1..];
        said += &text.replace(tail, "").replace(&database, "shop");
        run(&db, &clean);
    }
    said
}

const HEADER: &str = "-- cargo newcol: users.locale, stage expand\n";

#[test]
fn every_missing_privilege_is_named_on_postgres() {
    let tables = "CREATE TABLE users (id integer PRIMARY KEY); CREATE TABLE places (id integer PRIMARY KEY); \
        CREATE TABLE heirs () INHERITS (users); \
        CREATE TABLE __diesel_schema_migrations (version varchar(50) PRIMARY KEY, run_on timestamp NOT NULL DEFAULT now())";
    let migrations = [
        migration(1, &format!("{HEADER}ALTER TABLE users ADD COLUMN locale integer;
            CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
            CREATE TRIGGER fill BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION fill();
            ALTER TABLE users ADD CONSTRAINT home FOREIGN KEY (locale) REFERENCES public.places (id) NOT VALID"), true),
        migration(2, &format!("{HEADER}CREATE INDEX CONCURRENTLY at_home ON users (locale)"), false),
    ];
    let on = |version| {
        each_is_missed(Want::postgres().version(version), tables, &migrations, |db, user| {
            let (owner, user) = (User::new(db, "o").name, &user.name);
            let all = format!(
                "CREATE ROLE {owner}; CREATE ROLE {user} LOGIN; GRANT {owner} TO {user}; \
             REVOKE ALL ON SCHEMA public FROM PUBLIC; GRANT USAGE, CREATE ON SCHEMA public TO {user}; \
             GRANT USAGE ON SCHEMA public TO {owner}; \
             REVOKE ALL ON LANGUAGE plpgsql FROM PUBLIC; GRANT USAGE ON LANGUAGE plpgsql TO {user}; \
             ALTER TABLE users OWNER TO {owner}; ALTER TABLE heirs OWNER TO {owner}; \
             GRANT REFERENCES ON places TO {user}; GRANT SELECT ON places TO {owner}; \
             GRANT SELECT, INSERT, DELETE ON __diesel_schema_migrations TO {user}"
            );
            let own = format!("{owner}, {user}");
            let takes = vec![
                ("not the owner", format!("REVOKE {owner} FROM {user}")),
                (
                    "does not inherit",
                    match db.server().unwrap().at_least(16, 0) {
                        true => format!("GRANT {owner} TO {user} WITH INHERIT FALSE"),
                        false => format!("ALTER ROLE {user} NOINHERIT"),
                    },
                ),
                ("owned by a superuser", "ALTER TABLE users OWNER TO newcol".to_owned()),
                ("heir of another", "ALTER TABLE heirs OWNER TO newcol".to_owned()),
                ("own right taken", format!("REVOKE TRIGGER ON users FROM {owner}")),
                ("no CREATE", format!("REVOKE CREATE ON SCHEMA public FROM {user}")),
                ("no USAGE", format!("REVOKE USAGE ON SCHEMA public FROM {own}")),
                (
                    "no Diesel's table and no CREATE",
                    format!(
                        "DROP TABLE __diesel_schema_migrations; REVOKE CREATE ON SCHEMA public FROM {user}"
                    ),
                ),
                ("no SELECT", format!("REVOKE SELECT ON __diesel_schema_migrations FROM {user}")),
                ("no INSERT", format!("REVOKE INSERT ON __diesel_schema_migrations FROM {user}")),
                ("no REFERENCES", format!("REVOKE REFERENCES ON places FROM {user}")),
                ("no language", format!("REVOKE USAGE ON LANGUAGE plpgsql FROM {user}")),
            ];
            (all, takes, format!("DROP OWNED BY {own}; DROP ROLE {own}"))
        })
    };
    let said = on(18);
    let older = said.replace(r#"GRANT "o" TO "m" WITH INHERIT TRUE"#, r#"ALTER ROLE "m" INHERIT"#);
    assert_eq!(on(13), older);
    insta::assert_snapshot!(said, @r#"
    not the owner: user `m` may not alter users, which `o` owns, nor alter heirs, which `o` owns
      let an administrator run: GRANT "o" TO "m"
    does not inherit: user `m` may not alter users, which `o` owns, nor alter heirs, which `o` owns
      let an administrator run: GRANT "o" TO "m" WITH INHERIT TRUE
    owned by a superuser: user `m` may not alter users, which `newcol` owns
      let an administrator run: ALTER TABLE users OWNER TO "m"
    heir of another: user `m` may not alter heirs, which `newcol` owns
      let an administrator run: ALTER TABLE heirs OWNER TO "m"
    own right taken: user `m` may not use TRIGGER on users
      let an administrator run: GRANT TRIGGER ON users TO "m"
    no CREATE: user `m` may not create indexes and functions in schema `public`
      let an administrator run: GRANT CREATE ON SCHEMA "public" TO "m"
    no USAGE: user `m` may not use schema `public`
      let an administrator run: GRANT USAGE ON SCHEMA "public" TO "m"
    no Diesel's table and no CREATE: user `m` may not create tables in schema `public`
      let an administrator run: GRANT CREATE ON SCHEMA "public" TO "m"
    no SELECT: user `m` may not read Diesel's table `__diesel_schema_migrations`
      let an administrator run: GRANT SELECT, INSERT, DELETE ON public.__diesel_schema_migrations TO "m"
    no INSERT: user `m` may not write to Diesel's table `__diesel_schema_migrations`
      let an administrator run: GRANT SELECT, INSERT, DELETE ON public.__diesel_schema_migrations TO "m"
    no REFERENCES: user `m` may not refer to public.places
      let an administrator run: GRANT REFERENCES ON public.places TO "m"
    no language: user `m` may not write functions in PL/pgSQL
      let an administrator run: GRANT USAGE ON LANGUAGE plpgsql TO "m"
    "#);
}

/// Partitions in another schema have their indexes there.
#[test]
fn privileges_in_the_schemas_of_partitions_are_named_too() {
    let tables = "CREATE SCHEMA store; \
        CREATE TABLE users (id integer PRIMARY KEY) PARTITION BY LIST (id); \
        CREATE TABLE store.one PARTITION OF users FOR VALUES IN (1); \
        CREATE TABLE __diesel_schema_migrations (version varchar(50) PRIMARY KEY, run_on timestamp NOT NULL DEFAULT now())";
    let header = HEADER.replace("expand", "index");
    let migrations = [migration(1, &format!("{header}CREATE INDEX ids ON users (id)"), true)];
    let said = each_is_missed(Want::postgres(), tables, &migrations, |_, user| {
        let user = &user.name;
        let all = format!(
            "CREATE ROLE {user} LOGIN; GRANT USAGE, CREATE ON SCHEMA public, store TO {user}; \
             ALTER TABLE users OWNER TO {user}; ALTER TABLE store.one OWNER TO {user}; \
             GRANT SELECT, INSERT, DELETE ON __diesel_schema_migrations TO {user}"
        );
        let takes = vec![
            ("no USAGE", format!("REVOKE USAGE ON SCHEMA store FROM {user}")),
            ("no CREATE", format!("REVOKE CREATE ON SCHEMA store FROM {user}")),
        ];
        (all, takes, format!("DROP OWNED BY {user}; DROP ROLE {user}"))
    });
    insta::assert_snapshot!(said, @r#"
    no USAGE: user `m` may not use schema `store`
      let an administrator run: GRANT USAGE ON SCHEMA "store" TO "m"
    no CREATE: user `m` may not create indexes and functions in schema `store`
      let an administrator run: GRANT CREATE ON SCHEMA "store" TO "m"
    "#);
}

/// A foreign key takes no more than the right to the column it points to.
#[test]
fn references_on_a_column_are_enough() {
    let Some(db) = ScratchDb::require(Want::postgres()) else { return };
    let user = User::new(&db, "m");
    run(
        &db,
        &format!(
            "CREATE TABLE places (id integer PRIMARY KEY); CREATE TABLE users (id integer, locale integer); \
             CREATE ROLE {0} LOGIN; GRANT USAGE, CREATE ON SCHEMA public TO {0}; \
             ALTER TABLE users OWNER TO {0}; GRANT REFERENCES (id) ON places TO {0}",
            user.name
        ),
    );
    let up = format!(
        "{HEADER}ALTER TABLE users ADD CONSTRAINT home FOREIGN KEY (locale) REFERENCES places (id) NOT VALID"
    );
    apply(&user.url, hasty(), &[migration(1, &up, true)]).done();
    run(&db, &format!("DROP OWNED BY {0}; DROP ROLE {0}", user.name));
}

#[test]
fn every_missing_privilege_is_named_on_mariadb() {
    let tables = "CREATE TABLE users (id integer PRIMARY KEY); CREATE TABLE places (id integer PRIMARY KEY); \
        CREATE TABLE __diesel_schema_migrations (version varchar(50) PRIMARY KEY, run_on timestamp NOT NULL DEFAULT now())";
    let migrations = [
        migration(1, &format!("{HEADER}ALTER TABLE users ADD COLUMN locale integer"), false),
        migration(
            2,
            &format!(
                "{HEADER}CREATE TRIGGER fill BEFORE INSERT ON users FOR EACH ROW SET NEW.locale = NEW.id"
            ),
            false,
        ),
        migration(3, &format!("{HEADER}CREATE TEMPORARY TABLE guard (a integer)"), false),
        migration(
            4,
            &format!(
                "{HEADER}ALTER TABLE users ADD CONSTRAINT home FOREIGN KEY (locale) REFERENCES places (id)"
            ),
            false,
        ),
    ];
    let said = each_is_missed(Want::mysql(), tables, &migrations, |db, user| {
        let (user, database) = (format!("'{}'@'%'", user.name), database(db));
        let all = format!(
            "CREATE USER {user} IDENTIFIED BY 'secret'; \
             GRANT CREATE TEMPORARY TABLES ON {database}.* TO {user}; \
             GRANT ALTER, SELECT, UPDATE, TRIGGER ON users TO {user}; \
             GRANT REFERENCES, SELECT ON places TO {user}; \
             GRANT CREATE, SELECT, INSERT, DELETE ON __diesel_schema_migrations TO {user}"
        );
        let on_users = ["ALTER", "SELECT", "UPDATE", "TRIGGER"];
        let mut takes: Vec<(&str, String)> = on_users
            .map(|privilege| (privilege, format!("REVOKE {privilege} ON users FROM {user}")))
            .into();
        takes.extend([
            ("no temporary tables", format!("REVOKE CREATE TEMPORARY TABLES ON {database}.* FROM {user}")),
            ("no REFERENCES", format!("REVOKE REFERENCES ON places FROM {user}")),
            ("no SELECT on the parent", format!("REVOKE SELECT ON places FROM {user}")),
            ("no SELECT of Diesel's", format!("REVOKE SELECT ON __diesel_schema_migrations FROM {user}")),
            ("no INSERT of Diesel's", format!("REVOKE INSERT ON __diesel_schema_migrations FROM {user}")),
            ("no Diesel's table and no CREATE", format!("DROP TABLE __diesel_schema_migrations; REVOKE CREATE ON __diesel_schema_migrations FROM {user}")),
        ]);
        (all, takes, format!("DROP USER {user}"))
    });
    insta::assert_snapshot!(said, @"
    ALTER: user `m@%` may not use ALTER on `shop`.`users`
      let an administrator run: GRANT ALTER ON `shop`.`users` TO 'm'@'%'
    SELECT: user `m@%` may not use SELECT on `shop`.`users`
      let an administrator run: GRANT SELECT ON `shop`.`users` TO 'm'@'%'
    UPDATE: user `m@%` may not use UPDATE on `shop`.`users`
      let an administrator run: GRANT UPDATE ON `shop`.`users` TO 'm'@'%'
    TRIGGER: user `m@%` may not use TRIGGER on `shop`.`users`
      let an administrator run: GRANT TRIGGER ON `shop`.`users` TO 'm'@'%'
    no temporary tables: user `m@%` may not make temporary tables in `shop`
      let an administrator run: GRANT CREATE TEMPORARY TABLES ON `shop`.* TO 'm'@'%'
    no REFERENCES: user `m@%` may not use REFERENCES on `shop`.`places`
      let an administrator run: GRANT REFERENCES ON `shop`.`places` TO 'm'@'%'
    no SELECT on the parent: user `m@%` may not use SELECT on `shop`.`places`
      let an administrator run: GRANT SELECT ON `shop`.`places` TO 'm'@'%'
    no SELECT of Diesel's: user `m@%` may not use SELECT on `shop`.`__diesel_schema_migrations`
      let an administrator run: GRANT SELECT ON `shop`.`__diesel_schema_migrations` TO 'm'@'%'
    no INSERT of Diesel's: user `m@%` may not use INSERT on `shop`.`__diesel_schema_migrations`
      let an administrator run: GRANT INSERT ON `shop`.`__diesel_schema_migrations` TO 'm'@'%'
    no Diesel's table and no CREATE: user `m@%` may not use CREATE on `shop`.`__diesel_schema_migrations`
      let an administrator run: GRANT CREATE ON `shop`.`__diesel_schema_migrations` TO 'm'@'%'
    ");
}

#[test]
fn a_file_that_takes_no_changes_is_refused() {
    let Some(db) = ScratchDb::require(Want::sqlite()) else { return };
    db.run(&["CREATE TABLE log (n INTEGER NOT NULL)"]).unwrap();
    let url = format!("file:{}?mode=ro", db.url());
    let told = apply(&url, hasty(), &[migration(1, "INSERT INTO log VALUES (1)", true)]);
    assert!(matches!(told.ended, Err(ApplyError::ReadOnly { .. })), "{:?}", told.ended);
    assert_eq!(told.events, []);
}

/// Who must not see others cannot tell that nobody is there.
#[test]
fn hidden_statements_do_not_open_gates() {
    let Some(app) = App::new(Want::postgres()) else { return };
    app.db.run(&["CREATE EXTENSION pg_stat_statements"]).unwrap();
    drop(app.apply(&["--all"]).success());
    let user = User::new(&app.db, "m");
    run(
        &app.db,
        &format!(
            "CREATE ROLE {} LOGIN; GRANT SELECT ON users, __diesel_schema_migrations TO {0}",
            user.name
        ),
    );
    drop(newcol(&app.project, desk::LOWER_NAME).success());
    drop(app.apply(&["users.locale"]).success());
    drop(app.run(&["backfill", "users.locale", "--yes"]).success());
    drop(app.run(&["next", "users.locale"]).success());
    drop(app.apply(&["users.locale"]).success());
    let next = ["next", "users.locale", "--observe", "300ms", "--database-url"];
    let refused = newcol(&app.project, &[&next[..], &[&user.url]].concat());
    assert_eq!(refused.code(), Some(3), "{refused}");
    assert!(refused.stderr.contains("only you can know"), "{refused}");
    run(&app.db, &format!("GRANT pg_read_all_stats TO {}", user.name));
    drop(newcol(&app.project, &[&next[..], &[&user.url]].concat()).success());
    run(&app.db, &format!("DROP OWNED BY {0}; DROP ROLE {0}", user.name));
}

/// A user that sees nobody else cannot name the other runner, and waits for it all the same.
#[test]
fn another_runner_is_met_by_a_user_that_sees_nobody() {
    let Some(db) = ScratchDb::require(Want::mysql()) else { return };
    let user = User::new(&db, "m");
    let name = format!("'{}'@'%'", user.name);
    run(
        &db,
        &format!(
            "CREATE USER {name} IDENTIFIED BY 'secret'; GRANT ALL ON {}.* TO {name}",
            database(&db)
        ),
    );
    let mut other = session(db.url(), "another runner");
    let lock = "SELECT get_lock(left(concat('newcol ', database()), 64), 0)";
    assert!(other.query_bool(lock).unwrap());
    let leave = Settings { others: Others::Leave, ..hasty() };
    let told = apply(&user.url, leave, &[migration(1, "SELECT 1", true)]);
    let Err(ApplyError::AnotherRunner { by, .. }) = told.ended else { panic!("{:?}", told.ended) };
    assert_eq!(by, []);
    drop(other);
    apply(&user.url, leave, &[migration(1, "SELECT 1", true)]).done();
    run(&db, &format!("DROP USER {name}"));
}

/// Who may not end what others do waits for them.
#[test]
fn what_may_not_be_ended_is_waited_for() {
    let Some(db) = ScratchDb::require(Want::postgres()) else { return };
    let (user, other) = (User::new(&db, "m"), User::new(&db, "o"));
    run(
        &db,
        &format!(
            "CREATE TABLE users (id integer PRIMARY KEY); CREATE ROLE {0} LOGIN; CREATE ROLE {1} LOGIN; \
         GRANT CREATE ON SCHEMA public TO {0}; GRANT SELECT ON users TO {1}; ALTER TABLE users OWNER TO {0}",
            user.name, other.name
        ),
    );
    let mut holder = session(&other.url, "holder");
    holder.batch("BEGIN; SELECT * FROM users").unwrap();
    let cancel = Settings { blockers: BlockerPolicy::Cancel, ..hasty() };
    let add = [migration(1, "ALTER TABLE users ADD COLUMN locale integer", true)];
    let told = apply_and(&user.url, cancel, &add, |event| match event {
        Event::Retry { tries: 2.., .. } => Answer::Stop,
        _ => Answer::Go,
    });
    assert!(matches!(told.ended, Ok(Outcome::Stopped(_))), "{:?}", told.ended);
    holder.batch("COMMIT").unwrap();
    apply(&user.url, cancel, &add).done();
    drop(holder);
    run(&db, &format!("DROP OWNED BY {0}, {1}; DROP ROLE {0}, {1}", user.name, other.name));
}
