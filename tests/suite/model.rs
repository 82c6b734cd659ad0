//! Random walks over all commands with time passing, beside a small model of a lock: many over the
//! engine in memory and a clock that the test holds, fewer over a real server.

mod memory;
mod real;
mod reference;

use memory::Memory;
use proptest::prelude::ProptestConfig;
use proptest_state_machine::prop_state_machine;
use real::Real;

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        max_shrink_iters: 2000,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

prop_state_machine! {
    #![proptest_config(cases(3000))]
    #[test]
    fn random_commands_on_the_engine_in_memory_do_what_the_model_says(sequential 1..60 => Memory);
}

prop_state_machine! {
    #![proptest_config(cases(40))]
    #[test]
    fn random_commands_on_a_real_server_do_what_the_model_says(sequential 1..100 => Real);
}
