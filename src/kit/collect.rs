//! A host's files into a kit: its trust stores, its policies, its CRLs. Keys stay where they are.

use crate::fsutil;
use crate::image::digest::Digest;
use crate::trust::crls::{CrlBundle, MAX_ENTRY_BYTES};
use crate::trust::files::{PolicyFileError, PolicyFiles};
use crate::trust::policy::PolicyKind;
use crate::trust::store::MAX_STORE_FILE_BYTES;

use super::document::{KitFile, Place};
use super::{Host, KitError};

/// Everything that is to be in a kit, in the order of its places. `crls` come with the URLs that
/// certificates have, and replace what the cache has for these.
///
/// # Errors
/// [`KitError`]: something can't be read, or has no place in a kit.
pub fn collect(host: &Host, crls: &[(String, CrlBundle)]) -> Result<Vec<KitFile>, KitError> {
    let mut files = Vec::new();
    let mut add = |path: &str, bytes: Vec<u8>| -> Result<(), KitError> {
        let place = Place::parse(path).ok_or_else(|| KitError::Place { path: path.to_owned() })?;
        files.push(KitFile::new(place, bytes)?);
        Ok(())
    };
    let stores = host.stores();
    for entry in stores.list(None, None)? {
        let (store, file) = (&entry.store, &entry.file);
        let path = stores.directory(store).join(file);
        if !std::fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file()) {
            return Err(KitError::NotRegular { path });
        }
        let bytes = fsutil::read_regular(&path, MAX_STORE_FILE_BYTES)?;
        let name = format!("truststore/x509/{}/{}/{file}", store.kind(), store.name());
        add(&name, bytes)?;
    }
    let policies = PolicyFiles::new(&host.config);
    for kind in [PolicyKind::Oci, PolicyKind::Blob] {
        match policies.read(kind) {
            Ok(document) => add(&Place::Policy(kind).to_string(), document.bytes)?,
            Err(PolicyFileError::Missing { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    for (url, bundle) in crls {
        let hex = Digest::sha256(url.as_bytes()).hex().to_owned();
        add(&Place::Crl(hex).to_string(), bundle.to_json())?;
    }
    for path in host.crls().entries()? {
        let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase());
        let place = Place::Crl(name.unwrap_or_default());
        if crls
            .iter()
            .all(|(url, _)| place != Place::Crl(Digest::sha256(url.as_bytes()).hex().to_owned()))
        {
            add(&place.to_string(), fsutil::read_regular(&path, MAX_ENTRY_BYTES as u64)?)?;
        }
    }
    files.sort_by(|a, b| a.place.cmp(&b.place));
    Ok(files)
}
