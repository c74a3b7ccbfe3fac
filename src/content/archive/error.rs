//! What can be wrong with an archive.

use std::path::PathBuf;

use super::compression::OverBudget;
use crate::image::config::ConfigError;
use crate::image::digest::Digest;
use crate::image::json;
use crate::image::manifest::ManifestError;

/// The classes of errors that callers tell apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Class {
    /// Malformed, ambiguous or over a limit.
    Malformed,
    /// Content has another digest or size than what names it.
    Mismatch,
    /// The file or the image is not there.
    Unavailable,
    /// Reading failed.
    Io,
}

/// Why an archive can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// Two views of one archive lead to different images.
    #[error("manifest.json and index.json disagree about {image}: {what}")]
    Ambiguous {
        /// Image name or digest.
        image: String,
        /// The difference.
        what: String,
    },
    /// The config of an image is malformed.
    #[error("config {name}: {source}")]
    Config {
        /// Member that holds it.
        name: String,
        /// What is wrong.
        source: ConfigError,
    },
    /// Members can be put into a plain tar only.
    #[error("the archive is compressed, nothing can be put into it")]
    Compressed,
    /// Decompression failed or found garbage.
    #[error("{what}: {source}")]
    Compression {
        /// What was being decompressed.
        what: String,
        /// The decompressor's words.
        source: std::io::Error,
    },
    /// A document is not the JSON it should be.
    #[error("{name}: {source}")]
    Document {
        /// Member that holds it.
        name: String,
        /// What is wrong.
        source: json::ReadError,
    },
    /// A member name occurs twice.
    #[error("two members of the archive are named {name:?}")]
    DuplicateMember {
        /// The clean name.
        name: String,
    },
    /// Nothing at all.
    #[error("the archive is empty")]
    Empty,
    /// A name that leads out of the archive.
    #[error("{what} {name:?} leads out of the archive")]
    Escape {
        /// Kind of name: member, layer, link target.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A manifest.json without images.
    #[error("manifest.json lists no image")]
    NoImage,
    /// Reading failed.
    #[error("reading {what}: {source}")]
    Io {
        /// What was read.
        what: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// Layers and DiffIDs don't pair up.
    #[error("manifest.json lists {layers} layers, the config has {diff_ids} DiffIDs")]
    LayerCount {
        /// Layers listed.
        layers: usize,
        /// DiffIDs in the config.
        diff_ids: usize,
    },
    /// A named limit.
    #[error("{what} is larger than the limit of {limit}")]
    Limit {
        /// What.
        what: String,
        /// The limit.
        limit: u64,
    },
    /// A link that can't be followed.
    #[error("link {name:?}: {reason}")]
    Link {
        /// Name of the link.
        name: String,
        /// Why.
        reason: &'static str,
    },
    /// A manifest is malformed.
    #[error("{name}: {source}")]
    Manifest {
        /// Member that holds it.
        name: String,
        /// What is wrong.
        source: ManifestError,
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
    /// A member that should be there is not.
    #[error("{what} {name:?} is not in the archive")]
    Missing {
        /// What it is.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// A member name with characters that no writer uses.
    #[error("member name {name:?} {reason}")]
    Name {
        /// The name, lossily decoded.
        name: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A tar, but not of an image.
    #[error("not an image archive: {found}")]
    NotAnImage {
        /// What it seems to be.
        found: String,
    },
    /// Not a file or directory that can be read.
    #[error("{}: {source}", path.display())]
    Open {
        /// The path.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The stream is over and something in it is needed again.
    #[error("{name:?} would have to be read twice, but the archive came as a stream")]
    Streamed {
        /// The member.
        name: String,
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
    /// The tar is malformed.
    #[error("malformed tar at byte {offset}: {problem}")]
    Tar {
        /// Offset in the (decompressed) archive.
        offset: u64,
        /// What is wrong.
        problem: String,
    },
    /// Something follows the end of the archive, and would be lost.
    #[error("there is data behind the end of the archive, nothing can be put into it")]
    TrailingData,
    /// The archive ends early.
    #[error("the archive is truncated: it ends at byte {offset}, {problem}")]
    Truncated {
        /// Where.
        offset: u64,
        /// What was expected.
        problem: &'static str,
    },
    /// An archive of docker 1.9 or older.
    #[error("the archive was written by docker 1.9 or older, whose images have no manifest")]
    TooOld,
    /// The signals about the writer contradict each other.
    #[error(
        "the archive looks written by a graph-driver engine ({graph}) and by containerd ({containerd})"
    )]
    Writer {
        /// Evidence for one.
        graph: String,
        /// Evidence for the other.
        containerd: String,
    },
}

impl ArchiveError {
    /// The class of the error.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Mismatch { .. } | Self::Size { .. } => Class::Mismatch,
            Self::Open { .. } => Class::Unavailable,
            // Decompressors complain with errors that no system call gave.
            Self::Io { source, .. } if source.raw_os_error().is_some() => Class::Io,
            _ => Class::Malformed,
        }
    }

    /// What the user can do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Ambiguous { .. } => {
                "engines would load different images from it; save it anew: docker save IMAGE -o image.tar"
            }
            Self::Writer { .. } => {
                "say which engine will push it, graph or containerd: --push-from graph"
            }
            Self::NotAnImage { .. } => {
                "docker export writes no image: docker save IMAGE -o image.tar"
            }
            Self::Truncated { .. } | Self::Empty => {
                "the tool that wrote the archive failed; save it anew: docker save IMAGE -o image.tar"
            }
            Self::Compressed => {
                "decompress it first, and compress the result again: unzstd FILE (or gunzip, unxz, bunzip2)"
            }
            Self::TooOld => {
                "in a docker between 1.10 and 28: docker load -i image.tar && docker save IMAGE -o image.tar"
            }
            Self::Streamed { .. } => {
                "name the file instead of piping it, or keep a temporary copy: --spool"
            }
            // The other limits are fixed: nothing genuine comes near them.
            Self::Compression { source, .. } if is_over_budget(source) => {
                "if the archive is genuine: --max-size BYTES, or --max-ratio RATIO"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

fn is_over_budget(error: &std::io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<OverBudget>())
}
