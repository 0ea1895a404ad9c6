//! Cron schedules as Kubernetes reads them.
use crate::workload::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A schedule with exactly the meaning a Kubernetes CronJob gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Schedule(String);

/// Why a schedule was refused; names the field and the cure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// Placeholder.
    #[error("bad")]
    Bad,
}

impl Schedule {
    /// The first time after `after` at which it fires, in the time zone `tz`; `None` past the year 2100.
    #[must_use]
    pub fn next_after(&self, _after: Timestamp, _tz: chrono_tz::Tz) -> Option<Timestamp> {
        todo!()
    }
}
impl FromStr for Schedule {
    type Err = ScheduleError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}
impl TryFrom<String> for Schedule {
    type Error = ScheduleError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}
impl From<Schedule> for String {
    fn from(s: Schedule) -> Self {
        s.0
    }
}
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
