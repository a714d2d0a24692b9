"""prometheus-pve-exporter, started as its manual says and scraped; its values are held against the API's."""

import os
import pathlib
import re
import socket
import subprocess
import sys
import time
import urllib.request

from lab import HOST, NODE, PORT, TOKEN, TOKEN_NAME, USER, main, part, same
from proxmoxer import ProxmoxAPI
from proxmoxer.tools import Tasks

pve = ProxmoxAPI(HOST, port=PORT, user=USER, token_name=TOKEN_NAME, token_value=TOKEN, verify_ssl=False)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def scrape(url):
    text = urllib.request.urlopen(url, timeout=30).read().decode()
    values = {}
    for line in text.splitlines():
        found = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
        if found:
            labels = tuple(sorted(re.findall(r'(\w+)="([^"]*)"', found[2] or "")))
            values[(found[1], labels)] = float(found[3])
    return values


def named(metric, **labels):
    return (metric, tuple(sorted(labels.items())))


@part
def there_is_something_to_see():
    node = pve.nodes(NODE)
    for vmid, onboot in ((801, 1), (802, 0)):
        upid = node.qemu.create(vmid=vmid, name=f"seen-{vmid}", memory=512, scsi0="local-zfs:1", onboot=onboot, tags="seen")
        same(Tasks.blocking_status(pve, upid, timeout=60, polling_interval=0.05)["exitstatus"], "OK")
    upid = node.qemu(801).status.start.post()
    same(Tasks.blocking_status(pve, upid, timeout=60, polling_interval=0.05)["exitstatus"], "OK")
    # a new guest has no more than a number until the statistics come round (at most 10 s)
    for _ in range(120):
        if all("name" in guest for guest in pve.cluster.resources.get(type="vm")):
            return
        time.sleep(0.1)
    raise AssertionError("the statistics never come round")


@part
def a_scrape_has_the_values_of_the_api():
    port = free_port()
    environment = {
        **os.environ, "PVE_USER": USER, "PVE_TOKEN_NAME": TOKEN_NAME, "PVE_TOKEN_VALUE": TOKEN, "PVE_VERIFY_SSL": "false",
    }
    program = pathlib.Path(sys.executable).parent / "pve_exporter"
    exporter = subprocess.Popen([program, "--web.listen-address", f"127.0.0.1:{port}"], env=environment)
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        values = scrape(f"http://127.0.0.1:{port}/pve?target={HOST}:{PORT}&cluster=1&node=1")
    finally:
        exporter.terminate()
        exporter.wait(timeout=20)
    compare(values)


def compare(values):
    same(values[named("pve_up", id=f"node/{NODE}")], 1.0)
    version = pve.version.get()
    same(values[named("pve_version_info", **{k: version[k] for k in ("release", "repoid", "version")})], 1.0)
    guests = pve.cluster.resources.get(type="vm")
    assert len(guests) >= 2, "the world is too empty to say anything"
    for guest in guests:
        same(values[named("pve_up", id=guest["id"])], float(guest["status"] == "running"))
        same(values[named("pve_memory_size_bytes", id=guest["id"])], float(guest["maxmem"]))
        same(values[named("pve_cpu_usage_limit", id=guest["id"])], float(guest["maxcpu"]))
        same(values[named("pve_disk_size_bytes", id=guest["id"])], float(guest["maxdisk"]))
        found = [dict(labels) for (metric, labels) in values if metric == "pve_guest_info" and dict(labels)["id"] == guest["id"]]
        same([(f["name"], f["type"], f["node"], f["template"]) for f in found],
             [(guest["name"], guest["type"], NODE, str(guest["template"]))])
        config = getattr(pve.nodes(NODE), guest["type"])(guest["vmid"]).config.get()
        onboot = values[named("pve_onboot_status", id=guest["id"], node=NODE, type=guest["type"])]
        same(onboot, float(config.get("onboot", 0)))
    for storage in pve.cluster.resources.get(type="storage"):
        same(values[named("pve_up", id=storage["id"])], 1.0)
        same(values[named("pve_disk_size_bytes", id=storage["id"])], float(storage["maxdisk"]))
        same(values[named("pve_disk_usage_bytes", id=storage["id"])], float(storage["disk"]))
        same(values[named("pve_storage_shared", id=storage["id"])], float(storage["shared"]))
    node = pve.nodes.get()[0]
    same(values[named("pve_memory_size_bytes", id=f"node/{NODE}")], float(node["maxmem"]))
    same(values[named("pve_cpu_usage_limit", id=f"node/{NODE}")], float(node["maxcpu"]))


main()
