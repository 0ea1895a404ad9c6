//! Processes as ps(1) lists them, on systems without /proc. Blocks for as long as ps takes.

use std::io;
use std::process::{Command, Stdio};

/// When the process was born, to the second. `None` where there is no such process.
pub(super) fn born(pid: i32) -> io::Result<Option<String>> {
    let text = ps(&["-o", "lstart=", "-p", &pid.to_string()])?;
    let text = text.trim();
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

/// Whether the group of that number is the one whose leader was born then. Where the leader has ended, this cannot be
/// told, and what cannot be told is not ours to end.
pub(super) fn is_same(pid: i32, then: &str) -> io::Result<bool> {
    Ok(born(pid)?.is_some_and(|now| now == then))
}

/// Whether a process that has not ended is in the group.
pub(super) fn has_members(pgid: i32) -> io::Result<bool> {
    let wanted = pgid.to_string();
    Ok(ps(&["-A", "-o", "pgid=,stat="])?.lines().any(|line| {
        let mut fields = line.split_ascii_whitespace();
        fields.next() == Some(wanted.as_str()) && fields.next().is_some_and(|state| !state.starts_with('Z'))
    }))
}

fn ps(arguments: &[&str]) -> io::Result<String> {
    let output = Command::new("ps")
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
