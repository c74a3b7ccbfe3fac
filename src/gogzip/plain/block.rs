//! What the blocks of both generations have in common: tokens, histograms, the dynamic header.

use super::bits::Bits;
use super::huffman::Code;
use crate::gogzip::rfc1951::{
    CODE_LENGTH_ORDER, DISTANCE_SYMBOLS, DISTANCES, END_OF_BLOCK, FIXED_DISTANCE_LENGTH, LENGTHS,
    LITERAL_SYMBOLS, MAX_CODE_LENGTH, MAX_CODE_LENGTH_CODE, distance_index, fixed_literal_length,
    length_index,
};

/// One step of the LZ77 parse.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Token {
    Literal(u8),
    Match { length: u16, distance: u16 },
}

/// How often each symbol occurs in a block, end-of-block included.
#[derive(Clone, Debug)]
pub(super) struct Histogram {
    pub(super) literals: Vec<u32>,
    pub(super) distances: Vec<u32>,
    /// Extra bits of all lengths and distances.
    pub(super) extra_bits: u64,
    pub(super) matches: u32,
}

impl Histogram {
    pub(super) fn of(tokens: &[Token]) -> Self {
        let mut this = Self {
            literals: vec![0; LITERAL_SYMBOLS],
            distances: vec![0; DISTANCE_SYMBOLS],
            extra_bits: 0,
            matches: 0,
        };
        this.literals[END_OF_BLOCK] = 1;
        for token in tokens {
            match *token {
                Token::Literal(byte) => this.literals[usize::from(byte)] += 1,
                Token::Match { length, distance } => {
                    let (length, distance) = (length_index(length), distance_index(distance));
                    this.literals[257 + length] += 1;
                    this.distances[distance] += 1;
                    this.extra_bits += u64::from(LENGTHS[length].1 + DISTANCES[distance].1);
                    this.matches += 1;
                }
            }
        }
        this
    }

    /// A block without a match declares one distance code that is never used. It takes part in
    /// the choice of the form, but is not written.
    pub(super) fn add_unused_distance(&mut self) {
        if self.matches == 0 {
            self.distances[0] = 1;
        }
    }

    /// Size of the block with the codes of 3.2.6, the three header bits included.
    pub(super) fn fixed_size(&self, extra_bits: u64) -> u64 {
        let fixed = FixedCodes::new();
        3 + fixed.0.literals.cost(&self.literals)
            + fixed.0.distances.cost(&self.distances)
            + extra_bits
    }
}

/// The two codes of a block.
#[derive(Clone, Debug, Default)]
pub(super) struct Codes {
    pub(super) literals: Code,
    pub(super) distances: Code,
}

impl Codes {
    pub(super) fn build(histogram: &Histogram) -> Self {
        Self {
            literals: Code::build(&histogram.literals, MAX_CODE_LENGTH),
            distances: Code::build(&histogram.distances, MAX_CODE_LENGTH),
        }
    }

    pub(super) fn cost(&self, histogram: &Histogram) -> u64 {
        self.literals.cost(&histogram.literals) + self.distances.cost(&histogram.distances)
    }

    pub(super) fn write_end_of_block(&self, bits: &mut Bits) {
        bits.field(self.literals.codes[END_OF_BLOCK], self.literals.lengths[END_OF_BLOCK]);
    }

    pub(super) fn write_literals(&self, bits: &mut Bits, bytes: &[u8]) {
        for &byte in bytes {
            let symbol = usize::from(byte);
            bits.field(self.literals.codes[symbol], self.literals.lengths[symbol]);
        }
    }

    pub(super) fn write_tokens(&self, bits: &mut Bits, tokens: &[Token]) {
        for token in tokens {
            match *token {
                Token::Literal(byte) => self.write_literals(bits, &[byte]),
                Token::Match { length, distance } => {
                    let (l, d) = (length_index(length), distance_index(distance));
                    bits.field(self.literals.codes[257 + l], self.literals.lengths[257 + l]);
                    bits.field(u32::from(length - LENGTHS[l].0), LENGTHS[l].1);
                    bits.field(self.distances.codes[d], self.distances.lengths[d]);
                    bits.field(u32::from(distance - DISTANCES[d].0), DISTANCES[d].1);
                }
            }
        }
    }
}

/// The codes of RFC 1951, 3.2.6.
pub(super) struct FixedCodes(pub(super) Codes);

impl FixedCodes {
    pub(super) fn new() -> Self {
        // 288 symbols take part in the numbering, although two never occur.
        let literals = Code::from_lengths((0..288).map(fixed_literal_length).collect());
        let distances = Code::from_lengths(vec![FIXED_DISTANCE_LENGTH; DISTANCE_SYMBOLS]);
        Self(Codes { literals, distances })
    }

    /// Header, tokens and end-of-block.
    pub(super) fn write_block(&self, bits: &mut Bits, tokens: &[Token]) {
        bits.field(2, 3);
        self.0.write_tokens(bits, tokens);
        self.0.write_end_of_block(bits);
    }
}

/// Description of a block's codes (RFC 1951, 3.2.7), ready to be written.
pub(super) struct DynamicHeader {
    literal_count: usize,
    distance_count: usize,
    runs: Vec<Run>,
    run_code: Code,
    run_code_count: usize,
}

impl DynamicHeader {
    /// `codes` must have been built from `histogram`, the unused distance included.
    pub(super) fn new(histogram: &Histogram, codes: &Codes) -> Self {
        let used = |frequencies: &[u32]| {
            frequencies.iter().rposition(|&n| n > 0).map_or(0, |last| last + 1)
        };
        let literal_count = used(&histogram.literals);
        let distance_count = used(&histogram.distances);
        let lengths =
            [&codes.literals.lengths[..literal_count], &codes.distances.lengths[..distance_count]]
                .concat();
        let runs = runs(&lengths);
        let mut frequencies = [0; 19];
        runs.iter().for_each(|run| frequencies[run.symbol] += 1);
        let run_code = Code::build(&frequencies, MAX_CODE_LENGTH_CODE);
        let run_code_count = CODE_LENGTH_ORDER
            .iter()
            .rposition(|&symbol| frequencies[symbol] > 0)
            .map_or(4, |last| (last + 1).max(4));
        Self { literal_count, distance_count, runs, run_code, run_code_count }
    }

    /// Size in bits of everything before the first token.
    pub(super) fn size(&self) -> u64 {
        let runs: u64 = self
            .runs
            .iter()
            .map(|run| u64::from(self.run_code.lengths[run.symbol] + run.extra_bits))
            .sum();
        3 + 5 + 5 + 4 + 3 * self.run_code_count as u64 + runs
    }

    pub(super) fn write(&self, bits: &mut Bits) {
        bits.field(4, 3);
        bits.field((self.literal_count - 257) as u32, 5);
        bits.field((self.distance_count - 1) as u32, 5);
        bits.field((self.run_code_count - 4) as u32, 4);
        for &symbol in &CODE_LENGTH_ORDER[..self.run_code_count] {
            bits.field(u32::from(self.run_code.lengths[symbol]), 3);
        }
        for run in &self.runs {
            bits.field(self.run_code.codes[run.symbol], self.run_code.lengths[run.symbol]);
            bits.field(run.extra, run.extra_bits);
        }
    }
}

/// A symbol of the code-length alphabet with its extra bits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Run {
    symbol: usize,
    extra: u32,
    extra_bits: u8,
}

impl Run {
    fn single(length: u8) -> Self {
        Self { symbol: usize::from(length), extra: 0, extra_bits: 0 }
    }

    /// The value before it, 3 to 6 times more.
    fn repeat(count: usize) -> Self {
        Self { symbol: 16, extra: (count - 3) as u32, extra_bits: 2 }
    }

    /// 3 to 138 zeros.
    fn zeros(count: usize) -> Self {
        if count < 11 {
            Self { symbol: 17, extra: (count - 3) as u32, extra_bits: 3 }
        } else {
            Self { symbol: 18, extra: (count - 11) as u32, extra_bits: 7 }
        }
    }
}

/// Run lengths the way Go chooses them. A run may cross from the literal/length code into the
/// distance code.
fn runs(lengths: &[u8]) -> Vec<Run> {
    let mut runs = Vec::new();
    for equal in lengths.chunk_by(|a, b| a == b) {
        let value = equal[0];
        let mut count = equal.len();
        if value == 0 {
            while count >= 11 {
                let zeros = count.min(138);
                runs.push(Run::zeros(zeros));
                count -= zeros;
            }
            if count >= 3 {
                runs.push(Run::zeros(count));
                count = 0;
            }
        } else {
            runs.push(Run::single(value));
            count -= 1;
            while count >= 3 {
                let repeated = count.min(6);
                runs.push(Run::repeat(repeated));
                count -= repeated;
            }
        }
        runs.extend(std::iter::repeat_n(Run::single(value), count));
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_lengths_are_cut_as_go_does() {
        let (one, rep, zero) = (Run::single, Run::repeat, Run::zeros);
        let cases: &[(u8, usize, &[Run])] = &[
            (5, 1, &[one(5)]),
            (5, 3, &[one(5), one(5), one(5)]),
            (5, 4, &[one(5), rep(3)]),
            (5, 7, &[one(5), rep(6)]),
            (5, 8, &[one(5), rep(6), one(5)]),
            (5, 9, &[one(5), rep(6), one(5), one(5)]),
            (5, 10, &[one(5), rep(6), rep(3)]),
            (0, 2, &[one(0), one(0)]),
            (0, 3, &[zero(3)]),
            (0, 10, &[zero(10)]),
            (0, 11, &[zero(11)]),
            (0, 138, &[zero(138)]),
            (0, 140, &[zero(138), one(0), one(0)]),
            (0, 148, &[zero(138), zero(10)]),
            (0, 149, &[zero(138), zero(11)]),
        ];
        for &(value, count, expected) in cases {
            assert_eq!(runs(&vec![value; count]), expected, "{count} times {value}");
        }
        assert_eq!((zero(10).symbol, zero(10).extra), (17, 7));
        assert_eq!((zero(11).symbol, zero(138).extra), (18, 127));
    }

    #[test]
    fn one_literal_costs_what_the_worked_example_says() {
        let mut histogram = Histogram::of(&[Token::Literal(b'a')]);
        histogram.add_unused_distance();
        assert_eq!(histogram.fixed_size(0), 23);
        let codes = Codes::build(&histogram);
        let header = DynamicHeader::new(&histogram, &codes);
        assert_eq!((header.run_code_count, header.size()), (18, 98));
        assert_eq!(codes.cost(&histogram), 3);
    }
}
