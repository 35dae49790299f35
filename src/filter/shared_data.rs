//! Envoy's shared data as the store that breakers of all workers meet in.

use proxy_wasm::hostcalls;
use proxy_wasm::types::Status;

use crate::shared_data::{HostError, SetError, SharedData};

/// The shared data of the process, under this VM's `vm_id`.
#[derive(Debug, Clone, Copy)]
pub struct EnvoySharedData;

impl SharedData for EnvoySharedData {
    fn get(&self, key: &str) -> Result<Option<(Vec<u8>, u32)>, HostError> {
        match hostcalls::get_shared_data(key) {
            Ok((value, Some(token))) => {
                let value = value.unwrap_or_default();
                #[cfg(all(feature = "test-module", target_os = "wasi"))]
                let value = super::test_module::shrunk(value);
                Ok(Some((value, token)))
            }
            Ok((_, None)) => Ok(None),
            Err(_) => Err(HostError),
        }
    }

    fn set(&self, key: &str, value: &[u8], token: u32) -> Result<(), SetError> {
        #[cfg(all(feature = "test-module", target_os = "wasi"))]
        let value = &*super::test_module::grown(value);
        hostcalls::set_shared_data(key, Some(value), Some(token)).map_err(|status| match status {
            Status::CasMismatch => SetError::CasMismatch,
            _ => SetError::Host,
        })
    }
}
