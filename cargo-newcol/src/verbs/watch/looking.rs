//! Snapshots one after the other, on a thread of their own: whoever shows them waits for no server.

use std::{
    io,
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    time::{Duration, Instant},
};

use camino::Utf8PathBuf;
use newcol_core::{
    ident::ColumnPath,
    watch::{
        alert::{Alert, alerts},
        assess::assess,
        collect::{Purpose, Settings},
        history::History,
        report::Report,
        store::Store,
        verdict::Judgement,
    },
};

use super::take::Source;
use crate::error::CliError;

/// How long the last snapshot may take when all is to end.
const LAST: Duration = Duration::from_secs(3);

/// What the file holds after a snapshot.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Glance {
    pub(super) history: History,
    pub(super) report: Report,
    pub(super) judgement: Judgement,
    pub(super) alerts: Vec<Alert>,
}

/// What came of a snapshot.
#[derive(Debug)]
pub(super) enum Look {
    Taken(Box<Glance>),
    Failed(String),
}

/// Who takes snapshots, until it is dropped.
pub(super) struct Looking {
    pub(super) looks: Receiver<Look>,
    stop: Option<Sender<()>>,
}

impl Looking {
    /// Takes a snapshot now and then one every so often; so many, or until it is ended.
    pub(super) fn begin(
        source: Source,
        (file, column): (Utf8PathBuf, ColumnPath),
        every: Duration,
        count: Option<u32>,
    ) -> io::Result<Self> {
        let (look, looks) = mpsc::channel();
        let (stop, stopped) = mpsc::channel();
        let run = move || {
            let mut left = count;
            loop {
                let begun = Instant::now();
                let taken = taken(&source, &file, &column);
                if look.send(taken).is_err() {
                    return;
                }
                left = left.map(|left| left.saturating_sub(1));
                let pause = every.saturating_sub(begun.elapsed());
                if left == Some(0) || stopped.recv_timeout(pause) != Err(RecvTimeoutError::Timeout)
                {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("watch".to_owned()).spawn(run)?;
        Ok(Self { looks, stop: Some(stop) })
    }

    /// Ends it; a snapshot that is being taken may come to its end, if it is near.
    pub(super) fn end(mut self) {
        drop(self.stop.take());
        let begun = Instant::now();
        while self.looks.recv_timeout(LAST.saturating_sub(begun.elapsed())).is_ok() {}
    }
}

fn taken(source: &Source, file: &Utf8PathBuf, column: &ColumnPath) -> Look {
    match try_taken(source, file, column) {
        Ok(glance) => Look::Taken(Box::new(glance)),
        Err(error) => Look::Failed([vec![error.message], error.causes].concat().join(": ")),
    }
}

fn try_taken(source: &Source, file: &Utf8PathBuf, column: &ColumnPath) -> Result<Glance, CliError> {
    let mut store = Store::write(file, column)?;
    let now = jiff::Timestamp::now();
    source.take(now, &mut store, column, Purpose::Snap, Settings::default())?;
    let empty = || CliError::failed("the snapshot that was just taken is gone");
    let report = Report::of(&mut store)?.ok_or_else(empty)?;
    let assessment = assess(&mut store)?.ok_or_else(empty)?;
    let history = History::of(&mut store)?;
    let alerts = alerts(&history);
    Ok(Glance { history, report, judgement: assessment.judgement, alerts })
}
