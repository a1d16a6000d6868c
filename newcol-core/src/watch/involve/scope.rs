//! The relations that a query sees, and where in them the column is.

/// What reading a value of a query's result means for the column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Carries {
    /// It reads the column, by the statement's own tree.
    pub(super) tree: bool,
    /// It reads the column by what the tree leaves open: a whole row, a view.
    pub(super) beyond: bool,
    /// It came without its name.
    pub(super) star: bool,
}

impl Carries {
    pub(super) fn any(self) -> bool {
        self.tree || self.beyond
    }

    pub(super) fn or(self, other: Self) -> Self {
        Self {
            tree: self.tree || other.tree,
            beyond: self.beyond || other.beyond,
            star: (self.star || !self.any())
                && (other.star || !other.any())
                && (self.star || other.star),
        }
    }

    pub(super) fn starred(self) -> Self {
        Self { star: self.any(), ..self }
    }
}

/// A column of a relation or of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Out {
    pub(super) name: Option<String>,
    pub(super) carries: Carries,
}

impl Out {
    /// Stands for columns that a `*` brings and whose number we do not know.
    pub(super) fn many() -> Self {
        Self { name: None, carries: Carries { star: true, ..Carries::default() } }
    }

    /// Reports whether a `*` brings it.
    pub(super) fn is_of_star(&self) -> bool {
        self.carries.star
    }
}

/// The columns of a relation or of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Columns {
    Known(Vec<Out>),
    /// Only what is known of a column of the column's name.
    Opaque {
        has_column: bool,
    },
}

impl Columns {
    pub(super) fn unknown() -> Self {
        Self::Opaque { has_column: false }
    }

    /// Returns what reading all of it means.
    pub(super) fn all(&self) -> Carries {
        match self {
            Self::Known(outs) => {
                outs.iter().fold(Carries::default(), |all, out| all.or(out.carries))
            }
            Self::Opaque { .. } => Carries::default(),
        }
    }

    /// Returns them under other names, as far as there are any.
    pub(super) fn renamed(mut self, names: Vec<String>) -> Self {
        if let Self::Known(outs) = &mut self {
            for (out, name) in outs.iter_mut().zip(names) {
                out.name = Some(name);
            }
        } else if !names.is_empty() {
            let out = |name| Out { name: Some(name), carries: Carries::default() };
            return Self::Known(names.into_iter().map(out).collect());
        }
        self
    }
}

/// A relation under the name by which a query knows it.
#[derive(Debug, Clone)]
pub(super) struct Relation {
    pub(super) name: String,
    pub(super) columns: Columns,
}

/// What a bare name means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bare {
    Column(Carries),
    Nothing,
}

/// The relations of a query, and the scope around it.
#[derive(Debug, Default)]
pub(super) struct Scope<'a> {
    pub(super) relations: Vec<Relation>,
    pub(super) outer: Option<&'a Scope<'a>>,
    pub(super) ctes: Vec<(String, Columns)>,
}

impl<'a> Scope<'a> {
    pub(super) fn within(outer: &'a Self) -> Self {
        Self { outer: Some(outer), ..Self::default() }
    }

    pub(super) fn cte(&self, name: &str) -> Option<&Columns> {
        let here = self.ctes.iter().rev().find(|(found, _)| found == name);
        here.map(|(_, columns)| columns).or_else(|| self.outer?.cte(name))
    }

    pub(super) fn relation(&self, name: &str) -> Option<&Relation> {
        let here = self.relations.iter().find(|relation| relation.name == name);
        here.or_else(|| self.outer?.relation(name))
    }

    /// Says what a bare name means; a relation's name is its whole row.
    pub(super) fn bare(&self, name: &str, column: &str) -> Bare {
        let mut found: Option<Carries> = None;
        for relation in &self.relations {
            let carries = match &relation.columns {
                Columns::Known(outs) => outs
                    .iter()
                    .filter(|out| out.name.as_deref() == Some(name))
                    .map(|out| out.carries)
                    .reduce(Carries::or),
                Columns::Opaque { has_column } => {
                    (*has_column && name == column).then(Carries::default)
                }
            };
            if let Some(carries) = carries {
                found = Some(found.unwrap_or_default().or(carries));
            }
        }
        if let Some(carries) = found {
            return Bare::Column(carries);
        }
        if let Some(relation) = self.relations.iter().find(|relation| relation.name == name) {
            let all = relation.columns.all();
            return Bare::Column(Carries { tree: false, beyond: all.any(), star: all.any() });
        }
        self.outer.map_or(Bare::Nothing, |outer| outer.bare(name, column))
    }

    /// Says what a column of a named relation means.
    pub(super) fn qualified(&self, relation: &str, name: &str) -> Carries {
        match self.relation(relation).map(|relation| &relation.columns) {
            Some(Columns::Known(outs)) => outs
                .iter()
                .filter(|out| out.name.as_deref() == Some(name))
                .fold(Carries::default(), |all, out| all.or(out.carries)),
            Some(Columns::Opaque { .. }) | None => Carries::default(),
        }
    }
}
