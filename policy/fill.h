/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Shares out an amount among vessels that are filled side by side: weighted max-min
 * fairness. Each has at least low_kib and at most high_kib, and in between base + λ × weight,
 * λ such that all of it is handed out. Sizes in KiB, at most CAGMA_MAX_KIB each. */
typedef struct {
  uint64_t base_kib; /* from where on its weight counts; at most low_kib */
  uint64_t low_kib;
  uint64_t high_kib;
  uint64_t weight;    /* at most 2^50; 0: no more than low_kib, unless all can be full */
  uint64_t level_kib; /* out */
} CagmaVessel;

/* Fills the vessels; total_kib counts from nothing, their low_kib included. Where it is less
 * than these, each has its low_kib all the same. Found in some five passes, at most 250,
 * whatever the number of vessels; where all can be full, or none gets more than its low_kib,
 * in one.
 * Returns what the levels come to: less than total_kib by less than a KiB a vessel, as long as
 * one that has a weight isn't full and none has 2^19 times another's. */
uint64_t cagma_fill(CagmaVessel *vessels, size_t n, uint64_t total_kib);
