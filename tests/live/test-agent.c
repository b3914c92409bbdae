/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What guests say by themselves: our agent, on a channel of its own or before a stock
 * agent, stock agents, and programs that mean harm. */

#include <fcntl.h>
#include <json-glib/json-glib.h>
#include <libvirt/libvirt-qemu.h>
#include <libvirt/virterror.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cases.h"
#include "daemon.h"
#include "guest.h"
#include "judge.h"
#include "xml/domain.h"

/* Two with an agent on its channel, one with the multiplexer, one with the stock agent
 * alone, one with a channel and no good intentions, and one that nobody has configured,
 * whose agent waits for its port. */
enum { A, B, MUX, STOCK, FLOODER, PLAIN, GUESTS };

#define GUARANTEE_MIB 96
#define MEMORY_MIB 256
#define WORK_MIB 110
#define GROWS_S 60
#define CALM_S 90
#define STATE_S 90
#define BOOT_S 120

/* From the start of the work, which fills its memory in a second or two: here 1.5 s, several times
 * that where others want the processor. */
#define PROMPT_US (30 * G_USEC_PER_SEC)

/* What the daemon may ever have held. It has 16 MiB at rest. */
#define RESIDENT_MAX_KIB (48 * 1024)

#define OWN_PORT "/dev/virtio-ports/org.cagma.guest.0"
#define AGENT "/usr/sbin/cagma-guest-agent"
#define WITH_AGENT "--channel --append 'cagma.run=" AGENT "'"

#define CHANNEL_XML                                                                                          \
  "<channel type='unix'><source mode='bind'/><target type='virtio' name='org.cagma.guest.0'/></channel>"

/* Where libvirtd's log was when the daemon began. */
static off_t log_began;

static Guest *
guest(Bed *bed, guint index)
{
  return bed->guests->pdata[index];
}

static char *
log_path(Bed *bed)
{
  return g_build_filename(bed->dir, "log", "libvirtd.log", NULL);
}

static void
start(Bed *bed)
{
  g_autofree char *log = log_path(bed);
  struct stat file;

  guest_start(bed, "a", 140, MEMORY_MIB, GUARANTEE_MIB, WITH_AGENT);
  guest_start(bed, "b", 224, MEMORY_MIB, GUARANTEE_MIB, WITH_AGENT);
  guest_start(bed, "mux", 128, 160, GUARANTEE_MIB,
              "--append 'cagma.qga=socket cagma.run=" AGENT ",--multiplex,/run/qga.sock'");
  guest_start(bed, "stock", 128, 128, GUARANTEE_MIB, "");
  /* It has all its memory: in and out of CAGMA's hands it is charged the same. */
  guest_start(bed, "flooder", 128, 128, 120, "--channel");
  guest_start_defined(bed, "plain", 128, 128, 0, "--stats none --append 'cagma.run=" AGENT "'");
  for (guint i = A; i < GUESTS; i++)
    guest_await_agent(guest(bed, i));
  for (guint i = A; i < PLAIN; i++) {
    guest_await_report(guest(bed, i));
    guest_await_rest(guest(bed, i), GROWS_S);
  }
  g_assert_cmpint(stat(log, &file), ==, 0);
  log_began = file.st_size;
  daemon_configure(bed, 4, NULL);
  daemon_start(bed, NULL);
  for (guint i = A; i < PLAIN; i++)
    daemon_await_state(bed, guest(bed, i)->name, "steady", "available", STATE_S);
}

/* Sources. */

static void
test_status_names_the_source(Bed *bed)
{
  daemon_await_source(bed, "a", "cagma-channel", STATE_S);
  daemon_await_source(bed, "b", "cagma-channel", STATE_S);
  daemon_await_source(bed, "mux", "guest-agent", STATE_S);
  daemon_await_source(bed, "stock", "balloon-stats", STATE_S);
  daemon_await_source(bed, "flooder", "balloon-stats", STATE_S);
}

/* A guest that is starved is fed by those who have more, promptly, whatever else goes on.
 * That it gets memory before it swaps is no fault. */
static void
starve_and_feed(Bed *bed, Guest *starved)
{
  uint64_t before_kib = guest_actual_kib(starved);
  int64_t began_us = g_get_real_time();
  Call call;

  guest_work(starved, WORK_MIB);
  call = judge_await_call(bed, starved, FALSE, began_us, GROWS_S);
  g_assert_cmpint(call.at_us - began_us, <=, PROMPT_US);
  guest_await_actual(starved, before_kib + 32 * 1024, MEMORY_MIB * 1024, GROWS_S);
  guest_await_calm(starved, CALM_S);
  guest_stop_work(starved);
}

/* Of the two that have agents, the one with less: work makes it short. */
static Guest *
poorer(Bed *bed)
{
  return guest_actual_kib(guest(bed, A)) < guest_actual_kib(guest(bed, B)) ? guest(bed, A) : guest(bed, B);
}

static void
test_pressure_that_is_no_shortage(Bed *bed)
{
  static const char script[] = "mkdir -p /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup && "
                               "echo +memory >/sys/fs/cgroup/cgroup.subtree_control && "
                               "mkdir /sys/fs/cgroup/small && echo 12M >/sys/fs/cgroup/small/memory.max";
  static const char work[] = "echo $$ >/sys/fs/cgroup/small/cgroup.procs && exec /bin/work --mem 20 --pace "
                             "4000 --stat /run/work.stat";
  Guest *pressed = guest(bed, B);
  g_autofree char *output = guest_control(pressed, (const char *[]){ "run", "/bin/sh", "-c", script, NULL });
  int64_t since_us = g_get_real_time();

  pressed->work = guest_control(pressed, (const char *[]){ "exec", "/bin/sh", "-c", work, NULL });
  guest_await_swapping(pressed, 4);
  daemon_await_state(bed, pressed->name, "steady", "reports pressure, but has", STATE_S);
  guest_stop_work(pressed);
  g_assert_cmpuint(judge_count(bed, NULL, since_us), ==, 0);
}

static void
test_emergency_does_not_wait_for_the_period(Bed *bed)
{
  case_emergency(bed, guest(bed, A), guest(bed, B), WORK_MIB);
}

/* Sources that come and go. */

static char *
describe(Guest *one, gboolean defined)
{
  virDomainPtr domain = guest_domain(one);
  char *xml = virDomainGetXMLDesc(domain, defined ? VIR_DOMAIN_XML_INACTIVE : 0);

  g_assert_nonnull(xml);
  virDomainFree(domain);
  return xml;
}

static void
stop_agent(Guest *one)
{
  g_autofree char *output =
      guest_control(one, (const char *[]){ "run", "/bin/killall", "-KILL", "cagma-guest-agent", NULL });
}

static void
start_agent(Guest *one)
{
  g_autofree char *pid = guest_control(one, (const char *[]){ "exec", AGENT, NULL });
}

static void
test_killed_agent(Bed *bed)
{
  Guest *killed = guest(bed, B);

  stop_agent(killed);
  daemon_await_source(bed, killed->name, "balloon-stats", STATE_S);
  daemon_await_state(bed, killed->name, "steady", "available", STATE_S);
  starve_and_feed(bed, killed);
  start_agent(killed);
  daemon_await_source(bed, killed->name, "cagma-channel", STATE_S);
}

static void
test_reboot(Bed *bed)
{
  Guest *rebooted = guest(bed, B);
  virDomainPtr domain = guest_domain(rebooted);

  rebooted->rebooted_us = g_get_real_time();
  g_assert_cmpint(virDomainReset(domain, 0), ==, 0);
  virDomainFree(domain);
  daemon_await_state(bed, rebooted->name, "blind", "has not reported since it started", STATE_S);
  daemon_await_source(bed, rebooted->name, "cagma-channel", STATE_S);
  daemon_await_state(bed, rebooted->name, "steady", "available", STATE_S);
  guest_await_agent(rebooted);
}

static void
plug(Guest *one)
{
  virDomainPtr domain = guest_domain(one);

  if (virDomainAttachDeviceFlags(domain, CHANNEL_XML, VIR_DOMAIN_AFFECT_LIVE) < 0)
    g_error("%s: %s", one->name, virGetLastErrorMessage());
  virDomainFree(domain);
}

static void
unplug(Guest *one)
{
  virDomainPtr domain = guest_domain(one);
  g_autofree char *xml = describe(one, FALSE);
  g_autofree char *channel = cagma_domain_xml_channel(xml);

  g_assert_nonnull(channel);
  if (virDomainDetachDeviceFlags(domain, channel, VIR_DOMAIN_AFFECT_LIVE) < 0)
    g_error("%s: %s", one->name, virGetLastErrorMessage());
  virDomainFree(domain);
}

static void
test_unplugged_channel(Bed *bed)
{
  Guest *unplugged = guest(bed, B);

  unplug(unplugged);
  daemon_await_source(bed, unplugged->name, "balloon-stats", STATE_S);
  daemon_await_state(bed, unplugged->name, "steady", "available", STATE_S);
  plug(unplugged);
  daemon_await_source(bed, unplugged->name, "cagma-channel", STATE_S);
}

/* Standard agents. */

/* NULL: it was refused; for what reason, *error has. */
static char *
ask_raw(Guest *one, const char *command, char **error)
{
  virDomainPtr domain = guest_domain(one);
  char *reply = virDomainQemuAgentCommand(domain, command, 30, 0);

  *error = reply ? NULL : g_strdup(virGetLastErrorMessage());
  virDomainFree(domain);
  return reply;
}

G_GNUC_PRINTF(2, 3)
static JsonNode *
ask(Guest *one, const char *format, ...)
{
  g_autofree char *command = NULL;
  g_autofree char *reply = NULL;
  g_autofree char *error = NULL;
  g_autoptr(JsonNode) node = NULL;
  va_list arguments;

  va_start(arguments, format);
  command = g_strdup_vprintf(format, arguments);
  va_end(arguments);
  reply = ask_raw(one, command, &error);
  if (!reply)
    g_error("%s: %s: %s", one->name, command, error);
  node = json_from_string(reply, NULL);
  g_assert_nonnull(node);
  return json_node_copy(json_object_get_member(json_node_get_object(node), "return"));
}

static void
assert_lists(JsonNode *info, const char *name)
{
  JsonArray *commands = json_object_get_array_member(json_node_get_object(info), "supported_commands");

  for (guint i = 0; i < json_array_get_length(commands); i++)
    if (strcmp(json_object_get_string_member(json_array_get_object_element(commands, i), "name"), name) == 0)
      return;
  g_error("guest-info doesn't list %s", name);
}

static gboolean
has_exited(gpointer data)
{
  Guest *one = data;
  g_autoptr(JsonNode) status =
      ask(one, "{\"execute\":\"guest-exec-status\",\"arguments\":{\"pid\":%s}}", one->work);

  return json_object_get_boolean_member(json_node_get_object(status), "exited");
}

static void
test_multiplexer_passes_what_is_not_its_own(Bed *bed)
{
  static const char path[] = "/run/through-the-multiplexer";
  Guest *mux = guest(bed, MUX);
  g_autoptr(JsonNode) stats = ask(mux, "{\"execute\":\"guest-get-memory-stats\"}");
  g_autoptr(JsonNode) ping = ask(mux, "{\"execute\":\"guest-ping\"}");
  g_autoptr(JsonNode) info = ask(mux, "{\"execute\":\"guest-info\"}");
  g_autoptr(JsonNode) os = ask(mux, "{\"execute\":\"guest-get-osinfo\"}");
  g_autoptr(JsonNode) frozen = ask(mux, "{\"execute\":\"guest-fsfreeze-status\"}");
  g_autoptr(JsonNode) file = NULL;
  g_autoptr(JsonNode) written = NULL;
  g_autoptr(JsonNode) closed = NULL;
  g_autoptr(JsonNode) again = NULL;
  g_autoptr(JsonNode) read = NULL;
  g_autoptr(JsonNode) closed_again = NULL;
  g_autoptr(JsonNode) run = NULL;

  g_assert_cmpint(json_object_get_int_member(json_node_get_object(stats), "total"), >, 64 << 20);
  assert_lists(info, "guest-get-memory-stats");
  assert_lists(info, "guest-fsfreeze-freeze");
  g_assert_true(json_object_has_member(json_node_get_object(os), "kernel-release"));
  g_assert_cmpstr(json_node_get_string(frozen), ==, "thawed");

  file = ask(mux, "{\"execute\":\"guest-file-open\",\"arguments\":{\"path\":\"%s\",\"mode\":\"w\"}}", path);
  written =
      ask(mux, "{\"execute\":\"guest-file-write\",\"arguments\":{\"handle\":%d,\"buf-b64\":\"Y2FnbWE=\"}}",
          (int)json_node_get_int(file));
  closed = ask(mux, "{\"execute\":\"guest-file-close\",\"arguments\":{\"handle\":%d}}",
               (int)json_node_get_int(file));
  again = ask(mux, "{\"execute\":\"guest-file-open\",\"arguments\":{\"path\":\"%s\"}}", path);
  read = ask(mux, "{\"execute\":\"guest-file-read\",\"arguments\":{\"handle\":%d}}",
             (int)json_node_get_int(again));
  g_assert_cmpstr(json_object_get_string_member(json_node_get_object(read), "buf-b64"), ==, "Y2FnbWE=");
  closed_again = ask(mux, "{\"execute\":\"guest-file-close\",\"arguments\":{\"handle\":%d}}",
                     (int)json_node_get_int(again));

  run = ask(mux, "{\"execute\":\"guest-exec\",\"arguments\":{\"path\":\"/bin/true\"}}");
  mux->work = g_strdup_printf("%d", (int)json_object_get_int_member(json_node_get_object(run), "pid"));
  bed_await(STATE_S, has_exited, mux, "a program run through the multiplexer ends");
  g_clear_pointer(&mux->work, g_free);
}

static gboolean
stock_is_gone(gpointer data)
{
  g_autofree char *error = NULL;
  g_autofree char *reply = ask_raw(data, "{\"execute\":\"guest-get-osinfo\"}", &error);

  if (error)
    g_test_message("refused: %s", error);
  return error != NULL;
}

static void
test_multiplexer_outlives_the_stock_agent(Bed *bed)
{
  static const char element[] = "<memory><guarantee unit='MiB'>136</guarantee></memory>";
  Guest *mux = guest(bed, MUX);
  g_autofree char *killer = guest_control(
      mux, (const char *[]){ "exec", "/bin/sh", "-c", "sleep 1; kill -KILL $(pidof qemu-ga)", NULL });
  g_autoptr(JsonNode) stats = NULL;

  bed_await(STATE_S, stock_is_gone, mux, "what qemu-ga was asked is refused");
  stats = ask(mux, "{\"execute\":\"guest-get-memory-stats\"}");
  daemon_configure(bed, 24, NULL);
  guest_configure(mux, element, TERMS_BALANCED, 136, 160);
  guest_await_actual(mux, 136 * 1024, 160 * 1024, GROWS_S);
  daemon_await_source(bed, mux->name, "guest-agent", STATE_S);
  daemon_await_state(bed, mux->name, "steady", "available", STATE_S);
}

/* From libvirtd's log, as people would ask. */
static void
test_stock_agent_is_asked_for_its_commands_only(Bed *bed)
{
  g_autofree char *path = log_path(bed);
  g_autofree char *text = NULL;
  g_auto(GStrv) lines = NULL;
  guint asked = 0;

  g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
  lines = g_strsplit(text + log_began, "\n", -1);
  for (char **line = lines; *line; line++) {
    if (!strstr(*line, " virDomainQemuAgentCommand:") || !strstr(*line, "(VM: name=stock, "))
      continue;
    if (!strstr(*line, "cmd={\"execute\":\"guest-info\"}"))
      g_error("it was asked: %s", *line);
    asked++;
  }
  g_assert_cmpuint(asked, >=, 1);
  /* Once it connected, and again where libvirt said that it had come back. */
  g_assert_cmpuint(asked, <=, 3);
}

/* Hostile guests. */

#define FLOODER_ELEMENT "<memory mode='%s'><guarantee unit='MiB'>120</guarantee></memory>"

static void
assert_bounded(Bed *bed)
{
  g_autofree char *path = g_strdup_printf("/proc/%d/status", bed->daemon);
  g_autofree char *text = NULL;
  const char *peak;

  g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
  peak = strstr(text, "VmHWM:");
  g_assert_nonnull(peak);
  g_test_message("cagmad has held %d KiB at most", atoi(peak + strlen("VmHWM:")));
  g_assert_cmpint(atoi(peak + strlen("VmHWM:")), <=, RESIDENT_MAX_KIB);
}

/* The channel opened anew ends a quarantine, as an operator would. */
static void
reopen_channel(Bed *bed)
{
  Guest *flooder = guest(bed, FLOODER);
  g_autofree char *off = g_strdup_printf(FLOODER_ELEMENT, "off");
  g_autofree char *on = g_strdup_printf(FLOODER_ELEMENT, "enforce");

  guest_configure(flooder, off, TERMS_OUTSIDE, 120, 128);
  daemon_await_state(bed, flooder->name, "unmanaged", NULL, STATE_S);
  guest_configure(flooder, on, TERMS_BALANCED, 120, 128);
}

static void
start_flood(Bed *bed, const char *mode)
{
  Guest *flooder = guest(bed, FLOODER);

  reopen_channel(bed);
  flooder->work = guest_control(flooder, (const char *[]){ "exec", "/bin/flood", OWN_PORT, mode, NULL });
}

static void
stop_flood(Bed *bed)
{
  guest_stop_work(guest(bed, FLOODER));
  assert_bounded(bed);
}

/* Is cut off, and seen by what its balloon says. */
static void
flood_and_cut_off(Bed *bed, const char *mode)
{
  guint before = daemon_log_count(bed, "to its channel; it is cut off for 60 s");

  start_flood(bed, mode);
  daemon_await_log(bed, "to its channel; it is cut off for 60 s", before, STATE_S);
  daemon_await_source(bed, "flooder", "balloon-stats", STATE_S);
}

static void
test_flood_of_events(Bed *bed)
{
  flood_and_cut_off(bed, "events");
  stop_flood(bed);
}

static void
test_megabytes_without_a_newline(Bed *bed)
{
  flood_and_cut_off(bed, "endless");
  stop_flood(bed);
}

static void
test_junk_delays_nobody(Bed *bed)
{
  start_flood(bed, "junk");
  starve_and_feed(bed, poorer(bed));
  daemon_await_source(bed, "a", "cagma-channel", STATE_S);
  stop_flood(bed);
}

static void
test_absurd_figures(Bed *bed)
{
  start_flood(bed, "liar");
  /* Some of what it says is taken for true, for what that's worth: the judge looks on. */
  daemon_await_source(bed, "flooder", "cagma-channel", STATE_S);
  starve_and_feed(bed, poorer(bed));
  stop_flood(bed);
}

static void
test_agent_that_stops_reading(Bed *bed)
{
  guint before = daemon_log_count(bed, "flooder: its agent is lost: the agent does not answer");

  start_flood(bed, "mute");
  daemon_await_log(bed, "flooder: its agent is lost: the agent does not answer", before, STATE_S);
  daemon_await_source(bed, "flooder", "balloon-stats", STATE_S);
  daemon_await_source(bed, "a", "cagma-channel", STATE_S);
  stop_flood(bed);
}

/* cagmactl enable and disable. */

static char *
enable(Bed *bed, const char *command, const char *dry_run)
{
  return daemon_ctl(bed, (const char *[]){ command, "plain", "--connect", bed->uri, "--guarantee", "96MiB",
                                           dry_run, NULL });
}

static void
assert_described(Guest *one, const char *live, const char *defined)
{
  g_autofree char *live_now = describe(one, FALSE);
  g_autofree char *defined_now = describe(one, TRUE);

  g_assert_cmpstr(defined_now, ==, defined);
  g_assert_cmpstr(live_now, ==, live);
}

typedef struct {
  Guest *guest;
  const char *live;
} Restored;

static gboolean
is_restored(gpointer data)
{
  Restored *restored = data;
  g_autofree char *live = describe(restored->guest, FALSE);

  return strcmp(live, restored->live) == 0;
}

static void
test_enable_and_disable(Bed *bed)
{
  static const char *const changes[] = { ":guarantee", "org.cagma.guest.0", "<stats period" };
  Guest *plain = guest(bed, PLAIN);
  g_autofree char *live = describe(plain, FALSE);
  g_autofree char *defined = describe(plain, TRUE);
  g_autofree char *enabled_live = NULL;
  g_autofree char *enabled_defined = NULL;
  g_autofree char *would = NULL;
  g_autofree char *would_not = NULL;
  g_autofree char *did = NULL;
  g_autofree char *undid = NULL;
  Restored restored = { plain, live };

  daemon_await_state(bed, plain->name, "unmanaged", "no configuration", STATE_S);
  would = enable(bed, "enable", "--dry-run");
  g_assert_nonnull(strstr(would, "would change running domain: add the channel"));
  g_assert_nonnull(strstr(would, "would change definition: add the channel"));
  assert_described(plain, live, defined);

  guest_agree(plain, TERMS_BALANCED);
  did = enable(bed, "enable", NULL);
  daemon_await_source(bed, plain->name, "cagma-channel", STATE_S);
  daemon_await_state(bed, plain->name, "steady", "available", STATE_S);
  g_assert_cmpint(daemon_number(bed, plain->name, "guarantee-kib"), ==, 96 * 1024);
  enabled_live = describe(plain, FALSE);
  enabled_defined = describe(plain, TRUE);
  for (guint i = 0; i < G_N_ELEMENTS(changes); i++) {
    g_assert_null(strstr(live, changes[i]));
    g_assert_nonnull(strstr(enabled_live, changes[i]));
    g_assert_null(strstr(defined, changes[i]));
    g_assert_nonnull(strstr(enabled_defined, changes[i]));
  }

  would_not =
      daemon_ctl(bed, (const char *[]){ "disable", "plain", "--connect", bed->uri, "--dry-run", NULL });
  g_assert_nonnull(strstr(would_not, "would change running domain: remove the channel"));
  assert_described(plain, enabled_live, enabled_defined);
  guest_agree(plain, TERMS_OUTSIDE);
  undid = daemon_ctl(bed, (const char *[]){ "disable", "plain", "--connect", bed->uri, NULL });
  daemon_await_state(bed, plain->name, "unmanaged", "no configuration", STATE_S);
  bed_await(STATE_S, is_restored, &restored, "the running domain is as it was, its status removed");
  assert_described(plain, live, defined);
}

static void
add(Bed *bed)
{
  bed_add(bed, "/live/agent/status-names-the-source", test_status_names_the_source);
  bed_add(bed, "/live/agent/enable-and-disable", test_enable_and_disable);
  bed_add(bed, "/live/agent/pressure-that-is-no-shortage", test_pressure_that_is_no_shortage);
  bed_add(bed, "/live/agent/emergency-does-not-wait-for-the-period",
          test_emergency_does_not_wait_for_the_period);
  bed_add(bed, "/live/agent/killed-agent", test_killed_agent);
  bed_add(bed, "/live/agent/unplugged-channel", test_unplugged_channel);
  bed_add(bed, "/live/agent/flood-of-events", test_flood_of_events);
  bed_add(bed, "/live/agent/megabytes-without-a-newline", test_megabytes_without_a_newline);
  bed_add(bed, "/live/agent/junk-delays-nobody", test_junk_delays_nobody);
  bed_add(bed, "/live/agent/absurd-figures", test_absurd_figures);
  bed_add(bed, "/live/agent/agent-that-stops-reading", test_agent_that_stops_reading);
  bed_add(bed, "/live/agent/multiplexer-passes-what-is-not-its-own",
          test_multiplexer_passes_what_is_not_its_own);
  bed_add(bed, "/live/agent/multiplexer-outlives-the-stock-agent", test_multiplexer_outlives_the_stock_agent);
  bed_add(bed, "/live/agent/reboot", test_reboot);
  bed_add(bed, "/live/agent/stock-agent-is-asked-for-its-commands-only",
          test_stock_agent_is_asked_for_its_commands_only);
}

int
main(int argc, char **argv)
{
  return bed_main(argc, argv, start, add);
}
