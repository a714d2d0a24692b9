//! One file per kind of resource, pure: what should be, what differs, which steps mend it.
