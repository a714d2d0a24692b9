//! What services do to the GPU of their guest: until when it works for them, and what slows it down.

use crate::lab::guest_smi::BUSY;
use crate::lab::services::Place;
use crate::lab::world::World;

/// The GPU is too hot, and works at a fifth of its speed.
pub const THROTTLED: &str = "gpu-throttled";

/// Whether a fault holds in a guest.
#[must_use]
pub fn has_fault(world: &World, vmid: u32, name: &str) -> bool {
    world.guests.get(&vmid).is_some_and(|guest| guest.inside.faults.contains(name))
}

/// Notes that the GPU works for a container's process until then.
pub fn works_until(world: &mut World, place: &Place, until_ms: i64) {
    if let Some(container) = place.container_mut(world) {
        container.memory_of.insert(BUSY.to_owned(), until_ms.into());
    }
}
