// A cell as the core runs it, one of those in programs/.
#pragma once

#include "../src/throughtime.h"

struct Program {
  const char* cell;
  bool save, pure, projected;
  tt_program program;
};
