//! Files into a typed inventory with spans.
