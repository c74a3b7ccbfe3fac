//! What can go wrong with a plugin: it is not what may be run, it doesn't answer, or it says no.

use std::path::PathBuf;

use serde::Deserialize;

use super::process::{Output, ProcessError};
use super::protocol;
use crate::image::hint;
use crate::image::json::{self, ReadError};

/// How much of what a plugin says on stderr is shown.
const MAX_SHOWN_BYTES: usize = 2048;

/// Why a plugin can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PluginError {
    /// Its name could be a path, or an option (rule N-02).
    #[error("{name:?} is no name of a plugin: letters, digits, '_', '.' and '-', no \"..\"")]
    Name {
        /// The name.
        name: String,
    },
    /// There is no such plugin.
    #[error("plugin executable file {} not found", path.display())]
    NotFound {
        /// The name.
        name: String,
        /// Where it would be.
        path: PathBuf,
    },
    /// A link, a directory, a device (rule N-02: links are not followed).
    #[error("{} is not {expected}; links are not followed", path.display())]
    NotRegular {
        /// The path.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
    },
    /// The file can't be executed.
    #[error("plugin file {} is not executable", path.display())]
    NotExecutable {
        /// The path.
        path: PathBuf,
    },
    /// Somebody else could change what is run (rule N-02).
    #[error("{} {problem}, so it is not run", path.display())]
    Unsafe {
        /// The path.
        path: PathBuf,
        /// Who could.
        problem: &'static str,
    },
    /// The operating system refuses.
    #[error(transparent)]
    File(#[from] crate::fsutil::FileError),
    /// It doesn't run, or not to its end.
    #[error("plugin {plugin:?} ({command}) {cause}")]
    Run {
        /// The plugin.
        plugin: String,
        /// What it was to do.
        command: &'static str,
        /// What happened.
        cause: ProcessError,
    },
    /// It failed and said why, as the contract wants it.
    #[error("plugin {plugin:?} ({command}) failed: {code}: {message}{}", details(metadata))]
    Refused {
        /// The plugin.
        plugin: String,
        /// What it was to do.
        command: &'static str,
        /// The kind of failure, such as `ACCESS_DENIED`.
        code: String,
        /// The plugin's words.
        message: String,
        /// The plugin's further words.
        metadata: Vec<(String, String)>,
    },
    /// It failed without an error document.
    #[error("plugin {plugin:?} ({command}) ended with {status}{}", said(stderr))]
    Failed {
        /// The plugin.
        plugin: String,
        /// What it was to do.
        command: &'static str,
        /// How it ended.
        status: std::process::ExitStatus,
        /// What it said on stderr.
        stderr: String,
    },
    /// It ended well, but its answer is not a strict JSON document of the command.
    #[error("response of plugin {plugin:?} ({command}): {cause}{}", said(stderr))]
    Response {
        /// The plugin.
        plugin: String,
        /// What it was to do.
        command: &'static str,
        /// What is wrong with it.
        cause: ReadError,
        /// What it said on stderr.
        stderr: String,
    },
    /// It says about itself what can't be.
    #[error("metadata of plugin {plugin:?}: {problem}")]
    Metadata {
        /// The plugin.
        plugin: String,
        /// What is wrong.
        problem: MetadataProblem,
    },
    /// Its answer is about something else than the question.
    #[error("plugin {plugin:?} ({command}) answers with {member} {found:?}, expected {expected:?}")]
    Mismatch {
        /// The plugin.
        plugin: String,
        /// What it was to do.
        command: &'static str,
        /// Where the answer differs.
        member: &'static str,
        /// What it should say.
        expected: String,
        /// What it says.
        found: String,
    },
    /// A value in its answer can't be read.
    #[error("plugin {plugin:?} ({command}): {member} {problem}")]
    Value {
        /// The plugin.
        plugin: String,
        /// What it was to do.
        command: &'static str,
        /// Where.
        member: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// It can't sign at all.
    #[error("plugin {plugin:?} does not have signing capabilities, it has {found}")]
    CannotSign {
        /// The plugin.
        plugin: String,
        /// What it can do.
        found: String,
    },
    /// It makes envelopes, but files are signed with bare signatures only.
    #[error(
        "the plugin {plugin:?} lacks the signature generator capability required for blob signing"
    )]
    CannotSignBlobs {
        /// The plugin.
        plugin: String,
    },
}

/// What is wrong with what a plugin says about itself.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataProblem {
    /// A member that has to have content.
    #[error("empty {member}")]
    Empty {
        /// The member.
        member: &'static str,
    },
    /// It is another plugin than its directory says.
    #[error("plugin executable file name must be {:?} instead of {:?}",
        format!("notation-{found}"), format!("notation-{expected}"))]
    Name {
        /// The name of the directory.
        expected: String,
        /// The name it gives itself.
        found: String,
    },
    /// It speaks other versions of the contract only.
    #[error(
        "contract version {:?} is not in the list of the plugin supported versions {found:?}",
        protocol::CONTRACT_VERSION
    )]
    Contract {
        /// The versions it speaks.
        found: Vec<String>,
    },
}

impl PluginError {
    /// What a plugin that failed has to say: the error document, or else any words.
    pub(super) fn from_stderr(plugin: String, command: &'static str, output: &Output) -> Self {
        match json::read::<ErrorDocument>(&output.stderr, &protocol::RESPONSE) {
            Ok(document) => Self::Refused {
                plugin,
                command,
                code: printable(document.code.as_bytes()),
                message: printable(document.message.as_bytes()),
                metadata: document
                    .metadata
                    .unwrap_or_default()
                    .into_iter()
                    .map(|(key, value)| (printable(key.as_bytes()), printable(value.as_bytes())))
                    .collect(),
            },
            // Whatever it is, it is no document; the words may help.
            Err(_) => {
                let stderr = printable(&output.stderr);
                Self::Failed { plugin, command, status: output.status, stderr }
            }
        }
    }

    /// A command that helps, if there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound { .. } | Self::Name { .. } => Some("dockseal plugin list".to_owned()),
            Self::NotExecutable { .. } => Some("dockseal plugin install --file FILE".to_owned()),
            Self::Unsafe { path, .. } => hint::shell(&["chmod", "go-w", &hint::path(path)]),
            Self::Run { cause: ProcessError::Timeout { .. }, .. } => {
                Some("--plugin-timeout DURATION".to_owned())
            }
            _ => None,
        }
    }
}

/// `{"errorCode","errorMessage","errorMetadata":{}}`
#[derive(Deserialize)]
struct ErrorDocument {
    #[serde(rename = "errorCode")]
    code: String,
    #[serde(rename = "errorMessage", default)]
    message: String,
    #[serde(rename = "errorMetadata")]
    metadata: Option<std::collections::BTreeMap<String, String>>,
}

/// What a program wrote, as it may be shown on a terminal: bounded, without control characters.
pub(super) fn printable(bytes: &[u8]) -> String {
    let (shown, more) = match bytes.get(..MAX_SHOWN_BYTES) {
        Some(start) if bytes.len() > MAX_SHOWN_BYTES => (start, "..."),
        _ => (bytes, ""),
    };
    let text = String::from_utf8_lossy(shown);
    let safe = text.trim().chars().map(|it| if it.is_control() { ' ' } else { it });
    safe.chain(more.chars()).collect()
}

fn said(stderr: &str) -> String {
    match stderr {
        "" => ", and says nothing on stderr".to_owned(),
        text => format!(", and says on stderr: {text}"),
    }
}

fn details(metadata: &[(String, String)]) -> String {
    match metadata {
        [] => String::new(),
        pairs => {
            let pairs: Vec<_> = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
            format!(" ({})", pairs.join(", "))
        }
    }
}
