//! The only place where templates are filled.
