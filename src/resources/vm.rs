//! `vm`: a virtual machine made from a cloud image, with whole GPUs passed through.
//!
//! q35 and OVMF from the first day, as passed-through PCI Express needs them and a later switch breaks
//! the guest's boot; an EFI disk without pre-enrolled keys, as Secure Boot refuses NVIDIA's modules;
//! `balloon: 0`, as every page is pinned for the device anyway (`gpu-passthrough.md` rows 14, 18, 23).

use super::guest::{Located, Planner, RootPart, Shape, address_options, common_settings, guest_addr};
use super::operations::within_or_warn;
use super::setting::Setting;
use super::{Context, Finding, Removal, Resource, image, pci_mapping, snippet};
use crate::blueprint::{Blueprint, Guest, GuestShape, Host, Vm};
use crate::model::step::{Condition, Op, StepId};
use crate::model::{Addr, HostName, NodeName};
use crate::ports::Request;
use crate::proxmox::endpoints::{QEMU_AGENT_PING, QEMU_CREATE};

struct VirtualMachine<'a> {
    blueprint: &'a Blueprint,
    guest: &'a Guest,
    host: &'a Host,
    vm: &'a Vm,
}

pub fn desired(blueprint: &Blueprint) -> Vec<Box<dyn Resource + '_>> {
    blueprint
        .guests
        .values()
        .filter_map(|guest| match &guest.shape {
            GuestShape::Vm(vm) => {
                Some(Box::new(VirtualMachine { blueprint, guest, host: blueprint.host_of(guest), vm })
                    as Box<dyn Resource>)
            }
            GuestShape::Container(_) => None,
        })
        .collect()
}

impl Resource for VirtualMachine<'_> {
    fn addr(&self) -> Addr {
        guest_addr(self.guest)
    }

    fn host(&self) -> &HostName {
        &self.guest.host
    }

    fn find(&self, context: &Context<'_>) -> Finding {
        Planner { context, guest: self.guest, shape: self }.find()
    }

    fn removal(&self, context: &Context<'_>) -> Option<Removal> {
        Planner { context, guest: self.guest, shape: self }.removal()
    }
}

impl Shape for VirtualMachine<'_> {
    fn settings(&self) -> Vec<Setting> {
        let network = &self.host.network;
        let mut settings = common_settings(self.blueprint, self.guest, "name", NIC);
        let (ip, gateway) = address_options(network);
        settings.extend([
            Setting::cold("cores", self.guest.cores, Some("1")),
            Setting::cold("memory", self.guest.memory.as_mib().unwrap_or_default(), Some("512")),
            Setting::cold("balloon", 0, None),
            Setting::cold("cpu", &self.vm.cpu.0, Some("kvm64")),
            Setting::cold("machine", "q35", Some("pc")),
            Setting::cold("bios", "ovmf", Some("seabios")),
            Setting::cold("ostype", "l26", Some("other")),
            Setting::cold("scsihw", "virtio-scsi-single", Some("lsi")),
            Setting::cold("agent", if self.vm.agent.enabled { "enabled=1" } else { "enabled=0" }, Some("enabled=0")),
            Setting::cold("serial0", "socket", None),
            Setting::cold("boot", "order=scsi0", None),
            Setting::cold("ipconfig0", format!("{gateway}={},{ip}={}", network.gateway, self.guest.interface), None),
            Setting::cold("cicustom", format!("user={}", snippet::volume(self.blueprint, self.guest)), None),
            Setting::option("scsi0", "discard", Some("on".into()), Some("ignore")).restart(),
            Setting::option("scsi0", "iothread", Some("1".into()), Some("0")).restart(),
            Setting::option("scsi0", "ssd", Some("1".into()), Some("0")).restart(),
        ]);
        // Unknown before 9.1, so that it is named only where it is asked for; allowed is the default.
        if let Some(allowed) = self.vm.ksm {
            let off = (!allowed).then(|| "0".to_owned());
            settings.push(Setting::cold("allow-ksm", "", Some("1")).maybe(off));
        }
        for index in 0..MAX_GPUS {
            let want = self.vm.gpus.get(index).map(|gpu| format!("mapping={gpu},pcie=1"));
            settings.push(Setting::cold(&format!("hostpci{index}"), "", None).maybe(want));
        }
        settings
    }

    fn create(&self, node: &NodeName) -> Request {
        let storage = &self.guest.storage;
        let mut net = format!("{NIC},bridge={},firewall=1", self.host.network.bridge);
        if let Some(vlan) = self.host.network.vlan {
            net.push_str(&format!(",tag={vlan}"));
        }
        let image = &self.blueprint.images[&self.guest.image];
        let whole = self.settings().into_iter().filter(|setting| setting.option.is_none());
        QEMU_CREATE
            .at(&[node.as_str()])
            .set("vmid", self.guest.vmid)
            .set("pool", &self.blueprint.pool)
            .set_all(whole.filter_map(|setting| Some((setting.key, setting.want?))))
            .set("efidisk0", format!("{storage}:1,efitype=4m,pre-enrolled-keys=0"))
            .set(
                "scsi0",
                format!("{storage}:0,import-from={},discard=on,iothread=1,ssd=1", image::volume(self.host, image)),
            )
            .set("ide2", format!("{storage}:cloudinit"))
            .set("net0", net)
            .request()
    }

    fn image_step(&self) -> StepId {
        StepId::new(&image::addr(&self.host.name, &self.guest.image), "download")
    }

    fn settings_need(&self) -> Vec<StepId> {
        let mut needs = vec![StepId::new(&snippet::addr(&self.guest.name), "write")];
        for gpu in &self.vm.gpus {
            let mapping = pci_mapping::addr(&self.host.site, gpu);
            needs.extend([StepId::new(&mapping, "create"), StepId::new(&mapping, "update")]);
        }
        needs
    }

    fn root_part(&self, _: &Located) -> RootPart {
        RootPart::default()
    }

    fn started(&self, node: &NodeName) -> Vec<Op> {
        if !self.vm.agent.enabled {
            return Vec::new();
        }
        let request = QEMU_AGENT_PING.at(&[node.as_str(), &self.guest.vmid.to_string()]).request();
        // The VM runs; a slow or cut-off package mirror is no reason to call its making failed.
        vec![within_or_warn(
            self.vm.agent.wait_s,
            Condition::Answers { request },
            "the guest agent does not answer: did cloud-init reach the package mirror? look at the VM's serial console",
        )]
    }
}

/// What the NIC begins with: its model; PVE gives it a MAC.
const NIC: &str = "virtio";
/// Devices that we look at; PVE has `hostpci0` to `hostpci15`.
const MAX_GPUS: usize = 16;
