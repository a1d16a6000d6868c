//! A server that follows another one.

use std::{
    fs::File,
    os::unix::{
        fs::{MetadataExt as _, chown},
        process::CommandExt as _,
    },
    process::{Child, Command, Stdio},
    time::Duration,
};

use newcol_core::db::{DatabaseUrl, OpenOptions, Session};
use newcol_testkit::{ScratchDb, wait::wait_until};

const LONG: Duration = Duration::from_secs(30);

/// A standby of a server of 15 or later, ended with the test.
pub(crate) struct Standby {
    server: Child,
    /// Where its files are.
    data: String,
    /// Its process that gets the log.
    receiver: String,
    /// The same database on it.
    pub(crate) url: String,
}

impl Standby {
    /// Makes one that follows.
    pub(crate) fn of(primary: &ScratchDb) -> Self {
        let data = primary.rows("SHOW data_directory").unwrap().concat().remove(0).unwrap();
        let copy = format!("{data}-standby");
        copy_while_it_runs(primary, &data, &copy);

        let (_, database) = primary.url().rsplit_once('/').unwrap();
        let sockets = primary.rows("SHOW unix_socket_directories").unwrap().concat().remove(0);
        let pid = std::fs::read_to_string(format!("{data}/postmaster.pid")).unwrap();
        let program = std::fs::read_link(format!("/proc/{}/exe", pid.lines().next().unwrap()));
        let owner = std::fs::metadata(&data).unwrap();
        let mut server = Command::new(program.unwrap());
        if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
            server.uid(owner.uid()).gid(owner.gid());
        }
        let log = File::create(format!("{copy}/log")).unwrap();
        let upstream = format!("primary_conninfo=host={} user=newcol", sockets.unwrap());
        let settings = ["-c", "listen_addresses=", "-c", &upstream];
        server.args(["-D", &copy, "-k", &copy]).args(settings);
        let mut standby = Self {
            server: server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap(),
            url: format!("postgres://newcol@{}/{database}", copy.replace('/', "%2F")),
            data: copy,
            receiver: String::new(),
        };
        let streaming = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'";
        let follows = || primary.rows(streaming).unwrap().concat() == [Some("1".to_owned())];
        wait_until("standby", LONG, || follows() && standby.ask("SELECT 1").is_some()).unwrap();
        let receiver = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'walreceiver'";
        standby.receiver = standby.ask(receiver).unwrap();
        standby
    }

    /// Asks the standby.
    pub(crate) fn ask(&self, sql: &str) -> Option<String> {
        let url = DatabaseUrl::parse(&self.url).unwrap();
        Session::open(&url, &OpenOptions::default()).ok()?.value(sql).ok()?
    }

    /// Stops the process that gets the log, or lets it go on.
    pub(crate) fn signal(&self, name: &str) -> bool {
        let kill = Command::new("kill").args([name, &self.receiver]).stderr(Stdio::null()).status();
        kill.unwrap().success()
    }

    /// Kills the standby.
    pub(crate) fn end(&mut self) {
        drop(self.server.kill());
        drop(self.server.wait());
    }
}

impl Drop for Standby {
    fn drop(&mut self) {
        // A process that is stopped does not notice that its server is gone.
        self.signal("-CONT");
        self.end();
        drop(std::fs::remove_dir_all(&self.data));
    }
}

/// Copies the files of a server as `pg_basebackup` does, which not every installation has.
fn copy_while_it_runs(server: &ScratchDb, from: &str, to: &str) {
    let url = DatabaseUrl::parse(server.url()).unwrap();
    let mut session = Session::open(&url, &OpenOptions::write()).unwrap();
    session.value("SELECT pg_backup_start('standby', true)").unwrap();
    let copied = Command::new("cp").args(["--archive", from, to]).status().unwrap();
    assert!(copied.success());
    let label = session.value("SELECT labelfile FROM pg_backup_stop(false)").unwrap().unwrap();
    let owner = std::fs::metadata(from).unwrap();
    for (file, text) in [("backup_label", label.as_str()), ("standby.signal", "")] {
        let file = format!("{to}/{file}");
        std::fs::write(&file, text).unwrap();
        chown(&file, Some(owner.uid()), Some(owner.gid())).unwrap();
    }
    std::fs::remove_file(format!("{to}/postmaster.pid")).unwrap();
}
