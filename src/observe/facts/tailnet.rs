//! The tailnet's policy and devices (`crate::tailnet::requests`).

use serde_json::Value;

use crate::diag::Invalid;
use crate::model::tailnet::TailnetDevice;

/// The text of the policy.
pub fn read_policy(data: &Value) -> Result<String, Invalid> {
    let text = data.get("policy").and_then(Value::as_str);
    text.map(str::to_owned).ok_or_else(|| Invalid::new("the answer holds no policy"))
}

/// The devices.
pub fn read_devices(data: &Value) -> Result<Vec<TailnetDevice>, Invalid> {
    serde_json::from_value(data.clone()).map_err(|error| Invalid::new(format!("devices of the tailnet: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_api_leaves_out_is_nothing_and_what_is_no_list_is_refused() {
        let devices = read_devices(&serde_json::json!([{"id": "n1", "hostname": "phone"}])).unwrap();
        assert_eq!((devices[0].tags.len(), devices[0].authorized), (0, false));
        assert!(read_devices(&serde_json::json!({})).is_err());
        assert!(read_policy(&serde_json::json!({"policy": 1})).is_err());
    }
}
