/* The frame server with a mistake that AddressSanitizer alone sees. */

#define MISTAKE "reads-beyond"
#include "frame.c"
