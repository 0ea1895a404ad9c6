//! Single flight: callers that want the same thing at the same time share one look at it.
//!
//! It refuses to hand out an answer that was begun before it was asked for: a flight is joined only until it closes its
//! doors, so "what the branch points to now" is never what it pointed to before the caller's own push. A flight that
//! every caller has left is dropped where it waits.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared, WeakShared};

type Boarding<K, T> = Arc<Mutex<HashMap<K, WeakShared<BoxFuture<'static, T>>>>>;

/// Flights that can still be joined, by what they are for.
pub(super) struct Flights<K, T: Clone> {
    boarding: Boarding<K, T>,
}

/// Dropped by a flight when it begins to look; from then on callers begin another.
pub(super) struct Doors<K: Eq + Hash, T: Clone> {
    boarding: Boarding<K, T>,
    key: K,
}

impl<K: Eq + Hash + Clone, T: Clone> Flights<K, T> {
    /// The answer of the flight that waits for `key`, or else of the one that `begin` makes.
    pub(super) fn join<F>(
        &self,
        key: K,
        begin: impl FnOnce(K, Doors<K, T>) -> F + Send + 'static,
    ) -> Shared<BoxFuture<'static, T>>
    where
        F: Future<Output = T> + Send + 'static,
        K: Send + 'static,
        T: Send + Sync + 'static,
    {
        let mut boarding = self.boarding.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = boarding.get(&key).and_then(WeakShared::upgrade) {
            return flight;
        }
        let doors = Doors {
            boarding: Arc::clone(&self.boarding),
            key: key.clone(),
        };
        // It begins when it is first polled: doors that close at once must not meet the lock that is held here.
        let wanted = key.clone();
        let flight = async move { begin(wanted, doors).await }.boxed().shared();
        if let Some(weak) = flight.downgrade() {
            boarding.insert(key, weak);
        }
        flight
    }
}

impl<K: Eq + Hash, T: Clone> Drop for Doors<K, T> {
    fn drop(&mut self) {
        // In the place of a flight that was left, this may take away the one begun after it: then it is not shared.
        let mut boarding = self.boarding.lock().unwrap_or_else(PoisonError::into_inner);
        boarding.remove(&self.key);
    }
}

impl<K, T: Clone> Default for Flights<K, T> {
    fn default() -> Self {
        Self {
            boarding: Arc::default(),
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

    #[tokio::test]
    async fn callers_share_a_flight_until_its_doors_close() {
        let flights = Flights::<&str, usize>::default();
        let (close, closing) = oneshot::channel::<()>();
        let (land, landing) = oneshot::channel::<usize>();
        let begin = |_, doors| async move {
            closing.await.unwrap();
            drop(doors);
            landing.await.unwrap()
        };
        let first = flights.join("a", begin);
        let second = flights.join("a", |_, _doors| async { 0 });
        let other = flights.join("b", |_, _doors| async { 7 });
        assert_eq!(other.await, 7);

        let first = tokio::spawn(first);
        close.send(()).unwrap();
        tokio::task::yield_now().await;
        let late = flights.join("a", |_, _doors| async { 2 });
        land.send(1).unwrap();
        assert_eq!((first.await.unwrap(), second.await, late.await), (1, 1, 2));
        assert!(flights.boarding.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_flight_that_everyone_left_is_not_joined() {
        let flights = Flights::<&str, usize>::default();
        let left = flights.join("a", |_, _doors| std::future::pending());
        drop(left);
        assert!(flights.boarding.lock().unwrap().is_empty());
        assert_eq!(flights.join("a", |_, _doors| async { 1 }).await, 1);
    }
}
