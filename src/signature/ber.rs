//! BER to DER, as far as CMS and PKCS#12 need it: timestamp tokens and key stores occur with
//! indefinite lengths, constructed strings and lengths with leading zeros (spec §6.3).
//!
//! What is DER already comes out unchanged, certificates in particular.

use der::{ErrorKind, Tag};

/// Deepest nesting; real tokens stay below 20.
const MAX_DEPTH: usize = 32;

/// Rewrites one BER value as DER. Only lengths and constructed OCTET STRINGs are changed; values
/// are not looked at.
pub(crate) fn to_der(bytes: &[u8]) -> der::Result<Vec<u8>> {
    let mut reader = Reader { bytes, at: 0 };
    let mut out = Vec::with_capacity(bytes.len());
    reader.value(0, &mut out)?;
    if reader.at == bytes.len() { Ok(out) } else { Err(failed()) }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

#[derive(Clone, Copy)]
enum Length {
    Definite(usize),
    Indefinite,
}

impl<'a> Reader<'a> {
    fn byte(&mut self) -> der::Result<u8> {
        let byte = *self.bytes.get(self.at).ok_or_else(failed)?;
        self.at += 1;
        Ok(byte)
    }

    fn take(&mut self, count: usize) -> der::Result<&'a [u8]> {
        let end = self.at.checked_add(count).ok_or_else(failed)?;
        let taken = self.bytes.get(self.at..end).ok_or_else(failed)?;
        self.at = end;
        Ok(taken)
    }

    fn value(&mut self, depth: usize, out: &mut Vec<u8>) -> der::Result<()> {
        if depth > MAX_DEPTH {
            return Err(failed());
        }
        let tag = self.byte()?;
        if tag & 0x1f == 0x1f {
            // Tag numbers above 30 occur nowhere in CMS.
            return Err(failed());
        }
        let length = self.length()?;
        if tag & 0x20 == 0 {
            let Length::Definite(length) = length else { return Err(failed()) };
            let content = self.take(length)?;
            write(tag, content, out);
            return Ok(());
        }
        let mut content = Vec::new();
        self.children(depth, length, &mut content)?;
        if tag == CONSTRUCTED_OCTET_STRING {
            write(OCTET_STRING, &concatenated(&content)?, out);
        } else {
            write(tag, &content, out);
        }
        Ok(())
    }

    fn children(&mut self, depth: usize, length: Length, out: &mut Vec<u8>) -> der::Result<()> {
        match length {
            Length::Definite(length) => {
                let mut inner = Reader { bytes: self.take(length)?, at: 0 };
                while inner.at < inner.bytes.len() {
                    inner.value(depth + 1, out)?;
                }
            }
            Length::Indefinite => {
                while !self.bytes.get(self.at..).unwrap_or_default().starts_with(&END_OF_CONTENT) {
                    self.value(depth + 1, out)?;
                }
                self.take(END_OF_CONTENT.len())?;
            }
        }
        Ok(())
    }

    fn length(&mut self) -> der::Result<Length> {
        let first = self.byte()?;
        match first {
            0x80 => Ok(Length::Indefinite),
            0x81..=0xff => {
                let bytes = self.take(usize::from(first & 0x7f))?;
                bytes
                    .iter()
                    .try_fold(0usize, |length, &byte| {
                        length.checked_mul(256)?.checked_add(usize::from(byte))
                    })
                    .map(Length::Definite)
                    .ok_or_else(failed)
            }
            short => Ok(Length::Definite(usize::from(short))),
        }
    }
}

const OCTET_STRING: u8 = 0x04;
const CONSTRUCTED_OCTET_STRING: u8 = 0x24;
const END_OF_CONTENT: [u8; 2] = [0, 0];

fn write(tag: u8, content: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&crate::signature::x509::der_write::tlv(tag, content));
}

/// The contents of a row of OCTET STRINGs, already in DER.
fn concatenated(mut segments: &[u8]) -> der::Result<Vec<u8>> {
    let mut out = Vec::new();
    while !segments.is_empty() {
        let mut reader = Reader { bytes: segments, at: 0 };
        if reader.byte()? != OCTET_STRING {
            return Err(failed());
        }
        let Length::Definite(length) = reader.length()? else { return Err(failed()) };
        out.extend_from_slice(reader.take(length)?);
        segments = segments.get(reader.at..).unwrap_or_default();
    }
    Ok(out)
}

fn failed() -> der::Error {
    ErrorKind::Length { tag: Tag::Sequence }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indefinite_lengths_and_constructed_strings_become_der() {
        let table: [(&[u8], &[u8]); 6] = [
            (&[0x30, 0x03, 0x02, 0x01, 0x05], &[0x30, 0x03, 0x02, 0x01, 0x05]),
            (&[0x30, 0x80, 0x02, 0x01, 0x05, 0, 0], &[0x30, 0x03, 0x02, 0x01, 0x05]),
            (&[0x30, 0x81, 0x03, 0x02, 0x01, 0x05], &[0x30, 0x03, 0x02, 0x01, 0x05]),
            (&[0x04, 0x82, 0x00, 0x01, 0xaa], &[0x04, 0x01, 0xaa]),
            (&[0x24, 0x80, 0x04, 0x01, 0xaa, 0x04, 0x01, 0xbb, 0, 0], &[0x04, 0x02, 0xaa, 0xbb]),
            // Nested constructed strings.
            (&[0x24, 0x05, 0x24, 0x03, 0x04, 0x01, 0xaa], &[0x04, 0x01, 0xaa]),
        ];
        for (ber, der) in table {
            assert_eq!(to_der(ber).unwrap(), der, "{ber:02x?}");
        }
    }

    #[test]
    fn malformed_ber_is_refused() {
        let deep = [0x30, 0x80].repeat(10_000);
        let table: [&[u8]; 9] = [
            &[],
            &[0x30],
            &[0x30, 0x80],
            &[0x30, 0x05, 0x02, 0x01, 0x05],
            &[0x04, 0x80, 0, 0],
            &[0x24, 0x03, 0x02, 0x01, 0x05],
            &[0x1f, 0x81, 0x00],
            &[0x04, 0xff],
            &[0x30, 0x00, 0x00],
        ];
        for ber in table {
            to_der(ber).unwrap_err();
        }
        to_der(&deep).unwrap_err();
    }
}
