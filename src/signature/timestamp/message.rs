//! What is sent to a timestamping authority, and what comes back (spec §6.1).

use der::{
    Reader, SliceReader,
    asn1::{AnyRef, ObjectIdentifier},
};

use super::cms::SignedData;
use super::error::TimestampError;
use super::tst_info::TstInfo;
use super::verify::to_der;
use crate::image::digest::Algorithm as HashAlgorithm;
use crate::signature::crypto::{self, CryptoError};
use crate::signature::oid;
use crate::signature::x509::der_write as write;

/// A request for a timestamp of one signature.
///
/// ```asn1
/// TimeStampReq ::= SEQUENCE {
///     version INTEGER { v1(1) }, messageImprint MessageImprint,
///     reqPolicy OBJECT IDENTIFIER OPTIONAL, nonce INTEGER OPTIONAL,
///     certReq BOOLEAN DEFAULT FALSE, extensions [0] IMPLICIT Extensions OPTIONAL }
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    der: Vec<u8>,
    message: Vec<u8>,
    /// Big endian, without leading zeros.
    nonce: Vec<u8>,
}

impl Request {
    /// A request for `signature` (the bare signature of an envelope), hashed with the hash of its
    /// algorithm. It asks for the certificates and has a random nonce.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn new(signature: &[u8], hash: HashAlgorithm) -> Result<Self, CryptoError> {
        let mut nonce = crypto::random::<20>()?;
        // Below 2^159: twenty bytes that are positive as they stand.
        nonce[0] &= 0x7f;
        Ok(Self::with_nonce(signature, hash, &nonce))
    }

    fn with_nonce(signature: &[u8], hash: HashAlgorithm, nonce: &[u8]) -> Self {
        let algorithm = write::sequence(&[&write::oid(hash_oid(hash)), &write::null()]);
        let imprint =
            write::sequence(&[&algorithm, &write::octet_string(&crypto::hash(hash, signature))]);
        let der = write::sequence(&[
            &write::unsigned(&[1]),
            &imprint,
            &write::unsigned(nonce),
            &write::boolean_true(),
        ]);
        let leading = nonce.iter().take_while(|&&byte| byte == 0).count();
        let nonce = nonce.get(leading..).unwrap_or_default().to_vec();
        Self { der, message: signature.to_vec(), nonce }
    }

    /// The DER to send as `application/timestamp-query`.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }
}

fn hash_oid(hash: HashAlgorithm) -> ObjectIdentifier {
    match hash {
        HashAlgorithm::Sha256 => oid::SHA256,
        HashAlgorithm::Sha384 => oid::SHA384,
        HashAlgorithm::Sha512 => oid::SHA512,
    }
}

/// A positive answer of a timestamping authority. Its token is not verified yet.
///
/// ```asn1
/// TimeStampResp ::= SEQUENCE { status PKIStatusInfo, timeStampToken ContentInfo OPTIONAL }
/// PKIStatusInfo ::= SEQUENCE {
///     status INTEGER, statusString SEQUENCE OF UTF8String OPTIONAL, failInfo BIT STRING OPTIONAL }
/// ```
#[derive(Clone, Debug)]
pub struct Response {
    token: Vec<u8>,
    info: TstInfo,
}

impl Response {
    /// Reads a response (`application/timestamp-reply`).
    ///
    /// # Errors
    /// When it is not one, or the authority refused.
    pub fn from_der(bytes: &[u8]) -> Result<Self, TimestampError> {
        let malformed = |cause| TimestampError::malformed("timestamp response", cause);
        let der = to_der(bytes)?;
        let mut reader = SliceReader::new(&der).map_err(malformed)?;
        let (status, text, token) = reader
            .sequence(|reader| {
                let (status, text) = reader.sequence(read_status)?;
                let token = if reader.is_finished() { None } else { Some(reader.tlv_bytes()?) };
                Ok::<_, der::Error>((status, text, token))
            })
            .map_err(malformed)?;
        reader.finish().map_err(malformed)?;
        // 0 is granted, 1 granted with modifications.
        if status > 1 {
            return Err(TimestampError::Refused { status, text });
        }
        let token = token.ok_or(TimestampError::Invalid {
            part: "timestamp response",
            what: "there is no token",
        })?;
        let info = TstInfo::from_der(SignedData::from_der(token)?.content)?;
        Ok(Self { token: token.to_vec(), info })
    }

    /// The token, if it answers `request`: same imprint, same nonce.
    ///
    /// # Errors
    /// [`TimestampError::ImprintMismatch`] or [`TimestampError::NonceMismatch`].
    pub fn token_for(&self, request: &Request) -> Result<&[u8], TimestampError> {
        let token = self.token_about(&request.message)?;
        if self.info.nonce.as_deref() != Some(&request.nonce) {
            return Err(TimestampError::NonceMismatch);
        }
        Ok(token)
    }

    /// The token, if it is about `signature`; for responses whose request is no longer at hand.
    ///
    /// # Errors
    /// [`TimestampError::ImprintMismatch`].
    pub fn token_about(&self, signature: &[u8]) -> Result<&[u8], TimestampError> {
        if !self.info.is_about(signature) {
            return Err(TimestampError::ImprintMismatch);
        }
        Ok(&self.token)
    }
}

fn read_status(reader: &mut SliceReader<'_>) -> der::Result<(u8, String)> {
    let status: u8 = reader.decode()?;
    let mut text = String::new();
    if reader.peek_byte() == Some(0x30) {
        let any: AnyRef<'_> = reader.decode()?;
        let mut strings = SliceReader::new(any.value())?;
        while !strings.is_finished() {
            if !text.is_empty() {
                text.push_str("; ");
            }
            text.push_str(&strings.decode::<String>()?);
        }
    }
    if !reader.is_finished() {
        reader.tlv_bytes()?;
    }
    Ok((status, text))
}
