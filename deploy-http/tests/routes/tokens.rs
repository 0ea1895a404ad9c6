//! Tokens on the running server: whom it takes them for, and what it says of those it does not believe. What makes a token
//! good or bad in all its ways is tried where tokens are checked, in deploy-adapters.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::api::{ADA, Api};
use crate::curl::{Answer, Curl};
use crate::started::{Started, start};

const SECRET: &str = "a secret that the issuer shares with us";
pub const HOUR: i64 = 3600;

#[test]
fn a_token_says_who_asks_as_cookie_or_as_bearer_and_alone_where_no_header_is_believed() {
    let (api, _folder) = believing(&["--trust-identity", "nobody"]);
    let cookie = format!(
        "Cookie: theme=dark; authtoken={}",
        token(r#""email": "bob@example.com""#, HOUR)
    );
    let task = asked(&api, "one", &[&cookie]).json(202);
    assert_eq!(task["identity"], "bob@example.com");
    let bearer = format!("Authorization: Bearer {}", token(r#""sub": "auth0|5f7c""#, HOUR));
    let task = asked(&api, "two", &[&bearer]).json(202);
    assert_eq!(task["identity"], "auth0|5f7c");
    // Ignored, not compared: here nobody may assert it.
    let task = asked(&api, "three", &[&cookie, ADA]).json(202);
    assert_eq!(task["identity"], "bob@example.com");
    asked(&api, "ok", &[ADA]).problem(401, "identity-required");
}

#[test]
fn a_token_that_is_not_believed_is_a_401_that_names_the_rule_whatever_else_is_there() {
    let (api, _folder) = believing(&["--jwt-issuer", "https://issuer.example"]);
    let ada = r#""iss": "https://issuer.example", "email": "ada@example.com""#;
    let good = token(ada, HOUR);
    for (token, rule) in [
        (token(ada, -HOUR), "it has expired (exp)"),
        (
            token(r#""email": "ada@example.com""#, HOUR),
            "its issuer (iss) is not the one",
        ),
        (
            token(&format!("{ada}, \"aud\": \"x\""), HOUR),
            "set --jwt-audience",
        ),
        (resigned(&good), "its signature is wrong"),
        ("x.y.z".to_owned(), "base64url"),
    ] {
        let answer = asked(&api, "ok", &[ADA, &format!("Cookie: authtoken={token}")]);
        answer.problem(401, "invalid-token");
        assert!(
            answer.body.contains(rule) && !answer.body.contains(&token),
            "{rule}: {}",
            answer.body
        );
    }
    let cookie = format!("Cookie: authtoken={good}");
    asked(&api, "ok", &[&cookie, "Identity: eve@example.com"]).problem(401, "identity-conflict");
    assert_eq!(asked(&api, "ok", &[&cookie, ADA]).status, 202);
    assert!(!api.server.log().contains(&good[..40]), "{}", api.server.log());
}

#[test]
fn keys_that_cannot_be_used_are_wrong_configuration_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let jwks = ["--jwt-issuer", "i", "--jwt-audience", "a", "--jwt-jwks"];
    let private = r#"{"keys": [{"kty": "oct", "k": "a", "d": "hunter2"}]}"#;
    for (flags, path, expected) in [
        (
            &["--jwt-secret-file"][..],
            file("short", "hunter2"),
            "7 bytes, fewer than 32",
        ),
        (
            &["--jwt-secret-file"],
            "/no/such/file".to_owned(),
            "cannot be read",
        ),
        (&jwks, file("private", private), "a part of a private key"),
        (&jwks, file("html", "<html>"), "is not a JSON Web Key Set"),
        (
            &jwks,
            "https://issuer.example/keys".to_owned(),
            "not fetched from a URL",
        ),
    ] {
        let (code, printed) = refused(folder.path(), flags, &path);
        assert_eq!(code, Some(2), "{printed}");
        assert!(printed.contains(expected), "{printed}");
        // A flag's value that is refused as such is not repeated; a file that cannot be used is named.
        let is_file = path.starts_with('/');
        assert_eq!(printed.contains(&path), is_file, "{printed}");
        assert!(
            printed.trim_end().lines().count() == 1 && !printed.contains("hunter2"),
            "{printed}"
        );
    }
}

/// A server that believes tokens under [`SECRET`].
pub fn believing(flags: &[&str]) -> (Started, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, format!("{SECRET}\n")).unwrap();
    let keys = ["--jwt-secret-file", file.to_str().unwrap()];
    (start(&[&keys, flags].concat()), folder)
}

/// A token with those claims that expires in so many seconds from now, signed by Python's own HMAC.
pub fn token(claims: &str, seconds: i64) -> String {
    const SIGN: &str = "
import base64, hashlib, hmac, sys, time
b64 = lambda data: base64.urlsafe_b64encode(data).rstrip(b'=')
claims, seconds, secret = sys.argv[1:]
payload = '{%s, \"exp\": %d}' % (claims, time.time() + int(seconds))
message = b64(b'{\"alg\": \"HS256\", \"typ\": \"JWT\"}') + b'.' + b64(payload.encode())
print((message + b'.' + b64(hmac.new(secret.encode(), message, hashlib.sha256).digest())).decode(), end='')
";
    let output = Command::new("python3")
        .args(["-c", SIGN, claims, &seconds.to_string(), SECRET])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// The same token with another first letter of its signature.
fn resigned(token: &str) -> String {
    let (message, signature) = token.rsplit_once('.').unwrap();
    let other = if signature.starts_with('A') { 'B' } else { 'A' };
    format!("{message}.{other}{}", &signature[1..])
}

/// How the binary ends with those flags, and what it says then.
fn refused(folder: &Path, flags: &[&str], path: &str) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_deploy-http"));
    command
        .args(["--listen", "127.0.0.1:0", "--data-dir"])
        .arg(folder.join("state"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("DEPLOY_") {
            command.env_remove(name);
        }
    }
    let output = command.args(flags).arg(path).output().unwrap();
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

/// Deploys under that name.
fn asked(api: &Api, name: &str, headers: &[&str]) -> Answer {
    let url = format!("{}/v1/task/deployas/demo/ok/{name}", api.server.url());
    let curl = Curl::new("GET", &url);
    headers
        .iter()
        .fold(curl, |curl, header| curl.header(header))
        .send()
}
