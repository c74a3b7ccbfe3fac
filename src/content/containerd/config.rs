//! What containerd's own `config.toml` says about where its socket and its files are.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::fsutil::{self, FileError};

/// Where containerd's configuration is.
pub const PATH: &str = "/etc/containerd/config.toml";
/// containerd's root where nothing else is configured.
pub const DEFAULT_ROOT: &str = "/var/lib/containerd";
/// containerd's socket where nothing else is configured.
pub const DEFAULT_ADDRESS: &str = "/run/containerd/containerd.sock";
/// Largest configuration that is read.
const MAX_BYTES: u64 = 1 << 20;

/// Where containerd keeps things.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Places {
    /// Its root directory.
    pub root: PathBuf,
    /// Its socket.
    pub address: PathBuf,
}

/// All versions of the format have these members in the same places. Files that it imports are not
/// looked at.
#[derive(Deserialize)]
struct Wire {
    root: Option<PathBuf>,
    grpc: Option<Grpc>,
}

#[derive(Deserialize)]
struct Grpc {
    address: Option<PathBuf>,
}

impl Places {
    /// What the configuration at `path` says; the defaults where there is none.
    ///
    /// # Errors
    /// [`ConfigError`]: it can't be read.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        match fsutil::read_bounded(path, MAX_BYTES) {
            Ok(bytes) => Self::parse(&String::from_utf8_lossy(&bytes))
                .map_err(|source| ConfigError::Syntax { path: path.to_owned(), source }),
            Err(error) if error.is_not_found() => Ok(Self::default()),
            Err(error) => Err(error.into()),
        }
    }

    fn parse(text: &str) -> Result<Self, toml::de::Error> {
        let wire: Wire = toml::from_str(text)?;
        let given = |path: Option<PathBuf>, default: &str| {
            path.filter(|path| !path.as_os_str().is_empty()).unwrap_or_else(|| default.into())
        };
        Ok(Self {
            root: given(wire.root, DEFAULT_ROOT),
            address: given(wire.grpc.and_then(|grpc| grpc.address), DEFAULT_ADDRESS),
        })
    }
}

impl Default for Places {
    fn default() -> Self {
        Self { root: DEFAULT_ROOT.into(), address: DEFAULT_ADDRESS.into() }
    }
}

/// Why containerd's configuration can't be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file can't be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is no TOML, or a member has another type.
    #[error("{}: {}", path.display(), source.message())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: toml::de::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_configured_and_what_is_not() {
        let k3s = "version = 3\nroot = \"/k/root\"\n[grpc]\n  address = \"/k/sock\"\n  gid = 0\n\
                   [plugins.'io.containerd.cri.v1.images']\n  x = [1, 2]\n";
        for (text, root, address) in [
            ("", DEFAULT_ROOT, DEFAULT_ADDRESS),
            ("version = 2\nroot = \"\"\n", DEFAULT_ROOT, DEFAULT_ADDRESS),
            ("root = \"/r\"\nstate = \"/s\"\n[debug]\n", "/r", DEFAULT_ADDRESS),
            (k3s, "/k/root", "/k/sock"),
        ] {
            let places = Places::parse(text).unwrap();
            assert_eq!((places.root, places.address), (root.into(), address.into()), "{text}");
        }
        assert!(Places::parse("root = 1").is_err());
        assert!(Places::parse("root").is_err());
        assert_eq!(Places::load(Path::new("/no/such/file")).unwrap(), Places::default());
    }
}
