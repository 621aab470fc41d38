/* For any processor; no instruction is named. */
#define TARGET generic
#define PLAIN
#include "body.h"
