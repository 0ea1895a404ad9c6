//! One field of a schedule, by the rules of robfig/cron v3 (`getField`, `getRange` in its parser.go), which is what
//! Kubernetes runs. It accepts and refuses what robfig does: no long names, no Quartz letters, no ranges that wrap around.

use std::fmt;

/// A field of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScheduleField {
    /// 0 to 59.
    Minute,
    /// 0 to 23.
    Hour,
    /// 1 to 31.
    DayOfMonth,
    /// 1 to 12, or jan to dec.
    Month,
    /// 0 to 6 from Sunday, or sun to sat.
    DayOfWeek,
}

/// What is wrong with a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldProblem {
    /// Neither a number nor a name.
    NotANumber,
    /// A name written out.
    LongName,
    /// `L`, `W` or `#`.
    Quartz,
    /// A number outside the field's range.
    OutOfRange,
    /// 7 as a day of week.
    Seven,
    /// A range that begins after its end.
    Reversed,
    /// More than one `-` in a range.
    Hyphens,
    /// More than one `/` in a range.
    Slashes,
    /// A step that is not a number, or 0.
    Step,
}

impl FieldProblem {
    /// What was found, and the cure, for a person.
    pub(super) fn cure(self, field: ScheduleField) -> String {
        let (min, max) = field.range();
        let names = field.names();
        let numbers = format!("expected {min} to {max}");
        match (self, names) {
            (Self::NotANumber | Self::OutOfRange, [first, .., last]) => {
                format!("{numbers}, or {first} to {last}")
            }
            (Self::NotANumber | Self::OutOfRange, _) => numbers,
            (Self::LongName, _) => format!("names have three letters: {}", names.join(", ")),
            (Self::Quartz, _) => format!("L, W and # are unknown to Kubernetes; {numbers}"),
            (Self::Seven, _) => "use 0 for Sunday, not 7".to_owned(),
            (Self::Reversed, _) => {
                "a range begins after its end; write it as two, as in 22-23,0-2".to_owned()
            }
            (Self::Hyphens, _) => "more than one '-' in a range".to_owned(),
            (Self::Slashes, _) => "more than one '/' in a range".to_owned(),
            (Self::Step, _) => "a step is a whole number from 1, as in */15".to_owned(),
        }
    }
}

impl ScheduleField {
    const fn range(self) -> (u64, u64) {
        match self {
            Self::Minute => (0, 59),
            Self::Hour => (0, 23),
            Self::DayOfMonth => (1, 31),
            Self::Month => (1, 12),
            Self::DayOfWeek => (0, 6),
        }
    }

    /// The names of its numbers, the first for the least.
    const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Minute | Self::Hour | Self::DayOfMonth => &[],
            Self::Month => &[
                "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
            ],
            Self::DayOfWeek => &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
        }
    }
}

impl fmt::Display for ScheduleField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::DayOfMonth => "day of month",
            Self::Month => "month",
            Self::DayOfWeek => "day of week",
        })
    }
}

/// The numbers a field names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Set {
    /// Bit n stands for the number n.
    bits: u64,
    /// Whether it holds a plain `*` or `?`: that decides how the two day fields are joined.
    pub(super) star: bool,
}

impl Set {
    /// Reads a field. An empty list (`,`) is an empty set, as it is for robfig.
    pub(super) fn parse(field: ScheduleField, text: &str) -> Result<Self, FieldProblem> {
        let mut set = Self { bits: 0, star: false };
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let Self { bits, star } = Self::parse_part(field, part)?;
            set.bits |= bits;
            set.star |= star;
        }
        Ok(set)
    }

    /// Every number of a field.
    pub(super) fn all(field: ScheduleField) -> Self {
        let (min, max) = field.range();
        Self {
            bits: (min..=max).fold(0, |bits, n| bits | 1 << n),
            star: true,
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.bits == 0
    }

    /// As a list of numbers, each of them `added` more; `*` for all.
    pub(super) fn list(self, field: ScheduleField, added: u64) -> String {
        if self.bits == Self::all(field).bits {
            return "*".to_owned();
        }
        let numbers = (0..64).filter(|n| self.bits >> n & 1 == 1);
        numbers
            .map(|n| (n + added).to_string())
            .collect::<Vec<_>>()
            .join(",")
    }

    /// `number`, `from-to` or `*`, each with or without a `/step`.
    fn parse_part(field: ScheduleField, part: &str) -> Result<Self, FieldProblem> {
        let (min, max) = field.range();
        let (range, step) = match part.split_once('/') {
            None => (part, None),
            Some((_, step)) if step.contains('/') => return Err(FieldProblem::Slashes),
            Some((range, step)) => (range, Some(step)),
        };
        let (low, high) = match range.split_once('-') {
            None => (range, None),
            Some((low, high)) => (low, Some(high)),
        };
        // robfig does not look at what follows the hyphen of a `*-`.
        let mut star = matches!(low, "*" | "?");
        let (low, mut last) = match high {
            _ if star => (min, max),
            None => number_or_name(field, low).map(|low| (low, low))?,
            Some(high) if high.contains('-') => return Err(FieldProblem::Hyphens),
            Some(high) => (number_or_name(field, low)?, number_or_name(field, high)?),
        };
        let step = match step {
            None => 1,
            Some(text) => {
                let step = number(text).filter(|step| *step > 0).ok_or(FieldProblem::Step)?;
                // `5/15` means from 5 on.
                if high.is_none() {
                    last = max;
                }
                star &= step == 1;
                step
            }
        };
        if field == ScheduleField::DayOfWeek && (low == 7 || last == 7) {
            return Err(FieldProblem::Seven);
        }
        if low < min || last > max {
            return Err(if low > last {
                FieldProblem::Reversed
            } else {
                FieldProblem::OutOfRange
            });
        }
        if low > last {
            return Err(FieldProblem::Reversed);
        }
        let mut bits = 0;
        let mut n = low;
        while n <= last {
            bits |= 1 << n;
            n = n.saturating_add(step);
        }
        Ok(Self { bits, star })
    }
}

fn number_or_name(field: ScheduleField, text: &str) -> Result<u64, FieldProblem> {
    let names = field.names();
    let (min, _) = field.range();
    if let Some((n, _)) = (min..)
        .zip(names)
        .find(|(_, name)| name.eq_ignore_ascii_case(text))
    {
        return Ok(n);
    }
    number(text).ok_or_else(|| {
        let begins_with = |name: &&str| {
            text.get(..3)
                .is_some_and(|start| start.eq_ignore_ascii_case(name))
        };
        let is_quartz = |c: char| matches!(c, 'L' | 'W' | '#') || c.is_ascii_digit();
        if names.iter().any(begins_with) {
            FieldProblem::LongName
        } else if !text.is_empty() && text.chars().all(is_quartz) {
            FieldProblem::Quartz
        } else {
            FieldProblem::NotANumber
        }
    })
}

/// As Go's `strconv.Atoi` reads it, negative numbers left out: those robfig refuses.
fn number(text: &str) -> Option<u64> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse::<i64>().ok()?.try_into().ok()
}
