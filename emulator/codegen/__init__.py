"""Machine code: instruction bodies and functions of the machine as LLVM code, kept on disk."""
