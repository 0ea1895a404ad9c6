//! The contract of the port, with an issuer's tokens of every algorithm and with those under a secret.

use deploy_testkit::contract::token_verifier::{Believed, check};

use crate::issuer::Written;

#[tokio::test]
async fn a_set_of_keys_keeps_the_contract() {
    keeps_the_contract("set").await;
}

#[tokio::test]
async fn a_secret_keeps_the_contract() {
    keeps_the_contract("secret").await;
}

async fn keeps_the_contract(verifier: &str) {
    let written = Written::committed();
    let good = written.cases.iter().filter(|case| case.verifier == verifier);
    let believed: Vec<Believed> = good
        .filter_map(|case| {
            Some(Believed {
                token: case.token.clone(),
                claims: case.claims()?,
            })
        })
        .collect();
    check(&written.verifiers()[verifier], &believed).await;
}
