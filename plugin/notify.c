/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/notify.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void
cagma_notify(const char *state)
{
  const char *path = g_getenv("NOTIFY_SOCKET");
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  size_t length;
  int fd;

  if (!path || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof address.sun_path)
    return;
  length = strlen(path);
  memcpy(address.sun_path, path, length);
  if (path[0] == '@')
    address.sun_path[0] = '\0';

  fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return;
  if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address,
             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) < 0)
    g_warning("$NOTIFY_SOCKET: %s", g_strerror(errno));
  close(fd);
}

guint64
cagma_watchdog_us(void)
{
  const char *text = g_getenv("WATCHDOG_USEC");
  const char *pid = g_getenv("WATCHDOG_PID");
  guint64 us, number;

  if (!text || !g_ascii_string_to_unsigned(text, 10, 1, G_MAXINT64, &us, NULL))
    return 0;
  if (pid &&
      (!g_ascii_string_to_unsigned(pid, 10, 1, G_MAXINT32, &number, NULL) || (pid_t)number != getpid()))
    return 0;
  return us;
}
