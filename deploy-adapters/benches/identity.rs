//! What it costs to verify a token, by algorithm: the whole of it, from the header to the claims. The tokens are those of
//! the tests.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a bench fails by panicking"
)]
#![allow(clippy::print_stdout, reason = "a bench reports on standard output")]

#[allow(dead_code, reason = "the tests need more of it")]
#[path = "../tests/identity/issuer.rs"]
mod issuer;

use std::time::{Duration, Instant};

use deploy_core::ports::TokenVerifier as _;
use deploy_testkit::measure::rounds;

const ROUNDS: usize = 9;
const VERIFIED: u32 = 2_000;

#[tokio::main]
async fn main() {
    let written = issuer::Written::committed();
    let verifiers = written.verifiers();
    for algorithm in ["HS256", "RS256", "PS256", "ES256", "ES384"] {
        let name = format!("{algorithm} as PyJWT signs it");
        let case = written.cases.iter().find(|case| case.name == name).unwrap();
        let verifier = &verifiers[&case.verifier];
        let mut times: Vec<Duration> = Vec::new();
        for _ in 0..rounds(ROUNDS) {
            let start = Instant::now();
            for _ in 0..VERIFIED {
                verifier.verify(&case.token).await.unwrap();
            }
            times.push(start.elapsed() / VERIFIED);
        }
        times.sort();
        println!(
            "{algorithm}: {:?} a token (median of {})",
            times[times.len() / 2],
            times.len()
        );
    }
}
