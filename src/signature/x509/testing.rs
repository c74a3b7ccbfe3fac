//! Certificates of any shape, right or wrong, for tests.

use der::asn1::ObjectIdentifier;
use jiff::Timestamp;

use super::certificate::Certificate;
use super::der_write::{self as write, Critical};
use crate::signature::crypto::testing::CaKey;
use crate::signature::oid;

/// First second of validity of everything made here.
pub(crate) const NOT_BEFORE: Timestamp = Timestamp::constant(1_767_225_600, 0);
/// Last second of validity of everything made here.
pub(crate) const NOT_AFTER: Timestamp = Timestamp::constant(2_398_377_600, 0);

/// keyUsage bits.
pub(crate) const DIGITAL_SIGNATURE: u16 = 1;
pub(crate) const CONTENT_COMMITMENT: u16 = 1 << 1;
pub(crate) const KEY_ENCIPHERMENT: u16 = 1 << 2;
pub(crate) const CERT_SIGN: u16 = 1 << 5;
pub(crate) const CRL_SIGN: u16 = 1 << 6;

/// A public key in a certificate; most leaves never sign anything, so any bytes will do.
#[derive(Clone)]
pub(crate) enum Spki {
    P256(Vec<u8>),
    Rsa(Vec<u8>),
    Other(Vec<u8>),
}

impl Spki {
    /// An RSA key of `bits` bits that nobody has the private part of.
    pub(crate) fn fake_rsa(bits: usize) -> Self {
        let mut modulus = vec![0x5a; bits / 8];
        modulus[0] = 0xc1;
        let key = write::sequence(&[&write::unsigned(&modulus), &write::unsigned(&[1, 0, 1])]);
        Self::Rsa(key)
    }

    pub(crate) fn fake_p224() -> Self {
        let algorithm =
            write::sequence(&[&write::oid(oid::EC_PUBLIC_KEY), &write::oid(oid::SECP224R1)]);
        let point = [&[4][..], &[7; 56]].concat();
        Self::Other(write::sequence(&[&algorithm, &write::bit_string(&point)]))
    }

    pub(crate) fn fake_ed25519() -> Self {
        let algorithm = write::sequence(&[&write::oid(oid::ED25519)]);
        Self::Other(write::sequence(&[&algorithm, &write::bit_string(&[7; 32])]))
    }

    fn der(&self) -> Vec<u8> {
        match self {
            Self::P256(point) => write::sequence(&[
                &write::sequence(&[&write::oid(oid::EC_PUBLIC_KEY), &write::oid(oid::SECP256R1)]),
                &write::bit_string(point),
            ]),
            Self::Rsa(key) => write::sequence(&[
                &write::sequence(&[&write::oid(oid::RSA_ENCRYPTION), &write::null()]),
                &write::bit_string(key),
            ]),
            Self::Other(der) => der.clone(),
        }
    }
}

/// Somebody with a name and a key.
pub(crate) struct Party {
    pub(crate) name: Vec<u8>,
    pub(crate) key: CaKey,
}

impl Party {
    pub(crate) fn p256(common_name: &str) -> Self {
        Self { name: name(common_name), key: CaKey::p256() }
    }

    pub(crate) fn rsa(common_name: &str, pkcs8: &[u8]) -> Self {
        Self { name: name(common_name), key: CaKey::rsa(pkcs8) }
    }

    pub(crate) fn spki(&self) -> Spki {
        match &self.key {
            CaKey::Rsa(_) => Spki::Rsa(self.key.public_key().to_vec()),
            CaKey::Ec(_) => Spki::P256(self.key.public_key().to_vec()),
        }
    }

    /// Signs any TBS structure: `SEQUENCE { tbs, algorithm, signature }`.
    pub(crate) fn sign(&self, tbs: &[u8]) -> Vec<u8> {
        let signature = self.key.sign(tbs);
        write::sequence(&[tbs, &self.algorithm(), &write::bit_string(&signature)])
    }

    /// The `AlgorithmIdentifier` of this party's signatures.
    pub(crate) fn algorithm(&self) -> Vec<u8> {
        match self.key {
            CaKey::Rsa(_) => write::sequence(&[&write::oid(oid::SHA256_WITH_RSA), &write::null()]),
            CaKey::Ec(_) => write::sequence(&[&write::oid(oid::ECDSA_WITH_SHA256)]),
        }
    }
}

/// `C=US, ST=WA, O=N, CN=<common_name>`.
pub(crate) fn name(common_name: &str) -> Vec<u8> {
    rdns(&[("2.5.4.6", "US"), ("2.5.4.8", "WA"), ("2.5.4.10", "N"), ("2.5.4.3", common_name)])
}

/// A name with these attributes, each a UTF8String in an RDN of its own.
pub(crate) fn rdns(attributes: &[(&str, &str)]) -> Vec<u8> {
    let parts: Vec<Vec<u8>> = attributes
        .iter()
        .map(|(kind, value)| {
            let kind = write::oid(ObjectIdentifier::new_unwrap(kind));
            write::set(&[&write::sequence(&[&kind, &write::tlv(0x0c, value.as_bytes())])])
        })
        .collect();
    write::sequence(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

/// What a certificate is to contain.
#[derive(Clone)]
pub(crate) struct Template {
    pub(crate) subject: Vec<u8>,
    pub(crate) spki: Spki,
    pub(crate) extensions: Vec<Vec<u8>>,
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
    pub(crate) serial: u8,
}

impl Template {
    pub(crate) fn new(subject: Vec<u8>, spki: Spki) -> Self {
        Self {
            subject,
            spki,
            extensions: Vec::new(),
            not_before: NOT_BEFORE,
            not_after: NOT_AFTER,
            serial: 1,
        }
    }

    pub(crate) fn of(party: &Party) -> Self {
        Self::new(party.name.clone(), party.spki())
    }

    pub(crate) fn key_usage(self, bits: u16, critical: Critical) -> Self {
        // Named bit list: bit 0 is the top bit of the first byte; trailing zeros are dropped.
        let bytes = [bits.reverse_bits().to_be_bytes()].concat();
        let used = 16 - usize::try_from(bits.leading_zeros()).unwrap();
        let content = &bytes[..used.div_ceil(8)];
        let unused = u8::try_from(content.len() * 8 - used).unwrap();
        let value = write::tlv(0x03, &[&[unused], content].concat());
        self.extension(oid::KEY_USAGE, critical, &value)
    }

    pub(crate) fn extended_key_usage(
        self,
        purposes: &[ObjectIdentifier],
        critical: Critical,
    ) -> Self {
        let purposes: Vec<u8> = purposes.iter().flat_map(|&purpose| write::oid(purpose)).collect();
        self.extension(oid::EXTENDED_KEY_USAGE, critical, &write::sequence(&[&purposes]))
    }

    pub(crate) fn basic_constraints(
        self,
        ca: bool,
        path_length: Option<u8>,
        critical: Critical,
    ) -> Self {
        let ca = if ca { write::boolean_true() } else { Vec::new() };
        let length = path_length.map(|length| write::unsigned(&[length])).unwrap_or_default();
        self.extension(oid::BASIC_CONSTRAINTS, critical, &write::sequence(&[&ca, &length]))
    }

    pub(crate) fn extension(
        mut self,
        kind: ObjectIdentifier,
        critical: Critical,
        value: &[u8],
    ) -> Self {
        self.extensions.push(write::extension(kind, critical, value));
        self
    }

    /// A CA of the usual shape.
    pub(crate) fn authority(party: &Party) -> Self {
        Self::of(party)
            .basic_constraints(true, None, Critical::Yes)
            .key_usage(CERT_SIGN | CRL_SIGN, Critical::Yes)
    }

    /// The DER, signed by `issuer`.
    pub(crate) fn der(&self, issuer: &Party) -> Vec<u8> {
        let extensions: Vec<&[u8]> = self.extensions.iter().map(Vec::as_slice).collect();
        let validity =
            [write::time(self.not_before).unwrap(), write::time(self.not_after).unwrap()];
        let mut fields = vec![
            write::explicit(0, &write::unsigned(&[2])),
            write::unsigned(&[self.serial]),
            issuer.algorithm(),
            issuer.name.clone(),
            write::sequence(&[&validity.concat()]),
            self.subject.clone(),
            self.spki.der(),
        ];
        if !extensions.is_empty() {
            fields.push(write::explicit(3, &write::sequence(&extensions)));
        }
        issuer.sign(&write::sequence(&[&fields.concat()]))
    }

    pub(crate) fn signed_by(&self, issuer: &Party) -> Certificate {
        Certificate::from_der(&self.der(issuer)).unwrap()
    }
}
