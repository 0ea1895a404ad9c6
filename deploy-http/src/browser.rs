//! What a browser does for a page that is not ours: it sends the cookie along, whoever wrote the page. [`cross_site`]
//! refuses what such a page must not do, [`cors`] lets the pages of allowed origins read the answers.

pub mod cors;
pub mod cross_site;
mod origin;

pub use origin::{Origin, Origins};

use hyper::header;
use hyper::http::request::Parts;
use hyper::http::uri::Authority;

/// The host and port a request is addressed to: HTTP/2's authority, or HTTP/1's one Host.
pub(crate) fn addressed_to(request: &Parts) -> Option<Authority> {
    if let Some(authority) = request.uri.authority() {
        return Some(authority.clone());
    }
    let mut hosts = request.headers.get_all(header::HOST).iter();
    let host = hosts.next()?.to_str().ok()?.parse().ok()?;
    hosts.next().is_none().then_some(host)
}
