//! Single flight: callers that want the same thing at the same time share one look at it.
//!
//! It refuses to hand out an answer that was begun before it was asked for: a flight is joined only until it closes its
//! doors, so "what the branch points to now" is never what it pointed to before the caller's own push. A flight that
//! every caller has left is dropped where it waits.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared, WeakShared};

type Flight<T> = Shared<BoxFuture<'static, T>>;
type Boarding<K, T> = Mutex<HashMap<K, (u64, WeakShared<BoxFuture<'static, T>>)>>;

/// Flights that can still be joined, by what they are for.
pub(super) struct Flights<K, T: Clone> {
    boarding: Arc<Boarding<K, T>>,
    begun: AtomicU64,
}

/// Dropped by a flight when it begins to look; from then on callers begin another.
pub(super) struct Doors<K: Eq + Hash, T: Clone> {
    boarding: Arc<Boarding<K, T>>,
    key: K,
    number: u64,
}

impl<K, T> Flights<K, T>
where
    K: Eq + Hash + Clone,
    T: Clone,
{
    /// The answer of the flight that waits for `key`, or else of the one that `begin` makes. `begin` does nothing yet:
    /// where there is a flight already, what it made is dropped.
    pub(super) fn join<F>(&self, key: K, begin: impl FnOnce(K, Doors<K, T>) -> F) -> Flight<T>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        let doors = Doors {
            boarding: Arc::clone(&self.boarding),
            key: key.clone(),
            number,
        };
        let flight = begin(key.clone(), doors).boxed().shared();
        // Nothing is dropped under the lock: a flight's doors take it themselves.
        let mut boarding = self.boarding.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = boarding.get(&key).and_then(|(_, flight)| flight.upgrade());
        if let (None, Some(weak)) = (&waiting, flight.downgrade()) {
            boarding.insert(key, (number, weak));
        }
        drop(boarding);
        waiting.unwrap_or(flight)
    }
}

impl<K: Eq + Hash, T: Clone> Drop for Doors<K, T> {
    fn drop(&mut self) {
        let mut boarding = self.boarding.lock().unwrap_or_else(PoisonError::into_inner);
        if boarding
            .get(&self.key)
            .is_some_and(|(number, _)| *number == self.number)
        {
            boarding.remove(&self.key);
        }
    }
}

impl<K, T: Clone> Default for Flights<K, T> {
    fn default() -> Self {
        Self {
            boarding: Arc::default(),
            begun: AtomicU64::default(),
        }
    }
}

impl<K, T: Clone> std::fmt::Debug for Flights<K, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Flights").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    /// A flight that lands as soon as it begins.
    async fn landing(doors: Doors<&'static str, usize>, answer: usize) -> usize {
        drop(doors);
        answer
    }

    #[tokio::test]
    async fn callers_share_a_flight_until_its_doors_close() {
        let flights = Flights::<&str, usize>::default();
        let (close, closing) = oneshot::channel::<()>();
        let (land, landed) = oneshot::channel::<usize>();
        let first = flights.join("a", |_, doors| async move {
            closing.await.unwrap();
            drop(doors);
            landed.await.unwrap()
        });
        let second = flights.join("a", |_, doors| landing(doors, 0));
        let other = flights.join("b", |_, doors| landing(doors, 7));
        assert_eq!(other.await, 7);

        let first = tokio::spawn(first);
        close.send(()).unwrap();
        tokio::task::yield_now().await;
        let late = flights.join("a", |_, doors| landing(doors, 2));
        land.send(1).unwrap();
        assert_eq!((first.await.unwrap(), second.await, late.await), (1, 1, 2));
        assert!(flights.boarding.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_flight_that_everyone_left_is_not_joined() {
        let flights = Flights::<&str, usize>::default();
        let left = flights.join("a", |_, doors| async move {
            let _open = doors;
            std::future::pending().await
        });
        drop(left);
        assert!(flights.boarding.lock().unwrap().is_empty());
        assert_eq!(flights.join("a", |_, doors| landing(doors, 1)).await, 1);
    }
}
