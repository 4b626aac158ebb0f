//! Arbitrary packets: the handler answers or keeps silent, and never panics.

use std::{net::SocketAddr, sync::Arc};

use arc_swap::ArcSwap;
use hickory_proto::{
    op::{Message, OpCode, Query, ResponseCode},
    rr::{DNSClass, Name, RecordType},
};
use proptest::prelude::*;

use super::objects::cluster;
use crate::{Config, Upstreams, handler::Handler, long, upstream::Upstream, zones::Zones};

fn handler() -> Handler {
    let index = Arc::new(ArcSwap::from_pointee(cluster().index().snapshot()));
    let upstream = Upstream::new(Upstreams::Servers(Vec::new()), Vec::new());
    Handler::new(index, Zones::new(&Config::default()).unwrap(), Arc::new(upstream))
}

async fn handle(handler: &Handler, packet: Vec<u8>) -> Option<ResponseCode> {
    let answer = long::answer(handler.clone(), packet, SocketAddr::from(([10, 1, 0, 5], 4000))).await?;
    Some(Message::from_vec(&answer).unwrap().metadata.response_code)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

proptest! {
    #[test]
    fn any_bytes(packet in proptest::collection::vec(any::<u8>(), 0..600)) {
        runtime().block_on(handle(&handler(), packet));
    }

    #[test]
    fn any_name_and_type(
        labels in proptest::collection::vec("[a-zA-Z0-9_.-]{1,12}|svc|pod|default|shop|db|httpenv|arpa|10|1", 0..9),
        zone in prop_oneof![Just("cluster.local."), Just("localhost."), Just("in-addr.arpa."), Just("ip6.arpa."), Just(".")],
        kind in any::<u16>(),
    ) {
        let mut name = Name::from_labels(labels.iter().map(|label| label.as_bytes())).unwrap();
        name = name.append_domain(&Name::from_ascii(zone).unwrap()).unwrap();
        let mut message = Message::query();
        message.add_query(Query::query(name, RecordType::from(kind)));
        let code = runtime().block_on(handle(&handler(), message.to_vec().unwrap()));
        prop_assert!(code.is_some());
    }

    #[test]
    fn a_bent_query(at in 0_usize..60, value in any::<u8>()) {
        let mut message = Message::query();
        message.add_query(Query::query(Name::from_ascii("httpenv.default.svc.cluster.local.").unwrap(), RecordType::A));
        let mut packet = message.to_vec().unwrap();
        let length = packet.len();
        packet[at % length] = value;
        runtime().block_on(handle(&handler(), packet));
    }
}

#[tokio::test]
async fn requests_that_are_not_for_us_are_refused() {
    let handler = handler();
    let name = Name::from_ascii("httpenv.default.svc.cluster.local.").unwrap();
    let query = |kind| Query::query(name.clone(), kind);
    let mut chaos = query(RecordType::TXT);
    chaos.set_query_class(DNSClass::CH);
    let mut two = Message::query();
    two.add_query(query(RecordType::A)).add_query(query(RecordType::A));
    let mut update = Message::new(1, hickory_proto::op::MessageType::Query, OpCode::Notify);
    update.add_query(query(RecordType::SOA));
    let mut newer = Message::query();
    newer.add_query(query(RecordType::A));
    let mut edns = hickory_proto::op::Edns::new();
    edns.set_version(1);
    newer.set_edns(edns);
    let of = |query: Query| {
        let mut message = Message::query();
        message.add_query(query);
        message
    };
    for (message, code) in [
        (of(chaos), ResponseCode::Refused),
        (of(query(RecordType::AXFR)), ResponseCode::Refused),
        (two, ResponseCode::FormErr),
        (update, ResponseCode::NotImp),
        (newer, ResponseCode::BADVERS),
        (of(Query::query(Name::from_ascii("example.com.").unwrap(), RecordType::A)), ResponseCode::ServFail),
    ] {
        // By number: 16 has two names.
        let answered = handle(&handler, message.to_vec().unwrap()).await.map(u16::from);
        assert_eq!(answered, Some(u16::from(code)), "{code}");
    }
}
