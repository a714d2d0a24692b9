//! Carries out a plan: schedules, journals, waits, undoes. Decides nothing.
