//! Runs a program so that only what the test says reaches it, and keeps all it said.

use std::{
    error::Error,
    ffi::{OsStr, OsString},
    fmt,
    io::{self, Read, Write as _},
    process::{Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};

use camino::{Utf8Path, Utf8PathBuf};

use crate::{settings, wait::wait_for};

/// Longest run of a tool, unless the test sets another.
const LIMIT: Duration = Duration::from_secs(300);

/// A program to run, with an environment that holds nothing but what finds files (`PATH`, `HOME`,
/// the temporary directory, Cargo's and rustup's homes) and what makes output the same everywhere.
#[derive(Debug, Clone)]
#[must_use = "a tool does nothing until it is run"]
pub struct Tool {
    program: Utf8PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    dir: Option<Utf8PathBuf>,
    input: String,
    limit: Duration,
}

/// Why a program was not run to its end.
#[derive(Debug)]
#[non_exhaustive]
pub struct ToolError {
    /// The program.
    pub program: Utf8PathBuf,
    /// What failed.
    pub action: ToolAction,
    /// What the system says.
    pub source: io::Error,
}

/// What failed in running a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToolAction {
    /// It is in none of the places where it is looked for.
    Find,
    /// It could not be started.
    Start,
    /// It was killed because it ran for too long.
    End,
}

impl fmt::Display for ToolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let action = match self.action {
            ToolAction::Find => "find",
            ToolAction::Start => "start",
            ToolAction::End => "wait for the end of",
        };
        write!(f, "could not {action} `{}`", self.program)
    }
}

impl Error for ToolError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

impl Tool {
    /// Prepares a program, by path or by name.
    pub fn new(program: impl Into<Utf8PathBuf>) -> Self {
        let fixed =
            [("COLUMNS", "100"), ("NO_COLOR", "1"), ("TERM", "dumb"), ("LC_ALL", "C.UTF-8")];
        Self {
            program: program.into(),
            args: Vec::new(),
            env: fixed.map(|(name, value)| (name.into(), value.into())).to_vec(),
            dir: None,
            input: String::new(),
            limit: LIMIT,
        }
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Sets the directory it runs in.
    pub fn current_dir(mut self, dir: impl AsRef<Utf8Path>) -> Self {
        self.dir = Some(dir.as_ref().to_owned());
        self
    }

    /// Sets what it reads; nothing by default.
    pub fn stdin(mut self, input: impl Into<String>) -> Self {
        self.input = input.into();
        self
    }

    /// Sets how long it may run, five minutes by default.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Returns the command, for a test that watches or kills the process itself.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args).env_clear();
        command.envs(settings::inherited()).envs(self.env.iter().map(|(k, v)| (k, v)));
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        command
    }

    /// Runs it to its end, whatever its exit status.
    pub fn run(&self) -> Result<CommandOutput, ToolError> {
        let fails =
            |action| move |source| ToolError { program: self.program.clone(), action, source };
        let mut child = self
            .command()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(fails(ToolAction::Start))?;
        let input = self.input.clone();
        let stdin = child.stdin.take();
        // A tool that does not read its input ends the pipe; that is its right.
        thread::spawn(move || stdin.map(|mut pipe| pipe.write_all(input.as_bytes()).ok()));
        let stdout = read_all(child.stdout.take());
        let stderr = read_all(child.stderr.take());
        let ended = wait_for("end of the tool", self.limit, || child.try_wait().transpose());
        let status = match ended {
            Ok(status) => status.map_err(fails(ToolAction::End))?,
            Err(late) => {
                child.kill().and_then(|()| child.wait()).map_err(fails(ToolAction::End))?;
                return Err(fails(ToolAction::End)(io::Error::new(io::ErrorKind::TimedOut, late)));
            }
        };
        Ok(CommandOutput { stdout: text(stdout), stderr: text(stderr), status })
    }
}

fn read_all(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What came before an error is still worth showing.
        pipe.map(|mut pipe| pipe.read_to_end(&mut bytes).ok());
        bytes
    })
}

fn text(reader: thread::JoinHandle<Vec<u8>>) -> String {
    String::from_utf8_lossy(&reader.join().unwrap_or_default()).into_owned()
}

/// All that a program said; printed, it is one text made for snapshots.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "the exit status says whether it worked"]
pub struct CommandOutput {
    /// What it wrote to its standard output.
    pub stdout: String,
    /// What it wrote to its standard error.
    pub stderr: String,
    /// How it ended.
    pub status: ExitStatus,
}

impl CommandOutput {
    /// Returns the exit code, or `None` if a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Returns the output of a program that must have succeeded.
    ///
    /// # Panics
    ///
    /// When it failed, with all it said.
    #[expect(clippy::panic, reason = "fails the calling test, which is its purpose")]
    pub fn success(self) -> Self {
        if !self.status.success() {
            panic!("the tool failed\n{self}");
        }
        self
    }
}

impl fmt::Display for CommandOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code() {
            Some(code) => writeln!(f, "exit code: {code}")?,
            None => writeln!(f, "{}", self.status)?,
        }
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            writeln!(f, "----- {name} -----")?;
            f.write_str(text)?;
            if !text.is_empty() && !text.ends_with('\n') {
                writeln!(f)?;
            }
        }
        Ok(())
    }
}

/// Returns the Diesel CLI: `NEWCOL_DIESEL_BIN`, `target/tools/bin/diesel`, or the one on `PATH`.
pub fn diesel_cli() -> Result<Tool, ToolError> {
    let name = format!("diesel{}", std::env::consts::EXE_SUFFIX);
    let given = settings::var("NEWCOL_DIESEL_BIN").map(Utf8PathBuf::from);
    let built = settings::tool_dirs().into_iter().map(|dir| dir.join("bin").join(&name));
    let found = settings::dirs("PATH").into_iter().map(|dir| dir.join(&name));
    // A path the user gives is taken as it is, so that a wrong one is reported, not passed over.
    let path = given.or_else(|| built.chain(found).find(|path| path.is_file()));
    path.map(Tool::new).ok_or_else(|| ToolError {
        program: Utf8PathBuf::from(name),
        action: ToolAction::Find,
        source: io::Error::new(
            io::ErrorKind::NotFound,
            "run tests/run, which builds it, or set NEWCOL_DIESEL_BIN",
        ),
    })
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn sh(script: &str) -> Tool {
        Tool::new("sh").args(["-c", script])
    }

    #[test]
    fn all_a_tool_says_is_one_text() {
        let said =
            sh("read a; echo \"got $a\"; printf bad >&2; exit 3").stdin("x\n").run().unwrap();
        assert_eq!(
            said.to_string(),
            "exit code: 3\n----- stdout -----\ngot x\n----- stderr -----\nbad\n"
        );
    }

    #[test]
    fn the_environment_is_what_the_test_says() {
        let said = sh("echo $COLUMNS $NO_COLOR [$CARGO_PKG_NAME] $MINE").env("MINE", "y").run();
        assert_eq!(said.unwrap().stdout, "100 1 [] y\n");
    }

    #[test]
    fn a_tool_that_hangs_is_killed() {
        let error = sh("exec sleep 60").limit(Duration::from_millis(50)).run().unwrap_err();
        assert_eq!(error.action, ToolAction::End);
    }
}
