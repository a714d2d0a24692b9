"""proxmoxer as people use it: login by password and by token, guests, tasks, agent, uploads, pools, refusals."""

import io
import os
import pathlib
import tempfile
import time

from lab import HOST, NODE, PASSWORD, PORT, TOKEN, TOKEN_NAME, USER, claim, main, part, same
from proxmoxer import ProxmoxAPI
from proxmoxer.core import AuthenticationError, ResourceException
from proxmoxer.tools import Files, Tasks


def by_token():
    return ProxmoxAPI(HOST, port=PORT, user=USER, token_name=TOKEN_NAME, token_value=TOKEN, verify_ssl=False)


def by_password():
    return ProxmoxAPI(HOST, port=PORT, user="root@pam", password=PASSWORD, verify_ssl=False)


pve = by_token()


def done(upid):
    status = Tasks.blocking_status(pve, upid, timeout=60, polling_interval=0.05)
    assert status is not None, f"{upid} does not end"
    same(status["status"], "stopped")
    return status["exitstatus"]


def refused(call, status, text):
    try:
        call()
    except ResourceException as error:
        same(error.status_code, status)
        assert text in f"{error.status_message} {error.content} {error.errors}", str(error)
        return error
    raise AssertionError("it was not refused")


@part
def a_password_logs_in_and_writes_with_a_csrf_token():
    root = by_password()
    same(root.version.get()["release"], pve.version.get()["release"])
    root.pools.post(poolid="by-password", comment="made with a ticket")
    same([p["comment"] for p in pve.pools.get() if p["poolid"] == "by-password"], ["made with a ticket"])
    claim("/pools/by-password", comment="made with a ticket")
    tokens = root.get_tokens()
    assert tokens[0].startswith("PVE:root@pam:") and tokens[1], tokens


@part
def a_ticket_renews_itself():
    ticket = by_password().get_tokens()[0]
    again = ProxmoxAPI(HOST, port=PORT, user="root@pam", password=ticket, verify_ssl=False)
    assert again.nodes.get()


@part
def a_wrong_password_is_an_authentication_error():
    try:
        ProxmoxAPI(HOST, port=PORT, user="root@pam", password="no", verify_ssl=False).version.get()
    except AuthenticationError as error:
        assert "root@pam" in str(error), str(error)
        return
    raise AssertionError("let in")


@part
def a_wrong_token_is_a_401():
    stranger = ProxmoxAPI(HOST, port=PORT, user=USER, token_name=TOKEN_NAME, token_value="no", verify_ssl=False)
    since = time.monotonic()
    try:
        stranger.version.get()
    except ResourceException as error:
        same(error.status_code, 401)
    else:
        raise AssertionError("let in")
    assert time.monotonic() - since >= float(os.environ["LAB_LATE"]), "a 401 comes late"


@part
def nodes_and_version_are_there():
    node = pve.nodes.get()[0]
    same((node["node"], node["status"], node["type"]), (NODE, "online", "node"))
    assert isinstance(node["maxmem"], int) and node["maxcpu"] > 0
    status = pve.nodes(NODE).status.get()
    assert status["memory"]["total"] == node["maxmem"], status["memory"]
    same(pve.cluster.status.get()[-1]["name"], NODE)


@part
def a_vm_is_made_changed_started_and_removed():
    vmid = int(pve.cluster.nextid.get())
    upid = pve.nodes(NODE).qemu.create(
        vmid=vmid, name="proxmoxer", memory=1024, cores=2, net0="virtio,bridge=vmbr0,firewall=1",
        scsi0="local-zfs:4", scsihw="virtio-scsi-single", tags="beta;alpha", agent=1, ostype="l26",
    )
    decoded = Tasks.decode_upid(upid)
    same((decoded["node"], decoded["type"], decoded["id"], decoded["user"]), (NODE, "qmcreate", str(vmid), USER))
    same(done(upid), "OK")
    vm = pve.nodes(NODE).qemu(vmid)
    config = vm.config.get()
    same((config["name"], config["memory"], config["cores"], config["tags"]), ("proxmoxer", "1024", 2, "alpha;beta"))
    assert config["net0"].startswith("virtio=BC:24:11:"), config["net0"]
    same(vm.config.put(cores=4, description="one\ntwo"), None)
    same(done(vm.config.post(memory=2048)), "OK")
    same(done(vm.status.start.post()), "OK")
    same(vm.status.current.get()["status"], "running")
    assert any(str(g["vmid"]) == str(vmid) and g["type"] == "qemu" for g in pve.cluster.resources.get(type="vm"))
    refused(vm.delete, 500, f"VM {vmid} is running - destroy failed")
    same(done(vm.status.stop.post()), "OK")
    same(done(vm.resize.put(disk="scsi0", size="+2G")), "OK")
    assert "size=6G" in vm.config.get()["scsi0"]
    claim(f"/nodes/{NODE}/qemu/{vmid}/config", name="proxmoxer", cores=4, memory="2048", description="one\ntwo")
    other = int(pve.cluster.nextid.get())
    assert other != vmid
    same(done(pve.nodes(NODE).qemu.create(vmid=other)), "OK")
    same(done(pve.nodes(NODE).qemu(other).delete()), "OK")
    same(int(pve.cluster.nextid.get()), other)


@part
def a_container_is_made_and_runs():
    template = f"local:vztmpl/{pve.nodes(NODE).aplinfo.get()[0]['template']}"
    name = template.split("/")[1]
    same(done(pve.nodes(NODE).aplinfo.post(storage="local", template=name)), "OK")
    same([v["volid"] for v in pve.nodes(NODE).storage("local").content.get(content="vztmpl") if v["volid"] == template], [template])
    same(
        done(pve.nodes(NODE).lxc.create(
            vmid=300, ostemplate=template, hostname="ct-proxmoxer", rootfs="local-zfs:2", memory=256,
            net0="name=eth0,bridge=vmbr0,ip=10.0.0.30/24,gw=10.0.0.1", password="five5", start=1,
        )),
        "OK",
    )
    ct = pve.nodes(NODE).lxc(300)
    same(ct.status.current.get()["status"], "running")
    assert any(i["name"] == "eth0" for i in ct.interfaces.get())
    refused(ct.status.start.post, 500, "CT 300 already running")
    claim(f"/nodes/{NODE}/lxc/300/config", hostname="ct-proxmoxer", memory=256)
    claim(f"/nodes/{NODE}/lxc/300/status/current", status="running")


@part
def tasks_are_listed_with_their_logs():
    tasks = pve.nodes(NODE).tasks.get(typefilter="vzcreate", limit=5)
    same([t["status"] for t in tasks if t["id"] == "300"], ["OK"])
    log = pve.nodes(NODE).tasks(tasks[0]["upid"]).log.get(start=0, limit=1000)
    same(log[-1]["t"], "TASK OK")
    same([line["n"] for line in log], list(range(1, len(log) + 1)))
    assert any(t["upid"] == tasks[0]["upid"] for t in pve.cluster.tasks.get())


@part
def a_guest_without_agent_says_so():
    vmid = next(g["vmid"] for g in pve.nodes(NODE).qemu.get() if g["name"] == "proxmoxer")
    refused(lambda: pve.nodes(NODE).qemu(vmid).agent("network-get-interfaces").get(), 500, "is not running")


@part
def refusals_carry_status_text_and_errors():
    nodes = pve.nodes(NODE)
    error = refused(lambda: nodes.qemu.create(vmid=5), 400, "Parameter verification failed")
    assert "vmid" in error.errors, error.errors
    refused(lambda: nodes.qemu.create(vmid=900, bogus=1), 400, "property is not defined in schema")
    refused(lambda: nodes.qemu(999).config.get(), 500, "Configuration file 'nodes/pve1/qemu-server/999.conf' does not exist")
    refused(lambda: pve.nodes("ghost").qemu.get(), 500, "hostname lookup 'ghost' failed")
    refused(lambda: nodes.storage("ghost").status.get(), 400, "No such storage")
    refused(lambda: pve("nonsense").get(), 501, "not implemented")
    refused(lambda: nodes.tasks("nonsense").status.get(), 400, "unable to parse worker upid")


@part
def files_are_uploaded_and_deleted():
    storage = pve.nodes(NODE).storage("local")
    image = io.BytesIO(b"an image\r\n--B\r\n" * 1000)
    image.name = "up.iso"
    same(done(storage.upload.post(content="iso", filename=image)), "OK")
    found = {v["volid"]: v for v in storage.content.get(content="iso")}
    same(found["local:iso/up.iso"]["size"], len(image.getvalue()))
    done(storage.content("local:iso/up.iso").delete())
    assert "local:iso/up.iso" not in [v["volid"] for v in storage.content.get()]


@part
def a_checksum_is_held_against_an_upload():
    storage = Files(pve, NODE, "local")
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory) / "sum.iso"
        path.write_bytes(b"sum" * 5000)
        status = storage.upload_local_file_to_storage(str(path))
        same(status["exitstatus"], "OK")
        with open(path, "rb") as file:
            wrong = pve.nodes(NODE).storage("local").upload.post(
                **{"content": "iso", "filename": file, "checksum": "0" * 64, "checksum-algorithm": "sha256"})
        assert "checksum mismatch" in done(wrong)


@part
def pools_have_members():
    pve.pools.post(poolid="made", comment="by a token")
    pve.pools("made").put(vms="300", storage="local-zfs")
    pool = pve.pools("made").get()
    same(sorted(m["type"] for m in pool["members"]), ["lxc", "storage"])
    same([r.get("pool") for r in pve.cluster.resources.get(type="vm") if r["vmid"] == 300], ["made"])
    refused(pve.pools("made").delete, 500, "is not empty")
    claim("/pools/made", comment="by a token")


@part
def storages_tell_space_and_content():
    storages = {s["storage"]: s for s in pve.nodes(NODE).storage.get()}
    local = storages["local"]
    same((local["type"], local["active"], local["enabled"]), ("dir", 1, 1))
    same(local["total"], local["used"] + local["avail"])
    assert {"iso", "vztmpl"} <= set(local["content"].split(","))
    same(storages["local-zfs"]["type"], "zfspool")
    volumes = pve.nodes(NODE).storage("local-zfs").content.get(vmid=300)
    same([(v["volid"], v["size"], v["vmid"]) for v in volumes], [("local-zfs:subvol-300-disk-0", 2 << 30, 300)])


@part
def a_session_survives_the_servers_idle_limit():
    session = by_token()
    session.version.get()
    time.sleep(5.5)
    session.version.get()


main()
