//! Image references, by the grammar of the distribution project: `[host[:port]/]path[:tag][@digest]`. Whether such an image
//! exists is not known here.

use crate::manifest::Image;
use crate::manifest::fields::{Fields, Violations};

/// The one of `image` and `image-destination` that is given.
pub(super) fn read(fields: &Fields<'_>, out: &mut Violations) -> Option<Image> {
    let pulled = fields.string("image", out);
    let built = fields.string("image-destination", out);
    match (fields.has("image"), fields.has("image-destination")) {
        (true, true) => {
            out.push(
                fields.at("image"),
                "\"image\" and \"image-destination\" are both there: keep \"image\" to pull one, or \"image-destination\" to \
                 build it from code/Dockerfile",
            );
            None
        }
        (false, false) => {
            out.push(
                fields.at("image"),
                "missing: expected \"image\", to pull one, or \"image-destination\", to build it from code/Dockerfile",
            );
            None
        }
        _ => {
            let image = match (pulled, built) {
                (Some(reference), _) => check(reference).map(|_| Image::Pulled(reference.to_owned())),
                (None, Some(reference)) => match check(reference) {
                    Ok(Reference { has_digest: true }) => Err(
                        "an image is pushed under a tag: leave the digest out, or use \"image\" to pull it",
                    ),
                    other => other.map(|_| Image::Built(reference.to_owned())),
                },
                // Not a string, and said so.
                (None, None) => return None,
            };
            let key = if pulled.is_some() {
                "image"
            } else {
                "image-destination"
            };
            image.map_err(|rule| out.push(fields.at(key), rule)).ok()
        }
    }
}

/// What is known of a reference that is well formed.
struct Reference {
    has_digest: bool,
}

fn check(text: &str) -> Result<Reference, &'static str> {
    const RULE: &str = "not an image reference: expected registry/name:tag, the name in lower case";
    let (text, digest) = match text.split_once('@') {
        Some((text, digest)) => (text, Some(digest)),
        None => (text, None),
    };
    if !digest.is_none_or(is_digest) {
        return Err(
            "not an image reference: expected a digest such as sha256 and 64 hexadecimal digits after '@'",
        );
    }
    // The last ':' begins a tag, unless a '/' comes after it: then it begins a port.
    let (name, tag) = match text.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (text, None),
    };
    if !tag.is_none_or(is_tag) {
        return Err("not an image reference: a tag is 1 to 128 of letters, digits, '_', '.' and '-'");
    }
    let is_host_like = |first: &str| first.contains(['.', ':']) || first == "localhost";
    let path = match name.split_once('/') {
        Some((host, path)) if is_host_like(host) => is_host(host).then_some(path).ok_or(RULE)?,
        _ => name,
    };
    if name.len() <= 255 && path.split('/').all(is_component) {
        Ok(Reference {
            has_digest: digest.is_some(),
        })
    } else {
        Err(RULE)
    }
}

fn is_host(host: &str) -> bool {
    let (name, port) = match host.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (host, None),
    };
    let is_label = |label: &str| {
        let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        !label.is_empty() && !label.starts_with('-') && !label.ends_with('-') && label.bytes().all(inner)
    };
    let is_port = |port: &str| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok();
    name.split('.').all(is_label) && port.is_none_or(is_port)
}

/// Lower-case letters and digits, in runs joined by '.', '_', '__' or any number of '-'.
fn is_component(text: &str) -> bool {
    let is_run = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let is_joint = |joint: &str| matches!(joint, "." | "_" | "__") || joint.bytes().all(|b| b == b'-');
    let ends_in_run = text.bytes().next().is_some_and(is_run) && text.bytes().last().is_some_and(is_run);
    let mut joints = text.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    ends_in_run && joints.all(is_joint)
}

fn is_tag(tag: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    (1..=128).contains(&tag.len()) && !tag.starts_with(['.', '-']) && tag.bytes().all(inner)
}

fn is_digest(digest: &str) -> bool {
    let Some((algorithm, hex)) = digest.split_once(':') else {
        return false;
    };
    let length = match algorithm {
        "sha256" => 64,
        "sha512" => 128,
        _ => return false,
    };
    let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    hex.len() == length && hex.bytes().all(is_hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_accepted_and_refused_by_the_grammar() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        for text in [
            "python",
            "python:3.13-slim",
            "library/python",
            "registry.example/demo/fibonacci:0.1",
            "registry.example/demo/hello_world:0.1",
            "localhost/x",
            "localhost:5000/x",
            "Registry.Example:5000/a/b__c/d--e.f:V1_2.x",
            "127.0.0.1:5000/x",
            &format!("registry.example/x@{digest}"),
            &format!("registry.example/x:1@{digest}"),
        ] {
            assert!(check(text).is_ok(), "refused: {text}");
        }
        for text in [
            "",
            " ",
            ":tag",
            "x:",
            "x:.tag",
            "x: tag",
            &format!("x:{}", "t".repeat(129)),
            "Python",
            "a//b",
            "/a",
            "a/",
            "a/../b",
            "a/./b",
            "-a",
            "a-",
            "a___b",
            "a..b",
            "a b",
            "a\nb",
            "http://registry.example/x",
            "registry.example:port/x",
            "registry.example:99999/x",
            "registry..example/x",
            "user@registry.example/x",
            "x@sha256:0a",
            "x@",
            "x@md5:00000000000000000000000000000000",
            &format!("x@{}", digest.to_uppercase()),
            &"a".repeat(256),
            "größe",
        ] {
            assert!(check(text).is_err(), "accepted: {text}");
        }
    }
}
