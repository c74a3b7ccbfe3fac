//! The fast encoder: the same bytes as [`plain`](super::plain), sooner.
//!
//! Generation Go 1.8: `window` holds the input's last 64 KiB and the chains through them, `search`
//! finds the best match at a position, `parse` turns a stretch of input into tokens, from any
//! state. `blocks` cuts tokens into blocks, `block` and `code` encode them into `bits`.
//! `sequential` and `parallel` feed them.
//!
//! Generation Go 1.27: `greedy` is the search, `reuse` writes the blocks, `inorder` feeds both.

mod bits;
mod block;
mod blocks;
mod code;
mod greedy;
mod inorder;
mod parallel;
mod parse;
mod pool;
mod reuse;
mod search;
mod sequential;
mod window;

#[cfg(test)]
mod tests;

use std::io;
use std::num::NonZero;

use self::bits::BitWriter;
use self::inorder::Greedy;
use self::parallel::{Parallel, Tuning};
use self::sequential::Sequential;
use super::Generation;
use super::rfc1951::{GZIP_HEADER, gzip_trailer};

/// Turns Write calls into the bytes of a gzip file.
#[derive(Debug)]
pub(super) struct Encoder {
    deflate: Deflate,
    bits: BitWriter,
    length: u64,
}

#[derive(Debug)]
enum Deflate {
    Greedy(Box<Greedy>),
    Sequential(Box<Sequential>),
    Parallel(Box<Parallel>),
}

impl Encoder {
    pub(super) fn new(generation: Generation, threads: NonZero<usize>) -> Self {
        Self::with(match (generation, threads.get()) {
            (Generation::Go1_27, _) => Deflate::Greedy(Box::new(Greedy::new())),
            (Generation::Go1_8, 1) => Deflate::Sequential(Box::new(Sequential::new())),
            (Generation::Go1_8, _) => {
                Deflate::Parallel(Box::new(Parallel::new(threads, Tuning::default())))
            }
        })
    }

    fn with(deflate: Deflate) -> Self {
        let mut bits = BitWriter::default();
        bits.raw(&GZIP_HEADER);
        Self { deflate, bits, length: 0 }
    }

    /// One Write call; finished bytes are appended to `out`.
    pub(super) fn write(&mut self, data: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        self.length += data.len() as u64;
        match &mut self.deflate {
            Deflate::Greedy(deflate) => deflate.write(data, &mut self.bits),
            Deflate::Sequential(deflate) => deflate.write(data, &mut self.bits),
            Deflate::Parallel(deflate) => deflate.write(data, &mut self.bits)?,
        }
        out.extend_from_slice(self.bits.finished());
        self.bits.clear_finished();
        Ok(())
    }

    /// The rest of the file.
    pub(super) fn finish(self, out: &mut Vec<u8>) -> io::Result<()> {
        let Self { deflate, mut bits, length } = self;
        let is_greedy = matches!(deflate, Deflate::Greedy(_));
        let crc = match deflate {
            Deflate::Greedy(deflate) => deflate.finish(&mut bits),
            Deflate::Sequential(deflate) => deflate.finish(&mut bits),
            Deflate::Parallel(deflate) => deflate.finish(&mut bits)?,
        };
        // The closing block is empty and final: a fixed one since Go 1.27, a stored one before.
        if is_greedy {
            bits.field(3, 3);
            bits.field(0, 7);
        } else {
            bits.field(1, 3);
            bits.raw(&[0, 0, 0xff, 0xff]);
        }
        bits.raw(&gzip_trailer(crc.value(), length));
        out.extend_from_slice(bits.finished());
        Ok(())
    }
}
