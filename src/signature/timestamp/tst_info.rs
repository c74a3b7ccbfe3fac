//! `TSTInfo`: the statement of a timestamping authority.

use der::{
    Reader, SliceReader, Tag,
    asn1::{AnyRef, ObjectIdentifier, OctetStringRef, UintRef},
};
use jiff::{SignedDuration, Timestamp, civil, tz::Offset};

use super::error::TimestampError;
use crate::image::digest::Algorithm as HashAlgorithm;
use crate::signature::crypto;
use crate::signature::x509::{explicit, hash_identifier};

/// Policy of ETSI EN 319 421: authorities under it are accurate to one second.
const BASELINE_POLICY: ObjectIdentifier = ObjectIdentifier::new_unwrap("0.4.0.2023.1.1");

/// What the authority says: this hash existed at this time.
///
/// ```asn1
/// TSTInfo ::= SEQUENCE {
///     version INTEGER { v1(1) }, policy OBJECT IDENTIFIER, messageImprint MessageImprint,
///     serialNumber INTEGER, genTime GeneralizedTime, accuracy Accuracy OPTIONAL,
///     ordering BOOLEAN DEFAULT FALSE, nonce INTEGER OPTIONAL,
///     tsa [0] GeneralName OPTIONAL, extensions [1] IMPLICIT Extensions OPTIONAL }
/// MessageImprint ::= SEQUENCE { hashAlgorithm AlgorithmIdentifier, hashedMessage OCTET STRING }
/// ```
#[derive(Clone, Debug)]
pub(super) struct TstInfo {
    hash: HashAlgorithm,
    hashed: Vec<u8>,
    pub(super) generated: Timestamp,
    pub(super) accuracy: SignedDuration,
    /// Big endian, without leading zeros.
    pub(super) nonce: Option<Vec<u8>>,
}

impl TstInfo {
    pub(super) fn from_der(der: &[u8]) -> Result<Self, TimestampError> {
        let part = "timestamp info";
        let malformed = |cause| TimestampError::malformed(part, cause);
        let mut reader = SliceReader::new(der).map_err(malformed)?;
        let raw = reader.sequence(RawTstInfo::read).map_err(malformed)?;
        reader.finish().map_err(malformed)?;
        let invalid = |what| TimestampError::Invalid { part, what };
        if raw.version != 1 {
            return Err(invalid("version is not 1"));
        }
        let hash = hash_identifier(raw.hash)
            .map_err(malformed)?
            .ok_or_else(|| invalid("hash of the imprint is none of SHA-256, SHA-384, SHA-512"))?;
        let generated =
            generalized_time(raw.generated).ok_or_else(|| invalid("time is not a UTC time"))?;
        let accuracy = accuracy(raw.accuracy, raw.policy)
            .ok_or_else(|| invalid("accuracy is out of range"))?;
        Ok(Self {
            hash,
            hashed: raw.hashed.to_vec(),
            generated,
            accuracy,
            nonce: raw.nonce.map(|nonce| nonce.as_bytes().to_vec()),
        })
    }

    /// Is this a statement about `message`?
    pub(super) fn is_about(&self, message: &[u8]) -> bool {
        crypto::hash(self.hash, message) == self.hashed
    }
}

#[derive(Default)]
struct Accuracy {
    seconds: u32,
    millis: u32,
    micros: u32,
}

struct RawTstInfo<'a> {
    version: u8,
    policy: ObjectIdentifier,
    hash: AnyRef<'a>,
    hashed: &'a [u8],
    generated: &'a [u8],
    accuracy: Option<Accuracy>,
    nonce: Option<UintRef<'a>>,
}

impl<'a> RawTstInfo<'a> {
    fn read(reader: &mut SliceReader<'a>) -> der::Result<Self> {
        let version = reader.decode()?;
        let policy = reader.decode()?;
        let (hash, hashed) = reader.sequence(|reader| {
            let hash: AnyRef<'_> = reader.decode()?;
            let hashed: &OctetStringRef = reader.decode()?;
            Ok::<_, der::Error>((hash, hashed.as_bytes()))
        })?;
        let _serial: AnyRef<'_> = reader.decode()?;
        let generated: AnyRef<'_> = reader.decode()?;
        der::Tagged::tag(&generated).assert_eq(Tag::GeneralizedTime)?;
        let accuracy = match reader.peek_byte() {
            Some(0x30) => Some(reader.sequence(Accuracy::read)?),
            _ => None,
        };
        let _ordering: Option<bool> = reader.decode()?;
        let nonce = reader.decode()?;
        explicit(reader, 0xa0, |reader| reader.tlv_bytes())?;
        if reader.peek_byte() == Some(0xa1) {
            reader.tlv_bytes()?;
        }
        let generated = generated.value();
        Ok(Self { version, policy, hash, hashed, generated, accuracy, nonce })
    }
}

impl Accuracy {
    /// `SEQUENCE { seconds INTEGER OPTIONAL, millis [0] INTEGER OPTIONAL, micros [1] … }`
    fn read(reader: &mut SliceReader<'_>) -> der::Result<Self> {
        let seconds: Option<u32> = reader.decode()?;
        let millis = implicit_number(reader, 0x80)?;
        let micros = implicit_number(reader, 0x81)?;
        Ok(Self { seconds: seconds.unwrap_or(0), millis, micros })
    }
}

fn implicit_number(reader: &mut SliceReader<'_>, tag: u8) -> der::Result<u32> {
    if reader.peek_byte() != Some(tag) {
        return Ok(0);
    }
    let any: AnyRef<'_> = reader.decode()?;
    AnyRef::new(Tag::Integer, any.value())?.decode_as()
}

fn accuracy(accuracy: Option<Accuracy>, policy: ObjectIdentifier) -> Option<SignedDuration> {
    let accuracy = accuracy.unwrap_or_default();
    if accuracy.millis > 999 || accuracy.micros > 999 {
        return None;
    }
    let duration = SignedDuration::from_secs(i64::from(accuracy.seconds))
        .checked_add(SignedDuration::from_millis(i64::from(accuracy.millis)))?
        .checked_add(SignedDuration::from_micros(i64::from(accuracy.micros)))?;
    if duration.is_zero() && policy == BASELINE_POLICY {
        return Some(SignedDuration::from_secs(1));
    }
    Some(duration)
}

/// `YYYYMMDDhhmmss[.f…]Z`: fractions are allowed here, unlike in certificates (RFC 3161 §2.4.2).
fn generalized_time(bytes: &[u8]) -> Option<Timestamp> {
    let text = str::from_utf8(bytes).ok()?.strip_suffix('Z')?;
    let (whole, fraction) = text.split_once('.').map_or((text, ""), |parts| parts);
    if text.contains('.') && (fraction.is_empty() || fraction.len() > 9) {
        return None;
    }
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() != 14 || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let year = whole.get(..4)?.parse().ok()?;
    let [month, day, hour, minute, second] = [4usize, 6, 8, 10, 12]
        .map(|at| whole.get(at..at + 2).and_then(|digits| digits.parse::<i8>().ok()));
    let nanoseconds: i32 = format!("{fraction:0<9}").parse().ok()?;
    let moment =
        civil::DateTime::new(year, month?, day?, hour?, minute?, second?, nanoseconds).ok()?;
    Offset::UTC.to_timestamp(moment).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generalized_times_with_and_without_fraction() {
        let read = |text: &str| generalized_time(text.as_bytes()).map(|time| time.to_string());
        assert_eq!(read("20261122062034Z").as_deref(), Some("2026-11-22T06:20:34Z"));
        assert_eq!(read("20261122062034.5Z").as_deref(), Some("2026-11-22T06:20:34.5Z"));
        let nine = read("20261122062034.123456789Z");
        assert_eq!(nine.as_deref(), Some("2026-11-22T06:20:34.123456789Z"));
        for refused in [
            "20261122062034",
            "20261122062034+0000",
            "20261122062034.Z",
            "20261122062034,5Z",
            "202611220620Z",
            "20261322062034Z",
            "20261122062060Z",
            "20261122062034.1234567890Z",
            "+0261122062034Z",
        ] {
            assert_eq!(read(refused), None, "{refused}");
        }
    }

    #[test]
    fn accuracy_of_the_baseline_policy_is_one_second() {
        let other = ObjectIdentifier::new_unwrap("1.2.3");
        let of = |seconds, millis, micros| Some(Accuracy { seconds, millis, micros });
        let second = SignedDuration::from_secs(1);
        assert_eq!(accuracy(None, other), Some(SignedDuration::ZERO));
        assert_eq!(accuracy(None, BASELINE_POLICY), Some(second));
        assert_eq!(accuracy(of(1, 0, 0), other), Some(second));
        assert_eq!(accuracy(of(0, 500, 0), BASELINE_POLICY), Some(second / 2));
        let largest = SignedDuration::from_micros(999_999);
        assert_eq!(accuracy(of(0, 999, 999), other), Some(largest));
        assert_eq!(accuracy(of(0, 1000, 0), other), None);
        assert_eq!(accuracy(of(0, 0, 1000), other), None);
    }
}
