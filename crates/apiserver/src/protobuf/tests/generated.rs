//! Objects made up from the schema go to protobuf and back.

use proptest::prelude::*;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Map, Value, json};
use skiff_api::schema::{self, Of};

use super::{
    super::{plan::Plan, *},
    is_text_only,
};

/// All types that are read or written anywhere.
fn types() -> Vec<&'static str> {
    let resources = skiff_api::resource::all();
    let parts = resources.iter().flat_map(|resource| resource.subresources.iter().map(|part| part.type_name));
    let mut types: Vec<&str> = resources.iter().map(|resource| resource.type_name).chain(parts).collect();
    // Streams are no objects.
    types.retain(|name| !name.is_empty() && !is_text_only(name));
    types.push(schema::DELETE_OPTIONS);
    types.push("io.k8s.apimachinery.pkg.apis.meta.v1.Status");
    types.push("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition");
    types.sort_unstable();
    types.dedup();
    types
}

fn made(name: &str, random: &mut StdRng, depth: usize) -> Value {
    let one = |random: &mut StdRng, of| made(of, random, depth.saturating_sub(1));
    match plan::special(name) {
        Some(Plan::Json) => return any_json(random),
        Some(Plan::OneOrMany(of)) if random.random() => return json!([one(random, of)]),
        Some(Plan::OneOrStrings(_)) if random.random() => return json!(["a", "b"]),
        Some(Plan::TruthOr(_)) if random.random() => return json!(random.random::<bool>()),
        Some(Plan::OneOrMany(of) | Plan::OneOrStrings(of) | Plan::TruthOr(of)) => return one(random, of),
        _ => {}
    }
    let mut object = Map::new();
    let of = schema::find(name).unwrap();
    // Objects in objects do not say what they are in protobuf.
    let is_object = depth == DEPTH || of.field("metadata").is_some() || name == schema::DELETE_OPTIONS;
    for field in &of.fields {
        let nested = !matches!(field.of, Of::String | Of::Bool | Of::Int32 | Of::Int64);
        if matches!(field.name, "apiVersion" | "kind") && is_object {
            continue;
        }
        if (nested && depth == 0) || random.random_ratio(1, 4) {
            continue;
        }
        object.insert(field.name.to_owned(), value(&field.of, random, depth));
    }
    Value::Object(object)
}

const DEPTH: usize = 7;

/// A value that is not the zero of its type.
fn value(of: &Of, random: &mut StdRng, depth: usize) -> Value {
    let whole = |random: &mut StdRng| json!(random.random_range(1..i32::MAX) * if random.random() { 1 } else { -1 });
    match of {
        Of::String => text(random),
        Of::Bool => json!(true),
        Of::Int32 => whole(random),
        Of::Int64 => json!(random.random::<i64>() | 1),
        Of::Number => json!(f64::from(random.random_range(1..1000)) / 8.0),
        Of::Bytes => json!("AAH/"),
        Of::Time => json!("2026-01-02T03:04:05Z"),
        Of::MicroTime => json!("1969-01-02T03:04:05.000007Z"),
        Of::Quantity => json!("100m"),
        Of::IntOrString => {
            if random.random() {
                text(random)
            } else {
                whole(random)
            }
        }
        Of::Any => any_json(random),
        Of::Type(name) => made(&name.full(), random, depth.saturating_sub(1)),
        Of::List(of) => (0..random.random_range(1..3)).map(|_| value(of, random, depth)).collect(),
        Of::Map(of) => {
            let entries = (0..random.random_range(1..3)).map(|at| (format!("k{at}"), value(of, random, depth)));
            Value::Object(entries.collect())
        }
    }
}

fn text(random: &mut StdRng) -> Value {
    let choices = ["a", "\"\\\n\t", "grüße", "\u{1f600}\u{0}", "{[,]}:", "x/y"];
    json!(format!("{}{}", choices[random.random_range(0..choices.len())], random.random::<u16>()))
}

fn any_json(random: &mut StdRng) -> Value {
    json!({"f:x": {}, "n": [1, -2.5, null, true, text(random)], "": {"\"": "}"}})
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn every_type_survives_the_way_there_and_back(seed in any::<u64>()) {
        let mut random = StdRng::seed_from_u64(seed);
        for name in types() {
            let mut object = made(name, &mut random, DEPTH);
            object["apiVersion"] = json!("v1");
            object["kind"] = json!("Any");
            let body = super::super::object(object.to_string().as_bytes(), name, None).unwrap();
            prop_assert_eq!(to_json(&body, name).unwrap(), object, "{}", name);
        }
    }

    #[test]
    fn every_type_bears_noise(noise in proptest::collection::vec(any::<u8>(), 0..120), seed in any::<u64>()) {
        let mut random = StdRng::seed_from_u64(seed);
        for name in types() {
            let body = super::super::object(made(name, &mut random, 2).to_string().as_bytes(), name, None).unwrap();
            let at = random.random_range(0..body.len());
            let mut broken = body.clone();
            broken[at] ^= 1 << random.random_range(0..8);
            let _ = to_json(&broken, name);
            let _ = to_json(&[&body[..at], &noise].concat(), name);
        }
    }
}

/// A field without a number would be lost.
#[test]
fn every_field_has_a_number() {
    fn check(name: &str, seen: &mut Vec<String>) {
        if seen.iter().any(|one| one == name) {
            return;
        }
        seen.push(name.to_owned());
        let Plan::Message(slots) = plan::of(name).unwrap() else { return };
        for field in &schema::find(name).unwrap().fields {
            let is_meta = matches!(field.name, "apiVersion" | "kind");
            assert!(is_meta || plan::slot(slots, field.name).is_some(), "{name} {}", field.name);
            let mut of = &field.of;
            while let Of::List(inner) | Of::Map(inner) = of {
                of = inner;
            }
            if let Of::Type(inner) = of {
                check(&inner.full(), seen);
            }
        }
    }
    let mut seen = Vec::new();
    types().iter().for_each(|name| check(name, &mut seen));
    assert!(seen.len() > 200, "{}", seen.len());
}
