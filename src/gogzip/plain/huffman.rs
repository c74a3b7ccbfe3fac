//! Code lengths by package-merge, as Go ends up with them, and canonical codes.

/// A prefix code: one length and one code per symbol; length 0 means unused.
#[derive(Clone, Debug, Default)]
pub(in crate::gogzip) struct Code {
    pub(in crate::gogzip) lengths: Vec<u8>,
    /// Most significant bit of the code last, ready for a stream that starts at the low bit.
    pub(in crate::gogzip) codes: Vec<u32>,
}

impl Code {
    /// The code Go builds for these frequencies.
    pub(super) fn build(frequencies: &[u32], limit: u8) -> Self {
        Self::from_lengths(code_lengths(frequencies, limit))
    }

    /// Canonical codes (RFC 1951, 3.2.2).
    pub(in crate::gogzip) fn from_lengths(lengths: Vec<u8>) -> Self {
        let mut codes = vec![0; lengths.len()];
        let mut next = 0u32;
        for length in 1..=15 {
            next <<= 1;
            for symbol in (0..lengths.len()).filter(|&symbol| lengths[symbol] == length) {
                codes[symbol] = next.reverse_bits() >> (32 - u32::from(length));
                next += 1;
            }
        }
        Self { lengths, codes }
    }

    /// Size in bits of symbols that occur this often.
    pub(super) fn cost(&self, frequencies: &[u32]) -> u64 {
        frequencies
            .iter()
            .zip(&self.lengths)
            .map(|(&frequency, &length)| u64::from(frequency) * u64::from(length))
            .sum()
    }

    /// Whether every symbol that occurs has a code.
    pub(super) fn covers(&self, frequencies: &[u32]) -> bool {
        frequencies
            .iter()
            .enumerate()
            .all(|(symbol, &n)| n == 0 || self.lengths.get(symbol).is_some_and(|&l| l > 0))
    }
}

/// An item of a package-merge level: a symbol, or two items of the level below.
#[derive(Clone, Copy)]
struct Item {
    weight: u64,
    is_leaf: bool,
}

/// Length-limited code lengths. Equal weights prefer the package, so the result is unique.
pub(in crate::gogzip) fn code_lengths(frequencies: &[u32], limit: u8) -> Vec<u8> {
    let mut lengths = vec![0; frequencies.len()];
    let mut symbols: Vec<usize> =
        (0..frequencies.len()).filter(|&symbol| frequencies[symbol] > 0).collect();
    let count = symbols.len();
    if count <= 2 {
        symbols.iter().for_each(|&symbol| lengths[symbol] = 1);
        return lengths;
    }
    symbols.sort_by_key(|&symbol| (frequencies[symbol], symbol));
    let depth = usize::from(limit).min(count - 1);

    let leaves: Vec<Item> = symbols
        .iter()
        .map(|&symbol| Item { weight: u64::from(frequencies[symbol]), is_leaf: true })
        .collect();
    let mut levels = vec![leaves.clone()];
    while levels.len() < depth {
        let below = &levels[levels.len() - 1];
        let packages = below
            .chunks_exact(2)
            .map(|pair| Item { weight: pair[0].weight + pair[1].weight, is_leaf: false });
        levels.push(merge(&leaves, packages));
    }

    // From the top level down: how many leaves are among the items that are taken.
    let mut taken = 2 * count - 2;
    let mut leaves_above = 0;
    let mut unassigned = symbols.as_slice();
    let mut per_level = Vec::with_capacity(depth);
    for level in levels.iter().rev() {
        let leaves = level[..taken].iter().filter(|item| item.is_leaf).count();
        taken = 2 * (taken - leaves);
        per_level.push(leaves);
    }
    // per_level[0] = a_L. Symbols of length b: a_(L-b+1) - a_(L-b), the most frequent first.
    per_level.push(0);
    for (length, pair) in (1u8..).zip(per_level.windows(2)) {
        leaves_above += pair[0] - pair[1];
        let (rest, these) = unassigned.split_at(count - leaves_above);
        these.iter().for_each(|&symbol| lengths[symbol] = length);
        unassigned = rest;
    }
    lengths
}

/// Merges two sorted lists; on equal weight the package comes first.
fn merge(leaves: &[Item], packages: impl Iterator<Item = Item>) -> Vec<Item> {
    let mut merged = Vec::with_capacity(2 * leaves.len());
    let mut leaves = leaves.iter().copied().peekable();
    for package in packages {
        while let Some(leaf) = leaves.next_if(|leaf| leaf.weight < package.weight) {
            merged.push(leaf);
        }
        merged.push(package);
    }
    merged.extend(leaves);
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_those_of_go() {
        let fibonacci: &[u32] = &[1, 1, 1, 2, 3, 5, 8, 13, 21, 34];
        let cases: &[(&[u32], u8, &[u8])] = &[
            (&[1, 1, 2, 2], 15, &[3, 3, 2, 1]),
            (&[1, 1, 1, 1, 1], 15, &[3, 3, 2, 2, 2]),
            (&[2, 1, 1, 2], 15, &[2, 3, 3, 1]),
            (fibonacci, 15, &[9, 9, 8, 7, 6, 5, 4, 3, 2, 1]),
            (fibonacci, 7, &[7, 7, 7, 7, 6, 6, 4, 3, 2, 1]),
            (fibonacci, 4, &[4, 4, 4, 4, 4, 4, 4, 4, 2, 2]),
            (&[0, 0, 0], 15, &[0, 0, 0]),
            (&[0, 9, 0], 15, &[0, 1, 0]),
            (&[7, 0, 1], 15, &[1, 0, 1]),
        ];
        for &(frequencies, limit, expected) in cases {
            assert_eq!(code_lengths(frequencies, limit), expected, "{frequencies:?} {limit}");
        }
    }

    #[test]
    fn codes_are_canonical_and_reversed() {
        // The example of RFC 1951, 3.2.2: lengths 3 3 3 3 3 2 4 4.
        let code = Code::from_lengths(vec![3, 3, 3, 3, 3, 2, 4, 4]);
        let expected = [0b010, 0b110, 0b001, 0b101, 0b011, 0b00, 0b0111, 0b1111];
        assert_eq!(code.codes, expected);
    }

    #[test]
    fn two_symbols_get_codes_in_symbol_order() {
        let code = Code::build(&[0, 100, 0, 1], 15);
        assert_eq!((code.lengths[1], code.codes[1]), (1, 0));
        assert_eq!((code.lengths[3], code.codes[3]), (1, 1));
    }
}
