//! Blocks of generation Go 1.27: a block may go on with the codes of the block before it, so the
//! end-of-block of a dynamic block is owed until the next one decides.

use super::bits::Bits;
use super::block::{Codes, DynamicHeader, FixedCodes, Histogram, Token};
use super::huffman::Code;
use crate::gogzip::rfc1951::{DISTANCE_SYMBOLS, END_OF_BLOCK, MAX_CODE_LENGTH};

/// A block with fewer tokens may use the fixed codes.
const FIXED_BELOW: usize = 250;
/// Guessed size of the header of a literals-only block, in bits.
const GUESSED_HEADER: u64 = 70 * 8;
/// A literals-only block of at most this many bytes is not tested for evenness.
const EVENNESS_ABOVE: usize = 1024;

/// Writes blocks; knows the codes that are open.
#[derive(Debug, Default)]
pub(super) struct BlockWriter {
    bits: Bits,
    /// Size in bits of the header of the open block; 0 if none is open. While it is not 0 the
    /// end-of-block code is owed.
    open_header: u64,
    /// The current literal/length code comes from a literals-only block.
    from_literals_only: bool,
    codes: Codes,
}

impl BlockWriter {
    pub(super) fn bits(&mut self) -> &mut Bits {
        &mut self.bits
    }

    /// The end of the stream: a fixed, empty, final block.
    pub(super) fn close(&mut self) {
        self.pay_end_of_block();
        self.bits.field(3, 3);
        self.bits.field(0, 7);
        self.bits.pad();
    }

    pub(super) fn stored(&mut self, raw: &[u8]) {
        self.pay_end_of_block();
        self.bits.stored_block(raw);
    }

    fn fixed(&mut self, tokens: &[Token]) {
        self.pay_end_of_block();
        FixedCodes::new().write_block(&mut self.bits, tokens);
    }

    fn pay_end_of_block(&mut self) {
        if self.open_header > 0 {
            self.codes.write_end_of_block(&mut self.bits);
            self.open_header = 0;
        }
    }

    /// A block with matches: new codes, the open ones, the fixed ones, or stored.
    pub(super) fn dynamic(&mut self, tokens: &[Token], raw: &[u8], sync: bool) {
        let count = tokens.len() + usize::from(sync);
        let stored_size = stored_size(raw);
        let mut histogram = Histogram::of(tokens);

        // The codes of a literals-only block are not for blocks with matches.
        if self.from_literals_only && self.open_header > 0 {
            self.pay_end_of_block();
            self.from_literals_only = false;
        }
        if self.open_header > 0
            && !(self.codes.literals.covers(&histogram.literals)
                && self.codes.distances.covers(&histogram.distances))
        {
            self.pay_end_of_block();
        }
        let estimate =
            estimate(&histogram.literals, &histogram.distances, count) + histogram.extra_bits;
        histogram.add_unused_distance();
        let fixed_size = histogram.fixed_size(histogram.extra_bits);

        if self.open_header > 0 {
            let header = self.open_header + estimate;
            let end_of_block = u64::from(self.codes.literals.lengths[END_OF_BLOCK]);
            let new_size = header + end_of_block + header / 128;
            let reuse_size = self.codes.cost(&histogram) + histogram.extra_bits;
            if new_size < reuse_size {
                self.pay_end_of_block();
            }
            let size = new_size.min(reuse_size);
            if count < FIXED_BELOW && fixed_size + 7 < size {
                return if stored_size <= size { self.stored(raw) } else { self.fixed(tokens) };
            }
            if stored_size <= size {
                return self.stored(raw);
            }
        }
        if self.open_header == 0 {
            let codes = Codes::build(&histogram);
            let header = DynamicHeader::new(&histogram, &codes);
            let size = header.size() + codes.cost(&histogram) + histogram.extra_bits;
            self.codes = codes;
            if count < FIXED_BELOW && fixed_size <= size {
                return if stored_size <= fixed_size {
                    self.stored(raw);
                } else {
                    self.fixed(tokens);
                };
            }
            if stored_size <= size {
                return self.stored(raw);
            }
            header.write(&mut self.bits);
            self.open_header = if sync { 0 } else { header.size() };
            self.from_literals_only = false;
        }
        self.codes.write_tokens(&mut self.bits, tokens);
        if sync {
            self.open_header = 0;
            self.codes.write_end_of_block(&mut self.bits);
        }
    }

    /// A block that is written without matches.
    pub(super) fn literals_only(&mut self, raw: &[u8], sync: bool) {
        let mut frequencies = vec![0u32; 257];
        raw.iter().for_each(|&byte| frequencies[usize::from(byte)] += 1);
        if raw.len() > EVENNESS_ABOVE && is_even(&frequencies[..256], raw.len()) {
            return self.stored(raw);
        }
        let byte_frequencies = frequencies.clone();
        frequencies[END_OF_BLOCK] = 1;

        let code = Code::build(&frequencies, MAX_CODE_LENGTH);
        let header = if self.open_header > 0 { self.open_header } else { GUESSED_HEADER };
        let size = code.cost(&frequencies) + header;
        let size = size + size / 128;
        if stored_size(raw) <= size {
            return self.stored(raw);
        }
        if self.open_header > 0 {
            let literals = &self.codes.literals;
            let goes_on =
                literals.covers(&byte_frequencies) && literals.cost(&byte_frequencies) <= size;
            if !goes_on {
                self.pay_end_of_block();
            }
        }
        if self.open_header == 0 {
            let mut distances = vec![0; DISTANCE_SYMBOLS];
            distances[0] = 1;
            let codes = Codes {
                literals: code.clone(),
                distances: Code::build(&distances, MAX_CODE_LENGTH),
            };
            let histogram =
                Histogram { literals: frequencies, distances, extra_bits: 0, matches: 0 };
            let header = DynamicHeader::new(&histogram, &codes);
            header.write(&mut self.bits);
            self.open_header = header.size();
            self.codes.literals = code;
            self.from_literals_only = true;
        }
        self.codes.write_literals(&mut self.bits, raw);
        if sync {
            self.codes.write_end_of_block(&mut self.bits);
            self.open_header = 0;
            self.from_literals_only = false;
        }
    }
}

fn stored_size(raw: &[u8]) -> u64 {
    (raw.len() as u64 + 5) * 8
}

/// Whether all byte values are about equally frequent, so that no code can gain anything.
pub(in crate::gogzip) fn is_even(frequencies: &[u32], length: usize) -> bool {
    let length = length as i64;
    let deviation: i64 =
        frequencies.iter().map(|&frequency| (256 * i64::from(frequency) - length).pow(2)).sum();
    deviation < 131_072 * length
}

/// Estimated size in bits of the symbols of a block with codes made for it, extra bits aside.
/// `count` is the number of tokens, plus one in the last block. Every operation rounds to single
/// precision.
pub(in crate::gogzip) fn estimate(literals: &[u32], distances: &[u32], count: usize) -> u64 {
    fn add(sum: f32, frequencies: &[u32], total: f32) -> f32 {
        let inverse = 1.0 / total;
        frequencies.iter().filter(|&&frequency| frequency > 0).fold(sum, |sum, &frequency| {
            let frequency = frequency as f32;
            let bits = (-fast_log2(frequency * inverse)).clamp(1.0, 15.0);
            sum + bits * frequency
        })
    }

    let mut sum = add(0.0, &literals[..END_OF_BLOCK], count as f32);
    sum += 15.0;
    sum = add(sum, &literals[END_OF_BLOCK + 1..], count as f32);
    let matches: u32 = distances.iter().sum();
    if matches > 0 {
        sum = add(sum, distances, matches as f32);
    }
    sum as u64
}

/// A rough logarithm. Exactly these operations, in this order: a fused one gives other blocks.
fn fast_log2(x: f32) -> f32 {
    let bits = x.to_bits();
    let exponent = ((bits >> 23) & 255) as i32 - 128;
    let mantissa = f32::from_bits((bits & 0x007f_ffff) | (127 << 23));
    let mut q = -0.344_848_43_f32 * mantissa;
    q += 2.024_665_8;
    q *= mantissa;
    q -= 0.674_877_6;
    exponent as f32 + q
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithm_is_bit_exact() {
        for (x, bits) in [
            (0.5, 0xbf7e_bc44),
            (0.25, 0xbfff_5e22),
            (0.1, 0xc054_5dca),
            (1.0 / 3.0, 0xbfcb_5044),
            (0.75, 0xbed3_dc00),
            (1.0, 0x3ba1_de00),
            (1.0 / 65535.0, 0xc17f_ebaf_u32),
        ] {
            assert_eq!(fast_log2(x).to_bits(), bits, "{x}");
        }
    }

    #[test]
    fn estimate_of_literals_and_of_matches() {
        let mut histogram = Histogram::of(&[]);
        for (byte, frequency) in [(b'a', 700), (b'b', 300), (b'c', 7)] {
            histogram.literals[usize::from(byte)] = frequency;
        }
        assert_eq!(estimate(&histogram.literals, &histogram.distances, 1007), 1290);

        for (symbol, frequency) in [(257, 120), (265, 33), (285, 2)] {
            histogram.literals[symbol] = frequency;
        }
        for (symbol, frequency) in [(0, 50), (12, 100), (29, 5)] {
            histogram.distances[symbol] = frequency;
        }
        let extra_bits = 33 + 5 * 100 + 13 * 5;
        let symbols = estimate(&histogram.literals, &histogram.distances, 1162);
        assert_eq!(symbols + extra_bits, 2737);
    }
}
