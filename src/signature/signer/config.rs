//! notation's `config.json`: of its members only `signatureFormat` matters where there is no
//! registry (spec/notation.md §7).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::fsutil;
use crate::image::json::{self, ReadError, Rules};
use crate::signature::envelope::EnvelopeFormat;

/// The configuration file.
const CONFIG_FILE: &str = "config.json";

/// Largest configuration file; notation has no limit.
const MAX_CONFIG_BYTES: usize = 1 << 20;

const RULES: Rules = Rules {
    max_bytes: MAX_CONFIG_BYTES,
    max_depth: 32,
    known: &["signatureFormat"],
    free_maps: &["credHelpers"],
};

/// What `config.json` says. Without a file it says nothing.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct NotationConfig {
    signature_format: Option<EnvelopeFormat>,
}

#[derive(Deserialize)]
struct Wire {
    #[serde(rename = "signatureFormat")]
    signature_format: Option<String>,
}

impl NotationConfig {
    /// Reads the file of a configuration directory.
    ///
    /// # Errors
    /// [`ConfigError`] when it is there and malformed.
    pub fn load(config: &Path) -> Result<Self, ConfigError> {
        let path = config.join(CONFIG_FILE);
        match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            _ => Self::parse(&fsutil::read_bounded(&path, MAX_CONFIG_BYTES as u64)?)
                .map_err(|problem| ConfigError::Malformed { path, problem }),
        }
    }

    fn parse(bytes: &[u8]) -> Result<Self, ConfigProblem> {
        let wire: Wire = json::read(bytes, &RULES)?;
        let signature_format = match wire.signature_format.as_deref() {
            None | Some("") => None,
            Some(name) => Some(
                [EnvelopeFormat::Jws, EnvelopeFormat::Cose]
                    .into_iter()
                    .find(|format| format.name().eq_ignore_ascii_case(name))
                    .ok_or_else(|| ConfigProblem::Format { found: name.to_owned() })?,
            ),
        };
        Ok(Self { signature_format })
    }

    /// The format in which signatures are made, if the file says one.
    pub fn signature_format(&self) -> Option<EnvelopeFormat> {
        self.signature_format
    }
}

/// Why `config.json` can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Reading failed.
    #[error(transparent)]
    File(#[from] fsutil::FileError),
    /// The file is malformed.
    #[error("malformed {}: {problem}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: ConfigProblem,
    },
}

/// What is wrong with `config.json`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigProblem {
    /// `signatureFormat` is neither `jws` nor `cose`.
    #[error("signatureFormat is {found:?}, expected \"jws\" or \"cose\"")]
    Format {
        /// The value found.
        found: String,
    },
    /// Not JSON, or JSON that parsers read differently.
    #[error(transparent)]
    Json(#[from] ReadError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_signature_format_is_read() {
        for (text, expected) in [
            ("{}", None),
            (r#"{"signatureFormat":""}"#, None),
            (r#"{"signatureFormat":"cose"}"#, Some(EnvelopeFormat::Cose)),
            (r#"{"signatureFormat":"JWS","insecureRegistries":["a"]}"#, Some(EnvelopeFormat::Jws)),
        ] {
            let config = NotationConfig::parse(text.as_bytes()).unwrap();
            assert_eq!(config.signature_format(), expected, "{text}");
        }
        for text in [r#"{"signatureFormat":"pgp"}"#, r#"{"signatureformat":"jws"}"#, "[]", ""] {
            assert!(NotationConfig::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
