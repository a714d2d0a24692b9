//! A simulated Proxmox VE host: API over TLS and SSH, from a seeded state machine.
