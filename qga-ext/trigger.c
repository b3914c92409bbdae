/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qga-ext/trigger.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

/* "some 10000000 10000000" and its NUL. */
#define PSI_LINE_BYTES 64

void
cagma_trigger_init(CagmaTrigger *trigger, const CagmaSystem *system, int epoll_fd, uint32_t tag)
{
  *trigger = (CagmaTrigger){ .system = system, .epoll_fd = epoll_fd, .tag = tag, .psi_fd = -1 };
}

static bool
read_swapped(const CagmaTrigger *trigger, uint64_t *pages)
{
  CagmaVmstat vmstat;

  if (!cagma_system_vmstat(trigger->system, &vmstat) || !vmstat.pages_swapped_in.known ||
      !vmstat.pages_swapped_out.known)
    return false;
  *pages = vmstat.pages_swapped_in.value + vmstat.pages_swapped_out.value;
  return true;
}

/* Closing the file removes the kernel's trigger, and the file from the epoll set. */
static void
close_psi(CagmaTrigger *trigger)
{
  if (trigger->psi_fd >= 0)
    close(trigger->psi_fd);
  trigger->psi_fd = -1;
}

static bool
write_psi_line(int fd, const CagmaTriggerSpec *spec)
{
  char bytes[PSI_LINE_BYTES];
  CagmaText line = cagma_text_init(bytes, sizeof(bytes));

  cagma_text_string(&line, spec->full ? "full " : "some ");
  cagma_text_uint(&line, spec->stall_us);
  cagma_text_string(&line, " ");
  cagma_text_uint(&line, spec->window_us);
  cagma_text_bytes(&line, "", 1);
  return write(fd, line.data, line.length) == (ssize_t)line.length;
}

static bool
open_psi(CagmaTrigger *trigger)
{
  struct epoll_event event = { .events = EPOLLPRI, .data.u32 = trigger->tag };

  trigger->psi_fd = openat(trigger->system->proc_fd, "pressure/memory", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (trigger->psi_fd < 0)
    return false;
  if (write_psi_line(trigger->psi_fd, &trigger->spec) &&
      epoll_ctl(trigger->epoll_fd, EPOLL_CTL_ADD, trigger->psi_fd, &event) == 0)
    return true;
  close_psi(trigger);
  return false;
}

static void
watch_swap(CagmaTrigger *trigger, uint64_t now_us)
{
  trigger->watch = CAGMA_WATCH_SWAP;
  trigger->next_poll_us = now_us + CAGMA_SWAP_POLL_US;
  trigger->next_fire_us = 0;
  if (!read_swapped(trigger, &trigger->swapped))
    trigger->swapped = UINT64_MAX; /* nothing exceeds it: the next reading starts anew */
}

CagmaWatch
cagma_trigger_set(CagmaTrigger *trigger, const CagmaTriggerSpec *spec, uint64_t now_us)
{
  close_psi(trigger);
  trigger->spec = *spec;
  if (spec->stall_us == 0)
    trigger->watch = CAGMA_WATCH_NONE;
  else if (open_psi(trigger))
    trigger->watch = CAGMA_WATCH_PSI;
  else
    watch_swap(trigger, now_us);
  return trigger->watch;
}

bool
cagma_trigger_handle(CagmaTrigger *trigger, uint32_t events, uint64_t now_us)
{
  if (trigger->watch != CAGMA_WATCH_PSI)
    return false;
  if (events & (EPOLLERR | EPOLLHUP)) { /* the kernel has given it up */
    close_psi(trigger);
    watch_swap(trigger, now_us);
    return false;
  }
  return (events & EPOLLPRI) != 0;
}

bool
cagma_trigger_poll(CagmaTrigger *trigger, uint64_t now_us)
{
  uint64_t swapped;
  bool more;

  if (trigger->watch != CAGMA_WATCH_SWAP || now_us < trigger->next_poll_us)
    return false;
  trigger->next_poll_us = now_us + CAGMA_SWAP_POLL_US;
  if (now_us < trigger->next_fire_us || !read_swapped(trigger, &swapped))
    return false;
  more = swapped > trigger->swapped;
  trigger->swapped = swapped;
  if (more)
    trigger->next_fire_us = now_us + trigger->spec.window_us;
  return more;
}

uint64_t
cagma_trigger_due_us(const CagmaTrigger *trigger)
{
  return trigger->watch == CAGMA_WATCH_SWAP ? trigger->next_poll_us : UINT64_MAX;
}
