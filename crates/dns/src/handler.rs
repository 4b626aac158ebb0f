//! Between hickory-server and the index: checks the request, answers it, and asks others where needed.

use std::sync::{Arc, atomic::AtomicUsize};

use arc_swap::ArcSwap;
use hickory_proto::{
    op::{Edns, Header, HeaderCounts, LowerQuery, MessageType, Metadata, OpCode, ResponseCode},
    rr::{DNSClass, Name, RData, Record, RecordType, rdata},
};
use hickory_server::{
    net::{runtime::Time, xfer::Protocol},
    server::{Request, RequestHandler, ResponseHandler, ResponseInfo},
    zone_handler::MessageResponseBuilder,
};

use crate::{
    answer::{Answer, Found, Question, View},
    index::Index,
    upstream::Upstream,
    zones::Zones,
};

/// The largest datagram that we send, whatever the client says it takes.
pub(crate) const LARGEST: u16 = 4096;
/// What every client takes (RFC 1035).
pub(crate) const SMALLEST: u16 = 512;

/// Answers requests. Clones share all they have.
#[derive(Clone)]
pub(crate) struct Handler {
    index: Arc<ArcSwap<Index>>,
    zones: Arc<Zones>,
    upstream: Arc<Upstream>,
    turn: Arc<AtomicUsize>,
}

struct Reply {
    answer: Answer,
    ours: bool,
}

impl From<ResponseCode> for Reply {
    fn from(code: ResponseCode) -> Self {
        Self { answer: Answer { code, ..Answer::default() }, ours: false }
    }
}

impl Handler {
    pub(crate) fn new(index: Arc<ArcSwap<Index>>, zones: Zones, upstream: Arc<Upstream>) -> Self {
        Self { index, zones: Arc::new(zones), upstream, turn: Arc::default() }
    }

    /// The index as it is now.
    pub(crate) fn index(&self) -> arc_swap::Guard<Arc<Index>> {
        self.index.load()
    }

    /// Looks at `index`.
    pub(crate) fn view<'a>(&'a self, index: &'a Index) -> View<'a> {
        View { index, zones: &self.zones, turn: &self.turn }
    }

    async fn reply(&self, request: &Request) -> Reply {
        if request.metadata.op_code != OpCode::Query {
            return ResponseCode::NotImp.into();
        }
        if request.edns.as_ref().is_some_and(|edns| edns.version() > 0) {
            return ResponseCode::BADVERS.into();
        }
        let Ok(info) = request.request_info() else { return ResponseCode::FormErr.into() };
        let transfer = matches!(info.query.query_type(), RecordType::AXFR | RecordType::IXFR);
        if info.query.query_class() != DNSClass::IN || transfer {
            return ResponseCode::Refused.into();
        }
        self.lookup(info.query, request).await
    }

    async fn lookup(&self, query: &LowerQuery, request: &Request) -> Reply {
        let (name, kind) = (query.original().name(), query.query_type());
        let source = request.src().ip().to_canonical();
        let found = {
            let index = self.index();
            self.view(&index).find(Question { name, lower: query.name(), kind, source: Some(source) })
        };
        match found {
            Found::Here(answer) => Reply { answer, ours: true },
            Found::Follow { chain, target } => Reply { answer: self.follow(chain, &target, kind).await, ours: true },
            Found::Search { base, missing } => {
                Reply { answer: self.search(name, base, missing, kind).await, ours: true }
            }
            Found::Elsewhere if self.upstream.recognises(query.name()) => ResponseCode::Refused.into(),
            Found::Elsewhere if kind == RecordType::ANY => Reply { answer: any(name, self.zones.ttl), ours: false },
            Found::Elsewhere => Reply { answer: self.upstream.ask(query.name(), kind).await.named(name), ours: false },
        }
    }

    /// The chain, with what its end holds. A client can go on with the chain alone.
    async fn follow(&self, mut chain: Vec<Record>, target: &Name, kind: RecordType) -> Answer {
        let mut answer = self.upstream.ask(target, kind).await;
        if answer.code == ResponseCode::ServFail {
            answer.code = ResponseCode::NoError;
        }
        for record in &mut answer.answers {
            record.ttl = record.ttl.min(self.zones.ttl);
        }
        chain.append(&mut answer.answers);
        Answer { answers: chain, ..answer }
    }

    async fn search(&self, name: &Name, base: Name, missing: Answer, kind: RecordType) -> Answer {
        let within = self.upstream.search().into_iter().filter_map(|domain| base.clone().append_domain(&domain).ok());
        let candidates: Vec<Name> = within.chain([base.clone()]).collect();
        for candidate in candidates.into_iter().filter(|candidate| !self.zones.holds(candidate)) {
            let answer = self.upstream.ask(&candidate, kind).await;
            match answer.code {
                ResponseCode::NXDomain => {}
                ResponseCode::NoError => {
                    let alias = self.zones.record(name, RData::CNAME(rdata::CNAME(candidate)));
                    let answers = std::iter::once(alias).chain(answer.answers).collect();
                    return Answer { answers, ..Answer::default() };
                }
                // The client walks the rest itself and learns of the failure at the bare name.
                _ => return missing,
            }
        }
        missing
    }

    async fn send<R: ResponseHandler>(&self, request: &Request, reply: Reply, mut response: R) -> ResponseInfo {
        let Reply { mut answer, ours } = reply;
        let mut metadata = Metadata::response_from_request(&request.metadata);
        metadata.authoritative = ours;
        metadata.recursion_available = true;
        metadata.response_code = answer.code;
        let limit = request.max_payload().clamp(SMALLEST, LARGEST);
        if request.protocol() == Protocol::Udp {
            metadata.truncation = trim(&mut answer, request, limit);
        }
        let edns = request.edns.as_ref().map(|asked| {
            let mut edns = Edns::new();
            edns.set_max_payload(limit).set_version(0).set_dnssec_ok(asked.flags().dnssec_ok);
            edns
        });
        let mut builder = MessageResponseBuilder::from_message_request(request);
        if let Some(edns) = &edns {
            builder.edns(edns);
        }
        let message = builder.build(metadata, &answer.answers, &answer.authorities, &[], &answer.extra);
        match response.send_response(message).await {
            Ok(info) => info,
            Err(error) => {
                tracing::debug!(%error, client = %request.src(), "a DNS answer could not be sent");
                ResponseInfo::from(Header { metadata, counts: HeaderCounts::default() })
            }
        }
    }
}

impl Answer {
    /// With the owner's name as the client wrote it.
    fn named(mut self, name: &Name) -> Self {
        for record in &mut self.answers {
            if record.name == *name {
                record.name = name.clone();
            }
        }
        self
    }
}

/// RFC 8482: a question for everything gets something small.
fn any(name: &Name, ttl: u32) -> Answer {
    let data = RData::HINFO(rdata::HINFO::new("RFC8482".to_owned(), String::new()));
    Answer { answers: vec![Record::from_rdata(name.clone(), ttl, data)], ..Answer::default() }
}

/// Leaves out address records that cannot fit, so that the OPT record still does. Says whether any was.
fn trim(answer: &mut Answer, request: &Request, limit: u16) -> bool {
    const HEADER: usize = 12;
    const OPT: usize = 11;
    // A compressed owner, type, class, TTL and length.
    const FIXED: usize = 12;
    let mut room = usize::from(limit).saturating_sub(HEADER + OPT + request.queries.as_bytes().len());
    let fits = |record: &Record| {
        let data = match &record.data {
            RData::A(_) => 4,
            RData::AAAA(_) => 16,
            _ => return true,
        };
        let left = room.checked_sub(FIXED + data);
        room = left.unwrap_or_default();
        left.is_some()
    };
    let keep = answer.answers.iter().map(fits).take_while(|fits| *fits).count();
    let cut = keep < answer.answers.len();
    answer.answers.truncate(keep);
    if cut {
        answer.authorities.clear();
        answer.extra.clear();
    }
    cut
}

#[async_trait::async_trait]
impl RequestHandler for Handler {
    async fn handle_request<R: ResponseHandler, T: Time>(&self, request: &Request, response: R) -> ResponseInfo {
        debug_assert_eq!(request.metadata.message_type, MessageType::Query, "hickory-server drops responses");
        let reply = self.reply(request).await;
        self.send(request, reply, response).await
    }
}
