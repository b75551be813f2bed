//! The control plane's own small PKI: one authority, a serving certificate, client certificates for the admin and
//! the controller manager, and the key that signs service account tokens. Made anew for each control plane. What joins
//! later gets its certificates from the same authority.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};

use crate::Error;

/// Names and addresses that the API server answers to; 10.96.0.1 is the first address of its service range.
const SERVER_NAMES: [&str; 7] = [
    "localhost",
    "127.0.0.1",
    "10.96.0.1",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
];

/// A certificate and its key, both PEM.
#[derive(Clone)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

/// Everything that is signed or signs, all PEM.
pub(crate) struct Pki {
    pub authority: String,
    pub server: Pair,
    pub admin: Pair,
    pub controller_manager: Pair,
    pub service_account_key: String,
    pub service_account_public_key: String,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Pki {
    pub(crate) fn generate() -> Result<Self, Error> {
        Self::signed().map_err(Error::certificate)
    }

    fn signed() -> Result<Self, rcgen::Error> {
        let tokens = KeyPair::generate()?;
        let authority = CertifiedIssuer::self_signed(authority_params()?, KeyPair::generate()?)?;
        Ok(Self {
            authority: authority.as_ref().pem(),
            server: pair(&authority, server_params("kube-apiserver", SERVER_NAMES.map(str::to_owned))?)?,
            admin: pair(&authority, client_params("admin", Some("system:masters"))?)?,
            controller_manager: pair(&authority, client_params("system:kube-controller-manager", None)?)?,
            service_account_key: tokens.serialize_pem(),
            service_account_public_key: tokens.public_key_pem(),
            issuer: authority,
        })
    }

    /// A client certificate.
    pub(crate) fn client(&self, user: &str, group: Option<&str>) -> Result<Pair, Error> {
        client_params(user, group).and_then(|params| pair(&self.issuer, params)).map_err(Error::certificate)
    }

    /// A serving certificate for names or addresses.
    pub(crate) fn serving(&self, name: &str, names: &[&str]) -> Result<Pair, Error> {
        let names = names.iter().map(|name| (*name).to_owned());
        server_params(name, names).and_then(|params| pair(&self.issuer, params)).map_err(Error::certificate)
    }
}

fn pair(
    authority: &CertifiedIssuer<'_, KeyPair>,
    mut params: CertificateParams,
) -> Result<Pair, rcgen::Error> {
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    Ok(Pair { certificate: params.signed_by(&key, authority)?.pem(), key: key.serialize_pem() })
}

fn authority_params() -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, "control-plane authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn server_params(
    name: &str,
    names: impl IntoIterator<Item = String>,
) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names.into_iter().collect::<Vec<_>>())?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}

/// Kubernetes reads the user from the common name and its group from the organization.
fn client_params(user: &str, group: Option<&str>) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, user);
    if let Some(group) = group {
        params.distinguished_name.push(DnType::OrganizationName, group);
    }
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    Ok(params)
}
