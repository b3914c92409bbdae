/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <glib.h>
#include <linux/capability.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* What systemd leaves the agent is enough for what it does. */

/* The bits of the capabilities that systemd leaves the agent. */
static guint32
capabilities_of_the_unit(void)
{
  static const struct {
    const char *name;
    guint number;
  } known[] = {
    { "CAP_DAC_OVERRIDE", CAP_DAC_OVERRIDE }, { "CAP_DAC_READ_SEARCH", CAP_DAC_READ_SEARCH },
    { "CAP_IPC_LOCK", CAP_IPC_LOCK },         { "CAP_SYS_NICE", CAP_SYS_NICE },
    { "CAP_SYS_PTRACE", CAP_SYS_PTRACE },     { "CAP_SYS_RESOURCE", CAP_SYS_RESOURCE },
  };
  static const char key[] = "\nCapabilityBoundingSet=";
  g_autofree char *unit = NULL;
  g_auto(GStrv) names = NULL;
  char *line;
  guint32 bits = 0;

  g_assert_true(g_file_get_contents(g_getenv("CAGMA_AGENT_UNIT"), &unit, NULL, NULL));
  line = strstr(unit, key);
  g_assert_nonnull(line);
  line += strlen(key);
  line[strcspn(line, "\n")] = '\0';
  names = g_strsplit(line, " ", -1);
  for (gsize i = 0; i < G_N_ELEMENTS(known); i++)
    bits |= g_strv_contains((const char *const *)names, known[i].name) ? 1u << known[i].number : 0;
  g_assert_cmpuint(g_strv_length(names), ==, (guint)__builtin_popcount(bits));
  return bits;
}

static gboolean
can_open(pid_t pid, const char *file)
{
  g_autofree char *path = g_strdup_printf("/proc/%d/%s", (int)pid, file);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);

  if (fd >= 0)
    close(fd);
  return fd >= 0;
}

/* As the agent that systemd has started, of a process that isn't root's. */
static void
the_unit_lets_it_look_at_all_processes(void)
{
  struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
  struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3], before[_LINUX_CAPABILITY_U32S_3];
  const guint32 bits = capabilities_of_the_unit();
  gboolean smaps, pagemap;
  int ready[2];
  char byte;
  pid_t pid;

  g_assert_cmpint(syscall(SYS_capget, &header, before), ==, 0);
  if (geteuid() != 0 || (before[0].effective & 1u << CAP_SYS_PTRACE) == 0) {
    g_test_skip("takes root and CAP_SYS_PTRACE");
    return;
  }
  g_assert_cmpint(pipe(ready), ==, 0);
  pid = fork();
  if (pid == 0) {
    /* Dumpable, as whoever has called exec() since, so that its files aren't root's. */
    if (setgid(65534) == 0 && setuid(65534) == 0 && prctl(PR_SET_DUMPABLE, 1) == 0 &&
        prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && write(ready[1], "", 1) == 1)
      pause();
    _exit(1);
  }
  close(ready[1]);
  g_assert_cmpint(read(ready[0], &byte, 1), ==, 1);
  memcpy(data, before, sizeof data);
  data[0].effective = before[0].effective & bits;
  data[1].effective = 0;
  g_assert_cmpint(syscall(SYS_capset, &header, data), ==, 0);
  smaps = can_open(pid, "smaps");
  pagemap = can_open(pid, "pagemap");
  g_assert_cmpint(syscall(SYS_capset, &header, before), ==, 0);
  close(ready[0]);
  g_assert_cmpint(kill(pid, SIGKILL), ==, 0);
  g_assert_cmpint(waitpid(pid, NULL, 0), ==, pid);
  g_assert_true(smaps);
  g_assert_true(pagemap);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/agent/unit/it-may-look-at-all-processes", the_unit_lets_it_look_at_all_processes);
  return g_test_run();
}
