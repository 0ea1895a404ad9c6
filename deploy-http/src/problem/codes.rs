//! Every stable code, its status and its title, in two exhaustive tables: a new code of the core does not compile
//! until it has both.

use deploy_core::ErrorCode;
use hyper::StatusCode;

/// A stable code: the core's, or the edge's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// Why a use case did not do what was asked.
    Core(ErrorCode),
    /// Why a request was not let through to one.
    Edge(EdgeCode),
}

impl Code {
    /// Every code there is.
    pub fn all() -> impl Iterator<Item = Self> {
        let core = ErrorCode::ALL.iter().copied().map(Self::Core);
        core.chain(EdgeCode::ALL.iter().copied().map(Self::Edge))
    }

    /// The stable text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Core(code) => code.as_str(),
            Self::Edge(code) => code.as_str(),
        }
    }

    /// The status it is answered with.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Core(code) => core(code).0,
            Self::Edge(code) => code.row().1,
        }
    }

    /// The cause in a few words, the same for every occurrence.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Core(code) => core(code).1,
            Self::Edge(code) => code.row().2,
        }
    }
}

/// The edge's own codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EdgeCode {
    /// No such route.
    RouteNotFound,
    /// The route does not answer to that verb.
    VerbNotAllowed,
    /// Nothing the route answers with is accepted.
    NotAcceptable,
    /// The Host is not this listener's.
    Misdirected,
    /// The route needs an identity and there is none.
    IdentityRequired,
    /// The Identity header is there and is no single mailbox.
    InvalidIdentity,
    /// A token is there and is not believed.
    InvalidToken,
    /// The token and the Identity header name different people.
    IdentityConflict,
    /// A page of another site asks, with somebody's cookie.
    CrossSite,
    /// Tokens cannot be checked now.
    KeysUnavailable,
    /// The body is larger than `--max-body`.
    BodyTooLarge,
    /// The body did not arrive within `--body-timeout`.
    BodyTimeout,
    /// The body is not a form.
    NotAForm,
    /// The form cannot be read, or has a field too many, twice, or too few.
    InvalidForm,
    /// More connections than `--max-connections`.
    Overloaded,
}

impl EdgeCode {
    /// Every one of them.
    pub const ALL: &[Self] = &[
        Self::RouteNotFound,
        Self::VerbNotAllowed,
        Self::NotAcceptable,
        Self::Misdirected,
        Self::IdentityRequired,
        Self::InvalidIdentity,
        Self::InvalidToken,
        Self::IdentityConflict,
        Self::CrossSite,
        Self::KeysUnavailable,
        Self::BodyTooLarge,
        Self::BodyTimeout,
        Self::NotAForm,
        Self::InvalidForm,
        Self::Overloaded,
    ];

    /// The stable text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.row().0
    }

    #[rustfmt::skip]
    const fn row(self) -> (&'static str, StatusCode, &'static str) {
        use StatusCode as S;
        match self {
            Self::RouteNotFound => ("route-not-found", S::NOT_FOUND, "There is no such route"),
            Self::VerbNotAllowed => ("verb-not-allowed", S::METHOD_NOT_ALLOWED, "The route does not answer to that verb"),
            Self::NotAcceptable => ("not-acceptable", S::NOT_ACCEPTABLE, "Nothing the route answers with is accepted"),
            Self::Misdirected => ("misdirected", S::MISDIRECTED_REQUEST, "The Host is not this listener's own"),
            Self::IdentityRequired => ("identity-required", S::UNAUTHORIZED, "The route needs an identity"),
            Self::InvalidIdentity => ("invalid-identity", S::UNAUTHORIZED, "The Identity header is not one mailbox"),
            Self::InvalidToken => ("invalid-token", S::UNAUTHORIZED, "The token is not believed"),
            Self::IdentityConflict => ("identity-conflict", S::UNAUTHORIZED, "The request names two different people"),
            Self::CrossSite => ("cross-site", S::FORBIDDEN, "Another site asks with somebody's cookie"),
            Self::KeysUnavailable => ("keys-unavailable", S::SERVICE_UNAVAILABLE, "Tokens cannot be checked now"),
            Self::BodyTooLarge => ("body-too-large", S::PAYLOAD_TOO_LARGE, "The body is too large"),
            Self::BodyTimeout => ("body-timeout", S::REQUEST_TIMEOUT, "The body did not arrive in time"),
            Self::NotAForm => ("not-a-form", S::UNSUPPORTED_MEDIA_TYPE, "The body is not a form"),
            Self::InvalidForm => ("invalid-form", S::BAD_REQUEST, "The form cannot be taken as it is"),
            Self::Overloaded => ("overloaded", S::SERVICE_UNAVAILABLE, "The server has no connection left"),
        }
    }
}

#[rustfmt::skip]
const fn core(code: ErrorCode) -> (StatusCode, &'static str) {
    use ErrorCode as C;
    use StatusCode as S;
    match code {
        C::InvalidParameter => (S::BAD_REQUEST, "A value of the request does not parse"),
        C::NoDefaultNamespace => (S::BAD_REQUEST, "The repository's name gives no namespace"),
        C::Denied => (S::FORBIDDEN, "The policy denies it"),
        C::NamespaceReserved => (S::FORBIDDEN, "The namespace is reserved"),
        C::NamespaceForeign => (S::FORBIDDEN, "The namespace was not created through this API"),
        C::RepositoryNotFound => (S::NOT_FOUND, "There is no such repository"),
        C::BranchNotFound => (S::NOT_FOUND, "There is no such branch"),
        C::ManifestNotFound => (S::NOT_FOUND, "There is no manifest.json in that directory"),
        C::DefinitionNotFound => (S::NOT_FOUND, "There is no pipeline.json in that directory"),
        C::TaskNotFound => (S::NOT_FOUND, "There is no such task"),
        C::PipelineNotFound => (S::NOT_FOUND, "There is no such pipeline run"),
        C::WorkNotFound => (S::NOT_FOUND, "There is no such work"),
        C::TemplateNotFound => (S::NOT_FOUND, "There is no such template"),
        C::ObjectNotFound => (S::NOT_FOUND, "There is no such object"),
        C::NameTaken => (S::CONFLICT, "The name is taken by something not ours"),
        C::JobUnfinished => (S::CONFLICT, "A job of that name has not finished"),
        C::BelongsToService => (S::CONFLICT, "The deployment belongs to a service"),
        C::NamespaceClaimed => (S::CONFLICT, "Another repository claims the namespace"),
        C::NamespaceTerminating => (S::CONFLICT, "The namespace is being deleted"),
        C::InvalidManifest => (S::UNPROCESSABLE_ENTITY, "The manifest is invalid"),
        C::InvalidPipeline => (S::UNPROCESSABLE_ENTITY, "The pipeline is invalid"),
        C::UnusableFile => (S::UNPROCESSABLE_ENTITY, "The file cannot be used"),
        C::InvalidTemplate => (S::UNPROCESSABLE_ENTITY, "The template is not JSON"),
        C::NoImageBuilder => (S::UNPROCESSABLE_ENTITY, "No image builder is configured"),
        C::ClusterRefused => (S::UNPROCESSABLE_ENTITY, "The cluster refused the object"),
        C::GitUnavailable => (S::SERVICE_UNAVAILABLE, "git cannot be reached"),
        C::GitTimeout => (S::GATEWAY_TIMEOUT, "git did not answer in time"),
        C::GitAnswer => (S::BAD_GATEWAY, "git answered something that is no repository"),
        C::ClusterUnavailable => (S::SERVICE_UNAVAILABLE, "The cluster cannot be reached"),
        C::StorageUnavailable => (S::SERVICE_UNAVAILABLE, "The database cannot be used"),
        C::TemplatesUnavailable => (S::SERVICE_UNAVAILABLE, "The templates cannot be read"),
        C::EngineUnavailable => (S::SERVICE_UNAVAILABLE, "The engine does not run here"),
        C::Internal => (S::INTERNAL_SERVER_ERROR, "A bug"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn no_two_causes_share_a_code() {
        let mut seen = BTreeMap::new();
        for code in Code::all() {
            assert!(seen.insert(code.as_str(), code).is_none(), "{}", code.as_str());
        }
    }

    #[test]
    fn the_document_lists_exactly_the_codes_with_status_and_title() {
        let document = include_str!("../../../docs/errors.md");
        let written: Vec<String> = document
            .lines()
            .filter(|line| line.starts_with("| `"))
            .map(|line| {
                let cells: Vec<&str> = line.split('|').map(str::trim).collect();
                assert!(
                    cells.len() == 7 && cells[4].len() > 5 && cells[5].len() > 5,
                    "no cause or cure: {line}"
                );
                format!("{} {} {}", cells[1], cells[2], cells[3])
            })
            .collect();
        let coded: Vec<String> = Code::all()
            .map(|code| format!("`{}` {} {}", code.as_str(), code.status().as_u16(), code.title()))
            .collect();
        let missing: Vec<_> = coded.iter().filter(|row| !written.contains(row)).collect();
        let stale: Vec<_> = written.iter().filter(|row| !coded.contains(row)).collect();
        assert!(
            missing.is_empty() && stale.is_empty(),
            "missing: {missing:#?}\nstale: {stale:#?}"
        );
    }
}
