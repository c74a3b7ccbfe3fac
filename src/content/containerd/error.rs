//! Why an image in containerd can't be had.

use std::io;
use std::path::PathBuf;

use super::Namespace;
use super::bolt::BoltError;
use crate::content::archive::ArchiveError;
use crate::fsutil::FileError;
use crate::image::config::ConfigError;
use crate::image::digest::Digest;
use crate::image::hint;
use crate::image::manifest::ManifestError;

/// Why an image in containerd can't be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContainerdError {
    /// The same name means different images.
    #[error("{name} is another image in each of several namespaces: {}", list(found))]
    Ambiguous {
        /// The name.
        name: String,
        /// Where, and which.
        found: Vec<(Namespace, Digest)>,
    },
    /// Reading a blob failed on the way.
    #[error("reading {digest}: {source}")]
    Blob {
        /// The blob.
        digest: Digest,
        /// Why.
        source: io::Error,
    },
    /// A config is malformed.
    #[error("config {digest}: {source}")]
    Config {
        /// The config.
        digest: Digest,
        /// What is wrong.
        source: ConfigError,
    },
    /// There is no containerd at the address.
    #[error("no containerd answers at {address}: {source}")]
    Connect {
        /// The socket.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// `meta.db` is no database that can be read.
    #[error("{}: {source}", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// Why.
        source: BoltError,
    },
    /// A file can't be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A layer can't be decompressed or is larger than it may be.
    #[error(transparent)]
    Layer(#[from] ArchiveError),
    /// Layers and DiffIDs don't fit.
    #[error("manifest {manifest} has {layers} layers, its config {diff_ids}")]
    LayerCount {
        /// The manifest.
        manifest: Digest,
        /// Layers of the manifest.
        layers: usize,
        /// DiffIDs of the config.
        diff_ids: usize,
    },
    /// Something is larger than it may be.
    #[error("{what} is larger than the limit of {limit}")]
    Limit {
        /// What.
        what: String,
        /// The limit.
        limit: u64,
    },
    /// A manifest is malformed.
    #[error("manifest {digest}: {source}")]
    Manifest {
        /// The manifest.
        digest: Digest,
        /// What is wrong.
        source: ManifestError,
    },
    /// A record of `meta.db` is not what it should be.
    #[error("{}: {what} {problem}", path.display())]
    Metadata {
        /// The file.
        path: PathBuf,
        /// The record.
        what: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// Content has another digest than what names it.
    #[error("{what} does not match: expected {expected}, found {found}")]
    Mismatch {
        /// The blob.
        what: String,
        /// Digest it should have.
        expected: Digest,
        /// Digest it has.
        found: Digest,
    },
    /// Content is not in the store.
    #[error("{what} {digest} of {image} is not in namespace {namespace}{}", elsewhere_or(*recorded, elsewhere))]
    Missing {
        /// What it is.
        what: &'static str,
        /// Which.
        digest: Digest,
        /// The image that needs it.
        image: Box<str>,
        /// Where it was looked for.
        namespace: Namespace,
        /// containerd has a record of it, but its bytes are gone.
        recorded: bool,
        /// Namespaces that have it.
        elsewhere: Vec<Namespace>,
    },
    /// No image of that name.
    #[error("no image {name} in {}", searched(namespace.as_ref(), place))]
    NoSuchImage {
        /// The name.
        name: String,
        /// Where it was looked for; everywhere if absent.
        namespace: Option<Namespace>,
        /// The store.
        place: Box<str>,
        /// Namespaces that have it.
        elsewhere: Vec<Namespace>,
        /// Names that are like it, with their namespaces.
        close: Vec<(Namespace, String)>,
    },
    /// No namespace of that name. containerd takes such a name for an empty namespace.
    #[error("no namespace {wanted} in {place}; it has {}", words(available))]
    NoSuchNamespace {
        /// The name.
        wanted: Namespace,
        /// The store.
        place: Box<str>,
        /// What there is.
        available: Vec<Namespace>,
        /// Namespaces that have the image.
        elsewhere: Vec<Namespace>,
    },
    /// No containerd has its files there.
    #[error("{} is no root directory of containerd: {source}", root.display())]
    Root {
        /// The directory.
        root: PathBuf,
        /// Why.
        source: FileError,
    },
    /// The size of some content differs from what its descriptor says.
    #[error("{what} has the wrong size: expected {expected} bytes, found {found}")]
    Size {
        /// The blob.
        what: String,
        /// Size it should have.
        expected: u64,
        /// Size it has.
        found: u64,
    },
    /// containerd refused a call.
    #[error("containerd at {address}: {call}: {message}")]
    Status {
        /// The socket.
        address: String,
        /// The call.
        call: &'static str,
        /// What it said, without control characters.
        message: String,
    },
    /// containerd did not answer in time.
    #[error("containerd at {address} did not answer within {seconds} s ({call})")]
    Timeout {
        /// The socket.
        address: String,
        /// The call.
        call: &'static str,
        /// How long was waited.
        seconds: u64,
    },
}

/// What kind of error it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Class {
    /// It could not be read though it is there.
    Io,
    /// The store or something in it is malformed, or a name is ambiguous.
    Malformed,
    /// Content is not what its descriptor says.
    Mismatch,
    /// The store, the image or part of it is not there.
    Unavailable,
}

impl ContainerdError {
    /// The class of the error.
    #[must_use]
    pub fn class(&self) -> Class {
        use crate::content::archive::Class as Archive;
        match self {
            Self::Mismatch { .. } | Self::Size { .. } => Class::Mismatch,
            Self::Ambiguous { .. }
            | Self::Config { .. }
            | Self::LayerCount { .. }
            | Self::Limit { .. }
            | Self::Manifest { .. }
            | Self::Metadata { .. } => Class::Malformed,
            Self::Database { source, .. } => match source {
                BoltError::Busy => Class::Unavailable,
                BoltError::Io(_) => Class::Io,
                _ => Class::Malformed,
            },
            Self::Layer(error) => match error.class() {
                Archive::Io => Class::Io,
                Archive::Malformed => Class::Malformed,
                Archive::Mismatch => Class::Mismatch,
                Archive::Unavailable => Class::Unavailable,
            },
            Self::Blob { .. }
            | Self::Connect { .. }
            | Self::File(_)
            | Self::Missing { .. }
            | Self::NoSuchImage { .. }
            | Self::NoSuchNamespace { .. }
            | Self::Root { .. }
            | Self::Status { .. }
            | Self::Timeout { .. } => Class::Unavailable,
        }
    }

    /// What the user can do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let pull = |namespace: &Namespace, image: &str| {
            let words = ["ctr", "-n", namespace.as_str(), "images", "pull", image];
            hint::shell(&words).map(|command| hint::behind("fetch it again", &command))
        };
        Some(match self {
            Self::Ambiguous { found, .. } => format!("choose one: --namespace {}", found.first()?.0),
            Self::Connect { source, .. } => match source.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                    "name its socket, or with --containerd-root its files: --address PATH"
                        .to_owned()
                }
                io::ErrorKind::PermissionDenied => ROOT_ONLY.to_owned(),
                _ => LOOK.to_owned(),
            },
            Self::Database { source: BoltError::Busy, .. } => {
                "try again, or ask the running containerd: --address /run/containerd/containerd.sock"
                    .to_owned()
            }
            Self::Database { source: BoltError::Io(_), .. } => return None,
            Self::Database { .. } | Self::Metadata { .. } => {
                "a copy must be made while containerd does not write; after a power cut start \
                 containerd once"
                    .to_owned()
            }
            Self::Root { source, .. } | Self::File(source) if is_denied(source) => {
                ROOT_ONLY.to_owned()
            }
            Self::Root { .. } => {
                "name the directory that holds io.containerd.metadata.v1.bolt: --containerd-root DIR"
                    .to_owned()
            }
            Self::Blob { .. } | Self::Status { .. } | Self::Timeout { .. } => {
                LOOK.to_owned()
            }
            Self::Missing { elsewhere, .. } if !elsewhere.is_empty() => {
                format!("--namespace {}", elsewhere.first()?)
            }
            Self::Missing { image, namespace, .. } => pull(namespace, image)?,
            Self::Mismatch { .. } | Self::Size { .. } => {
                "the store is damaged or was altered; remove the image and pull it again".to_owned()
            }
            Self::NoSuchImage { elsewhere, .. } | Self::NoSuchNamespace { elsewhere, .. }
                if !elsewhere.is_empty() =>
            {
                format!("it is in another namespace: --namespace {}", elsewhere.first()?)
            }
            Self::NoSuchImage { close, .. } if !close.is_empty() => {
                let names: Vec<String> = close
                    .iter()
                    .filter_map(|(namespace, name)| {
                        let image = format!("containerd:{name}");
                        hint::shell(&[&image, "--namespace", namespace.as_str()])
                    })
                    .collect();
                if names.is_empty() {
                    return None;
                }
                format!("there is {}", names.join(", or "))
            }
            Self::NoSuchImage { namespace: Some(namespace), .. } => {
                format!("ctr -n {namespace} images ls -q")
            }
            Self::NoSuchImage { .. } => "ctr namespaces ls; ctr -n NAMESPACE images ls -q".to_owned(),
            Self::NoSuchNamespace { available, .. } => {
                format!("--namespace {}", available.first()?)
            }
            _ => return None,
        })
    }
}

const LOOK: &str = "see whether containerd still runs and what it logs; its files can be read \
                    without it: --containerd-root /var/lib/containerd";
const ROOT_ONLY: &str = "only root may read it; run dockseal with sudo";

fn is_denied(error: &FileError) -> bool {
    let kind = |error: &io::Error| error.kind() == io::ErrorKind::PermissionDenied;
    matches!(error, FileError::Io { source, .. } if kind(source))
}

fn words(names: &[Namespace]) -> String {
    let names: Vec<&str> = names.iter().map(Namespace::as_str).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn list(found: &[(Namespace, Digest)]) -> String {
    let found: Vec<String> =
        found.iter().map(|(namespace, digest)| format!("{digest} in {namespace}")).collect();
    found.join(", ")
}

fn searched(namespace: Option<&Namespace>, place: &str) -> String {
    match namespace {
        Some(namespace) => format!("namespace {namespace} of {place}"),
        None => format!("any namespace of {place}"),
    }
}

fn elsewhere_or(recorded: bool, elsewhere: &[Namespace]) -> String {
    match (recorded, elsewhere) {
        (true, _) => ": containerd has a record of it, but its bytes are gone".to_owned(),
        (false, []) => String::new(),
        (false, _) => format!(", but in {}", words(elsewhere)),
    }
}
