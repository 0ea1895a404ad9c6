//! Two things timed side by side. A machine that others share is fast now and slow then, so a time alone says little:
//! what is reported is the ratio of two times taken one right after the other, over several rounds. It judges nothing;
//! the goals are in docs/benchmarks.md.

use std::fmt;
use std::time::Duration;

/// How many rounds a bench takes: `rounds` under `cargo bench`; one under `cargo test --benches`, where it only has to
/// show that it still works.
#[must_use]
pub fn rounds(rounds: usize) -> usize {
    if std::env::args().any(|argument| argument == "--bench") {
        rounds
    } else {
        1
    }
}

/// The times of two things, round by round.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SideBySide {
    rounds: Vec<(Duration, Duration)>,
}

impl SideBySide {
    /// One more round: how long the one took, and right after it the other.
    pub fn push(&mut self, one: Duration, other: Duration) {
        self.rounds.push((one, other));
    }

    /// The median of the rounds' ratios of the one to the other; not a number where no round was taken.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        median(&self.ratios()).unwrap_or(f64::NAN)
    }

    /// The rounds' ratios, the smallest first.
    fn ratios(&self) -> Vec<f64> {
        sorted(
            self.rounds
                .iter()
                .map(|(one, other)| one.as_secs_f64() / other.as_secs_f64()),
        )
    }
}

impl fmt::Display for SideBySide {
    /// The median ratio, its spread, and the two median times, for scale.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ratios = self.ratios();
        let (Some(least), Some(most)) = (ratios.first(), ratios.last()) else {
            return f.write_str("no round was taken");
        };
        let milliseconds = |times: Vec<f64>| median(&times).unwrap_or(f64::NAN) * 1000.0;
        let one = milliseconds(sorted(self.rounds.iter().map(|(one, _)| one.as_secs_f64())));
        let other = milliseconds(sorted(self.rounds.iter().map(|(_, other)| other.as_secs_f64())));
        write!(
            f,
            "{:.2} ({least:.2} to {most:.2} in {} rounds; {one:.2} ms against {other:.2} ms)",
            self.ratio(),
            ratios.len()
        )
    }
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// The middle of sorted values; of an even number, the lower of the two in the middle.
fn median(sorted: &[f64]) -> Option<f64> {
    sorted.get(sorted.len().saturating_sub(1) / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn the_median_is_of_the_ratios_and_not_of_the_times() {
        let mut measured = SideBySide::default();
        // A machine ten times slower in the second round changes nothing.
        for (one, other) in [(ms(10), ms(5)), (ms(100), ms(50)), (ms(30), ms(10))] {
            measured.push(one, other);
        }
        assert!((measured.ratio() - 2.0).abs() < 1e-9);
        assert_eq!(
            measured.to_string(),
            "2.00 (2.00 to 3.00 in 3 rounds; 30.00 ms against 10.00 ms)"
        );
    }

    #[test]
    fn nothing_measured_is_no_ratio() {
        let measured = SideBySide::default();
        assert!(measured.ratio().is_nan());
        assert_eq!(measured.to_string(), "no round was taken");
    }
}
