//! What is signed or verified: a manifest file, standard input, or a descriptor.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use crate::content::limits::Limits;
use crate::generate::{BoundBlob, Content, Generated};
use crate::image::descriptor::Descriptor;
use crate::image::digest::{Algorithm, Digest};
use crate::image::json::{self, Rules};
use crate::image::local::{Agreement, LocalDocument, MediaTypeSource};
use crate::image::manifest::MAX_BYTES;
use crate::image::media_type;
use crate::store::SignatureStore;
use crate::store::cache::SignatureCache;
use crate::store::containerd::ContainerdSignatures;
use crate::store::layout::{LayoutReference, OciLayout};
use crate::store::with_cache::WithCache;

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::image_subject::{Alternative, ImageSubject};
use super::progress_bar::ProgressBar;
use super::read_input;
use super::source::{Held, ImageArgs, Question, Source};

// The subject of `sign` and `verify`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct SubjectArgs {
    /// The image, as for `dockseal manifest`; with --local a manifest, - for standard input; with
    /// --oci-layout DIR:TAG or DIR@DIGEST
    #[arg(value_name = "SOURCE", required_unless_present = "descriptor")]
    source: Option<String>,
    /// SOURCE is a file with the manifest itself
    #[arg(long, short)]
    local: bool,
    /// SOURCE is in an OCI image layout, a directory or a tar; signatures are there too
    #[arg(long, conflicts_with = "local", group = "in_layout")]
    oci_layout: bool,
    /// Descriptor instead of content: JSON, or @FILE with JSON
    #[arg(long, value_name = "JSON|@FILE", conflicts_with_all = ["source", "local", "oci_layout"])]
    descriptor: Option<String>,
    /// Media type of the manifest [default: what it says itself]
    #[arg(long, value_name = "TYPE", requires = "local")]
    media_type: Option<String>,
    /// Use --media-type even if the manifest says another one
    #[arg(long, requires = "media_type")]
    force_media_type: bool,
    /// Digest algorithm of the descriptor [default: sha256]
    #[arg(long, value_name = "ALG", requires = "local")]
    digest_algorithm: Option<Algorithm>,
    /// Manifest that is carried along with the image, which is checked against it whatever tool made
    /// its layers; repeatable: an index first, then the manifest below it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["local", "oci_layout", "descriptor"])]
    manifest: Vec<PathBuf>,
    #[command(flatten, next_help_heading = "Image options")]
    image: ImageArgs,
}

/// A subject that is known.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    /// Media type, digest and size.
    pub(super) descriptor: Descriptor,
    /// What it is called in messages; with the digest it is notation's `path@digest`.
    pub(super) name: Option<String>,
    /// Whether content was hashed.
    pub(super) content: ContentSeen,
    /// The image that was read, with its blobs and what ties them to the descriptor.
    pub(super) image: Option<Generated>,
    /// The file it was read from.
    pub(super) path: Option<PathBuf>,
    /// The layout it is in.
    pub(super) layout: Option<OciLayout>,
    /// The layouts inside the archive that it is in.
    pub(super) inside: Option<OciLayout>,
    /// The signatures beside it in containerd.
    pub(super) containerd: Option<ContainerdSignatures>,
    /// Other manifests that it may have been signed as, in the order in which they are tried.
    pub(super) alternatives: Vec<Alternative>,
}

/// Whether the descriptor was computed from content.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ContentSeen {
    /// Every byte of the image was hashed.
    Full,
    /// The manifest was; config and layers were not.
    Manifest,
    /// It was given; nobody has seen the content.
    No,
}

impl ContentSeen {
    /// Its name in reports.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Manifest => "manifest",
            Self::No => "none",
        }
    }
}

impl Subject {
    /// `name@digest`.
    pub(super) fn reference(&self) -> String {
        self.reference_of(&self.descriptor)
    }

    /// `name@digest` of something below it.
    pub(super) fn reference_of(&self, descriptor: &Descriptor) -> String {
        match &self.name {
            Some(name) => format!("{name}@{}", descriptor.digest),
            None => descriptor.digest.to_string(),
        }
    }

    /// The same subject, which shows how far it is when the archive that it is in is replaced.
    pub(super) fn reporting(mut self, bar: ProgressBar) -> Self {
        let bar = Arc::new(bar);
        for layout in [&mut self.layout, &mut self.inside] {
            *layout = layout.take().map(|it| it.reporting(bar.clone()));
        }
        self
    }

    /// Signatures that are kept with the image.
    pub(super) fn beside(&self) -> Option<Box<dyn SignatureStore>> {
        match (self.layout.as_ref().or(self.inside.as_ref()), &self.containerd) {
            (Some(layout), _) => Some(Box::new(layout.clone())),
            (None, Some(containerd)) => Some(Box::new(containerd.clone())),
            (None, None) => None,
        }
    }

    /// Where its signatures are: beside it, else in the cache, and inside its archive or containerd.
    pub(super) fn signatures(&self, context: &Context) -> Result<Box<dyn SignatureStore>, Failure> {
        let cache = context.dirs.cache().map(|cache| SignatureCache::new(&cache));
        if let (Some(containerd), Ok(cache)) = (&self.containerd, &cache) {
            return Ok(Box::new(WithCache::new(cache.clone(), containerd.clone())));
        }
        Ok(match (&self.layout, &self.inside, cache) {
            (Some(layout), _, _) => Box::new(layout.clone()),
            (None, Some(inside), Ok(cache)) => Box::new(WithCache::new(cache, inside.clone())),
            (None, Some(inside), Err(_)) => Box::new(inside.clone()),
            (None, None, cache) => Box::new(cache?),
        })
    }

    /// The blobs of the image that were bound to it.
    pub(super) fn blobs(&self) -> &[BoundBlob] {
        self.image.as_ref().map_or(&[], |image| &image.blobs)
    }

    /// The manifests and indexes below it, and whether they are here.
    pub(super) fn below(&self) -> Result<Vec<(Descriptor, bool)>, Failure> {
        if let Some(layout) = &self.layout {
            return Ok(layout.below(&self.descriptor)?);
        }
        if self.image.is_none() {
            return Err(Failure::usage("what is below an index is in the image: name that")
                .with_hint(Some("dockseal verify --recursive --oci-layout DIR:TAG".to_owned())));
        }
        let is_below = |descriptor: &&Descriptor| {
            let known = media_type::is_manifest(&descriptor.media_type)
                || media_type::is_index(&descriptor.media_type);
            known && descriptor.digest != self.descriptor.digest
        };
        let blobs = self.blobs().iter().map(|blob| &blob.descriptor);
        Ok(blobs.filter(is_below).map(|descriptor| (descriptor.clone(), true)).collect())
    }
}

impl SubjectArgs {
    /// Finds the subject; of an image every byte is hashed.
    pub(super) fn resolve(&self, context: &Context) -> Result<Subject, Failure> {
        self.resolve_from(None, Content::Full, context)
    }

    /// Finds the subject of a signature: what a push of it sends must be certain.
    pub(super) fn resolve_to_sign(&self, context: &Context) -> Result<Subject, Failure> {
        self.find(None, Content::Full, true, context)
    }

    /// Finds the subject; `content` says how much of an image is hashed, and `held` is its archive
    /// where that is open already.
    pub(super) fn resolve_from(
        &self,
        held: Held,
        content: Content,
        context: &Context,
    ) -> Result<Subject, Failure> {
        self.find(held, content, false, context)
    }

    fn find(
        &self,
        held: Held,
        content: Content,
        signing: bool,
        context: &Context,
    ) -> Result<Subject, Failure> {
        if let Some(text) = &self.descriptor {
            return described(text, context);
        }
        let Some(source) = &self.source else {
            return Err(Failure::usage("a manifest is needed: --local FILE"));
        };
        if self.oci_layout {
            return Ok(in_layout(source)?.reporting(self.image.bar(context)));
        }
        if self.local {
            return self.local(Path::new(source), context);
        }
        let question = Question { content, held, signing, ..Question::default() };
        self.of_image()?.find(question, context)
    }

    /// The image, if that is what is asked about.
    pub(super) fn of_image(&self) -> Result<ImageSubject<'_>, Failure> {
        match &self.source {
            Some(source) if !self.local && !self.oci_layout => {
                Ok(ImageSubject { source, manifest: &self.manifest, image: &self.image })
            }
            _ => Err(Failure::usage("an image archive is needed")),
        }
    }

    /// Finds the subject where only its signatures are asked about.
    pub(super) fn resolve_to_list(&self, context: &Context) -> Result<Subject, Failure> {
        match self.of_image() {
            Ok(image) => image.resolve_to_list(context),
            Err(_) => self.resolve(context),
        }
    }

    /// The image in an archive or a directory, if that is what is asked about.
    pub(super) fn archive(&self) -> Result<Source, Failure> {
        self.of_image()?.source.parse().map_err(Failure::usage)
    }

    /// What is named.
    pub(super) fn source(&self) -> Option<&str> {
        self.source.as_deref()
    }

    /// The same for another image, read in another way.
    pub(super) fn of(&self, source: &str, image: ImageArgs) -> Self {
        Self { source: Some(source.to_owned()), image, ..self.clone() }
    }

    /// Options of the image.
    pub(super) fn image_args(&self) -> &ImageArgs {
        &self.image
    }

    fn local(&self, source: &Path, context: &Context) -> Result<Subject, Failure> {
        let bytes = read_input(source, MAX_BYTES as u64)?;
        let agreement = if self.force_media_type { Agreement::Waived } else { Agreement::Required };
        let named = self.media_type.as_deref();
        let algorithm = self.digest_algorithm.unwrap_or(Algorithm::Sha256);
        let document = LocalDocument::describe(&bytes, algorithm, named, agreement)?;
        if document.source == MediaTypeSource::Default {
            context.printer.warning(format_args!(
                "nothing says what {} is, it is taken for {}; --media-type says it",
                source.display(),
                document.descriptor.media_type
            ));
        }
        let is_stdin = source.as_os_str() == "-";
        Ok(Subject {
            descriptor: document.descriptor,
            name: (!is_stdin).then(|| source.display().to_string()),
            content: ContentSeen::Manifest,
            image: None,
            path: (!is_stdin).then(|| source.to_owned()),
            layout: None,
            inside: None,
            containerd: None,
            alternatives: Vec::new(),
        })
    }
}

/// Something in an OCI layout: `DIR:TAG` or `DIR@DIGEST`, or a tar in place of DIR. Its manifest is read and hashed.
pub(super) fn in_layout(text: &str) -> Result<Subject, Failure> {
    let reference = LayoutReference::parse(text)?;
    let malformed = |error| {
        let failure = Failure::from(error);
        if failure.exit == Exit::Malformed { failure.about(&reference.path) } else { failure }
    };
    let layout = OciLayout::at(&reference.path, Limits::default()).map_err(malformed)?;
    let manifest = layout.resolve(&reference.target).map_err(malformed)?;
    Ok(Subject {
        descriptor: manifest.descriptor,
        name: Some(reference.path.display().to_string()),
        content: ContentSeen::Manifest,
        image: None,
        path: None,
        layout: Some(layout),
        inside: None,
        containerd: None,
        alternatives: Vec::new(),
    })
}

/// A descriptor on the command line. All three members are mandatory (rule N-07): signing a bare
/// digest would mean guessing the others.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireDescriptor {
    media_type: String,
    digest: Digest,
    size: u64,
}

const RULES: Rules = Rules {
    max_bytes: MAX_BYTES,
    max_depth: 32,
    known: &["mediaType", "digest", "size"],
    free_maps: &["annotations"],
};

fn described(text: &str, context: &Context) -> Result<Subject, Failure> {
    let bytes = match text.strip_prefix('@') {
        Some(path) => read_input(Path::new(path), MAX_BYTES as u64)?,
        None => text.as_bytes().to_vec(),
    };
    let malformed = |error: json::ReadError| {
        Failure::new(Exit::Malformed, format!("not a descriptor: {error}")).with_hint(Some(
            r#"--descriptor '{"mediaType":"...","digest":"sha256:...","size":123}'"#.to_owned(),
        ))
    };
    let wire: WireDescriptor = json::read(&bytes, &RULES).map_err(malformed)?;
    let members: serde_json::Map<String, serde_json::Value> =
        json::read(&bytes, &RULES).map_err(malformed)?;
    let extra: Vec<_> =
        members.keys().filter(|name| !RULES.known.contains(&name.as_str())).cloned().collect();
    if !extra.is_empty() {
        context.printer.warning(format_args!(
            "only mediaType, digest and size of a descriptor are signed, not: {}",
            extra.join(", ")
        ));
    }
    Ok(Subject {
        descriptor: Descriptor::new(wire.media_type, wire.digest, wire.size),
        name: None,
        content: ContentSeen::No,
        image: None,
        path: None,
        layout: None,
        inside: None,
        containerd: None,
        alternatives: Vec::new(),
    })
}

/// Parses `key=value`, split at the first `=`, neither side empty.
pub(super) fn user_metadata(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() && !value.is_empty() => {
            Ok((key.to_owned(), value.to_owned()))
        }
        _ => Err("key-value pair requires \"=\" as separator".to_owned()),
    }
}
