//! Use case: a descriptor, envelopes and a policy become a trusted signature or a ranked error.
//!
//! Implements spec/notation.md §5.4. The artifact comes in as a [`Descriptor`] that the caller
//! computed from its bytes; nothing an envelope or a store says about it is believed. For every
//! candidate, in the order of the store:
//!
//! ```text
//! integrity -> authenticity (store, identity) -> expiry -> authentic timestamp -> revocation
//!           -> the signed descriptor is the artifact's -> the asked-for metadata is signed
//! ```
//!
//! A signature may demand a plugin that judges identity, revocation or both instead (§8.3). It is
//! looked for once the signer's chain has led to a trust store, never before (rule N-02): any signer
//! can write any name. Its verdict is asked for after the rest of the five.
//!
//! The policy decides whether a failure of the first five is an error or a warning; the last two
//! are always enforced. The first candidate that passes is the answer. If none does, the failure
//! of the one that came furthest is (security.md S2: the verdict is deny unless shown otherwise).
//! No socket is opened (N-27).

mod artifact;
mod authenticity;
mod error;
mod moment;
mod report;
mod revocation;
mod trusted;

use std::collections::BTreeMap;
use std::num::NonZero;

use jiff::Timestamp;

use crate::image::descriptor::Descriptor;
use crate::image::digest::Digest;
use crate::plugin::{Capability, VerificationPlugin, VerifierError, VerifierPlugins};
use crate::signature::envelope::{Envelope, EnvelopeFormat, PluginRequirement, SignedContent};
use crate::signature::x509::CertificateRules;
use crate::store::{DEFAULT_MAX_SIGNATURES, SignatureStore, StoredSignature};
use crate::trust::crls::RevocationData;
use crate::trust::level::{ValidationAction, ValidationType};
use crate::trust::policy::Statement;
use crate::trust::store::TrustStores;

use artifact::Artifact;
use authenticity::Anchors;

pub use artifact::Blob;
pub use error::{CandidateError, FailureClass, LimitReached, Rejected, VerifyError};
pub use moment::{AuthorityRevocation, Freshness, check_timestamp};
pub use report::{Check, CheckId, CheckStatus};
pub use trusted::{TrustedSignature, Verdict};

/// What is asked of a signature besides the policy.
#[derive(Clone, Debug)]
pub struct VerifyOptions {
    /// The time of verification.
    pub now: Timestamp,
    /// How many signatures are evaluated at most; at least one always is.
    pub max_signatures: usize,
    /// How many distinct signers must have signed. Signers are told apart by the subject of the
    /// signing certificate, and count only where the trust stores vouch for it.
    pub signers: NonZero<usize>,
    /// Metadata that must be signed, with these values.
    pub user_metadata: BTreeMap<String, String>,
    /// How strict certificates are judged.
    pub certificate_rules: CertificateRules,
    /// How old a signature may be, whatever the policy says.
    pub freshness: Freshness,
    /// What is known about revocation.
    pub revocation: RevocationData,
    /// The plugins that signatures may demand. Without them, one that does is not trusted.
    pub plugins: Option<VerifierPlugins>,
}

impl VerifyOptions {
    /// The defaults, at a moment.
    pub fn at(now: Timestamp) -> Self {
        Self {
            now,
            max_signatures: DEFAULT_MAX_SIGNATURES,
            signers: NonZero::<usize>::MIN,
            user_metadata: BTreeMap::new(),
            certificate_rules: CertificateRules::Strict,
            freshness: Freshness::default(),
            revocation: RevocationData::default(),
            plugins: None,
        }
    }
}

/// Verifies signatures under one policy statement. Trust stores are read once.
#[derive(Debug)]
pub struct Verifier<'a> {
    statement: &'a Statement,
    options: VerifyOptions,
    anchors: Anchors<'a>,
}

impl<'a> Verifier<'a> {
    /// A verifier for a statement of the policy, with the stores it refers to.
    pub fn new(statement: &'a Statement, stores: &'a TrustStores, options: VerifyOptions) -> Self {
        Self { statement, options, anchors: Anchors::new(statement, stores) }
    }

    /// Verifies that a signature of `store` is for `subject` and trusted.
    ///
    /// # Errors
    /// [`VerifyError`] unless one signature is trusted or the policy skips verification. That
    /// there is no signature is an error at every level but `skip`.
    pub fn verify(
        &self,
        subject: &Descriptor,
        store: &dyn SignatureStore,
    ) -> Result<Verdict, VerifyError> {
        self.verify_artifact(Artifact::Descriptor(subject), store)
    }

    /// Verifies that a signature of `store` is for the content of `blob` and trusted.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub fn verify_blob(
        &self,
        blob: &Blob,
        store: &dyn SignatureStore,
    ) -> Result<Verdict, VerifyError> {
        self.verify_artifact(Artifact::Blob(blob), store)
    }

    fn verify_artifact(
        &self,
        artifact: Artifact<'_>,
        store: &dyn SignatureStore,
    ) -> Result<Verdict, VerifyError> {
        if self.statement.level().is_skip() {
            return Ok(Verdict::Skipped);
        }
        let subject = artifact.descriptor();
        let candidates = store.list(&subject)?;
        let needed = self.options.signers.get();
        let (mut trusted, mut rejected) = (Vec::<TrustedSignature>::new(), Vec::new());
        let mut uncounted = false;
        for candidate in candidates.iter().take(self.options.max_signatures.max(1)) {
            match self.judge(artifact, store, candidate) {
                // One signer is enough: nobody has to tell signers apart.
                Ok(signature) if needed == 1 || signature.is_authentic() => {
                    let signer = signature.signer();
                    if trusted.iter().all(|other| other.signer() != signer) {
                        trusted.push(signature);
                    }
                }
                Ok(_) => uncounted = true,
                Err(rejection) => rejected.push(*rejection),
            }
            if trusted.len() == needed {
                let mut first = trusted.remove(0);
                (first.rejected, first.cosigners) = (rejected, trusted);
                return Ok(Verdict::Trusted(Box::new(first)));
            }
        }
        if uncounted || !trusted.is_empty() {
            return Err(VerifyError::TooFewSigners {
                subject: Box::new(subject),
                needed,
                signers: trusted.iter().map(TrustedSignature::signer).collect(),
            });
        }
        let best = rejected
            .iter()
            .enumerate()
            // The first of those that came equally far.
            .max_by_key(|(index, rejection)| (rejection.error.rank(), std::cmp::Reverse(*index)))
            .map(|(index, _)| index);
        let Some(best) = best else {
            return Err(VerifyError::NoSignature { subject: Box::new(subject) });
        };
        let limit = (rejected.len() < candidates.len())
            .then_some(LimitReached { limit: self.options.max_signatures });
        Err(VerifyError::NoneTrusted {
            subject: Box::new(subject),
            best: Box::new(rejected.remove(best)),
            others: rejected,
            limit,
        })
    }

    fn judge(
        &self,
        artifact: Artifact<'_>,
        store: &dyn SignatureStore,
        candidate: &StoredSignature,
    ) -> Result<TrustedSignature, Box<Rejected>> {
        let mut judgement = Judgement { verifier: self, checks: Vec::new() };
        match judgement.run(artifact, store, candidate) {
            Ok((subject, content, digest)) => Ok(TrustedSignature {
                subject,
                location: candidate.location.clone(),
                digest,
                content,
                checks: judgement.checks,
                statement: self.statement.name().to_owned(),
                level: self.statement.level().name(),
                rejected: Vec::new(),
                cosigners: Vec::new(),
            }),
            Err(error) => {
                judgement.finish();
                let location = candidate.location.clone();
                Err(Box::new(Rejected { location, error, checks: judgement.checks }))
            }
        }
    }
}

/// One candidate being judged.
struct Judgement<'v, 'a> {
    verifier: &'v Verifier<'a>,
    checks: Vec<Check>,
}

impl Judgement<'_, '_> {
    fn run(
        &mut self,
        artifact: Artifact<'_>,
        store: &dyn SignatureStore,
        candidate: &StoredSignature,
    ) -> Result<(Descriptor, SignedContent, Digest), CandidateError> {
        let Verifier { statement, options, anchors } = self.verifier;
        let bytes = store.read(candidate)?;
        let envelope = decode(&bytes, candidate)?;
        let integrity = integrity(&envelope, options.certificate_rules);
        let content = self.enforce(CheckId::Validation(ValidationType::Integrity), integrity)?;
        let anchor = authenticity::anchor(statement, anchors, &content);
        let plugin = match content.verification_plugin() {
            Some(needed) if anchor.is_ok() => Some(open_plugin(options, needed)?),
            _ => None,
        };
        let judged_by_plugin = |kind| plugin.as_ref().is_some_and(|plugin| plugin.can(&kind));
        let anchor = match anchor {
            Ok(evidence) if judged_by_plugin(Capability::TrustedIdentityVerifier) => evidence,
            anchor => {
                let both = anchor.and_then(|anchor| {
                    let identity = authenticity::identity(statement, &content)?;
                    Ok(format!("{anchor}; {identity}"))
                });
                self.record(ValidationType::Authenticity, both)?;
                String::new()
            }
        };
        if let (Some(needed), None) = (content.verification_plugin(), &plugin) {
            // The policy only logs that the signer is unknown. It is nobody's to choose a program.
            return Err(CandidateError::PluginOfStranger { name: needed.name.clone() });
        }
        self.record(ValidationType::Expiry, moment::expiry(&content, options.now))?;
        moment::fresh(&content, &options.freshness, options.now)?;
        let timestamp = moment::authentic(self.verifier, &envelope, &content);
        self.record(ValidationType::AuthenticTimestamp, timestamp)?;
        if !judged_by_plugin(Capability::RevocationCheckVerifier) || self.skips_revocation() {
            let authentic = content.authentic_signing_time();
            let revocation =
                revocation::check(content.chain(), &options.revocation, authentic, options.now);
            self.record(ValidationType::Revocation, revocation)?;
        }
        if let Some(plugin) = &plugin {
            self.ask(plugin, &content, &anchor)?;
        }
        let compared = artifact
            .compare(content.payload().target())
            .map(|found| Outcome { evidence: format!("{found} is what is signed"), value: found });
        let subject = self.enforce(CheckId::Content, compared)?;
        let metadata = has_metadata(content.payload().annotations(), &options.user_metadata);
        self.enforce(CheckId::UserMetadata, metadata)?;
        Ok((subject, content, Digest::sha256(&bytes)))
    }

    fn skips_revocation(&self) -> bool {
        let level = self.verifier.statement.level();
        level.action(ValidationType::Revocation) == ValidationAction::Skip
    }

    /// Has a plugin judge what it can, unless the policy skips that; `anchor` is what is known of
    /// the signer. Critical attributes it has not processed are nobody's (rule N-01), also when
    /// there was nothing to ask it.
    fn ask(
        &mut self,
        plugin: &VerificationPlugin<'_>,
        content: &SignedContent,
        anchor: &str,
    ) -> Result<(), CandidateError> {
        let mut wanted = plugin.capabilities().to_vec();
        if self.skips_revocation() {
            wanted.retain(|capability| *capability != Capability::RevocationCheckVerifier);
        }
        if wanted.is_empty() {
            return Ok(content.require_processed(&[])?);
        }
        let identities = self.verifier.statement.identities().texts();
        let verdict = plugin.verify(content, &identities, &wanted)?;
        content.require_processed(&verdict.processed())?;
        let name = plugin.name();
        for capability in &wanted {
            let (kind, evidence) = match capability {
                Capability::TrustedIdentityVerifier => (
                    ValidationType::Authenticity,
                    format!("{anchor}; plugin {name:?} takes the signer for a trusted identity"),
                ),
                _ => (
                    ValidationType::Revocation,
                    format!("plugin {name:?} says that no certificate is revoked"),
                ),
            };
            let result = verdict.of(capability);
            if let Err(error @ VerifierError::Inconclusive { .. }) = result {
                return Err(error.into());
            }
            self.record(kind, result.map(|()| evidence).map_err(Into::into))?;
        }
        Ok(())
    }

    /// Records a check whose failure is always an error.
    fn enforce<T>(
        &mut self,
        id: CheckId,
        result: Result<Outcome<T>, CandidateError>,
    ) -> Result<T, CandidateError> {
        let action = ValidationAction::Enforce;
        match result {
            Ok(Outcome { value, evidence }) => {
                self.checks.push(Check { id, action, status: CheckStatus::Passed, evidence });
                Ok(value)
            }
            Err(error) => {
                let evidence = error.to_string();
                self.checks.push(Check { id, action, status: CheckStatus::Failed, evidence });
                Err(error)
            }
        }
    }

    /// Records a validation whose failure means what the policy says.
    fn record(
        &mut self,
        kind: ValidationType,
        result: Result<String, CandidateError>,
    ) -> Result<(), CandidateError> {
        let id = CheckId::Validation(kind);
        let action = self.verifier.statement.level().action(kind);
        let (status, evidence, error) = match (action, result) {
            (ValidationAction::Skip, _) => {
                (CheckStatus::Skipped, "the policy skips it".to_owned(), None)
            }
            (_, Ok(evidence)) => (CheckStatus::Passed, evidence, None),
            (ValidationAction::Log, Err(error)) => (CheckStatus::Failed, error.to_string(), None),
            (ValidationAction::Enforce, Err(error)) => {
                (CheckStatus::Failed, error.to_string(), Some(error))
            }
        };
        self.checks.push(Check { id, action, status, evidence });
        error.map_or(Ok(()), Err)
    }

    /// Adds the checks that were not reached.
    fn finish(&mut self) {
        for id in CheckId::ALL {
            if self.checks.iter().any(|check| check.id == id) {
                continue;
            }
            let action = match id {
                CheckId::Validation(kind) => self.verifier.statement.level().action(kind),
                CheckId::Content | CheckId::UserMetadata => ValidationAction::Enforce,
            };
            let evidence = "an enforced check failed before".to_owned();
            self.checks.push(Check { id, action, status: CheckStatus::NotReached, evidence });
        }
    }
}

/// Decodes a candidate as what its place or its name says it is, else by its first byte.
fn decode(bytes: &[u8], candidate: &StoredSignature) -> Result<Envelope, CandidateError> {
    let declared = match &candidate.media_type {
        Some(found) => Some(
            EnvelopeFormat::from_media_type(found)
                .ok_or_else(|| CandidateError::MediaType { found: found.clone() })?,
        ),
        None => candidate
            .location
            .file_name()
            .and_then(|name| EnvelopeFormat::from_file_name(&name.to_string_lossy())),
    };
    Ok(match declared {
        Some(format) => Envelope::decode(bytes, format)?,
        None => Envelope::decode_any(bytes)?,
    })
}

/// The plugin that a signature of a known signer demands.
fn open_plugin<'o>(
    options: &'o VerifyOptions,
    needed: &PluginRequirement,
) -> Result<VerificationPlugin<'o>, CandidateError> {
    match &options.plugins {
        Some(plugins) => Ok(plugins.open(needed)?),
        None => Err(CandidateError::PluginRequired { name: needed.name.clone() }),
    }
}

fn integrity(
    envelope: &Envelope,
    rules: CertificateRules,
) -> Result<Outcome<SignedContent>, CandidateError> {
    let content = envelope.verify_integrity(rules)?;
    let evidence = format!(
        "{} signature by {:?} is intact",
        content.algorithm(),
        content.chain().leaf().subject().to_string()
    );
    Ok(Outcome { value: content, evidence })
}

/// What a passed check found, and how it says so.
struct Outcome<T> {
    value: T,
    evidence: String,
}

fn has_metadata(
    signed: &BTreeMap<String, String>,
    expected: &BTreeMap<String, String>,
) -> Result<Outcome<()>, CandidateError> {
    for (key, value) in expected {
        let found = signed.get(key);
        if found != Some(value) {
            return Err(CandidateError::UserMetadata {
                key: key.clone(),
                expected: value.clone(),
                found: found.cloned(),
            });
        }
    }
    let evidence = match expected.len() {
        0 => "none was asked for".to_owned(),
        count => format!("all {count} pairs that were asked for are signed"),
    };
    Ok(Outcome { value: (), evidence })
}

#[cfg(test)]
mod tests;
