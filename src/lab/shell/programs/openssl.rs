//! `openssl x509`: what a certificate of the host says. The lab's certificate files hold that in words.

use crate::lab::shell::call::Call;
use crate::lab::shell::tree::read;

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let path = match call.args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["x509", "-noout", "-startdate", "-enddate", "-fingerprint", "-sha256", "-in", path] => path.to_owned(),
        _ => return call.unknown(&call.args.join(" ")),
    };
    match read(call.world, call.node, &path) {
        Ok(content) => {
            call.stdout.extend(content);
            0
        }
        Err(error) => {
            call.warn(format!("Could not open file or uri for loading certificate from {path}: {error}"));
            call.warn("Unable to load certificate");
            1
        }
    }
}
