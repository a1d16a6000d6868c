//! What a person sees: the tool's own bytes, shown by a terminal of many widths and abilities.
//!
//! `NEWCOL_BLESS=1 cargo test -p newcol-tests terminal` draws the picture in the README anew.

mod picture;

use std::{io::Read as _, num::NonZeroU16};

use newcol_core::db::{DatabaseUrl, OpenOptions, Session};
use newcol_testkit::project::Project;

use crate::{
    desk::{self, newcol, tool},
    pty::{Pty, ROWS},
};

type Env = &'static [(&'static str, &'static str)];

const MODERN: Env = &[("TERM", "xterm-256color"), ("LC_ALL", "C.UTF-8")];

const ASCII: Env = &[("TERM", "xterm-256color"), ("LANG", "C")];

const DUMB: Env = &[("TERM", "dumb"), ("LC_ALL", "C.UTF-8")];

const UNCOLORED: Env = &[("TERM", "xterm-256color"), ("LC_ALL", "C.UTF-8"), ("NO_COLOR", "1")];

const BACKFILL: &[&str] =
    &["backfill", "users.locale", "--database-url", "app.db", "--yes", "--restart"];

const VERIFY: &[&str] = &["verify", "users.locale", "--database-url", "app.db"];

/// A project with some thousand rows, whose column is there.
struct Desk {
    project: Project,
    session: Session,
}

/// What a terminal showed.
struct Shown {
    /// All that it was sent.
    bytes: Vec<u8>,
    /// The screen after each piece of it.
    frames: Vec<vt100::Screen>,
}

impl Desk {
    fn new() -> Self {
        let project = desk::one_crate("sqlite").build().unwrap();
        let url = DatabaseUrl::parse(project.root().join("app.db").as_str()).unwrap();
        let mut session = Session::open(&url, &OpenOptions::create()).unwrap();
        let migrations = project.root().join("migrations");
        drop(session.run_pending(&migrations).unwrap());
        drop(newcol(&project, desk::LOWER_NAME).success());
        drop(session.run_pending(&migrations).unwrap());
        session
            .batch(
                "INSERT INTO users (id, name) WITH RECURSIVE n (i) AS \
                 (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) SELECT i, 'N' || i FROM n; \
                 ANALYZE",
            )
            .unwrap();
        Self { project, session }
    }

    /// Runs the tool on a terminal whose environment is all that it has.
    #[track_caller]
    fn shown(&self, args: &[&str], columns: u16, env: Env, code: i32) -> Shown {
        let pty = Pty::new(columns);
        let mut run = tool(self.project.root(), args).command();
        for fixed in ["COLUMNS", "NO_COLOR", "TERM", "LC_ALL"] {
            run.env_remove(fixed);
        }
        run.envs(env.iter().copied());
        let mut child = run.stdin(pty.end()).stdout(pty.end()).stderr(pty.end()).spawn().unwrap();
        // It has the other end, too.
        drop(run);
        let mut terminal = vt100::Parser::new(cells(ROWS), cells(columns), 0);
        let mut ours = pty.into_ours();
        let mut shown = Shown { bytes: Vec::new(), frames: Vec::new() };
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = ours.read(&mut buffer) {
            // A line that is drawn over another begins with a return.
            for piece in buffer[..length].split_inclusive(|byte| *byte == b'\r') {
                terminal.process(piece);
                shown.frames.push(terminal.screen().clone());
            }
            shown.bytes.extend(&buffer[..length]);
        }
        assert_eq!(child.wait().unwrap().code(), Some(code), "{}", shown.text());
        shown
    }

    fn backfill(&mut self, columns: u16, env: Env) -> Shown {
        self.session.batch("UPDATE users SET locale = NULL").unwrap();
        self.shown(BACKFILL, columns, env, 0)
    }
}

impl Shown {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    fn last(&self) -> &vt100::Screen {
        self.frames.last().unwrap()
    }

    /// Returns the screens on which a line says how far the work is, with that line.
    fn working(&self) -> Vec<(&vt100::Screen, String)> {
        let line = |frame| lines(frame).into_iter().find(|line| line.contains(" rows, "));
        let working = self.frames.iter().filter_map(|frame| Some((frame, line(frame)?)));
        working.filter(|(_, line)| line.contains(" left: ")).collect()
    }

    /// Reports whether any text has a color or a weight.
    fn is_styled(&self) -> bool {
        self.text().split("\x1b[").skip(1).any(|after| {
            after.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').starts_with('m')
        })
    }
}

fn cells(count: u16) -> NonZeroU16 {
    NonZeroU16::new(count).unwrap()
}

fn lines(screen: &vt100::Screen) -> Vec<String> {
    screen.rows(0, screen.size().1.get()).map(|row| row.trim_end().to_owned()).collect()
}

#[test]
fn a_bar_is_drawn_as_the_terminal_can_and_is_gone_in_the_end() {
    let mut desk = Desk::new();
    for (columns, env, full) in [
        (60, MODERN, '█'),
        (80, MODERN, '█'),
        (200, MODERN, '█'),
        (80, ASCII, '#'),
        (80, UNCOLORED, '█'),
    ] {
        let shown = desk.backfill(columns, env);
        let working = shown.working();
        assert!(working.len() > 3, "{}", shown.text());
        assert!(
            working.iter().any(|(_, line)| line.starts_with(full)),
            "{columns} {env:?} {}",
            shown.text()
        );
        for (screen, line) in working {
            // Two passes are announced, and one line changes.
            let wrapped = (0..ROWS).find(|row| screen.row_wrapped(*row));
            assert_eq!(wrapped, None, "{columns}: {line}");
            let more: Vec<String> = lines(screen).into_iter().filter(|l| !l.is_empty()).collect();
            assert!(more.iter().all(|l| *l == line || l.starts_with("pass ")), "{more:#?}");
        }
        let left = lines(shown.last());
        assert_eq!(left[..2], ["pass 1: filling rows", "pass 2: looking at every row"]);
        let rest = left[2..].concat();
        assert!(rest.starts_with("`users.locale` is filled: 3000 rows by this job"), "{rest}");
        assert!(!rest.contains(" left: ") && !rest.contains(full), "{rest}");
        assert!(!shown.last().hide_cursor());
        assert_eq!(shown.is_styled(), env != UNCOLORED, "{}", shown.text());
        assert!(env != ASCII || shown.bytes.is_ascii(), "{}", shown.text());
    }
    // No line is drawn over another where it cannot be.
    let shown = desk.backfill(80, DUMB);
    assert!(!shown.bytes.contains(&0x1b) && shown.working().is_empty(), "{}", shown.text());
    assert!(!shown.text().replace("\r\n", "\n").contains('\r'), "{}", shown.text());
}

#[test]
fn failures_are_red_where_there_are_colors() {
    let mut desk = Desk::new();
    let half = desk.backfill(100, MODERN);
    desk.session.batch("UPDATE users SET locale = NULL WHERE id = 7").unwrap();
    for (columns, env) in [(60, MODERN), (200, ASCII), (80, UNCOLORED), (80, DUMB)] {
        let shown = desk.shown(VERIFY, columns, env, 100);
        let screen = shown.last();
        let row = lines(screen).iter().position(|line| line.starts_with("  FAILED")).unwrap();
        let cell = screen.cell(u16::try_from(row).unwrap(), 2).unwrap();
        let is_colored = env == MODERN || env == ASCII;
        let color = if is_colored { vt100::Color::Idx(1) } else { vt100::Color::Default };
        assert_eq!(cell.fgcolor(), color, "{env:?}");
        assert_eq!(shown.is_styled(), is_colored, "{}", shown.text());
        assert!(env != ASCII || shown.bytes.is_ascii(), "{}", shown.text());
        assert!(!lines(screen).concat().contains(" left: "), "{}", screen.contents());
    }
    // Through a pipe there is no terminal to ask, whatever it is called.
    let piped = tool(desk.project.root(), VERIFY).env("TERM", "xterm-256color");
    let mut piped = piped.command();
    let piped = piped.env_remove("NO_COLOR").output().unwrap();
    assert!(!piped.stdout.contains(&0x1b) && !piped.stderr.contains(&0x1b));

    let working = half.working();
    let far = working.iter().find(|(_, line)| line.matches('█').count() > 9);
    let (frame, _) = far.or(working.last()).unwrap();
    let verified = desk.shown(VERIFY, 100, MODERN, 100);
    let typed =
        |args: &[&str]| format!("cargo newcol {}", args.join(" ")).replace(" --restart", "");
    let picture = picture::draw(&[(&typed(BACKFILL), frame), (&typed(VERIFY), verified.last())]);
    let path = camino::Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/terminal.svg");
    if std::env::var_os("NEWCOL_BLESS").is_some() && std::env::var_os("CI").is_none() {
        std::fs::write(&path, &picture).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    let [there, drawn] = [&there, &picture].map(|svg| picture::without_chance(svg));
    assert!(
        there == drawn,
        "{path} is stale: NEWCOL_BLESS=1 cargo test -p newcol-tests terminal\n{drawn}"
    );
    // More rows than are named.
    desk.session.batch("UPDATE users SET locale = NULL WHERE id % 3 = 0").unwrap();
    for (env, more) in [(MODERN, ", …"), (ASCII, ", ...")] {
        let shown = desk.shown(VERIFY, 200, env, 100);
        assert!(shown.last().contents().contains(more), "{}", shown.text());
        assert!(env != ASCII || shown.bytes.is_ascii(), "{}", shown.text());
    }
}
