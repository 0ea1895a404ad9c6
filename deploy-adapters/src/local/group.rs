//! Process groups: told apart from later ones of the same number, signalled whole, and known to be gone. A process that
//! leaves its group (setsid) is out of reach, as documented.

#[cfg(target_os = "linux")]
mod procfs;
#[cfg(any(test, not(target_os = "linux")))]
mod ps;

#[cfg(target_os = "linux")]
use procfs as system;
#[cfg(not(target_os = "linux"))]
use ps as system;

use std::io;
use std::time::Duration;

use deploy_core::ports::Clock;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use serde::{Deserialize, Serialize};

/// How often the system is asked whether a group is gone: no event tells it once its leader is not our child. Real
/// time, not the injected clock's, because it is the system that is waited for.
const POLL: Duration = Duration::from_millis(10);

/// A process group, by its leader's number and birth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Group {
    pid: i32,
    born: String,
}

impl Group {
    /// The group led by a child of ours that has not been waited for, so that its number cannot be another's.
    pub(super) fn led_by(pid: u32) -> io::Result<Self> {
        let pid = i32::try_from(pid).map_err(io::Error::other)?;
        let born = system::born(pid)?.ok_or_else(|| io::Error::other("a child of ours is not listed"))?;
        Ok(Self { pid, born })
    }

    /// Whether something of this very group, and not of a later one with its number, is alive.
    fn is_same_and_alive(&self) -> io::Result<bool> {
        Ok(system::is_same(self.pid, &self.born)? && self.has_members()?)
    }

    /// Whether any process is in the group; those that have ended and were not waited for do not count.
    fn has_members(&self) -> io::Result<bool> {
        match Pid::from_raw(self.pid).map(test_kill_process_group) {
            None | Some(Err(Errno::SRCH)) => Ok(false),
            _ => system::has_members(self.pid),
        }
    }

    /// Sends a signal to every process of the group; none left is fine.
    pub(super) fn signal(&self, signal: Signal) {
        match Pid::from_raw(self.pid).map(|pid| kill_process_group(pid, signal)) {
            None | Some(Ok(()) | Err(Errno::SRCH)) => {}
            Some(Err(error)) => {
                tracing::warn!(group = self.pid, %error, "a process group could not be signalled");
            }
        }
    }

    /// Waits until no process is left in the group.
    pub(super) async fn gone(&self) {
        loop {
            let group = self.clone();
            match tokio::task::spawn_blocking(move || group.has_members()).await {
                Ok(Ok(false)) => return,
                Ok(Ok(true)) => {}
                Ok(Err(error)) => tracing::warn!(group = self.pid, %error, "processes cannot be listed"),
                Err(error) => tracing::warn!(group = self.pid, %error, "processes cannot be listed"),
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Ends what an earlier server left: gracefully, then by force. A group that is not that one is not touched.
    /// Answers whether there was something to end.
    pub(super) async fn end_leftover(&self, clock: &dyn Clock, grace: Duration) -> io::Result<bool> {
        let group = self.clone();
        let alive = tokio::task::spawn_blocking(move || group.is_same_and_alive());
        if !alive.await.map_err(io::Error::other)?? {
            return Ok(false);
        }
        self.signal(Signal::TERM);
        tokio::select! {
            () = self.gone() => return Ok(true),
            () = clock.sleep(grace) => {}
        }
        self.signal(Signal::KILL);
        self.gone().await;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};

    #[test]
    fn both_ways_to_list_processes_agree_on_a_live_a_dead_and_a_reused_group() {
        let mut child = Command::new("/bin/sh")
            .args(["-c", "read -r _"])
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let pid = i32::try_from(child.id()).unwrap();

        assert!(system::has_members(pid).unwrap());
        assert!(ps::has_members(pid).unwrap());
        for born in [system::born, ps::born] {
            let now = born(pid).unwrap().unwrap();
            assert_eq!(born(pid).unwrap().unwrap(), now);
        }
        assert!(system::is_same(pid, &system::born(pid).unwrap().unwrap()).unwrap());
        assert!(ps::is_same(pid, &ps::born(pid).unwrap().unwrap()).unwrap());
        assert!(!system::is_same(pid, "another boot 1").unwrap());
        assert!(!ps::is_same(pid, "Thu Jan  1 00:00:00 1970").unwrap());

        child.kill().unwrap();
        // Ended and not waited for: there, but not alive.
        let group = Group {
            pid,
            born: String::new(),
        };
        while group.has_members().unwrap() {
            std::thread::yield_now();
        }
        assert!(!ps::has_members(pid).unwrap());
        child.wait().unwrap();
        assert!(system::born(pid).unwrap().is_none());
        assert!(ps::born(pid).unwrap().is_none());
    }
}
