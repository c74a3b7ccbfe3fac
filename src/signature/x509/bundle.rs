//! Files with certificates: PEM with any number of blocks, or concatenated DER (spec §4.3).

use super::certificate::{Certificate, CertificateError};

/// Why a file of certificates can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// There is not one certificate in it.
    #[error("no certificate found")]
    Empty,
    /// A PEM block is damaged.
    #[error("PEM is malformed: {0}")]
    Pem(pem::PemError),
    /// The certificate at `index` (from 0) is not one.
    #[error("certificate {index} of the file: {cause}")]
    Certificate {
        /// Position in the file, from 0.
        index: usize,
        /// What is wrong with it.
        cause: CertificateError,
    },
}

/// Reads a trust store file: every PEM block as a certificate whatever its label says, or DER
/// certificates one after the other.
///
/// # Errors
/// When there is none, or one of them can't be read: a store with an unreadable part is not used.
pub fn certificates_from_bytes(bytes: &[u8]) -> Result<Vec<Certificate>, BundleError> {
    let blocks = pem_blocks(bytes)?;
    if blocks.is_empty() {
        return certificates_from_concatenated_der(bytes);
    }
    parse_all(blocks.iter().map(pem::Pem::contents))
}

/// Reads the chain that accompanies a key: the `CERTIFICATE` blocks of a PEM text, in order.
/// Other blocks are skipped.
///
/// # Errors
/// When there is none, or one of them can't be read.
pub fn certificates_from_pem(bytes: &[u8]) -> Result<Vec<Certificate>, BundleError> {
    let blocks = pem_blocks(bytes)?;
    parse_all(blocks.iter().filter(|block| block.tag() == "CERTIFICATE").map(pem::Pem::contents))
}

fn pem_blocks(bytes: &[u8]) -> Result<Vec<pem::Pem>, BundleError> {
    const BEGIN: &[u8] = b"-----BEGIN ";
    // DER can't be handed to the PEM reader: it may hold anything.
    if !bytes.windows(BEGIN.len()).any(|window| window == BEGIN) {
        return Ok(Vec::new());
    }
    pem::parse_many(bytes).map_err(BundleError::Pem)
}

fn certificates_from_concatenated_der(mut bytes: &[u8]) -> Result<Vec<Certificate>, BundleError> {
    use der::{Reader, SliceReader};
    let mut parts = Vec::new();
    while !bytes.is_empty() {
        let index = parts.len();
        let malformed = |cause| BundleError::Certificate {
            index,
            cause: CertificateError::malformed("certificate", cause),
        };
        let mut reader = SliceReader::new(bytes).map_err(malformed)?;
        let part = reader.tlv_bytes().map_err(malformed)?;
        parts.push(part);
        bytes = bytes.get(part.len()..).unwrap_or_default();
    }
    parse_all(parts.into_iter())
}

fn parse_all<'a>(parts: impl Iterator<Item = &'a [u8]>) -> Result<Vec<Certificate>, BundleError> {
    let certificates = parts
        .enumerate()
        .map(|(index, der)| {
            Certificate::from_der(der).map_err(|cause| BundleError::Certificate { index, cause })
        })
        .collect::<Result<Vec<_>, _>>()?;
    if certificates.is_empty() {
        return Err(BundleError::Empty);
    }
    Ok(certificates)
}
