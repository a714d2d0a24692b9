//! What happened, as data: a run is the fold of its events.
