//! Where a credential is used: one Region that Secret and status name first, and more if asked for.

use crate::region::RegionName;

/// A place where the credential logs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The Region that the password is for.
    pub region: RegionName,
    /// Host that clients connect to.
    pub host: String,
    /// Port that clients connect to.
    pub port: u16,
    /// True if TLS begins with the first byte there; STARTTLS else.
    pub implicit_tls: bool,
}

impl Endpoint {
    /// The place in one text: what one place says of a key, another may not.
    pub fn place(&self) -> String {
        place(self.region.as_str(), &self.host, self.port)
    }
}

/// A place to log in at, in one text.
pub fn place(region: &str, host: &str, port: u16) -> String {
    format!("{region} {host}:{port}")
}

/// Every place where one credential logs in; no Region twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// Of the spec's `region`.
    pub primary: Endpoint,
    /// Of its `additionalRegions`, in their order.
    pub additional: Vec<Endpoint>,
}

impl Endpoints {
    /// All of them, the primary one first.
    pub fn iter(&self) -> impl Iterator<Item = &Endpoint> {
        std::iter::once(&self.primary).chain(&self.additional)
    }

    /// The Regions, the primary one first.
    pub fn regions(&self) -> impl Iterator<Item = &RegionName> {
        self.iter().map(|endpoint| &endpoint.region)
    }

    /// The one at this place.
    pub fn at(&self, place: &str) -> Option<&Endpoint> {
        self.iter().find(|endpoint| endpoint.place() == place)
    }

    /// Region codes in one text, for messages.
    pub fn region_list(&self) -> String {
        self.regions().map(RegionName::as_str).collect::<Vec<_>>().join(", ")
    }

    /// Hosts with ports in one text, for messages.
    pub fn host_list(&self) -> String {
        let shown: Vec<String> = self.iter().map(|it| format!("{}:{}", it.host, it.port)).collect();
        shown.join(", ")
    }
}
