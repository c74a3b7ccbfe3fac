//! Blocks of generation Go 1.27: a block may go on with the codes of the block before it, so the
//! end-of-block of a dynamic block is owed until the next one decides.

use super::bits::BitWriter;
use super::block::{Codes, Header, Histogram, SYMBOLS, cost};
use super::code;
use super::greedy;
use super::parse::Token;
use crate::gogzip::plain::reuse::{estimate, is_even};
use crate::gogzip::rfc1951::{END_OF_BLOCK, MAX_CODE_LENGTH};

/// A block with fewer tokens may use the fixed codes.
const FIXED_BELOW: usize = 250;
/// Guessed size of the header of a literals-only block, in bits.
const GUESSED_HEADER: u64 = 70 * 8;
/// A literals-only block of at most this many bytes is not tested for evenness.
const EVENNESS_ABOVE: usize = 1024;

/// Whether a block is the last one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Place {
    Inner,
    Last,
}

/// Knows the codes that are open.
#[derive(Debug)]
pub(super) struct Blocks {
    /// Size in bits of the header of the open block; 0 if none is open. While it is not 0 the
    /// end-of-block code is owed.
    open_header: u64,
    /// The current literal/length code comes from a literals-only block.
    from_literals_only: bool,
    codes: Box<Codes>,
}

impl Blocks {
    pub(super) fn new() -> Self {
        let codes = Box::new(Codes::unused());
        Self { open_header: 0, from_literals_only: false, codes }
    }

    /// A block of input in the form Go chooses, with the tokens the search found in it.
    pub(super) fn write(
        &mut self,
        tokens: &[Token],
        raw: &[u8],
        place: Place,
        bits: &mut BitWriter,
    ) {
        if !is_searched(raw, place) {
            if raw.len() <= 32 {
                self.stored(raw, bits);
            } else {
                self.literals_only(raw, place, bits);
            }
        } else if tokens.is_empty() {
            self.stored(raw, bits);
        } else if tokens.len() > raw.len() - raw.len() / 16 {
            self.literals_only(raw, place, bits);
        } else {
            self.dynamic(tokens, raw, place, bits);
        }
    }

    /// The end-of-block that may be owed at the end of the stream.
    pub(super) fn pay_end_of_block(&mut self, bits: &mut BitWriter) {
        if self.open_header > 0 {
            self.codes.write_end_of_block(bits);
            self.open_header = 0;
        }
    }

    fn stored(&mut self, raw: &[u8], bits: &mut BitWriter) {
        self.pay_end_of_block(bits);
        bits.stored_block(raw);
    }

    fn fixed(&mut self, tokens: &[Token], bits: &mut BitWriter) {
        self.pay_end_of_block(bits);
        let codes = Codes::fixed();
        bits.field(2, 3);
        codes.write_tokens(bits, tokens, &SYMBOLS);
        codes.write_end_of_block(bits);
    }

    /// A block with matches: new codes, the open ones, the fixed ones, or stored.
    fn dynamic(&mut self, tokens: &[Token], raw: &[u8], place: Place, bits: &mut BitWriter) {
        let count = tokens.len() + usize::from(place == Place::Last);
        let stored_size = stored_size(raw);
        let mut histogram = Histogram::of(tokens, &SYMBOLS);

        // The codes of a literals-only block are not for blocks with matches.
        if self.from_literals_only && self.open_header > 0 {
            self.pay_end_of_block(bits);
            self.from_literals_only = false;
        }
        if self.open_header > 0 && !self.codes.cover(&histogram) {
            self.pay_end_of_block(bits);
        }
        let estimate = estimate(&histogram.literals, &histogram.distances, count);
        histogram.add_unused_distance();
        let extra_bits = histogram.extra_bits;
        let fixed_size = histogram.fixed_size() + extra_bits;

        if self.open_header > 0 {
            let header = self.open_header + estimate + extra_bits;
            let end_of_block = u64::from(self.codes.literal_lengths[END_OF_BLOCK]);
            let new_size = header + end_of_block + header / 128;
            let reuse_size = self.codes.cost(&histogram) + extra_bits;
            if new_size < reuse_size {
                self.pay_end_of_block(bits);
            }
            let size = new_size.min(reuse_size);
            if count < FIXED_BELOW && fixed_size + 7 < size {
                return if stored_size <= size {
                    self.stored(raw, bits);
                } else {
                    self.fixed(tokens, bits);
                };
            }
            if stored_size <= size {
                return self.stored(raw, bits);
            }
        }
        if self.open_header == 0 {
            *self.codes = Codes::build(&histogram);
            let header = Header::new(&self.codes);
            let size = header.size + self.codes.cost(&histogram) + extra_bits;
            if count < FIXED_BELOW && fixed_size <= size {
                return if stored_size <= fixed_size {
                    self.stored(raw, bits);
                } else {
                    self.fixed(tokens, bits);
                };
            }
            if stored_size <= size {
                return self.stored(raw, bits);
            }
            header.write(bits);
            self.open_header = header.size;
            self.from_literals_only = false;
        }
        self.codes.write_tokens(bits, tokens, &SYMBOLS);
        if place == Place::Last {
            self.pay_end_of_block(bits);
        }
    }

    /// A block that is written without matches.
    fn literals_only(&mut self, raw: &[u8], place: Place, bits: &mut BitWriter) {
        let mut frequencies = [0u32; 257];
        raw.iter().for_each(|&byte| frequencies[usize::from(byte)] += 1);
        if raw.len() > EVENNESS_ABOVE && is_even(&frequencies[..256], raw.len()) {
            return self.stored(raw, bits);
        }
        frequencies[END_OF_BLOCK] = 1;
        let mut codes = Codes::unused();
        code::lengths(&frequencies, MAX_CODE_LENGTH, &mut codes.literal_lengths[..257]);
        let header = if self.open_header > 0 { self.open_header } else { GUESSED_HEADER };
        let size = cost(&frequencies, &codes.literal_lengths) + header;
        let size = size + size / 128;
        if stored_size(raw) <= size {
            return self.stored(raw, bits);
        }
        if self.open_header > 0 {
            let bytes = &frequencies[..256];
            let lengths = &self.codes.literal_lengths;
            let goes_on = cover(bytes, lengths) && cost(bytes, lengths) <= size;
            if !goes_on {
                self.pay_end_of_block(bits);
            }
        }
        if self.open_header == 0 {
            code::codes(&codes.literal_lengths, &mut codes.literal_codes);
            codes.distance_lengths[0] = 1;
            let header = Header::new(&codes);
            header.write(bits);
            self.open_header = header.size;
            // The current distance code stays, for what that is worth.
            self.codes.literal_lengths = codes.literal_lengths;
            self.codes.literal_codes = codes.literal_codes;
            self.from_literals_only = true;
        }
        self.codes.write_literals(bits, raw);
        if place == Place::Last {
            self.pay_end_of_block(bits);
            self.from_literals_only = false;
        }
    }
}

/// The shortest last blocks are not searched at all.
pub(super) fn is_searched(raw: &[u8], place: Place) -> bool {
    debug_assert!(raw.len() <= greedy::BLOCK);
    place == Place::Inner || raw.len() >= 128
}

impl Codes {
    /// Whether every symbol that occurs has a code.
    fn cover(&self, histogram: &Histogram) -> bool {
        cover(&histogram.literals, &self.literal_lengths)
            && cover(&histogram.distances, &self.distance_lengths)
    }
}

fn cover(frequencies: &[u32], lengths: &[u8]) -> bool {
    frequencies.iter().zip(lengths).all(|(&frequency, &length)| frequency == 0 || length > 0)
}

fn stored_size(raw: &[u8]) -> u64 {
    (raw.len() as u64 + 5) * 8
}
