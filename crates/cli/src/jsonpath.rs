//! kubectl's JSONPath templates: `{.items[*].metadata.name}`, `{range .items[*]}{.a}{"\n"}{end}`,
//! filters `[?(@.type=="Ready")]`, slices, unions, recursive descent, text outside of braces.
//!
//! This is a template language of its own (k8s.io/client-go/util/jsonpath), not RFC 9535.

mod eval;
mod parse;

use serde_json::Value;
use thiserror::Error;

/// Why a template is of no use, or does not fit the data.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum PathError {
    #[error("unclosed action")]
    Unclosed,
    #[error("unclosed array expect ]")]
    UnclosedBracket,
    #[error("unrecognized identifier {0}")]
    Unknown(String),
    #[error("invalid array index {0}")]
    Index(String),
    #[error("unclosed filter or filter that cannot be read: {0}")]
    Filter(String),
    #[error("not in range, nothing to end")]
    NothingToEnd,
    #[error("array index out of bounds: index {index}, length {length}")]
    OutOfBounds { index: i64, length: usize },
}

/// A parsed template.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Template {
    nodes: Vec<Node>,
}

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Text(String),
    Path(Vec<Step>),
    Range(Vec<Step>, Vec<Node>),
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Field(String),
    Descend(String),
    All,
    Union(Vec<Index>),
    Fields(Vec<String>),
    Filter(Filter),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Index {
    At(i64),
    Slice { from: Option<i64>, to: Option<i64>, step: i64 },
}

#[derive(Clone, Debug, PartialEq)]
enum Filter {
    Exists(Vec<Step>),
    Compare { left: Operand, operator: Operator, right: Operand },
}

#[derive(Clone, Debug, PartialEq)]
enum Operand {
    Path(Vec<Step>),
    Value(Value),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    More,
    MoreOrEqual,
}

impl Template {
    /// Reads a template as `-o jsonpath=` takes it.
    pub(crate) fn parse(text: &str) -> Result<Self, PathError> {
        Ok(Self { nodes: parse::template(text)? })
    }

    /// Reads what `custom-columns` and `--sort-by` take too: braces and the first dot may be missing.
    pub(crate) fn relaxed(text: &str) -> Result<Self, PathError> {
        let inner = text.trim().trim_start_matches('{').trim_end_matches('}');
        let inner = inner.trim_start_matches('.');
        Self::parse(&format!("{{.{inner}}}"))
    }

    /// The text that the template makes of `data`. A field that is missing is left out.
    pub(crate) fn render(&self, data: &Value) -> Result<String, PathError> {
        let mut out = String::new();
        eval::render(&self.nodes, data, data, &mut out)?;
        Ok(out)
    }

    /// The values that the template's paths find.
    pub(crate) fn find<'a>(&self, data: &'a Value) -> Vec<&'a Value> {
        let paths = self.nodes.iter().filter_map(|node| match node {
            Node::Path(steps) => eval::walk(steps, data, data).ok(),
            _ => None,
        });
        paths.flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn render(template: &str) -> String {
        let data = json!({
            "kind": "List",
            "items": [
                {"name": "a", "n": 1, "tags": {"x.y/z": "deep"}, "conditions": [{"type": "Ready", "status": "True"}]},
                {"name": "b", "n": 2, "tags": {}, "conditions": [{"type": "Ready", "status": "False"}]},
                {"name": "c", "n": 3, "tags": {}, "conditions": []},
            ],
        });
        Template::parse(template).unwrap().render(&data).unwrap()
    }

    #[test]
    fn kubernetes_documented_examples() {
        assert_eq!(render("{.kind}"), "List");
        assert_eq!(render("{['kind']}"), "List");
        assert_eq!(render("{.items[0].name}"), "a");
        assert_eq!(render("{.items[*].name}"), "a b c");
        assert_eq!(render("{.items[0,2].name}"), "a c");
        assert_eq!(render("{.items[-1:].name}"), "c");
        assert_eq!(render("{.items[0:2].name}"), "a b");
        assert_eq!(render("{..name}"), "a b c");
        assert_eq!(render("{.items[*]['name','n']}"), "a b c 1 2 3");
        assert_eq!(render(r#"{range .items[*]}{.name}={.n}{"\n"}{end}"#), "a=1\nb=2\nc=3\n");
        assert_eq!(render(r#"{.items[?(@.name=="b")].n}"#), "2");
        assert_eq!(render(r"{.items[?(@.n>1)].name}"), "b c");
        assert_eq!(render(r#"{.items[?(@.conditions[0].status=="True")].name}"#), "a");
        assert_eq!(render(r"{.items[0].tags.x\.y/z}"), "deep");
        assert_eq!(render("names: {.items[*].name}!"), "names: a b c!");
        assert_eq!(render("{.items[0].conditions[0]}"), r#"{"status":"True","type":"Ready"}"#);
        assert_eq!(render("{.absent}"), "");
        assert_eq!(render("{.items[0].absent.deeper}"), "");
    }

    #[test]
    fn mistakes_are_told() {
        assert_eq!(Template::parse("{.a"), Err(PathError::Unclosed));
        assert_eq!(Template::parse("{.a[0}"), Err(PathError::UnclosedBracket));
        assert_eq!(Template::parse("{end}"), Err(PathError::NothingToEnd));
        assert!(matches!(Template::parse("{.a[x]}"), Err(PathError::Index(_))));
        let far = Template::parse("{.a[5]}").unwrap().render(&json!({"a": [1]}));
        assert_eq!(far, Err(PathError::OutOfBounds { index: 5, length: 1 }));
    }

    proptest! {
        #[test]
        fn no_template_panics(text in "[{}\\[\\].@?()a-c0-9:,*'\"=<>! -]{0,40}") {
            if let Ok(template) = Template::parse(&text) {
                let _ = template.render(&json!({"a": [{"b": 1}, 2], "c": "x"}));
            }
        }
    }
}
