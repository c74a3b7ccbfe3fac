//! Keys on PKCS#11 tokens: `--key-uri`.

use std::path::Path;

use zeroize::Zeroizing;

use crate::signature::signer::Signer;

use super::failure::Failure;

/// Opens the key of a URI. `pin` is that of the option, if it was given.
#[cfg(feature = "pkcs11")]
pub(super) fn signer(
    uri: &str,
    pin: Option<Zeroizing<String>>,
    certificates: Option<&Path>,
) -> Result<Box<dyn Signer>, Failure> {
    use super::exit::Exit;
    use super::read_input;
    use super::sign::{MAX_KEY_BYTES, first_line};
    use crate::signature::signer::pkcs11::{KeyUri, Pkcs11Signer};

    // The URI is not repeated: who mistypes may have written the PIN into it.
    let uri = KeyUri::parse(uri).map_err(|error| {
        Failure::of(Exit::Usage, &error).with_hint(error.hint().map(str::to_owned))
    })?;
    let pin = match (pin, uri.pin_source()) {
        (Some(_), Some(_)) => {
            return Err(Failure::usage(
                "--passphrase-file and pin-source of the key URI exclude each other",
            ));
        }
        (None, Some(file)) => Some(first_line(file)?),
        (pin, None) => pin,
    };
    let certificates = certificates.map(|path| read_input(path, MAX_KEY_BYTES)).transpose()?;
    let signer =
        Pkcs11Signer::open(&uri, pin.as_ref().map(|pin| pin.as_str()), certificates.as_deref())
            .map_err(|error| {
                let mut failure = Failure::of(Exit::Unavailable, &error);
                failure.details.extend_from_slice(error.seen());
                failure.with_hint(error.hint().map(str::to_owned))
            })?;
    Ok(Box::new(signer))
}

/// This build has no such keys.
#[cfg(not(feature = "pkcs11"))]
pub(super) fn signer(
    _: &str,
    _: Option<Zeroizing<String>>,
    _: Option<&Path>,
) -> Result<Box<dyn Signer>, Failure> {
    Err(Failure::usage("this build has no PKCS#11 support")
        .with_hint(Some("cargo build --features pkcs11".to_owned())))
}
