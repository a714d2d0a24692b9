//! Values about containers inside guests: images, mounts, file modes, names of environment variables.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::Deserialize;

use super::macros::text_value;
use crate::diag::Invalid;

/// A container image, pinned: `ollama/ollama:0.12.6`, with `@sha256:…` behind it where it is known.
///
/// The form is that of Docker's references (distribution/reference): an optional registry, a path, a tag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String", extend("pattern" = "^[a-z0-9][a-z0-9._:/-]*:[A-Za-z0-9_][A-Za-z0-9_.-]*(@sha256:[0-9a-f]{64})?$"))]
pub struct ImageRef {
    /// Registry and path, such as `ghcr.io/berriai/litellm`.
    pub repository: String,
    /// The tag; never `latest`.
    pub tag: String,
    /// `sha256:` and 64 hex digits.
    pub digest: Option<Digest>,
}

text_value!(
    /// What an image is made of, as registries name it.
    Digest(String), "^sha256:[0-9a-f]{64}$", |text| {
        let good = text.strip_prefix("sha256:").is_some_and(|hex| {
            hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        });
        if good { Ok(text.to_owned()) } else {
            Err(Invalid::new(format!("`{}` is not the digest of an image", text.escape_debug()))
                .hint("write `sha256:` and 64 hex digits in lower case"))
        }
    }
);

impl FromStr for ImageRef {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let wrong = |hint: &str| {
            Err(Invalid::new(format!("`{}` is not a pinned image", text.escape_debug())).hint(hint.to_owned()))
        };
        let (named, digest) = match text.split_once('@') {
            Some((named, digest)) => (named, Some(digest.parse::<Digest>()?)),
            None => (text, None),
        };
        // A colon before the last slash is the port of a registry.
        let (repository, tag) = match named.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => (repository, tag),
            _ => return wrong("say which version: `repository:tag`, such as `ollama/ollama:0.12.6`"),
        };
        if tag == "latest" {
            return wrong("`latest` is another image tomorrow: name a version");
        }
        let part = |part: &str| {
            part.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
                && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-:".contains(&b))
        };
        let good_tag = (1..=128).contains(&tag.len())
            && tag.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
            && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
        let parts: Vec<&str> = repository.split('/').collect();
        let good = parts.iter().all(|one| part(one)) && parts.iter().skip(1).all(|one| !one.contains(':'));
        if !good || !good_tag {
            return wrong("write registry and path in lower case, then `:` and a tag");
        }
        Ok(Self { repository: repository.to_owned(), tag: tag.to_owned(), digest })
    }
}

impl TryFrom<String> for ImageRef {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

/// As compose files name it.
impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.repository, self.tag)?;
        match &self.digest {
            Some(digest) => write!(f, "@{}", digest.0),
            None => Ok(()),
        }
    }
}

text_value!(
    /// A path in a container, such as `/var/lib/postgresql/data`.
    InsidePath(String), r"^/[^:,\s]+$", |text| {
        let good = text.starts_with('/') && text.len() > 1 && !text.ends_with('/')
            && text[1..].split('/').all(|part| !part.is_empty() && part != "." && part != "..")
            && !text.contains(|c: char| ":,$".contains(c) || c.is_whitespace() || c.is_control());
        if good { Ok(text.to_owned()) } else {
            Err(Invalid::new(format!("`{}` is not a place in a container", text.escape_debug()))
                .hint("write an absolute path without `:`, `,`, `$` and spaces, such as `/data`"))
        }
    }
);

text_value!(
    /// The path of a request, such as `/health`.
    HttpPath(String), r"^/[A-Za-z0-9._~/?=&%-]*$", |text| {
        let good = text.starts_with('/')
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._~/?=&%-".contains(&b));
        if good { Ok(text.to_owned()) } else {
            Err(Invalid::new(format!("`{}` is not the path of a request", text.escape_debug()))
                .hint("write what follows the port, such as `/health`"))
        }
    }
);

text_value!(
    /// The name of an environment variable.
    EnvironmentVariable(String), "^[A-Z_][A-Z0-9_]*$", |text| {
        let good = !text.starts_with(|c: char| c.is_ascii_digit()) && !text.is_empty()
            && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
        if good { Ok(text.to_owned()) } else {
            Err(Invalid::new(format!("`{}` is not the name of an environment variable", text.escape_debug()))
                .hint("use upper-case letters, digits and `_`, such as `POSTGRES_PASSWORD_FILE`"))
        }
    }
);

text_value!(
    /// Permission bits in octal, such as `"0600"`.
    FileMode(u32), "^0[0-7]{3}$", |text| {
        let mode = (text.len() == 4 && text.starts_with('0')).then(|| u32::from_str_radix(text, 8).ok()).flatten();
        mode.ok_or_else(|| {
            Invalid::new(format!("`{}` are no permission bits", text.escape_debug()))
                .hint("write four octal digits in quotes, such as `\"0600\"`")
        })
    }
);

/// Where a model comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String", extend("pattern" = "^(ollama:[^:]+:[^:]+|hf:[^/]+/[^/]+(/.+)?|file:/.+)$"))]
pub enum ModelSource {
    /// A model of Ollama's library with its tag: `qwen2.5-coder:7b`.
    Ollama(String),
    /// A repository of Hugging Face, and a file of it where it holds several.
    HuggingFace {
        /// `organisation/name`.
        repository: String,
        /// A file, such as `model-q4_k_m.gguf`.
        file: Option<String>,
    },
    /// A file in the guest.
    File(InsidePath),
}

impl TryFrom<String> for ModelSource {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        let plain =
            |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        let wrong = || {
            Invalid::new(format!("`{}` does not say where a model comes from", text.escape_debug()))
                .hint("write `ollama:qwen2.5-coder:7b`, `hf:ORGANISATION/REPOSITORY`, or `file:/models/x.gguf`")
        };
        if let Some(model) = text.strip_prefix("ollama:") {
            let Some((name, tag)) = model.rsplit_once(':') else {
                return Err(wrong().hint(format!("name the tag: without one, `{model}` is whatever `latest` is today")));
            };
            if tag == "latest" {
                return Err(
                    wrong().hint("`latest` is another model tomorrow: name a tag that says its size, such as `7b`")
                );
            }
            let good = plain(tag) && name.split('/').all(plain);
            return if good { Ok(Self::Ollama(model.to_owned())) } else { Err(wrong()) };
        }
        if let Some(path) = text.strip_prefix("file:") {
            return path.parse().map(Self::File);
        }
        let mut parts = text.strip_prefix("hf:").ok_or_else(wrong)?.splitn(3, '/');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(owner), Some(name), file)
                if plain(owner) && plain(name) && file.is_none_or(|f| f.split('/').all(plain)) =>
            {
                Ok(Self::HuggingFace { repository: format!("{owner}/{name}"), file: file.map(str::to_owned) })
            }
            _ => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_pinned() {
        for good in [
            "ollama/ollama:0.12.6",
            "redis:7.4-alpine",
            "ghcr.io/ggml-org/llama.cpp:server-b6700",
            "registry.lan:5000/own/thing:1",
        ] {
            assert_eq!(good.parse::<ImageRef>().unwrap().to_string(), good);
        }
        let digest = format!("redis:7.4@sha256:{}", "0a".repeat(32));
        assert_eq!(digest.parse::<ImageRef>().unwrap().to_string(), digest);
        for wrong in
            ["redis", "redis:latest", "registry:5000/redis", "Redis:7", "redis:", "a b:1", "redis:7@sha256:00", "/x:1"]
        {
            assert!(wrong.parse::<ImageRef>().is_err(), "{wrong}");
        }
        assert!("redis:latest".parse::<ImageRef>().unwrap_err().hint.unwrap().contains("tomorrow"));
    }

    #[test]
    fn models_come_from_somewhere_that_stays_the_same() {
        let source = |text: &str| ModelSource::try_from(text.to_owned());
        assert_eq!(source("ollama:qwen2.5-coder:7b"), Ok(ModelSource::Ollama("qwen2.5-coder:7b".to_owned())));
        assert!(matches!(
            source("hf:Qwen/Qwen2.5-7B-GGUF/a-q4.gguf"),
            Ok(ModelSource::HuggingFace { file: Some(_), .. })
        ));
        assert!(source("file:/models/a.gguf").is_ok());
        for wrong in
            ["qwen2.5", "ollama:qwen2.5", "ollama:qwen2.5:latest", "hf:x", "file:models", "s3:a/b", "ollama:a b:1"]
        {
            assert!(source(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn modes_are_octal() {
        assert_eq!("0640".parse::<FileMode>().unwrap().0, 0o640);
        for wrong in ["640", "0888", "", "00640"] {
            assert!(wrong.parse::<FileMode>().is_err(), "{wrong}");
        }
    }
}
