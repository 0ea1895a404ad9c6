//! One answer of HTTP/1.1 (RFC 9112): its head within a bound, and its body by the length or the chunks it is sent in.

use std::io::{self, Read};

/// The largest head, bytes, and the most headers.
const MAX_HEAD: usize = 64 << 10;
const MAX_HEADERS: usize = 100;
/// The longest line that tells a chunk's size, extensions included.
const MAX_CHUNK_LINE: usize = 1 << 10;
/// What is read of the wire at once.
const READ: usize = 16 << 10;

/// An answer whose body was not read yet.
pub(super) struct Answer<W> {
    pub(super) status: u16,
    /// Without parameters, in lower case; empty where there is none.
    pub(super) content_type: String,
    location: String,
    body: Body<W>,
}

/// A body as it comes in.
pub(super) struct Body<W> {
    wire: Option<W>,
    /// Read off the wire, not yet given.
    ahead: Vec<u8>,
    framing: Framing,
    reusable: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// So many bytes are left.
    Length(u64),
    /// So many bytes are left of a chunk, and more chunks after it.
    Chunk(u64),
    /// Before the first chunk.
    Chunks,
    /// All there is until the server closes.
    ToTheEnd,
    /// Nothing is left.
    Over,
}

fn unreadable(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl<W: Read> Answer<W> {
    pub(super) fn read(mut wire: W) -> io::Result<Self> {
        let mut head = Vec::new();
        loop {
            let mut buffer = [0; 4096];
            let read = wire.read(&mut buffer)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            head.extend_from_slice(&buffer[..read]);
            while let Some((mut answer, length)) = Self::parse(&head)? {
                head.drain(..length);
                // What is only announced (RFC 9110, 15.2) is followed by the answer itself.
                if answer.status >= 200 {
                    answer.body.ahead = head;
                    answer.body.wire = Some(wire);
                    return Ok(answer);
                }
            }
            if head.len() > MAX_HEAD {
                return Err(unreadable("the head of the answer is too long"));
            }
        }
    }

    /// The head, where it is whole, and its length.
    fn parse(bytes: &[u8]) -> io::Result<Option<(Self, usize)>> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let parsed = response.parse(bytes);
        let length = match parsed.map_err(|_| unreadable("the answer is not HTTP"))? {
            httparse::Status::Partial => return Ok(None),
            httparse::Status::Complete(length) => length,
        };
        let status = response.code.unwrap_or_default();
        let values = |name: &str| {
            let named = response
                .headers
                .iter()
                .filter(move |h| h.name.eq_ignore_ascii_case(name));
            named
                .map(|header| String::from_utf8_lossy(header.value).trim().to_owned())
                .collect::<Vec<_>>()
        };
        let first = |name| values(name).into_iter().next().unwrap_or_default();
        let content_type = first("content-type");
        let content_type = content_type.split(';').next().unwrap_or_default().trim();
        let lengths = values("content-length");
        let codings = values("transfer-encoding");
        let framing = match (codings.as_slice(), lengths.as_slice()) {
            // Both at once is how answers are smuggled.
            ([_, ..], [_, ..]) => return Err(unreadable("the answer has two lengths")),
            ([coding], []) if coding.eq_ignore_ascii_case("chunked") => Framing::Chunks,
            ([_, ..], []) => return Err(unreadable("the answer is encoded in a way that is not known")),
            ([], [one, rest @ ..]) if rest.iter().all(|other| other == one) => {
                let digits = one.bytes().all(|b| b.is_ascii_digit());
                let length = one.parse().ok().filter(|_| digits);
                Framing::Length(length.ok_or_else(|| unreadable("the answer's length is no number"))?)
            }
            ([], [_, ..]) => return Err(unreadable("the answer has two lengths")),
            ([], []) if status == 204 || status == 304 => Framing::Over,
            ([], []) => Framing::ToTheEnd,
        };
        let closes = values("connection")
            .iter()
            .any(|value| value.to_ascii_lowercase().contains("close"));
        let answer = Self {
            status,
            content_type: content_type.to_ascii_lowercase(),
            location: first("location"),
            body: Body {
                wire: None,
                ahead: Vec::new(),
                framing,
                reusable: !closes && response.version == Some(1),
            },
        };
        Ok(Some((answer, length)))
    }

    /// Where a redirect points, fit for a log: without a path, which may be signed.
    pub(super) fn redirects_to(&self) -> String {
        let origin = self.location.split_once("://").map(|(scheme, rest)| {
            let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
            let host = authority.rsplit('@').next().unwrap_or_default();
            format!("{scheme}://{host}")
        });
        origin.unwrap_or_else(|| "another path of its own".to_owned())
    }

    pub(super) fn body(self) -> Body<W> {
        self.body
    }
}

impl<W: Read> Body<W> {
    /// The connection, where the body is over and the server lets it be used again.
    pub(super) fn take_wire(&mut self) -> Option<W> {
        // A reader that knows the end by itself leaves the last chunk, which says no more.
        if self.framing == Framing::Chunk(0) && self.ahead == b"\r\n0\r\n\r\n" {
            self.ahead.clear();
            self.framing = Framing::Over;
        }
        if self.framing == Framing::Over && self.reusable && self.ahead.is_empty() {
            self.wire.take()
        } else {
            None
        }
    }

    /// Bytes of the wire, whatever they mean; 0 at its end.
    fn raw(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.ahead.is_empty() {
            self.fill()?;
        }
        let length = buffer.len().min(self.ahead.len());
        for (to, from) in buffer.iter_mut().zip(self.ahead.drain(..length)) {
            *to = from;
        }
        Ok(length)
    }

    /// Reads what there is; nothing at the end.
    fn fill(&mut self) -> io::Result<()> {
        let mut bytes = [0; READ];
        let read = match &mut self.wire {
            Some(wire) => wire.read(&mut bytes)?,
            None => 0,
        };
        self.ahead.extend_from_slice(&bytes[..read]);
        Ok(())
    }

    fn of(&mut self, left: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        match self.raw(&mut buffer[..wanted])? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => Ok(read),
        }
    }

    /// A line without its end.
    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        loop {
            if self.ahead.is_empty() {
                self.fill()?;
            }
            if self.ahead.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let end = self.ahead.iter().position(|b| *b == b'\n');
            let length = end.map_or(self.ahead.len(), |end| end + 1);
            line.extend(self.ahead.drain(..length));
            if line.len() > MAX_CHUNK_LINE {
                return Err(unreadable("a chunk's line is too long"));
            }
            if end.is_some() {
                let text = String::from_utf8_lossy(&line);
                return Ok(text.trim_end_matches(['\r', '\n']).to_owned());
            }
        }
    }

    /// Goes on to the next chunk.
    fn next_chunk(&mut self) -> io::Result<()> {
        let line = self.line()?;
        let digits = line.split(';').next().unwrap_or_default().trim();
        let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
        let size = u64::from_str_radix(digits, 16).ok().filter(|_| plain);
        let size = size.ok_or_else(|| unreadable("a chunk's size is no number"))?;
        self.framing = Framing::Chunk(size);
        if size == 0 {
            // Trailers, which git has no use for.
            let mut lines = 0;
            while !self.line()?.is_empty() {
                lines += 1;
                if lines > MAX_HEADERS {
                    return Err(unreadable("the answer has too many trailers"));
                }
            }
            self.framing = Framing::Over;
        }
        Ok(())
    }
}

impl<W: Read> Read for Body<W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            match self.framing {
                Framing::Over | Framing::Length(0) => {
                    self.framing = Framing::Over;
                    return Ok(0);
                }
                Framing::Length(left) => {
                    let read = self.of(left, buffer)?;
                    self.framing = match left - read as u64 {
                        0 => Framing::Over,
                        left => Framing::Length(left),
                    };
                    return Ok(read);
                }
                Framing::ToTheEnd => return self.raw(buffer),
                Framing::Chunks => self.next_chunk()?,
                Framing::Chunk(0) => {
                    if !self.line()?.is_empty() {
                        return Err(unreadable("a chunk is longer than it says"));
                    }
                    self.next_chunk()?;
                }
                Framing::Chunk(left) => {
                    let read = self.of(left, buffer)?;
                    self.framing = Framing::Chunk(left - read as u64);
                    return Ok(read);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Gives a few bytes at a time, as a network may.
    struct Drops<'a>(&'a [u8], usize);

    impl Read for Drops<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = self.1.min(self.0.len()).min(buffer.len());
            let (now, later) = self.0.split_at(length);
            buffer[..length].copy_from_slice(now);
            self.0 = later;
            Ok(length)
        }
    }

    fn read(text: &[u8], at_once: usize) -> io::Result<(u16, String, String, bool)> {
        let answer = Answer::read(Drops(text, at_once))?;
        let (status, content_type) = (answer.status, answer.content_type.clone());
        let mut body = answer.body();
        let mut content = Vec::new();
        // Without end, a body of any length would be read.
        body.by_ref().take(1 << 20).read_to_end(&mut content)?;
        let reusable = body.take_wire().is_some();
        let content = String::from_utf8_lossy(&content).into_owned();
        Ok((status, content_type, content, reusable))
    }

    #[test]
    fn bodies_end_where_they_say() {
        let table = [
            ("200 OK\r\nContent-Length: 3\r\n\r\nabc", "abc", true),
            (
                "200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
                "abc",
                true,
            ),
            ("200 OK\r\nContent-Length: 0\r\n\r\n", "", true),
            (
                "200 OK\r\nConnection: Close\r\nContent-Length: 3\r\n\r\nabc",
                "abc",
                false,
            ),
            ("200 OK\r\n\r\nabc", "abc", false),
            (
                "200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x=y\r\nc\r\n0\r\n\r\n",
                "abc",
                true,
            ),
            (
                "200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\nA: b\r\n\r\n",
                "",
                true,
            ),
            ("204 No\r\n\r\n", "", true),
        ];
        for (text, content, reusable) in table {
            for at_once in [1, 7, 10_000] {
                let text = format!("HTTP/1.1 {text}");
                let answer = read(text.as_bytes(), at_once).unwrap();
                assert_eq!(
                    (answer.2.as_str(), answer.3),
                    (content, reusable),
                    "{text} {at_once}"
                );
            }
        }
    }

    #[test]
    fn a_connection_with_more_on_it_than_was_asked_for_is_not_used_again() {
        let text = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcd";
        let answer = read(text.as_bytes(), 10_000).unwrap();
        assert_eq!((answer.2.as_str(), answer.3), ("abc", false));
    }

    #[test]
    fn a_type_has_no_parameters_and_what_is_announced_is_passed_over() {
        let text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 No\r\nContent-Type: Text/HTML; charset=x\r\nContent-Length: 0\r\n\r\n";
        let expected = (404, "text/html".to_owned(), String::new(), true);
        assert_eq!(read(text.as_bytes(), 10_000).unwrap(), expected);
    }

    #[test]
    fn what_is_unclear_or_without_bound_is_refused() {
        let long = format!("HTTP/1.1 200 OK\r\nA: {}", "x".repeat(MAX_HEAD));
        let long_chunk = format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;{}",
            "x".repeat(MAX_CHUNK_LINE)
        );
        let table = [
            "",
            "SSH-2.0-x\r\n\r\n",
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
            "HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\na",
            &long,
            &long_chunk,
        ];
        for text in table {
            let answer = read(text.as_bytes(), 10_000);
            assert!(answer.is_err(), "{text}: {answer:?}");
        }
    }

    #[test]
    fn a_redirect_is_told_without_its_path_and_user() {
        for (location, expected) in [
            (
                "https://u:canary@h.example:1/canary?canary",
                "https://h.example:1",
            ),
            ("/canary", "another path of its own"),
            ("", "another path of its own"),
        ] {
            let text = format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
            let answer = Answer::read(text.as_bytes()).unwrap();
            assert_eq!(answer.redirects_to(), expected);
        }
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(
            head in "(HTTP/1.[01] [0-9]{0,3} ?[a-z]{0,3}\r\n)?((Content-Length|Transfer-Encoding|Connection): (chunked|close|[0-9]{0,20})\r\n){0,3}(\r\n)?",
            body in "([0-9a-f]{0,17}(;x)?\r?\n?){0,5}",
            at_once in 1_usize..50,
        ) {
            let text = [head, body].concat();
            let answer = read(text.as_bytes(), at_once);
            prop_assert!(answer.is_err() || !text.is_empty());
        }
    }
}
