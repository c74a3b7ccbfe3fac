//! CRLs and OCSP responses: OpenSSL's, and built ones for every rule of spec §5.5.

use der::asn1::ObjectIdentifier;
use jiff::{SignedDuration, Timestamp};

use super::crl::{Crl, CrlError, CrlQuery};
use super::der_write::{self as write, Critical};
use super::ocsp::OcspError;
use super::testing::*;
use super::*;
use crate::signature::crypto;
use crate::signature::oid;

macro_rules! testdata {
    ($path:literal) => {
        include_bytes!(concat!("../../../testdata/revocation/", $path))
    };
}

const DAY: SignedDuration = SignedDuration::from_hours(24);

fn now() -> Timestamp {
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
struct World {
    authority: Party,
    issuer: Certificate,
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
const UNKNOWN: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.3.4");

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

fn invalidity(text: &str) -> Vec<u8> {
    write::extension(INVALIDITY, Critical::No, &write::tlv(0x18, text.as_bytes()))
}

impl World {
    fn new() -> Self {
        let authority = Party::p256("ca");
        let leaf = Party::p256("leaf");
        let issuer = Template::authority(&authority).signed_by(&authority);
        let certificate =
            Template::of(&leaf).key_usage(DIGITAL_SIGNATURE, Critical::Yes).signed_by(&authority);
        Self { authority, issuer, certificate }
    }

    fn query(&self) -> CrlQuery<'_> {
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

struct Answer {
    status: Vec<u8>,
    next_update: Option<Timestamp>,
    serial: u8,
    extensions: Vec<u8>,
    /// Names the responder by the hash of this key instead of its name.
    key_hash_of: Option<Vec<u8>>,
}

fn good() -> Answer {
    Answer {
        status: write::tlv(0x80, &[]),
        next_update: Some(now() + DAY),
        serial: 1,
        extensions: Vec::new(),
        key_hash_of: None,
    }
}

fn general(moment: Timestamp) -> Vec<u8> {
    let text: String =
        moment.to_string().chars().filter(|character| !"-:T".contains(*character)).collect();
    write::tlv(0x18, text.as_bytes())
}

impl World {
    fn ocsp(&self, answer: &Answer, signer: &Party, certificates: &[&Certificate]) -> Vec<u8> {
        let sha1 = write::sequence(&[&write::oid(oid::SHA1), &write::null()]);
        let hash = |bytes: &[u8]| write::octet_string(&crypto::sha1_identifier(bytes));
        let identifier = write::sequence(&[
            &sha1,
            &hash(self.issuer.subject().der()),
            &hash(self.issuer.public_key().raw()),
            &write::unsigned(&[answer.serial]),
        ]);
        let next =
            answer.next_update.map(|time| write::explicit(0, &general(time))).unwrap_or_default();
        let single = write::sequence(&[
            &identifier,
            &answer.status,
            &general(NOT_BEFORE),
            &next,
            &answer.extensions,
        ]);
        let responder = match &answer.key_hash_of {
            Some(key) => write::explicit(2, &hash(key)),
            None => write::explicit(1, &signer.name),
        };
        let data =
            write::sequence(&[&responder, &general(NOT_BEFORE), &write::sequence(&[&single])]);
        let list: Vec<u8> = certificates.iter().flat_map(|c| c.der().to_vec()).collect();
        let certificates = match certificates {
            [] => Vec::new(),
            _ => write::explicit(0, &write::sequence(&[&list])),
        };
        let basic = write::sequence(&[
            &data,
            &signer.algorithm(),
            &write::bit_string(&signer.key.sign(&data)),
            &certificates,
        ]);
        let kind = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.1");
        let bytes = write::sequence(&[&write::oid(kind), &write::octet_string(&basic)]);
        write::sequence(&[&write::tlv(0x0a, &[0]), &write::explicit(0, &bytes)])
    }

    fn ocsp_status(&self, answer: &Answer) -> Result<RevocationStatus, OcspError> {
        ocsp::check(&self.query(), &self.ocsp(answer, &self.authority, &[]))
    }
}

#[test]
fn ocsp_answers() {
    let world = World::new();
    assert_eq!(world.ocsp_status(&good()), Ok(RevocationStatus::Good));
    let revoked = write::tlv(0xa1, &general(NOT_BEFORE));
    assert_eq!(
        world.ocsp_status(&Answer { status: revoked.clone(), ..good() }),
        Ok(RevocationStatus::Revoked { since: NOT_BEFORE, reason: None })
    );
    assert_eq!(
        world.ocsp_status(&Answer { status: write::tlv(0x82, &[]), ..good() }),
        Err(OcspError::Unknown)
    );
    assert!(matches!(
        world.ocsp_status(&Answer { serial: 2, ..good() }),
        Err(OcspError::OtherCertificate { .. })
    ));
    for next_update in [None, Some(now() - DAY)] {
        assert_eq!(
            world.ocsp_status(&Answer { next_update, ..good() }),
            Err(OcspError::Expired { next_update })
        );
    }
    let critical = write::extension(UNKNOWN, Critical::Yes, &write::null());
    let extensions = write::explicit(1, &write::sequence(&[&critical]));
    assert_eq!(
        world.ocsp_status(&Answer { extensions, ..good() }),
        Err(OcspError::UnknownCritical { extension: UNKNOWN })
    );
    let extensions = write::explicit(1, &write::sequence(&[&invalidity("20280101000000Z")]));
    let answer = Answer { status: revoked, extensions, ..good() };
    let query = CrlQuery {
        authentic_signing_time: Some("2027-01-01T00:00:00Z".parse().unwrap()),
        ..world.query()
    };
    let response = world.ocsp(&answer, &world.authority, &[]);
    assert_eq!(ocsp::check(&query, &response), Ok(RevocationStatus::Good));
    let at = |authentic: &str| {
        let authentic_signing_time = Some(authentic.parse().unwrap());
        ocsp::check(&CrlQuery { authentic_signing_time, ..world.query() }, &response).unwrap()
    };
    assert_eq!(at("2027-12-31T23:59:59Z"), RevocationStatus::Good);
    assert_ne!(at("2028-01-01T00:00:00Z"), RevocationStatus::Good);
    let harmless = write::extension(UNKNOWN, Critical::No, &write::null());
    let extensions = write::explicit(1, &write::sequence(&[&harmless]));
    let answer = Answer { extensions, next_update: Some(now()), ..good() };
    assert_eq!(world.ocsp_status(&answer), Ok(RevocationStatus::Good));
    let try_later = write::sequence(&[&write::tlv(0x0a, &[3])]);
    assert_eq!(ocsp::check(&world.query(), &try_later), Err(OcspError::Unsuccessful { status: 3 }));
}

#[test]
fn ocsp_responders_need_the_issuers_authority() {
    let world = World::new();
    let responder = Party::p256("responder");
    let plain = Template::of(&responder).key_usage(DIGITAL_SIGNATURE, Critical::Yes);
    let allowed = plain.clone().extended_key_usage(&[oid::EKU_OCSP_SIGNING], Critical::No);
    let mut old = allowed.clone();
    old.not_after = now() - DAY;
    let verdict = |certificate: &Certificate| {
        ocsp::check(&world.query(), &world.ocsp(&good(), &responder, &[certificate]))
    };
    let stranger = Party::p256("ca");
    assert_eq!(verdict(&allowed.signed_by(&world.authority)), Ok(RevocationStatus::Good));
    for refused in [
        plain.signed_by(&world.authority),
        old.signed_by(&world.authority),
        allowed.signed_by(&stranger),
        allowed.signed_by(&responder),
    ] {
        assert_eq!(verdict(&refused), Err(OcspError::UnauthorizedResponder));
    }
    assert_eq!(
        ocsp::check(&world.query(), &world.ocsp(&good(), &responder, &[])),
        Err(OcspError::UnauthorizedResponder)
    );
    // Named by their keys.
    let key = |party: &Party| Some(party.key.public_key().to_vec());
    let by_key = Answer { key_hash_of: key(&world.authority), ..good() };
    assert_eq!(world.ocsp_status(&by_key), Ok(RevocationStatus::Good));
    let by_other_key = Answer { key_hash_of: key(&stranger), ..good() };
    assert_eq!(world.ocsp_status(&by_other_key), Err(OcspError::UnauthorizedResponder));
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
