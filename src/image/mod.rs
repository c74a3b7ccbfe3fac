//! Container image vocabulary: digests, descriptors, media types, references, platforms, the
//! strict JSON gate, and the documents of an image.
//!
//! Nothing here does I/O. Documents keep their received bytes: digests are always computed over
//! those, never over something that was parsed and written again.

pub mod config;
pub mod descriptor;
pub mod digest;
pub mod hint;
pub mod json;
pub mod local;
pub mod manifest;
pub mod media_type;
pub mod one_line;
pub mod platform;
pub mod reference;
pub mod schema2;
