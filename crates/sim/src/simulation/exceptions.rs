//! Faults that are switched off because the product is known not to stand them yet. Each names what is to be mended;
//! when it is, its line goes.

/// A grant whose commit stands though the store said that it is not available is not given before the next session: here
/// the commit of a grant does not fail on its far side.
pub(super) const GRANT_UNHEARD: bool = true;

/// One action's history can show that a journal went back in time, and only that action is disowned for it; another of the
/// same journal is granted again. Here a journal counts as set back unseen unless the last Hello shows it.
pub(super) const FACTS_OF_ONE_ACTION: bool = true;
