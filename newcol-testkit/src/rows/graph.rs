//! Reads a table and all that it references, and settles how rows of each are made, parents first.

use newcol_core::{db::Session, ident::TableName};

use super::{
    RowsError, insert,
    probe::{self, Nulls},
    recipe::{Link, Recipe, Recipes},
    shape::{self, Column, Shape, index},
};

/// Returns the recipes of a table and of all that it references, its own last.
///
/// Tries rows inside the caller's transaction, which the caller rolls back. Parents hold NULL only
/// where they must.
pub(super) fn settle(
    session: &mut Session,
    table: &TableName,
    nulls: Nulls,
) -> Result<Recipes, RowsError> {
    let graph = Graph::read(session, table)?;
    let order = graph.order()?;
    let mut recipes = Recipes { product: session.server().product, tables: Vec::new() };
    // Why a table has no rows, by its place in the recipes.
    let mut dead: Vec<Option<RowsError>> = Vec::new();
    for at in &order {
        let mut links = Vec::new();
        let mut problem = None;
        for edge in graph.edges.iter().filter(|edge| edge.from == *at) {
            let Some(mut link) = graph.link(edge, &order) else { continue };
            if !link.cut && dead[link.table].is_some() {
                if edge.nullable {
                    link.cut = true;
                } else {
                    let parent = &recipes.tables[link.table].shape.table;
                    problem = problem
                        .or_else(|| dead[link.table].take().map(|why| why.of_parent(parent)));
                }
            }
            links.push(link);
        }
        let shape = graph.shapes[*at].clone();
        let (recipe, unknown) = Recipe::new(recipes.product, shape, links);
        recipes.tables.push(recipe);
        let here = recipes.tables.len() - 1;
        let problem = match problem.or(unknown) {
            Some(problem) => Some(problem),
            None => {
                let nulls = if *at == 0 { nulls } else { Nulls::Rarely };
                probe::settle(session, &mut recipes, here, nulls).err()
            }
        };
        dead.push(match problem {
            // What has no rows of ours may have rows of its own.
            Some(problem) if *at != 0 => {
                let rows = insert::existing(session, &recipes, here)?;
                let none = rows.is_empty();
                recipes.tables[here].existing = rows;
                Some(problem).filter(|_| none)
            }
            Some(problem) => return Err(problem),
            None => None,
        });
    }
    Ok(recipes)
}

/// Tables and their foreign keys; the wished table is the first.
struct Graph {
    shapes: Vec<Shape>,
    edges: Vec<Edge>,
}

/// A foreign key between tables of the graph.
struct Edge {
    from: usize,
    /// Which of the table's foreign keys it is.
    reference: usize,
    to: usize,
    /// Whether a row can do without it.
    nullable: bool,
    /// Whether it would close a cycle.
    cut: bool,
}

impl Graph {
    fn read(session: &mut Session, table: &TableName) -> Result<Self, RowsError> {
        let mut names = vec![shape::canonical(session, table)?];
        let mut graph = Self { shapes: Vec::new(), edges: Vec::new() };
        while let Some(name) = names.get(graph.shapes.len()).cloned() {
            let from = graph.shapes.len();
            let shape = shape::read(session, &name)?;
            for (reference, found) in shape.references.iter().enumerate() {
                let parent = shape::canonical(session, &found.table)?;
                let to = names.iter().position(|name| *name == parent).unwrap_or(names.len());
                if to == names.len() {
                    names.push(parent);
                }
                let nullable = found.columns.iter().any(|column| shape.columns[*column].nullable);
                graph.edges.push(Edge { from, reference, to, nullable, cut: to == from });
            }
            graph.shapes.push(shape);
        }
        graph.cut();
        Ok(graph)
    }

    /// Cuts foreign keys that may be NULL where they lie on a cycle.
    fn cut(&mut self) {
        let on_cycle: Vec<bool> =
            self.edges.iter().map(|edge| self.reaches(edge.to, edge.from)).collect();
        for (edge, on_cycle) in self.edges.iter_mut().zip(on_cycle) {
            edge.cut |= on_cycle && edge.nullable;
        }
    }

    fn reaches(&self, from: usize, to: usize) -> bool {
        let mut reached = vec![from];
        let mut next = 0;
        while let Some(at) = reached.get(next).copied() {
            if at == to {
                return true;
            }
            for edge in self.edges.iter().filter(|edge| edge.from == at) {
                if !reached.contains(&edge.to) {
                    reached.push(edge.to);
                }
            }
            next += 1;
        }
        false
    }

    /// Returns the tables, parents before children.
    fn order(&self) -> Result<Vec<usize>, RowsError> {
        let mut order = Vec::new();
        self.visit(0, &mut Vec::new(), &mut order)?;
        Ok(order)
    }

    fn visit(
        &self,
        at: usize,
        path: &mut Vec<usize>,
        order: &mut Vec<usize>,
    ) -> Result<(), RowsError> {
        if order.contains(&at) {
            return Ok(());
        }
        if let Some(start) = path.iter().position(|other| *other == at) {
            let tables = path[start..].iter().map(|at| self.shapes[*at].table.clone()).collect();
            return Err(RowsError::Cycle { tables });
        }
        path.push(at);
        for edge in self.edges.iter().filter(|edge| edge.from == at && !edge.cut) {
            self.visit(edge.to, path, order)?;
        }
        path.pop();
        order.push(at);
        Ok(())
    }

    /// Resolves a foreign key to places in an order; nothing where it points to columns that are
    /// computed there.
    fn link(&self, edge: &Edge, order: &[usize]) -> Option<Link> {
        let reference = &self.shapes[edge.from].references[edge.reference];
        let parent = &self.shapes[edge.to];
        let place = |name: &String| -> Option<usize> { index(&parent.columns as &[Column], name) };
        let to: Vec<usize> = match reference.to.as_slice() {
            [] => parent.key.clone(),
            names => names.iter().map(place).collect::<Option<_>>()?,
        };
        (to.len() == reference.columns.len()).then(|| Link {
            columns: reference.columns.clone(),
            // What is cut may lead to a table that is not even among them.
            table: order.iter().position(|at| *at == edge.to).unwrap_or(0),
            to,
            slot: 0,
            own: false,
            cut: edge.cut,
        })
    }
}
