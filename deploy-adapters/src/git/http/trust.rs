//! Whom an https server is known by: the CA certificates of a file, or else the system's. Never both: who names a CA wants
//! no other to vouch for the server, as with git's own http.sslCAInfo.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::git::access::{self, AccessError, Flaw};

/// TLS that trusts these CA certificates alone.
pub(super) fn trusting(ca_file: Option<&Path>) -> Result<TlsConfig, AccessError> {
    let roots = ca_file.map_or_else(of_the_system, of_file)?;
    let roots = roots.iter().map(|root| Certificate::from_der(root).to_owned());
    // The provider is named: without one ureq takes the process's, and there is none.
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::from(roots))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build())
}

/// Whether a certificate can be for this host. ureq would tell with the first request alone.
pub(super) fn check_name(host: &str) -> Result<(), AccessError> {
    let name = ServerName::try_from(host);
    let unfit = "the base URL's host is not a name that a certificate can be for";
    name.map(drop).map_err(|_| AccessError::Unfit(unfit))
}

type Roots = Vec<CertificateDer<'static>>;

fn of_file(file: &Path) -> Result<Roots, AccessError> {
    let bytes = access::read(file)?;
    let flaw = |flaw: &str| AccessError::Content {
        file: file.to_owned(),
        flaw: Flaw::Whole(flaw.to_owned()),
    };
    let roots: Roots = CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<_, _>>()
        .map_err(|_| flaw("it is not PEM"))?;
    // What cannot be read is refused here; ureq passes it over.
    let mut store = RootCertStore::empty();
    let added = roots.iter().try_for_each(|root| store.add(root.clone()));
    added.map_err(|_| flaw("a certificate in it cannot be read"))?;
    if roots.is_empty() {
        return Err(flaw(
            "it holds no certificate in PEM (-----BEGIN CERTIFICATE-----)",
        ));
    }
    Ok(roots)
}

/// What OpenSSL's programs would trust here: SSL_CERT_FILE and SSL_CERT_DIR, else where systems keep them.
fn of_the_system() -> Result<Roots, AccessError> {
    let found = openssl_probe::probe();
    let mut roots = Roots::new();
    let in_folder = |folder: PathBuf| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    // A folder is read where there is no file, for it holds the same certificates again.
    let files = match found.cert_file {
        Some(file) => vec![file],
        None => found.cert_dir.into_iter().flat_map(in_folder).collect(),
    };
    for file in files {
        // A certificate that cannot be read is one that is not trusted; without any the server does not start.
        let Ok(bytes) = access::read(&file) else { continue };
        roots.extend(CertificateDer::pem_slice_iter(&bytes).flatten());
    }
    let (readable, _) = RootCertStore::empty().add_parsable_certificates(roots.iter().cloned());
    if readable == 0 {
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
