//! Tokens of any shape, right or wrong, for tests.

use der::asn1::ObjectIdentifier;

use super::tests::{MESSAGE, STRICT};
use super::{TimestampError, VerifiedTimestamp, verify};
use crate::image::digest::Algorithm as HashAlgorithm;
use crate::signature::x509::Certificate;
use crate::signature::x509::der_write::{self as write, Critical};
use crate::signature::x509::testing::*;
use crate::signature::{crypto, oid};

/// A token that is right unless a test changes something.
pub(super) struct Token {
    pub(super) authority: Party,
    pub(super) signer: Party,
    pub(super) leaf: Template,
    pub(super) certificates: Option<Vec<Vec<u8>>>,
    pub(super) message: Vec<u8>,
    pub(super) generated: &'static str,
    pub(super) content_type: ObjectIdentifier,
    pub(super) digest: Option<Vec<u8>>,
    pub(super) reference: Option<Vec<u8>>,
    pub(super) nonce: Vec<u8>,
    pub(super) signers: usize,
    /// The signer identifier; issuer and serial of the leaf if `None`.
    pub(super) identifier: Option<Vec<u8>>,
}

pub(super) const TST_INFO: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");

impl Token {
    pub(super) fn new() -> Self {
        let signer = Party::p256("tsa");
        let leaf = Template::of(&signer)
            .key_usage(DIGITAL_SIGNATURE, Critical::Yes)
            .extended_key_usage(&[oid::EKU_TIME_STAMPING], Critical::Yes);
        Self {
            authority: Party::p256("tsaroot"),
            signer,
            leaf,
            certificates: None,
            message: MESSAGE.to_vec(),
            generated: "20270101000000Z",
            content_type: TST_INFO,
            digest: None,
            reference: None,
            nonce: vec![5],
            signers: 1,
            identifier: None,
        }
    }

    pub(super) fn roots(&self) -> Vec<Certificate> {
        vec![Template::authority(&self.authority).signed_by(&self.authority)]
    }

    pub(super) fn info(&self) -> Vec<u8> {
        let sha256 = write::sequence(&[&write::oid(oid::SHA256), &write::null()]);
        let hashed = crypto::hash(HashAlgorithm::Sha256, &self.message);
        write::sequence(&[
            &write::unsigned(&[1]),
            &write::oid(ObjectIdentifier::new_unwrap("1.2.3")),
            &write::sequence(&[&sha256, &write::octet_string(&hashed)]),
            &write::unsigned(&[9]),
            &write::tlv(0x18, self.generated.as_bytes()),
            &write::unsigned(&self.nonce),
        ])
    }

    pub(super) fn build(&self) -> Vec<u8> {
        let leaf = self.leaf.der(&self.authority);
        let info = self.info();
        let sha256 = write::sequence(&[&write::oid(oid::SHA256)]);
        let hash = |bytes: &[u8]| crypto::hash(HashAlgorithm::Sha256, bytes);
        let attribute = |kind: &str, value: &[u8]| {
            let kind = write::oid(ObjectIdentifier::new_unwrap(kind));
            write::sequence(&[&kind, &write::set(&[value])])
        };
        let reference = self.reference.clone().unwrap_or_else(|| {
            let identifier = write::sequence(&[&write::octet_string(&hash(&leaf))]);
            attribute(
                "1.2.840.113549.1.9.16.2.47",
                &write::sequence(&[&write::sequence(&[&identifier])]),
            )
        });
        let digest = self.digest.clone().unwrap_or_else(|| hash(&info));
        let attributes = [
            attribute("1.2.840.113549.1.9.3", &write::oid(self.content_type)),
            attribute("1.2.840.113549.1.9.4", &write::octet_string(&digest)),
            reference,
        ]
        .concat();
        let signature = self.signer.key.sign(&write::tlv(0x31, &attributes));
        let identifier = self.identifier.clone().unwrap_or_else(|| {
            write::sequence(&[&self.authority.name, &write::unsigned(&[self.leaf.serial])])
        });
        let signer = |signature: &[u8]| {
            write::sequence(&[
                &write::unsigned(&[1]),
                &identifier,
                &sha256,
                &write::explicit(0, &attributes),
                &self.signer.algorithm(),
                &write::octet_string(signature),
            ])
        };
        // Signers before the last one have a wrong signature.
        let mut signers = vec![signer(&[0; 70]); self.signers.saturating_sub(1)];
        signers.extend((self.signers > 0).then(|| signer(&signature)));
        let certificates = self.certificates.clone().unwrap_or_else(|| vec![leaf]).concat();
        let signed = write::sequence(&[
            &write::unsigned(&[3]),
            &write::set(&[&sha256]),
            &write::sequence(&[
                &write::oid(TST_INFO),
                &write::explicit(0, &write::octet_string(&info)),
            ]),
            &write::explicit(0, &certificates),
            &write::set(&[&signers.concat()]),
        ]);
        let kind = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
        write::sequence(&[&write::oid(kind), &write::explicit(0, &signed)])
    }

    pub(super) fn verdict(&self) -> Result<VerifiedTimestamp, TimestampError> {
        verify(&self.build(), MESSAGE, &self.roots(), STRICT)
    }
}

/// The attribute SigningCertificateV2 for this certificate.
pub(super) fn reference_to(leaf: &[u8]) -> Vec<u8> {
    reference_with(leaf, &[])
}

/// The same with `issuerSerial`.
pub(super) fn reference_with(leaf: &[u8], issuer_serial: &[u8]) -> Vec<u8> {
    let digest = crypto::hash(HashAlgorithm::Sha256, leaf);
    let identifier = write::sequence(&[&write::octet_string(&digest), issuer_serial]);
    let kind = write::oid(ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.47"));
    let value = write::sequence(&[&write::sequence(&[&identifier])]);
    write::sequence(&[&kind, &write::set(&[&value])])
}

/// Every constructed value with an indefinite length, OCTET STRINGs in pieces.
pub(super) fn to_ber(der: &[u8]) -> Vec<u8> {
    use der::{Reader, SliceReader};
    let mut out = Vec::new();
    let mut reader = SliceReader::new(der).unwrap();
    while !reader.is_finished() {
        let whole = reader.tlv_bytes().unwrap();
        let mut inner = SliceReader::new(whole).unwrap();
        let header: der::Header = inner.decode().unwrap();
        let length = usize::try_from(header.length()).unwrap();
        let content = &whole[whole.len() - length..];
        match whole[0] {
            0x04 if length > 1 => {
                let (a, b) = content.split_at(1);
                out.extend([0x24, 0x80]);
                out.extend(write::octet_string(a));
                out.extend(write::octet_string(b));
                out.extend([0, 0]);
            }
            tag if tag & 0x20 != 0 => {
                out.extend([tag, 0x80]);
                out.extend(to_ber(content));
                out.extend([0, 0]);
            }
            _ => out.extend_from_slice(whole),
        }
    }
    out
}
