// Empty: the target is linked into the test bundle for what mutex.c puts in the place of a library's function.
