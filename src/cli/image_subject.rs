//! Images as subjects: in archives, which may carry manifests and signatures along, and in engines.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::content::archive;
use crate::generate::{BoundBlob, Content, GivenManifest, Origin};
use crate::gogzip::Generation;
use crate::image::manifest::MAX_BYTES;
use crate::image::media_type;
use crate::store::SignatureStore;
use crate::store::layout::{LayoutError, OciLayout, SignatureManifest};

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::read_input;
use super::source::{Held, ImageArgs, Question, Source, is_in_layout};
use super::subject::{ContentSeen, Subject};

/// Another manifest of an image.
#[derive(Clone, Debug)]
pub(super) enum Alternative {
    /// One that is carried along in the archive.
    Carried(Box<GivenManifest>),
    /// The one that a push sends, whatever is carried along.
    Generated,
    /// The one that an engine with another encoder pushes.
    Generation(Generation),
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
    pub(super) fn find(
        &self,
        mut question: Question,
        context: &Context,
    ) -> Result<Subject, Failure> {
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
            alternatives =
                carried.into_iter().map(|it| Alternative::Carried(Box::new(it))).collect();
        }
        if let Some(Alternative::Carried(first)) = alternatives.pop_front() {
            question.manifest = Some(*first);
            // Without the layers there is no other.
            if question.content == Content::Full {
                alternatives.push_back(Alternative::Generated);
            }
        }
        let examined = match &parsed {
            Source::Containerd { name } => image
                .in_containerd(name, &question, context)
                .map(|(generated, signatures)| (generated, Some(signatures))),
            _ => image.examine(&parsed, &question, context).map(|generated| (generated, None)),
        };
        let (generated, containerd) = examined.map_err(|failure| {
            // A manifest where an image was meant is the likely slip.
            let is_json = source.ends_with(".json") && failure.exit == Exit::Malformed;
            if is_json {
                failure.with_hint(Some("a manifest is no image: --local".to_owned()))
            } else {
                failure
            }
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
        let subject = Subject {
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
            containerd,
            alternatives: alternatives.into(),
        };
        Ok(subject.reporting(image.bar(context)))
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
            Alternative::Carried(given) => question.manifest = Some((**given).clone()),
            Alternative::Generated => {}
            Alternative::Generation(generation) => image = image.with_generation(*generation),
        }
        ImageSubject { image: &image, ..*self }.find(question, context)
    }

    /// Finds the subject where only its signatures are asked about: layers are not hashed unless its
    /// manifest follows from them.
    pub(super) fn resolve_to_list(&self, context: &Context) -> Result<Subject, Failure> {
        let parsed: Source = self.source.parse().map_err(Failure::usage)?;
        let is_enough = match &parsed {
            Source::Archive { path, .. } => path.is_file(),
            // It keeps its manifest.
            Source::Containerd { .. } => true,
            Source::Daemon { .. } | Source::Stdin { .. } => false,
        };
        if is_enough {
            let question = Question { content: Content::Manifest, ..Question::default() };
            match self.find(question, context) {
                Err(failure) if failure.exit == Exit::NotDeterminable => {}
                result => return result,
            }
        }
        self.resolve(context)
    }

    /// Whether signatures can be kept with the image, as far as its name tells.
    pub(super) fn check_place(&self, record: bool) -> Result<(), Failure> {
        let is_containerd = self.source.starts_with("containerd:");
        match (is_containerd, record) {
            (true, _) => Ok(()),
            (false, true) => {
                Err(Failure::usage("--record makes an image record in containerd: containerd:NAME"))
            }
            (false, false) => self.archive_file().map(drop),
        }
    }

    /// Where signatures are put beside the subject.
    pub(super) fn beside(
        &self,
        subject: &Subject,
        form: SignatureManifest,
        record: bool,
        context: &Context,
    ) -> Result<Box<dyn SignatureStore>, Failure> {
        let Some(containerd) = &subject.containerd else {
            let layout = self.embedding(subject)?.reporting(Arc::new(self.image.bar(context)));
            return Ok(Box::new(layout.writing(form)));
        };
        containerd.check_writable()?;
        let signatures = containerd.clone().writing(form);
        if !record {
            return Ok(Box::new(signatures));
        }
        let name = subject.image.as_ref().and_then(|image| image.names.first());
        match name {
            Some(name) => Ok(Box::new(signatures.recording(name.repository()))),
            None => Err(Failure::usage(format!(
                "{} is no name of a repository, which --record needs",
                self.source
            ))),
        }
    }

    /// The archive, if signatures can be put into it: a file.
    pub(super) fn archive_file(&self) -> Result<Source, Failure> {
        match self.source.parse().map_err(Failure::usage)? {
            Source::Archive { path, .. } if path.is_dir() => Err(Failure::usage(format!(
                "{} is no archive file",
                path.display()
            ))
            .with_hint(Some(
                "for a layout directory: dockseal attach SIGNATURE --oci-layout DIR:TAG".to_owned(),
            ))),
            archive @ Source::Archive { .. } => Ok(archive),
            _ => {
                Err(Failure::usage("signatures can be put into image archives and containerd only")
                    .with_hint(Some("docker save IMAGE -o image.tar".to_owned())))
            }
        }
    }

    /// The layouts inside the archive of the subject, into which signatures can be put, with all that
    /// has to be carried along with them: the manifest, those that were given below it, the config.
    fn embedding(&self, subject: &Subject) -> Result<OciLayout, Failure> {
        let parsed = self.archive_file()?;
        let Some(image) = &subject.image else {
            return Err(Failure::new(Exit::Internal, "no image was read"));
        };
        let Some(layout) = inside(&parsed, &None, self.image)? else {
            return Err(Failure::new(Exit::Malformed, format!("{parsed} is no image archive")));
        };
        let below = self.manifest.iter().skip(1).map(|path| read_manifest(path));
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
    let below = below.iter().map(|path| read_manifest(path)).collect::<Result<Vec<_>, _>>()?;
    let below = below.into_iter().map(Into::into);
    let given = GivenManifest::new(read_manifest(target)?, below).map_err(|error| {
        Failure::of(Exit::Malformed, &error).prefixed(&target.display().to_string())
    })?;
    Ok(Some(given))
}

fn read_manifest(path: &Path) -> Result<Vec<u8>, Failure> {
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
