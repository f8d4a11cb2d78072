/* Threads that wait in many ways, each below stack_begin(): what an unwinder meets. Prints a line when all of them wait. */
#define _GNU_SOURCE
#include <alloca.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define APART __attribute__((noinline, noclone))

static int pipe_ends[2], sockets[2], word;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
static sem_t none;
volatile long sink;

APART static int wait_nanosleep(int n) { struct timespec t = {3600, n}; return nanosleep(&t, 0) + n; }
APART static int wait_read(int n) { char b[64]; return (int)read(pipe_ends[0], b, sizeof b) + b[0] + n; }
APART static int wait_recv(int n) { char b[64]; return (int)recv(sockets[0], b, sizeof b, 0) + b[0] + n; }
APART static int wait_poll(int n) { struct pollfd f = {pipe_ends[0], POLLIN, 0}; return poll(&f, 1, -1) + n; }
APART static int wait_epoll(int n) {
  struct epoll_event e = {.events = EPOLLIN};
  int ep = epoll_create1(0);
  epoll_ctl(ep, EPOLL_CTL_ADD, pipe_ends[0], &e);
  return epoll_wait(ep, &e, 1, -1) + n;
}
APART static int wait_select(int n) {
  fd_set s; FD_ZERO(&s); FD_SET(pipe_ends[0], &s);
  return select(pipe_ends[0] + 1, &s, 0, 0, 0) + n;
}
APART static int wait_futex(int n) { return (int)syscall(SYS_futex, &word, 128, 0, 0, 0, 0) + n; }
APART static int wait_cond(int n) {
  pthread_mutex_lock(&mutex);
  int r = pthread_cond_wait(&never, &mutex);
  pthread_mutex_unlock(&mutex);
  return r + n;
}
APART static int wait_sem(int n) { return sem_wait(&none) + n; }

/* A frame whose size only the run tells. */
APART static int sized_by_argument(int n) {
  char *room = alloca(n * 24 + 40);
  memset(room, n, n * 24 + 40);
  char more[n + 8];
  memset(more, 1, sizeof more);
  sink += room[n] + more[n];
  return wait_nanosleep(n) + room[0] + more[1];
}
APART static int calls_sized(int n) { return sized_by_argument(n + 1) + n; }
/* The same through a pointer: then any call through a pointer may have been to it. */
APART static int pointed(int n) {
  char *room = alloca(n * 24 + 40);
  memset(room, n, n * 24 + 40);
  return wait_nanosleep(n) + room[n];
}
static int (*volatile pointer)(int) = pointed;
APART static int through_pointer(int n) { return pointer(n) + n; }
/* A return address of a call to the very same function, left in a buffer that nobody wrote. */
APART static int stale(int n) {
  volatile char unwritten[2048];
  if (n > 0) return stale(n - 1) + unwritten[n];
  return 1;
}
APART static int above_stale(int n) {
  volatile char unwritten[4096];
  sink += stale(6);
  return wait_read(n) + unwritten[n];
}
APART static int deep(int n) {
  int below = n == 0 ? wait_nanosleep(0) : deep(n - 1);
  sink += below;
  return below + n;
}
static int compare(const void *a, const void *b) {
  if (*(const int *)a == 3 || *(const int *)b == 3) wait_recv(1);
  return *(const int *)a - *(const int *)b;
}
APART static int callback(int n) { int v[] = {5, 4, 3, 2, n}; qsort(v, 5, sizeof *v, compare); return v[0]; }
APART static int tail_end(int n, int m) { return wait_poll(n) * m; }
APART static int tail(int n) { return tail_end(n, n + 1); }
typedef int (*function)(int);
static function volatile through = wait_sem;
APART static int indirect(int n) { return through(n) + n; }
APART static int by_table(int n) {
  switch (n) {
    case 0: return wait_read(1) + 1;
    case 1: return wait_poll(2) * 3;
    case 2: return wait_recv(3) - 2;
    case 3: return wait_nanosleep(4) ^ 5;
    case 4: return wait_select(5) | 3;
    case 5: return wait_sem(9) & 7;
    default: return n;
  }
}
APART static int many_arguments(int a, int b, int c, int d, int e, int f, long g, double h, int i) {
  return wait_epoll(a + b) + c + d + e + f + (int)g + (int)h + i;
}
APART static int arguments(int n) { return many_arguments(n, 2, 3, 4, 5, 6, 7, 8.5, 9) + n; }
APART static int aligned(int n) {
  __attribute__((aligned(64))) char block[64];
  memset(block, n, sizeof block);
  int r = wait_select(n);
  return r + block[n];
}
APART static int after_jump(int n) {
  jmp_buf back;
  if (setjmp(back) == 0) longjmp(back, 1);
  return wait_nanosleep(n) + n;
}
APART static void in_handler(int n) { sink += wait_nanosleep(n); }
static void handler(int signal) { in_handler(signal); sink++; }
APART static int interrupted(int n) { for (volatile int i = 0;; i += n) sink += i; return n; }
APART static int interrupted_call(int n) { for (;;) sink += wait_sem(n); return n; }
static char other_stack[64 * 1024];
APART static int on_other_stack(int n) {
  stack_t s = {.ss_sp = other_stack, .ss_size = sizeof other_stack};
  sigaltstack(&s, 0);
  return interrupted(n);
}

static const struct { const char *name; function run; int argument; int signal; } WAYS[] = {
  {"nanosleep", wait_nanosleep, 1, 0}, {"read", wait_read, 1, 0}, {"recv", wait_recv, 1, 0}, {"poll", wait_poll, 1, 0},
  {"epoll", wait_epoll, 1, 0}, {"select", wait_select, 1, 0}, {"futex", wait_futex, 1, 0}, {"cond", wait_cond, 1, 0},
  {"sem", wait_sem, 1, 0}, {"alloca", calls_sized, 7, 0}, {"pointer", through_pointer, 7, 0}, {"stale", above_stale, 3, 0}, {"deep", deep, 200, 0},
  {"callback", callback, 1, 0}, {"tail", tail, 2, 0}, {"indirect", indirect, 1, 0}, {"table", by_table, 3, 0},
  {"arguments", arguments, 1, 0}, {"aligned", aligned, 1, 0}, {"longjmp", after_jump, 1, 0},
  {"handler", interrupted, 1, SIGUSR1}, {"call", interrupted_call, 1, SIGUSR1}, {"altstack", on_other_stack, 1, SIGUSR2},
};
#define COUNT (int)(sizeof WAYS / sizeof *WAYS)

APART static int stack_begin(int way) { return WAYS[way].run(WAYS[way].argument) + way; }
static void *thread(void *way) { sink += stack_begin((int)(long)way); return 0; }

int main(void) {
  pthread_t threads[COUNT];
  if (pipe(pipe_ends) || socketpair(AF_UNIX, SOCK_STREAM, 0, sockets)) return 1;
  sem_init(&none, 0, 0);
  struct sigaction plain = {.sa_handler = handler}, other = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
  sigaction(SIGUSR1, &plain, 0);
  sigaction(SIGUSR2, &other, 0);
  for (long i = 0; i < COUNT; i++) pthread_create(&threads[i], 0, thread, (void *)i);
  usleep(100000);
  for (int i = 0; i < COUNT; i++) if (WAYS[i].signal) pthread_kill(threads[i], WAYS[i].signal);
  usleep(100000);
  puts("waiting");
  fflush(stdout);
  return wait_recv(0);
}
