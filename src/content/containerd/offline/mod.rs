//! containerd's store from its files: no daemon, no socket, also from a mounted disk
//! (spec/containerd.md §2-4).
//!
//! Each question is answered from one snapshot of `meta.db`. It says which name means which digest,
//! no more: whoever reads a blob hashes it.

mod metadata;
#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use self::metadata::{Metadata, SchemaError};
use super::bolt::{Database, Snapshot};
use super::error::ContainerdError;
use super::{BlobInfo, ContentStore, ImageRecord, Namespace};
use crate::fsutil;
use crate::image::digest::Digest;

/// The database below containerd's root.
const META_DB: &str = "io.containerd.metadata.v1.bolt/meta.db";
/// The blobs below containerd's root.
const BLOBS: &str = "io.containerd.content.v1.content/blobs";
/// The newest schema that is known: containerd 2.x writes 4, 1.6 and 1.7 write 3.
const NEWEST_SCHEMA: i64 = 4;

/// The files of a containerd.
#[derive(Debug)]
pub struct Files {
    root: PathBuf,
    path: PathBuf,
    database: RefCell<Database<File>>,
}

impl Files {
    /// Opens the files below containerd's root directory.
    ///
    /// # Errors
    /// [`ContainerdError::Root`], or [`ContainerdError::File`] when there is no permission.
    pub fn open(root: &Path) -> Result<Self, ContainerdError> {
        let path = root.join(META_DB);
        let file = fsutil::open_regular(&path)
            .map_err(|source| ContainerdError::Root { root: root.to_owned(), source })?;
        let database = RefCell::new(Database::new(file));
        Ok(Self { root: root.to_owned(), path, database })
    }

    /// The schema version, where it is newer than all that are known.
    ///
    /// # Errors
    /// [`ContainerdError`] when the database can't be read.
    pub fn newer_schema(&self) -> Result<Option<i64>, ContainerdError> {
        let version = self.read(|meta| meta.version())?;
        Ok(version.filter(|version| *version > NEWEST_SCHEMA))
    }

    fn read<T>(
        &self,
        mut ask: impl FnMut(&mut Metadata<'_, '_, File>) -> Result<T, SchemaError>,
    ) -> Result<T, ContainerdError> {
        let job = |snapshot: &mut Snapshot<'_, File>| ask(&mut Metadata { snapshot });
        self.database.borrow_mut().read(job).map_err(|error| match error {
            SchemaError::Bolt(source) => {
                ContainerdError::Database { path: self.path.clone(), source }
            }
            SchemaError::Record { what, problem } => {
                ContainerdError::Metadata { path: self.path.clone(), what, problem }
            }
        })
    }
}

impl ContentStore for Files {
    fn place(&self) -> String {
        format!("the files in {}", self.root.display())
    }

    fn namespaces(&self) -> Result<Vec<Namespace>, ContainerdError> {
        self.read(|meta| meta.namespaces())
    }

    fn image(
        &self,
        namespace: &Namespace,
        name: &str,
    ) -> Result<Option<ImageRecord>, ContainerdError> {
        self.read(|meta| meta.image(namespace, name))
    }

    fn images(&self, namespace: &Namespace) -> Result<Vec<ImageRecord>, ContainerdError> {
        self.read(|meta| meta.images(namespace))
    }

    fn info(
        &self,
        namespace: &Namespace,
        digest: &Digest,
    ) -> Result<Option<BlobInfo>, ContainerdError> {
        self.read(|meta| meta.blob(namespace, digest))
    }

    fn blobs(&self, namespace: &Namespace) -> Result<Vec<(Digest, BlobInfo)>, ContainerdError> {
        self.read(|meta| meta.blobs(namespace))
    }

    fn open<'a>(
        &'a self,
        _namespace: &Namespace,
        digest: &Digest,
    ) -> Result<Option<Box<dyn Read + 'a>>, ContainerdError> {
        let path = self.root.join(BLOBS).join(digest.algorithm().name()).join(digest.hex());
        match fsutil::open_regular(&path) {
            Ok(file) => Ok(Some(Box::new(file))),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
