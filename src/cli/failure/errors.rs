//! Every error type of the library that a command may return has a `From` here, so that commands
//! use `?` and codes are assigned in one place.

use std::error::Error;
use std::io;
use std::path::Path;

use crate::content::archive::{ArchiveError, Class};
#[cfg(feature = "docker")]
use crate::content::docker::{EndpointError, EngineError};
use crate::fsutil::FileError;
use crate::generate;
use crate::image::hint::{self, Hint};
use crate::image::local::LocalError;
use crate::kit::KitError;
use crate::load::LoadError;
use crate::plugin::{InstallError, PluginError};
use crate::sign::{AttachError, SignError};
use crate::signature::envelope::EnvelopeError;
use crate::signature::envelope::SignError as EnvelopeSignError;
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

use super::Failure;
use crate::cli::context::{NoDirectory, instead};
use crate::cli::exit::Exit;
use crate::cli::nearest::nearest;
use crate::cli::output::BinaryOnTerminal;

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.get_ref().is_some_and(|inner| inner.is::<BinaryOnTerminal>()) {
            return Self::of(Exit::Usage, &error)
                .with_hint(Some("write it to a file: --output FILE".to_owned()));
        }
        let hint = (error.kind() == io::ErrorKind::StorageFull).then(|| "df -h".to_owned());
        Self::of(Exit::Internal, &error).with_hint(hint)
    }
}

impl From<KitError> for Failure {
    fn from(error: KitError) -> Self {
        let hint = error.hint();
        let failure = match error {
            KitError::File(error) => error.into(),
            KitError::Archive(error) => {
                let made = "where it was made: dockseal kit export --name NAME --output FILE.kit";
                Self::from(error).prefixed("not a kit").with_hint(Some(made))
            }
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
        let failure = Self::of(Exit::Unavailable, &error);
        failure.over_file(&error)
    }
}

impl Failure {
    /// The same failure with what helps where a file could not be read or written.
    fn over_file(self, error: &FileError) -> Self {
        let FileError::Io { action, path, source } = error else { return self };
        let directory = path.parent().filter(|it| *it != Path::new(""));
        let command = |words: &[&str], path: &Path| {
            let path = hint::path(path);
            let words: Vec<&str> = words.iter().copied().chain([path.as_str()]).collect();
            Hint::command("", &words)
        };
        match (source.kind(), directory.filter(|it| !it.exists())) {
            (io::ErrorKind::NotFound, Some(directory)) if *action == "create" => {
                self.suggesting(command(&["mkdir", "-p"], directory))
            }
            (io::ErrorKind::NotFound, _) => self.or_nearest_file(path),
            (io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded, _) => {
                let directory = directory.unwrap_or_else(|| Path::new("."));
                self.with_hint(command(&["df", "-h"], directory))
            }
            (kind, _) => {
                let failure = match kind != io::ErrorKind::IsADirectory && path.is_dir() {
                    true => self.with_detail("it is a directory"),
                    false => self,
                };
                failure.suggesting(command(&["ls", "-ld"], path))
            }
        }
    }
}

impl From<NoDirectory> for Failure {
    fn from(error: NoDirectory) -> Self {
        Self::of(Exit::Unavailable, &error).with_hint(Some("dockseal help environment".to_owned()))
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Containerd(error) => error.into(),
            StoreError::Layout(error) => error.into(),
            StoreError::File(error) => error.into(),
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
        let failure = Self::of(exit, &error).with_hint(Some("dockseal help sources".to_owned()));
        let with = |name: &str, other: &str| Hint::command("", &instead(name, other)?);
        match &error {
            LayoutError::File(error) => failure.over_file(error),
            LayoutError::NoTag { tag, known } => {
                let near = match known.as_slice() {
                    [only] => Some(only),
                    known => nearest(tag, known),
                };
                failure.suggesting(near.and_then(|near| {
                    let tagged = with(&format!(":{tag}"), &format!(":{near}"));
                    tagged.or_else(|| with(tag, near))
                }))
            }
            LayoutError::Reference { found } => match found.rsplit_once('@') {
                Some((path, tag)) if !path.is_empty() && !tag.is_empty() && !tag.contains(':') => {
                    failure.suggesting(with(found, &format!("{path}:{tag}")))
                }
                _ => failure,
            },
            LayoutError::NotALayout { path } => {
                let path = path.to_string_lossy();
                match path.strip_suffix(":sha256") {
                    Some(layout) => failure
                        .with_detail("a digest stands behind @, a tag behind a colon")
                        .suggesting(with(&format!("{path}:"), &format!("{layout}@sha256:"))),
                    None => failure,
                }
            }
            LayoutError::TwoTags { tag, first, .. } => {
                let tag = format!(":{tag}");
                failure.suggesting(with(&tag, &format!("@{first}")))
            }
            _ => failure,
        }
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
            LocalError::Contradiction { .. } => Some("to sign it all the same: --force-media-type"),
            LocalError::Json(_) => Some("if it is no manifest: --media-type TYPE"),
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
        let failure = Self::of(Exit::NotTrusted, &error);
        match &error {
            PolicyError::NoNamedStatement { name, known, .. } => failure.or_nearest(name, known),
            _ => failure,
        }
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
        match error {
            CrlFileError::File(error) => error.into(),
            error => {
                Self::of(Exit::Malformed, &error).with_hint(Some("dockseal help policy".to_owned()))
            }
        }
    }
}

impl From<ManageError> for Failure {
    fn from(error: ManageError) -> Self {
        let failure =
            Self::of(Exit::Unavailable, &error).with_hint(Some("dockseal cert list".to_owned()));
        let missing = match &error {
            ManageError::Delete { path, .. } => Some(path.as_path()),
            ManageError::File(error) if !is_missing(error) => return failure.over_file(error),
            ManageError::File(error) => Some(error.path()),
            _ => None,
        };
        match missing.map(|path| (path, path.parent())) {
            // The store is called otherwise.
            Some((_, Some(store))) if !store.exists() => failure.or_sibling(store),
            Some((file, _)) if !file.exists() => failure.or_sibling(file),
            _ => failure,
        }
    }
}

impl From<KeysError> for Failure {
    fn from(error: KeysError) -> Self {
        let failure = Self::of(Exit::Unavailable, &error).with_hint(error.hint());
        match &error {
            KeysError::NotFound { name, known } => failure.or_nearest(name, known),
            _ => failure,
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::of(Exit::Unavailable, &error).with_hint(Some("dockseal help files".to_owned()))
    }
}

impl From<PluginError> for Failure {
    fn from(error: PluginError) -> Self {
        let exit = match &error {
            PluginError::Name { .. } => Exit::Usage,
            _ => Exit::Unavailable,
        };
        let failure = Self::of(exit, &error).with_hint(error.hint());
        match &error {
            PluginError::NotFound { name, path } => {
                let directory = path.ancestors().find(|it| it.ends_with(name));
                match directory {
                    Some(directory) => failure.or_sibling(directory),
                    None => failure,
                }
            }
            _ => failure,
        }
    }
}

impl From<InstallError> for Failure {
    fn from(error: InstallError) -> Self {
        let error = match error {
            InstallError::File(error) => return error.into(),
            error => error,
        };
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
        Self::of(Exit::Unavailable, &error).with_hint(Some("dockseal key list".to_owned()))
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
        let hint = error.hint().or_else(|| anew().map(Hint::from));
        let failure = Self::of(exit, &error).with_hint(hint);
        match &error {
            E::NoSuchImage { wanted, available } => {
                let failure = match wanted.contains("sha256:") {
                    true => failure.with_detail(
                        "archives have tags and image IDs; only those of containerd stores have the \
                         digests of manifests",
                    ),
                    false => failure,
                };
                failure.or_one_of(wanted, available)
            }
            _ => failure,
        }
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
        let failure = Self::of(exit, &error).with_hint(error.hint());
        match &error {
            EngineError::NoSuchImage { name, similar } if !similar.is_empty() => {
                let names = format!("similar names: {}", similar.join(", "));
                let failure = match name.contains('@') {
                    true => failure.with_detail(
                        "an engine knows the digest of what it pulled or pushed, of nothing else",
                    ),
                    false => failure,
                };
                failure.with_detail(names).or_nearest(name, similar)
            }
            _ => failure,
        }
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
                "what ctr images import makes of it has another digest, but: \
                 dockseal load ARCHIVE --output clean.tar"
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
        let mut hint = match &error {
            SignError::Envelope(EnvelopeSignError::Signer(signer)) => signer.hint(),
            _ => None,
        }
        .map(str::to_owned);
        // What a plugin says helps with it too.
        let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
        while let Some(error) = cause {
            hint = hint.or_else(|| error.downcast_ref().and_then(PluginError::hint));
            cause = error.source();
        }
        Self::of(exit, &error).with_hint(hint)
    }
}

impl From<EnvelopeError> for Failure {
    fn from(error: EnvelopeError) -> Self {
        Self::of(Exit::Malformed, &error).with_hint(Some("dockseal help signatures".to_owned()))
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
            .with_hint(Some("dockseal timestamp request SIGNATURE --output FILE.tsq".to_owned()))
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

/// Whether a file is not there.
fn is_missing(error: &FileError) -> bool {
    matches!(error, FileError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A file that could not be written is there or not; another one beside it is of no help.
    #[test]
    fn only_what_is_not_there_has_another_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("index.json");
        std::os::unix::fs::symlink("nothing", directory.path().join("index.jso")).unwrap();
        let shown = hint::shell(&[hint::path(directory.path())]).unwrap();
        for (kind, expected) in [
            (io::ErrorKind::StorageFull, format!("df -h {shown}")),
            (io::ErrorKind::PermissionDenied, format!("ls -ld {shown}/index.json")),
            (io::ErrorKind::NotFound, format!("ls {shown}")),
        ] {
            let error = || FileError::io("write", &path, kind.into());
            for failure in [
                Failure::from(error()),
                LayoutError::File(error()).into(),
                StoreError::File(error()).into(),
            ] {
                assert_eq!(failure.hint().unwrap(), expected, "{kind}");
            }
        }
    }
}
