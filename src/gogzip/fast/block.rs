//! Histograms, codes and headers; and which form a block of generation Go 1.8 takes.

use super::bits::BitWriter;
use super::blocks::Block;
use super::code;
use super::parse::Token;
use crate::gogzip::rfc1951::{
    CODE_LENGTH_ORDER, DISTANCE_SYMBOLS, DISTANCES, END_OF_BLOCK, FIXED_DISTANCE_LENGTH, LENGTHS,
    LITERAL_SYMBOLS, MAX_CODE_LENGTH, MAX_CODE_LENGTH_CODE, distance_index, fixed_literal_length,
    length_index,
};

/// Most bits a token can take: two codes and the extra bits of both.
const MAX_TOKEN_BITS: usize = 15 + 5 + 15 + 13;

/// Symbols of all lengths and distances.
#[derive(Debug)]
pub(super) struct Symbols {
    /// By length less 3: symbol less 257.
    lengths: [u8; 256],
    /// By distance less 1 up to 256; above that by its upper bits.
    distances: [u8; 512],
}

pub(super) static SYMBOLS: std::sync::LazyLock<Symbols> = std::sync::LazyLock::new(|| Symbols {
    lengths: std::array::from_fn(|index| length_index(index as u16 + 3) as u8),
    distances: std::array::from_fn(|index| {
        let distance = if index < 256 { index } else { (index - 256) << 7 };
        distance_index(distance as u16 + 1) as u8
    }),
});

impl Symbols {
    #[inline(always)]
    fn distance(&self, token: Token) -> usize {
        let distance = usize::from(token.distance_index());
        let slot = if distance < 256 { distance } else { 256 + (distance >> 7) };
        usize::from(self.distances[slot & 511])
    }
}

/// How often each symbol occurs in a block.
#[derive(Debug)]
pub(super) struct Histogram {
    pub(super) literals: [u32; LITERAL_SYMBOLS],
    pub(super) distances: [u32; DISTANCE_SYMBOLS],
    /// Of all lengths and distances.
    pub(super) extra_bits: u64,
    pub(super) matches: u32,
}

impl Histogram {
    /// End-of-block included.
    pub(super) fn of(tokens: &[Token], symbols: &Symbols) -> Self {
        let mut literals = [0u32; LITERAL_SYMBOLS];
        let mut lengths = [0u32; 256];
        let mut distances = [0u32; 32];
        for &token in tokens {
            if token.is_match() {
                lengths[usize::from(token.length_index())] += 1;
                distances[symbols.distance(token) & 31] += 1;
            } else {
                literals[usize::from(token.byte())] += 1;
            }
        }
        literals[END_OF_BLOCK] = 1;
        for (&count, &symbol) in lengths.iter().zip(&symbols.lengths) {
            literals[257 + usize::from(symbol)] += count;
        }
        let mut this =
            Self { literals, distances: [0; DISTANCE_SYMBOLS], extra_bits: 0, matches: 0 };
        this.distances.copy_from_slice(&distances[..DISTANCE_SYMBOLS]);
        for (&count, &(_, extra)) in this.literals[257..].iter().zip(&LENGTHS) {
            this.extra_bits += u64::from(count) * u64::from(extra);
        }
        for (&count, &(_, extra)) in this.distances.iter().zip(&DISTANCES) {
            this.extra_bits += u64::from(count) * u64::from(extra);
            this.matches += count;
        }
        this
    }

    /// A block without a match declares one distance code, which takes part in the choice.
    pub(super) fn add_unused_distance(&mut self) {
        if self.matches == 0 {
            self.distances[0] = 1;
        }
    }

    /// Size with the fixed codes, without extra bits.
    pub(super) fn fixed_size(&self) -> u64 {
        let literals: u64 = (0..)
            .zip(&self.literals)
            .map(|(symbol, &count)| u64::from(count) * u64::from(fixed_literal_length(symbol)))
            .sum();
        let distances: u64 = self.distances.iter().map(|&count| u64::from(count)).sum();
        3 + literals + distances * u64::from(FIXED_DISTANCE_LENGTH)
    }
}

/// The codes of a block.
#[derive(Clone, Debug)]
pub(super) struct Codes {
    pub(super) literal_lengths: [u8; LITERAL_SYMBOLS],
    pub(super) literal_codes: [u16; LITERAL_SYMBOLS],
    pub(super) distance_lengths: [u8; DISTANCE_SYMBOLS],
    pub(super) distance_codes: [u16; DISTANCE_SYMBOLS],
}

impl Codes {
    /// The codes Go builds for a histogram.
    pub(super) fn build(histogram: &Histogram) -> Self {
        let mut this = Self::unused();
        code::lengths(&histogram.literals, MAX_CODE_LENGTH, &mut this.literal_lengths);
        code::lengths(&histogram.distances, MAX_CODE_LENGTH, &mut this.distance_lengths);
        code::codes(&this.literal_lengths, &mut this.literal_codes);
        code::codes(&this.distance_lengths, &mut this.distance_codes);
        this
    }

    /// The codes of RFC 1951, 3.2.6.
    pub(super) fn fixed() -> Self {
        let mut this = Self::unused();
        // Two literal symbols that never occur take part in the numbering, but after all others
        // of their length.
        this.literal_lengths = std::array::from_fn(fixed_literal_length);
        this.distance_lengths = [FIXED_DISTANCE_LENGTH; DISTANCE_SYMBOLS];
        let mut all = [0; 288];
        code::codes(&std::array::from_fn::<u8, 288, _>(fixed_literal_length), &mut all);
        this.literal_codes.copy_from_slice(&all[..LITERAL_SYMBOLS]);
        code::codes(&this.distance_lengths, &mut this.distance_codes);
        this
    }

    /// No symbol has a code.
    pub(super) fn unused() -> Self {
        Self {
            literal_lengths: [0; LITERAL_SYMBOLS],
            literal_codes: [0; LITERAL_SYMBOLS],
            distance_lengths: [0; DISTANCE_SYMBOLS],
            distance_codes: [0; DISTANCE_SYMBOLS],
        }
    }

    /// Size of all symbols of a histogram.
    pub(super) fn cost(&self, histogram: &Histogram) -> u64 {
        cost(&histogram.literals, &self.literal_lengths)
            + cost(&histogram.distances, &self.distance_lengths)
    }

    pub(super) fn write_end_of_block(&self, bits: &mut BitWriter) {
        bits.field(
            u64::from(self.literal_codes[END_OF_BLOCK]),
            u32::from(self.literal_lengths[END_OF_BLOCK]),
        );
    }

    /// Bytes as literals.
    pub(super) fn write_literals(&self, bits: &mut BitWriter, bytes: &[u8]) {
        bits.reserve(2 * bytes.len() + 8);
        for &byte in bytes {
            let symbol = usize::from(byte);
            let length = u32::from(self.literal_lengths[symbol]);
            bits.put(u64::from(self.literal_codes[symbol]), length);
        }
    }

    /// The tokens, without end-of-block.
    pub(super) fn write_tokens(&self, bits: &mut BitWriter, tokens: &[Token], symbols: &Symbols) {
        // Code and number of bits in one entry; for lengths with the extra bits.
        let literals: [u32; 256] = std::array::from_fn(|byte| {
            u32::from(self.literal_codes[byte]) | u32::from(self.literal_lengths[byte]) << 24
        });
        let lengths: [u32; 256] = std::array::from_fn(|index| {
            let symbol = usize::from(symbols.lengths[index]);
            let (base, extra) = LENGTHS[symbol];
            let length = self.literal_lengths[257 + symbol];
            let code = u32::from(self.literal_codes[257 + symbol]);
            code | (index as u32 + 3 - u32::from(base)) << length | u32::from(length + extra) << 24
        });
        let distances: [[u32; 2]; 32] = std::array::from_fn(|symbol| {
            let Some(&(base, extra)) = DISTANCES.get(symbol) else { return [0; 2] };
            let length = self.distance_lengths[symbol];
            let code = u32::from(self.distance_codes[symbol]);
            [code | u32::from(length) << 16 | u32::from(length + extra) << 24, u32::from(base) - 1]
        });

        bits.reserve(tokens.len() * MAX_TOKEN_BITS / 8 + 16);
        for &token in tokens {
            if token.is_match() {
                let length = lengths[usize::from(token.length_index())];
                let [distance, base] = distances[symbols.distance(token) & 31];
                let extra = u64::from(u32::from(token.distance_index()) - base);
                let code = u64::from(distance & 0xffff) | extra << (distance >> 16 & 31);
                let value = u64::from(length & 0x00ff_ffff) | code << (length >> 24);
                bits.put(value, (length >> 24) + (distance >> 24));
            } else {
                let literal = literals[usize::from(token.byte())];
                bits.put(u64::from(literal & 0xffff), literal >> 24);
            }
        }
    }
}

/// Size of symbols that occur this often.
pub(super) fn cost(frequencies: &[u32], lengths: &[u8]) -> u64 {
    frequencies.iter().zip(lengths).map(|(&n, &length)| u64::from(n) * u64::from(length)).sum()
}

/// The description of a block's codes (RFC 1951, 3.2.7).
#[derive(Debug)]
pub(super) struct Header {
    literal_count: usize,
    distance_count: usize,
    /// Symbol, extra bits and their number.
    runs: Vec<(u8, u8, u8)>,
    code_lengths: [u8; 19],
    code_length_count: usize,
    /// In bits, everything before the first token.
    pub(super) size: u64,
}

impl Header {
    pub(super) fn new(codes: &Codes) -> Self {
        let used = |lengths: &[u8]| lengths.iter().rposition(|&l| l > 0).map_or(0, |last| last + 1);
        let literal_count = used(&codes.literal_lengths);
        let distance_count = used(&codes.distance_lengths);
        let mut all = [0; LITERAL_SYMBOLS + DISTANCE_SYMBOLS];
        all[..literal_count].copy_from_slice(&codes.literal_lengths[..literal_count]);
        let all = &mut all[..literal_count + distance_count];
        all[literal_count..].copy_from_slice(&codes.distance_lengths[..distance_count]);

        let runs = runs(all);
        let mut frequencies = [0; 19];
        runs.iter().for_each(|&(symbol, ..)| frequencies[usize::from(symbol)] += 1);
        let mut code_lengths = [0; 19];
        code::lengths(&frequencies, MAX_CODE_LENGTH_CODE, &mut code_lengths);
        let code_length_count = CODE_LENGTH_ORDER
            .iter()
            .rposition(|&symbol| frequencies[symbol] > 0)
            .map_or(4, |last| (last + 1).max(4));
        let extra: u64 = runs.iter().map(|&(_, _, bits)| u64::from(bits)).sum();
        let size = 17 + 3 * code_length_count as u64 + cost(&frequencies, &code_lengths) + extra;
        Self { literal_count, distance_count, runs, code_lengths, code_length_count, size }
    }

    pub(super) fn write(&self, bits: &mut BitWriter) {
        let mut codes = [0; 19];
        code::codes(&self.code_lengths, &mut codes);
        bits.field(4, 3);
        bits.field(self.literal_count as u64 - 257, 5);
        bits.field(self.distance_count as u64 - 1, 5);
        bits.field(self.code_length_count as u64 - 4, 4);
        for &symbol in &CODE_LENGTH_ORDER[..self.code_length_count] {
            bits.field(u64::from(self.code_lengths[symbol]), 3);
        }
        for &(symbol, extra, extra_bits) in &self.runs {
            let symbol = usize::from(symbol);
            bits.field(u64::from(codes[symbol]), u32::from(self.code_lengths[symbol]));
            bits.field(u64::from(extra), u32::from(extra_bits));
        }
    }
}

/// Run lengths the way Go chooses them: symbol, extra bits and their number. A run may cross from
/// one code into the other.
fn runs(lengths: &[u8]) -> Vec<(u8, u8, u8)> {
    let mut runs = Vec::with_capacity(lengths.len());
    for equal in lengths.chunk_by(|a, b| a == b) {
        let value = equal[0];
        let mut count = equal.len();
        if value == 0 {
            while count >= 11 {
                let zeros = count.min(138);
                runs.push((18, (zeros - 11) as u8, 7));
                count -= zeros;
            }
            if count >= 3 {
                runs.push((17, (count - 3) as u8, 3));
                count = 0;
            }
        } else {
            runs.push((value, 0, 0));
            count -= 1;
            while count >= 3 {
                let repeated = count.min(6);
                runs.push((16, (repeated - 3) as u8, 2));
                count -= repeated;
            }
        }
        runs.extend(std::iter::repeat_n((value, 0, 0), count));
    }
    runs
}

/// How a block was written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Written {
    /// Its bits have been appended.
    Bits,
    /// Nothing was appended: it must be stored.
    Stored,
}

/// Encodes a block of a token list in the form Go chooses. Only what Go still has in its buffer
/// can be stored.
pub(super) fn encode(block: &Block, tokens: &[Token], bits: &mut BitWriter) -> Written {
    let symbols = &*SYMBOLS;
    let tokens = &tokens[block.tokens.clone()];
    let raw_length = block.range.end - block.range.start;
    let is_storable = block.is_in_buffer && raw_length <= 65535;
    let mut histogram = Histogram::of(tokens, symbols);
    histogram.add_unused_distance();
    let extra_bits = if is_storable { histogram.extra_bits } else { 0 };
    let codes = Codes::build(&histogram);
    let header = Header::new(&codes);
    let fixed_size = histogram.fixed_size() + extra_bits;
    let dynamic_size = header.size + codes.cost(&histogram) + extra_bits;

    if is_storable && (raw_length + 5) * 8 < fixed_size.min(dynamic_size) {
        return Written::Stored;
    }
    let codes = if dynamic_size < fixed_size {
        header.write(bits);
        codes
    } else {
        bits.field(2, 3);
        Codes::fixed()
    };
    codes.write_tokens(bits, tokens, symbols);
    codes.write_end_of_block(bits);
    Written::Bits
}
