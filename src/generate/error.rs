//! Why no manifest can be given.

use crate::content::archive::ArchiveError;
use crate::image::digest::Digest;
use crate::image::platform::Platform;

/// Why no manifest can be given.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// The archive can't be used.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
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
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Archive(error) => error.hint(),
            Self::Choose { available } | Self::NoSuchImage { available, .. } => {
                available.first().map(|name| format!("choose one, such as --image {name}"))
            }
            Self::NoSuchPlatform { available, .. } => {
                available.first().map(|name| format!("choose one, such as --platform {name}"))
            }
            Self::Undeterminable { hint, .. } => Some(hint.clone()),
        }
    }
}
