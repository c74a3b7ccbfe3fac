//! Measuring a blob: one pass through every hash that is needed.

use std::io::{self, Read};
use std::num::NonZero;

use super::compression::{Compression, MAGIC_BYTES};
use super::error::ArchiveError;
use super::gate::io_error;
use crate::content::limits::Limits;
use crate::image::digest::{Algorithm, Digest, Hasher};
use crate::image::schema2::Blob;
use crate::progress::Step;

/// Size of the pieces in which blobs are read. It is also the size in which dockerd writes.
const PIECE: usize = 128 << 10;

/// Compresses a layer as some engine would, and says what came out.
///
/// The content room hashes and reads; what a push makes of a layer is the caller's knowledge.
pub trait Encoder {
    /// Takes the next bytes of the uncompressed layer.
    ///
    /// # Errors
    /// When the encoder's output can't be taken.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Ends the layer: digest and size of the compressed bytes.
    ///
    /// # Errors
    /// When the encoder's output can't be taken.
    fn finish(self: Box<Self>) -> io::Result<Blob>;
}

/// Makes an [`Encoder`] for each layer.
pub trait Encoders: Sync {
    /// A fresh encoder, which may use `threads` threads; `None` if nothing is ever encoded.
    fn encoder(&self, threads: NonZero<usize>) -> Option<Box<dyn Encoder>>;

    /// What tells its encodings from those of others.
    fn name(&self) -> &'static str;

    /// Whether the encoding of the layer that a stream shows under this name can wait. A name
    /// proves nothing: should it lie, the archive has to be read again.
    fn can_wait(&self, name: &str) -> bool;
}

/// Encoders for callers that never ask for an encoding.
#[derive(Clone, Copy, Debug)]
pub struct NoEncoders;

impl Encoders for NoEncoders {
    fn encoder(&self, _threads: NonZero<usize>) -> Option<Box<dyn Encoder>> {
        None
    }

    fn name(&self) -> &'static str {
        "none"
    }

    fn can_wait(&self, _name: &str) -> bool {
        true
    }
}

/// What one pass over a blob found.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Digest and size of the bytes as they are stored.
    pub stored: Blob,
    /// Whether they are compressed.
    pub compressed: bool,
    /// sha256 of the uncompressed bytes.
    pub diff_id: Digest,
    /// What the encoder made of the uncompressed bytes, if it was asked.
    pub encoded: Option<Blob>,
}

/// Measures a blob; the uncompressed bytes go through `encoder`, if there is one.
///
/// # Errors
/// [`ArchiveError`]: it can't be read or decompressed, or is larger than `limits` allow.
pub fn measure(
    name: &str,
    reader: &mut dyn Read,
    encoder: Option<Box<dyn Encoder>>,
    limits: &Limits,
    step: &dyn Step,
) -> Result<Measured, ArchiveError> {
    let mut start = [0; MAGIC_BYTES];
    let filled = read_up_to(reader, &mut start).map_err(|e| reading(name, e))?;
    let start = &start[..filled];
    let compression = Compression::detect(start);
    let algorithm = stored_algorithm(name);
    let mut whole = Hashing::new(start.chain(reader), algorithm, step);
    let (diff_id, encoded) = if compression == Compression::None {
        // The stored bytes are the layer: one hash serves for both where it is sha256.
        let mut diff = (algorithm != Algorithm::Sha256).then(|| Algorithm::Sha256.hasher());
        let encoded = pump(&mut whole, diff.as_mut(), encoder).map_err(|e| reading(name, e))?;
        (diff.map(Hasher::finish), encoded)
    } else {
        let mut diff = Algorithm::Sha256.hasher();
        let decompressed = compression
            .reader(&mut whole, limits.layer_bytes, limits)
            .and_then(|mut inner| pump(&mut inner, Some(&mut diff), encoder));
        let encoded = match decompressed {
            Ok(encoded) => encoded,
            Err(error) => {
                return Err(altered(name, whole).unwrap_or_else(|| decompressing(name, error)));
            }
        };
        (Some(diff.finish()), encoded)
    };
    let stored = whole.finish();
    let diff_id = diff_id.unwrap_or_else(|| stored.digest.clone());
    Ok(Measured { compressed: compression != Compression::None, diff_id, stored, encoded })
}

/// What is wrong with a blob that can't be decompressed, if it is not the one that its name says: its
/// stored bytes are judged before what they decompress to (`security.md` S10).
fn altered(name: &str, mut whole: Hashing<'_, impl Read>) -> Option<ArchiveError> {
    let (_, hex) = name.strip_prefix("blobs/")?.split_once('/')?;
    let expected = Digest::from_hex(stored_algorithm(name), hex).ok()?;
    io::copy(&mut whole, &mut io::sink()).ok()?;
    let found = whole.finish().digest;
    let what = name.to_owned();
    (found != expected).then_some(ArchiveError::Mismatch { what, expected, found })
}

/// The algorithm that a blob's name in an OCI layout asks for; sha256 everywhere else.
pub(super) fn stored_algorithm(name: &str) -> Algorithm {
    name.strip_prefix("blobs/")
        .and_then(|rest| rest.split_once('/'))
        .and_then(|(algorithm, _)| algorithm.parse().ok())
        .unwrap_or(Algorithm::Sha256)
}

/// Reads everything, through the hasher and the encoder that are given.
fn pump(
    reader: &mut dyn Read,
    mut hasher: Option<&mut Hasher>,
    mut encoder: Option<Box<dyn Encoder>>,
) -> io::Result<Option<Blob>> {
    let mut piece = vec![0; PIECE];
    loop {
        let n = read_up_to(reader, &mut piece)?;
        if n == 0 {
            return encoder.map(Encoder::finish).transpose();
        }
        if let Some(hasher) = &mut hasher {
            hasher.update(&piece[..n]);
        }
        if let Some(encoder) = &mut encoder {
            encoder.write(&piece[..n])?;
        }
    }
}

/// Fills the buffer as far as the input goes.
pub(super) fn read_up_to(reader: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

fn reading(name: &str, error: io::Error) -> ArchiveError {
    match io_error(error) {
        ArchiveError::Io { source, .. } => ArchiveError::Io { what: name.to_owned(), source },
        own => own,
    }
}

fn decompressing(name: &str, error: io::Error) -> ArchiveError {
    match io_error(error) {
        ArchiveError::Io { source, .. } => {
            ArchiveError::Compression { what: format!("decompressing {name}"), source }
        }
        own => own,
    }
}

/// Hashes and counts what is read through it.
struct Hashing<'a, R> {
    inner: R,
    hasher: Hasher,
    size: u64,
    step: &'a dyn Step,
}

impl<'a, R: Read> Hashing<'a, R> {
    fn new(inner: R, algorithm: Algorithm, step: &'a dyn Step) -> Self {
        Self { inner, hasher: algorithm.hasher(), size: 0, step }
    }

    fn finish(self) -> Blob {
        Blob { digest: self.hasher.finish(), size: self.size }
    }
}

impl<R: Read> Read for Hashing<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..n]);
        self.size += n as u64;
        self.step.advance(n as u64);
        Ok(n)
    }
}
