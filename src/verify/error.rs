//! Why a signature, or all of them, is not trusted; and which reason is told when there are many.

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};

use crate::image::descriptor::Descriptor;
use crate::image::hint::Hint;
use crate::plugin::{Capability, VerifierError};
use crate::signature::envelope::EnvelopeError;
use crate::signature::timestamp::TimestampError;
use crate::signature::x509::ChainError;
use crate::store::StoreError;
use crate::trust::identity::IdentityError;
use crate::trust::store::{StoreType, TrustStoreError};

use super::report::Check;

/// What kind of failure it is. The command line derives its exit code from it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum FailureClass {
    /// There is no signature.
    NoSignature,
    /// A signature is invalid.
    Invalid,
    /// A signature is not trusted by the policy.
    NotTrusted,
    /// A signature is for other content.
    ContentMismatch,
    /// A signature or its certificates have expired or are not valid yet.
    Expired,
    /// A certificate is revoked, or it is not known whether it is.
    Revoked,
    /// An envelope can't be read.
    Malformed,
    /// A store can't be read.
    Unavailable,
}

/// Why one signature is not trusted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CandidateError {
    /// It can't be read from where it is.
    #[error(transparent)]
    Unreadable(#[from] StoreError),
    /// Its place says that it is something else than an envelope (N-23).
    #[error("media type {found:?} is not that of a signature envelope")]
    MediaType {
        /// The media type.
        found: String,
    },
    /// It is no envelope, or its integrity is broken.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// The trust stores of the policy can't be used.
    #[error(transparent)]
    TrustStore(std::sync::Arc<TrustStoreError>),
    /// The policy lists no store of the type the signature's scheme needs.
    #[error("trust policy statement {statement:?} lists no trust store of type \"{needed}\"")]
    NoTrustStore {
        /// Name of the statement.
        statement: String,
        /// The type that is needed.
        needed: StoreType,
    },
    /// No certificate of the chain is in a trust store.
    #[error(
        "signature is not produced by a trusted signer: its root {root:?} is in none of the trust \
         stores {stores}"
    )]
    UntrustedRoot {
        /// Subject of the root certificate.
        root: String,
        /// The stores that were searched.
        stores: String,
    },
    /// The signer's subject can't be compared with identities.
    #[error(transparent)]
    Subject(#[from] IdentityError),
    /// The signer is none of the trusted identities.
    #[error(
        "signing certificate {subject:?} does not match the trusted identities {identities:?} of \
         trust policy statement {statement:?}"
    )]
    UntrustedIdentity {
        /// Subject of the signing certificate.
        subject: String,
        /// The identities of the policy.
        identities: Vec<String>,
        /// Name of the statement.
        statement: String,
    },
    /// The signature demands a verification plugin (spec §8.3).
    #[error("signature demands the verification plugin {name:?}, which is not available")]
    PluginRequired {
        /// Its name, as the signer wrote it.
        name: String,
    },
    /// The signature demands a verification plugin, and nobody knows the signer (rule N-02).
    #[error(
        "signature demands the verification plugin {name:?}, which is not run for a signer whose \
         chain leads to no trust store"
    )]
    PluginOfStranger {
        /// Its name, as the signer wrote it.
        name: String,
    },
    /// The verification plugin can't be asked, or doesn't vouch for the signature.
    #[error(transparent)]
    Plugin(#[from] VerifierError),
    /// The signer's expiry has passed.
    #[error("signature expired at {expiry}, it is {now}")]
    Expired {
        /// When it expired.
        expiry: Timestamp,
        /// The time of verification.
        now: Timestamp,
    },
    /// An expiry is demanded and the signature has none.
    #[error("signature has no expiry, and --require-expiry demands one")]
    NoExpiry,
    /// The signature is older than is allowed, or from the future.
    #[error("signature was made at {signed}, it is {now}, and --max-age allows {limit:#}")]
    Age {
        /// When it was made, as the signer says.
        signed: Timestamp,
        /// The time of verification.
        now: Timestamp,
        /// The longest time in between.
        limit: SignedDuration,
    },
    /// A certificate was not valid when the signature was made.
    #[error("authentic timestamp: {0}")]
    Validity(ChainError),
    /// A certificate is not valid at the time of verification, which counts where no timestamp
    /// does.
    #[error("authentic timestamp: {error}")]
    NotValidNow {
        /// Which one, and since when.
        error: ChainError,
        /// Whether the signature has a timestamp countersignature, for which the policy has no
        /// trust store.
        has_timestamp: bool,
    },
    /// The policy demands a timestamp countersignature and there is none.
    #[error("no timestamp countersignature was found in the signature envelope")]
    NoTimestamp,
    /// The timestamp countersignature does not hold.
    #[error("timestamp countersignature: {0}")]
    Timestamp(#[from] TimestampError),
    /// A certificate of the timestamping authority is revoked, or it is not known.
    #[error("timestamping authority: {0}")]
    TimestampRevocation(Box<Self>),
    /// A certificate is revoked.
    #[error("signing certificate with subject {subject:?} is revoked")]
    Revoked {
        /// Subject of the certificate.
        subject: String,
    },
    /// It is not known whether a certificate is revoked.
    #[error("signing certificate with subject {subject:?} revocation status is unknown: {reason}")]
    RevocationUnknown {
        /// Subject of the certificate.
        subject: String,
        /// What data is missing, and where it would come from.
        reason: String,
        /// The CRL that would tell.
        crl_url: Option<String>,
    },
    /// The signature is for other content.
    #[error("signed content is {signed}, but this is {found}")]
    ContentMismatch {
        /// The descriptor in the signature.
        signed: Box<Descriptor>,
        /// The descriptor of the artifact.
        found: Box<Descriptor>,
    },
    /// The signed metadata lacks what was asked for.
    #[error(
        "signed user metadata {key:?} is {}, expected {expected:?}",
        found.as_ref().map_or_else(|| "not there".to_owned(), |value| format!("{value:?}"))
    )]
    UserMetadata {
        /// The key.
        key: String,
        /// The value that was asked for.
        expected: String,
        /// The signed value.
        found: Option<String>,
    },
}

impl CandidateError {
    /// What kind of failure it is.
    pub fn class(&self) -> FailureClass {
        match self {
            Self::Unreadable(error) if error.is_not_found() => FailureClass::NoSignature,
            Self::Unreadable(
                StoreError::Altered { .. } | StoreError::Defective { .. } | StoreError::Layout(_),
            )
            | Self::MediaType { .. } => FailureClass::Malformed,
            Self::Unreadable(_) => FailureClass::Unavailable,
            Self::Envelope(error) => class_of_envelope(error),
            Self::TrustStore(_)
            | Self::NoTrustStore { .. }
            | Self::UntrustedRoot { .. }
            | Self::Subject(_)
            | Self::UntrustedIdentity { .. }
            | Self::PluginRequired { .. }
            | Self::PluginOfStranger { .. }
            | Self::UserMetadata { .. } => FailureClass::NotTrusted,
            Self::Plugin(error) => match error.is_about(&Capability::RevocationCheckVerifier) {
                true => FailureClass::Revoked,
                false => FailureClass::NotTrusted,
            },
            Self::Expired { .. }
            | Self::NoExpiry
            | Self::Age { .. }
            | Self::Validity(_)
            | Self::NotValidNow { .. }
            | Self::NoTimestamp
            | Self::Timestamp(_)
            | Self::TimestampRevocation(_) => FailureClass::Expired,
            Self::Revoked { .. } | Self::RevocationUnknown { .. } => FailureClass::Revoked,
            Self::ContentMismatch { .. } => FailureClass::ContentMismatch,
        }
    }

    /// How far the signature came; the one that came furthest is the one that is told about.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::Unreadable(_) | Self::MediaType { .. } => 0,
            Self::Envelope(error) if class_of_envelope(error) == FailureClass::Malformed => 1,
            Self::Envelope(_) => 2,
            Self::TrustStore(_) | Self::NoTrustStore { .. } | Self::UntrustedRoot { .. } => 3,
            Self::Subject(_) | Self::UntrustedIdentity { .. } => 4,
            Self::PluginRequired { .. } | Self::PluginOfStranger { .. } | Self::Plugin(_) => 5,
            Self::Expired { .. } | Self::NoExpiry | Self::Age { .. } => 6,
            Self::Validity(_)
            | Self::NotValidNow { .. }
            | Self::NoTimestamp
            | Self::Timestamp(_)
            | Self::TimestampRevocation(_) => 7,
            Self::Revoked { .. } | Self::RevocationUnknown { .. } => 8,
            Self::ContentMismatch { .. } => 9,
            Self::UserMetadata { .. } => 10,
        }
    }

    /// A command that helps, if there is one.
    pub fn hint(&self) -> Option<Hint> {
        let fixed = |text: &str| Some(Hint::from(text));
        match self {
            Self::TrustStore(error) => error.hint().map(Hint::from),
            Self::NoTrustStore { needed, .. } => {
                Some(format!("dockseal cert add --type {needed} --store STORE ROOT.crt").into())
            }
            Self::UntrustedRoot { stores, .. } => {
                let only = stores.split_once(':').filter(|(_, name)| !name.contains(':'));
                let (kind, name) = only.unwrap_or(("ca", "STORE"));
                let words =
                    ["dockseal", "cert", "add", "--type", kind, "--store", name, "ROOT.crt"];
                Hint::command("", &words)
            }
            Self::Expired { .. } | Self::NoExpiry | Self::Age { .. } => {
                fixed("have it signed anew: dockseal sign SOURCE --expiry 720h")
            }
            Self::NotValidNow {
                error: ChainError::NotValidAt { moment, not_after, .. }, ..
            } if moment <= not_after => {
                fixed("it is not valid yet, or the clock is wrong: date -u")
            }
            Self::NotValidNow { has_timestamp: true, .. } => fixed(
                "its timestamp counts with a trust store of that type in the policy: dockseal cert \
                 add --type tsa --store STORE ROOT.crt",
            ),
            Self::NotValidNow { .. } => fixed(
                "have it signed anew, with a timestamp that outlives the certificate: dockseal sign \
                 SOURCE --timestamp-url URL --timestamp-root-cert ROOT.crt",
            ),
            Self::ContentMismatch { signed, found } if signed.digest == found.digest => {
                Hint::option("", "--media-type", &signed.media_type)
            }
            Self::TimestampRevocation(error) => error.hint(),
            Self::Plugin(error) => error.hint().map(Hint::from),
            Self::RevocationUnknown { crl_url, .. } => {
                let url = crl_url.as_deref()?;
                Hint::command("", &["dockseal", "crl", "import", "--url", url, "FILE.crl"])
            }
            _ => None,
        }
    }
}

/// Whether an envelope can't be read, or can and is wrong.
fn class_of_envelope(error: &EnvelopeError) -> FailureClass {
    match error {
        EnvelopeError::TooLarge { .. }
        | EnvelopeError::UnknownFormat
        | EnvelopeError::FormatMismatch { .. }
        | EnvelopeError::Json { .. }
        | EnvelopeError::Shape { .. }
        | EnvelopeError::Cbor(_)
        | EnvelopeError::Cose(_)
        | EnvelopeError::Base64 { .. } => FailureClass::Malformed,
        _ => FailureClass::Invalid,
    }
}

/// A signature that is not trusted.
#[derive(Debug)]
pub struct Rejected {
    /// Where it is.
    pub location: PathBuf,
    /// Why it is not trusted.
    pub error: CandidateError,
    /// How each check ended.
    pub checks: Vec<Check>,
}

/// Why an artifact is not verified.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// There is not one signature.
    #[error("no signature is associated with {}", subject.digest)]
    NoSignature {
        /// The artifact.
        subject: Box<Descriptor>,
    },
    /// No signature is trusted.
    #[error("{}", describe(best, others))]
    NoneTrusted {
        /// The artifact.
        subject: Box<Descriptor>,
        /// The signature that came furthest.
        best: Box<Rejected>,
        /// The others, in their order.
        others: Vec<Rejected>,
        /// Whether there are signatures that were not looked at any more.
        limit: Option<LimitReached>,
    },
    /// Fewer signers than are required are trusted.
    #[error("{needed} distinct signers are required, trusted signatures are by {}: {}",
        signers.len(), signers.join("; "))]
    TooFewSigners {
        /// The artifact.
        subject: Box<Descriptor>,
        /// How many there must be.
        needed: usize,
        /// Subjects of the signing certificates that are trusted.
        signers: Vec<String>,
    },
    /// The place where signatures are can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// More signatures than may be evaluated (CVE-2023-33957).
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "signature evaluation stopped. The configured limit of {limit} signatures to verify per \
     artifact exceeded"
)]
pub struct LimitReached {
    /// The limit.
    pub limit: usize,
}

fn describe(best: &Rejected, others: &[Rejected]) -> String {
    let location = best.location.display();
    match others.len() {
        0 => format!("signature {location} is not trusted: {}", best.error),
        n => format!(
            "none of {} signatures is trusted; the most promising one, {location}: {}",
            n + 1,
            best.error
        ),
    }
}

impl VerifyError {
    /// What kind of failure it is.
    pub fn class(&self) -> FailureClass {
        match self {
            Self::NoSignature { .. } => FailureClass::NoSignature,
            Self::NoneTrusted { best, .. } => best.error.class(),
            Self::TooFewSigners { .. } => FailureClass::NotTrusted,
            Self::Store(error) if error.is_not_found() => FailureClass::NoSignature,
            Self::Store(StoreError::Layout(_)) => FailureClass::Malformed,
            Self::Store(_) => FailureClass::Unavailable,
        }
    }

    /// A command that helps, if there is one.
    pub fn hint(&self) -> Option<Hint> {
        match self {
            Self::NoneTrusted { best, .. } => best.error.hint(),
            Self::TooFewSigners { .. } => Some("--signature FILE".into()),
            _ => None,
        }
    }
}
