//! The loop that keeps one kind's cache: a full list, then a watch from where the list stood, again and again. Whatever
//! happens to it, it tries at most once a second, and what was known before goes on serving meanwhile.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use kube::Client;
use kube::api::{ListParams, WatchParams};
use kube::core::Request;

use super::decode::{self, Heard};
use super::http::{self, Lines, Trouble};
use super::kind::Watched;
use super::shared::{Kept, Shared};

/// How many objects a page of a list has, unless they are so large that fewer have to do.
const PAGE: u32 = 500;
/// How long a page may take.
const PAGE_DEADLINE: Duration = Duration::from_secs(20);
/// How long the server lets a watch last.
const WATCH_SECONDS: u32 = 45;
/// After that long a watch that has not ended is taken for dead: its server ends it before, whatever happens.
const WATCH_DEADLINE: Duration = Duration::from_secs(50);
/// The least time between two tries.
const PACE: Duration = Duration::from_secs(1);
/// The longest wait after a failure, but for a server that asks for more.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// No server is believed that asks for more than this.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60);
/// How often everything is listed anew, so that an event that was lost on its way is not lost for good.
const RELIST: Duration = Duration::from_secs(300);

/// Follows one kind until the cache is closed.
pub(super) async fn follow<T: Watched>(shared: Arc<Shared>, client: Client, kept: fn(&Shared) -> &Kept<T>) {
    let mut loops = Loop {
        selects: selection::<T>(&shared),
        from: None,
        relist: None,
        page: PAGE,
        failures: 0,
        kept,
        shared: &shared,
        client,
    };
    tokio::select! {
        () = shared.closed.cancelled() => {}
        () = loops.run() => {}
    }
}

struct Loop<'a, T> {
    shared: &'a Arc<Shared>,
    client: Client,
    kept: fn(&Shared) -> &Kept<T>,
    /// A label selector and a field selector.
    selects: (Option<String>, Option<String>),
    /// The version to go on from; `None` = a list is needed.
    from: Option<String>,
    /// Fires when the next full list is due.
    relist: Option<BoxFuture<'a, ()>>,
    /// How many objects a page has.
    page: u32,
    /// How often in a row it failed.
    failures: u32,
}

impl<T: Watched> Loop<'_, T> {
    async fn run(&mut self) {
        loop {
            let pace = self.shared.clock.sleep(PACE);
            let (outcome, ()) = futures::join!(self.round(), pace);
            let Err(trouble) = outcome else {
                self.failures = 0;
                continue;
            };
            if matches!(trouble, Trouble::Expired) {
                self.from = None;
            }
            self.failures += 1;
            // Once in a row is everyday life: servers are restarted, and history is thrown away.
            if self.failures == 2 {
                let error = &trouble as &dyn std::error::Error;
                tracing::warn!(
                    kind = T::PATH,
                    error,
                    "the cluster cannot be followed; trying again"
                );
            }
            let wait = self.wait(&trouble);
            if !wait.is_zero() {
                self.shared.clock.sleep(wait).await;
            }
        }
    }

    /// A list where one is needed, and a watch to its end.
    async fn round(&mut self) -> Result<(), Trouble> {
        let from = match self.from.take() {
            Some(from) => from,
            None => {
                let version = self.list().await?;
                let clock = Arc::clone(&self.shared.clock);
                let due = jittered(RELIST);
                self.relist = Some(Box::pin(async move { clock.sleep(due).await }));
                version
            }
        };
        self.from = Some(from.clone());
        self.watch(&from).await
    }

    async fn list(&mut self) -> Result<String, Trouble> {
        let kept = (self.kept)(self.shared);
        // Taken before the list: no honest list is older than what was known when it was asked for.
        let known = kept.high_water();
        let (mut objects, mut token) = (Vec::new(), None);
        let version = loop {
            let page = match self.page(token.clone()).await {
                // Somebody's objects are very large: nobody else's may be left unseen for it.
                Err(Trouble::TooLong) if self.page > 1 => {
                    self.page /= 2;
                    continue;
                }
                page => page?,
            };
            kept.heard();
            objects.extend(page.objects);
            token = page.next;
            if token.is_none() {
                break page.version;
            }
        };
        if T::FIELDS.is_none() {
            objects.retain(|object: &T| object.meta().is_ours);
        }
        self.shared.take_list(kept, objects, version.parse().ok(), known);
        Ok(version)
    }

    async fn page(&mut self, token: Option<String>) -> Result<decode::Page<T>, Trouble> {
        let params = ListParams {
            label_selector: self.selects.0.clone(),
            field_selector: self.selects.1.clone(),
            limit: Some(self.page),
            continue_token: token,
            ..ListParams::default()
        };
        let answer = async {
            let body = http::open(&self.client, Request::new(T::PATH).list(&params)).await?;
            http::page(body).await
        };
        let text = tokio::select! {
            answer = answer => answer?,
            () = self.shared.clock.sleep(PAGE_DEADLINE) => return Err(Trouble::Silent),
        };
        decode::page(&self.shared.pruner, &text)
    }

    async fn watch(&mut self, from: &str) -> Result<(), Trouble> {
        let params = WatchParams {
            label_selector: self.selects.0.clone(),
            field_selector: self.selects.1.clone(),
            timeout: Some(WATCH_SECONDS),
            bookmarks: true,
            ..WatchParams::default()
        };
        let request = Request::new(T::PATH).watch(&params, from);
        let shared = self.shared;
        let mut deadline = shared.clock.sleep(WATCH_DEADLINE);
        let mut lines = tokio::select! {
            body = http::open(&self.client, request) => Lines::new(body?),
            () = &mut deadline => return Err(Trouble::Silent),
        };
        (self.kept)(shared).heard();
        let mut relist = self.relist.take();
        loop {
            let due = async {
                match &mut relist {
                    Some(relist) => relist.await,
                    None => std::future::pending().await,
                }
            };
            let line = tokio::select! {
                line = lines.next() => line,
                () = &mut deadline => Err(Trouble::Silent),
                () = due => {
                    self.from = None;
                    return Ok(());
                }
            };
            let over = match line {
                Ok(Some(line)) => self.hear(&line),
                Ok(None) => Some(Ok(())),
                Err(trouble) => Some(Err(trouble)),
            };
            if let Some(outcome) = over {
                self.relist = relist;
                return outcome;
            }
        }
    }

    /// Takes one line in; something, where it was the last.
    fn hear(&mut self, line: &[u8]) -> Option<Result<(), Trouble>> {
        let kept = (self.kept)(self.shared);
        kept.heard();
        let version = match decode::event::<T>(&self.shared.pruner, line) {
            Heard::Put(object, version) => {
                if T::FIELDS.is_none() && !object.meta().is_ours {
                    self.shared.take_gone(kept, object.meta());
                } else {
                    self.shared.take(kept, object);
                }
                version
            }
            Heard::Gone(meta, version) => {
                self.shared.take_gone(kept, &meta);
                version
            }
            Heard::Bookmark(version) => version,
            Heard::Over(trouble) => return Some(Err(trouble)),
            Heard::Nothing => None,
        };
        self.failures = 0;
        if let Some(version) = version.filter(|version| self.is_later(version)) {
            kept.reached(version.parse().ok());
            self.shared.settle();
            self.from = Some(version);
        }
        None
    }

    /// An event out of order must not make the watch go on from an earlier place.
    fn is_later(&self, version: &str) -> bool {
        let number = |text: &str| text.parse::<u64>().ok();
        let from = self.from.as_deref().and_then(number);
        !version.is_empty()
            && from
                .zip(number(version))
                .is_none_or(|(from, version)| version > from)
    }

    /// How long to wait beyond the pace that is kept anyway.
    fn wait(&self, trouble: &Trouble) -> Duration {
        let doublings = self.failures.saturating_sub(1).min(8);
        let own = jittered((PACE * 2_u32.pow(doublings)).min(LONGEST_WAIT));
        let asked = match trouble {
            Trouble::Refused {
                retry_after: Some(asked),
                ..
            } => (*asked).min(LONGEST_RETRY_AFTER),
            _ => Duration::ZERO,
        };
        own.max(asked).saturating_sub(PACE)
    }
}

/// What selects a kind's objects: our labels, or its own fields.
fn selection<T: Watched>(shared: &Shared) -> (Option<String>, Option<String>) {
    match T::FIELDS {
        Some(fields) => (None, Some(fields.to_owned())),
        None => (Some(shared.pruner.marks().selector()), None),
    }
}

/// Up to a quarter more, so that loops, and servers of ours, do not keep step with one another.
fn jittered(duration: Duration) -> Duration {
    let part = RandomState::new().hash_one(0_u8) % 256;
    duration + duration * u32::try_from(part).unwrap_or(0) / 1024
}
