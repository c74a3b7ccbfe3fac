//! `kit.json`: what a kit is called, and the files it has.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::image::digest::Digest;
use crate::image::json::{self, Rules};
use crate::trust::crls::CrlBundle;
use crate::trust::files::PolicyFiles;
use crate::trust::identity::IdentityKinds;
use crate::trust::policy::PolicyKind;
use crate::trust::store::{StoreRef, StoreType, TrustStores, is_file_name};

use super::KitError;

/// Media type of `kit.json`, which the signature covers.
pub const MEDIA_TYPE: &str = "application/vnd.dockseal.kit.v1+json";

/// The policy of notation 1.x. A kit has none; where a host has it, it follows the other one.
pub(super) const LEGACY: &str = "trustpolicy.json";

/// Version of the form of `kit.json`.
const SCHEMA_VERSION: u32 = 1;
/// Longest name of a kit.
const MAX_NAME: usize = 64;
/// Longest name of a file in a trust store.
const MAX_FILE_NAME: usize = 200;
/// Most files.
pub(super) const MAX_FILES: usize = 10_000;

const RULES: Rules = Rules {
    max_bytes: 8 << 20,
    max_depth: 8,
    known: &[
        "schemaVersion",
        "name",
        "version",
        "created",
        "files",
        "path",
        "kind",
        "size",
        "sha256",
        "thisUpdate",
        "nextUpdate",
    ],
    free_maps: &[],
};

/// A kit.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Document {
    schema_version: u32,
    /// What it is called: kits of one name replace each other.
    pub name: String,
    /// Which one of that name; a later one has a greater number.
    pub version: u64,
    /// When it was made.
    pub created: String,
    /// Its files.
    pub files: Vec<Entry>,
}

/// A file of a kit.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Entry {
    /// Its place, which is also the name of the member.
    pub path: String,
    /// What it is.
    pub kind: Kind,
    /// Its size in bytes.
    pub size: u64,
    /// The sha256 digest of its bytes, hexadecimal.
    pub sha256: String,
    /// When a CRL was issued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub this_update: Option<String>,
    /// When a CRL expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_update: Option<String>,
}

/// What a file is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Certificates of a trust store.
    Certificate,
    /// A trust policy.
    Policy,
    /// An entry of the CRL cache.
    Crl,
}

/// Where a file lies.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Place {
    /// An entry of the CRL cache, by the digest of its URL.
    Crl(String),
    /// A file of a trust store.
    Certificate {
        /// The store.
        store: StoreRef,
        /// The name of the file.
        file: String,
    },
    /// A trust policy.
    Policy(PolicyKind),
    /// The copy of the policy for notation 1.x. Never in a kit.
    LegacyPolicy,
}

impl Place {
    /// The place that a path in a kit means. There are no others.
    #[must_use]
    pub fn parse(path: &str) -> Option<Self> {
        if let Some(hex) = path.strip_prefix("crl/") {
            let is_hex = hex.len() == 64
                && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            return is_hex.then(|| Self::Crl(hex.to_owned()));
        }
        for kind in [PolicyKind::Oci, PolicyKind::Blob] {
            if path == policy_file(kind) {
                return Some(Self::Policy(kind));
            }
        }
        let mut parts = path.strip_prefix("truststore/x509/")?.split('/');
        let (kind, store, file) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || !is_store_file(file) {
            return None;
        }
        let store = StoreRef::new(StoreType::parse(kind)?, store)?;
        Some(Self::Certificate { store, file: file.to_owned() })
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Certificate { .. } => Kind::Certificate,
            Self::Policy(_) | Self::LegacyPolicy => Kind::Policy,
            Self::Crl(_) => Kind::Crl,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate { store, file } => {
                write!(f, "truststore/x509/{}/{}/{file}", store.kind(), store.name())
            }
            Self::Policy(kind) => f.write_str(policy_file(*kind)),
            Self::LegacyPolicy => f.write_str(LEGACY),
            Self::Crl(hex) => write!(f, "crl/{hex}"),
        }
    }
}

fn policy_file(kind: PolicyKind) -> &'static str {
    match kind {
        PolicyKind::Oci => "trustpolicy.oci.json",
        PolicyKind::Blob => "trustpolicy.blob.json",
    }
}

/// A name that stays in its directory, can be shown, and is no temporary file's.
fn is_store_file(name: &str) -> bool {
    let is_allowed = |it: char| !it.is_control() && !matches!(it, '/' | '\\');
    (1..=MAX_FILE_NAME).contains(&name.len())
        && !name.starts_with('.')
        && name.chars().all(is_allowed)
}

/// Whether a kit may be called so: as a trust store may, and not too long.
#[must_use]
pub fn is_kit_name(name: &str) -> bool {
    is_file_name(name) && name.len() <= MAX_NAME && !name.starts_with('.')
}

/// A file of a kit, whose content is what its place says.
#[derive(Clone, Debug)]
pub struct KitFile {
    /// Where it lies.
    pub place: Place,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What they mean, for CRLs.
    pub crl: Option<CrlBundle>,
}

impl KitFile {
    /// Checks the content for its place. Private keys have none.
    ///
    /// # Errors
    /// [`KitError::PrivateKey`]; [`KitError::Content`] when it is something else.
    pub fn new(place: Place, bytes: Vec<u8>) -> Result<Self, KitError> {
        let path = place.to_string();
        if bytes.windows(PRIVATE_KEY.len()).any(|window| window == PRIVATE_KEY) {
            return Err(KitError::PrivateKey { path });
        }
        let problem = |problem: String| KitError::Content { path: path.clone(), problem };
        let mut crl = None;
        match &place {
            Place::Certificate { store, .. } => {
                TrustStores::check(store.kind(), &bytes).map_err(|it| problem(it.to_string()))?;
            }
            Place::Policy(kind) => check_policy(*kind, &bytes).map_err(problem)?,
            Place::LegacyPolicy => check_policy(PolicyKind::Oci, &bytes).map_err(problem)?,
            Place::Crl(_) => {
                crl = Some(CrlBundle::from_json(&bytes).map_err(|it| problem(it.to_string()))?);
            }
        }
        Ok(Self { place, bytes, crl })
    }

    /// Its entry in `kit.json`.
    #[must_use]
    pub fn entry(&self) -> Entry {
        // A kit is as current as the older of the two lists.
        let lists = || self.crl.iter().flat_map(|crl| std::iter::once(&crl.base).chain(&crl.delta));
        Entry {
            path: self.place.to_string(),
            kind: self.place.kind(),
            size: self.bytes.len() as u64,
            sha256: Digest::sha256(&self.bytes).hex().to_owned(),
            this_update: lists().map(|list| list.this_update()).max().map(|it| it.to_string()),
            next_update: lists()
                .filter_map(|list| list.next_update())
                .min()
                .map(|it| it.to_string()),
        }
    }
}

/// In the label of every PEM block with a private key.
const PRIVATE_KEY: &[u8] = b"PRIVATE KEY-----";

/// Identities of plugins are none of the kit's business.
fn check_policy(kind: PolicyKind, bytes: &[u8]) -> Result<(), String> {
    let files = PolicyFiles::new(std::path::Path::new("")).with(IdentityKinds::ForPlugins);
    files.check(kind, bytes).map_err(|error| error.to_string())
}

impl Document {
    /// A kit of these files.
    ///
    /// # Errors
    /// [`KitError::Name`], [`KitError::Empty`] and [`KitError::TooLarge`].
    pub fn new(
        name: &str,
        version: u64,
        created: jiff::Timestamp,
        files: &[KitFile],
    ) -> Result<Self, KitError> {
        let document = Self {
            schema_version: SCHEMA_VERSION,
            name: name.to_owned(),
            version,
            created: created.to_string(),
            files: files.iter().map(KitFile::entry).collect(),
        };
        document.check()?;
        Ok(document)
    }

    /// Reads a document.
    ///
    /// # Errors
    /// [`KitError`]: it is none, or of another version.
    pub fn parse(bytes: &[u8]) -> Result<Self, KitError> {
        let document: Self = json::read(bytes, &RULES).map_err(KitError::Document)?;
        if document.schema_version != SCHEMA_VERSION {
            return Err(KitError::SchemaVersion { found: document.schema_version });
        }
        document.check()?;
        Ok(document)
    }

    fn check(&self) -> Result<(), KitError> {
        if !is_kit_name(&self.name) {
            return Err(KitError::Name { name: self.name.clone() });
        }
        if self.created.parse::<jiff::Timestamp>().is_err() {
            return Err(KitError::Created { found: self.created.clone() });
        }
        if self.files.len() > MAX_FILES {
            return Err(KitError::TooLarge { what: "files", limit: MAX_FILES as u64 });
        }
        if self.files.is_empty() { Err(KitError::Empty) } else { Ok(()) }
    }

    /// Its bytes, which are signed.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("texts and numbers are always JSON");
        bytes.push(b'\n');
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s9_no_other_places() {
        let hex = "0".repeat(64);
        for good in [
            "trustpolicy.oci.json",
            "trustpolicy.blob.json",
            "truststore/x509/ca/a.b-c_d/root 1.crt",
            "truststore/x509/signingAuthority/x/y",
            "truststore/x509/tsa/x/y.pem",
            &format!("crl/{hex}"),
        ] {
            assert_eq!(Place::parse(good).unwrap().to_string(), good);
        }
        for bad in [
            "",
            "kit.json",
            "trustpolicy.json",
            "signingkeys.json",
            "localkeys/a.key",
            "plugins/x/notation-x",
            "truststore/x509/ca/x",
            "truststore/x509/ca/x/",
            "truststore/x509/ca/../y",
            "truststore/x509/ca/x/..",
            "truststore/x509/ca/x/.hidden",
            "truststore/x509/ca/x/a/b",
            "truststore/x509/ca/x/a\\b",
            "truststore/x509/ca/x/a\nb",
            "truststore/x509/other/x/y",
            "truststore//x509/ca/x/y",
            "crl/ABCDEF",
            &format!("crl/{}", "A".repeat(64)),
            &format!("crl/../{hex}"),
        ] {
            assert_eq!(Place::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn s6_documents_are_strict() {
        let good = r#"{"schemaVersion":1,"name":"a","version":1,"created":"2026-11-26T00:00:00Z","files":[{"path":"trustpolicy.oci.json","kind":"policy","size":1,"sha256":"00"}]}"#;
        Document::parse(good.as_bytes()).unwrap();
        for (from, to) in [
            ("\"name\":\"a\"", "\"name\":\"../a\""),
            ("\"name\":\"a\"", "\"name\":\".a\""),
            ("\"name\":\"a\"", "\"name\":\"a\",\"Name\":\"b\""),
            ("\"version\":1", "\"version\":-1"),
            ("\"schemaVersion\":1", "\"schemaVersion\":2"),
            ("2026-11-26T00:00:00Z", "yesterday"),
            ("\"kind\":\"policy\"", "\"kind\":\"key\""),
            ("\"size\":1", "\"size\":1,\"mode\":777"),
        ] {
            let bad = good.replacen(from, to, 1);
            assert_ne!(bad, good);
            assert!(Document::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
