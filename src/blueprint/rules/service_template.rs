//! Services are described, and their descriptions are whole.

use crate::blueprint::draft::Draft;
use crate::diag::{Diagnostic, Diagnostics, did_you_mean};

/// Reports services of guests that no `template.yaml` describes, and ports of used services that say too little.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    const CODE: &str = "inventory.service-template";
    let templates = &draft.inventory.templates;
    let names = || templates.keys().map(String::as_str);
    for service in draft.guests.iter().flat_map(|guest| guest.listed()) {
        if templates.contains_key(service.as_str()) || draft.broken.name(service.as_str()) {
            continue;
        }
        let problem = Diagnostic::error(CODE, format!("there is no service `{}`", service.value)).at(service.span, "");
        let problem = match did_you_mean(service.as_str(), names()) {
            Some(hint) => problem.hint(hint),
            None => problem.hint(format!("known are {}", names().collect::<Vec<_>>().join(", "))),
        };
        let problem = problem.hint(format!(
            "a service of your own is described in `templates/{}/template.yaml`; `infra schema service` says what is in one",
            service.value
        ));
        if !report.iter().any(|said| *said == problem) {
            report.push(problem);
        }
    }
    for (name, template) in templates {
        if template.description.is_none() && !draft.broken.key(template.span, "description") {
            let problem = Diagnostic::error(CODE, format!("service `{name}` does not say what it is for"));
            report.push(problem.at(template.span, "").hint("add `description: …`"));
        }
        for (port, there) in template.ports.iter().flatten() {
            for (key, missing, hint) in [
                ("port", there.port.is_none(), "write the port that it listens on, such as `port: 8080`"),
                ("audience", there.audience.is_none(), "say who may ever use it: `inside`, `guests` or `people`"),
            ] {
                if missing && !draft.broken.key(there.span, key) {
                    let problem = format!("port `{}` of service `{name}` has no `{key}`", port.value);
                    report.push(Diagnostic::error(CODE, problem).at(port.span, "").hint(hint));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::{codes, codes_with_services, said};

    #[test]
    fn service_template() {
        let own = "inventory.service-template";
        assert_eq!(codes("guests: { plan-hq: { services: [ollamma] } }"), [own]);
        assert!(said("guests: { plan-hq: { services: [ollamma] } }").contains("did you mean `ollama`?"));
        let mine = |text: &str| codes_with_services("guests: { plan-hq: { services: [mine] } }", &[("mine", text)]);
        assert_eq!(mine("description: x\nports: { a: { port: 1, audience: people } }\n"), [""; 0]);
        assert_eq!(mine("ports: { a: { protocol: tcp } }\n"), [own; 3]);
        assert_eq!(
            mine("description: x\nports: { a: { port: 0, audience: everyone } }\n"),
            ["inventory.value", "inventory.value"]
        );
    }
}
