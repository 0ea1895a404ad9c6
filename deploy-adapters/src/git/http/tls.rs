//! Whom an https server is known by: the CA certificates of a file, or else the system's. Never both: who names a CA wants
//! no other to vouch for the server, as with git's own http.sslCAInfo.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};

use crate::git::access::{self, AccessError, Flaw};

/// TLS that trusts these CA certificates alone.
pub(super) fn trusting(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, AccessError> {
    let roots = ca_file.map_or_else(of_the_system, of_file)?;
    // The provider is named: a build with two of them would have no default.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(AccessError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// What the server's certificate has to be for.
pub(super) fn name_of(host: &str) -> Result<ServerName<'static>, AccessError> {
    ServerName::try_from(host.to_owned())
        .map_err(|_| AccessError::Unfit("the base URL's host is not a name that a certificate can be for"))
}

fn of_file(file: &Path) -> Result<RootCertStore, AccessError> {
    let bytes = access::read(file)?;
    let flaw = |flaw: &str| AccessError::Content {
        file: file.to_owned(),
        flaw: Flaw::Whole(flaw.to_owned()),
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&bytes) {
        let certificate = certificate.map_err(|_| flaw("it is not PEM"))?;
        let added = roots.add(certificate);
        added.map_err(|_| flaw("a certificate in it cannot be read"))?;
    }
    if roots.is_empty() {
        return Err(flaw(
            "it holds no certificate in PEM (-----BEGIN CERTIFICATE-----)",
        ));
    }
    Ok(roots)
}

/// What OpenSSL's programs would trust here: SSL_CERT_FILE and SSL_CERT_DIR, else where systems keep them.
fn of_the_system() -> Result<RootCertStore, AccessError> {
    let found = openssl_probe::probe();
    let mut roots = RootCertStore::empty();
    let in_folder = |folder: PathBuf| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    // A folder is read where there is no file, for it holds the same certificates again.
    let files = match found.cert_file {
        Some(file) => vec![file],
        None => found.cert_dir.map(in_folder).unwrap_or_default(),
    };
    for file in files {
        // A certificate that cannot be read is one that is not trusted; without any the server does not start.
        let Ok(bytes) = access::read(&file) else { continue };
        let certificates = CertificateDer::pem_slice_iter(&bytes).flatten();
        roots.add_parsable_certificates(certificates);
    }
    if roots.is_empty() {
        return Err(AccessError::NoSystemCa);
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_certificate_is_refused_and_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        for text in [
            "",
            "canary",
            "-----BEGIN CERTIFICATE-----\ncanary\n",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        ] {
            fs::write(&file, text).unwrap();
            let error = trusting(Some(&file)).unwrap_err();
            assert!(matches!(error, AccessError::Content { .. }), "{text}: {error:?}");
            assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
        }
        let error = trusting(Some(&folder.path().join("absent"))).unwrap_err();
        assert!(matches!(error, AccessError::Read(..)), "{error:?}");
    }
}
