//! CRLs and OCSP responses: OpenSSL's, and built ones for every rule of spec §5.5.

use der::asn1::ObjectIdentifier;
use jiff::{SignedDuration, Timestamp};

use super::crl::{Crl, CrlError, CrlQuery};
use super::der_write::{self as write, Critical};
use super::ocsp::OcspError;
use super::testing::*;
use super::*;
use crate::signature::oid;

macro_rules! testdata {
    ($path:literal) => {
        include_bytes!(concat!("../../../testdata/revocation/", $path))
    };
}

pub(super) const DAY: SignedDuration = SignedDuration::from_hours(24);

pub(super) fn now() -> Timestamp {
    "2030-01-01T00:00:00Z".parse().unwrap()
}

fn certificate(bytes: &[u8]) -> Certificate {
    certificates_from_pem(bytes).unwrap().remove(0)
}

#[test]
fn crl_and_ocsp_of_openssl() {
    let issuer = certificate(testdata!("ca.crt"));
    let [good, revoked] =
        [testdata!("good.crt").as_slice(), testdata!("revoked.crt")].map(certificate);
    let crl = Crl::from_der(testdata!("ca.crl")).unwrap();
    assert!(crl.is_from(&issuer) && !crl.is_from(&good) && !crl.is_delta());
    assert_eq!(crl.entry_count(), 1);
    let text = pem::encode(&pem::Pem::new("X509 CRL", testdata!("ca.crl")));
    assert_eq!(Crl::from_bytes(text.as_bytes()).unwrap().der(), crl.der());
    assert_eq!(Crl::from_bytes(testdata!("ca.crl")).unwrap().der(), crl.der());
    for refused in [text.replace("X509 CRL", "CERTIFICATE"), format!("{text}{text}")] {
        assert!(matches!(Crl::from_bytes(refused.as_bytes()), Err(CrlError::NotOnePem)));
    }
    let query = |certificate| CrlQuery {
        certificate,
        issuer: &issuer,
        authentic_signing_time: None,
        now: now(),
    };
    assert_eq!(crl::check(&query(&good), &crl, None), Ok(RevocationStatus::Good));
    let is_revoked = |status| {
        matches!(
            status,
            RevocationStatus::Revoked { reason: Some(reason), .. }
                if reason.to_string() == "keyCompromise"
        )
    };
    assert!(is_revoked(crl::check(&query(&revoked), &crl, None).unwrap()));
    for response in
        [testdata!("good-by-issuer.ocsp").as_slice(), testdata!("good-by-responder.ocsp")]
    {
        assert_eq!(ocsp::check(&query(&good), response), Ok(RevocationStatus::Good));
        assert!(matches!(
            ocsp::check(&query(&revoked), response),
            Err(OcspError::OtherCertificate { .. })
        ));
        let mut late = query(&good);
        late.now = "2060-01-01T00:00:00Z".parse().unwrap();
        ocsp::check(&late, response).unwrap_err();
        let mut damaged = response.to_vec();
        // Within the signed part; behind it stands the responder's certificate.
        damaged[60] ^= 1;
        ocsp::check(&query(&good), &damaged).unwrap_err();
    }
    let response = testdata!("revoked-by-responder.ocsp");
    assert!(is_revoked(ocsp::check(&query(&revoked), response).unwrap()));
}

/// Issuer, certificate and the lists about it.
pub(super) struct World {
    pub(super) authority: Party,
    pub(super) issuer: Certificate,
    certificate: Certificate,
}

struct List {
    number: u8,
    base: Option<u8>,
    entries: Vec<Vec<u8>>,
    next_update: Option<Timestamp>,
    extensions: Vec<Vec<u8>>,
}

const CRL_NUMBER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.20");
const DELTA_INDICATOR: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.27");
const DISTRIBUTION_POINT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.28");
const REASON: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.21");
const INVALIDITY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.24");
pub(super) const UNKNOWN: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.3.4");

fn list(entries: Vec<Vec<u8>>) -> List {
    List { number: 5, base: None, entries, next_update: Some(now() + DAY), extensions: Vec::new() }
}

fn delta(number: u8, base: u8, entries: Vec<Vec<u8>>) -> List {
    List { number, base: Some(base), ..list(entries) }
}

/// An entry for the certificate, revoked `days` after the start of everything.
fn entry(days: i64, extensions: &[Vec<u8>]) -> Vec<u8> {
    entry_of(1, days, extensions)
}

fn entry_of(serial: u8, days: i64, extensions: &[Vec<u8>]) -> Vec<u8> {
    let date = write::time(NOT_BEFORE + DAY * i32::try_from(days).unwrap()).unwrap();
    let extensions = match extensions {
        [] => Vec::new(),
        some => write::sequence(&[&some.concat()]),
    };
    write::sequence(&[&write::unsigned(&[serial]), &date, &extensions])
}

fn reason(code: u8) -> Vec<u8> {
    write::extension(REASON, Critical::No, &write::tlv(0x0a, &[code]))
}

pub(super) fn invalidity(text: &str) -> Vec<u8> {
    write::extension(INVALIDITY, Critical::No, &write::tlv(0x18, text.as_bytes()))
}

impl World {
    pub(super) fn new() -> Self {
        let authority = Party::p256("ca");
        let leaf = Party::p256("leaf");
        let issuer = Template::authority(&authority).signed_by(&authority);
        let certificate =
            Template::of(&leaf).key_usage(DIGITAL_SIGNATURE, Critical::Yes).signed_by(&authority);
        Self { authority, issuer, certificate }
    }

    pub(super) fn query(&self) -> CrlQuery<'_> {
        CrlQuery {
            certificate: &self.certificate,
            issuer: &self.issuer,
            authentic_signing_time: None,
            now: now(),
        }
    }

    fn crl(&self, list: &List) -> Crl {
        Crl::from_der(&Self::der_by(&self.authority, list)).unwrap()
    }

    fn der_by(signer: &Party, list: &List) -> Vec<u8> {
        let mut extensions =
            vec![write::extension(CRL_NUMBER, Critical::No, &write::unsigned(&[list.number]))];
        extensions.extend(list.base.map(|base| {
            write::extension(DELTA_INDICATOR, Critical::Yes, &write::unsigned(&[base]))
        }));
        extensions.extend(list.extensions.iter().cloned());
        let next = list.next_update.map(|time| write::time(time).unwrap()).unwrap_or_default();
        let entries = match &list.entries[..] {
            [] => Vec::new(),
            some => write::sequence(&[&some.concat()]),
        };
        signer.sign(&write::sequence(&[
            &write::unsigned(&[1]),
            &signer.algorithm(),
            &signer.name,
            &write::time(NOT_BEFORE).unwrap(),
            &next,
            &entries,
            &write::explicit(0, &write::sequence(&[&extensions.concat()])),
        ]))
    }

    fn status(&self, base: &List) -> Result<RevocationStatus, CrlError> {
        crl::check(&self.query(), &self.crl(base), None)
    }

    fn with_delta(&self, base: &List, delta: &List) -> Result<RevocationStatus, CrlError> {
        crl::check(&self.query(), &self.crl(base), Some(&self.crl(delta)))
    }
}

fn is_revoked(status: Result<RevocationStatus, CrlError>) -> bool {
    match status {
        Ok(RevocationStatus::Revoked { .. }) => true,
        Ok(RevocationStatus::Good) => false,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn entries_and_their_reasons() {
    let world = World::new();
    let (hold, remove) = (|| reason(6), || reason(8));
    let table: [(Vec<Vec<u8>>, bool); 12] = [
        (vec![], false),
        (vec![entry_of(2, 1, &[])], false),
        (vec![entry(1, &[])], true),
        (vec![entry_of(2, 1, &[]), entry(1, &[reason(1)])], true),
        (vec![entry(1, &[hold()])], true),
        (vec![entry(1, &[remove()])], false),
        // The latest of the temporary ones decides, wherever it stands.
        (vec![entry(1, &[hold()]), entry(2, &[remove()])], false),
        (vec![entry(2, &[remove()]), entry(1, &[hold()])], false),
        (vec![entry(3, &[hold()]), entry(2, &[remove()])], true),
        // Of equal dates the first.
        (vec![entry(2, &[hold()]), entry(2, &[remove()])], true),
        (vec![entry(2, &[remove()]), entry(2, &[hold()])], false),
        // Any other reason is final.
        (vec![entry(1, &[reason(4)]), entry(2, &[remove()])], true),
    ];
    for (index, (entries, revoked)) in table.into_iter().enumerate() {
        assert_eq!(is_revoked(world.status(&list(entries))), revoked, "case {index}");
    }
}

#[test]
fn invalidity_after_an_authentic_signing_time_is_no_revocation() {
    let world = World::new();
    let base = list(vec![entry(1, &[reason(1), invalidity("20280101000000Z")])]);
    let at = |time: Option<&str>| {
        let query = CrlQuery {
            authentic_signing_time: time.map(|time| time.parse().unwrap()),
            ..world.query()
        };
        is_revoked(crl::check(&query, &world.crl(&base), None))
    };
    assert!(at(None));
    assert!(!at(Some("2027-12-31T23:59:59Z")));
    assert!(at(Some("2028-01-01T00:00:00Z")));
}

#[test]
fn lists_that_give_no_answer() {
    let world = World::new();
    let mut expired = list(vec![]);
    expired.next_update = Some(now() - SignedDuration::from_secs(1));
    assert!(matches!(world.status(&expired), Err(CrlError::Expired { .. })));
    expired.next_update = Some(now());
    assert_eq!(world.status(&expired), Ok(RevocationStatus::Good));
    expired.next_update = None;
    assert_eq!(world.status(&expired), Err(CrlError::NoNextUpdate));

    let critical = |oid| {
        let mut with = list(vec![]);
        with.extensions = vec![write::extension(oid, Critical::Yes, &write::sequence(&[]))];
        world.status(&with)
    };
    assert_eq!(critical(UNKNOWN), Err(CrlError::UnknownCritical { extension: UNKNOWN }));
    assert_eq!(critical(DISTRIBUTION_POINT), Ok(RevocationStatus::Good));
    let unknown = write::extension(UNKNOWN, Critical::Yes, &write::null());
    assert_eq!(
        world.status(&list(vec![entry(1, &[reason(8), unknown])])),
        Err(CrlError::UnknownCritical { extension: UNKNOWN })
    );

    let by = |signer: &Party| {
        let crl = Crl::from_der(&World::der_by(signer, &list(vec![]))).unwrap();
        crl::check(&world.query(), &crl, None)
    };
    assert!(matches!(by(&Party::p256("other")), Err(CrlError::OtherIssuer { .. })));
    assert!(matches!(by(&Party::p256("ca")), Err(CrlError::Signature(_))));
    let may_not_sign = Template::of(&world.authority)
        .basic_constraints(true, None, Critical::Yes)
        .key_usage(CERT_SIGN, Critical::Yes)
        .signed_by(&world.authority);
    // Without key usage there is no limit.
    let unlimited = Template::of(&world.authority)
        .basic_constraints(true, None, Critical::Yes)
        .signed_by(&world.authority);
    let query = CrlQuery { issuer: &unlimited, ..world.query() };
    assert_eq!(crl::check(&query, &world.crl(&list(vec![])), None), Ok(RevocationStatus::Good));
    let query = CrlQuery { issuer: &may_not_sign, ..world.query() };
    assert!(matches!(
        crl::check(&query, &world.crl(&list(vec![])), None),
        Err(CrlError::IssuerMayNotSign { .. })
    ));
}

#[test]
fn delta_lists_continue_their_base() {
    let world = World::new();
    let base = list(vec![entry(1, &[reason(6)])]);
    let removed = vec![entry(2, &[reason(8)])];
    assert!(!is_revoked(world.with_delta(&base, &delta(6, 5, removed.clone()))));
    assert!(!is_revoked(world.with_delta(&base, &delta(6, 3, removed.clone()))));
    assert!(is_revoked(world.with_delta(&list(vec![]), &delta(6, 5, vec![entry(2, &[])]))));
    for (number, start) in [(5, 5), (4, 4), (7, 6)] {
        assert!(matches!(
            world.with_delta(&base, &delta(number, start, removed.clone())),
            Err(CrlError::DeltaMismatch { .. })
        ));
    }
    assert!(matches!(
        world.with_delta(&base, &List { number: 6, ..list(removed) }),
        Err(CrlError::DeltaMismatch { .. })
    ));
    assert!(matches!(world.status(&delta(6, 5, vec![])), Err(CrlError::DeltaMismatch { .. })));
    let mut late = delta(6, 5, vec![]);
    late.next_update = Some(NOT_BEFORE);
    assert!(matches!(world.with_delta(&base, &late), Err(CrlError::Expired { .. })));
}

#[test]
fn an_announced_delta_list_is_needed() {
    let mut world = World::new();
    let url = write::tlv(0x86, b"http://crl.example/delta");
    let point = write::sequence(&[&write::explicit(0, &write::explicit(0, &url))]);
    let freshest = write::extension(oid::FRESHEST_CRL, Critical::No, &write::sequence(&[&point]));
    let mut base = list(vec![]);
    base.extensions = vec![freshest];
    assert_eq!(world.crl(&base).freshest_crl_urls(), ["http://crl.example/delta"]);
    assert_eq!(world.status(&base), Err(CrlError::DeltaMissing));
    assert_eq!(world.with_delta(&base, &delta(6, 5, vec![])), Ok(RevocationStatus::Good));
    // Announced by the certificate only.
    world.certificate = Template::of(&Party::p256("leaf"))
        .extension(oid::FRESHEST_CRL, Critical::No, &write::sequence(&[&point]))
        .signed_by(&world.authority);
    assert_eq!(world.status(&list(vec![])), Err(CrlError::DeltaMissing));
}

proptest::proptest! {
    #[test]
    fn damaged_revocation_data_never_panics_or_says_something_else(at: usize, bit in 0u8..8) {
        let issuer = certificate(testdata!("ca.crt"));
        let revoked = certificate(testdata!("revoked.crt"));
        let query = CrlQuery {
            certificate: &revoked,
            issuer: &issuer,
            authentic_signing_time: None,
            now: now(),
        };
        let flip = |bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            bytes
        };
        if let Ok(crl) = Crl::from_der(&flip(testdata!("ca.crl"))) {
            assert_ne!(crl::check(&query, &crl, None), Ok(RevocationStatus::Good));
        }
        let response = flip(testdata!("revoked-by-responder.ocsp"));
        assert_ne!(ocsp::check(&query, &response), Ok(RevocationStatus::Good));
    }
}
