//! The port to where objects live, and the two stores that need nothing installed.

mod disk;
mod error;
mod memory;
mod metadata;
mod port;

pub use disk::{Durability, LocalDisk};
pub use error::{Cause, StoreError, StoreOperation};
pub use memory::InMemory;
pub use metadata::{METADATA_BYTES_MAX, Metadata, MetadataError};
pub use port::{
    ByteStream, BytesBody, CHUNK_BYTES_MAX, Capabilities, Condition, Cursor, Download, Etag, Head, ObjectMeta,
    PAGE_OBJECTS_MAX, Page, SkipReason, Skipped, Store, StoreId,
};
