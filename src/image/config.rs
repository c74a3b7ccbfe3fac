//! The image config: what binds an image to its layers.
//!
//! Its digest is that of its raw bytes; engines, `docker load` and registries keep those as they
//! are. oci-spec's type is not used here: it demands members (`architecture`, `os`) that real
//! configs of old engines and of other builders leave out, and engines accept those.

use serde::Deserialize;

use super::digest::{Algorithm, Digest};
use super::json;
use super::platform::Platform;

/// Largest config (spec: 16 MiB).
pub const MAX_BYTES: usize = 16 << 20;
/// Most layers of an image. Docker stops at 125.
pub const MAX_LAYERS: usize = 1024;

const RULES: json::Rules = json::Rules {
    max_bytes: MAX_BYTES,
    max_depth: json::Rules::MAX_DEPTH,
    known: &[
        "architecture",
        "diff_ids",
        "empty_layer",
        "history",
        "os",
        "rootfs",
        "type",
        "variant",
    ],
    free_maps: &["Labels", "Volumes", "ExposedPorts", "annotations"],
};

/// What dockseal reads of an image config.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ImageConfig {
    /// Digest of the raw bytes: the image ID of a graph-driver engine.
    pub digest: Digest,
    /// Number of raw bytes.
    pub size: u64,
    /// Platform; members that are absent are empty.
    pub platform: Platform,
    /// DiffIDs, base layer first: sha256 of each layer's uncompressed tar.
    pub diff_ids: Vec<Digest>,
}

#[derive(Deserialize)]
struct Wire {
    #[serde(flatten)]
    platform: Platform,
    rootfs: Option<RootFs>,
    history: Option<Vec<History>>,
}

#[derive(Deserialize)]
struct RootFs {
    #[serde(rename = "type")]
    kind: String,
    diff_ids: Option<Vec<Digest>>,
}

#[derive(Deserialize)]
struct History {
    #[serde(default)]
    empty_layer: bool,
}

impl ImageConfig {
    /// Reads a config from its raw bytes.
    ///
    /// # Errors
    /// When it is not strict JSON, has no `rootfs` of type `layers`, a malformed DiffID, too many
    /// layers, or more non-empty history entries than layers (engines refuse that).
    pub fn parse(bytes: &[u8]) -> Result<Self, ConfigError> {
        let wire: Wire = json::read(bytes, &RULES)?;
        let rootfs = wire.rootfs.ok_or(ConfigError::NoRootFs)?;
        if rootfs.kind != "layers" {
            return Err(ConfigError::RootFsType { found: rootfs.kind });
        }
        let diff_ids = rootfs.diff_ids.unwrap_or_default();
        if diff_ids.len() > MAX_LAYERS {
            return Err(ConfigError::TooManyLayers { found: diff_ids.len(), limit: MAX_LAYERS });
        }
        if let Some(other) = diff_ids.iter().find(|d| d.algorithm() != Algorithm::Sha256) {
            return Err(ConfigError::DiffIdAlgorithm { found: other.clone() });
        }
        let entries =
            wire.history.unwrap_or_default().iter().filter(|entry| !entry.empty_layer).count();
        if entries > diff_ids.len() {
            return Err(ConfigError::History { entries, layers: diff_ids.len() });
        }
        Ok(Self {
            digest: Digest::sha256(bytes),
            size: bytes.len() as u64,
            platform: wire.platform,
            diff_ids,
        })
    }
}

/// Why bytes are not an image config.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A DiffID is not sha256.
    #[error("a DiffID is a sha256 digest, found {found}")]
    DiffIdAlgorithm {
        /// The DiffID.
        found: Digest,
    },
    /// History and layers don't fit.
    #[error("the history names {entries} layers, the config has {layers}")]
    History {
        /// Non-empty history entries.
        entries: usize,
        /// DiffIDs.
        layers: usize,
    },
    /// No `rootfs`.
    #[error("the config has no rootfs")]
    NoRootFs,
    /// Another kind of root filesystem, such as Windows' `layers+base` before 2016.
    #[error("rootfs of type {found:?}, expected \"layers\"")]
    RootFsType {
        /// The type.
        found: String,
    },
    /// Too many layers.
    #[error("{found} layers are more than the limit of {limit}")]
    TooManyLayers {
        /// Their number.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// Not the JSON that was expected.
    #[error(transparent)]
    Json(#[from] json::ReadError),
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn reads_what_engines_write() {
        let text = format!(
            r#"{{"architecture":"amd64","os":"linux","config":{{"Labels":{{"A":"1","a":"2"}}}},
            "history":[{{"empty_layer":true}},{{"created_by":"x"}}],
            "rootfs":{{"type":"layers","diff_ids":["{EMPTY}"]}}}}"#
        );
        let config = ImageConfig::parse(text.as_bytes()).unwrap();
        assert_eq!(config.diff_ids.len(), 1);
        assert_eq!(config.platform.to_string(), "linux/amd64");
        assert_eq!(config.digest, Digest::sha256(text.as_bytes()));
        let bare = br#"{"rootfs":{"type":"layers","diff_ids":null}}"#;
        assert_eq!(ImageConfig::parse(bare).unwrap().diff_ids, []);
    }

    #[test]
    fn refuses() {
        for text in [
            "{}".to_owned(),
            r#"{"rootfs":{"type":"layers+base","diff_ids":[]}}"#.to_owned(),
            r#"{"rootfs":{"type":"layers","diff_ids":["sha256:1"]}}"#.to_owned(),
            r#"{"rootfs":{"type":"layers","diff_ids":[]},"history":[{}]}"#.to_owned(),
            r#"{"RootFS":{"type":"layers","diff_ids":[]}}"#.to_owned(),
            format!(
                r#"{{"rootfs":{{"type":"layers","diff_ids":["sha512:{0}{0}"]}}}}"#,
                "a".repeat(64)
            ),
        ] {
            assert!(ImageConfig::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
