/* A server of the line exercise, right in every respect, that makes one mistake when told to.

     line [--fault NAME] PORT */

#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST = 64, READ = 4096 };

struct client {
    int socket;
    char *queue;
    size_t queued;
};

static struct client clients[MOST];
static int count, listener, highest, first_left;
static volatile sig_atomic_t stopped;
static const char *mistake = "";

static int fault(const char *name) { return strcmp(mistake, name) == 0; }

static void on_interrupt(int number)
{
    (void)number;
    stopped = 1;
}

static void drop(int at)
{
    if (!fault("silent-on-sigint") || !stopped)
        printf("removing connection with sd %d%s\n", clients[at].socket,
               fault("no-blank-at-the-end") ? "" : " ");
    close(clients[at].socket);
    free(clients[at].queue);
    memmove(&clients[at], &clients[at + 1], (size_t)(--count - at) * sizeof clients[0]);
    first_left |= at == 0;
}

static int largest(void)
{
    int found = listener;
    if (fault("wrong-max") && !count)
        found++;
    for (int i = 0; i < count; i++)
        found = clients[i].socket > found ? clients[i].socket : found;
    highest = found > highest ? found : highest;
    return fault("max-never-falls") ? highest : found;
}

static void append(struct client *client, const char *data, size_t size)
{
    client->queue = realloc(client->queue, client->queued + size);
    memcpy(client->queue + client->queued, data, size);
    client->queued += size;
}

static void relay(int sender, const char *data, size_t size)
{
    char changed[READ];
    memcpy(changed, data, size);
    if (fault("changes-line-ends") && size > 1 && changed[size - 2] == '\r')
        changed[--size - 1] = '\n';
    if (fault("cuts-long-reads") && size > 4000)
        size = 4000;
    if (fault("ends-at-nul"))
        size = strnlen(changed, size);
    for (int i = 0; i < count; i++) {
        if (clients[i].socket == sender && !fault("echoes-to-sender"))
            continue;
        if (fault("forgets-the-first") && first_left && i == 0)
            continue;
        append(&clients[i], changed, size);
    }
}

/* 0 when the client is gone. */
static int hear(int socket)
{
    char data[READ];
    printf("Descriptor %d is readable\n", socket);
    ssize_t got = recv(socket, data, sizeof data, 0);
    if (got < 0 && errno == EAGAIN)
        return 1;
    if (got < 0 && fault("ends-on-reset"))
        exit(1);
    if (got <= 0) {
        printf("Connection closed for sd %d\n", socket);
        return 0;
    }
    printf("%d bytes received from sd %d\n", (int)got + fault("counts-wrong"), socket);
    relay(socket, data, (size_t)got);
    return 1;
}

static void send_queue(struct client *client)
{
    ssize_t sent = send(client->socket, client->queue, client->queued, MSG_NOSIGNAL);
    if (sent <= 0)
        return;
    client->queued -= (size_t)sent;
    memmove(client->queue, client->queue + sent, client->queued);
}

static void admit(void)
{
    int socket = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    if (socket < 0 || count == MOST)
        return;
    printf("New incoming connection on sd %d\n", fault("numbers-clients") ? count : socket);
    memset(&clients[count], 0, sizeof clients[0]);
    clients[count++].socket = socket;
}

static void fail(const char *call)
{
    if (!fault("silent-on-busy-port"))
        perror(call);
    exit(1);
}

int main(int argc, char **argv)
{
    if (argc > 2 && strcmp(argv[1], "--fault") == 0) {
        mistake = argv[2];
        argc -= 2, argv += 2;
    }
    char *end = "x";
    long port = argc == 2 ? strtol(argv[1], &end, 10) : 0;
    if (*end || port < 1 || port > 65535) {
        fprintf(fault("usage-on-stderr") ? stderr : stdout, "Usage: server <port>\n");
        return 1;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct sigaction action = {.sa_handler = on_interrupt};
    sigaction(SIGINT, &action, NULL); /* without SA_RESTART: it interrupts the wait */
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_port = htons((uint16_t)(fault("listens-elsewhere") ? port + 1 : port));
    int on = 1;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address))
        fail("bind");
    if (listen(listener, 16))
        fail("listen");

    int late[MOST] = {0};
    while (!stopped) {
        struct pollfd polled[MOST + 1];
        int open_clients = count;
        for (int i = 0; i < count; i++) {
            /* Told to be late, it looks at a queue one event after it was filled. */
            int writes = clients[i].queued && (!fault("relays-late") || late[i]);
            late[i] = clients[i].queued > 0;
            polled[i] = (struct pollfd){clients[i].socket, (short)(POLLIN | (writes ? POLLOUT : 0)),
                                        0};
        }
        polled[count] = (struct pollfd){listener, POLLIN, 0};
        printf("Waiting on select()...\nMaxFd %d\n", largest());
        while (poll(polled, (nfds_t)count + 1, fault("spins") ? 0 : -1) == 0 && !stopped)
            ;
        if (stopped)
            break;
        for (int p = 0; p < open_clients; p++)
            for (int i = 0; i < count; i++) {
                if (clients[i].socket != polled[p].fd)
                    continue;
                if (polled[p].revents & POLLOUT)
                    send_queue(&clients[i]);
                if (polled[p].revents & (POLLIN | POLLERR | POLLHUP) && !hear(polled[p].fd))
                    drop(i);
                break;
            }
        if (polled[open_clients].revents & POLLIN)
            admit();
    }
    while (count)
        drop(count - 1);
    return 0;
}
