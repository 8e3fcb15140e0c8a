//! The chapters are in the folders beside this one; a package needs a target of its own, and this is it.
