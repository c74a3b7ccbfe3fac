//! Names of keys on tokens: RFC 7512, as far as it names one private key.
//!
//! ```text
//! pkcs11:token=LABEL;object=LABEL;id=%01;type=private?module-path=/usr/lib/MODULE.so&pin-source=file:/FILE
//! ```
//!
//! Strict: an attribute that is not known, or stands there twice, is an error, since leaving it out
//! could select another key. No error repeats a value, which may be a secret.

use std::path::{Path, PathBuf};

/// Longest URI.
const MAX_BYTES: usize = 4096;

/// Why a URI names no key.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum UriError {
    /// It has another scheme.
    #[error("a key URI starts with pkcs11:")]
    Scheme,
    /// It is longer than any that means something.
    #[error("key URI is longer than {MAX_BYTES} bytes")]
    TooLong,
    /// A part is not `name=value`.
    #[error("part {position} of the key URI is not NAME=VALUE")]
    Part {
        /// Its position, from 1.
        position: usize,
    },
    /// A name is not one of an attribute that is supported.
    #[error("attribute {name:?} of the key URI is not supported")]
    Unknown {
        /// The name.
        name: String,
    },
    /// An attribute stands there twice.
    #[error("attribute {name:?} stands twice in the key URI")]
    Twice {
        /// The name.
        name: &'static str,
    },
    /// A value can't be read.
    #[error("attribute {name:?} of the key URI: {problem}")]
    Value {
        /// The name.
        name: &'static str,
        /// What is wrong with the value.
        problem: &'static str,
    },
    /// The PIN is in the URI, and with it in the list of processes.
    #[error("a PIN is no part of the key URI: every user of this host can see it")]
    PinValue,
    /// The library of the token is not named.
    #[error("key URI does not say which library speaks to the token")]
    NoModule,
}

impl UriError {
    /// What helps, if there is something.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::PinValue => Some("the first line of a file is the PIN: --passphrase-file FILE"),
            Self::NoModule => Some("?module-path=/usr/lib/softhsm/libsofthsm2.so"),
            Self::Scheme => {
                Some("'pkcs11:token=LABEL;object=LABEL?module-path=/usr/lib/MODULE.so'")
            }
            _ => None,
        }
    }
}

/// The attributes that are supported, path attributes first.
const ATTRIBUTES: [&str; 10] = [
    "token",
    "manufacturer",
    "serial",
    "model",
    "slot-id",
    "object",
    "id",
    "type",
    "module-path",
    "pin-source",
];

/// How many of [`ATTRIBUTES`] stand before the `?`.
const PATH_ATTRIBUTES: usize = 8;

/// Which private key on which token, and the library that speaks to it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct KeyUri {
    pub(super) module_path: PathBuf,
    pub(super) token: Option<String>,
    pub(super) manufacturer: Option<String>,
    pub(super) serial: Option<String>,
    pub(super) model: Option<String>,
    pub(super) slot_id: Option<u64>,
    pub(super) object: Option<String>,
    pub(super) id: Option<Vec<u8>>,
    pin_source: Option<PathBuf>,
}

impl KeyUri {
    /// Reads a URI.
    ///
    /// # Errors
    /// [`UriError`].
    pub fn parse(text: &str) -> Result<Self, UriError> {
        let rest = text.strip_prefix("pkcs11:").ok_or(UriError::Scheme)?;
        if text.len() > MAX_BYTES {
            return Err(UriError::TooLong);
        }
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut values: [Option<Vec<u8>>; ATTRIBUTES.len()] = Default::default();
        let parts = path
            .split(';')
            .filter(|_| !path.is_empty())
            .map(|part| (part, 0..PATH_ATTRIBUTES))
            .chain(
                query
                    .split('&')
                    .filter(|_| !query.is_empty())
                    .map(|part| (part, PATH_ATTRIBUTES..ATTRIBUTES.len())),
            );
        for (index, (part, known)) in parts.enumerate() {
            let (name, value) =
                part.split_once('=').ok_or(UriError::Part { position: index + 1 })?;
            if name == "pin-value" {
                return Err(UriError::PinValue);
            }
            let (name, slot) = ATTRIBUTES
                .iter()
                .zip(&mut values)
                .enumerate()
                .find(|(place, (attribute, _))| **attribute == name && known.contains(place))
                .map(|(_, found)| found)
                .ok_or_else(|| UriError::Unknown { name: name.to_owned() })?;
            if slot.replace(decode(name, value)?).is_some() {
                return Err(UriError::Twice { name });
            }
        }
        Self::from_values(values)
    }

    fn from_values(values: [Option<Vec<u8>>; ATTRIBUTES.len()]) -> Result<Self, UriError> {
        let [token, manufacturer, serial, model, slot, object, id, kind, module, pin] = values;
        let slot_id = text("slot-id", slot)?
            .map(|number| number.parse())
            .transpose()
            .map_err(|_| UriError::Value { name: "slot-id", problem: "not a number" })?;
        if text("type", kind)?.is_some_and(|kind| kind != "private") {
            return Err(UriError::Value { name: "type", problem: "only private keys sign" });
        }
        Ok(Self {
            module_path: absolute(
                "module-path",
                &text("module-path", module)?.ok_or(UriError::NoModule)?,
            )?,
            token: text("token", token)?,
            manufacturer: text("manufacturer", manufacturer)?,
            serial: text("serial", serial)?,
            model: text("model", model)?,
            slot_id,
            object: text("object", object)?,
            id,
            pin_source: text("pin-source", pin)?
                .map(|source| {
                    // RFC 7512 §2.4: a file's path or file: URI. Commands (`|...`) are not run.
                    let path = source.strip_prefix("file:").unwrap_or(&source);
                    absolute("pin-source", path.strip_prefix("//").unwrap_or(path))
                })
                .transpose()?,
        })
    }

    /// The file whose first line is the PIN.
    #[must_use]
    pub fn pin_source(&self) -> Option<&Path> {
        self.pin_source.as_deref()
    }
}

/// Undoes the percent-encoding.
fn decode(name: &'static str, value: &str) -> Result<Vec<u8>, UriError> {
    const PROBLEM: &str = "% is not followed by two hexadecimal digits";
    let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
    let mut bytes = value.bytes();
    let mut out = Vec::with_capacity(value.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let (Some(high), Some(low)) = (digit(bytes.next()), digit(bytes.next())) else {
            return Err(UriError::Value { name, problem: PROBLEM });
        };
        out.extend(u8::try_from(high << 4 | low));
    }
    match out.is_empty() {
        true => Err(UriError::Value { name, problem: "empty" }),
        false => Ok(out),
    }
}

fn text(name: &'static str, value: Option<Vec<u8>>) -> Result<Option<String>, UriError> {
    value
        .map(String::from_utf8)
        .transpose()
        .map_err(|_| UriError::Value { name, problem: "not UTF-8" })
}

/// Relative paths would be searched for, in places that the environment names.
fn absolute(name: &'static str, path: &str) -> Result<PathBuf, UriError> {
    match Path::new(path) {
        path if path.is_absolute() => Ok(path.to_owned()),
        _ => Err(UriError::Value { name, problem: "not an absolute path" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_names_key_token_and_module() {
        let uri = KeyUri::parse(
            "pkcs11:token=my%20token;id=%01%fF;object=a%3bb;type=private;slot-id=7?module-path=/m.so&pin-source=file:///pin",
        )
        .unwrap();
        let expected = KeyUri {
            module_path: "/m.so".into(),
            token: Some("my token".to_owned()),
            id: Some(vec![1, 255]),
            object: Some("a;b".to_owned()),
            slot_id: Some(7),
            pin_source: Some("/pin".into()),
            ..KeyUri::default()
        };
        assert_eq!(uri, expected);
        let uri = KeyUri::parse("pkcs11:?module-path=/m.so&pin-source=/pin").unwrap();
        assert_eq!(uri.pin_source(), Some(Path::new("/pin")));
    }

    #[test]
    fn whatever_could_mean_another_key_is_refused_without_repeating_values() {
        for (uri, reason) in [
            ("pkcs11x:token=SECRET", "starts with pkcs11:"),
            ("PKCS11:token=SECRET", "starts with pkcs11:"),
            ("pkcs11:token=a?module-path=/m&pin-value=SECRET", "a PIN is no part"),
            ("pkcs11:pin-value=SECRET", "a PIN is no part"),
            ("pkcs11:token=a", "which library"),
            (
                "pkcs11:token=a?module-name=SECRET",
                "\"module-name\" of the key URI is not supported",
            ),
            ("pkcs11:module-path=/SECRET", "\"module-path\" of the key URI is not supported"),
            ("pkcs11:?token=SECRET", "\"token\" of the key URI is not supported"),
            ("pkcs11:token=a;;object=SECRET", "part 2 of the key URI"),
            ("pkcs11:SECRET", "part 1 of the key URI"),
            ("pkcs11:token=a;token=SECRET", "\"token\" stands twice"),
            ("pkcs11:token=SECRET%0", "two hexadecimal digits"),
            ("pkcs11:token=SECRET%+1", "two hexadecimal digits"),
            ("pkcs11:token=SECRET%ff?module-path=/m", "not UTF-8"),
            ("pkcs11:token=?module-path=/m", "\"token\" of the key URI: empty"),
            ("pkcs11:type=cert?module-path=/m", "only private keys sign"),
            ("pkcs11:slot-id=SECRET?module-path=/m", "not a number"),
            ("pkcs11:?module-path=SECRET.so", "not an absolute path"),
            ("pkcs11:?module-path=/m&pin-source=|SECRET", "not an absolute path"),
        ] {
            let error = KeyUri::parse(uri).unwrap_err().to_string();
            assert!(error.contains(reason) && !error.contains("SECRET"), "{uri}: {error}");
        }
        let long = format!("pkcs11:token={}?module-path=/m", "a".repeat(MAX_BYTES));
        assert_eq!(KeyUri::parse(&long), Err(UriError::TooLong));
    }
}
