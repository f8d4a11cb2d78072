/* `main` lies right behind a call that does not return, and nothing but the first instructions of the program points to it. */
#include <stdlib.h>
#include <time.h>
#define HERE __attribute__((noinline, used, section(".text.here")))
HERE static void fail(int n) { exit(n); }
HERE int main(int argc, char **argv) {
  struct timespec long_time = {600, argc};
  if (argv[0] == 0) fail(argc);
  nanosleep(&long_time, 0);
  return argc + (int)long_time.tv_nsec;
}
