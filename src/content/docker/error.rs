//! What can go wrong with an engine.

use std::io;
use std::path::PathBuf;

use crate::fsutil::FileError;
use crate::image::json;

/// Why it is not known which engine is meant.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// `--context` beside `--host`.
    #[error("conflicting options: cannot specify both --host and --context")]
    HostAndContext,
    /// Several `--host`.
    #[error("specify only one --host")]
    SeveralHosts,
    /// There is no context of that name.
    #[error("context {name:?} not found: {} does not exist", path.display())]
    NoSuchContext {
        /// The name.
        name: String,
        /// Its file.
        path: PathBuf,
    },
    /// A context for something else.
    #[error("context {name:?} has no docker endpoint")]
    NoEndpoint {
        /// The name.
        name: String,
    },
    /// An address that can't be.
    #[error("invalid host {host:?}: {reason}")]
    Host {
        /// The address.
        host: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A file of the docker CLI's configuration is not what it should be.
    #[error("{}: {source}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: json::ReadError,
    },
    /// A file that is needed can't be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// `DOCKER_CUSTOM_HEADERS` or `HttpHeaders` with something that is no header.
    #[error("invalid HTTP header {found:?}: expected NAME=VALUE")]
    Header {
        /// What was found.
        found: String,
    },
    /// `DOCKER_API_VERSION` is no version.
    #[error("invalid API version {found:?}: expected a number such as 1.41")]
    ApiVersion {
        /// What was found.
        found: String,
    },
}

impl EndpointError {
    /// What the user can do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoSuchContext { .. } | Self::NoEndpoint { .. } => {
                Some("docker context ls".to_owned())
            }
            _ => None,
        }
    }
}

/// Why an engine gave no answer, or not the one that is needed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// There is no connection to it.
    #[error("can't connect to the Docker engine at {endpoint}: {source}")]
    Connect {
        /// Its address.
        endpoint: String,
        /// The system's error.
        source: io::Error,
    },
    /// Keys or certificates for TLS can't be used.
    #[error("TLS to {endpoint}: {reason}")]
    Tls {
        /// Its address.
        endpoint: String,
        /// What is wrong.
        reason: String,
    },
    /// There is no such image.
    #[error("no such image: {name}")]
    NoSuchImage {
        /// What was asked for.
        name: String,
        /// Names that are similar.
        similar: Vec<String>,
    },
    /// It is podman.
    #[error("the engine is podman, whose push compresses in another way than docker's")]
    Podman,
    /// An answer that lacks something or makes no sense.
    #[error("the engine's answer about {what} {problem}")]
    Answer {
        /// What was asked.
        what: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// It refused, or the connection broke.
    #[error("{what}: {message}")]
    Request {
        /// What was asked.
        what: &'static str,
        /// Its words, or the connection's.
        message: String,
    },
}

impl EngineError {
    /// What the user can do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Connect { endpoint, source } => Some(match source.kind() {
                io::ErrorKind::PermissionDenied => {
                    "sudo usermod -aG docker $USER, and log in again; or run this as root".to_owned()
                }
                _ if endpoint == super::endpoint::DEFAULT_HOST => {
                    "sudo systemctl start docker, or name the engine: DOCKER_HOST=unix:///run/user/1000/docker.sock"
                        .to_owned()
                }
                _ => "docker context ls, and look at $DOCKER_HOST".to_owned(),
            }),
            Self::NoSuchImage { .. } => Some("docker image ls".to_owned()),
            Self::Podman => Some("podman save IMAGE | dockseal manifest - --push-from graph".to_owned()),
            _ => None,
        }
    }
}
