//! From an error to what the user sees: exit code, message, details, hint.
//!
//! Every error type of the library that a command may return has a `From` here, so that commands
//! use `?` and codes are assigned in one place.

use std::error::Error;
use std::io;

use crate::content::archive::{ArchiveError, Class};
#[cfg(feature = "docker")]
use crate::content::docker::{EndpointError, EngineError};
use crate::fsutil::FileError;
use crate::generate;
use crate::image::local::LocalError;
use crate::kit::KitError;
use crate::load::LoadError;
use crate::plugin::{InstallError, PluginError};
use crate::sign::{AttachError, SignError};
use crate::signature::envelope::EnvelopeError;
use crate::signature::signer::SignerError;
use crate::signature::signer::config::ConfigError;
use crate::signature::signer::keys::KeysError;
use crate::signature::timestamp::TimestampError;
use crate::signature::x509::generate::GenerateError;
use crate::store::StoreError;
use crate::store::layout::LayoutError;
use crate::trust::crls::CrlFileError;
use crate::trust::files::PolicyFileError;
use crate::trust::policy::PolicyError;
use crate::trust::scope::ScopeError;
use crate::trust::store::{ManageError, TrustStoreError};
use crate::verify::{CandidateError, FailureClass, VerifyError};

use super::context::NoDirectory;
use super::exit::Exit;
use super::output::BinaryOnTerminal;

/// Why a command failed.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) exit: Exit,
    /// What went wrong.
    pub(crate) message: String,
    /// Further lines.
    pub(crate) details: Vec<String>,
    /// A command that helps.
    pub(crate) hint: Option<String>,
}

impl Failure {
    /// A failure with nothing but a code and a message.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), details: Vec::new(), hint: None }
    }

    /// Wrong arguments.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// The failure that is an error with all its causes.
    pub(crate) fn of(exit: Exit, error: &dyn Error) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let text = error.to_string();
            // Some errors show their cause themselves.
            if !message.contains(&text) {
                message.push_str(": ");
                message.push_str(&text);
            }
            cause = error.source();
        }
        Self::new(exit, message)
    }

    /// The same failure, its message behind another one.
    #[must_use]
    pub(crate) fn prefixed(mut self, message: &str) -> Self {
        self.message = format!("{message}: {}", self.message);
        self
    }

    /// The same failure with a hint.
    #[must_use]
    pub(crate) fn with_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }

    /// The same failure with another line of details.
    #[must_use]
    pub(crate) fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.details.push(detail.into());
        self
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.get_ref().is_some_and(|inner| inner.is::<BinaryOnTerminal>()) {
            return Self::of(Exit::Usage, &error)
                .with_hint(Some("write it to a file: --output FILE".to_owned()));
        }
        Self::of(Exit::Internal, &error)
    }
}

impl From<KitError> for Failure {
    fn from(error: KitError) -> Self {
        let hint = error.hint();
        let failure = match error {
            KitError::File(error) => error.into(),
            KitError::Archive(error) => Self::from(error).prefixed("not a kit"),
            KitError::Policy(error) => error.into(),
            KitError::Store(error) => error.into(),
            KitError::Crl(error) => error.into(),
            KitError::Rollback { .. } | KitError::SameVersion { .. } => {
                Self::of(Exit::NotTrusted, &error)
            }
            KitError::Altered { .. } => Self::of(Exit::ContentMismatch, &error),
            KitError::PrivateKey { .. } | KitError::Empty | KitError::Name { .. } => {
                Self::of(Exit::Usage, &error)
            }
            _ => Self::of(Exit::Malformed, &error),
        };
        if hint.is_some() { failure.with_hint(hint) } else { failure }
    }
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        Self::of(Exit::Unavailable, &error)
    }
}

impl From<NoDirectory> for Failure {
    fn from(error: NoDirectory) -> Self {
        Self::of(Exit::Unavailable, &error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Containerd(error) => error.into(),
            StoreError::Layout(error) => error.into(),
            error @ StoreError::ReadOnly { .. } => Self::of(Exit::Unavailable, &error).with_hint(
                Some("over the socket of a running containerd: --address PATH".to_owned()),
            ),
            error => Self::of(Exit::Unavailable, &error),
        }
    }
}

impl From<LayoutError> for Failure {
    fn from(error: LayoutError) -> Self {
        if let LayoutError::Archive { path, source } = error {
            return Self::from(*source).prefixed(&path.display().to_string());
        }
        let exit = match &error {
            LayoutError::Reference { .. } => Exit::Usage,
            LayoutError::File(_) | LayoutError::Lock { .. } | LayoutError::NotCarried { .. } => {
                Exit::Unavailable
            }
            error if error.is_not_found() => Exit::Unavailable,
            LayoutError::Altered { .. } => Exit::ContentMismatch,
            _ => Exit::Malformed,
        };
        Self::of(exit, &error)
    }
}

impl From<AttachError> for Failure {
    fn from(error: AttachError) -> Self {
        let exit = match &error {
            AttachError::ContentMismatch { .. } => Exit::ContentMismatch,
            AttachError::Envelope(_) => Exit::InvalidSignature,
        };
        Self::of(exit, &error)
    }
}

impl From<LocalError> for Failure {
    fn from(error: LocalError) -> Self {
        let hint = match &error {
            LocalError::Contradiction { .. } => Some("--force-media-type signs it all the same"),
            LocalError::Json(_) => Some("--media-type TYPE, if it is no manifest"),
            LocalError::Ambiguous => None,
        };
        Self::of(Exit::Malformed, &error).with_hint(hint.map(str::to_owned))
    }
}

impl From<ScopeError> for Failure {
    fn from(error: ScopeError) -> Self {
        Self::of(Exit::Usage, &error)
    }
}

impl From<PolicyError> for Failure {
    fn from(error: PolicyError) -> Self {
        Self::of(Exit::NotTrusted, &error)
    }
}

impl From<PolicyFileError> for Failure {
    fn from(error: PolicyFileError) -> Self {
        Self::of(Exit::NotTrusted, &error).with_hint(error.hint())
    }
}

impl From<TrustStoreError> for Failure {
    fn from(error: TrustStoreError) -> Self {
        Self::of(Exit::NotTrusted, &error).with_hint(error.hint())
    }
}

impl From<CrlFileError> for Failure {
    fn from(error: CrlFileError) -> Self {
        let exit = match &error {
            CrlFileError::Malformed { .. } => Exit::Malformed,
            _ => Exit::Unavailable,
        };
        Self::of(exit, &error)
    }
}

impl From<ManageError> for Failure {
    fn from(error: ManageError) -> Self {
        Self::of(Exit::Unavailable, &error)
    }
}

impl From<KeysError> for Failure {
    fn from(error: KeysError) -> Self {
        Self::of(Exit::Unavailable, &error).with_hint(error.hint())
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::of(Exit::Unavailable, &error)
    }
}

impl From<PluginError> for Failure {
    fn from(error: PluginError) -> Self {
        let exit = match &error {
            PluginError::Name { .. } => Exit::Usage,
            _ => Exit::Unavailable,
        };
        Self::of(exit, &error).with_hint(error.hint())
    }
}

impl From<InstallError> for Failure {
    fn from(error: InstallError) -> Self {
        let exit = match &error {
            InstallError::Checksum(_) => Exit::Usage,
            InstallError::OtherChecksum { .. } => Exit::ContentMismatch,
            InstallError::Archive(_)
            | InstallError::NoProgram
            | InstallError::NotAPlugin { .. }
            | InstallError::Programs { .. }
            | InstallError::TooLarge { .. } => Exit::Malformed,
            _ => Exit::Unavailable,
        };
        Self::of(exit, &error).with_hint(error.hint())
    }
}

impl From<SignerError> for Failure {
    fn from(error: SignerError) -> Self {
        Self::of(Exit::Unavailable, &error)
    }
}

impl From<GenerateError> for Failure {
    fn from(error: GenerateError) -> Self {
        Self::of(Exit::Internal, &error)
    }
}

impl From<generate::GenerateError> for Failure {
    fn from(error: generate::GenerateError) -> Self {
        use generate::GenerateError as E;
        let error = match error {
            E::Containerd(error) => return error.into(),
            error => error,
        };
        let exit = match &error {
            // Reading it again settles it.
            E::Archive(ArchiveError::Streamed { .. }) => Exit::NotDeterminable,
            E::Archive(error) => match error.class() {
                Class::Malformed => Exit::Malformed,
                Class::Mismatch => Exit::ContentMismatch,
                Class::Unavailable => Exit::Unavailable,
                Class::Io => Exit::Internal,
            },
            // Which image is meant is open.
            E::OtherImage { .. } => Exit::ContentMismatch,
            E::Choose { .. } | E::LayerCount { .. } => Exit::Malformed,
            E::NoSuchImage { .. } | E::NoSuchPlatform { .. } => Exit::Unavailable,
            E::Undeterminable { .. } => Exit::NotDeterminable,
            E::Containerd(_) => Exit::Unavailable,
        };
        let anew = || match exit {
            Exit::ContentMismatch => Some(
                "the archive is damaged or was altered; save it anew: docker save IMAGE -o image.tar",
            ),
            Exit::Malformed => Some("save it anew: docker save IMAGE -o image.tar"),
            _ => None,
        };
        let hint = error.hint().or_else(|| anew().map(str::to_owned));
        Self::of(exit, &error).with_hint(hint)
    }
}

#[cfg(feature = "docker")]
impl From<EndpointError> for Failure {
    fn from(error: EndpointError) -> Self {
        let exit = match &error {
            EndpointError::HostAndContext
            | EndpointError::SeveralHosts
            | EndpointError::Host { .. }
            | EndpointError::Header { .. }
            | EndpointError::ApiVersion { .. } => Exit::Usage,
            _ => Exit::Unavailable,
        };
        Self::of(exit, &error).with_hint(error.hint())
    }
}

#[cfg(feature = "docker")]
impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let exit = match &error {
            EngineError::Podman => Exit::NotDeterminable,
            _ => Exit::Unavailable,
        };
        Self::of(exit, &error).with_hint(error.hint())
    }
}

impl From<ArchiveError> for Failure {
    fn from(error: ArchiveError) -> Self {
        generate::GenerateError::from(error).into()
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Archive(error) => error.into(),
            LoadError::Containerd(error) => (*error).into(),
            LoadError::Changed(_) => Self::of(Exit::ContentMismatch, &error),
            LoadError::OtherForm { .. } => Self::of(Exit::NotDeterminable, &error).with_hint(Some(
                "dockseal load ARCHIVE --output clean.tar; what ctr images import makes of that has \
                 another digest"
                    .to_owned(),
            )),
            _ => Self::of(Exit::Unavailable, &error),
        }
    }
}

impl From<SignError> for Failure {
    fn from(error: SignError) -> Self {
        let exit = match &error {
            SignError::Expiry { .. } | SignError::Payload(_) => Exit::Usage,
            SignError::Envelope(_)
            | SignError::NoExpiry
            | SignError::Store(_)
            | SignError::Timestamp(TimestampError::Refused { .. }) => Exit::Unavailable,
            SignError::Timestamp(_) => Exit::Malformed,
            SignError::OwnResult(_) | SignError::Random(_) => Exit::Internal,
        };
        // What a plugin says helps with it too.
        let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
        let mut hint = None;
        while let Some(error) = cause {
            hint = hint.or_else(|| error.downcast_ref().and_then(PluginError::hint));
            cause = error.source();
        }
        Self::of(exit, &error).with_hint(hint)
    }
}

impl From<EnvelopeError> for Failure {
    fn from(error: EnvelopeError) -> Self {
        Self::of(Exit::Malformed, &error)
    }
}

impl From<CandidateError> for Failure {
    fn from(error: CandidateError) -> Self {
        let hint = error.hint();
        Self::of(exit_of(error.class()), &error).with_hint(hint)
    }
}

impl From<TimestampError> for Failure {
    fn from(error: TimestampError) -> Self {
        Self::of(Exit::Malformed, &error)
    }
}

impl From<VerifyError> for Failure {
    fn from(error: VerifyError) -> Self {
        let mut failure = Self::new(exit_of(error.class()), error.to_string());
        failure.hint = error.hint();
        let VerifyError::NoneTrusted { best, others, limit, .. } = &error else {
            return failure;
        };
        if let CandidateError::ContentMismatch { signed, found } = &best.error {
            failure.message =
                format!("content does not match the signature {}", best.location.display());
            failure.details.push(format!("signed: {signed}"));
            failure.details.push(format!("found:  {found}"));
        }
        for other in others {
            failure.details.push(format!("{}: {}", other.location.display(), other.error));
        }
        failure.details.extend(limit.map(|limit| limit.to_string()));
        failure
    }
}

fn exit_of(class: FailureClass) -> Exit {
    match class {
        FailureClass::NoSignature => Exit::NoSignature,
        FailureClass::Invalid => Exit::InvalidSignature,
        FailureClass::NotTrusted => Exit::NotTrusted,
        FailureClass::ContentMismatch => Exit::ContentMismatch,
        FailureClass::Expired => Exit::Expired,
        FailureClass::Revoked => Exit::Revoked,
        FailureClass::Malformed => Exit::Malformed,
        FailureClass::Unavailable => Exit::Unavailable,
    }
}
