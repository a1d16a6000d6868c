//! Plans, renders and carries out the life of one new column in a Diesel project.
//!
//! This is the library of [`cargo newcol`](https://github.com/cargo-newcol/cargo-newcol). A program
//! uses it to apply migrations at start ([`execute::apply`]), to fill old rows with values that its own
//! code computes ([`execute::backfill`]), or to judge a column in production ([`watch`]). It never
//! prints, never exits and never reads the environment: what happens is told to a callback, whose
//! answer may be "stop".
//!
//! # The path of the data
//!
//! ```text
//! contract ──▶ plan ──▶ render ──────▶ execute ──▶ watch
//! the wish     stages   SQL, folders,  files and
//!              (data)   schema.rs      rows
//! └────────── pure, with schema ─────┘ └── acting, through db ──┘
//! ```
//!
//! Pure modules take values and return values, so every dialect is tried without a server:
//!
//! ```
//! use newcol_core::{
//!     backend::Backend,
//!     contract::read::read,
//!     plan::{Plan, StageKind, facts::TableFacts},
//!     render::migrations,
//! };
//!
//! let contract = read(
//!     r#"
//!     format = 1
//!     table = "users"
//!     column = "locale"
//!     why = "Letters go out in the language of the reader"
//!     type = "varchar(8)"
//!     required = true
//!     [old_rows]
//!     fill = "coalesce(settings->>'locale', 'en')"
//!     "#,
//! )
//! .expect("complaints come with their places")
//! .contract;
//!
//! let plan = Plan::build(&contract, &TableFacts::unknown(Backend::Postgres))?;
//! let stages: Vec<StageKind> = plan.stages.iter().map(|stage| stage.kind).collect();
//! assert_eq!(
//!     stages,
//!     [StageKind::Expand, StageKind::Backfill, StageKind::Constrain, StageKind::Contract]
//! );
//!
//! let folders = migrations::render(&plan, &plan.stages[0]);
//! assert_eq!(folders[0].name, "users_locale_expand");
//! assert!(folders[0].up.contains(r#"ALTER TABLE "users" ADD COLUMN "locale" varchar(8)"#));
//! # Ok::<(), newcol_core::plan::PlanError>(())
//! ```
//!
//! # Where to look
//!
//! - [`contract`] holds every decision about a column; [`ident`] its name, [`backend`] its engine
//! - [`plan`] makes stages of it, as data; [`render`] makes SQL, folders and edits of that
//! - [`schema`] reads and edits `schema.rs`; [`mod@dictionary`], [`scaffold`] and [`doctor`] are about
//!   other files of a project, and `audit` (feature `audit`) about its code
//! - [`db`] is one session over three drivers, each behind the feature of its name
//! - [`execute`] writes files, applies migrations, fills rows; [`mod@row`] and [`keys`] are what it shows of
//!   a table to application code
//! - [`watch`] measures, `page` (feature `report`) writes reports as HTML
//!
//! No feature is on by default. Without any, planning and rendering know every engine.

pub mod ident;

pub mod keys;

pub mod row;

pub mod backend;

pub mod contract;

pub mod plan;

pub mod schema;

pub mod render;

pub mod db;

pub mod execute;

pub mod dictionary;

pub mod doctor;

pub mod scaffold;

#[cfg(feature = "audit")]
pub mod audit;

#[cfg(any(feature = "bench", feature = "measure"))]
pub mod histogram;

#[cfg(feature = "measure")]
pub mod measure;

pub mod watch;

#[cfg(feature = "bench")]
pub mod bench;

#[cfg(feature = "report")]
pub mod page;

mod sql;
