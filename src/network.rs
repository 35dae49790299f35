//! Networks of IP addresses.

use std::net::IpAddr;

/// A network, as `10.0.0.0/8` or `fd00::/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Reads `address/prefix`; `None` for anything else, and for an address with bits beyond the prefix.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/')?;
        let (address, prefix) = (address.parse::<IpAddr>().ok()?, prefix.parse::<u8>().ok()?);
        let network = Network { address, prefix };
        let fits = u32::from(prefix) <= width(address);
        (fits && network.masked(address) == bits(address)).then_some(network)
    }

    /// Whether every address is in it.
    pub fn is_everything(&self) -> bool {
        self.prefix == 0
    }

    /// Whether it holds this address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && self.masked(address) == bits(self.address)
    }

    fn masked(&self, address: IpAddr) -> u128 {
        let host_bits = width(self.address).saturating_sub(self.prefix.into());
        bits(address).checked_shr(host_bits).and_then(|network| network.checked_shl(host_bits)).unwrap_or(0)
    }
}

fn width(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_family = "wasm", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn what_is_no_network_is_not_taken_for_one() {
        for text in ["", "127.0.0.1", "127.0.0.1/33", "::1/129", "10.0.0.1/8", "a/8", "10.0.0.0/-1", "10.0.0.0/8/8"] {
            assert_eq!(Network::parse(text), None, "{text}");
        }
        assert!(Network::parse("0.0.0.0/0").unwrap().is_everything());
        assert!(!Network::parse("0.0.0.0/1").unwrap().is_everything());
    }
}
