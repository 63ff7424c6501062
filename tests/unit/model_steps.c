/* What a frame costs is the same in every frame: a run after the first ones executes as many instructions, whatever the
 * numbers, and asks nothing of the system. The instructions are counted by a debugger's single steps. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>
/* after those */
#include <cmocka.h>

#include "small_models.h"

enum { WARM = 3, EMPTY = 1, FRAMES = 6, NO_DEBUGGER = 77 };

/* The process that is watched: each frame is between two signals to itself; the first ones run nothing. */
static void frames(const char *json) {
  cornu_error e;
  cornu_model *m;
  cornu_runner *r;
  cornu_random random;
  cornu_random_seed(&random, 1);
  cornu_set_threads(1);
  if (cornu_model_load(json, NULL, &(cornu_load_options){sizeof(cornu_load_options), .seed = 3}, &m, &e) ||
      cornu_runner_new(m, NULL, &r, &e))
    _exit(2);
  for (int i = 0; i < WARM; i++)
    if (cornu_runner_run(r, &e)) _exit(2);
  if (ptrace(PTRACE_TRACEME, 0, NULL, NULL)) _exit(NO_DEBUGGER);
  raise(SIGSTOP);
  for (int i = 0; i < EMPTY + 2 * FRAMES; i++) {
    if (cornu_random_uniform(&random, cornu_runner_tensor(r, CORNU_RUNNER_INPUT, 0), -2, 2, &e)) _exit(2);
    raise(SIGUSR1);
    if (i >= EMPTY && cornu_runner_run(r, &e)) _exit(2);
    raise(SIGUSR2);
  }
  _exit(0);
}

/* The process at its first stop. Where debuggers are not allowed there is nothing to see. */
static pid_t watched(const char *json) {
  int status;
  const pid_t pid = fork();
  if (!pid) frames(json);
  assert_true(pid > 0 && waitpid(pid, &status, 0) == pid);
  if (WIFEXITED(status) && WEXITSTATUS(status) == NO_DEBUGGER) skip();
  if (!WIFSTOPPED(status)) fail_msg("the process ended before its frames");
  return pid;
}

/* How often the process stops on its way to the signal: after each instruction (PTRACE_SINGLESTEP), or before and after
 * each call of the system (PTRACE_SYSCALL). -1: it has ended. */
static long stops_until(pid_t pid, int signal, enum __ptrace_request how) {
  int status;
  for (long n = 0;; n++) {
    if (ptrace(how, pid, NULL, NULL) || waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status)) return -1;
    if (WSTOPSIG(status) == signal) return n;
  }
}

static long frame(pid_t pid, enum __ptrace_request how) {
  if (stops_until(pid, SIGUSR1, PTRACE_CONT) < 0) fail_msg("the process has ended before its frames");
  return stops_until(pid, SIGUSR2, how);
}

static void frames_cost_the_same(void **state) {
  const pid_t pid = watched(*state);
  const long signals = frame(pid, PTRACE_SYSCALL), instructions = frame(pid, PTRACE_SINGLESTEP);
  assert_true(signals > 0 && instructions > 1000);
  for (int i = 1; i < FRAMES; i++) assert_int_equal(frame(pid, PTRACE_SINGLESTEP), instructions);
  for (int i = 0; i < FRAMES; i++) assert_int_equal(frame(pid, PTRACE_SYSCALL), signals);
  assert_int_equal(stops_until(pid, 0, PTRACE_CONT), -1);
  print_message("%ld instructions in each frame\n", instructions);
}

static const char policy[] = SEQUENTIAL(
    LAYER("Dense", INPUT("24") "\"units\": 64, \"activation\": \"tanh\"") ", "
    LAYER("Dense", "\"units\": 64, \"activation\": \"tanh\"") ", " LAYER("Dense", "\"units\": 4"));
static const char gru[] = SEQUENTIAL(
    LAYER("GRU", "\"batch_input_shape\": [1, 1, 16], \"units\": 64, \"stateful\": true") ", "
    LAYER("Dense", "\"units\": 4, \"activation\": \"softmax\""));

#define WITH(model) {"frames_cost_the_same " #model, frames_cost_the_same, NULL, NULL, (void *)(uintptr_t)(model)}

int main(void) {
  const struct CMUnitTest tests[] = {WITH(policy), WITH(gru), WITH(convolutions)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
