//! Names as guests of a lab are told them: one script of bash that asks a name server over UDP.
//!
//! Modelled is whether a name server answers, and that it knows what is outside; not what its zones say.

use std::net::IpAddr;

use super::rules::reach;
use super::shell::Call;

/// `bash -c 'exec 3<>/dev/udp/ADDRESS/53 && printf "…" | dd … && echo "dns $(…)"'`; none for any other script. A
/// question that nobody answers is ended by `timeout`.
pub fn asked(call: &mut Call<'_>) -> Option<i32> {
    let [flag, script] = call.args else { return None };
    let (server, rest) = script.strip_prefix("exec 3<>/dev/udp/")?.split_once("/53 && printf \"")?;
    let (question, rest) = rest.split_once("\" | dd ")?;
    if flag != "-c" || !rest.contains("echo \"dns $(dd ") {
        return None;
    }
    let server: IpAddr = server.parse().ok()?;
    let bytes = octal(question)?;
    let name = call.node;
    let (vmid, _) = call.world.guests.iter().find(|(vmid, guest)| guest.name(**vmid) == name)?;
    if !reach::answers_names(call.world, *vmid, server) {
        return Some(124);
    }
    let hex: String = answer(&bytes)?.iter().map(|byte| format!("{byte:02x}")).collect();
    call.print(format!("dns {hex}"));
    Some(0)
}

/// `\NNN` for each byte, as printf reads it.
fn octal(text: &str) -> Option<Vec<u8>> {
    text.split('\\').skip(1).map(|digits| u8::from_str_radix(digits, 8).ok()).collect()
}

/// What is outside has an address of documentation (RFC 5737); the root has a name server; everything else is unknown.
fn answer(question: &[u8]) -> Option<Vec<u8>> {
    let body = question.get(12..)?;
    let kind = body.get(body.len().checked_sub(4)?..)?;
    let known = body.windows(11).any(|part| part == b"\x06debian\x03org") || kind == [0, 2, 0, 1];
    let mut bytes = question.to_vec();
    *bytes.get_mut(2)? |= 0x80;
    *bytes.get_mut(3)? = if known { 0x80 } else { 0x83 };
    if known && kind == [0, 1, 0, 1] {
        *bytes.get_mut(7)? = 1;
        bytes.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 10]);
    }
    Some(bytes)
}
