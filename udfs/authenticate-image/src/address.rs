//! Which addresses belong to the open net, and a name lookup that gives no others.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Whether an address is global unicast after IANA's special-purpose registries (RFC 6890): neither of the own host or
/// network, nor multicast, reserved, for documentation or tests, nor one that carries an IPv4 address within it.
#[must_use]
pub(crate) fn is_global(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_global_v4(ip),
        IpAddr::V6(ip) => is_global_v6(ip),
    }
}

/// The address that a URL names itself; such a host is never looked up.
pub(crate) fn literal(url: &Url) -> Option<IpAddr> {
    match url.host() {
        Some(Host::Ipv4(ip)) => Some(IpAddr::V4(ip)),
        Some(Host::Ipv6(ip)) => Some(IpAddr::V6(ip)),
        _ => None,
    }
}

/// A name has no address that may be connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the name has no address of the open net")]
pub(crate) struct NoGlobalAddress;

/// Looks names up and leaves out what is not of the open net. As the client connects to what this returns, a name that
/// means something else a moment later (DNS rebinding) gains nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GuardedResolver {
    pub(crate) allow_private: bool,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let allow_private = self.allow_private;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let kept = keep(found, allow_private);
            if kept.is_empty() {
                return Err(NoGlobalAddress.into());
            }
            let kept: Addrs = Box::new(kept.into_iter());
            Ok(kept)
        })
    }
}

fn keep(found: impl Iterator<Item = SocketAddr>, allow_private: bool) -> Vec<SocketAddr> {
    found.filter(|address| allow_private || is_global(address.ip())).collect()
}

fn is_global_v4(ip: Ipv4Addr) -> bool {
    let special = match ip.octets() {
        // "This network", private, loopback, link-local with the clouds' metadata service, multicast, reserved.
        [0 | 10 | 127, ..] | [169, 254, ..] | [192, 168, ..] | [224..=255, ..] => true,
        [172, b, ..] => (16..32).contains(&b),
        // Carrier-grade NAT.
        [100, b, ..] => (64..128).contains(&b),
        // Protocol assignments, documentation, AS112 and 6to4 relays.
        [192, 0, 0 | 2, _] | [192, 31, 196, _] | [192, 52, 193, _] | [192, 88, 99, _] | [192, 175, 48, _] => {
            true
        }
        // Benchmarking, and documentation.
        [198, 18 | 19, ..] | [198, 51, 100, _] | [203, 0, 113, _] => true,
        _ => false,
    };
    !special
}

fn is_global_v6(ip: Ipv6Addr) -> bool {
    // Only 2000::/3 is given out. That leaves out ::, ::1, IPv4-mapped and -compatible, 64:ff9b::/96, 100::/64, ULA,
    // link-local and multicast; within it lie special blocks.
    let special = match ip.segments() {
        // Protocol assignments with Teredo, ORCHID and benchmarking; documentation.
        [0x2001, 0..=0x1FF | 0xDB8, ..] => true,
        // 6to4, which carries an IPv4 address.
        [0x2002, ..] => true,
        // AS112.
        [0x2620, 0x4F, 0x8000, ..] => true,
        // Documentation (RFC 9637).
        [0x3FFF, 0..=0xFFF, ..] => true,
        [first, ..] => first & 0xE000 != 0x2000,
    };
    !special
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORBIDDEN: [&str; 44] = [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "10.255.255.255",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.7",
        "203.0.113.9",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "64:ff9b::7f00:1",
        "64:ff9b::808:808",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:2::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "3fff:fff::1",
        "5f00::1",
        "fc00::1",
        "fd12:3456::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ];
    const ALLOWED: [&str; 10] = [
        "1.1.1.1",
        "8.8.8.8",
        "100.63.255.255",
        "100.128.0.1",
        "172.15.0.1",
        "172.32.0.1",
        "198.20.0.1",
        "223.255.255.255",
        "2606:4700::1111",
        "2a00:1450:4001::1",
    ];

    #[test]
    fn addresses_of_the_own_network_are_told() {
        for ip in FORBIDDEN {
            assert!(!is_global(ip.parse().unwrap()), "{ip}");
        }
        for ip in ALLOWED {
            assert!(is_global(ip.parse().unwrap()), "{ip}");
        }
    }

    #[test]
    fn a_name_with_both_kinds_keeps_its_open_addresses() {
        let found =
            || ["10.0.0.1:80", "8.8.8.8:80", "[::1]:80"].into_iter().map(|text| text.parse().unwrap());
        assert_eq!(keep(found(), false), ["8.8.8.8:80".parse().unwrap()]);
        assert_eq!(keep(found(), true).len(), 3);
    }

    #[tokio::test]
    async fn a_private_name_is_not_looked_up() {
        let lookup = |allow_private| GuardedResolver { allow_private }.resolve("localhost".parse().unwrap());
        let error = lookup(false).await.err().unwrap();
        assert_eq!(error.downcast_ref(), Some(&NoGlobalAddress));
        assert!(lookup(true).await.unwrap().count() > 0);
    }
}
