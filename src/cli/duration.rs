//! Durations as Go and notation write them: `720h`, `1h30m`, `90s`.

use jiff::SignedDuration;

/// Units and their lengths in nanoseconds; the longer names first.
const UNITS: [(&str, i128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Parses a duration of whole seconds that is not negative.
pub(super) fn parse(text: &str) -> Result<SignedDuration, String> {
    let invalid = || format!("{text:?} is no duration such as 720h or 1h30m");
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Ok(SignedDuration::ZERO);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let count: i128 = rest[..digits].parse().map_err(|_| invalid())?;
        rest = &rest[digits..];
        let (unit, length) =
            UNITS.iter().find(|(unit, _)| rest.starts_with(unit)).ok_or_else(invalid)?;
        total = count
            .checked_mul(*length)
            .and_then(|part| total.checked_add(part))
            .ok_or_else(invalid)?;
        rest = &rest[unit.len()..];
    }
    const SECOND: i128 = 1_000_000_000;
    if total % SECOND != 0 {
        return Err("expiry duration must have whole seconds".to_owned());
    }
    i64::try_from(total / SECOND).map(SignedDuration::from_secs).map_err(|_| invalid())
}

/// Parses a duration as Go's `time.ParseDuration` does: a sign, and fractions of every unit. The
/// errors are Go's too.
pub(super) fn parse_go(text: &str) -> Result<SignedDuration, String> {
    let invalid = || format!("time: invalid duration {text:?}");
    let mut rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    if rest == "0" {
        return Ok(SignedDuration::ZERO);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let (whole, after) = digits(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => digits(after),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(invalid());
        }
        let end = after.find(|it: char| it == '.' || it.is_ascii_digit()).unwrap_or(after.len());
        let (name, after) = after.split_at(end);
        if name.is_empty() {
            return Err(format!("time: missing unit in duration {text:?}"));
        }
        let (_, length) = UNITS
            .iter()
            .find(|(unit, _)| *unit == name)
            .ok_or_else(|| format!("time: unknown unit {name:?} in duration {text:?}"))?;
        let count: i128 =
            if whole.is_empty() { 0 } else { whole.parse().map_err(|_| invalid())? };
        let mut part = count.checked_mul(*length).ok_or_else(invalid)?;
        // What is less than a nanosecond is dropped, by Go too.
        let mut place = *length;
        for digit in fraction.bytes() {
            place /= 10;
            part += i128::from(digit - b'0') * place;
        }
        total = total.checked_add(part).ok_or_else(invalid)?;
        rest = after;
    }
    let duration = SignedDuration::from_nanos(i64::try_from(total).map_err(|_| invalid())?);
    Ok(if text.starts_with('-') { -duration } else { duration })
}

/// The digits that a text starts with, and the rest.
fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_durations_have_signs_and_fractions() {
        for (text, milliseconds) in [
            ("0", 0),
            ("-0", 0),
            ("1.5h", 5_400_000),
            (".5s", 500),
            ("1.s", 1_000),
            ("-1h1.25s", -3_601_250),
            ("+90s", 90_000),
        ] {
            assert_eq!(parse_go(text), Ok(SignedDuration::from_millis(milliseconds)), "{text}");
        }
        for (text, error) in [
            ("", "time: invalid duration \"\""),
            ("-", "time: invalid duration \"-\""),
            (".", "time: invalid duration \".\""),
            ("abc", "time: invalid duration \"abc\""),
            ("1", "time: missing unit in duration \"1\""),
            ("1d", "time: unknown unit \"d\" in duration \"1d\""),
            ("1h 2m", "time: unknown unit \"h \" in duration \"1h 2m\""),
            ("9999999999h", "time: invalid duration \"9999999999h\""),
        ] {
            assert_eq!(parse_go(text), Err(error.to_owned()), "{text}");
        }
    }

    #[test]
    fn durations_are_gos() {
        for (text, seconds) in [
            ("0", 0),
            ("0s", 0),
            ("90s", 90),
            ("1h30m", 5_400),
            ("720h", 2_592_000),
            ("+24h", 86_400),
            ("1000ms", 1),
            ("1m1000000us", 61),
        ] {
            assert_eq!(parse(text), Ok(SignedDuration::from_secs(seconds)), "{text}");
        }
        for text in [
            "",
            "1",
            "h",
            "-1h",
            "1d",
            "1.5h",
            "1h ",
            "1500ms",
            "1ns",
            "1e3s",
            "9999999999999999999999h",
        ] {
            assert!(parse(text).is_err(), "{text:?} must be refused");
        }
    }
}
