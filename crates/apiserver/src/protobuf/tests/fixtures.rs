//! What Kubernetes's own encoder wrote: it is understood, and written again alike.

use std::io::Read as _;

use serde_json::Value;
use skiff_api::schema;

use super::super::*;

/// The objects of `fixtures.gz`: the name of the type and the body.
fn fixtures() -> Vec<(String, Vec<u8>)> {
    let mut unpacked = Vec::new();
    let packed = include_bytes!("../fixtures.gz");
    flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut unpacked).unwrap();
    let (mut rest, mut all) = (&unpacked[..], Vec::new());
    let next = |rest: &mut &[u8]| {
        let (length, more) = rest.split_at(4);
        let (bytes, more) = more.split_at(u32::from_be_bytes(length.try_into().unwrap()) as usize);
        *rest = more;
        bytes.to_vec()
    };
    while !rest.is_empty() {
        let name = String::from_utf8(next(&mut rest)).unwrap();
        all.push((name, next(&mut rest)));
    }
    all
}

/// Texts in the fixtures say which field they are in.
fn check_names(at: &str, value: &Value, checked: &mut usize) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            // A key of a map says which map it is in.
            let name = if *name == format!("{at}Key") { at } else { name };
            check_names(name, value, checked);
        }),
        Value::Array(items) => items.iter().for_each(|item| check_names(at, item, checked)),
        Value::String(text) if text.ends_with("Value") => {
            *checked += 1;
            assert_eq!(text, &format!("{at}Value"));
        }
        _ => {}
    }
}

fn histogram(bytes: &[u8]) -> Vec<usize> {
    let mut counts = vec![0; 256];
    bytes.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
    counts
}

#[test]
fn what_kubernetes_wrote_is_read_field_by_field() {
    let mut checked = 0;
    for (name, body) in fixtures() {
        let object = to_json(&body, &name).unwrap();
        check_names("", &object, &mut checked);
        let decoded = schema::decode(&name, &object).unwrap();
        assert!(decoded.strict.is_empty(), "{name}: {:?}", decoded.strict);
    }
    assert!(checked > 2000, "{checked}");
}

/// The order of fields is free, so the bytes are counted. Parts of inlined structs are written one by
/// one: where one has several, there are a few bytes more.
#[test]
fn what_kubernetes_wrote_is_written_alike() {
    let mut same = Vec::new();
    let mut longer = Vec::new();
    for (name, body) in fixtures() {
        let object = to_json(&body, &name).unwrap();
        let again = super::super::object(object.to_string().as_bytes(), &name, None).unwrap();
        assert_eq!(to_json(&again, &name).unwrap(), object, "{name}");
        let short = name.rsplit('.').next().unwrap_or_default().to_owned();
        if again.len() == body.len() && histogram(&again) == histogram(&body) {
            same.push(short);
        } else {
            longer.push(format!("{short} {:+}", again.len().cast_signed() - body.len().cast_signed()));
        }
    }
    assert!(same.len() > 50, "{same:?} {longer:?}");
}
