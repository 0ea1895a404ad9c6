//! Which requests are believed, as tables of header lines.

use std::net::{Ipv4Addr, Ipv6Addr};

use deploy_core::error::BoxError;
use deploy_core::ports::Claims;
use futures::FutureExt as _;
use hyper::Request;
use hyper::header::{HeaderName, HeaderValue};

use super::*;

/// Believes `good-<mailbox>`, has no keys for `away`, and refuses all else.
struct Verifier;

impl TokenVerifier for Verifier {
    fn verify<'a, 'b, 'c>(
        &'a self,
        token: &'b str,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Claims, TokenError>> + Send + 'c>>
    where
        'a: 'c,
        'b: 'c,
    {
        let answer = match token.strip_prefix("good-") {
            Some(mailbox) => Ok(Claims {
                identity: mailbox.parse().unwrap(),
                groups: vec!["team".to_owned()],
            }),
            None if token == "away" => Err(TokenError::Unavailable(BoxError::from("no file"))),
            None => Err(TokenError::Invalid {
                rule: "its signature is wrong",
            }),
        };
        Box::pin(std::future::ready(answer))
    }
}

fn rules(trust: Trust, tokens: bool) -> IdentityRules {
    IdentityRules {
        trust,
        reads_protected: false,
        tokens: tokens.then(|| Arc::new(Verifier) as Arc<dyn TokenVerifier>),
    }
}

fn headers(lines: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        headers.append(
            HeaderName::from_bytes(name.to_lowercase().as_bytes()).unwrap(),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        );
    }
    headers
}

/// Who asks, `-` for anonymous, or the code of the refusal.
fn who(rules: &IdentityRules, access: Access, lines: &[&str], peer: IpAddr) -> String {
    who_at(LOOPBACK, rules, access, lines, peer)
}

/// The same on a listener of that address.
fn who_at(local: IpAddr, rules: &IdentityRules, access: Access, lines: &[&str], peer: IpAddr) -> String {
    let ends = Ends {
        local: (local, 8080).into(),
        peer: (peer, 50_000).into(),
    };
    let caller = rules
        .caller(access, &headers(lines), ends)
        .now_or_never()
        .unwrap();
    match caller {
        Ok(Some(Believed { caller, .. })) => format!("{} {}", caller.identity, caller.groups.join(","))
            .trim_end()
            .to_owned(),
        Ok(None) => "-".to_owned(),
        Err(problem) => problem.code.as_str().to_owned(),
    }
}

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

#[test]
fn a_route_that_changes_state_takes_the_identity_that_is_believed_or_refuses() {
    let cases: &[(&[&str], &str)] = &[
        (&[], "identity-required"),
        (&["Identity: ada@example.com"], "ada@example.com"),
        (&["Identity: ada"], "invalid-identity"),
        (&["Identity: "], "invalid-identity"),
        (&["Identity: \u{e4}da@example.com"], "invalid-identity"),
        (&["Identity: a@x.y", "Identity: a@x.y"], "invalid-identity"),
        (&["Identity: a@x.y, b@x.y"], "invalid-identity"),
        (&["X_Identity: a@x.y"], "identity-required"),
        (
            &["Identity: a@x.y", "Forwarded: for=1.2.3.4"],
            "identity-required",
        ),
        (
            &["Identity: a@x.y", "X-Forwarded-For: 1.2.3.4"],
            "identity-required",
        ),
        (&["Identity: a@x.y", "X-Forwarded-Host: x"], "identity-required"),
        (
            &["Identity: not a mailbox", "X-Forwarded-For: 1.2.3.4"],
            "identity-required",
        ),
        (&["Cookie: authtoken=good-a@x.y"], "a@x.y team"),
        (&["Cookie: a=1; authtoken=good-a@x.y; b=2"], "a@x.y team"),
        (&["Cookie: xauthtoken=good-a@x.y"], "identity-required"),
        (&["Authorization: bearer good-a@x.y"], "a@x.y team"),
        (&["Authorization: Basic abc"], "identity-required"),
        (&["Authorization: Bearer"], "invalid-token"),
        (&["Cookie: authtoken="], "invalid-token"),
        (&["Cookie: authtoken"], "invalid-token"),
        (&["Cookie: authtoken=bad"], "invalid-token"),
        (&["Cookie: authtoken=bad", "Identity: a@x.y"], "invalid-token"),
        (
            &["Cookie: authtoken=good-a@x.y; authtoken=good-a@x.y"],
            "invalid-token",
        ),
        (
            &["Cookie: authtoken=good-a@x.y", "Authorization: Bearer good-a@x.y"],
            "invalid-token",
        ),
        (&["Cookie: authtoken=good-a@x.y", "Identity: A@X.y"], "a@x.y team"),
        (
            &["Cookie: authtoken=good-a@x.y", "Identity: b@x.y"],
            "identity-conflict",
        ),
        (
            &["Cookie: authtoken=good-a@x.y", "Identity: b@x.y", "Forwarded: x"],
            "a@x.y team",
        ),
        (&["Cookie: authtoken=away"], "keys-unavailable"),
    ];
    let rules = rules(Trust::Loopback, true);
    for (lines, expected) in cases {
        assert_eq!(
            who(&rules, Access::Change, lines, LOOPBACK),
            *expected,
            "{lines:?}"
        );
    }
}

#[test]
fn a_token_is_refused_while_no_key_is_configured() {
    let rules = rules(Trust::Loopback, false);
    for access in [Access::Read, Access::Change, Access::Delete] {
        for line in ["Cookie: authtoken=good-a@x.y", "Authorization: Bearer good-a@x.y"] {
            assert_eq!(
                who(&rules, access, &[line, "Identity: a@x.y"], LOOPBACK),
                "invalid-token",
                "{line}"
            );
        }
    }
}

#[test]
fn the_header_is_believed_from_this_machine_alone_and_only_where_told() {
    let line = &["Identity: a@x.y"];
    let mapped = IpAddr::V6(Ipv4Addr::LOCALHOST.to_ipv6_mapped());
    let check = |mode: &str, peer, expected: &str| {
        let rules = rules(mode.parse().unwrap(), false);
        assert_eq!(who(&rules, Access::Change, line, peer), expected, "{mode} {peer}");
    };
    check("loopback", IpAddr::V6(Ipv6Addr::LOCALHOST), "a@x.y");
    check("loopback", mapped, "a@x.y");
    check("loopback", "10.0.0.7".parse().unwrap(), "identity-required");
    check("cidr:10.0.0.0/8", "10.0.0.7".parse().unwrap(), "a@x.y");
    check("cidr:10.0.0.0/8", LOOPBACK, "identity-required");
    check("everyone", "8.8.8.8".parse().unwrap(), "a@x.y");
    check("nobody", LOOPBACK, "identity-required");
}

#[test]
fn what_a_proxy_passes_on_is_not_believed_on_a_loopback_listener_alone() {
    let lines = &["Identity: a@x.y", "X-Forwarded-Proto: https"];
    let peer = "10.0.0.7".parse().unwrap();
    for (mode, local, expected) in [
        ("everyone", "127.0.0.1", "identity-required"),
        ("everyone", "::ffff:127.0.0.1", "identity-required"),
        ("everyone", "10.0.0.1", "a@x.y"),
        // A service mesh's sidecars write such headers on every request.
        ("cidr:10.0.0.0/8", "10.0.0.1", "a@x.y"),
        ("cidr:192.168.0.0/16", "10.0.0.1", "identity-required"),
    ] {
        let rules = rules(mode.parse().unwrap(), false);
        let who = who_at(local.parse().unwrap(), &rules, Access::Change, lines, peer);
        assert_eq!(who, expected, "{mode} {local}");
    }
}

#[tokio::test]
async fn what_somebody_is_believed_for_is_told_apart() {
    let rules = rules(Trust::Loopback, true);
    let ends = Ends {
        local: (LOOPBACK, 8080).into(),
        peer: (LOOPBACK, 50_000).into(),
    };
    for (lines, by) in [
        (&["Identity: a@x.y"] as &[&str], Credential::Header),
        (&["Authorization: Bearer good-a@x.y"], Credential::Bearer),
        (&["Cookie: authtoken=good-a@x.y"], Credential::Cookie),
        (
            &["Cookie: authtoken=good-a@x.y", "Identity: a@x.y"],
            Credential::Cookie,
        ),
    ] {
        let believed = rules.caller(Access::Change, &headers(lines), ends).await.unwrap();
        assert_eq!(believed.unwrap().by, by, "{lines:?}");
    }
}

#[test]
fn a_read_is_anonymous_unless_reads_are_protected_and_a_probe_always_is() {
    let mut rules = rules(Trust::Loopback, false);
    let check = |rules: &IdentityRules, access, lines: &[&str], expected: &str| {
        assert_eq!(
            who(rules, access, lines, LOOPBACK),
            expected,
            "{access:?} {lines:?}"
        );
    };
    check(&rules, Access::Read, &[], "-");
    check(&rules, Access::Read, &["Identity: nobody"], "invalid-identity");
    check(
        &rules,
        Access::Open,
        &["Identity: nobody", "Cookie: authtoken=x"],
        "-",
    );
    rules.reads_protected = true;
    check(&rules, Access::Read, &[], "identity-required");
    check(&rules, Access::Read, &["Identity: a@x.y"], "a@x.y");
    check(&rules, Access::Open, &[], "-");
}

#[test]
fn a_loopback_listener_answers_to_its_own_hosts_alone() {
    let check = |local: &str, target: &str, hosts: &[&str], expected: bool| {
        let mut request = Request::builder().uri(target);
        for host in hosts {
            request = request.header("host", *host);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let answers = check_host(local.parse().unwrap(), &parts).is_ok();
        assert_eq!(answers, expected, "{local} {target} {hosts:?}");
    };
    for host in [
        "localhost",
        "LOCALHOST:8080",
        "127.0.0.1",
        "127.0.0.1:1",
        "[::1]:8080",
        "[::1]",
    ] {
        check("127.0.0.1", "/x", &[host], true);
        check("::1", "/x", &[host], true);
    }
    for host in [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.2",
        "evil@localhost",
        "localhost@localhost",
        "localhost:x",
        "localhost:99999",
        "localhost:",
        "",
        "[::2]",
        "local host",
    ] {
        check("127.0.0.1", "/x", &[host], false);
    }
    check("127.0.0.2", "/x", &["127.0.0.2:80"], true);
    check("127.0.0.1", "/x", &[], false);
    check("127.0.0.1", "/x", &["localhost", "localhost"], false);
    check("127.0.0.1", "http://localhost:8080/x", &[], true);
    check("127.0.0.1", "http://evil.example/x", &["localhost"], false);
    check("127.0.0.1", "http://ada:x@localhost/x", &["localhost"], false);
    check("127.0.0.1", "http://localhost/x", &["evil.example"], false);
    check("10.0.0.1", "/x", &["anything.example"], true);
}
