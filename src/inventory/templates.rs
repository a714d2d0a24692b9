//! Services that come with the program: the folders in `templates/` of this repository.
//!
//! Those beside an inventory count before them, so that an operator can add and change services.

use camino::Utf8Path;

/// A service that comes with the program.
#[derive(Debug, Clone, Copy)]
pub struct BuiltIn {
    /// The name of its folder.
    pub name: &'static str,
    /// Its `template.yaml`.
    pub template: &'static str,
    /// Name and text of each file that is filled for it.
    pub texts: &'static [(&'static str, &'static str)],
}

macro_rules! built_in {
    ($($name:literal: [$($file:literal),* $(,)?]),* $(,)?) => {
        /// Each of them, by name.
        pub const BUILT_IN: &[BuiltIn] = &[$(BuiltIn {
            name: $name,
            template: include_str!(concat!("../../templates/", $name, "/template.yaml")),
            texts: &[$(($file, include_str!(concat!("../../templates/", $name, "/", $file)))),*],
        }),*];
    };
}

built_in! {
    "alertmanager": ["alertmanager.yaml.j2", "compose.yaml.j2"],
    "alloy": ["compose.yaml.j2", "config.alloy.j2"],
    "authelia": ["compose.yaml.j2", "configuration.yaml.j2", "users.yaml.j2"],
    "authentik": ["compose.yaml.j2", "env.authentik.j2"],
    "bind": [],
    "caddy": [],
    "cadvisor": ["compose.yaml.j2"],
    "clickhouse": ["compose.yaml.j2", "infra.xml.j2"],
    "comfyui": ["compose.yaml.j2"],
    "consul": ["compose.yaml.j2"],
    "dcgm-exporter": ["compose.yaml.j2"],
    "grafana": ["compose.yaml.j2", "datasources.yaml.j2", "env.grafana.j2"],
    "graphiti": ["compose.yaml.j2", "env.graphiti.j2"],
    "harbor": [
        "app.conf.j2",
        "compose.yaml.j2",
        "core.env.j2",
        "jobs.env.j2",
        "jobs.yaml.j2",
        "keys.sh.j2",
        "nginx.conf.j2",
        "portal.conf.j2",
        "registry.yaml.j2",
        "registryctl.yaml.j2",
    ],
    "litellm": ["compose.yaml.j2", "config.yaml.j2", "env.litellm.j2"],
    "llama-cpp": ["compose.yaml.j2"],
    "loki": ["compose.yaml.j2", "loki.yaml.j2"],
    "mcpo": ["compose.yaml.j2", "config.json.j2", "start.py.j2"],
    "minio": ["compose.yaml.j2"],
    "mlflow": ["compose.yaml.j2", "env.mlflow.j2", "start.py.j2"],
    "nats": ["compose.yaml.j2", "nats.conf.j2"],
    "neo4j": ["compose.yaml.j2", "env.neo4j.j2"],
    "node-exporter": [],
    "ollama": ["compose.yaml.j2", "env.ollama.j2"],
    "open-webui": ["compose.yaml.j2", "env.open-webui.j2"],
    "postgres": ["compose.yaml.j2", "env.postgres.j2", "postgresql.conf.j2", "replication.sh.j2", "start.sh.j2"],
    "prometheus": ["compose.yaml.j2", "prometheus.yaml.j2", "rules.yaml.j2"],
    "pve-exporter": ["compose.yaml.j2", "pve.yaml.j2"],
    "qdrant": ["compose.yaml.j2", "env.qdrant.j2"],
    "redis": ["compose.yaml.j2", "redis.conf.j2"],
    "ssh": [],
    "tensorzero": ["compose.yaml.j2", "door.py.j2", "env.tensorzero.j2", "tensorzero.toml.j2"],
    "text-generation-webui": ["compose.yaml.j2", "login.conf.j2"],
    "traefik": [],
    "uptime-kuma": ["compose.yaml.j2"],
    "vllm": ["compose.yaml.j2"],
    "whisper": ["compose.yaml.j2", "env.whisper.j2"],
}

/// What a service says of itself.
pub(super) const TEMPLATE: &str = "template.yaml";

/// The service that a file is of: its folder.
pub(super) fn service_of(path: &Utf8Path) -> Option<&str> {
    path.parent()?.file_name()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn list_and_folders_agree() {
        let root = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
        let folders = root.read_dir_utf8().unwrap().map(|entry| entry.unwrap().into_path());
        let folders: BTreeSet<String> = folders
            .filter(|folder| folder.join("template.yaml").is_file())
            .map(|folder| folder.file_name().unwrap().to_owned())
            .collect();
        let listed: BTreeSet<String> = BUILT_IN.iter().map(|service| service.name.to_owned()).collect();
        assert_eq!(folders, listed);
        assert!(BUILT_IN.is_sorted_by_key(|service| service.name) && listed.len() == BUILT_IN.len());
        for service in BUILT_IN {
            let files = root.join(service.name).read_dir_utf8().unwrap();
            let files = files.map(|entry| entry.unwrap().file_name().to_owned());
            let files: BTreeSet<String> = files.filter(|file| file.ends_with(".j2")).collect();
            let listed: BTreeSet<String> = service.texts.iter().map(|(file, _)| (*file).to_owned()).collect();
            // Packages have renderers of their own.
            let packaged = service.template.contains("\npackage: ");
            assert!(packaged && listed.is_empty() || files == listed, "{}: {files:?} {listed:?}", service.name);
        }
    }
}
