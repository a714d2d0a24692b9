//! Operations as commands that an operator can type.

use percent_encoding::percent_decode_str;

use crate::model::guard::GuardAct;
use crate::model::step::{Condition, Op, StepId};
use crate::model::{HostName, Inside};
use crate::ports::{Method, Request, quote_all};

/// What is left to be done by hand after an undo that did not work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manual {
    /// The step that was to be taken back.
    pub step: StepId,
    /// What that step did.
    pub title: String,
    /// On which host to type it.
    pub host: HostName,
    /// Why it was not done.
    pub why: String,
    /// Lines for a root shell of that host, in order; empty if nothing can take the step back.
    pub commands: Vec<String>,
}

/// Operations as lines for a root shell of the host; `inside` is the guest that commands are for.
#[must_use]
pub fn render(ops: &[Op], inside: Option<Inside>) -> Vec<String> {
    ops.iter().map(|op| line(op, inside)).collect()
}

/// How long a command in a VM may take that is typed by hand, in seconds; `qm guest exec` gives up after 30 by itself.
const BY_HAND_S: u64 = 300;

fn line(op: &Op, inside: Option<Inside>) -> String {
    let typed = |argv: &[String], input: bool| match inside {
        Some(inside) => quote_all(&inside.argv(argv, BY_HAND_S, input)),
        None => quote_all(argv),
    };
    match op {
        Op::Call { request, .. } | Op::Task { request, .. } => pvesh(request),
        Op::Obtain { request, keep } => format!("{} # its `{}` is used below", pvesh(request), keep.key),
        Op::Exec { argv } => typed(argv, false),
        Op::PutFile { path, content, mode } => {
            let mut end = "END".to_owned();
            let content = content.shown();
            while content.lines().any(|line| line == end) {
                end.push('_');
            }
            let body =
                if content.is_empty() || content.ends_with('\n') { content.clone() } else { format!("{content}\n") };
            let install = ["install", "-m", &format!("{mode:04o}"), "/dev/stdin", path].map(str::to_owned);
            format!("{} <<'{end}'\n{body}{end}", typed(&install, true))
        }
        Op::Await { condition, .. } => match condition {
            Condition::Answer { request, .. } | Condition::Answers { request } => {
                format!("{} # look at it", pvesh(request))
            }
            Condition::Output { argv, stdout } => format!("{} # must say: {}", typed(argv, false), stdout.trim_end()),
        },
        Op::Guard { guard, act } => match act {
            GuardAct::Arm => {
                let files: Vec<&str> = guard.files.iter().map(|file| file.path.as_str()).collect();
                format!("# what follows can cut you off: be on the console, and keep a copy of {}", files.join(" "))
            }
            GuardAct::Reconnect { .. } => "# log in anew, over SSH and in the UI, before you close this".to_owned(),
            GuardAct::Disarm => "# you are still in: done".to_owned(),
        },
    }
}

fn pvesh(request: &Request) -> String {
    let verb = match request.method {
        Method::Get => "get",
        Method::Post => "create",
        Method::Put => "set",
        Method::Delete => "delete",
    };
    let path = percent_decode_str(&request.path).decode_utf8_lossy().into_owned();
    let mut argv = vec!["pvesh".to_owned(), verb.to_owned(), path];
    for (name, value) in &request.params {
        argv.push(format!("--{name}"));
        argv.push(value.clone());
    }
    quote_all(&argv)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxmox::endpoints;

    #[test]
    fn a_call_becomes_a_line_that_can_be_typed() {
        let request = endpoints::LXC_CONFIG_SET
            .at(&["pve1", "104"])
            .set("description", "it's\nours")
            .set("memory", 512)
            .request();
        let lines = render(&[Op::Call { request, landed: None }], None);
        assert_eq!(lines, ["pvesh set /nodes/pve1/lxc/104/config --description 'it'\\''s\nours' --memory 512"]);
        let request = endpoints::STORAGE_CONTENT_DELETE.at(&["pve1", "local", "local:vztmpl/x.tar.zst"]).request();
        assert_eq!(
            render(&[Op::Task { request, landed: None }], None),
            ["pvesh delete /nodes/pve1/storage/local/content/local:vztmpl/x.tar.zst"]
        );
    }

    #[test]
    fn a_file_becomes_a_here_document_that_its_content_cannot_end() {
        let op = Op::PutFile { path: "/s/a".into(), content: "x\nEND\n".into(), mode: 0o640 };
        assert_eq!(render(&[op], None), ["install -m 0640 /dev/stdin /s/a <<'END_'\nx\nEND\nEND_"]);
    }
}
