//! Everything that is checked before a handler runs, in the order of docs/api.md: Host 421, route 404, verb 405,
//! identity 401, cross-site 403, Accept 406, size and type 413 and 415, form and query 400. It calls no use case, so
//! whatever it refuses has cost no call outward.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use bytes::Bytes;
use deploy_core::deployer::{Caller, Reader};
use deploy_core::error::BoxError;
use deploy_core::names::Namespace;
use hyper::Method;
use hyper::body::Body;
use hyper::header::{self, HeaderMap};
use hyper::http::request::Parts;

use crate::browser::cross_site::{self, Refusal};
use crate::browser::{Origins, cors};
use crate::forms::{BodyLimits, Form};
use crate::identity::{Believed, Credential, IdentityRules, check_host};
use crate::prefix::Prefix;
use crate::problem::{EdgeCode, Problem};
use crate::query::Query;
use crate::reply::Reply;
use crate::router::{find, normalized, segment};
use crate::routes::{Media, Route};
use crate::text::percent_decoded;

/// The two ends of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Ends {
    /// The listener's.
    pub local: SocketAddr,
    /// The client's.
    pub peer: SocketAddr,
}

/// Lets the requests of one listener in.
pub struct Gate {
    /// What stands before every path.
    pub prefix: Prefix,
    /// Whether a path without the prefix is none.
    pub prefix_required: bool,
    /// Who is believed.
    pub identity: IdentityRules,
    /// The origins, besides the server's own, whose pages may use the cookie.
    pub origins: Origins,
    /// What a body may cost.
    pub body: BodyLimits,
}

/// The row a request is for.
#[derive(Debug, Clone)]
pub struct Found<'a> {
    /// The row.
    pub route: &'static Route,
    /// What stood before the path.
    pub prefix: &'a str,
    path: String,
}

/// A request that was let in.
pub struct Call {
    route: &'static Route,
    path: String,
    caller: Option<Caller>,
    /// Whether what is read has to be the caller's to read, where the call came in. True for calls that change something
    /// too: they must not tell what a read would not.
    reads_protected: bool,
    /// Its query.
    pub query: Query,
    /// Its form; empty where it has none.
    pub form: Form,
    /// Its headers.
    pub headers: HeaderMap,
}

impl Gate {
    /// The row that a request is for.
    ///
    /// # Errors
    /// 421, 404.
    pub fn route(&self, ends: Ends, request: &Parts) -> Result<Found<'_>, Problem> {
        check_host(ends.local.ip(), request)?;
        let path = request.uri.path();
        let unknown = |detail: String| Problem::new(EdgeCode::RouteNotFound, detail);
        let (prefix, path) = match self.prefix.strip(path) {
            Some(rest) => (self.prefix.as_str(), rest),
            None if self.prefix_required => {
                let detail = format!("every path on this listener begins with {}/", self.prefix);
                return Err(unknown(detail));
            }
            None => ("", path),
        };
        let path = normalized(path);
        let route = find(&path);
        let route =
            route.ok_or_else(|| unknown("there is no such route; docs/api.md lists them".to_owned()))?;
        let path = path.into_owned();
        Ok(Found { route, prefix, path })
    }

    /// The answer to a browser that asks what a page of another origin may do.
    #[must_use]
    pub fn preflight(&self, found: &Found<'_>, request: &Parts) -> Option<Reply> {
        cors::preflight(found.route, &request.method, &request.headers, &self.origins)
    }

    /// Lets a request through to the handler of its row.
    ///
    /// # Errors
    /// 405, 401, 403, 406, 408, 413, 415, 400, 503.
    pub async fn admit<B>(
        &self,
        found: Found<'_>,
        ends: Ends,
        request: Parts,
        body: B,
    ) -> Result<Call, Problem>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Into<BoxError>,
    {
        let Found { route, path, .. } = found;
        if !route.methods().contains(&request.method) {
            let allow = route.allow();
            let detail = format!("this route answers to {}", allow.to_str().unwrap_or_default());
            return Err(Problem::new(EdgeCode::VerbNotAllowed, detail).with_header(header::ALLOW, allow));
        }
        let believed = self.identity.caller(route.access, &request.headers, ends).await?;
        if believed
            .as_ref()
            .is_some_and(|believed| believed.by == Credential::Cookie)
        {
            self.check_site(route, &request)?;
        }
        let headers = request.headers;
        if !accepts(&headers, route.shape.media) {
            let detail = format!("this route answers with {}", media_type(route.shape.media));
            return Err(Problem::new(EdgeCode::NotAcceptable, detail));
        }
        // The body of a GET or DELETE has no meaning (RFC 9110 §9.3.1) and is not read.
        let form = if request.method == Method::POST {
            Form::read(&headers, body, route.form, self.body).await?
        } else {
            Form::default()
        };
        let query = Query::parse(request.uri.query().unwrap_or_default(), route.shape.query)?;
        Ok(Call {
            route,
            path,
            caller: believed.map(|Believed { caller, .. }| caller),
            reads_protected: self.identity.reads_protected,
            query,
            form,
            headers,
        })
    }

    /// A cookie says who asks, and not that they meant to: what it may change, pages of this server and of the allowed
    /// origins alone may ask for.
    fn check_site(&self, route: &Route, request: &Parts) -> Result<(), Problem> {
        if !route.access.changes() && request.method != Method::POST {
            return Ok(());
        }
        cross_site::check(request, &self.origins).map_err(|refusal| {
            let detail = match refusal {
                Refusal::Prefetch => {
                    "a browser asks for this beforehand; it is carried out when somebody does"
                }
                Refusal::CrossSite => {
                    "a page of another site asks for this with somebody's cookie; send the token as \
                     `Authorization: Bearer`, or have the page's origin allowed (--allowed-origin)"
                }
            };
            Problem::new(EdgeCode::CrossSite, detail)
        })
    }
}

/// Neither headers nor query nor path: a token may stand in any of them.
impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("route", &self.route.path)
            .field("form", &self.form)
            .finish_non_exhaustive()
    }
}

impl Call {
    /// A placeholder's value.
    ///
    /// # Errors
    /// 400 with the rule it breaks.
    pub fn path<T>(&self, name: &str) -> Result<T, Problem>
    where
        T: FromStr,
        T::Err: std::fmt::Display,
    {
        let refused =
            |rule: &dyn std::fmt::Display| Problem::parameter(format!("`{name}` in the path: {rule}"));
        let Some(raw) = segment(self.route, &self.path, name) else {
            return Err(Problem::bug(format!(
                "{} has no placeholder {name}",
                self.route.path
            )));
        };
        let bytes =
            percent_decoded(raw.as_bytes()).ok_or_else(|| refused(&"not percent-encoded correctly"))?;
        let text = std::str::from_utf8(&bytes).map_err(|_| refused(&"not UTF-8"))?;
        if text.contains('/') && name != "directory" {
            return Err(refused(&"only a directory may hold %2F"));
        }
        text.parse().map_err(|error| refused(&error))
    }

    /// A value that some routes take in their path, some in their form, and some not at all.
    ///
    /// # Errors
    /// 400 with the rule it breaks.
    pub fn given<T>(&self, name: &str) -> Result<Option<T>, Problem>
    where
        T: FromStr,
        T::Err: std::fmt::Display,
    {
        if segment(self.route, &self.path, name).is_some() {
            self.path(name).map(Some)
        } else {
            self.form.parsed(name)
        }
    }

    /// A field that the table marks as required, parsed.
    ///
    /// # Errors
    /// 400 with the rule it breaks.
    pub fn required<T>(&self, name: &str) -> Result<T, Problem>
    where
        T: FromStr,
        T::Err: std::fmt::Display,
    {
        let value = self.form.parsed(name)?;
        value.ok_or_else(|| {
            Problem::bug(format!(
                "{} was reached without its field {name}",
                self.route.path
            ))
        })
    }

    /// A document in the form, as it was sent: whatever is wrong with it is the document's fault, not the form's.
    #[must_use]
    pub fn document(&self, name: &str) -> Vec<u8> {
        self.form
            .bytes(name)
            .map(|bytes| bytes.to_vec())
            .unwrap_or_default()
    }

    /// The namespace, in the path or the form; `None` = the default, the repository's.
    ///
    /// # Errors
    /// 400 with the rule it breaks.
    pub fn namespace_or_default(&self) -> Result<Option<Namespace>, Problem> {
        if self.names_default_namespace() {
            Ok(None)
        } else {
            self.given("namespace")
        }
    }

    /// The namespace in the path of a route that names no repository.
    ///
    /// # Errors
    /// 400 with the rule it breaks.
    pub fn namespace(&self) -> Result<Namespace, Problem> {
        if self.names_default_namespace() {
            let detail = "`namespace` in the path: `-` stands for the repository's, and this route names no repository";
            return Err(Problem::parameter(detail));
        }
        self.path("namespace")
    }

    /// Whether the route has that placeholder.
    #[must_use]
    pub fn has(&self, placeholder: &str) -> bool {
        self.route.placeholders().any(|name| name == placeholder)
    }

    /// Who asks.
    ///
    /// # Errors
    /// A bug: the gate lets nobody through to a route that needs an identity without one.
    pub fn caller(&self) -> Result<&Caller, Problem> {
        self.caller
            .as_ref()
            .ok_or_else(|| Problem::bug("a protected route was reached without an identity"))
    }

    /// Who reads.
    ///
    /// # Errors
    /// As [`Call::caller`], where reads are protected.
    pub fn reader(&self) -> Result<Reader<'_>, Problem> {
        if self.reads_protected {
            self.caller().map(Reader::Caller)
        } else {
            Ok(Reader::Anyone)
        }
    }

    fn names_default_namespace(&self) -> bool {
        matches!(
            segment(self.route, &self.path, "namespace"),
            Some("-" | "%2D" | "%2d")
        )
    }
}

const fn media_type(media: Media) -> &'static str {
    match media {
        Media::Json => "application/json",
        Media::Text => "text/plain",
    }
}

/// RFC 9110 §12.5.1, as far as one media type needs it: no Accept accepts everything, `q=0` nothing.
fn accepts(headers: &HeaderMap, media: Media) -> bool {
    let offered = media_type(media);
    let group = offered.split('/').next().unwrap_or_default();
    let mut values = headers.get_all(header::ACCEPT).iter().peekable();
    if values.peek().is_none() {
        return true;
    }
    values
        .flat_map(|value| value.as_bytes().split(|b| *b == b','))
        .any(|range| {
            let range = String::from_utf8_lossy(range);
            let mut parameters = range.split(';').map(str::trim);
            let range = parameters.next().unwrap_or_default();
            let named = range == "*/*"
                || range.eq_ignore_ascii_case(offered)
                || range
                    .strip_suffix("/*")
                    .is_some_and(|range| range.eq_ignore_ascii_case(group));
            let refused = parameters
                .filter_map(|parameter| parameter.strip_prefix("q="))
                .any(|quality| quality.parse() == Ok(0.0_f32));
            named && !refused
        })
}

#[cfg(test)]
mod tests;
