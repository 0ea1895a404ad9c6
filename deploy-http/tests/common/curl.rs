//! Requests as users send them: by curl, whose two form encodings are nobody's here. It follows no redirect and reads no
//! configuration of the machine.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Above every `?wait=`, and far above any other answer.
const MAX_TIME: &str = "90";

/// One request, not sent yet.
pub struct Curl {
    url: String,
    arguments: Vec<String>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers, their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body as text.
    pub body: String,
}

impl Curl {
    /// A request with that verb.
    pub fn new(verb: &str, url: &str) -> Self {
        // curl waits for the body that an answer to HEAD announces and does not have, unless it is told by --head.
        let verb: &[&str] = if verb == "HEAD" {
            &["--head"]
        } else {
            &["-X", verb]
        };
        let fixed = [
            "-q",
            "-sS",
            "-i",
            "--globoff",
            "--path-as-is",
            "--noproxy",
            "*",
            "--max-time",
            MAX_TIME,
        ];
        Self {
            url: url.to_owned(),
            arguments: fixed.iter().chain(verb).map(|text| (*text).to_owned()).collect(),
        }
    }

    /// With a header, as in `Identity: ada@example.com`.
    pub fn header(self, header: &str) -> Self {
        self.with(&["-H", header])
    }

    /// With text parts in multipart/form-data, taken as they are: `@` and `;` mean nothing.
    pub fn multipart(self, fields: &[(&str, &str)]) -> Self {
        fields.iter().fold(self, |curl, (name, value)| {
            curl.with(&["--form-string", &format!("{name}={value}")])
        })
    }

    /// With a file part in multipart/form-data, which has a file name and the type that curl makes of it.
    pub fn multipart_file(self, name: &str, file: &Path) -> Self {
        let file = file.to_str().unwrap();
        self.with(&["-F", &format!("{name}=@{file}")])
    }

    /// With fields in application/x-www-form-urlencoded.
    pub fn urlencoded(self, fields: &[(&str, &str)]) -> Self {
        fields.iter().fold(self, |curl, (name, value)| {
            curl.with(&["--data-urlencode", &format!("{name}={value}")])
        })
    }

    /// With a field of application/x-www-form-urlencoded whose value is a file's content.
    pub fn urlencoded_file(self, name: &str, file: &Path) -> Self {
        let file = file.to_str().unwrap();
        self.with(&["--data-urlencode", &format!("{name}@{file}")])
    }

    /// With other arguments of curl.
    pub fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments
            .extend(arguments.iter().map(|text| (*text).to_owned()));
        self
    }

    /// Sends it.
    pub fn send(self) -> Answer {
        let output = Command::new("curl")
            .args(&self.arguments)
            .arg(&self.url)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success(),
            "curl {} {}: {}{text}",
            self.arguments.join(" "),
            self.url,
            String::from_utf8_lossy(&output.stderr)
        );
        Answer::parse(&text)
    }
}

impl Answer {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        if status == 100 {
            return Self::parse(body);
        }
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_ascii_lowercase(), value.trim().to_owned())
        });
        Self {
            status,
            headers: headers.collect(),
            body: body.to_owned(),
        }
    }

    /// A header, empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The body as JSON, of an answer with that status.
    #[track_caller]
    pub fn json(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(self.header("content-type"), "application/json", "{}", self.body);
        serde_json::from_str(&self.body).unwrap()
    }

    /// The problem, of an answer with that status and code.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> Value {
        let shown = &self.body;
        assert_eq!(self.status, status, "{shown}");
        assert_eq!(self.header("content-type"), "application/problem+json", "{shown}");
        let problem: Value = serde_json::from_str(shown).unwrap();
        assert_eq!(problem["type"], format!("urn:deploy:problem:{code}"), "{shown}");
        assert_eq!(problem["status"], status, "{shown}");
        assert_eq!(problem["request_id"], self.header("x-request-id"), "{shown}");
        problem
    }
}
