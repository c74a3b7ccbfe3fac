//! Tables for [`super`]: the rules of spec/notation.md §5.1.

use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::signature::x509::der_write::Critical;
use crate::signature::x509::testing::{DIGITAL_SIGNATURE, Party, Template};

/// A configuration directory with one store, and the certificates to fill it with.
struct Fixture {
    directory: TempDir,
    store: StoreRef,
    root: Vec<u8>,
    intermediate: Vec<u8>,
    leaf: Vec<u8>,
    self_signed_leaf: Vec<u8>,
}

fn leaf(subject: &Party, issuer: &Party) -> Vec<u8> {
    Template::of(subject).key_usage(DIGITAL_SIGNATURE, Critical::Yes).der(issuer)
}

impl Fixture {
    fn new(store: &str) -> Self {
        let [root, intermediate, signer] = ["root", "inter", "leaf"].map(Party::p256);
        Self {
            directory: tempfile::tempdir().unwrap(),
            store: StoreRef::parse(store).unwrap(),
            root: Template::authority(&root).der(&root),
            intermediate: Template::authority(&intermediate).der(&root),
            leaf: leaf(&signer, &intermediate),
            self_signed_leaf: leaf(&signer, &signer),
        }
    }

    fn stores(&self) -> TrustStores {
        TrustStores::new(self.directory.path())
    }

    fn path(&self) -> PathBuf {
        self.stores().directory(&self.store)
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        fsutil::create_private_dir(&self.path()).unwrap();
        fsutil::write_atomic(&self.path().join(name), bytes, fsutil::Mode::Private).unwrap();
    }

    fn load(&self) -> Result<usize, TrustStoreError> {
        self.stores().load(&self.store).map(|certificates| certificates.len())
    }
}

#[test]
fn a_store_is_read_whole() {
    let fixture = Fixture::new("ca:s");
    fixture.put("b.crt", &fixture.root);
    fixture.put("a", &[fixture.intermediate.clone(), fixture.root.clone()].concat());
    fixture.put("c.txt", &fixture.self_signed_leaf);
    assert_eq!(fixture.load().unwrap(), 4);
    assert_eq!(fixture.stores().files(&fixture.store).unwrap(), ["a", "b.crt", "c.txt"]);
}

/// security.md S16: missing or empty trust material is an error, never a pass.
#[test]
fn s16_a_missing_or_empty_store_is_an_error() {
    let fixture = Fixture::new("ca:s");
    let error = fixture.load().unwrap_err();
    assert_eq!(error.to_string(), "the trust store \"s\" of type \"ca\" does not exist");
    assert_eq!(error.hint().unwrap(), "dockseal cert add --type ca --store s ROOT.crt");
    fsutil::create_private_dir(&fixture.path()).unwrap();
    assert_eq!(
        fixture.load().unwrap_err().to_string(),
        "no x509 certificates were found in trust store \"s\" of type \"ca\""
    );
}

#[test]
fn one_bad_file_spoils_the_store() {
    for (name, bytes, reason) in [
        ("empty", vec![], "failed to read the trusted certificate empty"),
        ("text", b"hello".to_vec(), "failed to read the trusted certificate text"),
        ("leaf", Fixture::new("ca:s").leaf, "is not a CA certificate or self-signed"),
    ] {
        let fixture = Fixture::new("ca:s");
        fixture.put("root.crt", &fixture.root);
        fixture.put(name, &bytes);
        let error = fixture.load().unwrap_err().to_string();
        assert!(error.contains(reason), "{name}: {error}");
    }
}

#[test]
fn tsa_stores_hold_root_cas_only() {
    let fixture = Fixture::new("tsa:t");
    fixture.put("root.crt", &fixture.root);
    assert_eq!(fixture.load().unwrap(), 1);
    for bytes in [&fixture.intermediate, &fixture.self_signed_leaf] {
        fixture.put("other.crt", bytes);
        let error = fixture.load().unwrap_err().to_string();
        assert!(error.contains("is not a root CA certificate"), "{error}");
    }
}

#[cfg(unix)]
#[test]
fn links_and_directories_are_refused() {
    let fixture = Fixture::new("ca:s");
    fixture.put("root.crt", &fixture.root);
    let inside = fixture.path().join("link.crt");
    std::os::unix::fs::symlink(fixture.path().join("root.crt"), &inside).unwrap();
    assert!(matches!(fixture.load(), Err(TrustStoreError::NotAFile { .. })));
    fs::remove_file(&inside).unwrap();
    fs::create_dir(&inside).unwrap();
    assert!(matches!(fixture.load(), Err(TrustStoreError::NotAFile { .. })));
    fs::remove_dir(&inside).unwrap();
    assert_eq!(fixture.load().unwrap(), 1);

    let linked = StoreRef::parse("ca:linked").unwrap();
    std::os::unix::fs::symlink(fixture.path(), fixture.stores().directory(&linked)).unwrap();
    assert!(matches!(fixture.stores().load(&linked), Err(TrustStoreError::NotADirectory { .. })));
}

/// Rule N-03: `ca:..` would be `truststore/x509` itself.
#[test]
fn n03_store_names_stay_in_their_directory() {
    for (text, is_valid) in [
        ("ca:s", true),
        ("signingAuthority:a.b_c-D", true),
        ("tsa:...", true),
        ("ca:.", false),
        ("ca:..", false),
        ("ca:", false),
        ("ca:a/b", false),
        ("ca:a b", false),
        ("ca:é", false),
        ("CA:s", false),
        (":s", false),
        ("s", false),
    ] {
        assert_eq!(StoreRef::parse(text).is_ok(), is_valid, "{text}");
    }
}

#[test]
fn certificates_are_added_listed_and_deleted() {
    let fixture = Fixture::new("ca:s");
    let stores = fixture.stores();
    let source = fixture.directory.path().join("my root.crt");
    fsutil::write_atomic(&source, &fixture.root, fsutil::Mode::Private).unwrap();
    assert_eq!(stores.add(&fixture.store, &source).unwrap(), "my root.crt");
    assert!(matches!(stores.add(&fixture.store, &source), Err(ManageError::Exists)));
    let tsa = StoreRef::parse("tsa:t").unwrap();
    assert!(matches!(
        stores.add_bytes(&tsa, "x", &fixture.intermediate),
        Err(ManageError::Untrustworthy(_))
    ));
    stores.add_bytes(&tsa, "x", &fixture.root).unwrap();
    let listed = |kind, name: Option<&str>| -> Vec<String> {
        let entries = stores.list(kind, name).unwrap();
        entries.iter().map(|entry| format!("{} {}", entry.store, entry.file)).collect()
    };
    assert_eq!(listed(None, None), ["ca:s my root.crt", "tsa:t x"]);
    assert_eq!(listed(Some(StoreType::Tsa), None), ["tsa:t x"]);
    assert_eq!(listed(None, Some("s")), ["ca:s my root.crt"]);
    assert!(listed(Some(StoreType::SigningAuthority), Some("s")).is_empty());
    assert_eq!(stores.show(&fixture.store, "my root.crt").unwrap().len(), 1);
    stores.delete(&fixture.store, "my root.crt").unwrap();
    assert!(!fixture.path().exists(), "an empty store is removed with its last file");
    assert!(stores.delete(&fixture.store, "my root.crt").unwrap_err().is_not_found());
    stores.delete_all(&tsa).unwrap();
    assert!(listed(None, None).is_empty());
    assert!(stores.delete_all(&tsa).unwrap_err().is_not_found());
}

/// What is in no file is trusted as if it were, and nothing else is.
#[test]
fn one_store_that_is_held() {
    let fixture = Fixture::new("ca:s");
    fixture.put("root.crt", &fixture.root);
    let held = TrustStores::holding(fixture.store.clone(), &fixture.root).unwrap();
    let der = |stores: &TrustStores, store: &StoreRef| -> Vec<Vec<u8>> {
        stores.load(store).unwrap().iter().map(|it| it.der().to_vec()).collect()
    };
    assert_eq!(der(&held, &fixture.store), der(&fixture.stores(), &fixture.store));
    for other in ["ca:t", "tsa:s", "signingAuthority:s"] {
        let other = StoreRef::parse(other).unwrap();
        assert!(matches!(held.load(&other), Err(TrustStoreError::Missing { .. })), "{other}");
    }
    let tsa = StoreRef::parse("tsa:s").unwrap();
    assert!(TrustStores::holding(tsa, &fixture.intermediate).is_err());
    assert!(TrustStores::holding(fixture.store, b"no certificate").is_err());
}

/// Rule N-03 for file arguments.
#[test]
fn n03_file_arguments_are_base_names() {
    let fixture = Fixture::new("ca:s");
    fixture.put("root.crt", &fixture.root);
    let stores = fixture.stores();
    let outside = fixture.directory.path().join("truststore/x509/ca/victim");
    fsutil::write_atomic(&outside, b"x", fsutil::Mode::Private).unwrap();
    for file in ["../victim", "..", ".", "", "/etc/passwd", "a\\b"] {
        assert!(matches!(
            stores.delete(&fixture.store, file),
            Err(ManageError::NotABaseName { .. })
        ));
        assert!(stores.show(&fixture.store, file).is_err());
        assert!(stores.add_bytes(&fixture.store, file, &fixture.root).is_err());
    }
    assert!(Path::exists(&outside));
}
