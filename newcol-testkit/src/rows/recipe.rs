//! How each column of a table gets its value. Pure: shapes in, literals out.
//!
//! Tables stand in one list, each naming its parents by their place in it; the list has no cycle,
//! because foreign keys that would close one are cut.

use newcol_core::backend::{Backend, Product};

use super::{
    RowsError,
    gaps::Gap,
    number::{Role, Row, WIDE},
    shape::{Column, Shape},
};
use crate::values::{self, ColumnType, ValueError, text_literal};

/// How a column gets its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum How {
    /// A plain value of the type, so many further than the row's number.
    Sample { shift: u64 },
    /// The same SQL in every row.
    Fixed(String),
    /// A text around the row's number; filled with zeros up to a length, or 0 for none.
    Text { before: &'static str, after: &'static str, length: usize },
    /// What the referenced row has.
    Parent,
    /// What another column of the row has, to which its foreign key points.
    Itself(usize),
    /// NULL.
    Null,
}

/// Columns whose values fit only together.
#[derive(Debug, Clone)]
pub(super) struct Pick {
    /// The columns.
    pub(super) columns: Vec<usize>,
    /// Ways that the server took, used in turn.
    pub(super) ways: Vec<Vec<How>>,
}

/// A foreign key, resolved.
#[derive(Debug, Clone)]
pub(super) struct Link {
    /// Columns here.
    pub(super) columns: Vec<usize>,
    /// The referenced table.
    pub(super) table: usize,
    /// Columns there.
    pub(super) to: Vec<usize>,
    /// Distance from the slot of the row to that of its parent.
    pub(super) slot: u64,
    /// Whether each row has a parent of its own.
    pub(super) own: bool,
    /// Whether it closes a cycle, and so leads nowhere.
    pub(super) cut: bool,
}

/// A table and how its rows are made.
#[derive(Debug, Clone)]
pub(super) struct Recipe {
    /// The table.
    pub(super) shape: Shape,
    /// Per column: what its values must be good for.
    pub(super) roles: Vec<Role>,
    /// Per column: how it gets its value, unless a pick says so.
    pub(super) hows: Vec<How>,
    /// Columns whose values fit only together; no column is in two.
    pub(super) picks: Vec<Pick>,
    /// Columns that are NULL in some rows; no column is in two.
    pub(super) gaps: Vec<Gap>,
    /// Per column: whether a change leaves it alone.
    pub(super) frozen: Vec<bool>,
    /// Foreign keys.
    pub(super) links: Vec<Link>,
    /// Rows that are there already, where none can be made: a literal per column.
    pub(super) existing: Vec<Vec<String>>,
    /// The most rows there can be.
    pub(super) limit: Option<u64>,
}

/// Every table that rows depend on, parents before children.
#[derive(Debug, Clone)]
pub(super) struct Recipes {
    /// The server's product.
    pub(super) product: Product,
    /// The tables.
    pub(super) tables: Vec<Recipe>,
}

impl Recipe {
    /// Starts with plain values everywhere, and says which column cannot do with any. `links` are
    /// the shape's references, resolved.
    pub(super) fn new(
        product: Product,
        shape: Shape,
        links: Vec<Link>,
    ) -> (Self, Option<RowsError>) {
        let count = shape.columns.len();
        let mut recipe = Self {
            shape,
            roles: vec![Role::Plain; count],
            hows: vec![How::Sample { shift: 0 }; count],
            picks: Vec::new(),
            gaps: Vec::new(),
            frozen: vec![false; count],
            links,
            existing: Vec::new(),
            limit: None,
        };
        recipe.tell_links_apart();
        recipe.follow_links();
        let mut unknown = None;
        for column in 0..count {
            if recipe.hows[column] == (How::Sample { shift: 0 })
                && let Err(source) = recipe.capacity(product, column)
            {
                match recipe.without_sample(column, source) {
                    Ok(how) => recipe.hows[column] = how,
                    Err(problem) => unknown = unknown.or(Some(problem)),
                }
            }
        }
        recipe.tell_rows_apart(product);
        (recipe, unknown)
    }

    /// Makes the first column unique.
    pub(super) fn make_unique(&mut self, product: Product) {
        self.shape.uniques.push(vec![0]);
        self.tell_links_apart();
        self.tell_rows_apart(product);
    }

    /// Columns of foreign keys follow their parents. One that is cut is left out by a NULL or, where
    /// none is allowed, points to its own row.
    fn follow_links(&mut self) {
        for link in self.links.iter().filter(|link| link.cut) {
            let nullable = |column: &&usize| self.shape.columns[**column].nullable;
            if link.columns.iter().any(|column| nullable(&column)) {
                for column in link.columns.iter().filter(nullable) {
                    self.hows[*column] = How::Null;
                }
                continue;
            }
            for (column, to) in link.columns.iter().zip(&link.to).filter(|(here, to)| here != to) {
                self.hows[*column] = How::Itself(*to);
            }
        }
        for link in &self.links {
            for column in &link.columns {
                self.frozen[*column] = true;
                if !link.cut {
                    self.hows[*column] = How::Parent;
                }
            }
        }
    }

    /// Foreign keys that share columns lead to parents that belong together; others to the same
    /// table lead to different rows of it.
    fn tell_links_apart(&mut self) {
        let unique = |column: &usize| self.shape.uniques.iter().any(|key| key.contains(column));
        for link in &mut self.links {
            link.own = link.columns.iter().any(unique);
        }
        for at in 0..self.links.len() {
            let (before, rest) = self.links.split_at_mut(at);
            let link = &mut rest[0];
            let shares = |other: &&mut Link| {
                other.columns.iter().any(|column| link.columns.contains(column))
            };
            if let Some(other) = before.iter_mut().find(shares) {
                link.own |= other.own;
                other.own = link.own;
                link.slot = other.slot;
                continue;
            }
            let taken = before.iter().filter(|other| other.table == link.table);
            link.slot = taken.map(|other| other.slot + 1).max().unwrap_or(link.slot);
        }
    }

    fn tell_rows_apart(&mut self, product: Product) {
        let mut keys = self.shape.uniques.clone();
        keys.sort_by_key(Vec::len);
        for key in keys {
            let mut digits = Vec::new();
            let mut wide = false;
            for column in key {
                self.frozen[column] = true;
                wide |= self.links.iter().any(|l| l.own && !l.cut && l.columns.contains(&column));
                if !matches!(self.hows[column], How::Sample { .. }) {
                    continue;
                }
                let capacity = self.capacity(product, column).unwrap_or(Some(1));
                if capacity.is_none_or(|count| count >= WIDE) {
                    self.roles[column] = Role::Distinct { capacity };
                    wide = true;
                } else {
                    digits.push((column, capacity.unwrap_or(u64::MAX)));
                }
            }
            if wide {
                continue;
            }
            if let [(column, count)] = digits[..] {
                self.roles[column] = Role::Distinct { capacity: Some(count) };
                continue;
            }
            let rows = digits.iter().fold(1, |rows: u64, (_, count)| rows.saturating_mul(*count));
            let mut divisor = 1_u64;
            for (column, capacity) in digits {
                if self.roles[column] == Role::Plain {
                    self.roles[column] = Role::Digit { divisor, capacity, rows };
                }
                divisor = divisor.saturating_mul(capacity);
            }
        }
    }

    fn without_sample(&self, column: usize, source: ValueError) -> Result<How, RowsError> {
        let found = &self.shape.columns[column];
        match &found.default {
            Some(default) => Ok(How::Fixed(default.clone())),
            None if found.nullable => Ok(How::Null),
            None => Err(RowsError::Type {
                table: self.shape.table.clone(),
                column: found.name.clone(),
                source,
            }),
        }
    }

    fn capacity(&self, product: Product, column: usize) -> Result<Option<u64>, ValueError> {
        let column = &self.shape.columns[column];
        values::capacity(&column_type(product, column, &distinct_type(column)))
    }

    /// Returns how a column of a row gets its value.
    pub(super) fn how(&self, column: usize, row: Row) -> &How {
        let turn = |columns: &[usize]| {
            let frozen = columns.iter().any(|column| self.frozen[*column]);
            if frozen { row.n } else { row.n + row.revision }
        };
        let gap = self.gaps.iter().find(|gap| gap.columns.contains(&column));
        if gap.is_some_and(|gap| gap.is_null(column, turn(&gap.columns))) {
            return &How::Null;
        }
        let Some(pick) = self.picks.iter().find(|pick| pick.columns.contains(&column)) else {
            return &self.hows[column];
        };
        let turn = turn(&pick.columns);
        let way = pick.ways.get((turn % pick.ways.len().max(1) as u64) as usize);
        let place = pick.columns.iter().position(|other| *other == column);
        way.zip(place).and_then(|(way, at)| way.get(at)).unwrap_or(&self.hows[column])
    }

    /// Reports whether every unique index has a column that is not the same in all rows.
    ///
    /// What a server answers to that counts for more, but it asks checks first.
    pub(super) fn tells_rows_apart(&self) -> bool {
        let is_fixed = |column: &usize| matches!(self.how(*column, Row::new(1)), How::Fixed(_));
        !self.shape.uniques.iter().any(|key| key.iter().all(is_fixed))
    }

    /// Returns the columns that every insert must or may set.
    pub(super) fn settable(&self) -> impl Iterator<Item = usize> {
        (0..self.shape.columns.len()).filter(|column| !self.shape.columns[*column].always)
    }
}

impl Recipes {
    /// Returns the dialect of the server.
    pub(super) fn backend(&self) -> Backend {
        match self.product {
            Product::Postgres => Backend::Postgres,
            Product::Mysql | Product::Mariadb => Backend::Mysql,
            Product::Sqlite => Backend::Sqlite,
        }
    }

    /// Returns the literal of a column in a row.
    pub(super) fn literal(&self, at: usize, column: usize, row: Row) -> Result<String, RowsError> {
        let recipe = &self.tables[at];
        let exhausted = |rows| RowsError::Exhausted {
            table: recipe.shape.table.clone(),
            column: recipe.shape.columns[column].name.clone(),
            rows,
        };
        if !recipe.existing.is_empty() {
            let count = recipe.existing.len() as u64;
            let number = row.n + row.slot;
            if row.n >= count {
                return Err(exhausted(count));
            }
            return Ok(recipe.existing[(number % count) as usize][column].clone());
        }
        let row = match recipe.limit {
            Some(limit) if row.n > limit => return Err(exhausted(limit)),
            // The only row is also the one that children share.
            Some(1) => Row { slot: 0, n: 1, ..row },
            Some(_) | None => row,
        };
        let frozen = recipe.frozen[column];
        let row = if frozen { Row { revision: 0, ..row } } else { row };
        let found = &recipe.shape.columns[column];
        match recipe.how(column, row) {
            How::Fixed(sql) => Ok(sql.clone()),
            How::Null => Ok("NULL".to_owned()),
            How::Sample { shift } => match recipe.roles[column].number(row) {
                Ok(number) if recipe.roles[column] == Role::Plain => {
                    self.plain_sample(at, column, number + shift)
                }
                Ok(number) => self.sample(at, column, number + shift),
                Err(_) if found.nullable => Ok("NULL".to_owned()),
                Err(rows) => Err(exhausted(rows)),
            },
            How::Text { before, after, length } => {
                /// So many digits hold what tells rows of all slots apart.
                const DIGITS: usize = 9;
                let width = length.saturating_sub(before.len() + after.len());
                let number = match recipe.roles[column] {
                    Role::Distinct { .. } if *length == 0 || width >= DIGITS => {
                        recipe.roles[column].number(row).map_err(exhausted)?
                    }
                    Role::Distinct { .. } | Role::Digit { .. } | Role::Plain => {
                        row.n + row.revision
                    }
                };
                let count = u32::try_from(width).ok().and_then(|width| 10_u64.checked_pow(width));
                let number = match (count.filter(|_| width > 0), recipe.roles[column]) {
                    (Some(count), Role::Plain) => number % count,
                    (Some(count), _) if number >= count => return Err(exhausted(count)),
                    (Some(_) | None, _) => number,
                };
                let text = format!("{before}{number:0width$}{after}");
                Ok(text_literal(self.product, &text))
            }
            How::Parent => match recipe.link(column) {
                Some((link, place)) => self.literal(link.table, link.to[place], link.parent(row)),
                None => Ok("NULL".to_owned()),
            },
            How::Itself(to) => self.literal(at, *to, row),
        }
    }

    /// Starts over where numbers would turn negative: hardly a check expects that.
    fn plain_sample(&self, at: usize, column: usize, number: u64) -> Result<String, RowsError> {
        let capacity = self.tables[at].capacity(self.product, column).ok().flatten();
        let number = match capacity {
            Some(count) if self.sample(at, column, count - 1)?.starts_with('-') => {
                number % (count / 2)
            }
            Some(_) | None => number,
        };
        self.sample(at, column, number)
    }

    fn sample(&self, at: usize, column: usize, number: u64) -> Result<String, RowsError> {
        let recipe = &self.tables[at];
        let found = &recipe.shape.columns[column];
        let ty = distinct_type(found);
        values::sample(&column_type(self.product, found, &ty), number).map_err(|source| {
            RowsError::Type {
                table: recipe.shape.table.clone(),
                column: found.name.clone(),
                source,
            }
        })
    }
}

impl Recipe {
    /// Returns the foreign key of a column that leads somewhere, and the column's place in it. One
    /// with more columns decides for a narrower one.
    fn link(&self, column: usize) -> Option<(&Link, usize)> {
        let places = self.links.iter().filter(|link| !link.cut).filter_map(|link| {
            let place = link.columns.iter().position(|other| *other == column)?;
            Some((link, place))
        });
        places.max_by_key(|(link, _)| link.columns.len())
    }
}

impl Link {
    /// Returns the parent of a row.
    pub(super) fn parent(&self, row: Row) -> Row {
        if self.own {
            Row { slot: row.slot + self.slot, n: row.n, revision: 0 }
        } else {
            Row { slot: self.slot, n: 0, revision: 0 }
        }
    }
}

/// Returns the type whose values differ where a unique index looks.
fn distinct_type(column: &Column) -> String {
    match column.distinct_within {
        Some(length) => format!("varchar({length})"),
        None => column.ty.clone(),
    }
}

fn column_type<'a>(product: Product, column: &'a Column, sql: &'a str) -> ColumnType<'a> {
    ColumnType { product, sql, labels: &column.labels }
}
