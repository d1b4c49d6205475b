/* The yardstick: the relay in C as one would write it, with reads of 64 KiB. It shows nothing. One
 * epoll loop; a read's whole frames go to every other member in one blocking write each, so that
 * nothing is lost and the slowest member sets the pace.
 *
 *   fast_relay PORT KEY
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { NAME = 64, FRAME = 512, READ = 64 * 1024, MEMBERS = 8192, EVENTS = 256 };

/* By descriptor. The first frame, the one with the key, makes a connection a member. */
static struct connection { size_t have; int is_member, place; char rest[FRAME]; } *connections[MEMBERS + 16];
static int members[MEMBERS], count, waits;

static void drop(int fd) {
    if (connections[fd]->is_member) {
        members[connections[fd]->place] = members[--count];
        connections[members[count]]->place = connections[fd]->place;
    }
    free(connections[fd]);
    close(fd);
}

static void serve(int fd, const char *key) {
    static char in[FRAME + READ];
    struct connection *from = connections[fd];
    memcpy(in, from->rest, from->have);
    ssize_t got = recv(fd, in + from->have, READ - from->have, 0);
    if (got <= 0) { drop(fd); return; }
    size_t have = from->have + (size_t)got, start = 0, end = have - have % FRAME;
    if (!from->is_member && end) {
        if (strncmp(in + NAME, key, FRAME - NAME)) { drop(fd); return; }
        (void)!write(fd, in, FRAME);
        from->is_member = 1;
        members[from->place = count++] = fd;
        start = FRAME;
    }
    for (int other = 0; start < end && other < count; other++)
        if (members[other] != fd) (void)!write(members[other], in + start, end - start);
    memcpy(from->rest, in + end, from->have = have - end);
}

int main(int argc, char **argv) {
    if (argc != 3) return 1;
    signal(SIGPIPE, SIG_IGN);
    int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1]))};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) return 1;
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, ready[EVENTS];
    epoll_ctl(waits = epoll_create1(0), EPOLL_CTL_ADD, listener, &event);
    for (;;)
        for (int number = epoll_wait(waits, ready, EVENTS, -1); number-- > 0;) {
            if (ready[number].data.fd != listener) { serve(ready[number].data.fd, argv[2]); continue; }
            event.data.fd = accept(listener, NULL, NULL);
            if (event.data.fd < 0 || event.data.fd >= MEMBERS + 16) return 1;
            connections[event.data.fd] = calloc(1, sizeof **connections);
            epoll_ctl(waits, EPOLL_CTL_ADD, event.data.fd, &event);
        }
}
