/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qga-ext/resident.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "qga-ext/clock.h"

/* Of real-time computing without a wait. An event takes 1 to 5 ms, in a slow guest 20. */
#define RT_LIMIT_US (CAGMA_US_PER_S / 10)

static const struct rlimit rt_limit = { .rlim_cur = RT_LIMIT_US, .rlim_max = RLIM_INFINITY };

/* More than the deepest call chain has used (4 KiB), and what the kernel reads at once. */
#define STACK_BYTES ((size_t)32 * 1024)

#if defined(__SANITIZE_ADDRESS__)
#define UNDER_SANITIZER true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNDER_SANITIZER true
#endif
#endif
#ifndef UNDER_SANITIZER
#define UNDER_SANITIZER false
#endif

#ifdef CAGMA_AGENT_STATIC
#define LOCK_FLAGS (MCL_CURRENT | MCL_FUTURE)
#else
#define LOCK_FLAGS (MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)
#endif

/* noinline: the frame must be a new one, below the caller's. */
__attribute__((noinline)) static void
touch_stack(void)
{
  volatile char stack[STACK_BYTES];

  for (size_t i = 0; i < sizeof(stack); i += 1024)
    stack[i] = 0;
}

/* Set by a signal handler, which can't be told where else to leave it. */
static volatile sig_atomic_t was_lowered;

static void
lower_priority(int signum)
{
  const struct sched_param param = { .sched_priority = 0 };
  const int saved = errno;

  (void)signum;
  was_lowered = 1;
  syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &param);
  setpriority(PRIO_PROCESS, 0, -20);
  errno = saved;
}

static bool
become_real_time(void)
{
  const struct sched_param param = { .sched_priority = sched_get_priority_min(SCHED_RR) };

  /* musl's own does nothing. */
  return syscall(SYS_sched_setscheduler, 0, SCHED_RR | SCHED_RESET_ON_FORK, &param) == 0;
}

static void
raise_priority(const CagmaLog *log)
{
  struct sigaction action = { .sa_handler = lower_priority, .sa_flags = SA_RESTART };

  sigemptyset(&action.sa_mask);
  if (sigaction(SIGXCPU, &action, NULL) == 0 && setrlimit(RLIMIT_RTTIME, &rt_limit) == 0 &&
      become_real_time())
    return;
  cagma_log(log, "no real-time priority: %s", strerror(errno));
  if (setpriority(PRIO_PROCESS, 0, -20) < 0)
    cagma_log(log, "can't raise the priority: %s", strerror(errno));
}

static void
refuse_oom_killer(const CagmaLog *log)
{
  static const char adjustment[] = "-1000";
  const int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

  if (fd < 0 || write(fd, adjustment, sizeof(adjustment) - 1) < 0)
    cagma_log(log, "can't keep the OOM killer away: %s", strerror(errno));
  if (fd >= 0)
    close(fd);
}

void
cagma_become_resident(const CagmaLog *log)
{
  refuse_oom_killer(log);
  /* The address sanitizer's own memory is terabytes. */
  if (!UNDER_SANITIZER && mlockall(LOCK_FLAGS) < 0)
    cagma_log(log, "can't lock the memory: %s", strerror(errno));
  touch_stack();
  raise_priority(log);
}

void
cagma_resident_wait(void)
{
  if (!was_lowered)
    return;
  was_lowered = 0;
  setrlimit(RLIMIT_RTTIME, &rt_limit); /* the kernel has added a second */
  become_real_time();                  /* it could before; if not now, nice -20 is what is left */
}
