//! Commits to the kernel.

use std::time::Duration;

use super::{
    Data, Element, Op, Value,
    encode::{Encoder, FAMILY, GET_ELEMENTS, GET_TABLE, NEW_ELEMENTS, NEW_TABLE, SUBSYSTEM},
};
use crate::netlink::{ACK, Attributes, Error, Message, Protocol, Socket, attributes};

/// Something that operations can be committed to.
pub trait Tables {
    /// Applies all of `ops`, or nothing.
    ///
    /// # Errors
    /// When an operation is refused.
    fn commit(&mut self, ops: &[Op]) -> Result<(), Error>;
}

/// A table in the network namespace of the thread that opened it.
#[derive(Debug)]
pub struct Kernel {
    socket: Socket,
    table: String,
}

/// Room for tens of thousands of elements in one batch, and for their refusals.
const BUFFERS: usize = 64 << 20;

impl Kernel {
    /// Opens the table of that name in the `inet` family; it need not exist.
    ///
    /// # Errors
    /// When there is no socket to be had, or no right to large buffers.
    pub fn open(table: &str) -> Result<Self, Error> {
        let socket = Socket::open(Protocol::Netfilter)?;
        socket.force_buffers(BUFFERS)?;
        Ok(Self { socket, table: table.to_owned() })
    }

    /// The port that our changes carry, for [`super::Monitor`] to leave them out.
    #[must_use]
    pub fn port(&self) -> u32 {
        self.socket.port()
    }

    /// Whether the table exists.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub fn exists(&mut self) -> Result<bool, Error> {
        let (table, mut found) = (self.table.clone(), false);
        self.socket.dump(
            SUBSYSTEM | GET_TABLE,
            |w| w.raw(&FAMILY),
            |message| {
                found |= message.kind == SUBSYSTEM | NEW_TABLE
                    && message
                        .payload
                        .get(4..)
                        .and_then(|body| attributes(body).find(1))
                        .is_some_and(|name| is(name, &table));
            },
        )?;
        Ok(found)
    }

    /// The elements of a map, with what is left of their time: for maps that rules fill.
    ///
    /// # Errors
    /// When there is no such map.
    pub fn elements(&mut self, map: &str) -> Result<Vec<Element>, Error> {
        let (table, mut found) = (self.table.clone(), Vec::new());
        self.socket.dump(
            SUBSYSTEM | GET_ELEMENTS,
            |w| {
                w.raw(&FAMILY);
                w.text(1, &table);
                w.text(2, map);
            },
            |message| parse_elements(message, &mut found),
        )?;
        Ok(found)
    }

    /// Reads the answers to the batch from `first` to before `end`, which are all there when sending returns.
    fn answers(&mut self, first: u32, end: u32, last: u32) -> Result<(), Error> {
        let (mut acknowledged, mut refused) = (false, None);
        let count = end.wrapping_sub(first);
        while self.socket.receive(false, |message| {
            let place = message.sequence.wrapping_sub(first);
            if place >= count {
                return;
            }
            match crate::netlink::refusal(message, place.saturating_sub(1) as usize) {
                Some(error) => {
                    refused.get_or_insert(error);
                }
                None => acknowledged |= message.sequence == last,
            }
        })? {}
        match refused {
            Some(error) => Err(error),
            None if acknowledged => Ok(()),
            None => Err(Error::Silent { index: last.wrapping_sub(first) as usize }),
        }
    }
}

impl Tables for Kernel {
    fn commit(&mut self, ops: &[Op]) -> Result<(), Error> {
        let first = self.socket.next_sequence();
        let mut encoder = Encoder::new(&self.table, first);
        ops.iter().for_each(|op| encoder.op(op));
        if encoder.last == 0 {
            return Ok(());
        }
        let last = encoder.sequence().wrapping_sub(1);
        encoder.finish();
        let end = encoder.sequence();
        let at = encoder.last;
        encoder.writer.set_flags(at, ACK);
        self.socket.skip_to(end);
        self.socket.send(encoder.writer.bytes())?;
        self.answers(first, end, last)
    }
}

/// Whether a text attribute says `text`.
pub(super) fn is(attribute: &[u8], text: &str) -> bool {
    attribute.strip_suffix(&[0]).unwrap_or(attribute) == text.as_bytes()
}

fn parse_elements(message: &Message<'_>, found: &mut Vec<Element>) {
    let Some(body) = message.payload.get(4..).filter(|_| message.kind == SUBSYSTEM | NEW_ELEMENTS) else { return };
    let Some(list) = attributes(body).find(3) else { return };
    found.extend(attributes(list).filter_map(|(_, element)| parse_element(&attributes(element))));
}

fn parse_element(element: &Attributes<'_>) -> Option<Element> {
    let data = |kind| attributes(element.find(kind)?).find(1).and_then(Data::from_bytes);
    let time = |kind| element.find(kind)?.first_chunk().map(|ms| Duration::from_millis(u64::from_be_bytes(*ms)));
    let left = time(5);
    Some(Element { key: data(1)?, end: data(10), value: data(2).map(Value::Data), expiry: time(4).or(left).zip(left) })
}
