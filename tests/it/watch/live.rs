//! `watch live` under a terminal and off one, `watch serve` before a scrape.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    time::{Duration, Instant},
};

use newcol_core::db::{DatabaseUrl, OpenOptions, Session};
use newcol_testkit::{Want, project::Project};
use rustix::process::{Pid, Signal, kill_process};

use super::{
    ADD, USERS, World,
    cli::{COLUMN, project},
    exposition::{self, Sample},
};
use crate::{
    desk::{newcol, tool},
    pty::Pty,
};

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(60);

/// A program that runs, killed with the value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Running {
    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.0.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }
}

/// Reads chunks on a thread, so that waiting for them has an end.
fn chunks(mut from: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (sender, chunks) = mpsc::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            if sender.send(String::from_utf8_lossy(&buffer[..length]).into_owned()).is_err() {
                break;
            }
        }
    });
    chunks
}

/// Collects what comes until it contains a text.
fn until(chunks: &Receiver<String>, text: &str) -> String {
    let begun = Instant::now();
    let mut all = String::new();
    while !all.contains(text) {
        match chunks.recv_timeout(LIMIT.saturating_sub(begun.elapsed())) {
            Ok(chunk) => all.push_str(&chunk),
            Err(error) => panic!("no `{text}` ({error}) in {all:?}"),
        }
    }
    all
}

fn command(project: &Project, args: &[&str]) -> Command {
    tool(project.root(), args).command()
}

#[test]
fn a_terminal_is_drawn_on_and_given_back() {
    let world = World::new(15);
    for (keys, signal) in [("q", None), ("\x03", None), ("", Some(Signal::TERM))] {
        let project = project("postgres");
        let pty = Pty::new(100);
        let before = pty.modes();
        let url = world.db.url();
        let args = ["watch", "live", COLUMN, "--database-url", url, "--every", "300ms"];
        let mut run = command(&project, &args);
        run.env("TERM", "xterm").env("LC_ALL", "C.UTF-8").env("NO_COLOR", "1");
        run.stdin(pty.end()).stdout(pty.end()).stderr(pty.end());
        let mut running = Running(run.spawn().unwrap());
        let mut keyboard = pty.ours.try_clone().unwrap();
        let screen = chunks(keyboard.try_clone().unwrap());
        let drawn = until(&screen, "UNKNOWN");
        // The other screen, in which nothing of the user's is overwritten.
        assert!(drawn.contains("\x1b[?1049h") && drawn.contains(COLUMN), "{drawn:?}");
        assert!(!drawn.contains("\x1b[32m") && !drawn.contains("\x1b[38;5;2m"), "{drawn:?}");
        assert_ne!(pty.modes(), before);
        keyboard.write_all(keys.as_bytes()).unwrap();
        signal.into_iter().for_each(|signal| running.signal(signal));
        until(&screen, "\x1b[?1049l");
        assert_eq!(running.0.wait().unwrap().code(), Some(0), "{keys:?}");
        assert_eq!(pty.modes(), before, "{keys:?}");
    }
}

#[test]
fn off_a_terminal_a_line_is_printed_for_each_snapshot() {
    let mut world = World::new(15);
    let project = project("postgres");
    let live = |more: &[&str]| {
        let url = world.db.url();
        let args = ["watch", "live", COLUMN, "--database-url", url, "--every", "100ms"];
        newcol(&project, &[&args[..], more].concat())
    };
    let run = live(&["--count", "3"]).success();
    assert_eq!(run.stdout.lines().count(), 3, "{run}");
    assert!(run.stdout.lines().all(|line| line.contains(" UTC, UNKNOWN")), "{run}");
    let run = live(&["--count", "2", "--message-format", "json"]).success();
    for line in run.stdout.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(
            (&line["reason"], &line["verdict"]),
            (&"newcol-watch-live".into(), &"UNKNOWN".into())
        );
    }
    // What somebody should look at is said by all who look.
    world.run(&[ADD, "CREATE TABLE held (id int)"]);
    world.run(&[
        "INSERT INTO users (id) SELECT n FROM generate_series(1000, 5000) n",
        "DELETE FROM users WHERE id > 500",
        "SELECT pg_stat_force_next_flush()",
    ]);
    let run = newcol(
        &project,
        &["watch", "live", COLUMN, "--database-url", world.db.url(), "--count", "1"],
    );
    assert!(run.success().stdout.contains("alert: 4001 rows are dead and 500 alive"));
    let verdict = newcol(&project, &["watch", "verdict", COLUMN, "--fail-on", "alert"]);
    assert_eq!(verdict.code(), Some(100), "{verdict}");
    assert!(verdict.stdout.contains("alert: 4001 rows are dead"), "{verdict}");
    let report = newcol(&project, &["watch", "report", COLUMN]).success();
    assert!(report.stdout.contains("alert: 4001 rows are dead"), "{report}");
    // Nobody there.
    let args =
        ["watch", "live", COLUMN, "--database-url", "postgres://127.0.0.1:1/app", "--count", "1"];
    assert_eq!(newcol(&project, &args).code(), Some(101));
}

/// Asks for a page over a connection of its own.
fn get(address: &str, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    write!(stream, "{request} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

/// Scrapes until a sample has a value.
fn scraped(address: &str, name: &str, value: f64) -> Vec<Sample> {
    let begun = Instant::now();
    loop {
        let (head, body) = get(address, "GET /metrics");
        assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
        assert!(head.contains("Content-Type: text/plain; version=0.0.4"), "{head}");
        let samples = exposition::read(&body);
        if samples.iter().any(|sample| sample.name == name && sample.value == value) {
            return samples;
        }
        assert!(begun.elapsed() < LIMIT, "no {name} of {value} in {body}");
    }
}

#[test]
fn prometheus_is_answered_while_the_database_comes_and_goes() {
    let mut world = World::with(Want::postgres().version(15).private(), USERS);
    let project = project("postgres");
    let args = ["watch", "serve", COLUMN, "--database-url", world.db.url(), "--every", "300ms"];
    let address = ["--prometheus", "127.0.0.1:0", "--message-format", "json"];
    let mut serve = command(&project, &[&args[..], &address].concat());
    let mut running = Running(
        serve.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap(),
    );
    let mut first = String::new();
    BufReader::new(running.0.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let errors = chunks(running.0.stderr.take().unwrap());
    let first: serde_json::Value = serde_json::from_str(&first).unwrap();
    let address = first["address"].as_str().unwrap().to_owned();
    scraped(&address, "newcol_up", 1.0);
    world.run(&[ADD, "CREATE INDEX users_locale ON users (locale)"]);
    for _ in 0..3 {
        world.run(&[
            "SELECT id FROM users WHERE locale = 'en'",
            "UPDATE users SET age = 1 WHERE id = 1",
        ]);
    }
    world.run(&["SELECT pg_stat_force_next_flush()"]);
    // A baseline reads the texts of what is new.
    drop(
        newcol(&project, &["watch", "baseline", COLUMN, "--database-url", world.db.url()])
            .success(),
    );
    world.run(&["SELECT id FROM users WHERE locale = 'en'"]);
    let samples = scraped(&address, "newcol_query_calls_total", 4.0);
    let names: Vec<&str> = samples.iter().map(|sample| sample.name.as_str()).collect();
    for name in [
        "newcol_query_seconds_total",
        "newcol_wal_bytes_total",
        "newcol_index_scans_total",
        "newcol_verdict",
        "newcol_alert",
        "newcol_last_snapshot_timestamp_seconds",
    ] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    let words = samples.iter().filter(|sample| sample.name == "newcol_verdict");
    assert_eq!(words.map(|sample| sample.value).sum::<f64>(), 1.0);
    for (request, status) in [
        ("GET /", "200"),
        ("GET /metrics?x=1", "200"),
        ("GET /../../etc/passwd", "404"),
        ("POST /metrics", "405"),
    ] {
        let (head, _) = get(&address, request);
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{request}: {head}");
    }
    world.db.crash_server().unwrap();
    // It may have been away between two snapshots only; then it is up all the time.
    world.reconnect();
    scraped(&address, "newcol_up", 1.0);
    // Not to be said from within.
    let name = world.app.value("SELECT current_database()").unwrap().unwrap();
    let outside = DatabaseUrl::parse(&world.db.url().replace(&name, "postgres")).unwrap();
    let mut outside = Session::open(&outside, &OpenOptions::write()).unwrap();
    let mut allow = |is: bool| {
        outside.batch(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS {is}")).unwrap();
    };
    allow(false);
    let down = scraped(&address, "newcol_up", 0.0);
    assert!(down.iter().any(|sample| sample.name == "newcol_query_calls_total"));
    until(&errors, "warning: no snapshot");
    allow(true);
    scraped(&address, "newcol_up", 1.0);
    until(&errors, "the database answers again");
    running.signal(Signal::INT);
    assert_eq!(running.0.wait().unwrap().code(), Some(0));
    until(&errors, "ended");
    assert!(TcpStream::connect(&address).is_err());
    let taken = newcol(
        &project,
        &[
            "watch",
            "serve",
            COLUMN,
            "--database-url",
            world.db.url(),
            "--prometheus",
            "192.0.2.1:1",
        ],
    );
    assert_eq!(taken.code(), Some(101), "{taken}");
}
