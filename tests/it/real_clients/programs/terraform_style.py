"""What Terraform providers do: seven creates at once, ids that race, polling over kept connections, paged logs."""

import concurrent.futures
import random
import threading
import time
import urllib.parse

import requests
import urllib3
from lab import CLAIMS, HOST, NODE, PORT, TOKEN, TOKEN_NAME, USER, claim, main, part, same

urllib3.disable_warnings()
BASE = f"https://{HOST}:{PORT}/api2/json"
local = threading.local()
connections = []


def session():
    """One session per thread, whose connections are kept as Go's client keeps them."""
    if not hasattr(local, "session"):
        local.session = requests.Session()
        local.session.verify = False
        # or REQUESTS_CA_BUNDLE would count more than that
        local.session.trust_env = False
        local.session.headers["Authorization"] = f"PVEAPIToken={USER}!{TOKEN_NAME}={TOKEN}"
        connections.append(local.session)
    return local.session


class Refused(Exception):
    def __init__(self, response):
        super().__init__(f"{response.status_code} {response.reason}")
        self.status, self.reason = response.status_code, response.reason


def call(method, path, **params):
    where = "params" if method in ("GET", "DELETE") else "data"
    response = session().request(method, BASE + path, timeout=30, **{where: params})
    if response.status_code >= 400:
        raise Refused(response)
    return response.json()["data"]


def wait(upid, limit=120):
    path = f"/nodes/{NODE}/tasks/{urllib.parse.quote(upid, safe='')}"
    until = time.monotonic() + limit
    while time.monotonic() < until:
        status = call("GET", f"{path}/status")
        if status["status"] == "stopped":
            return status["exitstatus"]
        time.sleep(random.uniform(0.02, 0.1))
    raise AssertionError(f"{upid} does not end")


def create(name, **config):
    """The id that is free now may be taken a moment later: then the next one is asked for."""
    for _ in range(50):
        vmid = call("GET", "/cluster/nextid")
        assert isinstance(vmid, str), vmid
        try:
            upid = call("POST", f"/nodes/{NODE}/qemu", vmid=vmid, name=name, **config)
        except Refused as refused:
            if "already exists" not in refused.reason and "got timeout" not in refused.reason:
                raise
            continue
        same(wait(upid), "OK")
        return int(vmid)
    raise AssertionError(f"{name}: no id")


made = {}


def forget(gone):
    """Nothing is claimed any more of guests that are gone."""
    CLAIMS[:] = [c for c in CLAIMS if not any(f"/qemu/{vmid}/" in c["path"] for vmid in gone)]


@part
def seven_at_once_all_come_to_be():
    with concurrent.futures.ThreadPoolExecutor(max_workers=7) as pool:
        names = [f"tf-{n}" for n in range(14)]
        jobs = {name: pool.submit(
            create, name, memory=512, cores=1, scsi0="local-zfs:1,iothread=1", scsihw="virtio-scsi-single",
            net0="virtio,bridge=vmbr0", agent="enabled=1", tags="terraform", onboot=0) for name in names}
        for name, job in jobs.items():
            made[name] = job.result()
    same(len(set(made.values())), 14)
    for name, vmid in made.items():
        claim(f"/nodes/{NODE}/qemu/{vmid}/config", name=name, memory="512", tags="terraform", onboot=0)


@part
def a_refresh_reads_every_guest_over_kept_connections():
    guests = {g["vmid"]: g for g in call("GET", "/cluster/resources", type="vm")}
    for name, vmid in made.items():
        config = call("GET", f"/nodes/{NODE}/qemu/{vmid}/config")
        same((config["name"], config["memory"]), (name, "512"))
        assert config["scsi0"].endswith("size=1G"), config["scsi0"]
        assert vmid in guests
    pools = session().get_adapter(BASE).poolmanager.pools
    [pool] = [pools[key] for key in pools.keys()]
    assert pool.num_requests > 14 and pool.num_connections <= 2, (pool.num_requests, pool.num_connections)


@part
def what_was_written_is_read_back_at_once():
    vmid = made["tf-0"]
    for n in range(20):
        call("PUT", f"/nodes/{NODE}/qemu/{vmid}/config", description=f"round {n}")
        same(call("GET", f"/nodes/{NODE}/qemu/{vmid}/config")["description"], f"round {n}")


@part
def an_agent_that_is_not_up_is_asked_again_and_again():
    vmid = made["tf-1"]
    same(wait(call("POST", f"/nodes/{NODE}/qemu/{vmid}/status/start")), "OK")
    for _ in range(5):
        try:
            call("GET", f"/nodes/{NODE}/qemu/{vmid}/agent/network-get-interfaces")
        except Refused as refused:
            same((refused.status, refused.reason), (500, "QEMU guest agent is not running"))
        else:
            raise AssertionError("an empty disk answers")
    same(wait(call("POST", f"/nodes/{NODE}/qemu/{vmid}/status/stop")), "OK")


@part
def an_image_boots_and_its_agent_tells_addresses():
    url = "https://cloud.example/tf.img"
    upid = call("POST", f"/nodes/{NODE}/storage/local/download-url", url=url, content="import", filename="tf.qcow2")
    same(wait(upid), "OK")
    vmid = create(
        "tf-image", memory=1024, cores=1, scsi0="local-zfs:0,import-from=local:import/tf.qcow2", agent=1,
        ide2="local-zfs:cloudinit", ipconfig0="ip=10.0.0.77/24,gw=10.0.0.1", net0="virtio,bridge=vmbr0", boot="order=scsi0")
    same(wait(call("POST", f"/nodes/{NODE}/qemu/{vmid}/status/start")), "OK")
    for _ in range(100):
        try:
            answer = call("GET", f"/nodes/{NODE}/qemu/{vmid}/agent/network-get-interfaces")
        except Refused as refused:
            same(refused.reason, "QEMU guest agent is not running")
            time.sleep(0.1)
            continue
        addresses = [a["ip-address"] for i in answer["result"] for a in i.get("ip-addresses", [])]
        assert "10.0.0.77" in addresses, answer
        return
    raise AssertionError("the agent never answers")


@part
def a_log_is_read_in_pages():
    vmid = made["tf-2"]
    upid = call("DELETE", f"/nodes/{NODE}/qemu/{vmid}", purge=1)
    same(wait(upid), "OK")
    path = f"/nodes/{NODE}/tasks/{upid}/log"
    whole = session().get(f"{BASE}{path}", params={"limit": 0}).json()
    lines, start = [], 0
    while True:
        page = session().get(f"{BASE}{path}", params={"start": start, "limit": 1}).json()
        same(page["total"], whole["total"])
        if start >= page["total"]:
            break
        lines += page["data"]
        start += 1
    same(lines, whole["data"])
    same(lines[-1]["t"], "TASK OK")
    forget([made.pop("tf-2")])


@part
def a_clone_of_a_template_is_changed_before_its_start():
    template = made["tf-3"]
    same(wait(call("POST", f"/nodes/{NODE}/qemu/{template}/template")), "OK")
    with concurrent.futures.ThreadPoolExecutor(max_workers=4) as pool:
        ids = [700, 701, 702, 703]

        def clone(vmid):
            for _ in range(20):
                try:
                    return wait(call("POST", f"/nodes/{NODE}/qemu/{template}/clone", newid=vmid, full=1, name=f"clone-{vmid}"))
                except Refused as refused:
                    assert "got timeout" in refused.reason, refused.reason
            raise AssertionError("no lock")

        same(list(pool.map(clone, ids)), ["OK"] * 4)
    for vmid in ids:
        call("PUT", f"/nodes/{NODE}/qemu/{vmid}/config", cores=2)
        claim(f"/nodes/{NODE}/qemu/{vmid}/config", name=f"clone-{vmid}", cores=2)
    claim(f"/nodes/{NODE}/qemu/{template}/config", template=1)


@part
def everything_goes_away_again():
    with concurrent.futures.ThreadPoolExecutor(max_workers=7) as pool:
        def destroy(vmid):
            return wait(call("DELETE", f"/nodes/{NODE}/qemu/{vmid}", purge=1, **{"destroy-unreferenced-disks": 1}))

        gone = [made.pop(f"tf-{n}") for n in range(7, 14)]
        same(list(pool.map(destroy, gone)), ["OK"] * 7)
    forget(gone)
    left = {g["vmid"] for g in call("GET", f"/nodes/{NODE}/qemu")}
    assert not left & set(gone), left


main()
