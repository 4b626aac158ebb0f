//! Whatever order changes come in, the table ends up as if built from nothing, and no change is refused.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, SocketAddrV4},
};

use proptest::prelude::*;
use serde_json::json;
use skiff_linux::nft::Value;
use skiff_proxy::{Event, arrange};

use crate::{
    fixture::{applied, deleted, endpoints, service, slice},
    planned::{feed, programmed},
    tracer::Model,
};

/// What a step does to one of a few services.
#[derive(Clone, Debug)]
struct Step {
    service: u8,
    gone: bool,
    endpoints: BTreeSet<u8>,
    external: bool,
    sticky: bool,
    local: bool,
    node_port: Option<u8>,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (
        0_u8..4,
        prop::bool::weighted(0.2),
        prop::collection::btree_set(2_u8..9, 0..5),
        any::<[bool; 3]>(),
        prop::option::of(0_u8..3),
    );
    let step = step.prop_map(|(service, gone, endpoints, [external, sticky, local], node_port)| Step {
        service,
        gone,
        endpoints,
        external,
        sticky,
        local,
        node_port,
    });
    prop::collection::vec(step, 1..24)
}

fn events(step: &Step) -> [Event; 2] {
    let name = format!("s{}", step.service);
    let ip = format!("10.96.0.{}", 100 + step.service);
    let spec = json!({
        "type": "NodePort", "clusterIP": ip, "clusterIPs": [ip],
        // Contested on purpose, as are the node ports.
        "externalIPs": if step.external { json!(["198.51.100.1"]) } else { json!([]) },
        "sessionAffinity": if step.sticky { "ClientIP" } else { "None" },
        "externalTrafficPolicy": if step.local { "Local" } else { "Cluster" },
        "ports": [{"port": 80, "nodePort": step.node_port.map(|port| 30_000 + u16::from(port))}],
    });
    let at: Vec<String> =
        step.endpoints.iter().map(|n| format!("10.1.0.{n}@{}", if n % 2 == 0 { "here" } else { "there" })).collect();
    let at: Vec<&str> = at.iter().map(String::as_str).collect();
    let service = service(&name, spec);
    [if step.gone { deleted(service) } else { applied(service) }, endpoints(slice(&name, "TCP", 8080, &at))]
}

/// The maps' content, with the endpoints of a frontend as a set: their order may differ.
fn content(model: &Model) -> BTreeMap<String, BTreeSet<String>> {
    let mut all = BTreeMap::new();
    for (map, elements) in &model.maps {
        if *map == "ways" {
            continue;
        }
        let lines = elements.iter().map(|(key, (end, value))| match value {
            Some(Value::Data(data)) if *map == "endpoints" => format!("{:?} {} {data:?}", key.cut(12), key.bytes()[14]),
            // Ways are numbered in the order of their first use.
            Some(Value::Data(way)) if ["services", "outside"].contains(map) => {
                format!("{key:?} {:?}", model.maps["ways"][way].1)
            }
            _ => format!("{key:?} {end:?} {value:?}"),
        });
        all.insert((*map).to_owned(), lines.collect());
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn changes_lead_where_a_fresh_start_does(steps in steps(), together in 1_usize..4) {
        let mut programmer = programmed([]);
        for chunk in steps.chunks(together) {
            feed(&mut programmer, chunk.iter().flat_map(events));
        }
        let last: BTreeMap<u8, &Step> = steps.iter().map(|step| (step.service, step)).collect();
        let mut fresh = programmed(last.values().flat_map(|step| events(step)));
        prop_assert_eq!(content(programmer.target()), content(fresh.target()));
        let fixed = ["ways", "refusals"];
        let counted = fresh.target().maps.iter().filter(|(map, _)| !fixed.contains(*map));
        let held: usize = counted.map(|(_, elements)| elements.len()).sum();
        prop_assert_eq!(programmer.planner().elements(), held);
    }

    #[test]
    fn endpoints_move_as_little_as_possible(old: BTreeSet<u8>, new: BTreeSet<u8>) {
        let list = |set: &BTreeSet<u8>| -> Vec<SocketAddrV4> {
            set.iter().map(|n| SocketAddrV4::new(Ipv4Addr::new(10, 1, 0, *n), 80)).collect()
        };
        let (before, now) = (list(&old), list(&new));
        let arranged = arrange(Some(&before), &now);
        prop_assert_eq!(arranged.iter().collect::<BTreeSet<_>>(), now.iter().collect::<BTreeSet<_>>());
        prop_assert_eq!(arranged.len(), now.len());
        // Whoever stays within the new length keeps its place.
        for (place, endpoint) in before.iter().enumerate().filter(|(place, _)| *place < now.len()) {
            if now.contains(endpoint) {
                prop_assert_eq!(arranged[place], *endpoint);
            }
        }
    }
}
