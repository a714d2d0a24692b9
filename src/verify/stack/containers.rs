//! Containers of a guest, as `docker inspect` tells them, held against what was rendered for it.
//!
//! Of what an engine tells only the fields here are kept: variables of a container, among which are secrets, are not.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A container that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Its id.
    pub id: String,
    /// The image that it was made from, as it was written.
    pub image: String,
    /// `running`, `exited`, `created` …
    pub status: String,
    /// Whether it is being started again after it ended.
    pub restarting: bool,
    /// How often it was started again by itself.
    pub restarts: u64,
    /// What it ended with.
    pub exit_code: i64,
    /// What the engine said when it could not be started.
    pub error: String,
    /// Whether it was ended for taking too much memory.
    pub out_of_memory: bool,
    /// `healthy`, `unhealthy`, `starting`; none without a health check.
    pub health: Option<String>,
    /// What its health check printed last.
    pub said: String,
    /// Whether a GPU was asked for.
    pub gpu: bool,
    /// Published ports: `address:port` of the guest, by `port/protocol` of the container. No address is all of them.
    pub published: BTreeMap<String, Vec<(String, u16)>>,
    /// Its addresses on the guest's own networks.
    pub addresses: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    id: String,
    name: String,
    #[serde(default)]
    restart_count: u64,
    state: State,
    config: Config,
    #[serde(default)]
    host_config: HostConfig,
    #[serde(default)]
    network_settings: NetworkSettings,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    status: String,
    #[serde(default)]
    restarting: bool,
    #[serde(default)]
    exit_code: i64,
    #[serde(default)]
    error: String,
    #[serde(default, rename = "OOMKilled")]
    out_of_memory: bool,
    #[serde(default)]
    health: Option<Health>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Health {
    status: String,
    #[serde(default)]
    log: Option<Vec<Look>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Look {
    #[serde(default)]
    output: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    image: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct HostConfig {
    port_bindings: Option<BTreeMap<String, Option<Vec<Binding>>>>,
    device_requests: Option<Vec<DeviceRequest>>,
    devices: Option<Vec<Device>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Binding {
    #[serde(default)]
    host_ip: String,
    #[serde(default)]
    host_port: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DeviceRequest {
    #[serde(default)]
    capabilities: Option<Vec<Vec<String>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Device {
    #[serde(default)]
    path_on_host: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct NetworkSettings {
    networks: Option<BTreeMap<String, Network>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Network {
    #[serde(default, rename = "IPAddress")]
    address: String,
}

/// Containers by name.
///
/// # Errors
/// If this is not what `docker inspect` prints.
pub fn read(text: &str) -> Result<BTreeMap<String, Container>, String> {
    let all: Vec<Inspected> = serde_json::from_str(text.trim())
        .map_err(|error| format!("what `docker inspect` prints cannot be read: {error}"))?;
    Ok(all.into_iter().map(|one| (one.name.trim_start_matches('/').to_owned(), container(one))).collect())
}

fn container(one: Inspected) -> Container {
    let requests = one.host_config.device_requests.unwrap_or_default();
    let asked = requests.iter().flat_map(|request| request.capabilities.iter().flatten().flatten());
    let devices = one.host_config.devices.unwrap_or_default();
    let gpu = asked.into_iter().any(|capability| capability == "gpu")
        || devices.iter().any(|device| ["/dev/kfd", "/dev/nvidia0"].contains(&device.path_on_host.as_str()));
    let published = one.host_config.port_bindings.unwrap_or_default().into_iter().map(|(inside, bindings)| {
        let bindings = bindings.unwrap_or_default().into_iter();
        let bindings = bindings.filter_map(|own| {
            let all = ["0.0.0.0", "::"].contains(&own.host_ip.as_str());
            Some((if all { String::new() } else { own.host_ip }, own.host_port.parse().ok()?))
        });
        (inside, bindings.collect())
    });
    let addresses = one.network_settings.networks.unwrap_or_default().into_values().map(|network| network.address);
    let last = one.state.health.as_ref().and_then(|health| health.log.as_ref()?.last());
    Container {
        said: last.map(|look| look.output.trim().to_owned()).unwrap_or_default(),
        id: one.id,
        image: one.config.image,
        status: one.state.status,
        restarting: one.state.restarting,
        restarts: one.restart_count,
        exit_code: one.state.exit_code,
        error: one.state.error,
        out_of_memory: one.state.out_of_memory,
        health: one.state.health.map(|health| health.status).filter(|status| status != "none"),
        gpu,
        published: published.collect(),
        addresses: addresses.filter(|address| !address.is_empty()).collect(),
    }
}

/// How often a container may have been started again by itself before that is a fault: once, as after a boot in which
/// what it needs came up later.
const RESTARTS: u64 = 3;

impl Container {
    /// What is wrong with it, if anything is.
    #[must_use]
    pub fn ails(&self) -> Option<String> {
        let short = |text: &str| {
            text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default().chars().take(200).collect::<String>()
        };
        if self.restarting
            || (self.status == "running" && self.restarts > RESTARTS && self.health.as_deref() != Some("healthy"))
        {
            return Some(format!(
                "it ends and is started again: {} times, last with exit code {}",
                self.restarts, self.exit_code
            ));
        }
        if self.status != "running" {
            let memory = if self.out_of_memory { ", for taking more memory than it may" } else { "" };
            return Some(match self.error.is_empty() {
                true => format!("it is {}, exit code {}{memory}", self.status, self.exit_code),
                false => format!("it could not be started: {}", short(&self.error)),
            });
        }
        match self.health.as_deref() {
            Some("unhealthy") => Some(format!("its health check fails: {}", short(&self.said))),
            Some("starting") => Some("its health check has not passed yet".to_owned()),
            _ if self.restarts > RESTARTS => Some(format!("it was started again {} times by itself", self.restarts)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cut down from what Docker 28 prints.
    const INSPECTED: &str = r#"[{"Id":"ab12","Name":"/ollama-ollama-1","RestartCount":0,"Image":"sha256:00",
        "State":{"Status":"running","Running":true,"Restarting":false,"OOMKilled":false,"ExitCode":0,"Error":"",
          "Health":{"Status":"healthy","FailingStreak":0,"Log":[{"ExitCode":0,"Output":"NAME ID\n"}]}},
        "Config":{"Image":"ollama/ollama:0.18.2","Env":["SECRET=canary-3141"]},
        "HostConfig":{"PortBindings":{"11434/tcp":[{"HostIp":"10.0.0.10","HostPort":"11434"}],"1/tcp":[{"HostIp":"0.0.0.0","HostPort":"1"}]},
          "DeviceRequests":[{"Driver":"nvidia","Count":-1,"Capabilities":[["gpu"]]}],"Devices":null},
        "NetworkSettings":{"Networks":{"infra-ollama":{"IPAddress":"172.18.0.2"},"ollama_default":{"IPAddress":""}}}}]"#;

    fn one() -> Container {
        read(INSPECTED).unwrap().remove("ollama-ollama-1").unwrap()
    }

    #[test]
    fn what_docker_tells_is_read_and_variables_are_not_kept() {
        let one = one();
        assert!(one.gpu && one.ails().is_none());
        assert_eq!(one.published["11434/tcp"], [("10.0.0.10".to_owned(), 11434)]);
        assert_eq!(one.published["1/tcp"], [(String::new(), 1)]);
        assert_eq!(one.addresses, ["172.18.0.2"]);
        assert!(!format!("{one:?}").contains("canary"));
        assert!(read("[]").unwrap().is_empty() && read("Cannot connect").is_err());
    }

    #[test]
    fn each_way_of_not_being_well_is_named() {
        let ails = |change: fn(&mut Container)| {
            let mut own = one();
            change(&mut own);
            own.ails().unwrap_or_default()
        };
        assert!(ails(|own| own.status = "exited".into()).contains("exited, exit code 0"));
        assert!(ails(|own| (own.status, own.error) = ("created".into(), "could not select device driver \"nvidia\"".into()))
            .contains("could not select device driver"));
        assert!(
            ails(|own| (own.health, own.said) = (Some("unhealthy".into()), "refused\n".into()))
                .ends_with("fails: refused")
        );
        assert!(ails(|own| (own.restarting, own.restarts) = (true, 7)).contains("7 times"));
        assert!(ails(|own| own.restarts = 9).contains("9 times"));
        assert_eq!(ails(|own| own.restarts = 1), "");
    }
}
