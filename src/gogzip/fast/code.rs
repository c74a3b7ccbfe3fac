//! Prefix codes in linear time.
//!
//! Package-merge with the rule "on equal weight the package comes first" ends, if the limit does
//! not bind, in the code that the two-queue form of Huffman's algorithm gives under the same rule:
//! its lists converge to the order in which that algorithm pairs its items. So that is tried
//! first, and package-merge itself only runs if a code comes out too long.

/// Most symbols a code can have.
pub(super) const MAX_SYMBOLS: usize = 288;
/// Longest code.
const MAX_LENGTH: usize = 15;

/// Code lengths (0: unused) for the frequencies, at most `limit`.
pub(super) fn lengths(frequencies: &[u32], limit: u8, lengths: &mut [u8]) {
    lengths.fill(0);
    // Ascending by frequency, then symbol.
    let mut leaves = [0u64; MAX_SYMBOLS];
    let mut count = 0;
    for (symbol, &frequency) in (0u64..).zip(frequencies) {
        if frequency > 0 {
            leaves[count] = u64::from(frequency) << 16 | symbol;
            count += 1;
        }
    }
    let leaves = &mut leaves[..count];
    if count > 2 {
        leaves.sort_unstable();
    }
    let mut counts = [0u16; MAX_LENGTH + 1];
    if count <= 2 {
        counts[1] = count as u16;
    } else if !huffman(leaves, limit, &mut counts) {
        counts = package_merge(leaves, limit);
    }
    // The most frequent symbols get the shortest codes.
    let mut rest = leaves.iter().rev();
    for (length, &count) in (0u8..).zip(&counts) {
        for leaf in rest.by_ref().take(usize::from(count)) {
            lengths[(leaf & 0xffff) as usize] = length;
        }
    }
}

/// Canonical codes (RFC 1951, 3.2.2), bits reversed for a stream that starts at the low bit.
pub(super) fn codes(lengths: &[u8], codes: &mut [u16]) {
    let mut counts = [0u16; MAX_LENGTH + 1];
    for &length in lengths {
        counts[usize::from(length)] += 1;
    }
    counts[0] = 0;
    let mut next = [0u16; MAX_LENGTH + 2];
    for length in 1..=MAX_LENGTH {
        next[length + 1] = (next[length] + counts[length]) << 1;
    }
    for (code, &length) in codes.iter_mut().zip(lengths) {
        if length > 0 {
            let next = &mut next[usize::from(length)];
            *code = next.reverse_bits() >> (16 - length);
            *next += 1;
        }
    }
}

/// How many symbols have each length, by the two-queue form of Huffman's algorithm. False if a
/// length exceeds the limit.
fn huffman(leaves: &[u64], limit: u8, counts: &mut [u16; MAX_LENGTH + 1]) -> bool {
    let count = leaves.len();
    let mut weights = [u64::MAX; MAX_SYMBOLS];
    let mut parents = [0u16; MAX_SYMBOLS];
    // For leaves only how many have a given parent matters.
    let mut leaf_children = [0u16; MAX_SYMBOLS];
    let (mut leaf, mut package) = (0, 0);
    for node in 0..count - 1 {
        let mut weight = 0;
        for _ in 0..2 {
            let leaf_weight = leaves.get(leaf).map_or(u64::MAX, |leaf| leaf >> 16);
            if package < node && weights[package] <= leaf_weight {
                weight += weights[package];
                parents[package] = node as u16;
                package += 1;
            } else {
                weight += leaf_weight;
                leaf_children[node] += 1;
                leaf += 1;
            }
        }
        weights[node] = weight;
    }
    // From the root down.
    let mut depths = [0u8; MAX_SYMBOLS];
    for node in (0..count - 1).rev() {
        if node < count - 2 {
            depths[node] = depths[usize::from(parents[node])] + 1;
        }
        if leaf_children[node] > 0 {
            if depths[node] >= limit {
                return false;
            }
            counts[usize::from(depths[node]) + 1] += leaf_children[node];
        }
    }
    true
}

/// How many symbols have each length, by package-merge.
#[cold]
fn package_merge(leaves: &[u64], limit: u8) -> [u16; MAX_LENGTH + 1] {
    let count = leaves.len();
    let depth = usize::from(limit).min(count - 1);
    // Weights of the level below; and per level, whether each item is a leaf.
    let mut below: Vec<u64> = leaves.iter().map(|leaf| leaf >> 16).collect();
    let mut levels = vec![vec![true; count]];
    for _ in 1..depth {
        let mut weights = Vec::with_capacity(2 * count);
        let mut is_leaf = Vec::with_capacity(2 * count);
        let mut packages = below.chunks_exact(2).map(|pair| pair[0] + pair[1]).peekable();
        let mut rest = leaves.iter().map(|leaf| leaf >> 16).peekable();
        loop {
            let takes_leaf = match (packages.peek(), rest.peek()) {
                (Some(package), Some(leaf)) => leaf < package,
                (None, Some(_)) => true,
                (Some(_), None) => false,
                (None, None) => break,
            };
            weights.extend(if takes_leaf { rest.next() } else { packages.next() });
            is_leaf.push(takes_leaf);
        }
        below = weights;
        levels.push(is_leaf);
    }
    let mut counts = [0; MAX_LENGTH + 1];
    let mut taken = 2 * count - 2;
    let mut longer = None;
    for (level, is_leaf) in levels.iter().rev().enumerate() {
        let leaves = is_leaf[..taken].iter().filter(|&&is_leaf| is_leaf).count();
        if let Some(above) = longer {
            counts[level] = (above - leaves) as u16;
        }
        taken = 2 * (taken - leaves);
        longer = Some(leaves);
    }
    counts[levels.len()] = longer.unwrap_or_default() as u16;
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gogzip::plain::huffman::{Code, code_lengths};
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// Frequencies from flat to steep, with many ties.
    fn frequencies() -> impl Strategy<Value = Vec<u32>> {
        let frequency = (0u32..15).prop_flat_map(|bits| 0..=(1u32 << bits));
        prop_oneof![
            vec(0u32..4, 1..287),
            vec(frequency, 1..287),
            vec(0u32..3, 1..287).prop_map(|steps| {
                let mut last = [1u32, 1];
                let mut next = |step| {
                    last = [last[1], (last[0] + last[1]).min(60_000)];
                    last[1].checked_div(step).unwrap_or_default()
                };
                steps.into_iter().map(&mut next).collect()
            }),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 200 } else { 20_000 }))]

        #[test]
        fn lengths_and_codes_are_those_of_package_merge(frequencies in frequencies()) {
            for limit in [15, 10, 9] {
                let mut fast = vec![0; frequencies.len()];
                lengths(&frequencies, limit, &mut fast);
                let plain = code_lengths(&frequencies, limit);
                prop_assert_eq!(&fast, &plain);
                let mut fast_codes = vec![0; frequencies.len()];
                codes(&fast, &mut fast_codes);
                let plain = Code::from_lengths(plain);
                prop_assert!(fast_codes.iter().map(|&code| u32::from(code)).eq(plain.codes));
            }
        }

        #[test]
        fn short_alphabets_and_low_limits(frequencies in vec(0u32..400, 1..19)) {
            for limit in [7, 5] {
                let mut fast = vec![0; frequencies.len()];
                lengths(&frequencies, limit, &mut fast);
                prop_assert_eq!(fast, code_lengths(&frequencies, limit));
            }
        }
    }
}
