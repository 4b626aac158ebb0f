//! The long way from the bytes of a question to those of its answer: every message that hickory can read.

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
};

use hickory_proto::{
    op::{Header, HeaderCounts, MessageType, Metadata, OpCode, ResponseCode},
    rr::Record,
    serialize::binary::{BinDecodable as _, BinDecoder, BinEncodable as _, BinEncoder},
};
use hickory_server::{
    net::{NetError, runtime::TokioTime, xfer::Protocol},
    server::{Request, RequestHandler as _, ResponseHandler, ResponseInfo},
    zone_handler::{MessageResponse, MessageResponseBuilder, Queries},
};

use crate::handler::{Handler, SMALLEST};

/// The answer to a datagram; `None` for what is no question, such as another server's answer.
pub(crate) async fn answer(handler: Handler, packet: Vec<u8>, from: SocketAddr) -> Option<Vec<u8>> {
    let header = Header::read(&mut BinDecoder::new(&packet)).ok()?;
    if header.metadata.message_type == MessageType::Response {
        return None;
    }
    let encoded = Encoded::default();
    match Request::from_bytes(packet, from, Protocol::Udp) {
        Ok(request) => drop(handler.handle_request::<_, TokioTime>(&request, encoded.clone()).await),
        Err(error) => {
            tracing::debug!(%error, client = %from, "a DNS question cannot be read");
            let queries = Queries::read(&mut BinDecoder::new(&[]), 0).ok()?;
            let refusal = MessageResponseBuilder::new(&queries, None);
            let refusal = refusal.error_msg(&header.metadata, ResponseCode::FormErr);
            encoded.clone().send_response(refusal).await.ok()?;
        }
    }
    Arc::into_inner(encoded.0)?.into_inner()
}

/// Keeps the bytes of what is sent.
#[derive(Clone, Default)]
struct Encoded(Arc<OnceLock<Vec<u8>>>);

#[async_trait::async_trait]
impl ResponseHandler for Encoded {
    async fn send_response<'a>(
        &mut self,
        response: MessageResponse<
            '_,
            'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
        >,
    ) -> Result<ResponseInfo, NetError> {
        let id = response.metadata().id;
        let mut bytes = Vec::with_capacity(usize::from(SMALLEST));
        let mut encoder = BinEncoder::new(&mut bytes);
        encoder.set_max_size(response.edns().map_or(SMALLEST, |edns| edns.max_payload()));
        let info = match response.destructive_emit(&mut encoder) {
            Ok(info) => info,
            Err(error) => {
                tracing::error!(%error, "a DNS answer cannot be encoded");
                bytes.clear();
                failure(id, &mut bytes)?
            }
        };
        // Each request is answered once.
        let _ = self.0.set(bytes);
        Ok(info)
    }
}

fn failure(id: u16, bytes: &mut Vec<u8>) -> Result<ResponseInfo, NetError> {
    let mut metadata = Metadata::new(id, MessageType::Response, OpCode::Query);
    metadata.response_code = ResponseCode::ServFail;
    let header = Header { metadata, counts: HeaderCounts::default() };
    header.emit(&mut BinEncoder::new(bytes))?;
    Ok(ResponseInfo::from(header))
}
