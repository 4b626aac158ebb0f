//! Logs are read through rotation, from the right place, and followed.

use std::time::Duration;

use futures::TryStreamExt as _;

use super::*;

fn line(second: i64, text: &str) -> String {
    format!("{} stdout F {text}\n", Timestamp::from_second(1000 + second).unwrap())
}

async fn read(path: &Path, query: &str) -> String {
    let options = Options::parse(query, Timestamp::from_second(1010).unwrap()).unwrap();
    let (_sender, ended) = watch::channel(true);
    let chunks: Vec<Bytes> = stream(path.to_owned(), &options, ended).try_collect().await.unwrap();
    String::from_utf8(chunks.concat()).unwrap()
}

#[tokio::test]
async fn options_choose_the_lines() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("0.log");
    fs::write(dir.path().join("0.log.2"), line(0, "a")).unwrap();
    fs::write(dir.path().join("0.log.1"), line(1, "b") + "1970-01-01T00:16:42Z stdout P c").unwrap();
    fs::write(&path, String::new()).unwrap();
    fs::write(dir.path().join("0.log.1"), line(1, "b") + "1970-01-01T00:16:42Z stdout P c\n").unwrap();
    fs::write(&path, line(3, "c2") + &line(4, "d")).unwrap();
    for follow in ["", "&follow=true"] {
        let table = [
            ("previous=false", "a\nb\ncc2\nd\n"),
            ("tailLines=2", "cc2\nd\n"),
            ("tailLines=0", ""),
            ("tailLines=100", "a\nb\ncc2\nd\n"),
            ("sinceSeconds=6", "d\n"),
            ("limitBytes=5", "a\nb\nc"),
            ("tailLines=1&timestamps=true", "1970-01-01T00:16:44Z d\n"),
        ];
        for (query, wanted) in table {
            assert_eq!(read(&path, &format!("{query}{follow}")).await, wanted, "{query}{follow}");
        }
    }
    assert_eq!(read(&dir.path().join("none.log"), "tailLines=5").await, "");
}

#[tokio::test]
async fn a_followed_log_survives_rotation_and_ends_with_its_container() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("0.log");
    fs::write(&path, line(0, "a")).unwrap();
    let options = Options { follow: true, ..Options::default() };
    let (sender, ended) = watch::channel(false);
    let mut log = stream(path.clone(), &options, ended);
    let mut next = async || {
        let chunk = tokio::time::timeout(Duration::from_secs(10), log.try_next()).await.unwrap().unwrap();
        chunk.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
    };
    let append = |text: &str| {
        let mut file = fs::OpenOptions::new().append(true).create(true).open(&path).unwrap();
        io::Write::write_all(&mut file, text.as_bytes()).unwrap();
    };
    assert_eq!(next().await.as_deref(), Some("a\n"));
    append(&line(1, "b"));
    assert_eq!(next().await.as_deref(), Some("b\n"));
    append(&line(2, "c"));
    fs::rename(&path, dir.path().join("0.log.1")).unwrap();
    append(&line(3, "d"));
    let mut got = String::new();
    while !got.ends_with("d\n") {
        got.push_str(&next().await.unwrap());
    }
    assert_eq!(got, "c\nd\n");
    append(&line(4, "e"));
    sender.send(true).unwrap();
    let mut rest = String::new();
    while let Some(chunk) = next().await {
        rest.push_str(&chunk);
    }
    assert_eq!(rest, "e\n");
}
