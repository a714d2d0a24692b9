//! What is found where bridges, clock, certificates, cluster, storages, token or other machines are wrong.

use infra::checks::Verdict::{CouldNotRun, Fail, Pass, Warn};

use super::Expected;

/// Every guest's address, where nobody can be asked.
const NOBODY_ASKED: [super::Difference; 5] = [
    ("address-taken", Some("10.0.0.10 of vm.plan-hq"), CouldNotRun),
    ("address-taken", Some("10.0.0.123 of ct.proj-x"), CouldNotRun),
    ("address-taken", Some("10.0.0.124 of ct.proj-y"), CouldNotRun),
    ("address-taken", Some("10.0.0.125 of ct.vrooli-dev"), CouldNotRun),
    ("address-taken", Some("10.0.0.20 of ct.ops-tools"), CouldNotRun),
];

const X: Option<&str> = Some("10.0.0.123 of ct.proj-x");

pub const EXPECTED: &[Expected] = &[
    (
        "bridge-gone",
        &[("bridge-missing", None, Fail), ("bridge-mtu", None, CouldNotRun), ("token-privileges", None, CouldNotRun)],
    ),
    (
        "bridge-off",
        &[
            ("bridge-missing", None, Warn),
            NOBODY_ASKED[0],
            NOBODY_ASKED[1],
            NOBODY_ASKED[2],
            NOBODY_ASKED[3],
            NOBODY_ASKED[4],
        ],
    ),
    ("mtu-mismatch", &[("bridge-mtu", None, Warn)]),
    ("mtu-small", &[("bridge-mtu", None, Warn)]),
    ("clock-ahead", &[("clock-skew", None, Warn)]),
    ("clock-behind", &[("clock-skew", None, Warn)]),
    ("no-time-service", &[("clock-kept", None, Warn)]),
    ("time-unset", &[("clock-kept", None, Warn)]),
    ("certificate-last-days", &[("certificate-expiry", None, Warn)]),
    ("certificate-long", &[("certificate-expiry", None, Warn)]),
    ("certificate-expired", &[("certificate-expiry", None, Warn)]),
    ("certificate-custom", &[("api-identity", None, Warn)]),
    (
        "no-quorum",
        &[
            ("cluster-quorum", None, Fail),
            ("token-privileges", None, CouldNotRun),
            ("gpu-local-resource", Some("vm.plan-hq"), Pass),
        ],
    ),
    ("node-off", &[("cluster-quorum", None, Warn), ("gpu-local-resource", Some("vm.plan-hq"), Pass)]),
    ("local-as-installed", &[("storage-usable", Some("storage local"), Fail), ("token-privileges", None, CouldNotRun)]),
    ("storage-thin-full", &[("storage-space", Some("storage local-zfs"), Warn)]),
    (
        "storage-thick-full",
        &[("storage-space", Some("storage local-zfs"), Fail), ("token-privileges", None, CouldNotRun)],
    ),
    ("token-poor", &[("token-privileges", None, Fail)]),
    ("address-stranger", &[("address-taken", X, Fail)]),
    ("address-stranger-silent", &[("address-taken", X, Fail)]),
    ("address-remembered", &[("address-taken", X, Warn)]),
    ("address-configured", &[("address-taken", X, Fail)]),
    ("no-ping", &[NOBODY_ASKED[0], NOBODY_ASKED[1], NOBODY_ASKED[2], NOBODY_ASKED[3], NOBODY_ASKED[4]]),
    ("subuid-missing", &[("container-idmap", None, Fail)]),
];
