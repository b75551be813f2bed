//! Networks that clients may send from.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Longest network that is taken, in characters.
pub const MAX_NETWORK: usize = 43;

/// An IPv4 or IPv6 network. No bit of its address is set behind the prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// Why a text is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotNetwork {
    /// It isn't an address, a slash and a prefix length.
    Malformed,
    /// Bits are set behind the prefix: the address, and the network that it is in.
    HostBits(IpAddr, Network),
}

impl Network {
    /// Takes CIDR form, such as `192.0.2.0/24` or `2001:db8::/32`.
    pub fn parse(text: &str) -> Result<Self, NotNetwork> {
        let (address, prefix) = split(text).ok_or(NotNetwork::Malformed)?;
        let network = Self { address: masked(address, prefix), prefix };
        if network.address == address { Ok(network) } else { Err(NotNetwork::HostBits(address, network)) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// Address and prefix length. IPv4 written as IPv6 is left out, as the API server does: nobody knows which of
/// the two a client's address is compared as.
fn split(text: &str) -> Option<(IpAddr, u8)> {
    let (address, prefix) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let (longest, mapped) = match address {
        IpAddr::V4(_) => (32, false),
        IpAddr::V6(v6) => (128, v6.to_ipv4_mapped().is_some()),
    };
    let plain = prefix.bytes().all(|b| b.is_ascii_digit()) && (prefix == "0" || !prefix.starts_with('0'));
    let prefix: u8 = prefix.parse().ok()?;
    (plain && !mapped && prefix <= longest).then_some((address, prefix))
}

/// The address with all bits behind the prefix cleared.
fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    let prefix = u32::from(prefix);
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
            Ipv4Addr::from(u32::from(v4) & mask).into()
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - prefix).unwrap_or(0);
            Ipv6Addr::from(u128::from(v6) & mask).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_networks_and_writes_them_one_way() {
        for (given, written) in [
            ("192.0.2.0/24", "192.0.2.0/24"),
            ("198.51.100.7/32", "198.51.100.7/32"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("2001:DB8:0::/48", "2001:db8::/48"),
            ("::/0", "::/0"),
            ("2001:db8::1/128", "2001:db8::1/128"),
        ] {
            assert_eq!(Network::parse(given).unwrap().to_string(), written);
        }
    }

    #[test]
    fn refuses_everything_else() {
        for bad in [
            "",
            "*",
            "192.0.2.0",
            "192.0.2.0/",
            "192.0.2.0/33",
            "192.0.2.0/+8",
            "192.0.2.0/08",
            "192.0.2.0/024",
            "192.0.2/24",
            "192.0.2.0/24 ",
            "192.0.02.0/24",
            "2001:db8::/129",
            "fe80::1%eth0/128",
            "::ffff:192.0.2.0/120",
            "${aws:SourceIp}/32",
            "example.com/24",
        ] {
            assert_eq!(Network::parse(bad), Err(NotNetwork::Malformed), "{bad:?}");
        }
    }

    #[test]
    fn tells_the_network_of_an_address() {
        for (given, network) in [
            ("192.0.2.7/24", "192.0.2.0/24"),
            ("10.0.0.1/0", "0.0.0.0/0"),
            ("2001:db8::1/64", "2001:db8::/64"),
        ] {
            let Err(NotNetwork::HostBits(address, meant)) = Network::parse(given) else { panic!("{given}") };
            assert_eq!(meant.to_string(), network);
            assert!(given.starts_with(&address.to_string()));
        }
    }
}
