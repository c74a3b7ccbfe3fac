//! containerd's content store, read over its socket or from its files (spec/containerd.md).
//!
//! | module | what |
//! |---|---|
//! | [`offline`] | `meta.db` and the blob files: no daemon needed, also on a mounted disk |
//! | `grpc` | the running containerd (cargo feature `containerd-grpc`), which alone can be written to |
//! | [`find`](mod@find) | an image by its name, the same for both |
//! | [`bolt`] | the format of `meta.db` |
//! | [`config`] | where containerd's own configuration says that all this is |
//!
//! Both are a [`ContentStore`]. Neither proves anything: what a store says about a digest is a
//! claim until the bytes were read and hashed, which [`read`](mod@read) does. containerd itself
//! gives out altered blobs without a word.

pub mod bolt;
pub mod config;
mod error;
pub mod find;
#[cfg(feature = "containerd-grpc")]
pub mod grpc;
pub mod offline;
pub mod read;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::str::FromStr;

use crate::image::descriptor::Descriptor;
use crate::image::digest::Digest;

pub use self::error::{Class, ContainerdError};

/// Keeps images by name, and content by digest, each in a namespace.
pub trait ContentStore {
    /// What messages call it.
    fn place(&self) -> String;

    /// The namespaces, in byte order.
    ///
    /// # Errors
    /// [`ContainerdError`] when the store can't be read.
    fn namespaces(&self) -> Result<Vec<Namespace>, ContainerdError>;

    /// The image record of exactly this name.
    ///
    /// # Errors
    /// [`ContainerdError`] when the store can't be read.
    fn image(
        &self,
        namespace: &Namespace,
        name: &str,
    ) -> Result<Option<ImageRecord>, ContainerdError>;

    /// All image records, in byte order of their names.
    ///
    /// # Errors
    /// [`ContainerdError`] when the store can't be read.
    fn images(&self, namespace: &Namespace) -> Result<Vec<ImageRecord>, ContainerdError>;

    /// What is recorded about some content. Its bytes may be gone all the same.
    ///
    /// # Errors
    /// [`ContainerdError`] when the store can't be read.
    fn info(
        &self,
        namespace: &Namespace,
        digest: &Digest,
    ) -> Result<Option<BlobInfo>, ContainerdError>;

    /// The bytes of some content, as they come: nobody has hashed them. `None` where they are gone.
    ///
    /// # Errors
    /// [`ContainerdError`] when the store can't be read.
    fn open<'a>(
        &'a self,
        namespace: &Namespace,
        digest: &Digest,
    ) -> Result<Option<Box<dyn io::Read + 'a>>, ContainerdError>;

    /// What is recorded about all content of a namespace.
    ///
    /// # Errors
    /// [`ContainerdError`] when the store can't be read.
    fn blobs(&self, namespace: &Namespace) -> Result<Vec<(Digest, BlobInfo)>, ContainerdError>;

    /// How to change the store, where that is possible.
    fn writer(&self) -> Option<&dyn ContentWriter> {
        None
    }
}

/// Changes a store. Only what is asked for by name calls this: the socket is as good as root.
pub trait ContentWriter {
    /// Adds content in such a way that no garbage collection takes it, at whatever moment (§5.4).
    ///
    /// # Errors
    /// [`ContainerdError`] when the store can't be written. What was written by then is collected.
    fn add(&self, namespace: &Namespace, addition: &Addition<'_>) -> Result<(), ContainerdError>;

    /// Adds a whole image: content, children before those whose labels lead to them, then records
    /// for it, all of it under a lease.
    ///
    /// # Errors
    /// [`ImportError`]; what was written by then is collected.
    fn import(
        &self,
        namespace: &Namespace,
        content: &[NewContent<'_>],
        records: &[ImageRecord],
        lease_until: &str,
    ) -> Result<(), ImportError>;

    /// Sets labels of content; an empty value removes one.
    ///
    /// # Errors
    /// [`ContainerdError`] when the store can't be written, or has no such content.
    fn label(
        &self,
        namespace: &Namespace,
        digest: &Digest,
        labels: &Labels,
    ) -> Result<(), ContainerdError>;

    /// Removes an image record, if there is one.
    ///
    /// # Errors
    /// [`ContainerdError`] when the store can't be written.
    fn remove_image(&self, namespace: &Namespace, name: &str) -> Result<(), ContainerdError>;

    /// Removes content from a namespace, if it is there.
    ///
    /// # Errors
    /// [`ContainerdError`] when the store can't be written.
    fn remove_content(&self, namespace: &Namespace, digest: &Digest)
    -> Result<(), ContainerdError>;
}

/// Content that is written in pieces.
pub struct NewContent<'a> {
    /// Its digest, which the store compares before anything can find it.
    pub digest: &'a Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Its labels.
    pub labels: Labels,
    /// Writes its bytes.
    pub fill: Fill<'a>,
}

/// Writes the bytes of some content.
pub type Fill<'a> = Box<dyn Fn(&mut dyn io::Write) -> io::Result<()> + 'a>;

impl fmt::Debug for NewContent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewContent").field("digest", &self.digest).finish_non_exhaustive()
    }
}

/// Why an image was not written.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The store did not take it.
    #[error(transparent)]
    Containerd(#[from] ContainerdError),
    /// Its content could not be read.
    #[error(transparent)]
    Content(io::Error),
}

/// Content that is added, and what keeps it.
#[derive(Clone, Debug)]
pub struct Addition<'a> {
    /// The blobs, children before those whose labels lead to them.
    pub blobs: Vec<NewBlob<'a>>,
    /// Content that is there, and the labels it gets.
    pub anchor: (&'a Digest, Labels),
    /// An image record for what is added.
    pub image: Option<ImageRecord>,
    /// Until when a lease holds it, should the writer die on the way; RFC 3339.
    pub lease_until: String,
}

/// A blob that is added.
#[derive(Clone, Debug)]
pub struct NewBlob<'a> {
    /// Its digest.
    pub digest: &'a Digest,
    /// Its bytes.
    pub bytes: &'a [u8],
    /// Its labels.
    pub labels: Labels,
}

/// Labels of an image or of content.
pub type Labels = BTreeMap<String, String>;

/// An image record: a name for a manifest or an index.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ImageRecord {
    /// The name, any text.
    pub name: String,
    /// Media type, digest and size of what it names; what is signed. The annotations that
    /// containerd keeps with it are local bookkeeping and not among them (§3.3).
    pub target: Descriptor,
    /// Its labels.
    pub labels: Labels,
}

/// What containerd records about content.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BlobInfo {
    /// Its size.
    pub size: u64,
    /// Its labels.
    pub labels: Labels,
}

/// Longest name of a namespace.
const MAX_NAMESPACE: usize = 76;

/// The name of a namespace, by containerd's rules (§2.3).
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Namespace(Box<str>);

impl Namespace {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Namespace {
    type Err = NamespaceError;

    /// `^[A-Za-z0-9]+(?:[._-](?:[A-Za-z0-9]+))*$`, at most 76 characters.
    fn from_str(text: &str) -> Result<Self, NamespaceError> {
        let is_word =
            |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric());
        if text.len() <= MAX_NAMESPACE && text.split(['.', '_', '-']).all(is_word) {
            Ok(Self(text.into()))
        } else {
            Err(NamespaceError { found: text.chars().take(MAX_NAMESPACE + 1).collect() })
        }
    }
}

/// The text is no name of a namespace.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "a namespace has at most {MAX_NAMESPACE} letters and digits with single . _ - between them, \
     found {found:?}"
)]
pub struct NamespaceError {
    /// The text (its beginning).
    pub found: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_namespaces() {
        for good in ["default", "k8s.io", "moby", "plugins.moby", "A-1_b", &"a".repeat(76)] {
            assert_eq!(good.parse::<Namespace>().unwrap().as_str(), good);
        }
        for bad in
            ["", ".", "a..b", "-a", "a-", "a b", "a/b", "a\n", "a\0", "\u{e4}", &"a".repeat(77)]
        {
            assert!(bad.parse::<Namespace>().is_err(), "{bad:?}");
        }
    }
}
