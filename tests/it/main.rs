//! The one integration-test binary: each suite is a module.
