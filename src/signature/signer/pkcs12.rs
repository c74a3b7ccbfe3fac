//! PKCS#12 key stores (RFC 7292): one private key and its certificates.
//!
//! The integrity protection (MAC) is verified before anything in the store is decrypted. Password
//! integrity and privacy only; what is read:
//!
//! | part | algorithms |
//! |---|---|
//! | MAC | HMAC with SHA-1, SHA-256, SHA-384, SHA-512 |
//! | encryption | PBES2; 3-key triple DES and 40-bit RC2 as older programs write them |

use der::{
    Reader, SliceReader, Tag,
    asn1::{AnyRef, ObjectIdentifier, OctetStringRef},
};
use zeroize::Zeroizing;

use super::encrypted::{EncryptedKeyError, algorithm_oid, check_iterations, decrypt_pbes2, split};
use super::pkcs12_kdf::{Derivation, Hash, Use, decrypt_rc2_40, decrypt_triple_des};
use crate::signature::x509::{explicit, hash_identifier};
use crate::signature::{ber, crypto, oid};

/// Largest key store that is looked at, in bytes.
const MAX_KEY_STORE_BYTES: usize = 1024 * 1024;

const DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
const ENCRYPTED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.6");
const KEY_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.1");
const SHROUDED_KEY_BAG: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.2");
const CERTIFICATE_BAG: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.3");
const X509_CERTIFICATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.22.1");
const PBE_TRIPLE_DES: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.3");
const PBE_RC2_40: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.6");

/// What a key store holds.
#[derive(Debug)]
pub(super) struct KeyStore {
    /// PKCS#8 `PrivateKeyInfo`.
    pub(super) key: Zeroizing<Vec<u8>>,
    /// DER certificates in the order of the store.
    pub(super) certificates: Vec<Vec<u8>>,
}

/// Opens a store with one private key.
///
/// ```asn1
/// PFX ::= SEQUENCE { version INTEGER { v3(3) }, authSafe ContentInfo, macData MacData OPTIONAL }
/// AuthenticatedSafe ::= SEQUENCE OF ContentInfo
/// SafeContents      ::= SEQUENCE OF SafeBag
/// ```
pub(super) fn open(bytes: &[u8], passphrase: &str) -> Result<KeyStore, EncryptedKeyError> {
    let malformed = |cause| EncryptedKeyError::malformed("key store", cause);
    if bytes.len() > MAX_KEY_STORE_BYTES {
        return Err(EncryptedKeyError::TooCostly {
            what: "size of the key store",
            found: bytes.len().try_into().unwrap_or(u64::MAX),
            limit: 1024 * 1024,
        });
    }
    let der = ber::to_der(bytes).map_err(malformed)?;
    let mut reader = SliceReader::new(&der).map_err(malformed)?;
    let (safe, mac) = reader
        .sequence(|reader| {
            if reader.decode::<u8>()? != 3 {
                return Err(Tag::Integer.value_error().into());
            }
            let safe = reader.sequence(read_data)?;
            let mac = if reader.is_finished() { None } else { Some(reader.sequence(Mac::read)?) };
            Ok::<_, der::Error>((safe, mac))
        })
        .map_err(malformed)?;
    reader.finish().map_err(malformed)?;
    let opener = Opener { passphrase, utf16: utf16(passphrase) };
    opener.verify(&mac.ok_or(EncryptedKeyError::NoMac)?, safe)?;
    let mut contents = Contents::default();
    // BER inside the OCTET STRING is as common as outside of it.
    let safe = ber::to_der(safe).map_err(malformed)?;
    for info in list(&safe).map_err(malformed)? {
        opener.read_info(info, &mut contents)?;
    }
    let mut keys = contents.keys.into_iter();
    match (keys.next(), keys.next()) {
        (Some(key), None) => Ok(KeyStore { key, certificates: contents.certificates }),
        (None, _) => Err(EncryptedKeyError::NoKey),
        _ => Err(EncryptedKeyError::SeveralKeys),
    }
}

#[derive(Default)]
struct Contents {
    keys: Vec<Zeroizing<Vec<u8>>>,
    certificates: Vec<Vec<u8>>,
}

/// ```asn1
/// MacData ::= SEQUENCE {
///     mac SEQUENCE { digestAlgorithm AlgorithmIdentifier, digest OCTET STRING },
///     macSalt OCTET STRING, iterations INTEGER DEFAULT 1 }
/// ```
struct Mac<'a> {
    algorithm: AnyRef<'a>,
    digest: &'a [u8],
    salt: &'a [u8],
    iterations: u32,
}

impl<'a> Mac<'a> {
    fn read(reader: &mut SliceReader<'a>) -> der::Result<Self> {
        let (algorithm, digest) = reader.sequence(|reader| {
            let algorithm: AnyRef<'_> = reader.decode()?;
            let digest: &OctetStringRef = reader.decode()?;
            Ok::<_, der::Error>((algorithm, digest.as_bytes()))
        })?;
        let salt: &OctetStringRef = reader.decode()?;
        let iterations: Option<u32> = reader.decode()?;
        let iterations = iterations.unwrap_or(1);
        Ok(Self { algorithm, digest, salt: salt.as_bytes(), iterations })
    }

    fn hash(&self) -> Result<Hash, EncryptedKeyError> {
        let malformed = |cause| EncryptedKeyError::malformed("integrity protection", cause);
        let algorithm = self
            .algorithm
            .sequence(|reader| {
                let algorithm: ObjectIdentifier = reader.decode()?;
                let _parameters: Option<AnyRef<'_>> = reader.decode()?;
                Ok::<_, der::Error>(algorithm)
            })
            .map_err(malformed)?;
        if algorithm == oid::SHA1 {
            return Ok(Hash(None));
        }
        let hash = hash_identifier(self.algorithm).map_err(malformed)?;
        hash.map(|hash| Hash(Some(hash))).ok_or(EncryptedKeyError::UnsupportedMac { algorithm })
    }
}

/// The passphrase in the two forms that are in use.
struct Opener<'a> {
    passphrase: &'a str,
    utf16: Zeroizing<Vec<u8>>,
}

impl Opener<'_> {
    fn verify(&self, mac: &Mac<'_>, safe: &[u8]) -> Result<(), EncryptedKeyError> {
        check_iterations(mac.iterations)?;
        let hash = mac.hash()?;
        let key = self.derivation(hash, mac.salt, mac.iterations).derive(Use::Mac, hash.len());
        crypto::verify_hmac(hash.0, &key, safe, mac.digest)
            .map_err(|_| EncryptedKeyError::WrongPassphrase)
    }

    fn derivation<'a>(&'a self, hash: Hash, salt: &'a [u8], iterations: u32) -> Derivation<'a> {
        Derivation { hash, passphrase: &self.utf16, salt, iterations }
    }

    /// `ContentInfo` inside the authenticated safe: plain or encrypted bags.
    fn read_info(&self, info: &[u8], contents: &mut Contents) -> Result<(), EncryptedKeyError> {
        let malformed = |cause| EncryptedKeyError::malformed("key store", cause);
        let kind = algorithm_oid(info)?;
        let mut reader = SliceReader::new(info).map_err(malformed)?;
        let bags = match kind {
            DATA => {
                let bags = reader.sequence(read_data).map_err(malformed)?;
                Zeroizing::new(bags.to_vec())
            }
            ENCRYPTED_DATA => {
                let (algorithm, data) = reader.sequence(read_encrypted).map_err(malformed)?;
                self.decrypt(algorithm, data)?
            }
            // Enveloped for somebody's public key; nothing here can open it.
            algorithm => return Err(EncryptedKeyError::UnsupportedEncryption { algorithm }),
        };
        let bags = Zeroizing::new(ber::to_der(&bags).map_err(malformed)?);
        for bag in list(&bags).map_err(malformed)? {
            self.read_bag(bag, contents)?;
        }
        Ok(())
    }

    fn read_bag(&self, bag: &[u8], contents: &mut Contents) -> Result<(), EncryptedKeyError> {
        let malformed = |cause| EncryptedKeyError::malformed("key store", cause);
        let mut reader = SliceReader::new(bag).map_err(malformed)?;
        let (kind, value) = reader
            .sequence(|reader| {
                let kind: ObjectIdentifier = reader.decode()?;
                let value = explicit(reader, 0xa0, |reader| reader.tlv_bytes())?;
                while !reader.is_finished() {
                    reader.tlv_bytes()?;
                }
                Ok::<_, der::Error>((kind, value.unwrap_or_default()))
            })
            .map_err(malformed)?;
        match kind {
            KEY_BAG => contents.keys.push(Zeroizing::new(value.to_vec())),
            SHROUDED_KEY_BAG => {
                let (algorithm, data) = split(value)?;
                contents.keys.push(self.decrypt(algorithm, data)?);
            }
            CERTIFICATE_BAG => {
                if let Some(certificate) = read_certificate(value).map_err(malformed)? {
                    contents.certificates.push(certificate);
                }
            }
            // CRLs, secrets, nested bags: not needed to sign.
            _ => {}
        }
        Ok(())
    }

    fn decrypt(
        &self,
        algorithm: &[u8],
        data: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, EncryptedKeyError> {
        let kind = algorithm_oid(algorithm)?;
        let old = match kind {
            PBE_TRIPLE_DES => decrypt_triple_des,
            PBE_RC2_40 => decrypt_rc2_40,
            _ => return decrypt_pbes2(algorithm, data, self.passphrase.as_bytes()),
        };
        let (salt, iterations) = read_pbe_parameters(algorithm)
            .map_err(|cause| EncryptedKeyError::malformed("encryption parameters", cause))?;
        check_iterations(iterations)?;
        old(&self.derivation(Hash(None), salt, iterations), data)
            .map(Zeroizing::new)
            .ok_or(EncryptedKeyError::WrongPassphrase)
    }
}

/// UTF-16, big endian, terminated by zero (RFC 7292, appendix B.1).
fn utf16(passphrase: &str) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(passphrase.encode_utf16().chain([0]).flat_map(u16::to_be_bytes).collect())
}

/// The elements of a SEQUENCE, as raw TLVs.
fn list(der: &[u8]) -> der::Result<Vec<&[u8]>> {
    let mut reader = SliceReader::new(der)?;
    let list = reader.sequence(|reader| {
        let mut list = Vec::new();
        while !reader.is_finished() {
            list.push(reader.tlv_bytes()?);
        }
        Ok::<_, der::Error>(list)
    })?;
    reader.finish()?;
    Ok(list)
}

/// `ContentInfo` of type data: the content of its OCTET STRING.
fn read_data<'a>(reader: &mut SliceReader<'a>) -> der::Result<&'a [u8]> {
    let kind: ObjectIdentifier = reader.decode()?;
    let data = explicit(reader, 0xa0, |reader| reader.decode::<&OctetStringRef>())?;
    match data {
        Some(data) if kind == DATA => Ok(data.as_bytes()),
        _ => Err(Tag::ObjectIdentifier.value_error().into()),
    }
}

/// ```asn1
/// EncryptedData ::= SEQUENCE { version, encryptedContentInfo SEQUENCE {
///     contentType, contentEncryptionAlgorithm, encryptedContent [0] IMPLICIT OCTET STRING } }
/// ```
fn read_encrypted<'a>(reader: &mut SliceReader<'a>) -> der::Result<(&'a [u8], &'a [u8])> {
    let _kind: ObjectIdentifier = reader.decode()?;
    let content = explicit(reader, 0xa0, |reader| {
        reader.sequence(|reader| {
            let _version: AnyRef<'_> = reader.decode()?;
            reader.sequence(|reader| {
                let _kind: ObjectIdentifier = reader.decode()?;
                let algorithm = reader.tlv_bytes()?;
                let content: AnyRef<'_> = reader.decode()?;
                match der::Tagged::tag(&content) {
                    Tag::ContextSpecific { constructed: false, .. } => {
                        Ok::<_, der::Error>((algorithm, content.value()))
                    }
                    other => Err(other.value_error().into()),
                }
            })
        })
    })?;
    content.ok_or_else(|| Tag::Sequence.value_error().into())
}

/// `CertBag ::= SEQUENCE { certId OBJECT IDENTIFIER, certValue [0] EXPLICIT OCTET STRING }`
fn read_certificate(bag: &[u8]) -> der::Result<Option<Vec<u8>>> {
    let mut reader = SliceReader::new(bag)?;
    let (kind, value) = reader.sequence(|reader| {
        let kind: ObjectIdentifier = reader.decode()?;
        let value = explicit(reader, 0xa0, |reader| reader.decode::<&OctetStringRef>())?;
        Ok::<_, der::Error>((kind, value))
    })?;
    reader.finish()?;
    Ok(value.filter(|_| kind == X509_CERTIFICATE).map(|value| value.as_bytes().to_vec()))
}

/// `pkcs-12PbeParams ::= SEQUENCE { salt OCTET STRING, iterations INTEGER }`
fn read_pbe_parameters(algorithm: &[u8]) -> der::Result<(&[u8], u32)> {
    let mut reader = SliceReader::new(algorithm)?;
    reader.sequence(|reader| {
        let _kind: ObjectIdentifier = reader.decode()?;
        reader.sequence(|reader| {
            let salt: &OctetStringRef = reader.decode()?;
            let iterations: u32 = reader.decode()?;
            Ok::<_, der::Error>((salt.as_bytes(), iterations))
        })
    })
}
