//! The files of a layout, wherever they are.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use crate::fsutil;
use crate::image::digest::Digest;

use super::LayoutError;
use super::archive::ArchiveFiles;
use super::discover::Signed;

/// Where the files of a layout are.
#[derive(Clone, Debug)]
pub(super) enum Files {
    Directory(PathBuf),
    Archive(Arc<ArchiveFiles>),
}

impl Files {
    /// What the names of the layouts in it begin with. A directory is one layout.
    pub(super) fn parts(&self) -> &[&'static str] {
        match self {
            Self::Directory(_) => &[""],
            Self::Archive(archive) => archive.parts(),
        }
    }

    /// Reads a file of at most `limit` bytes.
    pub(super) fn read(&self, name: &str, limit: u64) -> Result<Vec<u8>, LayoutError> {
        match self {
            Self::Directory(root) => Ok(fsutil::read_regular(&root.join(name), limit)?),
            Self::Archive(archive) => archive.member(name, limit),
        }
    }

    /// Where the signatures are kept that were found, if what is read can't change.
    pub(super) fn signatures(&self) -> Option<&OnceLock<Arc<[Signed]>>> {
        match self {
            Self::Directory(_) => None,
            Self::Archive(archive) => Some(archive.signatures()),
        }
    }

    /// A file, for messages.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    pub(super) fn root(&self) -> &Path {
        match self {
            Self::Directory(root) => root,
            Self::Archive(archive) => archive.path(),
        }
    }
}

/// Where a layout keeps a blob.
pub(super) fn blob_name(digest: &Digest) -> String {
    crate::content::archive::blob_name(digest)
}
