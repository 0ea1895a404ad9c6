//! The first minute: deploys an example task and runs an example pipeline through the same HTTP routes as any user,
//! and shows on the terminal what happens. It knows nothing of the server but its address.

mod client;
pub mod examples;

use std::collections::HashMap;
use std::io::Write;
use std::net::SocketAddr;
use std::time::Instant;

use serde_json::Value;

use client::{Answer, Client};

/// Who deploys in the demo.
const IDENTITY: &str = "demo@example.com";
/// Seconds that one look at a state waits for a change.
const WAIT: u32 = 20;

/// Why the demo ended early.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The server was not reached.
    #[error("the server cannot be reached")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The server refused.
    #[error("{request} was answered with {status}: {detail}")]
    Refused {
        /// What was asked.
        request: String,
        /// The answer's status.
        status: u16,
        /// The answer's own words.
        detail: String,
    },
    /// Something ended otherwise than it should.
    #[error("the {what} ended {state}, and should have succeeded: {reason}")]
    Ended {
        /// The task or the run.
        what: &'static str,
        /// Its state.
        state: String,
        /// Why.
        reason: String,
    },
    /// The terminal cannot be written to.
    #[error("the terminal cannot be written to")]
    Terminal(#[from] std::io::Error),
}

/// Walks through the demo against the server at `address`, writing to `out`.
///
/// # Errors
/// The server is not reached or refuses, or task or run do not succeed.
pub async fn walk(address: SocketAddr, out: &mut (impl Write + Send)) -> Result<(), DemoError> {
    let client = Client::new(address, IDENTITY);
    writeln!(out, "\nA task, straight from git:")?;
    let deploy = format!("/v1/task/deploy/{}/fibonacci?replace=true", examples::REPOSITORY);
    let task = client.get(&deploy).await?.body;
    writeln!(out, "  GET {deploy}  202 {}", text(&task, "/id"))?;
    let task = follow_task(&client, &task, out).await?;
    let log = client
        .get_text(&format!("/v2/task/logs/{}", text(&task, "/id")))
        .await?;
    for line in log.lines() {
        writeln!(out, "    | {line}")?;
    }
    succeeded("task", &task)?;

    writeln!(out, "\nA pipeline of four steps, two of them side by side:")?;
    let run = format!("/v1/pipeline/runas/{}/diamond/demo", examples::REPOSITORY);
    let pipeline = client.get(&run).await?.body;
    writeln!(out, "  GET {run}  202 {}", text(&pipeline, "/id"))?;
    let pipeline = follow_pipeline(&client, &pipeline, out).await?;
    succeeded("run", &pipeline)
}

/// What to type next.
///
/// # Errors
/// The terminal cannot be written to.
pub fn next_steps(address: SocketAddr, out: &mut impl Write) -> Result<(), DemoError> {
    let repository = examples::REPOSITORY;
    writeln!(out, "\nWhat to type next:")?;
    writeln!(out, "  api=http://{address}; me='Identity: ada@example.com'")?;
    for (line, what) in [
        (
            format!("curl -s -H \"$me\" $api/v1/task/deploy/{repository}/hello"),
            "a service …",
        ),
        ("curl -s http://127.0.0.1:18080/".to_owned(), "… that answers"),
        (
            format!("curl -s -H \"$me\" $api/v1/pipeline/runas/{repository}/error_with_cleanup/mine"),
            "an error, cleaned up",
        ),
        (
            format!("curl -s $api/v1/list/pipelines/{repository}"),
            "every run, newest first",
        ),
        (format!("curl -s $api/v1/list/tasks/{repository}"), "what runs"),
        (
            format!("curl -s -H \"$me\" $api/v1/delete/service/{repository}/hello"),
            "the service goes",
        ),
    ] {
        writeln!(out, "  {line:<86} # {what}")?;
    }
    Ok(())
}

async fn follow_task(
    client: &Client,
    task: &Value,
    out: &mut (impl Write + Send),
) -> Result<Value, DemoError> {
    let path = format!("/v1/task/state/{}", text(task, "/id"));
    let began = Instant::now();
    let mut shown = String::new();
    let mut look = Look::default();
    loop {
        let task = look.next(client, &path).await?;
        let state = text(&task, "/state");
        if state != shown {
            writeln!(out, "  {:>6.2} s  {state}", began.elapsed().as_secs_f64())?;
            shown.clone_from(&state);
        }
        if is_final(&state) {
            return Ok(task);
        }
    }
}

async fn follow_pipeline(
    client: &Client,
    run: &Value,
    out: &mut (impl Write + Send),
) -> Result<Value, DemoError> {
    let path = format!(
        "/v1/pipeline/state/{}/{}",
        text(run, "/namespace"),
        text(run, "/id")
    );
    let began = Instant::now();
    let mut shown: HashMap<String, String> = HashMap::new();
    let mut look = Look::default();
    loop {
        let run = look.next(client, &path).await?;
        for step in run
            .pointer("/steps")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let (name, state) = (text(step, "/name"), text(step, "/state"));
            if state != "waiting" && shown.get(&name) != Some(&state) {
                writeln!(
                    out,
                    "  {:>6.2} s  step {name} {state}",
                    began.elapsed().as_secs_f64()
                )?;
                shown.insert(name, state);
            }
        }
        let state = text(&run, "/state");
        if is_final(&state) {
            writeln!(out, "  {:>6.2} s  the run {state}", began.elapsed().as_secs_f64())?;
            return Ok(run);
        }
    }
}

/// Looks at a state until it changes, by its ETag.
#[derive(Default)]
struct Look {
    etag: Option<String>,
    last: Value,
}

impl Look {
    async fn next(&mut self, client: &Client, path: &str) -> Result<Value, DemoError> {
        let Answer { etag, body, .. } = client.get_if_changed(path, self.etag.as_deref(), WAIT).await?;
        if !body.is_null() {
            self.last = body;
        }
        self.etag = etag.or_else(|| self.etag.take());
        Ok(self.last.clone())
    }
}

fn is_final(state: &str) -> bool {
    matches!(
        state,
        "succeeded" | "failed" | "killed" | "superseded" | "deleted"
    )
}

fn succeeded(what: &'static str, value: &Value) -> Result<(), DemoError> {
    let state = text(value, "/state");
    if state == "succeeded" {
        return Ok(());
    }
    let reason = text(value, "/reason/message");
    Err(DemoError::Ended { what, state, reason })
}

fn text(value: &Value, pointer: &str) -> String {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}
