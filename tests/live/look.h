/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdint.h>

/* How a guest is seen, apart from what cagmad sees: look-libvirt.c for QEMU, tests/xen has
 * another one; a test program is linked with one of them. Each caller has its own. */

typedef struct {
  int64_t asked_us; /* real time, as in libvirtd's log; the answer is true of a moment … */
  int64_t told_us;  /* … between these two */
  uint64_t actual_kib;
  uint64_t usable_kib;
  uint64_t swap_in_kib;
  uint64_t swap_out_kib;
  uint64_t last_update_s; /* 0: the guest has not reported */
  uint64_t cap_kib;       /* the most the hypervisor lets it have; 0: it doesn't say */
  uint64_t host_free_kib; /* the hypervisor's own free memory, where there is a cap */
} Sighting;

typedef struct Look Look;

Look *look_new(const char *uri, const char *uuid);
void look_free(Look *look);

/* FALSE: out of reach. The next one tries anew. */
gboolean look_at(Look *look, Sighting *sighting);
