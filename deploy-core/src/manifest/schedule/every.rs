//! The duration of `@every`, as Go's `time.ParseDuration` reads it, because robfig does. It refuses what that refuses,
//! overflow included, and whatever is under a minute.

use chrono::TimeDelta;

use super::ScheduleError;

/// The delay between two starts, in whole seconds.
pub(super) fn delay(text: &str) -> Result<TimeDelta, ScheduleError> {
    let nanos = go_duration(text).ok_or(ScheduleError::EveryDuration)?;
    if nanos < MINUTE {
        return Err(ScheduleError::EveryTooShort);
    }
    Ok(TimeDelta::seconds(nanos / SECOND))
}

const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;

/// `[-+]?([0-9]*(\.[0-9]*)?unit)+`, in nanoseconds; `None` for anything else, and past 2^63 - 1.
fn go_duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (whole, after) = split_digits(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => split_digits(after),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let end = after
            .find(|c: char| c == '.' || c.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let unit = nanos(unit)?;
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        let part = whole
            .checked_mul(unit)?
            .checked_add(fraction_of(fraction, unit))?;
        total = total.checked_add(part)?;
        rest = after;
    }
    let total = i64::try_from(total).ok()?;
    Some(if negative { -total } else { total })
}

/// `0.fraction` of a unit, in nanoseconds: by the same steps in floating point as Go's, so that it rounds alike.
fn fraction_of(fraction: &str, unit: u64) -> u64 {
    let mut value: u64 = 0;
    let mut scale = 1.0;
    for digit in fraction.bytes().map(|b| u64::from(b - b'0')) {
        match value.checked_mul(10).and_then(|value| value.checked_add(digit)) {
            Some(longer) if longer <= 1 << 63 => value = longer,
            _ => break,
        }
        scale *= 10.0;
    }
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "what Go does; the result is between 0 and the unit"
    )]
    let nanos = (value as f64 * (unit as f64 / scale)) as u64;
    nanos
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

fn nanos(unit: &str) -> Option<u64> {
    match unit {
        "ns" => Some(1),
        // The micro sign and the Greek letter.
        "us" | "\u{b5}s" | "\u{3bc}s" => Some(1_000),
        "ms" => Some(1_000_000),
        "s" => Some(1_000_000_000),
        "m" => Some(60_000_000_000),
        "h" => Some(3_600_000_000_000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, expected) in [
            ("1h30m", Some(5_400 * SECOND)),
            ("1.5h", Some(5_400 * SECOND)),
            (".5h", Some(1_800 * SECOND)),
            ("1.h", Some(3_600 * SECOND)),
            ("+90s", Some(90 * SECOND)),
            ("-90s", Some(-90 * SECOND)),
            ("60000ms", Some(60 * SECOND)),
            ("1m1m", Some(120 * SECOND)),
            ("1\u{b5}s", Some(1_000)),
            // These two stand in Go's own tests.
            ("0.3333333333333333333h", Some(1_200 * SECOND)),
            ("0.830103483285477580700h", Some(2_988_372_539_827)),
            ("0", Some(0)),
            ("9223372036854775807ns", Some(i64::MAX)),
            ("9223372036854775808ns", None),
            ("2562047h47m16.854775807s", Some(i64::MAX)),
            ("2562048h", None),
            ("", None),
            ("+", None),
            ("1", None),
            (".h", None),
            ("h", None),
            ("1d", None),
            ("1h ", None),
            ("1 h", None),
            ("1e3s", None),
            ("infh", None),
            ("1,5h", None),
        ] {
            assert_eq!(go_duration(text), expected, "{text}");
        }
    }
}
