/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest.h"

#include <errno.h>
#include <inttypes.h>
#include <libvirt/virterror.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define BOOT_S 300 /* 4 s here, more when all start at once on a loaded machine */
#define SWAP_S 60
/* A balloon pauses 200 ms for want of pages, reports come each second. */
#define REST_US (2 * G_USEC_PER_SEC)
#define CALM_US (5 * G_USEC_PER_SEC)

#define CONFIG_URI "urn:cagma:memory:1"
#define STATUS_URI "urn:cagma:status:1"

static char *
path_of_guestctl(void)
{
  g_autofree char *dir = g_path_get_dirname(bed_program("CAGMA_LAB"));

  return g_build_filename(dir, "guestctl", NULL);
}

char *
guest_control(Guest *guest, const char *const *arguments)
{
  g_autoptr(GPtrArray) argv = g_ptr_array_new();
  g_autofree char *program = path_of_guestctl();

  g_ptr_array_add(argv, program);
  g_ptr_array_add(argv, guest->bed->uri);
  g_ptr_array_add(argv, guest->name);
  for (; *arguments; arguments++)
    g_ptr_array_add(argv, (char *)*arguments);
  g_ptr_array_add(argv, NULL);
  return bed_output((const char *const *)argv->pdata);
}

static void
agree(Guest *guest, TermsKind kind, uint64_t guarantee_kib, uint64_t limit_kib)
{
  Terms terms = { g_get_real_time(), kind, guarantee_kib, limit_kib };

  g_array_append_val(guest->terms, terms);
}

static const Terms *
terms_now(Guest *guest)
{
  return &g_array_index(guest->terms, Terms, guest->terms->len - 1);
}

TermsKind
guest_terms(Guest *guest)
{
  return terms_now(guest)->kind;
}

uint64_t
guest_guarantee_kib(Guest *guest)
{
  return terms_now(guest)->guarantee_kib;
}

char *
guest_xml(Bed *bed, const char *name, guint current_mib, guint memory_mib, guint guarantee_mib,
          const char *options)
{
  g_autofree char *command =
      g_strdup_printf("'%s' domain '%s' %s --current %u --memory %u %s", bed_program("CAGMA_LAB"), bed->dir,
                      name, current_mib, memory_mib, options);
  g_autofree char *configured =
      guarantee_mib ? g_strdup_printf("%s --guarantee %u --limit %u", command, guarantee_mib, memory_mib)
                    : g_strdup(command);

  return bed_output((const char *[]){ "sh", "-c", configured, NULL });
}

/* domain: it runs; taken over. */
static Guest *
adopt(Bed *bed, const char *name, guint current_mib, guint memory_mib, guint guarantee_mib,
      virDomainPtr domain)
{
  Guest *guest = g_new0(Guest, 1);

  if (!domain)
    g_error("%s: %s", name, virGetLastErrorMessage());
  guest->bed = bed;
  guest->name = g_strdup(name);
  guest->memory_kib = memory_mib * 1024;
  guest->current_kib = current_mib * 1024;
  guest->asked_kib = guest->current_kib;
  guest->terms = g_array_new(FALSE, FALSE, sizeof(Terms));
  agree(guest, guarantee_mib ? TERMS_BALANCED : TERMS_OUTSIDE, guarantee_mib * 1024, guest->memory_kib);
  guest->started_us = g_get_real_time();
  guest->ended_us = G_MAXINT64;
  virDomainGetUUIDString(domain, guest->uuid);
  virDomainFree(domain);
  guest->watch = watch_new(bed->uri, guest->uuid, name, bed->timeline_fd);
  g_ptr_array_add(bed->guests, guest);
  return guest;
}

Guest *
guest_start_xml(Bed *bed, const char *name, guint current_mib, guint memory_mib, guint guarantee_mib,
                const char *xml)
{
  return adopt(bed, name, current_mib, memory_mib, guarantee_mib, virDomainCreateXML(bed->conn, xml, 0));
}

Guest *
guest_start_defined(Bed *bed, const char *name, guint current_mib, guint memory_mib, guint guarantee_mib,
                    const char *options)
{
  g_autofree char *xml = guest_xml(bed, name, current_mib, memory_mib, guarantee_mib, options);
  virDomainPtr domain = virDomainDefineXML(bed->conn, xml);

  if (domain && virDomainCreate(domain) < 0)
    g_error("%s: %s", name, virGetLastErrorMessage());
  return adopt(bed, name, current_mib, memory_mib, guarantee_mib, domain);
}

Guest *
guest_start(Bed *bed, const char *name, guint current_mib, guint memory_mib, guint guarantee_mib,
            const char *options)
{
  g_autofree char *xml = guest_xml(bed, name, current_mib, memory_mib, guarantee_mib, options);

  return guest_start_xml(bed, name, current_mib, memory_mib, guarantee_mib, xml);
}

virDomainPtr
guest_domain(Guest *guest)
{
  virDomainPtr domain = virDomainLookupByUUIDString(guest->bed->conn, guest->uuid);

  if (!domain)
    g_error("%s: %s", guest->name, virGetLastErrorMessage());
  return domain;
}

void
guest_destroy(Guest *guest)
{
  virDomainPtr domain = guest_domain(guest);

  guest->ended_us = g_get_real_time();
  g_assert_cmpint(virDomainDestroy(domain), ==, 0);
  virDomainFree(domain);
}

void
guest_free(Guest *guest)
{
  watch_free(guest->watch);
  g_array_unref(guest->terms);
  g_free(guest->work);
  g_free(guest->name);
  g_free(guest);
}

void
guest_await_agent(Guest *guest)
{
  g_autofree char *seconds = g_strdup_printf("%d", BOOT_S);
  g_autofree char *output = guest_control(guest, (const char *[]){ "wait-agent", seconds, NULL });
}

static Sighting
last_sighting(Guest *guest)
{
  Sighting sighting = { 0 };

  watch_last(guest->watch, &sighting);
  return sighting;
}

static gboolean
has_reported(gpointer data)
{
  return last_sighting(data).last_update_s != 0;
}

void
guest_await_report(Guest *guest)
{
  bed_await(BOOT_S, has_reported, guest, "%s reports its memory", guest->name);
}

uint64_t
guest_actual_kib(Guest *guest)
{
  return last_sighting(guest).actual_kib;
}

uint64_t
guest_swapped_out_kib(Guest *guest)
{
  return last_sighting(guest).swap_out_kib;
}

typedef struct {
  Guest *guest;
  uint64_t least_kib;
  uint64_t most_kib;
} Range;

static gboolean
is_in_range(gpointer data)
{
  Range *range = data;
  uint64_t actual_kib = guest_actual_kib(range->guest);

  return actual_kib >= range->least_kib && actual_kib <= range->most_kib;
}

void
guest_await_actual(Guest *guest, uint64_t least_kib, uint64_t most_kib, int seconds)
{
  Range range = { guest, least_kib, most_kib };

  bed_await(seconds, is_in_range, &range, "%s has %" PRIu64 " to %" PRIu64 " KiB", guest->name, least_kib,
            most_kib);
}

static gboolean
rests(gpointer data)
{
  Guest *guest = data;
  Sighting now, then;

  return watch_last(guest->watch, &now) && watch_before(guest->watch, g_get_real_time() - REST_US, &then) &&
         now.told_us > then.told_us && now.actual_kib == then.actual_kib;
}

void
guest_await_rest(Guest *guest, int seconds)
{
  bed_await(seconds, rests, guest, "the balloon of %s rests", guest->name);
}

static gboolean
is_calm(gpointer data)
{
  Guest *guest = data;
  int64_t since_us = watch_calm_since(guest->watch);

  return since_us && last_sighting(guest).told_us - since_us >= CALM_US;
}

void
guest_await_calm(Guest *guest, int seconds)
{
  bed_await(seconds, is_calm, guest, "%s stops swapping out", guest->name);
}

void
guest_work(Guest *guest, guint mib)
{
  g_autofree char *size = g_strdup_printf("%u", mib);

  g_assert_null(guest->work);
  /* Paced, so that a guest that has all it needs leaves the processors to the others. */
  guest->work = guest_control(guest, (const char *[]){ "exec", "/bin/work", "--mem", size, "--pace", "2000",
                                                       "--stat", "/run/work.stat", NULL });
}

static gboolean
has_swapped_out(gpointer data)
{
  Range *range = data;

  return guest_swapped_out_kib(range->guest) >= range->least_kib;
}

void
guest_await_swapping(Guest *guest, guint mib)
{
  Range range = { .guest = guest, .least_kib = guest_swapped_out_kib(guest) + mib * 1024 };

  bed_await(SWAP_S, has_swapped_out, &range, "%s swaps %u MiB out", guest->name, mib);
}

void
guest_stop_work(Guest *guest)
{
  g_autofree char *output = guest_control(guest, (const char *[]){ "kill", guest->work, NULL });

  g_clear_pointer(&guest->work, g_free);
}

void
guest_configure(Guest *guest, const char *element, TermsKind kind, guint guarantee_mib, guint limit_mib)
{
  const char *set[] = { "virsh", "-q",    "-c",     guest->bed->uri, "metadata", guest->name, CONFIG_URI,
                        "--key", "cagma", "--live", "--set",         element,    NULL };
  const char *remove[] = { "virsh",     "-q",       "-c",     guest->bed->uri, "metadata",
                           guest->name, CONFIG_URI, "--live", "--remove",      NULL };
  g_autofree char *output = NULL;

  agree(guest, kind, guarantee_mib * 1024, limit_mib * 1024);
  output = bed_output(element ? set : remove);
  /* It holds from now on, and what held before no longer does. */
  agree(guest, kind, guarantee_mib * 1024, limit_mib * 1024);
}

void
guest_agree(Guest *guest, TermsKind kind)
{
  const Terms *terms = terms_now(guest);

  agree(guest, kind, terms->guarantee_kib, terms->limit_kib);
}

void
guest_signal(Guest *guest, int signal_number)
{
  g_autofree char *pid =
      bed_output((const char *[]){ bed_program("CAGMA_LAB"), "pid", guest->bed->dir, guest->name, NULL });

  g_assert_cmpint(kill(atoi(pid), signal_number), ==, 0);
}

char *
guest_status_metadata(Guest *guest)
{
  const char *argv[] = { "virsh", "-q", "-c", guest->bed->uri, "metadata", guest->name, STATUS_URI, NULL };
  g_autofree char *err = NULL;
  char *out = NULL;

  if (bed_run(argv, NULL, &out, &err) == 0)
    return out;
  g_assert_nonnull(strstr(err, "metadata not found"));
  g_free(out);
  return NULL;
}
