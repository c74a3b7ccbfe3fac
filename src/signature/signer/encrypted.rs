//! Encrypted private keys: PKCS#8 with PBES2 (RFC 8018), at a bounded cost.
//!
//! The file says how expensive it is to open; whoever gave the file could make that take forever
//! or fill the memory, so the numbers are looked at before the work starts.

use der::{Decode, Reader, SliceReader, asn1::ObjectIdentifier, asn1::OctetStringRef};
use pkcs5::EncryptionScheme;
use pkcs5::pbes2::{Kdf, Parameters};
use zeroize::Zeroizing;

/// Most rounds of a key derivation that are run: some seconds of work. OpenSSL writes 2048, OWASP
/// recommends 600,000 (2023).
pub const MAX_ITERATIONS: u32 = 5_000_000;

/// Most memory scrypt may ask for, in bytes; OpenSSL writes 16 MiB.
pub const MAX_SCRYPT_BYTES: u64 = 256 * 1024 * 1024;

/// Most runs over that memory.
pub const MAX_SCRYPT_PARALLELIZATION: u16 = 16;

/// Why an encrypted key can't be opened.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EncryptedKeyError {
    /// Not the structure it should be.
    #[error("{part} is malformed: {cause}")]
    Malformed {
        /// The part that can't be read.
        part: &'static str,
        /// What the DER reader objects to.
        cause: der::Error,
    },
    /// Encrypted in a way that is not supported.
    #[error("encryption {algorithm} is not supported")]
    UnsupportedEncryption {
        /// The algorithm.
        algorithm: ObjectIdentifier,
    },
    /// Protected in a way that is not supported.
    #[error("integrity protection {algorithm} is not supported")]
    UnsupportedMac {
        /// The algorithm.
        algorithm: ObjectIdentifier,
    },
    /// The old encryption of PEM itself (`Proc-Type: 4,ENCRYPTED`).
    #[error("the old PEM encryption is not supported")]
    LegacyPem,
    /// Opening the file would cost too much.
    #[error("{what} {found} is more than the limit of {limit}")]
    TooCostly {
        /// What there is too much of.
        what: &'static str,
        /// What the file wants.
        found: u64,
        /// The limit.
        limit: u64,
    },
    /// The passphrase is wrong, or the file is damaged: nobody can tell.
    #[error("passphrase is wrong or the file is damaged")]
    WrongPassphrase,
    /// There is no private key in it.
    #[error("key store has no private key")]
    NoKey,
    /// There is more than one private key in it.
    #[error("key store has more than one private key")]
    SeveralKeys,
    /// The key store is not protected against changes.
    #[error("key store has no integrity protection")]
    NoMac,
}

impl EncryptedKeyError {
    pub(super) fn malformed(part: &'static str, cause: der::Error) -> Self {
        Self::Malformed { part, cause }
    }
}

/// Decrypts an `EncryptedPrivateKeyInfo`; the result is a `PrivateKeyInfo` (PKCS#8).
///
/// ```asn1
/// EncryptedPrivateKeyInfo ::= SEQUENCE {
///     encryptionAlgorithm AlgorithmIdentifier, encryptedData OCTET STRING }
/// ```
pub(super) fn decrypt_pkcs8(
    der: &[u8],
    passphrase: &[u8],
) -> Result<Zeroizing<Vec<u8>>, EncryptedKeyError> {
    let (algorithm, data) = split(der)?;
    decrypt_pbes2(algorithm, data, passphrase)
}

/// The raw algorithm identifier and the ciphertext of an `EncryptedPrivateKeyInfo`.
pub(super) fn split(der: &[u8]) -> Result<(&[u8], &[u8]), EncryptedKeyError> {
    let malformed = |cause| EncryptedKeyError::malformed("encrypted private key", cause);
    let mut reader = SliceReader::new(der).map_err(malformed)?;
    let parts = reader
        .sequence(|reader| {
            let algorithm = reader.tlv_bytes()?;
            let data: &OctetStringRef = reader.decode()?;
            Ok::<_, der::Error>((algorithm, data.as_bytes()))
        })
        .map_err(malformed)?;
    reader.finish().map_err(malformed)?;
    Ok(parts)
}

/// Decrypts `data` as the PBES2 algorithm identifier says.
pub(super) fn decrypt_pbes2(
    algorithm: &[u8],
    data: &[u8],
    passphrase: &[u8],
) -> Result<Zeroizing<Vec<u8>>, EncryptedKeyError> {
    let kind = algorithm_oid(algorithm)?;
    let unsupported = EncryptedKeyError::UnsupportedEncryption { algorithm: kind };
    if kind != pkcs5::pbes2::PBES2_OID {
        return Err(unsupported);
    }
    let scheme = EncryptionScheme::from_der(algorithm)
        .map_err(|cause| EncryptedKeyError::malformed("encryption parameters", cause))?;
    let parameters = scheme.pbes2().ok_or(unsupported)?;
    check_cost(parameters)?;
    scheme
        .decrypt(passphrase, data)
        .map(Zeroizing::new)
        .map_err(|_| EncryptedKeyError::WrongPassphrase)
}

/// The OID at the start of an algorithm identifier.
pub(super) fn algorithm_oid(algorithm: &[u8]) -> Result<ObjectIdentifier, EncryptedKeyError> {
    let malformed = |cause| EncryptedKeyError::malformed("algorithm", cause);
    let mut reader = SliceReader::new(algorithm).map_err(malformed)?;
    reader
        .sequence(|reader| {
            let kind: ObjectIdentifier = reader.decode()?;
            while !reader.is_finished() {
                reader.tlv_bytes()?;
            }
            Ok::<_, der::Error>(kind)
        })
        .map_err(malformed)
}

fn check_cost(parameters: &Parameters) -> Result<(), EncryptedKeyError> {
    match &parameters.kdf {
        Kdf::Pbkdf2(pbkdf2) => check_iterations(pbkdf2.iteration_count),
        Kdf::Scrypt(scrypt) => {
            let memory = scrypt
                .cost_parameter
                .checked_mul(u64::from(scrypt.block_size))
                .and_then(|blocks| blocks.checked_mul(128))
                .unwrap_or(u64::MAX);
            within("memory for the key derivation", memory, MAX_SCRYPT_BYTES)?;
            within(
                "parallelization of the key derivation",
                scrypt.parallelization.into(),
                MAX_SCRYPT_PARALLELIZATION.into(),
            )
        }
        other => Err(EncryptedKeyError::UnsupportedEncryption { algorithm: other.oid() }),
    }
}

/// Refuses key derivations with more rounds than [`MAX_ITERATIONS`].
pub(super) fn check_iterations(iterations: u32) -> Result<(), EncryptedKeyError> {
    within("iteration count", iterations.into(), MAX_ITERATIONS.into())
}

fn within(what: &'static str, found: u64, limit: u64) -> Result<(), EncryptedKeyError> {
    if found > limit { Err(EncryptedKeyError::TooCostly { what, found, limit }) } else { Ok(()) }
}
