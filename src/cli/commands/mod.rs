//! One file per verb: flags, then the pipeline, then the answer.

pub mod apply;
pub mod can;
pub mod completions;
pub mod deploy;
pub mod destroy;
pub mod docs;
pub mod graph;
pub mod history;
pub mod images;
pub mod init;
pub mod lab;
pub mod logs;
pub mod plan;
pub mod preflight;
pub mod prepare;
pub mod render;
pub mod rollback;
pub mod schema;
pub mod secrets;
pub mod ssh;
pub mod status;
pub mod unlock;
pub mod validate;
pub mod verify;
