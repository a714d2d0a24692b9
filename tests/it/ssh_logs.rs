//! `infra ssh` and `infra logs` on the lab.

use std::os::unix::fs::PermissionsExt;

use crate::desk::Desk;

const VROOLI: &str = "inventories/vrooli";

fn applied() -> Desk {
    let desk = Desk::new();
    desk.run(0, &["prepare", "--lab", "-i", VROOLI, "--yes"]);
    desk.run(0, &["apply", "--lab", "-i", VROOLI, "--yes"]);
    desk
}

#[test]
fn a_command_runs_in_a_guest_and_gives_back_its_exit_code() {
    let desk = applied();
    for guest in ["plan-hq", "proj-x"] {
        let said = desk.run(0, &["ssh", guest, "--lab", "-i", VROOLI, "--", "cat", "/etc/hostname"]);
        assert_eq!(said.trim(), guest);
    }
    assert_eq!(desk.run(0, &["ssh", "hq", "--lab", "-i", VROOLI, "--", "cat", "/etc/hostname"]).lines().count(), 1);
    desk.run(7, &["ssh", "proj-x", "--lab", "-i", VROOLI, "--", "sh", "-c", "exit 7"]);
    let mistyped = desk.command(&["ssh", "proj-xx", "--lab", "-i", VROOLI, "--", "true"]).output().unwrap();
    let said = String::from_utf8(mistyped.stderr).unwrap();
    assert!(mistyped.status.code() == Some(1) && said.contains("proj-x"), "{said}");
    let unknown = desk.command(&["logs", "plan-hq", "olama", "--lab", "-i", VROOLI]).output().unwrap();
    let said = String::from_utf8(unknown.stderr).unwrap();
    assert!(unknown.status.code() == Some(1) && said.contains("ollama"), "{said}");
}

#[test]
fn a_vm_is_entered_by_the_key_that_its_agent_told_and_a_container_through_its_host() {
    let desk = applied();
    let bin = desk.path("bin");
    std::fs::create_dir(&bin).unwrap();
    let ssh = bin.join("ssh");
    std::fs::write(&ssh, "#!/bin/sh\nprintf '%s\\n' \"$@\"\nexit 5\n").unwrap();
    std::fs::set_permissions(&ssh, std::fs::Permissions::from_mode(0o755)).unwrap();
    let called = |guest: &str| {
        let mut command = desk.command(&["ssh", guest, "--lab", "-i", VROOLI]);
        let output = command.env("PATH", format!("{}:/bin:/usr/bin", bin.display())).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(5), "{text}{}", String::from_utf8_lossy(&output.stderr));
        text
    };
    let vm = called("plan-hq");
    assert!(vm.contains("HostKeyAlias=infra-10.0.0.10-22\n") && vm.contains("StrictHostKeyChecking=yes"), "{vm}");
    assert!(vm.lines().any(|line| line.starts_with("ProxyCommand=ssh ")) && vm.ends_with("@10.0.0.10\n"), "{vm}");
    let known = desk.path(".infra/lab/vrooli/ssh/known_hosts");
    let keys = std::fs::read_to_string(&known).unwrap();
    assert!(keys.lines().any(|line| line.starts_with("infra-10.0.0.10-22 ssh-ed25519 AAAA")), "{keys}");
    assert_eq!(std::fs::metadata(&known).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(called("proj-x").ends_with("\npct enter 104\n"));
}
