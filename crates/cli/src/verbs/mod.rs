//! One module per verb, each with its flags and what it does.

pub(crate) mod apply;
pub(crate) mod auth;
pub(crate) mod config;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod describe;
pub(crate) mod edit;
pub(crate) mod exec;
pub(crate) mod expose;
pub(crate) mod forward;
pub(crate) mod get;
pub(crate) mod info;
pub(crate) mod interactive;
pub(crate) mod label;
pub(crate) mod logs;
pub(crate) mod patch;
pub(crate) mod rollout;
pub(crate) mod run;
pub(crate) mod scale;
pub(crate) mod set;
pub(crate) mod wait;
