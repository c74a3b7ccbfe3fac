//! The parts of a CRL on the wire (RFC 5280 §5.1).

use der::{
    Decode, Reader, SliceReader, Tag,
    asn1::{AnyRef, GeneralizedTime, ObjectIdentifier, UintRef},
};
use jiff::Timestamp;

use super::certificate::{explicit, time};
use super::crl::CrlError;
use super::extensions::RawExtension;
use super::revocation::RevocationReason;

const REASON_CODE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.21");
const INVALIDITY_DATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.24");

/// The fields of a `TBSCertList`: raw TLVs, and the content of the SEQUENCE of entries.
pub(super) struct TbsFields<'a> {
    pub(super) algorithm: &'a [u8],
    pub(super) issuer: &'a [u8],
    pub(super) this_update: Timestamp,
    pub(super) next_update: Option<Timestamp>,
    pub(super) entries: &'a [u8],
    pub(super) extensions: Option<&'a [u8]>,
}

impl<'a> TbsFields<'a> {
    pub(super) fn read(tbs: &'a [u8]) -> der::Result<Self> {
        let mut reader = SliceReader::new(tbs)?;
        let fields = reader.sequence(|reader| {
            // Version 2; Go reads no other.
            if reader.decode::<u8>()? != 1 {
                return Err(Tag::Integer.value_error().into());
            }
            let algorithm = reader.tlv_bytes()?;
            let issuer = reader.tlv_bytes()?;
            let this_update = time(reader)?;
            let next_update = match reader.peek_byte() {
                Some(0x17 | 0x18) => Some(time(reader)?),
                _ => None,
            };
            let entries = match reader.peek_byte() {
                Some(0x30) => reader.decode::<AnyRef<'_>>()?.value(),
                _ => &[],
            };
            let extensions = explicit(reader, 0xa0, |reader| reader.tlv_bytes())?;
            Ok::<_, der::Error>(Self {
                algorithm,
                issuer,
                this_update,
                next_update,
                entries,
                extensions,
            })
        })?;
        reader.finish()?;
        Ok(fields)
    }
}

/// One revoked certificate.
pub(super) struct Entry<'a> {
    pub(super) serial: &'a [u8],
    pub(super) date: Timestamp,
    extensions: Option<&'a [u8]>,
}

/// What the extensions of an entry say.
pub(super) struct Details {
    pub(super) reason: Option<RevocationReason>,
    pub(super) invalidity: Option<Timestamp>,
}

impl Entry<'_> {
    pub(super) fn details(&self) -> Result<Details, CrlError> {
        let malformed = |cause| CrlError::Malformed { cause };
        let mut details = Details { reason: None, invalidity: None };
        let Some(extensions) = self.extensions else { return Ok(details) };
        for extension in RawExtension::list(extensions)? {
            match extension.oid {
                REASON_CODE => {
                    details.reason = Some(reason(extension.value).map_err(malformed)?);
                }
                INVALIDITY_DATE => {
                    details.invalidity = Some(date(extension.value).map_err(malformed)?);
                }
                other if extension.critical => {
                    return Err(CrlError::UnknownCritical { extension: other });
                }
                _ => {}
            }
        }
        Ok(details)
    }
}

/// `CRLReason ::= ENUMERATED`
pub(super) fn reason(der: &[u8]) -> der::Result<RevocationReason> {
    let any = AnyRef::from_der(der)?;
    match (der::Tagged::tag(&any), any.value()) {
        (Tag::Enumerated, [code]) => Ok(RevocationReason::new(*code)),
        (tag, _) => Err(tag.value_error().into()),
    }
}

/// `InvalidityDate ::= GeneralizedTime`
pub(super) fn date(der: &[u8]) -> der::Result<Timestamp> {
    GeneralizedTime::from_der(der)?;
    let mut reader = SliceReader::new(der)?;
    time(&mut reader)
}

/// Walks over the entries; ends after the first that can't be read.
pub(super) struct Entries<'a> {
    reader: Option<der::Result<SliceReader<'a>>>,
}

impl<'a> Entries<'a> {
    pub(super) fn new(content: &'a [u8]) -> Self {
        // `der` reads no empty documents.
        Self { reader: (!content.is_empty()).then(|| SliceReader::new(content)) }
    }

    fn read(reader: &mut SliceReader<'a>) -> der::Result<Entry<'a>> {
        reader.sequence(|reader| {
            let serial: UintRef<'_> = reader.decode()?;
            let date = time(reader)?;
            let extensions = match reader.peek_byte() {
                Some(0x30) => Some(reader.tlv_bytes()?),
                _ => None,
            };
            Ok(Entry { serial: serial.as_bytes(), date, extensions })
        })
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = der::Result<Entry<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = match self.reader.take()? {
            Ok(reader) if reader.is_finished() => return None,
            Ok(mut reader) => {
                let entry = Self::read(&mut reader);
                self.reader = entry.is_ok().then_some(Ok(reader));
                entry
            }
            Err(error) => Err(error),
        };
        Some(entry)
    }
}
