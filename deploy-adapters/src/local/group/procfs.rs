//! Processes as Linux lists them in /proc (proc(5)).

use std::fs;
use std::io;

/// When the process was born, in words that no other process of that number shares: the boot and the tick of it.
/// `None` where there is no such process.
pub(super) fn born(pid: i32) -> io::Result<Option<String>> {
    match stat(pid)? {
        None => Ok(None),
        Some(stat) => Ok(Some(format!("{} {}", boot()?, stat.start))),
    }
}

/// Whether the group of that number is the one whose leader was born then. Where the leader has ended, its members
/// keep the number from being given away; they cannot be older than it.
pub(super) fn is_same(pid: i32, born: &str) -> io::Result<bool> {
    let Some((boot_then, start)) = born.rsplit_once(' ') else {
        return Ok(false);
    };
    let Ok(start) = start.parse::<u64>() else {
        return Ok(false);
    };
    if boot_then != boot()? {
        return Ok(false);
    }
    match stat(pid)? {
        Some(leader) => Ok(leader.start == start),
        None => Ok(members(pid)?.iter().all(|member| member.start >= start)),
    }
}

/// Whether a process that has not ended is in the group.
pub(super) fn has_members(pgid: i32) -> io::Result<bool> {
    Ok(members(pgid)?.iter().any(|member| !member.has_ended))
}

struct Stat {
    has_ended: bool,
    pgid: i32,
    start: u64,
}

fn boot() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?
        .trim()
        .to_owned())
}

fn members(pgid: i32) -> io::Result<Vec<Stat>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if let Some(stat) = stat(pid)?
            && stat.pgid == pgid
        {
            found.push(stat);
        }
    }
    Ok(found)
}

/// `None` where there is no such process (any more).
fn stat(pid: i32) -> io::Result<Option<Stat>> {
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(text) => Ok(parse(&text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        // The process ended between open and read.
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => Ok(None),
        // A command's name may hold any bytes.
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            let bytes = fs::read(format!("/proc/{pid}/stat"))?;
            Ok(parse(&String::from_utf8_lossy(&bytes)))
        }
        Err(error) => Err(error),
    }
}

/// The fields after the command's name, which alone may hold blanks and brackets: state, ppid, pgrp, … starttime (22nd).
fn parse(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    Some(Stat {
        has_ended: matches!(*fields.first()?, "Z" | "X" | "x"),
        pgid: fields.get(2)?.parse().ok()?,
        start: fields.get(19)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_named_to_confuse_is_read_past() {
        let text = "77 (a) Z 1 2 (b) R 5 42 43 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 900 1 1";
        let stat = parse(text).unwrap();
        assert_eq!((stat.has_ended, stat.pgid, stat.start), (false, 42, 900));
        assert!(parse("").is_none());
        assert!(parse("1 (x) R 1").is_none());
    }
}
