//! Times in envelopes: RFC 3339 in its strict form (N-15), and what both formats share.

use jiff::{Timestamp, ZonedDateTime, civil, tz::Offset};

/// First moment an envelope may name, 1970-01-01T00:00:00Z (N-18).
const EARLIEST: i64 = 0;

/// A whole-second time from seconds since 1970; `None` outside 1970..9999 (N-18).
pub(super) fn from_seconds(seconds: i64) -> Option<Timestamp> {
    (seconds >= EARLIEST).then(|| Timestamp::from_second(seconds).ok()).flatten()
}

/// A time of an envelope, with the zone it is written in. The zone means nothing; it is kept to
/// show times as their signer wrote them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Moment {
    pub(super) at: Timestamp,
    pub(super) offset: Offset,
}

impl Moment {
    /// A time without a zone of its own, as in COSE.
    pub(super) fn utc(at: Timestamp) -> Self {
        Self { at, offset: Offset::UTC }
    }

    /// The time in its zone.
    pub(super) fn zoned(self) -> ZonedDateTime {
        self.at.to_zoned_datetime(self.offset.to_time_zone())
    }
}

/// Reads `YYYY-MM-DDTHH:MM:SS[.fraction](Z|±HH:MM)`, two digits everywhere, upper-case letters,
/// offsets below 24 hours. Envelopes are written with whole seconds; a fraction that stands there
/// all the same is kept, because notation compares with it too.
pub(super) fn from_rfc3339(text: &str) -> Option<Moment> {
    let bytes = text.as_bytes();
    let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if separators.iter().any(|&(at, byte)| bytes.get(at) != Some(&byte)) {
        return None;
    }
    let year = number(bytes, 0, 4)?;
    let [month, day, hour, minute, second] =
        [5, 8, 11, 14, 17].map(|at| number(bytes, at, 2).and_then(|n| i8::try_from(n).ok()));
    let moment = civil::DateTime::new(year, month?, day?, hour?, minute?, second?, 0).ok()?;
    let (nanoseconds, zone) = fraction(bytes.get(19..)?)?;
    let offset = offset_seconds(zone)?;
    let utc = Offset::UTC.to_timestamp(moment).ok()?.as_second();
    let whole = from_seconds(utc.checked_sub(offset.into())?)?;
    let at = Timestamp::new(whole.as_second(), nanoseconds).ok()?;
    Some(Moment { at, offset: Offset::from_seconds(offset).ok()? })
}

/// Writes a time as dockseal signs it: whole seconds, UTC.
pub(super) fn to_rfc3339(moment: Timestamp) -> String {
    truncate(moment).to_string()
}

/// The whole second a moment lies in.
pub(super) fn truncate(moment: Timestamp) -> Timestamp {
    Timestamp::from_second(moment.as_second()).unwrap_or(moment)
}

fn number(bytes: &[u8], at: usize, digits: usize) -> Option<i16> {
    bytes.get(at..at.checked_add(digits)?)?.iter().try_fold(0i16, |number, &byte| {
        let digit = byte.is_ascii_digit().then(|| i16::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// Nanoseconds, and what follows the fraction. Digits beyond the ninth don't count.
fn fraction(bytes: &[u8]) -> Option<(i32, &[u8])> {
    let Some(rest) = bytes.strip_prefix(b".") else { return Some((0, bytes)) };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (fraction, zone) = rest.split_at_checked(digits).filter(|_| digits > 0)?;
    let nanoseconds = fraction
        .iter()
        .chain(std::iter::repeat(&b'0'))
        .take(9)
        .fold(0i32, |number, &digit| number * 10 + i32::from(digit - b'0'));
    Some((nanoseconds, zone))
}

fn offset_seconds(zone: &[u8]) -> Option<i32> {
    if zone == b"Z" {
        return Some(0);
    }
    let (sign, rest) = match zone.split_first()? {
        (b'+', rest) => (1, rest),
        (b'-', rest) => (-1, rest),
        _ => return None,
    };
    if rest.len() != 5 || rest.get(2) != Some(&b':') {
        return None;
    }
    let (hours, minutes) = (number(rest, 0, 2)?, number(rest, 3, 2)?);
    (hours < 24 && minutes < 60).then(|| sign * (i32::from(hours) * 3600 + i32::from(minutes) * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n15_strict_rfc_3339() {
        let read = |text: &str| from_rfc3339(text).map(|moment| moment.at.as_second());
        let noon = 1_780_311_600;
        assert_eq!(read("2026-06-01T11:00:00Z"), Some(noon));
        assert_eq!(read("2026-06-01T07:00:00-04:00"), Some(noon));
        assert_eq!(read("2026-06-01T11:00:00.999Z"), Some(noon));
        let nanoseconds = |text| from_rfc3339(text).map(|moment| moment.at.subsec_nanosecond());
        assert_eq!(nanoseconds("2026-06-01T11:00:00.5Z"), Some(500_000_000));
        assert_eq!(nanoseconds("2026-06-01T11:00:00.1234567899+01:00"), Some(123_456_789));
        assert_eq!(read("2026-06-02T10:59:00+23:59"), Some(noon));
        let written = from_rfc3339("2026-06-01T07:00:00-04:00").unwrap().zoned();
        assert_eq!(written.hour(), 7);
        assert_eq!(read("1970-01-01T00:00:00Z"), Some(0));
        for refused in [
            "2026-06-01t11:00:00Z",
            "2026-06-01T11:00:00z",
            "2026-06-01 11:00:00Z",
            "2026-06-01T11:00:60Z",
            "2026-06-01T24:00:00Z",
            "2026-06-01T1:00:00Z",
            "2026-02-29T11:00:00Z",
            "2026-06-01T11:00:00,5Z",
            "2026-06-01T11:00:00.Z",
            "2026-06-01T11:00:00+24:00",
            "2026-06-01T11:00:00+0000",
            "2026-06-01T11:00:00",
            "2026-06-01T11:00:00ZZ",
            "+026-06-01T11:00:00Z",
            "0001-01-01T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "9999-12-31T23:59:59Z",
            "",
        ] {
            assert_eq!(read(refused), None, "{refused}");
        }
    }
}
