//! Adapters: where images are stored.
//!
//! An adapter finds documents (manifests, configs) and measures blobs. It never decides what a
//! push sends, and it trusts no name: every digest is computed over the bytes that were read.

pub mod archive;
pub mod containerd;
pub mod distribution;
#[cfg(feature = "docker")]
pub mod docker;
pub mod limits;
