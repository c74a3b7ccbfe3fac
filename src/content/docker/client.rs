//! An engine, its images, `docker save` and `docker load`. The only file that names bollard.

use std::io;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bollard::errors::Error as ApiError;
use bollard::models::{ImageInspect, OciDescriptor, SystemInfo, SystemVersion};
use bollard::query_parameters::{ImportImageOptions, ListImagesOptions};
use bollard::{BollardRequest, Docker};
use futures_util::StreamExt as _;
use http_body_util::BodyExt as _;
use hyper::Uri;
use tokio::runtime::Runtime;

use super::endpoint::Endpoint;
use super::error::EngineError;
use super::store::{ApiVersion, ImageStore};
use super::stream::{Export, Upload};
use super::transport::{Dialer, Transport};
use crate::image::descriptor::Descriptor;
use crate::image::digest::Digest;
use crate::image::platform::Platform;

/// How long the engine may think about a question.
const ANSWER: Duration = Duration::from_secs(120);
/// How long it may prepare an archive: graph drivers write all of it to their disk first.
const ARCHIVE: Duration = Duration::from_secs(24 * 60 * 60);
/// How similar names are that are worth a hint.
const SIMILAR: f64 = 0.85;
/// Most names in a hint.
const MAX_SIMILAR: usize = 3;

/// A running engine.
#[derive(Debug)]
pub struct Engine {
    info: EngineInfo,
    api: ApiVersion,
    docker: Docker,
    runtime: Arc<Runtime>,
}

/// What an engine tells of itself.
#[derive(Clone, Debug)]
pub struct EngineInfo {
    /// Its address.
    pub endpoint: String,
    /// Its version, such as `28.5.2`.
    pub version: String,
    /// The version of the API that is spoken, such as `1.51`.
    pub api: String,
    /// The Go that built it, such as `go1.24.4`.
    pub go_version: String,
    /// Where it keeps images.
    pub store: ImageStore,
    /// The platform of its host.
    pub host: Platform,
    /// Where it keeps its data, as it sees its file system.
    pub root: PathBuf,
    /// Whether a push falls back from an index to a manifest (docker 27).
    pub falls_back: bool,
}

/// What an engine tells of an image.
#[derive(Clone, Debug)]
pub struct Image {
    /// Digest of the config (graph driver) or of the manifest or index (containerd store).
    pub id: Digest,
    /// Its names with tags.
    pub tags: Vec<String>,
    /// Manifests it was pulled or pushed as, `repository@digest`.
    pub repo_digests: Vec<String>,
    /// DiffIDs.
    pub layers: Vec<Digest>,
    /// What a push sends, if all of it is there (containerd store, API 1.48).
    pub descriptor: Option<Descriptor>,
    /// The manifests of its index and whether all their content is there (as before).
    pub manifests: Vec<(Digest, bool)>,
}

impl Engine {
    /// Connects and learns what the engine is.
    ///
    /// # Errors
    /// [`EngineError`]: no connection, podman, answers that lack what decides.
    pub fn connect(endpoint: &Endpoint, dialer: Dialer) -> Result<Self, EngineError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|source| EngineError::Connect { endpoint: endpoint.name.clone(), source })?;
        let transport = Arc::new(Transport::new(endpoint, dialer)?);
        runtime.block_on(transport.connect())?;
        let docker = docker(&transport).map_err(|error| request("the API", error))?;
        let version = match runtime.block_on(docker.version()) {
            Ok(version) => version,
            Err(error) => return Err(request("the engine's version", error)),
        };
        if components(&version).any(|(name, _)| name.starts_with("Podman")) {
            return Err(EngineError::Podman);
        }
        let api = negotiated(endpoint, &version)?;
        transport.set_version(api);
        let info = runtime
            .block_on(docker.info())
            .map_err(|error| request("the engine's state", error))?;
        let info = EngineInfo::new(endpoint, &version, api, info)?;
        Ok(Self { info, api, docker, runtime: Arc::new(runtime) })
    }

    /// What the engine tells of itself.
    #[must_use]
    pub fn info(&self) -> &EngineInfo {
        &self.info
    }

    /// What the engine tells of an image, by name or ID.
    ///
    /// # Errors
    /// [`EngineError::NoSuchImage`], or what is wrong with the answer.
    pub fn image(&self, name: &str) -> Result<Image, EngineError> {
        const WHAT: &str = "the image";
        let is_containerd = matches!(self.info.store, ImageStore::Containerd { .. });
        let docker = if is_containerd && self.api >= ApiVersion::PLATFORMS {
            with_query(&self.docker, "manifests=1".to_owned())
        } else {
            self.docker.clone()
        };
        match self.runtime.block_on(docker.inspect_image(name)) {
            Ok(image) => Image::new(image),
            Err(ApiError::DockerResponseServerError { status_code: 404, .. }) => {
                let similar = self.similar(name);
                Err(EngineError::NoSuchImage { name: name.to_owned(), similar })
            }
            Err(error) => Err(request(WHAT, error)),
        }
    }

    /// Names with tags of all images, sorted.
    ///
    /// # Errors
    /// [`EngineError`] what is wrong with the answer.
    pub fn names(&self) -> Result<Vec<String>, EngineError> {
        let images = self.runtime.block_on(self.docker.list_images(None::<ListImagesOptions>));
        let images = images.map_err(|error| request("the images", error))?;
        let mut names: Vec<_> = images.into_iter().flat_map(|image| image.repo_tags).collect();
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    /// Names of images that are similar; none if the engine does not say.
    fn similar(&self, name: &str) -> Vec<String> {
        let names = self.names().unwrap_or_default().into_iter();
        let base = |name: &str| name.rsplit('/').next().unwrap_or_default().to_owned();
        let score = |other: &String| {
            let whole = strsim::jaro_winkler(name, other);
            whole.max(strsim::jaro_winkler(&base(name), &base(other)))
        };
        let mut scored: Vec<(f64, String)> =
            names.map(|name| (score(&name), name)).filter(|(score, _)| *score >= SIMILAR).collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        scored.into_iter().take(MAX_SIMILAR).map(|(_, name)| name).collect()
    }

    /// Whether `docker save` of one platform can be asked for.
    #[must_use]
    pub fn exports_platforms(&self) -> bool {
        matches!(self.info.store, ImageStore::Containerd { .. })
            && self.api >= ApiVersion::PLATFORMS
    }

    /// `docker save`: nothing of it is kept anywhere. A platform only where the engine
    /// [knows that](Self::exports_platforms).
    ///
    /// # Errors
    /// When the engine refuses. What goes wrong later is in [`Export::failure`].
    pub fn export(&self, name: &str, platform: Option<&Platform>) -> Result<Export, EngineError> {
        let mut docker = self.docker.clone().with_timeout(ARCHIVE);
        if let Some(platform) = platform {
            docker = with_query(&docker, format!("platform={}", encoded(platform)));
        }
        let pieces = docker.export_image(name);
        let pieces = pieces.map(|piece| piece.map_err(|error| request("docker save", error)));
        Export::begin(Arc::clone(&self.runtime), Box::pin(pieces))
    }

    /// `docker load`: `write` gets what it has to write the archive to. If it fails, the engine sees
    /// an archive that breaks off.
    ///
    /// # Errors
    /// What `write` returns, or why the engine did not take the archive.
    pub fn load<E: From<EngineError>>(
        &self,
        write: impl FnOnce(&mut Upload<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let docker = self.docker.clone().with_timeout(ARCHIVE);
        let options = ImportImageOptions { quiet: true, ..ImportImageOptions::default() };
        let (mut upload, pieces) = Upload::begin(&self.runtime);
        let answer = self.runtime.spawn(async move {
            let mut answers = pin!(docker.import_image_stream(options, pieces, None));
            while let Some(answer) = answers.next().await {
                answer.map_err(|error| request("docker load", error))?;
            }
            Ok(())
        });
        let written = write(&mut upload);
        upload.end(written.is_ok());
        let answered = match self.runtime.block_on(answer) {
            Ok(answered) => answered,
            Err(_) => Err(EngineError::Answer {
                what: "docker load",
                problem: "was never read".to_owned(),
            }),
        };
        match (written, answered) {
            // An engine that refuses stops reading: its words say more than that.
            (Err(_), Err(error)) if upload.was_refused() => Err(error.into()),
            (Err(error), _) => Err(error),
            (Ok(()), answered) => Ok(answered?),
        }
    }
}

/// The client, speaking through our transport.
fn docker(transport: &Arc<Transport>) -> Result<Docker, ApiError> {
    let transport = Arc::clone(transport);
    let send = move |request: BollardRequest| {
        let transport = Arc::clone(&transport);
        async move {
            let (parts, body) = request.into_parts();
            let body = body.map_err(io::Error::other).boxed_unsync();
            let response = transport.send(&parts.uri, parts.method, body).await;
            response.map_err(ApiError::from)
        }
    };
    let seconds = ANSWER.as_secs();
    Docker::connect_with_custom_transport(
        send,
        Some("http://docker"),
        seconds,
        bollard::API_DEFAULT_VERSION,
    )
}

/// A client whose requests carry this query: bollard's own functions don't know these parameters.
fn with_query(docker: &Docker, query: String) -> Docker {
    docker.clone().with_request_modifier(move |mut request| {
        let with: Result<Uri, _> = format!("{}?{query}", request.uri().path()).parse();
        if let Ok(uri) = with {
            *request.uri_mut() = uri;
        }
        request
    })
}

/// A platform as the API wants it: JSON, percent-encoded.
fn encoded(platform: &Platform) -> String {
    let json = serde_json::to_string(platform).unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    json.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// The pinned version, else the newest that both sides know.
fn negotiated(endpoint: &Endpoint, version: &SystemVersion) -> Result<ApiVersion, EngineError> {
    if let Some(pinned) = endpoint.api_version {
        return Ok(pinned);
    }
    let text = version.api_version.as_deref().unwrap_or_default();
    let newest: ApiVersion = text.parse().map_err(|()| EngineError::Answer {
        what: "its version",
        problem: format!("names the API version {text:?}"),
    })?;
    Ok(newest.min(ApiVersion::NEWEST))
}

fn components(version: &SystemVersion) -> impl Iterator<Item = (&str, Option<&str>)> {
    version.components.iter().flatten().map(|component| {
        let go = component.details.as_ref().and_then(|details| details.get("GoVersion"));
        (component.name.as_str(), go.map(String::as_str))
    })
}

impl EngineInfo {
    fn new(
        endpoint: &Endpoint,
        version: &SystemVersion,
        api: ApiVersion,
        info: SystemInfo,
    ) -> Result<Self, EngineError> {
        let (what, driver) = ("its state", info.driver.unwrap_or_default());
        if driver.is_empty() {
            return Err(EngineError::Answer { what, problem: "names no storage driver".into() });
        }
        // Engines before API 1.35 say it at the top only.
        let go = components(version)
            .find_map(|(name, go)| go.filter(|_| name == "Engine"))
            .or(version.go_version.as_deref());
        let host = Platform {
            os: info.os_type.unwrap_or_default(),
            architecture: info.architecture.unwrap_or_default(),
            variant: String::new(),
        };
        Ok(Self {
            endpoint: endpoint.name.clone(),
            version: version.version.clone().unwrap_or_default(),
            api: api.to_string(),
            go_version: go.unwrap_or_default().to_owned(),
            store: ImageStore::from_info(&driver, &info.driver_status.unwrap_or_default()),
            host: host.normalized(),
            root: info.docker_root_dir.unwrap_or_default().into(),
            falls_back: api >= ApiVersion::FALLBACK,
        })
    }
}

impl Image {
    fn new(image: ImageInspect) -> Result<Self, EngineError> {
        let manifests = image.manifests.unwrap_or_default();
        let manifests = manifests
            .into_iter()
            .map(|manifest| {
                Ok((digest("a manifest", manifest.descriptor.digest)?, manifest.available))
            })
            .collect::<Result<_, _>>()?;
        let layers = image.root_fs.and_then(|fs| fs.layers).unwrap_or_default();
        Ok(Self {
            id: digest("Id", image.id)?,
            tags: image.repo_tags.unwrap_or_default(),
            repo_digests: image.repo_digests.unwrap_or_default(),
            layers: layers
                .into_iter()
                .map(|layer| digest("a layer", Some(layer)))
                .collect::<Result<_, _>>()?,
            descriptor: image.descriptor.map(descriptor).transpose()?,
            manifests,
        })
    }
}

fn descriptor(from: OciDescriptor) -> Result<Descriptor, EngineError> {
    let digest = digest("Descriptor", from.digest)?;
    match (from.media_type, from.size.map(u64::try_from)) {
        (Some(media_type), Some(Ok(size))) => Ok(Descriptor::new(media_type, digest, size)),
        _ => Err(EngineError::Answer {
            what: "the image",
            problem: "has a Descriptor without media type or size".to_owned(),
        }),
    }
}

fn digest(of: &str, text: Option<String>) -> Result<Digest, EngineError> {
    let text = text.unwrap_or_default();
    text.parse().map_err(|_| EngineError::Answer {
        what: "the image",
        problem: format!("has {text:?} where a digest is expected ({of})"),
    })
}

fn request(what: &'static str, error: ApiError) -> EngineError {
    let message = match error {
        ApiError::DockerResponseServerError { message, .. } => message,
        ApiError::DockerStreamError { error } => error,
        error => causes(&error),
    };
    EngineError::Request { what, message: message.trim().to_owned() }
}

/// An error with its causes: hyper's alone say little.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}
