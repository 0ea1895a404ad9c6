//! Every token of the foreign issuer becomes what was said beforehand, by name of the rule.

use std::process::Command;

use deploy_core::ports::TokenVerifier as _;

use crate::issuer::Written;

#[tokio::test]
async fn every_token_of_a_foreign_issuer_is_believed_or_refused_by_its_rule() {
    let written = Written::committed();
    let (good, bad): (Vec<_>, Vec<_>) = written.cases.iter().partition(|case| case.claims().is_some());
    assert!(
        good.len() >= 30 && bad.len() >= 200,
        "{} and {}",
        good.len(),
        bad.len()
    );
    check(&written).await;
}

#[tokio::test]
async fn tokens_under_keys_made_just_now_fare_the_same() {
    let Some(python) = std::env::var_os("DEPLOY_TEST_PYJWT") else {
        eprintln!(
            "not run: set DEPLOY_TEST_PYJWT to a python that has PyJWT, as in\n  \
             python3 -m venv target/pyjwt && target/pyjwt/bin/pip install PyJWT==2.15.1 cryptography && \
             DEPLOY_TEST_PYJWT=$PWD/target/pyjwt/bin/python cargo test -p deploy-adapters --test identity"
        );
        return;
    };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/identity/pyjwt_tokens.py");
    let output = Command::new(&python).args([script, "--fresh"]).output();
    let output =
        output.unwrap_or_else(|error| panic!("DEPLOY_TEST_PYJWT={} does not run: {error}", python.display()));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    let written: Written = serde_json::from_slice(&output.stdout).unwrap();
    let names = |written: &Written| {
        written
            .cases
            .iter()
            .map(|case| case.name.clone())
            .collect::<Vec<_>>()
    };
    let committed = names(&Written::committed());
    assert_eq!(
        names(&written),
        committed,
        "tokens.json is of another script: write it anew"
    );
    check(&written).await;
}

async fn check(written: &Written) {
    let verifiers = written.verifiers();
    let mut wrong = Vec::new();
    for case in &written.cases {
        let verified = verifiers[&case.verifier].verify(&case.token).await;
        if !case.is(&verified) {
            wrong.push(format!("{}: {verified:?}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
