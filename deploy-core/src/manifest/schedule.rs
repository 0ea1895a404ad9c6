//! Cron schedules, read exactly as a Kubernetes CronJob reads them (robfig/cron v3, five fields).
//!
//! The grammar is ours ([`field`], [`every`]); the `cron` crate is only asked for the next civil time, because its own
//! reading differs silently: its Sunday is 1, and it joins day of month and day of week by AND. What this refuses to
//! do: repair an expression, or guess a time zone. Stricter than Kubernetes in two cases: `@every` under a minute, and a
//! schedule that never fires.

mod every;
mod field;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use chrono::{DateTime, Datelike, NaiveDateTime, Offset, SubsecRound, TimeDelta, TimeZone};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::workload::Timestamp;
use field::Set;
pub use field::{FieldProblem, ScheduleField};

/// A schedule with exactly the meaning a Kubernetes CronJob gives it. Two are equal when their texts are.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Schedule {
    text: String,
    plan: Plan,
}

/// Why a schedule was refused; names the field and the cure, never the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// There are not five fields.
    #[error("found {found} fields, expected 5: minute, hour, day of month, month, day of week{}", seconds_hint(*.found))]
    FieldCount {
        /// How many there are.
        found: usize,
    },
    /// A field is not well formed.
    #[error("{field}: {}", .problem.cure(*.field))]
    Field {
        /// Which.
        field: ScheduleField,
        /// What is wrong with it.
        problem: FieldProblem,
    },
    /// A `TZ=` or `CRON_TZ=` prefix.
    #[error("a schedule holds no time zone: leave TZ= out and use \"timezone\"")]
    TimeZone,
    /// An `@word` that Kubernetes does not know.
    #[error(
        "not a descriptor of Kubernetes: use @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually or \
         @every with a duration"
    )]
    Descriptor,
    /// What follows `@every` is not a duration.
    #[error("not a duration: write @every 1h30m, with the units h, m and s")]
    EveryDuration,
    /// `@every` under a minute.
    #[error("@every takes at least one minute: write @every 1m or more")]
    EveryTooShort,
    /// No date fits.
    #[error("it never fires: no month it names has such a day")]
    Never,
}

impl Schedule {
    /// The first time after `after` at which it fires, in the time zone `tz`; `None` past the year 2100.
    ///
    /// A civil time that a clock change leaves out does not fire; one that comes twice fires twice.
    #[must_use]
    pub fn next_after(&self, after: Timestamp, tz: Tz) -> Option<Timestamp> {
        // Also keeps the arithmetic below far from the ends of the calendar.
        if after.year() > LAST_YEAR {
            return None;
        }
        let second = TimeDelta::seconds(1);
        match &self.plan {
            // As robfig's ConstantDelaySchedule: counted from `after`, to the second.
            Plan::Every(delay) => after
                .trunc_subsecs(0)
                .checked_add_signed(*delay)
                .filter(|next| next.year() <= LAST_YEAR),
            Plan::Calendar(dates) => {
                let mut since = after.trunc_subsecs(0).max(DateTime::UNIX_EPOCH) + second;
                loop {
                    let offset = offset_at(tz, since);
                    let civil = next_civil(dates, since.naive_utc() + offset - second)?;
                    let candidate = (civil - offset).and_utc();
                    // The candidate holds as long as the clocks are not changed on the way to it.
                    match first_change(tz, since, candidate) {
                        None => return Some(candidate),
                        Some(change) => since = change,
                    }
                }
            }
        }
    }
}

impl FromStr for Schedule {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        // As the API server checks it, before robfig sees the text.
        let plan = if text.contains("TZ") {
            return Err(ScheduleError::TimeZone);
        } else if let Some(duration) = text.strip_prefix("@every ") {
            Plan::Every(every::delay(duration)?)
        } else {
            calendar(if text.starts_with('@') {
                descriptor(text)?
            } else {
                text
            })?
        };
        Ok(Self {
            text: text.to_owned(),
            plan,
        })
    }
}

impl TryFrom<String> for Schedule {
    type Error = ScheduleError;

    fn try_from(text: String) -> Result<Self, ScheduleError> {
        text.parse()
    }
}

impl From<Schedule> for String {
    fn from(schedule: Schedule) -> Self {
        schedule.text
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Schedule {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Schedule {}

/// The last year the `cron` crate knows.
const LAST_YEAR: i32 = 2100;

#[derive(Debug, Clone)]
enum Plan {
    /// A constant delay.
    Every(TimeDelta),
    /// Civil times: those of any of these. Two where days of month and of week are joined by OR.
    Calendar(Arc<[cron::Schedule]>),
}

/// The cure for the usual reason of six or seven fields.
const fn seconds_hint(found: usize) -> &'static str {
    match found {
        6 | 7 => "; there is no field for seconds or years, leave it out",
        _ => "",
    }
}

fn descriptor(text: &str) -> Result<&'static str, ScheduleError> {
    match text {
        "@yearly" | "@annually" => Ok("0 0 1 1 *"),
        "@monthly" => Ok("0 0 1 * *"),
        "@weekly" => Ok("0 0 * * 0"),
        "@daily" | "@midnight" => Ok("0 0 * * *"),
        "@hourly" => Ok("0 * * * *"),
        // `@every` alone, or followed by something else than a blank.
        _ if text.starts_with("@every") => Err(ScheduleError::EveryDuration),
        _ => Err(ScheduleError::Descriptor),
    }
}

fn calendar(text: &str) -> Result<Plan, ScheduleError> {
    let found = text.split_whitespace().count();
    let mut fields = text.split_whitespace();
    let mut next = |field: ScheduleField| {
        let text = fields.next().ok_or(ScheduleError::FieldCount { found })?;
        Ok((field, text))
    };
    let texts = [
        next(ScheduleField::Minute)?,
        next(ScheduleField::Hour)?,
        next(ScheduleField::DayOfMonth)?,
        next(ScheduleField::Month)?,
        next(ScheduleField::DayOfWeek)?,
    ];
    if found != texts.len() {
        return Err(ScheduleError::FieldCount { found });
    }
    let read =
        |(field, text)| Set::parse(field, text).map_err(|problem| ScheduleError::Field { field, problem });
    let [minutes, hours, days, months, weekdays] = texts.map(read);
    let (minutes, hours, days, months, weekdays) = (minutes?, hours?, days?, months?, weekdays?);

    // robfig's dayMatches: with a star on either side both have to fit, else one is enough.
    let any_day = Set::all(ScheduleField::DayOfMonth);
    let any_weekday = Set::all(ScheduleField::DayOfWeek);
    let pairs = if days.star || weekdays.star {
        vec![(days, weekdays)]
    } else {
        vec![(days, any_weekday), (any_day, weekdays)]
    };
    let dates: Arc<[cron::Schedule]> = pairs
        .into_iter()
        .filter_map(|(days, weekdays)| engine([minutes, hours, days, months, weekdays]))
        .collect();
    match next_civil(&dates, DateTime::UNIX_EPOCH.naive_utc()) {
        Some(_) => Ok(Plan::Calendar(dates)),
        None => Err(ScheduleError::Never),
    }
}

/// The sets as the `cron` crate takes them; `None` where one is empty, so that nothing fits.
fn engine(sets: [Set; 5]) -> Option<cron::Schedule> {
    if sets.iter().any(Set::is_empty) {
        return None;
    }
    let [minutes, hours, days, months, weekdays] = sets;
    let list = |set: Set, field, first| set.list(field, first);
    let text = format!(
        "0 {} {} {} {} {}",
        list(minutes, ScheduleField::Minute, 0),
        list(hours, ScheduleField::Hour, 0),
        list(days, ScheduleField::DayOfMonth, 0),
        list(months, ScheduleField::Month, 0),
        // There Sunday is 1.
        list(weekdays, ScheduleField::DayOfWeek, 1),
    );
    #[allow(
        clippy::expect_used,
        reason = "the text is plain lists of numbers in range, built above"
    )]
    let schedule = text
        .parse()
        .expect("invariant: plain lists in range are a schedule");
    Some(schedule)
}

/// The first civil time after `after`. It is put to the engine as if it were UTC, where no clock changes.
fn next_civil(dates: &[cron::Schedule], after: NaiveDateTime) -> Option<NaiveDateTime> {
    let after = after.and_utc();
    let next = |schedule: &cron::Schedule| schedule.after(&after).next();
    dates.iter().filter_map(next).min().map(|next| next.naive_utc())
}

fn offset_at(tz: Tz, at: Timestamp) -> TimeDelta {
    let offset = tz.offset_from_utc_datetime(&at.naive_utc()).fix();
    TimeDelta::seconds(offset.local_minus_utc().into())
}

/// The first second after `since`, and not after `until`, at which the zone's offset is not what it was.
fn first_change(tz: Tz, since: Timestamp, until: Timestamp) -> Option<Timestamp> {
    // No zone changes twice within a day.
    let stride = TimeDelta::days(1);
    let offset = offset_at(tz, since);
    let mut before = since;
    while before < until {
        let mut changed = (before + stride).min(until);
        if offset_at(tz, changed) == offset {
            before = changed;
            continue;
        }
        while changed - before > TimeDelta::seconds(1) {
            let middle = before + TimeDelta::seconds((changed - before).num_seconds() / 2);
            if offset_at(tz, middle) == offset {
                before = middle;
            } else {
                changed = middle;
            }
        }
        return Some(changed);
    }
    None
}
