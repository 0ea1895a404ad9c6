//! The keys as they are now: read at the start, and looked for again while tokens come. Contents are compared, not dates: a
//! file system's clock ticks too slowly to tell two writes apart, and a link that is swapped is seen the same way.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use deploy_core::ports::Clock;
use deploy_core::secret::Secret;
use deploy_core::workload::Timestamp;

use super::jwks::Skipped;
use super::key::KeySet;
use super::key_file::{KeyFile, KeysError};

/// How long keys count without a look at the file.
const PERIOD: Duration = Duration::from_secs(10);
/// How long a token waits for a file system that does not answer; then the keys as they were have to do.
const PATIENCE: Duration = Duration::from_secs(2);

/// The keys of a file.
pub(super) struct CurrentKeys {
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
}

struct Shared {
    file: KeyFile,
    state: Mutex<State>,
}

struct State {
    keys: Arc<KeySet>,
    /// What they were read from.
    bytes: Secret<Vec<u8>>,
    /// When somebody last went to look.
    looked_at: Timestamp,
    /// Whether somebody is looking now: one thread at most waits for a file system.
    looking: bool,
    /// What was last warned of; `None` where all is well.
    trouble: Option<String>,
}

impl CurrentKeys {
    /// Reads them.
    pub(super) fn open(file: KeyFile, clock: Arc<dyn Clock>) -> Result<Self, KeysError> {
        let bytes = file.read()?;
        let (keys, skipped) = file.parse(&bytes)?;
        report(&file, &skipped);
        let state = State {
            keys: Arc::new(keys),
            bytes,
            looked_at: clock.now(),
            looking: false,
            trouble: None,
        };
        let shared = Arc::new(Shared {
            file,
            state: Mutex::new(state),
        });
        Ok(Self { shared, clock })
    }

    /// The keys, after a look at the file where one is due.
    pub(super) async fn get(&self) -> Arc<KeySet> {
        if let Some(look) = self.shared.due(self.clock.now()) {
            let looked = tokio::task::spawn_blocking(move || look.take());
            tokio::select! {
                looked = looked => if let Err(error) = looked {
                    tracing::warn!(error = &error as &dyn Error, "the file of keys was not looked at");
                },
                () = self.clock.sleep(PATIENCE) => {
                    let file = self.shared.file.path().display();
                    tracing::warn!(%file, "the file of keys does not answer; the keys read before are used");
                }
            }
        }
        self.shared.lock().keys.clone()
    }

    /// Looks at the file on this thread, where a look is due.
    #[cfg(test)]
    pub(super) fn look_now(&self) {
        if let Some(look) = self.shared.due(self.clock.now()) {
            look.take();
        }
    }
}

impl Shared {
    /// A look at the file, for whoever is the first to come when it is due. A clock that was set back makes it due.
    fn due(self: &Arc<Self>, now: Timestamp) -> Option<Look> {
        let mut state = self.lock();
        let fresh = (now - state.looked_at).to_std().is_ok_and(|age| age < PERIOD);
        if fresh || state.looking {
            return None;
        }
        state.looking = true;
        state.looked_at = now;
        Some(Look(self.clone()))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what is in the file, unless it is what is there already.
    fn look(&self) -> Result<(), KeysError> {
        let bytes = self.file.read()?;
        if self.lock().bytes == bytes {
            return Ok(());
        }
        let (keys, skipped) = match self.file.parse(&bytes) {
            Ok(parsed) => parsed,
            // Whole, and without a key: whoever wrote it believes nobody any more.
            Err(error @ KeysError::NoKey { .. }) => {
                self.replace(KeySet::none(), bytes);
                return Err(error);
            }
            Err(error) => return Err(error),
        };
        tracing::info!(file = %self.file.path().display(), "the keys that tokens are checked with have changed");
        report(&self.file, &skipped);
        self.replace(keys, bytes);
        Ok(())
    }

    fn replace(&self, keys: KeySet, bytes: Secret<Vec<u8>>) {
        let mut state = self.lock();
        state.keys = Arc::new(keys);
        state.bytes = bytes;
    }
}

/// One look; its end is noted however it ends.
struct Look(Arc<Shared>);

impl Look {
    fn take(self) {
        let trouble = self.0.look().err().map(|error| match error.source() {
            Some(source) => format!("{error} ({source})"),
            None => error.to_string(),
        });
        let mut state = self.0.lock();
        if let Some(why) = trouble
            .as_ref()
            .filter(|why| Some(*why) != state.trouble.as_ref())
        {
            let (file, keys) = (self.0.file.path().display(), state.keys.len());
            tracing::warn!(%file, why, keys, "the file of keys gives none; so many of those read before are used");
        }
        state.trouble = trouble;
    }
}

impl Drop for Look {
    fn drop(&mut self) {
        self.0.lock().looking = false;
    }
}

fn report(file: &KeyFile, skipped: &[Skipped]) {
    let path = file.path().display();
    for key in skipped {
        tracing::info!(file = %path, %key, "a key is passed over");
    }
    if file.is_open_to_all() {
        tracing::warn!(file = %path, "the file of keys can be written by everyone on this machine; chmod o-w it");
    }
}

impl fmt::Debug for CurrentKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.shared.lock().keys.clone();
        f.debug_struct("CurrentKeys")
            .field("file", &self.shared.file)
            .field("keys", &keys)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use deploy_testkit::memory::ManualClock;

    use super::*;

    #[test]
    fn while_one_looks_nobody_else_does_and_a_look_that_was_given_up_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, [b'x'; 40]).unwrap();
        let clock = Arc::new(ManualClock::default());
        let keys = CurrentKeys::open(KeyFile::Secret(file), clock.clone()).unwrap();
        assert!(keys.shared.due(clock.now()).is_none(), "they were read just now");
        clock.advance(PERIOD);
        let look = keys.shared.due(clock.now());
        assert!(look.is_some());
        clock.advance(100 * PERIOD);
        assert!(
            keys.shared.due(clock.now()).is_none(),
            "it still waits for the file"
        );
        drop(look);
        assert!(keys.shared.due(clock.now()).is_some());
    }
}
