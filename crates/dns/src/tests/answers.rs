//! What each kind of name answers: no sockets.

use std::{net::IpAddr, sync::Arc, sync::atomic::AtomicUsize};

use hickory_proto::{
    op::ResponseCode,
    rr::{Name, RecordType},
};

use super::objects::{cluster, endpoint, namespace, pod, service, slice};
use crate::{
    Config,
    answer::{Answer, Found, Question, View},
    index::{Index, Writer},
    zones::Zones,
};

fn find(index: &Index, name: &str, kind: RecordType, source: Option<&str>) -> Found {
    let zones = Zones::new(&Config::default()).unwrap();
    let name = Name::from_ascii(name).unwrap();
    let view = View { index, zones: &zones, turn: &AtomicUsize::new(0) };
    let source = source.map(|address| address.parse().unwrap());
    view.find(Question { name: &name, lower: &name.to_lowercase(), kind, source })
}

fn here(found: Found) -> Answer {
    match found {
        Found::Here(answer) => answer,
        other => panic!("not answered here: {other:?}"),
    }
}

/// Answers as `type data`, sorted; or the code where there are none.
fn ask(name: &str, kind: RecordType) -> Vec<String> {
    shown(&here(find(&cluster().index().snapshot(), name, kind, None)))
}

fn shown(answer: &Answer) -> Vec<String> {
    if answer.answers.is_empty() {
        assert_eq!(answer.authorities.len(), 1, "a negative answer has an SOA record");
        return vec![if answer.code == ResponseCode::NoError { "NODATA".to_owned() } else { answer.code.to_string() }];
    }
    let mut shown: Vec<String> =
        answer.answers.iter().map(|record| format!("{} {}", record.record_type(), record.data)).collect();
    shown.sort();
    shown
}

const NXDOMAIN: [&str; 1] = ["Non-Existent Domain"];

#[test]
fn a_service_has_its_address_and_nothing_else() {
    assert_eq!(ask("httpenv.default.svc.cluster.local.", RecordType::A), ["A 10.96.1.1"]);
    assert_eq!(ask("httpenv.shop.svc.cluster.local.", RecordType::A), ["A 10.96.1.2"]);
    assert_eq!(ask("httpenv.default.svc.cluster.local.", RecordType::AAAA), ["NODATA"]);
    assert_eq!(ask("httpenv.default.svc.cluster.local.", RecordType::MX), ["NODATA"]);
    assert_eq!(ask("nobody.default.svc.cluster.local.", RecordType::A), NXDOMAIN);
    assert_eq!(ask("a.b.c.httpenv.default.svc.cluster.local.", RecordType::A), NXDOMAIN);
    assert_eq!(ask("10-1-0-5.httpenv.default.svc.cluster.local.", RecordType::A), ["A 10.1.0.5"]);
}

#[test]
fn case_does_not_matter_and_is_kept() {
    let index = cluster().index().snapshot();
    let answer = here(find(&index, "HttpEnv.DEFAULT.svc.Cluster.Local.", RecordType::A, None));
    assert_eq!(answer.answers[0].name.to_ascii(), "HttpEnv.DEFAULT.svc.Cluster.Local.");
    assert_eq!(answer.answers[0].ttl, 5);
}

#[test]
fn empty_names_exist_and_others_do_not() {
    for name in ["cluster.local.", "svc.cluster.local.", "shop.svc.cluster.local.", "shop.pod.cluster.local."] {
        assert_eq!(ask(name, RecordType::A), ["NODATA"], "{name}");
    }
    assert_eq!(ask("nowhere.svc.cluster.local.", RecordType::A), NXDOMAIN);
    assert_eq!(ask("other.cluster.local.", RecordType::A), NXDOMAIN);
    assert_eq!(ask("dns-version.cluster.local.", RecordType::TXT), ["TXT 1.1.0"]);
    assert_eq!(ask("cluster.local.", RecordType::NS), ["NS ns.dns.cluster.local."]);
    assert_eq!(ask("ns.dns.cluster.local.", RecordType::A), ["A 10.96.0.10"]);
    assert_eq!(ask("_tcp.httpenv.default.svc.cluster.local.", RecordType::SRV), ["NODATA"]);
    assert_eq!(ask("_udp.httpenv.default.svc.cluster.local.", RecordType::SRV), NXDOMAIN);
}

#[test]
fn named_ports_have_srv_records() {
    let name = "_http._tcp.httpenv.default.svc.cluster.local.";
    assert_eq!(ask(name, RecordType::SRV), ["SRV 0 100 8888 httpenv.default.svc.cluster.local."]);
    assert_eq!(ask(name, RecordType::A), ["NODATA"]);
    assert_eq!(ask("_http._udp.httpenv.default.svc.cluster.local.", RecordType::SRV), NXDOMAIN);
    let index = cluster().index().snapshot();
    let answer = here(find(&index, "_http._tcp.db.shop.svc.cluster.local.", RecordType::SRV, None));
    assert_eq!(
        shown(&answer),
        ["SRV 0 50 8888 10-1-0-12.db.shop.svc.cluster.local.", "SRV 0 50 8888 db-0.db.shop.svc.cluster.local."]
    );
    assert_eq!(answer.extra.len(), 2, "the targets' addresses come along");
}

#[test]
fn a_headless_service_is_its_ready_endpoints() {
    assert_eq!(ask("db.shop.svc.cluster.local.", RecordType::A), ["A 10.1.0.11", "A 10.1.0.12"]);
    assert_eq!(ask("db-0.db.shop.svc.cluster.local.", RecordType::A), ["A 10.1.0.11"]);
    assert_eq!(ask("10-1-0-12.db.shop.svc.cluster.local.", RecordType::A), ["A 10.1.0.12"]);
    assert_eq!(ask("10-1-0-11.db.shop.svc.cluster.local.", RecordType::A), NXDOMAIN);
    assert_eq!(ask("10-1-0-13.db.shop.svc.cluster.local.", RecordType::A), NXDOMAIN);
    assert_eq!(ask("empty.shop.svc.cluster.local.", RecordType::A), NXDOMAIN);
}

#[test]
fn reverse_names_lead_back() {
    let ptr = |name| ask(name, RecordType::PTR);
    assert_eq!(ptr("1.1.96.10.in-addr.arpa."), ["PTR httpenv.default.svc.cluster.local."]);
    assert_eq!(ptr("11.0.1.10.in-addr.arpa."), ["PTR db-0.db.shop.svc.cluster.local."]);
    assert_eq!(ptr("12.0.1.10.in-addr.arpa."), ["PTR 10-1-0-12.db.shop.svc.cluster.local."]);
    assert_eq!(ptr("99.0.1.10.in-addr.arpa."), NXDOMAIN);
    assert_eq!(ptr("0.1.10.in-addr.arpa."), ["NODATA"]);
    assert_eq!(ptr("x.1.1.96.10.in-addr.arpa."), NXDOMAIN);
    assert_eq!(find(&Index::default(), "1.0.0.10.in-addr.arpa.", RecordType::PTR, None), Found::Elsewhere);
}

#[test]
fn pods_are_known_by_address_in_their_namespace() {
    assert_eq!(ask("10-1-0-5.default.pod.cluster.local.", RecordType::A), ["A 10.1.0.5"]);
    assert_eq!(ask("10-1-0-5.shop.pod.cluster.local.", RecordType::A), NXDOMAIN);
    assert_eq!(ask("web.default.pod.cluster.local.", RecordType::A), NXDOMAIN);
}

#[test]
fn external_names_are_aliases() {
    let index = cluster().index().snapshot();
    let Found::Follow { chain, target } = find(&index, "away.shop.svc.cluster.local.", RecordType::A, None) else {
        panic!("the alias leads out of our zones");
    };
    assert_eq!((chain.len(), target.to_ascii().as_str()), (1, "www.example.com."));
    assert_eq!(ask("away.shop.svc.cluster.local.", RecordType::CNAME), ["CNAME www.example.com."]);
    let inside = ask("alias.shop.svc.cluster.local.", RecordType::A);
    assert_eq!(inside, ["A 10.96.1.1", "CNAME httpenv.default.svc.cluster.local."]);
    assert_eq!(ask("x.away.shop.svc.cluster.local.", RecordType::A), NXDOMAIN);
    assert_eq!(ask("_http._tcp.away.shop.svc.cluster.local.", RecordType::SRV), NXDOMAIN);
    let round = here(find(&index, "round.shop.svc.cluster.local.", RecordType::A, None));
    assert_eq!(round.code, ResponseCode::ServFail);
}

#[test]
fn loopback_names_are_ours() {
    assert_eq!(ask("httpenv.default.localhost.", RecordType::A), ["A 127.0.0.1"]);
    assert_eq!(ask("httpenv.default.localhost.", RecordType::AAAA), ["AAAA ::1"]);
    assert_eq!(ask("httpenv.shop.localhost.", RecordType::A), ["A 127.0.0.2"]);
    assert_eq!(ask("localhost.", RecordType::A), ["A 127.0.0.1"]);
    assert_eq!(ask("kubernetes.default.localhost.", RecordType::A), NXDOMAIN);
}

#[test]
fn the_search_path_of_a_pod_is_walked_for_it() {
    let index = cluster().index().snapshot();
    let from_web = |name: &str| find(&index, name, RecordType::A, Some("10.1.0.5"));
    let walked = shown(&here(from_web("httpenv.shop.default.svc.cluster.local.")));
    assert_eq!(walked, ["A 10.96.1.2", "CNAME httpenv.shop.svc.cluster.local."]);
    let walked = shown(&here(from_web("httpenv.shop.svc.default.svc.cluster.local.")));
    assert_eq!(walked, ["A 10.96.1.2", "CNAME httpenv.shop.svc.cluster.local."]);
    let walked = shown(&here(from_web("httpenv.shop.svc.cluster.local.default.svc.cluster.local.")));
    assert_eq!(walked, ["A 10.96.1.2", "CNAME httpenv.shop.svc.cluster.local."]);
    let Found::Search { base, missing } = from_web("www.example.com.default.svc.cluster.local.") else {
        panic!("the bare name has to be asked of others");
    };
    assert_eq!((base.to_ascii().as_str(), missing.code), ("www.example.com.", ResponseCode::NXDomain));
    let other = find(&index, "www.example.com.shop.svc.cluster.local.", RecordType::A, Some("10.1.0.5"));
    assert_eq!(here(other).code, ResponseCode::NXDomain, "not the pod's own search path");
    let unknown = find(&index, "www.example.com.default.svc.cluster.local.", RecordType::A, Some("10.9.9.9"));
    assert_eq!(here(unknown).code, ResponseCode::NXDomain);
}

#[test]
fn addresses_take_turns() {
    let index = cluster().index().snapshot();
    let zones = Zones::new(&Config::default()).unwrap();
    let name = Name::from_ascii("db.shop.svc.cluster.local.").unwrap();
    let turn = AtomicUsize::new(0);
    let view = View { index: &index, zones: &zones, turn: &turn };
    let first = || {
        let found = view.find(Question { name: &name, lower: &name, kind: RecordType::A, source: None });
        here(found).answers[0].data.ip_addr()
    };
    let (one, two): (Option<IpAddr>, Option<IpAddr>) = (first(), first());
    assert_ne!(one, two);
}

#[test]
fn changes_are_seen_and_undone() {
    let mut writer = cluster().index();
    let mut again = cluster().index();
    let before = writer.snapshot();
    let moved = service("shop", "away", "www.example.org", None);
    writer.service(Arc::new(moved));
    writer.remove_service(&service("default", "httpenv", "10.96.1.1", None));
    writer.slice(Arc::new(slice("shop", "db", vec![endpoint("10.1.0.12", Some("db-1"), true)], Some(("http", 8888)))));
    writer.remove_pod(&pod("default", "web", "10.1.0.5"));
    writer.pod(&pod("default", "next", "10.1.0.5"));
    writer.remove_pod(&pod("default", "web", "10.1.0.5"));
    writer.remove_namespace(&namespace("kube-system"));
    let after = writer.snapshot();
    let show = |name, kind| shown(&here(find(&after, name, kind, None)));
    assert_eq!(show("away.shop.svc.cluster.local.", RecordType::CNAME), ["CNAME www.example.org."]);
    assert_eq!(show("httpenv.default.svc.cluster.local.", RecordType::A), NXDOMAIN);
    assert_eq!(show("1.1.96.10.in-addr.arpa.", RecordType::PTR), NXDOMAIN);
    assert_eq!(show("11.0.1.10.in-addr.arpa.", RecordType::PTR), NXDOMAIN);
    assert_eq!(show("12.0.1.10.in-addr.arpa.", RecordType::PTR), ["PTR db-1.db.shop.svc.cluster.local."]);
    assert_eq!(show("10-1-0-5.default.pod.cluster.local.", RecordType::A), ["A 10.1.0.5"]);
    assert!(!after.has_namespace(b"kube-system"));
    assert_eq!(before.serial + 1, after.serial);
    // The older snapshot is as it was.
    assert!(before.has_namespace(b"kube-system"));
    let old = again.snapshot();
    assert_eq!(
        find(&before, "httpenv.default.svc.cluster.local.", RecordType::A, None),
        find(&old, "httpenv.default.svc.cluster.local.", RecordType::A, None)
    );
}

/// With 10,000 services, one change costs far less than all of them.
#[test]
fn a_change_costs_what_it_changed() {
    let mut writer = Writer::default();
    for n in 0..10_000_u32 {
        let name = format!("s{n}");
        writer.service(Arc::new(service("default", &name, &format!("10.97.{}.{}", n / 256, n % 256), None)));
        let address = format!("10.1.{}.{}", n / 256, n % 256);
        writer.slice(Arc::new(slice("default", &name, vec![endpoint(&address, None, true)], Some(("http", 80)))));
    }
    let start = std::time::Instant::now();
    let all = writer.snapshot();
    let building = start.elapsed();
    assert!(all.service(b"s9999", b"default").is_some());
    let start = std::time::Instant::now();
    for n in 0..100 {
        writer.slice(Arc::new(slice("default", "s1", vec![endpoint(&format!("10.1.200.{n}"), None, true)], None)));
        writer.snapshot();
    }
    let changing = start.elapsed() / 100;
    assert!(changing * 50 < building, "one change took {changing:?}, all took {building:?}");
}
