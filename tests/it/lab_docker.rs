//! Docker in the lab's guests: installed, told, refused as the real one is.

use infra::lab::Scenario;
use infra::lab::shell::run_in_guest;
use infra::lab::world::{Container, Guest, GuestKind, Mapping, Run, World};
use infra::ports::Output;

const VM: u32 = 200;
const CT: u32 = 104;
const NOW: i64 = 1_795_254_000_000;

/// A host with a GPU, a VM of Ubuntu that has it, and a container of Debian; nothing takes time.
fn world() -> World {
    let scenario = Scenario::example();
    let mut world = scenario.world(&scenario.sites[0], "s", jiff::Timestamp::from_millisecond(NOW).unwrap()).unwrap();
    let mapping = Mapping { map: vec!["node=pve1,path=0000:01:00,id=10de:2684".to_owned()], ..Mapping::default() };
    world.mappings.insert("card".to_owned(), mapping);
    let vm = [
        ("name", "inference"),
        ("memory", "32768"),
        ("cores", "8"),
        ("bios", "ovmf"),
        ("efidisk0", "local-zfs:vm-200-disk-0,efitype=4m,size=1M"),
        ("scsi0", "local-zfs:vm-200-disk-1,size=50G"),
        ("ipconfig0", "ip=10.20.0.10/24,gw=10.20.0.1"),
        ("hostpci0", "mapping=card,pcie=1"),
    ];
    put(&mut world, VM, GuestKind::Qemu, &vm, "ubuntu-24.04");
    let ct = [
        ("hostname", "proj-x"),
        ("features", "nesting=1,keyctl=1"),
        ("net0", "name=eth0,bridge=vmbr0,ip=10.20.0.123/24"),
        ("rootfs", "local-zfs:subvol-104-disk-0,size=20G"),
        ("unprivileged", "1"),
    ];
    put(&mut world, CT, GuestKind::Lxc, &ct, "debian-13");
    world
}

fn put(world: &mut World, vmid: u32, kind: GuestKind, config: &[(&str, &str)], system: &str) {
    let config = config.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let mut guest = Guest::new(kind, "pve1", config);
    guest.inside.system = system.to_owned();
    guest.run = Some(Run { pid: 5000, started_ms: NOW - 1000, booted_ms: Some(NOW - 500), paused: false });
    world.guests.insert(vmid, guest);
}

fn run(world: &mut World, vmid: u32, line: &str) -> Output {
    run_in_guest(world, vmid, line, b"")
}

/// Runs a line that has to succeed, and gives back what it printed.
fn ok(world: &mut World, vmid: u32, line: &str) -> String {
    let output = run(world, vmid, line);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.code, 0, "{line}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a line that has to fail, and gives back its exit code and what it said.
fn no(world: &mut World, vmid: u32, line: &str) -> (i32, String) {
    let output = run(world, vmid, line);
    assert_ne!(output.code, 0, "{line}");
    (output.code, String::from_utf8_lossy(&[output.stderr, output.stdout].concat()).into_owned())
}

fn installed(world: &mut World, vmid: u32) {
    let packages = if vmid == VM { "docker.io docker-compose-v2" } else { "docker.io docker-compose" };
    ok(world, vmid, "apt-get update");
    ok(world, vmid, &format!("apt-get install -y {packages}"));
}

fn gpu(world: &mut World) {
    ok(world, VM, "apt-get install -y linux-modules-nvidia-570-server-generic nvidia-utils-570-server");
    ok(world, VM, "modprobe nvidia");
    let guest = world.guests.get_mut(&VM).unwrap();
    guest.put("/usr/share/keyrings/nvidia.asc", "NVIDIA");
    guest.put(
        "/etc/apt/sources.list.d/nvidia.list",
        "deb [signed-by=/usr/share/keyrings/nvidia.asc] https://nvidia.github.io/libnvidia-container/stable/deb/amd64 /\n",
    );
    ok(world, VM, "apt-get update");
    ok(world, VM, "apt-get install -y nvidia-container-toolkit");
    ok(world, VM, "nvidia-ctk runtime configure --runtime=docker");
    ok(world, VM, "systemctl restart docker");
}

fn stack(world: &mut World, vmid: u32, name: &str, compose: &str, files: &[(&str, &str)]) {
    let guest = world.guests.get_mut(&vmid).unwrap();
    guest.put(&format!("/opt/stacks/{name}/compose.yaml"), compose);
    for (path, text) in files {
        guest.put(&format!("/opt/stacks/{name}/{path}"), *text);
    }
}

fn compose(name: &str, words: &str) -> String {
    format!("docker compose --project-directory /opt/stacks/{name} --file /opt/stacks/{name}/compose.yaml {words}")
}

const UP: &str = "up --detach --wait --wait-timeout 120 --remove-orphans";

const OLLAMA: &str = r#"
name: ollama
services:
  ollama:
    image: ollama/ollama:0.18.2
    restart: unless-stopped
    env_file: [.env.ollama]
    volumes: ["models:/root/.ollama"]
    ports: ["10.20.0.10:11434:11434/tcp"]
    networks: [default, infra-ollama]
    deploy: { resources: { reservations: { devices: [{ driver: nvidia, count: all, capabilities: [gpu] }] } } }
    healthcheck: { test: [CMD, ollama, list], interval: 30s, timeout: 10s, retries: 3, start_period: 30s }
    labels: { infra.service: ollama }
networks: { default: {}, infra-ollama: { name: infra-ollama, external: true } }
volumes: { models: { name: ollama_models } }
"#;

const ENV: &[(&str, &str)] =
    &[(".env.ollama", "OLLAMA_HOST=0.0.0.0:11434\nOLLAMA_CONTEXT_LENGTH=16384\nOLLAMA_KEEP_ALIVE=30m\n")];

fn ollama(world: &mut World) {
    stack(world, VM, "ollama", OLLAMA, ENV);
    ok(world, VM, "docker network create --internal infra-ollama");
    ok(world, VM, &compose("ollama", UP));
}

#[test]
fn docker_is_there_once_its_packages_are() {
    let mut world = world();
    assert_eq!(no(&mut world, VM, "docker version").0, 127);
    assert_eq!(no(&mut world, VM, "apt-get install -y docker.io").0, 100, "lists of a fresh image are not there yet");
    installed(&mut world, VM);
    let said: serde_json::Value =
        serde_json::from_str(&ok(&mut world, VM, "docker version --format '{{json .}}'")).unwrap();
    assert_eq!(said["Server"]["Version"], "28.2.2");
    assert!(ok(&mut world, VM, "docker compose version --short").starts_with("2.37.1"));
    assert_eq!(ok(&mut world, VM, "systemctl is-enabled docker"), "enabled\n");
    assert_eq!(
        ok(&mut world, VM, "dpkg-query -W -f='${Status}\\t${Version}\\n' docker.io"),
        "install ok installed\t28.2.2-0ubuntu1~24.04.1\n"
    );
    assert_eq!(no(&mut world, VM, "dpkg-query -W -f='${Status}\\n' docker-ce").0, 1);
}

#[test]
fn debian_12_has_no_compose_of_version_2() {
    let mut world = world();
    world.guests.get_mut(&CT).unwrap().inside.system = "debian-12".to_owned();
    installed(&mut world, CT);
    let (code, said) = no(&mut world, CT, "docker compose version");
    assert!(code == 1 && said.contains("unknown command: docker compose"), "{said}");
}

#[test]
fn dockers_repository_needs_its_list_its_key_and_an_update() {
    let mut world = world();
    let install = "apt-get install -y docker-ce docker-ce-cli containerd.io docker-buildx-plugin docker-compose-plugin";
    ok(&mut world, VM, "apt-get update");
    assert_eq!(no(&mut world, VM, install).0, 100);
    let list = "deb [arch=amd64 signed-by=/etc/apt/keyrings/docker.asc] https://download.docker.com/linux/ubuntu noble stable\n";
    world.guests.get_mut(&VM).unwrap().put("/etc/apt/sources.list.d/docker.list", list);
    assert!(no(&mut world, VM, "apt-get update").1.contains("is not signed"));
    let url = "https://download.docker.com/linux/ubuntu/gpg /etc/apt/keyrings/docker.asc";
    assert!(
        no(&mut world, VM, &format!("/usr/lib/apt/apt-helper download-file {url} SHA256:00"))
            .1
            .contains("Hash Sum mismatch")
    );
    let sum = "SHA256:1500c1f56fa9e26b9b8f42452a553675796ade0807cdce11975eb98170b3a570";
    ok(&mut world, VM, &format!("/usr/lib/apt/apt-helper download-file {url} {sum}"));
    ok(&mut world, VM, "apt-get update");
    ok(&mut world, VM, install);
    assert_eq!(ok(&mut world, VM, "docker compose version --short"), "2.40.3\n");
    assert_eq!(ok(&mut world, VM, "docker info --format '{{.ServerVersion}} {{.Driver}}'"), "28.5.2 overlay2\n");
}

#[test]
fn a_bad_daemon_json_keeps_docker_from_starting() {
    let mut world = world();
    installed(&mut world, VM);
    world.guests.get_mut(&VM).unwrap().put("/etc/docker/daemon.json", "{\"live-restor\": true}");
    assert_eq!(no(&mut world, VM, "systemctl restart docker").0, 1);
    assert_eq!(
        ok(&mut world, VM, "systemctl show -p ActiveState -p Result docker"),
        "Result=exit-code\nActiveState=failed\n"
    );
    assert!(
        ok(&mut world, VM, "journalctl -u docker -n 5 --no-pager")
            .contains("don't match any configuration option: live-restor")
    );
    assert!(no(&mut world, VM, "docker ps").1.contains("Cannot connect to the Docker daemon"));
    world.guests.get_mut(&VM).unwrap().put("/etc/docker/daemon.json", "{\"live-restore\": true}");
    ok(&mut world, VM, "systemctl restart docker");
    assert_eq!(ok(&mut world, VM, "docker info --format '{{.LiveRestoreEnabled}}'"), "true\n");
}

#[test]
fn a_project_comes_up_is_told_and_goes_down() {
    let mut world = world();
    installed(&mut world, VM);
    gpu(&mut world);
    ollama(&mut world);
    assert_eq!(
        ok(&mut world, VM, "docker ps --format '{{.Names}} {{.State}} {{.Status}}'"),
        "ollama-ollama-1 running Up Less than a second (healthy)\n"
    );
    let rows = ok(&mut world, VM, &compose("ollama", "ps --all --format json"));
    let row: serde_json::Value = serde_json::from_str(rows.trim()).unwrap();
    assert_eq!(
        (&row["Service"], &row["State"], &row["Health"]),
        (&"ollama".into(), &"running".into(), &"healthy".into())
    );
    assert!(ok(&mut world, VM, "docker compose ls --all --format json").contains("\"Status\":\"running(1)\""));
    let inspected: serde_json::Value =
        serde_json::from_str(&ok(&mut world, VM, "docker inspect ollama-ollama-1")).unwrap();
    assert_eq!(inspected[0]["State"]["Health"]["Status"], "healthy");
    assert_eq!(inspected[0]["Config"]["Labels"]["infra.service"], "ollama");
    let said = ok(&mut world, VM, "bash -c 'exec 3<>/dev/tcp/10.20.0.10/11434 && echo open'");
    assert_eq!(said, "open\n");
    let before = world.clone();
    ok(&mut world, VM, &compose("ollama", UP));
    assert_eq!(before.guests[&VM].docker, world.guests[&VM].docker, "nothing changes");
    ok(&mut world, VM, &compose("ollama", "down"));
    assert_eq!(ok(&mut world, VM, "docker ps --all --quiet"), "");
    assert_eq!(ok(&mut world, VM, "docker volume ls --format '{{.Name}}'"), "ollama_models\n");
}

#[test]
fn what_others_make_has_to_be_there() {
    let mut world = world();
    installed(&mut world, VM);
    gpu(&mut world);
    stack(&mut world, VM, "ollama", OLLAMA, ENV);
    let (_, said) = no(&mut world, VM, &compose("ollama", UP));
    assert!(said.contains("network infra-ollama declared as external, but could not be found"), "{said}");
    world.guests.get_mut(&VM).unwrap().files.remove("/opt/stacks/ollama/.env.ollama");
    assert_eq!(no(&mut world, VM, &compose("ollama", "config --quiet")).0, 14);
}

#[test]
fn a_gpu_without_toolkit_is_no_device_driver() {
    let mut world = world();
    installed(&mut world, VM);
    stack(&mut world, VM, "ollama", OLLAMA, ENV);
    ok(&mut world, VM, "docker network create --internal infra-ollama");
    let (code, said) = no(&mut world, VM, &compose("ollama", UP));
    assert!(
        code == 1 && said.contains("could not select device driver \"nvidia\" with capabilities: [[gpu]]"),
        "{said}"
    );
    gpu(&mut world);
    ok(&mut world, VM, &compose("ollama", UP));
    assert!(ok(&mut world, VM, "docker logs ollama-ollama-1").contains("library=CUDA"));
}

#[test]
fn models_take_disk_and_memory_of_the_card() {
    let mut world = world();
    installed(&mut world, VM);
    gpu(&mut world);
    ollama(&mut world);
    let smi = "nvidia-smi --query-gpu=name,memory.used,memory.total --format=csv,noheader,nounits";
    assert_eq!(ok(&mut world, VM, smi), "NVIDIA GeForce RTX 4090, 1, 24564\n");
    let free = infra::lab::guest_disk::free(&world, VM);
    ok(&mut world, VM, &compose("ollama", "exec -T ollama ollama pull qwen2.5-coder:7b"));
    assert_eq!(free - infra::lab::guest_disk::free(&world, VM), 4_683_087_332);
    assert!(ok(&mut world, VM, &compose("ollama", "exec -T ollama ollama list")).contains("qwen2.5-coder:7b"));
    ok(&mut world, VM, &compose("ollama", "exec -T ollama ollama run qwen2.5-coder:7b hello"));
    assert!(ok(&mut world, VM, &compose("ollama", "exec -T ollama ollama ps")).contains("100% GPU"));
    let used: u64 = ok(&mut world, VM, smi).split(", ").nth(1).unwrap().parse().unwrap();
    assert!(used > 4000, "{used}");
    ok(&mut world, VM, &compose("ollama", "restart"));
    assert!(ok(&mut world, VM, smi).contains(", 1, "), "what was loaded is gone with the process");
    assert!(ok(&mut world, VM, &compose("ollama", "exec -T ollama ollama list")).contains("qwen2.5-coder:7b"));
    let (code, said) = no(&mut world, VM, &compose("ollama", "exec -T ollama ollama run nope hello"));
    assert!(code == 1 && said.contains("not found"), "{said}");
}

#[test]
fn a_full_disk_stops_a_pull() {
    let mut world = world();
    installed(&mut world, VM);
    gpu(&mut world);
    ollama(&mut world);
    let guest = world.guests.get_mut(&VM).unwrap();
    guest.inside.ballast = infra::lab::guest_disk::size(guest) - infra::lab::guest_disk::used(guest) - (1 << 30);
    let (_, said) = no(&mut world, VM, &compose("ollama", "exec -T ollama ollama pull qwen2.5-coder:7b"));
    assert!(said.contains("no space left on device"), "{said}");
    let (_, said) = no(&mut world, VM, "docker pull --quiet ghcr.io/berriai/litellm:v1.83.14-stable");
    assert!(said.contains("no space left on device"), "{said}");
}

#[test]
fn a_detached_pull_is_over_when_its_time_has_come() {
    let mut world = world();
    installed(&mut world, VM);
    gpu(&mut world);
    ollama(&mut world);
    world.pace = 100;
    let show = "systemctl show -p ActiveState -p Result infra-pull";
    let pull = compose("ollama", "exec -T ollama ollama pull qwen2.5-coder:7b");
    ok(&mut world, VM, &format!("systemd-run --unit=infra-pull --collect {pull}"));
    assert_eq!(ok(&mut world, VM, show), "Result=success\nActiveState=active\n");
    world.now_ms += 120_000;
    assert_eq!(ok(&mut world, VM, show), "Result=success\nActiveState=inactive\n");
    assert!(ok(&mut world, VM, &compose("ollama", "exec -T ollama ollama list")).contains("qwen2.5-coder:7b"));
}

#[test]
fn a_unit_that_failed_and_was_collected_is_told_as_a_success() {
    let mut world = world();
    installed(&mut world, VM);
    let show = "systemctl show -p ActiveState -p Result infra-x";
    ok(&mut world, VM, "systemd-run --unit=infra-x --collect docker pull nope.example/x:1 --bad");
    world.registry.missing.insert("nope.example/y:1".to_owned());
    ok(&mut world, VM, "systemd-run --unit=infra-y docker pull nope.example/y:1");
    world.now_ms += 1;
    assert_eq!(ok(&mut world, VM, show), "Result=success\nActiveState=inactive\n");
    assert_eq!(ok(&mut world, VM, &show.replace("infra-x", "infra-y")), "Result=exit-code\nActiveState=failed\n");
    assert!(ok(&mut world, VM, "journalctl -u infra-y -o cat --no-pager").contains("manifest unknown"));
    ok(&mut world, VM, "systemctl reset-failed infra-y");
    ok(&mut world, VM, "systemd-run --unit=infra-y true");
}

#[test]
fn a_changed_file_that_is_mounted_changes_nothing_until_the_container_is_made_anew() {
    let mut world = world();
    installed(&mut world, VM);
    let text = "name: redis\nservices:\n  redis:\n    image: redis:7.4.6-alpine\n    restart: unless-stopped\n    command: [redis-server, /etc/redis/redis.conf]\n    volumes: [\"./redis.conf:/etc/redis/redis.conf:ro\"]\n    healthcheck: { test: [CMD, sh, -c, \"redis-cli ping | grep -qE 'PONG|NOAUTH'\"], interval: 5s, retries: 3 }\n";
    stack(&mut world, VM, "redis", text, &[("redis.conf", "port 6379\n")]);
    ok(&mut world, VM, &compose("redis", UP));
    world.guests.get_mut(&VM).unwrap().put("/opt/stacks/redis/redis.conf", "prot 6379\n");
    ok(&mut world, VM, &compose("redis", UP));
    let (_, said) = no(&mut world, VM, &compose("redis", &format!("{UP} --force-recreate")));
    assert!(said.contains("container redis-redis-1 is unhealthy"), "{said}");
    assert!(ok(&mut world, VM, &compose("redis", "logs --no-color --tail 5")).contains("FATAL CONFIG FILE ERROR"));
    assert!(ok(&mut world, VM, "docker ps --all --format '{{.Status}}'").starts_with("Restarting (1)"));
}

#[test]
fn a_loop_without_a_health_check_counts_as_well_for_compose() {
    let mut world = world();
    installed(&mut world, VM);
    world.registry.broken.insert("mine:1".to_owned(), "no good".to_owned());
    stack(
        &mut world,
        VM,
        "mine",
        "name: mine\nservices: { mine: { image: \"mine:1\", restart: unless-stopped } }\n",
        &[],
    );
    ok(&mut world, VM, &compose("mine", UP));
    assert_eq!(ok(&mut world, VM, "docker inspect --format '{{.State.Status}}' mine-mine-1"), "restarting\n");
    stack(&mut world, VM, "mine", "name: mine\nservices: { mine: { image: \"mine:1\" } }\n", &[]);
    assert!(no(&mut world, VM, &compose("mine", UP)).1.contains("container mine-mine-1 exited (1)"));
}

#[test]
fn a_port_is_published_once_and_on_an_address_of_the_guest() {
    let mut world = world();
    installed(&mut world, VM);
    let one = |name: &str, port: &str| {
        format!("name: {name}\nservices: {{ {name}: {{ image: \"{name}:1\", ports: [\"{port}\"] }} }}\n")
    };
    stack(&mut world, VM, "a", &one("a", "8080:80"), &[]);
    stack(&mut world, VM, "b", &one("b", "10.20.0.10:8080:80"), &[]);
    stack(&mut world, VM, "c", &one("c", "10.20.0.99:8081:80"), &[]);
    ok(&mut world, VM, &compose("a", "up -d"));
    assert!(no(&mut world, VM, &compose("b", "up -d")).1.contains("port is already allocated"));
    assert!(no(&mut world, VM, &compose("c", "up -d")).1.contains("cannot assign requested address"));
}

#[test]
fn containers_come_back_with_the_guest_unless_somebody_stopped_them() {
    let mut world = world();
    installed(&mut world, VM);
    let text = "name: x\nservices:\n  a: { image: \"a:1\", restart: unless-stopped }\n  b: { image: \"b:1\", restart: unless-stopped }\n  c: { image: \"c:1\" }\n";
    stack(&mut world, VM, "x", text, &[]);
    ok(&mut world, VM, &compose("x", "up -d"));
    ok(&mut world, VM, "docker stop x-b-1");
    ok(&mut world, VM, "reboot");
    world.now_ms += 60_000;
    assert_eq!(ok(&mut world, VM, "docker ps --format '{{.Names}}'"), "x-a-1\n");
}

#[test]
fn secure_boot_refuses_modules_that_were_built_here() {
    let mut world = world();
    world
        .guests
        .get_mut(&VM)
        .unwrap()
        .config
        .insert("efidisk0".into(), "local-zfs:vm-200-disk-0,efitype=4m,pre-enrolled-keys=1,size=1M".into());
    ok(&mut world, VM, "apt-get update");
    assert_eq!(ok(&mut world, VM, "mokutil --sb-state"), "SecureBoot enabled\n");
    ok(&mut world, VM, "apt-get install -y nvidia-dkms-570-server nvidia-utils-570-server");
    assert!(no(&mut world, VM, "modprobe nvidia").1.contains("Key was rejected by service"));
    let (code, said) = no(&mut world, VM, "nvidia-smi");
    assert!(code == 9 && said.contains("couldn't communicate with the NVIDIA driver"), "{said}");
    ok(&mut world, VM, "apt-get install -y linux-modules-nvidia-570-server-generic");
    ok(&mut world, VM, "modprobe nvidia");
    assert!(ok(&mut world, VM, "cat /proc/driver/nvidia/version").contains("570.158.01"));
}

#[test]
fn a_driver_that_was_replaced_under_its_module_is_a_mismatch_until_a_boot() {
    let mut world = world();
    ok(&mut world, VM, "apt-get update");
    ok(&mut world, VM, "apt-get install -y linux-modules-nvidia-570-server-generic nvidia-utils-570-server");
    ok(&mut world, VM, "modprobe nvidia");
    ok(&mut world, VM, "nvidia-smi");
    ok(&mut world, VM, "apt-get install -y linux-modules-nvidia-580-server-generic nvidia-utils-580-server");
    let (code, said) = no(&mut world, VM, "nvidia-smi");
    assert!(code == 18 && said.contains("Driver/library version mismatch"), "{said}");
    ok(&mut world, VM, "reboot");
    world.now_ms += 60_000;
    assert_eq!(
        ok(&mut world, VM, "nvidia-smi --query-gpu=driver_version --format=csv,noheader,nounits"),
        "580.65.06\n"
    );
}

#[test]
fn without_nesting_no_container_starts() {
    let mut world = world();
    installed(&mut world, CT);
    ok(&mut world, CT, "docker run --rm hello-world");
    world.guests.get_mut(&CT).unwrap().config.insert("features".into(), "keyctl=1".into());
    let (code, said) = no(&mut world, CT, "docker run --rm hello-world");
    assert!(code == 125 && said.contains("error mounting \"proc\""), "{said}");
}

#[test]
fn without_keyctl_containers_start_as_runc_goes_on() {
    let mut world = world();
    installed(&mut world, CT);
    world.guests.get_mut(&CT).unwrap().config.insert("features".into(), "nesting=1".into());
    ok(&mut world, CT, "docker run --rm hello-world");
}

#[test]
fn runc_1_3_3_starts_nothing_on_a_host_with_an_old_lxc_pve() {
    let mut world = world();
    installed(&mut world, CT);
    world.guests.get_mut(&CT).unwrap().docker.as_mut().unwrap().runc = "1.3.3".to_owned();
    ok(&mut world, CT, "docker run --rm hello-world");
    world.nodes.get_mut("pve1").unwrap().machine.packages.insert("lxc-pve".into(), "6.0.5-1".into());
    let (_, said) = no(&mut world, CT, "docker run --rm hello-world");
    assert!(said.contains("open sysctl net.ipv4.ip_unprivileged_port_start file"), "{said}");
    world.guests.get_mut(&CT).unwrap().docker.as_mut().unwrap().runc = "1.1.15".to_owned();
    ok(&mut world, CT, "docker run --rm hello-world");
}

#[test]
fn on_an_old_zfs_the_driver_is_vfs_and_images_take_seven_times_their_size() {
    let mut world = world();
    world.nodes.get_mut("pve1").unwrap().machine.packages.insert("zfsutils-linux".into(), "2.1.15-pve1".into());
    installed(&mut world, CT);
    assert_eq!(ok(&mut world, CT, "docker info --format '{{.Driver}}'"), "vfs\n");
    let free = infra::lab::guest_disk::free(&world, CT);
    ok(&mut world, CT, "docker pull --quiet qdrant/qdrant:v1.15.4");
    assert!(free - infra::lab::guest_disk::free(&world, CT) > 7 * 180_000_000);
    world.nodes.get_mut("pve1").unwrap().machine.packages.insert("zfsutils-linux".into(), "2.2.0-pve1".into());
    ok(&mut world, CT, "systemctl restart docker");
    assert_eq!(ok(&mut world, CT, "docker info --format '{{.Driver}}'"), "overlay2\n");
}

#[test]
fn the_zfs_driver_does_not_start_in_a_container() {
    let mut world = world();
    installed(&mut world, CT);
    world.guests.get_mut(&CT).unwrap().put("/etc/docker/daemon.json", "{\"storage-driver\": \"zfs\"}");
    no(&mut world, CT, "systemctl restart docker");
    assert!(ok(&mut world, CT, "journalctl -u docker --no-pager").contains("prerequisites for driver not satisfied"));
}

#[test]
fn a_gpu_in_an_unprivileged_container_needs_no_cgroups_and_the_hosts_version() {
    let mut world = world();
    let node = world.nodes.get_mut("pve1").unwrap();
    node.machine.packages.insert("nvidia-driver".into(), "550.163.01-2".into());
    node.pci
        .values_mut()
        .filter(|device| device.vendor == "10de")
        .for_each(|device| device.driver = Some("nvidia".into()));
    let guest = world.guests.get_mut(&CT).unwrap();
    guest.config.insert("dev0".into(), "/dev/nvidia0".into());
    guest.inside.packages.insert("nvidia-container-toolkit".into(), "1.17.8-1".into());
    guest.inside.packages.insert("libnvidia-compute-535".into(), "535.247.01-1".into());
    installed(&mut world, CT);
    let run = "docker run --rm --gpus all nvidia/cuda:12.8.0-base-ubuntu24.04 nvidia-smi";
    assert!(no(&mut world, CT, run).1.contains("driver/library version mismatch"));
    let packages = &mut world.guests.get_mut(&CT).unwrap().inside.packages;
    packages.insert("libnvidia-compute-535".into(), "550.163.01-2".into());
    assert!(no(&mut world, CT, run).1.contains("bpf_prog_query(BPF_CGROUP_DEVICE) failed"));
    ok(&mut world, CT, "nvidia-ctk config --set nvidia-container-cli.no-cgroups=true --in-place");
    ok(&mut world, CT, run);
}

#[test]
fn what_the_world_holds_of_docker_is_kept_on_disk() {
    let mut world = world();
    installed(&mut world, VM);
    gpu(&mut world);
    ollama(&mut world);
    let text = serde_json::to_string(&world).unwrap();
    let again: World = serde_json::from_str(&text).unwrap();
    assert_eq!(again.guests[&VM].docker, world.guests[&VM].docker);
    assert_eq!(again.guests[&VM].inside, world.guests[&VM].inside);
    assert!(Container::default().since_ms().is_none());
}

#[test]
fn directories_are_made_and_taken_away_whole_and_logs_end_where_they_end() {
    let mut world = world();
    ok(&mut world, VM, "install -d -m 0700 /opt/stacks/.infra/x /opt/stacks/.infra/x/secrets");
    ok(&mut world, VM, "echo one > /opt/stacks/.infra/x/secrets/a");
    ok(&mut world, VM, "echo two >> /opt/stacks/.infra/x/secrets/a");
    assert_eq!(ok(&mut world, VM, "tail -n 1 /opt/stacks/.infra/x/secrets/a"), "two\n");
    assert_eq!(ok(&mut world, VM, "stat -c '%a' /opt/stacks/.infra/x"), "700\n");
    ok(&mut world, VM, "cat /opt/stacks/.infra/x/secrets/a | cmp -s - /opt/stacks/.infra/x/secrets/a");
    ok(&mut world, VM, "rm -rf /opt/stacks/.infra/x");
    no(&mut world, VM, "test -e /opt/stacks/.infra/x/secrets/a");
    no(&mut world, VM, "test -e /opt/stacks/.infra/x");
}
