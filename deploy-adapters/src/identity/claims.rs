//! What a token that is signed has to say, and what is taken from it. A claim of a wrong type is refused wherever it would
//! be looked at: half an answer is no answer.

use deploy_core::names::Identity;
use deploy_core::ports::Claims;
use serde_json::{Map, Value};

use super::Rule;
use super::token::object;

/// What a token is held to.
#[derive(Debug)]
pub(super) struct Expected {
    pub(super) issuer: Option<String>,
    pub(super) audience: Option<String>,
    /// Seconds.
    pub(super) leeway: f64,
}

/// The end of the year 9999. What is later was counted in milliseconds, or is meant to last for ever.
const LAST: f64 = 253_402_300_799.0;

const MAX_GROUPS: usize = 256;
const MAX_GROUP: usize = 256;

/// What the payload of a token says, at `now` in seconds since 1970.
pub(super) fn read(payload: &[u8], expected: &Expected, now: f64) -> Result<Claims, Rule> {
    let claims =
        object(payload).ok_or("its payload is not one JSON object with each key once, at most 32 deep")?;
    check_times(&claims, expected.leeway, now)?;
    if let Some(issuer) = &expected.issuer
        && claims.get("iss").and_then(Value::as_str) != Some(issuer)
    {
        return Err("its issuer (iss) is not the one that is believed");
    }
    check_audience(&claims, expected.audience.as_deref())?;
    Ok(Claims {
        identity: identity(&claims)?,
        groups: groups(&claims)?,
    })
}

fn check_times(claims: &Map<String, Value>, leeway: f64, now: f64) -> Result<(), Rule> {
    let time = |name: &str, rule| match claims.get(name) {
        None => Ok(None),
        Some(value) => match value.as_f64() {
            Some(time) if (0.0..=LAST).contains(&time) => Ok(Some(time)),
            _ => Err(rule),
        },
    };
    let exp = time(
        "exp",
        "its exp is not a number of seconds from 1970 to the year 9999",
    )?;
    let nbf = time(
        "nbf",
        "its nbf is not a number of seconds from 1970 to the year 9999",
    )?;
    let iat = time(
        "iat",
        "its iat is not a number of seconds from 1970 to the year 9999",
    )?;
    // RFC 7519 §4.1.4: not on, not after.
    if exp.ok_or("it has no exp, so it would be believed for ever")? + leeway <= now {
        return Err("it has expired (exp)");
    }
    let ahead = |time: Option<f64>| time.is_some_and(|time| time > now + leeway);
    if ahead(nbf) {
        return Err("it is not valid yet (nbf)");
    }
    if ahead(iat) {
        return Err("it was issued in the future (iat): a clock is wrong, or the token is");
    }
    Ok(())
}

/// RFC 7519 §4.1.3: whoever a token is not meant for has to refuse it, so one that says for whom is refused too where
/// nobody told us who we are.
fn check_audience(claims: &Map<String, Value>, audience: Option<&str>) -> Result<(), Rule> {
    let Some(said) = claims.get("aud") else {
        return match audience {
            None => Ok(()),
            Some(_) => Err("it does not say whom it is for (aud)"),
        };
    };
    let said: Option<Vec<&str>> = match said {
        Value::String(one) => Some(vec![one]),
        Value::Array(many) => many.iter().map(Value::as_str).collect(),
        _ => None,
    };
    let said = said.ok_or("its aud is neither a text nor an array of texts")?;
    match audience {
        None => Err("it says whom it is for (aud), and the server was not told its name; set --jwt-audience"),
        Some(audience) if said.contains(&audience) => Ok(()),
        Some(_) => Err("it is meant for somebody else (aud)"),
    }
}

/// The mailbox, else the subject.
fn identity(claims: &Map<String, Value>) -> Result<Identity, Rule> {
    let identity = match (claims.get("email"), claims.get("sub")) {
        (Some(email), _) => email
            .as_str()
            .and_then(|email| email.parse().ok())
            .ok_or("its email is not one mailbox of at most 254 bytes")?,
        (None, Some(subject)) => subject
            .as_str()
            .and_then(|subject| Identity::subject(subject).ok())
            .ok_or(
                "its sub is not 1 to 254 printable ASCII characters, no blanks at either end, a mailbox where it has an '@'",
            )?,
        (None, None) => return Err("it says neither email nor sub"),
    };
    // Some issuers write the text. Where they say nothing, they answer for what they sign.
    let verified = match claims.get("email_verified") {
        None | Some(Value::Bool(true)) => true,
        Some(Value::String(text)) => text == "true",
        Some(_) => false,
    };
    if identity.is_mailbox() && !verified {
        return Err("its email is not verified (email_verified)");
    }
    Ok(identity)
}

/// An array, even of one: a single text might be one name or a list with separators of somebody's choice.
fn groups(claims: &Map<String, Value>) -> Result<Vec<String>, Rule> {
    const RULE: Rule =
        "its groups are not an array of at most 256 texts of 1 to 256 characters, none a control character";
    let Some(groups) = claims.get("groups") else {
        return Ok(Vec::new());
    };
    let groups = groups.as_array().filter(|groups| groups.len() <= MAX_GROUPS);
    let group = |group: &Value| {
        let group = group.as_str()?;
        let fine = (1..=MAX_GROUP).contains(&group.chars().count()) && !group.chars().any(char::is_control);
        fine.then(|| group.to_owned())
    };
    groups
        .and_then(|groups| groups.iter().map(group).collect())
        .ok_or(RULE)
}
