//! What is signed or verified: a manifest file, standard input, or a descriptor.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::content::archive;
use crate::content::limits::Limits;
use crate::generate::{BoundBlob, Content, Generated, GivenManifest, Origin};
use crate::gogzip::Generation;
use crate::image::descriptor::Descriptor;
use crate::image::digest::{Algorithm, Digest};
use crate::image::json::{self, Rules};
use crate::image::local::{Agreement, LocalDocument, MediaTypeSource};
use crate::image::manifest::MAX_BYTES;
use crate::image::media_type;
use crate::store::SignatureStore;
use crate::store::cache::SignatureCache;
use crate::store::layout::{LayoutError, LayoutReference, OciLayout};
use crate::store::with_cache::WithCache;

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::read_input;
use super::source::{Held, ImageArgs, Question, Source, is_in_layout};

/// The subject of `sign` and `verify`.
#[derive(Debug, clap::Args)]
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
    /// Other manifests that it may have been signed as, in the order in which they are tried.
    pub(super) alternatives: Vec<Alternative>,
}

/// Another manifest of an image.
#[derive(Clone, Debug)]
pub(super) enum Alternative {
    /// One that is carried along in the archive.
    Carried(GivenManifest),
    /// The one that a push sends, whatever is carried along.
    Generated,
    /// The one that an engine with another encoder pushes.
    Generation(Generation),
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

    /// Where its signatures are: beside it, else in the cache, and inside its archive.
    pub(super) fn signatures(&self, context: &Context) -> Result<Box<dyn SignatureStore>, Failure> {
        let cache = context.dirs.cache().map(|cache| SignatureCache::new(&cache));
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
                .with_hint(Some("--oci-layout DIR:TAG, or an archive".to_owned())));
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
            return in_layout(source);
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
            alternatives: Vec::new(),
        })
    }
}

/// An image, in whatever holds images, and the manifests in files that are carried along with it.
#[derive(Clone, Copy)]
pub(super) struct ImageSubject<'a> {
    /// Where it is.
    pub(super) source: &'a str,
    /// Manifests in files.
    pub(super) manifest: &'a [PathBuf],
    /// Options.
    pub(super) image: &'a ImageArgs,
}

impl ImageSubject<'_> {
    /// Finds the image and hashes every byte of it.
    pub(super) fn resolve(&self, context: &Context) -> Result<Subject, Failure> {
        self.find(Question::default(), context)
    }

    /// Finds the manifest of the image that is the one that is wanted, if the first is not.
    pub(super) fn other(
        &self,
        first: &Subject,
        is_wanted: &dyn Fn(&Subject) -> bool,
        context: &Context,
    ) -> Result<Option<Subject>, Failure> {
        let mut pending: VecDeque<_> = first.alternatives.iter().cloned().collect();
        while let Some(other) = pending.pop_front() {
            let other = self.alternative(&other, None, context)?;
            if is_wanted(&other) {
                return Ok(Some(other));
            }
            pending.extend(other.alternatives);
        }
        Ok(None)
    }

    /// An image: its manifest is generated here or its content bound to a given one, so every byte
    /// that the question asks for has been hashed. What its archive carries along is taken as given.
    fn find(&self, mut question: Question, context: &Context) -> Result<Subject, Failure> {
        let Self { source, image, .. } = *self;
        if question.manifest.is_none() && !question.anew {
            question.manifest = given(self.manifest)?;
        }
        let parsed: Source = source.parse().map_err(Failure::usage)?;
        let is_asked = !question.signing || is_in_layout(source);
        let inside = if is_asked { inside(&parsed, &question.held, image)? } else { None };
        let mut alternatives = VecDeque::new();
        if let (Some(layout), None, false) =
            (&inside, &question.manifest, question.signing || question.anew)
        {
            let carried = image.carried(&parsed, layout, &question, context)?;
            alternatives = carried.into_iter().map(Alternative::Carried).collect();
        }
        if let Some(Alternative::Carried(first)) = alternatives.pop_front() {
            question.manifest = Some(first);
            // Without the layers there is no other.
            if question.content == Content::Full {
                alternatives.push_back(Alternative::Generated);
            }
        }
        let generated = image.examine(&parsed, &question, context).map_err(|failure| {
            // A manifest where an image was meant is the likely slip.
            let is_json = source.ends_with(".json") && failure.exit == Exit::Malformed;
            if is_json { failure.with_hint(Some(format!("--local {source}"))) } else { failure }
        })?;
        let is_stdin = matches!(parsed, Source::Stdin { .. });
        let (path, is_engine) = match parsed {
            Source::Archive { path, .. } => (Some(path), false),
            Source::Daemon { .. } => (None, true),
            Source::Containerd { .. } | Source::Stdin { .. } => (None, false),
        };
        // Standard input can't be read again. An engine tells what it would push itself, but its
        // image may have been signed where another one pushed it.
        let again = path.is_some() || question.held.is_some() || is_engine;
        if let Origin::Rendered(generation) = generated.origin
            && again
            && !image.names_generation()
        {
            alternatives.push_back(Alternative::Generation(generation.other()));
        }
        Ok(Subject {
            descriptor: generated.descriptor.clone(),
            image: Some(generated),
            name: match &path {
                Some(path) => Some(path.display().to_string()),
                None => (!is_stdin).then(|| source.to_owned()),
            },
            content: match question.content {
                Content::Full => ContentSeen::Full,
                Content::Manifest => ContentSeen::Manifest,
            },
            path,
            layout: None,
            inside,
            alternatives: alternatives.into(),
        })
    }

    /// The same image as another manifest: the archive does not say which one was signed.
    pub(super) fn alternative(
        &self,
        other: &Alternative,
        held: Held,
        context: &Context,
    ) -> Result<Subject, Failure> {
        let mut image = self.image.clone();
        let mut question = Question { held, anew: true, ..Question::default() };
        match other {
            Alternative::Carried(given) => question.manifest = Some(given.clone()),
            Alternative::Generated => {}
            Alternative::Generation(generation) => image = image.with_generation(*generation),
        }
        ImageSubject { image: &image, ..*self }.find(question, context)
    }

    /// Finds the subject where only its signatures are asked about: layers are not hashed unless its
    /// manifest follows from them.
    pub(super) fn resolve_to_list(&self, context: &Context) -> Result<Subject, Failure> {
        let parsed: Source = self.source.parse().map_err(Failure::usage)?;
        if matches!(parsed, Source::Archive { path, .. } if path.is_file()) {
            let question = Question { content: Content::Manifest, ..Question::default() };
            match self.find(question, context) {
                Err(failure) if failure.exit == Exit::NotDeterminable => {}
                result => return result,
            }
        }
        self.resolve(context)
    }

    /// The layouts inside the archive of the subject, into which signatures can be put, with all that
    /// has to be carried along with them: the manifest, those that were given below it, the config.
    pub(super) fn embedding(&self, subject: &Subject) -> Result<OciLayout, Failure> {
        let parsed: Source = self.source.parse().map_err(Failure::usage)?;
        let (Source::Archive { path, .. }, Some(image)) = (&parsed, &subject.image) else {
            return Err(Failure::usage("signatures can be put into image archives only")
                .with_hint(Some("docker save IMAGE -o image.tar".to_owned())));
        };
        if !path.is_file() {
            return Err(Failure::usage(format!("{} is no archive file", path.display()))
                .with_hint(Some("for a layout directory: --oci-layout DIR:TAG".to_owned())));
        }
        let Some(layout) = inside(&parsed, &None, self.image)? else {
            let message = format!("{} is no image archive", path.display());
            return Err(Failure::new(Exit::Malformed, message));
        };
        let below = self.manifest.iter().skip(1).map(read_manifest);
        let below = below.collect::<Result<Vec<_>, _>>()?;
        let documents = std::iter::once(image.bytes.clone()).chain(below);
        let is_config = |blob: &&BoundBlob| media_type::is_config(&blob.descriptor.media_type);
        let configs = image.blobs.iter().filter(is_config).map(|blob| blob.member.as_str());
        Ok(layout.carrying(documents, configs)?)
    }
}

/// The manifests that are carried along with an image, in files.
fn given(files: &[PathBuf]) -> Result<Option<GivenManifest>, Failure> {
    let Some((target, below)) = files.split_first() else { return Ok(None) };
    let below = below.iter().map(read_manifest).collect::<Result<Vec<_>, _>>()?;
    let given = GivenManifest::new(read_manifest(target)?, below).map_err(|error| {
        Failure::of(Exit::Malformed, &error).prefixed(&target.display().to_string())
    })?;
    Ok(Some(given))
}

fn read_manifest(path: &PathBuf) -> Result<Vec<u8>, Failure> {
    read_input(path, MAX_BYTES as u64)
}

/// The layouts inside an archive; a layout directory is one itself.
fn inside(source: &Source, held: &Held, image: &ImageArgs) -> Result<Option<OciLayout>, Failure> {
    let (path, held) = match (source, held) {
        (Source::Archive { path, .. }, held) => (path.as_path(), held),
        (Source::Stdin { .. }, Some(_)) => (Path::new("-"), held),
        _ => return Ok(None),
    };
    if path.is_dir() {
        let is_layout = path.join("oci-layout").exists();
        return Ok(is_layout.then(|| OciLayout::open(path)).transpose()?);
    }
    let source = match held {
        Some(file) => archive::Source::File(file.try_clone()?),
        // What can't be read twice is not looked into, and what is not there is told later.
        None if path.is_file() => archive::Source::Path(path.to_owned()),
        None => return Ok(None),
    };
    match OciLayout::in_archive(path, source, image.limits()) {
        Err(LayoutError::NotALayout { .. }) => Ok(None),
        layout => Ok(Some(layout?)),
    }
}

/// Something in an OCI layout: `DIR:TAG` or `DIR@DIGEST`, or a tar in place of DIR. Its manifest is read and hashed.
pub(super) fn in_layout(text: &str) -> Result<Subject, Failure> {
    let reference = LayoutReference::parse(text)?;
    let layout = OciLayout::at(&reference.path, Limits::default())?;
    let manifest = layout.resolve(&reference.target)?;
    Ok(Subject {
        descriptor: manifest.descriptor,
        name: Some(reference.path.display().to_string()),
        content: ContentSeen::Manifest,
        image: None,
        path: None,
        layout: Some(layout),
        inside: None,
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
