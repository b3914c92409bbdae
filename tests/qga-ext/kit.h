/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <sys/types.h>

/* What the agent's tests share: a /proc of files, and programs that are spoken to over a
 * unix socket. Everything is awaited with a limit; a test that waits longer fails. */

#define KIT_LIMIT_US ((gint64)20 * G_USEC_PER_SEC)

/* A directory of its own below /tmp, with a proc directory of the files in data/. */
typedef struct {
  char *directory;
  char *proc;
} Kit;

Kit *kit_new(void);
void kit_free(Kit *kit);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Kit, kit_free)

/* A path in the kit's directory. Free with g_free(). */
char *kit_path(const Kit *kit, const char *name);

/* Writes a file below proc over what is there: its inode stays, for those who have it open. */
void kit_write(const Kit *kit, const char *name, const char *text);

/* A process of 4 KiB pages: /proc/PID/stat and status. vsize 0 is a kernel thread. */
void kit_write_process(const Kit *kit, guint pid, guint64 major_faults, guint64 start_ticks, guint64 vsize,
                       guint64 rss_pages, guint64 swap_kib);

/* A process whose stat can't be read until it is let go: who opens it waits, as for a kernel
 * that has no memory for it. Letting it go fails where nobody waits. */
void kit_hold_process(const Kit *kit, guint pid);
void kit_let_process_go(const Kit *kit, guint pid);

/* A program that is ended with the test, gently; and is to have exited with 0. */
typedef struct {
  GPid pid;
} Program;

Program *program_start(const char *const *argv);
void program_stop(Program *program);
void program_kill(Program *program);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Program, program_stop)

/* The number in kB behind a label of /proc/PID/status. */
guint64 program_status_kib(const Program *program, const char *label);

/* CPU time so far of all its threads, in clock ticks (100 a second). */
guint64 program_cpu_ticks(const Program *program);

/* The agent (CAGMA_GUEST_AGENT) on the kit's socket "agent" and its proc, with more
 * arguments up to NULL. */
Program *agent_start(const Kit *kit, const char *first_argument, ...) G_GNUC_NULL_TERMINATED;

/* A client's end of a socket. */
typedef struct {
  int fd;
  GString *received; /* what no one has asked for yet */
} Client;

/* Tries until there is somebody. */
Client *client_connect(const Kit *kit, const char *socket_name);
void client_free(Client *client);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Client, client_free)

void client_send(Client *client, const char *bytes, gsize length);
void client_say(Client *client, const char *line); /* with a newline */

/* As much as is taken within the time. Returns how much that was. */
gsize client_send_for(Client *client, const char *bytes, gsize length, gint64 us);

/* The next line, without its newline. Free with g_free(). NULL: the connection has ended. */
char *client_line(Client *client);

/* TRUE where nothing comes within the time. */
gboolean client_is_silent(Client *client, gint64 us);

/* Says it, and takes the next line as the answer. Free with g_free(). */
char *client_ask(Client *client, const char *line);

/* Which case it is, for the log of the test; whatever bytes it has. */
void note(const char *text);

/* The line has the text. */
void assert_has(const char *line, const char *text);
