//! Tables of selectors: what they match, what they refuse, and that no text makes them panic.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn object() -> serde_json::Value {
    json!({"metadata": {"labels": {"app": "web", "tier": "a", "size": "5", "empty": ""}}})
}

#[test]
fn label_selectors_match_as_kubernetes_does() {
    let table = [
        ("", true),
        ("app=web", true),
        ("app==web", true),
        ("app = web , tier=a", true),
        ("app!=web", false),
        ("missing!=web", true),
        ("app in (web, api)", true),
        ("app in (api)", false),
        ("app notin (api)", true),
        ("missing notin (api)", true),
        ("app", true),
        ("!app", false),
        ("!missing", true),
        ("empty=", true),
        ("missing=", false),
        ("size>4", true),
        ("size<4", false),
        ("app>4", false),
        ("app=web,!tier", false),
        ("example.com/x=1", false),
    ];
    for (text, expected) in table {
        let selector: LabelSelector = text.parse().unwrap();
        assert_eq!(selector.matches(&object()), expected, "{text}");
        assert_eq!(selector.to_string().parse::<LabelSelector>().unwrap(), selector, "{text}");
    }
}

#[test]
fn label_selectors_refuse_with_a_reason() {
    let table = [
        ("app=web,", "found '', expected: identifier after ','"),
        ("app web", "unable to parse requirement: found 'web', expected: in, notin, =, ==, !=, gt, lt"),
        ("app in web", "unable to parse requirement: found 'web', expected: '('"),
        ("app=a b", "found 'b', expected: ',' or 'end of string'"),
        (",", "unable to parse requirement: found ',', expected: !, identifier, or 'end of string'"),
    ];
    for (text, message) in table {
        assert_eq!(text.parse::<LabelSelector>().unwrap_err().to_string(), message, "{text}");
    }
    let error = "a/b/c=1".parse::<LabelSelector>().unwrap_err().to_string();
    assert!(error.starts_with("unable to parse requirement: key: Invalid value: \"a/b/c\": "), "{error}");
}

#[test]
fn json_selectors_match() {
    let selector = LabelSelector::from_json(&json!({
        "matchLabels": {"app": "web"},
        "matchExpressions": [{"key": "tier", "operator": "In", "values": ["b", "a"]}],
    }));
    let selector = selector.unwrap();
    assert!(selector.matches(&object()));
    assert_eq!(selector.to_string(), "app=web,tier in (a,b)");
    assert!(!LabelSelector::from_json(&json!(null)).unwrap().matches(&object()));
    assert!(LabelSelector::from_json(&json!({})).unwrap().matches(&object()));
}

#[test]
fn field_selectors_match() {
    let value = |field: &str| match field {
        "metadata.name" => "web".to_owned(),
        "status.phase" => "a,b=c".to_owned(),
        _ => String::new(),
    };
    let table = [
        ("", true),
        ("metadata.name=web", true),
        ("metadata.name==web,spec.nodeName=", true),
        ("metadata.name!=web", false),
        (r"status.phase=a\,b\=c", true),
    ];
    for (text, expected) in table {
        let selector: FieldSelector = text.parse().unwrap();
        assert_eq!(selector.matches_with(value), expected, "{text}");
        assert_eq!(selector.to_string().parse::<FieldSelector>().unwrap(), selector, "{text}");
    }
    assert_eq!(
        "metadata.name".parse::<FieldSelector>().unwrap_err().to_string(),
        "invalid selector: 'metadata.name'; can't understand 'metadata.name'"
    );
    assert!(r"a=\x".parse::<FieldSelector>().is_err());
}

proptest! {
    #[test]
    fn no_text_makes_a_selector_panic(text in ".{0,60}") {
        drop(text.parse::<LabelSelector>());
        drop(text.parse::<FieldSelector>());
    }

    #[test]
    fn selector_like_text_is_read_back(text in "[a-c!=<>(),]{0,12}|([a-c] (in|notin) \\([a-c],[a-c]?\\),?){0,3}") {
        if let Ok(selector) = text.parse::<LabelSelector>() {
            prop_assert_eq!(selector.to_string().parse::<LabelSelector>().unwrap(), selector);
        }
        if let Ok(selector) = text.parse::<FieldSelector>() {
            prop_assert_eq!(selector.to_string().parse::<FieldSelector>().unwrap(), selector);
        }
    }
}
