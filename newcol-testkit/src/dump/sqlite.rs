//! SQLite's schema: its pragmas, and the parts of a table that only its SQL text tells.

use newcol_core::{backend::Backend, ident::TableName, render::text};

use super::{first_column, literal};
use crate::scratch::{AdminError, rows};

const COLUMNS: &str = "
    SELECT 'column ' || t.name || '.' || c.name || ' #' || (c.cid + 1) || ' ' || c.type
        || CASE c.\"notnull\" WHEN 1 THEN ' not null' ELSE '' END
        || CASE WHEN c.dflt_value IS NULL THEN '' ELSE ' default ' || c.dflt_value END
        || CASE WHEN c.pk > 0 THEN ' primary key ' || c.pk ELSE '' END
        || CASE c.hidden WHEN 2 THEN ' generated virtual' WHEN 3 THEN ' generated stored' ELSE '' END
    FROM sqlite_schema t JOIN pragma_table_xinfo(t.name) c
    WHERE t.type IN ('table', 'view') AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";

const TABLES: &str = "
    SELECT 'table ' || l.name
        || CASE l.strict WHEN 1 THEN ' strict' ELSE '' END
        || CASE l.wr WHEN 1 THEN ' without rowid' ELSE '' END
    FROM pragma_table_list l
    WHERE l.schema = 'main' AND l.type IN ('table', 'virtual')
      AND l.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";

const FOREIGN_KEYS: &str = "
    SELECT 'constraint ' || t.name || '.fk (' || group_concat(f.\"from\", ', ') || ') REFERENCES '
        || f.\"table\" || ' (' || group_concat(coalesce(f.\"to\", ''), ', ') || ')'
        || ' ON UPDATE ' || f.on_update || ' ON DELETE ' || f.on_delete
    FROM sqlite_schema t JOIN pragma_foreign_key_list(t.name) f
    WHERE t.type = 'table' GROUP BY t.name, f.id";

const INDEXES: &str = "
    SELECT 'index ' || t.name || '.'
        -- The number in an automatic index's name depends on the order of constraints.
        || CASE i.origin WHEN 'c' THEN i.name WHEN 'u' THEN '(unique)' ELSE '(primary key)' END
        || CASE i.\"unique\" WHEN 1 THEN ' unique' ELSE '' END
        || ' (' || (SELECT group_concat(coalesce(x.name, '(expression)')
                        || CASE x.\"desc\" WHEN 1 THEN ' DESC' ELSE '' END
                        || CASE x.coll WHEN 'BINARY' THEN '' ELSE ' COLLATE ' || x.coll END, ', ')
                    FROM pragma_index_xinfo(i.name) x WHERE x.\"key\" = 1) || ')'
        || CASE i.partial WHEN 1 THEN ' partial' ELSE '' END
    FROM sqlite_schema t JOIN pragma_index_list(t.name) i
    WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";

/// Objects whose SQL text is all there is; that of an index only where it says more than its
/// columns.
const TEXTS: &str = "
    SELECT t.type || ' ' || t.tbl_name || '.' || t.name || ' ' || t.sql FROM sqlite_schema t
    WHERE t.type IN ('view', 'trigger')
       OR t.type = 'index' AND t.sql IS NOT NULL AND EXISTS (
          SELECT 1 FROM pragma_index_xinfo(t.name) x
          WHERE x.\"key\" = 1 AND x.cid = -2)
       OR type = 'index' AND sql LIKE '% WHERE %'";

/// Returns one line per object.
pub(super) fn schema(url: &str) -> Result<Vec<String>, AdminError> {
    let mut lines = Vec::new();
    for sql in [COLUMNS, TABLES, FOREIGN_KEYS, INDEXES] {
        lines.extend(first_column(rows(url, sql)?));
    }
    lines.extend(first_column(rows(url, TEXTS)?).iter().map(|text| squeezed(text)));
    let tables = "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND sql IS NOT NULL";
    for row in rows(url, tables)? {
        let mut cells = row.into_iter().flatten();
        let (table, sql) = (cells.next().unwrap_or_default(), cells.next().unwrap_or_default());
        for word in ["CHECK", "AS"] {
            let clauses = clauses(&sql, word).into_iter();
            lines.extend(clauses.map(|text| format!("clause {table} {word} {}", squeezed(text))));
        }
        if words(&sql).any(|(_, word)| word.eq_ignore_ascii_case("AUTOINCREMENT")) {
            lines.push(format!("clause {table} AUTOINCREMENT"));
        }
    }
    Ok(lines)
}

/// Returns the query that prints each row of a table.
pub(super) fn data_sql(url: &str, table: &TableName) -> Result<String, AdminError> {
    let name = literal(table.name.as_str());
    let names = rows(url, &format!("SELECT name FROM pragma_table_xinfo({name}) ORDER BY name"))?;
    let parts: Vec<String> = first_column(names)
        .iter()
        .map(|name| {
            format!(
                "{} || quote({})",
                literal(&format!("{name}=")),
                text::quote(Backend::Sqlite, name)
            )
        })
        .collect();
    let table = text::table(Backend::Sqlite, table);
    Ok(format!("SELECT {} FROM {table}", parts.join(" || ' ' || ")))
}

/// Returns the parenthesised texts that follow a keyword outside of quotes.
pub(crate) fn clauses<'a>(sql: &'a str, keyword: &str) -> Vec<&'a str> {
    let mut found = Vec::new();
    for (at, word) in words(sql) {
        let rest = &sql[at + word.len()..];
        let open = rest.trim_start();
        if word.eq_ignore_ascii_case(keyword) && open.starts_with('(') {
            found.extend(balanced(open));
        }
    }
    found
}

/// Returns the text from an opening parenthesis to the one that closes it.
fn balanced(text: &str) -> Option<&str> {
    let mut depth = 0_usize;
    for (at, c) in unquoted(text) {
        match c {
            '(' => depth += 1,
            ')' if depth == 1 => return Some(&text[..=at]),
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

/// Returns the words outside of quotes and comments, with their places.
fn words(sql: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let outside: Vec<(usize, char)> = unquoted(sql).collect();
    let mut spans: Vec<(usize, usize)> = Vec::new();
    for (at, c) in outside {
        match spans.last_mut() {
            _ if !is_word(c) => {}
            Some((_, end)) if *end == at => *end = at + c.len_utf8(),
            _ => spans.push((at, at + c.len_utf8())),
        }
    }
    spans.into_iter().map(|(start, end)| (start, &sql[start..end]))
}

/// Returns the characters outside of quotes and comments.
fn unquoted(sql: &str) -> impl Iterator<Item = (usize, char)> {
    let mut kept = Vec::new();
    let mut chars = sql.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let rest = &sql[at..];
        let end = match c {
            '\'' | '"' | '`' => Some(c),
            '[' => Some(']'),
            _ => None,
        };
        if let Some(end) = end {
            // A doubled quote ends one quoted text and starts the next.
            chars.by_ref().find(|(_, c)| *c == end);
        } else if rest.starts_with("--") {
            chars.by_ref().find(|(_, c)| *c == '\n');
        } else if rest.starts_with("/*") {
            let length = rest.find("*/").map_or(rest.len(), |at| at + 2);
            while chars.next_if(|(next, _)| *next < at + length).is_some() {}
        } else {
            kept.push((at, c));
        }
    }
    kept.into_iter()
}

/// Writes a run of white space as one space.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clauses_are_found_outside_of_quotes_and_comments() {
        let sql = "CREATE TABLE t (a TEXT DEFAULT 'CHECK (x)', -- CHECK (y)\n \
                   b INT CHECK (b > (1) AND a <> ')'), \"CHECK\" INT, c INT AS (b + 1))";
        assert_eq!(clauses(sql, "CHECK"), ["(b > (1) AND a <> ')')"]);
        assert_eq!(clauses(sql, "AS"), ["(b + 1)"]);
    }
}
