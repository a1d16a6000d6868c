//! Facts from SQLite's schema table and pragmas.

use sqlparser::tokenizer::{Token, Tokenizer};

use super::{Catalog, FactsError, Fields};
use crate::{
    backend::Backend,
    contract::fragment::dialect,
    db::quote::literal,
    ident::{Ident, TableName},
    plan::facts::{ColumnFacts, Source, SqliteTable, TableFacts},
    render::text,
};

pub(super) fn read(catalog: &mut Catalog<'_>) -> Result<TableFacts, FactsError> {
    let place = find(catalog)?;
    let (columns, primary_key) = columns(catalog, &place)?;
    let table = statements(catalog, &place)?;
    let update_triggers = table
        .attached
        .iter()
        .filter(|(_, sql)| watched(sql) == Some(Watched::Any))
        .map(|(name, _)| name);
    Ok(TableFacts {
        server: catalog.session.server(),
        source: Source::Server,
        rows: rows(catalog, &place)?,
        columns,
        primary_key,
        children: children(catalog, &place)?,
        heirs: Vec::new(),
        update_triggers: update_triggers.cloned().collect(),
        partitioned: false,
        default_volatility: None,
        type_rewrites: None,
        hindrance: None,
        strict: true,
        sqlite: Some(table),
    })
}

/// Where the table lies: literals for pragmas, names for tables.
pub(crate) struct Place {
    pub(crate) schema: String,
    schema_table: String,
    statistics: String,
    pub(crate) name: String,
    without_rowid: bool,
}

/// Looks the table up as SQLite does.
pub(crate) fn find(catalog: &mut Catalog<'_>) -> Result<Place, FactsError> {
    let wanted = literal(Backend::Sqlite, catalog.table.name.as_str());
    let schema = match &catalog.table.schema {
        Some(schema) => {
            format!("AND schema = {} COLLATE NOCASE", literal(Backend::Sqlite, schema.as_str()))
        }
        None => String::new(),
    };
    // SQLite looks at temp, then main, then what is attached.
    let found = catalog.ask(&format!(
        "SELECT l.schema, l.name, l.type, l.wr FROM pragma_table_list l \
         JOIN pragma_database_list d ON d.name = l.schema \
         WHERE l.name = {wanted} COLLATE NOCASE {} ORDER BY l.schema <> 'temp', d.seq LIMIT 1",
        schema.replace("schema", "l.schema")
    ))?;
    let Some(row) = found.into_iter().next() else {
        let all = catalog.tables(
            "SELECT CASE WHEN schema IN ('main', 'temp') THEN NULL ELSE schema END, name \
             FROM pragma_table_list WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
        )?;
        return Err(catalog.no_table(all));
    };
    let mut fields = Fields::from(row);
    let (schema, name, kind) = (fields.text(), fields.text(), fields.text());
    match kind.as_str() {
        "table" => {}
        "view" => return Err(catalog.not_a_table("a view")),
        "virtual" => return Err(catalog.not_a_table("a virtual table")),
        _ => return Err(catalog.not_a_table("part of a virtual table")),
    }
    let quoted = text::quote(Backend::Sqlite, &schema);
    Ok(Place {
        schema: literal(Backend::Sqlite, &schema),
        schema_table: format!("{quoted}.sqlite_schema"),
        statistics: format!("{quoted}.sqlite_stat1"),
        name: literal(Backend::Sqlite, &name),
        without_rowid: fields.yes(),
    })
}

/// The first number of any index is the number of rows when ANALYZE ran.
fn rows(catalog: &mut Catalog<'_>, place: &Place) -> Result<Option<u64>, FactsError> {
    let Place { schema_table, statistics, name, .. } = place;
    let analysed = format!("SELECT 1 FROM {schema_table} WHERE name = 'sqlite_stat1'");
    if catalog.ask(&analysed)?.is_empty() {
        return Ok(None);
    }
    // A partial index knows only its own rows, so the largest number is the best.
    let found = catalog.ask(&format!(
        "SELECT max(CAST(stat AS INTEGER)) FROM {statistics} WHERE tbl = {name} COLLATE NOCASE"
    ))?;
    Ok(found.into_iter().next().and_then(|row| Fields::from(row).text().parse().ok()))
}

fn columns(
    catalog: &mut Catalog<'_>,
    place: &Place,
) -> Result<(Vec<ColumnFacts>, Vec<Ident>), FactsError> {
    let Place { schema, name, without_rowid, .. } = place;
    let found = catalog.ask(&format!(
        "SELECT name, type, \"notnull\", dflt_value, hidden, pk \
         FROM pragma_table_xinfo({name}, {schema}) WHERE hidden <> 1 ORDER BY cid"
    ))?;
    let mut columns = Vec::new();
    let mut key: Vec<(u32, Ident)> = Vec::new();
    for row in found {
        let mut fields = Fields::from(row);
        let name = catalog.ident(fields.text())?;
        let sql_type = fields.text();
        let not_null = fields.yes();
        let default = fields.next();
        let generated = matches!(fields.text().as_str(), "2" | "3");
        if let Ok(at @ 1..) = fields.text().parse::<u32>() {
            key.push((at, name.clone()));
        }
        columns.push(ColumnFacts {
            name,
            sql_type: Some(sql_type),
            nullable: !not_null,
            default,
            generated,
            comment: None,
        });
    }
    key.sort();
    // A key of one INTEGER is the rowid itself, and no key of a table without rowid takes NULL.
    for column in &mut columns {
        let of_key = key.iter().any(|(_, name)| *name == column.name);
        let integer = column.sql_type.as_ref().is_some_and(|ty| ty.eq_ignore_ascii_case("integer"));
        if of_key && (*without_rowid || (key.len() == 1 && integer)) {
            column.nullable = false;
        }
    }
    Ok((columns, key.into_iter().map(|(_, name)| name).collect()))
}

fn children(catalog: &mut Catalog<'_>, place: &Place) -> Result<Vec<TableName>, FactsError> {
    let Place { schema, schema_table, name, .. } = place;
    catalog.tables(&format!(
        "SELECT DISTINCT NULL, m.name FROM {schema_table} m \
         JOIN pragma_foreign_key_list(m.name, {schema}) f \
         WHERE m.type = 'table' AND f.\"table\" = {name} COLLATE NOCASE ORDER BY m.name"
    ))
}

/// Reads the stored statements of a table and all that hangs on it, in the order they were made.
pub(crate) fn statements(
    catalog: &mut Catalog<'_>,
    place: &Place,
) -> Result<SqliteTable, FactsError> {
    let Place { schema_table, name, without_rowid, .. } = place;
    let found = catalog.ask(&format!(
        "SELECT name, sql, type = 'table' FROM {schema_table} \
         WHERE tbl_name = {name} COLLATE NOCASE AND type IN ('table', 'index', 'trigger') \
           AND sql IS NOT NULL ORDER BY rowid"
    ))?;
    let mut table =
        SqliteTable { create: String::new(), attached: Vec::new(), without_rowid: *without_rowid };
    for row in found {
        let mut fields = Fields::from(row);
        let (name, sql) = (fields.text(), fields.text());
        if fields.yes() {
            table.create = sql;
        } else {
            table.attached.push((catalog.ident(name)?, sql));
        }
    }
    Ok(table)
}

/// What an UPDATE must change for a trigger to fire.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Watched {
    /// Any column.
    Any,
    /// One of these.
    Columns(Vec<String>),
}

impl Watched {
    /// Reports whether an UPDATE of this column fires the trigger.
    pub(crate) fn includes(&self, column: &Ident) -> bool {
        match self {
            Self::Any => true,
            Self::Columns(names) => {
                names.iter().any(|name| name.eq_ignore_ascii_case(column.as_str()))
            }
        }
    }
}

/// Returns what a stored trigger on UPDATE watches; `None` for every other statement.
///
/// Up to its first ON, a trigger says when it fires; none of these words is a name without quotes.
/// Where the text cannot be read, it may watch anything. Ours name the columns they watch.
pub(crate) fn watched(sql: &str) -> Option<Watched> {
    let kind: Vec<String> = sql.split_whitespace().take(2).map(str::to_uppercase).collect();
    if kind != ["CREATE", "TRIGGER"] {
        return None;
    }
    let Ok(tokens) = Tokenizer::new(dialect(Backend::Sqlite), sql).tokenize() else {
        return Some(Watched::Any);
    };
    let keyword = |token: &Token, keyword: &str| {
        matches!(token, Token::Word(word) if word.quote_style.is_none()
            && word.value.eq_ignore_ascii_case(keyword))
    };
    let head: Vec<Token> = tokens.into_iter().take_while(|token| !keyword(token, "ON")).collect();
    let at = head.iter().position(|token| keyword(token, "UPDATE"))?;
    let names: Vec<String> = head[at + 1..]
        .iter()
        .filter_map(|token| match token {
            Token::Word(word) => Some(word.value.clone()),
            Token::SingleQuotedString(name) => Some(name.clone()),
            _ => None,
        })
        .collect();
    Some(match names.split_first() {
        None => Watched::Any,
        // OF, and what it names.
        Some((_, columns)) => Watched::Columns(columns.to_vec()),
    })
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use crate::{
        db::{DatabaseUrl, OpenOptions, Session, facts::read_table},
        ident::Ident,
    };

    #[test]
    fn a_table_with_everything() {
        let mut session = Session::open(&DatabaseUrl::memory(), &OpenOptions::create()).unwrap();
        session
            .batch(
                "CREATE TABLE users (
                    id INTEGER PRIMARY KEY,
                    \"e mail\" TEXT NOT NULL DEFAULT 'it''s',
                    age INT DEFAULT (1 + 1),
                    upper TEXT AS (upper(\"e mail\")) VIRTUAL,
                    boss INTEGER REFERENCES users (id)
                );
                CREATE UNIQUE INDEX by_mail ON users (\"e mail\");
                CREATE TRIGGER touch AFTER UPDATE ON users BEGIN SELECT 1; END;
                CREATE TRIGGER \"UPDATE\" AFTER UPDATE OF age ON users BEGIN SELECT 1; END;
                CREATE TRIGGER made INSERT ON users BEGIN UPDATE users SET age = 1; END;
                CREATE TABLE orders (
                    b TEXT, a INT, user_id INT REFERENCES USERS, PRIMARY KEY (a, b)
                ) WITHOUT ROWID;
                CREATE VIEW adults AS SELECT id FROM users WHERE age > 17;
                INSERT INTO users (id, \"e mail\") VALUES (1, 'a'), (2, 'b');",
            )
            .unwrap();
        let facts = read_table(&mut session, &"Users".parse().unwrap()).unwrap();
        assert_eq!(facts.rows, None);
        let columns: Vec<String> = facts
            .columns
            .iter()
            .map(|c| {
                format!(
                    "{} {:?} nullable={} default={:?} generated={}",
                    c.name, c.sql_type, c.nullable, c.default, c.generated
                )
            })
            .collect();
        insta::assert_snapshot!(columns.join("\n"), @r#"
        id Some("INTEGER") nullable=false default=None generated=false
        e mail Some("TEXT") nullable=false default=Some("'it''s'") generated=false
        age Some("INT") nullable=true default=Some("1 + 1") generated=false
        upper Some("TEXT") nullable=true default=None generated=true
        boss Some("INTEGER") nullable=true default=None generated=false
        "#);
        let names = |names: &[crate::ident::TableName]| {
            names.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(names(&facts.children), ["orders", "users"]);
        let statements = facts.sqlite.unwrap();
        assert!(statements.create.starts_with("CREATE TABLE users ("), "{}", statements.create);
        let attached: Vec<&str> = statements.attached.iter().map(|(n, _)| n.as_str()).collect();
        assert_eq!(attached, ["by_mail", "touch", "UPDATE", "made"]);
        assert_eq!(facts.update_triggers.iter().map(Ident::as_str).collect::<Vec<_>>(), ["touch"]);
        session.batch("ANALYZE").unwrap();
        let facts = read_table(&mut session, &"main.users".parse().unwrap()).unwrap();
        assert_eq!(facts.rows, Some(2));

        let facts = read_table(&mut session, &"orders".parse().unwrap()).unwrap();
        let key: Vec<&str> = facts.primary_key.iter().map(crate::ident::Ident::as_str).collect();
        assert_eq!(key, ["a", "b"]);
        assert!(facts.sqlite.unwrap().without_rowid);
        assert!(facts.columns.iter().take(2).all(|c| !c.nullable) && facts.columns[2].nullable);

        let why = |session: &mut Session, name: &str| {
            let error = read_table(session, &name.parse().unwrap()).unwrap_err();
            format!("{error}; {:?}", error.hint())
        };
        let cases = ["user", "adults", "nothing_like_it"].map(|name| why(&mut session, name));
        insta::assert_snapshot!(cases.join("\n"), @r#"
        there is no table `user` in SQLite file :memory:; Some("did you mean `users`?")
        `adults` is a view, not a table; None
        there is no table `nothing_like_it` in SQLite file :memory:; None
        "#);
    }
}
