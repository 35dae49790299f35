//! Envoy's shared data as the store that breakers of all workers meet in.

use super::abi;
use crate::shared_data::{HostError, SetError, SharedData};

/// The shared data of the process, under this VM's `vm_id`.
#[derive(Debug, Clone, Copy)]
pub struct EnvoySharedData;

impl SharedData for EnvoySharedData {
    fn get(&self, key: &str) -> Result<Option<(Vec<u8>, u32)>, HostError> {
        let found = abi::shared_data(key);
        #[cfg(all(feature = "test-module", target_os = "wasi"))]
        let found = found.map(|found| found.map(|(value, token)| (super::test_module::shrunk(key, value), token)));
        found
    }

    fn set(&self, key: &str, value: &[u8], token: u32) -> Result<(), SetError> {
        #[cfg(all(feature = "test-module", target_os = "wasi"))]
        let value = &*super::test_module::grown(key, value);
        abi::set_shared_data(key, value, token)
    }
}
