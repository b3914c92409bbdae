/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "policy/config.h"

/* A policy is a named pair: how needs are estimated, unless a domain's own configuration
 * names another estimator, and who gets what when they don't all fit. A host has one. */

typedef enum {
  CAGMA_ALLOCATOR_SHARES,  /* shares.h */
  CAGMA_ALLOCATOR_QUEUE,   /* queue.h */
  CAGMA_ALLOCATOR_UTILITY, /* utility.h */
} CagmaAllocatorKind;

typedef enum {
  CAGMA_POLICY_CAGMA,
  CAGMA_POLICY_CLASSIC, /* the original CAGMA (Wu & Sun 2017), without its defects */
  CAGMA_POLICY_BARUCHI, /* Baruchi & Midorikawa's adaptive memory */
  CAGMA_POLICY_VMMB,    /* VMMB */
  CAGMA_POLICY_STATIC,  /* each domain its guarantee, and what nobody else needs */
} CagmaPolicyKind;

#define CAGMA_N_POLICIES (CAGMA_POLICY_STATIC + 1)

typedef struct {
  CagmaPolicyKind kind;
  const char *name; /* in cagmad.conf and everywhere else */
  CagmaEstimatorKind estimator;
  CagmaCriticalSource source; /* where the estimator is `critical` */
  CagmaAllocatorKind allocator;
} CagmaPolicy;

/* NULL for what is no kind. */
const CagmaPolicy *cagma_policy_of(CagmaPolicyKind kind);

/* NULL for what is no name. */
const CagmaPolicy *cagma_policy_by_name(const char *name);
