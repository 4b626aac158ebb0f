//! JSON text to messages, guided by the schema, in one pass and without a tree in between.
//!
//! A message's length stands before it and is known only after it: one byte is left for it, and the few
//! messages that need more move up. Fields of inlined structs come one by one, each in a message of its
//! own: whoever reads protobuf puts such parts together.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use skiff_api::{schema::Of, time};

use super::{
    ProtobufError,
    json::Cursor,
    plan::{self, Plan, Slot},
    wire,
};

/// Deeper than any object of the API, and than JSON may be nested.
const DEPTH: usize = 130;

/// What the object says that it is.
#[derive(Default)]
pub(super) struct Named {
    pub(super) api_version: String,
    pub(super) kind: String,
}

/// Appends the message of an object of that plan; returns what it says that it is.
pub(super) fn object(out: &mut Vec<u8>, json: &[u8], plan: &Plan) -> Result<Named, ProtobufError> {
    let mut named = Named::default();
    let Plan::Message(slots) = plan else { return Err(ProtobufError::Json) };
    let mut json = Cursor::new(json);
    json.open(b'{')?;
    let mut first = true;
    while json.more(b'}', &mut first)? {
        let name = json.key()?;
        match (&*name, plan::slot(slots, &name)) {
            (_, Some(slot)) => field(out, &mut json, slot, DEPTH)?,
            ("apiVersion", None) => named.api_version = json.string()?.into_owned(),
            ("kind", None) => named.kind = json.string()?.into_owned(),
            (_, None) => drop(json.raw()?),
        }
    }
    Ok(named)
}

fn message(out: &mut Vec<u8>, json: &mut Cursor<'_>, plan: &Plan, depth: usize) -> Result<(), ProtobufError> {
    let depth = depth.checked_sub(1).ok_or(ProtobufError::Depth)?;
    let slots = match plan {
        Plan::Message(slots) => slots,
        other => return special(out, json, other, depth),
    };
    json.open(b'{')?;
    let mut first = true;
    while json.more(b'}', &mut first)? {
        let name = json.key()?;
        match plan::slot(slots, &name) {
            Some(slot) => field(out, json, slot, depth)?,
            None => drop(json.raw()?),
        }
    }
    Ok(())
}

fn field(out: &mut Vec<u8>, json: &mut Cursor<'_>, slot: &Slot, depth: usize) -> Result<(), ProtobufError> {
    if json.null() {
        return Ok(());
    }
    let place = |of| Place { of, slot, depth };
    inlined(out, &slot.outer, &mut |out| match slot.of {
        Of::List(of) => place(of).items(out, slot.number, json),
        Of::Map(of) => place(of).map(out, json),
        of => place(of).single(out, slot.number, json),
    })
}

/// Writes within the inlined structs of these numbers.
fn inlined(
    out: &mut Vec<u8>,
    outer: &[u64],
    write: &mut dyn FnMut(&mut Vec<u8>) -> Result<(), ProtobufError>,
) -> Result<(), ProtobufError> {
    match outer {
        [] => write(out),
        [number, outer @ ..] => wire::framed(out, *number, |out| inlined(out, outer, write)),
    }
}

/// What belongs somewhere: its type, the slot that knows more about it, and how deep it may still go.
#[derive(Clone, Copy)]
struct Place<'a> {
    of: &'static Of,
    slot: &'a Slot,
    depth: usize,
}

impl Place<'_> {
    fn items(self, out: &mut Vec<u8>, number: u64, json: &mut Cursor<'_>) -> Result<(), ProtobufError> {
        each(json, |json| self.single(out, number, json))
    }

    /// Each entry is a message: key 1, value 2.
    fn map(self, out: &mut Vec<u8>, json: &mut Cursor<'_>) -> Result<(), ProtobufError> {
        json.open(b'{')?;
        let mut first = true;
        while json.more(b'}', &mut first)? {
            let key = json.key()?;
            wire::framed(out, self.slot.number, |out| {
                wire::put_bytes(out, 1, key.as_bytes());
                match self.of {
                    // A list in a map is a message of its own, with the items as field 1.
                    Of::List(of) => wire::framed(out, 2, |out| {
                        if json.null() { Ok(()) } else { Place { of, ..self }.items(out, 1, json) }
                    }),
                    _ => self.single(out, 2, json),
                }
            })?;
        }
        Ok(())
    }

    fn single(self, out: &mut Vec<u8>, number: u64, json: &mut Cursor<'_>) -> Result<(), ProtobufError> {
        if *self.of != Of::Any && json.null() {
            // In a list or a map: nothing is the zero of what belongs there.
            match self.of {
                Of::Bool | Of::Int32 | Of::Int64 => wire::put_number(out, number, 0),
                Of::Number => wire::put_double(out, number, 0.0),
                _ => wire::put_bytes(out, number, b""),
            }
            return Ok(());
        }
        match self.of {
            Of::String => wire::put_bytes(out, number, json.string()?.as_bytes()),
            Of::Bool => wire::put_number(out, number, u64::from(json.scalar() == "true")),
            Of::Int32 | Of::Int64 => wire::put_number(out, number, integer(json)?.cast_unsigned()),
            Of::Number => wire::put_double(out, number, json.scalar().parse().map_err(|_| ProtobufError::Json)?),
            Of::Bytes => {
                let decoded = BASE64_STANDARD.decode(&*json.string()?).map_err(|_| ProtobufError::Json)?;
                wire::put_bytes(out, number, &decoded);
            }
            Of::Time | Of::MicroTime => wire::framed(out, number, |out| moment(out, json, *self.of == Of::MicroTime))?,
            Of::Quantity => wire::framed(out, number, |out| quantity(out, json))?,
            Of::IntOrString => wire::framed(out, number, |out| int_or_string(out, json))?,
            Of::Any => wire::framed(out, number, |out| {
                wire::put_bytes(out, 1, json.raw()?);
                Ok(())
            })?,
            Of::Type(name) => {
                let plan = self.slot.inner(*name)?;
                wire::framed(out, number, |out| message(out, json, plan, self.depth))?;
            }
            // Lists of lists and maps of maps do not occur.
            Of::List(_) | Of::Map(_) => return Err(ProtobufError::Json),
        }
        Ok(())
    }
}

fn integer(json: &mut Cursor<'_>) -> Result<i64, ProtobufError> {
    json.scalar().parse().map_err(|_| ProtobufError::Json)
}

fn moment(out: &mut Vec<u8>, json: &mut Cursor<'_>, micro: bool) -> Result<(), ProtobufError> {
    let at = time::parse(&json.string()?).ok_or(ProtobufError::Json)?;
    // Nanoseconds count from the second before, and never back from the one after.
    let nanos = at.as_nanosecond().rem_euclid(1_000_000_000);
    let seconds = at.as_nanosecond().div_euclid(1_000_000_000);
    wire::put_number(out, 1, i64::try_from(seconds).map_err(|_| ProtobufError::Json)?.cast_unsigned());
    let nanos = if micro { u64::try_from(nanos).unwrap_or_default() } else { 0 };
    wire::put_number(out, 2, nanos);
    Ok(())
}

fn quantity(out: &mut Vec<u8>, json: &mut Cursor<'_>) -> Result<(), ProtobufError> {
    if json.peek() == Some(b'"') {
        wire::put_bytes(out, 1, json.string()?.as_bytes());
    } else {
        wire::put_bytes(out, 1, json.scalar().as_bytes());
    }
    Ok(())
}

/// Type 1 (0: the number in 2; 1: the text in 3).
fn int_or_string(out: &mut Vec<u8>, json: &mut Cursor<'_>) -> Result<(), ProtobufError> {
    let is_text = json.peek() == Some(b'"');
    wire::put_number(out, 1, u64::from(is_text));
    let number = if is_text { 0 } else { integer(json)? };
    wire::put_number(out, 2, number.cast_unsigned());
    if is_text {
        wire::put_bytes(out, 3, json.string()?.as_bytes());
    } else {
        wire::put_bytes(out, 3, b"");
    }
    Ok(())
}

/// The types that are not the same in JSON and in protobuf.
fn special(out: &mut Vec<u8>, json: &mut Cursor<'_>, plan: &Plan, depth: usize) -> Result<(), ProtobufError> {
    let first = json.peek();
    match plan {
        Plan::TruthOr(_) if first != Some(b'{') => {
            wire::put_number(out, 1, u64::from(json.scalar() == "true"));
            Ok(())
        }
        Plan::TruthOr(of) => {
            wire::put_number(out, 1, 1);
            let plan = plan::of(of)?;
            wire::framed(out, 2, |out| message(out, json, plan, depth))
        }
        Plan::OneOrMany(of) | Plan::OneOrStrings(of) if first == Some(b'{') => {
            let plan = plan::of(of)?;
            wire::framed(out, 1, |out| message(out, json, plan, depth))
        }
        Plan::OneOrMany(of) => {
            let plan = plan::of(of)?;
            each(json, |json| wire::framed(out, 2, |out| message(out, json, plan, depth)))
        }
        Plan::OneOrStrings(_) => each(json, |json| {
            wire::put_bytes(out, 2, json.string()?.as_bytes());
            Ok(())
        }),
        Plan::Json | Plan::Message(_) => {
            wire::put_bytes(out, 1, json.raw()?);
            Ok(())
        }
    }
}

fn each<'a>(
    json: &mut Cursor<'a>,
    mut write: impl FnMut(&mut Cursor<'a>) -> Result<(), ProtobufError>,
) -> Result<(), ProtobufError> {
    json.open(b'[')?;
    let mut first = true;
    while json.more(b']', &mut first)? {
        write(json)?;
    }
    Ok(())
}
