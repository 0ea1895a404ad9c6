//! Kubernetes quantities (its `resource.Quantity`): a decimal number with a suffix of thousands, of 1,024s, or a power of ten.
//!
//! The text is kept as written; the value is exact, without floating point, so that a request can be held against its limit.
//! Stricter than Kubernetes where that only repairs: negative amounts, and amounts it would cap, are refused.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A Kubernetes quantity, as written. Two are equal when their texts are; their amounts are compared by [`Quantity::nano`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Quantity {
    text: String,
    nano: u128,
}

/// Why a quantity was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// It is not a number with a suffix.
    #[error(
        "not a quantity: a number with at most 19 digits and one of the suffixes n, u, m, k, M, G, T, P, E, Ki, Mi, Gi, Ti, \
         Pi, Ei, as in 0.5, 500m or 150Mi"
    )]
    Syntax,
    /// It is below zero.
    #[error("a quantity is not negative")]
    Negative,
    /// It is more than Kubernetes can hold.
    #[error("a quantity is at most 2^63 - 1")]
    TooLarge,
}

impl Quantity {
    /// The amount in billionths, rounded up: nothing finer is kept by Kubernetes.
    #[must_use]
    pub const fn nano(&self) -> u128 {
        self.nano
    }
}

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        Ok(Self {
            nano: nano(text)?,
            text: text.to_owned(),
        })
    }
}

impl TryFrom<String> for Quantity {
    type Error = QuantityError;

    fn try_from(text: String) -> Result<Self, QuantityError> {
        text.parse()
    }
}

impl From<Quantity> for String {
    fn from(quantity: Quantity) -> Self {
        quantity.text
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// 2^63 - 1, in billionths.
const MAX: u128 = i64::MAX as u128 * 1_000_000_000;

fn nano(text: &str) -> Result<u128, QuantityError> {
    if text.starts_with('-') {
        return Err(QuantityError::Negative);
    }
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    let end = unsigned
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(end);
    let (digits, places) = decimal(number)?;
    let (twos, tens) = scale(suffix)?;
    // digits · 2^twos: at most 10^19 · 2^60, which is below 2^128.
    let amount = digits << twos;
    let shift = tens.saturating_sub(places).saturating_add(9);
    let power = 10_u128.checked_pow(shift.unsigned_abs());
    let nano = match power {
        _ if amount == 0 => Some(0),
        // So small that it rounds up to one.
        None if shift < 0 => Some(1),
        None => None,
        Some(power) if shift < 0 => Some(amount.div_ceil(power)),
        Some(power) => amount.checked_mul(power),
    };
    nano.filter(|nano| *nano <= MAX).ok_or(QuantityError::TooLarge)
}

/// A number as its digits and how many of them are behind the point.
fn decimal(number: &str) -> Result<(u128, i32), QuantityError> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let fraction = fraction.trim_end_matches('0');
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    // "." alone holds no digit; a second point fails to parse below.
    if !number.contains(|c: char| c.is_ascii_digit()) || fraction.contains('.') {
        return Err(QuantityError::Syntax);
    }
    if digits.is_empty() {
        return Ok((0, 0));
    }
    if digits.len() > 19 {
        let cause = if whole.trim_start_matches('0').len() > 19 {
            QuantityError::TooLarge
        } else {
            QuantityError::Syntax
        };
        return Err(cause);
    }
    let value = digits.parse().map_err(|_| QuantityError::Syntax)?;
    let places = i32::try_from(fraction.len()).map_err(|_| QuantityError::Syntax)?;
    Ok((value, places))
}

/// A suffix as a power of two and a power of ten.
fn scale(suffix: &str) -> Result<(u32, i32), QuantityError> {
    Ok(match suffix {
        "Ki" => (10, 0),
        "Mi" => (20, 0),
        "Gi" => (30, 0),
        "Ti" => (40, 0),
        "Pi" => (50, 0),
        "Ei" => (60, 0),
        "n" => (0, -9),
        "u" => (0, -6),
        "m" => (0, -3),
        "" => (0, 0),
        "k" => (0, 3),
        "M" => (0, 6),
        "G" => (0, 9),
        "T" => (0, 12),
        "P" => (0, 15),
        // Without a number behind it, E is a suffix and no exponent.
        "E" => (0, 18),
        _ => {
            let exponent = suffix.strip_prefix(['e', 'E']).ok_or(QuantityError::Syntax)?;
            (0, exponent.parse().map_err(|_| QuantityError::Syntax)?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact_whatever_the_suffix() {
        for (text, expected) in [
            ("0", 0),
            ("0e99999", 0),
            ("1", 1_000_000_000),
            ("+1", 1_000_000_000),
            ("1.", 1_000_000_000),
            (".5", 500_000_000),
            ("0.15", 150_000_000),
            ("00.1500", 150_000_000),
            ("150m", 150_000_000),
            ("1n", 1),
            ("0.1n", 1),
            ("1.1n", 2),
            ("1e-99999", 1),
            ("3u", 3_000),
            ("2k", 2_000_000_000_000),
            ("1E", 1_000_000_000_000_000_000_000_000_000),
            ("1E3", 1_000_000_000_000),
            ("1e+3", 1_000_000_000_000),
            ("150Mi", 157_286_400_000_000_000),
            ("0.5Ki", 512_000_000_000),
            ("7Ei", (7 << 60) * 1_000_000_000),
            ("9223372036854775807", MAX),
        ] {
            let quantity: Quantity = text.parse().unwrap();
            assert_eq!(quantity.nano(), expected, "{text}");
            assert_eq!(quantity.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_quantity_is_refused_with_its_cause() {
        use QuantityError::{Negative, Syntax, TooLarge};
        let long = "1".repeat(100_000);
        for (text, expected) in [
            ("", Syntax),
            ("+", Syntax),
            (".", Syntax),
            ("1.2.3", Syntax),
            ("..1", Syntax),
            ("Mi", Syntax),
            ("1 Mi", Syntax),
            ("1mi", Syntax),
            ("1Mb", Syntax),
            ("1K", Syntax),
            ("1e", Syntax),
            ("1e1.5", Syntax),
            ("1e99999999999", Syntax),
            ("NaN", Syntax),
            ("inf", Syntax),
            ("0x10", Syntax),
            ("1,5", Syntax),
            ("\u{661}", Syntax),
            ("0.12345678901234567891", Syntax),
            ("-1", Negative),
            ("9223372036854775808", TooLarge),
            ("8Ei", TooLarge),
            ("1e400", TooLarge),
            ("9999999999999999999Ei", TooLarge),
            (&long, TooLarge),
        ] {
            assert_eq!(text.parse::<Quantity>(), Err(expected), "{text:.40}");
        }
    }
}
