//! The best match at a position, with few of the 128 candidates looked at.
//!
//! Once a match of `L >= 4` bytes at distance `D` is known, a better candidate agrees with the
//! position on `L + 1` bytes. So it lies not only in the chain of the position `p`, but, shifted by
//! `k`, in the chain of every `p + k` with `k <= L - 3`. All those chains bound its distance from
//! below; the search walks the one whose next link leaps farthest.
//!
//! The limit of 128 candidates stays exact without visiting them: ordinals along the chain of `p`
//! tell how many lie between. If a better candidate lies beyond, so do all that follow.

use super::window::Rings;

/// Shortest match.
pub(super) const MIN_MATCH: u64 = 4;
/// Longest match.
pub(super) const MAX_MATCH: u64 = 258;
/// A search stops at a match of this length.
pub(super) const NICE: u64 = 128;
/// Candidates of the position's own chain that count.
const MAX_VISITED: u16 = 128;
/// Farthest match of four bytes.
const MAX_SHORT_DISTANCE: u64 = 4096;
/// Steps along foreign chains before the search returns to the position's own.
const MAX_FOREIGN_STEPS: u32 = 400;

/// What a search may use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Bytes that may match.
    pub(super) length: u64,
    /// Farthest candidate.
    pub(super) distance: u64,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Match {
    pub(super) length: u64,
    pub(super) distance: u64,
}

/// The best match of at least four bytes.
#[inline(always)]
pub(super) fn first_match(rings: &Rings, p: u64, limits: Limits) -> Option<Match> {
    // In data that do not compress, most searches end here, in one branch: the first candidate is
    // out of reach or differs, and the second is out of reach.
    let here = rings.half_word(p);
    let first = rings.distance(p);
    let second = first + rings.distance(p.wrapping_sub(first));
    let matches = (first <= limits.distance) & (rings.half_word(p.wrapping_sub(first)) == here);
    if !matches & (second > limits.distance) {
        return None;
    }
    if matches {
        return from_candidate(rings, p, first, 1, limits);
    }
    walk_own_chain(rings, p, second, 1, limits)
}

/// Walks the chain of `p` from the candidate at `distance` to the first usable match.
fn walk_own_chain(
    rings: &Rings,
    p: u64,
    mut distance: u64,
    mut visited: u16,
    limits: Limits,
) -> Option<Match> {
    let here = rings.half_word(p);
    while distance <= limits.distance && visited < MAX_VISITED {
        visited += 1;
        if rings.half_word(p - distance) == here {
            return from_candidate(rings, p, distance, visited, limits);
        }
        distance += rings.distance(p - distance);
    }
    None
}

/// Goes on from a candidate whose first four bytes agree, the `visited`th of its chain.
fn from_candidate(
    rings: &Rings,
    p: u64,
    distance: u64,
    visited: u16,
    limits: Limits,
) -> Option<Match> {
    let length = common_prefix(rings, p, distance, limits.length);
    if length > MIN_MATCH || distance <= MAX_SHORT_DISTANCE {
        let found = Match { length, distance };
        return Some(improve(rings, p, found, limits));
    }
    let next = distance + rings.distance(p - distance);
    walk_far(rings, p, next, visited, limits)
}

/// Beyond the reach of four-byte matches: walks the chain of `p` to the first longer one.
#[cold]
fn walk_far(
    rings: &Rings,
    p: u64,
    mut distance: u64,
    mut visited: u16,
    limits: Limits,
) -> Option<Match> {
    while distance <= limits.distance && visited < MAX_VISITED {
        visited += 1;
        let length = common_prefix(rings, p, distance, limits.length);
        if length > MIN_MATCH {
            return Some(improve(rings, p, Match { length, distance }, limits));
        }
        distance += rings.distance(p - distance);
    }
    None
}

/// The best match that is longer than `length`, which is at least four.
#[inline(always)]
pub(super) fn longer_match(rings: &Rings, p: u64, length: u64, limits: Limits) -> Option<Match> {
    let (k, distance) = farthest(rings.sixteen_distances(p), length - 2);
    if distance > limits.distance {
        return None;
    }
    let found = walk(rings, p, Match { length, distance: 0 }, k, distance, limits);
    (found.length > length).then_some(found)
}

/// Looks for a better match than `found`.
#[inline(always)]
fn improve(rings: &Rings, p: u64, found: Match, limits: Limits) -> Match {
    if found.length >= NICE.min(limits.length) {
        return found;
    }
    let (k, distance) = next_chain(rings, p, found);
    if distance > limits.distance {
        return found;
    }
    walk(rings, p, found, k, distance, limits)
}

/// Walks the chain of `p + k`, beginning at `distance`, and changes chains at each improvement.
fn walk(
    rings: &Rings,
    p: u64,
    mut best: Match,
    mut k: u64,
    mut distance: u64,
    limits: Limits,
) -> Match {
    let nice = NICE.min(limits.length);
    let mut end = rings.half_word(p + best.length - 3);
    let mut steps = 0;
    loop {
        // The four bytes that end with the one to win are the most likely to differ.
        let candidate = p - distance;
        if rings.half_word(candidate + best.length - 3) == end {
            let length = common_prefix(rings, p, distance, limits.length);
            if length > best.length {
                let visited = rings.ordinal(p).wrapping_sub(rings.ordinal(candidate));
                if visited > MAX_VISITED {
                    return best;
                }
                best = Match { length, distance };
                if length >= nice {
                    return best;
                }
                (k, distance) = next_chain(rings, p, best);
                if distance > limits.distance {
                    return best;
                }
                end = rings.half_word(p + best.length - 3);
                continue;
            }
        }
        distance += rings.distance(candidate + k);
        if distance > limits.distance {
            return best;
        }
        steps += 1;
        if steps > MAX_FOREIGN_STEPS {
            return exhaust(rings, p, best, limits);
        }
    }
}

/// Walks the chain of `p` to its end or to the limit. A foreign chain without a limit of its own
/// might be much longer.
#[cold]
fn exhaust(rings: &Rings, p: u64, mut best: Match, limits: Limits) -> Match {
    let nice = NICE.min(limits.length);
    let mut distance = rings.distance(p);
    for _ in 0..MAX_VISITED {
        if distance > limits.distance {
            break;
        }
        let length = common_prefix(rings, p, distance, limits.length);
        if length > best.length {
            best = Match { length, distance };
            if length >= nice {
                break;
            }
        }
        distance += rings.distance(p - distance);
    }
    best
}

/// The chain that leads farthest from a match, and where it leads first.
#[inline(always)]
fn next_chain(rings: &Rings, p: u64, found: Match) -> (u64, u64) {
    let (inside, link) = farthest(rings.sixteen_distances(p - found.distance), found.length - 3);
    let distance = found.distance + link;
    // The chain that contains the first byte that differs starts at its own position.
    let last = found.length - 3;
    let across = rings.distance(p + last);
    if across > distance { (last, across) } else { (inside, distance) }
}

/// Index and value of the largest of the first `count` links.
#[inline(always)]
fn farthest(links: &[u16; 16], count: u64) -> (u64, u64) {
    let count = (count as usize).min(16);
    let mut best = 0;
    for (k, &link) in links[..count].iter().enumerate() {
        // One number to compare: the link, then its place.
        best = best.max(u32::from(link) << 4 | k as u32);
    }
    (u64::from(best & 15), u64::from(best >> 4))
}

/// Length of the common prefix of the bytes at `p` and those `distance` before.
#[inline(always)]
fn common_prefix(rings: &Rings, p: u64, distance: u64, limit: u64) -> u64 {
    let mut length = 0;
    while length < limit {
        let differing = rings.word(p + length) ^ rings.word(p + length - distance);
        if differing != 0 {
            length += u64::from(differing.trailing_zeros() / 8);
            break;
        }
        length += 8;
    }
    length.min(limit)
}
