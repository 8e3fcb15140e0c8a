//! What the chapters share.
