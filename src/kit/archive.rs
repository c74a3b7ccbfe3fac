//! The tar of a kit: written the same every time, read strictly.

use std::io::{self, Read, Write};
use std::path::PathBuf;

use crate::content::archive::read_plain;
use crate::content::limits::Limits;
use crate::image::descriptor::Descriptor;
use crate::image::digest::Digest;
use crate::store::{
    Added, MAX_ENVELOPE_BYTES, NewSignature, SignatureStore, StoreError, StoredSignature,
};

use super::KitError;
use super::document::{Document, KitFile, MAX_FILES, Place};

/// Largest kit. One CRL has at most 32 MiB.
const MAX_BYTES: u64 = 512 << 20;

const DOCUMENT: &str = "kit.json";

/// What signatures are called; notation tells their format by the name.
const SIGNATURES: [&str; 2] = ["kit.json.jws.sig", "kit.json.cose.sig"];

/// A kit that was read. Its files are those of the document, which nobody has verified.
#[derive(Debug)]
pub struct Kit {
    /// What it says of itself.
    pub document: Document,
    /// The bytes of `kit.json`: what is signed.
    pub bytes: Vec<u8>,
    /// The signature.
    pub signature: KitSignature,
    /// The files, in the order of the document.
    pub files: Vec<KitFile>,
}

impl Kit {
    /// Reads a kit.
    ///
    /// # Errors
    /// [`KitError`]: it is no kit, or anything in it is not what `kit.json` says, or has no place in
    /// a kit.
    pub fn read(reader: impl Read) -> Result<Self, KitError> {
        let limits = Limits { members: MAX_FILES + 2, total_bytes: MAX_BYTES, ..Limits::default() };
        let mut members = read_plain(reader, limits)?.into_iter();
        let mut next = |wanted: &[&str]| match members.next() {
            Some((name, bytes)) if wanted.contains(&name.as_str()) => Ok((name, bytes)),
            found => Err(KitError::Member {
                expected: wanted.join(" or "),
                found: found.map_or_else(|| "the end".to_owned(), |(name, _)| name),
            }),
        };
        let (_, bytes) = next(&[DOCUMENT])?;
        let (name, envelope) = next(&SIGNATURES)?;
        if envelope.len() as u64 > MAX_ENVELOPE_BYTES {
            return Err(KitError::TooLarge { what: "signature bytes", limit: MAX_ENVELOPE_BYTES });
        }
        let document = Document::parse(&bytes)?;
        let mut files = Vec::new();
        for entry in &document.files {
            let (path, bytes) = next(&[&entry.path])?;
            let found = Digest::sha256(&bytes);
            if found.hex() != entry.sha256 || bytes.len() as u64 != entry.size {
                let expected = entry.sha256.clone();
                return Err(KitError::Altered { path, expected, found: found.hex().to_owned() });
            }
            let place =
                Place::parse(&path).ok_or_else(|| KitError::Place { path: path.clone() })?;
            let file = KitFile::new(place, bytes)?;
            if file.entry() != *entry {
                let problem = "kit.json describes something else".to_owned();
                return Err(KitError::Content { path, problem });
            }
            files.push(file);
        }
        if let Some((found, _)) = members.next() {
            return Err(KitError::Member { expected: "the end".to_owned(), found });
        }
        Ok(Self { document, bytes, signature: KitSignature { name, envelope }, files })
    }

    /// The digest of `kit.json`, which names the kit.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::sha256(&self.bytes)
    }
}

/// Writes a kit.
///
/// # Errors
/// What `out` returns.
pub fn write(
    document: &[u8],
    envelope: &NewSignature,
    files: &[KitFile],
    out: impl Write,
) -> io::Result<()> {
    let [jws, cose] = SIGNATURES;
    let signature = if envelope.media_type == "application/cose" { cose } else { jws };
    let mut tar = tar::Builder::new(out);
    append(&mut tar, DOCUMENT, document)?;
    append(&mut tar, signature, &envelope.bytes)?;
    for file in files {
        append(&mut tar, &file.place.to_string(), &file.bytes)?;
    }
    tar.into_inner()?.flush()
}

fn append(tar: &mut tar::Builder<impl Write>, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(0);
    tar.append_data(&mut header, name, bytes)
}

/// The signature in a kit, as a store.
#[derive(Debug)]
pub struct KitSignature {
    name: String,
    envelope: Vec<u8>,
}

impl KitSignature {
    /// The envelope.
    #[must_use]
    pub fn envelope(&self) -> &[u8] {
        &self.envelope
    }
}

impl SignatureStore for KitSignature {
    fn list(&self, _subject: &Descriptor) -> Result<Vec<StoredSignature>, StoreError> {
        let location = PathBuf::from(&self.name);
        Ok(vec![StoredSignature { location, ..StoredSignature::default() }])
    }

    fn read(&self, _signature: &StoredSignature) -> Result<Vec<u8>, StoreError> {
        Ok(self.envelope.clone())
    }

    fn add(&self, _subject: &Descriptor, _envelope: &NewSignature) -> Result<Added, StoreError> {
        Err(self.read_only())
    }

    fn remove(&self, _signature: &StoredSignature) -> Result<(), StoreError> {
        Err(self.read_only())
    }
}

impl KitSignature {
    fn read_only(&self) -> StoreError {
        let source = io::Error::from(io::ErrorKind::ReadOnlyFilesystem);
        StoreError::Io { path: PathBuf::from(&self.name), source }
    }
}
