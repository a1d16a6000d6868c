//! Stands between the tool and its server, counts statements, and ends the talk at one of them.
//!
//! PostgreSQL and MySQL number their messages differently, but both frame them, so a statement is
//! one frame of the kind that asks for something.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
};

use newcol_core::backend::Backend;

/// What happens at the chosen statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The client is killed before the server hears of it.
    Kill,
    /// The connection breaks before the server hears of it.
    Before,
    /// The server does it, and the connection breaks before the client hears of that.
    After,
}

/// A listener in front of a server.
pub(crate) struct Relay {
    /// The URL that leads through it.
    pub(crate) url: String,
    shared: Arc<Shared>,
    /// The relay waits here until the client is dead.
    reached: mpsc::Receiver<mpsc::Sender<()>>,
}

struct Shared {
    backend: Backend,
    server: Address,
    statements: AtomicU64,
    end: End,
    /// The statement, counted from 1.
    at: u64,
    reached: mpsc::Sender<mpsc::Sender<()>>,
}

enum Address {
    Socket(String),
    Tcp(String),
}

/// One side of a connection.
enum Pipe {
    Socket(UnixStream),
    Tcp(TcpStream),
}

impl Relay {
    /// Listens, and ends the talk at a statement; at statement 0 never.
    pub(crate) fn new(backend: Backend, url: &str, end: End, at: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (scheme, rest) = url.split_once("://").unwrap();
        let (place, database) = rest.split_once('/').unwrap();
        let (user, host) = place.rsplit_once('@').unwrap();
        let server = if host.starts_with("%2F") {
            Address::Socket(format!("{}/.s.PGSQL.5432", host.replace("%2F", "/")))
        } else {
            Address::Tcp(host.to_owned())
        };
        let plain = match backend {
            Backend::Mysql => "ssl_mode=disabled",
            Backend::Postgres | Backend::Sqlite => "sslmode=disable",
        };
        let mark = if database.contains('?') { '&' } else { '?' };
        let url = format!("{scheme}://{user}@127.0.0.1:{port}/{database}{mark}{plain}");
        let (sender, reached) = mpsc::channel();
        let statements = AtomicU64::new(0);
        let shared = Arc::new(Shared { backend, server, statements, end, at, reached: sender });
        let own = Arc::clone(&shared);
        // Ends with the test's process.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = Arc::clone(&own);
                thread::spawn(move || shared.carry(client));
            }
        });
        Self { url, shared, reached }
    }

    /// Returns how many statements went through so far.
    pub(crate) fn statements(&self) -> u64 {
        self.shared.statements.load(Ordering::SeqCst)
    }

    /// Asks whether a client is to be killed; then the returned sender lets go of its connection.
    pub(crate) fn reached(&self) -> Option<mpsc::Sender<()>> {
        self.reached.try_recv().ok()
    }
}

impl Shared {
    fn carry(&self, mut client: TcpStream) {
        // A server that is starting takes no connections, and neither do we.
        let Some(mut server) = self.server.open() else { return };
        let swallow = Arc::new(AtomicBool::new(false));
        let back = {
            let (mut from, mut to) = (server.again(), client.try_clone().unwrap());
            let swallow = Arc::clone(&swallow);
            thread::spawn(move || {
                let mut bytes = [0; 16 * 1024];
                while let Ok(count @ 1..) = from.read(&mut bytes) {
                    if !swallow.load(Ordering::SeqCst) && to.write_all(&bytes[..count]).is_err() {
                        break;
                    }
                }
                to.shutdown(Shutdown::Both).ok();
            })
        };
        let mut greeted = self.backend == Backend::Mysql;
        while let Some(frame) = self.frame(&mut client, greeted) {
            let is_statement = greeted && self.is_statement(&frame);
            greeted = true;
            if is_statement && self.statements.fetch_add(1, Ordering::SeqCst) + 1 == self.at {
                match self.end {
                    End::Kill => {
                        let (sender, killed) = mpsc::channel();
                        self.reached.send(sender).ok();
                        killed.recv().ok();
                    }
                    End::Before => {}
                    End::After => {
                        swallow.store(true, Ordering::SeqCst);
                        // The server hears goodbye after it has done its work.
                        let all = [frame.as_slice(), self.goodbye()].concat();
                        if server.write_all(&all).is_ok() {
                            back.join().ok();
                        }
                        break;
                    }
                }
                break;
            }
            if server.write_all(&frame).is_err() {
                break;
            }
        }
        server.shutdown();
        client.shutdown(Shutdown::Both).ok();
    }

    /// Reads one message of the client.
    fn frame(&self, client: &mut TcpStream, greeted: bool) -> Option<Vec<u8>> {
        let head = match self.backend {
            Backend::Postgres if greeted => 5,
            Backend::Postgres | Backend::Mysql | Backend::Sqlite => 4,
        };
        let mut frame = vec![0; head];
        client.read_exact(&mut frame).ok()?;
        let length = match self.backend {
            Backend::Postgres | Backend::Sqlite => {
                u32::from_be_bytes(frame[head - 4..].try_into().unwrap()) as usize - 4
            }
            Backend::Mysql => u32::from_le_bytes([frame[0], frame[1], frame[2], 0]) as usize,
        };
        frame.resize(head + length, 0);
        client.read_exact(&mut frame[head..]).ok()?;
        Some(frame)
    }

    fn is_statement(&self, frame: &[u8]) -> bool {
        match self.backend {
            Backend::Postgres | Backend::Sqlite => frame[0] == b'Q',
            // The first of its talk, and a query.
            Backend::Mysql => frame[3] == 0 && frame.get(4) == Some(&3),
        }
    }

    fn goodbye(&self) -> &'static [u8] {
        match self.backend {
            Backend::Postgres | Backend::Sqlite => b"X\0\0\0\x04",
            Backend::Mysql => b"\x01\0\0\0\x01",
        }
    }
}

impl Address {
    fn open(&self) -> Option<Pipe> {
        match self {
            Self::Socket(path) => UnixStream::connect(path).ok().map(Pipe::Socket),
            Self::Tcp(host) => TcpStream::connect(host).ok().map(Pipe::Tcp),
        }
    }
}

impl Pipe {
    fn again(&self) -> Self {
        match self {
            Self::Socket(stream) => Self::Socket(stream.try_clone().unwrap()),
            Self::Tcp(stream) => Self::Tcp(stream.try_clone().unwrap()),
        }
    }

    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Socket(stream) => stream.read(bytes),
            Self::Tcp(stream) => stream.read(bytes),
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Socket(stream) => stream.write_all(bytes),
            Self::Tcp(stream) => stream.write_all(bytes),
        }
    }

    fn shutdown(&self) {
        match self {
            Self::Socket(stream) => stream.shutdown(Shutdown::Both).ok(),
            Self::Tcp(stream) => stream.shutdown(Shutdown::Both).ok(),
        };
    }
}
