/* stamp FIFO ID: write "ID NANOSECONDS\n" (CLOCK_MONOTONIC, taken as the first thing main does) to a FIFO: when did this process begin? */
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

int main(int count, char **words)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (count != 3)
        return 2;
    char line[128];
    int length = snprintf(line, sizeof line, "%s %lld\n", words[2], now.tv_sec * 1000000000LL + now.tv_nsec);
    int fifo = open(words[1], O_WRONLY);
    return fifo < 0 || write(fifo, line, length) != length;
}
