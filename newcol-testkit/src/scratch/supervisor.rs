//! The supervisor of a server: a detached shell that ends it when nobody uses it any more.
//!
//! A shell, because a test binary cannot run itself as something else, and must not be what keeps
//! the server: it may be killed at any moment.

use std::{
    os::unix::process::CommandExt,
    process::{Command, Stdio},
};

use super::{
    lease::{Home, KEEP_FOR},
    server::Owner,
};
use crate::settings;

/// How many seconds a server outlives its last user: longer than a test runner pauses between
/// processes. `NEWCOL_TEST_IDLE_SECONDS` changes it.
const IDLE_SECONDS: &str = "10";

/// Ends the server of a home when it has been free for a while and keeps no database.
///
/// `$1` home, `$2` idle seconds, `$3` minutes to keep, `$4` `private` to remove the home as well.
/// It reads which server that is only when it ends it, so one supervisor serves successors, too.
const SUPERVISOR: &str = r#"
home=$1 idle=$2 keep=$3 kind=$4
exec 8>>"$home/lease" 9>>"$home/alive" || exit 1
# Waits a little: whoever asks whether there is a supervisor holds the lock for a moment.
flock -w 1 9 || exit 0
while :; do
    flock -x 8 || exit 1
    before=$(cat "$home/last" 2>/dev/null)
    kept=$(find "$home/kept" -type f -mmin "-$keep" 2>/dev/null | head -n 1)
    flock -u 8
    if [ -n "$kept" ]; then
        sleep 30 8>&- 9>&-
        continue
    fi
    sleep "$idle" 8>&- 9>&-
    flock -n -x 8 || continue
    [ "$before" = "$(cat "$home/last" 2>/dev/null)" ] && break
    flock -u 8
done
run= data= pid= signal= container=
if [ -f "$home/state" ]; then
    while read -r key value; do
        case $key in
            run) run=$value ;;
            data) data=$value ;;
            pid) pid=$value ;;
            signal) signal=$value ;;
            container) container=$value ;;
        esac
    done <"$home/state"
fi
rm -f "$home/state"
# An engine that does not answer: what names the container stays for the next start to sweep.
[ -z "$container" ] || docker rm --force --volumes "$container" || exit 1
ours() { tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF -- "$run"; }
if [ -n "$run" ]; then
    if [ -n "$pid" ] && ours; then
        kill -s "$signal" "$pid"
        tries=0
        while ours; do
            tries=$((tries + 1))
            [ "$tries" -lt 30 ] || kill -s KILL "$pid"
            [ "$tries" -lt 100 ] || break
            sleep 0.1 8>&- 9>&-
        done
    fi
    rm -rf -- "$run" ${data:+"$data"}
fi
[ "$kind" != private ] || rm -rf -- "$home"
"#;

/// Starts the supervisor of a home, which finds out itself whether there already is one.
pub(super) fn supervise(home: &Home, owner: Owner) {
    let kind = if owner == Owner::Private { "private" } else { "shared" };
    let keep = KEEP_FOR.as_secs() / 60;
    let started = Command::new("/bin/sh")
        .args(["-c", SUPERVISOR, "newcol-supervisor", home.dir.as_str()])
        .arg(settings::idle_seconds().as_deref().unwrap_or(IDLE_SECONDS))
        .args([keep.to_string().as_str(), kind])
        .env_clear()
        .env("PATH", settings::path())
        .envs(settings::docker())
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    // Without a shell or flock(1) the next start sweeps the server.
    drop(started);
}
