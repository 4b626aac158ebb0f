//! Messages to JSON, guided by the schema.
//!
//! Go's encoder writes zeros that mean nothing; they are left out here, as Go's JSON encoder would,
//! except where the table says that a zero is a value or the schema that the field is required.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use skiff_api::{
    schema::{Of, Type},
    time,
};

use super::{
    ProtobufError,
    numbers::{self, Entry, Fields},
    plan::{self, Plan},
    wire::{Field, Reader},
};

/// Deeper than any object of the API.
const DEPTH: usize = 100;

/// The object of that type in a message.
pub(super) fn object(message: &[u8], type_name: &str) -> Result<Value, ProtobufError> {
    nested(type_name, message, DEPTH)
}

fn fill(
    object: &mut Map<String, Value>,
    message: &[u8],
    of: &Type,
    fields: &Fields,
    depth: usize,
) -> Result<(), ProtobufError> {
    let depth = depth.checked_sub(1).ok_or(ProtobufError::Depth)?;
    let mut reader = Reader::new(message);
    while let Some(field) = reader.next()? {
        match fields.iter().find(|(number, _)| *number == field.number) {
            Some((_, Entry::Inline(name))) => {
                let fields = numbers::by_short_name(name).ok_or_else(|| ProtobufError::Unknown((*name).to_owned()))?;
                fill(object, field.bytes()?, of, fields, depth)?;
            }
            Some((_, Entry::Field { name, own_zero })) => {
                // A field that the schema does not have is of a later version: unknown, like in JSON.
                let Some(known) = of.field(name) else { continue };
                put(object, name, &known.of, *own_zero || known.required, &field, depth)?;
            }
            None => {}
        }
    }
    Ok(())
}

fn put(
    object: &mut Map<String, Value>,
    name: &str,
    of: &Of,
    keeps_zero: bool,
    field: &Field<'_>,
    depth: usize,
) -> Result<(), ProtobufError> {
    match of {
        Of::List(of) => {
            let list = object.entry(name).or_insert_with(|| json!([]));
            let items = items(of, field, depth)?;
            if let Some(list) = list.as_array_mut() {
                list.extend(items);
            }
        }
        Of::Map(of) => {
            let (key, value) = pair(of, field, depth)?;
            let map = object.entry(name).or_insert_with(|| json!({}));
            if let Some(map) = map.as_object_mut() {
                map.insert(key, value);
            }
        }
        of => {
            let value = single(of, field, depth)?;
            // What is JSON itself says what it means.
            let is_said = matches!(of, Of::Type(_) | Of::Any) && !value.is_null();
            if keeps_zero || is_said || !is_zero(&value) {
                object.insert(name.to_owned(), value);
            }
        }
    }
    Ok(())
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(_) | Value::Object(_) => false,
    }
}

fn items(of: &Of, field: &Field<'_>, depth: usize) -> Result<Vec<Value>, ProtobufError> {
    match of {
        Of::Int32 | Of::Int64 => Ok(field.integers()?.into_iter().map(Value::from).collect()),
        of => Ok(vec![single(of, field, depth)?]),
    }
}

/// An entry of a map: key 1, value 2.
fn pair(of: &Of, field: &Field<'_>, depth: usize) -> Result<(String, Value), ProtobufError> {
    let mut key = String::new();
    let mut value = None;
    let mut reader = Reader::new(field.bytes()?);
    while let Some(field) = reader.next()? {
        match (field.number, of) {
            (1, _) => key = field.text()?.to_owned(),
            // A list in a map is a message of its own, with the items as field 1.
            (2, Of::List(of)) => value = Some(wrapped(of, field.bytes()?, depth)?),
            (2, of) => value = Some(single(of, &field, depth)?),
            _ => {}
        }
    }
    let absent = || if matches!(of, Of::String | Of::Bytes) { json!("") } else { Value::Null };
    Ok((key, value.unwrap_or_else(absent)))
}

fn wrapped(of: &Of, message: &[u8], depth: usize) -> Result<Value, ProtobufError> {
    let mut list = Vec::new();
    let mut reader = Reader::new(message);
    while let Some(field) = reader.next()? {
        list.extend(items(of, &field, depth)?);
    }
    Ok(Value::Array(list))
}

fn single(of: &Of, field: &Field<'_>, depth: usize) -> Result<Value, ProtobufError> {
    Ok(match of {
        Of::String => json!(field.text()?),
        Of::Bool => json!(field.unsigned()? != 0),
        Of::Int32 | Of::Int64 => json!(field.integer()?),
        Of::Number => json!(f64::from_bits(field.unsigned()?)),
        Of::Bytes => json!(BASE64_STANDARD.encode(field.bytes()?)),
        Of::Time | Of::MicroTime => moment(field.bytes()?, matches!(of, Of::MicroTime))?,
        Of::Quantity => first_text(field.bytes()?, 1)?,
        Of::IntOrString => int_or_string(field.bytes()?)?,
        Of::Any => raw(field.bytes()?)?,
        Of::Type(name) => {
            let full = name.full();
            match plan::special(&full) {
                Some(special) => self::special(&special, field.bytes()?, depth)?,
                None => nested(&full, field.bytes()?, depth)?,
            }
        }
        // Lists of lists and maps of maps do not occur.
        Of::List(_) | Of::Map(_) => return Err(ProtobufError::Malformed),
    })
}

fn nested(type_name: &str, message: &[u8], depth: usize) -> Result<Value, ProtobufError> {
    let unknown = || ProtobufError::Unknown(type_name.to_owned());
    let (of, fields) = plan::message(type_name).ok_or_else(unknown)?;
    let mut object = Map::new();
    fill(&mut object, message, of, fields, depth)?;
    Ok(Value::Object(object))
}

/// The types that are not the same in JSON and in protobuf.
fn special(plan: &Plan, message: &[u8], depth: usize) -> Result<Value, ProtobufError> {
    let of = match plan {
        Plan::Json | Plan::Message(_) => return raw(message),
        Plan::OneOrMany(of) | Plan::TruthOr(of) | Plan::OneOrStrings(of) => of,
    };
    let (mut truth, mut one, mut many) = (false, None, Vec::new());
    let mut reader = Reader::new(message);
    while let Some(field) = reader.next()? {
        match (field.number, plan) {
            (1, Plan::TruthOr(_)) => truth = field.unsigned()? != 0,
            (2, Plan::OneOrMany(_)) => many.push(nested(of, field.bytes()?, depth)?),
            (2, Plan::OneOrStrings(_)) => many.push(json!(field.text()?)),
            (1 | 2, _) => one = Some(nested(of, field.bytes()?, depth)?),
            _ => {}
        }
    }
    Ok(match (one, plan) {
        (Some(one), _) => one,
        (None, Plan::TruthOr(_)) => json!(truth),
        (None, _) => Value::Array(many),
    })
}

/// Seconds and nanoseconds; an empty message is no time at all.
fn moment(message: &[u8], micro: bool) -> Result<Value, ProtobufError> {
    if message.is_empty() {
        return Ok(Value::Null);
    }
    let (mut seconds, mut nanos) = (0, 0);
    let mut reader = Reader::new(message);
    while let Some(field) = reader.next()? {
        match field.number {
            1 => seconds = field.integer()?,
            2 => nanos = field.integer()?,
            _ => {}
        }
    }
    let nanos = i32::try_from(nanos).map_err(|_| ProtobufError::Malformed)?;
    let at = Timestamp::new(seconds, nanos).map_err(|_| ProtobufError::Malformed)?;
    Ok(json!(if micro { time::format_micro(at) } else { time::format(at) }))
}

fn first_text(message: &[u8], number: u64) -> Result<Value, ProtobufError> {
    let mut reader = Reader::new(message);
    while let Some(field) = reader.next()? {
        if field.number == number {
            return Ok(json!(field.text()?));
        }
    }
    Ok(json!(""))
}

/// Type 1 (0: the number in 2; 1: the text in 3).
fn int_or_string(message: &[u8]) -> Result<Value, ProtobufError> {
    let (mut is_text, mut number, mut text) = (false, 0, String::new());
    let mut reader = Reader::new(message);
    while let Some(field) = reader.next()? {
        match field.number {
            1 => is_text = field.unsigned()? == 1,
            2 => number = field.integer()?,
            3 => text = field.text()?.to_owned(),
            _ => {}
        }
    }
    Ok(if is_text { json!(text) } else { json!(number) })
}

/// Something that is JSON already, in field 1.
fn raw(message: &[u8]) -> Result<Value, ProtobufError> {
    let mut reader = Reader::new(message);
    while let Some(field) = reader.next()? {
        if field.number == 1 {
            return serde_json::from_slice(field.bytes()?).map_err(|_| ProtobufError::Malformed);
        }
    }
    Ok(Value::Null)
}
