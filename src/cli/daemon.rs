//! `docker-daemon:` and the plugin: an image of the engine that docker would ask.

use std::collections::HashSet;
use std::env;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;

use crate::content::distribution::Distribution;
use crate::content::docker::{
    Address, ClientEnv, ClientOptions, Dialer, Endpoint, Engine, EngineInfo, Image, ImageStore,
};
use crate::doctor::{Area, Finding, Severity};
use crate::generate::{self, Generated, ImageChoice, Note, Origin, PushFrom, PushingEngine};
use crate::gogzip::Generation;
use crate::image::reference::Reference;
use crate::load::CleanArchive;
use crate::progress::Progress as _;

use super::context::{self, Context};
use super::exit::Exit;
use super::failure::Failure;
use super::progress_bar::ProgressBar;
use super::push::Known;
use super::source::{ImageArgs, Question};

/// The docker client whose engine is meant.
#[derive(Debug)]
pub(super) struct Client {
    /// Its global options.
    pub(super) options: ClientOptions,
    /// The client itself with the same options, for engines that only it can reach.
    pub(super) docker: Vec<String>,
    /// Whether it is to be used for every engine.
    pub(super) through_docker: bool,
}

impl Default for Client {
    fn default() -> Self {
        Self {
            options: ClientOptions::default(),
            docker: vec!["docker".to_owned()],
            through_docker: false,
        }
    }
}

impl Client {
    fn connect(&self) -> Result<(Engine, bool), Failure> {
        let mut endpoint = Endpoint::resolve(&self.options, &from_env())?;
        if self.through_docker {
            endpoint = endpoint.through_docker();
        }
        let command = match &endpoint.address {
            Address::Command(words) => words.clone(),
            _ => [self.docker.clone(), vec!["system".into(), "dial-stdio".into()]].concat(),
        };
        let is_local = matches!(endpoint.address, Address::Unix(_));
        Ok((Engine::connect(&endpoint, dialer(command))?, is_local))
    }
}

/// Runs a program that connects its stdin and stdout with the engine.
fn dialer(words: Vec<String>) -> Dialer {
    Box::new(move || {
        let (program, arguments) = words.split_first().ok_or(io::ErrorKind::NotFound)?;
        let (ours, theirs) = UnixStream::pair()?;
        let stdin = OwnedFd::from(theirs.try_clone()?);
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{program}: {error}"));
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::from(stdin))
            .stdout(Stdio::from(OwnedFd::from(theirs)))
            .spawn()
            .map_err(named)?;
        // It ends when our end of the pair is closed.
        thread::spawn(move || child.wait());
        Ok(ours)
    })
}

/// The environment, as far as docker's clients look at it. Empty values count as absent.
fn from_env() -> ClientEnv {
    let raw = |name: &str| env::var_os(name).filter(|value: &OsString| !value.is_empty());
    let text = |name: &str| raw(name).and_then(|value| value.into_string().ok());
    let path = |name: &str| raw(name).map(PathBuf::from);
    ClientEnv {
        home: path("HOME"),
        config: path("DOCKER_CONFIG"),
        host: text("DOCKER_HOST"),
        context: text("DOCKER_CONTEXT"),
        tls: raw("DOCKER_TLS").is_some(),
        tls_verify: raw("DOCKER_TLS_VERIFY").is_some(),
        cert_path: path("DOCKER_CERT_PATH"),
        api_version: text("DOCKER_API_VERSION"),
        custom_headers: text("DOCKER_CUSTOM_HEADERS"),
    }
}

/// An image as users name it to docker.
struct Wanted<'a> {
    text: &'a str,
    name: Option<Reference>,
}

impl<'a> Wanted<'a> {
    fn parse(text: &'a str) -> Result<Self, Failure> {
        let is_hex = |hex: &str| {
            (1..=64).contains(&hex.len()) && hex.bytes().all(|it| it.is_ascii_hexdigit())
        };
        if text.strip_prefix("sha256:").is_some_and(is_hex) {
            return Ok(Self { text, name: None });
        }
        let name = text.parse().map_err(|error| Failure::of(Exit::Usage, &error))?;
        Ok(Self { text, name: Some(name) })
    }

    /// What to ask an archive of. A name without a tag would bring all tags; an ID has no tag.
    fn exported(&self, image: &Image) -> String {
        let name = self.name.clone().filter(|name| name.digest().is_none());
        let name = name.map(|name| name.with_default_tag().familiar());
        name.filter(|name| image.tags.contains(name)).unwrap_or_else(|| image.id.to_string())
    }
}

/// Generates the manifest of an image of the engine, or checks the image against one.
pub(super) fn examine(
    args: &ImageArgs,
    name: &str,
    client: &Client,
    question: &Question,
    context: &Context,
) -> Result<Generated, Failure> {
    let wanted = Wanted::parse(name)?;
    if args.image.is_some() {
        return Err(Failure::usage("the image is named twice, by its name and with --image"));
    }
    let (engine, is_local) = client.connect()?;
    let info = engine.info();
    context.printer.detail(format_args!(
        "note: the engine at {} is Docker {} (API {}, {}), {}",
        info.endpoint, info.version, info.api, info.go_version, info.store
    ));
    let image = engine.image(wanted.text)?;
    let mut args = args.clone();
    args.engine = Some(PushingEngine {
        version: info.version.clone(),
        falls_back: info.falls_back,
        host: info.host.clone(),
    });
    let is_graph = matches!(info.store, ImageStore::Graph { .. });
    if is_graph && !args.names_generation() {
        args = args.with_generation(generation(&info.go_version)?);
    }
    if is_graph && image.layers.is_empty() && question.manifest.is_none() {
        return without_layers(&args, info, &image, is_local);
    }
    let asking = Asking { engine: &engine, image: &image, exported: wanted.exported(&image), name };
    let mut generated = asking.ask(&args, question, context)?;
    agrees(info, &image, &generated, &args)?;
    if question.manifest.is_some() || !is_graph {
        return Ok(generated);
    }
    generated.notes.extend(image.repo_digests.iter().cloned().map(Note::Recorded));
    let known = Known {
        distribution: distribution(info, is_local),
        recorded: image.repo_digests.clone(),
        signing: question.signing,
    };
    let options = args.options(None, question.content, context);
    let mut again =
        |generation| asking.ask(&args.clone().with_generation(generation), question, context);
    args.push.settle(generated, &known, &options, &mut again, &args, context)
}

/// An image that an engine is asked for, if need be twice.
struct Asking<'a> {
    engine: &'a Engine,
    image: &'a Image,
    exported: String,
    /// As the user wrote it.
    name: &'a str,
}

impl Asking<'_> {
    fn ask(
        &self,
        args: &ImageArgs,
        question: &Question,
        context: &Context,
    ) -> Result<Generated, Failure> {
        let is_graph = matches!(self.engine.info().store, ImageStore::Graph { .. });
        let platform = args.platform.as_ref().filter(|_| self.engine.exports_platforms());
        // The image that the engine told of, whatever happens to its name meanwhile.
        let by_id = is_graph || platform.is_none() && question.manifest.is_none();
        let choice = by_id.then(|| self.image.id.to_string().parse::<ImageChoice>());
        let choice = choice.transpose().map_err(|error| Failure::of(Exit::Internal, &error))?;
        let export = self.engine.export(&self.exported, platform)?;
        let failure = export.failure();
        args.answer(args.stream(Box::new(export)), choice, question, context).map_err(|failed| {
            match failure.take() {
                Some(error) => Failure::from(error),
                None => failed.prefixed(&format!("docker-daemon:{}", self.name)),
            }
        })
    }
}

/// Names of the images of an engine on this host, for completion: nobody is told what is wrong.
pub(super) fn names() -> Vec<String> {
    let endpoint = Endpoint::resolve(&ClientOptions::default(), &from_env()).ok();
    let local = endpoint.filter(|endpoint| matches!(endpoint.address, Address::Unix(_)));
    let engine = local.and_then(|endpoint| Engine::connect(&endpoint, dialer(Vec::new())).ok());
    engine.and_then(|engine| engine.names().ok()).unwrap_or_default()
}

/// What there is to say about the engine.
pub(super) fn diagnose() -> Vec<Finding> {
    let engine = match Client::default().connect() {
        Ok((engine, _)) => engine,
        Err(failure) => {
            let finding = Finding::new(Area::Docker, Severity::Note, failure.message);
            return vec![Finding { hint: failure.hint.map(|hint| hint.to_string()), ..finding }];
        }
    };
    let info = engine.info();
    let text = format!(
        "Docker {} at {} (API {}, {}), {}",
        info.version, info.endpoint, info.api, info.go_version, info.store
    );
    let mut found = vec![Finding::new(Area::Docker, Severity::Good, text)];
    if matches!(info.store, ImageStore::Graph { .. }) {
        found.push(match Generation::from_go_version(&info.go_version) {
            Ok(generation) => {
                let text = format!("its pushes compress like {generation}");
                Finding::new(Area::Docker, Severity::Good, text)
            }
            Err(error) => Finding::new(Area::Docker, Severity::Warning, error.to_string())
                .hint("name a generation: --go-gzip go1.8"),
        });
    }
    found
}

/// Loads what was verified into the engine, and looks at what that has afterwards; its address.
pub(super) fn load(
    clean: &CleanArchive<'_>,
    image: &Generated,
    bar: &ProgressBar,
    context: &Context,
) -> Result<String, Failure> {
    let (engine, _) = Client::default().connect()?;
    let info = engine.info();
    let is_graph = matches!(info.store, ImageStore::Graph { .. });
    if !is_graph && image.origin != Origin::Stored {
        context.printer.warning(format_args!(
            "the engine, which keeps manifests, will know the image by another digest than {}: the \
             archive does not hold the signed manifest",
            image.descriptor.digest
        ));
    }
    // The engine unpacks what it has received, and tells nothing until it is done.
    let mut unpacking = None;
    engine.load(|upload| {
        clean.write_to(io::BufWriter::with_capacity(1 << 20, upload), bar)?;
        unpacking = Some(bar.step("docker load", None));
        Ok::<_, Failure>(())
    })?;
    drop(unpacking);
    let expected = match (is_graph, &image.origin) {
        (true, _) => clean.config(),
        (false, Origin::Stored) => Some(&image.descriptor.digest),
        (false, _) => None,
    };
    let ids = expected.filter(|_| clean.names().is_empty()).map(ToString::to_string);
    for name in clean.names().iter().cloned().chain(ids) {
        let found = engine.image(&name)?;
        if let Some(expected) = expected.filter(|expected| **expected != found.id) {
            let text = format!("the engine at {} has another image as {name}", info.endpoint);
            return Err(Failure::new(Exit::ContentMismatch, text)
                .with_detail(format!("expected {expected}"))
                .with_detail(format!("found    {}", found.id)));
        }
        // An engine that makes a manifest of its own is known by the layers.
        let layers: HashSet<_> = found.layers.iter().collect();
        let verified: HashSet<_> =
            image.blobs.iter().filter_map(|blob| blob.diff_id.as_ref()).collect();
        if expected.is_none() && layers != verified {
            let text = format!("the engine at {} has other layers in {name}", info.endpoint);
            return Err(Failure::new(Exit::ContentMismatch, text));
        }
    }
    Ok(info.endpoint.clone())
}

/// Where a graph-driver engine of this host keeps what it pulled and pushed.
fn distribution(info: &EngineInfo, is_local: bool) -> Option<Distribution> {
    match &info.store {
        ImageStore::Graph { driver } if is_local => {
            Some(Distribution::of_engine(&info.root, driver))
        }
        _ => None,
    }
}

fn generation(go_version: &str) -> Result<Generation, Failure> {
    Generation::from_go_version(go_version).map_err(|error| {
        Failure::of(Exit::NotDeterminable, &error)
            .prefixed("the Go that built the engine")
            .with_hint(Some("name a generation: --go-gzip go1.8".to_owned()))
    })
}

/// What the engine says and what its archive holds must not differ.
fn agrees(
    info: &EngineInfo,
    image: &Image,
    generated: &Generated,
    args: &ImageArgs,
) -> Result<(), Failure> {
    let is_graph = matches!(info.store, ImageStore::Graph { .. });
    let differs = |expected: &str, found: &str| {
        Failure::new(Exit::Malformed, "what the engine says of the image and what it saves differ")
            .with_detail(format!("the engine: {expected}"))
            .with_detail(format!("its archive: {found}"))
    };
    if args.push_from == PushFrom::Writer {
        let fits = match generated.origin {
            Origin::Rendered(_) => is_graph,
            Origin::Stored => !is_graph,
            Origin::Imported | Origin::InContainerd => false,
            Origin::Given => return Ok(()),
        };
        if !fits {
            return Err(differs(&info.store.to_string(), &generated.origin.to_string()));
        }
    }
    if is_graph || generated.origin != Origin::Stored {
        return Ok(());
    }
    let found = &generated.descriptor;
    match &image.descriptor {
        // The whole image: media type and size are told too.
        Some(told) if told.digest == found.digest => {
            if told.same_content(found) {
                Ok(())
            } else {
                Err(differs(&told.to_string(), &found.to_string()))
            }
        }
        _ if image.id == found.digest => Ok(()),
        // One manifest of an index. Older engines don't list them; then the archive's index did.
        _ if image.manifests.is_empty()
            || image.manifests.iter().any(|(digest, _)| *digest == found.digest) =>
        {
            Ok(())
        }
        _ => Err(differs(&image.id.to_string(), &found.to_string())),
    }
}

/// An image without layers can't be saved by a graph-driver engine, but its config is a file.
fn without_layers(
    args: &ImageArgs,
    info: &EngineInfo,
    image: &Image,
    is_local: bool,
) -> Result<Generated, Failure> {
    let unknown = |why: &str| {
        let text = "an image without layers can't be saved by a graph-driver engine";
        Failure::new(Exit::NotDeterminable, format!("{text}, and its config {why}"))
            .with_hint(context::as_root())
    };
    let named = args.push.distribution_dir.as_deref().map(Distribution::at);
    let distribution = named
        .or_else(|| distribution(info, is_local))
        .ok_or_else(|| unknown("is on another host"))?;
    let config = distribution
        .config(&image.id)
        .map_err(|error| unknown(&format!("can't be read: {error}")))?;
    Ok(generate::without_layers(&config, &image.id)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_ids() {
        let id = format!("sha256:{}", "ab".repeat(32));
        let image = |tags: &[&str]| Image {
            id: id.parse().unwrap(),
            tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
            repo_digests: Vec::new(),
            layers: Vec::new(),
            descriptor: None,
            manifests: Vec::new(),
        };
        for (text, tags, exported) in [
            ("app:1", &["app:1"][..], "app:1"),
            ("app", &["app:latest", "app:1"], "app:latest"),
            ("docker.io/library/app:1", &["app:1"], "app:1"),
            // The beginning of an ID looks like a name.
            ("abab", &["app:1"], &id),
            ("sha256:abab", &["app:1"], &id),
            (&id, &["app:1"], &id),
            (&format!("app@{id}"), &["app:1"], &id),
        ] {
            let wanted = Wanted::parse(text).unwrap_or_else(|error| panic!("{error:?}"));
            assert_eq!(wanted.exported(&image(tags)), exported, "{text}");
        }
        for bad in ["", "-x", "App", "a?b", "a/../b", "sha256:", "a#b", "a b"] {
            assert!(Wanted::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_program_is_the_connection() {
        use std::io::{Read as _, Write as _};
        let mut stream = dialer(vec!["cat".to_owned()])().unwrap();
        stream.write_all(b"ping").unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut back = String::new();
        stream.read_to_string(&mut back).unwrap();
        assert_eq!(back, "ping");
        let error = dialer(vec!["/nonexistent/docker".to_owned()])().unwrap_err();
        assert!(error.to_string().starts_with("/nonexistent/docker: "), "{error}");
    }
}
