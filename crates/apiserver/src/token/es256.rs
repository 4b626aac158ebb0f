//! JSON web tokens with the one algorithm that skiff uses: ECDSA over P-256 with SHA-256.
//!
//! The header's `alg` is never a choice of the sender: anything but ES256 is refused.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey},
};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::TokenError;

/// The key is no P-256 key in PKCS #8.
#[derive(Debug, thiserror::Error)]
#[error("the service-account key is no P-256 key in PKCS #8 PEM")]
pub(crate) struct BadKey;

#[derive(Serialize, Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: String,
}

/// A signing key and its public half.
pub(crate) struct Key {
    pair: EcdsaKeyPair,
    random: SystemRandom,
    /// The header, encoded; it is the same for every token.
    header: String,
    /// What tells the key from others.
    id: String,
}

impl Key {
    pub(crate) fn from_pem(pem: &str) -> Result<Self, BadKey> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| BadKey)?;
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_pkcs8_der(), &random)
            .map_err(|_| BadKey)?;
        let kid = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(pair.public_key().as_ref()));
        let header = encode(&Header { alg: "ES256".to_owned(), kid: kid.clone() });
        Ok(Self { pair, random, header, id: kid })
    }

    /// The public half as a JSON web key.
    pub(super) fn public(&self) -> Value {
        // An uncompressed point: a byte that says so, then 32 bytes each.
        let point = self.pair.public_key().as_ref();
        let coordinate = |range: std::ops::Range<usize>| BASE64_URL_SAFE_NO_PAD.encode(point.get(range).unwrap_or(&[]));
        json!({
            "use": "sig",
            "kty": "EC",
            "kid": self.id,
            "crv": "P-256",
            "alg": "ES256",
            "x": coordinate(1..33),
            "y": coordinate(33..65),
        })
    }

    pub(super) fn sign<T: Serialize>(&self, claims: &T) -> String {
        let mut token = format!("{}.{}", self.header, encode(claims));
        // Signing fails only without a source of randomness; such a token is refused everywhere.
        if let Ok(signature) = self.pair.sign(&self.random, token.as_bytes()) {
            token.push('.');
            token.push_str(&BASE64_URL_SAFE_NO_PAD.encode(signature.as_ref()));
        }
        token
    }

    pub(super) fn verify<T: DeserializeOwned>(&self, token: &str) -> Result<T, TokenError> {
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(TokenError::Malformed)?;
        let header: Header = decode(header)?;
        if header.alg != "ES256" {
            return Err(TokenError::Signature);
        }
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).map_err(|_| TokenError::Malformed)?;
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.pair.public_key().as_ref())
            .verify(signed.as_bytes(), &signature)
            .map_err(|_| TokenError::Signature)?;
        decode(claims)
    }
}

fn encode<T: Serialize>(value: &T) -> String {
    // Plain structs of strings and numbers always serialise.
    BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(value).unwrap_or_default())
}

fn decode<T: DeserializeOwned>(part: &str) -> Result<T, TokenError> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| TokenError::Malformed)
}
