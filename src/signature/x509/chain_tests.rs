//! The 39 cases of `cert-chain-reference-results.txt`, the narrowings, and time.

use Critical::{No, Yes};

use super::der_write::{self as write, Critical};
use super::testing::*;
use super::*;
use crate::signature::oid;

const RSA_2560: &[u8] = include_bytes!("../../../testdata/x509/rsa2560.pk8");

/// What dockseal says where the reference says something else, and why.
const NARROWED: [(&str, &str); 3] =
    [("EKU anyEKU", "N-19"), ("EKU codesign+any", "N-19"), ("root RSA 1024", "N-19")];

fn reference_verdicts() -> Vec<(&'static str, bool)> {
    include_str!("../../../testdata/notation/cert-chain-reference-results.txt")
        .lines()
        .map(|line| {
            let (name, verdict) = line.split_once("  ").unwrap();
            (name.trim(), verdict.trim() == "<nil>")
        })
        .collect()
}

struct World {
    root: Party,
    middle: Party,
    leaf: Party,
}

impl World {
    fn new() -> Self {
        Self { root: Party::p256("r"), middle: Party::p256("i"), leaf: Party::p256("l") }
    }

    fn leaf(&self) -> Template {
        Template::of(&self.leaf)
    }

    /// A leaf and the usual root.
    fn leaf_and_root(&self, leaf: Template) -> Vec<Certificate> {
        self.under(leaf, Template::authority(&self.root))
    }

    fn under(&self, leaf: Template, root: Template) -> Vec<Certificate> {
        vec![leaf.signed_by(&self.root), root.signed_by(&self.root)]
    }

    fn three(&self, middle: Template, root: Template) -> Vec<Certificate> {
        let leaf = self.leaf().key_usage(DIGITAL_SIGNATURE, Yes);
        vec![leaf.signed_by(&self.middle), middle.signed_by(&self.root), root.signed_by(&self.root)]
    }
}

fn purposes(template: Template, purposes: &[der::asn1::ObjectIdentifier]) -> Template {
    template.extended_key_usage(purposes, No)
}

/// Builds the chain a line of the reference's table talks about.
fn chain_for(case: &str) -> Vec<Certificate> {
    let world = World::new();
    let good = world.leaf().key_usage(DIGITAL_SIGNATURE, Yes);
    let with_key = |spki: Spki| {
        let leaf = Template::new(name("l"), spki).key_usage(DIGITAL_SIGNATURE, Yes);
        world.leaf_and_root(leaf)
    };
    let unknown = der::asn1::ObjectIdentifier::new_unwrap("1.2.3.4.5");
    match case {
        "ok no EKU" => world.leaf_and_root(good),
        "EKU anyEKU" => world.leaf_and_root(purposes(good, &[oid::EKU_ANY])),
        "EKU codesign+any" => {
            world.leaf_and_root(purposes(good, &[oid::EKU_CODE_SIGNING, oid::EKU_ANY]))
        }
        "EKU serverAuth" => world.leaf_and_root(purposes(good, &[oid::EKU_SERVER_AUTH])),
        "EKU unknown oid only" => world.leaf_and_root(purposes(good, &[unknown])),
        "EKU ocsp" => world.leaf_and_root(purposes(good, &[oid::EKU_OCSP_SIGNING])),
        "KU ds+nonRepudiation(cc)" => {
            world.leaf_and_root(world.leaf().key_usage(DIGITAL_SIGNATURE | CONTENT_COMMITMENT, Yes))
        }
        "KU ds+ke" => {
            world.leaf_and_root(world.leaf().key_usage(DIGITAL_SIGNATURE | KEY_ENCIPHERMENT, Yes))
        }
        "KU noncritical" => world.leaf_and_root(world.leaf().key_usage(DIGITAL_SIGNATURE, No)),
        "KU missing" => world.leaf_and_root(world.leaf()),
        "leaf BC CA:false noncrit" => world.leaf_and_root(good.basic_constraints(false, None, No)),
        "leaf CA:true" => world.leaf_and_root(good.basic_constraints(true, None, Yes)),
        "unknown critical ext leaf" => {
            world.leaf_and_root(good.extension(unknown, Yes, &write::null()))
        }
        "root BC noncritical" => world.under(
            good,
            Template::of(&world.root).basic_constraints(true, None, No).key_usage(CERT_SIGN, Yes),
        ),
        "root pathlen0 + leaf" => world.under(
            good,
            Template::of(&world.root)
                .basic_constraints(true, Some(0), Yes)
                .key_usage(CERT_SIGN, Yes),
        ),
        "root pathlen0 + int + leaf" => world.three(
            Template::authority(&world.middle),
            Template::of(&world.root)
                .basic_constraints(true, Some(0), Yes)
                .key_usage(CERT_SIGN, Yes),
        ),
        "int+leaf ok" => {
            world.three(Template::authority(&world.middle), Template::authority(&world.root))
        }
        "root KU without keyCertSign" => world.under(
            good,
            Template::of(&world.root)
                .basic_constraints(true, None, Yes)
                .key_usage(DIGITAL_SIGNATURE, Yes),
        ),
        "int with serverAuth EKU" => world.three(
            purposes(Template::authority(&world.middle), &[oid::EKU_SERVER_AUTH]),
            Template::authority(&world.root),
        ),
        "int with NameConstraints excluding" => {
            // excludedSubtrees { directoryName C=US }
            let excluded = write::sequence(&[&write::explicit(4, &rdns(&[("2.5.4.6", "US")]))]);
            let value = write::sequence(&[&write::explicit(1, &excluded)]);
            world.three(
                Template::authority(&world.middle).extension(oid::NAME_CONSTRAINTS, Yes, &value),
                Template::authority(&world.root),
            )
        }
        "leaf RSA 1024" => with_key(Spki::fake_rsa(1024)),
        "leaf RSA 2048" => with_key(Spki::fake_rsa(2048)),
        "leaf RSA 2560" => with_key(Spki::fake_rsa(2560)),
        "leaf RSA 3072" => with_key(Spki::fake_rsa(3072)),
        "leaf RSA 8192" => with_key(Spki::fake_rsa(8192)),
        "leaf P-224" => with_key(Spki::fake_p224()),
        "leaf ed25519" => with_key(Spki::fake_ed25519()),
        "root RSA 1024" => {
            let mut root = Template::authority(&world.root);
            root.spki = Spki::fake_rsa(1024);
            world.under(good, root)
        }
        "root RSA 2560" => {
            let root = Party::rsa("r", RSA_2560);
            vec![good.signed_by(&root), Template::authority(&root).signed_by(&root)]
        }
        "single self-signed leaf" => vec![good.signed_by(&world.leaf)],
        "single self-signed CA" => {
            vec![good.basic_constraints(true, None, Yes).signed_by(&world.leaf)]
        }
        "single root CA kcs only" => {
            vec![Template::authority(&world.root).signed_by(&world.root)]
        }
        "self-signed, issuer!=subject" => {
            let mut template = good;
            template.subject = name("s");
            vec![template.signed_by(&world.leaf)]
        }
        "TSA ok" => tsa(&world, DIGITAL_SIGNATURE, Yes, &[oid::EKU_TIME_STAMPING], Yes),
        "TSA EKU noncrit" => tsa(&world, DIGITAL_SIGNATURE, Yes, &[oid::EKU_TIME_STAMPING], No),
        "TSA EKU+codesign" => {
            let both = [oid::EKU_TIME_STAMPING, oid::EKU_CODE_SIGNING];
            tsa(&world, DIGITAL_SIGNATURE, Yes, &both, Yes)
        }
        "TSA no EKU" => tsa(&world, DIGITAL_SIGNATURE, Yes, &[], Yes),
        "TSA KU noncrit" => tsa(&world, DIGITAL_SIGNATURE, No, &[oid::EKU_TIME_STAMPING], Yes),
        "TSA KU ds+cc" => {
            let usage = DIGITAL_SIGNATURE | CONTENT_COMMITMENT;
            tsa(&world, usage, Yes, &[oid::EKU_TIME_STAMPING], Yes)
        }
        other => panic!("no chain for {other:?}"),
    }
}

fn tsa(
    world: &World,
    usage: u16,
    usage_critical: Critical,
    purposes: &[der::asn1::ObjectIdentifier],
    purposes_critical: Critical,
) -> Vec<Certificate> {
    let leaf = world.leaf().key_usage(usage, usage_critical);
    let leaf = match purposes {
        [] => leaf,
        _ => leaf.extended_key_usage(purposes, purposes_critical),
    };
    world.leaf_and_root(leaf)
}

fn judge(case: &str, rules: CertificateRules) -> Result<CertificateChain, ChainError> {
    let chain = chain_for(case);
    if case.starts_with("TSA") {
        CertificateChain::timestamping(chain, rules)
    } else {
        CertificateChain::code_signing(chain, rules)
    }
}

#[test]
fn verdicts_on_the_reference_cases() {
    let cases = reference_verdicts();
    assert_eq!(cases.len(), 39);
    for (case, reference_accepts) in cases {
        let narrowed = NARROWED.iter().any(|(name, _)| *name == case);
        let verdict = judge(case, CertificateRules::Strict);
        assert_eq!(verdict.is_ok(), reference_accepts && !narrowed, "{case}: {verdict:?}");
    }
}

#[test]
fn verdicts_name_the_broken_rule() {
    let broken = |case| judge(case, CertificateRules::Strict).unwrap_err();
    assert!(matches!(
        broken("EKU ocsp"),
        ChainError::ExtendedKeyUsageForbids { purpose: "OCSPSigning", .. }
    ));
    assert!(matches!(
        broken("KU ds+ke"),
        ChainError::KeyUsageForbids { usage: "KeyEncipherment", .. }
    ));
    assert!(matches!(broken("KU noncritical"), ChainError::KeyUsageNotCritical { .. }));
    assert!(matches!(broken("KU missing"), ChainError::KeyUsageMissing { .. }));
    assert!(matches!(
        broken("root pathlen0 + int + leaf"),
        ChainError::PathLength { allowed: 0, found: 1, .. }
    ));
    assert!(matches!(broken("leaf P-224"), ChainError::UnsupportedLeafKey { .. }));
    assert!(matches!(
        broken("self-signed, issuer!=subject"),
        ChainError::SingleNotSelfSigned { .. }
    ));
    assert!(matches!(broken("root RSA 1024"), ChainError::WeakCaKey { .. }));
    assert!(matches!(broken("TSA EKU+codesign"), ChainError::NotForTimestampingOnly { .. }));
    assert_eq!(
        broken("leaf CA:true").to_string(),
        r#"signing certificate "CN=l,O=N,ST=WA,C=US" is a CA certificate"#,
    );
}

#[test]
fn n19_basic_constraints_not_critical_is_a_warning() {
    let chain = judge("root BC noncritical", CertificateRules::Strict).unwrap();
    let subject = "CN=r,O=N,ST=WA,C=US".to_owned();
    assert_eq!(chain.warnings(), [ChainWarning::BasicConstraintsNotCritical { subject }]);
}

#[test]
fn n19_lenient_rules_accept_any_extended_key_usage() {
    judge("EKU anyEKU", CertificateRules::Lenient).unwrap();
    judge("EKU codesign+any", CertificateRules::Lenient).unwrap();
    judge("EKU serverAuth", CertificateRules::Lenient).unwrap_err();
}

#[test]
fn n19_sha1_and_md5_signatures_are_refused() {
    let world = World::new();
    let good = world.leaf().key_usage(DIGITAL_SIGNATURE, Yes).der(&world.root);
    for algorithm in [oid::SHA1_WITH_RSA, oid::ECDSA_WITH_SHA1, oid::MD5_WITH_RSA] {
        let from = write::sequence(&[&write::oid(oid::ECDSA_WITH_SHA256)]);
        let to = write::sequence(&[&write::oid(algorithm)]);
        let leaf = resign_with(&good, &from, &to);
        let chain = vec![leaf, Template::authority(&world.root).signed_by(&world.root)];
        for rules in [CertificateRules::Strict, CertificateRules::Lenient] {
            let verdict = CertificateChain::code_signing(chain.clone(), rules).unwrap_err();
            if rules == CertificateRules::Strict {
                assert!(matches!(verdict, ChainError::BrokenSignatureAlgorithm { .. }));
            }
        }
    }
}

/// Exchanges the algorithm identifiers of a certificate; its signature is wrong afterwards.
fn resign_with(der: &[u8], from: &[u8], to: &[u8]) -> Certificate {
    use der::{Reader, SliceReader};
    let mut reader = SliceReader::new(der).unwrap();
    let parts: (&[u8], &[u8], &[u8]) = reader
        .sequence(|reader| {
            Ok::<_, der::Error>((reader.tlv_bytes()?, reader.tlv_bytes()?, reader.tlv_bytes()?))
        })
        .unwrap();
    let mut inner = SliceReader::new(parts.0).unwrap();
    let fields: Vec<u8> = inner
        .sequence(|reader| {
            let mut fields = Vec::new();
            while !reader.is_finished() {
                let field = reader.tlv_bytes()?;
                fields.extend_from_slice(if field == from { to } else { field });
            }
            Ok::<_, der::Error>(fields)
        })
        .unwrap();
    let tbs = write::sequence(&[&fields]);
    Certificate::from_der(&write::sequence(&[&tbs, to, parts.2])).unwrap()
}

#[test]
fn n20_chains_of_more_than_ten_are_refused() {
    let parties: Vec<Party> = (0..11).map(|index| Party::p256(&format!("p{index}"))).collect();
    let build = |length: usize| {
        let used = &parties[..length];
        let mut chain = Vec::new();
        for (index, party) in used.iter().enumerate() {
            let issuer = used.get(index + 1).unwrap_or(party);
            let template = match index {
                0 => Template::of(party).key_usage(DIGITAL_SIGNATURE, Yes),
                _ => Template::authority(party),
            };
            chain.push(template.signed_by(issuer));
        }
        chain
    };
    CertificateChain::code_signing(build(10), CertificateRules::Strict).unwrap();
    assert!(matches!(
        CertificateChain::code_signing(build(11), CertificateRules::Strict),
        Err(ChainError::TooLong { found: 11, limit: 10 })
    ));
}

#[test]
fn order_and_completeness_of_the_chain() {
    let world = World::new();
    let [leaf, middle, root] = world
        .three(Template::authority(&world.middle), Template::authority(&world.root))
        .try_into()
        .unwrap();
    let judge = |chain: &[&Certificate]| {
        let chain = chain.iter().copied().cloned().collect();
        CertificateChain::code_signing(chain, CertificateRules::Strict)
    };
    judge(&[&leaf, &middle, &root]).unwrap();
    assert!(matches!(judge(&[]), Err(ChainError::Empty)));
    assert!(matches!(judge(&[&leaf]), Err(ChainError::SingleNotSelfSigned { .. })));
    assert!(matches!(judge(&[&leaf, &root]), Err(ChainError::NotIssuedByNext { .. })));
    assert!(matches!(judge(&[&leaf, &middle]), Err(ChainError::RootNotSelfSigned { .. })));
    assert!(matches!(
        judge(&[&leaf, &middle, &root, &root]),
        Err(ChainError::SelfSignedBeforeRoot { .. })
    ));
    judge(&[&middle, &leaf, &root]).unwrap_err();
    // Same subject, other key: the name alone proves nothing.
    let imposter = Template::authority(&Party::p256("r"));
    let imposter = imposter.signed_by(&Party { name: name("r"), key: Party::p256("r").key });
    judge(&[&leaf, &middle, &imposter]).unwrap_err();
}

#[test]
fn validity_includes_both_ends() {
    let chain = judge("ok no EKU", CertificateRules::Strict).unwrap();
    let second = jiff::SignedDuration::from_secs(1);
    chain.check_validity(NOT_BEFORE, NOT_AFTER).unwrap();
    let early = NOT_BEFORE - second;
    let late = NOT_AFTER + second;
    assert!(matches!(
        chain.check_validity(early, NOT_AFTER),
        Err(ChainError::NotValidAt { moment, .. }) if moment == early
    ));
    assert!(matches!(
        chain.check_validity(NOT_BEFORE, late),
        Err(ChainError::NotValidAt { moment, .. }) if moment == late
    ));
}

#[test]
fn certificate_authorities_have_rules_of_their_own() {
    let world = World::new();
    let judge = |root: Template| {
        let chain = world.under(world.leaf().key_usage(DIGITAL_SIGNATURE, Yes), root);
        CertificateChain::code_signing(chain, CertificateRules::Strict).map(drop)
    };
    let ca = || Template::of(&world.root).basic_constraints(true, None, Yes);
    judge(ca().key_usage(CERT_SIGN, Yes)).unwrap();
    assert!(matches!(judge(ca()), Err(ChainError::KeyUsageMissing { .. })));
    assert!(matches!(
        judge(ca().key_usage(CERT_SIGN, No)),
        Err(ChainError::KeyUsageNotCritical { .. })
    ));
    // Without basicConstraints nobody issues anything.
    let no_ca = Template::of(&world.root).key_usage(CERT_SIGN, Yes);
    assert!(matches!(judge(no_ca), Err(ChainError::NotIssuedByNext { .. })));
    // Timestamping chains need no critical key usage.
    let leaf = world
        .leaf()
        .key_usage(DIGITAL_SIGNATURE, Yes)
        .extended_key_usage(&[oid::EKU_TIME_STAMPING], Yes);
    let chain = world.under(leaf, ca().key_usage(CERT_SIGN, No));
    CertificateChain::timestamping(chain, CertificateRules::Strict).unwrap();
}

#[test]
fn n19_keys_of_certificate_authorities() {
    let world = World::new();
    let leaf = || world.leaf().key_usage(DIGITAL_SIGNATURE, Yes);
    let weak = |spki: Spki| {
        let mut root = Template::authority(&world.root);
        root.spki = spki;
        CertificateChain::code_signing(world.under(leaf(), root), CertificateRules::Strict)
    };
    assert!(matches!(weak(Spki::fake_p224()), Err(ChainError::WeakCaKey { .. })));
    for bits in [1024, 2040] {
        assert!(matches!(weak(Spki::fake_rsa(bits)), Err(ChainError::WeakCaKey { .. })));
    }
    // 2048 bits are enough; that this key signed nothing is another matter.
    assert!(matches!(weak(Spki::fake_rsa(2048)), Err(ChainError::NotIssuedByNext { .. })));
}
