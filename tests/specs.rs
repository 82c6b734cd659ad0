//! Every command of the module, as it describes itself.

use redis_reentrant_lock::command::{visit_all, Command, Spec, Visitor};
use std::sync::OnceLock;

/// Every command.
pub fn specs() -> &'static [&'static Spec] {
    struct Specs(Vec<&'static Spec>);
    impl Visitor for Specs {
        fn visit<C: Command>(&mut self) -> bool {
            self.0.push(&const { C::SPEC });
            true
        }
    }
    static SPECS: OnceLock<Vec<&'static Spec>> = OnceLock::new();
    SPECS.get_or_init(|| {
        let mut specs = Specs(Vec::new());
        visit_all(&mut specs);
        specs.0
    })
}
