//! Host overrides of an OPNsense (`crate::opnsense::requests`).

use serde_json::Value;

use crate::diag::Invalid;
use crate::model::opnsense::{Override, OverrideAlias};

/// The host overrides.
pub fn read_overrides(data: &Value) -> Result<Vec<Override>, Invalid> {
    serde_json::from_value(data.clone()).map_err(|error| Invalid::new(format!("host overrides: {error}")))
}

/// Further names of host overrides.
pub fn read_aliases(data: &Value) -> Result<Vec<OverrideAlias>, Invalid> {
    serde_json::from_value(data.clone()).map_err(|error| Invalid::new(format!("aliases of host overrides: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_not_what_it_is_is_refused() {
        let whole =
            serde_json::json!([{"uuid": "1", "enabled": true, "domain": "example.com", "kind": "A", "line": "1"}]);
        assert_eq!(read_overrides(&whole).unwrap()[0].name(), "example.com");
        assert!(read_overrides(&serde_json::json!([{"uuid": "1"}])).is_err());
        assert!(read_aliases(&serde_json::json!({})).is_err());
    }
}
