/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qga-ext/thread.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

bool
cagma_thread_start(void *stack, size_t stack_bytes, void *(*run)(void *data), void *data)
{
  pthread_attr_t attributes;
  pthread_t thread;
  sigset_t all, before;
  int problem;

#ifdef M_TOP_PAD
  mallopt(M_TOP_PAD, 0); /* what the C library allocates for it is some 300 bytes */
#endif
  problem = pthread_attr_init(&attributes);
  if (problem == 0) {
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    problem = pthread_attr_setstack(&attributes, stack, stack_bytes);
    if (problem == 0) /* lest the library take one of its own, 8 MiB that are then locked */
      problem = pthread_create(&thread, &attributes, run, data);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
  }
  errno = problem;
  return problem == 0;
}

void
cagma_thread_be_nice(int nice)
{
  static const struct sched_param param = { .sched_priority = 0 };

  /* On Linux, of this thread; musl's own does nothing. */
  syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &param);
  setpriority(PRIO_PROCESS, 0, nice);
}
