//! A lab of emulated paths: two network namespaces, a path between them in user space, transports side by side.
