//! A pod's status: computed from what is known (`build`, pure) and written to the API (`writer`).

mod build;
mod conditions;
mod writer;

pub(crate) use build::{View, build};
pub(crate) use writer::Writer;

#[cfg(test)]
mod tests;
