//! Which Go writes: the two output generations, and how a Go version names one.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

/// The output generation of Go's gzip writer.
///
/// No input is known that both generations compress to the same bytes.
///
/// ```
/// use dockseal::gogzip::Generation;
///
/// assert_eq!("go1.27".parse(), Ok(Generation::Go1_27));
/// assert_eq!(Generation::from_go_version("go1.24.4"), Ok(Generation::Go1_8));
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Generation {
    /// Go 1.8 to 1.26: every upstream Docker engine from 17.06 to 29.7.
    #[default]
    Go1_8,
    /// Go 1.27 on amd64. Builds for other architectures, and for `GOAMD64=v3`, estimate one size
    /// with fused operations and may differ on very rare inputs (golang/go#81589).
    Go1_27,
}

impl Generation {
    /// The generation that a Go release writes, from a text such as `go1.24.4`,
    /// `go1.26.5-X:nodwarf5` or `go1.22.2 X:boringcrypto`.
    ///
    /// # Errors
    /// Releases before 1.8 wrote something else that is not reproduced; releases from 1.28 on, and
    /// development versions, are not known. Neither may be guessed.
    pub fn from_go_version(version: &str) -> Result<Self, UnknownGoVersion> {
        let unknown = |reason| UnknownGoVersion { version: version.to_owned(), reason };
        let (major, minor) =
            release(version).ok_or_else(|| unknown(UnknownGoVersionReason::NotARelease))?;
        match (major, minor) {
            (1, 8..=26) => Ok(Self::Go1_8),
            (1, 27) => Ok(Self::Go1_27),
            (0, _) | (1, 0..=7) => Err(unknown(UnknownGoVersionReason::TooOld)),
            _ => Err(unknown(UnknownGoVersionReason::TooNew)),
        }
    }
}

impl Generation {
    /// Its name, as options take it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Go1_8 => "go1.8",
            Self::Go1_27 => "go1.27",
        }
    }

    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Go1_8 => Self::Go1_27,
            Self::Go1_27 => Self::Go1_8,
        }
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Generation {
    type Err = UnknownGeneration;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "go1.8" => Ok(Self::Go1_8),
            "go1.27" => Ok(Self::Go1_27),
            _ => Err(UnknownGeneration { found: text.to_owned() }),
        }
    }
}

/// A text that names no [`Generation`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UnknownGeneration {
    /// The text.
    pub found: String,
}

impl fmt::Display for UnknownGeneration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown gzip generation {:?}: expected go1.8 or go1.27", self.found)
    }
}

impl Error for UnknownGeneration {}

/// A Go version whose gzip output is not known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UnknownGoVersion {
    /// The version as it was given.
    pub version: String,
    /// What is wrong with it.
    pub reason: UnknownGoVersionReason,
}

/// Why a Go version has no [`Generation`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum UnknownGoVersionReason {
    /// Not of the form `go1.N`, for example a development version.
    NotARelease,
    /// Newer than the newest release that was studied, 1.27.
    TooNew,
    /// Go 1.7 or older (Docker 17.05 and older), whose output is not reproduced.
    TooOld,
}

impl fmt::Display for UnknownGoVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.reason {
            UnknownGoVersionReason::NotARelease => "not a released Go version",
            UnknownGoVersionReason::TooNew => "the gzip output of Go after 1.27 is not known",
            UnknownGoVersionReason::TooOld => "the gzip output of Go before 1.8 is not reproduced",
        };
        write!(f, "{:?}: {why}", self.version)
    }
}

impl Error for UnknownGoVersion {}

/// The two numbers of `goMAJOR.MINOR`, whatever follows them.
fn release(version: &str) -> Option<(u32, u32)> {
    let (major, rest) = number(version.strip_prefix("go")?)?;
    let (minor, _) = number(rest.strip_prefix('.')?)?;
    Some((major, minor))
}

fn number(text: &str) -> Option<(u32, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Some((digits.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_version_selects_the_generation() {
        use Generation::{Go1_8, Go1_27};
        use UnknownGoVersionReason::{NotARelease, TooNew, TooOld};

        for (version, expected) in [
            ("go1.8", Ok(Go1_8)),
            ("go1.8.3", Ok(Go1_8)),
            ("go1.19.8", Ok(Go1_8)),
            ("go1.24.4", Ok(Go1_8)),
            ("go1.26.10", Ok(Go1_8)),
            ("go1.26.5-X:nodwarf5", Ok(Go1_8)),
            ("go1.22.2 X:boringcrypto", Ok(Go1_8)),
            ("go1.27", Ok(Go1_27)),
            ("go1.27rc2", Ok(Go1_27)),
            ("go1.27.3", Ok(Go1_27)),
            ("go1.7.5", Err(TooOld)),
            ("go1.5", Err(TooOld)),
            ("go0.9", Err(TooOld)),
            ("go1.28", Err(TooNew)),
            ("go1.270", Err(TooNew)),
            ("go2.0", Err(TooNew)),
            ("devel go1.28-abcdef", Err(NotARelease)),
            ("go", Err(NotARelease)),
            ("go1", Err(NotARelease)),
            ("go1.", Err(NotARelease)),
            ("go1.99999999999999", Err(NotARelease)),
            ("1.24.4", Err(NotARelease)),
            ("", Err(NotARelease)),
        ] {
            let found = Generation::from_go_version(version).map_err(|error| error.reason);
            assert_eq!(found, expected, "{version:?}");
        }
    }

    #[test]
    fn names_round_trip_and_nothing_else_parses() {
        for generation in [Generation::Go1_8, Generation::Go1_27] {
            assert_eq!(generation.to_string().parse(), Ok(generation));
        }
        for text in ["", "go1.9", "1.8", "go1.8 ", "Go1.27", "go1.27.1"] {
            assert!(text.parse::<Generation>().is_err(), "{text:?}");
        }
    }
}
