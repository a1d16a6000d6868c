//! SQLite databases: a temporary file, or memory of this process.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use camino::Utf8PathBuf;

use super::{
    admin::Anchor,
    error::ScratchError,
    lease::{self, Home, Token},
    want::Storage,
};

/// One SQLite database.
pub(super) enum SqliteDb {
    /// A file in a directory of its own, which also takes its journal.
    File { shelf: Arc<Shelf>, name: String },
    /// Shared by the connections of this process, alive while the anchor is.
    Memory { url: String, _anchor: Anchor },
}

/// The directory of all SQLite files, with this process's token in it.
pub(super) struct Shelf {
    home: Home,
    token: Token,
}

impl SqliteDb {
    pub(super) fn new(storage: Storage) -> Result<Self, ScratchError> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        match storage {
            Storage::File => {
                let shelf = Shelf::of_process()?;
                let name = shelf.token.database(NEXT.fetch_add(1, Ordering::Relaxed));
                lease::make_dir(&shelf.home.dir.join(&name))?;
                Ok(Self::File { shelf, name })
            }
            Storage::Memory => {
                let url = format!("file:newcol_{}?mode=memory&cache=shared", lease::random_tag());
                let anchor = Anchor::new(&url)
                    .map_err(|source| ScratchError::Database { action: "create", source })?;
                Ok(Self::Memory { url, _anchor: anchor })
            }
        }
    }

    pub(super) fn url(&self) -> String {
        match self {
            Self::File { shelf, name } => shelf.dir(name).join("scratch.db").to_string(),
            Self::Memory { url, .. } => url.clone(),
        }
    }

    /// Leaves the file to its reader and returns the command that opens it.
    pub(super) fn keep(&self) -> String {
        match self {
            Self::File { shelf, name } => match shelf.home.keep(name) {
                Ok(()) => format!("sqlite3 {}", self.url()),
                Err(error) => super::error::chain(&error),
            },
            Self::Memory { .. } => "it was in memory and is gone".to_owned(),
        }
    }

    /// Removes the file.
    pub(super) fn discard(&self) {
        match self {
            Self::File { shelf, name } => drop(std::fs::remove_dir_all(shelf.dir(name))),
            Self::Memory { .. } => {}
        }
    }
}

impl Shelf {
    /// Returns the shelf of this process; the first call removes what killed processes left.
    fn of_process() -> Result<Arc<Self>, ScratchError> {
        static SHELF: Mutex<Option<Arc<Shelf>>> = Mutex::new(None);
        let mut shelf = SHELF.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shelf) = &*shelf {
            return Ok(Arc::clone(shelf));
        }
        let home = Home::open_in(&lease::roomy_dir()?, "sqlite")?;
        let made = Arc::new(Self { token: home.token()?, home });
        made.sweep();
        Ok(Arc::clone(shelf.insert(made)))
    }

    fn dir(&self, name: &str) -> Utf8PathBuf {
        self.home.dir.join(name)
    }

    fn sweep(&self) {
        let names = lease::dir_names(&self.home.dir);
        let orphans = self.home.orphans(&names);
        for name in &orphans {
            drop(std::fs::remove_dir_all(self.dir(name)));
        }
        self.home.forget_dead_tokens(&lease::dir_names(&self.home.dir));
    }
}
