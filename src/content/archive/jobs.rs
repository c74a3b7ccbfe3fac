//! Measuring the blobs of an archive, several at a time.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::num::NonZero;
use std::os::unix::fs::FileExt;
use std::sync::Mutex;

use super::directory;
use super::error::ArchiveError;
use super::measure::{Encoders, Measured, measure, stored_algorithm};
use super::memo::{Key, Memo, Place};
use super::scan::{Archive, Origin};
use crate::progress::Progress;

/// What to do with the blobs of a stream while they go by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Work {
    /// Hash them.
    Hash,
    /// Hash and encode them, except the blobs that containerd's exporter wrote (mode 0444 below
    /// `blobs/`): those are sent as they are.
    Encode,
    /// Hash and encode all of them.
    EncodeAll,
    /// Pass them by: only documents are wanted.
    Nothing,
}

/// How blobs are measured.
#[derive(Clone, Copy)]
pub struct Jobs<'a> {
    /// What to do with the blobs of a stream.
    pub work: Work,
    /// Make the encodings.
    pub encoders: &'a dyn Encoders,
    /// Most threads.
    pub threads: NonZero<usize>,
    /// What the run has measured already; a stream is measured in any case.
    pub memo: Option<&'a Memo>,
    /// Is told how far it is.
    pub progress: &'a dyn Progress,
}

impl std::fmt::Debug for Jobs<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jobs").field("work", &self.work).field("threads", &self.threads).finish()
    }
}

impl Archive {
    /// What is known of the blob `name` (a resolved name) after [`Archive::measure`].
    ///
    /// # Errors
    /// When it was never measured.
    pub fn measured(&self, name: &str) -> Result<&Measured, ArchiveError> {
        self.members
            .get(name)
            .and_then(|member| member.measured.as_ref())
            .ok_or_else(|| ArchiveError::Missing { what: "blob", name: name.to_owned() })
    }

    /// Measures the blobs that have not been measured yet.
    ///
    /// Each wish is a resolved name and whether the encoding is wanted too. A layer that is more
    /// than its share of the work is encoded by all threads together; the others one each.
    ///
    /// # Errors
    /// When reading or decompressing fails, or the archive was a stream and a blob is needed in
    /// another way than it was measured.
    pub fn measure(
        &mut self,
        wishes: &BTreeMap<String, bool>,
        jobs: &Jobs<'_>,
    ) -> Result<(), ArchiveError> {
        let size = |name: &String| self.members.get(name).map_or(0, |member| member.size);
        let mut queue: Vec<(&String, bool)> = wishes
            .iter()
            .filter(|(name, encode)| self.wants(name, **encode))
            .map(|(name, encode)| (name, *encode))
            .collect();
        // The largest last: they are taken from the end, so that no thread starts one late.
        queue.sort_by_key(|(name, _)| size(name));
        let total: u64 = queue.iter().map(|(name, _)| size(name)).sum();
        let share = total / jobs.threads.get() as u64;
        let layers = queue.iter().map(|(name, _)| *name).filter(|name| self.is_layer(name));
        match layers.clone().count() {
            0 => {}
            count => jobs.progress.begin("layers", count, layers.map(size).sum()),
        }
        let mut done = Vec::new();
        while let Some((name, _)) = queue.pop_if(|(name, encode)| *encode && size(name) > share) {
            done.push((name.clone(), self.measure_one(name, true, jobs.threads, jobs)?));
        }
        done.extend(self.measure_side_by_side(queue, jobs)?);
        for (name, measured) in done {
            if let Some(member) = self.members.get_mut(&name) {
                member.measured = Some(measured);
            }
        }
        Ok(())
    }

    fn measure_side_by_side(
        &self,
        queue: Vec<(&String, bool)>,
        jobs: &Jobs<'_>,
    ) -> Result<Vec<(String, Measured)>, ArchiveError> {
        let workers = jobs.threads.get().min(queue.len());
        let queue = Mutex::new(queue);
        let work = || -> Result<Vec<(String, Measured)>, ArchiveError> {
            let mut done = Vec::new();
            while let Some((name, encode)) = queue.lock().ok().and_then(|mut q| q.pop()) {
                let measured = self.measure_one(name, encode, NonZero::<usize>::MIN, jobs);
                if measured.is_err()
                    && let Ok(mut queue) = queue.lock()
                {
                    // The others stop at their next blob.
                    queue.clear();
                }
                done.push((name.clone(), measured?));
            }
            Ok(done)
        };
        std::thread::scope(|scope| {
            let handles: Vec<_> = (1..workers).map(|_| scope.spawn(work)).collect();
            let mut result = work();
            for handle in handles {
                let other = handle.join().unwrap_or_else(|_| {
                    let source = io::Error::other("a worker stopped");
                    Err(ArchiveError::Io { what: "layers".into(), source })
                });
                result = result.and_then(|mut done| {
                    done.extend(other?);
                    Ok(done)
                });
            }
            result
        })
    }

    /// Whether it is what takes its time: configs and manifests are in memory.
    fn is_layer(&self, name: &str) -> bool {
        self.members.get(name).is_some_and(|member| member.document.is_none())
    }

    fn wants(&self, name: &str, encode: bool) -> bool {
        let known = self.members.get(name).and_then(|member| member.measured.as_ref());
        known.is_none_or(|measured| encode && measured.encoded.is_none())
    }

    /// The bytes of the member `name` (a resolved name), as they are stored.
    ///
    /// # Errors
    /// When there is no such member, or the archive was a stream and is gone.
    pub fn open(&self, name: &str) -> Result<Box<dyn Read + '_>, ArchiveError> {
        Ok(self.locate(name)?.0)
    }

    /// The bytes of a member, and where they are, told by the file that they are read from.
    fn locate(&self, name: &str) -> Result<(Box<dyn Read + '_>, Option<Place>), ArchiveError> {
        let missing = || ArchiveError::Missing { what: "blob", name: name.to_owned() };
        let member = self.members.get(name).ok_or_else(missing)?;
        Ok(match (&member.document, &self.origin) {
            (Some(bytes), _) => (Box::new(bytes.as_slice()), None),
            (None, Origin::File(file)) => {
                let place = Place::in_file(file, member.position, member.size);
                (Box::new(Section { file, at: member.position, left: member.size }), place.ok())
            }
            (None, Origin::Directory(root)) => {
                let file = directory::open(root, name)?;
                let place = Place::in_file(&file, 0, member.size);
                (Box::new(file), place.ok())
            }
            (None, Origin::Stream) => {
                return Err(ArchiveError::Streamed { name: name.to_owned() });
            }
        })
    }

    fn measure_one(
        &self,
        name: &str,
        encode: bool,
        threads: NonZero<usize>,
        jobs: &Jobs<'_>,
    ) -> Result<Measured, ArchiveError> {
        let member = self
            .members
            .get(name)
            .ok_or_else(|| ArchiveError::Missing { what: "blob", name: name.to_owned() })?;
        let (mut reader, place) = self.locate(name)?;
        let progress = if self.is_layer(name) { jobs.progress } else { &() };
        let step = || progress.step(name, Some(member.size));
        let mut measure = || {
            let step = step();
            let encoder = if encode { jobs.encoders.encoder(threads) } else { None };
            measure(name, &mut *reader, encoder, &self.limits, &*step)
        };
        let measured = match (jobs.memo, place) {
            (Some(memo), Some(place)) => {
                let algorithm = stored_algorithm(name);
                let encoding = encode.then(|| jobs.encoders.name());
                let (measured, known) = memo.get_or(Key { place, algorithm, encoding }, measure)?;
                if known {
                    step().advance(measured.stored.size);
                }
                measured
            }
            _ => measure()?,
        };
        if measured.stored.size != member.size {
            // A file that changes while it is read.
            return Err(ArchiveError::Size {
                what: name.to_owned(),
                expected: member.size,
                found: measured.stored.size,
            });
        }
        Ok(measured)
    }
}

/// A part of a file, read without moving the file's own position.
struct Section<'a> {
    file: &'a fs::File,
    at: u64,
    left: u64,
}

impl Read for Section<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let n = self.file.read_at(&mut buffer[..want], self.at)?;
        self.at += n as u64;
        self.left -= n as u64;
        Ok(n)
    }
}
