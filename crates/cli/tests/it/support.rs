//! A cluster, and a terminal to type at.

use std::{
    io::{self, Write},
    process::ExitCode,
    sync::{Arc, Mutex},
    time::Duration,
};

use clap::{CommandFactory as _, Parser};
use serde_json::Value;
use skiff_cli::{Command, Global, run_over};
use skiff_testkit::Cluster;

/// The binary's command line.
#[derive(Parser)]
struct Line {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    global: Global,
}

#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A cluster and its user.
pub(crate) struct User {
    pub(crate) cluster: Cluster,
}

impl User {
    pub(crate) async fn new() -> Self {
        Self { cluster: Cluster::start().await.unwrap() }
    }

    /// Types a command; words are split at blanks.
    pub(crate) async fn types(&self, line: &str) -> (bool, String) {
        let words: Vec<&str> = line.split(' ').collect();
        self.passes(&words).await
    }

    /// Types a command of given words.
    pub(crate) async fn passes(&self, words: &[&str]) -> (bool, String) {
        let line = Line::try_parse_from(std::iter::once(&"skiff").chain(words)).unwrap();
        let paper = Paper::default();
        let run = run_over(self.cluster.client(), &line.command, line.global, Box::new(paper.clone()));
        let code = tokio::time::timeout(Duration::from_secs(30), run).await.unwrap();
        let text = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
        (code == ExitCode::SUCCESS, text)
    }

    /// Types a command that succeeds, and reads what it prints.
    pub(crate) async fn reads(&self, line: &str) -> String {
        let (good, text) = self.types(line).await;
        assert!(good, "{line}: {text}");
        text
    }

    /// The object that `-o json` prints.
    pub(crate) async fn sees(&self, line: &str) -> Value {
        serde_json::from_str(&self.reads(&format!("{line} -o json")).await).unwrap()
    }

    /// A file with this text.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.cluster.folder().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}

#[test]
fn no_flags_clash() {
    Line::command().debug_assert();
}
