//! What pods write: one log a pod, in two files that take turns. `<pod>.log` is written; at half the limit it becomes
//! `<pod>.log.1` in place of the one before. So a log is never larger than the limit, nothing is ever copied, and at least
//! the last half of the limit is there to read. Reading goes backwards in blocks: the size of a log does not matter.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio_util::sync::CancellationToken;

/// How large a log grows, bytes, both files together.
pub(super) const LIMIT: u64 = 8 * 1024 * 1024;

/// How many lines, and bytes, of a log a failure's reason carries.
const REASON_LINES: usize = 20;
const REASON_BYTES: usize = 4096;

/// How much is read at a time, bytes.
const BLOCK: usize = 64 * 1024;

/// How long the output of a process that is gone is read on, real time. It ends at once, but where someone who left the
/// group holds it open.
const PATIENCE: Duration = Duration::from_millis(500);

/// Copies what a process writes into its log until the output ends, or `process_is_gone` and the patience is over.
pub(super) async fn pump(
    output: pipe::Receiver,
    log: PathBuf,
    limit: u64,
    process_is_gone: CancellationToken,
) {
    let mut copy = pin!(copy(output, &log, limit));
    tokio::select! {
        () = &mut copy => return,
        () = process_is_gone.cancelled() => {}
    }
    if tokio::time::timeout(PATIENCE, copy).await.is_err() {
        tracing::debug!(log = %log.display(), "a process that left its group holds its output open");
    }
}

async fn copy(mut output: pipe::Receiver, log: &Path, limit: u64) {
    let mut writer = None;
    let mut block = vec![0; BLOCK];
    loop {
        let length = match output.read(&mut block).await {
            Ok(0) => return,
            Ok(length) => length,
            Err(error) => {
                return tracing::warn!(log = %log.display(), %error, "a pod's output cannot be read");
            }
        };
        // A log that cannot be written must not stop the process: what cannot be kept is lost, and said.
        if let Err(error) = append(&mut writer, log, limit, &block[..length]).await {
            writer = None;
            tracing::warn!(log = %log.display(), %error, "a pod's log cannot be written");
        }
    }
}

/// The last `lines` lines of a log; `None` where there is none. Blocks.
pub(super) fn tail(log: &Path, lines: usize) -> io::Result<Option<String>> {
    let Some(mut text) = tail_of_file(log, lines)? else {
        return Ok(None);
    };
    let missing = lines.saturating_sub(count_lines(&text));
    if missing > 0
        && let Some(mut older) = tail_of_file(&older(log), missing)?
    {
        older.append(&mut text);
        text = older;
    }
    Ok(Some(String::from_utf8_lossy(&text).into_owned()))
}

/// The last lines of a log for a failure's reason. Blocks.
pub(super) fn tail_for_reason(log: &Path) -> String {
    match tail(log, REASON_LINES) {
        Ok(text) => {
            let text = text.unwrap_or_default();
            let text = text.trim_end();
            let mut start = text.len().saturating_sub(REASON_BYTES);
            while !text.is_char_boundary(start) {
                start += 1;
            }
            text[start..].to_owned()
        }
        Err(error) => format!("(its log cannot be read: {error})"),
    }
}

/// Removes a pod's log. Blocks.
pub(super) fn remove(log: &Path) -> io::Result<()> {
    for file in [log.to_owned(), older(log)] {
        match std::fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn older(log: &Path) -> PathBuf {
    let mut name = log.as_os_str().to_owned();
    name.push(".1");
    name.into()
}

struct Writer {
    file: tokio::fs::File,
    length: u64,
}

async fn append(writer: &mut Option<Writer>, log: &Path, limit: u64, bytes: &[u8]) -> io::Result<()> {
    let current = match writer {
        Some(current) if current.length >= limit / 2 => {
            tokio::fs::rename(log, older(log)).await?;
            writer.insert(open(log).await?)
        }
        Some(current) => current,
        None => writer.insert(open(log).await?),
    };
    current.file.write_all(bytes).await?;
    // Readers look at the file, so nothing may wait in a buffer.
    current.file.flush().await?;
    current.length += bytes.len() as u64;
    Ok(())
}

async fn open(log: &Path) -> io::Result<Writer> {
    let file = tokio::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(log)
        .await?;
    let length = file.metadata().await?.len();
    Ok(Writer { file, length })
}

fn tail_of_file(file: &Path, lines: usize) -> io::Result<Option<Vec<u8>>> {
    let mut file = match File::open(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut start = file.metadata()?.len();
    let mut blocks: Vec<Vec<u8>> = Vec::new();
    let mut newlines = 0;
    // One more than the lines wanted: the last line ends in one, usually.
    while start > 0 && newlines <= lines {
        let length = start.min(BLOCK as u64);
        start -= length;
        file.seek(SeekFrom::Start(start))?;
        let mut block = Vec::new();
        file.by_ref().take(length).read_to_end(&mut block)?;
        newlines += block.iter().filter(|byte| **byte == b'\n').count();
        blocks.push(block);
    }
    blocks.reverse();
    Ok(Some(last_lines(blocks.concat(), lines)))
}

fn last_lines(text: Vec<u8>, lines: usize) -> Vec<u8> {
    let mut surplus = count_lines(&text).saturating_sub(lines);
    if surplus == 0 {
        return text;
    }
    let mut rest = text.as_slice();
    while surplus > 0
        && let Some(end) = rest.iter().position(|byte| *byte == b'\n')
    {
        rest = &rest[end + 1..];
        surplus -= 1;
    }
    if surplus > 0 { Vec::new() } else { rest.to_vec() }
}

/// Lines, a last one without an end included.
fn count_lines(text: &[u8]) -> usize {
    let ends = text.iter().filter(|byte| **byte == b'\n').count();
    ends + usize::from(text.last().is_some_and(|byte| *byte != b'\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_is_the_last_lines_whatever_the_file_is_like() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("a.log");
        assert_eq!(tail(&log, 3).unwrap(), None);
        let long = format!("{}\nlast\n", "x".repeat(3 * BLOCK));
        for (text, lines, expected) in [
            ("", 3, ""),
            ("a\nb\nc\n", 2, "b\nc\n"),
            ("a\nb\nc", 2, "b\nc"),
            ("a\nb\n", 5, "a\nb\n"),
            ("a\nb\n", 0, ""),
            ("\n\n\n", 2, "\n\n"),
            (long.as_str(), 1, "last\n"),
            (long.as_str(), 2, long.as_str()),
        ] {
            std::fs::write(&log, text).unwrap();
            let found = tail(&log, lines).unwrap().unwrap();
            assert!(
                found == expected,
                "{lines} of {} bytes: {} bytes",
                text.len(),
                found.len()
            );
        }
        std::fs::write(folder.path().join("a.log.1"), "old 1\nold 2\n").unwrap();
        std::fs::write(&log, "new\n").unwrap();
        assert_eq!(tail(&log, 2).unwrap().unwrap(), "old 2\nnew\n");
    }

    #[test]
    fn a_reason_carries_twenty_lines_and_never_half_a_character() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("a.log");
        let text: String = (0..30).map(|line| format!("line {line}\n")).collect();
        std::fs::write(&log, text).unwrap();
        let reason = tail_for_reason(&log);
        assert!(reason.starts_with("line 10\n") && reason.ends_with("line 29"));
        std::fs::write(&log, format!("a{}", "é".repeat(REASON_BYTES))).unwrap();
        assert!(tail_for_reason(&log).chars().all(|c| c == 'é'));
    }

    #[tokio::test]
    async fn a_log_stays_within_its_limit_and_keeps_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("a.log");
        let limit = 1000;
        let mut writer = None;
        for line in 0..500 {
            append(&mut writer, &log, limit, format!("line {line}\n").as_bytes())
                .await
                .unwrap();
        }
        let size = |file: &Path| std::fs::metadata(file).unwrap().len();
        assert!(size(&log) + size(&older(&log)) <= limit + 20);
        assert_eq!(tail(&log, 2).unwrap().unwrap(), "line 498\nline 499\n");
        let all = tail(&log, 1000).unwrap().unwrap();
        assert!(all.len() as u64 >= limit / 2);
        remove(&log).unwrap();
        assert_eq!(tail(&log, 2).unwrap(), None);
    }
}
