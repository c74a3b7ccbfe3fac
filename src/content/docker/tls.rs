//! TLS to an engine, as the docker CLI sets it up (docker/cli `cli/context/docker`).

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::endpoint::TlsFiles;

/// The client's side of TLS. The error says what is wrong with the files.
pub(super) fn config(files: &TlsFiles) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = if files.skip_verify {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Unverified(provider)))
    } else {
        builder.with_root_certificates(roots(files.ca.as_deref())?)
    };
    match (&files.cert, &files.key) {
        (Some(cert), Some(key)) => {
            let chain = certificates(cert, "the client certificate")?;
            let key = PrivateKeyDer::from_pem_slice(key)
                .map_err(|error| format!("the client key: {error}"))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| format!("the client certificate and key: {error}"))
        }
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(_), None) => Err("a client certificate without its key".to_owned()),
        (None, Some(_)) => Err("a client key without its certificate".to_owned()),
    }
}

/// The given authorities alone, else those of the system.
fn roots(ca: Option<&[u8]>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let Some(ca) = ca else {
        let system = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(system.certs);
        return if roots.is_empty() {
            Err("the system has no authorities".into())
        } else {
            Ok(roots)
        };
    };
    for certificate in certificates(ca, "the authorities")? {
        roots.add(certificate).map_err(|error| format!("the authorities: {error}"))?;
    }
    Ok(roots)
}

fn certificates(pem: &[u8], what: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        Ok(_) => Err(format!("{what}: no certificate in PEM")),
        Err(error) => Err(format!("{what}: {error}")),
    }
}

/// `--tls` without `--tlsverify`: whoever answers is taken for the engine. The user asked for it.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, cert, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, cert, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_fit_and_files_that_do_not() {
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = rcgen::CertificateParams::new(vec!["engine".to_owned()])
            .unwrap()
            .self_signed(&key)
            .unwrap()
            .pem()
            .into_bytes();
        let key = key.serialize_pem().into_bytes();
        let other = rcgen::KeyPair::generate().unwrap().serialize_pem().into_bytes();
        let junk = b"no PEM".to_vec();
        for (ca, cert, own, skip_verify, wrong) in [
            (Some(&pem), None, None, false, ""),
            (Some(&pem), Some(&pem), Some(&key), false, ""),
            (None, None, None, true, ""),
            (Some(&junk), None, None, false, "the authorities: no certificate"),
            // Nobody looks at them then.
            (Some(&junk), None, None, true, ""),
            (Some(&pem), Some(&pem), None, false, "without its key"),
            (Some(&pem), None, Some(&key), false, "without its certificate"),
            (Some(&pem), Some(&junk), Some(&key), false, "the client certificate"),
            (Some(&pem), Some(&pem), Some(&junk), false, "the client key"),
            (Some(&pem), Some(&pem), Some(&other), false, "the client certificate and key"),
        ] {
            let (ca, cert, key) = (ca.cloned(), cert.cloned(), own.cloned());
            let files = TlsFiles { ca, cert, key, skip_verify };
            match config(&files) {
                Ok(_) => assert_eq!(wrong, ""),
                Err(found) => {
                    assert!(!wrong.is_empty() && found.contains(wrong), "{wrong}: {found}");
                }
            }
        }
    }
}
