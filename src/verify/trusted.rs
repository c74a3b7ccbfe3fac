//! The answer of a verification.

use std::path::{Path, PathBuf};

use super::{Check, CheckId, CheckStatus, Rejected};
use crate::image::descriptor::Descriptor;
use crate::image::digest::Digest;
use crate::signature::envelope::SignedContent;
use crate::trust::level::{LevelName, ValidationType};

/// The answer of a verification that did not fail.
#[derive(Debug)]
pub enum Verdict {
    /// The policy does not want anything verified. Nothing is known about the artifact.
    Skipped,
    /// This signature is trusted.
    Trusted(Box<TrustedSignature>),
}

/// A signature that passed everything the policy enforces. It exists only if verified: there is no
/// other way to make one than [`Verifier::verify`](super::Verifier::verify).
#[derive(Debug)]
pub struct TrustedSignature {
    pub(super) subject: Descriptor,
    pub(super) location: PathBuf,
    pub(super) digest: Digest,
    pub(super) content: SignedContent,
    pub(super) checks: Vec<Check>,
    pub(super) statement: String,
    pub(super) level: LevelName,
    pub(super) rejected: Vec<Rejected>,
    pub(super) cosigners: Vec<Self>,
}

impl TrustedSignature {
    /// The artifact: exactly this digest, size and media type are signed.
    pub fn subject(&self) -> &Descriptor {
        &self.subject
    }

    /// Where the signature was read from.
    pub fn location(&self) -> &Path {
        &self.location
    }

    /// The sha256 digest of the envelope.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// What the envelope says: signer, times, metadata.
    pub fn content(&self) -> &SignedContent {
        &self.content
    }

    /// How each check ended.
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// Name of the policy statement it is trusted under.
    pub fn statement(&self) -> &str {
        &self.statement
    }

    /// Level of that statement. Anything but `strict` deserves a loud warning.
    pub fn level(&self) -> LevelName {
        self.level
    }

    /// Signatures that were evaluated and are not trusted.
    pub fn rejected(&self) -> &[Rejected] {
        &self.rejected
    }

    /// The subject of the signing certificate.
    pub fn signer(&self) -> String {
        self.content.chain().leaf().subject().to_string()
    }

    /// Signatures by other signers, as many as were asked for besides this one.
    pub fn cosigners(&self) -> &[Self] {
        &self.cosigners
    }

    /// Whether the trust stores vouch for the signer, whatever the policy makes of it.
    pub(super) fn is_authentic(&self) -> bool {
        let authenticity = CheckId::Validation(ValidationType::Authenticity);
        let mut checks = self.checks.iter();
        checks.any(|check| check.id == authenticity && check.status == CheckStatus::Passed)
    }
}
