//! The document of version 2 as a protobuf message, in the numbers of gnostic's `openapi.v2.Document`:
//! the only form that kubectl takes before 1.27. Written from the JSON, so that both say the same.

use serde_json::{Map, Value};

/// The text fields of a schema.
const TEXTS: [(&str, u64); 5] = [("$ref", 1), ("format", 2), ("title", 3), ("description", 4), ("pattern", 13)];
/// Its fractional numbers.
const DOUBLES: [(&str, u64); 3] = [("multipleOf", 6), ("maximum", 7), ("minimum", 9)];
/// Its whole numbers.
const INTEGERS: [(&str, u64); 6] = [
    ("maxLength", 11),
    ("minLength", 12),
    ("maxItems", 14),
    ("minItems", 15),
    ("maxProperties", 17),
    ("minProperties", 18),
];
/// Its flags.
const FLAGS: [(&str, u64); 4] =
    [("exclusiveMaximum", 8), ("exclusiveMinimum", 10), ("uniqueItems", 16), ("readOnly", 27)];
/// The operations of a path.
const METHODS: [(&str, u64); 7] =
    [("get", 2), ("put", 3), ("post", 4), ("delete", 5), ("options", 6), ("head", 7), ("patch", 8)];

/// The bytes of the document; `document` is what [`super::v2`] gives.
pub(super) fn encode(document: &Value) -> Vec<u8> {
    let mut out = Message::default();
    out.text(1, &document["swagger"]);
    out.child(2, |info| {
        info.text(1, &document["info"]["title"]);
        info.text(2, &document["info"]["version"]);
    });
    out.child(8, |paths| paths.named(2, &document["paths"], path));
    out.child(9, |definitions| definitions.named(1, &document["definitions"], schema));
    out.0
}

fn path(out: &mut Message, path: &Value) {
    for (name, number) in METHODS {
        if let Some(value) = path.get(name) {
            out.child(number, |out| operation(out, value));
        }
    }
    parameters(out, 9, path);
}

fn operation(out: &mut Message, operation: &Value) {
    out.text(3, &operation["description"]);
    out.text(5, &operation["operationId"]);
    out.texts(6, &operation["produces"]);
    out.texts(7, &operation["consumes"]);
    parameters(out, 8, operation);
    out.child(9, |responses| responses.named(1, &operation["responses"], response));
    out.flag(11, &operation["deprecated"]);
    out.extensions(13, operation);
}

/// A response, in the choice between one and a reference to one.
fn response(out: &mut Message, response: &Value) {
    out.child(1, |out| {
        out.text(1, &response["description"]);
        if let Some(of) = response.get("schema") {
            out.child(2, |out| out.child(1, |out| schema(out, of)));
        }
    });
}

fn parameters(out: &mut Message, number: u64, of: &Value) {
    for parameter in of["parameters"].as_array().into_iter().flatten() {
        // A parameter, in the choice between one and a reference to one.
        out.child(number, |out| out.child(1, |out| self::parameter(out, parameter)));
    }
}

fn parameter(out: &mut Message, parameter: &Value) {
    if parameter["in"] == "body" {
        return out.child(1, |out| {
            out.text(2, &parameter["name"]);
            out.text(3, &parameter["in"]);
            out.flag(4, &parameter["required"]);
            out.child(5, |out| schema(out, &parameter["schema"]));
        });
    }
    // Those of a query have one field more before their type.
    let (choice, type_, unique) = if parameter["in"] == "path" { (4, 5, 19) } else { (3, 6, 20) };
    out.child(2, |out| {
        out.child(choice, |out| {
            out.flag(1, &parameter["required"]);
            out.text(2, &parameter["in"]);
            out.text(3, &parameter["description"]);
            out.text(4, &parameter["name"]);
            out.text(type_, &parameter["type"]);
            out.flag(unique, &parameter["uniqueItems"]);
        });
    });
}

fn schema(out: &mut Message, of: &Value) {
    TEXTS.iter().for_each(|(name, number)| out.text(*number, &of[*name]));
    DOUBLES.iter().for_each(|(name, number)| out.double(*number, &of[*name]));
    INTEGERS.iter().for_each(|(name, number)| out.integer(*number, &of[*name]));
    FLAGS.iter().for_each(|(name, number)| out.flag(*number, &of[*name]));
    if let Some(value) = of.get("default") {
        out.child(5, |out| out.any(value));
    }
    out.texts(19, &of["required"]);
    for value in of["enum"].as_array().into_iter().flatten() {
        out.child(20, |out| out.any(value));
    }
    match &of["additionalProperties"] {
        Value::Null => {}
        flag @ Value::Bool(_) => out.child(21, |out| out.flag(2, flag)),
        item => out.child(21, |out| out.child(1, |out| schema(out, item))),
    }
    if !of["type"].is_null() {
        out.child(22, |out| out.text(1, &of["type"]));
    }
    if !of["items"].is_null() {
        out.child(23, |out| out.child(1, |out| schema(out, &of["items"])));
    }
    for one in of["allOf"].as_array().into_iter().flatten() {
        out.child(24, |out| schema(out, one));
    }
    if !of["properties"].is_null() {
        out.child(25, |out| out.named(1, &of["properties"], schema));
    }
    out.extensions(31, of);
}

/// A message that is being written.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn bytes(&mut self, number: u64, bytes: &[u8]) {
        self.varint(number << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn child(&mut self, number: u64, write: impl FnOnce(&mut Self)) {
        let mut child = Self::default();
        write(&mut child);
        self.bytes(number, &child.0);
    }

    fn text(&mut self, number: u64, value: &Value) {
        if let Some(text) = value.as_str() {
            self.bytes(number, text.as_bytes());
        }
    }

    fn texts(&mut self, number: u64, values: &Value) {
        values.as_array().into_iter().flatten().for_each(|value| self.text(number, value));
    }

    fn flag(&mut self, number: u64, value: &Value) {
        if value == true {
            self.varint(number << 3);
            self.varint(1);
        }
    }

    fn integer(&mut self, number: u64, value: &Value) {
        if let Some(value) = value.as_i64() {
            self.varint(number << 3);
            self.varint(value.cast_unsigned());
        }
    }

    fn double(&mut self, number: u64, value: &Value) {
        if let Some(value) = value.as_f64() {
            self.varint(number << 3 | 1);
            self.0.extend_from_slice(&value.to_le_bytes());
        }
    }

    /// A value of any form is its text in YAML, which JSON is.
    fn any(&mut self, value: &Value) {
        self.bytes(2, value.to_string().as_bytes());
    }

    /// A map is a list of names with their values.
    fn named(&mut self, number: u64, map: &Value, write: fn(&mut Self, &Value)) {
        for (name, value) in map.as_object().into_iter().flat_map(Map::iter) {
            self.child(number, |entry| {
                entry.bytes(1, name.as_bytes());
                entry.child(2, |out| write(out, value));
            });
        }
    }

    fn extensions(&mut self, number: u64, of: &Value) {
        let all = of.as_object().into_iter().flat_map(Map::iter);
        for (name, value) in all.filter(|(name, _)| name.starts_with("x-")) {
            self.child(number, |entry| {
                entry.bytes(1, name.as_bytes());
                entry.child(2, |out| out.any(value));
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_have_gnostics_numbers() {
        let document = json!({"swagger": "2.0", "info": {"title": "T", "version": "v"}, "paths": {},
            "definitions": {"D": {"type": "object", "properties": {"p": {"$ref": "R"}}, "x-a": {"b": 1}}}});
        let schema = b"\xb2\x01\x08\x0a\x06object\xca\x01\x0a\x0a\x08\x0a\x01p\x12\x03\x0a\x01R\
            \xfa\x01\x10\x0a\x03x-a\x12\x09\x12\x07{\"b\":1}";
        let mut wanted = b"\x0a\x032.0\x12\x06\x0a\x01T\x12\x01v\x42\x00".to_vec();
        let length = u8::try_from(schema.len()).unwrap();
        wanted.extend([0x4a, length + 7, 0x0a, length + 5, 0x0a, 1, b'D', 0x12, length]);
        wanted.extend(schema);
        assert_eq!(encode(&document), wanted);
    }

    #[test]
    fn parameters_differ_by_their_place() {
        let encoded = |place: &str| {
            let mut out = Message::default();
            parameter(&mut out, &json!({"in": place, "name": "n", "type": "t", "schema": {}}));
            out.0
        };
        assert_eq!(encoded("query"), b"\x12\x0f\x1a\x0d\x12\x05query\x22\x01n\x32\x01t");
        assert_eq!(encoded("path"), b"\x12\x0e\x22\x0c\x12\x04path\x22\x01n\x2a\x01t");
        assert_eq!(encoded("body"), b"\x0a\x0b\x12\x01n\x1a\x04body\x2a\x00");
    }
}
