//! What one run has hashed already, so that images which share layers cost their distinct bytes.
//!
//! A result is looked up by **where the bytes are**, never by what they are called: a name, also one
//! that is a digest, is a claim, and two archives that hold "the same" layer hold two runs of bytes,
//! each of which is hashed. Distinct bytes are, exactly:
//!
//! | bytes in | are the same if |
//! |---|---|
//! | a directory (OCI layout) or an uncompressed archive | device, inode, size, mtime and ctime of the open file are, and the section in it: hard links and several names of one file are one, copies are not |
//! | containerd | the store, its namespace and the digest that the store was asked for are |
//! | a compressed archive, a stream, an engine | never: there is nothing to tell them by |
//!
//! The identity is that of the descriptor the bytes are read from, not of a path that is looked up
//! again. A file that is written to in between has another ctime, as exact as the file system keeps
//! it; within that, and in containerd, a memo says what a second verification a moment earlier would
//! have said. A directory is listed, and the documents in it are read, once. A result lives as long as the run and is never written anywhere.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::measure::Measured;
use super::scan::Member;
use crate::image::digest::{Algorithm, Digest};

/// Results of one run. A thread that wants what another one is hashing waits for it.
#[derive(Debug, Default)]
pub struct Memo {
    slots: Mutex<HashMap<Key, Slot>>,
    listings: Mutex<HashMap<(PathBuf, u64, u64), Listing>>,
}

type Slot = Arc<Mutex<Option<Measured>>>;

/// Members of a directory.
type Members = BTreeMap<String, Member>;

type Listing = Arc<Mutex<Option<Arc<Members>>>>;

/// What a result depends on.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Key {
    /// Where the bytes are.
    pub place: Place,
    /// The algorithm they are hashed with as they are stored.
    pub algorithm: Algorithm,
    /// The encoding that is wanted too.
    pub encoding: Option<&'static str>,
}

/// Where bytes are.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Place {
    /// A section of a file.
    File {
        /// Device and inode.
        file: (u64, u64),
        /// Size of the file.
        size: u64,
        /// When it was modified and when it was changed: seconds and nanoseconds.
        times: [(i64, i64); 2],
        /// Begin and length of the section.
        section: (u64, u64),
    },
    /// The content of a store.
    Store {
        /// Which store, and which namespace of it.
        store: String,
        /// What it was asked for.
        digest: Digest,
    },
}

impl Place {
    /// A section of an open file.
    ///
    /// # Errors
    /// When the file can't be looked at.
    pub(super) fn in_file(file: &fs::File, at: u64, length: u64) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self::File {
            file: (metadata.dev(), metadata.ino()),
            size: metadata.size(),
            times: [
                (metadata.mtime(), metadata.mtime_nsec()),
                (metadata.ctime(), metadata.ctime_nsec()),
            ],
            section: (at, length),
        })
    }
}

impl Memo {
    /// The members of a directory, with its documents as they were when the run first looked. What
    /// is found in them is checked against the bytes of each blob, whenever those are read.
    pub(super) fn listing<E>(
        &self,
        root: &Path,
        metadata: &fs::Metadata,
        list: impl FnOnce() -> Result<Members, E>,
    ) -> Result<Arc<Members>, E> {
        let key = (root.to_owned(), metadata.dev(), metadata.ino());
        let listing = match self.listings.lock() {
            Ok(mut listings) => Arc::clone(listings.entry(key).or_default()),
            Err(_) => return Ok(Arc::new(list()?)),
        };
        let Ok(mut listing) = listing.lock() else { return Ok(Arc::new(list()?)) };
        if let Some(known) = &*listing {
            return Ok(Arc::clone(known));
        }
        let members = Arc::new(list()?);
        *listing = Some(Arc::clone(&members));
        Ok(members)
    }

    /// The result for a key: the one that is known, or what `measure` finds. Whether it was known
    /// comes with it. A failure is not remembered.
    ///
    /// # Errors
    /// Those of `measure`.
    pub fn get_or<E>(
        &self,
        key: Key,
        measure: impl FnOnce() -> Result<Measured, E>,
    ) -> Result<(Measured, bool), E> {
        let slot = match self.slots.lock() {
            Ok(mut slots) => Arc::clone(slots.entry(key).or_default()),
            // Another thread stopped in the middle: nothing is known for sure.
            Err(_) => return Ok((measure()?, false)),
        };
        let Ok(mut slot) = slot.lock() else { return Ok((measure()?, false)) };
        if let Some(known) = &*slot {
            return Ok((known.clone(), true));
        }
        let measured = measure()?;
        *slot = Some(measured.clone());
        Ok((measured, false))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::convert::Infallible;
    use std::io::Write as _;
    use std::num::NonZero;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::content::archive::{Archive, Encoder, Encoders, Jobs, Source, Work, measure};
    use crate::content::limits::Limits;
    use crate::image::schema2::Blob;

    fn key(place: Place) -> Key {
        Key { place, algorithm: Algorithm::Sha256, encoding: None }
    }

    fn measured(bytes: &[u8]) -> Measured {
        measure("a", &mut &*bytes, None, &Limits::default(), &()).unwrap()
    }

    #[test]
    fn the_same_bytes_are_measured_once_and_others_each() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let mut first = tempfile::NamedTempFile::new_in(directory.path()).unwrap();
        first.write_all(b"layer").unwrap();
        fs::hard_link(first.path(), path("link")).unwrap();
        fs::copy(first.path(), path("copy")).unwrap();
        let open = |name: &str| crate::fsutil::open(&path(name)).unwrap();
        let place = |file: &fs::File, at, length| key(Place::in_file(file, at, length).unwrap());
        let (memo, count) = (Memo::default(), Cell::new(0));
        let ask = |key: Key| {
            memo.get_or(key, || {
                count.set(count.get() + 1);
                Ok::<_, Infallible>(measured(b"layer"))
            })
            .unwrap();
            count.get()
        };
        assert_eq!(ask(place(first.as_file(), 0, 5)), 1);
        assert_eq!(ask(place(first.as_file(), 0, 5)), 1, "the same");
        assert_eq!(ask(place(&open("link"), 0, 5)), 1, "a hard link");
        assert_eq!(ask(place(&open("copy"), 0, 5)), 2, "a copy");
        assert_eq!(ask(place(first.as_file(), 1, 4)), 3, "another section");
        let other = Key { encoding: Some("go1.8"), ..place(first.as_file(), 0, 5) };
        assert_eq!(ask(other), 4, "an encoding is wanted");
        let other = Key { algorithm: Algorithm::Sha512, ..place(first.as_file(), 0, 5) };
        assert_eq!(ask(other), 5, "another algorithm");
        // As long as it had, and dated back: the ctime tells.
        std::thread::sleep(std::time::Duration::from_millis(20));
        let modified = first.as_file().metadata().unwrap().modified().unwrap();
        first.as_file_mut().write_all(b"!").unwrap();
        first.as_file().set_len(5).unwrap();
        first.as_file().set_modified(modified).unwrap();
        assert_eq!(ask(place(first.as_file(), 0, 5)), 6, "written to");
        let store = |store: &str| {
            key(Place::Store { store: store.to_owned(), digest: Digest::sha256(b"layer") })
        };
        assert_eq!(ask(store("a")), 7);
        assert_eq!(ask(store("a")), 7);
        assert_eq!(ask(store("b")), 8, "another store");
    }

    /// Counts the layers that are read, by the encoders that this takes.
    #[derive(Default)]
    struct Counting(AtomicUsize);

    struct Nothing;

    impl Encoder for Nothing {
        fn write(&mut self, _bytes: &[u8]) -> io::Result<()> {
            Ok(())
        }

        fn finish(self: Box<Self>) -> io::Result<Blob> {
            Ok(Blob { digest: Digest::sha256(b""), size: 0 })
        }
    }

    impl Encoders for Counting {
        fn encoder(&self, _threads: NonZero<usize>) -> Option<Box<dyn Encoder>> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Some(Box::new(Nothing))
        }

        fn name(&self) -> &'static str {
            "nothing"
        }

        fn can_wait(&self, _name: &str) -> bool {
            false
        }
    }

    #[test]
    fn images_of_one_layout_cost_their_distinct_bytes() {
        let directory = tempfile::tempdir().unwrap();
        let blobs = directory.path().join("blobs/sha256");
        crate::fsutil::create_public_dir(&blobs).unwrap();
        for name in ["a", "b", "c"] {
            let path = blobs.join(name);
            crate::fsutil::write_new(&path, name.as_bytes(), crate::fsutil::Mode::Public).unwrap();
        }
        let (memo, encoders) = (Memo::default(), Counting::default());
        let jobs = |memo| Jobs {
            work: Work::Hash,
            encoders: &encoders,
            threads: NonZero::<usize>::MIN,
            memo,
            progress: &(),
        };
        let verify = |layers: &[&str], memo| {
            let jobs = jobs(memo);
            let source = Source::Path(directory.path().to_owned());
            let mut archive = Archive::read(source, &jobs, Limits::default()).unwrap();
            let name = |layer: &str| format!("blobs/sha256/{layer}");
            let wishes = layers.iter().map(|layer| (name(layer), true)).collect();
            archive.measure(&wishes, &jobs).unwrap();
            for layer in layers {
                let found = &archive.measured(&name(layer)).unwrap().stored.digest;
                assert_eq!(*found, Digest::sha256(layer.as_bytes()));
            }
        };
        verify(&["a", "b"], Some(&memo));
        verify(&["a", "c"], Some(&memo));
        verify(&["a", "b", "c"], Some(&memo));
        assert_eq!(encoders.0.load(Ordering::Relaxed), 3);
        verify(&["a", "b"], None);
        assert_eq!(encoders.0.load(Ordering::Relaxed), 5, "a run of its own");
    }

    #[test]
    fn a_failure_is_not_remembered() {
        let memo = Memo::default();
        let key = key(Place::Store { store: String::new(), digest: Digest::sha256(b"") });
        assert_eq!(memo.get_or(key.clone(), || Err(1)).unwrap_err(), 1);
        let (_, known) = memo.get_or(key, || Ok::<_, ()>(measured(b""))).unwrap();
        assert!(!known);
    }
}
