//! The agents' door from outside: the real enrolment endpoint and the real talk, over a store that can be made to fail,
//! or to have something happen, between any two of its calls.

mod enrolment;
mod faulty;
mod ground;
mod overdue;
mod sessions;
