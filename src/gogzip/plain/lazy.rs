//! Generation Go 1.8: every position is searched, the parse is lazy, and a block is 16384 tokens.
//!
//! Positions are absolute offsets in the input. `base` is the position of the first byte of Go's
//! 64 KiB buffer: nothing before it can be reached, and it advances ("slides") at moments that
//! depend on the sizes of the Write calls.

use super::bits::Bits;
use super::block::{Codes, DynamicHeader, FixedCodes, Histogram, Token};

/// Farthest match, and the distance by which the buffer slides.
const WINDOW: u64 = 32768;
/// Go's buffer.
const BUFFER: u64 = 2 * WINDOW;
/// Bytes that must lie ahead of a step while more input may come.
const LOOKAHEAD: u64 = 258 + 4;
/// The buffer slides when the next step is this far behind its start.
const SLIDE_AT: u64 = BUFFER - LOOKAHEAD;
const MIN_MATCH: u64 = 4;
const MAX_MATCH: u64 = 258;
/// Candidates a search looks at.
const MAX_VISITED: u32 = 128;
/// A search stops at a match of this length.
const NICE: u64 = 128;
/// While a match of this length is pending there is no search.
const LAZY: u64 = 16;
/// Farthest match of four bytes.
const MAX_SHORT_DISTANCE: u64 = 4096;
const BLOCK_TOKENS: usize = 16384;
/// Length that stands for "no match".
const NO_MATCH: u64 = MIN_MATCH - 1;

/// The deflate stream of Go 1.8 to 1.26, one Write call at a time.
#[derive(Debug)]
pub(super) struct Lazy {
    chains: Chains,
    /// The bytes from `base` up to `fed`.
    buffer: Vec<u8>,
    base: u64,
    /// Next position of the parse.
    position: u64,
    /// Whether the byte before `position` has been looked at but not emitted.
    pending: bool,
    /// The match found there.
    pending_match: Match,
    tokens: Vec<Token>,
    /// Input offset of the open block, and the end of what its tokens cover.
    block_start: u64,
    block_end: u64,
    bits: Bits,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Match {
    length: u64,
    distance: u64,
}

impl Match {
    const NONE: Self = Self { length: NO_MATCH, distance: 0 };
}

impl Lazy {
    pub(super) fn new() -> Self {
        Self {
            chains: Chains::new(),
            buffer: Vec::with_capacity(BUFFER as usize),
            base: 0,
            position: 0,
            pending: false,
            pending_match: Match::NONE,
            tokens: Vec::with_capacity(BLOCK_TOKENS),
            block_start: 0,
            block_end: 0,
            bits: Bits::default(),
        }
    }

    /// One Write call. Where it ends can matter: it decides when the buffer slides.
    pub(super) fn write(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            if self.position - self.base >= SLIDE_AT {
                self.buffer.drain(..WINDOW as usize);
                self.base += WINDOW;
            }
            let room = BUFFER as usize - self.buffer.len();
            let (now, later) = data.split_at(room.min(data.len()));
            self.buffer.extend_from_slice(now);
            data = later;
            while self.fed() - self.position >= LOOKAHEAD {
                self.step();
            }
        }
    }

    /// The rest of the tokens, and the closing block.
    pub(super) fn close(&mut self) {
        while self.position < self.fed() {
            self.step();
        }
        if self.pending {
            let last = self.byte(self.position - 1);
            self.emit_literal(last);
        }
        if !self.tokens.is_empty() {
            self.write_block();
        }
        self.bits.field(1, 3);
        self.bits.pad();
        self.bits.raw(&[0, 0, 0xff, 0xff]);
    }

    pub(super) fn bits(&mut self) -> &mut Bits {
        &mut self.bits
    }

    /// End of the bytes that have been copied into the buffer.
    fn fed(&self) -> u64 {
        self.base + self.buffer.len() as u64
    }

    fn byte(&self, position: u64) -> u8 {
        self.buffer[(position - self.base) as usize]
    }

    fn bytes(&self, from: u64, to: u64) -> &[u8] {
        &self.buffer[(from - self.base) as usize..(to - self.base) as usize]
    }

    /// One step of the lazy parse.
    fn step(&mut self) {
        let pending = self.pending_match;
        let look = self.fed() - self.position;
        let found = if look >= MIN_MATCH && look > pending.length && pending.length < LAZY {
            self.search()
        } else {
            Match::NONE
        };
        if pending.length >= MIN_MATCH && found.length <= pending.length {
            self.position += pending.length - 1;
            self.pending = false;
            self.pending_match = Match::NONE;
            self.emit_match(pending);
        } else {
            let literal = self.pending.then(|| self.byte(self.position - 1));
            self.position += 1;
            self.pending = true;
            self.pending_match = found;
            if let Some(byte) = literal {
                self.emit_literal(byte);
            }
        }
    }

    /// The best match at `position`: a pure function of the data, the base and the bytes ahead.
    fn search(&mut self) -> Match {
        let position = self.position;
        self.chains.insert_up_to(position, self.base, &self.buffer);
        let max_length = MAX_MATCH.min(self.fed() - position);
        let nice = NICE.min(max_length);
        let max_distance = WINDOW.min(position - self.base);
        let here = self.bytes(position, position + max_length);

        let mut best = Match::NONE;
        let mut candidate = self.chains.first(here);
        for _ in 0..MAX_VISITED {
            let Some(start) = candidate.filter(|start| position - start <= max_distance) else {
                break;
            };
            let distance = position - start;
            // The ranges may overlap: the match may copy what it has just produced.
            let there = self.bytes(start, start + max_length);
            let length = common_prefix(here, there);
            if length > best.length && (length > MIN_MATCH || distance <= MAX_SHORT_DISTANCE) {
                best = Match { length, distance };
                if length >= nice {
                    break;
                }
            }
            candidate = self.chains.before(start);
        }
        best
    }

    fn emit_literal(&mut self, byte: u8) {
        self.tokens.push(Token::Literal(byte));
        self.block_end += 1;
        self.end_full_block();
    }

    fn emit_match(&mut self, found: Match) {
        self.tokens
            .push(Token::Match { length: found.length as u16, distance: found.distance as u16 });
        self.block_end += found.length;
        self.end_full_block();
    }

    fn end_full_block(&mut self) {
        if self.tokens.len() == BLOCK_TOKENS {
            self.write_block();
        }
    }

    /// Writes the open block in the form Go chooses.
    fn write_block(&mut self) {
        let tokens = std::mem::take(&mut self.tokens);
        // Only what is still in the buffer can be stored.
        let raw_length = self.block_end - self.block_start;
        let storable = self.block_start >= self.base && raw_length <= 65535;

        let mut histogram = Histogram::of(&tokens);
        histogram.add_unused_distance();
        let extra_bits = if storable { histogram.extra_bits } else { 0 };
        let codes = Codes::build(&histogram);
        let header = DynamicHeader::new(&histogram, &codes);
        let fixed_size = histogram.fixed_size(extra_bits);
        let dynamic_size = header.size() + codes.cost(&histogram) + extra_bits;
        let size = fixed_size.min(dynamic_size);

        if storable && (raw_length + 5) * 8 < size {
            let from = (self.block_start - self.base) as usize;
            let to = (self.block_end - self.base) as usize;
            self.bits.stored_block(&self.buffer[from..to]);
        } else if dynamic_size < fixed_size {
            header.write(&mut self.bits);
            codes.write_tokens(&mut self.bits, &tokens);
            codes.write_end_of_block(&mut self.bits);
        } else {
            FixedCodes::new().write_block(&mut self.bits, &tokens);
        }
        self.block_start = self.block_end;
        self.tokens = tokens;
        self.tokens.clear();
    }
}

fn common_prefix(a: &[u8], b: &[u8]) -> u64 {
    a.iter().zip(b).take_while(|(a, b)| a == b).count() as u64
}

/// "All earlier positions with the same key, newest first", for positions within the window.
#[derive(Debug)]
struct Chains {
    /// Newest position of each key.
    heads: Vec<u64>,
    /// The position with the same key before a position, for the last `WINDOW` positions.
    before: Vec<u64>,
    /// Every position before this one is in its chain.
    next: u64,
}

/// Marks the end of a chain.
const NOWHERE: u64 = u64::MAX;
const KEY_BITS: u32 = 17;

impl Chains {
    fn new() -> Self {
        Self {
            heads: vec![NOWHERE; 1 << KEY_BITS],
            before: vec![NOWHERE; WINDOW as usize],
            next: 0,
        }
    }

    /// Positions inside matches, and those that were not searched, are in the chains too.
    fn insert_up_to(&mut self, end: u64, base: u64, buffer: &[u8]) {
        for position in self.next..end {
            let head = &mut self.heads[key(&buffer[(position - base) as usize..])];
            self.before[(position % WINDOW) as usize] = *head;
            *head = position;
        }
        self.next = self.next.max(end);
    }

    fn first(&self, bytes: &[u8]) -> Option<u64> {
        Some(self.heads[key(bytes)]).filter(|&position| position != NOWHERE)
    }

    fn before(&self, position: u64) -> Option<u64> {
        Some(self.before[(position % WINDOW) as usize]).filter(|&before| before != NOWHERE)
    }
}

/// The chain of a position: a hash of the four bytes there.
fn key(bytes: &[u8]) -> usize {
    let value = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    (value.wrapping_mul(0x1e35_a7bd) >> (32 - KEY_BITS)) as usize
}
