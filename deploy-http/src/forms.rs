//! Forms: `multipart/form-data` and `application/x-www-form-urlencoded` alike, a file part as good as a text part. It
//! buffers no more than the limit, waits no longer than the limit, and refuses any field the route does not list.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use deploy_core::error::BoxError;
use http_body_util::BodyExt as _;
use hyper::body::Body;
use hyper::header::{self, HeaderMap, HeaderValue};

use crate::problem::{EdgeCode, Problem};
use crate::routes::Field;
use crate::text::{shown, urlencoded};

/// What a body may cost.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimits {
    /// Bytes, `--max-body`.
    pub bytes: usize,
    /// From its first byte to its last, `--body-timeout`.
    pub time: Duration,
}

/// The fields of one form; an empty one counts as absent.
#[derive(Default)]
pub struct Form(Vec<(&'static str, Bytes)>);

/// The names alone: a configuration holds what may be a password.
impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

impl Form {
    /// Reads a form. A body of no bytes is an empty form, whatever it says it is.
    ///
    /// # Errors
    /// 413, 415, 408; 400 naming the field that is unknown, given twice or missing.
    pub async fn read<B>(
        headers: &HeaderMap,
        body: B,
        fields: &'static [Field],
        limits: BodyLimits,
    ) -> Result<Self, Problem>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Into<BoxError>,
    {
        let encoding = Encoding::of(headers);
        // A body that is no form is not read: its first byte is one too many.
        let most = if encoding.is_none() { 0 } else { limits.bytes };
        let body = collected(headers, body, most, limits).await?;
        let form = match (body, encoding) {
            (Some(body), _) if body.is_empty() => Self::default(),
            (Some(body), Some(Encoding::Urlencoded)) => Self::from_urlencoded(&body, fields)?,
            (Some(body), Some(Encoding::Multipart(boundary))) => {
                Self::from_multipart(body, boundary, fields).await?
            }
            (_, None) => {
                let detail =
                    "the body is not multipart/form-data or application/x-www-form-urlencoded, uncompressed";
                return Err(Problem::new(EdgeCode::NotAForm, detail));
            }
            (None, Some(_)) => {
                let detail = format!("the body is larger than {} bytes (--max-body)", limits.bytes);
                return Err(Problem::new(EdgeCode::BodyTooLarge, detail));
            }
        };
        match fields
            .iter()
            .find(|field| field.required && form.bytes(field.name).is_none())
        {
            Some(missing) => Err(invalid(format!("the form has no field `{}`", missing.name))),
            None => Ok(form),
        }
    }

    /// A field as it was sent.
    #[must_use]
    pub fn bytes(&self, name: &str) -> Option<&Bytes> {
        let found = self.0.iter().find(|(given, _)| *given == name);
        found.map(|(_, value)| value).filter(|value| !value.is_empty())
    }

    /// A field, parsed.
    ///
    /// # Errors
    /// 400 with the rule it breaks.
    pub fn parsed<T>(&self, name: &str) -> Result<Option<T>, Problem>
    where
        T: FromStr,
        T::Err: std::fmt::Display,
    {
        let Some(value) = self.bytes(name) else {
            return Ok(None);
        };
        let refused =
            |rule: &dyn std::fmt::Display| Problem::parameter(format!("`{name}` in the form: {rule}"));
        let text = std::str::from_utf8(value).map_err(|_| refused(&"not UTF-8"))?;
        if text.contains('\0') {
            return Err(refused(&"a NUL is in it"));
        }
        text.parse().map(Some).map_err(|error| refused(&error))
    }

    fn from_urlencoded(body: &[u8], fields: &'static [Field]) -> Result<Self, Problem> {
        let mut form = Self::default();
        for pair in urlencoded(body) {
            let (name, value) = pair.ok_or_else(|| invalid("the form is not percent-encoded correctly"))?;
            form.add(&String::from_utf8_lossy(&name), value.into(), fields)?;
        }
        Ok(form)
    }

    async fn from_multipart(
        body: Bytes,
        boundary: String,
        fields: &'static [Field],
    ) -> Result<Self, Problem> {
        let unreadable = |error: multer::Error| {
            invalid("the form is not well-formed multipart/form-data (RFC 7578)").because(error)
        };
        let whole = futures::stream::once(std::future::ready(Ok::<_, std::convert::Infallible>(body)));
        let mut parts = multer::Multipart::new(whole, boundary);
        let mut form = Self::default();
        // The first part too many ends the loop, so a form of 100,000 parts costs no more than one of two.
        while let Some(part) = parts.next_field().await.map_err(unreadable)? {
            let name = part
                .name()
                .ok_or_else(|| invalid("a part of the form has no name"))?
                .to_owned();
            form.may_add(&name, fields)?;
            let value = part.bytes().await.map_err(unreadable)?;
            form.add(&name, value, fields)?;
        }
        Ok(form)
    }

    fn add(&mut self, name: &str, value: Bytes, fields: &'static [Field]) -> Result<(), Problem> {
        let name = self.may_add(name, fields)?;
        self.0.push((name, value));
        Ok(())
    }

    fn may_add(&self, name: &str, fields: &'static [Field]) -> Result<&'static str, Problem> {
        let Some(field) = fields.iter().find(|field| field.name == name) else {
            return Err(invalid(unknown(name, fields)));
        };
        if self.0.iter().any(|(given, _)| *given == field.name) {
            return Err(invalid(format!(
                "the form has the field `{}` twice; send it once",
                field.name
            )));
        }
        Ok(field.name)
    }
}

enum Encoding {
    Urlencoded,
    Multipart(String),
}

impl Encoding {
    /// `None` where the body, should there be one, is no form that can be read: a compressed one neither.
    fn of(headers: &HeaderMap) -> Option<Self> {
        let says = |name, only: &[u8]| {
            let mut values = headers.get_all(name).iter();
            values.all(|value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(only))
        };
        // hyper undoes `chunked` and passes any other coding on as it is.
        let plain =
            says(header::CONTENT_ENCODING, b"identity") && says(header::TRANSFER_ENCODING, b"chunked");
        let content_type = headers
            .get(header::CONTENT_TYPE)
            .filter(|_| plain)?
            .to_str()
            .ok()?;
        let media = content_type.split(';').next()?.trim();
        if media.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Some(Self::Urlencoded);
        }
        multer::parse_boundary(content_type).ok().map(Self::Multipart)
    }
}

/// The whole body, or `None` where it has more than `most` bytes.
async fn collected<B>(
    headers: &HeaderMap,
    mut body: B,
    most: usize,
    limits: BodyLimits,
) -> Result<Option<Bytes>, Problem>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    let read = async {
        let announced = body.size_hint().lower() > most as u64;
        let mut whole = BytesMut::new();
        while !announced && let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| invalid("the body broke off").because(error))?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if whole.len() + data.len() > most {
                return Ok(None);
            }
            whole.extend_from_slice(&data);
        }
        Ok::<_, Problem>((!announced).then(|| whole.freeze()))
    };
    let Ok(whole) = tokio::time::timeout(limits.time, read).await else {
        let detail = format!(
            "the body did not arrive within {} s (--body-timeout)",
            limits.time.as_secs_f32()
        );
        return Err(Problem::new(EdgeCode::BodyTimeout, detail));
    };
    let whole = whole?;
    if whole.is_none() && !waits_for_leave(headers) {
        discard(body).await;
    }
    Ok(whole)
}

/// Reads what is still coming and keeps nothing of it: a connection closed on unread bytes is reset, and the client
/// would never see why.
async fn discard<B: Body + Unpin>(mut body: B) {
    const AT_MOST: Duration = Duration::from_secs(2);
    let rest = async { while let Some(Ok(_)) = body.frame().await {} };
    if tokio::time::timeout(AT_MOST, rest).await.is_err() {
        tracing::debug!("a refused body went on; the connection is closed on it");
    }
}

/// `Expect: 100-continue`: the client sends nothing before it is told to, and now never will.
fn waits_for_leave(headers: &HeaderMap) -> bool {
    let expect = headers.get(header::EXPECT).map(HeaderValue::as_bytes);
    expect.is_some_and(|expect| expect.eq_ignore_ascii_case(b"100-continue"))
}

fn invalid(detail: impl Into<String>) -> Problem {
    Problem::new(EdgeCode::InvalidForm, detail)
}

fn unknown(name: &str, fields: &[Field]) -> String {
    let name = shown(name);
    let known: Vec<&str> = fields.iter().map(|field| field.name).collect();
    if known.is_empty() {
        format!("the form has a field `{name}`, and this route takes none")
    } else {
        format!(
            "the form has an unknown field `{name}`; this route takes {}",
            known.join(", ")
        )
    }
}

#[cfg(test)]
mod tests;
