//! Whom we believe to be the server: one certificate, or whoever a CA vouches for.
//!
//! Owns [`Trust`] and turns it into a rustls configuration. There is deliberately no third kind: a
//! server that matches neither is refused, and no switch changes that. The entry is
//! [`client_config`].

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256};

use crate::model::Fingerprint;

/// How a TLS server proves who it is.
#[derive(Debug, Clone)]
pub enum Trust {
    /// Its leaf certificate has this SHA-256; names and dates in it are not looked at.
    Pinned(Fingerprint),
    /// Its certificate is valid for the name we connect to and signed by a CA of this PEM text.
    Ca(Vec<u8>),
}

/// The certificate is not the pinned one.
#[derive(Debug, thiserror::Error)]
#[error("the server's certificate is not the pinned one (expected {expected}, seen {seen})")]
pub(super) struct WrongCertificate {
    /// What the inventory says.
    pub expected: Fingerprint,
    /// What the server showed.
    pub seen: Fingerprint,
}

/// Why a [`Trust`] is unusable.
#[derive(Debug, thiserror::Error)]
pub(super) enum TrustError {
    /// No certificate could be read from the PEM text.
    #[error("no CA certificate can be read from the PEM text: {0}")]
    Pem(String),
    /// rustls refuses it.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

/// Builds a configuration that offers HTTP/1.1 only and believes nobody but `trust`.
pub(super) fn client_config(trust: &Trust) -> Result<ClientConfig, TrustError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let mut config = match trust {
        Trust::Pinned(expected) => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Pin { expected: *expected, provider }))
            .with_no_client_auth(),
        Trust::Ca(pem) => builder.with_root_certificates(roots(pem)?).with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Builds a configuration that believes whom this system believes: for servers with a certificate of a public CA.
pub(super) fn public_config() -> Result<ClientConfig, rustls::Error> {
    use rustls_platform_verifier::BuilderVerifierExt as _;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = builder.with_platform_verifier()?.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn roots(pem: &[u8]) -> Result<RootCertStore, TrustError> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        store.add(certificate.map_err(|e| TrustError::Pem(e.to_string()))?)?;
    }
    if store.is_empty() {
        return Err(TrustError::Pem("it holds none".to_owned()));
    }
    Ok(store)
}

/// Accepts exactly one leaf certificate. The handshake's signature is still verified: it proves that
/// the server holds that certificate's key, without which anybody could replay the public part.
#[derive(Debug)]
struct Pin {
    expected: Fingerprint,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pin {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let seen = Fingerprint::new(Sha256::digest(end_entity).into());
        if seen == self.expected {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(OtherError(Arc::new(WrongCertificate { expected: self.expected, seen })).into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
