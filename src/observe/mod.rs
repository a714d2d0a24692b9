//! Reads what is there, read-only, with bounded concurrency; every part is complete, partial or unavailable.
