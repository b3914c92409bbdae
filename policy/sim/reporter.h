/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/sim/world.h"

/* What guests say of themselves, true or not, and when it arrives. */

void cagma_reporter_begin(CagmaWorld *world, size_t guest);

/* Makes the reports that are due; those that arrive now are handed to deliver. */
void cagma_reporter_tick(CagmaWorld *world, size_t guest,
                         void (*deliver)(gpointer control, size_t guest, const CagmaSimReport *report),
                         gpointer control);
