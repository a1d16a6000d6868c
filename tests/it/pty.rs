//! A terminal whose other end a test holds.

use std::{fs::File, os::fd::OwnedFd, process::Stdio};

use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcgetattr, tcsetwinsize},
};

pub(crate) const ROWS: u16 = 24;

pub(crate) struct Pty {
    /// What is written here is typed, what is read here is shown. Reading fails once nobody has the
    /// other end any more.
    pub(crate) ours: File,
    theirs: File,
}

impl Pty {
    pub(crate) fn new(columns: u16) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let theirs = ptsname(&ours, Vec::new()).unwrap();
        let theirs = File::options().read(true).write(true).open(theirs.to_str().unwrap()).unwrap();
        let size = Winsize { ws_row: ROWS, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&theirs, size).unwrap();
        Self { ours: File::from(ours), theirs }
    }

    /// Returns the end that a program reads or writes.
    pub(crate) fn end(&self) -> Stdio {
        Stdio::from(OwnedFd::from(self.theirs.try_clone().unwrap()))
    }

    /// Returns how the terminal is set.
    pub(crate) fn modes(&self) -> String {
        format!("{:?}", tcgetattr(&self.theirs).unwrap())
    }

    /// Gives the other end up, which programs still have.
    pub(crate) fn into_ours(self) -> File {
        self.ours
    }
}
