//! `printf`: the conversions `%s %d %x %o %%` with width, and the usual escapes.

use crate::lab::shell::call::Call;

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let args = call.args;
    let Some((format, values)) = args.split_first() else {
        return call.fail(2, "usage: printf format [arguments]");
    };
    let mut values = values.iter();
    loop {
        let before = values.len();
        match once(format, &mut values) {
            Ok(text) => call.stdout.extend(text),
            Err(what) => return call.unknown(&what),
        }
        // the format is used again as long as it takes arguments and there are some
        if values.len() == 0 || values.len() == before {
            return 0;
        }
    }
}

fn once<'a>(format: &str, values: &mut impl Iterator<Item = &'a String>) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => out.push(b'\n'),
                Some('t') => out.push(b'\t'),
                Some('r') => out.push(b'\r'),
                Some('\\') => out.push(b'\\'),
                Some('0') => out.push(0),
                other => return Err(format!("\\{}", other.unwrap_or_default())),
            },
            '%' => {
                let zero = chars.next_if_eq(&'0').is_some();
                let mut width = String::new();
                while let Some(digit) = chars.next_if(char::is_ascii_digit) {
                    width.push(digit);
                }
                let width: usize = width.parse().unwrap_or_default();
                let mut value = || values.next().map_or("", String::as_str);
                let text = match chars.next() {
                    Some('%') => "%".to_owned(),
                    Some('s') => value().to_owned(),
                    Some(kind @ ('d' | 'x' | 'o')) => {
                        let text = value();
                        let number: i64 =
                            if text.is_empty() { 0 } else { text.parse().map_err(|_| text.to_owned())? };
                        match kind {
                            'd' => number.to_string(),
                            'x' => format!("{number:x}"),
                            _ => format!("{number:o}"),
                        }
                    }
                    other => return Err(format!("%{}", other.unwrap_or_default())),
                };
                let pad = if zero { b'0' } else { b' ' };
                out.extend(std::iter::repeat_n(pad, width.saturating_sub(text.len())));
                out.extend(text.into_bytes());
            }
            c => out.extend(c.to_string().into_bytes()),
        }
    }
    Ok(out)
}
