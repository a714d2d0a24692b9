//! Cloud-init user data.

use minijinja::{Environment, UndefinedBehavior, context};

use crate::model::GuestName;

const USER_DATA: &str = include_str!("../../templates/cloud-init/user-data.yaml.j2");

/// User data that names the machine, lets `user` in with `ssh_keys`, and installs the guest agent.
///
/// # Panics
/// Never: the template is part of the program, and a test fills it.
#[must_use]
pub fn user_data(hostname: &GuestName, user: &str, ssh_keys: &[String], packages: &[String], agent: bool) -> String {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    // A JSON string is a YAML string, whatever is in it.
    environment.set_formatter(|out, state, value| {
        if value.as_str().is_some() {
            let quoted = serde_json::to_string(value).unwrap_or_default();
            out.write_str(&quoted).map_err(minijinja::Error::from)
        } else {
            minijinja::escape_formatter(out, state, value)
        }
    });
    let mut packages = packages.to_vec();
    if agent {
        packages.insert(0, "qemu-guest-agent".to_owned());
    }
    packages.dedup();
    environment
        .render_str(
            USER_DATA,
            context! { hostname => hostname.as_str(), user, ssh_keys => ssh_keys.to_vec(), packages, agent },
        )
        .expect("the template is filled by a test")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_cannot_break_out_of_their_line() {
        let name = "plan-hq".parse().unwrap();
        let keys = ["ssh-ed25519 AAAA me\nruncmd: [evil]".to_owned()];
        let text = user_data(&name, "ubuntu", &keys, &["htop".into()], true);
        assert!(text.starts_with("#cloud-config\n"), "{text}");
        assert!(!text.lines().any(|line| line.starts_with("runcmd: [evil")), "{text}");
        insta::assert_snapshot!(text, @r#"
        #cloud-config
        hostname: "plan-hq"
        manage_etc_hosts: true
        users:
          - name: "ubuntu"
            lock_passwd: true
            shell: /bin/bash
            sudo: ALL=(ALL) NOPASSWD:ALL
            ssh_authorized_keys:
              - "ssh-ed25519 AAAA me\nruncmd: [evil]"
        ssh_pwauth: false
        package_update: true
        packages:
          - "qemu-guest-agent"
          - "htop"
        runcmd:
          - [systemctl, enable, --now, qemu-guest-agent]
        "#);
    }
}
