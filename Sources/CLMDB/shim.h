// LMDB as Debian ships it. One header is the whole contract.
#include <lmdb.h>
