//! As much of an HTTP client as the demo needs: one connection a request, to an address on this machine.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper::header::{ETAG, HOST, IF_NONE_MATCH};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use super::DemoError;

/// Asks as one person.
pub(super) struct Client {
    address: SocketAddr,
    identity: &'static str,
}

/// What the server said.
pub(super) struct Answer {
    pub(super) etag: Option<String>,
    /// Null for an answer without one.
    pub(super) body: Value,
}

impl Client {
    pub(super) const fn new(address: SocketAddr, identity: &'static str) -> Self {
        Self { address, identity }
    }

    pub(super) async fn get(&self, path: &str) -> Result<Answer, DemoError> {
        let (etag, bytes) = self.send(path, None).await?;
        Ok(Answer {
            etag,
            body: serde_json::from_slice(&bytes).unwrap_or_default(),
        })
    }

    /// Answers when the state differs from the one of that ETag, is final, or `wait` seconds are over.
    pub(super) async fn get_if_changed(
        &self,
        path: &str,
        etag: Option<&str>,
        wait: u32,
    ) -> Result<Answer, DemoError> {
        let path = if etag.is_some() {
            format!("{path}?wait={wait}")
        } else {
            path.to_owned()
        };
        let (etag, bytes) = self.send(&path, etag).await?;
        Ok(Answer {
            etag,
            body: serde_json::from_slice(&bytes).unwrap_or_default(),
        })
    }

    pub(super) async fn get_text(&self, path: &str) -> Result<String, DemoError> {
        let (_, bytes) = self.send(path, None).await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    async fn send(&self, path: &str, etag: Option<&str>) -> Result<(Option<String>, Bytes), DemoError> {
        let unreachable = |error: Box<dyn std::error::Error + Send + Sync>| DemoError::Unreachable(error);
        let stream = TcpStream::connect(self.address)
            .await
            .map_err(|e| unreachable(e.into()))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|e| unreachable(e.into()))?;
        let mut request = Request::get(path)
            .header(HOST, self.address.to_string())
            .header("identity", self.identity);
        if let Some(etag) = etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let request = request
            .body(Empty::<Bytes>::new())
            .map_err(|e| unreachable(e.into()))?;
        // The connection ends with the exchange; what ends it early, the exchange tells too.
        let exchange = async {
            let response = sender.send_request(request).await?;
            let (parts, body) = response.into_parts();
            let bytes = body.collect().await?.to_bytes();
            drop(sender);
            Ok::<_, hyper::Error>((parts, bytes))
        };
        let (answered, _closed) = tokio::join!(exchange, connection);
        let (parts, bytes) = answered.map_err(|e| unreachable(e.into()))?;
        if parts.status.is_client_error() || parts.status.is_server_error() {
            let problem: Value = serde_json::from_slice(&bytes).unwrap_or_default();
            let detail = problem
                .pointer("/detail")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned();
            return Err(DemoError::Refused {
                request: path.to_owned(),
                status: parts.status.as_u16(),
                detail,
            });
        }
        let etag = parts
            .headers
            .get(ETAG)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        let bytes = if parts.status == StatusCode::NOT_MODIFIED {
            Bytes::new()
        } else {
            bytes
        };
        Ok((etag, bytes))
    }
}
