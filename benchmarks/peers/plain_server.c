/* The exercise as a course solves it in C, without its faults: one poll loop, one frame a call,
 * every frame printed. The peer that sop-chat is measured against.
 *
 *   plain_server PORT KEY
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { NAME = 64, TEXT = 448, FRAME = NAME + TEXT, MEMBERS = 8192 };

static struct pollfd places[1 + MEMBERS]; /* 0 is the listener */
static char is_member[1 + MEMBERS];
static int used = 1;

static int read_frame(int fd, char *frame) {
    for (size_t have = 0; have < FRAME;) {
        ssize_t got = read(fd, frame + have, FRAME - have);
        if (got <= 0) return 0;
        have += (size_t)got;
    }
    return 1;
}

static void drop(int place) {
    close(places[place].fd);
    used--;
    places[place] = places[used];
    is_member[place] = is_member[used];
}

static void serve(int place, const char *key) {
    char frame[FRAME];
    if (!read_frame(places[place].fd, frame)) {
        drop(place);
    } else if (!is_member[place]) {
        printf("%.64s offers %.448s\n", frame, frame + NAME);
        if (strncmp(frame + NAME, key, TEXT) != 0) {
            drop(place);
        } else {
            is_member[place] = 1;
            (void)!write(places[place].fd, frame, FRAME);
        }
    } else {
        printf("%.64s: %.448s\n", frame, frame + NAME);
        for (int other = 1; other < used; other++)
            if (other != place && is_member[other]) (void)!write(places[other].fd, frame, FRAME);
    }
}

int main(int argc, char **argv) {
    if (argc != 3) return 1;
    signal(SIGPIPE, SIG_IGN);
    int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1]))};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) return 1;
    places[0] = (struct pollfd){.fd = listener, .events = POLLIN};
    puts("listening");
    fflush(stdout);
    for (;;) {
        poll(places, (nfds_t)used, -1);
        for (int place = used - 1; place > 0; place--)
            if (places[place].revents) serve(place, argv[2]);
        if (places[0].revents && used <= MEMBERS) {
            places[used] = (struct pollfd){.fd = accept(listener, NULL, NULL), .events = POLLIN};
            is_member[used++] = 0;
        }
    }
}
