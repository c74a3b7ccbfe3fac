//! Cutting the token stream into blocks.

use std::ops::Range;

use super::parse::{Parsed, Slide, Token};

/// Tokens per block. A token list starts with room for as many: see [`Parsed::clear`].
pub(super) const BLOCK_TOKENS: usize = 16384;

/// A block that is complete.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Block {
    /// Its tokens, in the list that was cut.
    pub(super) tokens: Range<usize>,
    /// Positions of the input it covers.
    pub(super) range: Range<u64>,
    /// Whether Go's buffer still held all of it when the last token was emitted.
    pub(super) is_in_buffer: bool,
}

/// Keeps what does not fill a block until more tokens come.
#[derive(Debug, Default)]
pub(super) struct Cutter {
    /// Tokens of the open block, which starts at `start`.
    open: Vec<Token>,
    start: u64,
    /// Slides that have not reached a block's end, and the base before them.
    slides: Vec<Slide>,
    base: u64,
}

impl Cutter {
    /// Cuts the tokens from index `from` on, after those that are open. The open ones are copied
    /// before them, into the room that the list has there.
    pub(super) fn cut(&mut self, parsed: &mut Parsed, from: usize, is_last: bool) -> Vec<Block> {
        self.slides.append(&mut parsed.slides);
        let mut at = from - self.open.len();
        parsed.tokens[at..from].copy_from_slice(&self.open);
        let mut blocks = Vec::new();
        for tokens in parsed.tokens[at..].chunks(BLOCK_TOKENS) {
            if tokens.len() < BLOCK_TOKENS && !is_last {
                break;
            }
            let block = self.complete(tokens, at);
            at = block.tokens.end;
            blocks.push(block);
        }
        self.open.clear();
        self.open.extend_from_slice(&parsed.tokens[at..]);
        blocks
    }

    fn complete(&mut self, tokens: &[Token], at: usize) -> Block {
        let length: u64 = tokens.iter().map(|token| token.covers()).sum();
        let range = self.start..self.start + length;
        // A token is emitted by the step one after its start.
        let step = range.end - tokens.last().map_or(0, |last| last.covers()) + 1;
        let past = self.slides.partition_point(|slide| slide.position <= step);
        if let Some(slide) = self.slides.drain(..past).next_back() {
            self.base = slide.base;
        }
        self.start = range.end;
        let is_in_buffer = range.start >= self.base;
        Block { tokens: at..at + tokens.len(), range, is_in_buffer }
    }
}
