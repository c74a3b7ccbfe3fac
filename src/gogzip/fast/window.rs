//! The last 64 KiB of input with the chains through it.
//!
//! Everything is a ring addressed by the low 16 bits of a position, so an index can never be out
//! of bounds and the compiler knows it. A reader may look at 32768 bytes behind a position and at
//! what has been loaded ahead of it; [`Window::advance`] keeps the two apart.

/// Bytes and links that are kept.
const RING: usize = 1 << 16;
/// Copies of the first entries behind the last one, so that a short read need not wrap.
pub(super) const MIRROR: usize = 16;
/// Positions are linked in batches of this size.
const BATCH: u64 = 1 << 14;
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

/// Bytes, back links and ordinals of the positions around the parser.
///
/// A link is the distance to the newest older position with the same key; anything above 32768 is
/// out of reach. The ordinal counts positions along a chain modulo 2^16: the difference of two
/// ordinals of one chain is the number of links between them.
#[derive(Debug)]
pub(super) struct Window {
    data: Box<[u8; RING + MIRROR]>,
    links: Box<[u16; RING + MIRROR]>,
    ordinals: Box<[u16; RING]>,
    heads: Box<[u32; 1 << KEY_BITS]>,
    /// Positions before these are in `data` and in the chains.
    loaded: u64,
    linked: u64,
    renumber_at: u64,
}

impl Window {
    pub(super) fn new() -> Self {
        let mut this = Self {
            data: boxed(),
            links: boxed(),
            ordinals: boxed(),
            heads: boxed(),
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
            self.load(&input[from..to]);
        }
        if self.linked >= self.renumber_at {
            self.renumber();
        }
        self.link_to(link_to);
    }

    fn load(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let at = index(self.loaded);
            let (now, later) = bytes.split_at(bytes.len().min(RING - at));
            self.data[at..at + now.len()].copy_from_slice(now);
            self.loaded += now.len() as u64;
            bytes = later;
        }
        self.data.copy_within(..MIRROR, RING);
    }

    /// Puts the positions up to `end` into their chains. Three bytes after `end` must be loaded.
    fn link_to(&mut self, end: u64) {
        let mut position = self.linked;
        while position < end {
            let word = self.word(position);
            // Seven equal bytes: four positions with one key, a chain through every byte.
            let is_run = (word ^ (word >> 8)) & 0x0000_ffff_ffff_ffff == 0;
            if is_run && position + 4 <= end {
                position = self.link_run(position, end, word);
            } else if position + 4 <= end {
                let bytes = word.swap_bytes();
                self.link_one(position, (bytes >> 32) as u32);
                self.link_one(position + 1, (bytes >> 24) as u32);
                self.link_one(position + 2, (bytes >> 16) as u32);
                self.link_one(position + 3, (bytes >> 8) as u32);
                position += 4;
            } else {
                self.link_one(position, (word as u32).swap_bytes());
                position += 1;
            }
        }
        self.linked = position;
        self.links.copy_within(..MIRROR, RING);
    }

    #[inline(always)]
    fn link_one(&mut self, position: u64, bytes: u32) {
        let head = &mut self.heads[(bytes.wrapping_mul(0x1e35_a7bd) >> (32 - KEY_BITS)) as usize];
        let before = u64::from(*head);
        *head = position as u32;
        let distance = (position as u32).wrapping_sub(before as u32).min(0xffff);
        self.links[index(position)] = distance as u16;
        self.ordinals[index(position)] = self.ordinals[index(before)].wrapping_add(1);
    }

    /// Links a run of one byte without touching its head for each position: through the head, a
    /// run would be as slow as its store-to-load latency.
    fn link_run(&mut self, start: u64, end: u64, word: u64) -> u64 {
        let byte = word & 255;
        let pattern = byte * 0x0101_0101_0101_0101;
        let bytes = pattern as u32;
        self.link_one(start, bytes);
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
        let key = (bytes.wrapping_mul(0x1e35_a7bd) >> (32 - KEY_BITS)) as usize;
        self.heads[key] = (stop - 1) as u32;
        stop
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
    pub(super) fn link(&self, position: u64) -> u64 {
        u64::from(self.links[index(position)])
    }

    /// The links of 16 consecutive positions.
    #[inline(always)]
    pub(super) fn sixteen_links(&self, position: u64) -> [u16; 16] {
        let at = index(position);
        self.links[at..].first_chunk().copied().unwrap_or_default()
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

/// A position that is out of reach of `position` and of all that follow it soon.
fn far_before(position: u64) -> u32 {
    (position as u32).wrapping_sub(2 * RING as u32)
}

fn boxed<T: Clone + Default, const N: usize>() -> Box<[T; N]> {
    let boxed: Result<Box<[T; N]>, _> = vec![T::default(); N].into_boxed_slice().try_into();
    boxed.unwrap_or_else(|_| unreachable!("the slice has N elements"))
}
