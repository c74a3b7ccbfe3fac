//! Verified content goes into containerd, so that it has exactly the signed image.
//!
//! Its own importer makes a manifest of an archive of `docker save` that nobody signed. Here the
//! manifest that was verified is written, and the blobs it names; layers that the archive holds
//! uncompressed are compressed as the push would have done it. containerd hashes everything that
//! it is sent, and nothing leads to any of it before the image records, which come last.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Read as _, Write};
use std::num::NonZero;

use crate::content::archive::Archive;
use crate::content::containerd::{
    ContentWriter, ImageRecord, ImportError, Labels, Namespace, NewContent,
};
use crate::generate::{self, BoundBlob, Generated, Origin};
use crate::gogzip::Generation;
use crate::image::descriptor::Descriptor;
use crate::image::manifest::{Document, MAX_BYTES, RawManifest};
use crate::image::media_type;
use crate::progress::Progress;

use super::{Changed, Checked, LoadError};

/// Prefix of labels by which containerd's garbage collector finds what content leads to.
const REFERENCE: &str = "containerd.io/gc.ref.content";

/// Where an image goes, and how.
#[derive(Clone, Copy)]
pub struct Destination<'a> {
    /// The store.
    pub writer: &'a dyn ContentWriter,
    /// The namespace.
    pub namespace: &'a Namespace,
    /// The names it gets, as containerd writes them.
    pub names: &'a [String],
    /// Until when a lease holds it, should this process die on the way; RFC 3339.
    pub lease_until: &'a str,
    /// Threads for layers that are compressed.
    pub threads: NonZero<usize>,
    /// Is told how far it is.
    pub progress: &'a dyn Progress,
}

impl fmt::Debug for Destination<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { namespace, names, .. } = self;
        f.debug_struct("Destination")
            .field("namespace", namespace)
            .field("names", names)
            .finish_non_exhaustive()
    }
}

/// Writes an image that was verified. `archive` is read again; what has changed since is found.
///
/// # Errors
/// [`LoadError`]: a blob is not what was verified any more, the archive does not hold what the
/// signed manifest names, or containerd does not take it. What was written is collected then, but
/// for the image of a name that containerd took before it refused another one.
pub fn into_containerd(
    archive: &Archive,
    image: &Generated,
    to: &Destination<'_>,
) -> Result<(), LoadError> {
    let mut content = Vec::new();
    let mut seen = BTreeSet::from([&image.descriptor.digest]);
    let mut total = 0;
    for blob in &image.blobs {
        if archive.get(&blob.member).is_none() || !seen.insert(&blob.descriptor.digest) {
            continue;
        }
        total += blob.stored.size;
        content.push(of_blob(archive, image, blob, to)?);
    }
    to.progress.begin("blobs", content.len(), total);
    // What is signed was read and hashed; these are its bytes.
    content.push(NewContent {
        digest: &image.descriptor.digest,
        size: image.descriptor.size,
        labels: references(&image.descriptor, &image.bytes)?,
        fill: Box::new(|out| out.write_all(&image.bytes)),
    });
    let records: Vec<_> = to
        .names
        .iter()
        .map(|name| ImageRecord {
            name: name.clone(),
            target: image.descriptor.clone(),
            labels: Labels::new(),
        })
        .collect();
    to.writer.import(to.namespace, &content, &records, to.lease_until)?;
    Ok(())
}

fn of_blob<'a>(
    archive: &'a Archive,
    image: &'a Generated,
    blob: &'a BoundBlob,
    to: &Destination<'a>,
) -> Result<NewContent<'a>, LoadError> {
    let (digest, size) = (&blob.descriptor.digest, blob.descriptor.size);
    let is_stored = blob.stored.digest == *digest && blob.stored.size == size;
    let compressed_by = match image.origin {
        _ if is_stored => None,
        Origin::Rendered(generation) if blob.diff_id.is_some() => Some(generation),
        Origin::Given if blob.diff_id.as_ref() == Some(&blob.stored.digest) => {
            Some(compressor_of(archive, blob, to)?)
        }
        _ => return Err(other_form(blob)),
    };
    let is_document = media_type::is_manifest(&blob.descriptor.media_type)
        || media_type::is_index(&blob.descriptor.media_type);
    let labels = if is_document && is_stored {
        let mut bytes = Vec::new();
        archive.open(&blob.member)?.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
        // containerd compares the digest; a document that changed is refused there.
        references(&blob.descriptor, &bytes)?
    } else {
        Labels::new()
    };
    let (threads, progress) = (to.threads, to.progress);
    let fill =
        move |out: &mut dyn Write| fill(archive, blob, compressed_by, threads, progress, out);
    Ok(NewContent { digest, size, labels, fill: Box::new(fill) })
}

/// The generation that makes of an uncompressed layer what a carried manifest names. It does not say
/// who made it: both are tried.
fn compressor_of(
    archive: &Archive,
    blob: &BoundBlob,
    to: &Destination<'_>,
) -> Result<Generation, LoadError> {
    for generation in [Generation::Go1_8, Generation::Go1_27] {
        let mut layer = checked(archive, blob, to.progress)?;
        let made = generate::compressed_layer(generation, to.threads, &mut layer)?;
        if made.digest == blob.descriptor.digest && made.size == blob.descriptor.size {
            return Ok(generation);
        }
    }
    Err(other_form(blob))
}

fn other_form(blob: &BoundBlob) -> LoadError {
    let (member, digest) = (blob.member.clone(), blob.descriptor.digest.clone());
    LoadError::OtherForm { member, digest }
}

/// What a blob was when it was verified, or an error.
fn checked<'a>(
    archive: &'a Archive,
    blob: &'a BoundBlob,
    progress: &dyn Progress,
) -> io::Result<Checked<'a>> {
    Ok(Checked {
        inner: archive.open(&blob.member).map_err(io::Error::other)?,
        hasher: Some(blob.stored.digest.algorithm().hasher()),
        read: 0,
        expected: (&blob.stored.digest, blob.stored.size),
        member: &blob.member,
        step: progress.step(blob.descriptor.digest.hex(), Some(blob.stored.size)),
    })
}

/// Writes a blob as its descriptor has it.
fn fill(
    archive: &Archive,
    blob: &BoundBlob,
    compressed_by: Option<Generation>,
    threads: NonZero<usize>,
    progress: &dyn Progress,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut checked = checked(archive, blob, progress)?;
    match compressed_by {
        None => io::copy(&mut checked, out).map(drop),
        Some(generation) => generate::compress_layer(generation, threads, &mut checked, out),
    }
}

/// The labels by which the collector finds the children of a manifest or an index (§5.4).
fn references(descriptor: &Descriptor, bytes: &[u8]) -> Result<Labels, LoadError> {
    let manifest = RawManifest::parse(bytes.to_vec(), Some(&descriptor.media_type))?;
    let numbered = |kind: &str, children: &[Descriptor]| {
        let each = children.iter().enumerate();
        each.map(|(at, child)| (format!("{REFERENCE}.{kind}.{at}"), child.digest.to_string()))
            .collect::<Labels>()
    };
    Ok(match manifest.document {
        Document::Manifest(manifest) => {
            let mut labels = numbered("l", &manifest.layers);
            labels.insert(format!("{REFERENCE}.config"), manifest.config.digest.to_string());
            labels
        }
        Document::Index(index) => numbered("m", &index.manifests),
    })
}

impl From<ImportError> for LoadError {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Containerd(error) => Self::Containerd(Box::new(error)),
            ImportError::Content(error) => match error.downcast::<Changed>() {
                Ok(changed) => Self::Changed(Box::new(changed)),
                Err(error) => Self::Read(error),
            },
        }
    }
}
