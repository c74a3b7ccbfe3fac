//! One page of a bolt file: the nodes of its trees, and the meta page.

use std::ops::Range;

/// Bytes before the elements of a page.
pub(super) const HEADER: usize = 16;
/// Bytes of a branch or leaf element.
const ELEMENT: usize = 16;
/// Bytes of the meta structure behind the page header.
const META: usize = 64;
/// Bytes of a meta page that are read.
pub(super) const META_PAGE: usize = HEADER + META;
/// What a meta page begins with, `0xED0CDAED`.
const MAGIC: u32 = 0xED0C_DAED;
/// The only version of the format.
const VERSION: u32 = 2;
/// Page flag: inner node.
const BRANCH: u16 = 1;
/// Page flag: node with keys and values.
const LEAF: u16 = 2;
/// Leaf element flag: the value is a bucket.
const BUCKET: u32 = 1;
/// Smallest and largest page size that operating systems have.
pub(super) const PAGE_SIZES: Range<u32> = 1024..65537;

/// The header of a page.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) id: u64,
    pub(super) flags: u16,
    pub(super) count: u16,
    pub(super) overflow: u32,
}

impl Header {
    /// ```text
    /// 0 id u64 | 8 flags u16 | 10 count u16 | 12 overflow u32     little-endian
    /// ```
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            id: u64_at(bytes, 0)?,
            flags: u16_at(bytes, 8)?,
            count: u16_at(bytes, 10)?,
            overflow: u32_at(bytes, 12)?,
        })
    }
}

/// The root of one version of the database.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Meta {
    pub(super) page_size: u32,
    pub(super) root: u64,
    /// One more than the highest page in use.
    pub(super) high_water: u64,
    /// Number of the transaction that wrote it.
    pub(super) txid: u64,
}

impl Meta {
    /// Reads a meta page; `None` if it is none, or half of one.
    ///
    /// ```text
    /// 0 magic u32 | 4 version u32 | 8 page size u32 | 12 flags u32 | 16 root u64 | 24 sequence u64 |
    /// 32 freelist u64 | 40 high water u64 | 48 txid u64 | 56 FNV-1a-64 of the 56 bytes before
    /// ```
    ///
    /// The freelist is not looked at: containerd 1.7 and newer don't even write it.
    pub(super) fn parse(page: &[u8]) -> Option<Self> {
        let body = page.get(HEADER..META_PAGE)?;
        let is_valid = u32_at(body, 0)? == MAGIC
            && u32_at(body, 4)? == VERSION
            && fnv1a(body.get(..56)?) == u64_at(body, 56)?;
        let meta = Self {
            page_size: u32_at(body, 8)?,
            root: u64_at(body, 16)?,
            high_water: u64_at(body, 40)?,
            txid: u64_at(body, 48)?,
        };
        let has_size = PAGE_SIZES.contains(&meta.page_size) && meta.page_size.is_power_of_two();
        (is_valid && has_size).then_some(meta)
    }
}

/// FNV-1a with 64 bits.
pub(super) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// A node of a tree, its elements checked.
#[derive(Clone, Debug)]
pub(super) struct Node {
    bytes: Box<[u8]>,
    pub(super) elements: Elements,
}

/// The elements of a node, in ascending order of their keys, no key twice.
#[derive(Clone, Debug)]
pub(super) enum Elements {
    Branch(Vec<Branch>),
    Leaf(Vec<Leaf>),
}

/// Where the smallest key of a child is, and the child's page.
#[derive(Clone, Debug)]
pub(super) struct Branch {
    key: Range<usize>,
    pub(super) child: u64,
}

/// Where a key and its value are.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    key: Range<usize>,
    value: Range<usize>,
    pub(super) is_bucket: bool,
}

impl Node {
    /// Reads the page that fills `bytes`.
    pub(super) fn parse(bytes: Box<[u8]>) -> Result<Self, &'static str> {
        let header = Header::parse(&bytes).ok_or("is shorter than its header")?;
        let count = usize::from(header.count);
        let elements = match header.flags {
            BRANCH if count == 0 => return Err("is a branch without children"),
            BRANCH => Elements::Branch(branches(&bytes, count)?),
            LEAF => Elements::Leaf(leaves(&bytes, count)?),
            _ => return Err("is neither branch nor leaf"),
        };
        let node = Self { bytes, elements };
        if node.keys().is_sorted_by(|a, b| a < b) {
            Ok(node)
        } else {
            Err("has its keys out of order")
        }
    }

    fn ranges(&self) -> Box<dyn Iterator<Item = &Range<usize>> + '_> {
        match &self.elements {
            Elements::Branch(all) => Box::new(all.iter().map(|it| &it.key)),
            Elements::Leaf(all) => Box::new(all.iter().map(|it| &it.key)),
        }
    }

    /// The keys, in their order.
    pub(super) fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.ranges().map(|range| self.slice(range))
    }

    /// The key of a child.
    pub(super) fn branch_key(&self, branch: &Branch) -> &[u8] {
        self.slice(&branch.key)
    }

    /// The key of a leaf element.
    pub(super) fn leaf_key(&self, leaf: &Leaf) -> &[u8] {
        self.slice(&leaf.key)
    }

    /// The value of a leaf element.
    pub(super) fn value(&self, leaf: &Leaf) -> &[u8] {
        self.slice(&leaf.value)
    }

    /// Ranges were checked when they were read.
    fn slice(&self, range: &Range<usize>) -> &[u8] {
        self.bytes.get(range.clone()).unwrap_or_default()
    }
}

const OUTSIDE: &str = "has an element outside of it";

/// `pos u32 | key size u32 | page u64`, pos counted from the element.
fn branches(bytes: &[u8], count: usize) -> Result<Vec<Branch>, &'static str> {
    elements(bytes, count)?
        .map(|(at, element)| {
            let pos = u32_at(element, 0).ok_or(OUTSIDE)?;
            let size = u32_at(element, 4).ok_or(OUTSIDE)?;
            let key = range(bytes, count, at, pos, size)?;
            Ok(Branch { key, child: u64_at(element, 8).ok_or(OUTSIDE)? })
        })
        .collect()
}

/// `flags u32 | pos u32 | key size u32 | value size u32`, the value behind the key.
fn leaves(bytes: &[u8], count: usize) -> Result<Vec<Leaf>, &'static str> {
    elements(bytes, count)?
        .map(|(at, element)| {
            let flags = u32_at(element, 0).ok_or(OUTSIDE)?;
            let pos = u32_at(element, 4).ok_or(OUTSIDE)?;
            let key = range(bytes, count, at, pos, u32_at(element, 8).ok_or(OUTSIDE)?)?;
            let value = range(bytes, count, key.end, 0, u32_at(element, 12).ok_or(OUTSIDE)?)?;
            if flags > BUCKET {
                return Err("has an element of unknown kind");
            }
            Ok(Leaf { key, value, is_bucket: flags == BUCKET })
        })
        .collect()
}

/// The elements with their offsets.
fn elements(
    bytes: &[u8],
    count: usize,
) -> Result<impl Iterator<Item = (usize, &[u8])>, &'static str> {
    let end = HEADER + count * ELEMENT;
    let array = bytes.get(HEADER..end).ok_or(OUTSIDE)?;
    Ok((HEADER..).step_by(ELEMENT).zip(array.chunks_exact(ELEMENT)))
}

/// `size` bytes at `base + pos`, behind the elements and within the page.
fn range(
    bytes: &[u8],
    count: usize,
    base: usize,
    pos: u32,
    size: u32,
) -> Result<Range<usize>, &'static str> {
    let place = || {
        let start = base.checked_add(usize::try_from(pos).ok()?)?;
        let end = start.checked_add(usize::try_from(size).ok()?)?;
        (start >= HEADER + count * ELEMENT && end <= bytes.len()).then_some(start..end)
    };
    place().ok_or(OUTSIDE)
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}
