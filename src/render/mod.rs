//! The only place where templates are filled.
//!
//! Pure: values in, text out, undefined names are errors.

mod cloud_init;

pub use cloud_init::user_data;
