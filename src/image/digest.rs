//! Content digests: `algorithm:hex`, with a strict grammar and an allow-list of algorithms.
//!
//! The OCI image specification 1.1.1 ("Digests") registers sha256 and sha512; go-digest, which
//! every engine and `notation` use, knows sha384 too. Everything else is refused: an unknown
//! algorithm can't be checked, so it can't be trusted (CVE-2023-33959, CVE-2024-3727).

use std::fmt;
use std::io;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

/// A digest algorithm of the allow-list.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Algorithm {
    /// SHA-256, the default everywhere.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// The name as it stands before the colon of a digest.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// Number of hexadecimal digits of a digest.
    #[must_use]
    pub fn hex_len(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha384 => 96,
            Self::Sha512 => 128,
        }
    }

    /// A hasher for this algorithm.
    #[must_use]
    pub fn hasher(self) -> Hasher {
        match self {
            Self::Sha256 => Hasher(Inner::Sha256(Sha256::new())),
            Self::Sha384 => Hasher(Inner::Sha384(Sha384::new())),
            Self::Sha512 => Hasher(Inner::Sha512(Sha512::new())),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Algorithm {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        match text {
            "sha256" => Ok(Self::Sha256),
            "sha384" => Ok(Self::Sha384),
            "sha512" => Ok(Self::Sha512),
            _ => Err(DigestError::UnknownAlgorithm { found: text.to_owned() }),
        }
    }
}

/// A digest in its canonical form: known algorithm, lower-case hex of the exact length.
///
/// The DiffID of a layer (sha256 of its uncompressed tar) and the ID of an image (sha256 of its
/// config) are digests too.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Digest {
    algorithm: Algorithm,
    hex: Box<str>,
}

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(algorithm: Algorithm, bytes: &[u8]) -> Self {
        let mut hasher = algorithm.hasher();
        hasher.update(bytes);
        hasher.finish()
    }

    /// The sha256 digest of `bytes`.
    #[must_use]
    pub fn sha256(bytes: &[u8]) -> Self {
        Self::of(Algorithm::Sha256, bytes)
    }

    /// The algorithm.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The hexadecimal part, lower case.
    #[must_use]
    pub fn hex(&self) -> &str {
        &self.hex
    }

    /// Builds a digest from an algorithm and its hexadecimal part.
    ///
    /// # Errors
    /// When `hex` has another length than the algorithm's or holds anything but `0-9a-f`.
    pub fn from_hex(algorithm: Algorithm, hex: &str) -> Result<Self, DigestError> {
        if hex.len() != algorithm.hex_len() {
            return Err(DigestError::Length {
                algorithm,
                expected: algorithm.hex_len(),
                found: hex.len(),
            });
        }
        if !hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(DigestError::NotLowerHex { found: hex.to_owned() });
        }
        Ok(Self { algorithm, hex: hex.into() })
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm, self.hex)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let (algorithm, hex) = text
            .split_once(':')
            .ok_or_else(|| DigestError::NoAlgorithm { found: text.chars().take(80).collect() })?;
        Self::from_hex(algorithm.parse()?, hex)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Why a text is not a digest.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DigestError {
    /// The hexadecimal part has the wrong length.
    #[error("a {algorithm} digest has {expected} hexadecimal digits, found {found}")]
    Length {
        /// The algorithm named before the colon.
        algorithm: Algorithm,
        /// Digits it needs.
        expected: usize,
        /// Digits there are.
        found: usize,
    },
    /// There is no colon.
    #[error("expected a digest such as sha256:<64 hex digits>, found {found:?}")]
    NoAlgorithm {
        /// The text (its beginning).
        found: String,
    },
    /// Something else than `0-9a-f` after the colon.
    #[error("a digest is written in lower-case hexadecimal, found {found:?}")]
    NotLowerHex {
        /// The part after the colon.
        found: String,
    },
    /// The algorithm is not in the allow-list.
    #[error("unknown digest algorithm {found:?}, expected sha256, sha384 or sha512")]
    UnknownAlgorithm {
        /// The part before the colon.
        found: String,
    },
}

/// Computes a digest piece by piece. It is a [`io::Write`] that never fails.
#[derive(Clone, Debug)]
pub struct Hasher(Inner);

#[derive(Clone, Debug)]
enum Inner {
    Sha256(Sha256),
    Sha384(Sha384),
    Sha512(Sha512),
}

impl Hasher {
    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Inner::Sha256(h) => h.update(bytes),
            Inner::Sha384(h) => h.update(bytes),
            Inner::Sha512(h) => h.update(bytes),
        }
    }

    /// The digest of everything that was added.
    #[must_use]
    pub fn finish(self) -> Digest {
        let (algorithm, hex) = match self.0 {
            Inner::Sha256(h) => (Algorithm::Sha256, hex(&h.finalize())),
            Inner::Sha384(h) => (Algorithm::Sha384, hex(&h.finalize())),
            Inner::Sha512(h) => (Algorithm::Sha512, hex(&h.finalize())),
        };
        Digest { algorithm, hex: hex.into() }
    }
}

impl io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers() {
        // FIPS 180-4 examples: the empty string.
        assert_eq!(
            Digest::sha256(b"").to_string(),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(Digest::of(Algorithm::Sha384, b"abc").hex()[..16], *"cb00753f45a35e8b");
        assert_eq!(Digest::of(Algorithm::Sha512, b"abc").hex()[..16], *"ddaf35a193617aba");
    }

    #[test]
    fn s12_strict_grammar() {
        let hex64 = "a".repeat(64);
        assert!(format!("sha256:{hex64}").parse::<Digest>().is_ok());
        for bad in [
            String::new(),
            hex64.clone(),
            format!("sha256:{}", "a".repeat(63)),
            format!("sha256:{}", "a".repeat(65)),
            format!("sha256:{}", "A".repeat(64)),
            format!("SHA256:{hex64}"),
            format!("sha1:{}", "a".repeat(40)),
            format!("md5:{}", "a".repeat(32)),
            format!("sha512:{hex64}"),
            format!("sha256:{}g", "a".repeat(63)),
            format!("sha256:../../{}", "a".repeat(58)),
            format!(" sha256:{hex64}"),
            format!("sha256:{hex64}\n"),
        ] {
            assert!(bad.parse::<Digest>().is_err(), "{bad:?} must be refused");
        }
    }
}
