//! Requests of the watch loops. The client hands out answers as they are: its own reading of a refusal would drop the
//! `Retry-After` that says when to come back.

use std::time::Duration;

use deploy_core::error::BoxError;
use http_body_util::BodyExt;
use kube::client::Body;

/// An object is at most 1.5 MB (etcd); a line beyond this is no event.
const LONGEST_LINE: usize = 16 << 20;
/// What a page may take of memory. One that is longer is asked for again in halves.
const LONGEST_PAGE: usize = 32 << 20;
/// How much of a refusal is read.
const LONGEST_REFUSAL: usize = 64 << 10;

/// Why a request gave nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// The version to go on from is too old (410 Gone): a full list is needed.
    #[error("the version to go on from is no longer kept")]
    Expired,
    #[error("the API answered {status}: {message}")]
    Refused {
        status: u16,
        message: String,
        retry_after: Option<Duration>,
    },
    #[error("the API cannot be reached")]
    Broken(#[source] BoxError),
    #[error("the API was silent for too long")]
    Silent,
    #[error("the answer is longer than any that is expected")]
    TooLong,
    #[error("the answer cannot be read")]
    Unreadable(#[source] serde_json::Error),
}

/// Sends a request that reads; the answer's body when it is a success.
pub(super) async fn open(
    client: &kube::Client,
    request: Result<::http::Request<Vec<u8>>, kube::core::request::Error>,
) -> Result<Body, Trouble> {
    let request = request.map_err(|error| Trouble::Broken(error.into()))?;
    let response = client
        .send(request.map(Body::from))
        .await
        .map_err(|error| Trouble::Broken(error.into()))?;
    let status = response.status();
    if status.is_success() {
        return Ok(response.into_body());
    }
    if status.as_u16() == 410 {
        return Err(Trouble::Expired);
    }
    let retry_after = response
        .headers()
        .get("retry-after")
        .and_then(|value| value.to_str().ok()?.trim().parse().ok())
        .map(Duration::from_secs);
    let text = match read(response.into_body(), LONGEST_REFUSAL).await {
        Ok(text) => text,
        Err(error) => error.to_string().into_bytes(),
    };
    Err(Trouble::Refused {
        status: status.as_u16(),
        message: message(&text),
        retry_after,
    })
}

/// A whole page.
pub(super) async fn page(body: Body) -> Result<Vec<u8>, Trouble> {
    read(body, LONGEST_PAGE).await
}

/// The words of a refusal: the `message` of a Status, or the beginning of whatever else a proxy wrote.
fn message(text: &[u8]) -> String {
    let status: Option<serde_json::Value> = serde_json::from_slice(text).ok();
    let words = status.as_ref().and_then(|status| status["message"].as_str());
    match words {
        Some(words) => words.to_owned(),
        None => String::from_utf8_lossy(text).chars().take(200).collect(),
    }
}

async fn read(mut body: Body, longest: usize) -> Result<Vec<u8>, Trouble> {
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Trouble::Broken(error.into()))?;
        if let Ok(bytes) = frame.into_data() {
            if whole.len() + bytes.len() > longest {
                return Err(Trouble::TooLong);
            }
            whole.extend_from_slice(&bytes);
        }
    }
    Ok(whole)
}

/// The lines of a watch, as they come.
pub(super) struct Lines {
    body: Body,
    buffer: Vec<u8>,
    /// How much of the buffer has no line break.
    searched: usize,
}

impl Lines {
    pub(super) const fn new(body: Body) -> Self {
        Self {
            body,
            buffer: Vec::new(),
            searched: 0,
        }
    }

    /// The next line; `None` at the end of the watch. An unfinished last line is nothing: the server was cut off.
    /// Dropped while it waits, it loses nothing.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<u8>>, Trouble> {
        loop {
            let rest = self.buffer.get(self.searched..).unwrap_or_default();
            if let Some(found) = rest.iter().position(|byte| *byte == b'\n') {
                let after = self.buffer.split_off(self.searched + found + 1);
                let line = std::mem::replace(&mut self.buffer, after);
                self.searched = 0;
                return Ok(Some(line));
            }
            self.searched = self.buffer.len();
            if self.buffer.len() > LONGEST_LINE {
                return Err(Trouble::TooLong);
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(Trouble::Broken(error.into())),
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        self.buffer.extend_from_slice(&bytes);
                    }
                }
            }
        }
    }
}
