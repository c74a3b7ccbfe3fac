//! The JSON document of `--format json`: verdict, subject, policy, checks.

use serde_json::{Value, json};

use crate::generate::BoundBlob;
use crate::image::descriptor::Descriptor;
use crate::store::{Added, NewSignature};
use crate::verify::{Check, Rejected, TrustedSignature, VerifyError};

use super::subject::Subject;

/// The policy that a verification went by.
pub(super) struct PolicyInfo<'a> {
    pub(super) path: &'a std::path::Path,
    pub(super) statement: &'a str,
    pub(super) level: &'a str,
}

impl PolicyInfo<'_> {
    /// The line that says by which policy is judged.
    pub(super) fn describe(&self) -> String {
        let Self { path, statement, level } = self;
        format!("policy: statement {statement:?} ({level}) of {}", path.display())
    }

    fn json(&self) -> Value {
        json!({"path": self.path, "statement": self.statement, "level": self.level})
    }
}

/// Nothing was verified, because the policy wants it so.
pub(super) fn skipped(subject: &Descriptor, policy: &PolicyInfo<'_>) -> Value {
    json!({
        "verdict": "skipped",
        "subject": subject,
        "policy": policy.json(),
        "checks": [],
    })
}

/// A signature is trusted.
pub(super) fn trusted(trusted: &TrustedSignature, policy: &PolicyInfo<'_>) -> Value {
    json!({
        "verdict": "trusted",
        "subject": trusted.subject(),
        "policy": policy.json(),
        "checks": checks(trusted.checks()),
        "signature": signature(trusted),
        "cosigners": trusted.cosigners().iter().map(signature).collect::<Vec<_>>(),
        "rejected": rejected(trusted.rejected()),
    })
}

fn signature(trusted: &TrustedSignature) -> Value {
    let content = trusted.content();
    json!({
        "location": trusted.location(),
        "digest": trusted.digest(),
        "signer": trusted.signer(),
        "signingScheme": content.scheme().name(),
        "signingTime": content.signing_time().to_string(),
        "expiry": content.expiry().map(|expiry| expiry.to_string()),
        "userMetadata": content.payload().annotations(),
    })
}

/// No signature is trusted.
pub(super) fn denied(subject: &Descriptor, policy: &PolicyInfo<'_>, error: &VerifyError) -> Value {
    let (best, others) = match error {
        VerifyError::NoneTrusted { best, others, .. } => (Some(best), others.as_slice()),
        _ => (None, &[][..]),
    };
    json!({
        "verdict": "denied",
        "reason": error.to_string(),
        "subject": subject,
        "policy": policy.json(),
        "checks": best.map_or_else(|| json!([]), |best| checks(&best.checks)),
        "signature": best.map(|best| json!({"location": best.location})),
        "rejected": rejected(others),
    })
}

/// Something was signed.
pub(super) fn signed(subject: &Descriptor, envelope: &NewSignature, added: &Added) -> Value {
    json!({
        "verdict": "signed",
        "subject": subject,
        "signature": {
            "location": added.location,
            "digest": added.digest,
            "mediaType": envelope.media_type,
            "size": envelope.bytes.len(),
        },
    })
}

/// A blob and what ties it to the manifest.
pub(super) fn blob(blob: &BoundBlob) -> Value {
    json!({
        "member": blob.member,
        "mediaType": blob.descriptor.media_type,
        "digest": blob.descriptor.digest,
        "size": blob.descriptor.size,
        "diffId": blob.diff_id,
        "boundBy": blob.by.as_str(),
    })
}

/// What was hashed besides the signature.
pub(super) fn content(subject: &Subject) -> Value {
    json!({
        "checked": subject.content.as_str(),
        "blobs": subject.blobs().iter().map(blob).collect::<Vec<_>>(),
    })
}

fn checks(checks: &[Check]) -> Value {
    checks
        .iter()
        .map(|check| {
            json!({
                "id": check.id.as_str(),
                "action": check.action.as_str(),
                "status": check.status.as_str(),
                "evidence": check.evidence,
            })
        })
        .collect()
}

fn rejected(rejected: &[Rejected]) -> Value {
    rejected
        .iter()
        .map(|each| json!({"location": each.location, "reason": each.error.to_string()}))
        .collect()
}
