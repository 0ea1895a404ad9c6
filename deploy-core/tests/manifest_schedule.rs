//! What a schedule means where robfig's recorded answers (cron_oracle.rs) do not reach: clock changes in odd zones, the ends
//! of the calendar, enormous input, and the words of its errors.

#![allow(clippy::unwrap_used, reason = "a test may panic: that is how it fails")]

use chrono::{DateTime, Datelike};
use chrono_tz::Tz;
use deploy_core::manifest::Schedule;
use deploy_core::workload::Timestamp;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The first times `text` fires after `after` in `tz`.
#[track_caller]
fn check(text: &str, tz: Tz, after: &str, expected: &[&str]) {
    let schedule: Schedule = text.parse().unwrap();
    let fires = std::iter::successors(schedule.next_after(at(after), tz), |t| {
        schedule.next_after(*t, tz)
    });
    let fires: Vec<_> = fires.take(expected.len()).collect();
    let expected: Vec<_> = expected.iter().map(|t| at(t)).collect();
    assert_eq!(fires, expected, "{text} in {tz} after {after}");
}

#[test]
fn a_time_that_comes_twice_fires_twice_and_one_left_out_does_not() {
    use chrono_tz::{America, Australia, Europe, Pacific};
    let half_past_two = "30 2 * * *";
    check(
        half_past_two,
        Europe::Paris,
        "2026-10-24T12:00:00Z",
        &[
            "2026-10-25T00:30:00Z",
            "2026-10-25T01:30:00Z",
            "2026-10-26T01:30:00Z",
        ],
    );
    check(
        half_past_two,
        Europe::Paris,
        "2026-03-28T12:00:00Z",
        &["2026-03-30T00:30:00Z"],
    );
    // Half an hour back.
    check(
        "45 1 * * *",
        Australia::Lord_Howe,
        "2026-04-04T12:00:00Z",
        &[
            "2026-04-04T14:45:00Z",
            "2026-04-04T15:15:00Z",
            "2026-04-05T15:15:00Z",
        ],
    );
    // A whole day left out.
    check(
        "0 12 * * *",
        Pacific::Apia,
        "2011-12-29T00:00:00Z",
        &["2011-12-29T22:00:00Z", "2011-12-30T22:00:00Z"],
    );
    check(
        "* * * * *",
        America::New_York,
        "2026-11-01T05:58:30Z",
        &[
            "2026-11-01T05:59:00Z",
            "2026-11-01T06:00:00Z",
            "2026-11-01T06:01:00Z",
        ],
    );
}

#[test]
fn fractions_of_a_second_never_repeat_or_skip_a_time() {
    let utc = chrono_tz::UTC;
    check(
        "* * * * *",
        utc,
        "2026-01-01T00:00:59.999Z",
        &["2026-01-01T00:01:00Z"],
    );
    check(
        "* * * * *",
        utc,
        "2026-01-01T00:01:00.001Z",
        &["2026-01-01T00:02:00Z"],
    );
    check(
        "@every 90.9s",
        utc,
        "2026-01-01T00:00:00.7Z",
        &["2026-01-01T00:01:30Z"],
    );
}

#[test]
fn an_empty_list_of_days_leaves_the_other_days() {
    let utc = chrono_tz::UTC;
    check(
        "0 0 , * 1",
        utc,
        "2026-01-01T00:00:00Z",
        &["2026-01-05T00:00:00Z"],
    );
    check(
        "0 0 2 * ,",
        utc,
        "2026-01-01T00:00:00Z",
        &["2026-01-02T00:00:00Z"],
    );
}

#[test]
fn leap_days_fire_and_the_calendar_ends_in_2100() {
    let utc = chrono_tz::UTC;
    check(
        "0 0 29 2 *",
        utc,
        "2096-01-01T00:00:00Z",
        &["2096-02-29T00:00:00Z"],
    );
    for (text, after) in [
        ("0 0 29 2 *", "2096-03-01T00:00:00Z"),
        ("* * * * *", "2100-12-31T23:59:00Z"),
        ("@every 1h", "2100-12-31T23:59:00Z"),
        ("@every 2562047h47m16s", "2026-01-01T00:00:00Z"),
    ] {
        let schedule: Schedule = text.parse().unwrap();
        assert_eq!(schedule.next_after(at(after), utc), None, "{text}");
    }
    let schedule: Schedule = "0 0 * * *".parse().unwrap();
    for end in [DateTime::<chrono::Utc>::MAX_UTC, DateTime::<chrono::Utc>::MIN_UTC] {
        let next = schedule.next_after(end, chrono_tz::Pacific::Apia);
        assert!(next.is_none_or(|next| next.year() == 1970), "{next:?}");
    }
}

#[test]
fn an_error_names_the_field_and_the_cure() {
    for (text, expected) in [
        ("0 0 * * 7", "day of week: use 0 for Sunday"),
        ("0 0 * * 5-7", "day of week: use 0 for Sunday"),
        ("0 * * * * *", "no field for seconds"),
        ("* * * *", "found 4 fields, expected 5"),
        ("", "found 0 fields"),
        ("TZ=UTC * * * * *", "\"timezone\""),
        ("CRON_TZ=Europe/Paris 0 0 * * *", "\"timezone\""),
        ("0 0 1 January *", "month: names have three letters: jan"),
        ("0 0 * * Monday", "day of week: names have three letters: sun"),
        ("0 0 L * *", "day of month: L, W and #"),
        ("60 * * * *", "minute: expected 0 to 59"),
        ("0 22-2 * * *", "hour: a range begins after its end"),
        ("*/0 * * * *", "minute: a step is a whole number"),
        ("*/x * * * *", "minute: a step is a whole number"),
        ("1-2-3 * * * *", "minute: more than one '-'"),
        ("1//2 * * * *", "minute: more than one '/'"),
        ("@reboot", "@hourly"),
        ("@daily ", "@hourly"),
        ("@every", "@every 1h30m"),
        ("@every soon", "@every 1h30m"),
        ("@every 59s", "at least one minute"),
        ("@every -1h", "at least one minute"),
        ("@every 99999999999999h", "@every 1h30m"),
        ("@every NaNh", "@every 1h30m"),
        ("0 0 31 2 *", "never fires"),
        (", * * * *", "never fires"),
        ("0 0 , * *", "never fires"),
    ] {
        let error = text.parse::<Schedule>().unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn enormous_texts_and_numbers_are_read_in_bounded_time() {
    let zeros = format!("{}5 * * * *", "0".repeat(200_000));
    check(
        &zeros,
        chrono_tz::UTC,
        "2026-01-01T00:00:00Z",
        &["2026-01-01T00:05:00Z"],
    );
    let list = format!("{}5 * * * *", "*/9223372036854775807,".repeat(10_000));
    check(
        &list,
        chrono_tz::UTC,
        "2026-01-01T00:00:00Z",
        &["2026-01-01T00:05:00Z"],
    );
    for text in [
        format!("*/{} * * * *", "9".repeat(200_000)),
        format!("@every {}h", "9".repeat(200_000)),
        "1 ".repeat(100_000),
    ] {
        assert!(text.parse::<Schedule>().unwrap_err().to_string().len() < 200);
    }
}

#[test]
fn a_schedule_travels_as_its_text() {
    let schedule: Schedule = "0  0 * * MON".parse().unwrap();
    let json = serde_json::to_string(&schedule).unwrap();
    assert_eq!(json, "\"0  0 * * MON\"");
    assert_eq!(serde_json::from_str::<Schedule>(&json).unwrap(), schedule);
    assert_ne!("0 0 * * MON".parse::<Schedule>().unwrap(), schedule);
    assert!(serde_json::from_str::<Schedule>("\"0 0 * * 7\"").is_err());
}
