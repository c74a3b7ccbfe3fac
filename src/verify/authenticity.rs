//! Authenticity: the chain leads to a trust store of the policy, the leaf is a trusted identity.
//!
//! Implements spec/notation.md §5.1 ("which stores are used") and §5.3.

use std::cell::OnceCell;
use std::sync::Arc;

use crate::signature::envelope::{SignedContent, SigningScheme};
use crate::signature::x509::Certificate;
use crate::trust::identity::{DistinguishedName, TrustedIdentities};
use crate::trust::policy::Statement;
use crate::trust::store::{StoreType, TrustStoreError, TrustStores};

use super::error::CandidateError;

/// The certificates of all stores of one type, or why they can't be had.
type Loaded = Result<Vec<Certificate>, Arc<TrustStoreError>>;

/// The trust anchors of a statement, read when first needed.
#[derive(Debug)]
pub(super) struct Anchors<'a> {
    statement: &'a Statement,
    stores: &'a TrustStores,
    ca: OnceCell<Loaded>,
    signing_authority: OnceCell<Loaded>,
    tsa: OnceCell<Loaded>,
}

impl<'a> Anchors<'a> {
    pub(super) fn new(statement: &'a Statement, stores: &'a TrustStores) -> Self {
        Self {
            statement,
            stores,
            ca: OnceCell::new(),
            signing_authority: OnceCell::new(),
            tsa: OnceCell::new(),
        }
    }

    /// The anchors for signatures of a scheme. A signature of a signing authority is never
    /// measured against the `ca` stores, nor the other way round.
    fn of_scheme(&self, scheme: SigningScheme) -> &Loaded {
        match scheme {
            SigningScheme::X509 => self.ca.get_or_init(|| self.load(StoreType::Ca)),
            SigningScheme::SigningAuthority => {
                self.signing_authority.get_or_init(|| self.load(StoreType::SigningAuthority))
            }
        }
    }

    /// The anchors of timestamping authorities.
    pub(super) fn tsa(&self) -> Result<&[Certificate], CandidateError> {
        match self.tsa.get_or_init(|| self.load(StoreType::Tsa)) {
            Ok(certificates) => Ok(certificates),
            Err(error) => Err(CandidateError::TrustStore(Arc::clone(error))),
        }
    }

    /// One unusable store makes all of them unusable, as in notation.
    fn load(&self, kind: StoreType) -> Loaded {
        let mut certificates = Vec::new();
        for store in self.statement.stores(kind) {
            certificates.extend(self.stores.load(store).map_err(Arc::new)?);
        }
        Ok(certificates)
    }
}

/// The store type whose certificates vouch for signatures of a scheme.
fn store_type(scheme: SigningScheme) -> StoreType {
    match scheme {
        SigningScheme::X509 => StoreType::Ca,
        SigningScheme::SigningAuthority => StoreType::SigningAuthority,
    }
}

/// The first half: the chain leads to a trust store. The evidence names the anchor.
pub(super) fn anchor(
    statement: &Statement,
    anchors: &Anchors<'_>,
    content: &SignedContent,
) -> Result<String, CandidateError> {
    let anchor = trusted_anchor(statement, anchors, content)?;
    Ok(format!("chain leads to {:?} of the trust stores", anchor.subject().to_string()))
}

/// The certificate of the chain that is, byte for byte, one of the trust store's.
fn trusted_anchor<'c>(
    statement: &Statement,
    anchors: &Anchors<'_>,
    content: &'c SignedContent,
) -> Result<&'c Certificate, CandidateError> {
    let needed = store_type(content.scheme());
    if statement.stores(needed).next().is_none() {
        let statement = statement.name().to_owned();
        return Err(CandidateError::NoTrustStore { statement, needed });
    }
    let trusted = anchors
        .of_scheme(content.scheme())
        .as_ref()
        .map_err(|error| CandidateError::TrustStore(Arc::clone(error)))?;
    let chain = content.chain();
    chain.certificates().iter().find(|certificate| trusted.contains(certificate)).ok_or_else(|| {
        let stores: Vec<_> = statement.stores(needed).map(ToString::to_string).collect();
        CandidateError::UntrustedRoot {
            root: chain.root().subject().to_string(),
            stores: stores.join(", "),
        }
    })
}

/// The second half: the signer is a trusted identity, unless a plugin judges that. The evidence
/// names the identity.
pub(super) fn identity(
    statement: &Statement,
    content: &SignedContent,
) -> Result<String, CandidateError> {
    let identities = statement.identities();
    if *identities == TrustedIdentities::Any {
        return Ok("any identity is trusted".to_owned());
    }
    let subject = content.chain().leaf().subject();
    let name = DistinguishedName::of_subject(subject)?;
    match identities.matching(&name) {
        Some(identity) => Ok(format!("signer matches {:?}", identity.text)),
        None => Err(CandidateError::UntrustedIdentity {
            subject: subject.to_string(),
            identities: identities.texts().into_iter().map(str::to_owned).collect(),
            statement: statement.name().to_owned(),
        }),
    }
}
