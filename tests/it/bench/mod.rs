//! The benchmark's shape of a table, on real servers.

mod profile;
mod table;
mod workload;

use newcol_core::{
    bench::profile::{Profile, Secrecy, take},
    db::{DatabaseUrl, OpenOptions},
};
use newcol_testkit::ScratchDb;

/// A table with a column of nearly every kind, skewed, correlated, wide and empty ones.
const PEOPLE: &[&str] = &[
    "CREATE TYPE mood AS ENUM ('sad', 'so ''so''', 'glad')",
    "CREATE DOMAIN cents AS integer CHECK (VALUE >= 0)",
    "CREATE TABLE teams (id bigint PRIMARY KEY, name text NOT NULL)",
    "INSERT INTO teams SELECT n, 'team ' || n FROM generate_series(1, 500) n",
    "CREATE TABLE people (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), serial bigserial NOT NULL, \
     email text NOT NULL UNIQUE, country varchar(40) NOT NULL, bio text, score numeric(10,2), \
     age smallint CHECK (age >= 0), tags text[], data jsonb NOT NULL DEFAULT '{}', mood mood, \
     is_active boolean NOT NULL, born date, created_at timestamptz NOT NULL DEFAULT now(), \
     price cents, weight double precision, raw bytea, code char(6), \
     team_id bigint REFERENCES teams ON DELETE CASCADE) WITH (fillfactor = 90)",
    "INSERT INTO people (email, country, bio, score, age, tags, data, mood, is_active, born, \
     created_at, price, weight, raw, code, team_id) \
     SELECT 'secret' || n || '@example.org', \
     CASE WHEN n % 2 = 0 THEN 'Secretland' WHEN n % 5 = 0 THEN 'Wales' \
     ELSE 'country ' || n % 60 END, \
     CASE WHEN n % 3 > 0 THEN 'secret ' || repeat(md5(n::text), 1 + n % 9) END, \
     CASE WHEN n % 10 > 0 THEN (n * 7919 % 100000) / 100.0 END, (n * 31 % 97), \
     CASE WHEN n % 4 > 0 THEN ARRAY['secret' || n % 20, 'x' || n % 7] END, \
     jsonb_build_object('secret', n % 1000, 'x', repeat('y', n % 50)), \
     CASE WHEN n % 7 > 0 THEN (ARRAY['sad','so ''so''','glad']::mood[])[1 + (n % 11) / 4] END, \
     n % 20 > 0, DATE '1950-01-01' + n * 7919 % 20000, \
     TIMESTAMPTZ '2020-01-01' + n * INTERVAL '1 minute' + (n * 7919 % 600) * INTERVAL '1 second', \
     n * 13 % 5000, sqrt(n * 7919 % 10007), decode(md5(n::text), 'hex'), \
     lpad((n * 17 % 3000)::text, 6, '0'), 1 + n * 7919 % 500 \
     FROM generate_series(1, 20000) n",
    "CREATE INDEX people_country ON people (country, created_at)",
    "CREATE INDEX people_active ON people (created_at) WHERE is_active",
    "CREATE UNIQUE INDEX people_lower ON people (lower(email))",
    "ANALYZE people",
];

fn url(db: &ScratchDb) -> DatabaseUrl {
    DatabaseUrl::parse(db.url()).unwrap()
}

fn profile(db: &ScratchDb, table: &str, secrecy: Secrecy) -> Profile {
    take((&url(db), &OpenOptions::read()), &table.parse().unwrap(), secrecy).unwrap()
}
