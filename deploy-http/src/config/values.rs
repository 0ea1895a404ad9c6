//! Values of flags: durations, sizes, a database's place. Small on purpose: one number, one unit.

use std::path::PathBuf;
use std::time::Duration;

/// A duration: a number and its unit.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    const RULE: &str = "a duration is a number and ms, s, m, h or d, as in 30s";
    let (number, unit) = split(text).ok_or(RULE)?;
    let milliseconds = match unit {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        "d" => Some(86_400_000),
        _ => None,
    };
    let duration = milliseconds
        .and_then(|unit| number.checked_mul(unit))
        .ok_or(RULE)?;
    // Timers count from now on: what would overflow them is no duration anyone waits for.
    const LONGEST: u64 = 3650 * 86_400_000;
    if duration > LONGEST {
        return Err("a duration is at most 3650d".to_owned());
    }
    Ok(Duration::from_millis(duration))
}

/// A duration that is not zero.
pub(super) fn positive(text: &str) -> Result<Duration, String> {
    let duration = duration(text)?;
    if duration.is_zero() {
        Err("it cannot be zero: nothing would ever be in time".to_owned())
    } else {
        Ok(duration)
    }
}

/// A size in bytes: a number and its unit.
pub(super) fn size(text: &str) -> Result<u64, String> {
    const RULE: &str = "a size is a number and B, KiB, MiB or GiB, as in 1MiB";
    let (number, unit) = split(text).ok_or(RULE)?;
    let bytes = match unit {
        "" | "B" => Some(1),
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        "GiB" => Some(1 << 30),
        _ => None,
    };
    let size = bytes.and_then(|unit| number.checked_mul(unit)).ok_or(RULE)?;
    if size == 0 {
        Err("it cannot be zero: nothing would ever fit".to_owned())
    } else {
        Ok(size)
    }
}

/// `sqlite:FILE`.
pub(super) fn sqlite_file(text: &str) -> Result<PathBuf, String> {
    match text.strip_prefix("sqlite:") {
        Some(file) if !file.is_empty() => Ok(PathBuf::from(file)),
        _ => Err("a database is sqlite:FILE, as in sqlite:/var/lib/deploy/deploy.db".to_owned()),
    }
}

fn split(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        for (text, milliseconds) in [
            ("250ms", Some(250)),
            ("30s", Some(30_000)),
            ("5m", Some(300_000)),
            ("24h", Some(86_400_000)),
            ("7d", Some(604_800_000)),
            ("0s", Some(0)),
            ("30", None),
            ("s", None),
            ("-1s", None),
            ("1.5s", None),
            ("1 s", None),
            ("1h30m", None),
            ("99999999999999999999s", None),
            ("18446744073709551615d", None),
            ("3651d", None),
        ] {
            let expected = milliseconds.map(Duration::from_millis);
            assert_eq!(duration(text).ok(), expected, "{text}");
        }
        assert!(positive("0s").is_err());
    }

    #[test]
    fn a_size_is_a_number_and_a_unit() {
        for (text, bytes) in [
            ("10", Some(10)),
            ("10B", Some(10)),
            ("4KiB", Some(4096)),
            ("1MiB", Some(1_048_576)),
            ("2GiB", Some(2_147_483_648)),
            ("0", None),
            ("1MB", None),
            ("1mib", None),
            ("", None),
            ("18446744073709551615GiB", None),
        ] {
            assert_eq!(size(text).ok(), bytes, "{text}");
        }
    }

    #[test]
    fn a_database_is_a_file_of_sqlite() {
        assert_eq!(sqlite_file("sqlite:/x/y.db"), Ok(PathBuf::from("/x/y.db")));
        for text in ["sqlite:", "/x/y.db", "postgres://host/db", ""] {
            assert!(sqlite_file(text).is_err(), "{text}");
        }
    }
}
