/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The hook, called by libvirtd as it starts guests. None of these has to get far. */

#include <glib/gstdio.h>
#include <libvirt/virterror.h>
#include <signal.h>
#include <string.h>

#include "daemon.h"
#include "guest.h"
#include "judge.h"

#define MEMORY_MIB 96
#define STATE_S 60
/* The hook's own limit is one second, the rest libvirt's and QEMU's. One without a limit would wait
 * for D-Bus: 25 s. */
#define START_US (20 * G_USEC_PER_SEC)

static const char invalid[] =
    "--swap 0 --metadata '<cagma:memory xmlns:cagma=\"urn:cagma:memory:1\"><cagma:shares>many</cagma:shares>"
    "</cagma:memory>'";

static void
start(Bed *bed)
{
  daemon_configure(bed, 1024, NULL);
}

static gboolean
hook_said(gpointer data)
{
  g_autofree char *path = bed_path(data, "hook.log");
  g_autofree char *text = NULL;

  return g_file_get_contents(path, &text, NULL, NULL) && strstr(text, "shares") && strstr(text, "many");
}

static void
test_invalid_metadata_is_logged(Bed *bed)
{
  Guest *started = guest_start(bed, "lenient", MEMORY_MIB, MEMORY_MIB, 0, invalid);

  bed_await(STATE_S, hook_said, bed, "the hook says what is wrong");
  guest_destroy(started);
}

static void
test_strict_refuses_invalid_metadata(Bed *bed)
{
  g_autofree char *wrong = guest_xml(bed, "strict", MEMORY_MIB, MEMORY_MIB, 0, invalid);

  daemon_configure(bed, 1024, "[hook]\nstrict=yes");
  g_assert_null(virDomainCreateXML(bed->conn, wrong, 0));
  g_assert_cmpint(virGetLastErrorCode(), ==, VIR_ERR_HOOK_SCRIPT_FAILED);
  g_assert_nonnull(strstr(virGetLastErrorMessage(), "shares"));

  guest_destroy(guest_start(bed, "valid", MEMORY_MIB, MEMORY_MIB, 64, "--swap 0"));
  guest_destroy(guest_start(bed, "plain", MEMORY_MIB, MEMORY_MIB, 0, "--swap 0"));
  daemon_configure(bed, 1024, NULL);
}

static void
test_daemon_is_told(Bed *bed)
{
  guint before = daemon_log_count(bed, "told is about to start with 96 MiB");
  Guest *told;

  daemon_start(bed, NULL);
  told = guest_start(bed, "told", MEMORY_MIB, MEMORY_MIB, 64, "--swap 0");
  daemon_await_log(bed, "told is about to start with 96 MiB", before, STATE_S);
  daemon_await_state(bed, "told", "steady", "available", STATE_S);
  g_assert_cmpint(daemon_number(bed, NULL, "incoming-kib"), ==, 0);
  guest_destroy(told);
}

static void
run_hook(Bed *bed, const char *name, const char *operation, const char *suboperation, const char *xml)
{
  g_autofree char *hook = g_build_filename(bed->dir, "etc", "hooks", "qemu.d", "cagma", NULL);
  g_autofree char *out = NULL;

  g_assert_cmpint(
      bed_run((const char *[]){ hook, name, operation, suboperation, "-", NULL }, xml, &out, NULL), ==, 0);
  /* In some operations it would take the place of the XML. */
  g_assert_cmpstr(out, ==, "");
}

/* The moment between prepare and start is too short to be seen, so the hook is called as libvirt does. */
static void
test_memory_is_kept_for_one_that_starts(Bed *bed)
{
  g_autofree char *xml = guest_xml(bed, "coming", MEMORY_MIB, MEMORY_MIB, 64, "--swap 0");
  gint64 in_hand_kib = daemon_number(bed, NULL, "in-hand-kib");

  run_hook(bed, "coming", "prepare", "begin", xml);
  g_assert_cmpint(daemon_number(bed, NULL, "incoming-kib"), ==, MEMORY_MIB * 1024);
  run_hook(bed, "coming", "release", "end", xml);
  g_assert_cmpint(daemon_number(bed, NULL, "incoming-kib"), ==, 0);
  g_assert_cmpint(in_hand_kib, >, 0);
}

/* A start that fails after the hook: libvirt says `release`. */
static void
test_failed_start_leaves_nothing(Bed *bed)
{
  g_autofree char *xml = guest_xml(bed, "fails", MEMORY_MIB, MEMORY_MIB, 64, "--swap 16");
  g_autofree char *disk = g_build_filename(bed->dir, "disks", "fails.swap", NULL);
  guint before = daemon_log_count(bed, "fails is about to start");

  g_assert_cmpint(g_remove(disk), ==, 0);
  g_assert_null(virDomainCreateXML(bed->conn, xml, 0));
  daemon_await_log(bed, "fails is about to start", before, STATE_S);
  g_assert_cmpint(daemon_number(bed, NULL, "incoming-kib"), ==, 0);
}

static void
test_hung_daemon_keeps_nobody_from_starting(Bed *bed)
{
  int64_t began_us = g_get_monotonic_time();
  Guest *started;

  g_assert_cmpint(kill(bed->daemon, SIGSTOP), ==, 0);
  started = guest_start(bed, "undelayed", MEMORY_MIB, MEMORY_MIB, 64, "--swap 0");
  g_assert_cmpint(g_get_monotonic_time() - began_us, <=, START_US);
  g_assert_cmpint(kill(bed->daemon, SIGCONT), ==, 0);
  daemon_await_state(bed, "undelayed", "steady", "available", STATE_S);
  guest_destroy(started);
  daemon_stop(bed);
}

static void
add(Bed *bed)
{
  bed_add(bed, "/live/hook/invalid-metadata-is-logged", test_invalid_metadata_is_logged);
  bed_add(bed, "/live/hook/strict-refuses-invalid-metadata", test_strict_refuses_invalid_metadata);
  bed_add(bed, "/live/hook/daemon-is-told", test_daemon_is_told);
  bed_add(bed, "/live/hook/memory-is-kept-for-one-that-starts", test_memory_is_kept_for_one_that_starts);
  bed_add(bed, "/live/hook/failed-start-leaves-nothing", test_failed_start_leaves_nothing);
  bed_add(bed, "/live/hook/hung-daemon-keeps-nobody-from-starting",
          test_hung_daemon_keeps_nobody_from_starting);
}

int
main(int argc, char **argv)
{
  return bed_main(argc, argv, start, add);
}
