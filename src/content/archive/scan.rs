//! Reading an archive: its members by clean name, its documents, its blobs measured.
//!
//! A regular, uncompressed file and a directory are listed first, and only the blobs that are
//! needed are measured, in parallel. A stream has one pass: every blob is measured as it goes by,
//! before it is known which ones are layers.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};

use super::compression::{Compression, MAGIC_BYTES};
use super::directory;
use super::error::ArchiveError;
use super::gate::{Gate, io_error, wrap};
use super::jobs::{Jobs, Work};
use super::measure::{Measured, measure, read_up_to};
use super::name;
use crate::content::limits::{DOCUMENT_BYTES, Limits, MANIFEST_JSON_BYTES};
use crate::progress::{Counted, Progress};

/// Members that are documents whatever they start with.
const DOCUMENTS: [&str; 4] = ["index.json", "manifest.json", "oci-layout", "repositories"];
/// What signatures in COSE begin with: the tag of COSE_Sign1 (RFC 9052 §4.2).
const COSE_SIGN1: u8 = 0xd2;
/// How far into a member a JSON document must have begun.
const START_BYTES: usize = 16;

/// Where an archive comes from.
pub enum Source {
    /// A file or a directory.
    Path(PathBuf),
    /// A file that is open.
    File(fs::File),
    /// Anything that can be read once.
    Stream(Box<dyn Read>),
    /// A stream that is copied to an anonymous temporary file first, so that it can be read twice.
    Spooled(Box<dyn Read>),
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Path(path) => f.debug_tuple("Path").field(path).finish(),
            Self::File(file) => f.debug_tuple("File").field(file).finish(),
            Self::Stream(_) => f.write_str("Stream"),
            Self::Spooled(_) => f.write_str("Spooled"),
        }
    }
}

/// What a member is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A hard link to another member.
    HardLink(String),
    /// A symbolic link.
    Symlink(String),
}

/// A member of an archive. Directories are not kept.
#[derive(Clone, Debug)]
pub struct Member {
    /// What it is.
    pub kind: Kind,
    /// Permission bits.
    pub mode: u32,
    /// Size in bytes as stored.
    pub size: u64,
    /// Its bytes, if it looks like a JSON document or a signature.
    pub document: Option<Vec<u8>>,
    pub(super) position: u64,
    pub(super) measured: Option<Measured>,
}

impl Member {
    pub(super) fn new(kind: Kind, mode: u32, size: u64) -> Self {
        Self { kind, mode, size, document: None, position: 0, measured: None }
    }
}

/// An archive that was read once.
#[derive(Debug)]
pub struct Archive {
    pub(super) members: BTreeMap<String, Member>,
    pub(super) origin: Origin,
    pub(super) limits: Limits,
    document_bytes: u64,
    trailing: bool,
}

/// Where members can be read again.
#[derive(Debug)]
pub(super) enum Origin {
    Directory(PathBuf),
    File(fs::File),
    Stream,
}

impl Archive {
    /// Reads an archive.
    ///
    /// # Errors
    /// When it can't be read, is not a tar (or a directory), breaks a rule of the gate or a limit.
    pub fn read(source: Source, jobs: &Jobs<'_>, limits: Limits) -> Result<Self, ArchiveError> {
        match source {
            Source::Path(path) => Self::at(path, jobs, limits),
            Source::File(file) => Self::file(file, jobs, limits),
            Source::Stream(stream) => Self::stream(stream, jobs, limits),
            Source::Spooled(mut stream) => {
                let spooling = |source| ArchiveError::Io { what: "spooling".into(), source };
                let mut file = tempfile::tempfile().map_err(spooling)?;
                let step = jobs.progress.step("reading", None);
                let mut counted = Counted::new(&mut stream, &*step);
                io::copy(&mut counted, &mut file).map_err(spooling)?;
                drop(step);
                file.rewind().map_err(spooling)?;
                Self::file(file, jobs, limits)
            }
        }
    }

    fn empty(origin: Origin, limits: Limits) -> Self {
        Self { members: BTreeMap::new(), origin, limits, document_bytes: 0, trailing: false }
    }

    fn at(path: PathBuf, jobs: &Jobs<'_>, limits: Limits) -> Result<Self, ArchiveError> {
        let open = |source| ArchiveError::Open { path: path.clone(), source };
        let file = fs::OpenOptions::new().read(true).open(&path).map_err(open)?;
        let metadata = file.metadata().map_err(open)?;
        if metadata.is_dir() {
            Self::directory(&path, &metadata, jobs, limits)
        } else if metadata.is_file() {
            Self::file(file, jobs, limits)
        } else {
            Self::stream(Box::new(file), jobs, limits)
        }
    }

    fn directory(
        root: &Path,
        metadata: &fs::Metadata,
        jobs: &Jobs<'_>,
        limits: Limits,
    ) -> Result<Self, ArchiveError> {
        let Some(memo) = jobs.memo else { return Self::listed(root, limits) };
        let list = || Ok::<_, ArchiveError>(Self::listed(root, limits)?.members);
        let members = memo.listing(root, metadata, list)?;
        let documents = members.values().filter_map(|member| member.document.as_ref());
        let document_bytes = documents.map(|document| document.len() as u64).sum();
        let empty = Self::empty(Origin::Directory(root.to_owned()), limits);
        Ok(Self { members: (*members).clone(), document_bytes, ..empty })
    }

    fn listed(root: &Path, limits: Limits) -> Result<Self, ArchiveError> {
        let mut archive = Self::empty(Origin::Directory(root.to_owned()), limits);
        directory::list(root, &limits, &mut |name, mut member| {
            if member.kind == Kind::File {
                let mut file = directory::open(root, &name)?;
                let mut start = [0; START_BYTES];
                let filled = read_up_to(&mut file, &mut start).map_err(io_error)?;
                if archive.is_document(&name, member.size, &start[..filled]) {
                    member.document =
                        Some(read_document(&start[..filled], &mut file, &name, member.size)?);
                }
            }
            archive.insert(name, member)
        })?;
        Ok(archive)
    }

    /// A regular file: listed by seeking if it is a plain tar, else read as a stream.
    fn file(mut file: fs::File, jobs: &Jobs<'_>, limits: Limits) -> Result<Self, ArchiveError> {
        file.rewind().map_err(io_error)?;
        let mut magic = [0; MAGIC_BYTES];
        let filled = read_up_to(&mut file, &mut magic).map_err(io_error)?;
        if filled == 0 {
            return Err(ArchiveError::Empty);
        }
        file.rewind().map_err(io_error)?;
        if Compression::detect(&magic[..filled]) != Compression::None {
            return Self::stream(Box::new(file), jobs, limits);
        }
        let clone = file.try_clone().map_err(io_error)?;
        let mut archive = Self::empty(Origin::File(file), limits);
        let mut tar = tar::Archive::new(Gate::new(clone, limits));
        for entry in tar.entries_with_seek().map_err(io_error)? {
            let mut entry = entry.map_err(|e| archive.tar_error(e))?;
            let Some((name, mut member)) = archive.member(&entry)? else { continue };
            if member.kind == Kind::File {
                let mut start = [0; START_BYTES];
                let filled = read_up_to(&mut entry, &mut start).map_err(io_error)?;
                if archive.is_document(&name, member.size, &start[..filled]) {
                    member.document =
                        Some(read_document(&start[..filled], &mut entry, &name, member.size)?);
                }
            }
            archive.insert(name, member)?;
        }
        archive.trailing = tar.into_inner().finish()?.trailing;
        Ok(archive)
    }

    fn stream(
        mut stream: Box<dyn Read>,
        jobs: &Jobs<'_>,
        limits: Limits,
    ) -> Result<Self, ArchiveError> {
        let mut magic = [0; MAGIC_BYTES];
        // An engine may take its time before it begins.
        let waiting = jobs.progress.step("waiting", None);
        let filled = read_up_to(&mut *stream, &mut magic).map_err(io_error)?;
        drop(waiting);
        if filled == 0 {
            return Err(ArchiveError::Empty);
        }
        let magic = &magic[..filled];
        let plain = decompressed(magic, stream, &limits)?;
        let mut archive = Self::empty(Origin::Stream, limits);
        let mut tar = tar::Archive::new(Gate::new(plain, limits));
        for entry in tar.entries().map_err(io_error)? {
            let mut entry = entry.map_err(|e| archive.tar_error(e))?;
            let Some((name, mut member)) = archive.member(&entry)? else { continue };
            if member.kind == Kind::File {
                archive.pass(&name, &mut member, &mut entry, jobs)?;
            }
            archive.insert(name, member)?;
        }
        archive.trailing = tar.into_inner().finish()?.trailing;
        Ok(archive)
    }

    /// Takes what it can from a member that goes by once.
    fn pass(
        &self,
        name: &str,
        member: &mut Member,
        entry: &mut dyn Read,
        jobs: &Jobs<'_>,
    ) -> Result<(), ArchiveError> {
        let mut start = [0; START_BYTES];
        let filled = read_up_to(entry, &mut start).map_err(io_error)?;
        let start = &start[..filled];
        if self.is_document(name, member.size, start) {
            member.document = Some(read_document(start, entry, name, member.size)?);
            return Ok(());
        }
        let exported = name.starts_with("blobs/") && member.mode & 0o777 == 0o444;
        let encode = match jobs.work {
            Work::Nothing => return Ok(()),
            Work::Hash => false,
            Work::Encode => !exported,
            Work::EncodeAll => true,
        } && !jobs.encoders.can_wait(name);
        let encoder = if encode { jobs.encoders.encoder(jobs.threads) } else { None };
        let step = jobs.progress.step(name, Some(member.size));
        let mut whole = start.chain(entry);
        member.measured = Some(measure(name, &mut whole, encoder, &self.limits, &*step)?);
        Ok(())
    }

    /// Turns an entry into a member; `None` for directories and headers without a member.
    fn member<R: Read>(
        &self,
        entry: &tar::Entry<'_, R>,
    ) -> Result<Option<(String, Member)>, ArchiveError> {
        let header = entry.header();
        let kind = header.entry_type();
        if kind.is_pax_global_extensions() {
            return Ok(None);
        }
        let raw = entry.path_bytes();
        let name = name::clean(&raw, &self.limits)?;
        let target = || -> Result<String, ArchiveError> {
            let target = entry.link_name_bytes().unwrap_or_default();
            let error = |reason| ArchiveError::Link { name: name.clone(), reason };
            let target = std::str::from_utf8(&target).map_err(|_| error("target is not UTF-8"))?;
            if target.is_empty() { Err(error("it has no target")) } else { Ok(target.to_owned()) }
        };
        let kind = if kind.is_dir() || raw.ends_with(b"/") {
            return Ok(None);
        } else if kind.is_hard_link() {
            Kind::HardLink(target()?)
        } else if kind.is_symlink() {
            Kind::Symlink(target()?)
        } else if kind.is_file() || kind.is_contiguous() {
            Kind::File
        } else {
            let problem = format!("member {name:?} of type {kind:?}");
            return Err(ArchiveError::Tar { offset: entry.raw_header_position(), problem });
        };
        let mode = header.mode().unwrap_or(0);
        let mut member = Member::new(kind, mode, entry.size());
        member.position = entry.raw_file_position();
        Ok(Some((name, member)))
    }

    fn insert(&mut self, name: String, member: Member) -> Result<(), ArchiveError> {
        if self.members.len() >= self.limits.members {
            let limit = self.limits.members as u64;
            return Err(ArchiveError::Limit { what: "the number of members".into(), limit });
        }
        self.document_bytes += member.document.as_ref().map_or(0, |d| d.len() as u64);
        if self.members.contains_key(&name) {
            return Err(ArchiveError::DuplicateMember { name });
        }
        self.members.insert(name, member);
        Ok(())
    }

    fn is_document(&self, name: &str, size: u64, start: &[u8]) -> bool {
        let json = matches!(start.trim_ascii_start().first(), Some(b'{' | b'['));
        // Whatever else begins so is measured from memory.
        let cose = start.first() == Some(&COSE_SIGN1);
        (json || cose || DOCUMENTS.contains(&name))
            && size <= document_limit(name)
            && self.document_bytes + size <= self.limits.document_bytes
    }

    /// An error of the tar reader; at the very start it means that this is no tar at all.
    fn tar_error(&self, error: io::Error) -> ArchiveError {
        match io_error(error) {
            ArchiveError::Io { source, .. } if source.raw_os_error().is_none() => {
                if self.members.is_empty() {
                    let found = "the data is not a tar archive".to_owned();
                    return ArchiveError::NotAnImage { found };
                }
                ArchiveError::Tar { offset: 0, problem: source.to_string() }
            }
            ArchiveError::Tar { offset: 0..=512, .. }
            | ArchiveError::Truncated { offset: 0, .. }
                if self.members.is_empty() =>
            {
                ArchiveError::NotAnImage { found: "the data is not a tar archive".to_owned() }
            }
            own => own,
        }
    }

    /// The member of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Member> {
        self.members.get(name)
    }

    /// All members in the order of their names.
    pub fn members(&self) -> impl Iterator<Item = (&str, &Member)> {
        self.members.iter().map(|(name, member)| (name.as_str(), member))
    }

    /// Whether something other than zeros follows the end of the archive.
    #[must_use]
    pub fn has_trailing_data(&self) -> bool {
        self.trailing
    }

    /// The limits the archive was read under.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Follows links to the regular file behind `name`.
    ///
    /// # Errors
    /// When there is none, a link is absolute or escapes, or links form a loop.
    pub fn resolve(&self, what: &'static str, name: &str) -> Result<&str, ArchiveError> {
        let missing = || ArchiveError::Missing { what, name: name.to_owned() };
        let mut at = name::join("", name, what)?;
        for _ in 0..=self.limits.link_depth {
            let (own, member) = self.members.get_key_value(&at).ok_or_else(missing)?;
            at = match &member.kind {
                Kind::File => return Ok(own),
                Kind::HardLink(target) => name::join("", target, "link target")?,
                Kind::Symlink(target) => name::join(name::parent(own), target, "link target")?,
            };
        }
        Err(ArchiveError::Link { name: name.to_owned(), reason: "a loop, or too long a chain" })
    }

    /// The document `name` (a resolved name).
    ///
    /// # Errors
    /// When it is not there, too large, or does not look like a document.
    pub fn document(&self, what: &'static str, name: &str) -> Result<&[u8], ArchiveError> {
        let missing = || ArchiveError::Missing { what, name: name.to_owned() };
        let member = self.members.get(name).ok_or_else(missing)?;
        match &member.document {
            Some(bytes) => Ok(bytes),
            None if member.size > document_limit(name) => Err(ArchiveError::Limit {
                what: format!("{what} {name:?}"),
                limit: document_limit(name),
            }),
            None if self.document_bytes + member.size > self.limits.document_bytes => {
                let what = "the sum of all JSON documents".to_owned();
                Err(ArchiveError::Limit { what, limit: self.limits.document_bytes })
            }
            None => Err(ArchiveError::Document {
                name: name.to_owned(),
                source: crate::image::json::JsonError {
                    offset: 0,
                    problem: crate::image::json::Problem::Syntax { what: "a JSON object expected" },
                }
                .into(),
            }),
        }
    }
}

fn document_limit(name: &str) -> u64 {
    let limit = if name == "manifest.json" { MANIFEST_JSON_BYTES } else { DOCUMENT_BYTES };
    limit as u64
}

fn read_document(
    start: &[u8],
    rest: &mut dyn Read,
    name: &str,
    size: u64,
) -> Result<Vec<u8>, ArchiveError> {
    let mut bytes = start.to_vec();
    rest.take(document_limit(name)).read_to_end(&mut bytes).map_err(io_error)?;
    let found = bytes.len() as u64;
    if found == size {
        Ok(bytes)
    } else {
        Err(ArchiveError::Size { what: name.to_owned(), expected: size, found })
    }
}

/// The tar in a stream whose first bytes were read.
fn decompressed<'a>(
    magic: &'a [u8],
    stream: Box<dyn Read + 'a>,
    limits: &Limits,
) -> Result<Decompressed<Box<dyn Read + 'a>>, ArchiveError> {
    let plain = Compression::detect(magic)
        .reader(magic.chain(stream), limits.total_bytes, limits)
        .map_err(|e| io_error(decompression_error(e)))?;
    Ok(Decompressed(plain))
}

/// An archive as a plain tar that can be read again and again: the file itself, or an anonymous
/// temporary copy of what is compressed or a stream.
///
/// # Errors
/// When it can't be read, decompressed or copied.
pub fn hold(
    source: Source,
    limits: &Limits,
    progress: &dyn Progress,
) -> Result<fs::File, ArchiveError> {
    let mut stream: Box<dyn Read> = match source {
        Source::Stream(stream) | Source::Spooled(stream) => stream,
        Source::File(file) => Box::new(file),
        Source::Path(path) => {
            let open = |source| ArchiveError::Open { path: path.clone(), source };
            let mut file = fs::OpenOptions::new().read(true).open(&path).map_err(open)?;
            let mut magic = [0; MAGIC_BYTES];
            if file.metadata().map_err(open)?.is_file() {
                let filled = read_up_to(&mut file, &mut magic).map_err(io_error)?;
                file.rewind().map_err(io_error)?;
                if Compression::detect(&magic[..filled]) == Compression::None {
                    return Ok(file);
                }
            }
            Box::new(file)
        }
    };
    let mut magic = [0; MAGIC_BYTES];
    let filled = read_up_to(&mut *stream, &mut magic).map_err(io_error)?;
    let mut plain = decompressed(&magic[..filled], stream, limits)?;
    let copying = |source| ArchiveError::Io { what: "copying the archive".into(), source };
    let mut file = tempfile::tempfile().map_err(copying)?;
    let step = progress.step("reading", None);
    io::copy(&mut Counted::new(&mut plain, &*step), &mut file).map_err(io_error)?;
    Ok(file)
}

/// The outer decompressor. Its complaints are about the archive, other than those of the system.
struct Decompressed<R>(R);

impl<R: Read> Read for Decompressed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(decompression_error)
    }
}

fn decompression_error(error: io::Error) -> io::Error {
    if error.raw_os_error().is_some() || error.kind() == io::ErrorKind::Interrupted {
        return error;
    }
    wrap(ArchiveError::Compression { what: "decompressing the archive".into(), source: error })
}
