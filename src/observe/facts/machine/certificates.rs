//! Certificates of the API.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::super::text;
use crate::diag::Invalid;
use crate::model::Fingerprint;
use crate::model::machine::{Certificate, Certificates};
use crate::ports::Output;

const OWN: &str = "/etc/pve/local/pve-ssl.pem";
const CUSTOM: &str = "/etc/pve/local/pveproxy-ssl.pem";

/// Asks for them, and which are there.
pub const COMMANDS: &[&[&str]] = &[
    &["ls", "-A", "/etc/pve/local/"],
    &["openssl", "x509", "-noout", "-startdate", "-enddate", "-fingerprint", "-sha256", "-in", OWN],
    &["openssl", "x509", "-noout", "-startdate", "-enddate", "-fingerprint", "-sha256", "-in", CUSTOM],
];

/// Reads them.
///
/// # Errors
/// When one that is there cannot be read.
pub fn read(outputs: &[Output]) -> Result<Certificates, Invalid> {
    let [listing, own, custom] = outputs else { return Err(Invalid::new("not asked for")) };
    let there = text::good(listing, "ls")?.lines().any(|name| name.trim() == "pveproxy-ssl.pem");
    let custom = if there { Some(certificate(CUSTOM, custom)?) } else { None };
    Ok(Certificates { own: certificate(OWN, own)?, custom })
}

fn certificate(path: &str, output: &Output) -> Result<Certificate, Invalid> {
    let said = text::good(output, "openssl")?;
    let value = |key: &str| {
        let found = said.lines().filter_map(|line| line.split_once('=')).find(|(name, _)| name.ends_with(key));
        found.map(|(_, value)| value.trim()).ok_or_else(|| Invalid::new(format!("`openssl` printed no `{key}`")))
    };
    Ok(Certificate {
        path: path.to_owned(),
        not_before: time(value("notBefore")?)?,
        not_after: time(value("notAfter")?)?,
        fingerprint: value("Fingerprint")?.parse::<Fingerprint>()?,
    })
}

/// Reads `Nov  1 09:05:00 2028 GMT`; seconds may have a fraction.
fn time(text: &str) -> Result<Timestamp, Invalid> {
    let strange = || Invalid::new(format!("`openssl` printed `{text}`, which is no time"));
    let parts: Vec<&str> = text.split_whitespace().collect();
    let [month, day, time, year, "GMT"] = parts[..] else { return Err(strange()) };
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = months.iter().position(|name| *name == month).ok_or_else(strange)? + 1;
    let day: u8 = day.parse().map_err(|_| strange())?;
    let year: i16 = year.parse().map_err(|_| strange())?;
    let written = format!("{year:04}-{month:02}-{day:02}T{time}");
    let civil: DateTime = written.parse().map_err(|_| strange())?;
    Ok(civil.to_zoned(TimeZone::UTC).map_err(|_| strange())?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::output;

    const SAID: &str = "notBefore=Nov 21 17:00:00 2025 GMT\nnotAfter=Nov  1 09:05:00 2027 GMT\n\
        sha256 Fingerprint=00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF\n";

    #[test]
    fn proxmox_s_own_is_served_unless_there_is_another() {
        let none = output(1, "", "Could not open file or uri for loading certificate\n");
        let read_them = read(&[output(0, "priv\npve-ssl.pem\n", ""), output(0, SAID, ""), none.clone()]).unwrap();
        assert_eq!(read_them.served().not_after, "2027-11-01T09:05:00Z".parse().unwrap());
        assert_eq!(read_them.served().path, OWN);
        let both = [output(0, "pve-ssl.pem\npveproxy-ssl.pem\n", ""), output(0, SAID, ""), output(0, SAID, "")];
        assert_eq!(read(&both).unwrap().served().path, CUSTOM);
        let unreadable = [output(0, "pve-ssl.pem\npveproxy-ssl.pem\n", ""), output(0, SAID, ""), none];
        assert!(read(&unreadable).is_err(), "one that is served and cannot be read is not passed over");
    }

    #[test]
    fn what_is_no_time_is_no_answer() {
        for wrong in
            ["", "Nov 31 09:05:00 2027 GMT", "Nov 1 09:05 2027", "Foo 1 09:05:00 2027 GMT", "Nov 1 x 99999 GMT"]
        {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }
}
