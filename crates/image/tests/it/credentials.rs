//! Which pull secret applies to which image.

use skiff_image::{Auth, Keyring, Reference};

fn basic(user: &str) -> Auth {
    Auth::Basic { username: user.to_owned(), password: "secret".to_owned() }
}

fn lookup(keyring: &Keyring, image: &str) -> Vec<Auth> {
    keyring.lookup(&image.parse::<Reference>().unwrap())
}

#[test]
fn secrets_of_both_forms_are_read() {
    let mut keyring = Keyring::anonymous();
    // dTpzZWNyZXQ= is u:secret.
    keyring.add_docker_config(br#"{"auths":{"https://index.docker.io/v1/":{"auth":"dTpzZWNyZXQ="}}}"#).unwrap();
    keyring.add_docker_cfg(br#"{"ghcr.io":{"username":"g","password":"secret","email":"x@y"}}"#).unwrap();
    keyring.add_docker_config(br#"{"auths":{"quay.io":{"registrytoken":"t"}}}"#).unwrap();
    assert_eq!(lookup(&keyring, "httpenv"), [basic("u")]);
    assert_eq!(lookup(&keyring, "ghcr.io/a/b"), [basic("g")]);
    assert_eq!(lookup(&keyring, "quay.io/a"), [Auth::Bearer { token: "t".to_owned() }]);
    assert_eq!(lookup(&keyring, "example.com/a"), [Auth::Anonymous]);
}

#[test]
fn the_most_specific_entry_is_tried_first() {
    let mut keyring = Keyring::anonymous();
    for (registry, user) in [("example.com", "all"), ("example.com/team", "team"), ("*.example.com:5000", "port")] {
        keyring.add(registry, basic(user));
    }
    assert_eq!(lookup(&keyring, "example.com/team/app"), [basic("team"), basic("all")]);
    assert_eq!(lookup(&keyring, "example.com/other"), [basic("all")]);
    assert_eq!(lookup(&keyring, "a.example.com:5000/x"), [basic("port")]);
    assert_eq!(lookup(&keyring, "a.b.example.com:5000/x"), [Auth::Anonymous]);
    assert_eq!(lookup(&keyring, "a.example.com/x"), [Auth::Anonymous]);
}

#[test]
fn broken_secrets_are_refused_and_secrets_are_not_shown() {
    let mut keyring = Keyring::anonymous();
    let error = keyring.add_docker_config(b"{").unwrap_err().to_string();
    assert!(error.starts_with("the pull secret is not valid"), "{error}");
    let error = keyring.add_docker_config(br#"{"auths":{"a.io":{"auth":"!!"}}}"#).unwrap_err().to_string();
    assert!(error.contains("\"a.io\""), "{error}");
    keyring.add("a.io", basic("u"));
    assert!(!format!("{keyring:?}").contains("secret"));
}
