//! What libgit2 keeps for the whole process: time limits, memory, and whose configuration it reads. It reads nobody's: a
//! server must not do something else because of the files of the user it runs as.
//!
//! http(s) is spoken by ureq: libgit2's own client is never reached.

#![allow(
    unsafe_code,
    reason = "libgit2 has no other way to be told; each block says why it is sound"
)]

use std::ffi::CString;
use std::os::raw::c_int;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use git2::{ConfigLevel, opts, transport};

use super::http;

/// Objects kept inflated, all repositories together, bytes. The default is 256 MiB.
const OBJECT_CACHE: isize = 16 << 20;
/// Parts of packs mapped at once, bytes. The default is 8 GiB in windows of 1 GiB.
const MAPPED: usize = 64 << 20;
const WINDOW: usize = 8 << 20;

/// Bounds libgit2's memory and takes every configuration file but the repository's own from it. To be called before
/// anything else of libgit2; only the first call of the process does something.
pub(super) fn isolate() -> Result<(), String> {
    static ISOLATED: OnceLock<Result<(), String>> = OnceLock::new();
    ISOLATED
        .get_or_init(|| try_isolate().map_err(|e| e.to_string()))
        .clone()
}

/// Bounds each of libgit2's reads from a server. The first limit of the process is the one taken.
pub(super) fn limit_time(limit: Duration) -> Result<(), String> {
    static LIMITED: OnceLock<Result<(), String>> = OnceLock::new();
    LIMITED
        .get_or_init(|| try_limit_time(limit).map_err(|e| e.to_string()))
        .clone()
}

/// Where libgit2 looks for pinned ssh host keys: in `.ssh/known_hosts` of this folder, never the user's. The first folder
/// of the process is the one taken.
pub(super) fn look_for_pins_in(folder: &Path) -> Result<(), String> {
    static FOLDER: OnceLock<Result<(), String>> = OnceLock::new();
    FOLDER
        .get_or_init(|| try_home(folder.as_os_str().as_bytes()).map_err(|e| e.to_string()))
        .clone()
}

/// libgit2's word for the folder it looks in for `.ssh` and `~`. The binding has no name for it.
fn try_home(folder: &[u8]) -> Result<(), git2::Error> {
    let folder = CString::new(folder)?;
    // SAFETY: the option takes one pointer to a string that ends in NUL, which libgit2 copies. It writes a global without
    // a lock: an ssh server is opened before anything is asked of it, and before that the folder is none, set by
    // `try_isolate`; both run once, in a `OnceLock`.
    let code =
        unsafe { libgit2_sys::git_libgit2_opts(libgit2_sys::GIT_OPT_SET_HOMEDIR as c_int, folder.as_ptr()) };
    if code < 0 {
        return Err(git2::Error::last_error(code));
    }
    Ok(())
}

fn try_isolate() -> Result<(), git2::Error> {
    // SAFETY: these write globals of libgit2 without a lock, so nothing may use libgit2 meanwhile. This crate's ways to
    // libgit2 are `GitRepositories::new` and `publish`; both come here first and wait in the `OnceLock` until it is done.
    // Transports are registered under the same condition.
    unsafe {
        opts::set_cache_max_size(OBJECT_CACHE)?;
        opts::set_mwindow_size(WINDOW)?;
        opts::set_mwindow_mapped_limit(MAPPED)?;
        // It guards against hooks and commands in a stranger's configuration; none are run here, and a folder of
        // repositories is often mounted from another user.
        opts::set_verify_owner_validation(false)?;
        for level in [
            ConfigLevel::System,
            ConfigLevel::Global,
            ConfigLevel::XDG,
            ConfigLevel::ProgramData,
        ] {
            opts::set_search_path(level, "")?;
        }
        for scheme in ["http", "https"] {
            transport::register(scheme, http::transport)?;
        }
    }
    try_home(b"")
}

fn try_limit_time(limit: Duration) -> Result<(), git2::Error> {
    let milliseconds = i32::try_from(limit.as_millis()).unwrap_or(i32::MAX).max(1);
    // SAFETY: these write two integers that libgit2 reads when it opens a connection. Connections are opened by a
    // `GitRepositories` alone, and the first one is made after this has run once.
    unsafe {
        opts::set_server_connect_timeout_in_milliseconds(milliseconds.min(10_000))?;
        opts::set_server_timeout_in_milliseconds(milliseconds)?;
    }
    Ok(())
}
