//! A command that is watched while it runs, and leaves no process behind.

use std::{
    collections::VecDeque,
    io::{self, BufRead as _, BufReader, PipeReader},
    ops::ControlFlow,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

#[cfg(unix)]
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};

use crate::wait::wait_for;
#[cfg(unix)]
use crate::wait::wait_until;

/// Lines of a command's output that a report repeats.
const TAIL: usize = 20;

/// How often the watcher of a silent command is asked whether to go on.
const PULSE: Duration = Duration::from_millis(100);

/// How long a command that is told to stop may take, and its last words after its end.
const GRACE: Duration = Duration::from_secs(5);

/// The exit code of a shell whose command cannot be started.
const NOT_STARTED: i32 = 127;

/// What a running command lets its watcher know.
pub(crate) enum Sign<'a> {
    /// It printed a line.
    Line(&'a str),
    /// It still runs.
    Alive,
}

/// A command that has ended.
pub(crate) struct Ended {
    /// Whether there is such a program.
    pub(crate) is_started: bool,
    /// Its exit code; `None` if a signal ended it.
    pub(crate) exit: Option<i32>,
    /// The end of what it printed.
    pub(crate) tail: String,
    pub(crate) took: Duration,
}

/// Runs a command to its end, or ends it after a limit; `None` if the watcher broke it off.
pub(crate) fn run(
    mut command: Command,
    limit: Option<Duration>,
    watch: &mut dyn FnMut(Sign<'_>) -> ControlFlow<()>,
) -> io::Result<Option<Ended>> {
    let started = Instant::now();
    let (reader, writer) = io::pipe()?;
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    let mut group = match Group::spawn(command) {
        Ok(group) => group,
        Err(tail) => {
            let took = started.elapsed();
            return Ok(Some(Ended { is_started: false, exit: Some(NOT_STARTED), tail, took }));
        }
    };
    let mut listener = Listener { lines: lines(reader), watch, tail: VecDeque::new() };
    let exit = loop {
        let ended = group.ended_within(PULSE)?;
        if listener.catch_up().is_break() {
            return Ok(None);
        }
        if let Some(status) = ended {
            break status.code();
        }
        if limit.is_some_and(|limit| started.elapsed() > limit) {
            break None;
        }
    };
    let took = started.elapsed();
    // What it left running holds the pipe, and perhaps the database.
    drop(group);
    if listener.finish().is_break() {
        return Ok(None);
    }
    let tail = Vec::from(listener.tail).join("\n");
    Ok(Some(Ended { is_started: true, exit, tail, took }))
}

/// Hands a command's lines on, and remembers the last ones.
struct Listener<'a> {
    lines: Receiver<String>,
    watch: &'a mut dyn FnMut(Sign<'_>) -> ControlFlow<()>,
    tail: VecDeque<String>,
}

impl Listener<'_> {
    fn catch_up(&mut self) -> ControlFlow<()> {
        while let Ok(line) = self.lines.try_recv() {
            self.hear(line)?;
        }
        (self.watch)(Sign::Alive)
    }

    /// Takes what is still in the pipe; a daemon that moved away may hold it open for ever.
    fn finish(&mut self) -> ControlFlow<()> {
        let late = Instant::now() + GRACE;
        let left = || late.saturating_duration_since(Instant::now());
        while let Ok(line) = self.lines.recv_timeout(left()) {
            self.hear(line)?;
        }
        ControlFlow::Continue(())
    }

    fn hear(&mut self, line: String) -> ControlFlow<()> {
        let flow = (self.watch)(Sign::Line(&line));
        self.tail.push_back(line);
        if self.tail.len() > TAIL {
            self.tail.pop_front();
        }
        flow
    }
}

fn lines(reader: PipeReader) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        // Whatever the bytes are, a line is worth showing.
        for line in BufReader::new(reader).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            if sender.send(line.trim_end_matches('\r').to_owned()).is_err() {
                break;
            }
        }
    });
    receiver
}

/// A command and all that it starts, ended when dropped.
struct Group(Child);

impl Group {
    fn spawn(mut command: Command) -> Result<Self, String> {
        // Ctrl-C comes to us alone, so that we decide what ends, and see that it does.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let spawned = command.spawn();
        let program = command.get_program().to_string_lossy();
        spawned.map(Self).map_err(|error| format!("could not run `{program}`: {error}"))
    }

    fn ended_within(&mut self, limit: Duration) -> io::Result<Option<ExitStatus>> {
        let ended = wait_for("end of the command", limit, || self.0.try_wait().transpose());
        ended.ok().transpose()
    }

    #[cfg(unix)]
    fn end(&mut self) {
        let Some(id) = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw) else { return };
        // An error says that nobody is left.
        kill_process_group(id, Signal::TERM).ok();
        let gone = wait_until("end of the command", GRACE, || {
            self.0.try_wait().ok();
            test_kill_process_group(id).is_err()
        });
        if gone.is_err() {
            kill_process_group(id, Signal::KILL).ok();
        }
    }

    #[cfg(not(unix))]
    fn end(&mut self) {
        self.0.kill().ok();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end();
        self.0.wait().ok();
    }
}
