//! SOURCE: where an image is, by the transport names that container users know
//! (containers/image, skopeo, podman).

use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::str::FromStr;
use std::sync::Arc;

use jiff::SignedDuration;

use crate::content::archive::{self, Memo};
use crate::content::containerd::find::find;
use crate::content::limits::Limits;
use crate::generate::{
    self, Content, Generated, GivenManifest, ImageChoice, LayerCache, Options, PushFrom,
    PushingEngine,
};
use crate::gogzip::Generation;
use crate::image::hint::{self, Hint};
use crate::image::platform::Platform;
use crate::image::reference::Reference;
use crate::store::SignatureStore as _;
use crate::store::containerd::ContainerdSignatures;
use crate::store::layout::OciLayout;

use super::containerd::ContainerdArgs;
use super::context::{self, Context};
use super::daemon;
use super::exit::Exit;
use super::failure::Failure;
use super::progress::ProgressArgs;
use super::progress_bar::ProgressBar;
use super::push::{Known, PushArgs};

/// How names of archives end; images are seldom called so.
const ARCHIVE_NAMES: [&str; 6] = [".tar", ".tgz", ".gz", ".zst", ".xz", ".bz2"];

/// How long containerd holds what is being written into it, should the writer die.
const LEASE: SignedDuration = SignedDuration::from_hours(1);

/// An image and how to get at it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Source {
    /// An archive or a directory; which kind is told by its content.
    Archive {
        /// Where.
        path: PathBuf,
        /// Which image in it.
        image: Option<String>,
    },
    /// An archive on standard input.
    Stdin {
        /// Which image in it.
        image: Option<String>,
    },
    /// An image of containerd, by any name.
    Containerd {
        /// The image.
        name: String,
    },
    /// An image of a daemon that this build can't reach.
    Daemon {
        /// The transport.
        transport: &'static str,
        /// The image.
        name: String,
    },
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let nothing = |what: &str| format!("{text:?} names no {what}");
        let archive = |rest: &str, image: Option<&str>| {
            let image = image.map(str::to_owned);
            match rest {
                "" => Err(nothing("file")),
                "-" => Ok(Self::Stdin { image }),
                path => Ok(Self::Archive { path: path.into(), image }),
            }
        };
        // containers/image: the path ends at the first colon.
        let split = |rest: &str| match rest.split_once(':') {
            Some((path, image)) if !image.is_empty() => archive(path, Some(image)),
            _ => archive(rest.trim_end_matches(':'), None),
        };
        if let Some(rest) = text.strip_prefix("docker-archive:") {
            split(rest)
        } else if let Some(rest) = in_layout(text) {
            match rest.split_once('@') {
                Some((path, digest)) => archive(path, Some(digest)),
                None => split(rest),
            }
        } else if let Some(name) = text.strip_prefix("docker-daemon:") {
            Ok(Self::Daemon { transport: "docker-daemon", name: name.to_owned() })
        } else if let Some(name) = text.strip_prefix("containerd:") {
            match name {
                "" => Err(nothing("image")),
                name => Ok(Self::Containerd { name: name.to_owned() }),
            }
        } else {
            archive(text, None)
        }
    }
}

/// What follows the transports whose images are in an OCI layout.
fn in_layout(text: &str) -> Option<&str> {
    text.strip_prefix("oci-archive:").or_else(|| text.strip_prefix("oci:"))
}

/// Whether a source is by its transport in an OCI layout, where its signatures are too.
pub(super) fn is_in_layout(text: &str) -> bool {
    in_layout(text).is_some()
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Archive { path, image: None } => write!(f, "{}", path.display()),
            Self::Archive { path, image: Some(image) } => write!(f, "{} ({image})", path.display()),
            Self::Stdin { .. } => f.write_str("-"),
            Self::Containerd { name } => write!(f, "containerd:{name}"),
            Self::Daemon { transport, name } => write!(f, "{transport}:{name}"),
        }
    }
}

/// What is asked about an image.
#[derive(Clone, Debug, Default)]
pub(super) struct Question {
    /// The manifest that it is to be the image of; generated where there is none.
    pub(super) manifest: Option<GivenManifest>,
    /// How much of it is read.
    pub(super) content: Content,
    /// Whether the answer is to be signed: of an engine only what is certain is.
    pub(super) signing: bool,
    /// The archive, where it is open already.
    pub(super) held: Held,
    /// Whether what an archive carries along of manifests is left aside.
    pub(super) anew: bool,
}

/// An archive that is open already.
pub(super) type Held = Option<Rc<File>>;

impl Question {
    fn held(&self) -> io::Result<Option<archive::Source>> {
        self.held.as_ref().map(|file| file.try_clone().map(archive::Source::File)).transpose()
    }
}

// Options for images in archives.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct ImageArgs {
    /// The image, where an archive holds several: a name or a digest
    #[arg(long, value_name = "NAME|sha256:ID")]
    pub(super) image: Option<ImageChoice>,
    /// The platform that is pushed, such as linux/arm64
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub(super) platform: Option<Platform>,
    /// Go version whose gzip compresses the layers: go1.8 (1.8 to 1.26) or go1.27
    #[arg(long, value_name = "VERSION")]
    go_gzip: Option<Generation>,
    /// Engine that pushes: the one that wrote the archive, or one that loads it [writer, graph, containerd]
    #[arg(long, value_name = "ENGINE", default_value_t)]
    pub(super) push_from: PushFrom,
    /// Copy a stream to a temporary file first, so that it can be read twice
    #[arg(long)]
    spool: bool,
    /// Most bytes of an archive or a layer, decompressed [default: 256 GiB]
    #[arg(long, value_name = "BYTES")]
    max_size: Option<u64>,
    /// Most bytes that one compressed byte may become [default: 1100]
    #[arg(long, value_name = "RATIO")]
    max_ratio: Option<u64>,
    /// Compress every layer again, whatever is remembered
    #[arg(long)]
    no_cache: bool,
    /// Threads [default: all cores]
    #[arg(long, short = 'j', value_name = "N")]
    jobs: Option<NonZero<usize>>,
    #[command(flatten)]
    progress: ProgressArgs,
    /// What several images share; no option.
    #[arg(skip)]
    pub(super) shared: Option<Shared>,
    #[command(flatten)]
    pub(super) push: PushArgs,
    /// The engine that was asked; no option.
    #[arg(skip)]
    pub(super) engine: Option<PushingEngine>,
    #[command(flatten)]
    pub(super) containerd: ContainerdArgs,
}

/// What works on several images share.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    /// What was hashed already.
    pub(super) memo: Arc<Memo>,
    /// How far they are together.
    pub(super) bar: Arc<ProgressBar>,
}

impl ImageArgs {
    /// No options but those of containerd.
    pub(super) fn of_containerd(containerd: ContainerdArgs) -> Self {
        Self { containerd, ..Self::default() }
    }

    /// Threads for everything together.
    pub(super) fn threads(&self) -> NonZero<usize> {
        let cores = || std::thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
        self.jobs.unwrap_or_else(cores)
    }

    /// The same options for one of several images, with its part of the threads.
    pub(super) fn sharing(&self, shared: &Shared, jobs: NonZero<usize>) -> Self {
        Self { shared: Some(shared.clone()), jobs: Some(jobs), ..self.clone() }
    }

    /// Progress of work on an image.
    pub(super) fn bar(&self, context: &Context) -> ProgressBar {
        match &self.shared {
            Some(shared) => shared.bar.part(),
            None => self.progress.bar(context),
        }
    }

    /// Whether the user named the encoder generation.
    pub(super) fn names_generation(&self) -> bool {
        self.go_gzip.is_some()
    }

    /// The same options with the generation that an engine told.
    pub(super) fn with_generation(mut self, generation: Generation) -> Self {
        self.go_gzip = Some(generation);
        self
    }

    /// Generates the manifest of an image.
    pub(super) fn generate(
        &self,
        source: &Source,
        context: &Context,
    ) -> Result<Generated, Failure> {
        let content = match source {
            // A stored manifest does not follow from the layers: they are read to verify them.
            Source::Containerd { .. } => Content::Manifest,
            _ => Content::Full,
        };
        self.examine(source, &Question { content, ..Question::default() }, context)
    }

    /// Generates the manifest of an image, or checks the image against one.
    pub(super) fn examine(
        &self,
        source: &Source,
        question: &Question,
        context: &Context,
    ) -> Result<Generated, Failure> {
        let (stream, image) = match source {
            Source::Archive { path, image } => {
                (question.held()?.unwrap_or_else(|| archive::Source::Path(path.clone())), image)
            }
            Source::Stdin { image } => match question.held()? {
                Some(held) => (held, image),
                None => (self.stream(Box::new(stdin()?)), image),
            },
            Source::Daemon { transport: "docker-daemon", name } => {
                let client = daemon::Client::default();
                return daemon::examine(self, name, &client, question, context);
            }
            Source::Containerd { name } => {
                return Ok(self.in_containerd(name, question, context)?.0);
            }
            Source::Daemon { transport, name } => return Err(no_daemon(transport, name)),
        };
        let image = self.choice(image.as_deref())?;
        let generated = self.answer(stream, image.clone(), question, context);
        let generated = generated.map_err(|failure| match source {
            Source::Archive { path, .. } => failure.about(path),
            _ => failure,
        })?;
        if question.manifest.is_some() || !self.push.is_asked() {
            return Ok(generated);
        }
        let options = self.options(None, question.content, context);
        let mut again = |generation| match source {
            Source::Archive { path, .. } => {
                let other = self.clone().with_generation(generation);
                let stream = archive::Source::Path(path.clone());
                other.answer(stream, image.clone(), question, context)
            }
            _ => Err(Failure::new(Exit::NotDeterminable, "standard input can't be read twice")
                .with_hint(Some(
                    "name the archive instead of piping it: dockseal digest FILE".to_owned(),
                ))),
        };
        self.push.settle(generated, &Known::default(), &options, &mut again, self, context)
    }

    /// The manifests of an image that its archive carries along, those that are signed first.
    pub(super) fn carried(
        &self,
        source: &Source,
        layout: &OciLayout,
        question: &Question,
        context: &Context,
    ) -> Result<Vec<GivenManifest>, Failure> {
        let carried = layout.carried_manifests()?;
        if carried.is_empty() {
            return Ok(Vec::new());
        }
        let (path, image) = match source {
            Source::Archive { path, image } => (path.as_path(), image),
            Source::Stdin { image } => (Path::new("-"), image),
            _ => return Ok(Vec::new()),
        };
        let refused = |failure: Failure| failure.prefixed(&path.display().to_string());
        let given = carried.into_iter().map(|it| GivenManifest::new(it.bytes.to_vec(), it.below));
        let given = given
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| refused(Failure::of(Exit::Malformed, &error)))?;
        let archive = question.held()?.unwrap_or_else(|| archive::Source::Path(path.to_owned()));
        let options = self.options(self.choice(image.as_deref())?, question.content, context);
        let given = generate::carried_with(archive, given, &options)
            .map_err(|error| refused(error.into()))?;
        let mut ranked = Vec::new();
        for each in given {
            ranked.push((layout.list(each.descriptor())?.is_empty(), each));
        }
        ranked.sort_by_key(|(is_unsigned, _)| *is_unsigned);
        Ok(ranked.into_iter().map(|(_, given)| given).collect())
    }

    /// The image that SOURCE or an option names.
    fn choice(&self, in_source: Option<&str>) -> Result<Option<ImageChoice>, Failure> {
        match (in_source, &self.image) {
            (Some(_), Some(_)) => {
                Err(Failure::usage("the image is named twice, in SOURCE and with --image"))
            }
            (Some(name), None) => {
                let choice = name.parse::<ImageChoice>();
                Ok(Some(choice.map_err(|error| Failure::usage(error.to_string()))?))
            }
            (None, image) => Ok(image.clone()),
        }
    }

    /// Answers a question about an image in an archive that is at hand.
    pub(super) fn answer(
        &self,
        source: archive::Source,
        image: Option<ImageChoice>,
        question: &Question,
        context: &Context,
    ) -> Result<Generated, Failure> {
        let options = self.options(image, question.content, context);
        let bar = self.bar(context);
        let path = match &source {
            archive::Source::Path(path) => Some(path.clone()),
            _ => None,
        };
        let generated = match &question.manifest {
            Some(given) => generate::against(source, given, &options, &bar),
            None => generate::manifest(source, &options, &bar),
        };
        drop(bar);
        let generated = generated.map_err(|error| {
            let failure = Failure::from(error);
            let failure = match path.as_deref().filter(|path| !path.exists()) {
                Some(path) => match image_that_is_no_file(path) {
                    Some(save) => failure.with_hint(Some(save)),
                    None => failure.or_nearest_file(path),
                },
                None => failure,
            };
            match path {
                Some(path) => failure.about(&path),
                None => failure,
            }
        })?;
        tell(&generated, context);
        Ok(generated)
    }

    /// The manifest that containerd keeps, and the signatures beside it.
    pub(super) fn in_containerd(
        &self,
        name: &str,
        question: &Question,
        context: &Context,
    ) -> Result<(Generated, ContainerdSignatures), Failure> {
        if self.image.is_some() || question.manifest.is_some() {
            let option = if self.image.is_some() { "--image" } else { "--manifest" };
            return Err(Failure::usage(format!(
                "{option} is for archives; containerd:NAME names the image and keeps its manifest"
            )));
        }
        let store = self.containerd.open(context)?;
        let options = self.options(None, question.content, context);
        let bar = self.bar(context);
        let found = find(&*store, name, self.containerd.namespace())?;
        let generated = generate::in_containerd(&*store, &found, &options, &bar);
        drop(bar);
        let generated = generated?;
        tell(&generated, context);
        let namespaces = std::iter::once(found.namespace).chain(found.also).collect();
        let lease_until = context.now.saturating_add(LEASE).unwrap_or(context.now).to_string();
        Ok((generated, ContainerdSignatures::new(store.into(), namespaces, lease_until)))
    }

    /// Limits for archives.
    pub(super) fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        if let Some(bytes) = self.max_size {
            (limits.total_bytes, limits.layer_bytes) = (bytes, bytes);
        }
        limits.ratio = self.max_ratio.unwrap_or(limits.ratio);
        limits
    }

    /// What is generated, within which limits.
    pub(super) fn options(
        &self,
        image: Option<ImageChoice>,
        content: Content,
        context: &Context,
    ) -> Options {
        let mut options = Options {
            generation: self.go_gzip,
            image,
            platform: self.platform.clone(),
            push_from: self.push_from,
            content,
            engine: self.engine.clone(),
            cache: self.cache(context),
            limits: self.limits(),
            ..Options::default()
        };
        options.threads = self.threads();
        options.memo = self.shared.as_ref().map(|shared| Arc::clone(&shared.memo));
        options
    }

    /// A stream, spooled if that is wanted.
    pub(super) fn stream(&self, reader: Box<dyn io::Read>) -> archive::Source {
        if self.spool { archive::Source::Spooled(reader) } else { archive::Source::Stream(reader) }
    }

    fn cache(&self, context: &Context) -> Option<LayerCache> {
        if self.no_cache {
            return None;
        }
        // Without a cache directory layers are compressed again; that is no failure.
        Some(LayerCache::new(&context.dirs.layers()?))
    }
}

/// Says what the user should know about a result.
fn tell(generated: &Generated, context: &Context) {
    for note in &generated.notes {
        if note.is_detail() {
            context.printer.detail(format_args!("note: {note}"));
        } else {
            context.printer.note(format_args!("note: {note}"));
        }
    }
    context.printer.detail(format_args!("note: {}", generated.origin));
}

/// Standard input, unless it is a terminal: nobody types an archive.
pub(super) fn stdin() -> Result<io::Stdin, Failure> {
    if io::stdin().is_terminal() {
        let hint = "docker save IMAGE | dockseal manifest -".to_owned();
        return Err(Failure::usage("standard input is a terminal, an archive is expected")
            .with_hint(Some(hint)));
    }
    Ok(io::stdin())
}

/// What helps somebody who named an image of the engine where a file is expected.
fn image_that_is_no_file(path: &Path) -> Option<Hint> {
    let name = path.to_str()?;
    // As skopeo and others have it.
    if let Some(image) = name.strip_prefix("docker://").filter(|it| it.parse::<Reference>().is_ok())
    {
        let engine = context::instead(name, &format!("docker-daemon:{image}"))?;
        let (pull, engine) = (hint::shell(&["docker", "pull", image])?, hint::shell(&engine)?);
        return Some(Hint::Text(format!("no registry is read: {pull} && {engine}")));
    }
    let is_layout = |directory: &str| Path::new(directory).join("oci-layout").is_file();
    if name.rsplit_once([':', '@']).is_some_and(|(directory, _)| is_layout(directory)) {
        return Hint::command("", &context::instead(name, &format!("oci:{name}"))?);
    }
    let is_archive_name = || ARCHIVE_NAMES.iter().any(|ending| name.ends_with(ending));
    let is_image = !path.exists() && !is_archive_name() && name.parse::<Reference>().is_ok();
    let engine = format!("docker-daemon:{name}");
    if !is_image {
        return None;
    }
    let manifest = || ["dockseal", "manifest", &engine].map(str::to_owned).to_vec();
    Hint::command("", &context::instead(name, &engine).unwrap_or_else(manifest))
}

fn no_daemon(transport: &str, name: &str) -> Failure {
    let save = hint::shell(&["docker", "save", name]);
    let save = save.map(|save| format!("{save} | dockseal manifest -"));
    Failure::new(Exit::Unavailable, format!("this build can't read from {transport} itself"))
        .with_hint(save)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transports() {
        let archive = |path: &str, image: Option<&str>| {
            Ok(Source::Archive { path: path.into(), image: image.map(str::to_owned) })
        };
        for (text, source) in [
            ("image.tar", archive("image.tar", None)),
            ("./a:b.tar", archive("./a:b.tar", None)),
            ("-", Ok(Source::Stdin { image: None })),
            ("docker-archive:a.tar", archive("a.tar", None)),
            ("docker-archive:a.tar:b:1", archive("a.tar", Some("b:1"))),
            ("docker-archive:-", Ok(Source::Stdin { image: None })),
            ("oci-archive:a.tar:v1", archive("a.tar", Some("v1"))),
            ("oci-archive:a.tar@sha256:12", archive("a.tar", Some("sha256:12"))),
            ("oci:dir", archive("dir", None)),
            ("oci:dir:v1", archive("dir", Some("v1"))),
            ("oci:dir@sha256:12", archive("dir", Some("sha256:12"))),
            ("containerd:a b", Ok(Source::Containerd { name: "a b".to_owned() })),
            (
                "docker-daemon:x:1",
                Ok(Source::Daemon { transport: "docker-daemon", name: "x:1".to_owned() }),
            ),
        ] {
            assert_eq!(text.parse::<Source>(), source, "{text}");
        }
        assert!("containerd:".parse::<Source>().is_err());
        assert!("docker-archive:".parse::<Source>().is_err());
        assert!("".parse::<Source>().is_err());
    }
}
