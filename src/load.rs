//! Use case: verified content becomes a clean archive, which holds that and nothing else.
//!
//! An archive can be one image to one engine and another to the next, and hold more than anybody
//! looked at. What is written here has one reading: the blobs that were bound to what is signed,
//! and an index made of their descriptors. Every byte is hashed again while it is written, and what
//! makes the archive an image comes last: if anything has changed since the verification, no engine
//! can load what it has received by then (security.md: time of check, time of use).

mod containerd;

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use serde_json::json;

pub use containerd::{Destination, into_containerd};

use crate::content::archive::{Archive, ArchiveError, DockerView, blob_name};
use crate::content::containerd::ContainerdError;
use crate::generate::{BoundBlob, Generated, Origin};
use crate::image::descriptor::Descriptor;
use crate::image::digest::{Digest, Hasher};
use crate::image::manifest::{Document, Manifest, ManifestError};
use crate::image::media_type;
use crate::image::reference::Reference;
use crate::progress::{Progress, Step};

/// Mode of all members, as containerd's exporter writes them.
const MODE: u32 = 0o444;

const LAYOUT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

/// What a clean archive will hold: members by name.
#[derive(Debug)]
pub struct CleanArchive<'a> {
    archive: &'a Archive,
    members: BTreeMap<String, Body>,
    names: Vec<String>,
    config: Option<Digest>,
}

/// Where the bytes of a member come from.
#[derive(Debug)]
enum Body {
    Made(Vec<u8>),
    /// A member of the archive that was verified.
    Blob {
        member: String,
        digest: Digest,
        size: u64,
    },
}

/// Which names the image gets. A signature does not cover them.
#[derive(Clone, Debug)]
pub enum Names {
    /// Those in the archive.
    Kept,
    /// These instead.
    Given(Vec<Reference>),
}

impl Names {
    /// The names that an image gets.
    #[must_use]
    pub fn of<'a>(&'a self, image: &'a Generated) -> &'a [Reference] {
        match self {
            Self::Kept => &image.names,
            Self::Given(names) => names,
        }
    }
}

impl<'a> CleanArchive<'a> {
    /// Plans the archive of an image that was verified. `archive` is read again; it may have
    /// changed, which [`Self::write_to`] finds.
    ///
    /// # Errors
    /// [`LoadError`] when the archive has no such members any more.
    pub fn of(archive: &'a Archive, image: &Generated, names: &Names) -> Result<Self, LoadError> {
        let names = names.of(image);
        let mut clean = Self { archive, members: BTreeMap::new(), names: Vec::new(), config: None };
        let in_archive = image.blobs.iter().filter(|blob| archive.get(&blob.member).is_some());
        for blob in in_archive.clone() {
            clean.members.insert(blob_name(&blob.stored.digest), Body::of(blob));
        }
        let docker = match image.origin {
            Origin::Stored => {
                clean.make("oci-layout", LAYOUT.to_owned());
                clean.make("index.json", index(&image.descriptor, names));
                clean.docker_image(image)?
            }
            _ => {
                let (layers, rest): (Vec<_>, Vec<_>) =
                    in_archive.partition(|blob| blob.diff_id.is_some());
                let is_config =
                    |blob: &&&BoundBlob| media_type::is_config(&blob.descriptor.media_type);
                rest.iter().find(is_config).map(|config| {
                    let layers = layers.iter().map(|layer| blob_name(&layer.stored.digest));
                    (config.stored.digest.clone(), layers.collect())
                })
            }
        };
        clean.names = names.iter().map(Reference::familiar).collect();
        if let Some((config, layers)) = docker {
            clean.make("manifest.json", manifest_json(&blob_name(&config), &layers, &clean.names));
            clean.config = Some(config);
        }
        Ok(clean)
    }

    fn make(&mut self, name: &str, text: String) {
        self.members.insert(name.to_owned(), Body::Made(text.into_bytes()));
    }

    /// Config and layers of the image that `manifest.json` names for graph-driver engines: the only
    /// one, or the one that the archive names for them.
    fn docker_image(&self, image: &Generated) -> Result<Option<(Digest, Vec<String>)>, LoadError> {
        let mut manifests: Vec<Manifest> = Vec::new();
        let mut walk = self.archive.walk();
        for blob in &image.blobs {
            let descriptor = &blob.descriptor;
            if media_type::is_manifest(&descriptor.media_type)
                && !descriptor.is_attestation()
                && let Document::Manifest(manifest) =
                    self.archive.manifest(descriptor, &mut walk)?.document
                && media_type::is_config(&manifest.config.media_type)
            {
                manifests.push(manifest);
            }
        }
        let view = DockerView::read(self.archive)?;
        let is_named = |manifest: &&Manifest| {
            let mut images = view.iter().flat_map(|view| &view.images);
            images.any(|image| image.config.digest == manifest.config.digest)
        };
        let chosen = match manifests.as_slice() {
            [only] => Some(only),
            several => several.iter().find(is_named),
        };
        Ok(chosen.map(|manifest| {
            let layers = manifest.layers.iter().map(|layer| blob_name(&layer.digest)).collect();
            (manifest.config.digest.clone(), layers)
        }))
    }

    /// The names the image will have.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The digest of the config, by which graph-driver engines know the image.
    #[must_use]
    pub fn config(&self) -> Option<&Digest> {
        self.config.as_ref()
    }

    /// Writes the archive. The documents that make it an image come after every blob.
    ///
    /// # Errors
    /// [`LoadError`] when a blob is not what was verified any more, or `out` can't be written. What
    /// was written by then is no archive and has to be thrown away.
    pub fn write_to(&self, out: impl Write, progress: &dyn Progress) -> Result<(), LoadError> {
        let blobs = self.members.values().filter(|body| matches!(body, Body::Blob { .. }));
        progress.begin("blobs", blobs.clone().count(), blobs.map(Body::size).sum());
        let mut tar = tar::Builder::new(out);
        // `blobs/` sorts before `index.json`, `manifest.json` and `oci-layout`.
        for (name, body) in &self.members {
            let mut header = tar::Header::new_ustar();
            header.set_size(body.size());
            header.set_mode(MODE);
            header.set_mtime(0);
            match body {
                Body::Made(bytes) => tar.append_data(&mut header, name, bytes.as_slice())?,
                Body::Blob { member, digest, size } => {
                    let inner = self.archive.open(member)?;
                    let mut checked = Checked {
                        inner,
                        hasher: Some(digest.algorithm().hasher()),
                        read: 0,
                        expected: (digest, *size),
                        member,
                        step: progress.step(name, Some(*size)),
                    };
                    tar.append_data(&mut header, name, &mut checked)?;
                }
            }
        }
        tar.into_inner()?.flush()?;
        Ok(())
    }
}

impl Body {
    fn of(blob: &BoundBlob) -> Self {
        let (digest, size) = (blob.stored.digest.clone(), blob.stored.size);
        Self::Blob { member: blob.member.clone(), digest, size }
    }

    fn size(&self) -> u64 {
        match self {
            Self::Made(bytes) => bytes.len() as u64,
            Self::Blob { size, .. } => *size,
        }
    }
}

/// An entry for each name, as containerd's exporter writes them.
fn index(target: &Descriptor, names: &[Reference]) -> String {
    let entry = |annotations: Option<serde_json::Value>| {
        let mut entry = json!({
            "mediaType": target.media_type, "digest": target.digest, "size": target.size,
        });
        if let Some(annotations) = annotations {
            entry["annotations"] = annotations;
        }
        entry
    };
    let mut entries: Vec<_> = names
        .iter()
        .map(|name| {
            entry(Some(json!({
                "io.containerd.image.name": name.to_string(),
                "org.opencontainers.image.ref.name": name.tag().unwrap_or_default(),
            })))
        })
        .collect();
    if entries.is_empty() {
        entries.push(entry(None));
    }
    json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": entries})
        .to_string()
}

fn manifest_json(config: &str, layers: &[String], names: &[String]) -> String {
    let names = if names.is_empty() { json!(null) } else { json!(names) };
    json!([{"Config": config, "RepoTags": names, "Layers": layers}]).to_string()
}

/// Hashes what is read, and at the end compares it with what was verified.
struct Checked<'a> {
    inner: Box<dyn Read + 'a>,
    hasher: Option<Hasher>,
    read: u64,
    expected: (&'a Digest, u64),
    member: &'a str,
    step: Box<dyn Step>,
}

impl Read for Checked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.read += n as u64;
        self.step.advance(n as u64);
        if n > 0 {
            self.hasher.as_mut().into_iter().for_each(|hasher| hasher.update(&buffer[..n]));
        } else if let Some(hasher) = self.hasher.take() {
            let (digest, size) = self.expected;
            let found = hasher.finish();
            if found != *digest || self.read != size {
                return Err(io::Error::other(Changed {
                    member: self.member.to_owned(),
                    expected: digest.clone(),
                    found,
                }));
            }
        }
        Ok(n)
    }
}

/// A blob is not what it was when it was verified.
#[derive(Debug, thiserror::Error)]
#[error("{member} changed after it was verified: expected {expected}, found {found}")]
pub struct Changed {
    member: String,
    expected: Digest,
    found: Digest,
}

/// Why there is no clean archive.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The archive can't be read again.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// It changed.
    #[error(transparent)]
    Changed(Box<Changed>),
    /// containerd does not take it.
    #[error(transparent)]
    Containerd(Box<ContainerdError>),
    /// A document can't be read any more.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The archive holds a layer in another form than the signed manifest names, and nobody knows
    /// which compressor made that one.
    #[error(
        "the archive holds {member} uncompressed, and what compressed it to {digest} is not known"
    )]
    OtherForm {
        /// The member.
        member: String,
        /// The digest that the manifest names.
        digest: Digest,
    },
    /// The archive can't be read.
    #[error("reading the archive: {0}")]
    Read(io::Error),
    /// It can't be written.
    #[error("writing the archive: {0}")]
    Write(io::Error),
}

impl From<io::Error> for LoadError {
    fn from(error: io::Error) -> Self {
        match error.downcast::<Changed>() {
            Ok(changed) => Self::Changed(Box::new(changed)),
            Err(error) => Self::Write(error),
        }
    }
}
