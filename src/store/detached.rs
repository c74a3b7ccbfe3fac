//! Detached signature files that the user names (spec/notation.md §10.3, "Signature files").
//!
//! A name that ends `.jws.sig` or `.cose.sig` says the format; any other name says nothing and the
//! format is found from the first byte. Both known and contradictory is an error.

use std::path::{Path, PathBuf};

use crate::fsutil;
use crate::image::descriptor::Descriptor;
use crate::image::digest::Digest;

use super::{Added, MAX_ENVELOPE_BYTES, NewSignature, SignatureStore, StoreError, StoredSignature};

/// Media type of JWS envelopes.
const JWS: &str = "application/jose+json";

/// Media type of COSE envelopes.
const COSE: &str = "application/cose";

/// Files that hold one envelope each. All are taken to be candidates for every subject.
#[derive(Clone, Debug)]
pub struct DetachedFiles {
    paths: Vec<PathBuf>,
}

impl DetachedFiles {
    /// These files. The first one is where [`SignatureStore::add`] writes.
    pub fn new(first: PathBuf, others: impl IntoIterator<Item = PathBuf>) -> Self {
        Self { paths: std::iter::once(first).chain(others).collect() }
    }
}

impl SignatureStore for DetachedFiles {
    fn list(&self, _subject: &Descriptor) -> Result<Vec<StoredSignature>, StoreError> {
        Ok(self
            .paths
            .iter()
            .map(|path| StoredSignature {
                location: path.clone(),
                digest: None,
                media_type: media_type_of_name(path).map(str::to_owned),
            })
            .collect())
    }

    fn read(&self, signature: &StoredSignature) -> Result<Vec<u8>, StoreError> {
        let bytes = fsutil::read_bounded(&signature.location, MAX_ENVELOPE_BYTES)?;
        match media_type_of_name(&signature.location) {
            Some(expected) if media_type_of_content(&bytes).is_some_and(|it| it != expected) => {
                Err(StoreError::NotItsFormat { location: signature.location.clone(), expected })
            }
            _ => Ok(bytes),
        }
    }

    fn add(&self, _subject: &Descriptor, envelope: &NewSignature) -> Result<Added, StoreError> {
        let location = self.paths[0].clone();
        fsutil::write_atomic(&location, &envelope.bytes, fsutil::Mode::Private)?;
        Ok(Added { location, digest: Digest::sha256(&envelope.bytes) })
    }
}

/// The format that a file name says, as notation reads it: `.jws.sig` or `.cose.sig`, without
/// regard to case, behind something.
pub fn media_type_of_name(path: &Path) -> Option<&'static str> {
    let name = path.file_name()?.to_str()?.to_ascii_lowercase();
    [(".jws.sig", JWS), (".cose.sig", COSE)].into_iter().find_map(|(suffix, media_type)| {
        name.strip_suffix(suffix).filter(|stem| !stem.is_empty()).map(|_| media_type)
    })
}

/// The format that the first byte says: `{` begins a JWS, the tag 18 a COSE_Sign1.
pub fn media_type_of_content(bytes: &[u8]) -> Option<&'static str> {
    match bytes.first() {
        Some(b'{') => Some(JWS),
        Some(0xd2) => Some(COSE),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_first_bytes_say_the_format() {
        for (name, expected) in [
            ("a.jws.sig", Some(JWS)),
            ("dir/a.b.COSE.SIG", Some(COSE)),
            ("a.sig", None),
            (".jws.sig", None),
            ("jws.sig", None),
            ("a.jws", None),
        ] {
            assert_eq!(media_type_of_name(Path::new(name)), expected, "{name}");
        }
        for (bytes, expected) in
            [(&b"{}"[..], Some(JWS)), (&[0xd2, 0x84], Some(COSE)), (b" {", None), (b"", None)]
        {
            assert_eq!(media_type_of_content(bytes), expected);
        }
    }

    #[test]
    fn a_file_whose_name_contradicts_its_content_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let subject = Descriptor::of("x/y", crate::image::digest::Algorithm::Sha256, b"");
        for (name, bytes, is_read) in [
            ("a.jws.sig", &b"{}"[..], true),
            ("a.cose.sig", b"{}", false),
            ("b.cose.sig", &[0xd2], true),
            ("b.jws.sig", &[0xd2], false),
            ("c.sig", b"{}", true),
            ("d.sig", &[0xd2], true),
        ] {
            let store = DetachedFiles::new(directory.path().join(name), []);
            let envelope = NewSignature { bytes: bytes.to_vec(), media_type: JWS };
            store.add(&subject, &envelope).unwrap();
            let listed = store.list(&subject).unwrap();
            assert_eq!(store.read(&listed[0]).is_ok(), is_read, "{name}");
        }
    }
}
