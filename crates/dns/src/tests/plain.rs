//! The short way answers as the long way does, and leaves to it what it does not know.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, atomic::AtomicUsize},
};

use arc_swap::ArcSwap;
use hickory_proto::{
    op::{Edns, Message, Query, ResponseCode},
    rr::{DNSClass, Name, RecordType, rdata::opt::EdnsOption},
};
use proptest::prelude::*;

use super::objects::{cluster, endpoint, service, slice};
use crate::{
    Config, Upstreams, answer::View, fixed::Objects, handler::Handler, index::Index, long, plain::Plain,
    upstream::Upstream, zones::Zones,
};

const POD: &str = "10.1.0.5";
const STRANGER: &str = "10.9.9.9";

fn objects() -> Objects {
    let mut objects = cluster();
    let some = (1..=20).map(|n| endpoint(&format!("10.1.2.{n}"), None, true));
    let both = some.chain([endpoint("fd00::1", None, true), endpoint("fd00::2", Some("six"), true)]).collect();
    objects.services.push(service("shop", "some", "None", Some(("http", 80))));
    objects.slices.push(slice("shop", "some", both, Some(("http", 80))));
    objects
}

fn short(index: &Index, packet: &[u8], from: &str) -> Option<Vec<u8>> {
    let zones = Zones::new(&Config::default()).unwrap();
    let view = View { index, zones: &zones, turn: &AtomicUsize::new(0) };
    let source: IpAddr = from.parse().unwrap();
    let mut out = Vec::new();
    Plain::read(packet)?.answer(view, source, &mut out)?;
    Some(out)
}

fn long_way(index: &Index, packet: &[u8], from: &str) -> Option<Vec<u8>> {
    let upstream = Arc::new(Upstream::new(Upstreams::Servers(Vec::new()), Vec::new()));
    let zones = Zones::new(&Config::default()).unwrap();
    let handler = Handler::new(Arc::new(ArcSwap::from_pointee(index.clone())), zones, upstream);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(long::answer(handler, packet.to_vec(), SocketAddr::new(from.parse().unwrap(), 4000)))
}

fn question(name: &str, kind: RecordType) -> Message {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message
}

fn edns(payload: u16, dnssec_ok: bool) -> Edns {
    let mut edns = Edns::new();
    edns.set_max_payload(payload).set_version(0).set_dnssec_ok(dnssec_ok);
    edns
}

/// Both ways, read again; the short one is `None` where it leaves the question to the other.
fn both(message: &Message, from: &str) -> (Option<Message>, Message) {
    let index = objects().index().snapshot();
    let packet = message.to_vec().unwrap();
    let read = |bytes: Vec<u8>| Message::from_vec(&bytes).unwrap();
    (short(&index, &packet, from).map(read), read(long_way(&index, &packet, from).unwrap()))
}

#[test]
fn both_ways_answer_alike() {
    let names = [
        "httpenv.default",
        "HttpEnv.DeFault",
        "db.shop",
        "db-0.db.shop",
        "10-1-0-12.db.shop",
        "nobody.default",
        "a.b",
        "x.db.shop",
        "some.shop",
        "six.some.shop",
        "empty.shop",
        "x.empty.shop",
        "x.httpenv.shop",
        "x.y.shop",
    ];
    for name in names.map(|name| format!("{name}.svc.Cluster.local.")) {
        for kind in [RecordType::A, RecordType::AAAA] {
            for opt in [None, Some(edns(100, false)), Some(edns(1232, true)), Some(edns(65_000, false))] {
                let mut message = question(&name, kind);
                message.metadata.checking_disabled = opt.is_some();
                message.edns = opt;
                let (short, long) = both(&message, STRANGER);
                assert_eq!(short.as_ref(), Some(&long), "{name} {kind}");
                let asked = |message: &Message| message.queries[0].name().to_ascii();
                assert_eq!(asked(&long), name);
                let owner = long.answers.first().map(|record| record.name.to_ascii());
                assert!(owner.is_none_or(|owner| owner == name), "the case is kept");
            }
        }
    }
}

#[test]
fn what_is_unusual_goes_the_long_way() {
    let name = "httpenv.default.svc.cluster.local.";
    let plain = || question(name, RecordType::A);
    assert!(both(&plain(), POD).0.is_some());
    let mut options = edns(1232, false);
    options.options_mut().insert(EdnsOption::Unknown(10, vec![1; 8]));
    let mut newer = edns(1232, false);
    newer.set_version(1);
    let mut chaos = plain();
    chaos.queries[0].set_query_class(DNSClass::CH);
    let mut two = plain();
    two.add_query(plain().queries[0].clone());
    let with = |edns: Edns| {
        let mut message = plain();
        message.edns = Some(edns);
        message
    };
    let others = [
        ("www.example.com.", RecordType::A),
        ("away.shop.svc.cluster.local.", RecordType::A),
        ("many.shop.svc.cluster.local.", RecordType::A),
        ("_tcp.httpenv.default.svc.cluster.local.", RecordType::A),
        ("web.default.pod.cluster.local.", RecordType::A),
        ("1.1.96.10.in-addr.arpa.", RecordType::PTR),
        ("cluster.local.", RecordType::A),
        ("xcluster.local.", RecordType::A),
        (name, RecordType::SRV),
        (name, RecordType::ANY),
    ];
    let others = others.map(|(name, kind)| question(name, kind));
    for message in [with(options), with(newer), chaos, two].iter().chain(&others) {
        assert_eq!(both(message, POD).0, None, "{message}");
    }
}

#[test]
fn a_pods_search_path_goes_the_long_way() {
    let message = question("httpenv.shop.default.svc.cluster.local.", RecordType::A);
    let (short, long) = both(&message, POD);
    assert_eq!((short, long.answers.len()), (None, 2));
    let (short, long) = both(&message, STRANGER);
    assert_eq!(long.metadata.response_code, ResponseCode::NXDomain);
    assert_eq!(short, Some(long));
}

#[test]
fn a_broken_question_is_refused_and_an_answer_ignored() {
    let index = objects().index().snapshot();
    let mut packet = question("a.", RecordType::A).to_vec().unwrap();
    packet.truncate(14);
    let refused = Message::from_vec(&long_way(&index, &packet, POD).unwrap()).unwrap();
    assert_eq!(refused.metadata.response_code, ResponseCode::FormErr);
    packet[2] |= 0x80;
    assert_eq!(long_way(&index, &packet, POD), None);
    assert_eq!(long_way(&index, &[0; 11], POD), None);
}

proptest! {
    #[test]
    fn any_bytes(packet in proptest::collection::vec(any::<u8>(), 0..100)) {
        short(&Index::default(), &packet, POD);
    }

    #[test]
    fn a_bent_question(at in 0_usize..80, value in any::<u8>(), source in prop_oneof![Just(POD), Just(STRANGER)]) {
        let index = cluster().index().snapshot();
        let mut message = question("httpenv.default.svc.cluster.local.", RecordType::A);
        message.edns = Some(edns(1232, false));
        let mut packet = message.to_vec().unwrap();
        let length = packet.len();
        packet[at % length] = value;
        if let Some(short) = short(&index, &packet, source) {
            let long = long_way(&index, &packet, source).unwrap();
            prop_assert_eq!(Message::from_vec(&short).unwrap(), Message::from_vec(&long).unwrap());
        }
    }
}
