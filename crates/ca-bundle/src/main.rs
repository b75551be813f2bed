//! Writes the certificate authorities that the image trusts to stdout, as PEM.
//!
//! Owns the form only. Which authorities they are is Mozilla's list, as the crate `webpki-root-certs`
//! carries it: pinned by Cargo.lock, so that images of one commit trust the same on every build machine,
//! and no authority that a build machine's admin added gets in. It must not read the machine's own.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

use std::io::{self, Write as _};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use webpki_root_certs::TLS_SERVER_ROOT_CERTS;

/// Characters of base64 on a line (RFC 7468).
const LINE: usize = 64;

fn main() -> io::Result<()> {
    io::stdout().write_all(bundle().as_bytes())
}

/// All authorities, in the list's order.
fn bundle() -> String {
    TLS_SERVER_ROOT_CERTS.iter().map(|authority| pem(authority)).collect()
}

/// One DER certificate as PEM.
fn pem(der: &[u8]) -> String {
    let mut text = "-----BEGIN CERTIFICATE-----\n".to_owned();
    for (at, character) in BASE64_STANDARD.encode(der).chars().enumerate() {
        if at > 0 && at % LINE == 0 {
            text.push('\n');
        }
        text.push(character);
    }
    text + "\n-----END CERTIFICATE-----\n"
}

#[cfg(test)]
mod tests {
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject as _;

    use super::*;

    fn read() -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_slice_iter(bundle().as_bytes()).collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn is_read_as_it_was_written() {
        assert_eq!(read(), TLS_SERVER_ROOT_CERTS);
        assert!(bundle().lines().all(|line| line.len() <= LINE));
    }

    /// AWS's certificates come from one of these: <https://www.amazontrust.com/repository/>.
    #[test]
    fn holds_the_authorities_of_aws() {
        let authorities = read();
        for name in ["Amazon Root CA 1", "Amazon Root CA 2", "Amazon Root CA 3", "Amazon Root CA 4"] {
            let says = |der: &CertificateDer<'_>| der.windows(name.len()).any(|part| part == name.as_bytes());
            assert!(authorities.iter().any(says), "{name} is missing");
        }
    }
}
