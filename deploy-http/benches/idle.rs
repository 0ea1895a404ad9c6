//! What the server takes of memory when nothing is asked of it: its resident set as Linux tells it, after its start and
//! after the first thousand requests.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a bench fails by panicking"
)]
#![allow(clippy::print_stdout, reason = "a bench reports on standard output")]

use std::fs;

use deploy_testkit::measure::rounds;

#[path = "common/server.rs"]
mod server;

use server::{Client, Server, get};

const ROUNDS: usize = 5;
const REQUESTS: usize = 1000;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    for _ in 0..rounds(ROUNDS) {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::deploy_http(folder.path());
        let mut client = Client::connect(server.address).await;
        let (status, _) = client.exchange(&get("/readyz")).await;
        assert_eq!(status, 200);
        let idle = resident_mb(server.pid());
        for _ in 0..REQUESTS {
            let (status, _) = client.exchange(&get("/v1/list/tasks")).await;
            assert_eq!(status, 200);
        }
        println!(
            "resident: {idle:.1} MB when it is ready, {:.1} MB after {REQUESTS} requests",
            resident_mb(server.pid())
        );
    }
}

/// VmRSS of proc_pid_status(5), which counts in units of 1024 bytes.
fn resident_mb(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    let kib: f64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    kib * 1024.0 / 1e6
}
