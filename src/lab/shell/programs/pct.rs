//! `pct`: containers.

use super::guest;
use crate::lab::shell::call::Call;
use crate::lab::world::GuestKind;

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    guest::run(call, GuestKind::Lxc)
}
