//! Use case: what a host trusts becomes one signed archive, and that becomes what another host trusts.
//!
//! ```text
//! trust stores ─┐                               ┌─ verified (by the caller: a blob signature)
//! trust policies├─ collect ── kit.tar ── read ──┤
//! CRL cache ────┘                               └─ plan ── differences ── install
//! ```
//!
//! A kit is a tar with exactly these members, in this order (spec/notation.md §5.1, §5.2, §5.5 and
//! §7 have the places, §10 the signature):
//!
//! ```text
//! kit.json                                  schemaVersion, name, version, created, files[]
//! kit.json.jws.sig | kit.json.cose.sig      a blob signature of kit.json: `notation blob verify`
//! truststore/x509/TYPE/STORE/FILE           the files of kit.json, in its order
//! trustpolicy.oci.json, trustpolicy.blob.json
//! crl/HEX                                   an entry of the CRL cache
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`document`] | `kit.json`, and which places there are |
//! | [`archive`] | the tar, strictly |
//! | [`collect`](mod@collect) | a host's files into a kit |
//! | [`plan`](mod@plan) | what an import would change, for people |
//! | [`install`] | the changes, all or none, and what is remembered of them |
//!
//! Nothing of a kit is believed before its signature is; whether it is, the caller decides. Its CRLs
//! are the exception: a CRL is signed itself, and on a host whose own have expired only the new ones
//! can say that the signer of the kit is not revoked.

pub mod archive;
pub mod collect;
pub mod document;
mod error;
pub mod install;
pub mod plan;

pub use self::error::KitError;

use std::path::{Path, PathBuf};

use crate::trust::crls::CrlCache;
use crate::trust::files::PolicyFiles;
use crate::trust::store::TrustStores;

use self::document::Place;

/// A host's directories of trust: notation's (spec/notation.md §7).
#[derive(Clone, Debug)]
pub struct Host {
    config: PathBuf,
    cache: PathBuf,
}

impl Host {
    /// A host with these configuration and cache directories, which need not exist.
    #[must_use]
    pub fn new(config: &Path, cache: &Path) -> Self {
        Self { config: config.to_owned(), cache: cache.to_owned() }
    }

    /// Where something lies.
    #[must_use]
    pub fn path(&self, place: &Place) -> PathBuf {
        match place {
            Place::Certificate { store, file } => self.stores().directory(store).join(file),
            Place::Policy(kind) => PolicyFiles::new(&self.config).path(*kind),
            Place::LegacyPolicy => self.config.join(document::LEGACY),
            Place::Crl(hex) => self.crls().directory().join(hex),
        }
    }

    fn stores(&self) -> TrustStores {
        TrustStores::new(&self.config)
    }

    fn crls(&self) -> CrlCache {
        CrlCache::new(&self.cache)
    }
}
