/* For any processor; uses no special instructions. */
#define TARGET generic
#define PLAIN
#include "body.h"
