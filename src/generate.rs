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

mod answer;
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

pub use self::answer::{BoundBlob, BoundBy, Generated, Note, Origin};
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
use crate::content::limits::Limits;
use crate::gogzip::Generation;
use crate::image::digest::Digest;
use crate::image::platform::Platform;
use crate::image::reference::Reference;
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
