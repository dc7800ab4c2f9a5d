/*
 * What HyperQueue runs for one call, as cheap as a program gets: one process, no shell, no interpreter.
 * call FILE KIND MS INDEX TEXT: appends `INDEX [2 * INDEX + 1, "TEXT"]` and a line's end to FILE, in one write.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double cpu_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return now.tv_sec * 1e3 + now.tv_nsec / 1e6;
}

int main(int argc, char **argv) {
  if (argc != 6) return 2;
  const char *kind = argv[2], *text = argv[5];
  const long ms = atol(argv[3]), index = atol(argv[4]);
  if (strcmp(kind, "sleep") == 0) {
    struct timespec length = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&length, NULL);
  } else if (strcmp(kind, "cpu") == 0) {
    const double until = cpu_ms() + ms;
    while (cpu_ms() < until) {
    }
  }
  const size_t room = strlen(text) + 64;
  char *line = malloc(room);
  if (line == NULL) return 1;
  const int length = snprintf(line, room, "%ld [%ld, \"%s\"]\n", index, 2 * index + 1, text);
  const int file = open(argv[1], O_WRONLY | O_APPEND | O_CREAT, 0600);
  return file >= 0 && write(file, line, length) == length ? 0 : 1;
}
