//! What the environment says about test databases; read nowhere else.
//!
//! The testkit runs inside other people's test binaries, which have no command line of their own
//! for it, so environment variables are its only configuration.

use std::{env, ffi::OsStr};

use camino::Utf8PathBuf;
use newcol_core::backend::Backend;

/// Returns a variable that is set, not empty and valid UTF-8.
pub(crate) fn var(name: impl AsRef<OsStr>) -> Option<String> {
    env::var_os(name)?.into_string().ok().filter(|value| !value.is_empty())
}

/// Returns the server the user gives for a backend, as the name of the variable and the URL.
pub(crate) fn given_url(backend: Backend) -> Option<(&'static str, String)> {
    let name = given_name(backend)?;
    Some((name, var(name)?))
}

/// Returns the variable that gives a server of a backend.
pub(crate) fn given_name(backend: Backend) -> Option<&'static str> {
    match backend {
        Backend::Postgres => Some("NEWCOL_TEST_POSTGRES_URL"),
        Backend::Mysql => Some("NEWCOL_TEST_MYSQL_URL"),
        Backend::Sqlite => None,
    }
}

/// Returns the name of the one provider of servers to use, where the user chose one.
pub(crate) fn provider() -> Option<String> {
    var("NEWCOL_TEST_PROVIDER")
}

/// Returns the image for servers of a backend, where the user chose one.
#[cfg(feature = "docker")]
pub(crate) fn image(backend: Backend) -> Option<String> {
    match backend {
        Backend::Postgres => var("NEWCOL_TEST_IMAGE_POSTGRES"),
        Backend::Mysql => var("NEWCOL_TEST_IMAGE_MYSQL"),
        Backend::Sqlite => None,
    }
}

/// Returns the variables by which `docker` finds its engine.
pub(crate) fn docker() -> Vec<(&'static str, std::ffi::OsString)> {
    given([
        "HOME",
        "XDG_RUNTIME_DIR",
        "DOCKER_HOST",
        "DOCKER_CONTEXT",
        "DOCKER_CONFIG",
        "DOCKER_CERT_PATH",
        "DOCKER_TLS_VERIFY",
    ])
}

fn given<const N: usize>(names: [&'static str; N]) -> Vec<(&'static str, std::ffi::OsString)> {
    names.into_iter().filter_map(|name| Some((name, env::var_os(name)?))).collect()
}

/// Reports whether a test without its server must fail rather than be skipped.
pub(crate) fn server_is_required() -> bool {
    is_unattended() || var("NEWCOL_TEST_REQUIRE").is_some()
}

/// Reports whether nobody would see a file that a test leaves behind.
pub(crate) fn is_unattended() -> bool {
    var("CI").is_some_and(|ci| ci == "true" || ci == "1")
}

/// Returns the file that collects the names of skipped tests.
pub(crate) fn skipped_file() -> Option<Utf8PathBuf> {
    var("NEWCOL_TEST_SKIPPED").map(Utf8PathBuf::from)
}

/// Returns the file that takes the statements of this process, where somebody wants them.
#[cfg(feature = "capture")]
pub(crate) fn capture_file() -> Option<Utf8PathBuf> {
    var(crate::capture::FILE).map(Utf8PathBuf::from)
}

/// Returns the directories of a `PATH`-like variable.
pub(crate) fn dirs(name: &str) -> Vec<Utf8PathBuf> {
    let Some(value) = env::var_os(name) else { return Vec::new() };
    env::split_paths(&value)
        .filter_map(|dir| Utf8PathBuf::from_path_buf(dir).ok())
        .filter(|dir| !dir.as_str().is_empty())
        .collect()
}

/// Returns the directory for temporary files.
pub(crate) fn temp_dir() -> Utf8PathBuf {
    Utf8PathBuf::from_path_buf(env::temp_dir()).unwrap_or_else(|_| Utf8PathBuf::from("/tmp"))
}

/// Returns the user's cache directory, or `None` where there is no home.
pub(crate) fn cache_dir() -> Option<Utf8PathBuf> {
    var("NEWCOL_CACHE_DIR").map(Utf8PathBuf::from).or_else(|| {
        let base = var("XDG_CACHE_HOME")
            .map(Utf8PathBuf::from)
            .or_else(|| Some(Utf8PathBuf::from(var("HOME")?).join(".cache")))?;
        Some(base.join("newcol"))
    })
}

/// Returns the directory under which servers live, where the user chose one.
pub(crate) fn run_dir() -> Option<Utf8PathBuf> {
    var("NEWCOL_TEST_RUN_DIR").map(Utf8PathBuf::from)
}

/// Returns for how long a server outlives its last user, where the user says so.
pub(crate) fn idle_seconds() -> Option<String> {
    var("NEWCOL_TEST_IDLE_SECONDS").filter(|n| n.parse::<u32>().is_ok())
}

/// Returns how many databases may live on a server at once, where the user says so.
pub(crate) fn max_databases() -> Option<u64> {
    var("NEWCOL_TEST_MAX_DATABASES")?.parse().ok().filter(|most| *most > 0)
}

/// Returns the variables a program needs to find its own files; all others are withheld from tools.
pub(crate) fn inherited() -> Vec<(&'static str, std::ffi::OsString)> {
    given([
        "PATH",
        "HOME",
        "TMPDIR",
        "TEMP",
        "SystemRoot",
        "CARGO_HOME",
        "RUSTUP_HOME",
        "RUSTUP_TOOLCHAIN",
    ])
}

/// Returns the directories in which `target/tools` may be, the nearest first.
pub(crate) fn tool_dirs() -> Vec<Utf8PathBuf> {
    let target = var("CARGO_TARGET_DIR").map(|dir| Utf8PathBuf::from(dir).join("tools"));
    let start = var("CARGO_MANIFEST_DIR")
        .map(Utf8PathBuf::from)
        .or_else(|| Utf8PathBuf::from_path_buf(env::current_dir().ok()?).ok());
    let above = start.iter().flat_map(|dir| dir.ancestors().map(|dir| dir.join("target/tools")));
    target.into_iter().chain(above).collect()
}

/// Returns the name of the running test as far as the test harness tells it.
pub(crate) fn test_name() -> String {
    if let Some(name) = var("NEXTEST_TEST_NAME") {
        return name;
    }
    match std::thread::current().name() {
        Some(name) if name != "main" => name.to_owned(),
        // One test per process: the harness runs it on the main thread and was told its name.
        _ => env::args().skip(1).find(|a| !a.starts_with('-')).unwrap_or_else(|| "?".to_owned()),
    }
}

/// Returns the search path, or the usual one where there is none.
pub(crate) fn path() -> String {
    var("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin".to_owned())
}
