//! What is wrong with the rules of a schema as a definition gives them: they must parse, name what there is,
//! give truths, and cost no more than they may.

use serde_json::{Value, json};

use super::path;
use crate::cel::{self, Expr, Type};
use crate::custom::schema::Schema;
use crate::field_error::{FieldError, Path};
use crate::value::Read as _;

const REASONS: &[&str] = &["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"];
/// What one rule may cost, with everything that it is evaluated for.
const MOST: f64 = 10_000_000.0;
const REQUEST: f64 = 3_145_728.0;

/// Where in a schema rules stand.
#[derive(Clone, Copy)]
pub(in crate::custom) struct Place<'a> {
    /// Whether it is the object itself.
    pub(in crate::custom) root: bool,
    /// How often the place is there at most; `None`: nothing says so.
    pub(in crate::custom) times: Option<f64>,
    /// The list whose items cannot be recognized after a change.
    pub(in crate::custom) within: Option<&'a Path<'a>>,
}

impl<'a> Place<'a> {
    /// The object itself.
    pub(in crate::custom) const ROOT: Self = Self { root: true, times: Some(1.0), within: None };

    /// A field of what is here.
    pub(in crate::custom) const fn field(self) -> Self {
        Self { root: false, ..self }
    }

    /// The items of a list, or the values of a map, of which there are at most so many.
    pub(in crate::custom) fn each(self, most: &Value, uncorrelatable: Option<&'a Path<'a>>) -> Self {
        let times = self.times.zip(most.as_f64()).map(|(times, most)| times * most);
        Self { root: false, times, within: self.within.or(uncorrelatable) }
    }
}

/// Judges the rules of the schema `props`.
pub(in crate::custom) fn check(props: &Value, place: Place<'_>, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let rules = props.items("x-kubernetes-validations");
    if rules.is_empty() {
        return;
    }
    let (schema, list, before) = (Schema::parse(props), at.child("x-kubernetes-validations"), errors.len());
    for (index, rule) in rules.iter().enumerate() {
        words(rule, &schema, &list.index(index), errors);
    }
    if errors.len() > before {
        return;
    }
    let judge = Judge { schema: &schema, place };
    for (index, rule) in rules.iter().enumerate() {
        judge.rule(rule, &list.index(index), errors);
    }
}

/// What is wrong with a rule before its expressions are looked at.
fn words(rule: &Value, schema: &Schema, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let (text, message) = (rule.text("rule").trim(), rule.text("message"));
    let mut wrong = |field: &str, value: &str, detail: &str| {
        errors.push(FieldError::invalid(&at.child(field), value, detail));
    };
    if !message.is_empty() && message.trim().is_empty() {
        wrong("message", message, "must be non-empty if specified");
    } else if is_broken(message) {
        wrong("message", message, "must not contain line breaks");
    }
    let path = rule.text("fieldPath");
    if !path.is_empty() && path.trim().is_empty() {
        wrong("fieldPath", path, "must be non-empty if specified");
    }
    if path.contains(['\n', '\r']) {
        wrong("fieldPath", path, "must not contain line breaks");
    }
    if !path.is_empty() && !leads(path, schema) {
        wrong("fieldPath", path, "must be a valid path");
    }
    if text.is_empty() {
        errors.push(FieldError::required(&at.child("rule"), "rule is not specified"));
    } else if is_broken(text) && message.trim().is_empty() {
        let detail = "message must be specified if rule contains line breaks";
        errors.push(FieldError::required(&at.child("message"), detail));
    }
    if rule["messageExpression"].as_str().is_some_and(|text| !text.is_empty() && text.trim().is_empty()) {
        let detail = "messageExpression must be non-empty if specified";
        errors.push(FieldError::required(&at.child("messageExpression"), detail));
    }
    if let Some(reason) = rule["reason"].as_str().filter(|reason| !REASONS.contains(reason)) {
        errors.push(FieldError::not_supported(&at.child("reason"), reason, REASONS));
    }
}

/// Whether there is a line break within a text.
fn is_broken(text: &str) -> bool {
    text.trim().contains(['\n', '\r'])
}

/// Whether a path leads to a field that the schema has.
fn leads(text: &str, schema: &Schema) -> bool {
    let end = path::parse(text).and_then(|names| names.iter().try_fold(schema, |at, step| at.field(step)).map(|_| ()));
    end.is_some()
}

struct Judge<'a> {
    schema: &'a Schema,
    place: Place<'a>,
}

impl Judge<'_> {
    fn rule(&self, rule: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
        let optional = rule.flag("optionalOldSelf");
        let place = at.child("rule");
        let text = rule.text("rule");
        match cel::parse(text) {
            Ok(expr) => {
                let checked = self.checked(&expr, optional);
                let wrong = if checked.wrong.is_empty() {
                    let detail = "cel expression must evaluate to a bool";
                    (!matches!(checked.of, Type::Bool | Type::Dyn)).then(|| detail.to_owned())
                } else {
                    Some(format!("compilation failed: {}", cel::complaint(text, &checked.wrong)))
                };
                let times = self.place.times.unwrap_or_else(|| REQUEST / (self.schema.least() + 1.0));
                errors.extend(too_expensive("estimated rule cost", checked.cost * times, &place));
                errors.extend(wrong.map(|detail| FieldError::invalid(&place, shown(rule), detail)));
                self.old(rule, &expr, at, errors);
            }
            Err(error) => {
                let detail = format!("compilation failed: {}", error.complaint(text));
                errors.push(FieldError::invalid(&place, shown(rule), detail));
            }
        }
        if let Some(text) = rule["messageExpression"].as_str().filter(|text| !text.is_empty()) {
            self.message(rule, text, optional, &at.child("messageExpression"), errors);
        }
    }

    /// A rule about changes has to stand where something can be recognized after a change.
    fn old(&self, rule: &Value, expr: &Expr, at: &Path<'_>, errors: &mut Vec<FieldError>) {
        if !names(expr, "oldSelf") {
            if let Some(given) = rule.get("optionalOldSelf").filter(|given| !given.is_null()) {
                let detail = "may not be set if oldSelf is not used in rule";
                errors.push(FieldError::invalid(&at.child("optionalOldSelf"), given.clone(), detail));
            }
        } else if let Some(within) = self.place.within {
            let detail = format!("oldSelf cannot be used on the uncorrelatable portion of the schema within {within}");
            errors.push(FieldError::invalid(&at.child("rule"), rule.text("rule"), detail));
        }
    }

    fn message(&self, rule: &Value, text: &str, optional: bool, at: &Path<'_>, errors: &mut Vec<FieldError>) {
        let detail = match cel::parse(text) {
            Ok(expr) => {
                let checked = self.checked(&expr, optional);
                if !checked.wrong.is_empty() {
                    format!("messageExpression compilation failed: {}", cel::complaint(text, &checked.wrong))
                } else if !matches!(checked.of, Type::Text | Type::Dyn) {
                    "messageExpression must evaluate to a string".to_owned()
                } else {
                    return errors.extend(too_expensive("estimated messageExpression cost", checked.cost, at));
                }
            }
            Err(error) => format!("messageExpression compilation failed: {}", error.complaint(text)),
        };
        errors.push(FieldError::invalid(at, shown(rule), detail));
    }

    fn checked<'e>(&'e self, expr: &'e Expr, optional: bool) -> cel::Checked<'e> {
        let of = Type::of(self.schema, self.place.root).unwrap_or(Type::Dyn);
        let old = if optional { Type::Optional(Box::new(of.clone())) } else { of.clone() };
        cel::check(expr, vec![("self", of, self.schema.most()), ("oldSelf", old, self.schema.most())], self.schema)
    }
}

/// A rule as messages show it.
fn shown(rule: &Value) -> Value {
    let get = |field: &str| rule.get(field).cloned().unwrap_or_default();
    json!({
        "Rule": rule.text("rule"),
        "Message": rule.text("message"),
        "MessageExpression": rule.text("messageExpression"),
        "Reason": get("reason"),
        "FieldPath": rule.text("fieldPath"),
        "OptionalOldSelf": get("optionalOldSelf"),
    })
}

fn too_expensive(what: &str, cost: f64, at: &Path<'_>) -> Option<FieldError> {
    let factor = cost / MOST;
    let shown = match factor {
        factor if factor > 100.0 => "more than 100x".to_owned(),
        factor if factor < 1.5 => format!("{factor:.6}x"),
        factor => format!("{factor:.1}x"),
    };
    (factor > 1.0).then(|| {
        FieldError::forbidden(
            at,
            format!(
                "{what} exceeds budget by factor of {shown} (try simplifying the rule, or adding maxItems, maxProperties, \
                 and maxLength where arrays, maps, and strings are declared)"
            ),
        )
    })
}

/// Whether an expression uses a variable.
pub(super) fn names(expr: &Expr, wanted: &str) -> bool {
    let mut found = matches!(expr, Expr::Name(name, _) if name == wanted);
    each_part(expr, &mut |part| found = found || names(part, wanted));
    found
}

fn each_part<'a>(expr: &'a Expr, act: &mut dyn FnMut(&'a Expr)) {
    match expr {
        Expr::Literal(_) | Expr::Name(..) => {}
        Expr::Field { of, .. } | Expr::Has { of, .. } | Expr::Unary { of, .. } => act(of),
        Expr::Index { of, at, .. } => {
            act(of);
            act(at);
        }
        Expr::Call { on, with, .. } => on.as_deref().into_iter().chain(with).for_each(act),
        Expr::Binary { left, right, .. } => {
            act(left);
            act(right);
        }
        Expr::Choice { when, then, otherwise, .. } => [when, then, otherwise].into_iter().for_each(|part| act(part)),
        Expr::List(items) => items.iter().for_each(act),
        Expr::Map(entries) => entries.iter().flat_map(|(key, value)| [key, value]).for_each(act),
        Expr::Each { of, filter, body, .. } => {
            act(of);
            filter.iter().for_each(|filter| act(filter));
            act(body);
        }
    }
}
