//! One process group of ours: started behind a gate, so that it is on record before the command runs, and ended whole. It
//! knows nothing of objects; what it is told to run, it runs with exactly the environment given.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use deploy_core::ports::Clock;
use rustix::process::Signal;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio::process::{Child, ChildStdin};

use super::group::Group;

/// What is run.
#[derive(Debug)]
pub(super) struct Command<'a> {
    /// The program and its arguments; not empty.
    pub argv: &'a [String],
    /// The whole environment.
    pub env: &'a [(String, String)],
    /// Where it starts.
    pub folder: &'a Path,
}

/// A process that waits to be let through to its command.
pub(super) struct Gated {
    running: Running,
    gate: ChildStdin,
}

/// A process and its group.
pub(super) struct Running {
    child: Child,
    group: Group,
    output: Option<pipe::Receiver>,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exit {
    /// Its code; 128 + the signal's number where a signal ended it, as shells say it.
    pub code: i32,
    /// The signal that ended it.
    pub signal: Option<i32>,
}

/// Starts a shell that waits for a line and then becomes the command. When this server dies before it wrote the line,
/// the shell reads the end of its input and ends: there is no moment in which a command runs that is not on record.
pub(super) fn spawn(command: &Command<'_>) -> io::Result<Gated> {
    let (reader, writer) = io::pipe()?;
    let mut process = tokio::process::Command::new("/bin/sh");
    process
        .arg("-c")
        .arg(gate_script(command.env))
        .arg("sh")
        .args(command.argv)
        .env_clear()
        .envs(command.env.iter().map(|(name, value)| (name, value)))
        .current_dir(command.folder)
        .stdin(Stdio::piped())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .process_group(0)
        // A server that ends in an orderly way stops its processes itself; one that does not finds them on record.
        .kill_on_drop(false);
    let mut child = process.spawn()?;
    // Our copies of the pipe's writing end would keep it from ever ending.
    drop(process);
    let pid = child
        .id()
        .ok_or_else(|| io::Error::other("the process has no number"))?;
    let gate = child
        .stdin
        .take()
        .ok_or_else(|| io::Error::other("the process has no input"))?;
    // An error from here on drops the gate, and the shell ends by itself.
    Ok(Gated {
        running: Running {
            group: Group::led_by(pid)?,
            output: Some(pipe::Receiver::from_owned_fd(OwnedFd::from(reader))?),
            child,
        },
        gate,
    })
}

impl Gated {
    /// What to record before [`Gated::open`].
    pub(super) const fn group(&self) -> &Group {
        &self.running.group
    }

    /// Lets the command run.
    pub(super) async fn open(mut self) -> Running {
        if let Err(error) = self.gate.write_all(b"go\n").await {
            // The shell is gone; waiting for it tells how.
            tracing::debug!(%error, "the gate of a process was closed");
        }
        self.running
    }

    /// Ends the shell without having let the command run.
    pub(super) async fn abandon(self) {
        drop(self.gate);
        let mut child = self.running.child;
        if let Err(error) = child.wait().await {
            tracing::warn!(%error, "a process could not be waited for");
        }
    }
}

impl Running {
    /// What it writes, both streams in their order. Given once.
    pub(super) const fn take_output(&mut self) -> Option<pipe::Receiver> {
        self.output.take()
    }

    /// Waits for its end. What it started and left behind is killed: as in a container, all ends with the first process.
    pub(super) async fn wait(&mut self) -> io::Result<Exit> {
        let status = self.child.wait().await?;
        self.group.signal(Signal::KILL);
        self.group.gone().await;
        Ok(exit_of(status))
    }

    /// Ends it: asks, and kills what is left of the group after `grace`.
    pub(super) async fn end(&mut self, clock: &dyn Clock, grace: Duration) -> io::Result<Exit> {
        self.group.signal(Signal::TERM);
        let asked = async {
            let status = self.child.wait().await;
            self.group.gone().await;
            status
        };
        tokio::select! {
            status = asked => return Ok(exit_of(status?)),
            () = clock.sleep(grace) => {}
        }
        self.group.signal(Signal::KILL);
        let status = self.child.wait().await?;
        self.group.gone().await;
        Ok(exit_of(status))
    }
}

/// The shell's part. Its variable must not be one of the task's, and those that shells add are taken away again.
fn gate_script(env: &[(String, String)]) -> String {
    let is_given = |name: &str| env.iter().any(|(given, _)| given == name);
    let mut gate = String::from("gate");
    while is_given(&gate) {
        gate.push('_');
    }
    let added: Vec<&str> = ["PWD", "OLDPWD", "SHLVL"]
        .into_iter()
        .filter(|name| !is_given(name))
        .collect();
    format!(
        r#"read -r {gate} || exit 125; unset {gate} {}; exec "$@" </dev/null"#,
        added.join(" ")
    )
}

fn exit_of(status: ExitStatus) -> Exit {
    let signal = status.signal();
    let code = status
        .code()
        .or_else(|| signal.map(|signal| 128 + signal))
        .unwrap_or(-1);
    Exit { code, signal }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gates_variable_is_never_one_of_the_tasks() {
        let env = [("gate", "a"), ("gate_", "b"), ("PWD", "c")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        assert_eq!(
            gate_script(&env),
            r#"read -r gate__ || exit 125; unset gate__ OLDPWD SHLVL; exec "$@" </dev/null"#
        );
    }

    #[test]
    fn an_exit_is_told_as_shells_tell_it() {
        for (raw, code, signal) in [
            (0, 0, None),
            (3 << 8, 3, None),
            (9, 137, Some(9)),
            (15, 143, Some(15)),
        ] {
            assert_eq!(exit_of(ExitStatus::from_raw(raw)), Exit { code, signal });
        }
    }
}
