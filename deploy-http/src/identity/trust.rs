//! Who may assert the Identity header, by where the connection comes from.

use std::net::IpAddr;
use std::str::FromStr;

/// Who may assert the Identity header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// Any process of this machine: a peer whose address is a loopback one.
    Loopback,
    /// A peer in one of these networks.
    Networks(Vec<Network>),
    /// Whoever reaches the listener.
    Everyone,
    /// Nobody: the header is ignored.
    Nobody,
}

impl Trust {
    /// Whether a peer of that address may.
    #[must_use]
    pub fn includes(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        match self {
            Self::Loopback => peer.is_loopback(),
            Self::Networks(networks) => networks.iter().any(|network| network.contains(peer)),
            Self::Everyone => true,
            Self::Nobody => false,
        }
    }
}

impl FromStr for Trust {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const RULE: &str = "it is loopback, cidr:10.0.0.0/8,…, everyone or nobody";
        match text {
            "loopback" => Ok(Self::Loopback),
            "everyone" => Ok(Self::Everyone),
            "nobody" => Ok(Self::Nobody),
            _ => {
                let networks = text.strip_prefix("cidr:").ok_or(RULE)?;
                let networks: Result<_, _> = networks.split(',').map(str::parse).collect();
                networks.map(Self::Networks)
            }
        }
    }
}

/// A range of addresses: those that share the first `bits` with `first`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    bits: u8,
}

impl Network {
    fn contains(&self, address: IpAddr) -> bool {
        matches!(masked(address, self.bits), Some(first) if first == self.first)
    }
}

impl FromStr for Network {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const RULE: &str = "a network is its first address and its bits, as in 10.0.0.0/8";
        let (first, bits) = text.split_once('/').ok_or(RULE)?;
        let first: IpAddr = first.parse().map_err(|_| RULE)?;
        // `+8` and `08` are numbers to the standard library, and somebody's mistake here.
        if !bits.bytes().all(|b| b.is_ascii_digit()) || (bits.len() > 1 && bits.starts_with('0')) {
            return Err(RULE);
        }
        let bits = bits.parse().map_err(|_| RULE)?;
        match masked(first, bits) {
            None => Err("a network has at most 32 bits in IPv4, and 128 in IPv6"),
            Some(masked) if masked != first => {
                Err("the address has bits beyond the network's; name its first address, as in 10.0.0.0/8")
            }
            // A peer's address is compared in its canonical form, where there is no such thing.
            Some(first) if first.to_canonical() != first => {
                Err("write an IPv4 network as one, as in 10.0.0.0/8")
            }
            Some(first) => Ok(Self { first, bits }),
        }
    }
}

/// The address with all but its first bits zero; `None` where it has not so many.
fn masked(address: IpAddr, bits: u8) -> Option<IpAddr> {
    let bits = u32::from(bits);
    match address {
        IpAddr::V4(v4) => {
            let rest = 32_u32.checked_sub(bits)?;
            let mask = u32::MAX.checked_shl(rest).unwrap_or(0);
            Some(IpAddr::V4((v4.to_bits() & mask).into()))
        }
        IpAddr::V6(v6) => {
            let rest = 128_u32.checked_sub(bits)?;
            let mask = u128::MAX.checked_shl(rest).unwrap_or(0);
            Some(IpAddr::V6((v6.to_bits() & mask).into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_includes_the_peers_it_names() {
        for (mode, peer, expected) in [
            ("loopback", "127.9.9.9", true),
            ("loopback", "::1", true),
            ("loopback", "::ffff:127.0.0.1", true),
            ("loopback", "10.0.0.1", false),
            ("everyone", "8.8.8.8", true),
            ("nobody", "127.0.0.1", false),
            ("cidr:10.0.0.0/8", "10.255.0.1", true),
            ("cidr:10.0.0.0/8", "::ffff:10.0.0.1", true),
            ("cidr:10.0.0.0/8", "11.0.0.1", false),
            ("cidr:10.0.0.0/8", "127.0.0.1", false),
            ("cidr:10.0.0.0/8,fd00::/8", "fd12::1", true),
            ("cidr:10.0.0.0/8,fd00::/8", "fe80::1", false),
            ("cidr:10.1.2.3/32", "10.1.2.3", true),
            ("cidr:10.1.2.3/32", "10.1.2.4", false),
            ("cidr:0.0.0.0/0", "1.2.3.4", true),
            ("cidr:0.0.0.0/0", "2001:db8::1", false),
            ("cidr:::/0", "2001:db8::1", true),
        ] {
            let trust: Trust = mode.parse().unwrap();
            assert_eq!(trust.includes(peer.parse().unwrap()), expected, "{mode} {peer}");
        }
    }

    #[test]
    fn a_mode_that_is_none_is_refused() {
        for text in [
            "",
            "Loopback",
            "all",
            "cidr:",
            "cidr:10.0.0.0",
            "cidr:10.0.0.0/33",
            "cidr:10.0.0.0/",
            "cidr:10.0.0.0/+8",
            "cidr:10.0.0.0/08",
            "cidr:10.0.0.1/8",
            "cidr:10.0.0.0/8,",
            "cidr:10.0.0.0/8 ,fd00::/8",
            "cidr:::/129",
            "cidr:::ffff:10.0.0.0/104",
            "cidr:host.example/8",
        ] {
            assert!(text.parse::<Trust>().is_err(), "{text}");
        }
    }
}
