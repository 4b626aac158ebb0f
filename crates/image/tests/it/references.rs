//! Names are read as Docker and containerd read them, and nothing makes the parser panic.

use proptest::prelude::*;
use skiff_image::Reference;

const HEX: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

fn parsed(text: &str) -> String {
    text.parse::<Reference>().unwrap().to_string()
}

fn refused(text: &str) -> String {
    text.parse::<Reference>().unwrap_err().to_string()
}

#[test]
fn short_names_are_made_full() {
    for (short, full) in [
        ("httpenv", "docker.io/library/httpenv:latest"),
        ("httpenv:v1", "docker.io/library/httpenv:v1"),
        ("library/httpenv", "docker.io/library/httpenv:latest"),
        ("user/app", "docker.io/user/app:latest"),
        ("index.docker.io/app", "docker.io/library/app:latest"),
        ("docker.io/app", "docker.io/library/app:latest"),
        ("localhost/app", "localhost/app:latest"),
        ("localhost:5000/app:v2", "localhost:5000/app:v2"),
        ("[::1]:5000/app", "[::1]:5000/app:latest"),
        ("registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10"),
        ("ghcr.io/a/b/c__d-e.f:X_1.2-3", "ghcr.io/a/b/c__d-e.f:X_1.2-3"),
        ("UPPER.example/app", "UPPER.example/app:latest"),
    ] {
        assert_eq!(parsed(short), full, "{short}");
    }
    assert_eq!(parsed(&format!("app@sha256:{HEX}")), format!("docker.io/library/app@sha256:{HEX}"));
    assert_eq!(parsed(&format!("app:v1@sha256:{HEX}")), format!("docker.io/library/app:v1@sha256:{HEX}"));
}

#[test]
fn familiar_names_are_what_people_type() {
    for name in ["httpenv:latest", "user/app:v1", "ghcr.io/a/b:c"] {
        assert_eq!(name.parse::<Reference>().unwrap().familiar(), name);
    }
}

#[test]
fn refusals_say_what_kubernetes_says() {
    let format = "invalid reference format";
    for (text, why) in [
        ("", format.to_owned()),
        ("a b", format.to_owned()),
        ("app:", format.to_owned()),
        ("app:-x", format.to_owned()),
        ("-app", format.to_owned()),
        ("app_", format.to_owned()),
        ("a..b", format.to_owned()),
        ("a___b", format.to_owned()),
        ("a//b", format.to_owned()),
        ("host:port/app", format.to_owned()),
        ("Upper", format!("{format}: repository name (library/Upper) must be lowercase")),
        ("app@sha256:12", "invalid checksum digest length".to_owned()),
        ("app@md5:12", "unsupported digest algorithm".to_owned()),
        ("app@", "invalid checksum digest format".to_owned()),
        (HEX, format!("invalid repository name ({HEX}), cannot specify 64-byte hexadecimal strings")),
    ] {
        assert_eq!(refused(text), format!("couldn't parse image name {text:?}: {why}"));
    }
    assert!(refused(&"x".repeat(300)).ends_with("must not be more than 255 characters"));
    assert!(refused(&format!("x:{}", "t".repeat(129))).ends_with(format));
    assert_eq!("a b".parse::<Reference>().unwrap_err().reason(), "InvalidImageName");
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC*") {
        let _ = text.parse::<Reference>();
    }

    #[test]
    fn a_full_name_stays_as_it_is(text in "([a-z0-9.]{1,8}(:[0-9]{1,5})?/)?[a-z0-9]{1,8}([._-][a-z0-9]{1,4}){0,2}(:[A-Za-z0-9_.-]{1,9})?(@sha256:[0-9a-f]{64})?") {
        if let Ok(reference) = text.parse::<Reference>() {
            let full = reference.to_string();
            prop_assert_eq!(&full.parse::<Reference>().unwrap(), &reference);
            prop_assert_eq!(&reference.familiar().parse::<Reference>().unwrap(), &reference);
        }
    }
}
