//! A request held against the description.

use std::collections::BTreeMap;

use super::formats::{rule, split_list};
use super::options::take_apart;
use super::tree::Call;
use super::{ApiSchema, Checked, Fault, Format, Problem, Property, Type, Unchecked};
use crate::ports::Request;

impl ApiSchema {
    /// What of `request` this host would refuse for its form, all of it at once, and what cannot be told.
    #[must_use]
    pub fn check(&self, request: &Request) -> Checked {
        let mut check = Check::default();
        let Some(route) = self.route(&request.path) else {
            check.call(Fault::UnknownPath);
            return check.done;
        };
        let Some(call) = route.calls.get(&request.method) else {
            check.call(Fault::UnknownMethod { known: route.calls.keys().copied().collect() });
            return check.done;
        };
        if !call.takes_tokens {
            check.call(Fault::NotForTokens);
        }
        let mut given: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, value) in &route.variables {
            given.insert(name, vec![value]);
        }
        for (name, value) in &request.params {
            given.entry(name).or_default().push(value);
        }
        check.parameters(call, &given);
        check.done
    }
}

#[derive(Default)]
struct Check<'a> {
    done: Checked,
    /// The parameter that is looked at.
    parameter: Option<&'a str>,
}

impl<'a> Check<'a> {
    fn call(&mut self, fault: Fault) {
        self.done.problems.push(Problem { parameter: None, at: String::new(), value: None, fault });
    }

    fn fault(&mut self, at: &str, value: Option<&str>, fault: Fault) {
        self.done.problems.push(Problem {
            parameter: self.parameter.map(str::to_owned),
            at: at.to_owned(),
            value: value.map(str::to_owned),
            fault,
        });
    }

    fn unchecked(&mut self, at: &str, rule: &str) {
        self.done.unchecked.insert(Unchecked { at: at.to_owned(), rule: rule.to_owned() });
    }

    fn parameters(&mut self, call: &'a Call, given: &BTreeMap<&'a str, Vec<&'a str>>) {
        for (name, property) in &call.parameters.properties {
            if !property.optional && !name.ends_with("[n]") && !given.contains_key(name.as_str()) {
                self.parameter = Some(name);
                self.fault(name, None, Fault::Missing);
            }
        }
        for (name, values) in given {
            self.parameter = Some(name);
            let Some(property) = call.parameters.property(name) else {
                if !call.parameters.others {
                    let known = call.parameters.names().map(str::to_owned).collect();
                    self.fault(name, values.first().copied(), Fault::Unknown { known });
                }
                continue;
            };
            if let Some(other) = property.requires.as_deref().filter(|other| !given.contains_key(other)) {
                self.fault(other, None, Fault::Required { by: (*name).to_owned() });
            }
            self.values(property, name, values);
        }
    }

    /// One parameter, which may have been given several times.
    fn values(&mut self, property: &Property, name: &str, values: &[&str]) {
        if property.varies {
            return self.unchecked(name, "oneOf");
        }
        let is_list = matches!(&property.format, Some(Format::Named(format)) if format.ends_with("-list"));
        match (property.kind, values) {
            (Type::Array, values) => {
                let Some(items) = &property.items else { return };
                for (index, value) in values.iter().enumerate() {
                    self.item(items, &format!("{name}[{index}]"), value);
                }
            }
            (Type::Any, _) => {}
            (_, [value]) => self.value(property, name, value),
            // What is a list anyway may be given one by one.
            (Type::String, values) if is_list => values.iter().for_each(|value| self.value(property, name, value)),
            (_, values) => self.fault(name, Some(&values.join(", ")), Fault::Repeated),
        }
    }

    /// One value of an array; several may come as one text.
    fn item(&mut self, items: &Property, at: &str, value: &str) {
        let before = self.done.problems.len();
        self.value(items, at, value);
        if self.done.problems.len() > before && !matches!(items.format, Some(Format::Properties(_))) {
            let mut each = Check { parameter: self.parameter, ..Check::default() };
            split_list(value).for_each(|part| each.value(items, at, part));
            if each.done.problems.is_empty() {
                self.done.problems.truncate(before);
            }
        }
    }

    /// One value, in the order of PVE: the first thing that is wrong with it counts.
    fn value(&mut self, property: &Property, at: &str, value: &str) {
        let fits = match property.kind {
            Type::Integer => is_integer(value),
            Type::Number => is_number(value),
            Type::Boolean => matches!(value, "0" | "1"),
            Type::Any | Type::String | Type::Array => true,
        };
        if !fits {
            return self.fault(at, Some(value), Fault::Type { expected: property.kind });
        }
        match &property.format {
            Some(Format::Properties(keys)) => return self.options(keys, at, value),
            Some(Format::Named(name)) => match rule(name) {
                Some(rule) if !rule.fits(value) => {
                    let fault = Fault::Format { format: name.clone(), means: rule.means };
                    return self.fault(at, Some(value), fault);
                }
                Some(_) => {}
                None => self.unchecked(at, name),
            },
            None => {}
        }
        if let Some(pattern) = &property.pattern {
            match pattern.matches(value) {
                Some(true) => {}
                Some(false) => {
                    let pattern = pattern.as_str().to_owned();
                    return self.fault(at, Some(value), Fault::Pattern { pattern });
                }
                None => self.unchecked(at, pattern.as_str()),
            }
        }
        let length = value.chars().count();
        if let Some(maximum) = property.max_length.filter(|maximum| length > *maximum) {
            return self.fault(at, Some(value), Fault::TooLong { maximum });
        }
        if let Some(minimum) = property.min_length.filter(|minimum| length < *minimum) {
            return self.fault(at, Some(value), Fault::TooShort { minimum });
        }
        // Limits count for whatever looks like a number, of whatever type it is.
        if let Some(number) = value.parse::<f64>().ok().filter(|_| is_number(value)) {
            if let Some(maximum) = property.maximum.filter(|maximum| number > *maximum) {
                return self.fault(at, Some(value), Fault::TooLarge { maximum });
            }
            if let Some(minimum) = property.minimum.filter(|minimum| number < *minimum) {
                return self.fault(at, Some(value), Fault::TooSmall { minimum });
            }
        }
        if !property.values.is_empty() && !property.values.iter().any(|known| known == value) {
            self.fault(at, Some(value), Fault::NotListed { allowed: property.values.clone() });
        }
    }

    fn options(&mut self, keys: &BTreeMap<String, Property>, at: &str, text: &str) {
        let found = match take_apart(keys, text) {
            Ok(found) => found,
            Err(why) => return self.fault(at, Some(text), Fault::Options { why }),
        };
        for (key, property) in keys {
            if !property.optional && property.alias.is_none() && !found.contains_key(key) {
                self.fault(&format!("{at}.{key}"), None, Fault::Missing);
            }
        }
        for (key, value) in &found {
            let below = format!("{at}.{key}");
            let Some(property) = keys.get(key) else {
                let known = keys.iter().filter(|(_, property)| property.alias.is_none());
                let known = known.map(|(key, _)| key.clone()).collect();
                self.fault(&below, Some(value), Fault::Unknown { known });
                continue;
            };
            if let Some(other) = property.requires.as_deref().filter(|other| !found.contains_key(*other)) {
                self.fault(&format!("{at}.{other}"), None, Fault::Required { by: key.clone() });
            }
            self.value(property, &below, value);
        }
    }
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

/// As PVE has it: no infinities, no white space.
fn is_number(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b)) && text.parse::<f64>().is_ok()
}
