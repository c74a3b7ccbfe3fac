//! Image archives: `docker save` tarballs of any age, OCI archives, and directories of both.
//!
//! ```text
//! file, directory or stream
//!    └─ compression   outer gzip, zstd, xz, bzip2 under a budget
//!        └─ gate      strict tar blocks under the tar crate
//!            └─ scan  members by clean name; documents kept, blobs measured (jobs)
//!                ├─ docker_view   manifest.json: images, configs, layers
//!                ├─ oci_view      index.json, oci-layout: descriptors and names
//!                ├─ walk          what following all that may cost
//!                └─ writer        who wrote it: a graph driver or containerd
//! ```
//!
//! `amend` puts members into a plain tar.
//!
//! Nothing is ever extracted by name (CVE-2014-9356 and its kin): blobs stream through hashes, and
//! names serve only to look members up.

mod amend;
mod compression;
mod directory;
mod docker_view;
mod error;
mod gate;
mod jobs;
mod measure;
mod memo;
mod name;
mod oci_view;
mod plain;
mod scan;
mod walk;
mod writer;

pub use amend::{Amended, amend};
pub use compression::is_archive;
pub use docker_view::{DockerImage, DockerView};
pub use error::{ArchiveError, Class};
pub use jobs::{Jobs, Work};
pub use measure::{Encoder, Encoders, Measured, NoEncoders, measure};
pub use memo::{Key, Memo, Place};
pub use oci_view::{OciEntry, OciView, blob_name};
pub use plain::read_plain;
pub use scan::{Archive, Kind, Member, Source, hold};
pub use walk::Walk;
pub use writer::{Evidence, Writer};
