/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qga-ext/dispatch.h"

/* Longer than any description: two names of at most 64 bytes and the words. */
#define PROBLEM_MAX 256

#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)

/* Writes the value of "return". FALSE where there is a description of class GenericError
 * in problem instead. */
typedef bool (*Run)(CagmaDispatch *dispatch, const CagmaRequest *request, CagmaText *value,
                    CagmaText *problem);

typedef struct {
  const char *name;
  const char *const *arguments;
  Run run;
  bool delimited; /* the reply is preceded by 0xFF */
} Command;

static const char *const no_arguments[] = { NULL };
static const char *const sync_arguments[] = { "id", NULL };
static const char *const trigger_arguments[] = { "resource", "level", "stall", "window", NULL };
static const char *const read_back_arguments[] = { "max-bytes", "time-ms", NULL };

static bool run_info(CagmaDispatch *dispatch, const CagmaRequest *request, CagmaText *value,
                     CagmaText *problem);

static bool
run_sync(CagmaDispatch *dispatch, const CagmaRequest *request, CagmaText *value, CagmaText *problem)
{
  int64_t id;

  (void)dispatch;
  if (!cagma_request_int64(request, "id", &id, problem))
    return false;
  cagma_text_int(value, id);
  return true;
}

static bool
run_ping(CagmaDispatch *dispatch, const CagmaRequest *request, CagmaText *value, CagmaText *problem)
{
  (void)dispatch, (void)request, (void)problem;
  cagma_text_string(value, "{}");
  return true;
}

bool
cagma_swap_in_use(const CagmaMeminfo *meminfo)
{
  return !meminfo->swap_total.known || !meminfo->swap_free.known ||
         meminfo->swap_total.value != meminfo->swap_free.value;
}

bool
cagma_read_memory_stats(const CagmaSystem *system, CagmaScanner *scanner, CagmaMemoryStats *stats)
{
  if (!cagma_system_meminfo(system, &stats->meminfo))
    return false;
  stats->has_vmstat = cagma_system_vmstat(system, &stats->vmstat);
  stats->page_bytes = system->page_bytes;
  stats->vcpus = cagma_system_vcpus(system);
  stats->processes = *cagma_scanner_result(scanner, &stats->processes_whole, &stats->processes_age_us);
  return true;
}

static bool
run_memory_stats(CagmaDispatch *dispatch, const CagmaRequest *request, CagmaText *value, CagmaText *problem)
{
  CagmaMemoryStats stats;
  CagmaMeminfo meminfo;

  (void)request;
  if (cagma_system_meminfo(dispatch->system, &meminfo))
    cagma_scanner_go_on(dispatch->scanner, cagma_swap_in_use(&meminfo), CAGMA_SCAN_WAIT_MS);
  if (!cagma_read_memory_stats(dispatch->system, dispatch->scanner, &stats)) {
    cagma_text_string(problem, "the memory figures can't be read");
    return false;
  }
  cagma_write_memory_stats(value, &stats);
  return true;
}

static bool
run_load(CagmaDispatch *dispatch, const CagmaRequest *request, CagmaText *value, CagmaText *problem)
{
  CagmaLoad load;

  (void)request;
  if (!cagma_system_load(dispatch->system, &load)) {
    cagma_text_string(problem, "the load can't be read");
    return false;
  }
  cagma_write_load(value, &load);
  return true;
}

static bool
run_pressure(CagmaDispatch *dispatch, const CagmaRequest *request, CagmaText *value, CagmaText *problem)
{
  bool any = false;

  (void)request;
  cagma_text_string(value, "{");
  for (CagmaResource resource = 0; resource < CAGMA_N_PRESSURES; resource++) {
    CagmaPressure pressure;

    if (!cagma_system_pressure(dispatch->system, resource, &pressure))
      continue;
    cagma_write_key(value, cagma_resource_name(resource));
    cagma_write_pressure(value, &pressure);
    any = true;
  }
  if (!any) {
    cagma_text_string(problem, "the kernel has no pressure stall information");
    return false;
  }
  cagma_write_key(value, "trigger");
  cagma_write_trigger(value, &dispatch->trigger, dispatch->watch);
  cagma_text_string(value, "}");
  return true;
}

/* The argument is one of two names, the first where it is left out. -1: neither. */
static int
choice(const CagmaRequest *request, const char *name, const char *first, const char *second,
       CagmaText *problem)
{
  const CagmaJsonNode *argument = cagma_request_argument(request, name);

  if (argument == NULL || cagma_json_equals(&request->json, argument, first))
    return 0;
  if (second != NULL && cagma_json_equals(&request->json, argument, second))
    return 1;
  cagma_text_string(problem, "Parameter '");
  cagma_text_string(problem, name);
  cagma_text_string(problem, "' must be '");
  cagma_text_string(problem, first);
  if (second != NULL) {
    cagma_text_string(problem, "' or '");
    cagma_text_string(problem, second);
  }
  cagma_text_string(problem, "'");
  return -1;
}

static bool
read_trigger(const CagmaRequest *request, CagmaTriggerSpec *spec, CagmaText *problem)
{
  int64_t stall_us, window_us = 0;
  int level;

  if (choice(request, "resource", "memory", NULL, problem) < 0)
    return false;
  level = choice(request, "level", "some", "full", problem);
  if (level < 0 || !cagma_request_int64(request, "stall", &stall_us, problem))
    return false;
  if (stall_us == 0) {
    *spec = (CagmaTriggerSpec){ .stall_us = 0 };
    return true;
  }
  if (!cagma_request_int64(request, "window", &window_us, problem))
    return false;
  if (window_us < (int64_t)CAGMA_WINDOW_MIN_US || window_us > (int64_t)CAGMA_WINDOW_MAX_US) {
    cagma_text_string(problem, "Parameter 'window' must be 500000 to 10000000");
    return false;
  }
  if (stall_us < 0 || stall_us > window_us) {
    cagma_text_string(problem, "Parameter 'stall' must be 0 to 'window'");
    return false;
  }
  *spec = (CagmaTriggerSpec){
    .full = level == 1,
    .stall_us = (uint64_t)stall_us,
    .window_us = (uint64_t)window_us,
  };
  return true;
}

static bool
run_trigger(CagmaDispatch *dispatch, const CagmaRequest *request, CagmaText *value, CagmaText *problem)
{
  CagmaTriggerSpec spec;

  if (dispatch->set_trigger == NULL) {
    cagma_text_string(problem, "events can't be sent on this channel");
    return false;
  }
  if (!read_trigger(request, &spec, problem))
    return false;
  dispatch->trigger = spec;
  dispatch->set_trigger(dispatch->set_trigger_data);
  cagma_write_trigger(value, &dispatch->trigger, dispatch->watch);
  return true;
}

static bool
may_read_back(const CagmaDispatch *dispatch)
{
  return dispatch->read_back != NULL && (dispatch->reader == NULL || cagma_reader_may(dispatch->reader));
}

/* Threads that are stuck cost locked memory: no more than so many. */
#define READERS_MAX 4

static bool
have_reader(CagmaDispatch *dispatch)
{
  const bool stuck = dispatch->reader != NULL && cagma_reader_is_stuck(dispatch->reader);

  if ((dispatch->reader == NULL || stuck) && dispatch->n_readers < READERS_MAX) {
    CagmaReader *another = cagma_reader_new(dispatch->system, dispatch->read_back);

    dispatch->reader = another != NULL ? another : dispatch->reader;
    dispatch->n_readers += another != NULL;
  }
  return dispatch->reader != NULL;
}

/* At work in the background, it is asked how far it is. */
static bool
run_read_back(CagmaDispatch *dispatch, const CagmaRequest *request, CagmaText *value, CagmaText *problem)
{
  int64_t max_bytes, time_ms;
  CagmaReadBackProgress progress;

  if (!may_read_back(dispatch)) {
    cagma_text_string(problem, "the kernel doesn't let processes' memory be brought back");
    return false;
  }
  if (!cagma_request_int64(request, "max-bytes", &max_bytes, problem) ||
      !cagma_request_int64(request, "time-ms", &time_ms, problem))
    return false;
  if (max_bytes <= 0) {
    cagma_text_string(problem, "Parameter 'max-bytes' must be above 0");
    return false;
  }
  if (time_ms <= 0 || time_ms > CAGMA_READER_MAX_MS) {
    cagma_text_string(problem, "Parameter 'time-ms' must be 1 to " TEXT(CAGMA_READER_MAX_MS));
    return false;
  }
  if (!have_reader(dispatch)) {
    cagma_text_string(problem, "there is no memory for it");
    return false;
  }
  progress = cagma_reader_go_on(dispatch->reader, (uint64_t)max_bytes, (uint64_t)time_ms * 1000);
  cagma_write_read_back(value, &progress);
  return true;
}

/* Our own first; the rest is what every agent has. */
static const Command commands[] = {
  { CAGMA_CMD_MEMORY_STATS, no_arguments, run_memory_stats, false },
  { CAGMA_CMD_LOAD, no_arguments, run_load, false },
  { CAGMA_CMD_PRESSURE, no_arguments, run_pressure, false },
  { CAGMA_CMD_TRIGGER, trigger_arguments, run_trigger, false },
  { CAGMA_CMD_READ_BACK, read_back_arguments, run_read_back, false },
  { "guest-info", no_arguments, run_info, false },
  { "guest-ping", no_arguments, run_ping, false },
  { "guest-sync", sync_arguments, run_sync, false },
  { "guest-sync-delimited", sync_arguments, run_sync, true },
};

enum { N_COMMANDS = sizeof(commands) / sizeof(*commands), N_OWN_COMMANDS = 5 };

const char *
cagma_own_command(unsigned int index)
{
  return index < N_OWN_COMMANDS ? commands[index].name : NULL;
}

void
cagma_write_command_info(CagmaText *text, const char *name, bool enabled)
{
  cagma_text_string(text, "{\"enabled\": ");
  cagma_text_string(text, enabled ? "true" : "false");
  cagma_text_string(text, ", \"name\": \"");
  cagma_text_string(text, name);
  cagma_text_string(text, "\", \"success-response\": true}");
}

static bool
is_enabled(const CagmaDispatch *dispatch, const Command *command)
{
  if (command->run == run_trigger)
    return dispatch->set_trigger != NULL;
  return command->run != run_read_back || may_read_back(dispatch);
}

static bool
run_info(CagmaDispatch *dispatch, const CagmaRequest *request, CagmaText *value, CagmaText *problem)
{
  (void)request, (void)problem;
  cagma_text_string(value, "{\"version\": \"");
  cagma_text_string(value, dispatch->version);
  cagma_text_string(value, "\", \"supported_commands\": [");
  for (size_t i = 0; i < N_COMMANDS; i++) {
    if (i > 0)
      cagma_text_string(value, ", ");
    cagma_write_command_info(value, commands[i].name, is_enabled(dispatch, &commands[i]));
  }
  cagma_text_string(value, "]}");
  return true;
}

static const Command *
find_command(const CagmaRequest *request)
{
  for (size_t i = 0; i < N_COMMANDS; i++) {
    if (cagma_json_equals(&request->json, request->command, commands[i].name))
      return &commands[i];
  }
  return NULL;
}

CagmaOwner
cagma_dispatch_owner(CagmaRequest *request, const char *message, size_t length)
{
  char unused[PROBLEM_MAX];
  CagmaText problem = cagma_text_init(unused, sizeof(unused));
  const Command *command;

  if (!cagma_request_parse(request, message, length, &problem))
    return CAGMA_NO_REQUEST;
  command = find_command(request);
  if (command == NULL)
    return CAGMA_NOT_OURS;
  return command < commands + N_OWN_COMMANDS ? CAGMA_OURS : CAGMA_BASE;
}

/* As it was written, but on one line: a reply ends with its first newline. Bytes below a
 * space can only be blanks between values here, since strings have none. */
static void
write_id(CagmaText *reply, const CagmaRequest *request)
{
  const char *text = request->json.text + request->id->start;
  const bool string = request->id->type == CAGMA_JSON_STRING;

  cagma_write_key(reply, "id");
  cagma_text_string(reply, string ? "\"" : "");
  for (size_t i = 0; i < request->id->length; i++) {
    if ((unsigned char)text[i] >= ' ')
      cagma_text_bytes(reply, &text[i], 1);
  }
  cagma_text_string(reply, string ? "\"" : "");
}

/* `{"return": VALUE, "id": ID}` or the like, from the key on. */
static void
finish_reply(const CagmaRequest *request, CagmaText *reply)
{
  if (request != NULL && request->id != NULL)
    write_id(reply, request);
  cagma_text_string(reply, "}\n");
}

static void
write_error(const CagmaRequest *request, const char *class, const CagmaText *description, CagmaText *reply)
{
  *reply = cagma_text_init(reply->data, reply->size);
  cagma_text_string(reply, "{\"error\": {\"class\": \"");
  cagma_text_string(reply, class);
  cagma_text_string(reply, "\", \"desc\": \"");
  cagma_text_bytes(reply, description->data, description->length);
  cagma_text_string(reply, "\"}");
  finish_reply(request, reply);
}

void
cagma_dispatch_error(const CagmaRequest *request, const char *description, CagmaText *reply)
{
  char bytes[PROBLEM_MAX];
  CagmaText problem = cagma_text_init(bytes, sizeof(bytes));

  cagma_text_string(&problem, description);
  write_error(request, "GenericError", &problem, reply);
}

static void
reply_not_found(const CagmaRequest *request, CagmaText *reply)
{
  char bytes[PROBLEM_MAX];
  CagmaText problem = cagma_text_init(bytes, sizeof(bytes));

  cagma_text_string(&problem, "The command ");
  cagma_request_quote(&problem, request, request->command);
  cagma_text_string(&problem, " has not been found");
  write_error(request, "CommandNotFound", &problem, reply);
}

void
cagma_dispatch(CagmaDispatch *dispatch, const char *message, size_t length, CagmaText *reply)
{
  static CagmaRequest request;
  char bytes[PROBLEM_MAX];
  CagmaText problem = cagma_text_init(bytes, sizeof(bytes));
  const Command *command;

  if (!cagma_request_parse(&request, message, length, &problem)) {
    write_error(&request, "GenericError", &problem, reply);
    return;
  }
  command = find_command(&request);
  if (command == NULL) {
    reply_not_found(&request, reply);
    return;
  }
  *reply = cagma_text_init(reply->data, reply->size);
  cagma_text_string(reply, command->delimited ? "\xFF{\"return\": " : "{\"return\": ");
  if (!cagma_request_check_arguments(&request, command->arguments, &problem) ||
      !command->run(dispatch, &request, reply, &problem)) {
    write_error(&request, "GenericError", &problem, reply);
    return;
  }
  finish_reply(&request, reply);
}
