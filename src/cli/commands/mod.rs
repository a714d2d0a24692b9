//! One file per verb: flags, then the pipeline, then the answer.

pub mod completions;
pub mod docs;
pub mod schema;
pub mod validate;
