/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

/* How much more memory, in bytes, the limits of the process's control groups (version 2:
 * memory.max and memory.high, of its own and all above it) let it have. UINT64_MAX where
 * there are none, or they can't be read. The directory is /proc. */
uint64_t cagma_cgroup_room(int proc_fd, uint32_t pid);
