//! Listeners that stand for a moment on ports that must be closed, so that a silence there proves something.
//!
//! In perl, which is essential to every Debian and Ubuntu (`perl-base`); bash cannot listen. Whoever connects is hung up
//! on at once. They end by themselves, whatever becomes of us, and nothing is written.

use std::collections::BTreeSet;

/// Seconds that they stand: longer than one round of connections takes, shorter than anybody should wait for a port.
pub const LIFE_S: u32 = 45;
/// Ports in one guest: each takes a descriptor.
const MOST: usize = 200;

/// The script that opens them and prints, one per line, on which ports somebody listens now by it. A port that is
/// taken is left to whoever has it.
#[must_use]
pub fn script(ports: &BTreeSet<u16>) -> String {
    let ports: Vec<String> = ports.iter().take(MOST).map(u16::to_string).collect();
    // Whoever has no perl says so on stderr, and ends well all the same.
    format!("perl -MSocket -MPOSIX=setsid -e '{PERL}' {LIFE_S} {} || true\n", ports.join(" "))
}

/// Both families on one socket where there is IPv6, as `bindv6only` is off unless somebody set it.
const PERL: &str = "my $life = shift; my @open; \
foreach my $port (@ARGV) { my $one; \
my $six = socket($one, PF_INET6, SOCK_STREAM, 6) && bind($one, pack_sockaddr_in6($port, \"\\0\" x 16)); \
if (!$six) { socket($one, PF_INET, SOCK_STREAM, 6) && bind($one, pack_sockaddr_in($port, INADDR_ANY)) || next } \
listen($one, 16) || next; push @open, $one; print \"$port\\n\" } \
exit 0 unless @open; $| = 1; print \"\"; \
my $child = fork(); exit 1 unless defined $child; exit 0 if $child; \
setsid(); open(STDIN, \"<\", \"/dev/null\"); open(STDOUT, \">\", \"/dev/null\"); open(STDERR, \">\", \"/dev/null\"); \
alarm $life; my $all = \"\"; vec($all, fileno($_), 1) = 1 foreach @open; \
while (1) { my $ready = $all; select($ready, undef, undef, undef); \
foreach my $one (@open) { next unless vec($ready, fileno($one), 1); accept(my $who, $one) && close($who) } }";

/// On which ports somebody listens now.
///
/// # Errors
/// If there is nothing to listen with.
pub fn read(stdout: &str, stderr: &str) -> Result<BTreeSet<u16>, String> {
    if stderr.lines().any(|line| line.contains("perl") && line.ends_with("not found")) {
        return Err("there is no `perl` in it to listen with".to_owned());
    }
    Ok(stdout.lines().filter_map(|line| line.trim().parse().ok()).collect())
}
