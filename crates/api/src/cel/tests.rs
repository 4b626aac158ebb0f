//! Expressions and their values.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Budget, Error, Scope, Type, Val, check, complaint, parse};
use crate::custom::schema::Schema;

fn truth(text: &str, value: &Value) -> Result<bool, Error> {
    let expr = parse(text)?;
    let mut scope = Scope::new(vec![("self".to_owned(), Val::of(value, None))]);
    match scope.eval(&expr, &mut Budget::default())? {
        Val::Bool(value) => Ok(value),
        other => Err(Error::Overload(other.kind().to_owned())),
    }
}

#[test]
fn these_hold() {
    let object = json!({"a": 1, "list": [3, 1, 2], "map": {"x": "y"}, "text": "Hello", "nested": [{"n": 1}, {"n": 2}]});
    for text in [
        "1 + 2 * 3 == 7 && !(1 > 2)",
        "self.a == 1 && self['a'] in [1, 2]",
        "self.list.all(x, x > 0) && self.list.exists(x, x == 3) && self.list.exists_one(x, x == 1)",
        "self.list.map(x, x * 2) == [6, 2, 4] && self.list.filter(x, x > 1) == [3, 2]",
        "self.list.map(x, x > 1, x) == [3, 2]",
        "has(self.a) && !has(self.b) && size(self.list) == 3 && self.text.size() == 5",
        "self.map.all(k, self.map[k] == 'y') && 'x' in self.map",
        "self.nested.map(e, e.n).sum() == 3 && self.list.max() == 3 && !self.list.isSorted()",
        "self.text.lowerAscii() == 'hello' && self.text.matches('^H.*o$') && self.text.substring(1, 3) == 'el'",
        "'a,b'.split(',') == ['a', 'b'] && ['a', 'b'].join('-') == 'a-b' && 'abc'.indexOf('c') == 2",
        "'%s is %d and %.1f'.format(['x', 3, 1.25]) == 'x is 3 and 1.2'",
        "duration('1h30m').getMinutes() == 90 && timestamp('2026-01-02T03:04:05Z').getFullYear() == 2026",
        "timestamp('2026-01-02T00:00:00Z') - timestamp('2026-01-01T00:00:00Z') == duration('24h')",
        "quantity('1Gi').isGreaterThan(quantity('1000M')) && isQuantity('5m') && !isQuantity('x')",
        "quantity('1').add(quantity('500m')).compareTo(quantity('1500m')) == 0",
        "url('https://a.b:80/c?d=e').getHostname() == 'a.b' && isURL('/x') && !isURL('x')",
        "ip('127.0.0.1').isLoopback() && ip('::1').family() == 6 && isIP('10.0.0.1')",
        "cidr('10.0.0.0/8').containsIP('10.1.2.3') && cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16')",
        "!format.dns1123Label().validate('a-b').hasValue() && format.dns1123Label().validate('A').value().size() == 1",
        "format.named('uuid').value().validate('x').hasValue() && !format.named('none').hasValue()",
        "self.?b.orValue(7) == 7 && self.?a.hasValue() && optional.of(1).value() == 1",
        "self.nested.all(i, e, e.n == i + 1) && cel.bind(x, self.a + 1, x * x) == 4",
        "false && self.nope || true",
        "(self.nope == 1) || true",
        "type(1) == int && string(1) == '1' && int('3') == 3 && double(1) == 1.0 && 1 == 1.0",
        "r'\\d' == '\\\\d' && b'a' == bytes('a') && '\\u0041' == 'A'",
        "[1, 2] + [3] == [1, 2, 3] && {'a': 1}.a == 1",
        "sets.contains([1, 2], [2]) && sets.equivalent([1, 1], [1]) && [1, 2].indexOf(2) == 1",
        "self.a > 0 ? true : self.nope",
    ] {
        assert_eq!(truth(text, &object), Ok(true), "{text}");
    }
}

#[test]
fn errors_say_what_is_wrong() {
    let object = json!({"a": 1});
    let error = |text: &str| truth(text, &object).unwrap_err().to_string();
    assert_eq!(error("self.nope == 1"), "no such key: nope");
    assert_eq!(error("nope == 1"), "undeclared reference to 'nope' (in container '')");
    assert_eq!(error("1 / 0 == 1"), "division by zero");
    assert_eq!(error("9223372036854775807 + 1 == 0"), "integer overflow");
    assert_eq!(error("self.a + 'x' == 1"), "no such overload: int + string");
    let unread = parse("self.a ==").unwrap_err().complaint("self.a ==");
    assert!(unread.starts_with("ERROR: <input>:1:10: Syntax error: "), "{unread}");
    assert!(unread.ends_with("\n | self.a ==\n | .........^"), "{unread}");
    assert!(error("[1][3] == 1").starts_with("index out of bounds"));
}

#[test]
fn work_is_bounded() {
    let many = json!({"l": vec![0; 2000]});
    let text = "self.l.all(a, self.l.all(b, self.l.all(c, a == b)))";
    assert_eq!(truth(text, &many), Err(Error::Cost));
    let deep = format!("{}1{} == 1", "(".repeat(5000), ")".repeat(5000));
    assert!(matches!(parse(&deep), Err(Error::Syntax { .. })));
    assert!(parse(&"!".repeat(3000)).is_err());
}

proptest! {
    #[test]
    fn no_text_panics(text in "[a-z0-9 .()\\[\\]{}'\"+*/%<>=!&|?:,\\\\-]{0,60}") {
        let _ = truth(&text, &json!({"a": 1, "list": [1]}));
    }

    #[test]
    fn no_expression_is_too_strange_to_be_checked(text in "(self|oldSelf|x|1|'a'|\\[|\\]|\\(|\\)|\\.(a|b|all|size|map)|,| == | \\+ | && |\\?|:|!|-|\n){1,24}") {
        let schema = Schema::parse(&json!({"type": "object", "properties": {"a": {"type": "integer"},
            "b": {"type": "array", "items": {"type": "string"}}}}));
        match parse(&text) {
            Ok(expr) => {
                let of = Type::of(&schema, true).unwrap();
                let checked = check(&expr, vec![("self", of.clone(), 1.0), ("oldSelf", of, 1.0)], &schema);
                prop_assert!(checked.wrong.is_empty() || complaint(&text, &checked.wrong).starts_with("ERROR: <input>:"));
            }
            Err(error) => prop_assert!(error.complaint(&text).starts_with("ERROR: <input>:")),
        }
    }

    #[test]
    fn no_text_at_all_panics(text in any::<String>()) {
        let _ = truth(&text, &json!({}));
    }
}
