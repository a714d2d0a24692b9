//! Rules for ufw: commands as values, run by whoever runs commands, and the part that Docker needs.

use std::fmt::Write as _;

use ipnet::IpNet;

use super::{Admission, HostRuleset};

/// What makes a machine with ufw let in what a ruleset says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ufw {
    /// Commands in their order; the one that switches it on comes last, so that nobody is locked out in between.
    pub commands: Vec<Vec<String>>,
    /// What belongs at the end of `/etc/ufw/after.rules`, empty without Docker: what Docker publishes never comes to
    /// ufw's own chains, only to `DOCKER-USER` (Docker's documentation, "Packet filtering and firewalls").
    pub after_rules: String,
    /// The same for `/etc/ufw/after6.rules`.
    pub after6_rules: String,
}

/// The commands and files for `ruleset`.
#[must_use]
pub fn ufw(ruleset: &HostRuleset) -> Ufw {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>();
    let mut commands = vec![words(&["ufw", "default", "deny", "incoming"])];
    for admission in &ruleset.admissions {
        let origins: Vec<String> = match admission.families() {
            None => vec!["any".to_owned()],
            Some((v4, v6)) => v4.iter().chain(&v6).map(ToString::to_string).collect(),
        };
        for origin in origins {
            let mut command = words(&["ufw", "allow", "proto", admission.transport.as_str(), "from", &origin]);
            command.extend(words(&["to", "any", "port", &admission.ports.to_string()]));
            command.extend(words(&["comment", &comment(&admission.comment)]));
            commands.push(command);
        }
    }
    commands.push(words(&["ufw", "--force", "enable"]));
    let docker = |v4: bool| if ruleset.docker { docker_user(&ruleset.admissions, v4) } else { String::new() };
    Ufw { commands, after_rules: docker(true), after6_rules: docker(false) }
}

/// ufw refuses `'` in comments, and a line break would end the rule in its file.
fn comment(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || c == '\'' { ' ' } else { c }).collect()
}

fn docker_user(admissions: &[Admission], v4: bool) -> String {
    let mut out = String::from("# BEGIN infra\n*filter\n:DOCKER-USER - [0:0]\n-F DOCKER-USER\n");
    out.push_str("-A DOCKER-USER -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN\n");
    out.push_str("-A DOCKER-USER -i docker0 -j RETURN\n-A DOCKER-USER -i br-+ -j RETURN\n");
    for admission in admissions {
        let origins: Vec<Option<IpNet>> = match admission.families() {
            None => vec![None],
            Some((own, other)) => if v4 { own } else { other }.into_iter().map(Some).collect(),
        };
        for origin in origins {
            let source = origin.map(|net| format!(" -s {net}")).unwrap_or_default();
            let _ = writeln!(
                out,
                "-A DOCKER-USER{source} -p {} -m conntrack --ctorigdstport {} --ctdir ORIGINAL -j RETURN",
                admission.transport, admission.ports
            );
        }
    }
    out.push_str("-A DOCKER-USER -m conntrack --ctstatus DNAT -j DROP\nCOMMIT\n# END infra\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{PortRange, Transport};

    #[test]
    fn the_inference_stack_of_one_machine() {
        let ruleset = HostRuleset {
            name: "stack".into(),
            admissions: vec![Admission {
                from: ["10.0.0.0/8", "192.168.0.0/16", "fd00::/8"].map(|net| net.parse().unwrap()).into(),
                transport: Transport::Tcp,
                ports: PortRange::one(8000).unwrap(),
                comment: "gateway's\nport".into(),
            }],
            docker: true,
        };
        let ufw = ufw(&ruleset);
        let lines: Vec<String> = ufw.commands.iter().map(|command| command.join(" ")).collect();
        assert_eq!(
            lines,
            [
                "ufw default deny incoming",
                "ufw allow proto tcp from 10.0.0.0/8 to any port 8000 comment gateway s port",
                "ufw allow proto tcp from 192.168.0.0/16 to any port 8000 comment gateway s port",
                "ufw allow proto tcp from fd00::/8 to any port 8000 comment gateway s port",
                "ufw --force enable",
            ]
        );
        assert!(ufw.after_rules.contains("-s 10.0.0.0/8 -p tcp") && !ufw.after_rules.contains("fd00"));
        assert!(ufw.after6_rules.contains("-s fd00::/8 -p tcp") && !ufw.after6_rules.contains("10.0.0.0"));
        assert!(ufw.after_rules.ends_with("--ctstatus DNAT -j DROP\nCOMMIT\n# END infra\n"));
    }
}
