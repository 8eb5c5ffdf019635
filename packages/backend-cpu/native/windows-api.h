// The system's own header, without the macros and the parts that nothing here uses.
#pragma once
#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>
