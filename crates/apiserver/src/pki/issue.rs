//! Issuing certificates, and deciding whether one that is there may be kept.

use std::{collections::BTreeSet, net::IpAddr, path::Path};

use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use x509_parser::{extensions::GeneralName, prelude::FromDer as _, prelude::X509Certificate};

use super::{Certified, PkiError, ServingNames, files, renewal_due};

const AUTHORITY_YEARS: i64 = 10;
const LEAF_YEARS: i64 = 1;

/// What a certificate is for.
pub(super) enum Purpose<'a> {
    /// Serving under these names.
    Serve(&'a ServingNames),
    /// A client that is this user, in these groups.
    Client { user: &'a str, groups: &'a [String] },
}

/// The certificate authority.
pub(super) struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(super) fn open(dir: &Path, now: Timestamp) -> Result<Self, PkiError> {
        let path = dir.join("ca.crt");
        let key_pem = keep_or_make_key(&dir.join("ca.key"))?;
        let key = KeyPair::from_pem(&key_pem)?;
        let kept = match files::read(&path)? {
            Some(pem) if !with_certificate(&path, &pem, |held| Ok(renewal_due(end_of(held), now)))? => Some(pem),
            _ => None,
        };
        let certificate = match kept {
            Some(pem) => pem,
            None => {
                let pem = authority_params(now)?.self_signed(&key)?.pem();
                files::write_private(&path, &pem)?;
                pem
            }
        };
        let issuer = Issuer::from_ca_cert_pem(&certificate, key)?;
        Ok(Self { certificate, issuer })
    }

    pub(super) fn certificate(&self) -> &str {
        &self.certificate
    }

    pub(super) fn issue(&self, purpose: &Purpose<'_>, now: Timestamp) -> Result<Certified, PkiError> {
        let key = KeyPair::generate()?;
        let certificate = leaf_params(purpose, now)?.signed_by(&key, &self.issuer)?;
        Ok(Certified { certificate: certificate.pem(), key: key.serialize_pem() })
    }
}

/// The PEM key at `path`, made if it is not there.
pub(super) fn keep_or_make_key(path: &Path) -> Result<String, PkiError> {
    if let Some(pem) = files::read(path)? {
        KeyPair::from_pem(&pem)
            .map_err(|error| PkiError::Damaged { path: path.to_owned(), reason: error.to_string() })?;
        return Ok(pem);
    }
    let pem = KeyPair::generate()?.serialize_pem();
    files::write_private(path, &pem)?;
    Ok(pem)
}

/// `<name>.crt` and `<name>.key` of `dir` if they serve the purpose, or new ones.
pub(super) fn keep_or_issue(
    dir: &Path,
    name: &str,
    authority: &Authority,
    purpose: &Purpose<'_>,
    now: Timestamp,
) -> Result<Certified, PkiError> {
    let (certificate_path, key_path) = (dir.join(format!("{name}.crt")), dir.join(format!("{name}.key")));
    if let (Some(certificate), Some(key)) = (files::read(&certificate_path)?, files::read(&key_path)?)
        && with_certificate(&certificate_path, &certificate, |held| fits(held, purpose, authority, now))?
    {
        return Ok(Certified { certificate, key });
    }
    let issued = authority.issue(purpose, now)?;
    files::write_private(&key_path, &issued.key)?;
    files::write_private(&certificate_path, &issued.certificate)?;
    Ok(issued)
}

fn fits(
    held: &X509Certificate<'_>,
    purpose: &Purpose<'_>,
    authority: &Authority,
    now: Timestamp,
) -> Result<bool, String> {
    let same_names = match purpose {
        Purpose::Serve(wanted) => names_of(held) == **wanted,
        Purpose::Client { .. } => true,
    };
    let ca = CertificateDer::from_pem_slice(authority.certificate.as_bytes()).map_err(|error| error.to_string())?;
    let (_, ca) = X509Certificate::from_der(&ca).map_err(|error| error.to_string())?;
    let ours = held.verify_signature(Some(ca.public_key())).is_ok();
    Ok(same_names && ours && !renewal_due(end_of(held), now))
}

fn with_certificate<T>(
    path: &Path,
    pem: &str,
    look: impl FnOnce(&X509Certificate<'_>) -> Result<T, String>,
) -> Result<T, PkiError> {
    let damaged = |reason: String| PkiError::Damaged { path: path.to_owned(), reason };
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| damaged(error.to_string()))?;
    let (_, certificate) = X509Certificate::from_der(&der).map_err(|error| damaged(error.to_string()))?;
    look(&certificate).map_err(damaged)
}

fn end_of(held: &X509Certificate<'_>) -> Timestamp {
    Timestamp::from_second(held.validity().not_after.timestamp()).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn names_of(held: &X509Certificate<'_>) -> ServingNames {
    let mut found = ServingNames::default();
    let Ok(Some(extension)) = held.subject_alternative_name() else { return found };
    for name in &extension.value.general_names {
        match name {
            GeneralName::DNSName(name) => {
                found.names.insert((*name).to_owned());
            }
            GeneralName::IPAddress(bytes) => {
                found.addresses.extend(address(bytes));
            }
            _ => {}
        }
    }
    found
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(bytes).map(IpAddr::from).or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

fn authority_params(now: Timestamp) -> Result<CertificateParams, PkiError> {
    let mut params = dated(CertificateParams::default(), AUTHORITY_YEARS, now);
    params.distinguished_name = named("skiff-ca", &[]);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    Ok(params)
}

fn leaf_params(purpose: &Purpose<'_>, now: Timestamp) -> Result<CertificateParams, PkiError> {
    let mut params = dated(CertificateParams::default(), LEAF_YEARS, now);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    match purpose {
        Purpose::Serve(names) => {
            params.distinguished_name = named("skiff-apiserver", &[]);
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            params.subject_alt_names = alternative_names(names)?;
        }
        Purpose::Client { user, groups } => {
            params.distinguished_name = named(user, groups);
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        }
    }
    Ok(params)
}

fn alternative_names(names: &ServingNames) -> Result<Vec<SanType>, PkiError> {
    let dns = names.names.iter().map(|name| Ok(SanType::DnsName(name.as_str().try_into()?)));
    let addresses = names.addresses.iter().map(|address| Ok(SanType::IpAddress(*address)));
    dns.chain(addresses).collect()
}

/// Kubernetes reads the user from the common name and the groups from the organisations.
fn named(user: &str, groups: &[String]) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    // A distinguished name holds each type once here; one group is all that skiff issues.
    if let Some(group) = groups.iter().collect::<BTreeSet<_>>().first() {
        name.push(DnType::OrganizationName, group.as_str());
    }
    name.push(DnType::CommonName, user);
    name
}

fn dated(mut params: CertificateParams, years: i64, now: Timestamp) -> CertificateParams {
    let today = now.to_zoned(TimeZone::UTC).date();
    let from = today.saturating_sub(1.day());
    let until = today.saturating_add(years.years());
    let parts =
        |date: jiff::civil::Date| (i32::from(date.year()), date.month().unsigned_abs(), date.day().unsigned_abs());
    let (year, month, day) = parts(from);
    params.not_before = rcgen::date_time_ymd(year, month, day);
    let (year, month, day) = parts(until);
    params.not_after = rcgen::date_time_ymd(year, month, day);
    params
}
