//! Parsing of certificates, names and files of certificates.

use super::der_write::{self as write, Critical};
use super::testing::*;
use super::*;
use crate::signature::oid;

fn party() -> Party {
    Party::p256("p")
}

#[test]
fn accessors_of_a_certificate() {
    let party = party();
    let urls = |numbers: &[&str]| {
        let names: Vec<u8> =
            numbers.iter().flat_map(|url| write::tlv(0x86, url.as_bytes())).collect();
        names
    };
    let access = write::sequence(&[&write::sequence(&[
        &write::oid(oid::ACCESS_OCSP),
        &urls(&["http://ocsp.example/"]),
    ])]);
    let point =
        |url: &str| write::sequence(&[&write::explicit(0, &write::explicit(0, &urls(&[url])))]);
    let points = write::sequence(&[&point("http://crl.example/a"), &point("http://crl.example/b")]);
    let certificate = Template::authority(&party)
        .extension(oid::AUTHORITY_INFO_ACCESS, Critical::No, &access)
        .extension(oid::CRL_DISTRIBUTION_POINTS, Critical::No, &points)
        .signed_by(&party);
    assert_eq!(certificate.subject().to_string(), "CN=p,O=N,ST=WA,C=US");
    assert_eq!(certificate.serial(), [1]);
    assert_eq!(certificate.not_before(), NOT_BEFORE);
    assert_eq!(certificate.not_after(), NOT_AFTER);
    assert_eq!(certificate.key_spec(), Some(crate::signature::algorithm::KeySpec::EcP256));
    assert!(certificate.is_ca() && certificate.is_self_issued());
    assert!(certificate.is_signed_by_itself());
    assert_eq!(certificate.ocsp_urls(), ["http://ocsp.example/"]);
    assert_eq!(certificate.crl_urls(), ["http://crl.example/a", "http://crl.example/b"]);
    assert!(certificate.key_usage().unwrap().crl_sign());
}

#[test]
fn no_expiration_of_rfc_5280_is_the_end_of_time() {
    let times = write::sequence(&[&write::tlv(0x18, b"99991231235959Z")]);
    let mut reader = der::SliceReader::new(&times[2..]).unwrap();
    assert_eq!(certificate::time(&mut reader), Ok(jiff::Timestamp::MAX));
    for refused in [&b"19500101000000"[..], b"20260101000000.5Z", b"20260101000000+0000"] {
        let time = write::tlv(0x18, refused);
        certificate::time(&mut der::SliceReader::new(&time).unwrap()).unwrap_err();
    }
}

#[test]
fn every_truncation_and_trailing_byte_is_refused() {
    let party = party();
    let der = Template::authority(&party).der(&party);
    for length in 0..der.len() {
        Certificate::from_der(&der[..length]).unwrap_err();
    }
    Certificate::from_der(&[&der[..], &[0]].concat()).unwrap_err();
}

#[test]
fn duplicate_extensions_are_refused() {
    let party = party();
    let der = Template::authority(&party).key_usage(CERT_SIGN, Critical::Yes).der(&party);
    assert_eq!(
        Certificate::from_der(&der),
        Err(CertificateError::DuplicateExtension { oid: oid::KEY_USAGE })
    );
}

#[test]
fn n20_certificates_of_more_than_64_kib_are_refused() {
    let party = party();
    let unknown = der::asn1::ObjectIdentifier::new_unwrap("1.2.3");
    let der = Template::authority(&party)
        .extension(unknown, Critical::No, &vec![0; MAX_CERTIFICATE_BYTES])
        .der(&party);
    assert!(matches!(Certificate::from_der(&der), Err(CertificateError::TooLarge { .. })));
}

#[test]
fn names_in_the_terms_of_go() {
    let name =
        |attributes: &[(&str, &str)]| DistinguishedName::from_der(&rdns(attributes)).unwrap();
    let (c, st, l, o, ou, cn, sn) =
        ("2.5.4.6", "2.5.4.8", "2.5.4.7", "2.5.4.10", "2.5.4.11", "2.5.4.3", "2.5.4.5");
    let email = "1.2.840.113549.1.9.1";
    let table: &[(&[(&str, &str)], &str)] = &[
        (&[(c, "US"), (st, "WA"), (l, "S"), (o, "N"), (cn, "x")], "CN=x,O=N,L=S,ST=WA,C=US"),
        (&[(cn, "x"), (c, "US")], "CN=x,C=US"),
        (&[(o, "a"), (o, "b"), (c, "US")], "O=a+O=b,C=US"),
        (&[(cn, "first"), (cn, "last")], "CN=last"),
        (&[(sn, "7"), (cn, "x"), (ou, "u")], "SERIALNUMBER=7,CN=x,OU=u"),
        (&[(o, " a,b+c\"d\\e<f>g;h ")], r#"O=\ a\,b\+c\"d\\e\<f\>g\;h\ "#),
        (&[(o, "#a#")], r"O=\#a#"),
        (&[(o, "é")], "O=é"),
        (&[(email, "a@b"), (c, "US")], "C=US,1.2.840.113549.1.9.1=a@b"),
        (&[], ""),
    ];
    for (attributes, text) in table {
        assert_eq!(name(attributes).to_string(), *text);
    }
    let kinds: Vec<_> = name(&[(st, "WA"), (email, "a@b")])
        .attributes()
        .iter()
        .map(|attribute| (attribute.kind(), attribute.value().to_owned()))
        .collect();
    assert_eq!(kinds, [("ST".to_owned(), "WA".to_owned()), (email.to_owned(), "a@b".to_owned())]);
}

#[test]
fn n04_duplicate_attributes_have_no_identity() {
    for kind in ["2.5.4.6", "2.5.4.8", "2.5.4.10", "2.5.4.11", "2.5.4.3", "2.5.4.5", "1.2.3"] {
        let name = DistinguishedName::from_der(&rdns(&[(kind, "a"), (kind, "b")])).unwrap();
        assert!(matches!(name.identity_attributes(), Err(IdentityError::Duplicate { .. })));
    }
    let binary = DistinguishedName::from_der(&rdns(&[("2.5.4.10", "a=#b")])).unwrap();
    assert!(matches!(binary.identity_attributes(), Err(IdentityError::AmbiguousValue { .. })));
    let plain = DistinguishedName::from_der(&name("x")).unwrap();
    assert_eq!(plain.identity_attributes().unwrap().len(), 4);
}

#[test]
fn string_types_of_names() {
    let one = |tag: u8, bytes: &[u8]| {
        let kind = write::oid(der::asn1::ObjectIdentifier::new_unwrap("2.5.4.10"));
        let attribute = write::sequence(&[&kind, &write::tlv(tag, bytes)]);
        DistinguishedName::from_der(&write::sequence(&[&write::set(&[&attribute])]))
            .map(|name| name.attributes()[0].value().to_owned())
    };
    assert_eq!(one(0x0c, "é".as_bytes()).unwrap(), "é");
    assert_eq!(one(0x13, b"a*&").unwrap(), "a*&");
    assert_eq!(one(0x16, b"a@b").unwrap(), "a@b");
    assert_eq!(one(0x12, b"12 3").unwrap(), "12 3");
    assert_eq!(one(0x14, b"\xe9").unwrap(), "é");
    assert_eq!(one(0x1e, b"\x00\xe9\x00\x00").unwrap(), "é");
    for (tag, bytes) in [
        (0x0c, &b"\xff"[..]),
        (0x13, b"a@b"),
        (0x16, b"\xe9"),
        (0x12, b"a"),
        (0x1e, b"\x00"),
        (0x1e, b"\xd8\x00"),
        (0x02, b"\x01"),
        (0x04, b"a"),
    ] {
        one(tag, bytes).unwrap_err();
    }
}

#[test]
fn bundles_are_pem_of_any_label_or_concatenated_der() {
    let party = party();
    let der = Template::authority(&party).der(&party);
    let pem = |label: &str| pem::encode(&pem::Pem::new(label, der.clone()));
    let certificate = Certificate::from_der(&der).unwrap();

    let text = format!("comment\n{}between\n{}", pem("CERTIFICATE"), pem("TRUSTED THING"));
    assert_eq!(
        certificates_from_bytes(text.as_bytes()).unwrap(),
        [certificate.clone(), certificate.clone()]
    );
    assert_eq!(certificates_from_pem(text.as_bytes()).unwrap(), std::slice::from_ref(&certificate));
    let twice = [&der[..], &der].concat();
    assert_eq!(certificates_from_bytes(&twice).unwrap(), [certificate.clone(), certificate]);

    assert!(matches!(certificates_from_bytes(b""), Err(BundleError::Empty)));
    assert!(matches!(certificates_from_pem(b"text"), Err(BundleError::Empty)));
    certificates_from_bytes(b"text").unwrap_err();
    certificates_from_bytes(&[&der[..], &[0]].concat()).unwrap_err();
    let damaged = pem("CERTIFICATE").replace("-----END", "@-----END");
    certificates_from_bytes(damaged.as_bytes()).unwrap_err();
}

#[test]
fn generated_test_certificate_has_the_profile_of_notation() {
    use crate::signature::algorithm::KeySpec;
    let made = generate::self_signed("wabbit-networks.io", KeySpec::Rsa2048, NOT_BEFORE).unwrap();
    let certificate = &made.certificate;
    assert_eq!(
        certificate.subject().to_string(),
        "CN=wabbit-networks.io,O=Notary,L=Seattle,ST=WA,C=US"
    );
    assert_eq!(certificate.not_after(), NOT_BEFORE + jiff::SignedDuration::from_hours(24));
    assert_eq!(certificate.extensions().present, [oid::KEY_USAGE, oid::EXTENDED_KEY_USAGE]);
    assert!(certificate.key_usage().unwrap().is_critical());
    assert!(!certificate.extended_key_usage().unwrap().is_critical());
    assert!(certificate.is_signed_by_itself());
    assert!(made.key_pem.starts_with("-----BEGIN PRIVATE KEY-----\n"));
    let chain = certificates_from_pem(made.certificate_pem.as_bytes()).unwrap();
    CertificateChain::code_signing(chain, CertificateRules::Strict).unwrap();
    generate::self_signed("x", KeySpec::EcP256, NOT_BEFORE).unwrap_err();
}

proptest::proptest! {
    #[test]
    fn no_input_panics(mut bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
        let _ = Certificate::from_der(&bytes);
        let _ = DistinguishedName::from_der(&bytes);
        let _ = certificates_from_bytes(&bytes);
        bytes.splice(0..0, [0x30, 0x82, 1, 0x2c, 0x30, 0x82, 1, 0]);
        let _ = Certificate::from_der(&bytes);
    }

    #[test]
    fn no_damaged_certificate_panics(at in 0usize..600, value: u8) {
        use std::sync::OnceLock;
        static DER: OnceLock<Vec<u8>> = OnceLock::new();
        let mut der = DER
            .get_or_init(|| {
                let party = party();
                Template::authority(&party).der(&party)
            })
            .clone();
        let at = at % der.len();
        der[at] = value;
        let _ = Certificate::from_der(&der);
    }
}
