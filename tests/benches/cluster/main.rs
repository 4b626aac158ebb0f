//! The figures of `skiff server` as a whole, beside their targets: run by hand, never as timed tests.
//!
//! `scripts/bench` builds the release binary and runs this. One server runs in namespaces of its own;
//! what has to be measured from inside is measured by this program, started again in there. Prints a
//! table, and the same as JSON with `--json`.
#![allow(clippy::unwrap_used)]

mod http;
mod inside;
mod outside;
mod traffic;

use serde_json::{Value, json};

/// One measured figure.
pub(crate) struct Figure {
    pub(crate) what: &'static str,
    pub(crate) ours: f64,
    pub(crate) unit: &'static str,
    /// What is to be reached, and whether less is better.
    pub(crate) target: f64,
    pub(crate) less: bool,
}

impl Figure {
    pub(crate) fn at_most(what: &'static str, ours: f64, unit: &'static str, target: f64) -> Self {
        Self { what, ours, unit, target, less: true }
    }

    pub(crate) fn at_least(what: &'static str, ours: f64, unit: &'static str, target: f64) -> Self {
        Self { what, ours, unit, target, less: false }
    }

    fn met(&self) -> bool {
        if self.less { self.ours <= self.target } else { self.ours >= self.target }
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "what": self.what, "ours": self.ours, "unit": self.unit, "target": self.target,
            "lessIsBetter": self.less, "met": self.met(),
        })
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(socket) = std::env::var_os(outside::INSIDE) {
        let figures: Vec<Value> = inside::measure(std::path::Path::new(&socket)).iter().map(Figure::json).collect();
        println!("{}", Value::from(figures));
        return;
    }
    let figures = outside::measure();
    if arguments.iter().any(|argument| argument == "--json") {
        println!("{:#}", Value::from(figures));
        return;
    }
    println!("{:<44}{:>12}{:>12}  {:<10}", "", "ours", "target", "");
    for figure in figures {
        let sign = if figure["lessIsBetter"] == true { "<=" } else { ">=" };
        let verdict = if figure["met"] == true { "" } else { "  NOT MET" };
        let number = |value: &Value| format!("{:.1}", value.as_f64().unwrap_or_default());
        let (what, unit) = (figure["what"].as_str().unwrap_or_default(), figure["unit"].as_str().unwrap_or_default());
        println!(
            "{what:<44}{:>12}{:>12}  {unit}{verdict}",
            number(&figure["ours"]),
            format!("{sign} {}", number(&figure["target"]))
        );
    }
}

/// The middle of some measurements.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
