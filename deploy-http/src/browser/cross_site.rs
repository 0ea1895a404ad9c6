//! Cross-site requests with a cookie (CSRF). A GET that changes state is followed by any `<img>` or link of any page, so
//! the cookie alone proves nothing. It decides on the headers that a browser sets and no page can (Fetch Metadata, W3C;
//! Origin, RFC 6454), and knows nothing of who asks.

use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::http::request::Parts;

use super::{Origin, Origins, addressed_to};

/// Why a request is not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The browser asks before anybody has.
    Prefetch,
    /// A page of another site made it.
    CrossSite,
}

/// Whether a request that was believed for its cookie may change state.
///
/// An allowed Origin passes. Else Sec-Fetch-Site decides, where the browser sends it. Else the Origin and the Referer
/// that are there must be the server's own or allowed ones; a browser that names neither is refused, and what sends no
/// header of a browser's at all is none and passes.
///
/// # Errors
/// What is wrong with it.
pub fn check(request: &Parts, allowed: &Origins) -> Result<(), Refusal> {
    let headers = &request.headers;
    if is_prefetch(headers) {
        return Err(Refusal::Prefetch);
    }
    if allowed_origin(headers, allowed).is_some() {
        return Ok(());
    }
    let passes = if headers.contains_key(SEC_FETCH_SITE) {
        let site = one(headers, SEC_FETCH_SITE).map(HeaderValue::as_bytes);
        matches!(site, Some(b"same-origin" | b"none"))
    } else {
        let own = addressed_to(request);
        let ours =
            |origin: &Origin| allowed.allow(origin) || own.as_ref().is_some_and(|own| origin.is_at(own));
        let origins = headers.get_all(header::ORIGIN).iter().map(origin);
        let pages = headers.get_all(header::REFERER).iter().map(page);
        let mut named = origins.chain(pages).peekable();
        if named.peek().is_some() {
            named.all(|origin| origin.as_ref().is_some_and(ours))
        } else {
            !headers.keys().any(|name| name.as_str().starts_with("sec-"))
        }
    };
    if passes { Ok(()) } else { Err(Refusal::CrossSite) }
}

/// The request's Origin, where its pages may use the cookie.
pub(super) fn allowed_origin<'a>(headers: &'a HeaderMap, allowed: &Origins) -> Option<&'a HeaderValue> {
    if allowed.is_empty() {
        return None;
    }
    one(headers, header::ORIGIN).filter(|value| origin(value).is_some_and(|origin| allowed.allow(&origin)))
}

const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// Sec-Purpose is the standard's; the others are what browsers sent before it, and some send still.
fn is_prefetch(headers: &HeaderMap) -> bool {
    ["sec-purpose", "purpose", "x-purpose", "x-moz"]
        .into_iter()
        .flat_map(|name| headers.get_all(name))
        .any(|value| {
            let value = value.as_bytes().to_ascii_lowercase();
            let says = |word: &[u8]| value.windows(word.len()).any(|part| part == word);
            says(b"prefetch") || says(b"prerender") || says(b"preview")
        })
}

fn one(headers: &HeaderMap, name: impl header::AsHeaderName) -> Option<&HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

fn origin(value: &HeaderValue) -> Option<Origin> {
    value.to_str().ok()?.parse().ok()
}

fn page(value: &HeaderValue) -> Option<Origin> {
    Origin::of_url(value.to_str().ok()?)
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    /// The verdict on a request to deploy.example with these headers; https://app.example is allowed.
    fn verdict(lines: &str) -> Result<(), Refusal> {
        let mut request = Request::builder().uri("/x").header("host", "deploy.example");
        for line in lines.split(" | ").filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(": ").unwrap();
            request = request.header(name, value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        check(&parts, &Origins::new(["https://app.example".parse().unwrap()]))
    }

    #[test]
    fn what_the_server_itself_or_no_browser_asks_passes() {
        for lines in [
            "",
            "User-Agent: curl/8",
            "Sec-Fetch-Site: same-origin | Sec-Fetch-Mode: navigate",
            "Sec-Fetch-Site: none | Sec-Fetch-Mode: navigate",
            "Origin: https://app.example",
            "Origin: https://app.example:443 | Sec-Fetch-Site: cross-site",
            "Origin: https://deploy.example",
            "Origin: http://DEPLOY.example:80",
            "Referer: https://deploy.example/x?y",
            "Referer: https://app.example/page",
            "Referer: https://deploy.example/ | Sec-CH-UA: \"x\"",
            "Origin: https://deploy.example | Referer: https://deploy.example/x",
        ] {
            assert_eq!(verdict(lines), Ok(()), "{lines}");
        }
    }

    #[test]
    fn what_another_sites_page_asks_is_refused() {
        for lines in [
            "Sec-Fetch-Site: cross-site",
            "Sec-Fetch-Site: same-site",
            "Sec-Fetch-Site: cross-site | Origin: https://deploy.example",
            "Sec-Fetch-Site: none | Sec-Fetch-Site: none",
            "Sec-Fetch-Site: Same-Origin",
            "Sec-Fetch-Site: nonsense",
            "Sec-Fetch-Mode: no-cors",
            "Sec-CH-UA: \"x\"",
            "Origin: null",
            "Origin: https://evil.example",
            "Origin: https://app.example.evil.example",
            "Origin: https://deploy.example:8443",
            "Origin: https://app.example/",
            "Origin: https://app.example, https://evil.example",
            "Origin: https://evil.example | Origin: https://app.example",
            "Referer: https://evil.example/https://deploy.example/",
            "Referer: https://deploy.example@evil.example/",
            "Referer: about:blank",
            "Origin: https://deploy.example | Referer: https://evil.example/",
        ] {
            assert_eq!(verdict(lines), Err(Refusal::CrossSite), "{lines}");
        }
    }

    #[test]
    fn a_prefetch_is_refused_whoever_asks() {
        for lines in [
            "Sec-Purpose: prefetch | Sec-Fetch-Site: same-origin",
            "Sec-Purpose: prefetch;prerender | Sec-Fetch-Site: none",
            "Purpose: prefetch",
            "X-Moz: prefetch | Origin: https://app.example",
            "X-Purpose: preview",
        ] {
            assert_eq!(verdict(lines), Err(Refusal::Prefetch), "{lines}");
        }
    }
}
