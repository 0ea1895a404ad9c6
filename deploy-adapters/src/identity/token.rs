//! A token's outer form: three parts, and what its header says. Nothing of it is believed yet; it only tells which key to
//! ask. Whatever would have a key fetched, bring one, or change what the signature means is refused, not ignored.

use data_encoding::BASE64URL_NOPAD;
use deploy_core::manifest::Document;
use serde_json::{Map, Value};

use super::Rule;

/// Longer is no token that an issuer makes, and nothing to spend time on.
const MAX_BYTES: usize = 8 * 1024;

/// What a token claims of itself.
#[derive(Debug, PartialEq)]
pub(super) struct Header {
    pub(super) algorithm: String,
    pub(super) kid: Option<String>,
}

/// Members that are refused wherever they stand, and why.
const REFUSED: &[(&str, Rule)] = &[
    // RFC 7515 §4.1.11: whoever does not understand an extension that is critical has to refuse. None is understood.
    (
        "crit",
        "its header says crit, and no extension is understood here",
    ),
    ("b64", "its header says b64, and no extension is understood here"),
    ("zip", "its header says zip: a signed token is not compressed"),
    (
        "cty",
        "its header says cty: a token inside a token is not looked into",
    ),
    ("jwk", "its header brings its own key (jwk)"),
    ("jku", "its header names a place to fetch a key from (jku)"),
    ("x5u", "its header names a place to fetch a key from (x5u)"),
    ("x5c", "its header brings its own key (x5c)"),
];

/// The header of a token that is one by its form.
pub(super) fn header(token: &str) -> Result<Header, Rule> {
    if token.len() > MAX_BYTES {
        return Err("it is longer than 8 KiB");
    }
    let mut parts = token.split('.');
    let (Some(header), Some(payload), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err("it is not three parts with dots between them");
    };
    let decode = |part: &str| {
        let decoded = BASE64URL_NOPAD.decode(part.as_bytes());
        decoded.map_err(|_| "it is not three parts of base64url without padding")
    };
    let header = decode(header)?;
    decode(payload)?;
    if decode(signature)?.is_empty() {
        return Err("it is not signed");
    }
    read(&header)
}

fn read(bytes: &[u8]) -> Result<Header, Rule> {
    let header =
        object(bytes).ok_or("its header is not one JSON object with each key once, at most 32 deep")?;
    if let Some((_, rule)) = REFUSED.iter().find(|(name, _)| header.contains_key(*name)) {
        return Err(rule);
    }
    if !header.get("typ").is_none_or(is_token_type) {
        return Err("its header's typ is neither JWT nor at+jwt: it was made for something else");
    }
    let text = |name: &str| match header.get(name) {
        Some(Value::String(text)) => Ok(Some(text.clone())),
        None => Ok(None),
        Some(_) => Err(()),
    };
    let algorithm = text("alg").ok().flatten();
    Ok(Header {
        algorithm: algorithm.ok_or("its header has no alg that is a text")?,
        kid: text("kid").map_err(|()| "its header's kid is not a text")?,
    })
}

/// RFC 7519 §5.1 and RFC 9068 §2.1; `application/` may be left out, and case is nothing (RFC 7515 §4.1.9). A logout
/// token or a proof of possession is signed by the same issuer with the same key, and is not somebody asking.
fn is_token_type(typ: &Value) -> bool {
    let Some(typ) = typ.as_str().map(str::to_ascii_lowercase) else {
        return false;
    };
    let typ = typ.strip_prefix("application/").unwrap_or(&typ);
    matches!(typ, "jwt" | "at+jwt")
}

/// A JSON object in which no key stands twice: of two, one library takes the first and the next one the last.
pub(super) fn object(bytes: &[u8]) -> Option<Map<String, Value>> {
    match Document::parse(bytes).ok()?.value {
        Value::Object(object) => Some(object),
        _ => None,
    }
}
