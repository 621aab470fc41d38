/* For any processor, with vectors of four floats. */
#define TARGET generic
#define WIDE 4
#include "pairs.h"
