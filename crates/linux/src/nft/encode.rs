//! Operations in the form that nfnetlink wants.

use super::types::{
    Base, Chain, CtKey, Element, Expr, HookKind, Map, MapValue, Meta, Op, Register, Rejection, Rule, Side, Value,
    Verdict,
};
use super::{Data, Kind};
use crate::netlink::{APPEND, CREATE, EXCLUSIVE, REQUEST, Writer};

pub(super) const SUBSYSTEM: u16 = 10 << 8;
pub(super) const NEW_TABLE: u16 = 0;
pub(super) const GET_TABLE: u16 = 1;
const DELETE_TABLE: u16 = 2;
const NEW_CHAIN: u16 = 3;
const NEW_RULE: u16 = 6;
const NEW_SET: u16 = 9;
pub(super) const NEW_ELEMENTS: u16 = 12;
pub(super) const GET_ELEMENTS: u16 = 13;
pub(super) const DELETE_ELEMENTS: u16 = 14;
const BATCH_BEGIN: u16 = 16;
const BATCH_END: u16 = 17;

/// `inet`: IPv4 and IPv6.
pub(super) const FAMILY: [u8; 4] = [1, 0, 0, 0];
/// A nest's length is 16 bits wide: elements of a message must end well before.
const MESSAGE_LIMIT: usize = 48 * 1024;
/// The register whose content decides the packet.
const VERDICT_REGISTER: u32 = 0;

/// Writes one batch.
pub(super) struct Encoder<'a> {
    pub(super) writer: Writer,
    table: &'a str,
    sequence: u32,
    /// Where the last operation's message starts.
    pub(super) last: usize,
    set_id: u32,
}

impl<'a> Encoder<'a> {
    pub(super) fn new(table: &'a str, first: u32) -> Self {
        let mut encoder = Self { writer: Writer::new(), table, sequence: first, last: 0, set_id: 0 };
        encoder.border(BATCH_BEGIN);
        encoder
    }

    /// The sequence number of the next message.
    pub(super) fn sequence(&self) -> u32 {
        self.sequence
    }

    fn border(&mut self, kind: u16) {
        // The border names the subsystem (10) in its last two bytes.
        self.writer.message(kind, REQUEST, self.sequence, |w| w.raw(&[0, 0, 0, 10]));
        self.sequence = self.sequence.wrapping_add(1);
    }

    pub(super) fn finish(&mut self) {
        self.border(BATCH_END);
    }

    fn message(&mut self, kind: u16, flags: u16, body: impl FnOnce(&mut Writer)) {
        self.last = self.writer.len();
        self.writer.message(SUBSYSTEM | kind, REQUEST | flags, self.sequence, |w| {
            w.raw(&FAMILY);
            body(w);
        });
        self.sequence = self.sequence.wrapping_add(1);
    }

    pub(super) fn op(&mut self, op: &Op) {
        let table = self.table;
        match op {
            Op::AddTable => self.message(NEW_TABLE, CREATE, |w| w.text(1, table)),
            Op::DeleteTable => self.message(DELETE_TABLE, 0, |w| w.text(1, table)),
            Op::AddMap(map) => {
                self.set_id += 1;
                let id = self.set_id;
                self.message(NEW_SET, CREATE, |w| write_map(w, table, map, id));
            }
            Op::AddChain(chain) => self.message(NEW_CHAIN, CREATE, |w| write_chain(w, table, chain)),
            Op::AddRule(rule) => self.message(NEW_RULE, CREATE | APPEND, |w| write_rule(w, table, rule)),
            Op::Add(map, elements) => self.elements(NEW_ELEMENTS, CREATE | EXCLUSIVE, map, elements),
            Op::Remove(map, elements) => self.elements(DELETE_ELEMENTS, 0, map, elements),
        }
    }

    fn elements(&mut self, kind: u16, flags: u16, map: &str, elements: &[Element]) {
        let (table, mut rest) = (self.table, elements);
        while !rest.is_empty() {
            let mut taken = 0;
            self.message(kind, flags, |w| {
                w.text(1, table);
                w.text(2, map);
                w.nest(3, |w| {
                    let start = w.len();
                    for element in rest {
                        write_element(w, element, kind == NEW_ELEMENTS);
                        taken += 1;
                        if w.len() - start > MESSAGE_LIMIT {
                            break;
                        }
                    }
                });
            });
            rest = &rest[taken..];
        }
    }
}

fn write_map(w: &mut Writer, table: &str, map: &Map, id: u32) {
    const MAP: u32 = 0x8;
    const INTERVAL: u32 = 0x4;
    const TIMEOUT: u32 = 0x10;
    const EVAL: u32 = 0x20;
    const CONCAT: u32 = 0x80;
    let mut flags = 0;
    flags |= if map.value == MapValue::None { 0 } else { MAP };
    flags |= if map.ranges { INTERVAL } else { 0 };
    flags |= if map.ranges && map.key.len() > 1 { CONCAT } else { 0 };
    flags |= if map.dynamic { TIMEOUT | EVAL } else { 0 };
    w.text(1, table);
    w.text(2, map.name);
    w.number_be(3, flags);
    w.number_be(4, type_of(map.key));
    w.number_be(5, width(map.key));
    match map.value {
        MapValue::None => {}
        MapValue::Data(fields) => {
            w.number_be(6, type_of(fields));
            w.number_be(7, width(fields));
        }
        MapValue::Verdict => w.number_be(6, 0xffff_ff00),
    }
    w.number_be(10, id);
    if map.ranges && map.key.len() > 1 {
        w.nest(9, |w| {
            w.nest(2, |w| map.key.iter().for_each(|field| w.nest(1, |w| w.number_be(1, field.width()))));
        });
    }
}

fn type_of(fields: &[Kind]) -> u32 {
    fields.iter().fold(0, |id, field| (id << 6) | field.id())
}

fn width(fields: &[Kind]) -> u32 {
    fields.iter().map(|_| 4).sum()
}

fn write_chain(w: &mut Writer, table: &str, chain: &Chain) {
    w.text(1, table);
    w.text(3, &chain.name);
    if let Some(hook) = chain.hook {
        w.nest(4, |w| {
            w.number_be(1, hook.point as u32);
            w.attr(2, &hook.priority.to_be_bytes());
        });
        w.text(7, if hook.kind == HookKind::Nat { "nat" } else { "filter" });
    }
}

fn write_rule(w: &mut Writer, table: &str, rule: &Rule) {
    w.text(1, table);
    w.text(2, &rule.chain);
    w.nest(4, |w| rule.steps.iter().for_each(|step| write_expr(w, step)));
}

fn write_element(w: &mut Writer, element: &Element, whole: bool) {
    w.nest(1, |w| {
        w.nest(1, |w| w.attr(1, element.key.bytes()));
        if let Some(end) = &element.end {
            w.nest(10, |w| w.attr(1, end.bytes()));
        }
        if !whole {
            return;
        }
        match &element.value {
            None => {}
            Some(Value::Data(data)) => w.nest(2, |w| w.attr(1, data.bytes())),
            Some(Value::Verdict(verdict)) => w.nest(2, |w| write_verdict(w, verdict)),
        }
        if let Some((timeout, left)) = element.expiry {
            w.attr(4, &milliseconds(timeout).to_be_bytes());
            w.attr(5, &milliseconds(left).to_be_bytes());
        }
    });
}

fn milliseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn write_verdict(w: &mut Writer, verdict: &Verdict) {
    let (code, chain) = match verdict {
        Verdict::Accept => (1, None),
        Verdict::Drop => (0, None),
        Verdict::Return => (-5, None),
        Verdict::Jump(chain) => (-3, Some(chain)),
        Verdict::Goto(chain) => (-4, Some(chain)),
    };
    w.nest(2, |w| {
        w.attr(1, &i32::to_be_bytes(code));
        if let Some(chain) = chain {
            w.text(2, chain);
        }
    });
}

/// The number of a 32-bit register.
fn number(register: Register) -> u32 {
    8 + u32::from(register)
}

fn write_expr(w: &mut Writer, expr: &Expr) {
    match expr {
        Expr::Meta { .. } | Expr::Payload { .. } | Expr::Conntrack { .. } | Expr::AddressType { .. } => {
            write_load(w, expr)
        }
        Expr::Immediate { value, to } => named(w, "immediate", |w| {
            w.number_be(1, number(*to));
            w.nest(2, |w| w.attr(1, value.bytes()));
        }),
        Expr::Mask { register, mask } => named(w, "bitwise", |w| write_mask(w, *register, mask)),
        Expr::Compare { register, equal, value } => named(w, "cmp", |w| {
            w.number_be(1, number(*register));
            w.number_be(2, u32::from(!equal));
            w.nest(3, |w| w.attr(1, value.bytes()));
        }),
        Expr::Random { modulus, offset, to } => named(w, "numgen", |w| {
            w.number_be(1, number(*to));
            w.number_be(2, *modulus);
            w.number_be(3, 1);
            w.number_be(4, *offset);
        }),
        Expr::Lookup { .. } | Expr::Branch { .. } | Expr::Remember { .. } | Expr::Forget { .. } => {
            write_map_use(w, expr)
        }
        Expr::Dnat { .. } | Expr::Masquerade | Expr::Reject(_) | Expr::Untrack | Expr::Verdict(_) => write_end(w, expr),
    }
}

fn named(w: &mut Writer, name: &str, body: impl FnOnce(&mut Writer)) {
    w.nest(1, |w| {
        w.text(1, name);
        w.nest(2, body);
    });
}

fn write_load(w: &mut Writer, expr: &Expr) {
    match *expr {
        Expr::Meta { key, to } => named(w, "meta", |w| {
            w.number_be(1, number(to));
            w.number_be(2, if key == Meta::Family { 15 } else { 16 });
        }),
        Expr::Payload { base, offset, length, to } => named(w, "payload", |w| {
            w.number_be(1, number(to));
            w.number_be(2, if base == Base::Network { 1 } else { 2 });
            w.number_be(3, offset.into());
            w.number_be(4, length.into());
        }),
        Expr::Conntrack { key, to } => named(w, "ct", |w| {
            let (code, original) = match key {
                CtKey::State => (0, false),
                CtKey::Status => (2, false),
                CtKey::OriginalDestination => (20, true),
                CtKey::OriginalPort => (12, true),
            };
            w.number_be(1, number(to));
            w.number_be(2, code);
            if original {
                w.attr(3, &[0]);
            }
        }),
        Expr::AddressType { of, to } => named(w, "fib", |w| {
            w.number_be(1, number(to));
            w.number_be(2, 3);
            w.number_be(3, if of == Side::Source { 1 } else { 2 });
        }),
        _ => {}
    }
}

fn write_mask(w: &mut Writer, register: Register, mask: &Data) {
    let zeros = [0_u8; 32];
    let length = mask.bytes().len();
    w.number_be(1, number(register));
    w.number_be(2, number(register));
    // At most 31 bytes, by the type of the mask.
    w.number_be(3, u32::try_from(length).unwrap_or_default());
    w.nest(4, |w| w.attr(1, mask.bytes()));
    w.nest(5, |w| w.attr(1, &zeros[..length]));
}

fn write_map_use(w: &mut Writer, expr: &Expr) {
    match *expr {
        Expr::Lookup { map, key, to, missing } => named(w, "lookup", |w| {
            w.text(1, map);
            w.number_be(2, number(key));
            if let Some(to) = to {
                w.number_be(3, number(to));
            }
            if missing {
                w.number_be(5, 1);
            }
        }),
        Expr::Branch { map, key } => named(w, "lookup", |w| {
            w.text(1, map);
            w.number_be(2, number(key));
            w.number_be(3, VERDICT_REGISTER);
        }),
        Expr::Remember { map, key, value, timeout } => named(w, "dynset", |w| {
            const UPDATE: u32 = 1;
            write_dynamic(w, map, UPDATE, key, value);
            w.attr(6, &milliseconds(timeout).to_be_bytes());
        }),
        Expr::Forget { map, key, value } => named(w, "dynset", |w| {
            const DELETE: u32 = 2;
            write_dynamic(w, map, DELETE, key, value);
        }),
        _ => {}
    }
}

fn write_dynamic(w: &mut Writer, map: &str, operation: u32, key: Register, value: Register) {
    w.text(1, map);
    w.number_be(3, operation);
    w.number_be(4, number(key));
    w.number_be(5, number(value));
}

fn write_end(w: &mut Writer, expr: &Expr) {
    match expr {
        Expr::Dnat { address, port } => named(w, "nat", |w| {
            const DESTINATION: u32 = 1;
            const IPV4: u32 = 2;
            w.number_be(1, DESTINATION);
            w.number_be(2, IPV4);
            w.number_be(3, number(*address));
            w.number_be(5, number(*port));
        }),
        Expr::Masquerade => named(w, "masq", |w| {
            const FULLY_RANDOM_PORT: u32 = 16;
            w.number_be(1, FULLY_RANDOM_PORT);
        }),
        Expr::Reject(Rejection::Reset) => named(w, "reject", |w| {
            w.number_be(1, 1);
            w.attr(2, &[0]);
        }),
        Expr::Reject(Rejection::PortUnreachable) => named(w, "reject", |w| {
            w.number_be(1, 2);
            w.attr(2, &[1]);
        }),
        Expr::Untrack => w.nest(1, |w| w.text(1, "notrack")),
        Expr::Verdict(verdict) => named(w, "immediate", |w| {
            w.number_be(1, VERDICT_REGISTER);
            w.nest(2, |w| write_verdict(w, verdict));
        }),
        _ => {}
    }
}
