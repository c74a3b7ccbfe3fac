//! A read-only walker of bolt (bbolt) databases, such as containerd's `meta.db`
//! (spec/containerd.md §4).
//!
//! No published crate reads the files that today's containerd writes: `nut` and `bbolt-rs` demand
//! the freelist that containerd 1.7 leaves out, and wait for a lock that containerd holds for its
//! whole life. This one reads page by page, takes no lock, maps nothing, and writes nothing.
//!
//! **Consistency.** bolt copies on write: pages of transaction N are not overwritten before
//! transaction N + 2 begins, and that is after the meta page of N + 1 was written. So what was read
//! is a snapshot if the newest meta page afterwards is still that of N; else it is read again.
//!
//! **Hostile files.** Every offset, count and size is checked, keys must ascend within a page and
//! stay between those of the page above, a walk meets no page twice, and depth and bytes are
//! limited. Whoever walks and whoever searches see the same keys.

mod page;
#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::io::{self, Read, Seek, SeekFrom};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use self::page::{Elements, HEADER, Header, META_PAGE, Meta, Node, PAGE_SIZES, u64_at};

/// Largest file. Nodes have 1 to 50 MiB.
pub const MAX_FILE_BYTES: u64 = 1 << 30;
/// Deepest tree.
pub const MAX_DEPTH: usize = 64;
/// Largest node with its overflow pages: containerd's largest value is a container's spec.
pub const MAX_NODE_BYTES: u64 = 16 << 20;
/// Most bytes that one snapshot reads, pages read twice counted twice.
pub const MAX_READ_BYTES: u64 = 4 << 30;
/// How long to wait before each further try while the file keeps changing.
const PAUSES: [u64; 20] =
    [20, 20, 40, 40, 80, 80, 160, 160, 320, 320, 640, 640, 640, 640, 640, 640, 640, 640, 640, 640];

/// A database that is read page by page.
#[derive(Debug)]
pub struct Database<R> {
    source: R,
    pause: fn(Duration),
}

impl<R: Read + Seek> Database<R> {
    /// A database in `source`. Nothing is read yet.
    pub fn new(source: R) -> Self {
        Self { source, pause: thread::sleep }
    }

    /// Runs `job` on a snapshot, again if the database was changed meanwhile.
    ///
    /// # Errors
    /// What `job` returns, or [`BoltError`]: no valid meta page, or [`BoltError::Busy`].
    pub fn read<T, E: From<BoltError>>(
        &mut self,
        mut job: impl FnMut(&mut Snapshot<'_, R>) -> Result<T, E>,
    ) -> Result<T, E> {
        for pause in PAUSES {
            let meta = self.newest_meta()?;
            let source = &mut self.source;
            let result = job(&mut Snapshot { source, meta, budget: MAX_READ_BYTES });
            // An error may be the trace of a write, too.
            if self.newest_meta()? == meta {
                return result;
            }
            (self.pause)(Duration::from_millis(pause));
        }
        Err(BoltError::Busy.into())
    }

    /// The valid meta page with the highest transaction.
    fn newest_meta(&mut self) -> Result<Meta, BoltError> {
        let size = self.source.seek(SeekFrom::End(0)).map_err(BoltError::Io)?;
        if size > MAX_FILE_BYTES {
            return Err(BoltError::TooLarge { size, limit: MAX_FILE_BYTES });
        }
        let first = self.meta_at(0)?;
        let second = match first {
            Some(first) => self.meta_at(first.page_size.into())?,
            None => self.second_meta()?,
        };
        let same_size = |meta: &Meta| first.is_none_or(|first| first.page_size == meta.page_size);
        let newest = [first, second.filter(same_size)].into_iter().flatten().max_by_key(|m| m.txid);
        newest.ok_or(BoltError::NoMeta)
    }

    /// Where the first meta page is bad, the second is looked for at every possible page size.
    fn second_meta(&mut self) -> Result<Option<Meta>, BoltError> {
        let mut size = PAGE_SIZES.start;
        while PAGE_SIZES.contains(&size) {
            if let Some(meta) = self.meta_at(size.into())?
                && meta.page_size == size
            {
                return Ok(Some(meta));
            }
            size *= 2;
        }
        Ok(None)
    }

    fn meta_at(&mut self, offset: u64) -> Result<Option<Meta>, BoltError> {
        let mut page = [0; META_PAGE];
        match read_at(&mut self.source, offset, &mut page) {
            Ok(()) => Ok(Meta::parse(&page)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(BoltError::Io(error)),
        }
    }
}

fn read_at(source: &mut (impl Read + Seek), offset: u64, buffer: &mut [u8]) -> io::Result<()> {
    source.seek(SeekFrom::Start(offset))?;
    source.read_exact(buffer)
}

/// One version of the database.
#[derive(Debug)]
pub struct Snapshot<'a, R> {
    source: &'a mut R,
    meta: Meta,
    budget: u64,
}

/// A bucket: keys with values and further buckets.
#[derive(Clone, Debug)]
pub struct Bucket(Root);

#[derive(Clone, Debug)]
enum Root {
    Page(u64),
    /// A leaf page in the value itself.
    Inline(Rc<[u8]>),
}

/// What a key leads to.
#[derive(Clone, Debug)]
pub enum Value {
    /// A further bucket.
    Bucket(Bucket),
    /// Bytes.
    Bytes(Vec<u8>),
}

impl Value {
    fn of(value: &[u8], is_bucket: bool) -> Result<Self, &'static str> {
        if !is_bucket {
            return Ok(Self::Bytes(value.to_vec()));
        }
        // `root page u64 | sequence u64`, then for root 0 the page itself.
        match (u64_at(value, 0), value.get(16..)) {
            (Some(0), Some(inline)) => Ok(Self::Bucket(Bucket(Root::Inline(inline.into())))),
            (Some(root), Some([])) => Ok(Self::Bucket(Bucket(Root::Page(root)))),
            _ => Err("has a malformed bucket"),
        }
    }
}

/// What is called for every key of a bucket: with the snapshot, the key, and what it leads to.
pub type Each<'e, S, E> = dyn FnMut(&mut S, &[u8], Value) -> Result<(), E> + 'e;

/// The keys that may be in a subtree: from the first on, below the second.
type Bounds = (Option<Vec<u8>>, Option<Vec<u8>>);

impl<R: Read + Seek> Snapshot<'_, R> {
    /// The bucket of all buckets.
    pub fn root(&self) -> Bucket {
        Bucket(Root::Page(self.meta.root))
    }

    /// What a key leads to.
    ///
    /// # Errors
    /// [`BoltError`].
    pub fn get(&mut self, bucket: &Bucket, key: &[u8]) -> Result<Option<Value>, BoltError> {
        let mut place = bucket.0.clone();
        let mut bounds = (None, None);
        for _ in 0..MAX_DEPTH {
            let node = self.node(&place, &bounds)?;
            let branches = match &node.elements {
                Elements::Leaf(leaves) => {
                    let found = leaves.binary_search_by(|leaf| node.leaf_key(leaf).cmp(key));
                    let Some(leaf) = found.ok().and_then(|at| leaves.get(at)) else {
                        return Ok(None);
                    };
                    let value = Value::of(node.value(leaf), leaf.is_bucket);
                    return value.map(Some).map_err(|problem| place.malformed(problem));
                }
                Elements::Branch(branches) => branches,
            };
            let behind = branches.partition_point(|branch| node.branch_key(branch) <= key);
            let Some(branch) = behind.checked_sub(1).and_then(|at| branches.get(at)) else {
                return Ok(None);
            };
            let next = branches.get(behind).map(|next| node.branch_key(next).to_vec());
            bounds = (Some(node.branch_key(branch).to_vec()), next.or(bounds.1));
            place = Root::Page(branch.child);
        }
        Err(place.malformed(TOO_DEEP))
    }

    /// The bucket below `bucket` that a path of keys leads to.
    ///
    /// # Errors
    /// [`BoltError`].
    pub fn bucket(&mut self, bucket: &Bucket, path: &[&[u8]]) -> Result<Option<Bucket>, BoltError> {
        let mut bucket = bucket.clone();
        for key in path {
            match self.get(&bucket, key)? {
                Some(Value::Bucket(inner)) => bucket = inner,
                Some(Value::Bytes(_)) | None => return Ok(None),
            }
        }
        Ok(Some(bucket))
    }

    /// The bytes that a key leads to.
    ///
    /// # Errors
    /// [`BoltError`].
    pub fn bytes(&mut self, bucket: &Bucket, key: &[u8]) -> Result<Option<Vec<u8>>, BoltError> {
        Ok(match self.get(bucket, key)? {
            Some(Value::Bytes(bytes)) => Some(bytes),
            Some(Value::Bucket(_)) | None => None,
        })
    }

    /// Calls `each` for every key of a bucket, in ascending order.
    ///
    /// # Errors
    /// [`BoltError`], and what `each` returns.
    pub fn scan<E: From<BoltError>>(
        &mut self,
        bucket: &Bucket,
        each: &mut Each<'_, Self, E>,
    ) -> Result<(), E> {
        self.walk(&bucket.0, &(None, None), MAX_DEPTH, &mut HashSet::new(), each)
    }

    fn walk<E: From<BoltError>>(
        &mut self,
        place: &Root,
        bounds: &Bounds,
        depth: usize,
        seen: &mut HashSet<u64>,
        each: &mut Each<'_, Self, E>,
    ) -> Result<(), E> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(place.malformed(TOO_DEEP).into());
        };
        if let Root::Page(page) = place
            && !seen.insert(*page)
        {
            return Err(place.malformed("is in the tree twice").into());
        }
        let node = self.node(place, bounds)?;
        match &node.elements {
            Elements::Leaf(leaves) => {
                for leaf in leaves {
                    let value = Value::of(node.value(leaf), leaf.is_bucket);
                    let value = value.map_err(|problem| place.malformed(problem))?;
                    each(self, node.leaf_key(leaf), value)?;
                }
            }
            Elements::Branch(branches) => {
                for (at, branch) in branches.iter().enumerate() {
                    let next = branches.get(at + 1).map(|next| node.branch_key(next).to_vec());
                    let low = Some(node.branch_key(branch).to_vec());
                    let bounds = (low, next.or_else(|| bounds.1.clone()));
                    self.walk(&Root::Page(branch.child), &bounds, depth, seen, each)?;
                }
            }
        }
        Ok(())
    }

    /// Reads a node and checks that its keys are between those above it.
    fn node(&mut self, place: &Root, (low, high): &Bounds) -> Result<Node, BoltError> {
        let bytes = match place {
            Root::Page(id) => self.page(*id)?,
            Root::Inline(bytes) => Box::from(&bytes[..]),
        };
        let node = Node::parse(bytes).map_err(|problem| place.malformed(problem))?;
        if matches!((place, &node.elements), (Root::Inline(_), Elements::Branch(_))) {
            return Err(place.malformed("is a branch"));
        }
        let mut keys = node.keys();
        let first = keys.next();
        let last = keys.last().or(first);
        let is_low = low.as_deref().is_some_and(|low| first.is_none_or(|first| first < low));
        let is_high = high.as_deref().is_some_and(|high| last.is_some_and(|last| last >= high));
        if is_low || is_high {
            return Err(place.malformed("has keys that belong elsewhere"));
        }
        Ok(node)
    }

    /// Reads a page with its overflow pages.
    fn page(&mut self, id: u64) -> Result<Box<[u8]>, BoltError> {
        let malformed = |problem| Root::Page(id).malformed(problem);
        if !(2..self.meta.high_water).contains(&id) {
            return Err(malformed("is outside of the file"));
        }
        let size = u64::from(self.meta.page_size);
        // Within MAX_FILE_BYTES or not there at all.
        let offset = id.checked_mul(size).ok_or_else(|| malformed("is outside of the file"))?;
        let mut header = [0; HEADER];
        self.fill(id, offset, &mut header)?;
        let header = Header::parse(&header).ok_or_else(|| malformed("has no header"))?;
        if header.id != id {
            return Err(malformed("has the number of another page"));
        }
        let overflow = u64::from(header.overflow);
        if overflow >= self.meta.high_water - id {
            return Err(malformed("overflows the file"));
        }
        let bytes = (overflow + 1) * size;
        if bytes > MAX_NODE_BYTES {
            return Err(malformed("is larger than the limit of 16 MiB"));
        }
        self.budget = self.budget.checked_sub(bytes).ok_or(BoltError::Budget)?;
        let length = usize::try_from(bytes).map_err(|_| malformed("does not fit into memory"))?;
        let mut page = vec![0; length];
        self.fill(id, offset, &mut page)?;
        Ok(page.into())
    }

    fn fill(&mut self, id: u64, offset: u64, buffer: &mut [u8]) -> Result<(), BoltError> {
        read_at(self.source, offset, buffer).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                Root::Page(id).malformed("is behind the end of the file")
            }
            _ => BoltError::Io(error),
        })
    }
}

const TOO_DEEP: &str = "is deeper than 64 levels";

impl Root {
    fn malformed(&self, problem: &'static str) -> BoltError {
        match self {
            Self::Page(page) => BoltError::Page { page: *page, problem },
            Self::Inline(_) => BoltError::Inline { problem },
        }
    }
}

/// Why a bolt database can't be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BoltError {
    /// More was read than any real database holds.
    #[error("more than {MAX_READ_BYTES} bytes would have to be read")]
    Budget,
    /// It is written faster than it can be read.
    #[error("the database keeps changing while it is read")]
    Busy,
    /// A bucket within a page is malformed.
    #[error("an inline bucket {problem}")]
    Inline {
        /// What is wrong.
        problem: &'static str,
    },
    /// Reading failed.
    #[error(transparent)]
    Io(io::Error),
    /// Neither meta page is valid.
    #[error("no bolt database, or damaged: neither of its meta pages is valid")]
    NoMeta,
    /// A page is malformed.
    #[error("page {page} {problem}")]
    Page {
        /// The page.
        page: u64,
        /// What is wrong.
        problem: &'static str,
    },
    /// The file is larger than it may be.
    #[error("the database of {size} bytes is larger than the limit of {limit}")]
    TooLarge {
        /// Its size.
        size: u64,
        /// The limit.
        limit: u64,
    },
}
