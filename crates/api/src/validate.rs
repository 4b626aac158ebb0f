//! Checks that more than one kind needs, with the messages of kube-apiserver.

pub mod cron;
pub mod names;
pub mod objectmeta;
