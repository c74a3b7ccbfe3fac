//! Tests of [`super`] with the envelopes of the reference (testdata/notation).

use std::path::{Path, PathBuf};

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::fsutil;
use crate::signature::x509;
use crate::store::detached::DetachedFiles;
use crate::trust::level::LevelName;
use crate::trust::policy::OciPolicy;
use crate::trust::store::StoreRef;

/// The target of all reference envelopes.
fn subject() -> Descriptor {
    let digest = "sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707";
    Descriptor::new("application/vnd.oci.image.manifest.v1+json", digest.parse().unwrap(), 247)
}

/// A moment at which everything is valid.
const GOOD: &str = "2027-01-01T00:00:00Z";
/// After the certificates, before the expiry of the envelopes that have one.
const CERTIFICATES_EXPIRED: &str = "2046-05-30T00:00:00Z";
/// After both.
const ALL_EXPIRED: &str = "2047-01-01T00:00:00Z";

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/notation").join(name)
}

/// Trust stores `ca:s`, `signingAuthority:s` and a policy.
struct Fixture {
    directory: TempDir,
    policy: OciPolicy,
}

impl Fixture {
    fn new(verification: &str) -> Self {
        Self::with(verification, "\"ca:s\",\"signingAuthority:s\"", "\"*\"")
    }

    fn with(verification: &str, stores: &str, identities: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = fsutil::read_bounded(&data("valid/root.crt"), 1 << 20).unwrap();
        for store in ["ca:s", "signingAuthority:s"] {
            let store = StoreRef::parse(store).unwrap();
            TrustStores::new(directory.path()).add_bytes(&store, "root.crt", &root).unwrap();
        }
        let document = format!(
            r#"{{"version":"1.0","trustPolicies":[{{"name":"p","registryScopes":["*"],
            "signatureVerification":{verification},
            "trustStores":[{stores}],"trustedIdentities":[{identities}]}}]}}"#
        );
        Self { directory, policy: OciPolicy::parse(document.as_bytes()).unwrap() }
    }

    fn stores(&self) -> TrustStores {
        TrustStores::new(self.directory.path())
    }

    fn verify_at(
        &self,
        now: &str,
        paths: &[PathBuf],
        subject: &Descriptor,
    ) -> Result<Verdict, VerifyError> {
        self.verify_with(VerifyOptions::at(now.parse().unwrap()), paths, subject)
    }

    fn verify_with(
        &self,
        options: VerifyOptions,
        paths: &[PathBuf],
        subject: &Descriptor,
    ) -> Result<Verdict, VerifyError> {
        let stores = self.stores();
        let files = DetachedFiles::new(paths[0].clone(), paths[1..].iter().cloned());
        let statement = self.policy.select(None).unwrap();
        Verifier::new(statement, &stores, options).verify(subject, &files)
    }

    fn verify(&self, name: &str) -> Result<Verdict, VerifyError> {
        self.verify_at(GOOD, &[data(name)], &subject())
    }
}

fn strict() -> Fixture {
    Fixture::new(r#"{"level":"strict"}"#)
}

/// The failure of the signature that came furthest.
fn reason(result: Result<Verdict, VerifyError>) -> CandidateError {
    match result.unwrap_err() {
        VerifyError::NoneTrusted { best, .. } => best.error,
        other => panic!("unexpected {other}"),
    }
}

fn signatures(directory: &str) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(data(directory))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".sig"))
        .collect();
    names.sort_unstable();
    assert!(!names.is_empty());
    names
}

#[test]
fn envelopes_of_the_reference_are_judged_as_they_must_be() {
    let fixture = strict();
    for name in signatures("valid") {
        let result = fixture.verify(&format!("valid/{name}"));
        if name.contains("-critext") {
            assert_eq!(result.unwrap_err().class(), FailureClass::Invalid, "{name} (N-01)");
        } else if name.contains("-plugin") {
            let error = reason(result);
            assert!(matches!(error, CandidateError::PluginRequired { .. }), "{name}: {error}");
        } else {
            let Ok(Verdict::Trusted(trusted)) = result else { panic!("{name}: {result:?}") };
            assert_eq!(trusted.subject(), &subject());
            assert!(trusted.checks().iter().all(|check| check.status == CheckStatus::Passed));
            assert_eq!(
                trusted.checks().iter().map(|check| check.id).collect::<Vec<_>>(),
                CheckId::ALL
            );
        }
    }
}

#[test]
fn mutated_envelopes_get_their_verdicts() {
    let fixture = strict();
    let verdicts = fsutil::read_bounded(&data("verdicts.json"), 1 << 20).unwrap();
    let verdicts: serde_json::Value = serde_json::from_slice(&verdicts).unwrap();
    for name in signatures("mutated") {
        let verdict = &verdicts[name.strip_suffix(".sig").unwrap()]["dockseal"];
        let result = fixture.verify(&format!("mutated/{name}"));
        match verdict.as_str().unwrap() {
            // A valid envelope for something else: its verdict is about the envelope alone.
            "accept" if name == "a7-big-size.jws.sig" => {
                assert!(matches!(reason(result), CandidateError::ContentMismatch { .. }));
            }
            "accept" => assert!(result.is_ok(), "{name}: {result:?}"),
            _ => assert!(result.is_err(), "{name} must be refused"),
        }
    }
}

/// Five levels, five validations: what fails, and whether it matters (§5.4).
#[test]
fn the_policy_decides_which_failures_matter() {
    let levels = [
        r#"{"level":"strict"}"#,
        r#"{"level":"permissive"}"#,
        r#"{"level":"audit"}"#,
        r#"{"level":"strict","override":{"expiry":"log","revocation":"skip"}}"#,
        r#"{"level":"audit","override":{"authenticity":"enforce","authenticTimestamp":"enforce"}}"#,
    ];
    let ext = "valid/ec256.x509-ext.jws.sig";
    let revocable =
        "lc/blobs/sha256/633f67a5f8c615096f296812b8101cab7c9f6e914e2e7da3e457d27c20189afa";
    let rows: [(ValidationType, &str, &str, FailureClass, [bool; 5]); 5] = [
        (
            ValidationType::Integrity,
            "mutated/71-sig-empty.jws.sig",
            GOOD,
            FailureClass::Invalid,
            [false, false, false, false, false],
        ),
        (
            ValidationType::Authenticity,
            "valid/ec256.x509.cose.sig",
            GOOD,
            FailureClass::NotTrusted,
            [false, false, true, false, false],
        ),
        (
            ValidationType::Expiry,
            ext,
            ALL_EXPIRED,
            FailureClass::Expired,
            [false, true, true, false, false],
        ),
        (
            ValidationType::AuthenticTimestamp,
            ext,
            CERTIFICATES_EXPIRED,
            FailureClass::Expired,
            [false, true, true, false, false],
        ),
        (
            ValidationType::Revocation,
            revocable,
            "2026-11-22T12:00:00Z",
            FailureClass::Revoked,
            [false, true, true, true, true],
        ),
    ];
    for (kind, file, now, class, passes) in rows {
        for (level, passes) in levels.into_iter().zip(passes) {
            let fixture = match kind {
                ValidationType::Authenticity => Fixture::with(
                    level,
                    "\"ca:s\"",
                    "\"x509.subject: C=US, ST=WA, O=somebody else\"",
                ),
                _ => Fixture::new(level),
            };
            if kind == ValidationType::Revocation {
                trust_root_of(&fixture, file);
            }
            let result = fixture.verify_at(now, &[data(file)], &subject());
            match result {
                Ok(Verdict::Trusted(trusted)) => {
                    assert!(passes, "{kind} must fail at {level}");
                    let check = &trusted.checks()[CheckId::ALL
                        .iter()
                        .position(|id| *id == CheckId::Validation(kind))
                        .unwrap()];
                    assert!(
                        check.is_logged_failure() || check.status == CheckStatus::Skipped,
                        "{kind} at {level}: {check:?}"
                    );
                }
                Ok(Verdict::Skipped) => panic!("{kind} at {level}"),
                Err(error) => {
                    assert!(!passes, "{kind} at {level}: {error}");
                    assert_eq!(error.class(), class, "{kind} at {level}: {error}");
                }
            }
        }
    }
}

/// Adds the root of an envelope's own chain to `ca:s`.
fn trust_root_of(fixture: &Fixture, file: &str) {
    let bytes = fsutil::read_bounded(&data(file), 1 << 20).unwrap();
    let content = Envelope::decode_any(&bytes).unwrap().unverified_content().unwrap();
    let root = content.certificates().last().unwrap();
    let store = StoreRef::parse("ca:s").unwrap();
    fixture.stores().add_bytes(&store, "own.crt", root.der()).unwrap();
}

#[test]
fn skip_verifies_nothing_and_says_so() {
    let document = br#"{"version":"1.0","trustPolicies":[{"name":"p","registryScopes":["*"],
        "signatureVerification":{"level":"skip"}}]}"#;
    let fixture = Fixture {
        directory: tempfile::tempdir().unwrap(),
        policy: OciPolicy::parse(document).unwrap(),
    };
    assert!(matches!(fixture.verify("does-not-exist.sig"), Ok(Verdict::Skipped)));
}

/// security.md S1: digest and size and media type, never one alone.
#[test]
fn s1_the_signed_descriptor_is_compared_whole() {
    let fixture = Fixture::new(r#"{"level":"audit"}"#);
    let good = subject();
    let other = Digest::sha256(b"other");
    for found in [
        Descriptor::new(good.media_type.clone(), other, 247),
        Descriptor::new(good.media_type.clone(), good.digest.clone(), 248),
        Descriptor::new("application/vnd.oci.image.index.v1+json", good.digest.clone(), 247),
    ] {
        let result = fixture.verify_at(GOOD, &[data("valid/ec256.x509.jws.sig")], &found);
        let error = reason(result);
        assert!(matches!(error, CandidateError::ContentMismatch { .. }), "{found}: {error}");
        assert_eq!(error.class(), FailureClass::ContentMismatch);
        assert_eq!(error.hint().is_some(), found.digest == good.digest);
    }
}

/// security.md S2: no signature, no pass, whatever the level.
#[test]
fn s2_no_signature_is_a_failure_at_every_level() {
    for level in ["strict", "permissive", "audit"] {
        let fixture = Fixture::new(&format!("{{\"level\":\"{level}\"}}"));
        let stores = fixture.stores();
        let cache = crate::store::cache::SignatureCache::new(fixture.directory.path());
        let statement = fixture.policy.select(None).unwrap();
        let options = VerifyOptions::at(GOOD.parse().unwrap());
        let error =
            Verifier::new(statement, &stores, options).verify(&subject(), &cache).unwrap_err();
        assert!(matches!(error, VerifyError::NoSignature { .. }), "{level}");
        assert_eq!(error.class(), FailureClass::NoSignature);
        let missing = fixture.verify("does-not-exist.sig").unwrap_err();
        assert_eq!(missing.class(), FailureClass::NoSignature, "{level}");
    }
}

#[test]
fn the_first_trusted_signature_counts_and_bad_ones_are_reported() {
    let names = ["mutated/71-sig-empty.jws.sig", "valid/ec256.x509.jws.sig", "none.sig"];
    let paths = names.map(data);
    let Ok(Verdict::Trusted(trusted)) = strict().verify_at(GOOD, &paths, &subject()) else {
        panic!("one good signature is enough")
    };
    assert_eq!(trusted.location(), paths[1]);
    assert_eq!(trusted.rejected().len(), 1);
}

#[test]
fn the_failure_that_came_furthest_is_told() {
    let fixture = Fixture::with(
        r#"{"level":"strict"}"#,
        "\"ca:s\"",
        "\"x509.subject: C=US, ST=WA, O=somebody else\"",
    );
    let names = [
        "README.md",
        "mutated/71-sig-empty.jws.sig",
        "valid/ec256.x509.jws.sig",
        "mutated/01-untagged.cose.sig",
        "valid/rsa2048.x509.jws.sig",
    ];
    let error = fixture.verify_at(GOOD, &names.map(data), &subject()).unwrap_err();
    let VerifyError::NoneTrusted { best, others, .. } = error else { panic!("{error}") };
    assert_eq!(best.location, data(names[2]));
    assert!(matches!(best.error, CandidateError::UntrustedIdentity { .. }));
    assert_eq!(others.len(), 4);
    assert_eq!(best.checks.len(), CheckId::ALL.len());
    assert_eq!(best.checks[1].status, CheckStatus::Failed);
    assert!(best.checks[2..].iter().all(|check| check.status == CheckStatus::NotReached));
}

/// security.md S11, CVE-2023-33957: evaluation stops.
#[test]
fn s11_the_number_of_evaluated_signatures_is_limited() {
    let paths = [data("mutated/71-sig-empty.jws.sig"), data("valid/ec256.x509.jws.sig")];
    let mut options = VerifyOptions::at(GOOD.parse().unwrap());
    options.max_signatures = 1;
    let error = strict().verify_with(options.clone(), &paths, &subject()).unwrap_err();
    let VerifyError::NoneTrusted { limit, others, .. } = error else { panic!("{error}") };
    assert_eq!(limit, Some(LimitReached { limit: 1 }));
    assert!(others.is_empty());
    options.max_signatures = 2;
    assert!(strict().verify_with(options, &paths, &subject()).is_ok());
}

/// security.md S13, CVE-2024-23332: a permissive policy takes an expired signature; it says so.
#[test]
fn s13_what_a_weak_policy_lets_pass_is_reported() {
    let fixture = Fixture::new(r#"{"level":"permissive"}"#);
    let file = data("valid/ec256.x509-ext.jws.sig");
    let Ok(Verdict::Trusted(trusted)) = fixture.verify_at(ALL_EXPIRED, &[file], &subject()) else {
        panic!("permissive only logs")
    };
    assert_eq!(trusted.level(), LevelName::Permissive);
    let logged: Vec<_> =
        trusted.checks().iter().filter(|check| check.is_logged_failure()).collect();
    assert_eq!(logged.len(), 2, "expiry and authentic timestamp");
    assert!(logged[0].evidence.contains("signature expired at 2046-06-01"));
}

/// security.md S16: trust material that is missing is an error.
#[test]
fn s16_missing_trust_material_is_not_trust() {
    let fixture = Fixture::with(r#"{"level":"strict"}"#, "\"ca:s\",\"ca:none\"", "\"*\"");
    let error = reason(fixture.verify("valid/ec256.x509.jws.sig"));
    assert_eq!(error.to_string(), "the trust store \"none\" of type \"ca\" does not exist");
    assert!(error.hint().unwrap().to_string().contains("cert add --type ca --store none"));
    let fixture = Fixture::with(r#"{"level":"strict"}"#, "\"tsa:s\"", "\"*\"");
    let error = reason(fixture.verify("valid/ec256.x509.jws.sig"));
    assert!(matches!(error, CandidateError::NoTrustStore { .. }));
}

/// A signing authority's signature is not measured against `ca` stores, nor the other way round.
#[test]
fn schemes_do_not_borrow_each_others_stores() {
    for (stores, file, passes) in [
        ("\"ca:s\"", "valid/ec256.x509.jws.sig", true),
        ("\"ca:s\"", "valid/ec256.sa.jws.sig", false),
        ("\"signingAuthority:s\"", "valid/ec256.sa.jws.sig", true),
        ("\"signingAuthority:s\"", "valid/ec256.x509.jws.sig", false),
    ] {
        let fixture = Fixture::with(r#"{"level":"strict"}"#, stores, "\"*\"");
        assert_eq!(fixture.verify(file).is_ok(), passes, "{stores} {file}");
    }
}

/// The time of a signing authority counts, not the time of verification.
#[test]
fn a_signing_authority_vouches_for_the_time() {
    let fixture = strict();
    for (file, passes) in [("valid/ec256.sa.jws.sig", true), ("valid/ec256.x509.jws.sig", false)] {
        let result = fixture.verify_at(CERTIFICATES_EXPIRED, &[data(file)], &subject());
        assert_eq!(result.is_ok(), passes, "{file}");
    }
}

/// security.md S17, rule N-02: the plugin a signature names plays no part before trust.
#[test]
fn s17_a_demanded_plugin_is_looked_at_after_trust() {
    let stranger = |level| Fixture::with(level, "\"ca:s\"", "\"*\"");
    let file = "valid/ec256.sa-plugin.jws.sig";
    let strict_to_strangers = reason(stranger(r#"{"level":"strict"}"#).verify(file));
    assert!(matches!(strict_to_strangers, CandidateError::NoTrustStore { .. }));
    let lax = reason(stranger(r#"{"level":"audit"}"#).verify(file));
    assert!(matches!(lax, CandidateError::PluginOfStranger { .. }), "{lax}");
    let known = reason(strict().verify("valid/ec256.x509-plugin.jws.sig"));
    assert!(matches!(known, CandidateError::PluginRequired { .. }), "{known}");
}

#[test]
fn asked_for_metadata_must_be_signed() {
    let mut options = VerifyOptions::at(GOOD.parse().unwrap());
    options.user_metadata.insert("k".to_owned(), "v".to_owned());
    let file = data("valid/ec256.x509.jws.sig");
    let error = reason(strict().verify_with(options, &[file], &subject()));
    assert_eq!(error.to_string(), "signed user metadata \"k\" is not there, expected \"v\"");
}

/// A timestamp countersignature is mandatory once the policy lists a `tsa` store (§6.2).
#[test]
fn a_tsa_store_makes_the_timestamp_mandatory() {
    let stores = "\"ca:s\",\"tsa:none\"";
    for (verification, now, passes) in [
        (r#"{"level":"strict"}"#, GOOD, false),
        (r#"{"level":"strict","verifyTimestamp":"afterCertExpiry"}"#, GOOD, true),
        (r#"{"level":"strict","verifyTimestamp":"afterCertExpiry"}"#, CERTIFICATES_EXPIRED, false),
    ] {
        let fixture = Fixture::with(verification, stores, "\"*\"");
        let file = data("valid/ec256.x509.jws.sig");
        let result = fixture.verify_at(now, &[file], &subject());
        assert_eq!(result.is_ok(), passes, "{verification} {now}");
    }
}

/// A certificate for the same key but of another issuer is another signer (§12.3).
#[test]
fn trust_is_in_certificates_not_keys() {
    let fixture = Fixture::with(r#"{"level":"strict"}"#, "\"ca:other\"", "\"*\"");
    let other = x509::generate::self_signed(
        "other",
        crate::signature::algorithm::KeySpec::Rsa2048,
        GOOD.parse().unwrap(),
    )
    .unwrap();
    let store = StoreRef::parse("ca:other").unwrap();
    let pem = other.certificate_pem.as_bytes();
    fixture.stores().add_bytes(&store, "other.crt", pem).unwrap();
    let error = reason(fixture.verify("valid/ec256.x509.jws.sig"));
    assert!(matches!(error, CandidateError::UntrustedRoot { .. }), "{error}");
    assert!(error.to_string().contains("ca:other"));
}

/// The layout of the reference with a timestamp and a leaf that has expired since (§6).
const TIMESTAMPED: &str =
    "lt/blobs/sha256/b4d9a9d16280438ef5ce653ef323a575705e1b1f9fa7947c70f2df5c3fcddcb7";

fn trust_tsa(fixture: &Fixture, file: &str) {
    let root = fsutil::read_bounded(&data(file), 1 << 20).unwrap();
    let store = StoreRef::parse("tsa:t").unwrap();
    fixture.stores().add_bytes(&store, "tsa.crt", &root).unwrap();
}

#[test]
fn a_timestamp_proves_that_an_expired_certificate_was_valid() {
    let stores = "\"ca:s\",\"tsa:t\"";
    for (verification, tsa_root, passes) in [
        (r#"{"level":"strict"}"#, "valid/ts/root.crt", true),
        (r#"{"level":"strict","verifyTimestamp":"afterCertExpiry"}"#, "valid/ts/root.crt", true),
        (r#"{"level":"strict"}"#, "valid/root.crt", false),
        (r#"{"level":"permissive"}"#, "valid/root.crt", true),
    ] {
        let fixture = Fixture::with(verification, stores, "\"*\"");
        trust_root_of(&fixture, TIMESTAMPED);
        trust_tsa(&fixture, tsa_root);
        let result = fixture.verify_at(GOOD, &[data(TIMESTAMPED)], &subject());
        assert_eq!(result.is_ok(), passes, "{verification} {tsa_root}: {result:?}");
    }
    let without = strict();
    trust_root_of(&without, TIMESTAMPED);
    let error = reason(without.verify(TIMESTAMPED));
    let is_told = matches!(error, CandidateError::NotValidNow { has_timestamp: true, .. });
    assert!(is_told, "{error}");
}

/// One signer can sign as often as he likes, and a signer nobody vouches for does not count.
#[test]
fn distinct_signers() {
    let verify = |fixture: &Fixture, names: &[&str], signers| {
        let paths: Vec<_> = names.iter().map(|name| data(&format!("valid/{name}.sig"))).collect();
        let signers = NonZero::new(signers).unwrap();
        let options = VerifyOptions { signers, ..VerifyOptions::at(GOOD.parse().unwrap()) };
        fixture.verify_with(options, &paths, &subject())
    };
    let strict = Fixture::new(r#"{"level":"strict"}"#);
    let all = ["ec256.x509.jws", "ec256.x509.cose", "ec521.x509.jws"];
    let Ok(Verdict::Trusted(trusted)) = verify(&strict, &all, 2) else { panic!("two signers") };
    assert!(trusted.signer().contains("leaf-ec256"), "{}", trusted.signer());
    let [cosigner] = trusted.cosigners() else { panic!("one cosigner") };
    assert!(cosigner.signer().contains("leaf-ec521"), "{}", cosigner.signer());
    for (fixture, names, signers, expected) in [
        (&strict, &all[..2], 2, 1),
        (&strict, &all[..], 3, 2),
        (&Fixture::with(r#"{"level":"audit"}"#, "\"ca:none\"", "\"*\""), &all[..], 2, 0),
    ] {
        match verify(fixture, names, signers) {
            Err(error @ VerifyError::TooFewSigners { .. }) => {
                assert_eq!(error.class(), FailureClass::NotTrusted);
                let VerifyError::TooFewSigners { signers, .. } = error else { unreachable!() };
                assert_eq!(signers.len(), expected, "{signers:?}");
            }
            other => panic!("{other:?}"),
        }
    }
}

/// CVE-2024-23332: under a policy that only logs expiry an old signature verifies, unless the caller
/// demands more.
#[test]
fn freshness_is_demanded_at_every_level() {
    let audit = Fixture::new(r#"{"level":"audit"}"#);
    let verify = |now: &str, name: &str, freshness| {
        let options = VerifyOptions { freshness, ..VerifyOptions::at(now.parse().unwrap()) };
        audit.verify_with(options, &[data(&format!("valid/{name}.sig"))], &subject())
    };
    let none = Freshness::default();
    let expiring = Freshness { require_expiry: true, ..none };
    let young = Freshness { max_age: Some(jiff::SignedDuration::from_hours(24 * 366)), ..none };
    // Without and with an expiry.
    let (forever, ending) = ("ec256.x509.jws", "ec256.x509-ext.jws");
    for (now, name, freshness, good) in [
        (ALL_EXPIRED, forever, none, true),
        (ALL_EXPIRED, ending, none, true),
        (GOOD, forever, expiring, false),
        (GOOD, ending, expiring, true),
        (ALL_EXPIRED, ending, expiring, false),
        (GOOD, forever, young, true),
        (CERTIFICATES_EXPIRED, forever, young, false),
        // Before it was made.
        ("2020-01-01T00:00:00Z", forever, young, false),
    ] {
        match verify(now, name, freshness) {
            Ok(_) => assert!(good, "{now} {name} {freshness:?}"),
            Err(error) => {
                assert!(!good, "{now} {name} {freshness:?}: {error}");
                assert_eq!(error.class(), FailureClass::Expired, "{error}");
            }
        }
    }
}

/// AD CS names its CRLs so.
#[test]
fn the_url_of_a_list_is_one_word() {
    let unknown = |url: &str| CandidateError::RevocationUnknown {
        subject: "CN=a".to_owned(),
        reason: "none".to_owned(),
        crl_url: Some(url.to_owned()),
    };
    for (url, expected) in [
        ("http://pki.example/root.crl", Some("--url http://pki.example/root.crl FILE.crl")),
        ("http://pki.example/CA(1).crl", Some("--url 'http://pki.example/CA(1).crl' FILE.crl")),
        ("http://pki.example/\n", None),
    ] {
        let expected = expected.map(|it| format!("dockseal crl import {it}"));
        assert_eq!(unknown(url).hint().map(|hint| hint.to_string()), expected);
    }
}
