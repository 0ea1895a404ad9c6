//! Tokens that nobody issued: changed at random, and with every algorithm under every key.

use std::collections::BTreeSet;

use data_encoding::BASE64URL_NOPAD;
use deploy_core::ports::TokenVerifier as _;

use crate::issuer::Written;

/// How many changed tokens are tried.
const MUTATIONS: usize = 48_000;

#[tokio::test]
async fn no_changed_token_is_believed_unless_what_was_signed_is_the_same() {
    let written = Written::committed();
    let verifiers = written.verifiers();
    let tokens: Vec<_> = written
        .cases
        .iter()
        .filter(|case| case.token.len() < 4096)
        .collect();
    let good = tokens.iter().filter(|case| case.claims().is_some());
    let signed: BTreeSet<(&str, &str)> = good
        .filter_map(|case| Some((case.verifier.as_str(), case.token.rsplit_once('.')?.0)))
        .collect();
    let mut random = Random(0x00de_b107);
    let mut believed = 0;
    for round in 0..MUTATIONS {
        let (one, other) = (random.pick(&tokens), random.pick(&tokens));
        let changed = changed(&one.token, &other.token, &mut random);
        // Each under its own keys and, by turns, under others.
        let names = ["set", "one", "nameless", "secret"];
        for name in BTreeSet::from([one.verifier.as_str(), names[round % names.len()]]) {
            if verifiers[name].verify(&changed).await.is_ok() {
                let (input, _) = changed.rsplit_once('.').unwrap();
                // A set and one of its keys alone believe the same token.
                let ours = names.iter().any(|name| signed.contains(&(name, input)));
                assert!(ours, "forged under {name}: {changed}");
                believed += 1;
            }
        }
    }
    // Some are changed back, or not at all; if none were, nothing but the form would have been tried.
    assert!((1..MUTATIONS / 10).contains(&believed), "{believed}");
}

/// A token with one to three changes.
fn changed(one: &str, other: &str, random: &mut Random) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_-_..=+/ \0~";
    let mut bytes = one.as_bytes().to_vec();
    for _ in 0..=random.below(3) {
        let at = random.below(bytes.len().max(1));
        match random.below(8) {
            0 if at < bytes.len() => _ = bytes.remove(at),
            1 => bytes.insert(at, *random.pick(LETTERS)),
            2 => bytes.truncate(at),
            3 if at < bytes.len() => bytes[at] ^= 1 << random.below(7),
            4 | 5 => bytes = swapped(&bytes, other.as_bytes(), random.below(3)),
            6 => {
                let from = random.below(bytes.len() + 1);
                let piece = bytes[at.min(from)..at.max(from)].to_vec();
                bytes.splice(at..at, piece);
            }
            _ if at < bytes.len() => bytes[at] = *random.pick(LETTERS),
            _ => {}
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// One token with a part of the other.
fn swapped(one: &[u8], other: &[u8], part: usize) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = one.split(|byte| *byte == b'.').collect();
    if let (Some(mine), Some(theirs)) = (parts.get_mut(part), other.split(|byte| *byte == b'.').nth(part)) {
        *mine = theirs;
    }
    parts.join(&b'.')
}

#[tokio::test]
async fn every_algorithm_under_every_key_is_refused_without_its_signature() {
    const ALGORITHMS: &[&str] = &[
        "none", "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256",
        "ES384", "ES512", "ES256K", "EdDSA", "dir", "RSA-OAEP", "A128GCM", "",
    ];
    let written = Written::committed();
    let verifiers = written.verifiers();
    let payload = BASE64URL_NOPAD.encode(
        br#"{"iss":"https://issuer.example","aud":"deploy-api","email":"eve@example.com","exp":1767225900}"#,
    );
    // Signatures of every length that some algorithm has, and those of others' tokens.
    let lengths = [1, 32, 48, 64, 96, 132, 256, 384, 512];
    let made = lengths
        .iter()
        .flat_map(|length| [vec![0; *length], vec![0xff; *length]]);
    let mut signatures: Vec<String> = made.map(|signature| BASE64URL_NOPAD.encode(&signature)).collect();
    let good = written.cases.iter().filter(|case| case.claims().is_some());
    signatures.extend(good.map(|case| case.token.rsplit_once('.').unwrap().1.to_owned()));
    let kids = [
        "r1", "r384", "r512", "p256", "p384", "p512", "e256", "e384", "e521", "h1", "h512", "ed1", "enc1",
    ];
    for algorithm in ALGORITHMS {
        for kid in kids.map(Some).into_iter().chain([None]) {
            let kid = kid.map_or(String::new(), |kid| format!(r#","kid":"{kid}""#));
            let header = BASE64URL_NOPAD.encode(format!(r#"{{"alg":"{algorithm}"{kid}}}"#).as_bytes());
            for signature in &signatures {
                let token = format!("{header}.{payload}.{signature}");
                for verifier in ["set", "one", "nameless", "secret"] {
                    let verified = verifiers[verifier].verify(&token).await;
                    assert!(verified.is_err(), "{verifier} believes {token}");
                }
            }
        }
    }
}

/// Marsaglia's xorshift: the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap() % bound
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}
