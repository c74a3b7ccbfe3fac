//! Go's `compress/gzip` writer at the default level, byte for byte.

pub mod boundaries;
mod crc32;
mod fast;
mod generation;
pub mod plain;
mod rfc1951;
mod writer;

pub use self::generation::{
    Generation, UnknownGeneration, UnknownGoVersion, UnknownGoVersionReason,
};
pub use self::writer::{Options, Writer};
