//! The http client, ureq, held to what a git server may do with us: no redirect is followed, nothing of the environment
//! is taken for a proxy, and what goes wrong is told in our own words.

use std::io;
use std::path::Path;
use std::time::Duration;

use rustls::CertificateError;
use ureq::Agent;

use super::trust;
use crate::git::access::AccessError;
use crate::git::base::{RemoteBase, Scheme};
use crate::git::failure::Failure;

/// The longest that it takes to connect, all addresses of a host and TLS included.
const CONNECT: Duration = Duration::from_secs(10);
/// The largest head of an answer, bytes. ureq takes no more than 128 headers.
const MAX_HEAD: usize = 64 << 10;

/// A client for one server. Its connections are kept for a while and used again, by any thread.
pub(super) fn agent(base: &RemoteBase, ca_file: Option<&Path>) -> Result<Agent, AccessError> {
    let mut config = Agent::config_builder()
        .user_agent("git/2.0 (deploy-api)")
        .accept_encoding("")
        .proxy(None)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .timeout_connect(Some(CONNECT))
        .max_response_header_size(MAX_HEAD);
    if base.scheme() == Scheme::Https {
        trust::check_name(base.host())?;
        config = config.https_only(true).tls_config(trust::trusting(ca_file)?);
    }
    Ok(config.build().new_agent())
}

/// Whether a connection that was kept may have been closed by the server in the moment it was used again.
pub(super) fn is_of_the_line(error: &ureq::Error) -> bool {
    let ureq::Error::Io(error) = error else {
        return false;
    };
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
    )
}

/// What an error of the client means.
pub(super) fn failure_of(error: &ureq::Error) -> Failure {
    match error {
        ureq::Error::Timeout(_) => Failure::Timeout,
        ureq::Error::Io(inner) if inner.kind() == io::ErrorKind::TimedOut => Failure::Timeout,
        ureq::Error::Io(inner) => {
            let tls = inner
                .get_ref()
                .and_then(|inner| inner.downcast_ref::<rustls::Error>());
            tls.map_or_else(|| Failure::unavailable(error), |tls| of_tls(tls, error))
        }
        ureq::Error::Rustls(tls) => of_tls(tls, error),
        // What is read wrongly is an answer; a line that breaks is none.
        ureq::Error::Protocol(_) | ureq::Error::LargeResponseHeader(..) | ureq::Error::BodyStalled => {
            Failure::answer(error)
        }
        _ => Failure::unavailable(error),
    }
}

fn of_tls(tls: &rustls::Error, error: &ureq::Error) -> Failure {
    match tls {
        rustls::Error::InvalidCertificate(flaw) => Failure::refused(why_distrusted(flaw), error),
        _ => Failure::unavailable(error),
    }
}

fn why_distrusted(flaw: &CertificateError) -> &'static str {
    match flaw {
        // A CA made anew under the name of the old one fails by its signature.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "the git server's certificate is not signed by a CA that is trusted"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the git server's certificate has expired"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the git server's certificate is for another host"
        }
        _ => "the git server's certificate is not valid",
    }
}
