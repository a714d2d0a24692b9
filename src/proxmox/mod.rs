//! The Proxmox VE API as values: endpoints, option strings, answers, errors. Pure.
