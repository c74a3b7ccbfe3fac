//! Writing the little DER this room produces: test certificates, timestamp requests.
//!
//! Plain functions from content to TLV; whoever calls them spells out the structure.

use der::{Encode, asn1::ObjectIdentifier};
use jiff::Timestamp;

/// One TLV.
pub(crate) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = content.len();
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let bytes = length.to_be_bytes();
            let skip = bytes.iter().take_while(|&&byte| byte == 0).count();
            let significant = bytes.get(skip..).unwrap_or_default();
            // At most eight bytes, so the count fits in the low bits.
            out.push(0x80 | u8::try_from(significant.len()).unwrap_or_default());
            out.extend_from_slice(significant);
        }
    }
    out.extend_from_slice(content);
    out
}

/// SEQUENCE.
pub(crate) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

/// SET with parts in the given order.
pub(crate) fn set(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x31, &parts.concat())
}

/// Context-specific, constructed (EXPLICIT) tag.
pub(crate) fn explicit(number: u8, content: &[u8]) -> Vec<u8> {
    tlv(0xa0 | number, content)
}

/// OBJECT IDENTIFIER.
pub(crate) fn oid(oid: ObjectIdentifier) -> Vec<u8> {
    tlv(0x06, oid.as_bytes())
}

/// Non-negative INTEGER from big-endian bytes.
pub(crate) fn unsigned(bytes: &[u8]) -> Vec<u8> {
    let skip = bytes.iter().take_while(|&&byte| byte == 0).count();
    let mut content = Vec::new();
    let significant = bytes.get(skip..).unwrap_or_default();
    if significant.first().is_none_or(|&first| first >= 0x80) {
        content.push(0);
    }
    content.extend_from_slice(significant);
    tlv(0x02, &content)
}

/// BIT STRING of whole bytes.
pub(crate) fn bit_string(bytes: &[u8]) -> Vec<u8> {
    tlv(0x03, &[&[0], bytes].concat())
}

/// OCTET STRING.
pub(crate) fn octet_string(bytes: &[u8]) -> Vec<u8> {
    tlv(0x04, bytes)
}

/// NULL.
pub(crate) fn null() -> Vec<u8> {
    tlv(0x05, &[])
}

/// BOOLEAN.
pub(crate) fn boolean_true() -> Vec<u8> {
    tlv(0x01, &[0xff])
}

/// `Time` as RFC 5280 wants it: UTCTime until 2049, GeneralizedTime after.
pub(crate) fn time(moment: Timestamp) -> der::Result<Vec<u8>> {
    let seconds = u64::try_from(moment.as_second()).unwrap_or_default();
    let since_epoch = std::time::Duration::from_secs(seconds);
    match der::asn1::UtcTime::from_unix_duration(since_epoch) {
        Ok(time) => time.to_der(),
        Err(_) => der::asn1::GeneralizedTime::from_unix_duration(since_epoch)?.to_der(),
    }
}

/// `Extension`.
pub(crate) fn extension(kind: ObjectIdentifier, critical: Critical, value: &[u8]) -> Vec<u8> {
    let value = octet_string(value);
    match critical {
        Critical::Yes => sequence(&[&oid(kind), &boolean_true(), &value]),
        Critical::No => sequence(&[&oid(kind), &value]),
    }
}

/// Is an extension marked critical?
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Critical {
    Yes,
    No,
}
