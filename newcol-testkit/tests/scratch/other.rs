//! Other processes that use scratch databases, and what is there of their servers.

use std::{
    io::{BufRead, BufReader},
    os::unix::fs::MetadataExt,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use newcol_core::backend::Backend;
use newcol_testkit::{ScratchDb, scratch, wait::wait_until};

pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// The providers that start servers, as far as they are built in.
pub(crate) const PROVIDERS: &[&str] =
    if cfg!(feature = "docker") { &["local", "docker"] } else { &["local"] };

/// A directory of its own for servers, in memory.
pub(crate) struct RunDir {
    dir: tempfile::TempDir,
    /// How many seconds servers outlive their users.
    idle: &'static str,
}

impl RunDir {
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("newcol-run-").tempdir_in("/dev/shm").unwrap();
        // A server started by root runs as another user, who must pass through.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o711);
        std::fs::set_permissions(dir.path(), open).unwrap();
        std::fs::create_dir(dir.path().join("tmp")).unwrap();
        Self { dir, idle: "1" }
    }

    /// Lets servers end right after their last user.
    pub(crate) fn without_idling(self) -> Self {
        Self { idle: "0", ..self }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn name(&self) -> &str {
        self.path().to_str().unwrap()
    }

    /// Returns a command that runs a test of this binary on servers in this directory.
    pub(crate) fn command(&self, provider: &str, test: &str) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", test, "--nocapture"])
            .env("NEWCOL_TEST_PROVIDER", provider)
            .env("NEWCOL_TEST_RUN_DIR", self.path())
            .env("NEWCOL_TEST_IDLE_SECONDS", self.idle)
            .env("TMPDIR", self.path().join("tmp"))
            .stdin(Stdio::null());
        command
    }

    /// Returns how many servers run here: processes, and containers whether they run or not.
    pub(crate) fn servers(&self) -> usize {
        self.processes(|line| !line.contains("newcol-supervisor")).len() + self.containers().len()
    }

    /// Returns how many servers have, or had, a directory here.
    pub(crate) fn runs(&self) -> usize {
        self.in_homes().filter(|name| name.starts_with("r-")).count()
    }

    /// Returns the names of files in all homes.
    fn in_homes(&self) -> impl Iterator<Item = String> {
        let homes = std::fs::read_dir(self.path()).unwrap().flatten();
        let inside = homes.filter_map(|home| std::fs::read_dir(home.path()).ok());
        inside.flatten().flatten().map(|entry| entry.file_name().into_string().unwrap())
    }

    /// Returns the homes of servers.
    pub(crate) fn homes(&self) -> Vec<String> {
        let homes = std::fs::read_dir(self.path()).unwrap().flatten();
        let homes = homes.filter(|home| home.path().join("start.lock").exists());
        homes.map(|home| home.file_name().into_string().unwrap()).collect()
    }

    /// Returns the inodes of the servers' data directories, as far as the 32 bits of a key go.
    pub(crate) fn clusters(&self) -> Vec<u32> {
        let homes = std::fs::read_dir(self.path()).unwrap().flatten();
        let runs = homes.filter_map(|home| std::fs::read_dir(home.path()).ok()).flatten().flatten();
        let data = runs.map(|run| run.path().join("data"));
        let inodes = data.filter_map(|data| Some(std::fs::metadata(data).ok()?.ino()));
        inodes.map(|inode| (inode & u64::from(u32::MAX)) as u32).collect()
    }

    /// Waits until nothing runs here any more.
    pub(crate) fn wait_for_end(&self) {
        wait_until("end of the servers", LIMIT, || self.servers() == 0).unwrap();
        wait_until("removal of their data", LIMIT, || self.runs() == 0).unwrap();
    }

    /// Returns the names of this directory's containers.
    pub(crate) fn containers(&self) -> Vec<String> {
        let output = Command::new("docker")
            .args(["ps", "--all", "--filter", "label=dev.newcol.run"])
            .args(["--format", "{{.Names}} {{.Label \"dev.newcol.run\"}}"])
            .output();
        let said = output.map(|output| output.stdout).unwrap_or_default();
        let said = String::from_utf8(said).unwrap();
        let ours = said.lines().filter_map(|line| line.split_once(' '));
        ours.filter(|(_, run)| run.starts_with(self.name())).map(|(n, _)| n.to_owned()).collect()
    }

    pub(crate) fn kill_supervisors(&self) {
        let supervisors = || self.processes(|line| line.contains("newcol-supervisor"));
        for pid in supervisors() {
            // Its `flock` child waits on the same locks.
            let group = format!("-{pid}");
            drop(Command::new("kill").args(["-KILL", "--", &group]).status());
        }
        wait_until("end of supervisors", LIMIT, || supervisors().is_empty()).unwrap();
    }

    /// Returns the processes that have this directory on their command line.
    fn processes(&self, choose: impl Fn(&str) -> bool) -> Vec<String> {
        let proc = std::fs::read_dir("/proc").unwrap().flatten();
        proc.filter(|entry| {
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line);
            line.contains(self.name()) && choose(&line)
        })
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect()
    }
}

/// A process of its own that makes a database, prints the URL and lives until it is told to end.
pub(crate) struct Other {
    child: Child,
    /// Kept open: a process that cannot print its result fails.
    _stdout: ChildStdout,
    pub(crate) url: String,
}

impl Other {
    /// Starts a process that gets its server from one provider; `None` if that has none.
    pub(crate) fn start(provider: &str, backend: Backend, dir: &RunDir) -> Option<Self> {
        Self::start_with(&mut dir.command(provider, "other::another_process"), backend)
    }

    pub(crate) fn start_with(command: &mut Command, backend: Backend) -> Option<Self> {
        let mut child = command
            .env("NEWCOL_TESTKIT_OTHER", backend.name())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let lines = BufReader::new(&mut stdout).lines();
        let url = lines
            .map_while(Result::ok)
            .find_map(|line| Some(line.split_once("OTHER ")?.1.to_owned()));
        let Some(url) = url else {
            assert!(child.wait().unwrap().success(), "no database, and not skipped");
            return None;
        };
        Some(Self { child, _stdout: stdout, url })
    }

    pub(crate) fn server(&self) -> &str {
        self.url.rsplit_once('/').unwrap().0
    }

    pub(crate) fn name(&self) -> &str {
        self.url.rsplit_once('/').unwrap().1
    }

    pub(crate) fn databases(&self) -> Vec<String> {
        databases(&self.url)
    }

    pub(crate) fn end(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Returns all databases of the server of a URL.
pub(crate) fn databases(url: &str) -> Vec<String> {
    let sql = match Backend::of_url(url) {
        Backend::Postgres => "SELECT datname::text FROM pg_database ORDER BY 1",
        Backend::Mysql | Backend::Sqlite => {
            "SELECT CAST(schema_name AS CHAR) FROM information_schema.schemata ORDER BY 1"
        }
    };
    let rows = scratch::rows(url, sql).unwrap();
    rows.into_iter().flatten().flatten().collect()
}

/// Not a test of its own: what [`Other`] runs.
#[test]
fn another_process() {
    let Some(backend) = std::env::var_os("NEWCOL_TESTKIT_OTHER") else { return };
    let backend: Backend = backend.to_str().unwrap().parse().unwrap();
    let Some(db) = ScratchDb::require(backend) else { return };
    println!("\nOTHER {}", db.url());
    std::io::stdin().read_line(&mut String::new()).unwrap();
}
