//! What an engine is, apart from its connection.

use std::fmt;
use std::str::FromStr;

/// Where an engine keeps its images. It decides what a push sends (spec/docker.md §1, D1).
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ImageStore {
    /// The classic store: uncompressed layers, no manifest.
    Graph {
        /// The graph driver, such as `overlay2`.
        driver: String,
    },
    /// containerd's content store: the original manifests and blobs.
    Containerd {
        /// The snapshotter, such as `overlayfs`.
        snapshotter: String,
    },
}

impl ImageStore {
    /// The status entry with which the containerd store shows itself (spec/docker.md §5.4).
    const DRIVER_TYPE: [&str; 2] = ["driver-type", "io.containerd.snapshotter.v1"];

    /// The store that `/info` tells of.
    #[must_use]
    pub fn from_info(driver: &str, status: &[Vec<String>]) -> Self {
        let driver = driver.to_owned();
        if status.iter().any(|entry| entry == &Self::DRIVER_TYPE) {
            Self::Containerd { snapshotter: driver }
        } else {
            Self::Graph { driver }
        }
    }
}

impl fmt::Display for ImageStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Graph { driver } => write!(f, "graph-driver store ({driver})"),
            Self::Containerd { snapshotter } => write!(f, "containerd store ({snapshotter})"),
        }
    }
}

/// A version of the engine's API, such as 1.48.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct ApiVersion(pub(super) u16, pub(super) u16);

impl ApiVersion {
    /// The newest one whose answers are known.
    pub(super) const NEWEST: Self = Self(1, 55);
    /// `platform` of `/images/NAME/get`, and `manifests` of `/images/NAME/json`.
    pub(super) const PLATFORMS: Self = Self(1, 48);
    /// A push falls back from an index to a manifest (docker 27).
    pub(super) const FALLBACK: Self = Self(1, 46);
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

impl FromStr for ApiVersion {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (major, minor) = text.trim().split_once('.').ok_or(())?;
        Ok(Self(major.parse().map_err(drop)?, minor.parse().map_err(drop)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores() {
        let entry = |a: &str, b: &str| vec![a.to_owned(), b.to_owned()];
        let containerd = [entry("driver-type", "io.containerd.snapshotter.v1")];
        let overlay = [entry("Backing Filesystem", "extfs")];
        for (driver, status, store) in [
            ("overlayfs", &containerd[..], "containerd store (overlayfs)"),
            ("native", &containerd, "containerd store (native)"),
            ("overlay2", &overlay, "graph-driver store (overlay2)"),
            ("vfs", &[], "graph-driver store (vfs)"),
        ] {
            assert_eq!(ImageStore::from_info(driver, status).to_string(), store);
        }
    }

    #[test]
    fn api_versions() {
        assert_eq!("1.41".parse(), Ok(ApiVersion(1, 41)));
        assert!(ApiVersion(1, 9) < ApiVersion::FALLBACK && ApiVersion(2, 0) > ApiVersion::NEWEST);
        for bad in ["", "1", "v1.41", "1.41.2", "1.x"] {
            assert_eq!(bad.parse::<ApiVersion>(), Err(()), "{bad}");
        }
    }
}
