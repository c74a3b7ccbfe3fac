//! CMS `SignedData` (RFC 5652) in the shape timestamp tokens have. Raw slices, no re-encoding.

use der::{
    Reader, SliceReader, Tag,
    asn1::{AnyRef, ObjectIdentifier, OctetStringRef, UintRef},
};

use super::error::TimestampError;
use crate::image::digest::Algorithm as HashAlgorithm;
use crate::signature::x509::{Certificate, X509SignatureAlgorithm, explicit, hash_identifier};
use crate::signature::{crypto, oid};

const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
const TST_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");
const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
const SIGNING_CERTIFICATE_V2: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.47");

/// Most certificates a token may bring.
const MAX_CERTIFICATES: usize = 30;
/// Most signers a token may have; RFC 3161 allows one.
const MAX_SIGNERS: usize = 10;

/// The parts of a `SignedData`, as slices of the DER form of a token.
///
/// ```asn1
/// SignedData ::= SEQUENCE {
///     version, digestAlgorithms SET OF AlgorithmIdentifier,
///     encapContentInfo SEQUENCE { eContentType, eContent [0] EXPLICIT OCTET STRING },
///     certificates [0] IMPLICIT SET OF CertificateChoices OPTIONAL,
///     crls [1] IMPLICIT … OPTIONAL, signerInfos SET OF SignerInfo }
/// ```
pub(super) struct SignedData<'a> {
    /// DER of the `TSTInfo`.
    pub(super) content: &'a [u8],
    pub(super) certificates: Vec<Certificate>,
    pub(super) signers: Vec<SignerInfo<'a>>,
}

/// One signer.
///
/// ```asn1
/// SignerInfo ::= SEQUENCE {
///     version, sid SignerIdentifier, digestAlgorithm AlgorithmIdentifier,
///     signedAttrs [0] IMPLICIT SET OF Attribute OPTIONAL,
///     signatureAlgorithm AlgorithmIdentifier, signature OCTET STRING,
///     unsignedAttrs [1] IMPLICIT … OPTIONAL }
/// ```
pub(super) struct SignerInfo<'a> {
    identifier: CertificateReference<'a>,
    digest: AnyRef<'a>,
    /// Content of the SET, without its tag.
    signed_attributes: Option<&'a [u8]>,
    signature_algorithm: &'a [u8],
    signature: &'a [u8],
}

/// How a certificate is named.
#[derive(Clone, Copy)]
enum CertificateReference<'a> {
    IssuerAndSerial { issuer: &'a [u8], serial: &'a [u8] },
    SubjectKeyIdentifier(&'a [u8]),
}

impl<'a> SignedData<'a> {
    /// Takes the DER form of a token apart.
    pub(super) fn from_der(der: &'a [u8]) -> Result<Self, TimestampError> {
        let malformed = |cause| TimestampError::malformed("timestamp token", cause);
        let mut reader = SliceReader::new(der).map_err(malformed)?;
        let raw = reader
            .sequence(|reader| {
                let kind: ObjectIdentifier = reader.decode()?;
                let raw = explicit(reader, 0xa0, |reader| reader.sequence(Raw::read))?;
                Ok::<_, der::Error>((kind, raw))
            })
            .map_err(malformed)?;
        reader.finish().map_err(malformed)?;
        let invalid = |what| TimestampError::Invalid { part: "timestamp token", what };
        let (SIGNED_DATA, Some(raw)) = raw else {
            return Err(invalid("content type is not signed data"));
        };
        if raw.content_type != TST_INFO {
            return Err(invalid("content is not a timestamp info"));
        }
        if raw.certificates.len() > MAX_CERTIFICATES {
            return Err(invalid("too many certificates"));
        }
        if raw.signers.len() > MAX_SIGNERS {
            return Err(invalid("too many signers"));
        }
        let certificates =
            raw.certificates.into_iter().map(Certificate::from_der).collect::<Result<_, _>>()?;
        let content = raw.content.ok_or_else(|| invalid("there is no content"))?;
        Ok(Self { content, certificates, signers: raw.signers })
    }
}

struct Raw<'a> {
    content_type: ObjectIdentifier,
    content: Option<&'a [u8]>,
    certificates: Vec<&'a [u8]>,
    signers: Vec<SignerInfo<'a>>,
}

impl<'a> Raw<'a> {
    fn read(reader: &mut SliceReader<'a>) -> der::Result<Self> {
        let _version: AnyRef<'_> = reader.decode()?;
        let _digest_algorithms: AnyRef<'_> = reader.decode()?;
        let (content_type, content) = reader.sequence(|reader| {
            let content_type: ObjectIdentifier = reader.decode()?;
            let content = explicit(reader, 0xa0, |reader| reader.decode::<&OctetStringRef>())?;
            Ok::<_, der::Error>((content_type, content.map(OctetStringRef::as_bytes)))
        })?;
        let mut certificates = Vec::new();
        explicit(reader, 0xa0, |reader| {
            while !reader.is_finished() {
                // The other choices (attribute certificates, …) are context-specific.
                let is_certificate = reader.peek_byte() == Some(0x30);
                let certificate = reader.tlv_bytes()?;
                if is_certificate {
                    certificates.push(certificate);
                }
            }
            Ok(())
        })?;
        if reader.peek_byte() == Some(0xa1) {
            reader.tlv_bytes()?;
        }
        let mut signers = Vec::new();
        read_set(reader, |reader| {
            signers.push(reader.sequence(SignerInfo::read)?);
            Ok(())
        })?;
        Ok(Self { content_type, content, certificates, signers })
    }
}

impl<'a> SignerInfo<'a> {
    fn read(reader: &mut SliceReader<'a>) -> der::Result<Self> {
        let _version: AnyRef<'_> = reader.decode()?;
        let identifier = match reader.peek_byte() {
            Some(0x30) => reader.sequence(|reader| {
                let issuer = reader.tlv_bytes()?;
                let serial: UintRef<'_> = reader.decode()?;
                let serial = serial.as_bytes();
                Ok::<_, der::Error>(CertificateReference::IssuerAndSerial { issuer, serial })
            })?,
            _ => {
                let any: AnyRef<'_> = reader.decode()?;
                if !matches!(
                    der::Tagged::tag(&any),
                    Tag::ContextSpecific { constructed: false, .. }
                ) {
                    return Err(der::Tagged::tag(&any).value_error().into());
                }
                CertificateReference::SubjectKeyIdentifier(any.value())
            }
        };
        let digest = reader.decode()?;
        let signed_attributes = match reader.peek_byte() {
            Some(0xa0) => Some(reader.decode::<AnyRef<'_>>()?.value()),
            _ => None,
        };
        let signature_algorithm = reader.tlv_bytes()?;
        let signature: &OctetStringRef = reader.decode()?;
        if reader.peek_byte() == Some(0xa1) {
            reader.tlv_bytes()?;
        }
        let signature = signature.as_bytes();
        Ok(Self { identifier, digest, signed_attributes, signature_algorithm, signature })
    }

    /// Verifies that this signer signed the content, and returns its certificate.
    pub(super) fn verify<'c>(
        &self,
        content: &[u8],
        certificates: &'c [Certificate],
    ) -> Result<&'c Certificate, TimestampError> {
        let malformed = |cause| TimestampError::malformed("signer of the timestamp", cause);
        let invalid = |what| TimestampError::Invalid { part: "signer of the timestamp", what };
        let attributes =
            self.signed_attributes.ok_or_else(|| invalid("there are no signed attributes"))?;
        let attributes = SignedAttributes::read(attributes).map_err(malformed)?;
        if attributes.content_type()? != TST_INFO {
            return Err(invalid("signed content type is not a timestamp info"));
        }
        let digest = self.digest_algorithm()?;
        if attributes.message_digest()? != crypto::hash(digest, content) {
            return Err(TimestampError::DigestMismatch);
        }
        let reference = attributes.signing_certificate()?;
        let certificate = certificates
            .iter()
            .find(|certificate| {
                reference.issuer_and_serial.unwrap_or(self.identifier).names(certificate)
            })
            .ok_or(TimestampError::NoSigningCertificate)?;
        if crypto::hash(reference.hash, certificate.der()) != reference.digest {
            return Err(TimestampError::CertificateMismatch);
        }
        self.verify_signature(digest, certificate)?;
        Ok(certificate)
    }

    fn digest_algorithm(&self) -> Result<HashAlgorithm, TimestampError> {
        hash_identifier(self.digest)
            .map_err(|cause| TimestampError::malformed("digest algorithm", cause))?
            .ok_or(TimestampError::Invalid {
                part: "digest algorithm",
                what: "is none of SHA-256, SHA-384, SHA-512",
            })
    }

    /// The signature is over the attributes with the tag of a SET, not their implicit one.
    fn verify_signature(
        &self,
        digest: HashAlgorithm,
        certificate: &Certificate,
    ) -> Result<(), TimestampError> {
        let algorithm = match X509SignatureAlgorithm::from_der(self.signature_algorithm)? {
            // The key's OID alone: RSA PKCS#1 v1.5 with the digest algorithm, as OpenSSL writes.
            X509SignatureAlgorithm::Unknown(oid::RSA_ENCRYPTION) => {
                X509SignatureAlgorithm::RsaPkcs1(digest)
            }
            other => other,
        };
        let attributes = self.signed_attributes.unwrap_or_default();
        let signed = crate::signature::x509::der_write::tlv(0x31, attributes);
        algorithm.verify_strict(certificate.public_key(), &signed, self.signature)?;
        Ok(())
    }
}

impl CertificateReference<'_> {
    fn names(&self, certificate: &Certificate) -> bool {
        match self {
            Self::IssuerAndSerial { issuer, serial } => {
                certificate.issuer().der() == *issuer && certificate.serial() == *serial
            }
            Self::SubjectKeyIdentifier(identifier) => {
                certificate.subject_key_identifier() == Some(identifier)
            }
        }
    }
}

/// Attributes by type: the content of their SET of values.
///
/// ```asn1
/// Attribute ::= SEQUENCE { attrType OBJECT IDENTIFIER, attrValues SET OF ANY }
/// ```
struct SignedAttributes<'a>(Vec<(ObjectIdentifier, &'a [u8])>);

/// The first `ESSCertIDv2` of SigningCertificateV2 (RFC 5035).
struct SigningCertificate<'a> {
    hash: HashAlgorithm,
    digest: &'a [u8],
    issuer_and_serial: Option<CertificateReference<'a>>,
}

impl<'a> SignedAttributes<'a> {
    fn read(content: &'a [u8]) -> der::Result<Self> {
        let mut reader = SliceReader::new(content)?;
        let mut attributes = Vec::new();
        while !reader.is_finished() {
            attributes.push(reader.sequence(|reader| {
                let kind: ObjectIdentifier = reader.decode()?;
                let values: AnyRef<'_> = reader.decode()?;
                der::Tagged::tag(&values).assert_eq(Tag::Set)?;
                Ok::<_, der::Error>((kind, values.value()))
            })?);
        }
        Ok(Self(attributes))
    }

    /// The only value of an attribute that occurs once.
    fn single<T>(
        &self,
        kind: ObjectIdentifier,
        part: &'static str,
        read: impl FnOnce(&mut SliceReader<'a>) -> der::Result<T>,
    ) -> Result<T, TimestampError> {
        let mut found = self.0.iter().filter(|(other, _)| *other == kind);
        let values = match (found.next(), found.next()) {
            (Some((_, values)), None) => values,
            (None, _) => return Err(TimestampError::Invalid { part, what: "is missing" }),
            _ => return Err(TimestampError::Invalid { part, what: "occurs more than once" }),
        };
        let malformed = |cause| TimestampError::malformed(part, cause);
        let mut reader = SliceReader::new(values).map_err(malformed)?;
        let value = read(&mut reader).map_err(malformed)?;
        reader.finish().map_err(malformed)?;
        Ok(value)
    }

    fn content_type(&self) -> Result<ObjectIdentifier, TimestampError> {
        self.single(CONTENT_TYPE, "signed content type", |reader| reader.decode())
    }

    fn message_digest(&self) -> Result<&'a [u8], TimestampError> {
        self.single(MESSAGE_DIGEST, "signed message digest", |reader| {
            reader.decode::<&OctetStringRef>().map(OctetStringRef::as_bytes)
        })
    }

    /// SigningCertificateV2 is required; its predecessor with SHA-1 does not count (spec §6.3).
    fn signing_certificate(&self) -> Result<SigningCertificate<'a>, TimestampError> {
        let part = "signing certificate attribute";
        let (hash, digest, reference) =
            self.single(SIGNING_CERTIFICATE_V2, part, read_signing_certificate)?;
        let hash = hash
            .map_or(Ok(Some(HashAlgorithm::Sha256)), hash_identifier)
            .map_err(|cause| TimestampError::malformed(part, cause))?
            .ok_or(TimestampError::Invalid { part, what: "hash is not supported" })?;
        Ok(SigningCertificate { hash, digest, issuer_and_serial: reference })
    }
}

type RawSigningCertificate<'a> = (Option<AnyRef<'a>>, &'a [u8], Option<CertificateReference<'a>>);

/// ```asn1
/// SigningCertificateV2 ::= SEQUENCE { certs SEQUENCE OF ESSCertIDv2, policies … OPTIONAL }
/// ESSCertIDv2 ::= SEQUENCE {
///     hashAlgorithm AlgorithmIdentifier DEFAULT sha256, certHash OCTET STRING,
///     issuerSerial SEQUENCE { issuer GeneralNames, serialNumber INTEGER } OPTIONAL }
/// ```
fn read_signing_certificate<'a>(
    reader: &mut SliceReader<'a>,
) -> der::Result<RawSigningCertificate<'a>> {
    reader.sequence(|reader| {
        let first = reader.sequence(|reader| {
            let first = reader.sequence(|reader| {
                let hash = match reader.peek_byte() {
                    Some(0x30) => Some(reader.decode()?),
                    _ => None,
                };
                let digest: &OctetStringRef = reader.decode()?;
                let reference = match reader.peek_byte() {
                    Some(_) => Some(reader.sequence(read_issuer_serial)?),
                    None => None,
                };
                Ok::<_, der::Error>((hash, digest.as_bytes(), reference))
            })?;
            skip_rest(reader)?;
            Ok::<_, der::Error>(first)
        })?;
        skip_rest(reader)?;
        Ok(first)
    })
}

fn read_issuer_serial<'a>(reader: &mut SliceReader<'a>) -> der::Result<CertificateReference<'a>> {
    let issuer = reader.sequence(|reader| {
        // Only a directory name can be compared with a certificate's issuer.
        let name = explicit(reader, 0xa4, |reader| reader.tlv_bytes())?;
        name.ok_or_else(|| der::Error::from(Tag::Sequence.value_error()))
    })?;
    let serial: UintRef<'_> = reader.decode()?;
    Ok(CertificateReference::IssuerAndSerial { issuer, serial: serial.as_bytes() })
}

fn skip_rest(reader: &mut SliceReader<'_>) -> der::Result<()> {
    while !reader.is_finished() {
        reader.tlv_bytes()?;
    }
    Ok(())
}

/// Reads every element of a SET; their order is not looked at.
fn read_set<'a>(
    reader: &mut SliceReader<'a>,
    mut element: impl FnMut(&mut SliceReader<'a>) -> der::Result<()>,
) -> der::Result<()> {
    let header = reader.decode::<der::Header>()?;
    header.tag().assert_eq(Tag::Set)?;
    reader.read_nested(header.length(), |reader| {
        while !reader.is_finished() {
            element(reader)?;
        }
        Ok(())
    })
}
