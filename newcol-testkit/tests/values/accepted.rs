//! Samples and edges of every type are taken by its server, and samples are distinct there.

use newcol_core::{
    backend::{Backend, Product},
    db::{DatabaseUrl, OpenOptions, Session},
};
use newcol_testkit::{
    ScratchDb, Want,
    values::{self, ColumnType},
};

/// Every type of PostgreSQL that a column can have, and of the extensions at hand.
const POSTGRES: &str = "
    bool; smallint; integer; bigint; smallserial; serial; bigserial; oid; xid8; real; double
    precision; float(24); float(25); numeric; numeric(1); numeric(10,2); numeric(40,20); money;
    text; varchar; varchar(1); varchar(13); varchar(40); char; char(5); bpchar; \"char\"; name;
    citext; bytea; date; time; time(0); time(3) with time zone; timestamp; timestamp(0);
    timestamp(3) without time zone; timestamptz; timestamptz(0); interval; interval year;
    interval year to month; interval day; interval day to hour; interval minute to second(3);
    interval(0); uuid; json; jsonb; inet; cidr; macaddr; macaddr8; pg_lsn; bit; bit(7); bit(70);
    varbit; bit varying(9); xml; tsvector; tsquery; jsonpath; point; line; lseg; box; path;
    polygon; circle; tid; hstore; ltree; cube; mood; \"My Mood\"; int4range; int8range;
    numrange; daterange; tsrange; tstzrange; bool[]; smallint[]; integer[3]; bigint ARRAY;
    real[]; double precision[][]; numeric(10,2)[]; text[]; varchar(5)[]; citext[]; bytea[];
    date[]; time[]; timestamp[]; timestamptz[]; interval[]; uuid[]; json[]; jsonb[]; inet[];
    macaddr[]; mood[]; int4range[]; tstzrange[]; bit(3)[]; point[]; hstore[]; money[]";

const POSTGRES_14: &str = ";
    int4multirange; int8multirange; nummultirange; datemultirange; tsmultirange; tstzmultirange";

/// Every type of MySQL and MariaDB.
const MYSQL: &str = "
    bool; tinyint(1); tinyint; tinyint unsigned; smallint; smallint unsigned; mediumint;
    mediumint unsigned; int; int(11) unsigned; bigint; bigint(20) unsigned zerofill; decimal;
    decimal(10,2); numeric(65,30); decimal(4,4) unsigned; float; float(5,2); float(30); double;
    double(10,3) unsigned; char; char(5); varchar(1); varchar(20); varchar(20) character set
    latin1; nvarchar(9); tinytext; text; text(9); mediumtext; longtext; binary; binary(3);
    binary(16); varbinary(2); varbinary(20); tinyblob; blob; mediumblob; longblob; date; time;
    time(6); datetime; datetime(3); datetime(6); timestamp; timestamp(6); year; json;
    enum('a','b''c'); set('a','b','c'); bit; bit(9); bit(64); geometry; point; linestring;
    polygon; multipoint; multilinestring; multipolygon; geometrycollection";

const MARIADB: &str = "; uuid; inet4; inet6";

/// Every kind of declared type that Diesel tells apart on SQLite, and what it refuses.
const SQLITE: &str = "
    ; BOOLEAN; TINYINT; SMALLINT; INT2; INTEGER; INT; MEDIUMINT; BIGINT; INT8; TEXT; VARCHAR(3);
    VARCHAR(255); CLOB; BLOB; BINARY(3); REAL; FLOAT; DOUBLE; NUMERIC; DECIMAL(10,2);
    DECIMAL(30,10); DATETIME; TIMESTAMP; TIMESTAMPTZ; DATE; TIME; UUID; JSON; JSONB; ANY; STRING";

/// The first values, the last that are distinct, and some between.
fn numbers(capacity: Option<u64>) -> Vec<u64> {
    let last = capacity.unwrap_or(u64::MAX) - 1;
    let mut numbers = vec![0, 1, 2, 3, 35, 36, 99, 12_345, last / 2, last / 2 + 1, last - 1, last];
    numbers.retain(|n| *n <= last);
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// Returns what the server says against each type.
fn complaints(session: &mut Session, product: Product, types: &str) -> Vec<String> {
    let labels = ["sad".to_owned(), "it's".to_owned(), "ok".to_owned()];
    let mut complaints = Vec::new();
    for (at, sql) in types.split(';').map(str::trim).enumerate() {
        let labels: &[String] = if sql.to_lowercase().contains("mood") { &labels } else { &[] };
        let ty = ColumnType { product, sql, labels };
        let numbers = numbers(values::capacity(&ty).unwrap());
        let rows: Vec<String> = numbers
            .iter()
            .map(|n| format!("({}, {})", n % 1000, values::sample(&ty, *n).unwrap()))
            .collect();
        let text = match product {
            Product::Postgres => "c::text",
            // No cast: samples are distinct in every collation.
            Product::Mysql | Product::Mariadb => "c",
            Product::Sqlite => "quote(c)",
        };
        let ran = session
            .batch(&format!("CREATE TABLE t{at} (n int, c {sql})"))
            .and_then(|()| session.batch(&format!("INSERT INTO t{at} VALUES {}", rows.join(", "))))
            .and_then(|()| session.value(&format!("SELECT count(DISTINCT {text}) FROM t{at}")));
        match ran {
            Ok(Some(count)) if count == numbers.len().to_string() => {}
            Ok(count) => complaints.push(format!("{sql}: {count:?} of {rows:?}")),
            Err(error) => complaints.push(format!("{sql}: {error}: {:?}", error.failure())),
        }
        for edge in values::edges(&ty).unwrap() {
            if let Err(error) =
                session.batch(&format!("INSERT INTO t{at} VALUES (0, {})", edge.sql))
            {
                let said = error.failure().map_or("", |failure| &failure.message);
                complaints.push(format!("{sql}: {edge:?}: {said}"));
            }
        }
    }
    complaints
}

fn session(db: &ScratchDb) -> Session {
    Session::open(&DatabaseUrl::parse(db.url()).unwrap(), &OpenOptions::create()).unwrap()
}

#[test]
fn every_version_of_postgres_takes_values_of_every_type() {
    for major in [13, 15, 18] {
        let Some(db) = ScratchDb::require(Want::postgres().version(major)) else { continue };
        let mut session = session(&db);
        for extension in ["citext", "hstore", "ltree", "cube"] {
            session.batch(&format!("CREATE EXTENSION {extension}")).unwrap();
        }
        for name in ["mood", "\"My Mood\""] {
            session.batch(&format!("CREATE TYPE {name} AS ENUM ('sad', 'it''s', 'ok')")).unwrap();
        }
        let newer = if major > 13 { POSTGRES_14 } else { "" };
        let types = [POSTGRES, newer].concat();
        let refused = complaints(&mut session, Product::Postgres, &types);
        assert!(refused.is_empty(), "PostgreSQL {major}: {refused:#?}");
    }
}

#[test]
fn mysql_takes_values_of_every_type() {
    let Some(db) = ScratchDb::require(Backend::Mysql) else { return };
    let product = db.server().unwrap().product;
    let own = if product == Product::Mariadb { MARIADB } else { "" };
    let refused = complaints(&mut session(&db), product, &[MYSQL, own].concat());
    assert!(refused.is_empty(), "{refused:#?}");
}

#[test]
fn sqlite_takes_values_of_every_type() {
    let db = ScratchDb::sqlite().unwrap();
    let refused = complaints(&mut session(&db), Product::Sqlite, SQLITE);
    assert!(refused.is_empty(), "{refused:#?}");
}
