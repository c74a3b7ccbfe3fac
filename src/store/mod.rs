//! Where signatures live.
//!
//! A [`SignatureStore`] keeps envelopes by the descriptor they sign. It knows nothing about their
//! content: everything read here is untrusted bytes from an untrusted place, and every name is a
//! hint. What makes an envelope a trusted signature is [`crate::verify`]'s matter.
//!
//! | store | where |
//! |---|---|
//! | [`cache::SignatureCache`] | the signature cache of the original offline-signing design |
//! | [`detached::DetachedFiles`] | files that the user names |
//! | [`containerd::ContainerdSignatures`] | beside the image in containerd |
//! | [`directory::SignatureDirectory`] | a directory that an operator fills |
//! | [`layout::OciLayout`] | beside the image in an OCI layout, or inside an image archive |
//! | [`with_cache::WithCache`] | inside an archive or containerd, and in the signature cache |

pub mod cache;
pub mod containerd;
pub mod detached;
pub mod directory;
pub mod layout;
pub mod with_cache;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use crate::content::containerd::ContainerdError;
use crate::fsutil;
use crate::image::descriptor::Descriptor;
use crate::image::digest::Digest;

/// Largest envelope that is read from anywhere (spec/notation.md §2.4).
pub const MAX_ENVELOPE_BYTES: u64 = 32 << 20;

/// Signatures that are evaluated for one artifact unless told otherwise: notation's default
/// (§5.4; CVE-2023-33957).
pub const DEFAULT_MAX_SIGNATURES: usize = 100;

/// Most signatures of one artifact that a store lists at all. Far beyond any use, and small enough
/// to be sorted in memory.
pub const MAX_LISTED: usize = 10_000;

/// Keeps envelopes.
pub trait SignatureStore {
    /// The envelopes that claim to sign `subject`, in an order that is the same every time.
    ///
    /// # Errors
    /// [`StoreError`] when the store can't be read. No signatures is an empty list.
    fn list(&self, subject: &Descriptor) -> Result<Vec<StoredSignature>, StoreError>;

    /// Reads one envelope, at most [`MAX_ENVELOPE_BYTES`], and compares it with what its place
    /// says about it.
    ///
    /// # Errors
    /// [`StoreError`]; it concerns this one signature and says nothing about the others.
    fn read(&self, signature: &StoredSignature) -> Result<Vec<u8>, StoreError>;

    /// Adds an envelope, whole or not at all.
    ///
    /// # Errors
    /// [`StoreError`] when it can't be written.
    fn add(&self, subject: &Descriptor, envelope: &NewSignature) -> Result<Added, StoreError>;

    /// Removes an envelope that was listed: afterwards nothing leads to it, and the others are as
    /// they were.
    ///
    /// # Errors
    /// [`StoreError`] when it is not there, or the store can't be written.
    fn remove(&self, signature: &StoredSignature) -> Result<(), StoreError>;
}

/// An envelope in a store, not read yet.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct StoredSignature {
    /// Where it is, for messages.
    pub location: PathBuf,
    /// The manifest that holds it, in stores that have such.
    pub manifest: Option<Digest>,
    /// The digest its place gives it, if it gives one. Checked by [`SignatureStore::read`].
    pub digest: Option<Digest>,
    /// The media type its place gives it (`application/jose+json` or `application/cose`).
    pub media_type: Option<String>,
    /// The size in bytes its place gives it.
    pub size: Option<u64>,
    /// The annotations its manifest has, in stores that have such.
    pub annotations: BTreeMap<String, String>,
    /// Why it can't be read at all. It is listed so that it is reported.
    pub defect: Option<String>,
}

impl StoredSignature {
    /// Whether it has this digest: its manifest, or its envelope.
    pub fn is(&self, digest: &Digest) -> bool {
        [&self.manifest, &self.digest].into_iter().flatten().any(|it| it == digest)
    }
}

/// An envelope to be stored.
#[derive(Clone, Debug)]
pub struct NewSignature {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its media type.
    pub media_type: &'static str,
    /// Annotations for stores that keep it in a manifest: thumbprints of the certificates and time
    /// of signing. Nobody decides anything by them.
    pub annotations: BTreeMap<String, String>,
}

/// Where an envelope was stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Added {
    /// The file, or the layout.
    pub location: PathBuf,
    /// The sha256 digest of the envelope.
    pub digest: Digest,
}

/// Why a signature store can't be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// An envelope is not what its place says it is.
    #[error("{} holds {found}, its name says {expected}", location.display())]
    Altered {
        /// Where it is.
        location: PathBuf,
        /// The digest its place gives it.
        expected: Digest,
        /// The digest of its bytes.
        found: Digest,
    },
    /// containerd can't be read or written.
    #[error(transparent)]
    Containerd(#[from] ContainerdError),
    /// Something that should hold a signature does not.
    #[error("{} is no usable signature: {problem}", location.display())]
    Defective {
        /// Where it is.
        location: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Reading or writing a file failed.
    #[error(transparent)]
    File(#[from] fsutil::FileError),
    /// A directory can't be read or changed.
    #[error("{}: {source}", path.display())]
    Io {
        /// The directory or file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The OCI layout can't be used.
    #[error(transparent)]
    Layout(#[from] layout::LayoutError),
    /// A place that is only read.
    #[error("signatures can't be written into {place}")]
    ReadOnly {
        /// What it is.
        place: String,
    },
    /// More signatures than are looked at.
    #[error("{} holds more than {MAX_LISTED} signatures", path.display())]
    TooMany {
        /// The directory.
        path: PathBuf,
    },
}

impl StoreError {
    /// Whether there is no such file.
    pub fn is_not_found(&self) -> bool {
        match self {
            Self::File(error) => error.is_not_found(),
            Self::Io { source, .. } => source.kind() == io::ErrorKind::NotFound,
            Self::Layout(error) => error.is_not_found(),
            _ => false,
        }
    }
}
