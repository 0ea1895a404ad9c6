//! A token verifier in memory: it believes the tokens it was given and no other. It checks no signature.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use deploy_core::ports::{Claims, TokenError, TokenVerifier};

/// Believes what it was told to. Clones share everything.
#[derive(Debug, Clone, Default)]
pub struct MemoryTokenVerifier {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    believed: HashMap<String, Claims>,
    down: bool,
    asked: usize,
}

impl MemoryTokenVerifier {
    /// From now on this token says that.
    pub fn believe(&self, token: &str, claims: Claims) {
        self.lock().believed.insert(token.to_owned(), claims);
    }

    /// From now on the keys cannot be read, or can again.
    pub fn set_down(&self, down: bool) {
        self.lock().down = down;
    }

    /// How many tokens were shown to it. It keeps none of them.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.lock().asked
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl TokenVerifier for MemoryTokenVerifier {
    async fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        let mut state = self.lock();
        state.asked += 1;
        if state.down {
            return Err(TokenError::Unavailable("the keys are away".into()));
        }
        state
            .believed
            .get(token)
            .cloned()
            .ok_or(TokenError::Invalid { rule: "it is known" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{self, token_verifier::Believed};

    #[tokio::test]
    async fn it_believes_what_it_was_given_and_nothing_else() {
        let verifier = MemoryTokenVerifier::default();
        let claims = Claims {
            identity: "ada@example.com".parse().unwrap(),
            groups: vec!["data".to_owned()],
        };
        verifier.believe("good", claims.clone());
        assert_eq!(verifier.verify("good").await.unwrap(), claims);
        assert!(matches!(
            verifier.verify("bad").await,
            Err(TokenError::Invalid { .. })
        ));
        verifier.set_down(true);
        assert!(matches!(
            verifier.verify("good").await,
            Err(TokenError::Unavailable(_))
        ));
        assert_eq!(verifier.asked(), 3);
    }

    #[tokio::test]
    async fn it_keeps_the_contract() {
        let believed = ["ada", "bob"].map(|name| Believed {
            token: format!("aGVhZGVy.{name}{name}{name}.c2lnbmF0dXJl{name}"),
            claims: Claims {
                identity: format!("{name}@example.com").parse().unwrap(),
                groups: vec![],
            },
        });
        let verifier = MemoryTokenVerifier::default();
        for Believed { token, claims } in &believed {
            verifier.believe(token, claims.clone());
        }
        contract::token_verifier::check(&verifier, &believed).await;
    }
}
