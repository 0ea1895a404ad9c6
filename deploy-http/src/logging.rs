//! Where log lines go: standard error, as text or JSON. It logs no secret because nobody hands it one, and it lets no
//! control character through: a name from outside must not forge a line or move a terminal's cursor.

use std::io::{self, IsTerminal as _, Write};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::{Log, LogFormat, Stop};

/// Begins to log, and sends panics there too.
///
/// # Errors
/// Wrong configuration: a filter that is none.
pub fn begin(log: &Log) -> Result<(), Stop> {
    let filter = EnvFilter::try_new(&log.log).map_err(|error| {
        Stop::wrong(format!(
            "--log is not a filter ({error}); say info, or info,deploy_http=debug"
        ))
    })?;
    // kube logs each refusal and broken connection as an error before the adapter has made anything of it. Who asks for
    // its words by name gets them.
    let filter = match "kube_client::client::builder=off".parse() {
        Ok(quiet) if !log.log.contains("kube") => filter.add_directive(quiet),
        _ => filter,
    };
    let text = if io::stderr().is_terminal() {
        LogFormat::Text
    } else {
        LogFormat::Json
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(Stderr);
    let begun = match log.log_format.unwrap_or(text) {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    begun.map_err(|error| Stop::wrong(format!("logging cannot begin: {error}")))?;
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(
            place,
            "panic: {}",
            panic.payload_as_str().unwrap_or("without words")
        );
    }));
    Ok(())
}

struct Stderr;

impl<'a> MakeWriter<'a> for Stderr {
    type Writer = Escaped<io::Stderr>;

    fn make_writer(&'a self) -> Self::Writer {
        Escaped(io::stderr())
    }
}

/// Writes one whole line at a time, as tracing-subscriber hands it over, with every control character but the last
/// line feed written out.
struct Escaped<W>(W);

impl<W: Write> Write for Escaped<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let (text, end) = match line.split_last() {
            Some((b'\n', text)) => (text, "\n"),
            _ => (line, ""),
        };
        let text = String::from_utf8_lossy(text);
        if text.chars().any(char::is_control) {
            let escaped: String = text
                .chars()
                .map(|c| {
                    if c.is_control() {
                        c.escape_default().to_string()
                    } else {
                        c.to_string()
                    }
                })
                .collect();
            self.0.write_all(format!("{escaped}{end}").as_bytes())?;
        } else {
            self.0.write_all(line)?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_control_character_reaches_the_log_but_the_line_feed_at_its_end() {
        for (line, expected) in [
            ("plain\n", "plain\n"),
            ("größe\n", "größe\n"),
            ("a\nINFO forged\n", "a\\nINFO forged\n"),
            ("\u{1b}[2J\u{9b}\r\n", "\\u{1b}[2J\\u{9b}\\r\n"),
            ("no end", "no end"),
            ("", ""),
        ] {
            let mut written = Vec::new();
            let count = Escaped(&mut written).write(line.as_bytes()).unwrap();
            assert_eq!(
                (String::from_utf8(written).unwrap().as_str(), count),
                (expected, line.len())
            );
        }
    }
}
