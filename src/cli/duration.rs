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

#[cfg(test)]
mod tests {
    use super::*;

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
