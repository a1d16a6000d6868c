//! Values for a column that is not in the catalog yet.

use newcol_core::{
    db::Session,
    ident::{ColumnPath, Ident, TableName},
};

use super::{
    RowsError, domain, graph, insert,
    number::Row,
    probe::Nulls,
    recipe::{Link, Recipe, Recipes},
    rolled_back, shape,
};

/// Slot of the parents, in which no row of the table itself is, should it reference itself.
const SLOT: u64 = 6;

/// Values for a column that is to come, by the number of its row.
///
/// What constrains the column alone stands in its type or is said here; once it is in the catalog,
/// [`super::Rows`] knows its checks and indexes too.
#[derive(Debug, Clone)]
pub struct NewColumn {
    recipes: Recipes,
}

impl NewColumn {
    /// Looks up what a type holds: labels of an enum, the type and the checks of a domain. With
    /// `references` the values are those of rows of another table, which [`Self::prepare`] inserts.
    ///
    /// As for [`super::Rows::of`], the session must be allowed to write and not be in a
    /// transaction. Fails where no value of the type is known, or the referenced table or column
    /// cannot be used.
    pub fn of(
        session: &mut Session,
        column: &ColumnPath,
        sql_type: &str,
        references: Option<(&TableName, &Ident)>,
    ) -> Result<Self, RowsError> {
        let table = &column.table;
        rolled_back(session, table, |session| {
            let shape = shape::read_column(session, table, &column.column, sql_type)?;
            let mut recipes = match references {
                Some((parent, _)) => graph::settle(session, parent, Nulls::Rarely)?,
                None => Recipes { product: session.server().product, tables: Vec::new() },
            };
            let link = references.zip(recipes.tables.last()).and_then(|((_, name), parent)| {
                Some(Link {
                    columns: vec![0],
                    table: recipes.tables.len() - 1,
                    to: vec![shape::index(&parent.shape.columns, name.as_str())?],
                    slot: SLOT,
                    own: false,
                    cut: false,
                })
            });
            let (recipe, unknown) = Recipe::new(recipes.product, shape, link.into_iter().collect());
            recipes.tables.push(recipe);
            match unknown {
                Some(problem) => Err(problem),
                None => {
                    let at = recipes.tables.len() - 1;
                    domain::settle(session, &mut recipes, at)?;
                    Ok(Self { recipes })
                }
            }
        })
    }

    /// Gives each row a value of its own, for a column that will be unique.
    #[must_use]
    pub fn distinct(mut self) -> Self {
        let product = self.recipes.product;
        if let Some(recipe) = self.recipes.tables.last_mut() {
            recipe.make_unique(product);
        }
        self
    }

    /// Returns the SQL of the value in row `n`.
    ///
    /// Fails where a column that will be unique has no values left.
    pub fn literal(&self, n: u64) -> Result<String, RowsError> {
        self.changed(n, 0)
    }

    /// Returns the value after the `revision`-th change of row `n`.
    ///
    /// Fails as [`Self::literal`] does.
    pub fn changed(&self, n: u64, revision: u64) -> Result<String, RowsError> {
        self.recipes.literal(self.at(), 0, Row { revision, ..Row::new(n) })
    }

    /// Inserts the row to which the value in row `n` refers, where it is missing.
    ///
    /// Fails where the database has changed such that it no longer takes what [`Self::of`] found.
    pub fn prepare(&self, session: &mut Session, n: u64) -> Result<(), RowsError> {
        insert::prepare(session, &self.recipes, self.at(), Row::new(n))
    }

    fn at(&self) -> usize {
        self.recipes.tables.len() - 1
    }
}
