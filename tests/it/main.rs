//! The one integration-test binary: each suite is a module.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests are tests, and a suite that cannot run says so"
)]

mod api_description;
mod api_in_plan;
mod bad_inventories;
mod broken_hosts;
mod canaries;
mod cli;
mod cluster;
mod cluster_lab;
mod contract;
mod converge;
mod desk;
mod drift_change;
mod drift_fields;
mod drift_per_field;
mod edge_real;
mod engine_real;
mod facts_recorded;
mod fault_sweep;
mod fidelity;
mod firewall_kernel;
mod firewall_verdicts;
mod guard;
mod host_firewall;
mod https_real;
mod interrupted;
mod inventories;
mod isolation_cli;
mod isolation_rules;
mod killed;
mod lab;
mod lab_alone;
mod lab_commands;
mod lab_docker;
mod lab_guest_firewall;
mod lab_host_side;
mod lab_http;
mod lab_machine;
mod lab_real_programs;
mod lab_replay;
mod lab_run;
mod lab_shell;
mod lab_sshd;
mod mutated_answers;
mod observe_recorded;
mod one_round_trip;
mod one_world;
mod one_world_writes;
mod opnsense;
mod preflight;
mod prepare;
mod privileges;
mod probe_real;
mod proof_real;
mod quirks;
mod random_inventory;
mod real_clients;
mod recorded_vm;
mod rehearsal;
mod rehearsal_cli;
mod rig;
mod round_trip;
mod routes_lab;
mod schemas;
mod sh_real;
mod ssh_logs;
mod ssh_real;
mod stack_real;
mod tailnet;
mod tailnet_join;
mod verify;
mod zones_lab;
