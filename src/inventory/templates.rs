//! Services that come with the program: `templates/<service>/template.yaml` of this repository.
//!
//! Those beside an inventory count before them, so that an operator can add and change services.

use camino::Utf8Path;

macro_rules! built_in {
    ($($name:literal),* $(,)?) => {
        /// Name and text of each.
        pub const BUILT_IN: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../templates/", $name, "/template.yaml")))),*];
    };
}

built_in![
    "alertmanager",
    "alloy",
    "authelia",
    "authentik",
    "bind",
    "caddy",
    "cadvisor",
    "clickhouse",
    "dcgm-exporter",
    "grafana",
    "litellm",
    "loki",
    "mlflow",
    "nats",
    "node-exporter",
    "ollama",
    "open-webui",
    "postgres",
    "prometheus",
    "pve-exporter",
    "qdrant",
    "redis",
    "ssh",
    "tensorzero",
    "traefik",
    "vllm",
    "whisper",
];

/// The service that a `template.yaml` is of: its folder.
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
        let listed: BTreeSet<String> = BUILT_IN.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(folders, listed);
        assert!(BUILT_IN.is_sorted() && listed.len() == BUILT_IN.len());
    }
}
