//! One thread: parse a stretch, write its blocks.

use super::bits::BitWriter;
use super::block::{self, Written};
use super::blocks::{BLOCK_TOKENS, Cutter};
use super::parse::{Input, Parsed, Parser, is_relevant_boundary};
use crate::gogzip::crc32::Crc32;

/// Input is parsed in stretches of this size.
const STRETCH: usize = 256 * 1024;
/// Bytes before the next step that a search or a stored block may still need.
const HISTORY: usize = 65536;
/// And those after it that a stretch may leave.
const AHEAD: usize = 1024;

/// The deflate stream of Go 1.8 to 1.26 on one thread.
#[derive(Debug)]
pub(super) struct Sequential {
    parser: Parser,
    /// The input from `start` on.
    input: Vec<u8>,
    start: u64,
    boundaries: Vec<u64>,
    parsed: Parsed,
    cutter: Cutter,
    crc: Crc32,
}

impl Sequential {
    pub(super) fn new() -> Self {
        Self {
            parser: Parser::new(),
            input: Vec::with_capacity(HISTORY + STRETCH + AHEAD),
            start: 0,
            boundaries: Vec::new(),
            parsed: Parsed::default(),
            cutter: Cutter::default(),
            crc: Crc32::default(),
        }
    }

    /// One Write call.
    pub(super) fn write(&mut self, mut data: &[u8], bits: &mut BitWriter) {
        self.crc.update(data);
        while !data.is_empty() {
            let room = HISTORY + STRETCH + AHEAD - self.input.len();
            let (now, later) = data.split_at(room.min(data.len()));
            self.input.extend_from_slice(now);
            data = later;
            if now.len() == room {
                self.parse(false, bits);
                self.forget();
            }
        }
        let end = self.start + self.input.len() as u64;
        if is_relevant_boundary(end) && self.boundaries.last() != Some(&end) {
            self.boundaries.push(end);
        }
    }

    /// The rest of the blocks. Gives the checksum of the input.
    pub(super) fn finish(mut self, bits: &mut BitWriter) -> Crc32 {
        self.parse(true, bits);
        self.crc
    }

    fn parse(&mut self, is_last: bool, bits: &mut BitWriter) {
        let Self { parser, input, start, boundaries, parsed, cutter, .. } = self;
        let input = Input { bytes: input, start: *start, boundaries, is_last };
        parsed.clear(STRETCH);
        parser.run(input, u64::MAX, parsed);
        for block in cutter.cut(parsed, BLOCK_TOKENS, is_last) {
            if block::encode(&block, &parsed.tokens, bits) == Written::Stored {
                bits.stored_block(input.slice(block.range));
            }
        }
    }

    /// Drops input and boundaries that cannot matter any more.
    fn forget(&mut self) {
        let position = self.parser.state().position;
        let old = ((position - self.start) as usize).saturating_sub(HISTORY);
        self.input.drain(..old);
        self.start += old as u64;
        let past = self.boundaries.partition_point(|&boundary| boundary < position);
        self.boundaries.drain(..past);
    }
}
