/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "bed.h"
#include "watch.h"

/* A guest of the bed. Sizes in MiB where a test says them, in KiB where the machine does. */

typedef enum {
  TERMS_BALANCED, /* between guarantee and limit */
  TERMS_HELD,     /* no call may be made */
  TERMS_OUTSIDE,  /* nor that, and it is counted in full */
} TermsKind;

/* What its operator, the test, has laid down for it, from a time on. */
typedef struct {
  int64_t from_us;
  TermsKind kind;
  uint64_t guarantee_kib;
  uint64_t limit_kib;
} Terms;

struct Guest {
  Bed *bed;
  char *name;
  char uuid[VIR_UUID_STRING_BUFLEN];
  uint64_t memory_kib;
  uint64_t current_kib;
  GArray *terms;
  Watch *watch;
  int64_t started_us; /* real time; 0: doesn't run */
  int64_t ended_us;
  int64_t rebooted_us; /* 0: not since its start */
  int64_t back_us;     /* after that; 0: not yet */
  char *work;          /* process id of its workload */

  /* The judge's. */
  uint64_t asked_kib;
  guint sightings_judged;
  uint64_t actual_before_kib;
};

/* Starts a guest with what `lab domain` makes of the options (a printf format).
 * guarantee_mib 0: it has no configuration, and is not to be touched. */
Guest *guest_start(Bed *bed, const char *name, guint current_mib, guint memory_mib, guint guarantee_mib,
                   const char *options);
/* The same, from any XML. */
Guest *guest_start_xml(Bed *bed, const char *name, guint current_mib, guint memory_mib, guint guarantee_mib,
                       const char *xml);
/* And with options, but persistent. */
Guest *guest_start_defined(Bed *bed, const char *name, guint current_mib, guint memory_mib,
                           guint guarantee_mib, const char *options);
char *guest_xml(Bed *bed, const char *name, guint current_mib, guint memory_mib, guint guarantee_mib,
                const char *options);
void guest_destroy(Guest *guest);
void guest_free(Guest *guest);

/* tests/lab/guestctl: exec, run, kill … in the guest. Its output; free with g_free. */
char *guest_control(Guest *guest, const char *const *arguments);

/* Waits for its agent, or for its first balloon report. */
void guest_await_agent(Guest *guest);
void guest_await_report(Guest *guest);

/* Its balloon's size now. */
uint64_t guest_actual_kib(Guest *guest);
uint64_t guest_swapped_out_kib(Guest *guest);

void guest_await_actual(Guest *guest, uint64_t least_kib, uint64_t most_kib, int seconds);
/* Its balloon hasn't moved for a while. */
void guest_await_rest(Guest *guest, int seconds);
/* It has not swapped out for a while. */
void guest_await_calm(Guest *guest, int seconds);

/* A workload that changes mib of its memory. */
void guest_work(Guest *guest, guint mib);
void guest_await_swapping(Guest *guest, guint mib);
void guest_stop_work(Guest *guest);

/* virsh metadata --live: the bare element, or NULL to remove it. What shall hold then is said
 * in words the judge understands. */
void guest_configure(Guest *guest, const char *element, TermsKind kind, guint guarantee_mib, guint limit_mib);
/* The same for what isn't said in metadata: pausing, stopping … */
void guest_agree(Guest *guest, TermsKind kind);

/* Signals its QEMU. */
void guest_signal(Guest *guest, int signal_number);

/* Its status metadata; NULL: there is none. */
char *guest_status_metadata(Guest *guest);

/* What holds now. */
TermsKind guest_terms(Guest *guest);
uint64_t guest_guarantee_kib(Guest *guest);

virDomainPtr guest_domain(Guest *guest);
