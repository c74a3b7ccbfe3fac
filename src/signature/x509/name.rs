//! Distinguished names in the terms of Go's `pkix.Name`, as spec §5.3 (certificate side) wants.

use std::fmt;

use der::{
    Reader, SliceReader, Tag,
    asn1::{AnyRef, ObjectIdentifier},
};

use super::certificate::CertificateError;

/// A name of a certificate: the received bytes, and its attributes in order.
///
/// Multi-valued RDNs are flattened, as Go does: `C=US+O=Acme` and `C=US, O=Acme` are the same to
/// an identity check. Comparing names of issuer and subject uses [`Self::der`] instead.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DistinguishedName {
    der: Vec<u8>,
    attributes: Vec<Attribute>,
}

/// One attribute of a name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Attribute {
    kind: ObjectIdentifier,
    value: String,
}

/// Why the identity of a subject can't be compared with a policy.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// An attribute type occurs more than once (N-04).
    #[error("subject has more than one {kind}")]
    Duplicate {
        /// The attribute type's short name or dotted OID.
        kind: String,
    },
    /// A value holds `=#`; notation takes the whole name for one with binary values.
    #[error("value of {kind} contains \"=#\"")]
    AmbiguousValue {
        /// The attribute type's short name or dotted OID.
        kind: String,
    },
}

/// Attribute types that have a name in `pkix.Name`; all others are called by their OID. In the
/// order in which Go puts them into a sequence; its text form is the reverse.
const NAMED: [(&str, ObjectIdentifier); 9] = [
    ("C", ObjectIdentifier::new_unwrap("2.5.4.6")),
    ("ST", ObjectIdentifier::new_unwrap("2.5.4.8")),
    ("L", ObjectIdentifier::new_unwrap("2.5.4.7")),
    ("STREET", ObjectIdentifier::new_unwrap("2.5.4.9")),
    ("POSTALCODE", ObjectIdentifier::new_unwrap("2.5.4.17")),
    ("O", ObjectIdentifier::new_unwrap("2.5.4.10")),
    ("OU", ObjectIdentifier::new_unwrap("2.5.4.11")),
    ("CN", ObjectIdentifier::new_unwrap("2.5.4.3")),
    ("SERIALNUMBER", ObjectIdentifier::new_unwrap("2.5.4.5")),
];

impl DistinguishedName {
    /// Reads a DER `Name`.
    ///
    /// ```asn1
    /// Name ::= SEQUENCE OF SET OF SEQUENCE { type OBJECT IDENTIFIER, value ANY }
    /// ```
    ///
    /// # Errors
    /// When it is not one, or a value is not a character string (Go refuses those too).
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let malformed = |cause| CertificateError::malformed("name", cause);
        let mut reader = SliceReader::new(der).map_err(malformed)?;
        let attributes = reader
            .sequence(|reader| {
                let mut attributes = Vec::new();
                while !reader.is_finished() {
                    let header = reader.decode::<der::Header>()?;
                    header.tag().assert_eq(Tag::Set)?;
                    reader.read_nested(header.length(), |reader| {
                        while !reader.is_finished() {
                            attributes.push(reader.sequence(|reader| {
                                let kind: ObjectIdentifier = reader.decode()?;
                                let value: AnyRef<'_> = reader.decode()?;
                                Ok::<_, der::Error>((kind, value))
                            })?);
                        }
                        Ok::<_, der::Error>(())
                    })?;
                }
                Ok::<_, der::Error>(attributes)
            })
            .map_err(malformed)?;
        reader.finish().map_err(malformed)?;
        let attributes = attributes
            .into_iter()
            .map(|(kind, value)| {
                text(value).map(|value| Attribute { kind, value }).ok_or(
                    CertificateError::Invalid {
                        part: "name",
                        what: "has a value that is not a character string",
                    },
                )
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { der: der.to_vec(), attributes })
    }

    /// The DER as received.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The attributes in the order they stand in.
    #[must_use]
    pub fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }

    /// The attributes, if this name is one that identities can be matched with.
    ///
    /// notation renders the subject as text and parses that again; names for which this fails
    /// there, or in which a later value silently wins, are errors here.
    ///
    /// # Errors
    /// Duplicate attribute types, or a value with `=#` in it.
    pub fn identity_attributes(&self) -> Result<&[Attribute], IdentityError> {
        for (index, attribute) in self.attributes.iter().enumerate() {
            let earlier = self.attributes.iter().take(index);
            if earlier.map(|earlier| earlier.kind).any(|kind| kind == attribute.kind) {
                return Err(IdentityError::Duplicate { kind: attribute.kind() });
            }
            if attribute.value.contains("=#") {
                return Err(IdentityError::AmbiguousValue { kind: attribute.kind() });
            }
        }
        Ok(&self.attributes)
    }

    /// Is the name empty?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.attributes.is_empty()
    }
}

impl Attribute {
    /// `C`, `ST`, `L`, `STREET`, `POSTALCODE`, `O`, `OU`, `CN`, `SERIALNUMBER`, or the dotted OID.
    #[must_use]
    pub fn kind(&self) -> String {
        NAMED
            .iter()
            .find(|(_, oid)| *oid == self.kind)
            .map_or_else(|| self.kind.to_string(), |(name, _)| (*name).to_owned())
    }

    /// The attribute type's OID.
    #[must_use]
    pub fn oid(&self) -> ObjectIdentifier {
        self.kind
    }

    /// The value as Unicode text.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }
}

/// The text notation prints: `CN=leaf,O=Notary,L=Seattle,ST=WA,C=US` (RFC 2253, Go's order).
impl fmt::Display for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (name, oid) in NAMED.iter().rev() {
            let mut values = self.attributes.iter().filter(|attribute| attribute.kind == *oid);
            // Go keeps one CN and one SERIALNUMBER, the last of each.
            if matches!(*name, "CN" | "SERIALNUMBER") {
                if let Some(attribute) = values.next_back() {
                    write!(f, "{separator}{name}={}", Escaped(&attribute.value))?;
                    separator = ",";
                }
                continue;
            }
            for attribute in values {
                write!(f, "{separator}{name}={}", Escaped(&attribute.value))?;
                separator = "+";
            }
            if separator == "+" {
                separator = ",";
            }
        }
        let named = |attribute: &&Attribute| NAMED.iter().all(|(_, oid)| *oid != attribute.kind);
        for attribute in self.attributes.iter().rev().filter(named) {
            write!(f, "{separator}{}={}", attribute.kind, Escaped(&attribute.value))?;
            separator = ",";
        }
        Ok(())
    }
}

/// A value with RFC 2253's escapes; control characters as RFC 4514 §2.4 allows, in hexadecimal.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = self.0.chars().count().saturating_sub(1);
        for (index, character) in self.0.chars().enumerate() {
            if character.is_control() {
                let mut bytes = [0; 4];
                for byte in character.encode_utf8(&mut bytes).bytes() {
                    write!(f, "\\{byte:02X}")?;
                }
                continue;
            }
            let escape = match character {
                ',' | '+' | '"' | '\\' | '<' | '>' | ';' => true,
                '#' => index == 0,
                ' ' => index == 0 || index == last,
                _ => false,
            };
            if escape {
                f.write_str("\\")?;
            }
            fmt::Write::write_char(f, character)?;
        }
        Ok(())
    }
}

/// The text of a `DirectoryString`-like value; `None` if it is of another type or not valid.
fn text(value: AnyRef<'_>) -> Option<String> {
    let bytes = value.value();
    let utf8 = || str::from_utf8(bytes).ok().map(str::to_owned);
    match der::Tagged::tag(&value) {
        Tag::Utf8String => utf8(),
        // Go tolerates '*' and '&' in these, many certificates have them.
        Tag::PrintableString => bytes.iter().all(|&byte| printable(byte)).then(utf8).flatten(),
        Tag::Ia5String => bytes.is_ascii().then(utf8).flatten(),
        Tag::NumericString => {
            bytes.iter().all(|byte| matches!(byte, b'0'..=b'9' | b' ')).then(utf8).flatten()
        }
        // T.61 is read as Latin-1 by everybody.
        Tag::TeletexString => Some(bytes.iter().copied().map(char::from).collect()),
        Tag::BmpString => bmp(bytes),
        _ => None,
    }
}

fn printable(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b" '()+,-./:=?*&".contains(&byte)
}

/// UTF-16, big endian; a terminating zero is dropped as Go drops it.
fn bmp(bytes: &[u8]) -> Option<String> {
    let (units, []) = bytes.as_chunks::<2>() else { return None };
    let mut units: Vec<u16> = units.iter().map(|&unit| u16::from_be_bytes(unit)).collect();
    if units.last() == Some(&0) {
        units.pop();
    }
    String::from_utf16(&units).ok()
}
