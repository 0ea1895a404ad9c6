//! A small client, and the objects that the tests are about.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use deploy_testkit::kubernetes::ApiServer;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

/// Longer than anything here takes, so that an event that never comes fails its test.
const LIMIT: Duration = Duration::from_secs(20);

pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, future).await.expect("it comes")
}

/// One answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) retry_after: Option<String>,
}

impl Answer {
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert!(self.status < 300, "{self:?}");
        self.body
    }

    #[track_caller]
    pub(crate) fn is_refused(&self, status: u16, reason: &str) {
        assert_eq!(
            (self.status, &self.body["reason"]),
            (status, &json!(reason)),
            "{self:?}"
        );
        assert_eq!(self.body["kind"], "Status");
        assert_eq!(self.body["code"], status);
    }
}

pub(crate) async fn get(server: &ApiServer, path: &str) -> Answer {
    send(server, "GET", path, "", Value::Null)
        .await
        .expect("it answers")
}

pub(crate) async fn post(server: &ApiServer, path: &str, body: Value) -> Answer {
    send(server, "POST", path, "application/json", body)
        .await
        .expect("it answers")
}

pub(crate) async fn put(server: &ApiServer, path: &str, body: Value) -> Answer {
    send(server, "PUT", path, "application/json", body)
        .await
        .expect("it answers")
}

pub(crate) async fn merge(server: &ApiServer, path: &str, body: Value) -> Answer {
    send(server, "PATCH", path, "application/merge-patch+json", body)
        .await
        .expect("it answers")
}

/// Applies as the manager `deploy-api`.
pub(crate) async fn apply(server: &ApiServer, path: &str, body: Value) -> Answer {
    let path = format!("{path}?fieldManager=deploy-api&force=true");
    send(server, "PATCH", &path, "application/apply-patch+yaml", body)
        .await
        .expect("it answers")
}

pub(crate) async fn delete(server: &ApiServer, path: &str, options: Value) -> Answer {
    send(server, "DELETE", path, "application/json", options)
        .await
        .expect("it answers")
}

/// `None` = the connection was closed without an answer.
pub(crate) async fn send(
    server: &ApiServer,
    method: &str,
    path: &str,
    kind: &str,
    body: Value,
) -> Option<Answer> {
    let response = within(request(server, method, path, kind, body)).await?;
    let status = response.status().as_u16();
    let retry_after = response.headers().get("retry-after");
    let retry_after = retry_after.map(|value| value.to_str().unwrap().to_owned());
    let bytes = within(response.into_body().collect()).await.unwrap().to_bytes();
    let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| json!(String::from_utf8_lossy(&bytes)));
    Some(Answer {
        status,
        body,
        retry_after,
    })
}

async fn request(
    server: &ApiServer,
    method: &str,
    path: &str,
    kind: &str,
    body: Value,
) -> Option<Response<Incoming>> {
    let url = server.url();
    let address = url.strip_prefix("http://").unwrap();
    let stream = TcpStream::connect(address).await.ok()?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    tokio::spawn(connection);
    let bytes = if body.is_null() {
        Bytes::new()
    } else {
        Bytes::from(body.to_string())
    };
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", address)
        .header("content-type", kind)
        .body(Full::new(bytes))
        .unwrap();
    sender.send_request(request).await.ok()
}

/// A watch that is read event by event.
pub(crate) struct Events {
    body: Incoming,
    rest: Vec<u8>,
}

pub(crate) async fn watch(server: &ApiServer, path: &str) -> Events {
    let response = within(request(server, "GET", path, "", Value::Null))
        .await
        .expect("it answers");
    assert_eq!(response.status(), 200);
    Events {
        body: response.into_body(),
        rest: Vec::new(),
    }
}

impl Events {
    /// The next event; `None` = the watch is over.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        within(async {
            loop {
                if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = self.rest.drain(..=end).collect();
                    return Some(serde_json::from_slice(&line).unwrap());
                }
                let frame = self.body.frame().await?.ok()?;
                self.rest.extend_from_slice(frame.data_ref().unwrap());
            }
        })
        .await
    }

    /// The next event as `TYPE name`.
    pub(crate) async fn line(&mut self) -> String {
        let event = self.next().await.expect("there is one more");
        let name = event["object"]["metadata"]["name"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        format!("{} {name}", event["type"].as_str().unwrap())
    }

    /// Whether nothing comes for a while: the one thing that no event can tell.
    pub(crate) async fn is_silent(&mut self) -> bool {
        let quiet = Duration::from_millis(50);
        tokio::time::timeout(quiet, self.body.frame()).await.is_err() && self.rest.is_empty()
    }
}

pub(crate) const JOBS: &str = "/apis/batch/v1/namespaces/demo/jobs";
pub(crate) const CRON_JOBS: &str = "/apis/batch/v1/namespaces/demo/cronjobs";
pub(crate) const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/demo/deployments";
pub(crate) const SERVICES: &str = "/api/v1/namespaces/demo/services";
pub(crate) const PODS: &str = "/api/v1/namespaces/demo/pods";

/// A server with the namespace `demo`.
pub(crate) async fn server() -> ApiServer {
    let server = ApiServer::start().await.unwrap();
    server.put_namespace("demo");
    server
}

fn pod(restart: &str, command: &[&str]) -> Value {
    json!({
        "restartPolicy": restart,
        "containers": [{"name": "main", "image": "registry.example/app:1", "command": command}],
    })
}

pub(crate) fn job(name: &str, command: &[&str]) -> Value {
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"backoffLimit": 0, "podReplacementPolicy": "Failed", "template": {"spec": pod("Never", command)}},
    })
}

pub(crate) fn cron_job(name: &str, command: &[&str]) -> Value {
    json!({
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": name},
        "spec": {"schedule": "*/5 * * * *", "jobTemplate": {"spec": {"template": {"spec": pod("Never", command)}}}},
    })
}

pub(crate) fn deployment(name: &str, replicas: u32, command: &[&str]) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": pod("Always", command)},
        },
    })
}

/// Whether an object's condition holds.
pub(crate) fn holds(object: &Value, condition: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    conditions.is_some_and(|all| {
        all.iter()
            .any(|one| one["type"] == condition && one["status"] == "True")
    })
}
