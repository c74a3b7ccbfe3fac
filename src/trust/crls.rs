//! Revocation material: CRLs in notation's cache, CRLs and OCSP responses in files.
//!
//! Implements the storage half of spec/notation.md §5.5. There is no network here: what is not in
//! a file is not known, and what that means the policy decides.
//!
//! ```text
//! {notation cache}/crl/<hex sha256 of the URL as it stands in the certificate>
//!     {"baseCRL":"<base64 DER>","deltaCRL":"<base64 DER>"?}
//! ```

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::fsutil;
use crate::image::digest::Digest;
use crate::image::json::{self, ReadError, Rules};
use crate::signature::x509::crl::{Crl, CrlError, MAX_CRL_BYTES};
use crate::signature::x509::ocsp::{self, MAX_RESPONSE_BYTES, OcspError};

/// Where CRLs lie below notation's cache directory.
const CRL_DIR: &str = "crl";

/// Largest cache entry: two lists in base64, and the JSON around them.
pub const MAX_ENTRY_BYTES: usize = 2 * (MAX_CRL_BYTES / 3 * 4 + 4) + 64;

const RULES: Rules = Rules {
    max_bytes: MAX_ENTRY_BYTES,
    max_depth: 2,
    known: &["baseCRL", "deltaCRL"],
    free_maps: &[],
};

/// A base list, and the delta list that goes with it.
#[derive(Clone, Debug)]
pub struct CrlBundle {
    /// The base list.
    pub base: Crl,
    /// The delta list, if there is one.
    pub delta: Option<Crl>,
}

impl CrlBundle {
    /// Reads an entry of the cache.
    ///
    /// # Errors
    /// [`CrlProblem`].
    pub fn from_json(bytes: &[u8]) -> Result<Self, CrlProblem> {
        let wire: Wire = json::read(bytes, &RULES)?;
        let decode =
            |text: &str| -> Result<Crl, CrlProblem> { Ok(Crl::from_der(&STANDARD.decode(text)?)?) };
        let base = decode(&wire.base)?;
        let delta = wire.delta.as_deref().map(decode).transpose()?;
        Ok(Self { base, delta })
    }

    /// The bytes of an entry of the cache.
    pub fn to_json(&self) -> Vec<u8> {
        let encode = |crl: &Crl| STANDARD.encode(crl.der());
        let wire = Wire { base: encode(&self.base), delta: self.delta.as_ref().map(encode) };
        serde_json::to_vec(&wire).expect("two texts are always JSON")
    }

    /// The list that was issued last: the delta list where it continues the base, else the base.
    pub fn latest(&self) -> &Crl {
        match &self.delta {
            Some(delta) if self.base.check_delta(delta).is_ok() => delta,
            _ => &self.base,
        }
    }

    /// Whether it may take the place of `cached` without being asked for. Nothing goes back: neither
    /// the number (base and delta lists are numbered in one sequence, RFC 5280 §5.2.3) nor the date,
    /// each on its own, so that no row of lists leads to an older one either.
    ///
    /// # Errors
    /// [`NotNewer`].
    pub fn may_replace(&self, cached: &Self) -> Result<(), NotNewer> {
        // The delta list has the greater number, but nothing says that it has the later date.
        let date = |bundle: &Self| bundle.base.this_update().max(bundle.latest().this_update());
        let (new, old) = (self.latest(), cached.latest());
        // As they are compared when a certificate's lists are looked for.
        if new.issuer().der() != old.issuer().der() {
            return Err(NotNewer::OtherIssuer);
        }
        match new.cmp_number(old) {
            Ordering::Less if new.number().is_none() => Err(NotNewer::NoNumber),
            Ordering::Less => Err(NotNewer::Older),
            _ if date(self) < date(cached) => Err(NotNewer::Older),
            _ => Ok(()),
        }
    }
}

/// Why a list may not take the place of another.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NotNewer {
    /// It is somebody else's.
    OtherIssuer,
    /// Only the other one has a number, so nobody knows which one is newer.
    NoNumber,
    /// Its number is lower, or its date is earlier.
    Older,
}

/// notation's CRL cache.
#[derive(Clone, Debug)]
pub struct CrlCache {
    directory: PathBuf,
}

#[derive(Deserialize, Serialize)]
struct Wire {
    #[serde(rename = "baseCRL")]
    base: String,
    #[serde(rename = "deltaCRL", default, skip_serializing_if = "Option::is_none")]
    delta: Option<String>,
}

impl CrlCache {
    /// The cache below `cache`, notation's cache directory, which need not exist.
    pub fn new(cache: &Path) -> Self {
        Self { directory: cache.join(CRL_DIR) }
    }

    /// The directory of the cache.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where the list for a URL is kept; the URL is taken exactly as the certificate has it.
    pub fn path(&self, url: &str) -> PathBuf {
        self.directory.join(Digest::sha256(url.as_bytes()).hex())
    }

    /// The list for a URL, `None` when there is none.
    ///
    /// # Errors
    /// [`CrlFileError`] when there is something that can't be read as one.
    pub fn get(&self, url: &str) -> Result<Option<CrlBundle>, CrlFileError> {
        self.read(&self.path(url))
    }

    /// Reads an entry of the cache.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub fn read(&self, path: &Path) -> Result<Option<CrlBundle>, CrlFileError> {
        let bytes = match fsutil::read_regular(path, MAX_ENTRY_BYTES as u64) {
            Err(error) if error.is_not_found() => return Ok(None),
            result => result?,
        };
        let at = |problem| CrlFileError::Malformed { path: path.to_owned(), problem };
        CrlBundle::from_json(&bytes).map(Some).map_err(at)
    }

    /// Keeps the list for a URL, replacing an older one whole (temporary file in the same
    /// directory: CVE-2024-51491), and says where.
    ///
    /// # Errors
    /// [`CrlFileError::File`] when it can't be written.
    pub fn put(&self, url: &str, bundle: &CrlBundle) -> Result<PathBuf, CrlFileError> {
        let bytes = bundle.to_json();
        fsutil::create_private_dir(&self.directory)?;
        let path = self.path(url);
        fsutil::write_atomic(&path, &bytes, fsutil::Mode::Private)?;
        Ok(path)
    }

    /// The files of the cache, sorted.
    ///
    /// # Errors
    /// [`CrlFileError::File`] when the directory can't be read.
    pub fn entries(&self) -> Result<Vec<PathBuf>, CrlFileError> {
        let io = |error| fsutil::FileError::io("read", &self.directory, error);
        let entries = match std::fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(io(error).into()),
        };
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry.map_err(io)?.path();
            // Temporary files of a running writer have other names.
            let is_entry = path.file_name().and_then(|name| name.to_str()).is_some_and(|name| {
                name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
            });
            paths.extend(is_entry.then_some(path));
        }
        paths.sort_unstable();
        Ok(paths)
    }
}

/// Reads a CRL file, DER or PEM.
///
/// # Errors
/// [`CrlFileError`].
pub fn read_crl(path: &Path) -> Result<Crl, CrlFileError> {
    // PEM needs a third more than DER, and its line ends.
    let bytes = fsutil::read_bounded(path, 2 * MAX_CRL_BYTES as u64)?;
    parse_crl(&bytes).map_err(|problem| CrlFileError::Malformed { path: path.to_owned(), problem })
}

fn parse_crl(bytes: &[u8]) -> Result<Crl, CrlProblem> {
    if !bytes.starts_with(b"-----BEGIN ") {
        return Ok(Crl::from_der(bytes)?);
    }
    let block = pem::parse(bytes)?;
    match block.tag() {
        "X509 CRL" => Ok(Crl::from_der(block.contents())?),
        tag => Err(CrlProblem::Label { found: tag.to_owned() }),
    }
}

/// Reads a file with a DER OCSP response.
///
/// # Errors
/// [`CrlFileError`].
pub fn read_ocsp_response(path: &Path) -> Result<Vec<u8>, CrlFileError> {
    let bytes = fsutil::read_bounded(path, MAX_RESPONSE_BYTES as u64)?;
    ocsp::check_form(&bytes).map_err(|error| CrlFileError::Malformed {
        path: path.to_owned(),
        problem: CrlProblem::Ocsp(Box::new(error)),
    })?;
    Ok(bytes)
}

/// Everything that is known about revocation.
#[derive(Clone, Debug, Default)]
pub struct RevocationData {
    /// Lists by URL.
    pub cache: Option<CrlCache>,
    /// Lists from files; which certificates they are about, their signatures say.
    pub crls: Vec<Crl>,
    /// OCSP responses from files.
    pub ocsp_responses: Vec<Vec<u8>>,
}

/// Why a file gives no revocation data.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CrlFileError {
    /// Reading or writing failed.
    #[error(transparent)]
    File(#[from] fsutil::FileError),
    /// The file holds something else.
    #[error("{}: {problem}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: CrlProblem,
    },
}

/// What is wrong with a file of revocation data.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CrlProblem {
    /// Not base64.
    #[error("not base64: {0}")]
    Base64(#[from] base64::DecodeError),
    /// Not a CRL.
    #[error(transparent)]
    Crl(#[from] CrlError),
    /// Not an OCSP response.
    #[error(transparent)]
    Ocsp(Box<OcspError>),
    /// Not the JSON of a cache entry.
    #[error(transparent)]
    Json(#[from] ReadError),
    /// PEM of something else.
    #[error("PEM block {found:?} is no \"X509 CRL\"")]
    Label {
        /// The label found.
        found: String,
    },
    /// Not PEM.
    #[error("not PEM: {0}")]
    Pem(#[from] pem::PemError),
}
