#pragma once

#include "base/virtual_clock.h"

namespace trireme::test {

using trireme::VirtualClock;

}  // namespace trireme::test
