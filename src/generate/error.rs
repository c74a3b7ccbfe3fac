//! Why no manifest can be given.

use crate::content::archive::ArchiveError;
use crate::content::containerd::ContainerdError;
use crate::image::digest::Digest;
use crate::image::hint::Hint;
use crate::image::platform::Platform;

/// Why no manifest can be given.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// The archive can't be used.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The image in containerd can't be had.
    #[error(transparent)]
    Containerd(#[from] ContainerdError),
    /// Several images, none chosen.
    #[error("the archive holds {} images: {}", available.len(), available.join(", "))]
    Choose {
        /// Names or digests of the images.
        available: Vec<String>,
    },
    /// The image is not in the archive.
    #[error("no image {wanted} in the archive; it holds {}", available.join(", "))]
    NoSuchImage {
        /// What was asked for.
        wanted: String,
        /// What there is.
        available: Vec<String>,
    },
    /// The image has no such platform.
    #[error("no platform {wanted} in {image}; it has {}", available.join(", "))]
    NoSuchPlatform {
        /// What was asked for.
        wanted: Platform,
        /// Digest of the image.
        image: Digest,
        /// What there is.
        available: Vec<String>,
    },
    /// The archive holds another image than the manifest that was given is of.
    #[error("manifest {manifest} is not of an image in the archive; it holds config {}",
        available.join(", "))]
    OtherImage {
        /// Digest of what was given.
        manifest: Digest,
        /// Whether it is an index.
        is_index: bool,
        /// Digests of the configs in the archive.
        available: Vec<String>,
    },
    /// The layers of a given manifest and those of its image don't pair up.
    #[error("the given manifest lists {layers} layers, its config has {diff_ids} DiffIDs")]
    LayerCount {
        /// Layers of the manifest.
        layers: usize,
        /// DiffIDs of the config.
        diff_ids: usize,
    },
    /// Nobody can know what a push would send.
    #[error("what a push would send can't be determined: {reason}")]
    Undeterminable {
        /// Why.
        reason: String,
        /// What would settle it.
        hint: String,
    },
}

impl GenerateError {
    /// What the user can do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<Hint> {
        let one_of = |option, names: &[String]| {
            names.iter().find_map(|name| Hint::option("choose one", option, name))
        };
        match self {
            Self::Archive(error) => error.hint().map(Hint::from),
            Self::Containerd(error) => error.hint().map(Hint::from),
            Self::Choose { available } | Self::NoSuchImage { available, .. } => {
                one_of("--image", available)
            }
            Self::NoSuchPlatform { available, .. } => one_of("--platform", available),
            Self::OtherImage { is_index: true, .. } => {
                Some("an index needs the manifest below it too: --manifest MANIFEST".into())
            }
            Self::OtherImage { .. } => {
                Some("what the archive holds: dockseal digest ARCHIVE --explain".into())
            }
            Self::LayerCount { .. } => None,
            Self::Undeterminable { hint, .. } => Some(hint.as_str().into()),
        }
    }
}
