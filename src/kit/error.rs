//! Why a kit can't be made, read or installed.

use std::path::{Path, PathBuf};

use crate::content::archive::ArchiveError;
use crate::fsutil::FileError;
use crate::image::hint;
use crate::image::json::ReadError;
use crate::trust::crls::CrlFileError;
use crate::trust::files::PolicyFileError;
use crate::trust::store::TrustStoreError;

/// Why a kit can't be made, read or installed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KitError {
    /// A file is not what `kit.json` says.
    #[error("{path} does not match kit.json: expected sha256 {expected}, found {found}")]
    Altered {
        /// The file.
        path: String,
        /// The digest in `kit.json`.
        expected: String,
        /// The digest of its bytes.
        found: String,
    },
    /// The archive is malformed.
    #[error("not a kit: {0}")]
    Archive(#[from] ArchiveError),
    /// A file is not what its place says.
    #[error("{path}: {problem}")]
    Content {
        /// The file.
        path: String,
        /// What is wrong.
        problem: String,
    },
    /// The time is none.
    #[error("kit.json: created {found:?} is no time")]
    Created {
        /// What was found.
        found: String,
    },
    /// A CRL of the host is not usable.
    #[error(transparent)]
    Crl(#[from] CrlFileError),
    /// `kit.json` is malformed.
    #[error("kit.json: {0}")]
    Document(ReadError),
    /// There is nothing in it.
    #[error("the kit is empty: there are no trust stores, no policies and no CRLs")]
    Empty,
    /// Reading or writing failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// Another member than that comes next.
    #[error("member {found:?} of the kit where {expected:?} is expected")]
    Member {
        /// What is expected.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A kit can't be called so.
    #[error(
        "{name:?} is no name of a kit: at most 64 of a-z, A-Z, 0-9, _ . and -, not beginning with ."
    )]
    Name {
        /// The name.
        name: String,
    },
    /// A link, a directory or a device in a trust store.
    #[error("{} is not a regular file", path.display())]
    NotRegular {
        /// The file.
        path: PathBuf,
    },
    /// A kit has no such file.
    #[error("{path:?} has no place in a kit")]
    Place {
        /// The path.
        path: String,
    },
    /// A policy of the host is not usable.
    #[error(transparent)]
    Policy(#[from] PolicyFileError),
    /// A private key.
    #[error("{path} holds a private key: those never enter a kit")]
    PrivateKey {
        /// The file.
        path: String,
    },
    /// A kit that is older than the one that is installed.
    #[error("kit {name:?} version {installed} is installed, this is version {found}")]
    Rollback {
        /// The name.
        name: String,
        /// What is installed.
        installed: u64,
        /// What was to be.
        found: u64,
    },
    /// Two kits of one name and version.
    #[error("another kit {name:?} of the same version {version} is installed")]
    SameVersion {
        /// The name.
        name: String,
        /// The version.
        version: u64,
    },
    /// A kit of another time.
    #[error("kit.json has schemaVersion {found}, known is 1")]
    SchemaVersion {
        /// What was found.
        found: u32,
    },
    /// What is remembered of installed kits is damaged.
    #[error("{}: {problem}", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A trust store of the host is not usable.
    #[error(transparent)]
    Store(#[from] TrustStoreError),
    /// More than a kit may have.
    #[error("more than {limit} {what}")]
    TooLarge {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
}

impl KitError {
    /// A command that helps, if there is one.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Rollback { .. } | Self::SameVersion { .. } => {
                Some("if that is what you want: --allow-rollback".to_owned())
            }
            Self::PrivateKey { path } => {
                let command = hint::shell(&["mv", &hint::path(Path::new(path)), "DIRECTORY"])?;
                Some(hint::behind("take it out of the trust store", &command))
            }
            Self::Empty => Some("dockseal cert add --type ca --store NAME root.crt".to_owned()),
            _ => None,
        }
    }
}
