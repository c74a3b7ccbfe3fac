//! The plain encoder: the rules as they are worded, one after the other.
//!
//! It is the reference that the fast encoder is tested against, and it is meant to be read.
//! `lazy` and `greedy` search for matches in generation Go 1.8 and Go 1.27; `block` and `reuse`
//! write the blocks; `huffman` builds the codes. Memory is bounded: at most 64 KiB of history,
//! 64 KiB of lookahead and one block of tokens.

mod bits;
mod block;
mod greedy;
pub(super) mod huffman;
mod lazy;
pub(super) mod reuse;

use self::bits::Bits;
use self::greedy::Greedy;
use self::lazy::Lazy;
use super::Generation;
use super::crc32::Crc32;
use super::rfc1951::{GZIP_HEADER, gzip_trailer};

/// Turns Write calls into the bytes of a gzip file.
///
/// ```
/// use dockseal::gogzip::{Generation, plain};
///
/// let mut gzip = Vec::new();
/// let mut encoder = plain::Encoder::new(Generation::Go1_27);
/// encoder.write(b"a", &mut gzip);
/// encoder.finish(&mut gzip);
/// assert_eq!(gzip.len(), 26);
/// ```
#[derive(Debug)]
pub struct Encoder {
    deflate: Deflate,
    crc: Crc32,
    length: u64,
}

#[derive(Debug)]
enum Deflate {
    Lazy(Lazy),
    Greedy(Greedy),
}

impl Encoder {
    /// An encoder for one gzip file.
    #[must_use]
    pub fn new(generation: Generation) -> Self {
        let mut deflate = match generation {
            Generation::Go1_8 => Deflate::Lazy(Lazy::new()),
            Generation::Go1_27 => Deflate::Greedy(Greedy::new()),
        };
        deflate.bits().raw(&GZIP_HEADER);
        Self { deflate, crc: Crc32::default(), length: 0 }
    }

    /// One Write call; finished bytes are appended to `out`.
    pub fn write(&mut self, data: &[u8], out: &mut Vec<u8>) {
        self.crc.update(data);
        self.length += data.len() as u64;
        match &mut self.deflate {
            Deflate::Lazy(lazy) => lazy.write(data),
            Deflate::Greedy(greedy) => greedy.write(data),
        }
        self.deflate.bits().drain_into(out);
    }

    /// The rest of the file.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        match &mut self.deflate {
            Deflate::Lazy(lazy) => lazy.close(),
            Deflate::Greedy(greedy) => greedy.close(),
        }
        let bits = self.deflate.bits();
        bits.raw(&gzip_trailer(self.crc.value(), self.length));
        bits.drain_into(out);
    }
}

impl Deflate {
    fn bits(&mut self) -> &mut Bits {
        match self {
            Self::Lazy(lazy) => lazy.bits(),
            Self::Greedy(greedy) => greedy.bits(),
        }
    }
}
