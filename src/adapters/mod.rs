//! Opens the doors: HTTPS with a pinned certificate, SSH with known host keys, the system clock.
