//! The last 64 KiB of input with the chains through it.
//!
//! Everything is a ring addressed by the low 16 bits of a position, so an index can never be out
//! of bounds and the compiler knows it. A reader may look at 32768 bytes behind a position and at
//! what has been loaded ahead of it; [`Window::advance`] keeps the two apart.

/// Bytes and links that are kept.
const RING: usize = 1 << 16;
/// Copies of the first entries behind the last one, so that a short read need not wrap.
const MIRROR: usize = 16;
/// Positions are linked in batches of this size.
const BATCH: u64 = 1 << 13;
/// How far ahead of a step its search may look at bytes, and at links.
pub(super) const LOOKAHEAD: u64 = 258 + 4;
const LINK_AHEAD: u64 = 128;
/// How far ahead of a link bytes may be read.
const DATA_AHEAD: u64 = 512;
/// Chains run through positions with the same hash of four bytes, of this many bits.
const KEY_BITS: u32 = 17;
/// Chains do not reach farther than this.
pub(super) const REACH: u64 = 32768;
/// Heads are renumbered after this many positions.
const RENUMBER: u64 = 1 << 30;

/// The rings, and what is needed to go on filling them.
#[derive(Debug)]
pub(super) struct Window {
    rings: Box<Rings>,
    heads: Box<Heads>,
    /// Positions before these are in the rings' bytes and in their chains.
    loaded: u64,
    linked: u64,
    renumber_at: u64,
}

/// Bytes, back links and ordinals of the positions around the parser.
///
/// A link is the distance to the newest older position with the same key; anything above 32768 is
/// out of reach. The ordinal counts positions along a chain modulo 2^16: the difference of two
/// ordinals of one chain is the number of links between them.
#[derive(Debug)]
pub(super) struct Rings {
    data: [u8; RING + MIRROR],
    links: [u16; RING + MIRROR],
    ordinals: [u16; RING],
}

/// The newest position of each key, modulo 2^32.
type Heads = [u32; 1 << KEY_BITS];

impl Window {
    pub(super) fn new() -> Self {
        let mut this = Self {
            rings: Box::new(Rings {
                data: [0; RING + MIRROR],
                links: [0; RING + MIRROR],
                ordinals: [0; RING],
            }),
            heads: Box::new([0; 1 << KEY_BITS]),
            loaded: 0,
            linked: 0,
            renumber_at: 0,
        };
        this.restart(0);
        this
    }

    /// Forgets everything; chains begin at `position`.
    pub(super) fn restart(&mut self, position: u64) {
        self.loaded = position;
        self.linked = position;
        self.heads.fill(far_before(position));
        self.renumber_at = position + RENUMBER;
    }

    pub(super) fn rings(&self) -> &Rings {
        &self.rings
    }

    /// Steps before this position find all the bytes and links they may look at.
    pub(super) fn ready(&self) -> u64 {
        self.linked.saturating_sub(LINK_AHEAD).min((self.loaded + 1).saturating_sub(LOOKAHEAD))
    }

    /// Loads and links ahead of a step at `position`. `input` starts at position `start`.
    pub(super) fn advance(&mut self, position: u64, input: &[u8], start: u64) {
        let end = start + input.len() as u64;
        let link_to = (position + BATCH).min(end.saturating_sub(3)).max(self.linked);
        let load_to = (link_to + DATA_AHEAD).min(end);
        if load_to > self.loaded {
            let from = (self.loaded - start) as usize;
            let to = (load_to - start) as usize;
            self.rings.load(self.loaded, &input[from..to]);
            self.loaded = load_to;
        }
        if self.linked >= self.renumber_at {
            self.renumber();
        }
        self.linked = self.rings.link(self.linked, link_to, &mut self.heads);
    }

    /// Heads are positions modulo 2^32. Old ones are moved on before they look young again.
    #[cold]
    fn renumber(&mut self) {
        let now = self.linked as u32;
        for head in self.heads.iter_mut() {
            if now.wrapping_sub(*head) > REACH as u32 {
                *head = far_before(self.linked);
            }
        }
        self.renumber_at = self.linked + RENUMBER;
    }
}

impl Rings {
    fn load(&mut self, mut position: u64, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let at = index(position);
            let (now, later) = bytes.split_at(bytes.len().min(RING - at));
            self.data[at..at + now.len()].copy_from_slice(now);
            position += now.len() as u64;
            bytes = later;
        }
        self.data.copy_within(..MIRROR, RING);
    }

    /// Puts the positions up to `end` into their chains. Three bytes after `end` must be loaded.
    fn link(&mut self, start: u64, end: u64, heads: &mut Heads) -> u64 {
        let mut position = start;
        while position + 4 <= end {
            let word = self.word(position);
            // Seven equal bytes: four positions with one key, a chain through every byte.
            if (word ^ (word >> 8)) & 0x0000_ffff_ffff_ffff == 0 {
                position = self.link_run(position, end, word, heads);
            } else {
                let bytes = word.swap_bytes();
                self.link_one(position, (bytes >> 32) as u32, heads);
                self.link_one(position + 1, (bytes >> 24) as u32, heads);
                self.link_one(position + 2, (bytes >> 16) as u32, heads);
                self.link_one(position + 3, (bytes >> 8) as u32, heads);
                position += 4;
            }
        }
        while position < end {
            self.link_one(position, self.half_word(position).swap_bytes(), heads);
            position += 1;
        }
        self.links.copy_within(..MIRROR, RING);
        end
    }

    #[inline(always)]
    fn link_one(&mut self, position: u64, bytes: u32, heads: &mut Heads) {
        let head = &mut heads[key(bytes)];
        let before = *head;
        *head = position as u32;
        let distance = (position as u32).wrapping_sub(before).min(0xffff);
        self.links[index(position)] = distance as u16;
        self.ordinals[index(position)] = self.ordinals[index(before.into())].wrapping_add(1);
    }

    /// Links a run of one byte without touching its head for each position: through the head, a
    /// run would be as slow as its store-to-load latency.
    fn link_run(&mut self, start: u64, end: u64, word: u64, heads: &mut Heads) -> u64 {
        let pattern = (word & 255) * 0x0101_0101_0101_0101;
        let bytes = pattern as u32;
        self.link_one(start, bytes, heads);
        let mut stop = start + 4;
        while stop + 8 <= end && self.word(stop + 3) == pattern {
            stop += 8;
        }
        let mut ordinal = self.ordinals[index(start)];
        for position in start + 1..stop {
            ordinal = ordinal.wrapping_add(1);
            self.links[index(position)] = 1;
            self.ordinals[index(position)] = ordinal;
        }
        heads[key(bytes)] = (stop - 1) as u32;
        stop
    }

    /// The eight bytes at a position, the first one lowest.
    #[inline(always)]
    pub(super) fn word(&self, position: u64) -> u64 {
        let at = index(position);
        u64::from_le_bytes(self.data[at..].first_chunk().copied().unwrap_or_default())
    }

    /// The four bytes at a position.
    #[inline(always)]
    pub(super) fn half_word(&self, position: u64) -> u32 {
        let at = index(position);
        u32::from_le_bytes(self.data[at..].first_chunk().copied().unwrap_or_default())
    }

    #[inline(always)]
    pub(super) fn byte(&self, position: u64) -> u8 {
        self.data[index(position)]
    }

    /// Distance to the newest older position with the same key.
    #[inline(always)]
    pub(super) fn distance(&self, position: u64) -> u64 {
        u64::from(self.links[index(position)])
    }

    /// The same for 16 consecutive positions.
    #[inline(always)]
    pub(super) fn sixteen_distances(&self, position: u64) -> &[u16; 16] {
        let at = index(position);
        self.links[at..].first_chunk().unwrap_or(&[0; 16])
    }

    /// Place of a position in its chain.
    #[inline(always)]
    pub(super) fn ordinal(&self, position: u64) -> u16 {
        self.ordinals[index(position)]
    }
}

#[inline(always)]
fn index(position: u64) -> usize {
    usize::from(position as u16)
}

/// The chain of four bytes, the first one highest.
#[inline(always)]
fn key(bytes: u32) -> usize {
    (bytes.wrapping_mul(0x1e35_a7bd) >> (32 - KEY_BITS)) as usize
}

/// A position that is out of reach of `position` and of all that follow it soon.
fn far_before(position: u64) -> u32 {
    (position as u32).wrapping_sub(2 * RING as u32)
}
