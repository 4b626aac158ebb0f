//! SPDY/3.1's frames, as far as Kubernetes' clients use them.

use bytes::{Buf as _, Bytes, BytesMut};

use super::{
    SpdyError,
    headers::{Deflater, Headers, Inflater},
};

/// Longer control frames are refused.
const LARGEST: usize = 64 << 10;
/// Data is handed on in pieces of at most this, however long its frame is.
const PIECE: usize = 32 << 10;
/// A control frame of version 3.
const CONTROL: u16 = 0x8003;
const FIN: u8 = 1;

const SYN_STREAM: u16 = 1;
const SYN_REPLY: u16 = 2;
const RST_STREAM: u16 = 3;
const PING: u16 = 6;
const GO_AWAY: u16 = 7;
const HEADERS: u16 = 8;

/// What the other end says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    Open { id: u32, headers: Headers, last: bool },
    Data { id: u32, bytes: Bytes, last: bool },
    Reset { id: u32 },
    Ping(u32),
    GoAway,
}

/// Frames from bytes.
#[derive(Debug)]
pub(super) struct Decoder {
    pub(super) buffer: BytesMut,
    inflate: Inflater,
    /// The data frame that is under way: stream, bytes to come, whether it is the stream's last.
    data: Option<(u32, usize, bool)>,
}

impl Decoder {
    pub(super) fn new() -> Self {
        Self { buffer: BytesMut::new(), inflate: Inflater::new(), data: None }
    }

    /// The next frame that is whole; `None` when more bytes are needed.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, SpdyError> {
        loop {
            if let Some((id, left, last)) = self.data {
                return Ok(self.piece(id, left, last));
            }
            let Some(head) = self.buffer.first_chunk::<8>().copied() else { return Ok(None) };
            let flags = head[4];
            let length = u32::from_be_bytes([0, head[5], head[6], head[7]]) as usize;
            let first = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
            if first >> 31 == 0 {
                self.buffer.advance(8);
                self.data = Some((first, length, flags & FIN != 0));
                continue;
            }
            if length > LARGEST {
                return Err(SpdyError::TooLarge);
            }
            if self.buffer.len() < 8 + length {
                return Ok(None);
            }
            self.buffer.advance(8);
            let body = self.buffer.split_to(length).freeze();
            if first >> 16 != u32::from(CONTROL) {
                return Err(SpdyError::Version);
            }
            if let Some(frame) = self.control((first & 0xffff) as u16, flags, &body)? {
                return Ok(Some(frame));
            }
        }
    }

    fn piece(&mut self, id: u32, left: usize, last: bool) -> Option<Frame> {
        let size = left.min(self.buffer.len()).min(PIECE);
        if size == 0 && left > 0 {
            return None;
        }
        let bytes = self.buffer.split_to(size).freeze();
        let left = left - size;
        self.data = (left > 0).then_some((id, left, last));
        Some(Frame::Data { id, bytes, last: last && left == 0 })
    }

    fn control(&mut self, kind: u16, flags: u8, body: &Bytes) -> Result<Option<Frame>, SpdyError> {
        let id = |body: &Bytes| {
            let id = body.first_chunk::<4>().map(|bytes| u32::from_be_bytes(*bytes) & 0x7fff_ffff);
            id.ok_or(SpdyError::Short)
        };
        let last = flags & FIN != 0;
        Ok(match kind {
            SYN_STREAM => {
                let headers = self.inflate.read(body.get(10..).ok_or(SpdyError::Short)?)?;
                Some(Frame::Open { id: id(body)?, headers, last })
            }
            SYN_REPLY | HEADERS => {
                // Of no interest, but they are part of the one compressed stream.
                self.inflate.read(body.get(4..).ok_or(SpdyError::Short)?)?;
                last.then_some(Frame::Data { id: id(body)?, bytes: Bytes::new(), last })
            }
            RST_STREAM => Some(Frame::Reset { id: id(body)? }),
            PING => Some(Frame::Ping(body.first_chunk::<4>().map_or(0, |bytes| u32::from_be_bytes(*bytes)))),
            GO_AWAY => Some(Frame::GoAway),
            // Settings and windows: clients of Kubernetes keep none.
            _ => None,
        })
    }
}

/// A data frame's head.
pub(super) fn data(id: u32, length: usize, last: bool) -> [u8; 8] {
    let mut head = [0; 8];
    head[..4].copy_from_slice(&(id & 0x7fff_ffff).to_be_bytes());
    head[4..].copy_from_slice(&(u32::try_from(length).unwrap_or_default() & 0x00ff_ffff).to_be_bytes());
    head[4] = if last { FIN } else { 0 };
    head
}

fn control(kind: u16, body: &[u8]) -> Vec<u8> {
    let mut frame = CONTROL.to_be_bytes().to_vec();
    frame.extend_from_slice(&kind.to_be_bytes());
    frame.extend_from_slice(&u32::try_from(body.len()).unwrap_or_default().to_be_bytes());
    frame.extend_from_slice(body);
    frame
}

/// Welcomes a stream.
pub(super) fn accept(id: u32, deflate: &mut Deflater) -> Result<Vec<u8>, SpdyError> {
    let mut body = id.to_be_bytes().to_vec();
    body.extend_from_slice(&deflate.write(&[])?);
    Ok(control(SYN_REPLY, &body))
}

/// Refuses a stream.
pub(super) fn refuse(id: u32) -> Vec<u8> {
    let refused = 3_u32;
    control(RST_STREAM, &[id.to_be_bytes(), refused.to_be_bytes()].concat())
}

pub(super) fn pong(id: u32) -> Vec<u8> {
    control(PING, &id.to_be_bytes())
}

/// Says that the connection is at its end.
pub(super) fn go_away(last: u32) -> Vec<u8> {
    control(GO_AWAY, &[last.to_be_bytes(), [0; 4]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn open(id: u32, deflate: &mut Deflater) -> Vec<u8> {
        let mut body = id.to_be_bytes().to_vec();
        body.extend_from_slice(&[0; 6]);
        body.extend_from_slice(&deflate.write(&[("streamType", "stdin")]).unwrap());
        control(SYN_STREAM, &body)
    }

    fn decode(bytes: &[u8], at_once: usize) -> Vec<Frame> {
        let (mut decoder, mut frames) = (Decoder::new(), Vec::new());
        for piece in bytes.chunks(at_once.max(1)) {
            decoder.buffer.extend_from_slice(piece);
            while let Some(frame) = decoder.next().unwrap() {
                frames.push(frame);
            }
        }
        frames
    }

    #[test]
    fn frames_come_out_as_they_went_in() {
        let mut deflate = Deflater::new().unwrap();
        let mut wire = open(1, &mut deflate);
        wire.extend_from_slice(&open(3, &mut deflate));
        wire.extend_from_slice(&data(1, 5, false));
        wire.extend_from_slice(b"hello");
        wire.extend_from_slice(&data(3, 0, true));
        wire.extend_from_slice(&pong(7));
        wire.extend_from_slice(&control(4, &[0; 12]));
        wire.extend_from_slice(&refuse(3));
        wire.extend_from_slice(&go_away(3));
        let headers = || vec![("streamtype".to_owned(), "stdin".to_owned())];
        let frames = decode(&wire, wire.len());
        assert_eq!(
            frames,
            [
                Frame::Open { id: 1, headers: headers(), last: false },
                Frame::Open { id: 3, headers: headers(), last: false },
                Frame::Data { id: 1, bytes: Bytes::from_static(b"hello"), last: false },
                Frame::Data { id: 3, bytes: Bytes::new(), last: true },
                Frame::Ping(7),
                Frame::Reset { id: 3 },
                Frame::GoAway,
            ]
        );
    }

    #[test]
    fn long_data_comes_in_pieces() {
        let mut wire = data(5, 100_000, true).to_vec();
        wire.resize(8 + 100_000, b'x');
        let frames = decode(&wire, 10_000);
        let (mut total, mut ends) = (0, 0);
        for frame in frames {
            let Frame::Data { id: 5, bytes, last } = frame else { panic!("{frame:?}") };
            total += bytes.len();
            ends += usize::from(last);
        }
        assert_eq!((total, ends), (100_000, 1));
    }

    #[test]
    fn nonsense_is_refused() {
        let mut decoder = Decoder::new();
        decoder.buffer.extend_from_slice(&[0x80, 2, 0, 6, 0, 0, 0, 4, 0, 0, 0, 1]);
        assert!(matches!(decoder.next(), Err(SpdyError::Version)));
        let mut decoder = Decoder::new();
        decoder.buffer.extend_from_slice(&[0x80, 3, 0, 1, 0, 0xff, 0, 0]);
        assert!(matches!(decoder.next(), Err(SpdyError::TooLarge)));
        let mut decoder = Decoder::new();
        decoder.buffer.extend_from_slice(&control(SYN_STREAM, &[0; 3]));
        assert!(matches!(decoder.next(), Err(SpdyError::Short)));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let mut decoder = Decoder::new();
            decoder.buffer.extend_from_slice(&bytes);
            while let Ok(Some(_)) = decoder.next() {}
        }

        #[test]
        fn no_control_frame_makes_it_panic(kind in 0..12_u16, flags: u8, body: Vec<u8>) {
            let mut frame = control(kind, &body);
            frame[4] = flags;
            let mut decoder = Decoder::new();
            decoder.buffer.extend_from_slice(&frame);
            while let Ok(Some(_)) = decoder.next() {}
        }

        #[test]
        fn it_matters_not_where_the_bytes_are_cut(cut in 1..40_usize) {
            let mut deflate = Deflater::new().unwrap();
            let mut wire = open(1, &mut deflate);
            wire.extend_from_slice(&data(1, 5, true));
            wire.extend_from_slice(b"hello");
            let mut text = Vec::new();
            for frame in decode(&wire, cut) {
                if let Frame::Data { bytes, .. } = frame { text.extend_from_slice(&bytes); }
            }
            prop_assert_eq!(text, b"hello");
        }
    }
}
