//! The few fields of a tar header that decide where entries end.

/// Size of a header, and the unit of padding.
pub(super) const BLOCK: usize = 512;

/// What a header block says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) size: u64,
    /// The name in the header itself ends in `/`.
    pub(super) is_directory_name: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// `x`: PAX records for the next header.
    Pax,
    /// `g`: PAX records for all that follow.
    PaxGlobal,
    /// `L`: GNU long name.
    LongName,
    /// `K`: GNU long link.
    LongLink,
    /// `S`: GNU sparse file.
    Sparse,
    /// `1` to `6`: never has a payload.
    HeaderOnly,
    /// NUL, the oldest form: a directory if the name ends in `/`.
    Old,
    /// Anything else.
    Payload,
}

/// Why a block is no usable header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Malformed {
    Checksum,
    Size,
}

impl Header {
    pub(super) fn parse(block: &[u8; BLOCK]) -> Result<Self, Malformed> {
        if !checksum_is_right(block) {
            return Err(Malformed::Checksum);
        }
        let kind = match block[156] {
            b'x' => Kind::Pax,
            b'g' => Kind::PaxGlobal,
            b'L' => Kind::LongName,
            b'K' => Kind::LongLink,
            b'S' => Kind::Sparse,
            b'1'..=b'6' => Kind::HeaderOnly,
            0 => Kind::Old,
            _ => Kind::Payload,
        };
        let size = number(&block[124..136]).ok_or(Malformed::Size)?;
        let name = until_nul(&block[..100]);
        Ok(Self { kind, size, is_directory_name: name.ends_with(b"/") })
    }
}

/// The sum of all bytes with the checksum field as spaces; old writers summed signed bytes.
fn checksum_is_right(block: &[u8; BLOCK]) -> bool {
    let Some(expected) = octal(&block[148..156]) else { return false };
    let (mut unsigned, mut signed) = (0i64, 0i64);
    for (position, &byte) in block.iter().enumerate() {
        let byte = if (148..156).contains(&position) { b' ' } else { byte };
        unsigned += i64::from(byte);
        signed += i64::from(i8::from_ne_bytes([byte]));
    }
    i64::try_from(expected).is_ok_and(|expected| expected == unsigned || expected == signed)
}

/// A size field: octal digits, or base 256 if the top bit is set. Negative numbers are refused.
fn number(field: &[u8]) -> Option<u64> {
    let (&first, rest) = field.split_first()?;
    if first & 0x80 == 0 {
        return octal(field);
    }
    if first & 0x40 != 0 {
        return None;
    }
    rest.iter().try_fold(u64::from(first & 0x3f), |value, &byte| {
        Some(value.checked_mul(256)? | u64::from(byte))
    })
}

/// Spaces and NULs around the digits do not count; no digits are 0.
fn octal(field: &[u8]) -> Option<u64> {
    let is_filler = |byte: &u8| matches!(byte, b' ' | 0);
    let start = field.iter().position(|byte| !is_filler(byte)).unwrap_or(field.len());
    let end = field.iter().rposition(|byte| !is_filler(byte)).map_or(start, |last| last + 1);
    until_nul(&field[start..end]).iter().try_fold(0u64, |value, &digit| match digit {
        b'0'..=b'7' => Some(value.checked_mul(8)? + u64::from(digit - b'0')),
        _ => None,
    })
}

/// What the records of an `x` header say about the next entry.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct PaxRecords {
    pub(super) size: Option<u64>,
    /// Whether `path` ends in `/`, if there is one.
    pub(super) is_directory_name: Option<bool>,
    /// A `GNU.sparse.` record.
    pub(super) is_sparse: bool,
}

impl PaxRecords {
    /// Records have the form `LENGTH KEY=VALUE\n`. `None` if they are malformed.
    pub(super) fn parse(mut records: &[u8]) -> Option<Self> {
        let mut this = Self::default();
        while !records.is_empty() {
            let space = records.iter().position(|&byte| byte == b' ')?;
            let length = usize::try_from(decimal(&records[..space])?).ok()?;
            let (record, rest) = records.split_at_checked(length)?;
            records = rest;
            let text = record.get(space + 1..)?.strip_suffix(b"\n")?;
            let equals = text.iter().position(|&byte| byte == b'=')?;
            let (key, value) = (&text[..equals], &text[equals + 1..]);
            match key {
                b"size" if !value.is_empty() => this.size = Some(decimal(value)?),
                b"path" if !value.is_empty() => {
                    this.is_directory_name = Some(value.ends_with(b"/"));
                }
                _ => this.is_sparse |= key.starts_with(b"GNU.sparse."),
            }
        }
        Some(this)
    }
}

fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits[0] == b'+' {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// A C string in a field.
pub(super) fn until_nul(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|&byte| byte == 0).unwrap_or(field.len());
    &field[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_base_256() {
        let mut large = [0; 12];
        large[0] = 0x80;
        large[7] = 2;
        let mut overflow = [0xff; 12];
        overflow[0] = 0x80;
        for (field, expected) in [
            (&b"00000010000\0"[..], Some(4096)),
            (b" 17 \0\0", Some(15)),
            (b"\0\0\0", Some(0)),
            (b"12x", None),
            (b"8", None),
            (b"7\x009", Some(7)),
            (&large, Some(2 << 32)),
            (&overflow, None),
            (&[0xff; 12], None),
        ] {
            assert_eq!(number(field), expected, "{field:?}");
        }
    }

    #[test]
    fn pax_records() {
        let parse = |text: &str| PaxRecords::parse(text.as_bytes());
        let found = parse("11 size=123\n").map(|records| records.size);
        assert_eq!(found, None, "one byte too few");
        assert_eq!(parse("12 size=123\n").and_then(|r| r.size), Some(123));
        assert_eq!(parse("9 size=\n12 path=/a/\n").map(|r| r.is_directory_name), None);
        assert_eq!(parse("8 size=\n11 path=a/\n").and_then(|r| r.is_directory_name), Some(true));
        assert_eq!(parse("11 size=-1\n"), None);
        assert_eq!(parse("22 GNU.sparse.major=1\n").map(|r| r.is_sparse), Some(true));
        assert_eq!(parse(""), Some(PaxRecords::default()));
        for broken in ["x", "5", "99 a=b\n", "6 a=bc", "5 ab\n", "0 a=b\n", "3 a=b\n"] {
            assert_eq!(parse(broken), None, "{broken:?}");
        }
    }
}
