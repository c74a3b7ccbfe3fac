//! Nothing twice: what a layer compresses to, remembered by its DiffID.
//!
//! Compressing is the dear part of a graph-driver manifest; the result is a function of the
//! layer's bytes, their DiffID, and the encoder generation. An entry is one small file:
//!
//! ```text
//! DIR/v1/go1.8/ab/ab12...   "sha256:<gzip digest> <gzip size> sha256:<digest of the text before>\n"
//! ```
//!
//! An entry is used only for a layer whose bytes were hashed to that DiffID in this very run. A
//! false entry can make a wrong digest, so that a signature does not match; it can't make other
//! layers pass, since the config that the manifest names holds their DiffIDs. Entries that don't
//! parse or whose check fails count as absent. A directory that others may write to is not used.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::fsutil::{self, FileError, Mode};
use crate::gogzip::Generation;
use crate::image::digest::Digest;
use crate::image::schema2::Blob;

/// Changes when the form of entries changes, or when an encoder was wrong.
const VERSION: &str = "v1";
/// Entries are about 165 bytes.
const MAX_ENTRY: u64 = 512;
/// Group and others may write.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// A directory of remembered layers.
#[derive(Clone, Debug)]
pub struct LayerCache {
    directory: PathBuf,
}

/// What [`LayerCache::prune`] did.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Pruned {
    /// Entries that were removed.
    pub removed: usize,
    /// Entries that are left.
    pub kept: usize,
}

impl LayerCache {
    /// The cache below `directory`, which need not exist.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// What the layer compresses to, if that is known.
    #[must_use]
    pub fn get(&self, generation: Generation, diff_id: &Digest) -> Option<Blob> {
        if !self.is_private() {
            return None;
        }
        // Whatever is wrong with an entry, the layer is then compressed again.
        let bytes = fsutil::read_regular(&self.path(generation, diff_id), MAX_ENTRY).ok()?;
        parse(std::str::from_utf8(&bytes).ok()?)
    }

    /// Remembers what the layer compresses to.
    ///
    /// # Errors
    /// When the entry can't be written. Nothing is wrong with the result then.
    pub fn put(
        &self,
        generation: Generation,
        diff_id: &Digest,
        blob: &Blob,
    ) -> Result<(), FileError> {
        let path = self.path(generation, diff_id);
        if let Some(parent) = path.parent() {
            fsutil::create_private_dir(parent)?;
        }
        if !self.is_private() {
            return Ok(());
        }
        fsutil::write_atomic(&path, render(blob).as_bytes(), Mode::Private)
    }

    /// Removes entries that were not written within `age` before `now`, and what is no entry.
    ///
    /// # Errors
    /// When a directory can't be read or an entry can't be removed.
    pub fn prune(&self, age: Duration, now: SystemTime) -> std::io::Result<Pruned> {
        let mut pruned = Pruned::default();
        if !self.directory.exists() {
            return Ok(pruned);
        }
        // Without an age everything goes, what was written this very second too.
        let oldest = if age.is_zero() { None } else { now.checked_sub(age) };
        let mut queue = vec![self.directory.clone()];
        while let Some(directory) = queue.pop() {
            for entry in fs::read_dir(directory)? {
                let entry = entry?;
                let metadata = entry.metadata()?;
                if metadata.is_dir() {
                    queue.push(entry.path());
                } else if oldest
                    .is_none_or(|oldest| metadata.modified().is_ok_and(|at| at < oldest))
                {
                    fs::remove_file(entry.path())?;
                    pruned.removed += 1;
                } else {
                    pruned.kept += 1;
                }
            }
        }
        Ok(pruned)
    }

    fn path(&self, generation: Generation, diff_id: &Digest) -> PathBuf {
        let hex = diff_id.hex();
        self.directory.join(VERSION).join(generation.to_string()).join(&hex[..2]).join(hex)
    }

    /// Whether only its owner can write to the cache.
    fn is_private(&self) -> bool {
        fs::symlink_metadata(&self.directory)
            .is_ok_and(|it| it.is_dir() && it.mode() & WRITABLE_BY_OTHERS == 0)
    }
}

fn render(blob: &Blob) -> String {
    let text = format!("{} {} ", blob.digest, blob.size);
    let check = Digest::sha256(text.as_bytes());
    format!("{text}{check}\n")
}

fn parse(entry: &str) -> Option<Blob> {
    let line = entry.strip_suffix('\n')?;
    let (text, check) = line.split_at(line.rfind(' ')? + 1);
    if Digest::sha256(text.as_bytes()).to_string() != check {
        return None;
    }
    let (digest, size) = text.trim_end().split_once(' ')?;
    Some(Blob { digest: digest.parse().ok()?, size: size.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn blob() -> Blob {
        Blob { digest: Digest::sha256(b"gzip"), size: 1234 }
    }

    fn cache() -> (tempfile::TempDir, LayerCache) {
        let temporary = tempfile::tempdir().unwrap();
        let cache = LayerCache::new(&temporary.path().join("layers"));
        (temporary, cache)
    }

    #[test]
    fn remembers_by_diff_id_and_generation() {
        let (_temporary, cache) = cache();
        let diff_id = Digest::sha256(b"layer");
        assert_eq!(cache.get(Generation::Go1_8, &diff_id), None);
        cache.put(Generation::Go1_8, &diff_id, &blob()).unwrap();
        assert_eq!(cache.get(Generation::Go1_8, &diff_id), Some(blob()));
        assert_eq!(cache.get(Generation::Go1_27, &diff_id), None);
        assert_eq!(cache.get(Generation::Go1_8, &Digest::sha256(b"other")), None);
    }

    #[test]
    fn damaged_entries_count_as_absent() {
        let whole = render(&blob());
        assert_eq!(parse(&whole), Some(blob()));
        for cut in 0..whole.len() {
            assert_eq!(parse(&whole[..cut]), None, "cut at {cut}");
        }
        for at in 0..whole.len() {
            let mut damaged = whole.clone().into_bytes();
            damaged[at] ^= 1;
            let read = std::str::from_utf8(&damaged).ok().and_then(parse);
            assert_eq!(read, None, "flipped byte {at}");
        }
    }

    #[test]
    fn a_directory_that_others_write_to_is_not_used() {
        let (_temporary, cache) = cache();
        let diff_id = Digest::sha256(b"layer");
        cache.put(Generation::Go1_8, &diff_id, &blob()).unwrap();
        fs::set_permissions(&cache.directory, fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(cache.get(Generation::Go1_8, &diff_id), None);
    }

    #[test]
    fn prune_removes_old_entries() {
        let (_temporary, cache) = cache();
        let now = SystemTime::now();
        assert_eq!(cache.prune(Duration::ZERO, now).unwrap(), Pruned::default());
        cache.put(Generation::Go1_8, &Digest::sha256(b"a"), &blob()).unwrap();
        let day = Duration::from_secs(86400);
        assert_eq!(cache.prune(day, now).unwrap(), Pruned { removed: 0, kept: 1 });
        let later = now + 2 * day;
        assert_eq!(cache.prune(day, later).unwrap(), Pruned { removed: 1, kept: 0 });
    }
}
