/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Threads beside the agent's own, which may wait where that must not: of ordinary priority,
 * whatever its own is. */

/* The sanitizers want more of a stack. */
#if defined(__SANITIZE_ADDRESS__)
#define CAGMA_THREAD_STACK_FACTOR 8
#else
#define CAGMA_THREAD_STACK_FACTOR 1
#endif

/* As much as the C library lets a thread have at least: glibc's PTHREAD_STACK_MIN, which is
 * no constant where there is _GNU_SOURCE. */
#if defined(__x86_64__) || defined(__i386__)
#define CAGMA_THREAD_STACK_MIN ((size_t)16 * 1024 * CAGMA_THREAD_STACK_FACTOR)
#else
#define CAGMA_THREAD_STACK_MIN ((size_t)128 * 1024 * CAGMA_THREAD_STACK_FACTOR)
#endif

/* Never ended; without signals, which are for who waits for them. The stack is the caller's, 16
 * bytes aligned, and CAGMA_THREAD_STACK_MIN or more. FALSE with errno where there can be none. */
bool cagma_thread_start(void *stack, size_t stack_bytes, void *(*run)(void *data), void *data)
    __attribute__((warn_unused_result));

/* For the thread itself to call first: no priority but that. */
void cagma_thread_be_nice(int nice);
