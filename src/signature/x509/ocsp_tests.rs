//! Built OCSP responses for the rules of spec §5.5.

use der::asn1::ObjectIdentifier;
use jiff::Timestamp;

use super::crl::CrlQuery;
use super::der_write::{self as write, Critical};
use super::ocsp::OcspError;
use super::revocation_tests::{DAY, UNKNOWN, World, invalidity, now};
use super::testing::*;
use super::*;
use crate::signature::crypto;
use crate::signature::oid;

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
