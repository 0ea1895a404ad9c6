//! The few requests that are made of the API server, each with a deadline, a bound on how many are under way, and an
//! failure in our own words. Answers are handed out as they came. Nothing here repeats anything: whoever calls decides that by [`Failure`].

use std::sync::Arc;
use std::time::Duration;

use deploy_core::names::Namespace;
use deploy_core::workload::Uid;
use http::Request;
use http_body_util::{BodyExt, Limited};
use kube::Client;
use kube::api::{
    DeleteParams, GetParams, ListParams, LogParams, Patch, PatchParams, PostParams, Preconditions,
    PropagationPolicy,
};
use kube::client::Body;
use kube::core::request::Error as RequestError;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tracing::Instrument as _;

use super::failure::{Access, Failure};

/// Who wrote, in the managed fields of every object.
pub(super) const FIELD_MANAGER: &str = "deploy-api";
/// How many writes are under way at once: a run of a thousand steps must not take every connection.
const WRITES_AT_ONCE: usize = 64;
/// No answer is larger: an object is at most about 1.5 MiB in etcd.
const LARGEST_ANSWER: usize = 8 * 1024 * 1024;

/// How many objects a list answers.
const LIST: u32 = 50;

/// Requests of one API server. Clones share their bound.
#[derive(Clone)]
pub(super) struct Calls {
    client: Client,
    deadline: Duration,
    writes: Arc<Semaphore>,
}

/// Where an object is.
#[derive(Debug, Clone)]
pub(super) struct Place {
    collection: String,
    name: String,
}

impl Place {
    /// The place of an object of kind `K`.
    pub(super) fn of<K: kube::Resource<DynamicType = ()>>(namespace: Option<&Namespace>, name: &str) -> Self {
        Self {
            collection: K::url_path(&(), namespace.map(Namespace::as_str)),
            name: name.to_owned(),
        }
    }
}

/// The time that one change has for all its calls. The end of it is kept for reads: whether a write that was not answered
/// has been done is asked once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    writes_until: Instant,
    reads_until: Instant,
}

impl Budget {
    /// Waits for something while there is time to look; `None` where the time was up first.
    pub(super) async fn wait<T>(self, awaited: impl Future<Output = T>) -> Option<T> {
        timeout_at(self.reads_until, awaited).await.ok()
    }
}

/// What a delete found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Removal {
    /// It is gone.
    Gone,
    /// It goes: something that belongs to it, or a finalizer, is waited for.
    UnderWay,
}

impl Calls {
    pub(super) fn new(client: Client, deadline: Duration) -> Self {
        Self {
            client,
            deadline,
            writes: Arc::new(Semaphore::new(WRITES_AT_ONCE)),
        }
    }

    /// The time of one change, from now on.
    pub(super) fn budget(&self) -> Budget {
        let now = Instant::now();
        Budget {
            writes_until: now + self.deadline * 3 / 4,
            reads_until: now + self.deadline,
        }
    }

    /// One look at an object; `None` where there is none.
    pub(super) async fn get(&self, place: &Place, budget: Budget) -> Result<Option<Vec<u8>>, Failure> {
        let request = at(place).get(&place.name, &GetParams::default());
        match self.send("get", Access::Read, place, request, budget).await {
            Ok(answer) => Ok(Some(answer)),
            Err(Failure::Absent(_)) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// The objects of a kind that carry these labels; a page of them, meant for few.
    pub(super) async fn list(&self, place: &Place, labels: &str, budget: Budget) -> Result<Vec<u8>, Failure> {
        let request = at(place).list(&ListParams::default().labels(labels).limit(LIST));
        self.send("list", Access::Read, place, request, budget).await
    }

    /// Makes an object that is not there.
    pub(super) async fn create(
        &self,
        place: &Place,
        object: &impl Serialize,
        budget: Budget,
    ) -> Result<Vec<u8>, Failure> {
        let parameters = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        let request = match serde_json::to_vec(object) {
            Ok(body) => at(place).create(&parameters, body),
            Err(error) => Err(RequestError::SerializeBody(error)),
        };
        self.send("create", Access::Write, place, request, budget).await
    }

    /// Makes an object be as it is told here, and leaves what others said of it: server-side apply.
    pub(super) async fn apply(
        &self,
        place: &Place,
        object: &impl Serialize,
        budget: Budget,
    ) -> Result<Vec<u8>, Failure> {
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let request = at(place).patch(&place.name, &parameters, &Patch::Apply(object));
        self.send("apply", Access::Write, place, request, budget).await
    }

    /// Changes some fields of an object (RFC 7396).
    pub(super) async fn patch(
        &self,
        place: &Place,
        patch: &Value,
        budget: Budget,
    ) -> Result<Vec<u8>, Failure> {
        let parameters = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let request = at(place).patch(&place.name, &parameters, &Patch::Merge(patch));
        self.send("patch", Access::Write, place, request, budget).await
    }

    /// Removes an object of that incarnation, and what belongs to it by `propagation`.
    pub(super) async fn delete(
        &self,
        place: &Place,
        uid: &Uid,
        propagation: PropagationPolicy,
        budget: Budget,
    ) -> Result<Removal, Failure> {
        let parameters = DeleteParams {
            propagation_policy: Some(propagation),
            preconditions: Some(Preconditions {
                uid: Some(uid.0.clone()),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        let request = at(place).delete(&place.name, &parameters);
        let answer = self.send("delete", Access::Write, place, request, budget).await?;
        let answer: Value =
            serde_json::from_slice(&answer).map_err(|error| Failure::unreadable(Access::Write, error))?;
        // What is gone is answered by a Status; what still goes, by itself.
        Ok(if answer["kind"] == "Status" {
            Removal::Gone
        } else {
            Removal::UnderWay
        })
    }

    /// The end of what a pod's container wrote.
    pub(super) async fn log(
        &self,
        place: &Place,
        parameters: &LogParams,
        budget: Budget,
    ) -> Result<String, Failure> {
        let request = at(place).logs(&place.name, parameters);
        let answer = self.send("log", Access::Read, place, request, budget).await?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    async fn send(
        &self,
        verb: &'static str,
        access: Access,
        place: &Place,
        request: Result<Request<Vec<u8>>, RequestError>,
        budget: Budget,
    ) -> Result<Vec<u8>, Failure> {
        let span = tracing::debug_span!("kubernetes", verb, at = place.collection, name = place.name);
        let called = async {
            let answer = self.within(access, request, budget).await;
            if let Err(failure) = &answer {
                tracing::debug!(%failure, "no result");
            }
            answer
        };
        called.instrument(span).await
    }

    async fn within(
        &self,
        access: Access,
        request: Result<Request<Vec<u8>>, RequestError>,
        budget: Budget,
    ) -> Result<Vec<u8>, Failure> {
        let request =
            request.map_err(|error| Failure::unanswered(access, kube::Error::BuildRequest(error)))?;
        if access == Access::Read {
            let answer = timeout_at(budget.reads_until, self.exchange(access, request)).await;
            return answer.unwrap_or_else(|_| Err(Failure::too_late(access, true)));
        }
        // Closed never; where the wait is too long, nothing was sent.
        let Ok(Ok(_permit)) = timeout_at(budget.writes_until, self.writes.acquire()).await else {
            return Err(Failure::too_late(access, false));
        };
        let answer = timeout_at(budget.writes_until, self.exchange(access, request)).await;
        answer.unwrap_or_else(|_| Err(Failure::too_late(access, true)))
    }

    async fn exchange(&self, access: Access, request: Request<Vec<u8>>) -> Result<Vec<u8>, Failure> {
        let answer = self.client.send(request.map(Body::from)).await;
        let (head, body) = answer
            .map_err(|error| Failure::unanswered(access, error))?
            .into_parts();
        let body = Limited::new(body, LARGEST_ANSWER).collect().await;
        if head.status.is_success() {
            // What was answered is done, whatever became of the answer; what it says has to be asked again.
            return match body {
                Ok(body) => Ok(body.to_bytes().to_vec()),
                Err(error) => Err(Failure::unreadable(access, error)),
            };
        }
        let retry_after = head
            .headers
            .get("retry-after")
            .and_then(|value| value.to_str().ok());
        // The status alone says enough where its words are lost.
        let body = body.map(|body| body.to_bytes().to_vec()).unwrap_or_default();
        Err(Failure::answered(
            access,
            head.status.as_u16(),
            retry_after,
            &body,
        ))
    }
}

fn at(place: &Place) -> kube::core::Request {
    kube::core::Request::new(&place.collection)
}
