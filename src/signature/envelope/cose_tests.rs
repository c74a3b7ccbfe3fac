//! Header parameters of COSE in the right and the wrong places. None of these envelopes is signed:
//! it is decoding that judges them.

use super::*;

/// `alg: ES256`, the one parameter decoding demands.
const ALGORITHM: &[u8] = &[0x01, 0x26];

fn byte_string(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
    [&[0x59][..], &length, bytes].concat()
}

fn text(text: &str) -> Vec<u8> {
    [&[0x78, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
}

fn map(pairs: &[&[u8]]) -> Vec<u8> {
    [&[0xa0 | u8::try_from(pairs.len()).unwrap()][..], &pairs.concat()].concat()
}

fn decode(protected: &[&[u8]], unprotected: &[&[u8]]) -> Result<Envelope, EnvelopeError> {
    let protected = map(&[&[ALGORITHM], protected].concat());
    let bytes = [
        &[0xd2, 0x84][..],
        &byte_string(&protected),
        &map(unprotected),
        &byte_string(b"payload"),
        &byte_string(b"signature"),
    ]
    .concat();
    Envelope::decode(&bytes, EnvelopeFormat::Cose)
}

#[test]
fn parameters_in_the_wrong_place() {
    type Pairs = &'static [&'static [u8]];
    let table: [(&str, Pairs, Pairs, bool); 16] = [
        ("nothing", &[], &[], true),
        ("kid", &[], &[&[0x04, 0x41, 1]], true),
        ("IV protected", &[&[0x05, 0x41, 1]], &[], true),
        ("partial IV unprotected", &[], &[&[0x06, 0x41, 1]], true),
        ("IV and partial IV", &[&[0x05, 0x41, 1]], &[&[0x06, 0x41, 1]], false),
        ("partial IV and IV", &[&[0x06, 0x41, 1]], &[&[0x05, 0x41, 1]], false),
        ("IV in both", &[&[0x05, 0x41, 1]], &[&[0x05, 0x41, 1]], true),
        ("countersignature", &[], &[&[0x07, 0x83, 0x40, 0xa0, 0x41, 1]], false),
        ("countersignature protected", &[&[0x07, 0x83, 0x40, 0xa0, 0x41, 1]], &[], false),
        ("countersignature 0", &[], &[&[0x09, 0x41, 1]], false),
        ("countersignature version 2", &[], &[&[0x0b, 0x83, 0x40, 0xa0, 0x41, 1]], false),
        ("countersignature 0 version 2", &[&[0x0c, 0x41, 1]], &[], false),
        ("unprotected alg", &[], &[ALGORITHM], false),
        ("unprotected crit", &[], &[&[0x02, 0x81, 0x61, b'a']], false),
        ("unprotected content type", &[], &[&[0x03, 0x63, b'a', b'/', b'b']], false),
        ("one name in both buckets", &[&[0x61, b'a', 0x01]], &[&[0x61, b'a', 0x01]], false),
    ];
    for (name, protected, unprotected, accepted) in table {
        let verdict = decode(protected, unprotected);
        assert_eq!(verdict.is_ok(), accepted, "{name}: {verdict:?}");
    }
}

#[test]
fn n18_types_of_unprotected_values() {
    let token = text("io.cncf.notary.timestampSignature");
    let agent = text("io.cncf.notary.signingAgent");
    let with = |name: &[u8], value: &[u8]| decode(&[], &[&[name, value].concat()]);
    assert_eq!(with(&token, &[0x41, 7]).unwrap().timestamp_token(), Some(&[7][..]));
    assert_eq!(with(&agent, &[0x61, b'x']).unwrap().signing_agent(), Some("x"));
    for (name, value) in [(&token, &[0x61, b'x'][..]), (&token, &[0x40]), (&token, &[0xf6])] {
        with(name, value).unwrap_err();
    }
    for value in [&[0x41, 7][..], &[0x01], &[0xf6]] {
        with(&agent, value).unwrap_err();
    }
}

#[test]
fn n18_times_are_whole_seconds_with_tag_1() {
    let time = |value: &[u8]| {
        let pair = [&text("io.cncf.notary.expiry")[..], value].concat();
        decode(&[&pair], &[]).map(|envelope| envelope.parts.header.expiry.unwrap().at.as_second())
    };
    let table: [(&[u8], Option<i64>); 11] = [
        (&[0xc1, 0x1a, 0x6a, 0x1c, 0xda, 0x0b], Some(1_780_275_723)),
        (&[0xc1, 0x00], Some(0)),
        // 1780275723.0 and .5, 2^60, -1.0 as doubles.
        (&[0xc1, 0xfb, 0x41, 0xda, 0x87, 0x36, 0x82, 0xc0, 0, 0], Some(1_780_275_723)),
        (&[0xc1, 0xfb, 0x41, 0xda, 0x87, 0x36, 0x82, 0xe0, 0, 0], None),
        (&[0xc1, 0xfb, 0x43, 0xb0, 0, 0, 0, 0, 0, 0], None),
        (&[0xc1, 0xfb, 0xbf, 0xf0, 0, 0, 0, 0, 0, 0], None),
        (&[0xc1, 0x20], None),
        (&[0xc1, 0x1b, 0, 0, 0, 0x3b, 0xff, 0xf4, 0x41, 0x7f], None),
        (&[0xc1, 0xf6], None),
        (&[0x1a, 0x6a, 0x1c, 0xda, 0x0b], None),
        (&[0xd8, 0x1e, 0x00], None),
    ];
    for (value, expected) in table {
        assert_eq!(time(value).ok(), expected, "{value:02x?}");
    }
}

#[test]
fn certificates_are_capped_while_decoding() {
    let chain = |count: u8| {
        let items = [0x41, 0x00].repeat(count.into());
        let value = [&[0x18, 33, 0x98, count][..], &items].concat();
        decode(&[], &[&value])
    };
    chain(100).unwrap();
    assert!(matches!(
        chain(101),
        Err(EnvelopeError::TooManyCertificates { found: 101, limit: 100 })
    ));
}

#[test]
fn values_without_json_counterpart_are_kept_as_cbor() {
    let value = |bytes: &[u8]| {
        let pair = [&[0x61, b'x'][..], bytes].concat();
        decode(&[&pair], &[]).unwrap().parts.header.others.remove(0).1
    };
    let json = |value: serde_json::Value| AttributeValue::Json(value);
    assert_eq!(value(&[0x82, 0x01, 0x61, b'a']), json(serde_json::json!([1, "a"])));
    assert_eq!(value(&[0xa1, 0x61, b'k', 0xf5]), json(serde_json::json!({"k": true})));
    assert_eq!(value(&[0x1b, 0xff, 0, 0, 0, 0, 0, 0, 0]), json(0xff00_0000_0000_0000_u64.into()));
    for cbor in [&[0x41, 7][..], &[0xa1, 0x01, 0x02], &[0xc1, 0x01]] {
        assert_eq!(value(cbor), AttributeValue::Cbor(cbor.to_vec()));
    }
}
