//! What every [`TokenVerifier`] does. Which tokens are to be believed is the business of whoever runs it: it is given some,
//! and what they say.

#![allow(clippy::panic, reason = "a suite fails by panicking")]

use deploy_core::ports::{Claims, TokenError, TokenVerifier};

/// A token that is to be believed, and what it says.
#[derive(Debug, Clone)]
pub struct Believed {
    /// The token: three parts with dots between them.
    pub token: String,
    /// What it says.
    pub claims: Claims,
}

/// Checks the whole contract. There have to be at least two tokens.
pub async fn check(verifier: &dyn TokenVerifier, believed: &[Believed]) {
    assert!(believed.len() >= 2, "too few tokens to tell apart");
    a_token_says_the_same_however_often_and_beside_others(verifier, believed).await;
    a_token_that_was_changed_is_refused(verifier, believed).await;
    parts_of_two_tokens_are_not_a_third(verifier, believed).await;
    what_is_no_token_is_refused(verifier).await;
}

async fn a_token_says_the_same_however_often_and_beside_others(
    verifier: &dyn TokenVerifier,
    believed: &[Believed],
) {
    let twice = believed.iter().chain(believed);
    let answers = twice.map(|Believed { token, claims }| async move {
        let verified = verifier.verify(token).await;
        assert!(matches!(&verified, Ok(said) if said == claims), "{verified:?}");
    });
    futures::future::join_all(answers).await;
}

async fn a_token_that_was_changed_is_refused(verifier: &dyn TokenVerifier, believed: &[Believed]) {
    for Believed { token, .. } in believed {
        for at in (0..token.len()).filter(|at| at % 7 == 0 && token.is_char_boundary(*at)) {
            let (before, after) = token.split_at(at);
            let rest = after.get(1..).unwrap_or_default();
            let other = if after.starts_with('Q') { 'g' } else { 'Q' };
            refused(verifier, before).await;
            refused(verifier, &format!("{before}{rest}")).await;
            refused(verifier, &format!("{before}{other}{rest}")).await;
            refused(verifier, &format!("{before} {after}")).await;
        }
        for changed in [
            format!("{token}="),
            format!("{token}."),
            format!(" {token}"),
            format!("{token}\n"),
            format!("{token}{token}"),
            token.to_ascii_uppercase(),
        ] {
            refused(verifier, &changed).await;
        }
    }
}

async fn parts_of_two_tokens_are_not_a_third(verifier: &dyn TokenVerifier, believed: &[Believed]) {
    for one in believed {
        for other in believed {
            let (Some((signed, _)), Some((_, signature))) =
                (one.token.rsplit_once('.'), other.token.rsplit_once('.'))
            else {
                continue;
            };
            let mixed = format!("{signed}.{signature}");
            if mixed != one.token && mixed != other.token {
                refused(verifier, &mixed).await;
            }
        }
    }
}

async fn what_is_no_token_is_refused(verifier: &dyn TokenVerifier) {
    for text in [
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        "null",
        "\0",
        "\u{1f511}.\u{1f511}.\u{1f511}",
    ] {
        refused(verifier, text).await;
    }
    refused(verifier, &"a".repeat(1 << 20)).await;
}

/// As invalid, by a rule that does not repeat the token: it goes into answers and logs.
async fn refused(verifier: &dyn TokenVerifier, token: &str) {
    let verified = verifier.verify(token).await;
    let Err(TokenError::Invalid { rule }) = verified else {
        panic!("{verified:?} for {token:?}");
    };
    assert!(!rule.is_empty());
    assert!(
        token.len() < 16 || !rule.contains(&token[..token.ceil_char_boundary(16)]),
        "{rule}"
    );
}
