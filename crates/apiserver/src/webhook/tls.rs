//! Who a webhook may be: whoever has a certificate of its bundle's authorities, or of those that the
//! machine trusts if there is no bundle. A bundle may also be the very certificate that is shown.

use std::io;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Where Linux distributions keep the authorities that they trust.
const SYSTEM: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Whom a webhook's connections trust.
pub(super) struct Trust {
    connector: Option<TlsConnector>,
}

impl Trust {
    pub(super) fn of(bundle: &[u8]) -> Self {
        let provider = Arc::new(ring::default_provider());
        let known: Vec<CertificateDer<'static>> = if bundle.is_empty() {
            let system = SYSTEM.iter().find_map(|path| std::fs::read(path).ok()).unwrap_or_default();
            CertificateDer::pem_slice_iter(&system).filter_map(Result::ok).collect()
        } else {
            CertificateDer::pem_slice_iter(bundle).filter_map(Result::ok).collect()
        };
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(known.iter().cloned());
        let chains = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().ok();
        let known = if bundle.is_empty() { Vec::new() } else { known };
        let verifier = Verifier { chains, known, provider: Arc::clone(&provider) };
        let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let connector = versions.ok().map(|builder| {
            let verified = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
            let mut config = verified.with_no_client_auth();
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            TlsConnector::from(Arc::new(config))
        });
        Self { connector }
    }

    /// TLS over a connection, with whoever has that name.
    pub(super) async fn shake_hands(&self, name: &str, stream: TcpStream) -> Result<TlsStream<TcpStream>, String> {
        let connector = self.connector.as_ref().ok_or("tls: no supported versions")?;
        let server = ServerName::try_from(name.to_owned()).map_err(|_| format!("{name:?} is no name of a server"))?;
        connector.connect(server, stream).await.map_err(|error| words(&error, name))
    }
}

#[derive(Debug)]
struct Verifier {
    /// Certificates of authorities; `None`: there are none.
    chains: Option<Arc<WebPkiServerVerifier>>,
    /// Certificates that are trusted as they are.
    known: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    /// A certificate that the bundle holds itself needs to be of that name, and of now.
    fn verify_known(shown: &CertificateDer<'_>, name: &ServerName<'_>, now: UnixTime) -> Result<(), Error> {
        verify_server_name(&ParsedCertificate::try_from(shown)?, name)?;
        let (_, parsed) = X509Certificate::from_der(shown).map_err(|_| CertificateError::BadEncoding)?;
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let validity = parsed.validity();
        if now < validity.not_before.timestamp() || now > validity.not_after.timestamp() {
            return Err(CertificateError::Expired.into());
        }
        Ok(())
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.known.iter().any(|known| known == shown) {
            return Self::verify_known(shown, name, now).map(|()| ServerCertVerified::assertion());
        }
        match &self.chains {
            Some(chains) => chains.verify_server_cert(shown, between, name, ocsp, now),
            None => Err(CertificateError::UnknownIssuer.into()),
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

/// What is wrong with a certificate, as clients of Kubernetes are used to read it.
fn words(error: &io::Error, name: &str) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    let Some(Error::InvalidCertificate(why)) = inner else {
        return if error.kind() == io::ErrorKind::UnexpectedEof { "EOF".to_owned() } else { error.to_string() };
    };
    let what = match why {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "certificate signed by unknown authority".to_owned()
        }
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => "certificate has expired or is not yet valid".to_owned(),
        CertificateError::NotValidForNameContext { presented, .. } if !presented.is_empty() => {
            let plain = |shown: &String| {
                let inner = shown.split_once('(').map_or(shown.as_str(), |(_, rest)| rest.trim_end_matches(')'));
                inner.trim_matches('"').to_owned()
            };
            let names: Vec<String> = presented.iter().map(plain).collect();
            format!("certificate is valid for {}, not {name}", names.join(", "))
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("certificate is not valid for any names, but wanted to match {name}")
        }
        // It is an authority's certificate itself, and none that is known.
        CertificateError::Other(_) => "certificate signed by unknown authority".to_owned(),
        other => other.to_string(),
    };
    format!("tls: failed to verify certificate: x509: {what}")
}
