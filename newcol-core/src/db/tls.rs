//! TLS towards PostgreSQL: libpq's `sslmode` on rustls.
//!
//! libpq separates what rustls checks in one go: whether the chain leads to a known root
//! (`verify-ca`), whether the name fits as well (`verify-full`), or nothing (`require` without a
//! root certificate). Signatures of the handshake are always checked.

use std::{io, sync::Arc};

use camino::Utf8Path;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    server::ParsedCertificate,
};

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// How much of the server's certificate must be right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    Chain,
    ChainAndName,
}

/// The certificates that a server's chain must lead to.
#[derive(Debug)]
pub(super) struct Roots {
    certificates: Vec<CertificateDer<'static>>,
    check: Check,
}

impl Roots {
    /// Reads a PEM file.
    pub(super) fn from_file(path: &Utf8Path, check: Check) -> Result<Self, Cause> {
        let certificates = certificates(path)?;
        Ok(Self { certificates, check })
    }

    /// Takes what the operating system trusts.
    pub(super) fn of_system(check: Check) -> Result<Self, Cause> {
        let found = rustls_native_certs::load_native_certs();
        match found.errors.into_iter().next() {
            Some(error) if found.certs.is_empty() => Err(error.into()),
            _ if found.certs.is_empty() => Err("the system trusts no certificate".into()),
            _ => Ok(Self { certificates: found.certs, check }),
        }
    }
}

/// A certificate of our own, and its key.
pub(super) struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    pub(super) fn chain(path: &Utf8Path) -> Result<Vec<CertificateDer<'static>>, Cause> {
        certificates(path)
    }

    pub(super) fn new(chain: Vec<CertificateDer<'static>>, key: &Utf8Path) -> Result<Self, Cause> {
        Ok(Self { chain, key: PrivateKeyDer::from_pem_file(key)? })
    }
}

fn certificates(path: &Utf8Path) -> Result<Vec<CertificateDer<'static>>, Cause> {
    let found = CertificateDer::pem_file_iter(path)?.collect::<Result<Vec<_>, _>>()?;
    if found.is_empty() {
        return Err(
            io::Error::new(io::ErrorKind::InvalidData, "it holds no PEM certificate").into()
        );
    }
    Ok(found)
}

/// Returns the client's side of TLS; without `roots` any certificate will do.
pub(super) fn client(
    roots: Option<Roots>,
    identity: Option<Identity>,
) -> Result<ClientConfig, Cause> {
    // Never the process-wide provider: an application that links us may have installed another.
    let provider = Arc::new(ring::default_provider());
    let verifier = Verifier::new(roots, Arc::clone(&provider))?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    Ok(match identity {
        Some(Identity { chain, key }) => builder.with_client_auth_cert(chain, key)?,
        None => builder.with_no_client_auth(),
    })
}

#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    trust: Option<Trust>,
}

#[derive(Debug)]
struct Trust {
    webpki: Arc<WebPkiServerVerifier>,
    certificates: Vec<CertificateDer<'static>>,
    check: Check,
}

impl Verifier {
    fn new(roots: Option<Roots>, provider: Arc<CryptoProvider>) -> Result<Self, Cause> {
        let Some(Roots { certificates, check }) = roots else {
            return Ok(Self { provider, trust: None });
        };
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(certificates.iter().cloned());
        let webpki =
            WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(&provider))
                .build()?;
        Ok(Self { provider, trust: Some(Trust { webpki, certificates, check }) })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(trust) = &self.trust else { return Ok(ServerCertVerified::assertion()) };
        let answer =
            trust.webpki.verify_server_cert(end_entity, intermediates, name, ocsp_response, now);
        let Err(Error::InvalidCertificate(problem)) = answer else { return answer };
        match problem {
            // The name is looked at last, so the chain was right.
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
                if trust.check == Check::Chain =>
            {
                Ok(ServerCertVerified::assertion())
            }
            // A self-signed certificate given as its own root: OpenSSL, and so libpq, takes it.
            // webpki has no word for that, and looks at the dates before it complains.
            CertificateError::Other(ref other)
                if format!("{other:?}").contains("CaUsedAsEndEntity")
                    && trust.certificates.iter().any(|root| root == end_entity) =>
            {
                if trust.check == Check::ChainAndName {
                    verify_server_name(&ParsedCertificate::try_from(end_entity)?, name)?;
                }
                Ok(ServerCertVerified::assertion())
            }
            problem => Err(Error::InvalidCertificate(problem)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
