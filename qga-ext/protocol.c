/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qga-ext/protocol.h"

#include "qga-ext/clock.h"

void
cagma_write_key(CagmaText *text, const char *name)
{
  if (text->length > 0 && text->data[text->length - 1] != '{')
    cagma_text_string(text, ", ");
  cagma_text_string(text, "\"");
  cagma_text_string(text, name);
  cagma_text_string(text, "\": ");
}

static void
write_uint(CagmaText *text, const char *name, uint64_t value)
{
  cagma_write_key(text, name);
  cagma_text_uint(text, value);
}

static void
write_figure(CagmaText *text, const char *name, const CagmaFigure *figure)
{
  if (figure->known)
    write_uint(text, name, figure->value);
}

static void
write_hundredths(CagmaText *text, const char *name, uint64_t value)
{
  cagma_write_key(text, name);
  cagma_text_hundredths(text, value);
}

static void
write_bool(CagmaText *text, const char *name, bool value)
{
  cagma_write_key(text, name);
  cagma_text_string(text, value ? "true" : "false");
}

static void
write_process(CagmaText *text, const char *name, const CagmaProcess *process)
{
  if (!process->known)
    return;
  cagma_write_key(text, name);
  cagma_text_string(text, "{");
  write_uint(text, "pid", process->pid);
  write_uint(text, "rss", process->rss);
  write_uint(text, "swap", process->swap);
  cagma_text_string(text, "}");
}

static void
write_processes(CagmaText *text, const CagmaMemoryStats *stats)
{
  write_process(text, "largest-process", &stats->processes.largest);
  write_process(text, "swapping-process", &stats->processes.swapping);
  cagma_write_key(text, "process-scan");
  cagma_text_string(text, "{");
  write_uint(text, "processes", stats->processes.n_processes);
  write_bool(text, "truncated", !stats->processes_whole);
  write_uint(text, "age", stats->processes_age_us);
  cagma_text_string(text, "}");
}

/* Anonymous memory that isn't locked. */
static void
write_swappable(CagmaText *text, const CagmaMeminfo *meminfo)
{
  if (meminfo->active_anon.known && meminfo->inactive_anon.known)
    write_uint(text, "swappable", meminfo->active_anon.value + meminfo->inactive_anon.value);
}

static void
write_vmstat(CagmaText *text, const CagmaVmstat *vmstat)
{
  write_figure(text, "pages-swapped-in", &vmstat->pages_swapped_in);
  write_figure(text, "pages-swapped-out", &vmstat->pages_swapped_out);
  write_figure(text, "major-faults", &vmstat->major_faults);
  write_figure(text, "refaults-anon", &vmstat->refaults_anon);
  write_figure(text, "refaults-file", &vmstat->refaults_file);
  write_figure(text, "oom-kills", &vmstat->oom_kills);
}

void
cagma_write_memory_stats(CagmaText *text, const CagmaMemoryStats *stats)
{
  cagma_text_string(text, "{");
  write_figure(text, "total", &stats->meminfo.total);
  write_figure(text, "free", &stats->meminfo.free);
  write_figure(text, "available", &stats->meminfo.available);
  write_figure(text, "cached", &stats->meminfo.cached);
  write_figure(text, "committed", &stats->meminfo.committed);
  write_figure(text, "swap-total", &stats->meminfo.swap_total);
  write_figure(text, "swap-free", &stats->meminfo.swap_free);
  write_figure(text, "swap-cached", &stats->meminfo.swap_cached);
  write_uint(text, "page-size", stats->page_bytes);
  if (stats->has_vmstat)
    write_vmstat(text, &stats->vmstat);
  write_uint(text, "vcpus", stats->vcpus);
  write_swappable(text, &stats->meminfo);
  write_processes(text, stats);
  cagma_text_string(text, "}");
}

void
cagma_write_load(CagmaText *text, const CagmaLoad *load)
{
  cagma_text_string(text, "{");
  write_hundredths(text, "load1m", load->load1m);
  write_hundredths(text, "load5m", load->load5m);
  write_hundredths(text, "load15m", load->load15m);
  cagma_text_string(text, "}");
}

static void
write_stall(CagmaText *text, const char *name, const CagmaStall *stall)
{
  cagma_write_key(text, name);
  cagma_text_string(text, "{");
  write_hundredths(text, "avg10", stall->avg10);
  write_hundredths(text, "avg60", stall->avg60);
  write_hundredths(text, "avg300", stall->avg300);
  write_uint(text, "total", stall->total_us);
  cagma_text_string(text, "}");
}

void
cagma_write_pressure(CagmaText *text, const CagmaPressure *pressure)
{
  cagma_text_string(text, "{");
  write_stall(text, "some", &pressure->some);
  if (pressure->has_full)
    write_stall(text, "full", &pressure->full);
  cagma_text_string(text, "}");
}

void
cagma_write_trigger(CagmaText *text, const CagmaTriggerSpec *spec, CagmaWatch watch)
{
  static const char *const names[] = { "none", "psi", "swap" };

  cagma_text_string(text, "{");
  cagma_write_key(text, "watch");
  cagma_text_string(text, "\"");
  cagma_text_string(text, names[watch]);
  cagma_text_string(text, "\"");
  if (watch != CAGMA_WATCH_NONE) {
    cagma_write_key(text, "resource");
    cagma_text_string(text, "\"memory\"");
    cagma_write_key(text, "level");
    cagma_text_string(text, spec->full ? "\"full\"" : "\"some\"");
    write_uint(text, "stall", spec->stall_us);
    write_uint(text, "window", spec->window_us);
  }
  cagma_text_string(text, "}");
}

void
cagma_write_read_back(CagmaText *text, const CagmaReadBackProgress *progress)
{
  cagma_text_string(text, "{");
  write_uint(text, "bytes", progress->bytes);
  write_uint(text, "processes", progress->processes);
  write_bool(text, "done", progress->done);
  cagma_text_string(text, "}");
}

void
cagma_write_event(CagmaText *text, uint64_t real_us, const CagmaMemoryStats *stats)
{
  cagma_text_string(text, "{");
  cagma_write_key(text, "event");
  cagma_text_string(text, "\"" CAGMA_EVENT_PRESSURE "\"");
  cagma_write_key(text, "timestamp");
  cagma_text_string(text, "{");
  write_uint(text, "seconds", real_us / CAGMA_US_PER_S);
  write_uint(text, "microseconds", real_us % CAGMA_US_PER_S);
  cagma_text_string(text, "}");
  cagma_write_key(text, "data");
  cagma_write_memory_stats(text, stats);
  cagma_text_string(text, "}\n");
}
