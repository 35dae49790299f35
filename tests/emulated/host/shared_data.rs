//! Shared data: one map per process under one mutex, by VM id and key. No deletion, no create-if-absent.

use std::collections::BTreeMap;

use proxy_wasm::types::Status;

use super::{give, taken, with_vm};

/// The process-wide map and its token counter.
#[derive(Default)]
pub struct SharedData {
    entries: BTreeMap<(String, String), (Vec<u8>, u32)>,
    last_token: u32,
}

impl SharedData {
    /// The value and token of a key.
    pub fn get(&self, vm_id: &str, key: &str) -> Option<&(Vec<u8>, u32)> {
        self.entries.get(&(vm_id.to_owned(), key.to_owned()))
    }

    /// Writes. Token 0 writes blindly; on an absent key any token succeeds; another token than the stored one does not.
    pub fn set(&mut self, vm_id: &str, key: &str, value: &[u8], token: u32) -> Result<(), Status> {
        if token != 0 && self.get(vm_id, key).is_some_and(|(_, stored)| *stored != token) {
            return Err(Status::CasMismatch);
        }
        self.last_token = self.last_token.checked_add(1).unwrap_or(1);
        self.entries.insert((vm_id.to_owned(), key.to_owned()), (value.to_vec(), self.last_token));
        Ok(())
    }

    /// Every key and value.
    pub fn all(&self) -> Vec<(String, Vec<u8>)> {
        self.entries.iter().map(|((_, key), (value, _))| (key.clone(), value.clone())).collect()
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_shared_data(
    key: *const u8,
    key_size: usize,
    data: *mut *mut u8,
    size: *mut usize,
    token: *mut u32,
) -> Status {
    super::tally::host_call("get_shared_data");
    let key = String::from_utf8_lossy(unsafe { taken(key, key_size) });
    with_vm(|vm| match vm.process.shared_data().get(&vm.vm_id, &key) {
        None => Status::NotFound,
        Some((value, stored)) => {
            unsafe {
                give(value, data, size);
                *token = *stored;
            }
            Status::Ok
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_set_shared_data(
    key: *const u8,
    key_size: usize,
    data: *const u8,
    size: usize,
    token: u32,
) -> Status {
    super::tally::host_call("set_shared_data");
    let key = String::from_utf8_lossy(unsafe { taken(key, key_size) });
    let value = unsafe { taken(data, size) };
    with_vm(|vm| vm.process.shared_data().set(&vm.vm_id, &key, value, token).err().unwrap_or(Status::Ok))
}
