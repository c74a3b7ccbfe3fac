//! The files of a plugin in an archive: zip, or tar compressed with gzip.
//!
//! Names are reduced to their last part, as notation does: nothing is ever written elsewhere. An
//! archive is read to its end, checksums included, before anything of it is used.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufReader, Read};

use flate2::bufread::MultiGzDecoder;

/// Most bytes of one file, and of all files together; notation's limit.
pub(super) const MAX_BYTES: u64 = 256 << 20;

/// Most entries that are looked at.
const MAX_ENTRIES: usize = 10_000;

/// How much more than its files the stream of a tar archive may have: headers and padding.
const TAR_OVERHEAD: u64 = 16 << 20;

/// What takes the files: name, whether it is executable, content.
pub(super) type Sink<'a> = dyn FnMut(&str, bool, &mut dyn Read) -> Result<(), ArchiveError> + 'a;

/// Why an archive is not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// A name that leads elsewhere, or that isn't text.
    #[error("file name in the archive cannot contain '..', but found {name:?}")]
    Name {
        /// The name.
        name: String,
    },
    /// Two files would have the same name.
    #[error("file {name:?} is in the archive twice")]
    Twice {
        /// The name without directories.
        name: String,
    },
    /// A link or a device.
    #[error("{name:?} in the archive is neither a regular file nor a directory")]
    NotRegular {
        /// The name.
        name: String,
    },
    /// Too much: a bomb, or nothing that a plugin is.
    #[error("total file size reached the {} MiB size limit", MAX_BYTES >> 20)]
    TooLarge,
    /// Too many.
    #[error("archive has more than {MAX_ENTRIES} entries")]
    TooMany,
    /// Damaged.
    #[error("archive can't be read: {0}")]
    Zip(#[from] zip::result::ZipError),
    /// Damaged, or the files can't be written.
    #[error("archive can't be read: {0}")]
    Io(#[from] io::Error),
    /// The files can't be written.
    #[error(transparent)]
    File(#[from] crate::fsutil::FileError),
}

/// Passes the files of a zip archive on.
pub(super) fn unzip(file: File, sink: &mut Sink<'_>) -> Result<(), ArchiveError> {
    let mut archive = zip::ZipArchive::new(BufReader::new(file))?;
    if archive.len() > MAX_ENTRIES {
        return Err(ArchiveError::TooMany);
    }
    // Local headers, central directory and names agree; overlaps are how zip bombs are built.
    archive.validate_header_consistency()?;
    let mut files = Files::default();
    for index in 0..archive.len() {
        let entry = archive.by_index(index)?;
        let name = entry.name()?.into_owned();
        let mode = entry.unix_mode();
        // Without the bits of Unix a name that ends with a slash is a directory.
        let kind = mode.map_or(0, |mode| mode & 0o170_000);
        let kind = match (entry.is_dir(), kind) {
            (true, _) => Kind::Directory,
            (false, 0 | 0o100_000) => Kind::Regular,
            _ => Kind::Other,
        };
        files.take(&name, kind, mode.is_some_and(|mode| mode & 0o111 != 0), entry, sink)?;
    }
    Ok(())
}

/// Passes the files of a `.tar.gz` archive on.
pub(super) fn untar(file: File, sink: &mut Sink<'_>) -> Result<(), ArchiveError> {
    let stream = MultiGzDecoder::new(BufReader::new(file)).take(MAX_BYTES + TAR_OVERHEAD);
    let mut archive = tar::Archive::new(stream);
    let mut files = Files::default();
    for (index, entry) in archive.entries()?.enumerate() {
        if index >= MAX_ENTRIES {
            return Err(ArchiveError::TooMany);
        }
        let entry = entry?;
        let name = std::str::from_utf8(&entry.path_bytes()).map(str::to_owned).map_err(|_| {
            ArchiveError::Name { name: String::from_utf8_lossy(&entry.path_bytes()).into_owned() }
        })?;
        let kind = match entry.header().entry_type() {
            tar::EntryType::Regular => Kind::Regular,
            tar::EntryType::Directory => Kind::Directory,
            tar::EntryType::XGlobalHeader => continue,
            _ => Kind::Other,
        };
        let is_executable = entry.header().mode()? & 0o111 != 0;
        files.take(&name, kind, is_executable, entry, sink)?;
    }
    // To the end, so that the checksum of gzip is compared.
    let mut rest = archive.into_inner();
    io::copy(&mut rest, &mut io::sink())?;
    match rest.limit() {
        0 => Err(ArchiveError::TooLarge),
        _ => Ok(()),
    }
}

enum Kind {
    Regular,
    Directory,
    Other,
}

/// The files so far.
#[derive(Default)]
struct Files {
    names: HashSet<String>,
    bytes: u64,
}

impl Files {
    fn take(
        &mut self,
        name: &str,
        kind: Kind,
        is_executable: bool,
        content: impl Read,
        sink: &mut Sink<'_>,
    ) -> Result<(), ArchiveError> {
        let own = || name.to_owned();
        if name.contains("..") || name.contains(['\\', '\0']) {
            return Err(ArchiveError::Name { name: own() });
        }
        match kind {
            Kind::Directory => return Ok(()),
            Kind::Other => return Err(ArchiveError::NotRegular { name: own() }),
            Kind::Regular => {}
        }
        let base = name.rsplit('/').next().unwrap_or_default();
        if base.is_empty() || base == "." || base.contains(char::is_control) {
            return Err(ArchiveError::Name { name: own() });
        }
        if !self.names.insert(base.to_owned()) {
            return Err(ArchiveError::Twice { name: base.to_owned() });
        }
        let mut bounded = Counted { inner: content, left: MAX_BYTES.saturating_sub(self.bytes) };
        let result = sink(base, is_executable, &mut bounded);
        if bounded.left == 0 {
            return Err(ArchiveError::TooLarge);
        }
        self.bytes = MAX_BYTES - bounded.left;
        result
    }
}

/// Ends with an error where too much comes.
struct Counted<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = self.left.saturating_sub(count as u64);
        match self.left {
            0 => Err(io::Error::other("too much")),
            _ => Ok(count),
        }
    }
}
