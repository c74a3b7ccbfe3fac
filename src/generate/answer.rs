//! What is known of a manifest: its bytes, how they came about, and what binds its blobs.

use std::fmt;

use super::LayerVerdict;
use crate::content::archive::Writer;
use crate::content::containerd::Namespace;
use crate::gogzip::Generation;
use crate::image::descriptor::Descriptor;
use crate::image::digest::Digest;
use crate::image::reference::Reference;
use crate::image::schema2::Blob;

/// The manifest, and how it came about.
#[derive(Clone, Debug)]
pub struct Generated {
    /// The exact bytes.
    pub bytes: Vec<u8>,
    /// Their media type, digest and size: what is signed.
    pub descriptor: Descriptor,
    /// Names of the image in the archive.
    pub names: Vec<Reference>,
    /// How the bytes came about.
    pub origin: Origin,
    /// The blobs the manifest speaks for, as they were bound to the archive's bytes.
    pub blobs: Vec<BoundBlob>,
    /// What the user should know.
    pub notes: Vec<Note>,
}

/// How a manifest came about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Origin {
    /// Rendered as containerd's importer does, which keeps the layers as they are.
    Imported,
    /// Rendered as a graph-driver push does; layers compressed by this generation.
    Rendered(Generation),
    /// Stored in the archive; these are its bytes.
    Stored,
    /// Carried along with the archive, which holds its image.
    Given,
    /// Stored in containerd; these are its bytes.
    InContainerd,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Imported => f.write_str("made as containerd imports a docker-archive"),
            Self::Rendered(generation) => {
                write!(f, "made as a graph-driver push does, layers compressed like {generation}")
            }
            Self::Stored => f.write_str("stored in the archive, unchanged"),
            Self::InContainerd => f.write_str("stored in containerd, unchanged"),
            Self::Given => f.write_str("given; config and layers are those of the archive"),
        }
    }
}

/// A blob that a manifest names, bound to bytes that were read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BoundBlob {
    /// Member of the archive that holds it.
    pub member: String,
    /// Its descriptor in the manifest.
    pub descriptor: Descriptor,
    /// Digest and size of the bytes in the archive, which may be compressed in another way.
    pub stored: Blob,
    /// sha256 of its uncompressed bytes, for layers.
    pub diff_id: Option<Digest>,
    /// What ties the bytes to the descriptor.
    pub by: BoundBy,
}

impl BoundBlob {
    /// A blob that is stored as its descriptor says.
    pub(super) fn as_described(member: String, descriptor: Descriptor) -> Self {
        let stored = Blob { digest: descriptor.digest.clone(), size: descriptor.size };
        Self { member, descriptor, stored, diff_id: None, by: BoundBy::Digest }
    }
}

/// What ties bytes that were read to a descriptor.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BoundBy {
    /// They have its digest and its size.
    Digest,
    /// Compressed as the engine does it, they have its digest and its size.
    Compression,
    /// Uncompressed, they have the DiffID that the config names for the layer. About the
    /// compressed form nothing is known.
    DiffId,
}

impl BoundBy {
    /// Its name in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Digest => "digest",
            Self::Compression => "compression",
            Self::DiffId => "diff-id",
        }
    }
}

impl fmt::Display for BoundBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Digest => "its digest",
            Self::Compression => "the digest of what the engine's gzip makes of it",
            Self::DiffId => "the DiffID in the config",
        })
    }
}

/// Something the user should know about a result.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Note {
    /// Config or layers of a manifest of an index are not in containerd.
    AbsentBlob {
        /// The manifest.
        manifest: Digest,
        /// What it is.
        what: &'static str,
        /// The first of them.
        blob: Digest,
    },
    /// Manifests of an index are not in containerd.
    AbsentManifests {
        /// The index.
        index: Digest,
        /// How many are not.
        missing: usize,
        /// How many are.
        present: usize,
    },
    /// Other namespaces of containerd that know the image by the same name.
    AlsoIn(Vec<Namespace>),
    /// Nothing in the archive tells the encoder generation.
    AssumedGeneration(Generation),
    /// An index is not complete, and the engine pushes one of its manifests instead.
    InsteadOfIndex {
        /// The index.
        index: Digest,
        /// The manifest.
        manifest: Digest,
    },
    /// What a push sends for a layer, and how sure that is.
    Layer(LayerVerdict),
    /// A manifest that the engine recorded for the image, `repository@digest`.
    Recorded(String),
    /// Images beside the one that was asked for.
    OtherImages(usize),
    /// Images in the archive that are marked as what is none.
    Disguised(usize),
    /// The record of containerd that the image was found by.
    Record(Namespace, String),
    /// Signatures or attestations of images in the archive, not looked at.
    Referrers(usize),
    /// Bytes behind the end of the archive.
    TrailingData,
    /// Images in the archive that no engine would load.
    Unreferenced(usize),
    /// Who wrote the archive, and how that was told.
    Writer(Writer, String),
}

impl Note {
    /// Whether it is only of interest to someone who asked for details.
    #[must_use]
    pub fn is_detail(&self) -> bool {
        !matches!(
            self,
            Self::AbsentBlob { .. }
                | Self::AbsentManifests { .. }
                | Self::AssumedGeneration(_)
                | Self::Disguised(_)
                | Self::InsteadOfIndex { .. }
                | Self::TrailingData
                | Self::Unreferenced(_)
        )
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AssumedGeneration(generation) => write!(
                f,
                "assuming an engine built with Go 1.8 to 1.26 (--go-gzip {generation}): \
                 an archive does not tell"
            ),
            Self::AbsentBlob { manifest, what, blob } => {
                write!(f, "{what} {blob} of manifest {manifest} is not in containerd")
            }
            Self::AbsentManifests { index, missing, present } => write!(
                f,
                "{missing} of {} manifests below {index} are not in containerd: ctr refuses to push \
                 it so, other tools push something else; --platform chooses one",
                missing + present
            ),
            Self::AlsoIn(namespaces) => {
                let names: Vec<&str> = namespaces.iter().map(Namespace::as_str).collect();
                write!(f, "the same image is in namespace {}", names.join(", "))
            }
            Self::Record(namespace, name) => write!(f, "image {name} in namespace {namespace}"),
            Self::InsteadOfIndex { index, manifest } => write!(
                f,
                "not all platforms of {index} are here, so the engine pushes {manifest} alone"
            ),
            Self::Layer(layer) => layer.fmt(f),
            Self::Recorded(reference) => write!(f, "the engine pulled or pushed {reference}"),
            Self::OtherImages(n) => write!(f, "{n} other images in the archive were not looked at"),
            Self::Disguised(n) => write!(
                f,
                "{n} images in index.json are marked as signatures or attestations; they were not \
                 looked at"
            ),
            Self::Referrers(n) => write!(f, "{n} signatures or attestations in the archive"),
            Self::Unreferenced(n) => write!(
                f,
                "{n} images in the archive are in neither manifest.json nor index.json; nothing is \
                 known of them"
            ),
            Self::TrailingData => f.write_str("there is data behind the end of the archive"),
            Self::Writer(Writer::Graph, why) => {
                write!(f, "written by a graph-driver engine or for one ({why})")
            }
            Self::Writer(Writer::Containerd, why) => {
                write!(f, "written by containerd or with original manifests ({why})")
            }
        }
    }
}
