//! The operator's program: hands over to the command line.
//!
//! Owns the allocator: memory is overwritten as it is given back, because libraries that handle
//! credentials (the AWS SDK, TLS, HTTP, JSON) free their buffers as they are.

use std::alloc::System;
use std::process::ExitCode;

use zeroizing_alloc::ZeroAlloc;

#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

fn main() -> ExitCode {
    ses_smtp_operator::process::main()
}
