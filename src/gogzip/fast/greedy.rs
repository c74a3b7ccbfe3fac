//! The search of generation Go 1.27.
//!
//! The rules are those of the plain form and carry its labels; positions live in tables of 32 bits,
//! and bytes in a ring, so that no access needs a bounds check.

use super::parse::Token;

/// Matches reach back less than this.
const REACH: i64 = 32768;
/// Bytes of input per block.
pub(super) const BLOCK: usize = 65535;
/// Bytes that are kept: the reach, a block, and room.
const RING: usize = 1 << 17;
const MIRROR: usize = 16;
/// Both hash tables have this many address bits.
const TABLE_BITS: u32 = 15;
/// Longest piece of a match.
const MAX_MATCH: i64 = 258;
/// A comparison of this many bytes after the first four gives a length that is not yet final.
const LIMITED: i64 = 254;
/// No search starts in the last bytes of a block.
const MARGIN: i64 = 11;
/// Table entries are renumbered after this many positions; soon in tests, which compare with the
/// plain encoder.
const RENUMBER: i64 = if cfg!(test) { 1 << 17 } else { 1 << 29 };

/// The tables, and the bytes they point to.
#[derive(Debug)]
pub(super) struct Search {
    data: Box<[u8; RING + MIRROR]>,
    tables: Box<Tables>,
    /// End of the input so far.
    end: i64,
    renumber_at: i64,
}

/// Positions modulo 2^32.
#[derive(Clone, Debug)]
struct Tables {
    /// Last position of each hash of four bytes.
    short: [u32; 1 << TABLE_BITS],
    /// Last two positions of each hash of seven bytes, the newer one first.
    long: [[u32; 2]; 1 << TABLE_BITS],
}

/// A match of the bytes at `at` with those `distance` before.
#[derive(Clone, Copy, Debug)]
struct Found {
    at: i64,
    distance: i64,
    /// 0: not measured; 258: at least that.
    length: i64,
}

impl Search {
    pub(super) fn new() -> Self {
        let nowhere = far_before(0);
        Self {
            data: Box::new([0; RING + MIRROR]),
            tables: Box::new(Tables {
                short: [nowhere; 1 << TABLE_BITS],
                long: [[nowhere; 2]; 1 << TABLE_BITS],
            }),
            end: 0,
            renumber_at: RENUMBER,
        }
    }

    /// Appends the tokens of the next block. None at all if there is no match in it.
    pub(super) fn block(&mut self, raw: &[u8], tokens: &mut Vec<Token>) {
        self.load(raw);
        if self.end >= self.renumber_at {
            // Measured from the start of the block: what is in its reach must stay.
            self.tables.renumber(self.end - raw.len() as i64);
            self.renumber_at = self.end + RENUMBER;
        }
        let start = self.end - raw.len() as i64;
        let limit = self.end - MARGIN;
        let mut block = Block { data: &self.data, tables: &mut self.tables, end: self.end, limit };
        let first = tokens.len();
        let mut emit = start;
        let mut s = start;
        let mut repeat = 1;
        while let Some((found, ns)) = block.round(s, emit, repeat) {
            let Found { at, distance, length } = block.extend(found, emit);
            let literals = &raw[(emit - start) as usize..(at - start) as usize];
            tokens.extend(literals.iter().map(|&byte| Token::literal(byte)));
            push_match(tokens, length, distance);
            // X5.
            repeat = distance;
            s = at + length;
            emit = s;
            if ns >= s {
                s = ns + 1;
            }
            // X6.
            if s >= limit {
                let mut i = ns + 1;
                while i < self.end - 8 {
                    block.insert(i);
                    i += 2;
                }
                break;
            }
            // X7.
            let mut i = ns + 1;
            while i < s - 1 {
                block.insert(i);
                block.insert_long(i + 1);
                i += 2;
            }
        }
        // FINISH.
        if tokens.len() > first {
            let literals = &raw[(emit - start) as usize..];
            tokens.extend(literals.iter().map(|&byte| Token::literal(byte)));
        }
    }

    fn load(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let at = index(self.end);
            let (now, later) = bytes.split_at(bytes.len().min(RING - at));
            self.data[at..at + now.len()].copy_from_slice(now);
            self.end += now.len() as i64;
            bytes = later;
        }
        self.data.copy_within(..MIRROR, RING);
    }
}

impl Tables {
    /// Old positions are moved on before they look young again.
    #[cold]
    fn renumber(&mut self, now: i64) {
        for entry in self.short.iter_mut().chain(self.long.as_flattened_mut()) {
            if distance(now, *entry) > 2 * REACH {
                *entry = far_before(now);
            }
        }
    }
}

/// The search in one block.
struct Block<'a> {
    data: &'a [u8; RING + MIRROR],
    tables: &'a mut Tables,
    end: i64,
    limit: i64,
}

impl Block<'_> {
    /// R0 to R5: the next match, and the position that was to be probed next.
    #[inline(always)]
    fn round(&mut self, start: i64, emit: i64, repeat: i64) -> Option<(Found, i64)> {
        let mut ns = start;
        loop {
            // R1. The stride grows with the distance from the last match.
            let s = ns;
            ns = s + 1 + ((s - emit) >> 7);
            if ns > self.limit {
                return None;
            }
            // R2.
            let here = self.word(s);
            let short = std::mem::replace(&mut self.tables.short[short_slot(here)], s as u32);
            let entry = &mut self.tables.long[long_slot(here)];
            let long = *entry;
            *entry = [s as u32, long[0]];
            let short = distance(s, short);
            let long = long.map(|position| distance(s, position));

            // R3.
            if long[0] < REACH {
                let previous = long[1] < REACH && self.agrees(here, s, long[1]);
                if self.agrees(here, s, long[0]) {
                    self.insert(ns);
                    let mut found = Found { at: s, distance: long[0], length: 0 };
                    if previous {
                        found.length = self.limited(s, long[0]);
                        self.improve(&mut found, s, long[1]);
                    }
                    return Some((found, ns));
                }
                if previous {
                    self.insert(ns);
                    return Some((Found { at: s, distance: long[1], length: 0 }, ns));
                }
            }

            // R4.
            if short < REACH && self.agrees(here, s, short) {
                let mut found = Found { at: s, distance: short, length: self.limited(s, short) };
                let next = self.word(ns);
                let long = self.tables.long[long_slot(next)].map(|p| distance(ns, p));
                self.insert(ns);
                if self.agrees(self.word(s + 1), s + 1, repeat) {
                    self.improve(&mut found, s + 1, repeat);
                    if found.at > s {
                        return Some((found, ns));
                    }
                }
                if long[0] < REACH {
                    if self.agrees(next, ns, long[0]) {
                        self.improve(&mut found, ns, long[0]);
                    }
                    if long[1] < REACH && self.agrees(next, ns, long[1]) {
                        self.improve(&mut found, ns, long[1]);
                    }
                }
                return Some((found, ns));
            }
        }
    }

    /// Takes the match of `at` if it is longer.
    #[inline(always)]
    fn improve(&self, found: &mut Found, at: i64, distance: i64) {
        let length = self.limited(at, distance);
        if length > found.length {
            *found = Found { at, distance, length };
        }
    }

    /// X1 to X3: the full length, a longer match that ends farther, and the bytes before it.
    #[inline(always)]
    fn extend(&self, mut found: Found, emit: i64) -> Found {
        // X1.
        let Found { at, distance: back, .. } = found;
        if found.length == 0 {
            found.length = self.full(at + 4, back) + 4;
        } else if found.length == MAX_MATCH {
            found.length += self.full(at + MAX_MATCH, back);
        }
        // X2. Two bytes at the start may be given up for a longer match.
        let s2 = at + 2;
        let behind = at + found.length;
        if behind < self.limit {
            let entry = self.tables.long[long_slot(self.word(behind))];
            // The second candidate is measured from the length that holds then.
            let candidate = |found: &Found, position: u32| {
                distance(behind, position) + found.length - (behind - at)
            };
            let first = candidate(&found, entry[0]);
            if first < REACH {
                self.look_back(&mut found, s2, first);
                let second = candidate(&found, entry[1]);
                if second < REACH {
                    self.look_back(&mut found, s2, second);
                }
            }
        }
        // X3.
        while found.at - found.distance > 0
            && found.at > emit
            && self.byte(found.at - 1) == self.byte(found.at - 1 - found.distance)
        {
            found.at -= 1;
            found.length += 1;
        }
        found
    }

    #[inline(always)]
    fn look_back(&self, found: &mut Found, s2: i64, distance: i64) {
        if (1..=s2).contains(&distance) {
            let length = self.full(s2, distance);
            if length > found.length {
                *found = Found { at: s2, distance, length };
            }
        }
    }

    #[inline(always)]
    fn insert(&mut self, position: i64) {
        let word = self.word(position);
        self.tables.short[short_slot(word)] = position as u32;
        let entry = &mut self.tables.long[long_slot(word)];
        *entry = [position as u32, entry[0]];
    }

    #[inline(always)]
    fn insert_long(&mut self, position: i64) {
        let entry = &mut self.tables.long[long_slot(self.word(position))];
        *entry = [position as u32, entry[0]];
    }

    /// Whether four bytes agree with those `distance` before.
    #[inline(always)]
    fn agrees(&self, here: u64, at: i64, distance: i64) -> bool {
        here as u32 == self.word(at - distance) as u32
    }

    /// Length of a match whose first four bytes are known to agree, at most 258.
    #[inline(always)]
    fn limited(&self, at: i64, distance: i64) -> i64 {
        self.common_prefix(at + 4, distance, LIMITED.min(self.end - at - 4)) + 4
    }

    /// Common prefix up to the end of the block.
    #[inline(always)]
    fn full(&self, at: i64, distance: i64) -> i64 {
        self.common_prefix(at, distance, self.end - at)
    }

    #[inline(always)]
    fn common_prefix(&self, at: i64, distance: i64, limit: i64) -> i64 {
        let mut length = 0;
        while length < limit {
            let differing = self.word(at + length) ^ self.word(at + length - distance);
            if differing != 0 {
                length += i64::from(differing.trailing_zeros() / 8);
                break;
            }
            length += 8;
        }
        length.min(limit)
    }

    #[inline(always)]
    fn word(&self, position: i64) -> u64 {
        let at = index(position);
        u64::from_le_bytes(self.data[at..].first_chunk().copied().unwrap_or_default())
    }

    #[inline(always)]
    fn byte(&self, position: i64) -> u8 {
        self.data[index(position)]
    }
}

#[inline(always)]
fn index(position: i64) -> usize {
    position as usize & (RING - 1)
}

/// How far a table entry lies before a position. What is out of reach is so by far; what is not
/// older gives zero or less.
#[inline(always)]
fn distance(at: i64, entry: u32) -> i64 {
    i64::from((at as u32).wrapping_sub(entry) as i32)
}

/// An entry that is out of reach of `position` and of all that follow it soon.
fn far_before(position: i64) -> u32 {
    (position as u32).wrapping_sub(1 << 28)
}

#[inline(always)]
fn short_slot(word: u64) -> usize {
    ((word as u32).wrapping_mul(2_654_435_761) >> (32 - TABLE_BITS)) as usize
}

#[inline(always)]
fn long_slot(word: u64) -> usize {
    ((word << 8).wrapping_mul(58_295_818_150_454_627) >> (64 - TABLE_BITS)) as usize
}

/// Emits a match in pieces none of which is shorter than 4.
#[inline(always)]
fn push_match(tokens: &mut Vec<Token>, mut length: i64, distance: i64) {
    while length > 0 {
        let piece = match length {
            262.. => MAX_MATCH,
            259..=261 => 255,
            _ => length,
        };
        tokens.push(Token::pair(piece as u64, distance as u64));
        length -= piece;
    }
}
