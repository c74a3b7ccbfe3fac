//! Keys that never leave a PKCS#11 token: smart cards, HSMs, SoftHSM. Feature `pkcs11`.
//!
//! The key is named by a [`KeyUri`] (RFC 7512). The hash is made here and the token signs it, with
//! `CKM_RSA_PKCS_PSS` (salt of the hash's length) or `CKM_ECDSA` (which answers r || s). A key that
//! wants the PIN for every signature (`CKA_ALWAYS_AUTHENTICATE`, as slot 9c of PIV cards) hashes by
//! itself: between the beginning of a signature and its end there is room for another login. Exactly
//! one token and one private key must fit the URI; errors list those that are there.

mod error;
mod uri;

use std::fmt;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsPssParams};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{
    Attribute, AttributeType, CertificateType, KeyType, ObjectClass, ObjectHandle,
};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki::types::AuthPin;

pub use self::error::Pkcs11Error;
pub use self::uri::{KeyUri, UriError};
use super::{RawSignature, Signer, SignerError, chain_from};
use crate::image::digest::Algorithm as HashAlgorithm;
use crate::signature::algorithm::KeySpec;
use crate::signature::crypto;
use crate::signature::x509::{Certificate, certificates_from_pem, der_write};

/// Most objects of a kind that are looked at.
const MAX_OBJECTS: usize = 1024;

/// A private key on a token, with its chain.
pub struct Pkcs11Signer {
    // Closed before the library is finalized: fields are dropped in this order.
    session: Session,
    key: ObjectHandle,
    spec: KeySpec,
    /// Where the key wants to be unlocked for every signature: how.
    unlocking: Option<Unlocking>,
    certificate_chain: Vec<Certificate>,
    module: Module,
}

/// How a key is unlocked: with a PIN, or, where there is none, on the reader's keypad.
struct Unlocking(Option<AuthPin>);

impl fmt::Debug for Pkcs11Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pkcs11Signer").field("spec", &self.spec).finish_non_exhaustive()
    }
}

impl Pkcs11Signer {
    /// Finds a key. Without `certificates` (PEM, leaf first) they are read from the token: the one
    /// with the key's `CKA_ID`, and its issuers as far as they are there.
    ///
    /// # Errors
    /// When no token or key fits the URI, or several do; when the PIN is refused; when the first
    /// certificate has another public key than the token.
    pub fn open(
        uri: &KeyUri,
        pin: Option<&str>,
        certificates: Option<&[u8]>,
    ) -> Result<Self, Pkcs11Error> {
        let module = Module::load(uri)?;
        let (slot, token) = find_token(&module.context, uri)?;
        let session = module.context.open_ro_session(slot)?;
        unlock(&module.context, &session, &token, pin)?;
        let key = TokenKey::find(&session, uri)?;
        let certificate_chain = match certificates {
            Some(pem) => certificates_from_pem(pem)?,
            None => key.certificates(&session)?,
        };
        let leaf = certificate_chain.first().ok_or(Pkcs11Error::NoCertificate)?;
        let spec = leaf.key_spec().ok_or(Pkcs11Error::CertificateKey)?;
        // A token may keep public keys to itself; then the signature, which is always verified
        // before it is used, tells whether they fit.
        let fits = key.kind == key_type(spec)
            && key
                .public_keys
                .as_ref()
                .is_none_or(|keys| keys.iter().any(|key| is_key_of(key, leaf)));
        if !fits {
            return Err(Pkcs11Error::KeyMismatch { subject: leaf.subject().to_string() });
        }
        let unlocking = key.always_authenticate.then(|| Unlocking(pin.map(AuthPin::from)));
        Ok(Self { session, key: key.handle, spec, unlocking, certificate_chain, module })
    }
}

impl Signer for Pkcs11Signer {
    fn key_spec(&self) -> KeySpec {
        self.spec
    }

    fn sign(&self, to_be_signed: &[u8]) -> Result<RawSignature, SignerError> {
        let signature = match &self.unlocking {
            None => self.sign_hash(to_be_signed),
            Some(unlocking) => self.sign_unlocked(to_be_signed, unlocking),
        };
        let signature = signature.map_err(|error| SignerError::External(Box::new(error)))?;
        Ok(RawSignature { signature, certificate_chain: self.certificate_chain.clone() })
    }
}

impl Pkcs11Signer {
    fn sign_hash(&self, content: &[u8]) -> Result<Vec<u8>, Pkcs11Error> {
        let digest = crypto::hash(self.spec.signature_algorithm().hash(), content);
        Ok(self.session.sign(&mechanism(self.spec), self.key, &digest)?)
    }

    /// Signs with a login of its own (PKCS#11 v2.40 base specification, section 5.6, `C_Login`).
    fn sign_unlocked(
        &self,
        content: &[u8],
        Unlocking(pin): &Unlocking,
    ) -> Result<Vec<u8>, Pkcs11Error> {
        match self.session.sign_init(&hashing_mechanism(self.spec), self.key) {
            Err(Error::Pkcs11(RvError::MechanismInvalid, _)) => {
                return Err(Pkcs11Error::AlwaysAuthenticate { spec: self.spec });
            }
            begun => begun?,
        }
        log_in(&self.module.context, &self.session, UserType::ContextSpecific, pin.as_ref())?;
        self.session.sign_update(content)?;
        Ok(self.session.sign_final()?)
    }
}

/// A loaded and initialized library.
struct Module {
    context: Pkcs11,
    is_ours: bool,
}

impl Module {
    fn load(uri: &KeyUri) -> Result<Self, Pkcs11Error> {
        let context = Pkcs11::new(&uri.module_path)
            .map_err(|cause| Pkcs11Error::Module { path: uri.module_path.clone(), cause })?;
        match context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            Ok(()) => Ok(Self { context, is_ours: true }),
            Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {
                Ok(Self { context, is_ours: false })
            }
            Err(cause) => Err(Pkcs11Error::Module { path: uri.module_path.clone(), cause }),
        }
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        if self.is_ours {
            // There is nobody left who could do something about it.
            let _ = self.context.clone().finalize();
        }
    }
}

/// The one token that fits.
fn find_token(context: &Pkcs11, uri: &KeyUri) -> Result<(Slot, TokenInfo), Pkcs11Error> {
    let mut fitting = Vec::new();
    let mut seen = Vec::new();
    for slot in context.get_slots_with_initialized_token()? {
        let token = context.get_token_info(slot)?;
        let description = format!(
            "token {:?}, serial {:?}, slot-id {}",
            token.label(),
            token.serial_number(),
            slot.id()
        );
        let wanted =
            |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|it| it == is);
        if wanted(&uri.token, token.label())
            && wanted(&uri.manufacturer, token.manufacturer_id())
            && wanted(&uri.serial, token.serial_number())
            && wanted(&uri.model, token.model())
            && uri.slot_id.is_none_or(|id| id == slot.id())
        {
            fitting.push((slot, token, description.clone()));
        }
        seen.push(description);
    }
    match fitting.len() {
        0 => Err(Pkcs11Error::NoToken { seen }),
        1 => {
            fitting.pop().map(|(slot, token, _)| (slot, token)).ok_or(Pkcs11Error::NoToken { seen })
        }
        _ => Err(Pkcs11Error::SeveralTokens {
            seen: fitting.into_iter().map(|(_, _, description)| description).collect(),
        }),
    }
}

/// Logs in, where the token wants that.
fn unlock(
    context: &Pkcs11,
    session: &Session,
    token: &TokenInfo,
    pin: Option<&str>,
) -> Result<(), Pkcs11Error> {
    match pin {
        Some(pin) => log_in(context, session, UserType::User, Some(&AuthPin::from(pin))),
        // The reader has a keypad.
        None if token.protected_authentication_path() => {
            log_in(context, session, UserType::User, None)
        }
        None if token.login_required() => {
            Err(Pkcs11Error::PinNeeded { token: token.label().to_owned() })
        }
        None => Ok(()),
    }
}

fn log_in(
    context: &Pkcs11,
    session: &Session,
    user: UserType,
    pin: Option<&AuthPin>,
) -> Result<(), Pkcs11Error> {
    let error = match session.login(user, pin) {
        Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => return Ok(()),
        Err(error) => error,
    };
    let Error::Pkcs11(
        reason @ (RvError::PinLocked
        | RvError::PinIncorrect
        | RvError::PinInvalid
        | RvError::PinLenRange),
        _,
    ) = error
    else {
        return Err(error.into());
    };
    // That few tries are left shows only now.
    let info = session.get_session_info().and_then(|it| context.get_token_info(it.slot_id())).ok();
    let token = info.as_ref().map(|info| info.label().to_owned()).unwrap_or_default();
    Err(match reason {
        RvError::PinLocked => Pkcs11Error::PinLocked { token },
        _ => Pkcs11Error::PinRefused {
            token,
            is_for_signature: matches!(user, UserType::ContextSpecific),
            is_last: info.is_some_and(|info| info.user_pin_final_try()),
        },
    })
}

/// The one private key that fits, and what the token says about it.
struct TokenKey {
    handle: ObjectHandle,
    id: Vec<u8>,
    kind: KeyType,
    /// As certificates hold it; `None` when the token does not tell.
    public_keys: Option<Vec<Vec<u8>>>,
    /// Whether it wants the PIN for every signature.
    always_authenticate: bool,
}

impl TokenKey {
    fn find(session: &Session, uri: &KeyUri) -> Result<Self, Pkcs11Error> {
        let class = Attribute::Class(ObjectClass::PRIVATE_KEY);
        let mut template = vec![class.clone()];
        template
            .extend(uri.object.as_ref().map(|label| Attribute::Label(label.clone().into_bytes())));
        template.extend(uri.id.clone().map(Attribute::Id));
        let handles = objects(session, &template)?;
        match handles[..] {
            [handle] => Self::read(session, handle),
            [] => Err(Pkcs11Error::NoKey {
                seen: describe_all(session, &objects(session, &[class])?)?,
            }),
            _ => Err(Pkcs11Error::SeveralKeys { seen: describe_all(session, &handles)? }),
        }
    }

    fn read(session: &Session, handle: ObjectHandle) -> Result<Self, Pkcs11Error> {
        let (mut kind, mut id, mut label) = (None, Vec::new(), Vec::new());
        let (mut rsa, mut always_authenticate) = ((None, None), false);
        for attribute in session.get_attributes(
            handle,
            &[
                AttributeType::KeyType,
                AttributeType::Id,
                AttributeType::Label,
                AttributeType::Modulus,
                AttributeType::PublicExponent,
                AttributeType::AlwaysAuthenticate,
            ],
        )? {
            match attribute {
                Attribute::KeyType(value) => kind = Some(value),
                Attribute::Id(value) => id = value,
                Attribute::Label(value) => label = value,
                Attribute::Modulus(value) => rsa.0 = Some(value),
                Attribute::PublicExponent(value) => rsa.1 = Some(value),
                Attribute::AlwaysAuthenticate(value) => always_authenticate = value,
                _ => {}
            }
        }
        let kind = kind
            .filter(|kind| matches!(*kind, KeyType::RSA | KeyType::EC))
            .ok_or(Pkcs11Error::KeyKind)?;
        let public_keys = match rsa {
            (Some(modulus), Some(exponent)) => Some(vec![rsa_public_key(&modulus, &exponent)]),
            _ => public_keys(session, kind, &id, &label)?,
        };
        Ok(Self { handle, id, kind, public_keys, always_authenticate })
    }

    /// The chain on the token.
    fn certificates(&self, session: &Session) -> Result<Vec<Certificate>, Pkcs11Error> {
        let x509 = [
            Attribute::Class(ObjectClass::CERTIFICATE),
            Attribute::CertificateType(CertificateType::X_509),
        ];
        if self.id.is_empty() {
            return Err(Pkcs11Error::NoCertificate);
        }
        let own =
            read_certificates(session, &[&x509[..], &[Attribute::Id(self.id.clone())]].concat())?;
        let leaf = match &own[..] {
            [leaf] => leaf,
            [] => return Err(Pkcs11Error::NoCertificate),
            _ => {
                let seen = own
                    .iter()
                    .map(|it| {
                        format!(
                            "certificate {:?}, until {}",
                            it.subject().to_string(),
                            it.not_after()
                        )
                    })
                    .collect();
                return Err(Pkcs11Error::SeveralCertificates { seen });
            }
        };
        if leaf.is_self_issued() {
            return Ok(vec![leaf.clone()]);
        }
        Ok(chain_from(leaf, &read_certificates(session, &x509)?))
    }
}

/// The public keys that belong to a private key; `None` when there is none.
fn public_keys(
    session: &Session,
    kind: KeyType,
    id: &[u8],
    label: &[u8],
) -> Result<Option<Vec<Vec<u8>>>, Pkcs11Error> {
    let name = match (id, label) {
        ([], []) => return Ok(None),
        ([], label) => Attribute::Label(label.to_vec()),
        (id, _) => Attribute::Id(id.to_vec()),
    };
    let template = [Attribute::Class(ObjectClass::PUBLIC_KEY), Attribute::KeyType(kind), name];
    let mut keys = Vec::new();
    for handle in objects(session, &template)? {
        let wanted =
            [AttributeType::Modulus, AttributeType::PublicExponent, AttributeType::EcPoint];
        let (mut modulus, mut exponent) = (None, None);
        for attribute in session.get_attributes(handle, &wanted)? {
            match attribute {
                Attribute::Modulus(value) => modulus = Some(value),
                Attribute::PublicExponent(value) => exponent = Some(value),
                Attribute::EcPoint(value) => keys.push(value),
                _ => {}
            }
        }
        if let (Some(modulus), Some(exponent)) = (modulus, exponent) {
            keys.push(rsa_public_key(&modulus, &exponent));
        }
    }
    Ok(Some(keys).filter(|keys| !keys.is_empty()))
}

fn rsa_public_key(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    der_write::sequence(&[&der_write::unsigned(modulus), &der_write::unsigned(exponent)])
}

/// `CKA_EC_POINT` is an OCTET STRING around the point; old tokens leave the wrapping out.
fn is_key_of(key: &[u8], certificate: &Certificate) -> bool {
    let raw = certificate.public_key().raw();
    key == raw || key == der_write::octet_string(raw)
}

fn objects(session: &Session, template: &[Attribute]) -> Result<Vec<ObjectHandle>, Pkcs11Error> {
    let mut handles = Vec::new();
    for handle in session.iter_objects(template)? {
        if handles.len() == MAX_OBJECTS {
            return Err(Pkcs11Error::TooManyObjects);
        }
        handles.push(handle?);
    }
    Ok(handles)
}

/// Label and id of objects, in the words of a URI.
fn describe_all(session: &Session, handles: &[ObjectHandle]) -> Result<Vec<String>, Pkcs11Error> {
    let describe = |handle: &ObjectHandle| {
        let (mut label, mut id) = (String::new(), String::new());
        for attribute in
            session.get_attributes(*handle, &[AttributeType::Label, AttributeType::Id])?
        {
            match attribute {
                Attribute::Label(value) => label = String::from_utf8_lossy(&value).into_owned(),
                Attribute::Id(value) => {
                    id = value.iter().map(|byte| format!("%{byte:02x}")).collect();
                }
                _ => {}
            }
        }
        Ok(format!("private key {label:?}, id={id}"))
    };
    handles.iter().map(describe).collect()
}

fn read_certificates(
    session: &Session,
    template: &[Attribute],
) -> Result<Vec<Certificate>, Pkcs11Error> {
    let mut certificates = Vec::new();
    for handle in objects(session, template)? {
        for attribute in session.get_attributes(handle, &[AttributeType::Value])? {
            if let Attribute::Value(der) = attribute {
                certificates.push(Certificate::from_der(&der)?);
            }
        }
    }
    Ok(certificates)
}

fn key_type(spec: KeySpec) -> KeyType {
    match spec {
        KeySpec::Rsa2048 | KeySpec::Rsa3072 | KeySpec::Rsa4096 => KeyType::RSA,
        KeySpec::EcP256 | KeySpec::EcP384 | KeySpec::EcP521 => KeyType::EC,
    }
}

/// Signs what is hashed already.
fn mechanism(spec: KeySpec) -> Mechanism<'static> {
    match key_type(spec) {
        KeyType::EC => Mechanism::Ecdsa,
        _ => Mechanism::RsaPkcsPss(pss(spec)),
    }
}

/// Hashes and signs.
fn hashing_mechanism(spec: KeySpec) -> Mechanism<'static> {
    use HashAlgorithm::{Sha256, Sha384, Sha512};

    match (key_type(spec), spec.signature_algorithm().hash()) {
        (KeyType::EC, Sha256) => Mechanism::EcdsaSha256,
        (KeyType::EC, Sha384) => Mechanism::EcdsaSha384,
        (KeyType::EC, Sha512) => Mechanism::EcdsaSha512,
        (_, Sha256) => Mechanism::Sha256RsaPkcsPss(pss(spec)),
        (_, Sha384) => Mechanism::Sha384RsaPkcsPss(pss(spec)),
        (_, Sha512) => Mechanism::Sha512RsaPkcsPss(pss(spec)),
    }
}

fn pss(spec: KeySpec) -> PkcsPssParams {
    let (hash_alg, mgf, salt) = match spec.signature_algorithm().hash() {
        HashAlgorithm::Sha256 => (MechanismType::SHA256, PkcsMgfType::MGF1_SHA256, 32),
        HashAlgorithm::Sha384 => (MechanismType::SHA384, PkcsMgfType::MGF1_SHA384, 48),
        HashAlgorithm::Sha512 => (MechanismType::SHA512, PkcsMgfType::MGF1_SHA512, 64),
    };
    PkcsPssParams { hash_alg, mgf, s_len: salt.into() }
}
