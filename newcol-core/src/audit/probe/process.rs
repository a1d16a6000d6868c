//! A program with all that it starts: read line by line, and ended whole.

use std::{
    io::{self, BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread,
    time::{Duration, Instant},
};

/// How often whoever listens is asked whether to go on while the program is silent.
const ASK: Duration = Duration::from_millis(100);

/// What a program that is asked to end has for it.
const GRACE: Duration = Duration::from_secs(2);

/// A line of a program's.
#[derive(Debug)]
pub(super) enum Line {
    Out(String),
    Err(String),
    /// None for a while.
    Silence,
}

/// A running program.
pub(super) struct Running {
    group: Group,
    lines: Receiver<Line>,
}

impl Running {
    pub(super) fn start(mut command: Command) -> io::Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Ctrl-C comes to us alone, so that we decide what ends, and see that it does.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn()?;
        let (sender, lines) = mpsc::channel();
        if let Some(out) = child.stdout.take() {
            send(out, Line::Out, sender.clone());
        }
        if let Some(err) = child.stderr.take() {
            send(err, Line::Err, sender);
        }
        Ok(Self { group: Group(Some(child)), lines })
    }

    /// Returns the next line; `None` once the program has closed both of its outputs.
    pub(super) fn line(&self) -> Option<Line> {
        match self.lines.recv_timeout(ASK) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Timeout) => Some(Line::Silence),
            Err(RecvTimeoutError::Disconnected) => None,
        }
    }

    /// Waits for its end.
    pub(super) fn wait(mut self) -> io::Result<()> {
        match self.group.0.take() {
            Some(mut child) => child.wait().map(drop),
            None => Ok(()),
        }
    }

    /// Ends it, with all that it has started.
    pub(super) fn stop(mut self) {
        self.group.ask_to_end();
        while !matches!(
            self.lines.recv_timeout(GRACE),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected)
        ) {}
    }
}

fn send(from: impl Read + Send + 'static, line: fn(String) -> Line, to: Sender<Line>) {
    thread::spawn(move || {
        for bytes in BufReader::new(from).split(b'\n').map_while(Result::ok) {
            if to.send(line(String::from_utf8_lossy(&bytes).into_owned())).is_err() {
                break;
            }
        }
    });
}

/// A process and those that it has started; when dropped, they are no more.
struct Group(Option<Child>);

#[cfg(unix)]
impl Group {
    fn id(&self) -> Option<rustix::process::Pid> {
        let id = self.0.as_ref().and_then(|child| i32::try_from(child.id()).ok())?;
        rustix::process::Pid::from_raw(id)
    }

    fn ask_to_end(&mut self) {
        if let Some(id) = self.id() {
            // An error says that nobody is left.
            rustix::process::kill_process_group(id, rustix::process::Signal::TERM).ok();
        }
    }

    fn end(&mut self) {
        let Some(id) = self.id() else { return };
        rustix::process::kill_process_group(id, rustix::process::Signal::KILL).ok();
        if let Some(child) = &mut self.0 {
            child.wait().ok();
        }
        // Nobody tells us of the end of those that others have started.
        let begun = Instant::now();
        while begun.elapsed() < GRACE && rustix::process::test_kill_process_group(id).is_ok() {
            thread::park_timeout(Duration::from_millis(5));
        }
    }
}

#[cfg(not(unix))]
impl Group {
    fn ask_to_end(&mut self) {
        // What Cargo starts there ends with it.
        self.end();
    }

    fn end(&mut self) {
        if let Some(child) = &mut self.0 {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end();
    }
}
