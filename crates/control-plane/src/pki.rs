//! The control plane's own small PKI: one authority, a serving certificate, client certificates for the admin and
//! the controller manager, and the key that signs service account tokens. Made anew for each control plane.

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
pub(crate) struct Pair {
    pub certificate: String,
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
            server: pair(&authority, server_params()?)?,
            admin: pair(&authority, client_params("admin", Some("system:masters"))?)?,
            controller_manager: pair(&authority, client_params("system:kube-controller-manager", None)?)?,
            service_account_key: tokens.serialize_pem(),
            service_account_public_key: tokens.public_key_pem(),
        })
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

fn server_params() -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(SERVER_NAMES.map(str::to_owned))?;
    params.distinguished_name.push(DnType::CommonName, "kube-apiserver");
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
