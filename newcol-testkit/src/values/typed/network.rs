//! Addresses of `ipnetwork`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnetwork::IpNetwork;
use proptest::{
    prelude::any,
    strategy::{BoxedStrategy, Strategy, Union},
};

use super::{ColumnType, ColumnValue, Kind, Loss, ValueError, mismatch, with_edges};
use crate::values::kind::Address;

fn network(address: IpAddr, prefix: u8) -> IpNetwork {
    IpNetwork::new(address, prefix).unwrap_or_else(|_| IpNetwork::from(address))
}

impl ColumnValue for IpNetwork {
    fn strategy(ty: &ColumnType<'_>) -> Result<BoxedStrategy<Self>, ValueError> {
        let Kind::Address(kind) = Kind::of(ty)? else { return Err(mismatch::<Self>(ty)) };
        let edges = vec![
            network(Ipv4Addr::UNSPECIFIED.into(), 0),
            network(Ipv4Addr::BROADCAST.into(), 32),
            network(Ipv4Addr::new(10, 0, 0, 1).into(), 8),
            network(Ipv6Addr::UNSPECIFIED.into(), 0),
            network(Ipv4Addr::LOCALHOST.to_ipv6_mapped().into(), 128),
        ];
        let plain = Union::new(vec![
            (any::<u32>(), 0..=32_u8)
                .prop_map(|(bits, prefix)| network(Ipv4Addr::from(bits).into(), prefix))
                .boxed(),
            (any::<u128>(), 0..=128_u8)
                .prop_map(|(bits, prefix)| network(Ipv6Addr::from(bits).into(), prefix))
                .boxed(),
        ]);
        if kind == Address::Net {
            let net = |address: IpNetwork| network(address.network(), address.prefix());
            return Ok(with_edges(edges, plain.prop_map(net)));
        }
        Ok(with_edges(edges, plain))
    }

    fn literal(&self, _ty: &ColumnType<'_>) -> Option<String> {
        Some(format!("'{self}'"))
    }

    fn rust(&self) -> String {
        format!("\"{self}\".parse::<ipnetwork::IpNetwork>().unwrap()")
    }

    fn becomes(&self, _read: &Self, _loss: Loss) -> bool {
        false
    }
}
