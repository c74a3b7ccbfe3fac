//! Generation Go 1.27: two hash tables, a greedy search with a look back, blocks of 65535 bytes.
//!
//! The rules carry the labels R (round), X (extend) in the order in which they apply.

use super::bits::Bits;
use super::block::Token;
use super::reuse::BlockWriter;

/// Matches reach back less than this.
const WINDOW: i64 = 32768;
/// Bytes of input per block.
const BLOCK: usize = 65535;
/// Both hash tables have this many address bits.
const TABLE_BITS: u32 = 15;
/// Longest piece of a match.
const MAX_MATCH: i64 = 258;
/// A comparison of this many bytes after the first four gives a length that is not yet final.
const LIMITED: i64 = 254;
/// No search starts in the last bytes of a block.
const MARGIN: i64 = 11;
/// An empty table entry: out of every range.
const NOWHERE: i64 = i64::MIN / 2;

/// The deflate stream of Go 1.27. Write calls leave no trace in it.
#[derive(Debug)]
pub(super) struct Greedy {
    search: Search,
    /// Bytes of the open block: the tail of the search's buffer.
    open: usize,
    blocks: BlockWriter,
}

impl Greedy {
    pub(super) fn new() -> Self {
        Self { search: Search::new(), open: 0, blocks: BlockWriter::default() }
    }

    pub(super) fn write(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            // A full block is only encoded when more follows: the last block is special.
            if self.open == BLOCK {
                self.encode(false);
            }
            let (now, later) = data.split_at(data.len().min(BLOCK - self.open));
            self.search.buffer.extend_from_slice(now);
            self.open += now.len();
            data = later;
        }
    }

    pub(super) fn close(&mut self) {
        if self.open > 0 {
            self.encode(true);
        }
        self.blocks.close();
    }

    pub(super) fn bits(&mut self) -> &mut Bits {
        self.blocks.bits()
    }

    /// Encodes the open block. `sync`: it is the last one.
    fn encode(&mut self, sync: bool) {
        let length = self.open;
        let from = self.search.buffer.len() - length;
        if sync && length <= 32 {
            self.blocks.stored(&self.search.buffer[from..]);
        } else if sync && length < 128 {
            self.blocks.literals_only(&self.search.buffer[from..], sync);
        } else {
            let tokens = self.search.block(length);
            let raw = &self.search.buffer[from..];
            if tokens.is_empty() {
                self.blocks.stored(raw);
            } else if tokens.len() > length - length / 16 {
                self.blocks.literals_only(raw, sync);
            } else {
                self.blocks.dynamic(&tokens, raw, sync);
            }
        }
        self.search.forget();
        self.open = 0;
    }
}

/// The search, and the bytes it may refer to.
#[derive(Debug)]
struct Search {
    /// Last position of each hash of four bytes.
    short: Vec<i64>,
    /// Last two positions of each hash of seven bytes.
    long: Vec<Pair>,
    /// The input from `start` on.
    buffer: Vec<u8>,
    start: i64,
}

#[derive(Clone, Copy, Debug)]
struct Pair {
    current: i64,
    previous: i64,
}

/// A match of the bytes at `at` with those at `from`.
#[derive(Clone, Copy, Debug)]
struct Found {
    at: i64,
    from: i64,
    /// 0: not measured; 258: at least that.
    length: i64,
}

impl Search {
    fn new() -> Self {
        Self {
            short: vec![NOWHERE; 1 << TABLE_BITS],
            long: vec![Pair { current: NOWHERE, previous: NOWHERE }; 1 << TABLE_BITS],
            buffer: Vec::with_capacity(WINDOW as usize + BLOCK),
            start: 0,
        }
    }

    /// Drops what no later block can refer to.
    fn forget(&mut self) {
        let old = self.buffer.len().saturating_sub(WINDOW as usize);
        self.buffer.drain(..old);
        self.start += old as i64;
    }

    /// Tokens of the last `length` bytes of the buffer.
    fn block(&mut self, length: usize) -> Vec<Token> {
        let end = self.start + self.buffer.len() as i64;
        let limit = end - MARGIN;
        let mut tokens = Vec::new();
        let mut emit = end - length as i64;
        let mut s = emit;
        let mut repeat = 1;

        while let Some((found, ns)) = self.round(s, emit, repeat, limit, end) {
            let Found { at, from, length } = self.extend(found, emit, limit, end);
            self.literals(&mut tokens, emit, at);
            push_match(&mut tokens, length, at - from);
            // X5.
            repeat = at - from;
            s = at + length;
            emit = s;
            if ns >= s {
                s = ns + 1;
            }
            // X6.
            if s >= limit {
                for i in (ns + 1..end - 8).step_by(2) {
                    self.insert(i);
                }
                break;
            }
            // X7.
            for i in (ns + 1..s - 1).step_by(2) {
                self.insert_short(i);
                self.insert_long(i);
                self.insert_long(i + 1);
            }
        }
        // FINISH. A block without a match has no tokens at all.
        if !tokens.is_empty() {
            self.literals(&mut tokens, emit, end);
        }
        tokens
    }

    /// R0 to R5: the next match, and the position that was to be probed next.
    fn round(
        &mut self,
        start: i64,
        emit: i64,
        repeat: i64,
        limit: i64,
        end: i64,
    ) -> Option<(Found, i64)> {
        let mut ns = start;
        loop {
            // R1. The stride grows with the distance from the last match.
            let s = ns;
            ns = s + 1 + (s - emit) / 128;
            if ns > limit {
                return None;
            }
            // R2.
            let short = self.short[self.short_slot(s)];
            let long = self.long[self.long_slot(s)];
            self.insert(s);

            // R3.
            if near(s, long.current) {
                if self.same4(s, long.current) {
                    self.insert(ns);
                    let mut found = Found { at: s, from: long.current, length: 0 };
                    if near(s, long.previous) && self.same4(s, long.previous) {
                        found.length = self.limited(s, long.current, end);
                        found = self.better(found, s, long.previous, end);
                    }
                    return Some((found, ns));
                }
                if near(s, long.previous) && self.same4(s, long.previous) {
                    self.insert(ns);
                    return Some((Found { at: s, from: long.previous, length: 0 }, ns));
                }
            }

            // R4.
            if near(s, short) && self.same4(s, short) {
                let mut found = Found { at: s, from: short, length: self.limited(s, short, end) };
                let long = self.long[self.long_slot(ns)];
                self.insert(ns);
                let again = s + 1 - repeat;
                if self.same4(s + 1, again) {
                    let longer = self.better(found, s + 1, again, end);
                    if longer.at > found.at {
                        return Some((longer, ns));
                    }
                }
                if near(ns, long.current) {
                    if self.same4(ns, long.current) {
                        found = self.better(found, ns, long.current, end);
                    }
                    if near(ns, long.previous) && self.same4(ns, long.previous) {
                        found = self.better(found, ns, long.previous, end);
                    }
                }
                return Some((found, ns));
            }
        }
    }

    /// The longer of a match and the one of `at` with `from`.
    fn better(&self, found: Found, at: i64, from: i64, end: i64) -> Found {
        let length = self.limited(at, from, end);
        if length > found.length { Found { at, from, length } } else { found }
    }

    /// X1 to X3: the full length, a longer match that ends farther, and the bytes before it.
    fn extend(&self, found: Found, emit: i64, limit: i64, end: i64) -> Found {
        let Found { mut at, mut from, mut length } = found;
        // X1.
        if length == 0 {
            length = self.full(at + 4, from + 4, end) + 4;
        } else if length == MAX_MATCH {
            length += self.full(at + length, from + length, end);
        }

        // X2. Two bytes at the start may be given up for a longer match.
        if at + length < limit {
            let entry = self.long[self.long_slot(at + length)];
            let s2 = at + 2;
            let candidate = entry.current - length + 2;
            if near(s2, candidate) {
                if (0..s2).contains(&candidate) {
                    let longer = self.full(s2, candidate, end);
                    if longer > length {
                        (at, from, length) = (s2, candidate, longer);
                    }
                }
                let candidate = entry.previous - length + 2;
                if (0..s2).contains(&candidate) && near(s2, candidate) {
                    let longer = self.full(s2, candidate, end);
                    if longer > length {
                        (at, from, length) = (s2, candidate, longer);
                    }
                }
            }
        }

        // X3.
        while from > 0 && at > emit && self.byte(from - 1) == self.byte(at - 1) {
            from -= 1;
            at -= 1;
            length += 1;
        }
        Found { at, from, length }
    }

    fn literals(&self, tokens: &mut Vec<Token>, from: i64, to: i64) {
        tokens.extend((from..to).map(|position| Token::Literal(self.byte(position))));
    }

    fn insert(&mut self, position: i64) {
        self.insert_short(position);
        self.insert_long(position);
    }

    fn insert_short(&mut self, position: i64) {
        let slot = self.short_slot(position);
        self.short[slot] = position;
    }

    fn insert_long(&mut self, position: i64) {
        let slot = self.long_slot(position);
        self.long[slot] = Pair { current: position, previous: self.long[slot].current };
    }

    fn short_slot(&self, position: i64) -> usize {
        let four = self.eight(position) as u32;
        (four.wrapping_mul(2_654_435_761) >> (32 - TABLE_BITS)) as usize
    }

    fn long_slot(&self, position: i64) -> usize {
        let seven = self.eight(position) << 8;
        (seven.wrapping_mul(58_295_818_150_454_627) >> (64 - TABLE_BITS)) as usize
    }

    fn eight(&self, position: i64) -> u64 {
        let at = (position - self.start) as usize;
        let mut eight = [0; 8];
        eight.copy_from_slice(&self.buffer[at..at + 8]);
        u64::from_le_bytes(eight)
    }

    fn byte(&self, position: i64) -> u8 {
        self.buffer[(position - self.start) as usize]
    }

    fn same4(&self, a: i64, b: i64) -> bool {
        let (a, b) = ((a - self.start) as usize, (b - self.start) as usize);
        self.buffer[a..a + 4] == self.buffer[b..b + 4]
    }

    /// Common prefix; `a` stays before the end of the block, `b` is older.
    fn full(&self, a: i64, b: i64, end: i64) -> i64 {
        let a = &self.buffer[(a - self.start) as usize..(end - self.start) as usize];
        let b = &self.buffer[(b - self.start) as usize..];
        a.iter().zip(b).take_while(|(a, b)| a == b).count() as i64
    }

    /// Length of a match whose first four bytes are known to agree, at most 258.
    fn limited(&self, a: i64, b: i64, end: i64) -> i64 {
        self.full(a + 4, b + 4, end).min(LIMITED) + 4
    }
}

/// Whether `to` is in reach of `at`. A position that is not older counts as near.
fn near(at: i64, to: i64) -> bool {
    at - to < WINDOW
}

/// Emits a match in pieces none of which is shorter than 4.
fn push_match(tokens: &mut Vec<Token>, mut length: i64, distance: i64) {
    while length > 0 {
        let piece = match length {
            262.. => MAX_MATCH,
            259..=261 => 255,
            _ => length,
        };
        tokens.push(Token::Match { length: piece as u16, distance: distance as u16 });
        length -= piece;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_matches_are_cut_so_that_no_piece_is_too_short() {
        let cases: &[(i64, &[u16])] = &[
            (4, &[4]),
            (258, &[258]),
            (259, &[255, 4]),
            (260, &[255, 5]),
            (261, &[255, 6]),
            (262, &[258, 4]),
            (519, &[258, 255, 6]),
            (1000, &[258, 258, 258, 226]),
        ];
        for &(length, expected) in cases {
            let mut tokens = Vec::new();
            push_match(&mut tokens, length, 7);
            let expected: Vec<Token> =
                expected.iter().map(|&length| Token::Match { length, distance: 7 }).collect();
            assert_eq!(tokens, expected, "{length}");
        }
    }
}
