//! The strict gate before the CBOR library (spec §3.4).
//!
//! The library behind `coset` accepts indefinite lengths and duplicate map keys, and recurses as
//! deep as the input says. This walker refuses what go-cose and notation refuse, before anything
//! else looks at the bytes. Canonical encoding is *not* demanded: other encoders exist.

use std::collections::HashSet;

use super::MAX_DEPTH;

/// Most elements of an array or pairs of a map; fxamacker/cbor, which notation uses, has the same
/// limit.
const MAX_ELEMENTS: u64 = 131_072;

/// Levels around the unprotected headers: the tag and the array.
const OUTER_LEVELS: usize = 2;

/// Tag 18 in short form, array of four: how every `COSE_Sign1_Tagged` starts.
const SIGN1_PREFIX: [u8; 2] = [0xd2, 0x84];

/// Why CBOR was refused, and where.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("CBOR of the {part} {problem} at byte {offset}")]
pub struct CborError {
    /// The part of the envelope the offset counts from.
    pub part: &'static str,
    /// Offset of the offending item.
    pub offset: usize,
    /// What is wrong.
    pub problem: CborProblem,
}

/// What is wrong with CBOR.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CborProblem {
    /// Ends in the middle of an item.
    #[error("is truncated")]
    Truncated,
    /// Something follows.
    #[error("is followed by other data")]
    Trailing,
    /// A length that is not known beforehand.
    #[error("has an indefinite length")]
    IndefiniteLength,
    /// A head no well-formed CBOR has, or a simple value without meaning.
    #[error("is not well-formed")]
    Malformed,
    /// Text that is not UTF-8.
    #[error("has text that is not UTF-8")]
    NotUtf8,
    /// The same key twice in one map.
    #[error("has a duplicate map key")]
    DuplicateKey,
    /// A map key that is neither a 64-bit integer nor text; Go can't have those as keys.
    #[error("has a map key of an unusual type")]
    UnusualKey,
    /// A tag around content it can't have.
    #[error("has a tag with content of the wrong type")]
    TagContent,
    /// Nested too deeply.
    #[error("is nested too deeply")]
    TooDeep,
    /// An array or a map with too many elements.
    #[error("has too many elements")]
    TooMany,
    /// Another type than the structure demands.
    #[error("is not {expected}")]
    Expected {
        /// What belongs there.
        expected: &'static str,
    },
}

/// The elements of a `COSE_Sign1` that are used as they stand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sign1<'a> {
    pub(super) payload: &'a [u8],
    pub(super) signature: &'a [u8],
}

/// Checks that `bytes` is one tagged `COSE_Sign1` in strict CBOR and nothing more.
///
/// ```cddl
/// COSE_Sign1_Tagged = #6.18([ protected: bstr .cbor map, unprotected: map,
///                             payload: bstr, signature: bstr ])
/// ```
pub(super) fn check(bytes: &[u8]) -> Result<Sign1<'_>, CborError> {
    let mut gate = Gate { bytes, at: 0, part: "envelope" };
    if !bytes.starts_with(&SIGN1_PREFIX) {
        return Err(gate.expected("a tagged COSE_Sign1"));
    }
    gate.at = SIGN1_PREFIX.len();
    let protected = gate.byte_string("protected header")?;
    if gate.peek_major() != Some(Major::Map) {
        return Err(gate.expected("a map of unprotected headers"));
    }
    gate.item(OUTER_LEVELS)?;
    let payload = gate.byte_string("payload")?;
    let signature = gate.byte_string("signature")?;
    gate.end()?;
    if !protected.is_empty() {
        let mut gate = Gate { bytes: protected, at: 0, part: "protected header" };
        if gate.peek_major() != Some(Major::Map) {
            return Err(gate.expected("a map"));
        }
        gate.item(0)?;
        gate.end()?;
    }
    if payload.is_empty() {
        return Err(gate.expected("a payload with content"));
    }
    if signature.is_empty() {
        return Err(gate.expected("a signature with content"));
    }
    Ok(Sign1 { payload, signature })
}

#[derive(Clone, Copy, PartialEq)]
enum Major {
    Unsigned,
    Negative,
    Bytes,
    Text,
    Array,
    Map,
    Tag,
    Simple,
}

struct Gate<'a> {
    bytes: &'a [u8],
    at: usize,
    part: &'static str,
}

/// What a map key is, whatever way it is encoded.
#[derive(Eq, Hash, PartialEq)]
enum Key<'a> {
    Unsigned(u64),
    Negative(u64),
    Text(&'a [u8]),
}

impl<'a> Gate<'a> {
    fn error(&self, problem: CborProblem) -> CborError {
        CborError { part: self.part, offset: self.at, problem }
    }

    fn expected(&self, expected: &'static str) -> CborError {
        self.error(CborProblem::Expected { expected })
    }

    fn end(&self) -> Result<(), CborError> {
        if self.at == self.bytes.len() { Ok(()) } else { Err(self.error(CborProblem::Trailing)) }
    }

    fn take(&mut self, count: u64) -> Result<&'a [u8], CborError> {
        let taken = usize::try_from(count)
            .ok()
            .and_then(|count| self.at.checked_add(count))
            .and_then(|end| self.bytes.get(self.at..end));
        let Some(taken) = taken else { return Err(self.error(CborProblem::Truncated)) };
        self.at += taken.len();
        Ok(taken)
    }

    fn peek_major(&self) -> Option<Major> {
        self.bytes.get(self.at).map(|byte| major(*byte))
    }

    /// Major type, additional information and argument of the next head.
    fn head(&mut self) -> Result<(Major, u8, u64), CborError> {
        let start = self.at;
        let Some(&byte) = self.bytes.get(self.at) else {
            return Err(self.error(CborProblem::Truncated));
        };
        self.at += 1;
        let information = byte & 0x1f;
        let width = match information {
            0..=23 => return Ok((major(byte), information, u64::from(information))),
            24 => 1,
            25 => 2,
            26 => 4,
            27 => 8,
            31 => {
                self.at = start;
                return Err(self.error(CborProblem::IndefiniteLength));
            }
            _ => {
                self.at = start;
                return Err(self.error(CborProblem::Malformed));
            }
        };
        let argument =
            self.take(width)?.iter().fold(0u64, |number, &byte| number << 8 | u64::from(byte));
        Ok((major(byte), information, argument))
    }

    fn byte_string(&mut self, what: &'static str) -> Result<&'a [u8], CborError> {
        let start = self.at;
        let (Major::Bytes, _, length) = self.head()? else {
            self.at = start;
            return Err(self.expected(what));
        };
        self.take(length)
    }

    /// Walks over one item.
    fn item(&mut self, depth: usize) -> Result<(), CborError> {
        let start = self.at;
        let (major, information, argument) = self.head()?;
        if matches!(major, Major::Array | Major::Map | Major::Tag) && depth >= MAX_DEPTH {
            return Err(self.error(CborProblem::TooDeep));
        }
        if matches!(major, Major::Array | Major::Map) && argument > MAX_ELEMENTS {
            return Err(self.error(CborProblem::TooMany));
        }
        match major {
            Major::Unsigned | Major::Negative => Ok(()),
            Major::Bytes => self.take(argument).map(drop),
            Major::Text => self.text(argument).map(drop),
            Major::Array => {
                for _ in 0..argument {
                    self.item(depth + 1)?;
                }
                Ok(())
            }
            Major::Map => self.map(argument, depth),
            Major::Tag => self.tag(argument, depth),
            Major::Simple => match information {
                // false, true, null, undefined; half, single and double precision.
                20..=23 | 25..=27 => Ok(()),
                _ => {
                    self.at = start;
                    Err(self.error(CborProblem::Malformed))
                }
            },
        }
    }

    fn text(&mut self, length: u64) -> Result<&'a [u8], CborError> {
        let start = self.at;
        let text = self.take(length)?;
        if str::from_utf8(text).is_err() {
            self.at = start;
            return Err(self.error(CborProblem::NotUtf8));
        }
        Ok(text)
    }

    fn map(&mut self, pairs: u64, depth: usize) -> Result<(), CborError> {
        let mut seen = HashSet::new();
        for _ in 0..pairs {
            let start = self.at;
            let key = match self.head()? {
                (Major::Unsigned, _, number) => Key::Unsigned(number),
                (Major::Negative, _, number) if i64::try_from(number).is_ok() => {
                    Key::Negative(number)
                }
                (Major::Text, _, length) => Key::Text(self.text(length)?),
                _ => {
                    self.at = start;
                    return Err(self.error(CborProblem::UnusualKey));
                }
            };
            if !seen.insert(key) {
                self.at = start;
                return Err(self.error(CborProblem::DuplicateKey));
            }
            self.item(depth + 1)?;
        }
        Ok(())
    }

    /// Tags 0 to 3 have content of a certain type (RFC 8949 §3.4.1 to §3.4.3).
    fn tag(&mut self, tag: u64, depth: usize) -> Result<(), CborError> {
        let content = self.peek_major();
        let fits = match tag {
            0 => content == Some(Major::Text),
            1 => matches!(content, Some(Major::Unsigned | Major::Negative | Major::Simple)),
            2 | 3 => content == Some(Major::Bytes),
            _ => true,
        };
        if !fits {
            return Err(self.error(CborProblem::TagContent));
        }
        self.item(depth + 1)
    }
}

fn major(byte: u8) -> Major {
    match byte >> 5 {
        0 => Major::Unsigned,
        1 => Major::Negative,
        2 => Major::Bytes,
        3 => Major::Text,
        4 => Major::Array,
        5 => Major::Map,
        6 => Major::Tag,
        _ => Major::Simple,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// protected {1: -7}, no unprotected headers, payload "p", signature "s".
    const GOOD: [u8; 11] = [0xd2, 0x84, 0x43, 0xa1, 0x01, 0x26, 0xa0, 0x41, b'p', 0x41, b's'];

    fn with_unprotected(map: &[u8]) -> Result<(), CborProblem> {
        let bytes = [&GOOD[..6], map, &GOOD[7..]].concat();
        check(&bytes).map(drop).map_err(|error| error.problem)
    }

    #[test]
    fn elements_of_a_sign1() {
        let parts = check(&GOOD).unwrap();
        assert_eq!((parts.payload, parts.signature), (&b"p"[..], &b"s"[..]));
        for length in 0..GOOD.len() {
            check(&GOOD[..length]).unwrap_err();
        }
        let trailing = [&GOOD[..], &[0]].concat();
        assert_eq!(check(&trailing).unwrap_err().problem, CborProblem::Trailing);
    }

    #[test]
    fn what_the_gate_refuses() {
        let table: &[(&[u8], CborProblem)] = &[
            (&[0xbf, 0xff], CborProblem::IndefiniteLength),
            (&[0xa1, 0x0a, 0x5f, 0xff], CborProblem::IndefiniteLength),
            (&[0xa2, 0x0a, 0x00, 0x0a, 0x00], CborProblem::DuplicateKey),
            // 10 and 10 in two bytes, "a" and "a" with a one-byte length.
            (&[0xa2, 0x0a, 0x00, 0x18, 0x0a, 0x00], CborProblem::DuplicateKey),
            (&[0xa2, 0x61, b'a', 0x00, 0x78, 0x01, b'a', 0x00], CborProblem::DuplicateKey),
            (&[0xa1, 0x0a, 0xa2, 0x01, 0x00, 0x01, 0x00], CborProblem::DuplicateKey),
            (&[0xa1, 0xf9, 0x3c, 0x00, 0x00], CborProblem::UnusualKey),
            (&[0xa1, 0x0a, 0x61, 0xff], CborProblem::NotUtf8),
            (&[0xa1, 0x0a, 0xc1, 0x60], CborProblem::TagContent),
            (&[0xa1, 0x0a, 0xf8, 0xff], CborProblem::Malformed),
            (&[0xa1, 0x0a, 0x1c], CborProblem::Malformed),
            // 2^63 pairs, 2^32 bytes.
            (&[0xbb, 0x80, 0, 0, 0, 0, 0, 0, 0], CborProblem::TooMany),
            (&[0xa1, 0x0a, 0x9a, 0, 2, 0, 1], CborProblem::TooMany),
            (&[0xa1, 0x0a, 0x9a, 0, 2, 0, 0], CborProblem::Truncated),
            (&[0xa1, 0x41, b'a', 0x00], CborProblem::UnusualKey),
            (&[0xa1, 0x3b, 0x80, 0, 0, 0, 0, 0, 0, 0, 0], CborProblem::UnusualKey),
            (&[0xa1, 0x0a, 0x5a, 0xff, 0xff, 0xff, 0xff], CborProblem::Truncated),
        ];
        for (map, problem) in table {
            assert_eq!(with_unprotected(map), Err(*problem), "{map:02x?}");
        }
        // 10 and -11 share the argument, not the sign; a bignum is a fine value.
        with_unprotected(&[0xa2, 0x0a, 0x00, 0x2a, 0xc2, 0x41, 0x01]).unwrap();
    }

    #[test]
    fn n24_depth() {
        let nested = |depth: usize| {
            let mut map = vec![0xa1, 0x0a];
            map.extend(vec![0x81; depth]);
            map.push(0x00);
            with_unprotected(&map)
        };
        // The tag, the array and the map are levels too.
        nested(MAX_DEPTH - 3).unwrap();
        assert_eq!(nested(MAX_DEPTH - 2), Err(CborProblem::TooDeep));
        assert_eq!(nested(100_000), Err(CborProblem::TooDeep));
    }
}
