//! What a signature has to be for: a manifest by its descriptor, or a file by its content.

use std::io::{self, Read};

use crate::image::descriptor::Descriptor;
use crate::image::digest::{Algorithm, Digest};

use super::error::CandidateError;

/// Read and hashed at once.
const BUFFER_BYTES: usize = 128 << 10;

/// A file, hashed with every algorithm that a signature may name: which one it is, the key of the
/// signer decides (spec/notation.md §11), and the content can't be asked for again.
#[derive(Clone, Debug)]
pub struct Blob {
    size: u64,
    digests: [Digest; 3],
    media_type: Option<String>,
}

impl Blob {
    /// Reads content to its end. With a media type, the signed one has to be the same.
    ///
    /// # Errors
    /// What the reader returns.
    pub fn read(mut content: impl Read, media_type: Option<String>) -> io::Result<Self> {
        let mut hashers =
            [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512].map(Algorithm::hasher);
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut size = 0;
        loop {
            let read = match content.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            for hasher in &mut hashers {
                hasher.update(&buffer[..read]);
            }
            size += read as u64;
        }
        Ok(Self { size, digests: hashers.map(|hasher| hasher.finish()), media_type })
    }

    /// The descriptor with one of the algorithms; without a media type it is `media_type`.
    #[must_use]
    pub fn descriptor(&self, algorithm: Algorithm, media_type: &str) -> Descriptor {
        let media_type = self.media_type.as_deref().unwrap_or(media_type);
        Descriptor::new(media_type, self.digest(algorithm).clone(), self.size)
    }

    fn digest(&self, algorithm: Algorithm) -> &Digest {
        let [sha256, sha384, sha512] = &self.digests;
        match algorithm {
            Algorithm::Sha256 => sha256,
            Algorithm::Sha384 => sha384,
            Algorithm::Sha512 => sha512,
        }
    }
}

/// The artifact that a signature has to be for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Artifact<'a> {
    /// Exactly this descriptor.
    Descriptor(&'a Descriptor),
    /// This content.
    Blob(&'a Blob),
}

impl Artifact<'_> {
    /// What is asked for at stores and shown in errors; the algorithm of a blob is not known yet.
    pub(super) fn descriptor(self) -> Descriptor {
        match self {
            Self::Descriptor(descriptor) => descriptor.clone(),
            Self::Blob(blob) => blob.descriptor(Algorithm::Sha256, "application/octet-stream"),
        }
    }

    /// Digest, size and media type (security.md S1): all of them, none alone. The media type of a
    /// blob is compared if one was given. Answers with the artifact's descriptor.
    pub(super) fn compare(self, signed: &Descriptor) -> Result<Descriptor, CandidateError> {
        let found = match self {
            Self::Descriptor(descriptor) => descriptor.clone(),
            Self::Blob(blob) => blob.descriptor(signed.digest.algorithm(), &signed.media_type),
        };
        if signed.same_content(&found) {
            return Ok(found);
        }
        Err(CandidateError::ContentMismatch {
            signed: Box::new(signed.clone()),
            found: Box::new(found),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blobs_are_compared_by_the_signed_algorithm() {
        let blob = Blob::read(&b"content"[..], None).unwrap();
        for algorithm in [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512] {
            let signed = Descriptor::of("text/plain", algorithm, b"content");
            assert!(Artifact::Blob(&blob).compare(&signed).unwrap().same_content(&signed));
            let other = Descriptor::of("text/plain", algorithm, b"Content");
            assert!(Artifact::Blob(&blob).compare(&other).is_err());
            let longer = Descriptor { size: 8, ..signed.clone() };
            assert!(Artifact::Blob(&blob).compare(&longer).is_err());
            let typed = Blob::read(&b"content"[..], Some("a/b".to_owned())).unwrap();
            assert!(Artifact::Blob(&typed).compare(&signed).is_err());
        }
    }
}
