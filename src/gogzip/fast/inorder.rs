//! Generation Go 1.27 on one thread.

use super::bits::BitWriter;
use super::greedy::{BLOCK, Search};
use super::parse::Token;
use super::reuse::{Blocks, Place, is_searched};
use crate::gogzip::crc32::Crc32;

/// The deflate stream of Go 1.27. Write calls leave no trace in it.
#[derive(Debug)]
pub(super) struct Greedy {
    search: Search,
    /// The block that is being filled.
    open: Vec<u8>,
    tokens: Vec<Token>,
    blocks: Blocks,
    crc: Crc32,
}

impl Greedy {
    pub(super) fn new() -> Self {
        Self {
            search: Search::new(),
            open: Vec::with_capacity(BLOCK),
            tokens: Vec::with_capacity(BLOCK),
            blocks: Blocks::new(),
            crc: Crc32::default(),
        }
    }

    pub(super) fn write(&mut self, mut data: &[u8], bits: &mut BitWriter) {
        self.crc.update(data);
        while !data.is_empty() {
            // A full block is only encoded when more follows: the last block is special.
            if self.open.len() == BLOCK {
                self.encode(Place::Inner, bits);
            }
            let (now, later) = data.split_at(data.len().min(BLOCK - self.open.len()));
            self.open.extend_from_slice(now);
            data = later;
        }
    }

    /// The rest of the blocks. Gives the checksum of the input.
    pub(super) fn finish(mut self, bits: &mut BitWriter) -> Crc32 {
        if !self.open.is_empty() {
            self.encode(Place::Last, bits);
        }
        self.blocks.pay_end_of_block(bits);
        self.crc
    }

    fn encode(&mut self, place: Place, bits: &mut BitWriter) {
        self.tokens.clear();
        if is_searched(&self.open, place) {
            self.search.block(&self.open, &mut self.tokens);
        }
        self.blocks.write(&self.tokens, &self.open, place, bits);
        self.open.clear();
    }
}
