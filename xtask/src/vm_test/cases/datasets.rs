//! Datasets on a real pool, made, mended and left alone by `infra`.

use anyhow::Result;

use super::World;

const TARGET: &[&str] = &["--target", "dataset.vm:tank/containers/proj-x"];
const LIST: &str =
    "zfs list -Hp -r -o name,mountpoint,quota,mounted,infra:owner tank; stat -c '%u:%g' /tank/containers/proj-x";

pub fn run(world: &World) -> Result<()> {
    let infra = |words: &[&str]| world.infra(&[words, TARGET].concat());
    world.stand_in()?;
    world.expect("datasets before", "zfs list -H -o name -r tank", |said| said.trim() == "tank")?;

    infra(&["plan", "--detailed-exitcode"])?.exited(2)?;
    infra(&["apply", "--yes"])?.exited(0)?;
    world.expect("datasets after", LIST, |said| {
        said.contains("tank/containers/proj-x\t/tank/containers/proj-x\t536870912\tyes\tvm-test\n")
            && said.ends_with("100000:100000\n")
    })?;
    infra(&["plan", "--detailed-exitcode"])?.exited(0)?;

    world.ssh().run("zfs set quota=1G tank/containers/proj-x; chown 0:0 /tank/containers/proj-x")?;
    world.log.line("somebody sets another quota and another owner");
    infra(&["plan", "--detailed-exitcode"])?.exited(2)?;
    infra(&["apply", "--yes"])?.exited(0)?;
    world.expect("datasets mended", LIST, |said| {
        said.contains("\t536870912\tyes\t") && said.ends_with("100000:100000\n")
    })?;
    world.in_process("snapshots")
}
