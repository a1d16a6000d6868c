//! Types whose usual Rust type needs a feature of diesel that no package of the workspace enables.

use std::collections::BTreeMap;

use crate::{
    backend::{Backend, Product},
    contract::read::read_draft,
    doctor::{Check, Report, Severity, Sources},
    schema::{
        Place,
        diesel_toml::PrintSchemaConfig,
        types::{Named, TypeQuery, derive},
    },
};

pub(in crate::doctor) static CHECK: Check =
    Check { id: "missing-feature", severity: Severity::Warning, run };

/// A type of Diesel's with the features of which one is needed.
struct Need {
    types: &'static [&'static str],
    /// The first is what we recommend.
    features: &'static [&'static str],
    /// Crates that bring their own mapping.
    instead: &'static [&'static str],
}

const NEEDS: &[Need] = &[
    Need { types: &["Numeric", "Decimal"], features: &["numeric"], instead: &["rust_decimal"] },
    Need { types: &["Uuid"], features: &["uuid"], instead: &[] },
    Need { types: &["Json", "Jsonb"], features: &["serde_json"], instead: &["diesel_json"] },
    Need {
        types: &["Timestamp", "Timestamptz", "TimestamptzSqlite", "Datetime", "Date", "Time"],
        features: &["chrono", "time"],
        instead: &["jiff-diesel"],
    },
    Need {
        types: &["Inet", "Cidr"],
        features: &["network-address", "ipnet-address"],
        instead: &[],
    },
];

fn run(sources: &Sources, report: &mut Report<'_>) {
    if sources.packages.iter().all(|package| package.diesel.is_none()) {
        return;
    }
    let missing: Vec<&Need> = NEEDS.iter().filter(|need| !met(need, sources)).collect();
    for schema in &sources.schemas {
        let Ok(parsed) = &schema.parsed else { continue };
        let mut found: BTreeMap<&str, (usize, Place, String, &Need)> = BTreeMap::new();
        for table in &parsed.tables {
            for column in &table.columns {
                for need in missing.iter().filter(|n| n.wanted_by(&column.ty, sources)) {
                    found
                        .entry(need.features[0])
                        .and_modify(|(count, ..)| *count += 1)
                        .or_insert_with(|| {
                            let at = Place::new(&schema.text, column.ty_range.clone());
                            let name = format!("{}.{}", table.full_sql_name(), column.sql_name);
                            (1, at, format!("column `{name}` is `{}`", column.ty), need)
                        });
                }
            }
        }
        for (count, at, message, need) in found.into_values() {
            let more = if count > 1 { format!(" (and {} more)", count - 1) } else { String::new() };
            add(report, &schema.path, Some(at), &format!("{message}{more}"), need);
        }
    }
    for contract in &sources.contracts {
        let Ok(draft) = read_draft(&contract.text) else { continue };
        for dir in &sources.migrations {
            let Some(sql) = draft.ty.get(dir.backend) else { continue };
            let product = match dir.backend {
                Backend::Postgres => Product::Postgres,
                Backend::Mysql => Product::Mysql,
                Backend::Sqlite => Product::Sqlite,
            };
            let query = TypeQuery {
                product,
                sql: sql.as_str(),
                column: &draft.path,
                config: &PrintSchemaConfig::default(),
                named: Named::Unknown,
                default_schema: "public",
            };
            let features = derive(&query).map_or(&[][..], |derived| derived.features);
            let wanted = |need: &&&Need| need.features.iter().any(|f| features.contains(f));
            for need in missing.iter().filter(wanted) {
                let message = format!("column `{}` is `{sql}` on {}", draft.path, dir.backend);
                add(report, &contract.path, None, &message, need);
            }
        }
    }
}

fn add(
    report: &mut Report<'_>,
    path: &camino::Utf8Path,
    at: Option<Place>,
    message: &str,
    need: &Need,
) {
    let features: Vec<String> = need.features.iter().map(|f| format!("`{f}`")).collect();
    report.add(
        path,
        at,
        format!(
            "{message}, and no package of the workspace enables diesel's feature {}: a field of the usual Rust type does not compile",
            features.join(" or ")
        ),
        format!("enable `{}` for diesel, unless the application has a type of its own", need.features[0]),
    );
}

impl Need {
    fn wanted_by(&self, ty: &str, sources: &Sources) -> bool {
        // SQLite keeps times as text, and Diesel reads them as such without any feature.
        let only_sqlite = sources.migrations.iter().all(|dir| dir.backend == Backend::Sqlite);
        let text_will_do = only_sqlite && self.features.contains(&"chrono");
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        !text_will_do && ty.split(|c| !is_word(c)).any(|word| self.types.contains(&word))
    }
}

fn met(need: &Need, sources: &Sources) -> bool {
    sources.packages.iter().any(|package| {
        let enabled = package.diesel.as_ref().is_some_and(|diesel| {
            need.features.iter().any(|f| diesel.features.contains(*f))
                || diesel.features.contains("extras")
        });
        enabled || need.instead.iter().any(|name| package.dependencies.contains(*name))
    })
}
