//! Use case: an image in a store becomes the exact manifest bytes a push would send.
//!
//! ```text
//! archive ── views ── who wrote it ──┬─ graph driver   every layer through Go's gzip, rendered
//!                                    └─ containerd     the stored bytes, unchanged
//! ```
//!
//! Which of the two it is decides everything (docker's graph-driver store keeps no manifest,
//! containerd's keeps the original). Nothing is returned before every byte that the manifest
//! speaks for has been read and hashed.

mod cache;
mod containerd;
mod encode;
mod error;
mod given;
mod graph;
mod layer_source;
mod push_cache;
mod select;
mod stored;
mod views;

use std::collections::HashSet;
use std::fmt;
use std::num::NonZero;
use std::str::FromStr;
use std::sync::Arc;

pub use self::cache::{LayerCache, Pruned};
pub use self::containerd::in_containerd;
pub use self::encode::{compress_layer, compressed_layer};
pub use self::error::GenerateError;
pub use self::given::GivenManifest;
pub use self::layer_source::{sizes_in_archive, sizes_in_manifest};
pub use self::push_cache::{
    KnownSize, LayerVerdict, Prediction, Reason, Verdict, predict, sizes_of,
};
pub use self::select::ImageChoice;

use self::encode::GzipLayers;
use self::views::Views;
use crate::content::archive::{
    Archive, ArchiveError, DockerView, Encoders, Evidence, Jobs, Memo, NoEncoders, OciView, Source,
    Work, Writer,
};
use crate::content::containerd::Namespace;
use crate::content::limits::Limits;
use crate::gogzip::Generation;
use crate::image::descriptor::Descriptor;
use crate::image::digest::Digest;
use crate::image::platform::Platform;
use crate::image::reference::Reference;
use crate::image::schema2::Blob;
use crate::progress::Progress;

/// Which engine the answer is about.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum PushFrom {
    /// The engine that wrote the archive, told by its fingerprints.
    #[default]
    Writer,
    /// A graph-driver engine that loads the archive and pushes the image.
    Graph,
    /// A containerd-store engine that loads the archive and pushes the image.
    Containerd,
}

impl FromStr for PushFrom {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "writer" => Ok(Self::Writer),
            "graph" => Ok(Self::Graph),
            "containerd" => Ok(Self::Containerd),
            _ => Err(format!("expected writer, graph or containerd, found {text:?}")),
        }
    }
}

impl fmt::Display for PushFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Writer => "writer",
            Self::Graph => "graph",
            Self::Containerd => "containerd",
        })
    }
}

/// How much of an image is read.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Content {
    /// Every byte that the manifest speaks for.
    #[default]
    Full,
    /// Only manifests and the config, where the manifest need not be regenerated.
    Manifest,
}

/// What an engine tells of itself that decides what it pushes of an incomplete index.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PushingEngine {
    /// Its version, for people.
    pub version: String,
    /// Whether it pushes a manifest instead of an index that is not complete (docker 27 and newer).
    pub falls_back: bool,
    /// The platform of its host.
    pub host: Platform,
}

/// What to generate, and within which limits.
#[derive(Clone, Debug)]
pub struct Options {
    /// Generation of Go's gzip that compresses the layers; `None` assumes [`Generation::Go1_8`]
    /// and says so.
    pub generation: Option<Generation>,
    /// The image, where there are several.
    pub image: Option<ImageChoice>,
    /// The platform, as `docker push --platform`.
    pub platform: Option<Platform>,
    /// The engine the answer is about.
    pub push_from: PushFrom,
    /// How much of the image is read.
    pub content: Content,
    /// The engine that pushes, where it was asked.
    pub engine: Option<PushingEngine>,
    /// Where results for layers are remembered; `None` compresses every layer again.
    pub cache: Option<LayerCache>,
    /// Limits for the archive.
    pub limits: Limits,
    /// Most threads that measure layers.
    pub threads: NonZero<usize>,
    /// What the run has hashed already; `None` hashes everything.
    pub memo: Option<Arc<Memo>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            generation: None,
            image: None,
            platform: None,
            push_from: PushFrom::default(),
            content: Content::default(),
            engine: None,
            cache: None,
            limits: Limits::default(),
            threads: std::thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN),
            memo: None,
        }
    }
}

impl Options {
    /// How blobs are measured.
    fn jobs<'a>(
        &'a self,
        work: Work,
        encoders: &'a dyn Encoders,
        progress: &'a dyn Progress,
    ) -> Jobs<'a> {
        Jobs { work, encoders, threads: self.threads, memo: self.memo.as_deref(), progress }
    }
}

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
    fn as_described(member: String, descriptor: Descriptor) -> Self {
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

/// Checks an image in an archive against a manifest that is carried along: config and layers are
/// those that it names. Nothing is compressed, so it does not matter who made the layers.
///
/// # Errors
/// [`GenerateError`]: what is wrong with the archive, that it holds another image, or the blob that
/// is not what the manifest names.
pub fn against(
    source: Source,
    given: &GivenManifest,
    options: &Options,
    progress: &dyn Progress,
) -> Result<Generated, GenerateError> {
    let encoders = &NoEncoders;
    let jobs = options.jobs(Work::Hash, encoders, progress);
    let mut archive = Archive::read(source, &jobs, options.limits)?;
    let views = Views::read(&archive)?;
    let mut notes = Vec::new();
    if archive.has_trailing_data() {
        notes.push(Note::TrailingData);
    }
    notes.extend(views.beside_images(&archive)?);
    let context = Context { archive: &mut archive, options, progress, notes };
    given::check(context, views.docker.as_ref(), views.oci.as_ref(), given)
}

/// Which of the manifests that an archive carries along are of the image that `options` choose. One
/// of another image in the archive is none of them, which is no error.
///
/// # Errors
/// [`GenerateError`]: no image is chosen where there are several, or a manifest contradicts the
/// archive: it is of no image in it, or its config or number of layers is not that of its image.
pub fn carried_with(
    source: Source,
    carried: Vec<GivenManifest>,
    options: &Options,
) -> Result<Vec<GivenManifest>, GenerateError> {
    let options = &Options { content: Content::Manifest, ..options.clone() };
    let progress = &();
    let jobs = options.jobs(Work::Nothing, &NoEncoders, progress);
    let mut archive = Archive::read(source, &jobs, options.limits)?;
    let views = Views::read(&archive)?;
    let context = Context { archive: &mut archive, options, progress, notes: Vec::new() };
    given::of_image(context, views.docker.as_ref(), views.oci.as_ref(), carried)
}

/// The names of the images in an archive, as it states them: claims that no signature covers.
///
/// # Errors
/// [`GenerateError`]: what is wrong with the archive.
pub fn names(
    source: Source,
    options: &Options,
    progress: &dyn Progress,
) -> Result<Vec<Reference>, GenerateError> {
    let archive =
        Archive::read(source, &options.jobs(Work::Hash, &NoEncoders, progress), options.limits)?;
    let Views { docker, oci } = Views::read(&archive)?;
    let docker = docker.into_iter().flat_map(|view| view.images).flat_map(|image| image.tags);
    let oci = oci.into_iter().flat_map(|view| view.entries).flat_map(|entry| entry.names);
    let mut known = HashSet::new();
    Ok(docker.chain(oci).filter(|name| known.insert(name.clone())).collect())
}

/// The manifest of an image without layers: a graph-driver engine pushes it, but can't save it
/// (spec/docker.md §4.2). Its config is all there is of it.
///
/// # Errors
/// [`GenerateError`]: the config is malformed, has another digest, or names layers after all.
pub fn without_layers(config: &[u8], id: &Digest) -> Result<Generated, GenerateError> {
    graph::without_layers(config, id)
}

/// Generates the manifest of an image in an archive.
///
/// # Errors
/// [`GenerateError`]: what is wrong with the archive, that the image is not in it, or that no one
/// can know what a push would send.
pub fn manifest(
    source: Source,
    options: &Options,
    progress: &dyn Progress,
) -> Result<Generated, GenerateError> {
    let generation = options.generation.unwrap_or(Generation::Go1_8);
    let encoders = GzipLayers { generation, cache: options.cache.clone() };
    let work = match options.push_from {
        PushFrom::Writer => Work::Encode,
        PushFrom::Graph => Work::EncodeAll,
        PushFrom::Containerd => Work::Hash,
    };
    let jobs = options.jobs(work, &encoders, progress);
    let mut archive = Archive::read(source, &jobs, options.limits)?;
    let views = Views::read(&archive)?;
    let beside = views.beside_images(&archive)?;
    let Views { docker, oci } = views;
    let (writer, mut notes) = writer(&archive, docker.as_ref(), oci.as_ref(), options)?;
    if archive.has_trailing_data() {
        notes.push(Note::TrailingData);
    }
    notes.extend(beside);
    let target = match options.push_from {
        PushFrom::Writer => writer,
        PushFrom::Graph => Writer::Graph,
        PushFrom::Containerd => Writer::Containerd,
    };
    let mut context = Context { archive: &mut archive, options, progress, notes };
    match (target, docker, oci) {
        (Writer::Graph, Some(_), _) if options.content == Content::Manifest => {
            Err(GenerateError::Undeterminable {
                reason: "the archive holds no manifest, it follows from every byte of the layers"
                    .to_owned(),
                hint: "name the manifest that is carried along: --manifest FILE".to_owned(),
            })
        }
        (Writer::Graph, Some(docker), _) => {
            if options.generation.is_none() {
                context.notes.push(Note::AssumedGeneration(generation));
            }
            graph::push(context, &docker, &encoders)
        }
        (Writer::Graph, None, _) => Err(GenerateError::Undeterminable {
            reason: "a graph-driver engine can't load an archive without manifest.json".to_owned(),
            hint: "leave --push-from away, or load it into a containerd-store engine".to_owned(),
        }),
        (Writer::Containerd, _, Some(oci)) => stored::push(context, &oci),
        (Writer::Containerd, Some(docker), None) => graph::import(context, &docker),
        (Writer::Containerd, None, None) => Err(views::not_an_image(context.archive).into()),
    }
}

/// What the steps share.
struct Context<'a> {
    archive: &'a mut Archive,
    options: &'a Options,
    progress: &'a dyn Progress,
    notes: Vec<Note>,
}

impl<'a> Context<'a> {
    fn jobs<'b>(&self, encoders: &'b dyn Encoders) -> Jobs<'b>
    where
        'a: 'b,
    {
        self.options.jobs(Work::Hash, encoders, self.progress)
    }
}

/// The writer by its fingerprints. Contradictions don't matter if the user named the engine.
fn writer(
    archive: &Archive,
    docker: Option<&DockerView>,
    oci: Option<&OciView>,
    options: &Options,
) -> Result<(Writer, Vec<Note>), GenerateError> {
    match Evidence::of(archive, docker, oci) {
        Ok(evidence) => {
            let why = evidence.signals.join(", ");
            Ok((evidence.writer, vec![Note::Writer(evidence.writer, why)]))
        }
        Err(ArchiveError::Writer { .. }) if options.push_from != PushFrom::Writer => {
            Ok((Writer::Graph, Vec::new()))
        }
        Err(error) => Err(error.into()),
    }
}
