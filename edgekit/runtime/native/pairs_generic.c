/* For any processor: four at a time. */
#define TARGET generic
#define WIDE 4
#include "pairs.h"
