/* A server of the frame exercise, right in every respect, that makes one mistake when told to.

     frame [--stage N] [--fault NAME] PORT KEY

   One poll loop, non-blocking sockets, a queue for each member: what the grader's checks are
   tried on. Each mistake is what one check exists for; tests/grader/faults.py names them. */

#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef MISTAKE
#define MISTAKE ""
#endif

enum { NAME = 64, TEXT = 448, FRAME = 512, MOST = 64, READ = 65536 };

struct client {
    int socket;
    int member;
    int broken; /* a write failed: it goes when the loop comes to it */
    int frames;
    size_t have;
    char half[FRAME];
    char last[FRAME];
    char *queue;
    size_t queued;
};

static struct client clients[MOST];
static int count, stage = 4, lost_places, refused, from_terminal;
static volatile sig_atomic_t stopped;
static const char *key, *mistake = MISTAKE;

static int fault(const char *name) { return strcmp(mistake, name) == 0; }

static int members(void)
{
    int found = 0;
    for (int i = 0; i < count; i++)
        found += clients[i].member;
    return found;
}

static void on_interrupt(int number, siginfo_t *why, void *context)
{
    (void)number, (void)context;
    from_terminal = why->si_code == SI_KERNEL;
    stopped = 1;
}

static void finish(int status)
{
    int half = 0;
    for (int i = 0; i < count; i++)
        half |= clients[i].have > 0;
    for (int i = 0; i < count; i++)
        close(clients[i].socket);
    if (fault("sigint-idle-status") && count == 0)
        status = 1;
    if (fault("sigint-members-status") && count > 0 && !from_terminal)
        status = 1;
    if (fault("sigint-half-frame-status") && half)
        status = 1;
    exit(status);
}

static size_t field(const char *bytes, size_t size) { return strnlen(bytes, size); }

static int key_fits(const char *given)
{
    size_t length = field(given, TEXT), wanted = strlen(key);
    if (fault("prefix-key"))
        return strncmp(given, key, length) == 0;
    if (fault("long-key"))
        return strncmp(given, key, wanted) == 0;
    if (fault("case-key"))
        return length == wanted && strncasecmp(given, key, length) == 0;
    if (fault("number-key"))
        return atoi(given) == atoi(key);
    if (fault("trimmed-key"))
        while (length > 0 && isspace((unsigned char)given[length - 1]))
            length--;
    return length == wanted && memcmp(given, key, wanted) == 0;
}

static int name_size(const char *frame)
{
    size_t size = field(frame, NAME);
    return (int)(fault("short-names") && size == NAME ? size - 1 : size);
}

static void show(const char *frame)
{
    int name = name_size(frame);
    size_t text = field(frame + NAME, TEXT);
    printf("%.*s: %.*s\n", name, frame, (int)text, frame + NAME);
    fflush(stdout);
}

static void leave(int at)
{
    struct client *client = &clients[at];
    if (fault("leaks-descriptors") && client->member)
        shutdown(client->socket, SHUT_RDWR);
    else
        close(client->socket);
    if (fault("keeps-places") && client->member)
        lost_places++;
    free(client->queue);
    memmove(client, client + 1, (size_t)(--count - at) * sizeof *client);
}

/* Write what is queued; 0 when the connection is gone. */
static int flush_queue(struct client *client)
{
    while (client->queued && !client->broken) {
        ssize_t sent = send(client->socket, client->queue, client->queued,
                            fault("dies-of-sigpipe") ? 0 : MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno == ECONNRESET && fault("ends-on-reset"))
                exit(1);
            client->broken = errno != EAGAIN;
            break;
        }
        client->queued -= (size_t)sent;
        memmove(client->queue, client->queue + sent, client->queued);
    }
    return !client->broken;
}

static void append(struct client *client, const char *data, size_t size)
{
    if (client->broken || client->queued + size > 8 << 20)
        return; /* a member that never reads */
    client->queue = realloc(client->queue, client->queued + size);
    memcpy(client->queue + client->queued, data, size);
    client->queued += size;
    if (fault("blocking-sends")) {
        fcntl(client->socket, F_SETFL, 0);
        flush_queue(client);
        fcntl(client->socket, F_SETFL, O_NONBLOCK);
        return;
    }
    flush_queue(client);
}

static void relay(struct client *sender, const char *frame)
{
    char changed[FRAME];
    size_t size = FRAME;
    int reached = 0;
    memcpy(changed, frame, FRAME);
    if (fault("relays-strings"))
        size = NAME + field(frame + NAME, TEXT);
    if (fault("wipes-behind-nul")) {
        size_t length = field(frame + NAME, TEXT);
        memset(changed + NAME + length, 0, TEXT - length);
    }
    for (int i = 0; i < count; i++) {
        struct client *other = &clients[i];
        if (other == sender && (!fault("echoes-to-sender") || stage < 3))
            continue;
        if (!other->member && !fault("strangers-hear"))
            continue;
        if (fault("reaches-two") && reached == 2)
            continue;
        if (fault("forgets-the-first") && lost_places && i == 0)
            continue;
        append(other, changed, size);
        reached++;
    }
}

static void leak(void)
{
    static char *volatile leaked;
    leaked = malloc(FRAME);
    memset(leaked, 1, FRAME);
}

static void take_message(struct client *client, const char *frame)
{
    client->frames++;
    if (fault("leaks-memory"))
        leak();
    if (!fault("hides-messages") || stage < 3)
        if (!fault("skips-the-third") || client->frames != 3 || stage != 2)
            show(frame);
    if (fault("swaps-frames") && client->frames % 16 == 7) {
        memcpy(client->last, frame, FRAME); /* after the next one */
        return;
    }
    relay(client, frame);
    if (fault("swaps-frames") && client->frames % 16 == 8)
        relay(client, client->last);
    memcpy(client->last, frame, FRAME);
    if (stage == 2 && client->frames == (fault("reads-six") ? 6 : 5))
        finish(0);
}

static void overread(const char *name)
{
    char *copy = malloc(NAME);
    volatile size_t length = 0;
    memcpy(copy, name, NAME);
    while (copy[length])
        length++;
    free(copy);
}

/* 0 when the key does not fit. */
static int authenticate(struct client *client, const char *frame)
{
    printf("%.*s offers the key %.*s\n", name_size(frame), frame,
           fault("hides-the-key") ? 0 : (int)field(frame + NAME, TEXT), frame + NAME);
    fflush(stdout);
    if (fault("reads-beyond"))
        overread(frame);
    if (!key_fits(frame + NAME)) {
        if (fault("answers-wrong-keys"))
            send(client->socket, "no", 2, MSG_NOSIGNAL);
        if (fault("wrong-keys-take-places"))
            lost_places++;
        if (fault("wrong-key-harms"))
            for (int i = 0; i < count; i++)
                if (clients[i].member) {
                    leave(i);
                    break;
                }
        return 0;
    }
    char answer[FRAME];
    memcpy(answer, frame, FRAME);
    if (fault("hides-key-in-answer"))
        memset(answer + NAME, 0, TEXT);
    client->member = 1;
    append(client, answer, FRAME);
    return 1;
}

/* The rest of a frame, come what may: 0 at its end. */
static int block_for_the_rest(struct client *client)
{
    fcntl(client->socket, F_SETFL, 0);
    while (client->have < FRAME && !stopped) {
        ssize_t got = recv(client->socket, client->half + client->have, FRAME - client->have, 0);
        if (got <= 0)
            break;
        client->have += (size_t)got;
    }
    fcntl(client->socket, F_SETFL, O_NONBLOCK);
    return client->have == FRAME;
}

/* 0 when the client is gone; its place in the array may have changed meanwhile. */
static int take(int socket, const char *data, size_t size)
{
    struct client *client = NULL;
    for (int i = 0; i < count; i++)
        if (clients[i].socket == socket)
            client = &clients[i];
    if (fault("drops-small-pieces") && size < 16)
        return 1;
    while (size) {
        size_t part = FRAME - client->have < size ? FRAME - client->have : size;
        memcpy(client->half + client->have, data, part);
        client->have += part;
        data += part;
        size -= part;
        if (client->have < FRAME && (client->member ? fault("blocks-in-frames")
                                                    : fault("blocks-in-authentication")))
            block_for_the_rest(client);
        if (client->have < FRAME)
            return 1;
        client->have = 0;
        if (client->member)
            take_message(client, client->half);
        else {
            if (!authenticate(client, client->half))
                return 0;
            if (fault("drops-what-follows"))
                return 1;
        }
    }
    return 1;
}

static int hear(int at)
{
    static char data[READ];
    struct client *client = &clients[at];
    int socket = client->socket;
    ssize_t got = recv(socket, data, sizeof data, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 1;
    if (got > 0)
        return take(socket, data, (size_t)got);
    if (got < 0 && errno == ECONNRESET && fault("ends-on-reset"))
        exit(1);
    if (fault("early-departure-ends") && !client->member)
        exit(1);
    if (fault("shows-again") && client->member)
        show(client->last);
    if (fault("relays-half-frames") && client->member && client->have)
        relay(client, client->half);
    return 0;
}

static void remove_socket(int socket)
{
    for (int i = 0; i < count; i++)
        if (clients[i].socket == socket) {
            if (fault("forgets-the-first") && i > 0 && i < count - 1)
                lost_places = 1;
            leave(i);
            return;
        }
}

static void admit(int listener)
{
    int places = fault("one-member") && stage > 2 ? 1 : fault("five-members") ? 5 : 4;
    int taken = fault("forgets-the-first") ? 0 : lost_places;
    int socket = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    if (socket < 0)
        return;
    if (stage == 1) {
        if (fault("greets"))
            send(socket, "hello", 5, MSG_NOSIGNAL);
        close(socket);
        exit(fault("first-status") ? 3 : 0);
    }
    if (members() + taken >= places || count == MOST) {
        close(socket);
        if (fault("fifth-ousts-one"))
            leave(count - 1);
        refused++;
        return;
    }
    if (fault("waits-for-the-first-byte")) {
        struct pollfd first = {socket, POLLIN, 0};
        poll(&first, 1, -1);
    }
    memset(&clients[count], 0, sizeof clients[count]);
    clients[count++].socket = socket;
}

static int listen_on(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
    if (!fault("address-in-use-after-end"))
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 16)) {
        if (!fault("silent-on-busy-port"))
            perror("cannot listen");
        exit(1);
    }
    return listener;
}

static void leave_a_child(void)
{
    if (fork() == 0) {
        setsid();
        signal(SIGINT, SIG_IGN);
        for (int i = 0; i < MOST; i++)
            close(i);
        sleep(1000);
        _exit(0);
    }
}

int main(int argc, char **argv)
{
    for (; argc > 2 && argv[1][0] == '-'; argc -= 2, argv += 2)
        if (strcmp(argv[1], "--stage") == 0)
            stage = atoi(argv[2]);
        else
            mistake = argv[2];
    int port = argc == 3 ? atoi(argv[1]) : 0;
    if (port < 1 || port > 65535) {
        if (fault("silent-on-wrong-use"))
            return 0;
        fprintf(stderr, "USAGE: frame port key\n");
        return 1;
    }
    key = argv[2];
    if (fault("dies-of-sigpipe"))
        signal(SIGPIPE, SIG_DFL);
    struct sigaction action = {.sa_flags = SA_SIGINFO};
    action.sa_sigaction = on_interrupt;
    sigaction(SIGINT, &action, NULL);
    int listener = listen_on(fault("listens-elsewhere") ? port + 1 : port);
    if (fault("leaves-a-child"))
        leave_a_child();
    if (fault("writes-a-file"))
        close(open("chat.log", O_CREAT | O_WRONLY, 0600));

    while (!stopped) {
        struct pollfd polled[MOST + 1];
        int open_clients = count;
        for (int i = 0; i < count; i++)
            polled[i] = (struct pollfd){clients[i].socket,
                                        (short)(POLLIN | (clients[i].queued ? POLLOUT : 0)), 0};
        /* A program of the second stage serves one client only. */
        polled[count] = (struct pollfd){stage == 2 && count ? -1 : listener, POLLIN, 0};
        if (poll(polled, (nfds_t)count + 1, fault("spins") ? 0 : -1) < 0)
            continue;
        for (int p = 0; p < open_clients; p++) {
            int at = -1;
            for (int i = 0; i < count; i++)
                if (clients[i].socket == polled[p].fd)
                    at = i;
            if (at < 0)
                continue;
            int stays = 1;
            if (polled[p].revents & (POLLIN | POLLERR | POLLHUP))
                stays = hear(at);
            else if (polled[p].revents & POLLOUT)
                stays = flush_queue(&clients[at]);
            if (stays)
                continue;
            remove_socket(polled[p].fd);
            if (stage == 2)
                finish(0);
        }
        if (polled[open_clients].revents & POLLIN)
            admit(listener);
    }
    finish(0);
}
