//! Our reading of schedules against what robfig/cron v3.0.1, the library inside Kubernetes, answered for the same texts:
//! accepted and refused alike, and the same fire times, clock changes included.

use chrono::{DateTime, NaiveDateTime, Utc};
use deploy_core::manifest::{Schedule, ScheduleError};
use serde::Deserialize;

/// One line of data/cron-oracle.jsonl: robfig's answer is either `next` or `err`.
#[derive(Deserialize)]
struct Case {
    expr: String,
    tz: chrono_tz::Tz,
    after: DateTime<Utc>,
    next: Option<Vec<NaiveDateTime>>,
    err: Option<String>,
}

#[test]
fn every_schedule_is_read_as_kubernetes_reads_it() {
    let mut stricter = 0;
    let mut cases = 0;
    for (line, text) in (1..).zip(include_str!("data/cron-oracle.jsonl").lines()) {
        let case: Case = serde_json::from_str(text).unwrap();
        let schedule = case.expr.parse::<Schedule>();
        cases += 1;
        match (case.next, schedule) {
            (None, Err(_)) => assert!(case.err.is_some(), "line {line}: neither next nor err"),
            (Some(next), Err(ScheduleError::Never)) if next.is_empty() => {
                assert_eq!(case.expr, "0 0 31 2 *", "line {line}");
                stricter += 1;
            }
            (Some(next), Ok(schedule)) => {
                let next_after = |t: &DateTime<Utc>| schedule.next_after(*t, case.tz);
                let fires = std::iter::successors(next_after(&case.after), next_after);
                let fires: Vec<_> = fires.map(|t| t.naive_utc()).take(next.len()).collect();
                assert_eq!(fires, next, "line {line}: {} in {}", case.expr, case.tz);
            }
            (next, schedule) => panic!(
                "line {line}: {}: expected {next:?}, found {schedule:?}",
                case.expr
            ),
        }
    }
    assert_eq!((cases, stricter), (1_332, 12));
}
