//! What is known of the catalogue's images: where each is told to listen, what it reads, which paths it answers. Taken
//! from the projects' own documentation; the stand-in does as this table says, and what a template says otherwise makes
//! a container that is not healthy.

/// One kind of image.
#[derive(Clone, Copy)]
pub struct Family {
    /// Its repository.
    pub repository: &'static str,
    /// Each port: `flag:--port`, `env:PORT`, `file:/path#start of a line` or `always:80`; several ways with `|`.
    pub listens: &'static [&'static str],
    pub paths: &'static [&'static str],
    /// Files without which it does not start.
    pub reads: &'static [&'static str],
    /// Variables without which it does not start.
    pub variables: &'static [&'static str],
    /// Variables that hold an address which has to answer when it starts.
    pub asks: &'static [&'static str],
    /// Where it keeps data.
    pub writes: &'static [&'static str],
    /// The user that it runs as.
    pub user: &'static str,
    pub directory: &'static str,
}

const NONE: Family = Family {
    repository: "",
    listens: &[],
    paths: &[],
    reads: &[],
    variables: &[],
    asks: &[],
    writes: &[],
    user: "",
    directory: "/",
};

impl Family {
    /// An image that the table does not have.
    pub fn unknown() -> Self {
        NONE
    }

    /// What the image of that name says to its stand-in.
    pub fn environment(&self, name: &str) -> Vec<String> {
        let version = name.rsplit('/').next().unwrap().split('@').next().unwrap();
        let mut all = vec!["PATH=/bin".to_owned(), format!("STAND_IN_VERSION={version}")];
        for (key, values) in [
            ("LISTENS", self.listens),
            ("PATHS", self.paths),
            ("READS", self.reads),
            ("VARIABLES", self.variables),
            ("ASKS", self.asks),
            ("WRITES", self.writes),
        ] {
            all.push(format!("STAND_IN_{key}={}", values.join(",")));
        }
        if self.repository.starts_with("pgvector") {
            all.push("PGDATA=/var/lib/postgresql/data".to_owned());
        }
        all
    }
}

/// The family of an image, if the table has it.
pub fn family(image: &str) -> Option<Family> {
    let name = image.split('@').next().unwrap();
    let (repository, _) = name.rsplit_once(':').unwrap_or((name, ""));
    FAMILIES.iter().find(|family| family.repository == repository).copied()
}

pub const FAMILIES: &[Family] = &[
    Family {
        repository: "ollama/ollama",
        listens: &["env:OLLAMA_HOST"],
        paths: &["/", "/api/tags", "/api/version"],
        writes: &["/root/.ollama"],
        ..NONE
    },
    Family {
        repository: "vllm/vllm-openai",
        listens: &["flag:--port"],
        paths: &["/health", "/v1/models", "/metrics"],
        ..NONE
    },
    Family {
        repository: "ghcr.io/ggml-org/llama.cpp",
        listens: &["flag:--port"],
        paths: &["/health", "/v1/models", "/metrics"],
        ..NONE
    },
    Family {
        repository: "ghcr.io/speaches-ai/speaches",
        listens: &["env:UVICORN_PORT"],
        paths: &["/health", "/v1/models"],
        ..NONE
    },
    Family {
        repository: "ghcr.io/berriai/litellm",
        listens: &["flag:--port"],
        paths: &["/health/liveliness", "/health/readiness", "/v1/models"],
        reads: &["/app/config.yaml"],
        variables: &["LITELLM_MASTER_KEY"],
        ..NONE
    },
    Family {
        repository: "ghcr.io/open-webui/open-webui",
        listens: &["env:PORT|always:8080"],
        paths: &["/health", "/"],
        variables: &["WEBUI_SECRET_KEY"],
        writes: &["/app/backend/data"],
        ..NONE
    },
    Family {
        repository: "qdrant/qdrant",
        listens: &["env:QDRANT__SERVICE__HTTP_PORT|always:6333"],
        paths: &["/healthz", "/readyz", "/metrics"],
        writes: &["/qdrant/storage"],
        ..NONE
    },
    Family {
        repository: "clickhouse/clickhouse-server",
        listens: &["always:8123", "always:9000", "file:/etc/clickhouse-server/config.d/infra.xml#<port>"],
        paths: &["/ping", "/metrics"],
        reads: &["/run/secrets/password"],
        variables: &["CLICKHOUSE_PASSWORD_FILE"],
        writes: &["/var/lib/clickhouse"],
        user: "101",
        ..NONE
    },
    Family {
        repository: "python",
        listens: &["file:/app/door.py#PORT = "],
        paths: &["/health", "/status", "/v1/models"],
        ..NONE
    },
    Family {
        repository: "tensorzero/gateway",
        listens: &["file:/app/tensorzero.toml#bind_address"],
        paths: &["/health", "/status"],
        asks: &["TENSORZERO_CLICKHOUSE_URL", "TENSORZERO_VALKEY_URL"],
        ..NONE
    },
    Family { repository: "valkey/valkey", listens: &["always:6379"], ..NONE },
    Family {
        repository: "redis",
        listens: &["file:/etc/redis/redis.conf#port "],
        writes: &["/data"],
        user: "999",
        ..NONE
    },
    Family {
        repository: "prom/prometheus",
        listens: &["flag:--web.listen-address"],
        paths: &["/-/ready", "/-/healthy", "/metrics"],
        reads: &["/etc/prometheus/prometheus.yml", "/etc/prometheus/rules.yml"],
        writes: &["/prometheus"],
        user: "65534",
        ..NONE
    },
    Family {
        repository: "prom/alertmanager",
        listens: &["flag:--web.listen-address"],
        paths: &["/-/ready", "/-/healthy", "/metrics"],
        reads: &["/etc/alertmanager/alertmanager.yml"],
        writes: &["/alertmanager"],
        user: "65534",
        ..NONE
    },
    Family {
        repository: "grafana/grafana",
        listens: &["always:3000"],
        paths: &["/api/health", "/metrics"],
        reads: &["/run/secrets/admin_password", "/etc/grafana/provisioning/datasources/infra.yaml"],
        variables: &["GF_SECURITY_ADMIN_PASSWORD__FILE"],
        writes: &["/var/lib/grafana"],
        user: "472",
        ..NONE
    },
    Family {
        repository: "grafana/loki",
        listens: &["file:/etc/loki/loki.yaml#http_listen_port:"],
        paths: &["/ready", "/metrics"],
        writes: &["/loki"],
        user: "10001",
        ..NONE
    },
    Family {
        repository: "grafana/alloy",
        listens: &["flag:--server.http.listen-addr"],
        paths: &["/-/ready", "/metrics"],
        reads: &["/etc/alloy/config.alloy"],
        ..NONE
    },
    Family {
        repository: "prompve/prometheus-pve-exporter",
        listens: &["flag:--web.listen-address"],
        paths: &["/", "/metrics", "/pve"],
        reads: &["/etc/prometheus/pve.yml"],
        user: "101",
        ..NONE
    },
    Family {
        repository: "gcr.io/cadvisor/cadvisor",
        listens: &["flag:--port"],
        paths: &["/healthz", "/metrics"],
        ..NONE
    },
    Family {
        repository: "nvcr.io/nvidia/k8s/dcgm-exporter",
        listens: &["env:DCGM_EXPORTER_LISTEN"],
        paths: &["/health", "/metrics"],
        ..NONE
    },
    Family {
        repository: "ghcr.io/mlflow/mlflow",
        listens: &["flag:--port"],
        paths: &["/health"],
        writes: &["/mlflow"],
        ..NONE
    },
    Family {
        repository: "quay.io/minio/minio",
        listens: &["flag:--address", "flag:--console-address"],
        paths: &["/minio/health/live"],
        reads: &["/run/secrets/password"],
        variables: &["MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD_FILE"],
        ..NONE
    },
    Family { repository: "louislam/uptime-kuma", listens: &["always:3001"], paths: &["/"], directory: "/app", ..NONE },
    Family { repository: "hashicorp/consul", listens: &["always:8500"], paths: &["/v1/status/leader"], ..NONE },
    Family {
        repository: "nats",
        listens: &["file:/etc/nats/nats.conf#listen:", "file:/etc/nats/nats.conf#http:"],
        paths: &["/healthz", "/varz"],
        ..NONE
    },
    Family {
        repository: "neo4j",
        listens: &["always:7474", "always:7687"],
        paths: &["/"],
        variables: &["NEO4J_AUTH"],
        ..NONE
    },
    Family {
        repository: "ghcr.io/goauthentik/server",
        listens: &["always:9000"],
        paths: &["/-/health/live/", "/-/health/ready/"],
        variables: &["AUTHENTIK_SECRET_KEY"],
        ..NONE
    },
    Family {
        repository: "postgres",
        listens: &["always:5432"],
        paths: &["/ready"],
        variables: &["POSTGRES_PASSWORD_FILE"],
        reads: &["/run/secrets/database"],
        ..NONE
    },
    Family {
        repository: "pgvector/pgvector",
        listens: &["file:/etc/postgresql/postgresql.conf#port ="],
        paths: &["/ready"],
        reads: &["/run/secrets/password", "/run/secrets/replication", "/docker-entrypoint-initdb.d/10-replication.sh"],
        ..NONE
    },
];
