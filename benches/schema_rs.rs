//! Edit of `schema.rs`, and the whole of `add --dry-run` behind the command line, by number of
//! tables; each as ratio to one `syn::parse_file` of the same text in the same run.
//!
//! `cargo bench -p newcol-benches --bench schema_rs` ends with a table of the ratios; with
//! `-- --test` every input runs once.

use std::{
    error::Error,
    hint::black_box,
    time::{Duration, Instant},
};

use camino::Utf8PathBuf;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use newcol_benches::{record::Figures, schema};
use newcol_core::{
    backend::{Backend, Product},
    contract::{
        Contract,
        edit::write,
        read::{ContractFile, read},
    },
    ident::Ident,
    plan::{
        Plan, StageKind,
        facts::{ColumnFacts, TableFacts},
    },
    render::{
        migrations::Version,
        patch::FilePatch,
        release::{SchemaSource, Target, release},
    },
    schema::{NewColumn, Position, SchemaEdit, SchemaFile, apply, diesel_toml::PrintSchemaConfig},
};

const SIZES: [u64; 3] = [10, 100, 1000];

/// Name of the table in the middle, which is edited.
fn middle(tables: u64) -> String {
    format!("table_{:04}", tables / 2)
}

fn edit(text: &str, edits: &[SchemaEdit]) -> String {
    let config = PrintSchemaConfig::default();
    apply(text, Product::Postgres, &config, edits).expect("the table is there, the column is not")
}

fn add_column(tables: u64) -> SchemaEdit {
    SchemaEdit::AddColumn {
        table: middle(tables).parse().expect("a plain name"),
        column: NewColumn {
            name: Ident::new("locale").expect("a plain name"),
            ty: "Nullable<Text>".to_owned(),
            max_length: None,
            docs: None,
            position: Position::Last,
            custom: None,
        },
    }
}

fn wish(tables: u64) -> Contract {
    let text = format!(
        "format = 1\ntable = \"{}\"\ncolumn = \"locale\"\nwhy = \"Because\"\ntype = \"text\"\n\
         required = true\n[old_rows]\nfill = \"coalesce(column_00::text, 'en')\"\n",
        middle(tables)
    );
    read(&text).expect("a valid contract").contract
}

/// All that `add --dry-run` does with the texts of a project: read, plan, render, edit, diff.
fn add_dry_run(text: &str, contract: &Contract) -> usize {
    let parsed = SchemaFile::parse(text).expect("a readable schema");
    let table = parsed.table(text, contract.table()).expect("the table is there");
    let mut facts = TableFacts::unknown(Backend::Postgres);
    facts.columns = table
        .columns
        .iter()
        .map(|column| ColumnFacts {
            name: Ident::new(column.sql_name.as_str()).expect("a plain name"),
            sql_type: None,
            nullable: column.is_nullable(),
            default: None,
            generated: false,
            comment: None,
        })
        .collect();
    let plan = Plan::build(contract, &facts).expect("a plan");
    let targets = [Target { plan, migrations: Utf8PathBuf::from("migrations") }];
    let source = SchemaSource {
        path: "src/schema.rs".into(),
        text: text.to_owned(),
        config: PrintSchemaConfig::default(),
        patch: None,
    };
    let version = Version { second: "2026-01-01-000000".to_owned(), sub: 0 };
    let mut patch: FilePatch =
        release(&targets, &[source], StageKind::Expand, &version).expect("a release");
    let file = ContractFile { contract: contract.clone(), measured: None, confirmed: Vec::new() };
    patch.push("newcol/table.locale.toml", None, Some(write(&file)));
    patch.changes().iter().map(|change| change.diff().len()).sum()
}

/// A command parses in a fresh process; proc-macro2 keeps every text a thread ever parsed, and looks
/// through all of them for every place.
fn fresh() {
    proc_macro2::extra::invalidate_current_thread_spans();
}

fn check(tables: u64, text: &str) {
    let edited = edit(text, &[add_column(tables)]);
    assert_eq!(edited.lines().count(), text.lines().count() + 1, "one line more");
    syn::parse_file(&edited).expect("the edited schema is Rust");
    assert!(add_dry_run(text, &wish(tables)) > 500, "the diff shows migrations and schema");
}

fn benchmarks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("schema_rs");
    for tables in SIZES {
        let text = schema(tables);
        check(tables, &text);
        let edits = [add_column(tables)];
        let contract = wish(tables);
        group.throughput(Throughput::Elements(tables));
        group.bench_with_input(BenchmarkId::new("syn", tables), &text, |b, text| {
            b.iter_batched(fresh, |()| syn::parse_file(black_box(text)), BatchSize::PerIteration);
        });
        group.bench_with_input(BenchmarkId::new("edit", tables), &text, |b, text| {
            b.iter_batched(fresh, |()| edit(black_box(text), &edits), BatchSize::PerIteration);
        });
        group.bench_with_input(BenchmarkId::new("add_dry_run", tables), &text, |b, text| {
            b.iter_batched(
                fresh,
                |()| add_dry_run(black_box(text), &contract),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

/// Times three things alternately, so that all of them meet the same machine, and returns medians.
fn medians(runs: usize, mut things: [&mut dyn FnMut(); 3]) -> [Duration; 3] {
    let mut times: [Vec<Duration>; 3] = Default::default();
    for _ in 0..runs {
        for (thing, times) in things.iter_mut().zip(&mut times) {
            fresh();
            let start = Instant::now();
            thing();
            times.push(start.elapsed());
        }
    }
    times.map(|mut times| {
        times.sort_unstable();
        times[times.len() / 2]
    })
}

#[expect(clippy::print_stdout, reason = "the table is what the benchmark is for")]
fn ratios() -> Figures {
    let mut figures = Figures::default();
    println!(
        "\n| tables | lines | syn | edit | ×syn | µs/table | add --dry-run | ×syn | µs/table |"
    );
    println!("|-:|-:|-:|-:|-:|-:|-:|-:|-:|");
    for tables in SIZES {
        let text = schema(tables);
        let edits = [add_column(tables)];
        let contract = wish(tables);
        let runs = usize::try_from(20_000 / tables).unwrap_or(20).clamp(21, 501);
        let [syn, edit, add] = medians(
            runs,
            [
                &mut || drop(black_box(syn::parse_file(&text))),
                &mut || drop(black_box(edit(&text, &edits))),
                &mut || {
                    black_box(add_dry_run(&text, &contract));
                },
            ],
        );
        let ratio = |time: Duration| time.as_secs_f64() / syn.as_secs_f64();
        let each = |time: Duration| time.as_secs_f64() * 1e6 / tables as f64;
        println!(
            "| {tables} | {} | {:.2} ms | {:.2} ms | {:.2} | {:.1} | {:.2} ms | {:.2} | {:.1} |",
            text.lines().count(),
            syn.as_secs_f64() * 1e3,
            edit.as_secs_f64() * 1e3,
            ratio(edit),
            each(edit),
            add.as_secs_f64() * 1e3,
            ratio(add),
            each(add),
        );
        figures.time(format!("edit of {tables} tables / syn"), ratio(edit));
        figures.time(format!("add --dry-run of {tables} tables / syn"), ratio(add));
    }
    figures
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut criterion = Criterion::default().configure_from_args();
    benchmarks(&mut criterion);
    criterion.final_summary();
    if !std::env::args().any(|arg| arg == "--test" || arg == "--list") {
        ratios().finish("schema_rs")?;
    }
    Ok(())
}
