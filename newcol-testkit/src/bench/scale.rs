//! The same with fewer rows, to tell what more rows will cost.

use newcol_core::{
    backend::Backend,
    bench::{
        profile::Profile,
        run::{Fill, Run, Scales, Way},
    },
    db::{DbError, Session},
    plan::StageKind,
};

use super::{
    BenchError,
    arena::open,
    counters::numbers,
    fill,
    run::Scene,
    scenes::{Begin, Scenes},
};

/// Ways whose cost is told of more rows.
const WAYS: [Way; 2] = [Way::Stride, Way::Update];

/// Fills smaller tables, which `scenes` builds, in the ways that `run` has already gone.
pub(super) fn measure(
    scenes: &Scenes<'_>,
    profile: &Profile,
    run: &mut Run,
    begin: Begin<'_>,
) -> Result<(), BenchError> {
    let Some(largest) = run.fill(Way::Stride).cloned() else { return Ok(()) };
    begin(Scene::Smaller)?;
    let made = || scenes.arena.made(scenes.build);
    let mut fills: Vec<Fill> = Vec::new();
    for way in WAYS.into_iter().filter(|way| run.fill(*way).is_some()) {
        let copy = made()?;
        fill::stage(scenes.life, StageKind::Expand, &copy.url)?;
        fills.push(fill::measured(way, scenes.life, &copy.url, scenes.go_on)?);
    }
    scenes.again(&mut fills, &|| begin(Scene::Smaller), &made)?;
    let mut session = open(scenes.arena.url())?;
    let checkpoints = match scenes.arena.backend() {
        Backend::Postgres => setting(&mut session, profile, "checkpoint_timeout", |value| {
            format!("SELECT extract(epoch FROM '{value}'::interval)")
        })?,
        Backend::Mysql | Backend::Sqlite => None,
    };
    let otherwise = memory(&mut session, profile, &largest)?.into_iter().collect();
    run.scales = Some(Scales { production: profile.size.rows, fills, checkpoints, otherwise });
    Ok(())
}

/// Says where the table fits into memory here, and does not in production.
fn memory(
    session: &mut Session,
    profile: &Profile,
    here: &Fill,
) -> Result<Option<String>, DbError> {
    if session.backend() != Backend::Postgres {
        return Ok(None);
    }
    let of = |value: &str| format!("SELECT pg_size_bytes('{value}')");
    let Some(theirs) = setting(session, profile, "shared_buffers", of)? else { return Ok(None) };
    let ours = "SELECT pg_size_bytes(current_setting('shared_buffers'))";
    let ours = numbers(session, ours)?.first().copied().unwrap_or_default();
    let size = &profile.size;
    let pages = size.pages.unwrap_or_default() + size.index_pages.unwrap_or_default();
    let there = pages * size.page_bytes.unwrap_or(8192.0);
    let here: f64 = here.sizes.iter().map(|of| of.after).sum();
    let (fits_here, fits_there) = (here <= ours, there <= theirs);
    Ok((fits_here && !fits_there).then(|| {
        format!(
            "in production the table and its indexes ({:.1} GB) do not fit into shared_buffers \
             ({:.1} GB), here they did: reading pages takes longer there",
            there / 1e9,
            theirs / 1e9
        )
    }))
}

/// Returns a setting of production as a number.
fn setting(
    session: &mut Session,
    profile: &Profile,
    name: &str,
    sql: impl Fn(&str) -> String,
) -> Result<Option<f64>, DbError> {
    let value = profile.settings.get(name).map(|value| value.replace('\'', ""));
    let Some(value) = value.filter(|value| !value.is_empty()) else { return Ok(None) };
    // A file may say anything; what is no setting is not known.
    match numbers(session, &sql(&value)) {
        Ok(found) => Ok(found.first().copied().filter(|number| *number > 0.0)),
        Err(error) if error.sqlstate().is_some() => Ok(None),
        Err(error) => Err(error),
    }
}
